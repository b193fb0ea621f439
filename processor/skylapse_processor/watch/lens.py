"""What stands before a camera's lens: evidence of one picture, and a state that only lasting evidence moves.

Told from the change of contrast in static textured tiles (`tiles.py` has the physics), at three scales:

- fog: the far tiles lose all scales alike and turn brighter, the near ones keep theirs;
- focus: all tiles lose, the fine scale far more than the coarse;
- dew: all tiles lose, the coarse scale less than the fine, but not as little as with a lens out of focus;
- droplets: a few tiles lose, the rest keeps; dirt is droplets that are there for days;
- aim: the texture itself has moved.

A fault is told once six of the last eight pictures show it, and taken back once at most two do: in between
all stays as it was told. Pictures count at most every four minutes. At night nothing is judged and nothing
changes: noise hides what a lens does to contrast.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from .aim import Shift, likeness, shift_between
from .baseline import Expected
from .drops import Mask, anomalies, standing
from .tiles import BRIGHT, COARSE, FINE, MIDDLE, Plane, Tiles

Fault = Literal["droplets", "dew", "fog", "dirt", "focus", "aim"]
Whole = Literal["dew", "fog", "focus", "aim"]
"""Faults of the whole picture."""

EVERY = timedelta(minutes=4)
"""Pictures that are nearer to one another count as one."""
LOWEST_DEG = -3.0
"""Elevation of the sun below which nothing is judged."""
_LAST, _ON, _OFF = 8, 6, 2
_FRESH = timedelta(hours=14)
"""Evidence older than this says nothing about now; an evening's counts in the morning."""
_DIRT_AFTER = timedelta(hours=36)
_LEAST_TILES = 10
_TEXTURED, _STATIC = -5.5, 0.35
_STANDS = 0.5
"""How much of the contrast of one picture a mean of many has kept where its texture stands still."""
_LOSS = -0.45
"""log2 of what is left of contrast where something is said about the whole picture."""
_FOCUS_RATIO = 0.37
"""Mean loss at the middle and the coarse scale over that at the fine one: 0.2–0.3 out of focus, ≥ 0.45 with
dew."""
_FOG_RATIO = 0.75
_FOG_SHARE, _FOG_ALONE = 0.18, 0.35
"""Share of textured tiles that must be lost: where they have turned brighter, and where they have not."""
_PALER_EV = 0.1
_MOVED = 0.008
"""Share of the long side."""
_FEW = 0.4
"""Share of tiles above which they are not a few discs."""
_TORN = 0.35
"""Share of the usual likeness to the reference."""
_CLEAR = 0.1
"""Share of odd tiles below which a picture may teach."""
_LEAST_DROPS = 2
_OWN = 4
"""Of the six of eight pictures in which a tile or one beside it is odd, so many show the tile itself."""

_AROUND = np.ones((3, 3), dtype=np.uint8)
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=np.uint8)

WORDS: dict[Fault, str] = {
    "droplets": "drops on the lens: a few places of the picture have been blurred for a while",
    "dew": "dew on the lens: the whole picture has lost contrast, its shapes are still there",
    "fog": "fog before the camera: what is far away has paled, what is near has not",
    "dirt": "dirt on the lens: the same places have been blurred for days",
    "focus": "out of focus: fine detail is gone from the whole picture, coarse shapes are as they were",
    "aim": "the camera has been turned: everything in the picture has moved to one side",
}
OBSTRUCTING = frozenset[Fault]({"droplets", "dew", "dirt"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What one picture shows of the lens."""

    at: datetime
    whole: Whole | None
    odd: Mask
    """By tile: whether it is not what it was; all false where the whole picture is not."""
    shift: Shift | None = None
    """How far the view has moved; null where it cannot be seen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lens:
    """What is known of one lens."""

    last: tuple[Evidence, ...] = ()
    """The newest evidence, oldest first."""
    active: frozenset[Whole] = frozenset()
    spots: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    """By tile: since when, in seconds from the epoch, it has been covered; 0 where it is not."""
    known: bool = False
    """Whether enough evidence has ever been seen."""

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong, the surest first: whatever most of the last pictures show."""
        found = [(self._count(kind), kind) for kind in self.active]
        told: list[Fault] = [kind for _count, kind in sorted(found, reverse=True)]
        if np.count_nonzero(self.spots) >= _LEAST_DROPS:
            now = self.last[-1].at.timestamp()
            since = self.spots[self.spots > 0]
            old = now - since >= _DIRT_AFTER.total_seconds()
            told += ["dirt"] if np.count_nonzero(old) >= _LEAST_DROPS else []
            told += ["droplets"] if np.count_nonzero(~old) >= _LEAST_DROPS else []
        return tuple(told)

    @property
    def seems_clear(self) -> bool:
        """Tell whether pictures of now may teach the baseline."""
        newest = self.last[-1] if self.last else None
        return not self.faults and (newest is None or (newest.whole is None and newest.odd.mean() < _CLEAR))

    def _count(self, kind: Whole) -> int:
        return sum(evidence.whole == kind for evidence in self.last)


def evidence_of(
    tiles: Tiles, expected: Expected, reference: Plane | None, recent: Plane | None, at: datetime
) -> Evidence | None:
    """Return what a picture shows of its lens; None where too few tiles are static and textured.

    `reference` is the sketch of clear days, `recent` that of the pictures just before.
    """
    textured = textured_tiles(tiles, expected, reference)
    if textured is None:
        return None
    middle, deviation = expected.middle, expected.deviation
    nothing = np.zeros(textured.shape, dtype=np.bool_)
    shift = None if reference is None else shift_between(reference, tiles.sketch)
    if shift is not None and max(abs(shift[0]), abs(shift[1])) > _MOVED:
        return Evidence(at=at, whole="aim", odd=nothing, shift=shift)
    whole = _whole(tiles.figures - middle, deviation, textured)
    if whole is not None:
        return Evidence(at=at, whole=whole, odd=nothing, shift=shift)
    odd = anomalies(tiles.figures, expected, textured)
    if reference is not None and recent is not None and reference.shape == recent.shape == tiles.sketch.shape:
        burnt = cv2.dilate(tiles.burnt.astype(np.uint8), _AROUND).astype(np.bool_)
        smooth = ~_steady(expected) & ~burnt
        odd |= smooth & standing(tiles.sketch, recent, reference, odd.shape)
    return Evidence(at=at, whole=None, odd=nothing if odd.mean() > _FEW else odd, shift=shift)


def textured_tiles(tiles: Tiles, expected: Expected, reference: Plane | None) -> Mask | None:
    """Return which tiles hold texture that stands still; None where they are too few.

    Clouds and waves may have a steady contrast for days, but in the mean of many pictures they average away.
    What white hides is not looked at.
    """
    middle = expected.middle
    if middle.shape != tiles.figures.shape:
        return None
    textured: Mask = _steady(expected) & ~tiles.burnt & _stands_still(middle[MIDDLE], reference)
    return textured if textured.sum() >= _LEAST_TILES else None


def _steady(expected: Expected) -> Mask:
    """Return which tiles always have about the same contrast."""
    middle, deviation = expected.middle, expected.deviation
    steady: Mask = (middle[FINE] > _TEXTURED) & (deviation[FINE] < _STATIC) & (deviation[MIDDLE] < _STATIC)
    return steady


def _stands_still(contrast: Plane, reference: Plane | None) -> Mask:
    """Return where the reference has kept the contrast of a single picture, log2 of its deviation."""
    if reference is None:
        return np.zeros(contrast.shape, dtype=np.bool_)
    size = (contrast.shape[1], contrast.shape[0])
    power = np.asarray(cv2.resize(reference * reference, size, interpolation=cv2.INTER_AREA))
    return power.reshape(contrast.shape) > (_STANDS * np.exp2(contrast)) ** 2


def is_torn(tiles: Tiles, expected: Expected, reference: Plane, usual_likeness: float) -> bool:
    """Tell whether the view is all there but nothing is in its place: it is neither hidden nor moved."""
    textured = textured_tiles(tiles, expected, reference)
    if textured is None or likeness(reference, tiles.sketch) > _TORN * usual_likeness:
        return False
    kept = np.median((tiles.figures - expected.middle)[FINE][textured]) > _LOSS
    return bool(kept and shift_between(reference, tiles.sketch) is None)


def _whole(change: Plane, deviation: Plane, textured: Mask) -> Whole | None:
    """Tell fog, focus and dew apart; all of `change` is log2 of what is left."""
    fine, middle, coarse = (change[scale][textured] for scale in (FINE, MIDDLE, COARSE))
    noise = 3.0 * deviation[FINE][textured]
    gone = fine < np.minimum(_LOSS, -noise)
    if gone.mean() >= _FOG_SHARE and _is_fog(change, textured, gone):
        return "fog"
    typical, kept = np.median(fine), np.percentile(fine, 80)
    if typical > min(_LOSS, -float(np.median(noise))) or kept > 0.4 * typical:
        return None
    ratio = (np.median(middle) + np.median(coarse)) / (2.0 * typical)
    return "focus" if ratio < _FOCUS_RATIO else "dew"


def _is_fog(change: Plane, textured: Mask, gone: Mask) -> bool:
    """Tell whether the tiles that lost contrast lost it at all scales, and turned brighter or are many."""
    fine, coarse, bright = (change[scale][textured] for scale in (FINE, COARSE, BRIGHT))
    lost = fine[gone]
    alike = np.median(coarse[gone]) / np.median(lost) >= _FOG_RATIO
    brighter = gone.all() or np.median(bright[gone]) > np.median(bright[~gone]) + _PALER_EV
    return bool(alike and (brighter or gone.mean() >= _FOG_ALONE))


def step(lens: Lens, evidence: Evidence) -> Lens:
    """Return what is known after one more picture."""
    shape = evidence.odd.shape
    kept = [old for old in lens.last if evidence.at - old.at < _FRESH and old.odd.shape == shape]
    last = (*kept, evidence)[-_LAST:]
    spots = lens.spots if lens.spots.shape == shape else np.zeros(shape)
    return Lens(
        last=last,
        active=_active(lens.active, last),
        spots=_spots(spots, last),
        known=lens.known or len(last) >= _ON,
    )


def _active(before: frozenset[Whole], last: tuple[Evidence, ...]) -> frozenset[Whole]:
    kinds: tuple[Whole, ...] = ("dew", "fog", "focus", "aim")
    counts = {kind: sum(evidence.whole == kind for evidence in last) for kind in kinds}
    if counts["aim"] >= _ON and not _moved_together(last):
        counts["aim"] = 0
    on = {kind for kind in kinds if counts[kind] >= _ON}
    enough = len(last) >= _ON
    return frozenset(on | {kind for kind in before if not enough or counts[kind] > _OFF})


def _moved_together(last: tuple[Evidence, ...]) -> bool:
    """Tell whether the view has moved to one side: wind moves it to and fro."""
    shifts = np.array([evidence.shift for evidence in last if evidence.shift is not None])
    return bool(np.abs(np.median(shifts, axis=0)).max() > _MOVED)


def _spots(before: NDArray[np.float64], last: tuple[Evidence, ...]) -> NDArray[np.float64]:
    judged = [evidence for evidence in last if evidence.whole is None]
    if len(judged) < _ON:
        return before
    odd = np.array([evidence.odd for evidence in judged], dtype=np.uint8)
    counts = odd.sum(axis=0)
    around = np.sum([cv2.dilate(one, _CROSS) for one in odd], axis=0)
    now = last[-1].at.timestamp()
    fresh = (counts >= _OWN) & (around >= _ON) & (before == 0)
    return np.where(counts <= _OFF, 0.0, np.where(fresh, now, before))
