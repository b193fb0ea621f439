"""The driver `folder`: the pictures of a folder, replayed as if a camera took them.

Pictures come in the order of their EXIF times where all of them have one, else in the natural order of their
names (2 before 10). Their pixels are left as they are. What is known of their exposure comes from a sidecar
(`0001.json` beside `0001.jpg`, any subset of the frame record), else from EXIF, else it stays unknown. At
the end the folder is looked through again for new pictures; `at_end: loop` begins anew.

A file that is no whole JPEG is set aside until it has changed: another program may still be writing it, and
what changes while it is read is not taken either. With `take: newest` every picture is the newest one that
was not taken yet, older ones are left out: for a folder into which another program photographs. With
`take: due` it is the last one that was there by the moment of the tick, as the EXIF times tell it (zones are
left aside, none is UTC); earlier ones are left out, later ones wait: for a day that is lived through again on
a simulated clock, at whatever pace, so that a frame shows what its time says.

The bookmark of a frame names the file that is farthest in this order of those that were taken. After a
restart the folder goes on behind it. A picture that belongs before it is taken where it comes while the
bridge runs; one that came while the bridge did not run is left aside, for nothing tells it from one that was
taken. How many there may be is logged.

Pictures may be deleted when they were taken, and names may come again, as those of a camera that counts to
9999. A bookmark whose picture is gone keeps its place by its EXIF time, else by its name, and only until the
next picture is taken: to lose none counts for more than to take none twice. Under the name of a picture that
was seen to be gone, another one is new; the same one, as on a disk that comes back, is not.
"""

import json
import logging
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from itertools import takewhile
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
    vol.Optional("take", default="all"): vol.In(["all", "newest", "due"]),
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
class Bookmark:
    """A picture's place in the folder, also when it is gone: `<EXIF time>/<name>`, or its name alone."""

    name: str
    taken_at: datetime | None = None

    @classmethod
    def parse(cls, text: str) -> "Bookmark":
        """Return what was printed; no name of a file has a slash in it."""
        moment, _, name = text.rpartition("/")
        try:
            return cls(name=name, taken_at=datetime.fromisoformat(moment).replace(tzinfo=UTC))
        except ValueError:
            return cls(name=name)

    def __str__(self) -> str:
        """Return what `parse` reads."""
        return self.name if self.taken_at is None else f"{self.taken_at.isoformat()}/{self.name}"

    def is_of(self, path: Path) -> bool:
        """Tell whether this is the picture's own bookmark, and not that of an earlier one of its name."""
        return self.name == path.name and path.is_file() and self.taken_at in (None, _time(path))


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
        self._newest, self._due = options["take"] == "newest", options["take"] == "due"
        self._loop = options["at_end"] == "loop" and not self._due
        self._tone_curve: str | None = options.get("tone_curve")
        self._clock = clock
        self._waiting: list[Path] = []
        self._seen: dict[Path, Signature] = {}
        self._gone: set[Path] = set()
        self._aside: dict[Path, Signature] = {}
        self._next: Picture | None = None
        self._last_jpeg: bytes | None = None
        self._farthest: Bookmark | None = None
        self._model = "folder"

    def start(self, bookmark: str | None = None) -> None:
        """Look through the folder, from behind the bookmark on; raise CameraLostError where there is none."""
        if not self._path.is_dir():
            raise CameraLostError(f"{self._path} is no folder")
        self._next = None
        if bookmark is not None:
            found, self._farthest = self._pictures(), Bookmark.parse(bookmark)
            passed = behind(self._ordered(list(found)), self._farthest)
            self._seen, self._waiting = {path: found[path] for path in passed}, []
            if not self._newest:
                self._tell_left_aside(passed, self._farthest)
        self._look()

    def stop(self) -> None:
        """Let go of the pictures in memory; the place in the folder is kept."""
        if self._next is not None:
            self._seen.pop(self._next.path, None)
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

    def meter(self, settings: CaptureSettings) -> SmallFrame:
        """Return the next picture, small."""
        picture = self._peek(settings.at)
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
        picture = self._peek(settings.at)
        self._next, self._last_jpeg = None, picture.jpeg
        self._farthest = self._farther(picture)
        facts = {field.name: getattr(picture.facts, field.name) for field in fields(Facts)}
        facts["tone_curve"] = facts["tone_curve"] or self._tone_curve
        return CapturedFrame(
            jpeg=picture.jpeg,
            width=picture.width,
            height=picture.height,
            captured_at=settings.at,
            monotonic_ns=self._clock.monotonic_ns(),
            bookmark=str(self._farthest),
            **facts,
        )

    def preview(self) -> bytes:
        """Return the picture that was taken last, else the next one, small."""
        return preview(self._last_jpeg or self._peek().jpeg)

    def focus(self, dioptre: float | None) -> float:
        """Refuse: a folder has no lens."""
        raise UnsupportedError(f"a folder cannot be focused ({dioptre})")

    def focus_figure(self, settings: CaptureSettings) -> FocusFigure:
        """Refuse: a folder has no lens."""
        raise UnsupportedError(f"a folder has no focus ({settings.focus_dioptre})")

    def _peek(self, at: datetime | None = None) -> Picture:
        """Return the next picture without taking it; raise CameraEndError for want of one, or of one due."""
        if self._due and at is not None:
            return self._peek_due(at)
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

    def _peek_due(self, at: datetime) -> Picture:
        """Return the last picture that was there by then; raise CameraEndError where no other one came."""
        if not self._waiting:
            self._look()
        due = list(takewhile(lambda path: not _comes_after(at, _time(path)), self._waiting))
        del self._waiting[: len(due)]
        read = (picture for path in reversed(due) if (picture := self._read(path)) is not None)
        self._next = next(read, self._next)
        if self._next is None or _comes_after(at, _time_in(self._next.jpeg[:_HEAD_BYTES])):
            raise CameraEndError(f"{self._path} has no other picture by {at:%Y-%m-%d %H:%M:%S} UTC")
        return self._next

    def _farther(self, picture: Picture) -> Bookmark:
        """Return behind what to go on: one that is gone holds no place, for numbers and clocks begin anew."""
        here = Bookmark(name=picture.path.name, taken_at=_time_in(picture.jpeg[:_HEAD_BYTES]))
        if self._farthest is None:
            return here
        path = self._path / self._farthest.name
        stands = self._farthest.is_of(path) and self._ordered([path, picture.path])[-1] == path
        return self._farthest if stands else here

    def _tell_left_aside(self, passed: list[Path], bookmark: Bookmark) -> None:
        """Log how many pictures may never have been taken, and never will be."""
        path = self._path / bookmark.name
        late, why = len(passed), ", which is gone"
        if bookmark.is_of(path):
            late, why = came_later(passed, path), " but came after it"
        if late:
            words = "%s: left aside, for they belong before %s%s: %d pictures"
            _LOGGER.warning(words, self._path, bookmark.name, why, late)

    def _let_wait(self) -> None:
        """Forget the line; whoever stands in it was not taken yet."""
        for path in self._waiting:
            self._seen.pop(path, None)
        self._waiting = []

    def _look(self) -> None:
        """Line up the pictures that were not taken yet; all of them anew where the folder loops."""
        found = self._pictures()
        self._forget_replaced(found)
        if self._loop and self._seen.keys() >= found.keys():
            self._seen.clear()
            self._farthest = None
        self._waiting = self._ordered([path for path in found if path not in self._seen])
        if self._newest:
            self._waiting.reverse()
        self._seen.update({path: found[path] for path in self._waiting})
        if self._waiting:
            self._model = _model(self._waiting[0])

    def _forget_replaced(self, found: dict[Path, Signature]) -> None:
        """Forget the pictures that were gone when another one now has their name."""
        for path in self._gone & found.keys():
            if found[path] != self._seen.get(path):
                self._seen.pop(path, None)
        self._seen.update({path: found[path] for path in self._seen.keys() & found.keys()})
        self._gone = self._seen.keys() - found.keys()

    def _pictures(self) -> dict[Path, Signature]:
        """Return the files that may be pictures, without those that were none and have not changed since."""
        try:
            names = [path for path in self._path.iterdir() if path.suffix.lower() in _SUFFIXES]
        except OSError as error:
            raise CameraLostError(f"{self._path} cannot be read: {error.strerror or error}") from error
        found = {path: known for path in names if (known := _signature(path)) is not None}
        self._aside = {path: known for path, known in self._aside.items() if known == found.get(path)}
        return {path: known for path, known in found.items() if path not in self._aside}

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
            self._seen.pop(path, None)
            if before is not None:
                self._aside[path] = before
            return None
        if self._newest:
            self._waiting.clear()
        return Picture(path=path, jpeg=data, width=width, height=height, facts=_facts(path, data))


def make_camera(identity: CameraIdentity, options: Mapping[str, Any], clock: Clock) -> FolderCamera:
    """Return the camera for the options of the configuration."""
    return FolderCamera(identity, vol.Schema(OPTIONS)(dict(options)), clock)


def behind(ordered: list[Path], bookmark: Bookmark) -> list[Path]:
    """Return the pictures up to the bookmark; where its own is gone, by EXIF times, else by names alone."""
    own = [number for number, path in enumerate(ordered) if bookmark.is_of(path)]
    if own:
        return ordered[: own[0] + 1]
    place = natural_key(Path(bookmark.name))
    times = _times(ordered)
    if bookmark.taken_at is None or times is None:
        return [path for path in ordered if natural_key(path) <= place]
    here = bookmark.taken_at, place
    return [path for path, at in zip(ordered, times, strict=True) if (at, natural_key(path)) <= here]


def came_later(passed: list[Path], bookmark: Path) -> int:
    """Return how many pictures came into the folder after the bookmark's own."""
    came_ns = _came_ns(bookmark)
    return sum(_came_ns(path) > came_ns for path in passed)


def in_order(paths: list[Path]) -> list[Path]:
    """Return pictures in the order of their EXIF times where all have one, else of their names."""
    named = sorted(paths, key=natural_key)
    times = _times(named)
    if times is None:
        return named
    return [path for _, _, path in sorted(zip(times, range(len(named)), named, strict=True))]


def natural_key(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts numbers in names by their value."""
    parts = re.findall(r"\d+|\D+", path.name.lower())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)


def _times(paths: list[Path]) -> list[datetime] | None:
    """Return the EXIF times of pictures, None where not all have one."""
    times = [moment for path in paths if (moment := _time(path)) is not None]
    return times if len(times) == len(paths) else None


def _comes_after(at: datetime, taken_at: datetime | None) -> bool:
    """Tell whether a picture is of later; one without a time, as a torn one, keeps nobody waiting."""
    return taken_at is not None and taken_at > at


def _time(path: Path) -> datetime | None:
    try:
        return _time_in(_head(path))
    except OSError:
        return None


def _time_in(head: bytes) -> datetime | None:
    try:
        return exif.original_time(head)
    except ValueError:
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
    """Return what tells whether a file has changed, None where it is gone or no file."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return (facts.st_size, facts.st_mtime_ns) if stat.S_ISREG(facts.st_mode) else None


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
    """Return what the sidecar says, and of time and gain what EXIF says where that does not."""
    sidecar, said = path.with_suffix(".json"), Facts()
    if sidecar.is_file():
        try:
            said = read(Facts, json.loads(sidecar.read_text("utf-8")), sidecar.name)
        except (OSError, ValueError, RecursionError, ProtocolError) as error:
            _LOGGER.warning("the sidecar of %s is left aside: %s", path, error)
    known = exif.exposure_facts(data)
    if said.exposure_us is None and "exposure_us" in known:
        said = replace(said, exposure_us=round(known["exposure_us"]))
    if said.analogue_gain is None and said.digital_gain is None:
        said = replace(said, analogue_gain=known.get("gain"))
    return said
