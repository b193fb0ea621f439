"""Store and catalogue held to each other: at the start, by and by, and on demand.

A kill can leave a frame under its final name without a row; it is taken up. Files can be missing; their
rows are dropped only while the store is mounted and few are missing, for many at once means that something
else is wrong.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.records import FrameRecord, read_record

from .clock import Clock, to_us
from .errors import BreakerError, RequestError
from .ingest import Ingest, check_record
from .store.rows import FrameState, Selection, StoredFrame, Stretch
from .store.store import Store

_log = logging.getLogger(__name__)

MOST_MISSING = 0.05
"""Share of a camera's files above which none of its rows is dropped."""
_BATCH = 500


class Sweep:
    """Finds what a kill, a full disk or a hand has left behind."""

    def __init__(self, store: Store, clock: Clock, expire_after: timedelta) -> None:
        self._catalogue = store.frames
        self._layout = store.layout
        self._disk = store.disk
        self._clock = clock
        self._expire_after = expire_after

    async def uploads(self, ingest: Ingest) -> int:
        """Take up frames whose upload had ended but for the row; return how many."""
        taken = 0
        for path in await asyncio.to_thread(_files, self._layout.uploads, "*.json"):
            record = await asyncio.to_thread(_record, path)
            if record is None or path.with_suffix(".part").exists():
                continue
            taken += await self._adopt(ingest, record)
            path.unlink(missing_ok=True)
        await self.expire()
        return taken

    async def expire(self) -> int:
        """Forget uploads that nobody has gone on with; return how many."""
        return await asyncio.to_thread(self._expire)

    async def everything(self, ingest: Ingest) -> dict[str, Any]:
        """Walk the whole store; return what was taken up, what is missing and what was dropped."""
        taken = 0
        for path in await asyncio.to_thread(_files, self._layout.frames, "*.json"):
            record = await asyncio.to_thread(_record, path)
            if record is not None:
                taken += await self._adopt(ingest, record)
        missing, dropped, refused = 0, 0, []
        for camera in await asyncio.to_thread(self._catalogue.cameras):
            lost = await asyncio.to_thread(self._missing, camera)
            missing += len(lost)
            try:
                dropped += await self._drop_missing(camera, lost)
            except BreakerError as error:
                _log.error("%s", error)
                refused.append(str(error))
        return {"adopted": taken, "missing": missing, "dropped": dropped, "refused": refused}

    async def retire(self, stretches: Sequence[Stretch]) -> int:
        """Delete the frames of stretches, files before rows, in small batches; return how many."""
        gone = 0
        for stretch in stretches:
            wanted = Selection(camera=stretch.camera, day=stretch.day)
            frames = await asyncio.to_thread(self._catalogue.frames, wanted)
            due = [f for f in frames if (f.window, f.profile) == (stretch.window, stretch.profile)]
            for start in range(0, len(due), _BATCH):
                batch = due[start : start + _BATCH]
                for frame in batch:
                    await asyncio.wrap_future(
                        self._catalogue.settle(frame, FrameState.DELETING, frame.figures)
                    )
                await asyncio.to_thread(self._unlink, batch)
                await asyncio.wrap_future(self._catalogue.forget(batch))
                gone += len(batch)
        return gone

    async def _adopt(self, ingest: Ingest, record: FrameRecord) -> bool:
        """Catalogue a frame that lies under its final name, whole, without a row."""
        known = await asyncio.to_thread(self._catalogue.find, record.camera_name, record.spool, record.seq)
        if known is not None:
            return False
        picture = self._layout.picture(record.name, record.day, record.media_type)
        if not await asyncio.to_thread(_is_whole, picture, record):
            return False
        return await ingest.catalogue_frame(record)

    def _expire(self) -> int:
        """Go by the time of the last byte."""
        limit_s = to_us(self._clock() - self._expire_after) / 1e6
        expired = 0
        for path in [*_files(self._layout.uploads, "*.json"), *_files(self._layout.uploads, "*.part")]:
            newest = max(
                (
                    p.stat().st_mtime
                    for p in (path.with_suffix(".part"), path.with_suffix(".json"))
                    if p.exists()
                ),
                default=0.0,
            )
            if newest < limit_s:
                expired += path.suffix == ".part"
                path.unlink(missing_ok=True)
        return expired

    def _missing(self, camera: CameraName) -> list[StoredFrame]:
        frames = self._catalogue.frames(Selection(camera=camera))
        return [
            frame
            for frame in frames
            if not self._layout.picture(frame.name, frame.day, frame.media_type).exists()
        ]

    async def _drop_missing(self, camera: CameraName, lost: Sequence[StoredFrame]) -> int:
        """Drop the rows of files that are gone; raise BreakerError where that smells of a lost disk."""
        if not lost:
            return 0
        if not self._disk.mounted:
            raise BreakerError(f"{camera}: the store is not mounted; no row is dropped")
        stretches = await asyncio.to_thread(self._catalogue.stretches, camera)
        total = sum(stretch.frames for stretch in stretches)
        if len(lost) > max(1, total * MOST_MISSING):
            raise BreakerError(
                f"{camera}: {len(lost)} of {total} files are missing, more than {MOST_MISSING:.0%};"
                " no row is dropped"
            )
        for start in range(0, len(lost), _BATCH):
            await asyncio.wrap_future(self._catalogue.forget(lost[start : start + _BATCH]))
        return len(lost)

    def _unlink(self, frames: Sequence[StoredFrame]) -> None:
        for frame in frames:
            for path in (
                self._layout.picture(frame.name, frame.day, frame.media_type),
                self._layout.thumb(frame.name, frame.day),
                self._layout.record(frame.name, frame.day),
            ):
                path.unlink(missing_ok=True)


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(_walk(folder, pattern)) if folder.exists() else []


def _walk(folder: Path, pattern: str) -> Iterator[Path]:
    yield from (path for path in folder.rglob(pattern) if path.is_file())


def _record(path: Path) -> FrameRecord | None:
    """Return the record in a file; None where it is none that a frame could have."""
    with contextlib.suppress(OSError, ValueError, ProtocolError, RequestError):
        record = read_record(json.loads(path.read_bytes()))
        check_record(record, record.sha256, record.bytes, record.bytes)
        return record
    return None


def _is_whole(picture: Path, record: FrameRecord) -> bool:
    try:
        data = picture.read_bytes()
    except OSError:
        return False
    return len(data) == record.bytes and hashlib.sha256(data).hexdigest() == record.sha256
