"""What the catalogue's rows of frames say, as values."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import lru_cache

from skylapse_protocol.identifiers import CameraName, FrameName
from skylapse_protocol.records import FrameRecord

from .layout import DNG, JPEG

Packed = bytes
"""Figures as `figures.pack` packs them."""


class FrameState(IntEnum):
    """What has become of a stored frame."""

    UNMEASURED = 0
    GOOD = 1
    BAD = 2
    """Kept and marked; films leave it out."""
    DELETING = 3
    """Its files may be gone already."""


class FrameRole(IntEnum):
    """What a stored frame is for."""

    LEADS = 0
    """Ordinary films are made of it."""
    TEST = 1
    """Of an arm of an A/B test: comparisons are made of it."""
    RAW = 2
    """The DNG beside a picture."""
    MEMBER = 3
    """Of a bracket, and not its middle."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFrame:
    """One row."""

    name: FrameName
    day: str
    window: str | None
    schedule: str | None
    profile: str | None
    test_id: str | None
    state: FrameState
    bytes: int
    width: int
    height: int
    sha256: str
    figures: Packed | None = None
    """What ingest measured, as `figures` packs it; None before, and for raw pictures."""
    role: FrameRole = FrameRole.LEADS

    @property
    def media_type(self) -> str:
        """What kind of file it is."""
        return DNG if self.role is FrameRole.RAW else JPEG

    @classmethod
    def of(cls, record: FrameRecord) -> "StoredFrame":
        """Return the row that a record makes: raw pictures are not measured."""
        role = _role(record)
        return cls(
            name=record.name,
            day=record.day,
            window=record.window,
            schedule=record.schedule,
            profile=record.profile,
            test_id=record.test_id,
            state=FrameState.GOOD if role is FrameRole.RAW else FrameState.UNMEASURED,
            bytes=record.bytes,
            width=record.width,
            height=record.height,
            sha256=record.sha256,
            role=role,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Frames that are alike in all that a film's wish looks at, counted."""

    day: str
    window: str | None
    schedule: str | None
    profile: str | None
    bad: bool
    width: int
    height: int
    frames: int

    @classmethod
    def of(cls, frame: StoredFrame) -> "Batch":
        """Return one frame as a batch."""
        return cls(
            day=frame.day,
            window=frame.window,
            schedule=frame.schedule,
            profile=frame.profile,
            bad=frame.state is FrameState.BAD,
            width=frame.width,
            height=frame.height,
            frames=1,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """The frames of one camera, day, window and profile, counted."""

    camera: CameraName
    day: str
    window: str | None
    schedule: str | None
    profile: str | None
    frames: int
    bad: int
    gone: int
    """Frames that retention has deleted."""
    leading: int
    """Frames that films are made of, those that are gone included."""
    bytes: int
    first_at: datetime
    last_at: datetime
    stored_at: datetime
    """When the last of them was stored: bridges deliver what they have kept for days."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """All frames of one camera, or of all cameras, counted."""

    frames: int = 0
    bad: int = 0
    gone: int = 0
    days: int = 0
    bytes: int = 0
    first_day: str | None = None
    last_day: str | None = None
    frames_last_day: int = 0
    bad_last_day: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Which frames are meant: what is None or empty does not narrow."""

    camera: CameraName
    day: str | None = None
    window: str | None = None
    profile: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    test_id: str | None = None
    role: FrameRole | None = None
    after: FrameName | None = None
    not_bad: bool = False
    """Only what films do not leave out."""
    unmeasured: bool = False
    """Only what is to be measured yet."""


def _role(record: FrameRecord) -> FrameRole:
    if record.leads:
        return FrameRole.LEADS
    if record.media_type == DNG:
        return FrameRole.RAW
    return FrameRole.MEMBER if record.bracket_ev or record.bracket_dioptre else FrameRole.TEST


def day_number(day: str) -> int:
    """Return `2026-06-01` as 20260601."""
    return int(day.replace("-", ""))


@lru_cache
def day_text(number: int) -> str:
    """Return 20260601 as `2026-06-01`."""
    return f"{number // 10000:04d}-{number // 100 % 100:02d}-{number % 100:02d}"
