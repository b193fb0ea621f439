"""Results beside films: lists, facts, pictures, deletion; and what the sunsets of a camera were worth."""

import asyncio
from pathlib import Path
from typing import Any, get_args

from aiohttp import web

from skylapse_protocol.codec import write
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.identifiers import CameraName, parse_day, parse_film

from ..errors import NotFoundError, RequestError
from ..results import sunset
from ..results.keeper import Keeper
from ..store.results import Evening, Kind, ResultQuery, StoredResult, Word
from ..store.store import Store
from .frames import IMMUTABLE, camera_of
from .paging import page, page_size, read_cursor, write_cursor

_INNER = ("start_s", "end_s", "local_offset_s")
"""Details of a result that are of use to the processor alone."""


class Results:
    """The handlers of `/results` and of `/cameras/…/sunsets`."""

    def __init__(self, store: Store, keeper: Keeper) -> None:
        self._table = store.results
        self._catalogue = store.frames
        self._layout = store.layout
        self._keeper = keeper

    async def list(self, request: web.Request) -> web.Response:
        """GET /results?camera=&day=&kind=&q=&cursor=, newest day first."""
        limit = page_size(request)
        words = await asyncio.to_thread(self._words, request.query.get("q", ""))
        found = await asyncio.to_thread(self._table.list, _query(request, words), limit + 1)
        cursor = write_cursor(*found[limit - 1].place) if len(found) > limit else None
        return page([self._item(result) for result in found[:limit]], cursor)

    async def get(self, request: web.Request) -> web.Response:
        """GET /results/<id>."""
        return web.json_response(self._item(await self._result(request)))

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /results/<id>: for good."""
        await self._keeper.delete((await self._result(request)).id)
        return web.Response(status=204)

    async def picture(self, request: web.Request) -> web.StreamResponse:
        """GET /results/<id>/picture."""
        result = await self._result(request)
        return _file(request, result, self._layout.result(result.camera, result.day, result.id))

    async def thumb(self, request: web.Request) -> web.StreamResponse:
        """GET /results/<id>/thumb."""
        result = await self._result(request)
        return _file(request, result, self._layout.result_thumb(result.camera, result.day, result.id))

    async def sunsets(self, request: web.Request) -> web.Response:
        """GET /cameras/<bridge>/<camera>/sunsets?cursor=, newest evening first."""
        camera = camera_of(f"{request.match_info['bridge']}/{request.match_info['camera']}")
        limit = page_size(request)
        after = read_cursor(request, str)
        before = str(after[0]) if after else None
        found = await asyncio.to_thread(self._table.evenings, camera, limit + 1, before=before)
        cursor = write_cursor(found[limit - 1].day) if len(found) > limit else None
        return page([_evening(camera, evening) for evening in found[:limit]], cursor)

    def _words(self, asked: str) -> tuple[Word, ...]:
        """Return the words of a search, each with the cameras that people call so."""
        texts = asked.split()[:10]
        names = {camera: self._keeper.name(camera).lower() for camera in self._catalogue.cameras() if texts}
        return tuple(
            Word(text=text, cameras=tuple(camera for camera, name in names.items() if text.lower() in name))
            for text in texts
        )

    def _item(self, result: StoredResult) -> dict[str, Any]:
        said = dict(write(self._keeper.message(result, "added")))
        details = {name: value for name, value in result.details.items() if name not in _INNER}
        return {name: value for name, value in said.items() if name not in ("schema", "change")} | {
            "rank": result.rank,
            "details": details,
        }

    async def _result(self, request: web.Request) -> StoredResult:
        try:
            result = parse_film(request.match_info["result"])
        except ProtocolError as error:
            raise NotFoundError(f"there is no result {request.match_info['result'][:80]}") from error
        return await self._keeper.find(result)


def _file(request: web.Request, result: StoredResult, path: Path) -> web.StreamResponse:
    """Answer with a file; FileResponse answers HEAD, Range and conditions by its ETag."""
    if not path.exists():
        raise NotFoundError(f"result {result.id}: {path.name} is not in the store")
    cache = IMMUTABLE if request.query.get("v") == result.content else "private, no-cache"
    return web.FileResponse(path, headers={"Cache-Control": cache, "Content-Type": "image/jpeg"})


def _query(request: web.Request, words: tuple[Word, ...]) -> ResultQuery:
    query = request.query
    kind = query.get("kind") or None
    if kind is not None and kind not in get_args(Kind):
        raise RequestError("kind", f"is none of {', '.join(get_args(Kind))}")
    after = read_cursor(request, str, str, int, str)
    return ResultQuery(
        camera=camera_of(query["camera"]) if query.get("camera") else None,
        day=parse_day(query["day"]) if query.get("day") else None,
        kind=kind,
        words=words,
        after=(str(after[0]), str(after[1]), int(after[2]), str(after[3])) if after else None,
    )


def _evening(camera: CameraName, evening: Evening) -> dict[str, Any]:
    """Return an evening with all that its score is made of."""
    frames = [{**each, "frame": f"{camera}/{each['frame']}"} for each in evening.details["frames"]]
    return {
        "camera": str(camera),
        "day": evening.day,
        "score": sunset.told(evening.score, evening.details["evenings_before"]),
        "worth": evening.worth,
        "evenings_before": evening.details["evenings_before"],
        "frames": frames,
    }
