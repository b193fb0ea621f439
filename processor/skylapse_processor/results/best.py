"""The best frames of a day: first what is good enough, then what differs from what was chosen already.

By what ingest measured alone; no picture is decoded. A frame is good enough where it is about as sharp as
the camera can be, neither white nor black, and not an even grey. Its quality is how colourful, sharp and
detailed it is among the frames of its day. The best is the first that is chosen. The others follow one after
another, each the best product of how it stands out in its part of the day and distance from those chosen
before: distance in time of day, light, colour and composition (farthest point first; Gonzalez 1985). In its
part of the day, for beside a blue noon no sunrise is sharp, and few are as colourful; what is poor in its
whole day, as a grey dusk, counts a little less.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skylapse_processor.measure import Measurement

BEST = 6
MOST = 4000
"""So many frames of a day are looked at, evenly spread."""

_SHARP = 0.5
_DARKEST_EV, _BRIGHTEST_EV = -7.0, -0.7
_CLIPPED_HIGH, _CLIPPED_LOW = 0.08, 0.35
_FEWEST_BITS = 3.0
_CLOSEST = 0.12
_FARTHEST = 3.0
"""What is this far from all others is different enough: quality alone decides among such."""
_BESIDE_S = 5400.0
"""Frames that were taken within so long of one are its part of the day."""
_WHOLE_DAY = 0.25
_HOURS = 3.0
_STOPS = 4.0
_CODES = 40.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A frame that was measured."""

    name: str
    at_s: float
    measured: Measurement


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """One of the best."""

    name: str
    score: float
    """Its quality, 0…1."""


def choose(candidates: Sequence[Candidate], count: int = BEST) -> tuple[Chosen, ...]:
    """Return up to `count` frames, the best first; fewer where others would only repeat them."""
    spread = list(candidates)[:: max(1, -(-len(candidates) // MOST))]
    usual = float(np.median([each.measured.sharpness for each in spread])) if spread else 0.0
    good = [each for each in spread if _is_good(each.measured, usual)]
    if not good:
        return ()
    quality, looks = _quality(good), _looks(good)
    worth = _quality(good, _BESIDE_S) * quality**_WHOLE_DAY
    order = [int(np.argmax(quality))]
    nearest = np.linalg.norm(looks - looks[order[0]], axis=1)
    while len(order) < min(count, len(good)):
        gain = worth * np.minimum(nearest, _FARTHEST) * (nearest > _CLOSEST)
        following = int(np.argmax(gain))
        if gain[following] <= 0.0:
            break
        order.append(following)
        nearest = np.minimum(nearest, np.linalg.norm(looks - looks[following], axis=1))
    return tuple(
        Chosen(name=good[index].name, score=round(float(quality[index]), 4))
        for index in sorted(order, key=lambda index: -quality[index])
    )


def _is_good(measured: Measurement, usual_sharpness: float) -> bool:
    return (
        measured.sharpness >= _SHARP * usual_sharpness
        and _DARKEST_EV <= measured.log_mean <= _BRIGHTEST_EV
        and measured.clipped_high <= _CLIPPED_HIGH
        and measured.clipped_low <= _CLIPPED_LOW
        and measured.entropy >= _FEWEST_BITS
    )


def _quality(frames: Sequence[Candidate], within_s: float = math.inf) -> NDArray[np.float64]:
    """Return 0…1 a frame: its mean rank in colour, sharpness and detail, less for what is clipped.

    It is ranked among the frames that were taken within so long of it.
    """
    at_s = np.array([each.at_s for each in frames])
    colour, sharp, detail = (
        _ranks(np.array([getattr(each.measured, name) for each in frames]), at_s, within_s)
        for name in ("colourfulness", "sharpness", "entropy")
    )
    clipped = np.array([each.measured.clipped_high + each.measured.clipped_low for each in frames])
    return (0.5 * colour + 0.25 * sharp + 0.25 * detail) * np.exp(-4.0 * clipped)


def _ranks(values: NDArray[np.float64], at_s: NDArray[np.float64], within_s: float) -> NDArray[np.float64]:
    """Return where each value stands among those beside it, 0…1, equals at the same place."""
    order = np.argsort(at_s)
    values, at_s = values[order], at_s[order]
    first = np.searchsorted(at_s, at_s - within_s)
    past = np.searchsorted(at_s, at_s + within_s, side="right")
    ranks = np.empty(len(values))
    for place, number in enumerate(order):
        beside = values[first[place] : past[place]]
        below = np.count_nonzero(beside < values[place]) + np.count_nonzero(beside <= values[place])
        ranks[number] = below / (2 * len(beside))
    return ranks


def _looks(frames: Sequence[Candidate]) -> NDArray[np.float64]:
    """Return each frame as a point: near ones would look alike to a visitor."""
    hashes = np.array(
        [np.unpackbits(np.frombuffer(bytes.fromhex(f.measured.fingerprint), np.uint8)) for f in frames]
    )
    return np.column_stack(
        [
            np.array([each.at_s for each in frames]) / 3600.0 / _HOURS,
            np.array([each.measured.log_mean for each in frames]) / _STOPS,
            np.array([each.measured.red_ev - each.measured.blue_ev for each in frames]) / _STOPS,
            np.array([each.measured.colourfulness for each in frames]) / _CODES,
            hashes / 64.0**0.5,
        ]
    )
