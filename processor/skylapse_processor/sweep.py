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
import os
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from pathlib import Path
from typing import Any

from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.records import FrameRecord, read_record

from .clock import Clock, to_us
from .errors import BreakerError, RequestError
from .ingest import Ingest, check_record
from .store.layout import SUFFIXES
from .store.rows import FrameState, Selection, StoredFrame, Stretch
from .store.store import Store

_log = logging.getLogger(__name__)

MOST_MISSING = 0.05
"""Share of a camera's files above which none of its rows is dropped."""
_BATCH = 500
_PICTURES = tuple(SUFFIXES.values())


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
        unknown, lost = await asyncio.to_thread(self._differences)
        taken = 0
        for path in unknown:
            record = await asyncio.to_thread(_record, path)
            if record is not None:
                taken += await self._adopt(ingest, record)
        dropped, refused = 0, []
        for camera, frames in sorted(lost.items()):
            try:
                dropped += await self._drop_missing(camera, frames)
            except BreakerError as error:
                _log.error("%s", error)
                refused.append(str(error))
        missing = sum(map(len, lost.values()))
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

    def _differences(self) -> tuple[list[Path], dict[CameraName, list[StoredFrame]]]:
        """Return the records without a row, and by camera the rows without a picture: no file is opened."""
        days = {
            str(self._layout.day(each.camera, each.day)): Selection(camera=each.camera, day=each.day)
            for each in self._catalogue.stretches()
            if each.frames
        }
        unknown: list[Path] = []
        doubtful: list[Selection] = []
        for folder, _, names in os.walk(self._layout.frames):
            day = days.pop(folder, None)
            stems = frozenset(self._catalogue.stems(day) if day else ())
            unknown += sorted(Path(folder, name) for name in _unlisted(names, stems))
            if day and not stems <= _pictured(names):
                doubtful.append(day)
        lost: dict[CameraName, list[StoredFrame]] = {}
        for day in (*doubtful, *days.values()):
            lost.setdefault(day.camera, []).extend(self._missing(day))
        return unknown, lost

    def _missing(self, wanted: Selection) -> list[StoredFrame]:
        frames = self._catalogue.frames(wanted)
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


def _unlisted(names: Sequence[str], stems: AbstractSet[str]) -> list[str]:
    """Return which of the names are of records of other frames than these."""
    return [name for name in names if name.endswith(".json") and name.removesuffix(".json") not in stems]


def _pictured(names: Sequence[str]) -> set[str]:
    """Return the stems of the pictures among the names of files."""
    return {name.partition(".")[0] for name in names if name.endswith(_PICTURES) and name.count(".") == 1}


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
