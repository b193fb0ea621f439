"""Layers upon layers: each picture is made once, broken ones are missing, nothing piles up."""

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pytest

from skylapse_processor.errors import CancelledError, PictureError
from skylapse_processor.recipe.layer import Layer, Light, Picture, Sight, Size
from skylapse_processor.stack import Stack, prepared

SIZE = (64, 36)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mean(Layer):
    """The mean of a picture and its neighbours."""

    radius: int = 1

    def needs(self, number: int, below: int) -> Sequence[int]:
        return range(max(number - self.radius, 0), min(number + self.radius + 1, below))

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        middle = min(below, key=lambda picture: abs(picture.number - number))
        return replace(middle, light=np.mean([picture.light for picture in below], axis=0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Brightest(Layer):
    """The brightest light so far."""

    @property
    def carries(self) -> bool:
        return True

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        return below[0]

    def carry(self, number: int, below: Sequence[Picture], before: Picture) -> Picture:
        return replace(below[0], light=np.maximum(before.light, below[0].light))


@dataclass(frozen=True, kw_only=True, slots=True)
class Levelled(Layer):
    """Brought to the mean of the whole film, which it looked for before."""

    mean: float = 0.0

    def prepare(self, sight: Sight) -> Layer:
        assert sight.size == SIZE
        return Levelled(
            mean=float(np.mean([sight.picture(number).light.mean() for number in range(sight.count)]))
        )

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        return replace(below[0], light=below[0].light * np.float32(self.mean / below[0].light.mean()))


class Frames:
    """Flat pictures, each as bright as its number."""

    def __init__(self, broken: frozenset[int] = frozenset()) -> None:
        self.asked: Counter[int] = Counter()
        self._broken = broken
        self._lock = threading.Lock()

    def __call__(self, number: int, size: Size) -> Light:
        with self._lock:
            self.asked[number] += 1
        if number in self._broken:
            raise PictureError(f"{number}.jpg", "is damaged")
        return np.full((3, size[1], size[0]), float(number), dtype=np.float32)


def brightness(stack: Stack) -> list[float]:
    """What a film made by two threads shows."""
    with ThreadPoolExecutor(2) as pool:
        shown = []
        for number, picture in enumerate(pool.map(stack.picture, range(stack.count))):
            shown.append(float(picture.light.mean()))
            assert picture.number == number
            stack.forget(number)
        return shown


def test_each_picture_is_made_once_of_what_it_needs() -> None:
    frames = Frames()
    stack = Stack(frames, 8, SIZE, [Mean(), Mean(radius=2)])
    means = np.array([0.5, 1, 2, 3, 4, 5, 6, 6.5])
    expected = [means[max(n - 2, 0) : n + 3].mean() for n in range(8)]
    assert brightness(stack) == pytest.approx(expected, abs=0.01)
    assert set(frames.asked.values()) == {1}


def test_a_broken_frame_is_missing_and_where_nothing_is_left_the_reason_is_told() -> None:
    stack = Stack(Frames(frozenset({3, 4, 5})), 8, SIZE, [Mean()])
    assert stack.picture(2).light.mean() == pytest.approx(1.5)
    with pytest.raises(PictureError, match="is damaged"):
        stack.picture(4)
    assert stack.picture(6).light.mean() == pytest.approx(6.5)


def test_a_layer_that_carries_goes_on_where_a_frame_is_broken() -> None:
    stack = Stack(Frames(frozenset({2})), 5, SIZE, [Brightest()])
    assert brightness(stack) == [0, 1, 1, 3, 4]


def test_a_stretch_of_a_film_is_the_same_alone() -> None:
    whole = Stack(Frames(), 12, SIZE, [Mean(), Brightest()])
    alone = Stack(Frames(), 12, SIZE, [Mean(), Brightest()])
    alone.reach(7, lambda: False)
    assert alone.kept <= 12
    assert brightness(whole)[7:] == [float(alone.picture(number).light.mean()) for number in range(7, 12)]


def test_a_stretch_far_into_a_film_that_carries_is_reached_and_can_be_cancelled() -> None:
    stack = Stack(Frames(), 2000, SIZE, [Brightest()])
    stack.reach(1990, lambda: False)
    assert stack.picture(1990).light.mean() == 1990
    with pytest.raises(CancelledError):
        Stack(Frames(), 2000, SIZE, [Brightest()]).reach(1990, lambda: True)


def test_a_layer_may_look_at_the_layers_below_it_before() -> None:
    layers = prepared(Frames(), 5, SIZE, [Mean(), Levelled()])
    assert brightness(Stack(Frames(), 5, SIZE, layers)) == pytest.approx([2.0] * 5, abs=0.01)


def test_what_no_picture_can_need_any_more_is_let_go() -> None:
    stack = Stack(Frames(), 400, SIZE, [Mean(), Brightest(), Mean(radius=3)])
    kept = []
    for number in range(stack.count):
        stack.picture(number)
        stack.forget(number)
        kept.append(stack.kept)
    assert max(kept) <= 32
