"""What the processor has in store, asked over its HTTP interface."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp


class Store:
    """A client of the processor with a key of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def start(self, key: str) -> None:
        """Open the session."""
        self._session = aiohttp.ClientSession(self._url, headers={"Authorization": f"Bearer {key}"})

    async def stop(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()

    async def stored(self, camera: str) -> int:
        """How many frames of a camera the processor keeps, those in quarantine included."""
        cameras = (await self.get("/api/v1/cameras"))["items"]
        return sum(item["frames"] + item["quarantined"] for item in cameras if item["camera"] == camera)

    async def frames(self, camera: str) -> AsyncIterator[dict[str, Any]]:
        """All frames of a camera, page after page."""
        cursor: str | None = ""
        while cursor is not None:
            page = await self.get(
                f"/api/v1/cameras/{camera}/frames", **({"cursor": cursor} if cursor else {})
            )
            for item in page["items"]:
                yield item
            cursor = page["next"]

    async def get(self, path: str, **query: str) -> Any:
        """Ask for one JSON document."""
        async with self._open.get(path, params=query) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def body(self, path: str) -> bytes:
        """Fetch one picture or film."""
        async with self._open.get(path) as answer:
            answer.raise_for_status()
            return await answer.read()

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the store's client was not started")
        return self._session
