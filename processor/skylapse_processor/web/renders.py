"""Renders: asked for, listed, cancelled."""

import asyncio
from typing import Any

from aiohttp import web

from skylapse_protocol.codec import format_time, write

from ..clock import to_us
from ..dispatch import Dispatch
from ..jobs import Job, accepted
from ..store.jobtable import spec_to_json
from ..store.store import Store
from ..wish import read_wish
from .films import json_object
from .paging import page, page_size, read_cursor, write_cursor


class Renders:
    """The handlers of `/renders`."""

    def __init__(self, store: Store, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self._table = store.jobs

    async def create(self, request: web.Request) -> web.Response:
        """POST /renders: answers at once with job and films; a dry run with what the film would be."""
        wish, dry = read_wish(await json_object(request))
        if dry:
            return web.json_response(await self._dispatch.predict(wish))
        job = await self._dispatch.request(wish)
        headers = {"Location": f"/api/v1/renders/{job.id}"}
        return web.json_response(accepted(job), status=202, headers=headers)

    async def list(self, request: web.Request) -> web.Response:
        """GET /renders?cursor=, newest first."""
        limit = page_size(request)
        key = read_cursor(request, int, str)
        before = (int(key[0]), str(key[1])) if key else None
        found = await asyncio.to_thread(self._table.page, before, limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        cursor = write_cursor(to_us(last.created_at), last.id) if last is not None else None
        return page([self._item(job) for job in found[:limit]], cursor)

    async def get(self, request: web.Request) -> web.Response:
        """GET /renders/<id>."""
        return web.json_response(self._item(await self._dispatch.find(request.match_info["job"])))

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE /renders/<id>: cancel."""
        return web.json_response(self._item(await self._dispatch.cancel(request.match_info["job"])))

    def _item(self, job: Job) -> dict[str, Any]:
        state = dict(write(self._dispatch.state_of(job)))
        state.pop("schema")
        return {
            **state,
            "origin": job.origin,
            "asked": spec_to_json(job.spec),
            "attempt": job.attempt,
            "frames": job.frames,
            "created_at": format_time(job.created_at),
            "changed_at": format_time(job.changed_at),
        }
