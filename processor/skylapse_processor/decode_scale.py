"""Pixels of any size to the planes of a film's size: cropped, scaled, letter-boxed where shapes differ."""

from dataclasses import dataclass

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from .decode import AnyPixels, DeepPixels, Pixels
from .recipe.window import Window

Plane = NDArray[np.uint8]
"""One channel, shape (height, width); its rows may lie apart."""

Planes = tuple[Plane, Plane, Plane]
"""Red, green and blue."""

_PLANE_ORDER = (2, 0, 1)
"""Where red, green and blue lie among FFmpeg's planes: it stores green, blue, red."""
_ROUNDED_PX, _ROUNDED = 4, 0.01
"""How much of a picture may be cut off where its shape and a box's differ by no more than rounding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """A width and a height, in pixels."""

    width: int
    height: int


def crop(pixels: AnyPixels, window: Window) -> AnyPixels:
    """Cut out of a picture what the film shows of it."""
    height, width = pixels.shape[:2]
    left, top, columns, rows = window.of(width, height)
    return pixels[top : top + rows, left : left + columns]


def inside(width: int, height: int, box: Box) -> Box:
    """Return the largest size of this shape in the box; the box itself where its shape is off by rounding."""
    if _fills(width, height, box):
        return box
    scale = min(box.width / width, box.height / height)
    return Box(width=max(1, round(width * scale)), height=max(1, round(height * scale)))


def _fills(width: int, height: int, box: Box) -> bool:
    """Say whether a picture that covers the box sticks out by no more than even sides and layers round."""
    scale = _covering(width, height, box)
    return all(
        length * scale - side <= max(_ROUNDED_PX, _ROUNDED * side)
        for length, side in ((width, box.width), (height, box.height))
    )


def _covering(width: int, height: int, box: Box) -> float:
    return max(box.width / width, box.height / height)


def _cut(pixels: AnyPixels, box: Box) -> AnyPixels:
    """Leave out at its edges what of a picture sticks out of the box that it is to cover."""
    height, width = pixels.shape[:2]
    scale = _covering(width, height, box)
    columns, rows = min(width, round(box.width / scale)), min(height, round(box.height / scale))
    left, top = (width - columns) // 2, (height - rows) // 2
    return pixels[top : top + rows, left : left + columns]


def deep_planes(pixels: DeepPixels, box: Box) -> tuple[DeepPixels, ...]:
    """Return a picture in the box as planes of sixteen bits, with black bars where its shape differs."""
    size = inside(pixels.shape[1], pixels.shape[0], box)
    if size == box:
        pixels = _cut(pixels, box)
    smaller = size.width < pixels.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    scaled = np.asarray(cv2.resize(pixels, (size.width, size.height), interpolation=way), dtype=np.uint16)
    left, top = (box.width - size.width) // 2, (box.height - size.height) // 2
    planes = np.zeros((3, box.height, box.width), dtype=np.uint16)
    planes[:, top : top + size.height, left : left + size.width] = np.moveaxis(scaled, 2, 0)
    return tuple(planes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Canvas:
    """One picture at the film's size: FFmpeg's frame, and its memory as arrays that may be written to."""

    frame: av.VideoFrame
    planes: Planes


def empty(box: Box) -> Canvas:
    """Return a canvas whose pixels are yet to be written."""
    return _canvas(av.VideoFrame(box.width, box.height, "gbrp"))


class Scaler:
    """Scales pictures to one box; each thread has its own."""

    def __init__(self, box: Box) -> None:
        """Remember the box."""
        self._box = box
        self._reformatter = VideoReformatter()

    def canvas(self, pixels: Pixels) -> Canvas:
        """Return the picture in the box, with black bars where its shape differs."""
        height, width = pixels.shape[:2]
        size = inside(width, height, self._box)
        if size == self._box:
            pixels = _cut(pixels, size)
            height, width = pixels.shape[:2]
        if size == self._box and (width, height) != (size.width, size.height):
            return _canvas(self._scaled(pixels, size))
        canvas = empty(self._box)
        left, top = (self._box.width - size.width) // 2, (self._box.height - size.height) // 2
        scaled = None if (width, height) == (size.width, size.height) else _canvas(self._scaled(pixels, size))
        for channel, plane in enumerate(canvas.planes):
            if size != self._box:
                plane[:] = 0
            place = plane[top : top + size.height, left : left + size.width]
            if scaled is None:
                cv2.extractChannel(pixels, channel, place)
            else:
                place[:] = scaled.planes[channel]
        return canvas

    def _scaled(self, pixels: Pixels, size: Box) -> av.VideoFrame:
        return self._reformatter.reformat(
            av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(pixels), format="rgb24"),
            width=size.width,
            height=size.height,
            format="gbrp",
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP,
            threads=1,
        )


def _canvas(frame: av.VideoFrame) -> Canvas:
    red, green, blue = (_view(frame, place) for place in _PLANE_ORDER)
    return Canvas(frame=frame, planes=(red, green, blue))


def _view(frame: av.VideoFrame, place: int) -> Plane:
    plane = frame.planes[place]
    rows: Plane = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height, : frame.width]
