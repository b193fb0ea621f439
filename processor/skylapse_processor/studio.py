"""Pictures at the size of the film, for both passes of a render.

Where pictures are much larger than the film and their brightness has to be measured first, decoding is
most of the work: what the first pass brought to the film's size waits in a scratch file for the second.
The file has no name, so that nothing is left of it whatever happens, and a limit; beyond it, pictures are
decoded again.
"""

import itertools
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from . import decode
from .decode_scale import Box, Canvas, Scaler, crop, deep_planes, empty, inside
from .frames import RAW_SUFFIX, SourceFrame
from .measure import Brightness, Measurement, brightness, small
from .recipe.layer import Latent, Size
from .recipe.plan import Curve
from .recipe.window import Window
from .tone import SRGB, deep_table, linear_table

SCRATCH_BYTES = 768_000_000
_MUCH_LARGER = 2.5
_SAMPLES = 120_000
_DEEP_SUFFIXES = frozenset({RAW_SUFFIX, ".tif", ".tiff"})


class Scratch:
    """Canvases in a file, by the path of their picture."""

    def __init__(self, folder: Path, box: Box, limit_bytes: int = SCRATCH_BYTES) -> None:
        """Open the file, in a folder where there is one."""
        self._box = box
        self._slot_bytes = 3 * box.width * box.height
        self._slots = limit_bytes // self._slot_bytes
        self._next = itertools.count()
        self._places: dict[Path, int] = {}
        self._file = tempfile.TemporaryFile(dir=folder if folder.is_dir() else None)  # noqa: SIM115 - see close

    def close(self) -> None:
        """Give the room back."""
        self._file.close()

    def put(self, path: Path, canvas: Canvas) -> None:
        """Keep a canvas, if there is room."""
        slot = next(self._next)
        if slot >= self._slots:
            return
        try:
            data = np.stack(canvas.planes).tobytes()
            if os.pwrite(self._file.fileno(), data, slot * self._slot_bytes) == len(data):
                self._places[path] = slot
        except OSError:
            self._slots = 0

    def take(self, path: Path) -> Canvas | None:
        """Return a canvas that was kept; null where it was not."""
        slot = self._places.get(path)
        if slot is None:
            return None
        data = os.pread(self._file.fileno(), self._slot_bytes, slot * self._slot_bytes)
        canvas = empty(self._box)
        kept = np.frombuffer(data, dtype=np.uint8).reshape(3, self._box.height, self._box.width)
        for plane, channel in zip(canvas.planes, kept, strict=True):
            plane[:] = channel
        return canvas


class Studio:
    """Brings pictures to one box. Use as a context."""

    def __init__(self, size: tuple[int, int], window: Window, box: Box, scratch: Scratch | None) -> None:
        """Remember what most pictures are, and what the film is to be."""
        self.box = box
        self._size = size
        self._window = window
        self._scratch = scratch
        self._local = threading.local()

    def __enter__(self) -> Self:
        """Be ready."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give the scratch file back."""
        if self._scratch is not None:
            self._scratch.close()

    def canvas(self, frame: SourceFrame) -> Canvas:
        """Return a picture in the box; raise PictureError or OSError where it cannot be had."""
        kept = self._scratch.take(frame.path) if self._scratch is not None else None
        return kept or self._decoded(frame, self.box)

    def light(self, frame: SourceFrame) -> Brightness | Measurement:
        """Return the linear light of a picture; raise PictureError or OSError where it cannot be had."""
        if frame.measured is not None:
            return frame.measured
        curve = frame.facts.tone_curve if frame.facts else SRGB
        if self._scratch is None or frame.size != self._size:
            data = frame.path.read_bytes()
            return brightness(small(data, frame.name, decode.look(data, frame.name)), curve)
        canvas = self._decoded(frame, self.box)
        self._scratch.put(frame.path, canvas)
        stride = max(1, int((canvas.planes[0].size / _SAMPLES) ** 0.5))
        return brightness(np.stack([plane[::stride, ::stride] for plane in canvas.planes], axis=2), curve)

    def latent(self, frame: SourceFrame, gain_ev: Curve, size: Size) -> Latent:
        """Return a picture as linear light at a size, levelled by gains of shape (3,) in EV."""
        box = Box(width=size[0], height=size[1])
        curve = frame.facts.tone_curve if frame.facts else SRGB
        deep = self._deep(frame, box) if is_deep(frame) else None
        if deep is not None:
            return Latent(codes=deep, tables=np.outer(np.exp2(gain_ev), deep_table(curve)).astype(np.float32))
        canvas = self.canvas(frame) if box == self.box else self._decoded(frame, box)
        tables = np.outer(np.exp2(gain_ev), linear_table(curve)).astype(np.float32)
        return Latent(codes=canvas.planes, tables=tables)

    def adaptation(self, frame: SourceFrame) -> str:
        """Say what was done to a picture of another size than most; nothing where it has theirs."""
        if frame.size is None or frame.size == self._size:
            return ""
        width, height = frame.size
        return f"is {width} × {height} pixels, fitted into {self.box.width} × {self.box.height}"

    def _deep(self, frame: SourceFrame, box: Box) -> tuple[decode.DeepPixels, ...] | None:
        """Return a picture in sixteen bits in a box; null where it holds no more than eight."""
        data = frame.path.read_bytes()
        shape = decode.look(data, frame.name)
        pixels = decode.decode_deep(data, frame.name, shape, self._cover(shape, box))
        return None if pixels is None else deep_planes(crop(pixels, self._window), box)

    def _decoded(self, frame: SourceFrame, box: Box) -> Canvas:
        data = frame.path.read_bytes()
        shape = decode.look(data, frame.name)
        pixels = decode.decode(data, frame.name, cover=self._cover(shape, box), shape=shape)
        return self._scaler(box).canvas(crop(pixels, self._window))

    def _scaler(self, box: Box) -> Scaler:
        """Return this thread's scaler to a box."""
        if not hasattr(self._local, "scalers"):
            self._local.scalers = {}
        scalers: dict[Box, Scaler] = self._local.scalers
        if box not in scalers:
            scalers[box] = Scaler(box)
        return scalers[box]

    def _cover(self, shape: decode.Shape, box: Box) -> tuple[int, int]:
        """Return how large the whole picture has to be decoded to fill a box with what is shown of it."""
        _, _, width, height = self._window.of(shape.width, shape.height)
        fitted = inside(width, height, box)
        scale = min(1.0, max(fitted.width / width, fitted.height / height))
        return int(np.ceil(shape.width * scale)), int(np.ceil(shape.height * scale))


def is_deep(frame: SourceFrame) -> bool:
    """Tell whether a picture may hold more than eight bits: then it is not looked up as if it had no more."""
    return frame.path.suffix.lower() in _DEEP_SUFFIXES


def large_box(film: Box, shown: tuple[int, int], oversize: float) -> Box:
    """Return how large pictures are brought in, so that a step has room to cut a film of this box out."""
    scale = max(1.0, min(oversize, shown[0] / film.width, shown[1] / film.height))
    return Box(width=2 * round(film.width * scale / 2), height=2 * round(film.height * scale / 2))


def usual_size(frames: Sequence[SourceFrame]) -> tuple[int, int]:
    """Return the size that most pictures have."""
    return Counter(frame.size for frame in frames if frame.size).most_common(1)[0][0]


def worth_keeping(size: tuple[int, int], box: Box) -> bool:
    """Say whether decoding a picture twice costs more than keeping it."""
    return size[0] * size[1] > _MUCH_LARGER * box.width * box.height
