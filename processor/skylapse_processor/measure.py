"""One decode, all figures: what ingest measures, no render measures again.

Brightness is linear: the picture's codes go through the inverse of the sensor's tone curve, then BT.709
weights. The picture is decoded at one eighth in the DCT, where each pixel is already the mean of 8 × 8.
"""

import io
import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .decode import Pixels, Shape, decode, look
from .errors import PictureError
from .tone import LUMINANCE, SRGB, known, linear_table

THUMBNAIL_LONG_SIDE = 400
THUMBNAIL_BYTES = 20_000
_QUALITIES = (80, 70, 60, 45, 30, 15)
_DARKEST = 2.0**-20
_CLIPPED_HIGH, _CLIPPED_LOW = 253, 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Brightness:
    """The part of a measurement that levelling needs; its fields mean what they mean there."""

    log_mean: float
    red_ev: float
    blue_ev: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """Figures of one picture, and its thumbnail."""

    width: int
    """Of the picture as it is shown, after its orientation is honoured."""
    height: int
    log_mean: float
    """log2 of the linear mean luminance of the reference area, the whole picture; 0 is white."""
    red_ev: float
    """log2 of red's linear mean over green's: what white balance moves."""
    blue_ev: float
    clipped_high: float
    """Share of pixels, 0…1, with a channel at or above 253."""
    clipped_low: float
    """Share of pixels, 0…1, with all channels at or below 2."""
    sharpness: float
    """Variance of the Laplacian of the small picture's luma, in codes²; compare only with the same camera."""
    entropy: float
    """Of the luma histogram, bits."""
    colourfulness: float
    """Hasler and Süsstrunk (2003), in codes."""
    fingerprint: str
    """Difference hash of 64 bits, 16 hexadecimal digits: equal for a frozen camera."""
    thumbnail: bytes = field(default=b"", repr=False)
    """JPEG, long side ≤ 400 pixels, ≤ 20 KB."""


def measure(picture: bytes, name: str = "picture", *, tone_curve: str | None = SRGB) -> Measurement:
    """Return the figures of a JPEG; raise PictureError(name, why) for anything that is no whole JPEG."""
    shape = look(picture, name)
    if not shape.jpeg:
        raise PictureError(name, "is no JPEG")
    return measure_pixels(small(picture, name, shape), shape, tone_curve=tone_curve)


def small(picture: bytes, name: str, shape: Shape) -> Pixels:
    """Return the picture decoded small, still covering the thumbnail: what all figures are taken from."""
    scale = max(1 / 8, min(1.0, THUMBNAIL_LONG_SIDE / max(shape.width, shape.height)))
    cover = (math.ceil(shape.width * scale), math.ceil(shape.height * scale))
    return decode(picture, name, cover=cover, shape=shape)


def measure_pixels(pixels: Pixels, shape: Shape, *, tone_curve: str | None = SRGB) -> Measurement:
    """Return the figures of a picture that `small` decoded."""
    luma = _luma(pixels)
    light = brightness(pixels, known(tone_curve))
    brightest = np.asarray(cv2.max(cv2.max(pixels[..., 0], pixels[..., 1]), pixels[..., 2]))
    return Measurement(
        width=shape.width,
        height=shape.height,
        log_mean=light.log_mean,
        red_ev=light.red_ev,
        blue_ev=light.blue_ev,
        clipped_high=np.count_nonzero(brightest >= _CLIPPED_HIGH) / brightest.size,
        clipped_low=np.count_nonzero(brightest <= _CLIPPED_LOW) / brightest.size,
        sharpness=_sharpness(luma),
        entropy=_entropy(luma),
        colourfulness=_colourfulness(pixels),
        fingerprint=_fingerprint(luma),
        thumbnail=_thumbnail(pixels),
    )


def brightness(pixels: Pixels, tone_curve: str) -> Brightness:
    """Return the linear light of a picture that `small` decoded, from its histograms."""
    means = histograms(pixels) @ linear_table(tone_curve) / (pixels.shape[0] * pixels.shape[1])
    red, green, blue = (math.log2(max(float(mean), _DARKEST)) for mean in means)
    return Brightness(
        log_mean=math.log2(max(float(LUMINANCE @ means), _DARKEST)), red_ev=red - green, blue_ev=blue - green
    )


def histograms(pixels: Pixels) -> NDArray[np.float64]:
    """Return how often each code occurs in red, green and blue, shape (3, 256)."""
    counts = [cv2.calcHist([pixels], [channel], None, [256], [0.0, 256.0]) for channel in range(3)]
    return np.array(counts, dtype=np.float64).reshape(3, 256)


def _luma(pixels: Pixels) -> NDArray[np.float32]:
    """Return BT.601 luma, as a JPEG has it, 0…255."""
    weights = np.array([[0.299, 0.587, 0.114]], dtype=np.float32)
    return np.asarray(cv2.transform(pixels.astype(np.float32), weights), dtype=np.float32)


def _sharpness(luma: NDArray[np.float32]) -> float:
    if min(luma.shape) < 3:
        return 0.0
    return float(cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_32F)[1:-1, 1:-1])[1][0, 0] ** 2)


def _entropy(luma: NDArray[np.float32]) -> float:
    counts = np.ravel(cv2.calcHist([luma], [0], None, [256], [0.0, 256.0]))
    shares = counts[counts > 0] / luma.size
    return float(-(shares * np.log2(shares)).sum())


def _colourfulness(pixels: Pixels) -> float:
    opponents = np.array([[1.0, -1.0, 0.0], [0.5, 0.5, -1.0]], dtype=np.float32)
    means, deviations = cv2.meanStdDev(cv2.transform(pixels.astype(np.float32), opponents))
    return math.hypot(*deviations.ravel()) + 0.3 * math.hypot(*means.ravel())


def _fingerprint(luma: NDArray[np.float32]) -> str:
    grid = np.asarray(Image.fromarray(luma).resize((9, 8), Image.Resampling.BOX))
    bits = (grid[:, 1:] > grid[:, :-1]).ravel()
    return np.packbits(bits).tobytes().hex()


def _thumbnail(pixels: Pixels) -> bytes:
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL_LONG_SIDE, THUMBNAIL_LONG_SIDE), Image.Resampling.BICUBIC)
    return jpeg_within(image, THUMBNAIL_BYTES)


def jpeg_within(image: Image.Image, limit_bytes: int) -> bytes:
    """Return the best JPEG of a picture within a size; the smallest there is where none fits."""
    data = b""
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, optimize=True)
        data = buffer.getvalue()
        if len(data) <= limit_bytes:
            break
    return data
