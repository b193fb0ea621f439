"""The driver `folder`: the pictures of a folder, replayed as if a camera took them.

Pictures come in the order of their EXIF times where all of them have one, else in the natural order of their
names (2 before 10). Their pixels are left as they are. What is known of their exposure comes from a sidecar
(`0001.json` beside `0001.jpg`, any subset of the frame record), else from EXIF, else it stays unknown. At
the end the folder is looked through again for new pictures; `at_end: loop` begins anew.

A file that is no whole JPEG is set aside until it has changed: another program may still be writing it, and
what changes while it is read is not taken either. With `take: newest` every picture is the newest one that
was not taken yet, older ones are left out: for a folder into which another program photographs.

The bookmark of a frame is the name of the file that is farthest in this order of those that were taken. After
a restart the folder goes on behind it. A picture that belongs before it is taken where it comes while the
bridge runs; one that came while the bridge did not run is left aside, for nothing tells it from one that was
taken. How many there may be is logged.
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
from skylapse_protocol.tone import CURVES

from .factory import CameraIdentity
from .picture import check_size, preview, small_picture
from .port import CapturedFrame, CaptureSettings, FocusFigure, SmallFrame

OPTIONS = {
    vol.Required("path"): vol.All(str, vol.Length(min=1)),
    vol.Optional("at_end", default="stop"): vol.In(["stop", "loop"]),
    vol.Optional("take", default="all"): vol.In(["all", "newest"]),
    # Of pictures whose sidecar names none.
    vol.Optional("tone_curve"): vol.In(sorted(CURVES)),
}

_LOGGER = logging.getLogger(__name__)
_SUFFIXES = frozenset({".jpg", ".jpeg"})
_HEAD_BYTES = 1 << 18
"""EXIF stands at the beginning of a picture."""

Signature = tuple[int, int]
"""Size and time of change of a file."""


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

    def __init__(self, identity: CameraIdentity, options: Mapping[str, Any], clock: Clock) -> None:
        self._identity = identity
        self._path = Path(options["path"])
        self._loop = options["at_end"] == "loop"
        self._newest = options["take"] == "newest"
        self._tone_curve: str | None = options.get("tone_curve")
        self._clock = clock
        self._waiting: list[Path] = []
        self._seen: set[Path] = set()
        self._aside: dict[Path, Signature] = {}
        self._next: Picture | None = None
        self._last_path: Path | None = None
        self._farthest: Path | None = None
        self._model = "folder"

    def start(self, bookmark: str | None = None) -> None:
        """Look through the folder, from behind the bookmark on; raise CameraLostError where there is none."""
        if not self._path.is_dir():
            raise CameraLostError(f"{self._path} is no folder")
        self._next = None
        if bookmark is not None:
            passed = behind(self._ordered(self._pictures()), bookmark)
            self._seen, self._waiting = set(passed), []
            self._farthest = self._path / bookmark
            if not self._newest and (late := came_later(passed, self._farthest)):
                words = "%s: left aside, for they belong before %s but came after it: %d pictures"
                _LOGGER.warning(words, self._path, bookmark, late)
        self._look()

    def stop(self) -> None:
        """Let go of the pictures in memory; the place in the folder is kept."""
        if self._next is not None:
            self._seen.discard(self._next.path)
            self._next = None
        self._let_wait()

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
            tone_curve=facts.tone_curve or self._tone_curve or "srgb",
            exposure_us=facts.exposure_us,
            gain=None if facts.analogue_gain is None else facts.analogue_gain * (facts.digital_gain or 1.0),
            colour_temperature_k=facts.colour_temperature_k,
        )

    def capture(self, settings: CaptureSettings) -> CapturedFrame:
        """Return the next picture as one that was taken at this moment."""
        picture = self._peek()
        self._next, self._last_path = None, picture.path
        known = [] if self._farthest is None else [self._farthest]
        self._farthest = self._ordered([*known, picture.path])[-1]
        facts = {field.name: getattr(picture.facts, field.name) for field in fields(Facts)}
        facts["tone_curve"] = facts["tone_curve"] or self._tone_curve
        return CapturedFrame(
            jpeg=picture.jpeg,
            width=picture.width,
            height=picture.height,
            captured_at=settings.at,
            monotonic_ns=self._clock.monotonic_ns(),
            bookmark=self._farthest.name,
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

    def focus_figure(self, settings: CaptureSettings) -> FocusFigure:
        """Refuse: a folder has no lens."""
        raise UnsupportedError(f"a folder has no focus ({settings.focus_dioptre})")

    def _peek(self) -> Picture:
        """Return the next picture without taking it; raise CameraEndError where there is none."""
        looked = False
        if self._newest and self._next is None:
            self._let_wait()
        while self._next is None:
            if not self._waiting and not looked:
                self._look()
                looked = True
            if not self._waiting:
                raise CameraEndError(f"{self._path} has no more pictures")
            self._next = self._read(self._waiting.pop(0))
        return self._next

    def _let_wait(self) -> None:
        """Forget the line; whoever stands in it was not taken yet."""
        self._seen.difference_update(self._waiting)
        self._waiting = []

    def _look(self) -> None:
        """Line up the pictures that were not taken yet; all of them anew where the folder loops."""
        found = self._pictures()
        if self._loop and self._seen.issuperset(found):
            self._seen.clear()
            self._farthest = None
        self._waiting = self._ordered([path for path in found if path not in self._seen])
        if self._newest:
            self._waiting.reverse()
        self._seen.update(self._waiting)
        if self._waiting:
            self._model = _model(self._waiting[0])

    def _pictures(self) -> list[Path]:
        """Return the files that may be pictures, without those that were none and have not changed since."""
        try:
            found = [path for path in self._path.iterdir() if path.suffix.lower() in _SUFFIXES]
            self._aside = {path: known for path, known in self._aside.items() if known == _signature(path)}
            return [path for path in found if path.is_file() and path not in self._aside]
        except OSError as error:
            raise CameraLostError(f"{self._path} cannot be read: {error.strerror or error}") from error

    def _ordered(self, paths: list[Path]) -> list[Path]:
        """Return pictures as they are to be taken; as they were written where only the newest counts."""
        if self._newest:
            return sorted(paths, key=lambda path: (_written_ns(path), natural_key(path)))
        return in_order(paths)

    def _read(self, path: Path) -> Picture | None:
        """Return a picture; None, and the file is set aside, where it is no whole JPEG yet."""
        before = _signature(path)
        try:
            data = path.read_bytes()
            width, height = check_size(*jpeg.size(data))
            _require_still(path, before)
        except (OSError, ValueError, CameraError) as error:
            _LOGGER.warning("%s is passed over: %s", path, error)
            self._seen.discard(path)
            if before is not None:
                self._aside[path] = before
            return None
        if self._newest:
            self._waiting.clear()
        return Picture(path=path, jpeg=data, width=width, height=height, facts=_facts(path, data))


def make_camera(identity: CameraIdentity, options: Mapping[str, Any], clock: Clock) -> FolderCamera:
    """Return the camera for the options of the configuration."""
    return FolderCamera(identity, vol.Schema(OPTIONS)(dict(options)), clock)


def behind(ordered: list[Path], bookmark: str) -> list[Path]:
    """Return the pictures up to the bookmark; by name alone where the file itself is gone."""
    names = [path.name for path in ordered]
    if bookmark in names:
        return ordered[: names.index(bookmark) + 1]
    place = natural_key(Path(bookmark))
    return [path for path in ordered if natural_key(path) <= place]


def came_later(passed: list[Path], bookmark: Path) -> int:
    """Return how many pictures came into the folder after the bookmark's own, 0 where that one is gone."""
    came_ns = _came_ns(bookmark)
    return sum(_came_ns(path) > came_ns for path in passed) if came_ns else 0


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
        return exif.original_time(_head(path))
    except (OSError, ValueError):
        return None


def _model(path: Path) -> str:
    try:
        return exif.camera_model(_head(path)) or "folder"
    except (OSError, ValueError):
        return "folder"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _signature(path: Path) -> Signature | None:
    """Return what tells whether a file has changed, None where it is gone."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns


def _require_still(path: Path, before: Signature | None) -> None:
    """Raise ValueError for a file that has changed."""
    if _signature(path) != before:
        raise ValueError("another program is still writing it")


def _written_ns(path: Path) -> int:
    signature = _signature(path)
    return signature[1] if signature else 0


def _came_ns(path: Path) -> int:
    """Return when a file came here or was changed, whatever time it was given; 0 where it is gone."""
    try:
        return path.stat().st_ctime_ns
    except OSError:
        return 0


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
