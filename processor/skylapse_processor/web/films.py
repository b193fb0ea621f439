"""Films: lists, facts, changes, and the video with Range for any player."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from skylapse_protocol.codec import write
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.identifiers import parse_day, parse_film

from ..clock import to_us
from ..errors import NotFoundError, RequestError
from ..library import Library, film_message
from ..store.films import FilmQuery, StoredFilm
from ..store.store import Store
from .frames import IMMUTABLE, camera_of
from .paging import page, page_size, read_cursor, write_cursor

_TRUTH = {"true": True, "1": True, "false": False, "0": False}


class Films:
    """The handlers of `/films`."""

    def __init__(self, store: Store, library: Library) -> None:
        self._films = store.films
        self._library = library

    async def list(self, request: web.Request) -> web.Response:
        """GET /films?camera=&from=&to=&q=&pinned=&cursor=."""
        limit = page_size(request)
        found = await asyncio.to_thread(self._films.list, _query(request), limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        cursor = write_cursor(last.day, to_us(last.created_at), last.id) if last is not None else None
        return page([film_item(film) for film in found[:limit]], cursor)

    async def get(self, request: web.Request) -> web.Response:
        """GET /films/<id>."""
        return web.json_response(film_item(await self._film(request)))

    async def patch(self, request: web.Request) -> web.Response:
        """PATCH /films/<id> with any of pinned, title, link."""
        film = await self._film(request)
        changed = await self._library.change(film.id, await json_object(request))
        return web.json_response(film_item(changed))

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /films/<id>."""
        film = await self._film(request)
        await self._library.delete(film.id)
        return web.Response(status=204)

    async def video(self, request: web.Request) -> web.StreamResponse:
        """GET /films/<id>/video; FileResponse answers Range, HEAD and conditions."""
        return await self._file(request, self._library.video, "video/mp4")

    async def poster(self, request: web.Request) -> web.StreamResponse:
        """GET /films/<id>/poster."""
        return await self._file(request, self._library.poster, "image/jpeg")

    async def thumb(self, request: web.Request) -> web.StreamResponse:
        """GET /films/<id>/thumb."""
        return await self._file(request, self._library.thumb, "image/jpeg")

    async def preview(self, request: web.Request) -> web.StreamResponse:
        """GET /films/<id>/preview."""
        return await self._file(request, self._library.preview, "image/webp")

    async def _film(self, request: web.Request) -> StoredFilm:
        try:
            film = parse_film(request.match_info["film"])
        except ProtocolError as error:
            raise NotFoundError(error.why) from error
        return await self._library.find(film)

    async def _file(
        self, request: web.Request, path_of: Callable[[StoredFilm], Path], kind: str
    ) -> web.StreamResponse:
        film = await self._film(request)
        path = path_of(film)
        if not path.exists():
            raise NotFoundError(f"film {film.id}: {path.name} is not in the store")
        named = request.query.get("v") == film.content
        cache = IMMUTABLE if named else "private, no-cache"
        return web.FileResponse(path, headers={"Cache-Control": cache, "Content-Type": kind})


def film_item(film: StoredFilm) -> dict[str, Any]:
    """Return a film as MQTT tells of it, less what belongs to a message alone."""
    item = dict(write(film_message(film, "added")))
    return {name: value for name, value in item.items() if name not in ("schema", "change")}


async def json_object(request: web.Request) -> dict[str, Any]:
    """Return the JSON object in a body; raise RequestError for anything else."""
    try:
        body = await request.json()
    except (ValueError, RecursionError) as error:
        raise RequestError("", f"the body is no JSON ({str(error)[:120]})") from error
    if not isinstance(body, dict):
        raise RequestError("", "the body is no JSON object")
    return body


def _query(request: web.Request) -> FilmQuery:
    query = request.query
    pinned = query.get("pinned")
    if pinned and pinned not in _TRUTH:
        raise RequestError("pinned", "is neither true nor false")
    before = read_cursor(request, str, int, str)
    return FilmQuery(
        camera=camera_of(query["camera"]) if query.get("camera") else None,
        from_day=_day(query, "from"),
        to_day=_day(query, "to"),
        words=tuple(query.get("q", "").split()[:10]),
        pinned=_TRUTH[pinned] if pinned else None,
        before=(str(before[0]), int(before[1]), str(before[2])) if before else None,
    )


def _day(query: Mapping[str, str], name: str) -> str | None:
    """Return a day that was asked for; raise RequestError naming the field."""
    try:
        return parse_day(query[name]) if query.get(name) else None
    except ProtocolError as error:
        raise RequestError(name, error.why) from error
