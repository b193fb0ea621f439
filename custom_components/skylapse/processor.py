"""The one door to the processor's HTTP API. Every error that it raises is a ProcessorError."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from yarl import URL

from .errors import (
    ProcessorError,
    ProcessorKeyError,
    ProcessorMissingError,
    ProcessorQueryError,
    ProcessorUnreachableError,
)
from .protocol.codec import read
from .protocol.errors import ProtocolError
from .protocol.identifiers import CameraName, FrameName, parse_day, parse_film
from .protocol.messages import Film, Result

PAGE = 200
"""Pages are read between other things: a larger one would hold everybody up."""
FRAMES_PAGE = 1000
_QUICK = ClientTimeout(total=10)
_STREAM = ClientTimeout(total=None, sock_connect=10, sock_read=30)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFrame:
    """A frame as the processor lists it."""

    name: FrameName
    captured_at: str
    window: str | None
    schedule: str | None
    profile: str | None
    test_id: str | None
    state: str


class ProcessorClient:
    """Asks one processor, at one pinned address, with one key."""

    def __init__(self, session: ClientSession, url: str, key: str) -> None:
        """Remember whom to ask."""
        self._session = session
        self._url = URL(url.rstrip("/"))
        self._headers = {"Authorization": f"Bearer {key}"}

    @property
    def url(self) -> URL:
        """The address that the key belongs to."""
        return self._url

    async def check(self) -> None:
        """Return when the processor answers and knows the key; raise ProcessorError otherwise."""
        await self._json("stats")

    async def films(self) -> list[Film]:
        """Return every film, read page by page."""
        return [film async for page in self._pages("films", PAGE) for film in _read(page, "films", _film)]

    async def film(self, film_id: str) -> Film:
        """Return one film."""
        found = await self._json(f"films/{parse_film(film_id)}")
        return _read({"items": [found]}, "film", _film)[0]

    async def results(self) -> list[Result]:
        """Return every result beside the films, read page by page."""
        pages = self._pages("results", PAGE)
        return [result async for page in pages for result in _read(page, "results", _result)]

    async def days(self, camera: CameraName) -> list[str]:
        """Return every day with frames, latest first."""
        pages = self._pages(f"cameras/{camera}/days", PAGE)
        return [
            day async for page in pages for day in _read(page, "days", lambda item: parse_day(item["day"]))
        ]

    async def frames(self, camera: CameraName, day: str) -> list[FrameName]:
        """Return every frame of a day that is a JPEG, in the order of their capture."""
        pages = self._pages(f"cameras/{camera}/frames", FRAMES_PAGE, day=day)
        return [frame async for page in pages for frame in _read(page, "frames", _frame) if frame is not None]

    async def frames_page(
        self, camera: CameraName, limit: int, query: dict[str, str]
    ) -> tuple[list[StoredFrame], str | None]:
        """Return some frames in the order of their capture, and the cursor of the next page."""
        page = await self._json(f"cameras/{camera}/frames", {"limit": str(limit), **query})
        return _read(page, "frames", _stored), page.get("next")

    async def film_picture(self, film_id: str, part: Literal["poster", "thumb"]) -> bytes:
        """Return a film's poster or thumbnail, a JPEG."""
        return await self._bytes(f"films/{parse_film(film_id)}/{part}")

    async def frame_picture(self, frame: FrameName) -> bytes:
        """Return a stored frame, a JPEG."""
        return await self._bytes(f"frames/{frame}")

    async def picture(self, path: str) -> bytes:
        """Return a picture by its path (see `media/files.py`)."""
        return await self._bytes(path)

    async def today_playlist(self, camera: CameraName, film: str) -> str:
        """Return the playlist of a film that grows, or did until now."""
        return (await self._bytes(f"cameras/{camera}/today/{film}.m3u8")).decode(errors="replace")

    async def today_segment(self, camera: CameraName, segment: str, parts: str | None) -> bytes:
        """Return what that playlist names, of some parts where it does."""
        query = {"parts": parts} if parts else None
        return await self._bytes(f"cameras/{camera}/today/{segment}", query)

    @asynccontextmanager
    async def open_file(
        self, path: str, method: str, headers: dict[str, str]
    ) -> AsyncIterator[ClientResponse]:
        """Yield the processor's answer to a request for a picture or a video by its path.

        What it says beyond 404 is the caller's.
        """
        async with self._request(method, path, headers=headers, limits=_STREAM) as response:
            yield response

    async def _pages(self, path: str, limit: int, **query: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the pages of a list."""
        cursor: str | None = ""
        while cursor is not None:
            asked = {"limit": str(limit), **query} | ({"cursor": cursor} if cursor else {})
            page = await self._json(path, asked)
            yield page
            before, cursor = cursor, page.get("next")
            if cursor is not None and (not isinstance(cursor, str) or cursor == before):
                raise ProcessorError(f"the pages of {path} lead nowhere")

    async def _json(self, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        async with self._request("GET", path, query=query) as response:
            value = await self._read(response.json())
        if not isinstance(value, dict):
            raise ProcessorError(f"{path} did not answer with an object")
        return value

    async def _bytes(self, path: str, query: dict[str, str] | None = None) -> bytes:
        async with self._request("GET", path, query=query) as response:
            content: bytes = await self._read(response.read())
        return content

    @staticmethod
    async def _read(reading: Any) -> Any:
        try:
            return await reading
        except (ClientError, TimeoutError, ValueError) as error:
            raise ProcessorUnreachableError(str(error) or type(error).__name__) from error

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        limits: ClientTimeout = _QUICK,
    ) -> AsyncIterator[ClientResponse]:
        try:
            response = await self._session.request(
                method,
                self._url / "api/v1" / path,
                params=query,
                headers=self._headers | (headers or {}),
                timeout=limits,
                allow_redirects=False,
            )
        except (ClientError, TimeoutError, ValueError) as error:
            raise ProcessorUnreachableError(str(error) or type(error).__name__) from error
        async with response:
            _check(response, path)
            yield response


def _check(response: ClientResponse, path: str) -> None:
    """Raise the error that a status stands for; 416 belongs to the player that asked for a range."""
    status = response.status
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise ProcessorKeyError("the processor does not know this key")
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        raise ProcessorMissingError(f"the processor has no {path}")
    if status == HTTPStatus.BAD_REQUEST:
        raise ProcessorQueryError(f"{path} answered {status}")
    if status >= HTTPStatus.MULTIPLE_CHOICES and status not in (
        HTTPStatus.NOT_MODIFIED,
        HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    ):
        raise ProcessorError(f"{path} answered {status}")


def _read[T](page: dict[str, Any], what: str, read_one: Callable[[dict[str, Any]], T]) -> list[T]:
    """Return the items of a page; raise ProcessorError where they do not fit."""
    try:
        return [read_one(item) for item in page["items"]]
    except (KeyError, TypeError, ValueError, ProtocolError) as error:
        raise ProcessorError(f"the processor's {what} do not fit: {error}") from error


def _frame(item: dict[str, Any]) -> FrameName | None:
    """Read a frame of a list; None for what no browser shows."""
    frame = FrameName.parse(item["frame"])
    return frame if item.get("media_type", "image/jpeg") == "image/jpeg" else None


def _stored(item: dict[str, Any]) -> StoredFrame:
    """Read a frame of a list; what it leaves out is unknown."""
    return StoredFrame(
        name=FrameName.parse(item["frame"]),
        captured_at=item["captured_at"],
        window=item.get("window"),
        schedule=item.get("schedule"),
        profile=item.get("profile"),
        test_id=item.get("test_id"),
        state=item["state"],
    )


def _film(item: dict[str, Any]) -> Film:
    """Read a film of a list: as on MQTT, but it need not say what changed."""
    return read(Film, {"change": "added", **item}, "film")


def _result(item: dict[str, Any]) -> Result:
    return read(Result, {"change": "added", **item}, "result")
