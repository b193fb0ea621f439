"""The results of one camera and day while they grow: the ledger, and the light of the night's trail."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from skylapse_processor import tone
from skylapse_processor.decode import Pixels, Shape, decode, look
from skylapse_processor.files import make_folder, write_whole
from skylapse_processor.frames import local_offset_s
from skylapse_processor.ingest import figures_of, read_stored_record
from skylapse_processor.store.layout import Layout
from skylapse_processor.store.rows import StoredFrame
from skylapse_processor.watch.facts import facts_of
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.records import FrameRecord

from . import keogram, startrail, sunset
from .ledger import ROWS, Entry, Ledger

_LEDGER, _TRAIL = "columns.state", "trail.state"

Judged = tuple[float, dict[str, Any]]
"""When a frame was taken, in seconds since 1970, and what it is worth as a part of a sunset."""


class Day:
    """What frames of one day have given so far. One thread at a time."""

    def __init__(self, layout: Layout, camera: CameraName, day: str) -> None:
        """Remember."""
        self.camera = camera
        self.day = day
        self._judged: list[Judged] = []
        self._layout = layout
        self._folder = layout.growing(camera, day, _LEDGER).parent
        self.ledger = Ledger(self._folder / _LEDGER)
        self._trail: Pixels | None = None

    def open(self) -> None:
        """Read what is there; where one of both files is gone, begin anew."""
        make_folder(self._folder, self._layout.root)
        self.ledger.open()
        self._trail = _read_trail(self._folder / _TRAIL)
        if self.ledger.in_trail and self._trail is None:
            self.ledger.path.unlink()
            self.ledger = Ledger(self.ledger.path)

    @property
    def trail(self) -> Pixels | None:
        """The star trail so far; none before the first starry frame."""
        return self._trail

    def take(self, frame: StoredFrame) -> bool:
        """Take a frame in; False where it is in already. Raises PictureError or OSError."""
        if self.ledger.holds(frame.name):
            return False
        data = self._layout.picture(frame.name, frame.day).read_bytes()
        record = read_stored_record(self._layout, frame)
        curve = tone.known(record.tone_curve if record else None)
        elevation = record.sun_elevation_deg if record else None
        shape = look(data, str(frame.name))
        pixels = _scaled(data, shape, min(1.0, ROWS / shape.height), str(frame.name))
        judged: list[Judged] = []
        if elevation is not None and sunset.LOWEST_DEG <= elevation <= sunset.HIGHEST_DEG:
            worth = sunset.judged(frame.name.stem, sunset.judge(pixels, curve))
            judged.append((frame.name.captured_at.timestamp(), worth))
        starry = startrail.is_night(elevation, figures_of(frame)) and self._brighten(data, shape, frame)
        column = keogram.column(pixels, curve)
        self.ledger.add(
            Entry(
                frame=frame.name,
                local_offset_s=local_offset_s(data),
                in_trail=starry,
                sun_elevation_deg=math.nan if elevation is None else elevation,
                exposure_ev=_exposure_ev(record),
                white_ev=_white_ev(record),
                tone_curve=curve,
                column=column,
            )
        )
        self._judged += judged
        return True

    def evening(self) -> list[dict[str, Any]]:
        """Return the frames of a setting sun that were judged and are not noted yet.

        Of a single frame nobody knows whether the sun sinks: it waits for a second one.
        """
        return [each for (_at_s, each), sets in self._known_to_set() if sets]

    def evening_noted(self) -> None:
        """Hear that what the evening is worth is kept."""
        self._judged = [judged for judged, sets in self._known_to_set() if sets is None]

    def _known_to_set(self) -> list[tuple[Judged, bool | None]]:
        if not self._judged:
            return []
        seen = self.ledger.columns()
        at_s = np.array([judged_s for judged_s, _ in self._judged])
        sets = sunset.are_setting(at_s, seen.at_s, seen.sun_elevation_deg)
        return list(zip(self._judged, sets, strict=True))

    def sync(self) -> None:
        """Make all that was taken in durable: the trail before the ledger that says what it holds."""
        if self._trail is not None:
            height, width, _ = self._trail.shape
            head = json.dumps([width, height]).encode().ljust(_HEAD_BYTES)
            write_whole(self._folder / _TRAIL, head + self._trail.tobytes())
        self.ledger.sync()

    def _brighten(self, data: bytes, shape: Shape, frame: StoredFrame) -> bool:
        scale = min(1.0, startrail.LONG_SIDE / max(shape.width, shape.height))
        pixels = _scaled(data, shape, scale, str(frame.name))
        if not startrail.is_starry(pixels):
            return False
        if self._trail is None:
            self._trail = pixels.copy()
        else:
            startrail.brighten(self._trail, pixels)
        return True


_HEAD_BYTES = 32


def _exposure_ev(record: FrameRecord | None) -> float:
    exposure_ev = facts_of(record).exposure_ev if record else None
    return math.nan if exposure_ev is None else exposure_ev


def _white_ev(record: FrameRecord | None) -> tuple[float, float]:
    gains = record.colour_gains if record else None
    if gains is None or min(gains) <= 0.0:
        return math.nan, math.nan
    return math.log2(gains[0]), math.log2(gains[1])


def _read_trail(path: Path) -> Pixels | None:
    """Return a trail from its file; None where there is none, or not a whole one."""
    if not path.exists():
        return None
    data = path.read_bytes()
    try:
        width, height = json.loads(data[:_HEAD_BYTES])
        pixels = np.frombuffer(data[_HEAD_BYTES:], dtype=np.uint8).reshape(height, width, 3)
    except (ValueError, TypeError):
        return None
    return pixels.copy()


def _scaled(data: bytes, shape: Shape, scale: float, name: str) -> Pixels:
    """Return a picture decoded at a scale, by as little work as will do."""
    cover = (math.ceil(shape.width * scale), math.ceil(shape.height * scale))
    pixels = decode(data, name, cover=cover, shape=shape)
    if max(pixels.shape[:2]) <= max(cover) * _LARGER:
        return pixels
    image = Image.fromarray(pixels).resize(cover, Image.Resampling.BOX)
    return np.asarray(image)


_LARGER = 1.5
