"""Small pictures out of large JPEGs, scaled while they are decoded: for metering and for previews."""

import io
from dataclasses import dataclass

from PIL import Image

from skylapse_bridge.errors import CameraError

from .port import PREVIEW_BYTES, PREVIEW_SIDE_PX, SMALL_SIDE_PX

SMALLEST_SIDE_PX = 16
"""Cameras that have no picture send one of a single pixel."""

MOST_PIXELS = 128_000_000
"""No camera for landscapes is larger; a picture that claims more would take the machine's memory."""

_QUALITIES = (80, 65, 50, 35, 20)


@dataclass(frozen=True, kw_only=True, slots=True)
class SmallPicture:
    """A small RGB picture: `width` × `height` × 3 bytes."""

    width: int
    height: int
    rgb: bytes


def small_picture(jpeg: bytes) -> SmallPicture:
    """Return the picture with a long side of at most `SMALL_SIDE_PX`, single pixels rather than means."""
    image = _decode(jpeg, SMALL_SIDE_PX)
    image = image.resize(fit(image.size, SMALL_SIDE_PX), Image.Resampling.NEAREST)
    return SmallPicture(width=image.width, height=image.height, rgb=image.tobytes())


def preview(jpeg: bytes) -> bytes:
    """Return the picture as JPEG within the limits of a preview."""
    image = _decode(jpeg, PREVIEW_SIDE_PX)
    return encode_preview(image.resize(fit(image.size, PREVIEW_SIDE_PX), Image.Resampling.BILINEAR))


def encode_preview(image: Image.Image) -> bytes:
    """Return an image of preview size as JPEG, as good as `PREVIEW_BYTES` allow."""
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= PREVIEW_BYTES:
            return buffer.getvalue()
    raise CameraError(f"a preview of {image.width}×{image.height} does not fit into {PREVIEW_BYTES} bytes")


def check_size(width: int, height: int) -> tuple[int, int]:
    """Return width and height; raise CameraError where no picture of a landscape could have them."""
    if min(width, height) < SMALLEST_SIDE_PX:
        raise CameraError(f"the camera sent {width}×{height} pixels, which is no picture")
    if width * height > MOST_PIXELS:
        raise CameraError(
            f"the camera sent {width}×{height} pixels, more than {MOST_PIXELS // 10**6} million"
        )
    return width, height


def _decode(jpeg: bytes, side_px: int) -> Image.Image:
    """Return the picture in RGB, already reduced by the decoder where it is much larger than `side_px`."""
    try:
        image = Image.open(io.BytesIO(jpeg), formats=["JPEG"])
        image.draft("RGB", (side_px, side_px))
        return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CameraError(f"the picture cannot be decoded: {error}") from error


def fit(size: tuple[int, int], side_px: int) -> tuple[int, int]:
    """Return the size reduced to a long side of `side_px`, never enlarged."""
    scale = min(1.0, side_px / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
