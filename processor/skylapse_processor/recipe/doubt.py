"""Exposures that are told and not true: where a picture denies what its record says.

Brightness less the exposure that is told is light, B = L − E. Light that changes shows in the pictures, and
so does an exposure that was really delivered. A lie shows in B and in E alone: E jumps, B jumps against it by
as much, and the picture stays as it was. Two kinds of jumps tell:

- *odd ones*: up to HALF frames in a row that stand ODD_EV or more off their neighbours' median in B, by a
  step and not by a slope, and less than half as far in L. Their exposure counts as unknown;
- *leaps*: B moves LEAP_EV or more from one frame to the next while L moves less than a third of that, with
  more frames beyond than a median reaches. What is told goes on from there, moved by the leap.

Both have to stand out of the film's own restlessness, so that a day of sun and cloud is none. A sensor that
measured light and answered it within one frame would look the same; as photographed, it looks well.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]
Mask = NDArray[np.bool_]

ODD_EV = 0.2
LEAP_EV = 0.8
HALF = 3
MOST_NAMED = 5
_STEPS_HALF = 2
_SIGMAS = 6 * 1.4826
_ODD_SHARE = 1 / 2
_STEEP_SHARE = 2 / 3
_LEAP_SHARE = 1 / 3
_SUSPECT = 1 / 2
_ROUNDS = 3
_FEWEST = 2 * HALF + 1


def suspicious(exposure: Curve, films: Sequence[slice]) -> bool:
    """Say whether exposures move as lies would, in any stretch without a gap: then pictures have to be asked.

    Shape (n,), in EV.
    """
    return any(
        len(told) >= _FEWEST
        and (
            np.abs(told - running_median(told, HALF)).max() > _SUSPECT * ODD_EV
            or np.abs(np.diff(told)).max() > LEAP_EV
        )
        for told in (exposure[film] for film in films)
    )


def believable(exposure: Curve, log_mean: Curve, films: Sequence[slice]) -> tuple[Curve, Mask]:
    """Return exposures in EV with NaN for odd ones and leaps taken back, and whose were denied; shapes (n,).

    What is unknown stays so. `films` are the stretches between gaps: across a gap, anything may happen.
    """
    told, denied = exposure.copy(), np.zeros(len(exposure), dtype=np.bool_)
    for film in films:
        rest = np.flatnonzero(np.isfinite(exposure[film])) + film.start
        for _ in range(_ROUNDS):
            odd = _odd_ones(exposure[rest], log_mean[rest])
            told[rest[odd]] = np.nan
            denied[rest[odd]] = True
            rest = rest[~odd]
        moved = _moved_by_leaps(exposure[rest], log_mean[rest])
        told[rest] += moved
        denied[rest] |= np.abs(moved) > LEAP_EV / 2
    return told, denied


def _odd_ones(exposure: Curve, log_mean: Curve) -> Mask:
    if len(exposure) < _FEWEST:
        return np.zeros(len(exposure), dtype=np.bool_)
    light = log_mean - exposure
    away = np.abs(light - running_median(light, HALF))
    shown = np.abs(log_mean - running_median(log_mean, HALF))
    steps = np.pad(np.abs(np.diff(light)), HALF)
    steepest = np.lib.stride_tricks.sliding_window_view(steps, 2 * HALF).max(axis=1)
    least = max(ODD_EV, _SIGMAS * float(np.median(away)))
    odd: Mask = (away > least) & (shown < _ODD_SHARE * away) & (steepest > _STEEP_SHARE * away)
    return odd


def _moved_by_leaps(exposure: Curve, log_mean: Curve) -> Curve:
    """Return what is to be added to exposures so that light takes no leap that the pictures deny."""
    if len(exposure) < _FEWEST:
        return np.zeros(len(exposure))
    steps = np.diff(log_mean - exposure)
    steps -= running_median(steps, _STEPS_HALF)
    shown = np.abs(np.diff(log_mean))
    least = max(LEAP_EV, _SIGMAS * float(np.median(np.abs(steps))))
    leaps = np.where((np.abs(steps) > least) & (shown < _LEAP_SHARE * np.abs(steps)), steps, 0.0)
    moved = np.concatenate([[0.0], np.cumsum(leaps)])
    usual = float(np.sort(moved)[len(moved) // 2])
    away: Curve = moved - usual
    return away


def in_words(film: str, count: int, denied: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Say of which pictures of a film the exposure was not believed: names and words."""
    if len(denied) == count:
        return ((film, "is levelled by its pictures: they do not show the exposures that are told of them"),)
    if len(denied) <= MOST_NAMED:
        words = "does not show the exposure that is told of it: levelled by the pictures around it"
        return tuple((name, words) for name in denied)
    named = ", ".join(denied[:MOST_NAMED])
    words = f"{len(denied)} of its {count} pictures do not show the exposure that is told of them: {named}, …"
    return ((film, words),)


def running_median(values: Curve, half: int) -> Curve:
    """Return the median about each value; near an end, the last whole window's, moved on by its slope."""
    width = 2 * half + 1
    windows = np.lib.stride_tricks.sliding_window_view(values, width)
    medians = np.median(windows, axis=1)
    slopes = np.median(np.diff(windows[[0, -1]], axis=1), axis=1)
    places = np.arange(half)
    before = medians[0] + slopes[0] * (places - half)
    after = medians[-1] + slopes[1] * (places + 1)
    running: Curve = np.concatenate([before, medians, after])
    return running
