"""The driver `folder`: the pictures of a folder, replayed as if a camera took them.

Pictures come in the order of their EXIF times where all of them have one, else in the natural order of their
names (2 before 10). Their pixels are left as they are. What is known of their exposure comes from a sidecar
(`0001.json` beside `0001.jpg`, any subset of the frame record), else from EXIF, else it stays unknown. A file
that is no whole JPEG is passed over. At the end the folder is looked through again for new pictures.
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import voluptuous as vol

from skylapse_bridge import exif, jpeg
from skylapse_bridge.clock import Clock
from skylapse_bridge.errors import CameraEndError, CameraError, CameraLostError, UnsupportedError
from skylapse_protocol.codec import read
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.identifiers import parse_id
from skylapse_protocol.messages import CameraInfo

from .factory import CameraIdentity
from .picture import preview, small_picture
from .port import CapturedFrame, CaptureSettings, SmallFrame

OPTIONS = {
    vol.Required("path"): vol.All(str, vol.Length(min=1)),
    vol.Optional("at_end", default="stop"): vol.In(["stop", "loop"]),
}

_LOGGER = logging.getLogger(__name__)
_SUFFIXES = frozenset({".jpg", ".jpeg"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What may be known of a picture besides its pixels: fields of the frame record."""

    exposure_us: int | None = None
    analogue_gain: float | None = None
    digital_gain: float | None = None
    colour_gains: tuple[float, float] | None = None
    colour_temperature_k: int | None = None
    lux: float | None = None
    focus_dioptre: float | None = None
    sensor: str | None = None
    tone_curve: str | None = None
    sensor_temperature_c: float | None = None

    def __post_init__(self) -> None:
        """Refuse a sensor that no frame record could name."""
        if self.sensor is not None:
            parse_id(self.sensor, "sensor")


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A picture in memory."""

    path: Path
    jpeg: bytes
    width: int
    height: int
    facts: Facts


class FolderCamera:
    """A folder of JPEG files behind the camera port."""

    def __init__(self, identity: CameraIdentity, path: Path, *, loop: bool, clock: Clock) -> None:
        self._identity = identity
        self._path = path
        self._loop = loop
        self._clock = clock
        self._waiting: list[Path] = []
        self._seen: set[Path] = set()
        self._next: Picture | None = None
        self._last_path: Path | None = None
        self._model = "folder"

    def start(self, bookmark: str | None = None) -> None:  # noqa: ARG002 the port's signature
        """Look through the folder; raise CameraLostError where there is none."""
        if not self._path.is_dir():
            raise CameraLostError(f"{self._path} is no folder")
        self._look()

    def stop(self) -> None:
        """Let go of the pictures in memory; the place in the folder is kept."""
        self._next = None

    def capabilities(self) -> CameraInfo:
        """Return the size of the pictures; a folder controls nothing."""
        picture = self._peek()
        return CameraInfo(
            id=self._identity.id,
            name=self._identity.name,
            model=self._model,
            driver="folder",
            width=picture.width,
            height=picture.height,
        )

    def meter(self, settings: CaptureSettings) -> SmallFrame:  # noqa: ARG002 a folder cannot be set
        """Return the next picture, small."""
        picture = self._peek()
        small = small_picture(picture.jpeg)
        facts = picture.facts
        return SmallFrame(
            width=small.width,
            height=small.height,
            rgb=small.rgb,
            tone_curve=facts.tone_curve or "srgb",
            exposure_us=facts.exposure_us,
            gain=None if facts.analogue_gain is None else facts.analogue_gain * (facts.digital_gain or 1.0),
            colour_temperature_k=facts.colour_temperature_k,
        )

    def capture(self, settings: CaptureSettings) -> CapturedFrame:
        """Return the next picture as one that was taken at this moment."""
        picture = self._peek()
        self._next, self._last_path = None, picture.path
        facts = {field.name: getattr(picture.facts, field.name) for field in fields(Facts)}
        return CapturedFrame(
            jpeg=picture.jpeg,
            width=picture.width,
            height=picture.height,
            captured_at=settings.at,
            monotonic_ns=self._clock.monotonic_ns(),
            **facts,
        )

    def preview(self) -> bytes:
        """Return the picture that was taken last, else the next one, small."""
        if self._last_path is None:
            return preview(self._peek().jpeg)
        try:
            return preview(self._last_path.read_bytes())
        except OSError as error:
            raise CameraError(f"{self._last_path} is gone: {error}") from error

    def focus(self, dioptre: float | None) -> float:
        """Refuse: a folder has no lens."""
        raise UnsupportedError(f"a folder cannot be focused ({dioptre})")

    def _peek(self) -> Picture:
        """Return the next picture without taking it; raise CameraEndError where there is none."""
        while self._next is None:
            if not self._waiting:
                self._look()
            if not self._waiting:
                raise CameraEndError(f"{self._path} has no more pictures")
            self._next = _read(self._waiting.pop(0))
        return self._next

    def _look(self) -> None:
        """Line up the pictures that were not taken yet; all of them anew where the folder loops."""
        found = [path for path in self._path.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file()]
        if self._loop and self._seen.issuperset(found):
            self._seen.clear()
        self._waiting = in_order([path for path in found if path not in self._seen])
        self._seen.update(self._waiting)
        if self._waiting:
            self._model = _model(self._waiting[0])


def make_camera(identity: CameraIdentity, options: Mapping[str, Any], clock: Clock) -> FolderCamera:
    """Return the camera for the options of the configuration."""
    return FolderCamera(identity, Path(options["path"]), loop=options["at_end"] == "loop", clock=clock)


def in_order(paths: list[Path]) -> list[Path]:
    """Return pictures in the order of their EXIF times where all have one, else of their names."""
    named = sorted(paths, key=natural_key)
    times = [_time(path) for path in named]
    known = [moment for moment in times if moment is not None]
    if len(known) < len(named):
        return named
    return [path for _, _, path in sorted(zip(known, range(len(named)), named, strict=True))]


def natural_key(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts numbers in names by their value."""
    parts = re.findall(r"\d+|\D+", path.name.lower())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)


def _time(path: Path) -> datetime | None:
    try:
        return exif.original_time(path.read_bytes())
    except (OSError, ValueError):
        return None


def _model(path: Path) -> str:
    try:
        return exif.camera_model(path.read_bytes()) or "folder"
    except (OSError, ValueError):
        return "folder"


def _read(path: Path) -> Picture | None:
    """Return a picture, None where the file holds no whole JPEG."""
    try:
        data = path.read_bytes()
        width, height = jpeg.size(data)
    except (OSError, ValueError) as error:
        _LOGGER.warning("%s is passed over: %s", path, error)
        return None
    return Picture(path=path, jpeg=data, width=width, height=height, facts=_facts(path, data))


def _facts(path: Path, data: bytes) -> Facts:
    """Return what the sidecar says, else what EXIF says."""
    sidecar = path.with_suffix(".json")
    if sidecar.is_file():
        try:
            return read(Facts, json.loads(sidecar.read_text("utf-8")), sidecar.name)
        except (OSError, ValueError, RecursionError, ProtocolError) as error:
            _LOGGER.warning("the sidecar of %s is left aside: %s", path, error)
    known = exif.exposure_facts(data)
    return Facts(
        exposure_us=round(known["exposure_us"]) if "exposure_us" in known else None,
        analogue_gain=known.get("gain"),
    )
