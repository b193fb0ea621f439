"""The frame record: what is known of one picture, from the moment it is safe on the bridge.

It travels as MQTT message, as tus metadata, as JSON beside every stored frame and, all but `bytes` and
`sha256`, in the EXIF of the JPEG. `bridge`, `camera`, `spool` and `seq` are the identity.
"""

import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from .codec import read, write
from .errors import ProtocolError
from .identifiers import CameraName, FrameName, parse_bridge, parse_camera, parse_day, parse_id, parse_spool

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_IDS = ("window", "schedule", "profile", "test_id", "sensor")
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_NOT_IN_EXIF = frozenset({"bytes", "sha256"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """The exposure that was asked for; what was delivered stands in the record itself."""

    exposure_us: int
    gain: float


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameRecord:
    """One picture. Fields that a camera cannot know are null."""

    schema: int = 1
    bridge: str
    camera: str
    spool: str
    """64 random bits written when the spool is created, as 16 hexadecimal digits."""
    seq: int
    """Counts up in the spool and never repeats."""
    boot_id: str
    monotonic_ns: int
    clock_synced: bool
    captured_at: datetime
    """Start of exposure, UTC."""
    day: str
    """Local date of the start of the window; of the capture where there is no window."""
    window: str | None = None
    schedule: str | None = None
    profile: str | None = None
    snapshot_version: int | None = None
    test_id: str | None = None
    place: int | None = None
    """Place in a bracket or burst, from 0."""
    bracket_ev: float | None = None
    """Stops away from the metered exposure; null outside an exposure bracket."""
    bracket_dioptre: float | None = None
    """Dioptres away from the profile's focus; null outside a focus bracket."""
    averaged: int | None = None
    """Exposures that this picture is the mean of; null is one. `exposure_us` is that of each of them."""
    asked: Asked | None = None
    exposure_us: int | None = None
    """Exposure time that the sensor delivered."""
    analogue_gain: float | None = None
    digital_gain: float | None = None
    colour_gains: tuple[float, float] | None = None
    """Red and blue, relative to green."""
    colour_temperature_k: int | None = None
    lux: float | None = None
    focus_dioptre: float | None = None
    sensor: str | None = None
    tone_curve: str | None = None
    """Id of the tone curve that leads from linear light to the picture's values; null means srgb."""
    sensor_temperature_c: float | None = None
    sun_elevation_deg: float | None = None
    width: int
    height: int
    bytes: int
    sha256: str
    """Digest of the whole file, lower-case hexadecimal."""
    media_type: str = "image/jpeg"

    def __post_init__(self) -> None:
        """Refuse what no frame can be: ids, digest, times and sizes are checked here, once."""
        parse_bridge(self.bridge)
        parse_camera(self.camera)
        parse_spool(self.spool)
        parse_day(self.day)
        for name in _IDS:
            word = getattr(self, name)
            if word is not None:
                parse_id(word, name)
        if not _EARLIEST <= self.captured_at < _LATEST:
            raise ProtocolError("record", "captured_at", "is not from 1970 to 2199")
        if not _SHA256.match(self.sha256):
            raise ProtocolError("record", "sha256", "is no SHA-256 in lower-case hexadecimal")
        for name in ("seq", "width", "height", "bytes"):
            if getattr(self, name) <= 0:
                raise ProtocolError("record", name, "is not above zero")

    @property
    def leads(self) -> bool:
        """Tell whether this is a frame of ordinary films: no test, no DNG, no other member of a bracket."""
        middle = not self.bracket_ev and not self.bracket_dioptre
        return middle and self.test_id is None and self.media_type == "image/jpeg"

    @property
    def camera_name(self) -> CameraName:
        """The camera as the rest of the system names it."""
        return CameraName(bridge=self.bridge, camera=self.camera)

    @property
    def name(self) -> FrameName:
        """The frame's name."""
        return FrameName(
            camera=self.camera_name, captured_at=self.captured_at, spool=self.spool, seq=self.seq
        )


RECORD_FIELDS = tuple(field.name for field in fields(FrameRecord))


def read_record(value: object, topic: str = "record") -> FrameRecord:
    """Return parsed JSON as a record; raise ProtocolError naming the field that does not fit."""
    return read(FrameRecord, value, topic)


def write_record(record: FrameRecord) -> dict[str, Any]:
    """Return a record as JSON values."""
    return dict(write(record))


def write_exif_record(record: FrameRecord) -> dict[str, Any]:
    """Return what of a record stands in the picture itself: a file cannot hold its own size and digest."""
    return {name: value for name, value in write_record(record).items() if name not in _NOT_IN_EXIF}
