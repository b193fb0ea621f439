"""Pictures of Home Assistant's own entities, and what of them can be a frame.

A JPEG is a frame as it comes, byte for byte; PNG and WebP become one, unless they are too large for that.
Whether a picture is blank, frozen or cut short is for the processor to judge: here it only has to say how
large it is.
"""

import asyncio
import hashlib
import io
from dataclasses import dataclass

from homeassistant.components import camera, image
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant, split_entity_id
from homeassistant.helpers import entity_registry as er
from PIL import Image

from ..errors import PictureError
from ..protocol.topics import MAX_PREVIEW_BYTES

DOMAINS = (camera.DOMAIN, image.DOMAIN)
PICTURE_LIMIT_S = 10
MAX_PICTURE_BYTES = 32 * 1024 * 1024
MAX_PIXELS = 128_000_000
"""The processor takes no larger ones."""

MAX_DECODED_PIXELS = 4096 * 4096
"""Larger ones are not decoded here, beside all else that runs: that takes up to 11 bytes a pixel."""

_FORMATS = ("JPEG", "PNG", "WEBP")
_JPEG_QUALITY = 95
_JPEG = b"\xff\xd8\xff"
_PREVIEW_SIDE = 640
_PREVIEW_QUALITIES = (80, 60, 40, 20)


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A picture that can be a frame."""

    jpeg: bytes
    sha256: str
    width: int
    height: int


async def async_picture(hass: HomeAssistant, entity: str) -> Picture:
    """Return what a camera or image shows now; `entity` is its id, or that of its registry entry.

    Raise PictureError with the reason where it shows nothing within ten seconds, or nothing of use.
    """
    entity_id = er.async_resolve_entity_id(er.async_get(hass), entity)
    state = hass.states.get(entity_id) if entity_id else None
    if entity_id is None or state is None:
        raise PictureError(f"{entity_id or 'the entity'} is not there")
    if state.state == STATE_UNAVAILABLE:
        raise PictureError(f"{entity_id} is unavailable")
    content = await _async_fetch(hass, entity_id)
    return await hass.async_add_executor_job(examine, content)


async def _async_fetch(hass: HomeAssistant, entity_id: str) -> bytes:
    component = image if split_entity_id(entity_id)[0] == image.DOMAIN else camera
    limit = asyncio.timeout(PICTURE_LIMIT_S)
    try:
        async with limit:
            shown = await component.async_get_image(hass, entity_id, 2 * PICTURE_LIMIT_S)
    except Exception as error:  # other integrations' entities may raise anything
        why = f" within {PICTURE_LIMIT_S} s" if limit.expired() else f": {_tell(error)}"
        raise PictureError(f"{entity_id} gave no picture{why}") from error
    content: bytes = shown.content
    return content


def examine(content: bytes) -> Picture:
    """Return a picture as a JPEG with its size; raise PictureError. Blocks."""
    if len(content) > MAX_PICTURE_BYTES:
        raise PictureError(f"the picture has {len(content)} bytes, more than {MAX_PICTURE_BYTES}")
    is_jpeg = content.startswith(_JPEG)
    most = MAX_PIXELS if is_jpeg else MAX_DECODED_PIXELS
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
            width, height = opened.size
            small_enough = width * height <= most
            jpeg = content if is_jpeg or not small_enough else _converted(opened)
    except Exception as error:  # Pillow raises anything for files that are made to harm
        raise PictureError(f"the picture is no JPEG, PNG or WebP that can be read: {error}") from error
    if not small_enough:
        what = "the picture" if is_jpeg else "the picture, which is no JPEG,"
        raise PictureError(f"{what} has {width} × {height} pixels, more than {most}")
    return Picture(jpeg=jpeg, sha256=hashlib.sha256(jpeg).hexdigest(), width=width, height=height)


def preview(jpeg: bytes) -> bytes | None:
    """Return a picture as small as a preview must be, None where it cannot or must not be decoded. Blocks."""
    try:
        with Image.open(io.BytesIO(jpeg), formats=_FORMATS[:1]) as opened:
            width, height = opened.size
            if opened.info.get("progressive") and width * height > MAX_DECODED_PIXELS:
                return None  # all of it is held while it is decoded, however small
            opened.draft("RGB", (_PREVIEW_SIDE, _PREVIEW_SIDE))
            small = opened.convert("RGB")
            small.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE))
    except Exception:  # noqa: BLE001 the frame goes on all the same; the processor judges it
        return None
    tries = (_encoded(small, quality) for quality in _PREVIEW_QUALITIES)
    return next((data for data in tries if len(data) <= MAX_PREVIEW_BYTES), None)


def _tell(error: Exception) -> str:
    return str(error) or type(error).__name__


def _converted(opened: Image.Image) -> bytes:
    return _encoded(opened.convert("RGB"), _JPEG_QUALITY)


def _encoded(picture: Image.Image, quality: int) -> bytes:
    kept = io.BytesIO()
    picture.save(kept, "JPEG", quality=quality)
    return kept.getvalue()
