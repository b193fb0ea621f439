"""Blend: each frame of the film gathers light for as long as a shutter would be open.

Theory
------
A film of a moving thing needs the blur that an open shutter gives: with 180° it is open for half the time
from one frame to the next, as in the cinema, with 360° for all of it. A timelapse photographs for a moment
out of each interval, so that people hop and clouds stutter. What the light did in between nobody saw; drawn
as a straight line from one picture to the next, its mean over the opening s (in intervals, s = angle ÷ 360°)
is a weighted mean of pictures, and the weight of the one at distance d from the middle is the part of its hat
that the opening covers:

    w(d) = 1/s · ∫ max(0, 1 − |t − d|) dt,  t from −s/2 to s/2

The weights add up to one; s → 0 gives the picture itself, 360° three quarters of it and an eighth of each
neighbour; beyond 360° more and more pictures count, as with a grey filter: water turns to silk. With `every`
n, n pictures make one frame of the film, the opening counts in its frames, and 360° is the mean of all that
were taken: no light is thrown away where a film has more pictures than it needs.

Of more pictures than memory should hold (`MOST_HELD`), evenly spread ones count: the mean of twenty shows
what that of a thousand does.

All of it happens in linear light, where light adds: the mean of values behind a tone curve makes highlights
grey. Pictures behind a gap in time (more than five intervals) are of another scene and do not count.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .layer import Layer, Light, Picture
from .plan import Plan, made

_GAP = 5.0
_LEAST = 1e-4
MOST_HELD = 40
"""Pictures of two frames of the film that are made at once: 250 MB at 1080p."""
_ROWS = 128
"""Rows at a time: what they need fits into the cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Blend(Layer):
    """Each picture is a weighted mean of those about it."""

    opening: float
    """How long the shutter is open, in intervals of the pictures below."""
    every: int
    gaps: tuple[int, ...]
    """Frames of the plan after which time jumps, ascending."""

    @property
    def by_rows(self) -> bool:
        """Few rows of many pictures are looked at at a time."""
        return True

    def count(self, below: int) -> int:
        """Return how many whole groups of `every` pictures there are."""
        return max(1, below // self.every)

    def needs(self, number: int, below: int) -> Sequence[int]:
        """Return the pictures that have a share in the opening."""
        middle, reach = self._middle(number), self.opening / 2 + 1
        first, past = int(np.floor(middle - reach)), int(np.ceil(middle + reach)) + 1
        seen = thinned(range(max(first, 0), min(past, below)), self.opening, self.every)
        return [each for each in seen if weight(each - middle, self.opening) > self._least] or [round(middle)]

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        """Return their weighted mean."""
        middle = self._middle(number)
        nearest = min(below, key=lambda picture: abs(picture.number - middle))
        block = bisect_left(self.gaps, nearest.frame)
        near = [picture for picture in below if bisect_left(self.gaps, picture.frame) == block]
        weights = [weight(picture.number - middle, self.opening) for picture in near]
        if sum(weights) <= self._least:
            near, weights = [nearest], [1.0]
        return replace(nearest, light=mean(near, weights), latent=None)

    @property
    def _least(self) -> float:
        return _LEAST / max(1.0, self.opening)

    def _middle(self, number: int) -> float:
        return number * self.every + (self.every - 1) / 2


def blend(plan: Plan, *, shutter_deg: float = 180.0, every: float = 1) -> Plan:
    """Return the plan with a shutter of this angle; `every` pictures make one frame of the film."""
    times = min(round(every), made(plan))
    gaps = tuple((np.flatnonzero(np.diff(plan.position) > _GAP)).tolist())
    layer = Blend(opening=shutter_deg / 360.0 * times, every=times, gaps=gaps)
    return replace(plan, layers=(*plan.layers, layer))


def thinned(seen: range, opening: float, every: float) -> list[int]:
    """Return evenly spread ones of the pictures of an opening, where they are too many to be held.

    Both lengths are in pictures; `every` is how far one frame of the film is from the next.
    """
    span = opening + 2
    step = math.ceil((span + min(every, span)) / MOST_HELD)
    return [each for each in seen if each % step == 0]


def weight(distance: float, opening: float) -> float:
    """Return the weight of a picture at a distance from the middle of the opening, both in intervals."""
    if opening < _LEAST:
        return max(0.0, 1.0 - abs(distance))
    half = opening / 2
    return (_area(half - distance) - _area(-half - distance)) / opening


def _area(until: float) -> float:
    """Return the area of the hat from −∞ to `until`."""
    until = min(1.0, max(-1.0, until))
    return 0.5 + until - 0.5 * until * abs(until)


def mean(pictures: Sequence[Picture], weights: Sequence[float]) -> Light:
    """Return the weighted mean of their light, made a few rows at a time."""
    total = sum(weights)
    columns, rows = pictures[0].size
    added = np.zeros((3, rows, columns), dtype=np.float32)
    for top in range(0, rows, _ROWS):
        part = slice(top, min(top + _ROWS, rows))
        for picture, share in zip(pictures, weights, strict=True):
            for channel, target in zip(picture.rows(part), added[:, part], strict=True):
                cv2.scaleAdd(channel, share / total, target, dst=target)
    return added
