"""Layers one upon the other: pictures of the highest are asked for in order, what lies below is made once.

Each level keeps what it made until no picture to come can need it: frames as the codes that they were decoded
to, what layers made of them in half precision (eleven bits of each value, more than eight bits of a tone
curve show), the highest, which nobody asks for twice, not at all. Threads may ask at once: who asks for a
picture that another thread is making waits for it, and since a picture waits for pictures of lower levels
alone, or for the one before it, nobody waits in a circle.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from .errors import CancelledError, PictureError
from .recipe.layer import Latent, Layer, Light, Picture, Sight, Size, halved

_LOOKERS = 2
_MOST_OF_A_PART = 36
"""Pictures that are looked at of a part of a film, if it has no more itself."""
_NOTHING: Light = np.empty((3, 0, 0), dtype=np.float32)

Source = Callable[[int, Size], Light | Latent]
"""The light of one frame of the plan at a size; raises PictureError or OSError where it cannot be had."""


class Stack:
    """All levels of one film."""

    def __init__(self, source: Source, count: int, size: Size, layers: Sequence[Layer]) -> None:
        """Remember; `layers` are prepared, the lowest first."""
        self._levels: list[_Level] = [_Frames(source, count, size)]
        for layer in layers:
            self._levels.append(_Made(layer, self._levels[-1]))
        self._lock = threading.Lock()
        self._next = 0
        self._done: set[int] = set()
        """Pictures that are made already, of those from the next one on."""

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
        level = self._levels[-1]
        return level.picture(number) if level.carries else replace(level.make(number), number=number)

    def reach(self, first: int, cancelled: Callable[[], bool]) -> None:
        """Make what pictures from `first` on carry with them; raise CancelledError to stop."""
        self._next = first
        if not any(level.carries for level in self._levels):
            return
        for number in range(first):
            if cancelled():
                raise CancelledError("cancelled")
            with contextlib.suppress(PictureError, OSError):
                self.picture(number)
            self.forget(number)

    def done(self, number: int) -> None:
        """Let go of what nobody needs any more, now that this picture is made or has failed."""
        with self._lock:
            self._done.add(number)
            while self._next in self._done:
                self._done.remove(self._next)
                self._next += 1
            before = self._next
        self.forget(before)

    def forget(self, before: int) -> None:
        """Let go of everything that only pictures before this one needed."""
        for level in reversed(self._levels):
            before = level.forget(before)


def prepared(
    source: Source,
    count: int,
    size: Size,
    layers: Sequence[Layer],
    *,
    film: Size | None = None,
    parts: Sequence[range] = (),
    looked: Callable[[int, int], None] = lambda *_: None,
) -> tuple[Layer, ...]:
    """Return the layers that have something to do, having looked at what small pictures below each show.

    `film` is the size of the film where `size`, that of the lowest layer, is larger. Where only `parts` of
    the film are to be made, no more is looked at than they need. `looked` is told how many pictures have been
    looked at, of how many; what it raises ends the looking.
    """
    looking = [layer for layer in layers if type(layer).prepare is not Layer.prepare]
    ready: list[Layer] = []
    with ThreadPoolExecutor(_LOOKERS, thread_name_prefix="look") as pool:
        for place, layer in enumerate(layers):
            columns = min(layer.sight_columns, size[0])
            small = columns, max(round(size[1] * columns / size[0]), 1)
            below, whole = Stack(source, count, small, ready), Stack(source, count, size, ready)
            before = sum(each in looking for each in layers[:place])

            def tell(number: int, before: int = before, below: Stack = below) -> None:
                looked(before * below.count + number + 1, len(looking) * below.count)

            view = _View(below, pool, tell)
            sight = Sight(
                count=below.count,
                picture=view.picture,
                size=whole.size,
                small=below.size,
                film=film or size,
                parts=_needed(parts, layers[place:], below.count),
            )
            made = layer.prepare(sight)
            if not made.idle:
                ready.append(made)
    return tuple(ready)


def _needed(parts: Sequence[range], layers: Sequence[Layer], count: int) -> tuple[range, ...]:
    """Return what parts of the highest layer are made of in the pictures below the lowest, ascending.

    Of many pictures that make few, those in the middle of each part.
    """
    if not layers:
        return tuple(sorted(parts, key=lambda part: part.start))
    lowest, *above = layers
    needed: list[range] = []
    for part in _needed(parts, above, lowest.count(count)):
        first, past = lowest.needs(part.start, count)[0], lowest.needs(part.stop - 1, count)[-1] + 1
        spare = max(past - first - max(len(part), _MOST_OF_A_PART), 0) // 2
        first = max(first + spare, needed[-1].stop if needed else 0)
        if first < past - spare:
            needed.append(range(first, past - spare))
    return tuple(needed)


class _View:
    """Small pictures in ascending order: what is likely to be asked for next is made ahead, in threads."""

    def __init__(self, below: Stack, pool: ThreadPoolExecutor, tell: Callable[[int], None]) -> None:
        self._below = below
        self._pool = pool
        self._tell = tell
        self._last = -1
        self._ahead: dict[int, Future[Picture]] = {}

    def picture(self, number: int) -> Picture:
        """Return one; raise PictureError or OSError where it cannot be had, and what `tell` raises."""
        self._tell(number)
        step = max(1, number - self._last)
        self._last = number
        for wanted in (number, number + step, number + 2 * step):
            if wanted < self._below.count and wanted not in self._ahead:
                self._ahead[wanted] = self._pool.submit(self._below.picture, wanted)
        for passed in [each for each in self._ahead if each < number]:
            self._ahead.pop(passed).cancel()
        made = self._ahead.pop(number)
        picture = made.result()
        self._below.forget(number)
        return picture


class _Level:
    """One level: makes each picture once, and keeps it."""

    def __init__(self, count: int, size: Size) -> None:
        self.count = count
        self.size = size
        self._kept: dict[int, Future[_Kept]] = {}
        self._lock = threading.Lock()

    @property
    def kept(self) -> int:
        return len(self._kept)

    @property
    def carries(self) -> bool:
        return False

    def picture(self, number: int, *, by_rows: bool = False) -> Picture:
        with self._lock:
            future = self._kept.get(number)
            mine = future is None
            if future is None:
                future = self._kept[number] = Future()
        if mine:
            try:
                future.set_result(self.made(number))
            except BaseException as error:  # noqa: BLE001 whoever asked hears of it, in every thread
                future.set_exception(error)
        return future.result().picture(by_rows=by_rows)

    def made(self, number: int) -> "_Kept":
        """Make a picture as it is kept."""
        picture = self.make(number)
        facts = replace(picture, number=number, light=_NOTHING)
        return _Kept(facts=facts, light=halved(picture.light))

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

    def made(self, number: int) -> "_Kept":
        light = self._source(number, self.size)
        picture = Picture(light=_NOTHING, number=number, frame=number)
        return _Kept(facts=picture, light=light if isinstance(light, Latent) else halved(light))

    def make(self, number: int) -> Picture:
        return self.made(number).picture()


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
                found.append(self._below.picture(needed, by_rows=self._layer.by_rows))
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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    """A picture as a level keeps it."""

    facts: Picture
    """Whose light is kept beside it."""
    light: Latent

    def picture(self, *, by_rows: bool = False) -> Picture:
        """Return the picture; with `by_rows` as it is kept."""
        if by_rows:
            return replace(self.facts, latent=self.light)
        return replace(self.facts, light=self.light.light())
