"""The frame record in the picture: written into its EXIF without touching a pixel, and read back.

The record stands as JSON in UserComment; what EXIF has tags for stands in those tags too. Tags that the
camera wrote (orientation, lens, maker) are kept, its embedded thumbnail is not.
"""

import json
import logging
import struct
from datetime import UTC, datetime
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from skylapse_protocol.records import FrameRecord, write_exif_record

from . import jpeg as jpeg_file

_EXIF_IFD = 0x8769
_MAKER_NOTE = 0x927C
_MAKE, _MODEL, _SOFTWARE, _DATE_TIME = 0x010F, 0x0110, 0x0131, 0x0132
_EXPOSURE_TIME, _F_NUMBER, _SENSITIVITY = 0x829A, 0x829D, 0x8827
_EXIF_VERSION, _ORIGINAL, _ORIGINAL_OFFSET, _ORIGINAL_SUBSECOND = 0x9000, 0x9003, 0x9011, 0x9291
_USER_COMMENT, _WIDTH, _HEIGHT = 0x9286, 0xA002, 0xA003
_COMMENT_IS_ASCII = b"ASCII\0\0\0"
_LONGEST_BLOCK = 65_000

_DAMAGED = (
    ValueError,
    SyntaxError,
    OSError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    struct.error,
)
"""What Pillow raises for tags that are damaged."""

_LOGGER = logging.getLogger(__name__)


def write_exif(jpeg: bytes, record: FrameRecord, *, make: str = "", model: str = "") -> bytes:
    """Return the picture with the record in its EXIF; raise ValueError for what is no JPEG.

    `make` and `model` are written where the picture does not name its camera itself.
    """
    try:
        block = _block(*_original(jpeg), record, make, model)
    except _DAMAGED as error:
        _LOGGER.debug("tags that cannot be written again are left out: %s", error)
        block = _block(Image.Exif(), {}, record, make, model)
    return jpeg_file.replace_exif(jpeg, block)


def _block(exif: Image.Exif, tags: dict[int, Any], record: FrameRecord, make: str, model: str) -> bytes:
    """Return the Exif block of a frame, on top of what the camera wrote."""
    for tag, text in ((_MAKE, make), (_MODEL, model)):
        if text and tag not in exif:
            exif[tag] = text
    exif[_SOFTWARE] = "Skylapse"
    exif[_DATE_TIME] = _clock_face(record.captured_at)
    tags.update(_standard_tags(record))
    comment = json.dumps(write_exif_record(record), separators=(",", ":"), allow_nan=False)
    tags[_USER_COMMENT] = _COMMENT_IS_ASCII + comment.encode("ascii")
    exif[_EXIF_IFD] = tags
    block = bytes(exif.tobytes())
    if len(block) > _LONGEST_BLOCK:
        tags.pop(_MAKER_NOTE, None)
        block = bytes(exif.tobytes())
    if len(block) > _LONGEST_BLOCK:
        raise ValueError(f"{len(block)} bytes of Exif are more than a JPEG can hold")
    return block


def read_record_values(jpeg: bytes) -> dict[str, Any] | None:
    """Return the record's JSON values out of a picture, None where there is no record."""
    comment = _original(jpeg)[1].get(_USER_COMMENT)
    if isinstance(comment, str):
        comment = comment.encode()
    if not isinstance(comment, bytes):
        return None
    try:
        values = json.loads(comment.removeprefix(_COMMENT_IS_ASCII).decode())
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) and "spool" in values else None


def exposure_facts(jpeg: bytes) -> dict[str, float]:
    """Return what the camera wrote of its exposure: `exposure_us`, `gain` (1.0 is ISO 100), where it did."""
    tags = _original(jpeg)[1]
    facts = {}
    exposure_s = _number(tags.get(_EXPOSURE_TIME))
    sensitivity = _number(tags.get(_SENSITIVITY))
    if exposure_s:
        facts["exposure_us"] = exposure_s * 1e6
    if sensitivity:
        facts["gain"] = sensitivity / 100
    return facts


def camera_model(jpeg: bytes) -> str | None:
    """Return the camera's model as the picture names it."""
    exif, tags = _original(jpeg)
    model = exif.get(_MODEL) or tags.get(_MODEL)
    return str(model).strip("\0 ") or None if model else None


def original_time(jpeg: bytes) -> datetime | None:
    """Return when the picture was taken by its EXIF, for putting pictures in order; zones are left aside."""
    exif, tags = _original(jpeg)
    for text in (tags.get(_ORIGINAL), exif.get(_ORIGINAL), exif.get(_DATE_TIME), tags.get(_DATE_TIME)):
        try:
            moment = datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 zone below
        except ValueError:
            continue
        subsecond = str(tags.get(_ORIGINAL_SUBSECOND, "")).strip("\0 ")
        microsecond = int(subsecond.ljust(6, "0")[:6]) if subsecond.isdigit() else 0
        return moment.replace(tzinfo=UTC, microsecond=microsecond)
    return None


def _original(jpeg: bytes) -> tuple[Image.Exif, dict[int, Any]]:
    """Return the picture's own EXIF and the tags in its second directory; both empty where it is broken."""
    block = jpeg_file.exif(jpeg)
    try:
        exif = Image.Exif()
        exif.load(block)
        tags = dict(exif.get_ifd(_EXIF_IFD))
    except _DAMAGED:
        return Image.Exif(), {}
    kept = Image.Exif()
    kept.update(
        {tag: value for tag, value in exif.items() if tag != _EXIF_IFD and not isinstance(value, dict)}
    )
    return kept, tags


def _standard_tags(record: FrameRecord) -> dict[int, Any]:
    """Return what EXIF has tags for."""
    tags: dict[int, Any] = {
        _EXIF_VERSION: b"0232",
        _ORIGINAL: _clock_face(record.captured_at),
        _ORIGINAL_SUBSECOND: f"{record.captured_at.microsecond:06d}",
        _ORIGINAL_OFFSET: "+00:00",
        _WIDTH: record.width,
        _HEIGHT: record.height,
    }
    if record.exposure_us is not None:
        tags[_EXPOSURE_TIME] = IFDRational(record.exposure_us, 1_000_000)
    if record.analogue_gain is not None:
        tags[_SENSITIVITY] = min(round(100 * record.analogue_gain * (record.digital_gain or 1.0)), 65_535)
    return tags


def _clock_face(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y:%m:%d %H:%M:%S}"


def _number(value: Any) -> float | None:
    """Return an EXIF number, None for what is none."""
    try:
        number = float(value[0] if isinstance(value, tuple) and value else value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if 0 < number < 1e9 else None
