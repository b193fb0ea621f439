"""The frames of a film: where each picture lies and what is known of its exposure.

A folder of pictures is read by sidecar (`0001.json` beside `0001.jpg`, any subset of a record's fields), else
EXIF (the record in UserComment, then the standard tags), and put in the order of the film, see `order.py`.
What has no time is looked at first: what is no picture at all has no say in the order.
"""

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from PIL import Image

from skylapse_protocol.codec import parse_time
from skylapse_protocol.tone import CURVES

from .decode import exif_of, look
from .errors import NoPicturesError, PictureError, unreadable
from .measure import Measurement
from .order import ENOUGH_TIMES, in_order, natural_key
from .tone import RASPBERRY_PI, SRGB, known

RAW_SUFFIX = ".dng"
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif", RAW_SUFFIX}
)
_NEVER_READ = frozenset(
    {".gif", ".avif", ".jxl", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef"}
)
"""Pictures that nobody would think to be left out; where one of the same name is read, nothing is."""

_EXIF_DIRECTORY = 0x8769
_MODEL, _MAKE, _DATE_TIME = 0x0110, 0x010F, 0x0132
_EXPOSURE_TIME, _ISO, _F_NUMBER = 0x829A, 0x8827, 0x829D
_ORIGINAL, _ORIGINAL_OFFSET, _ORIGINAL_FRACTION = 0x9003, 0x9011, 0x9291
_USER_COMMENT = 0x9286
_HEAD_BYTES = 256 * 1024
_SIZE_BYTES = 512 * 1024
_JPEG = b"\xff\xd8"
_SIDECAR_BYTES = 64 * 1024
_MOST_NAMED = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class ExposureFacts:
    """What is known of how a picture was exposed. Fields that nobody knows are null."""

    exposure_us: float | None = None
    gain: float | None = None
    """Analogue × digital."""
    aperture: float | None = None
    """F-number, where a lens has an iris."""
    colour_gains: tuple[float, float] | None = None
    """Red and blue, relative to green."""
    tone_curve: str = SRGB
    sun_elevation_deg: float | None = None
    lux: float | None = None
    """What the camera's meter read, above zero."""
    rounded_ev: float = 0.0
    """How far rounding may have moved the exposure, ±EV; 0 for a record: it holds what was delivered."""

    @property
    def exposure_ev(self) -> float | None:
        """log2 of exposure time × gain ÷ aperture², in EV; null where time or gain is not known."""
        if self.exposure_us is None or self.gain is None:
            return None
        aperture = self.aperture or 1.0
        return math.log2(self.exposure_us * self.gain / aperture**2)


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFrame:
    """One picture that a film is made of."""

    path: Path
    name: str
    captured_at: datetime | None = None
    facts: ExposureFacts | None = None
    measured: Measurement | None = None
    """What ingest measured; null where nobody has."""
    size: tuple[int, int] | None = None
    """Width and height as shown; null where nobody has looked yet."""
    record: Mapping[str, Any] = field(default_factory=dict)
    """All that sidecar and EXIF record say of the picture: what overlays can show."""
    beside: tuple["SourceFrame", ...] = ()
    """The other pictures of its bracket, those nearest to the middle first, where a recipe merges them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderListing:
    """The pictures of a folder in the order of the film, and files that cannot be frames, with reasons."""

    frames: tuple[SourceFrame, ...]
    skipped: tuple[tuple[str, str], ...]
    noticed: tuple[tuple[str, str], ...] = ()
    """Sidecars that say nothing, with the reason; their pictures are in the film. The folder, where some
    pictures have no time."""


def read_folder(path: Path) -> FolderListing:
    """Return the pictures directly in a folder; raise NoPicturesError, naming it, where there is none."""
    files, never_read = _pictures_in(path)
    frames, skipped, noticed = [], [], []
    developed = {file.stem: file.name for file in files if file.suffix.lower() != RAW_SUFFIX}
    for file in files:
        if file.suffix.lower() == RAW_SUFFIX and file.stem in developed:
            skipped.append((file.name, f"is the raw picture of {developed[file.stem]}"))
            continue
        try:
            sidecar = _sidecar(file)
            frame = _read_frame(file, sidecar if isinstance(sidecar, dict) else {})
            frames.append(frame if frame.captured_at else replace(frame, size=size_of(frame)))
            if (words := sidecar if isinstance(sidecar, str) else _senseless(sidecar)) is not None:
                noticed.append((file.with_suffix(".json").name, words))
        except PictureError as error:
            skipped.append((file.name, error.why))
        except OSError as error:
            skipped.append((file.name, f"cannot be read ({error.strerror or error})"))
    noticed.sort()
    if never_read:
        noticed.append(
            (str(path), f"has pictures of a kind that is not read: {', '.join(sorted(never_read))}")
        )
    if (words := _order_in_words(frames)) is not None:
        noticed.append((str(path), words))
    order = in_order([frame.name for frame in frames], [frame.captured_at for frame in frames])
    return FolderListing(
        frames=tuple(frames[number] for number in order),
        skipped=tuple(sorted(skipped)),
        noticed=tuple(noticed),
    )


def _pictures_in(path: Path) -> tuple[list[Path], set[str]]:
    """Return the files directly in a folder that are called pictures, and kinds of others that are not read.

    Raises NoPicturesError where there is none.
    """
    try:
        os.stat(f"{path}/.")  # noqa: PTH116 - pathlib drops the dot, which asks whether one may enter
        there = [file for file in path.iterdir() if not file.name.startswith(".") and file.is_file()]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoPicturesError(f"{path} is no folder") from error
    except OSError as error:
        raise NoPicturesError(f"{path}: cannot be read ({unreadable(error)})") from error
    files = [file for file in there if file.suffix.lower() in SUFFIXES]
    if not files:
        raise NoPicturesError(f"no pictures in {path}: looked for {', '.join(sorted(SUFFIXES))}")
    seen = {file.stem for file in files}
    return files, {file.suffix.lower() for file in there if file.stem not in seen} & _NEVER_READ


def _order_in_words(frames: Sequence[SourceFrame]) -> str | None:
    """Say how pictures stand in the film where some have no time and others do."""
    timeless = sorted((frame.name for frame in frames if frame.captured_at is None), key=natural_key)
    count = len(timeless)
    if count in (0, len(frames)):
        return None
    if len(frames) - count < ENOUGH_TIMES * len(frames):
        return f"is shown in the order of names: {count} of its {len(frames)} pictures have no capture time"
    named = ", ".join(timeless[:_MOST_NAMED]) + (", …" if count > _MOST_NAMED else "")
    how = "has no capture time and stands" if count == 1 else "have no capture time and stand"
    return f"{count} of its {len(frames)} pictures {how} by name: {named}"


def size_of(frame: SourceFrame) -> tuple[int, int]:
    """Return width and height of a picture by its head; raise PictureError or OSError where it is none."""
    if frame.measured is not None:
        return frame.measured.width, frame.measured.height
    with frame.path.open("rb") as stream:
        head = stream.read(_SIZE_BYTES)
        if not head.startswith(_JPEG):
            head += stream.read()
    shape = look(head, frame.name, whole=False)
    return shape.width, shape.height


def facts_of_record(record: Mapping[str, Any]) -> ExposureFacts | None:
    """Return the exposure facts in a frame record, or in any subset of its fields; null for none."""
    return _merge(record, None)


def _read_frame(file: Path, sidecar: Mapping[str, Any]) -> SourceFrame:
    with file.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    exif = read_exif(head) if head.startswith(_JPEG) else exif_of(file.read_bytes())
    record = {**_embedded_record(exif), **sidecar}
    if file.suffix.lower() == RAW_SUFFIX:
        record["tone_curve"] = SRGB  # raw pictures are developed onto it, whatever curve the JPEG beside has
    return SourceFrame(
        path=file,
        name=file.name,
        captured_at=_time_of_record(record) or _time_of_exif(exif),
        facts=_merge(record, _facts_of_exif(exif)),
        record=record,
    )


def local_offset_s(picture: bytes) -> int:
    """Return by how many seconds the clock on the camera's wall is ahead of UTC; 0 where nothing says so."""
    offset = _offset(read_exif(picture[:_HEAD_BYTES]).get(_ORIGINAL_OFFSET)).utcoffset(None)
    return round(offset.total_seconds())


def read_exif(head: bytes) -> dict[int, Any]:
    """Return the EXIF tags of both directories, the inner one winning; empty where none can be read."""
    start = head.find(b"Exif\0\0")
    if start < 0:
        return {}
    exif = Image.Exif()
    try:
        exif.load(head[start:])
        return {**dict(exif), **exif.get_ifd(_EXIF_DIRECTORY)}
    except Exception:  # noqa: BLE001 - Pillow answers hostile EXIF with whatever its parser trips over
        return {}


def _embedded_record(exif: Mapping[int, Any]) -> dict[str, Any]:
    """Return the record that a bridge writes into UserComment, after its eight bytes of character set."""
    comment = exif.get(_USER_COMMENT)
    if not isinstance(comment, bytes) or len(comment) > _SIDECAR_BYTES:
        return {}
    record = _object(comment[8:].rstrip(b"\0 "))
    return record if isinstance(record, dict) else {}


def _sidecar(file: Path) -> dict[str, Any] | str:
    """Return what the file beside a picture says, or in words why it says nothing."""
    sidecar = file.with_suffix(".json")
    if not sidecar.is_file():
        return {}
    if sidecar.stat().st_size > _SIDECAR_BYTES:
        return f"is ignored: it has more than {_SIDECAR_BYTES} bytes"
    return _object(sidecar.read_bytes())


def _senseless(sidecar: Mapping[str, Any]) -> str | None:
    """Say which fields of a sidecar are not gone by, since they are neither time nor number."""
    wrong = [
        f"{name} is no number above zero"
        for name in ("exposure_us", "analogue_gain", "digital_gain")
        if name in sidecar and _number(sidecar[name]) is None
    ]
    if "captured_at" in sidecar and _time_of_record(sidecar) is None:
        wrong.insert(0, "captured_at is no time such as 2026-06-21T20:15:00Z")
    return f"is ignored where it makes no sense: {', '.join(wrong)}" if wrong else None


def _object(text: bytes) -> dict[str, Any] | str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, json.JSONDecodeError) else "no text, or nested too deeply"
        return f"is ignored: it is no JSON ({why})"
    if not isinstance(value, dict):
        return "is ignored: it is no JSON object"
    return {key: item for key, item in value.items() if item is not None}


def _time_of_record(record: Mapping[str, Any]) -> datetime | None:
    text = record.get("captured_at")
    try:
        return parse_time(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _time_of_exif(exif: Mapping[int, Any]) -> datetime | None:
    """Return DateTimeOriginal with its fraction and offset, else DateTime; UTC where no offset is written."""
    text = exif.get(_ORIGINAL) or exif.get(_DATE_TIME)
    try:
        moment = datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    fraction = str(exif.get(_ORIGINAL_FRACTION, "")).strip("\0 ")
    if fraction.isdecimal():
        moment += timedelta(seconds=float(f"0.{fraction}"))
    return moment.replace(tzinfo=_offset(exif.get(_ORIGINAL_OFFSET)))


def _offset(text: object) -> timezone:
    match = re.fullmatch(r"([+-])(\d\d):(\d\d)", str(text).strip("\0 "))
    if match is None:
        return UTC
    minutes = int(match[2]) * 60 + int(match[3])
    if minutes >= 24 * 60:
        return UTC
    return timezone(timedelta(minutes=minutes if match[1] == "+" else -minutes))


def _facts_of_exif(exif: Mapping[int, Any]) -> ExposureFacts | None:
    exposure_s, iso = _number(exif.get(_EXPOSURE_TIME)), _number(exif.get(_ISO))
    curve = _curve_of_exif(exif)
    if exposure_s is None or iso is None:
        return ExposureFacts(tone_curve=curve) if curve != SRGB else None
    return ExposureFacts(
        exposure_us=exposure_s * 1e6,
        gain=iso / 100,
        aperture=_number(exif.get(_F_NUMBER)),
        tone_curve=curve,
        rounded_ev=math.log2(1 + 0.5 / iso) + math.log2(1 + 0.5e-6 / exposure_s),
    )


def _curve_of_exif(exif: Mapping[int, Any]) -> str:
    model, make = str(exif.get(_MODEL, "")).lower(), str(exif.get(_MAKE, "")).lower()
    named = next((curve for curve in CURVES if curve in model), None)
    return named or (RASPBERRY_PI if "raspberry" in make else SRGB)


def _merge(record: Mapping[str, Any], exif: ExposureFacts | None) -> ExposureFacts | None:
    """Let what a record says win over EXIF, field by field."""
    facts = exif or ExposureFacts()
    exposure, analogue = _number(record.get("exposure_us")), _number(record.get("analogue_gain"))
    if exposure is not None:
        facts = replace(facts, exposure_us=exposure)
    if analogue is not None:
        digital = _number(record.get("digital_gain"))
        facts = replace(facts, gain=analogue * (digital or 1.0), rounded_ev=0.0 if digital else 0.0125)
    if "tone_curve" in record:
        facts = replace(facts, tone_curve=known(str(record["tone_curve"])))
    gains = record.get("colour_gains")
    if isinstance(gains, list | tuple) and len(gains) == 2:
        red, blue = _number(gains[0]), _number(gains[1])
        facts = replace(facts, colour_gains=(red, blue) if red and blue else None)
    lux = _number(record.get("lux"))
    if lux is not None:
        facts = replace(facts, lux=lux)
    elevation = record.get("sun_elevation_deg")
    if isinstance(elevation, int | float) and math.isfinite(elevation):
        facts = replace(facts, sun_elevation_deg=float(elevation))
    empty = all(getattr(facts, part.name) == part.default for part in fields(facts))
    return None if empty else facts


def _number(value: object) -> float | None:
    """Return a number above zero, also from EXIF's rationals and pairs; null for anything else."""
    if isinstance(value, tuple) and value:
        value = value[0]
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) and 0 < number < 1e12 else None
