"""Cameras, their days, their frames: lists, pictures, thumbnails, records."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from aiohttp import web

from skylapse_protocol.codec import format_time
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.identifiers import CameraName, FrameName, parse_day

from ..bridges import Bridges
from ..errors import NotFoundError, PictureError, RequestError
from ..ingest import Ingest
from ..store.rows import FrameRole, Selection, StoredFrame, Stretch
from ..store.store import Store
from ..store.watches import Mark
from .paging import page, page_size, read_cursor, write_cursor

IMMUTABLE = "private, max-age=31536000, immutable"


class Frames:
    """The handlers of `/cameras` and `/frames`."""

    def __init__(self, store: Store, ingest: Ingest, bridges: Bridges) -> None:
        self._watches = store.watches
        self._catalogue = store.frames
        self._layout = store.layout
        self._ingest = ingest
        self._bridges = bridges

    async def cameras(self, _request: web.Request) -> web.Response:
        """GET /cameras."""
        return page(await asyncio.to_thread(self._list_cameras), None)

    async def days(self, request: web.Request) -> web.Response:
        """GET /cameras/<bridge>/<camera>/days."""
        camera = await self._camera(request)
        stretches = await asyncio.to_thread(self._catalogue.stretches, camera)
        by_day = defaultdict(list)
        for stretch in stretches:
            if stretch.frames:
                by_day[stretch.day].append(stretch)
        after = read_cursor(request, str)
        days = [day for day in sorted(by_day, reverse=True) if after is None or day < str(after[0])]
        limit = page_size(request, 366)
        cursor = write_cursor(days[limit - 1]) if len(days) > limit else None
        return page([_day_item(day, by_day[day]) for day in days[:limit]], cursor)

    async def frames(self, request: web.Request) -> web.Response:
        """GET /cameras/<bridge>/<camera>/frames?day=&window=&profile=&cursor=."""
        camera = await self._camera(request)
        after = read_cursor(request, str)
        limit = page_size(request)
        day = request.query.get("day")
        wanted = Selection(
            camera=camera,
            day=parse_day(day) if day else None,
            window=request.query.get("window"),
            profile=request.query.get("profile"),
            after=FrameName.parse(f"{camera}/{after[0]}") if after else None,
        )
        found = await asyncio.to_thread(self._catalogue.frames, wanted, limit + 1)
        cursor = write_cursor(found[limit - 1].name.stem) if len(found) > limit else None
        marks = await asyncio.to_thread(self._watches.marks, found[:limit])
        return page([frame_item(frame, marks.get(str(frame.name))) for frame in found[:limit]], cursor)

    async def picture(self, request: web.Request) -> web.StreamResponse:
        """GET /frames/<bridge>/<camera>/<stem>."""
        frame = await self._frame(request)
        path = self._layout.picture(frame.name, frame.day, frame.media_type)
        return self._file(path, frame, frame.media_type)

    async def record(self, request: web.Request) -> web.StreamResponse:
        """GET /frames/<bridge>/<camera>/<stem>/record."""
        frame = await self._frame(request)
        return self._file(self._layout.record(frame.name, frame.day), frame, "application/json")

    async def thumb(self, request: web.Request) -> web.StreamResponse:
        """GET /frames/<bridge>/<camera>/<stem>/thumb; of a raw picture, that of the JPEG beside it."""
        frame = await self._frame(request)
        if frame.role is FrameRole.RAW:
            frame = await asyncio.to_thread(self._jpeg_beside, frame)
        path = self._layout.thumb(frame.name, frame.day)
        if not path.exists():
            try:
                await asyncio.to_thread(self._ingest.measure_now, frame)
            except (PictureError, OSError) as error:
                raise NotFoundError(f"{frame.name}: no thumbnail ({error})") from error
        return self._file(path, frame, "image/jpeg")

    def _jpeg_beside(self, raw: StoredFrame) -> StoredFrame:
        """Return the JPEG of the same exposure; raise NotFoundError where it is not stored."""
        at = raw.name.captured_at
        wanted = Selection(camera=raw.name.camera, from_at=at, to_at=at + timedelta(microseconds=1))
        beside = [frame for frame in self._catalogue.frames(wanted) if frame.role is not FrameRole.RAW]
        if not beside:
            raise NotFoundError(
                f"{raw.name}: a raw picture has no thumbnail, and no JPEG is stored beside it"
            )
        return beside[0]

    def _file(self, path: Path, frame: StoredFrame, kind: str) -> web.StreamResponse:
        if not path.exists():
            raise NotFoundError(f"{frame.name}: {path.name} is not in the store")
        return web.FileResponse(path, headers={"Cache-Control": IMMUTABLE, "Content-Type": kind})

    async def _camera(self, request: web.Request) -> CameraName:
        camera = camera_of(f"{request.match_info['bridge']}/{request.match_info['camera']}")
        known = {*await asyncio.to_thread(self._catalogue.cameras), *self._bridges.cameras()}
        if camera not in known:
            raise NotFoundError(f"there is no camera {camera}")
        return camera

    async def _frame(self, request: web.Request) -> StoredFrame:
        place = request.match_info
        try:
            name = FrameName.parse(f"{place['bridge']}/{place['camera']}/{place['stem']}")
        except ProtocolError as error:
            raise NotFoundError(str(error)) from error
        found = None
        if name.seq < 2**63:
            found = await asyncio.to_thread(self._catalogue.find, name.camera, name.spool, name.seq)
        if found is None or found.name != name:
            raise NotFoundError(f"there is no frame {name}")
        return found

    def _list_cameras(self) -> list[dict[str, object]]:
        known = sorted({*self._catalogue.cameras(), *self._bridges.cameras()})
        quarantined = self._catalogue.quarantined()
        return [self._camera_item(camera, quarantined.get(camera, 0)) for camera in known]

    def _camera_item(self, camera: CameraName, quarantined: int) -> dict[str, object]:
        until = self._bridges.believable(camera)
        totals = self._catalogue.totals(camera, until)
        newest = self._catalogue.newest(camera, until)
        return {
            "camera": str(camera),
            "bridge": camera.bridge,
            "id": camera.camera,
            "name": self._bridges.name(camera),
            "frames": totals.frames,
            "bytes": totals.bytes,
            "quarantined": quarantined,
            "days": totals.days,
            "first_day": totals.first_day,
            "last_day": totals.last_day,
            "last_frame": frame_item(newest) if newest is not None else None,
        }


def camera_of(text: str, field: str = "camera") -> CameraName:
    """Return the camera that a text names; raise RequestError naming the field where it names none."""
    try:
        return CameraName.parse(text)
    except ProtocolError as error:
        raise RequestError(field, error.why) from error


def frame_item(frame: StoredFrame, mark: Mark | None = None) -> dict[str, object]:
    """Return a frame as lists show it, with what is wrong with it where anything is."""
    base = f"/api/v1/frames/{frame.name}"
    return {
        "frame": str(frame.name),
        "camera": str(frame.name.camera),
        "stem": frame.name.stem,
        "captured_at": format_time(frame.name.captured_at),
        "day": frame.day,
        "window": frame.window,
        "schedule": frame.schedule,
        "profile": frame.profile,
        "test_id": frame.test_id,
        "state": frame.state.name.lower(),
        "fault": mark.kind if mark else None,
        "reason": mark.reason if mark else None,
        "leads": frame.role is FrameRole.LEADS,
        "media_type": frame.media_type,
        "width": frame.width,
        "height": frame.height,
        "bytes": frame.bytes,
        "sha256": frame.sha256,
        "picture": base,
        "thumb": f"{base}/thumb",
        "record": f"{base}/record",
    }


def _day_item(day: str, stretches: Iterable[Stretch]) -> dict[str, object]:
    parts = list(stretches)
    return {
        "day": day,
        "frames": sum(part.frames for part in parts),
        "bad": sum(part.bad for part in parts),
        "bytes": sum(part.bytes for part in parts),
        "first_at": format_time(min(part.first_at for part in parts)),
        "last_at": format_time(max(part.last_at for part in parts)),
        "windows": sorted({part.window for part in parts if part.window}),
        "profiles": sorted({part.profile for part in parts if part.profile}),
    }
