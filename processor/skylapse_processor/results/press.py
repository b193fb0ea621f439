"""Makes pictures of what has grown: written durably, then their rows, so that what is listed is there."""

import hashlib
import io
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
from PIL import Image

from skylapse_processor.clock import Clock
from skylapse_processor.decode import Pixels, decode, look
from skylapse_processor.errors import PictureError
from skylapse_processor.files import make_folder, sync_folder, write_durably, write_whole
from skylapse_processor.ingest import figures_of
from skylapse_processor.measure import THUMBNAIL_BYTES, THUMBNAIL_LONG_SIDE, jpeg_within
from skylapse_processor.store.results import Evening, Kind, ResultQuery, StoredResult
from skylapse_processor.store.rows import FrameRole, FrameState, Selection, StoredFrame
from skylapse_processor.store.store import Store
from skylapse_protocol.codec import format_time
from skylapse_protocol.identifiers import CameraName

from . import best, keogram, startrail, sunset, year
from .day import Day
from .marks import about_a_year, below_a_day

Change = Literal["added", "changed", "removed"]

TITLES: dict[Kind, str] = {
    "keogram": "Keogram",
    "keogram_year": "Keogram of the year",
    "startrail": "Star trail",
    "best_frame": "Best frame",
}
_QUALITY = 92
_BEST_LONG_SIDE = 1920
"""Best frames stay when their frames have been deleted: they are no larger than a screen."""
_THUMB = (400, 150)
"""Of keograms, which are too wide to be shrunk evenly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What became of a result."""

    result: StoredResult
    change: Change


@dataclass(frozen=True, kw_only=True, slots=True)
class _Still:
    """A picture to be kept as a result."""

    kind: Kind
    day: str
    frames: int
    picture: bytes
    thumb: bytes
    size: tuple[int, int]
    details: dict[str, Any]
    what: str = ""
    rank: int = 0
    score: float | None = None


def result_id(camera: CameraName, day: str, kind: Kind, what: str = "") -> str:
    """Return the id of a result: making it again changes nothing."""
    return hashlib.sha256(f"{camera}\n{day}\n{kind}\n{what}".encode()).hexdigest()[:16]


class Press:
    """Publishes results. One thread at a time."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._table = store.results
        self._catalogue = store.frames
        self._layout = store.layout
        self._disk = store.disk
        self._clock = clock
        self.zones: dict[CameraName, ZoneInfo] = {}
        """Time zones of cameras, as far as anybody told."""

    def publish(self, day: Day) -> list[Told]:
        """Bring the results of a day up to what its ledger holds; those that show more already stay.

        Raises NoRoomError, before anything is written, where frames would be refused, too.
        """
        self._disk.check(0)
        self._judge_evening(day)
        day.sync()
        told: list[Told] = []
        if len(day.ledger) and not self._shows(day, "keogram", len(day.ledger)):
            columns = day.ledger.columns()
            drawn = keogram.draw(columns)
            offset_s = self._offset_s(day.camera, drawn.end_s, columns.local_offset_s)
            zone = self.zones.get(day.camera) or timezone(timedelta(seconds=offset_s))
            told += self._keep(day.camera, _of_day(day, drawn, offset_s, zone))
            told += self._year(day.camera, drawn, offset_s)
        enough = day.ledger.in_trail >= startrail.FEWEST
        if day.trail is not None and enough and not self._shows(day, "startrail", day.ledger.in_trail):
            told += self._keep(day.camera, _of_night(day, day.trail))
        return told

    def choose_best(self, camera: CameraName, day: str) -> list[Told]:
        """Choose the best frames of a day anew; raise NoRoomError as `publish` does."""
        self._disk.check(0)
        measured = [frame for frame in self._of_day(camera, day) if frame.figures is not None]
        frames = {frame.name.stem: frame for frame in measured}
        chosen = best.choose(
            [
                best.Candidate(name=stem, at_s=frame.name.captured_at.timestamp(), measured=figures)
                for stem, frame in frames.items()
                if (figures := figures_of(frame)) is not None
            ]
        )
        before = self._table.list(ResultQuery(camera=camera, day=day, kind="best_frame"))
        kept = {result_id(camera, day, "best_frame", each.name) for each in chosen}
        told = [self.drop(result) for result in before if result.id not in kept]
        for rank, each in enumerate(chosen, 1):
            told += self._keep_best(frames[each.name], each.score, rank, len(frames), before)
        return told

    def drop(self, result: StoredResult, *, unwanted: bool = False) -> Told:
        """Delete a result, the row first."""
        self._table.remove(result.id, unwanted=unwanted).result()
        for path in self.paths(result):
            path.unlink(missing_ok=True)
        return Told(result=result, change="removed")

    def paths(self, result: StoredResult) -> tuple[Path, Path]:
        """Return where picture and thumbnail of a result lie."""
        place = (result.camera, result.day, result.id)
        return self._layout.result(*place), self._layout.result_thumb(*place)

    def is_behind(self, camera: CameraName, day: str, frames: int) -> bool:
        """Tell whether the best frames of a day were chosen out of another number of frames."""
        chosen = self._table.list(ResultQuery(camera=camera, day=day, kind="best_frame"), 1)
        return not chosen or chosen[0].frames != frames

    def _offset_s(self, camera: CameraName, at_s: float, in_pictures_s: int) -> int:
        """Return by how much a camera's clock on the wall is ahead of UTC."""
        zone = self.zones.get(camera)
        offset = datetime.fromtimestamp(at_s, zone).utcoffset() if zone else None
        return in_pictures_s if offset is None else round(offset.total_seconds())

    def _shows(self, day: Day, kind: Kind, frames: int) -> bool:
        """Tell whether a result shows as many frames already, and lies where it should."""
        known = self._table.find(result_id(day.camera, day.day, kind))
        return known is not None and known.frames >= frames and all(p.exists() for p in self.paths(known))

    def _keep(self, camera: CameraName, still: _Still) -> Iterable[Told]:
        """Write a picture, then its row; nothing where somebody has deleted this result."""
        result = result_id(camera, still.day, still.kind, still.what)
        if self._table.unwanted(result):
            return
        now = self._clock()
        stored = StoredResult(
            id=result,
            camera=camera,
            day=still.day,
            kind=still.kind,
            rank=still.rank,
            title=TITLES[still.kind],
            frames=still.frames,
            width=still.size[0],
            height=still.size[1],
            bytes=len(still.picture),
            score=still.score,
            content=hashlib.sha256(still.picture).hexdigest()[:16],
            created_at=now,
            changed_at=now,
            details=still.details,
        )
        picture, thumb = self.paths(stored)
        make_folder(picture.parent, self._layout.root)
        write_durably(thumb, still.thumb)
        write_durably(picture, still.picture)
        sync_folder(picture.parent)
        fresh = self._table.put(stored).result()
        yield Told(result=self._table.find(result) or stored, change="added" if fresh else "changed")

    def _year(self, camera: CameraName, drawn: keogram.Keogram, local_offset_s: int) -> Iterable[Told]:
        """Enter a day's keogram into that of its year, which is made again of all its days if need be."""
        for number in year.years(drawn, local_offset_s):
            first = f"{number}-01-01"
            path = self._layout.growing(camera, first, "year.state")
            table = _read_table(path, number)
            if table is None:
                table = self._year_again(camera, number)
            table = year.enter(table, number, drawn, local_offset_s)
            write_whole(path, _table_bytes(table))
            shown = np.flatnonzero(table[..., 3].any(axis=0))
            if not len(shown):
                continue
            yield from self._keep(camera, _of_year(number, table, len(shown)))

    def _year_again(self, camera: CameraName, number: int) -> year.Table:
        """Return the table of a year out of the pictures of its days."""
        table = year.empty(number)
        for result in self._table.list(ResultQuery(camera=camera, kind="keogram")):
            picture, _thumb = self.paths(result)
            if int(result.day[:4]) not in (number, number - 1) or not picture.exists():
                continue
            with Image.open(picture) as image:
                pixels = np.asarray(image.convert("RGB"))
            drawn = year.seen_again(pixels, result.details["start_s"], result.details["end_s"])
            table = year.enter(table, number, drawn, int(result.details["local_offset_s"]))
        return table

    def _judge_evening(self, day: Day) -> None:
        """Enter the newly judged frames of a sunset into what its evening is worth."""
        judged = day.evening()
        if judged:
            self._note_evening(day, judged)
        day.evening_noted()

    def _note_evening(self, day: Day, judged: Sequence[dict[str, Any]]) -> None:
        known = self._table.evenings(day.camera, 1, day=day.day)
        frames = sunset.best([*(known[0].details["frames"] if known else ()), *judged])
        before = self._table.evenings(day.camera, sunset.EVENINGS, before=day.day)
        worth = sunset.worth_of(frames)
        evening = Evening(
            camera=day.camera,
            day=day.day,
            worth=worth,
            score=round(sunset.score(worth, [each.worth for each in before]), 4),
            details={"frames": frames, "evenings_before": len(before)},
        )
        self._table.put_evening(evening).result()

    def _keep_best(
        self, frame: StoredFrame, score: float, rank: int, out_of: int, before: Iterable[StoredResult]
    ) -> Iterable[Told]:
        """Keep a best frame as a picture of its own, small enough to outlive the frame."""
        camera, day, stem = frame.name.camera, frame.day, frame.name.stem
        result = result_id(camera, day, "best_frame", stem)
        known = next((each for each in before if each.id == result), None)
        small = known is not None and max(known.width, known.height) <= _BEST_LONG_SIDE
        if known is not None and small and all(path.exists() for path in self.paths(known)):
            if (known.rank, known.score, known.frames) != (rank, score, out_of):
                yield from self._move(known, score, rank, out_of)
            return
        with suppress(OSError, PictureError):  # the frame was deleted this moment, or a disk ate it
            data = self._layout.picture(frame.name, day).read_bytes()
            picture, size = _on_a_screen(data, str(frame.name))
            still = _Still(
                kind="best_frame",
                day=day,
                frames=out_of,
                picture=picture,
                thumb=self._layout.thumb(frame.name, day).read_bytes(),
                size=size,
                details={"frame": str(frame.name), "captured_at": format_time(frame.name.captured_at)},
                what=stem,
                rank=rank,
                score=score,
            )
            yield from self._keep(camera, still)

    def _move(self, known: StoredResult, score: float, rank: int, out_of: int) -> Iterable[Told]:
        """Note that a best frame has another place among others."""
        values = {name: getattr(known, name) for name in StoredResult.__dataclass_fields__}
        moved = StoredResult(
            **{**values, "score": score, "rank": rank, "frames": out_of, "changed_at": self._clock()}
        )
        self._table.put(moved).result()
        if known.rank != rank:
            yield Told(result=moved, change="changed")

    def _of_day(self, camera: CameraName, day: str) -> list[StoredFrame]:
        wanted = Selection(camera=camera, day=day, role=FrameRole.LEADS)
        return [frame for frame in self._catalogue.frames(wanted) if frame.state is FrameState.GOOD]


def _of_day(day: Day, drawn: keogram.Keogram, local_offset_s: int, zone: tzinfo) -> _Still:
    pixels = below_a_day(drawn.pixels, drawn.start_s, drawn.end_s, zone)
    return _Still(
        kind="keogram",
        day=day.day,
        frames=len(day.ledger),
        picture=_jpeg(pixels),
        thumb=_strip(drawn.pixels),
        size=(pixels.shape[1], pixels.shape[0]),
        details={
            "start_s": drawn.start_s,
            "end_s": drawn.end_s,
            "local_offset_s": local_offset_s,
            "from": format_time(datetime.fromtimestamp(drawn.start_s, UTC)),
            "to": format_time(datetime.fromtimestamp(drawn.end_s, UTC)),
        },
    )


def _of_night(day: Day, trail: Pixels) -> _Still:
    height, width = trail.shape[:2]
    small = Image.fromarray(trail)
    small.thumbnail((THUMBNAIL_LONG_SIDE, THUMBNAIL_LONG_SIDE), Image.Resampling.BICUBIC)
    return _Still(
        kind="startrail",
        day=day.day,
        frames=day.ledger.in_trail,
        picture=_jpeg(trail),
        thumb=jpeg_within(small, THUMBNAIL_BYTES),
        size=(width, height),
        details={},
    )


def _of_year(number: int, table: year.Table, days: int) -> _Still:
    pixels = year.draw(table, number)
    marked = about_a_year(pixels, *year.months(table, number))
    return _Still(
        kind="keogram_year",
        day=f"{number}-01-01",
        frames=days,
        picture=_jpeg(marked),
        thumb=_strip(pixels),
        size=(marked.shape[1], marked.shape[0]),
        details={"days": days},
    )


def _on_a_screen(data: bytes, name: str) -> tuple[bytes, tuple[int, int]]:
    """Return a picture as a JPEG that fits `_BEST_LONG_SIDE`, and its size; raise PictureError."""
    shape = look(data, name)
    scale = _BEST_LONG_SIDE / max(shape.width, shape.height)
    if shape.jpeg and scale >= 1:
        return data, (shape.width, shape.height)
    scale = min(scale, 1.0)
    size = (max(1, round(shape.width * scale)), max(1, round(shape.height * scale)))
    image = Image.fromarray(decode(data, name, cover=size, shape=shape))
    return _jpeg(np.asarray(image.resize(size, Image.Resampling.BICUBIC))), size


def _jpeg(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return buffer.getvalue()


def _strip(pixels: Pixels) -> bytes:
    return jpeg_within(Image.fromarray(pixels).resize(_THUMB, Image.Resampling.BOX), THUMBNAIL_BYTES)


def _table_bytes(table: year.Table) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, table=table)
    return buffer.getvalue()


def _read_table(path: Path, number: int) -> year.Table | None:
    """Return a year's table from its file; None where there is none, or not a whole one."""
    with suppress(OSError, ValueError, KeyError, EOFError), np.load(path) as kept:
        table = np.asarray(kept["table"])
        if table.shape == year.empty(number).shape and table.dtype == np.uint8:
            return table
    return None
