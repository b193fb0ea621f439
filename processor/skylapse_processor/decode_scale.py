"""Pixels of any size to the planes of a film's size: cropped, scaled, letter-boxed where shapes differ."""

from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from .decode import Pixels

Planes = NDArray[np.uint8]
"""Red, green and blue, shape (3, height, width)."""

_PLANE_ORDER = (2, 0, 1)
"""Where red, green and blue lie among FFmpeg's planes: it stores green, blue, red."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """A width and a height, in pixels."""

    width: int
    height: int


def crop(pixels: Pixels, aspect: float | None) -> Pixels:
    """Cut a picture about its centre to width ÷ height = aspect."""
    if aspect is None:
        return pixels
    height, width = pixels.shape[:2]
    columns, rows = min(width, round(height * aspect)), min(height, round(width / aspect))
    left, top = (width - columns) // 2, (height - rows) // 2
    return pixels[top : top + rows, left : left + columns]


def inside(width: int, height: int, box: Box) -> Box:
    """Return the largest size of this shape in the box; the box itself where that is off by rounding."""
    scale = min(box.width / width, box.height / height)
    fitted = Box(width=max(1, round(width * scale)), height=max(1, round(height * scale)))
    if abs(fitted.width - box.width) <= 2 and abs(fitted.height - box.height) <= 2:
        return box
    return fitted


class Scaler:
    """Scales pictures to one box; each thread has its own."""

    def __init__(self, box: Box) -> None:
        """Remember the box."""
        self._box = box
        self._reformatter = VideoReformatter()

    def planes(self, pixels: Pixels) -> Planes:
        """Return the picture in the box, with black bars where its shape differs."""
        height, width = pixels.shape[:2]
        size = inside(width, height, self._box)
        if (width, height) == (size.width, size.height):
            scaled = np.ascontiguousarray(pixels.transpose(2, 0, 1))
        else:
            scaled = self._scaled(pixels, size)
        if size == self._box:
            return scaled
        framed = np.zeros((3, self._box.height, self._box.width), dtype=np.uint8)
        left, top = (self._box.width - size.width) // 2, (self._box.height - size.height) // 2
        framed[:, top : top + size.height, left : left + size.width] = scaled
        return framed

    def _scaled(self, pixels: Pixels, size: Box) -> Planes:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        scaled = self._reformatter.reformat(
            frame,
            width=size.width,
            height=size.height,
            format="gbrp",
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP,
            threads=1,
        )
        planes = np.empty((3, size.height, size.width), dtype=np.uint8)
        for channel, place in enumerate(_PLANE_ORDER):
            plane = scaled.planes[place]
            rows = np.asarray(memoryview(plane)).reshape(-1, plane.line_size)
            planes[channel] = rows[: size.height, : size.width]
        return planes
