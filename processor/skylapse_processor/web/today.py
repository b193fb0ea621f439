"""The film of today: what it is, its playlist and segments, and the film so far with Range for any player."""

import asyncio
import hashlib
import os
from http import HTTPStatus
from typing import Any

from aiohttp import web

from skylapse_protocol.identifiers import CameraName

from ..today import Today
from ..today_live import Live
from ..today_plan import pace_of
from ..today_show import SoFar
from .frames import camera_of

PLAYLIST = "application/vnd.apple.mpegurl"
_SEGMENT = "video/mp4"
_CHUNK = 256 * 1024


class TodayFilms:
    """The handlers of `/cameras/<bridge>/<camera>/today`."""

    def __init__(self, today: Today) -> None:
        self._today = today

    async def get(self, request: web.Request) -> web.Response:
        """GET /cameras/<bridge>/<camera>/today."""
        live = await self._shown(request)
        return web.json_response(_item(live), headers={"Cache-Control": "no-store"})

    async def playlist(self, request: web.Request) -> web.Response:
        """GET /cameras/<bridge>/<camera>/today/<film>.m3u8; 304 where nothing has come.

        A player asks every half target duration, and frames come far more seldom. Such an answer is not held
        back until one comes (`CAN-BLOCK-RELOAD`): players give up waiting for it before most cameras capture.
        """
        text = await self._today.playlist(_camera(request), request.match_info["film"])
        headers = {"Cache-Control": "private, no-cache"}
        tag = hashlib.sha256(text.encode()).hexdigest()[:32]
        if any(each.value == tag for each in request.if_none_match or ()):
            answer = web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        else:
            answer = web.Response(text=text, content_type=PLAYLIST, headers=headers)
        answer.etag = tag
        return answer

    async def segment(self, request: web.Request) -> web.Response:
        """GET /cameras/<bridge>/<camera>/today/<segment>?parts=: what the playlist names."""
        name, parts = request.match_info["segment"], request.query.get("parts", "")
        data = await self._today.segment(_camera(request), name, parts)
        headers = {"Cache-Control": "private, max-age=3600"}
        return web.Response(body=data, content_type=_SEGMENT, headers=headers)

    async def film(self, request: web.Request) -> web.StreamResponse:
        """GET /cameras/<bridge>/<camera>/today/film.mp4?v=: all frames so far; answers Range and HEAD."""
        version = request.query.get("v", "")
        live = await self._today.of(_camera(request))
        if version not in live.so_far:
            await self._today.show(live)
        begins = not _first(request)
        found, media = self._today.film_so_far(live, version or live.version, begins=begins)
        return await _ranged(request, found, os.open(media, os.O_RDONLY) if media.exists() else None)

    async def _shown(self, request: web.Request) -> Live:
        live = await self._today.of(_camera(request))
        await self._today.show(live)
        return live


def _camera(request: web.Request) -> CameraName:
    return camera_of(f"{request.match_info['bridge']}/{request.match_info['camera']}")


def _item(live: Live) -> dict[str, Any]:
    spec, rate = live.spec, pace_of(live.spec)
    base = f"/api/v1/cameras/{spec.camera}/today"
    return {
        "film": spec.film,
        "camera": str(spec.camera),
        "day": spec.day,
        "window": spec.window,
        "schedule": spec.schedule,
        "profile": spec.profile,
        "frames": live.frames,
        "provisional_frames": live.shown.provisional,
        "provisional": bool(live.shown.parts),
        "ended": live.ended,
        "rate": float(rate),
        "duration_s": round(float(live.frames / rate), 6),
        "width": live.track.width if live.track else None,
        "height": live.track.height if live.track else None,
        "codec": live.track.codec if live.track else None,
        "playlist": f"{base}/{spec.film}.m3u8",
        "video": f"{base}/film.mp4?v={live.version}",
    }


async def _ranged(request: web.Request, film: SoFar, samples: int | None) -> web.StreamResponse:
    """Answer with the film, or with the part of it that is asked for (RFC 9110, 14)."""
    try:
        first, past = _range(request, film.size)
        headers = {"Accept-Ranges": "bytes", "Cache-Control": "private, no-cache", "Content-Type": _SEGMENT}
        if first is None:
            headers["Content-Range"] = f"bytes */{film.size}"
            return web.Response(status=416, headers=headers)
        partial = past - first < film.size
        if partial:
            headers["Content-Range"] = f"bytes {first}-{past - 1}/{film.size}"
        response = web.StreamResponse(status=206 if partial else 200, headers=headers)
        response.content_length = past - first
        await response.prepare(request)
        while request.method != "HEAD" and first < past:
            piece = await asyncio.to_thread(_read, film, samples, first, min(past, first + _CHUNK))
            if not piece:  # the film was begun anew: what was promised will not come
                if request.transport is not None:
                    request.transport.abort()
                return response
            await response.write(piece)
            first += len(piece)
        await response.write_eof()
        return response
    finally:
        if samples is not None:
            os.close(samples)


def _first(request: web.Request) -> int:
    """Return the byte that is asked for first, from the end where it is negative; 0 for everything."""
    try:
        return request.http_range.start or 0
    except ValueError:
        return 0


def _range(request: web.Request, size: int) -> tuple[int | None, int]:
    """Return the first byte that is asked for and the one after the last; null where there is none."""
    try:
        wanted = request.http_range
    except ValueError:
        return 0, size
    first = _first(request)
    if first < 0:
        first = max(0, size + first)
    past = size if wanted.stop is None else min(wanted.stop, size)
    return (first, past) if first < past else (None, size)


def _read(film: SoFar, samples: int | None, first: int, past: int) -> bytes:
    """Return bytes of the film from the one of its three parts that they begin in."""
    if first < len(film.head):
        return film.head[first:past]
    if first < film.end and samples is not None:
        return os.pread(samples, min(past, film.end) - first, first)
    return film.tail[first - film.end : past - film.end]
