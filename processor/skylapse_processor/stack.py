"""Layers one upon the other: pictures of the highest are asked for in order, what lies below is made once.

Each level keeps what it made until no picture to come can need it, in half precision (eleven bits of each
value, more than eight bits of a tone curve show). Threads may ask at once: who asks for a picture that
another thread is making waits for it, and since a picture waits for pictures of lower levels alone, or for
the one before it, nobody waits in a circle.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace

import numpy as np

from .errors import CancelledError, PictureError
from .recipe.layer import Layer, Light, Picture, Sight, Size

Source = Callable[[int, Size], Light]
"""The light of one frame of the plan at a size; raises PictureError or OSError where it cannot be had."""


class Stack:
    """All levels of one film."""

    def __init__(self, source: Source, count: int, size: Size, layers: Sequence[Layer]) -> None:
        """Remember; `layers` are prepared, the lowest first."""
        self._levels: list[_Level] = [_Frames(source, count, size)]
        for layer in layers:
            self._levels.append(_Made(layer, self._levels[-1]))

    @property
    def count(self) -> int:
        """How many pictures the film has."""
        return self._levels[-1].count

    @property
    def size(self) -> Size:
        """Their size."""
        return self._levels[-1].size

    @property
    def kept(self) -> int:
        """How many pictures it holds."""
        return sum(level.kept for level in self._levels)

    def picture(self, number: int) -> Picture:
        """Return one picture of the film; raise PictureError or OSError where all it is made of is broken."""
        return self._levels[-1].picture(number)

    def reach(self, first: int, cancelled: Callable[[], bool]) -> None:
        """Make what pictures from `first` on carry with them; raise CancelledError to stop."""
        if not any(level.carries for level in self._levels):
            return
        for number in range(first):
            if cancelled():
                raise CancelledError("cancelled")
            with contextlib.suppress(PictureError, OSError):
                self.picture(number)
            self.forget(number)

    def forget(self, before: int) -> None:
        """Let go of everything that only pictures before this one needed."""
        for level in reversed(self._levels):
            before = level.forget(before)


def prepared(source: Source, count: int, size: Size, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the layers, each having looked at what the small pictures of those below it show."""
    ready: list[Layer] = []
    for layer in layers:
        columns = min(layer.sight_columns, size[0])
        small = columns, max(round(size[1] * columns / size[0]), 1)
        below, whole = Stack(source, count, small, ready), Stack(source, count, size, ready)

        def look(number: int, below: Stack = below) -> Picture:
            picture = below.picture(number)
            below.forget(number)
            return picture

        ready.append(layer.prepare(Sight(count=below.count, picture=look, size=whole.size, small=below.size)))
    return tuple(ready)


class _Level:
    """One level: makes each picture once, and keeps it."""

    def __init__(self, count: int, size: Size) -> None:
        self.count = count
        self.size = size
        self._kept: dict[int, Future[Picture]] = {}
        self._lock = threading.Lock()

    @property
    def kept(self) -> int:
        return len(self._kept)

    @property
    def carries(self) -> bool:
        return False

    def picture(self, number: int) -> Picture:
        with self._lock:
            future = self._kept.get(number)
            mine = future is None
            if future is None:
                future = self._kept[number] = Future()
        if mine:
            try:
                future.set_result(_kept(self.make(number), number))
            except BaseException as error:  # noqa: BLE001 whoever asked hears of it, in every thread
                future.set_exception(error)
        kept = future.result()
        return replace(kept, light=kept.light.astype(np.float32))

    def make(self, number: int) -> Picture:
        raise NotImplementedError

    def forget(self, before: int) -> int:
        """Let go of pictures before this one; return the first that is needed of the level below."""
        with self._lock:
            for number in [number for number in self._kept if number < before]:
                del self._kept[number]
        return before


class _Frames(_Level):
    """The lowest level: the frames of the plan."""

    def __init__(self, source: Source, count: int, size: Size) -> None:
        super().__init__(count, size)
        self._source = source

    def make(self, number: int) -> Picture:
        return Picture(light=self._source(number, self.size), number=number, frame=number)


class _Made(_Level):
    """A level that a layer makes of the one below."""

    def __init__(self, layer: Layer, below: _Level) -> None:
        super().__init__(layer.count(below.count), layer.size(below.size))
        self._layer = layer
        self._below = below

    @property
    def carries(self) -> bool:
        return self._layer.carries

    def make(self, number: int) -> Picture:
        before = self.picture(number - 1) if self._layer.carries and number else None
        found: list[Picture] = []
        broken: PictureError | OSError | None = None
        for needed in self._layer.needs(number, self._below.count):
            try:
                found.append(self._below.picture(needed))
            except (PictureError, OSError) as error:
                broken = error
        if not found and before is not None:
            return before
        if not found and broken is not None:
            raise broken
        if before is not None:
            return self._layer.carry(number, found, before)
        return self._layer.make(number, found)

    def forget(self, before: int) -> int:
        super().forget(before - 1 if self._layer.carries else before)
        if before >= self.count:
            return self._below.count
        return self._layer.needs(before, self._below.count)[0]


def _kept(picture: Picture, number: int) -> Picture:
    """Return a picture as a level keeps it."""
    return replace(picture, light=picture.light.astype(np.float16), number=number)
