"""A/B tests that were compared: listed, and one by its experiment's id."""

import asyncio
from typing import Any

from aiohttp import web

from skylapse_protocol.codec import write
from skylapse_protocol.comparison import Comparison
from skylapse_protocol.identifiers import CameraName

from ..errors import NotFoundError
from ..store.comparisons import place_of
from ..store.store import Store
from .frames import camera_of
from .paging import page, page_size, read_cursor, write_cursor


class Comparisons:
    """The handlers of `/tests`."""

    def __init__(self, store: Store) -> None:
        self._table = store.comparisons

    async def list(self, request: web.Request) -> web.Response:
        """GET /tests?camera=&cursor=, newest first."""
        limit = page_size(request)
        key = read_cursor(request, int, str, str)
        before = (int(key[0]), str(key[1]), str(key[2])) if key else None
        found = await asyncio.to_thread(self._table.list, limit + 1, camera=_camera(request), before=before)
        cursor = write_cursor(*place_of(found[limit - 1])) if len(found) > limit else None
        return page([_item(comparison) for comparison in found[:limit]], cursor)

    async def get(self, request: web.Request) -> web.Response:
        """GET /tests/<id>?camera=: where cameras share an experiment's id, the one compared last."""
        experiment = request.match_info["test"]
        found = await asyncio.to_thread(self._table.list, 1, camera=_camera(request), experiment=experiment)
        if not found:
            raise NotFoundError(f"no test {experiment[:80]} has been compared")
        return web.json_response(_item(found[0]))


def _camera(request: web.Request) -> CameraName | None:
    text = request.query.get("camera")
    return camera_of(text) if text else None


def _item(comparison: Comparison) -> dict[str, Any]:
    return dict(write(comparison))
