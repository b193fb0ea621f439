"""A client of the processor for tests: one key, answers as they came."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from skylapse_protocol.records import FrameRecord

from .frames_made import OFFSET_STREAM, creation_headers

API = "/api/v1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the processor answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    value: Any


class Client:
    """Talks to a processor at an address."""

    def __init__(self, url: str, key: str | None) -> None:
        self.url = url
        self.key = key or ""
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(self.url, headers=self._headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def ask(self, method: str, path: str, **more: Any) -> Answer:
        """Send a request; a path that does not start with a slash is under the API."""
        assert self._session is not None
        address = path if path.startswith("/") else f"{API}/{path}"
        async with self._session.request(method, address, **more) as response:
            body = await response.read()
            is_json = "json" in response.content_type and body
            return Answer(
                status=response.status,
                headers=response.headers.copy(),
                body=body,
                value=await response.json(content_type=None) if is_json else None,
            )

    async def get(self, path: str, **query: str) -> Answer:
        """GET."""
        return await self.ask("GET", path, params=query)

    async def upload(self, data: bytes, record: FrameRecord) -> Answer:
        """Offer a frame with its bytes in one request."""
        return await self.ask("POST", "uploads", data=data, headers=creation_headers(record) | OFFSET_STREAM)
