"""Pictures that are no JPEG: PNG, WebP, TIFF, BMP and HEIF by Pillow, raw ones (DNG) by LibRaw.

What holds more than eight bits is handed on in sixteen where linear light is wanted. A raw picture is
developed as its camera balanced it, onto the sRGB curve, and never brightened by itself: that would flicker.
"""

import io
import struct
from typing import Any

import cv2
import numpy as np
import pillow_heif
import rawpy
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from .dng import is_dng
from .errors import PictureError

FORMATS = ("PNG", "WEBP", "TIFF", "BMP", "HEIF")
_SRGB_GAMMA = (2.4, 12.92)
"""Exponent and slope at black of the sRGB curve, as LibRaw takes them."""
_WIDE_TIFF = (b"II*\0", b"MM\0*")
_WIDE_PNG = b"\x89PNG"
_PNG_DEPTH_AT = 24
_COARSE = ("I", "F")
"""Pillow's modes of 32 bits a sample, whole numbers and others: what is white in them is not known."""
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, KeyError, struct.error, UserWarning)
"""What Pillow answers damage with; it warns of some, and whoever made warnings into errors gets one here."""
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)

Pixels = NDArray[np.uint8]
Wide = NDArray[np.uint16]
"""RGB in sixteen bits, shape (height, width, 3)."""

pillow_heif.register_heif_opener(thumbnails=False)


def look_other(data: bytes, name: str) -> tuple[int, int, object]:
    """Return width, height and EXIF orientation as they are written; raise PictureError for no picture."""
    if is_dng(data):
        with _raw(data, name) as raw:
            sizes = raw.sizes
            turned = sizes.flip in (5, 6)
            size = (sizes.height, sizes.width) if turned else (sizes.width, sizes.height)
            return (*size, 1)
    with _opened(data, name) as image:
        try:
            orientation = image.getexif().get(0x0112)
        except _UNREADABLE:
            orientation = 1
        return (*image.size, 1 if image.format == "HEIF" else orientation)


def exif_of(data: bytes) -> dict[int, Any]:
    """Return the EXIF tags of both directories, the inner one winning; empty where none can be read."""
    try:
        if is_dng(data):
            tags = Image.Exif()
            tags.load(data)
        else:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                tags = image.getexif()
        return {**dict(tags), **tags.get_ifd(ExifTags.IFD.Exif)}
    except Exception:  # noqa: BLE001 - Pillow answers hostile EXIF with whatever its parser trips over
        return {}


def decode_other(data: bytes, name: str, cover: tuple[int, int]) -> Pixels:
    """Return the pixels as they are written; a raw picture at half its size where that covers `cover`."""
    if is_dng(data):
        return _developed(data, name, cover, bits=8).astype(np.uint8)
    try:
        with _opened(data, name) as image:
            if image.mode in _COARSE:
                raise PictureError(name, "has samples of 32 bits; 8 and 16 can be read")
            return np.asarray(_narrow(image).convert("RGB"))
    except _UNREADABLE as error:
        raise PictureError(name, f"is damaged ({error})") from error


def _narrow(image: Image.Image) -> Image.Image:
    """Return a grey picture of sixteen bits in eight: Pillow would clip it to white."""
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image, dtype=np.uint16) // 257).astype(np.uint8))


def decode_wide(data: bytes, name: str, cover: tuple[int, int]) -> Wide | None:
    """Return the pixels in sixteen bits, as they are written; null where there are no more than eight."""
    if is_dng(data):
        return _developed(data, name, cover, bits=16).astype(np.uint16)
    deep = data[:4] in _WIDE_TIFF or (
        data[:4] == _WIDE_PNG and data[_PNG_DEPTH_AT : _PNG_DEPTH_AT + 1] == b"\x10"
    )
    if not deep:
        return None
    found = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16:
        return None
    if found.ndim == 2:
        found = np.repeat(found[..., None], 3, axis=2)
    return np.ascontiguousarray(found[..., 2::-1], dtype=np.uint16)


def _opened(data: bytes, name: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        if data[:4] in _WIDE_TIFF:
            raise PictureError(name, "is a TIFF whose samples have neither 8 bits nor 16") from None
        raise PictureError(name, "is no picture in JPEG, PNG, WebP, TIFF, BMP, HEIF or DNG") from None
    except (*_UNREADABLE, *_BOMBS) as error:
        raise PictureError(name, f"cannot be read ({error})") from error


def _raw(data: bytes, name: str) -> rawpy.RawPy:
    try:
        return rawpy.imread(io.BytesIO(data))
    except (rawpy.LibRawError, OSError) as error:
        raise PictureError(name, f"is a raw picture that cannot be read ({_words(error)})") from error


def _developed(data: bytes, name: str, cover: tuple[int, int], *, bits: int) -> NDArray[np.generic]:
    """Develop a raw picture: camera white balance, no automatic brightness, the sRGB curve."""
    with _raw(data, name) as raw:
        width, height = sorted((raw.sizes.width, raw.sizes.height), reverse=True)
        wanted = sorted(cover, reverse=True)
        half = 0 < wanted[0] <= width // 2 and wanted[1] <= height // 2
        try:
            developed: NDArray[np.generic] = raw.postprocess(
                half_size=half, use_camera_wb=True, no_auto_bright=True, output_bps=bits, gamma=_SRGB_GAMMA
            )
        except rawpy.LibRawError as error:
            raise PictureError(name, f"is a damaged raw picture ({_words(error)})") from error
        return developed


def _words(error: Exception) -> str:
    """Return what LibRaw says, which it says in bytes."""
    said = error.args[0] if error.args else error
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)
