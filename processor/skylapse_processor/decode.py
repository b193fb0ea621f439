"""Pictures to pixels, from bytes that may be hostile.

The structure of a JPEG is walked before anything is decoded: sizes come from its SOF marker, a missing end
marker is damage. libjpeg-turbo then decodes at n/8 of the size in the DCT, which saves the pixels that a film
never shows (PyAV's own scaled decoder takes twice as long), and its warnings, a premature end or a broken
Huffman code, are errors here. Other formats have a room of their own (`decode_other.py`).
"""

import struct
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from .errors import PictureError

MAX_PIXELS = 128_000_000
"""Largest picture that is decoded: above the 108 megapixels of the largest sensors."""

MAX_SIDE = 30_000

MAX_SCANS = 100
MAX_BUFFERED_PIXELS = 64_000_000
"""Largest JPEG in several scans: libjpeg holds all its coefficients, six bytes a pixel."""
MAX_PIXEL_SCANS = 2_000_000_000
"""Each scan of such a JPEG walks all its pixels again."""

Image.MAX_IMAGE_PIXELS = MAX_PIXELS

Pixels = NDArray[np.uint8]
"""RGB, shape (height, width, 3)."""

DeepPixels = NDArray[np.uint16]
"""The same in sixteen bits."""

AnyPixels = TypeVar("AnyPixels", NDArray[np.uint8], NDArray[np.uint16])

_SOI, _EOI, _SOS, _APP1 = 0xD8, 0xD9, 0xDA, 0xE1
_PROGRESSIVE = 0xC2
_FRAME_MARKERS = frozenset({0xC0, 0xC1, 0xC2})
_OTHER_FRAMES = frozenset({0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_ORIENTATION_TAG = 0x0112
_TRANSPOSED = frozenset({5, 6, 7, 8})
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, KeyError, struct.error, UserWarning)
"""What Pillow answers a damaged EXIF with."""
_HARMLESS = "extraneous bytes before marker"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What the head of a picture says, before a pixel is decoded."""

    width: int
    """Of the picture as it is shown, after its orientation is honoured."""
    height: int
    orientation: int = 1
    """EXIF orientation, 1…8."""
    jpeg: bool = True


def look(data: bytes, name: str, *, whole: bool = True) -> Shape:
    """Return the size of a picture from its head; raise PictureError where it cannot be decoded.

    With `whole` false, `data` may end anywhere after the head, and a missing end is no error.
    """
    if not data:
        raise PictureError(name, "is empty")
    if data[:2] == b"\xff\xd8":
        return _look_jpeg(data, name, whole=whole)
    return _look_other(data, name)


def look_jpeg(data: bytes, name: str) -> Shape:
    """Return the size of a JPEG as `look` does; no other format's decoder ever sees these bytes."""
    if data and data[:2] != b"\xff\xd8":
        raise PictureError(name, "is no JPEG")
    return look(data, name)


def decode(
    data: bytes, name: str, *, cover: tuple[int, int] | None = None, shape: Shape | None = None
) -> Pixels:
    """Return the pixels, upright; with `cover`, as few as still cover width × height (DCT scaling).

    Raises PictureError for anything that is no whole picture.
    """
    seen = shape or look(data, name)
    width, height = cover or (0, 0)
    if seen.orientation in _TRANSPOSED:
        width, height = height, width
    if seen.jpeg:
        return upright(_decode_jpeg(data, name, width, height), seen.orientation)
    return upright(_other().decode_other(data, name, (width, height)), seen.orientation)


def _look_jpeg(data: bytes, name: str, *, whole: bool) -> Shape:
    """Walk the segments up to the first scan (ITU-T T.81, annex B)."""
    place, orientation = 2, 1
    size: tuple[int, int] | None = None
    progressive, components = False, 0
    while True:
        marker, body, place = _segment(data, place, name)
        if marker in _FRAME_MARKERS:
            size = _frame_size(body, name)
            progressive, components = marker == _PROGRESSIVE, body[5]
        elif marker in _OTHER_FRAMES:
            raise PictureError(name, f"is a JPEG of an unsupported kind (SOF marker {marker:02X})")
        elif marker == _APP1 and body.startswith(b"Exif\0\0"):
            orientation = _orientation(body)
        elif marker == _SOS:
            break
    if size is None:
        raise PictureError(name, "has no frame header before its first scan")
    if progressive or body[:1] != bytes([components]):
        _check_scans(1 + data.count(b"\xff\xda", place), size, name)
    if whole and data.rfind(b"\xff\xd9", place) < 0:
        raise PictureError(name, "is truncated: the end marker is missing")
    width, height = reversed(size) if orientation in _TRANSPOSED else size
    return Shape(width=width, height=height, orientation=orientation)


def _check_scans(scans: int, size: tuple[int, int], name: str) -> None:
    """Refuse a JPEG in several scans that would take long to decode, or much memory, for its bytes."""
    pixels = size[0] * size[1]
    if scans > MAX_SCANS or pixels * scans > MAX_PIXEL_SCANS or pixels > MAX_BUFFERED_PIXELS:
        raise PictureError(name, f"has {pixels} pixels in {scans} scans: more work than a picture is worth")


def _segment(data: bytes, place: int, name: str) -> tuple[int, bytes, int]:
    """Return marker, body and the place after the segment that starts at `place`."""
    while data[place : place + 1] == b"\xff" and data[place + 1 : place + 2] == b"\xff":
        place += 1
    if place + 4 > len(data) or data[place] != 0xFF:
        raise PictureError(name, "is truncated or damaged in its head")
    marker = data[place + 1]
    if marker in _ALONE:
        return marker, b"", place + 2
    if marker in (_SOI, _EOI):
        raise PictureError(name, "ends before its first scan")
    (length,) = struct.unpack_from(">H", data, place + 2)
    end = place + 2 + length
    if length < 2 or end > len(data):
        raise PictureError(name, "is truncated in its head")
    return marker, data[place + 4 : end], end


def _frame_size(body: bytes, name: str) -> tuple[int, int]:
    """Return width and height of a frame header, checked against the limits."""
    if len(body) < 6:
        raise PictureError(name, "has a damaged frame header")
    precision, height, width, components = struct.unpack_from(">BHHB", body)
    if components == 4:
        raise PictureError(name, "is a CMYK picture; only grey and colour JPEGs are read")
    if precision != 8 or components not in (1, 3):
        raise PictureError(name, f"has {components} components of {precision} bits; 1 or 3 of 8 are read")
    _check_size(width, height, name)
    return width, height


def _check_size(width: int, height: int, name: str) -> None:
    if width < 2 or height < 2:
        raise PictureError(name, f"is {width} × {height} pixels: too small")
    if width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS:
        raise PictureError(name, f"is {width} × {height} pixels: above {MAX_PIXELS // 1_000_000} megapixels")


def _orientation(body: bytes) -> int:
    exif = Image.Exif()
    try:
        exif.load(body)
    except _UNREADABLE:
        return 1
    return _known_orientation(exif.get(_ORIENTATION_TAG))


def _known_orientation(value: Any) -> int:
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def decode_deep(data: bytes, name: str, shape: Shape, cover: tuple[int, int]) -> DeepPixels | None:
    """Return the pixels in sixteen bits, upright; null where the picture holds no more than eight."""
    width, height = cover
    if shape.orientation in _TRANSPOSED:
        width, height = height, width
    pixels: DeepPixels | None = _other().decode_wide(data, name, (width, height))
    return None if pixels is None else upright(pixels, shape.orientation)


def exif_of(data: bytes) -> dict[int, Any]:
    """Return the EXIF tags of a whole picture that is no JPEG; empty where none can be read."""
    tags: dict[int, Any] = _other().exif_of(data)
    return tags


def _other() -> ModuleType:
    """Return the room of other formats; its libraries are loaded when the first such picture comes."""
    return import_module(".decode_other", __package__)


def _look_other(data: bytes, name: str) -> Shape:
    width, height, turned = _other().look_other(data, name)
    _check_size(width, height, name)
    orientation = _known_orientation(turned)
    if orientation in _TRANSPOSED:
        width, height = height, width
    return Shape(width=width, height=height, orientation=orientation, jpeg=False)


def _decode_jpeg(data: bytes, name: str, width: int, height: int) -> Pixels:
    try:
        return _turbo(data, width, height, strict=True)
    except ValueError as error:
        if _HARMLESS not in str(error):
            raise PictureError(name, f"is damaged ({error})") from error
    try:
        return _turbo(data, width, height, strict=False)
    except ValueError as error:
        raise PictureError(name, f"is damaged ({error})") from error


def _turbo(data: bytes, width: int, height: int, *, strict: bool) -> Pixels:
    pixels: Pixels = simplejpeg.decode_jpeg(data, "RGB", min_width=width, min_height=height, strict=strict)
    return pixels


def upright(pixels: AnyPixels, orientation: int) -> AnyPixels:
    """Turn pixels as the EXIF orientation asks (CIPA DC-008, tag 274)."""
    if orientation == 1:
        return pixels
    if orientation in _TRANSPOSED:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
