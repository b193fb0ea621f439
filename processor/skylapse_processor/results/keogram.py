"""Keogram of a day: one column a frame, out of the middle of each picture, put where its time is.

Time goes on evenly from left to right, so a gap in the frames is a gap in the picture. A column stands for
the time around its frame: up to three quarters of the interval at which frames came just then. Beyond that
nothing was seen, and the picture says so. Columns are means in linear light of the middle columns of a
frame (Eather et al. 1976, "Keogram": the meridian of an all-sky picture against time).

Where the exposure of frames is known it is levelled as in films (`recipe/deflicker.py`): each column is taken
from the exposure that its frame had to a smooth curve through those about it, in linear light, and white
balance likewise. What the camera changed in steps is gone; clouds, dusk and night stay as they were seen.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from skylapse_processor import tone
from skylapse_processor.decode import Pixels
from skylapse_processor.recipe.look import shoulder
from skylapse_processor.recipe.smooth import target

from .ledger import ROWS, Column, Columns

WIDEST = 2880
"""Columns of a picture: half a minute each over a whole day."""
NARROWEST = 480
GAP = (20, 20, 26)
"""Red, green and blue where nothing was seen."""

_BAND = 0.004
"""The middle band is so much of the width to each side."""
_REACH = 0.75
_NEIGHBOURS = 4
_SHORTEST_S = 0.5
_LONE_S = 60.0
"""The interval of a frame without neighbours."""
_LEVEL_S = 720.0
_LEVEL_FRAMES = (6.0, 32.0)
"""Width of the target's Gaussian: so long, but no fewer and no more frames."""
_UNCHANGED_EV = 1e-3
_BRIGHTEST = 2.0
"""Linear light that the shoulder brings back to white; what is raised beyond it is white."""
_ROOTS = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Keogram:
    """A picture over time."""

    pixels: Pixels
    """Shape (ROWS, width, 3)."""
    seen: NDArray[np.bool_]
    """Which columns stand for a frame, shape (width,)."""
    start_s: float
    """Time at its left edge, seconds since 1970."""
    end_s: float
    """Time at its right edge."""


def column(pixels: Pixels, tone_curve: str) -> Column:
    """Return the middle of a picture as one column, averaged in linear light."""
    middle, aside = pixels.shape[1] // 2, max(1, round(pixels.shape[1] * _BAND))
    band = pixels[:, max(middle - aside, 0) : middle + aside + 1]
    linear = np.take(tone.linear_table(tone_curve).astype(np.float32), band).mean(axis=1)
    fitted = cv2.resize(linear[:, None], (1, ROWS), interpolation=_way(len(linear)))
    codes = tone.encode(tone_curve, fitted.reshape(ROWS, 3)) * 255
    return np.round(codes).astype(np.uint8)


def draw(columns: Columns) -> Keogram:
    """Draw at least one column; a picture of few is stretched so that it can be seen."""
    interval = intervals_s(columns.at_s)
    start = float(columns.at_s[0] - interval[0] / 2)
    end = float(columns.at_s[-1] + interval[-1] / 2)
    step = max((end - start) / WIDEST, float(np.percentile(interval, 10)))
    width = max(1, math.ceil((end - start) / step - 1e-6))
    centres = start + (np.arange(width) + 0.5) * (end - start) / width
    nearest = _nearest(columns.at_s, centres)
    away = np.abs(columns.at_s[nearest] - centres)
    seen = away <= _REACH * np.maximum(interval[nearest], step)
    pixels = np.empty((ROWS, width, 3), dtype=np.uint8)
    pixels[:] = GAP
    shown, places = np.unique(nearest[seen], return_inverse=True)
    pixels[:, seen] = levelled(columns, shown)[places].transpose(1, 0, 2)
    wider = max(1, NARROWEST // width)
    return Keogram(
        pixels=np.repeat(pixels, wider, axis=1), seen=np.repeat(seen, wider), start_s=start, end_s=end
    )


def levelled(columns: Columns, shown: NDArray[np.intp]) -> Pixels:
    """Return some columns, in order of time, as they would be had the camera been exposed smoothly."""
    pixels = columns.pixels[shown]
    gains = _gains_ev(columns, shown)
    moved = np.abs(gains).max(axis=1) > _UNCHANGED_EV
    if not moved.any():
        return pixels
    even = pixels.copy()
    white = float(np.clip(np.exp2(gains.max()), 1.0, _BRIGHTEST))
    curves = columns.tone_curve[shown]
    for curve in np.unique(curves):
        those = curves == curve
        even[those] = _looked_up(pixels[those], gains[those], tone.known(str(curve)), white)
    return even


def _gains_ev(columns: Columns, shown: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return by how much red, green and blue of some columns are raised, in stops, shape (n, 3)."""
    at_s, gains = columns.at_s[shown], np.zeros((len(shown), 3))
    interval = intervals_s(at_s)
    steps = np.diff(at_s) / interval[1:]
    position = np.concatenate([[0.0], np.cumsum(steps)])
    sigma = float(np.clip(_LEVEL_S / np.median(interval), *_LEVEL_FRAMES))
    changes = [columns.exposure_ev[shown], *columns.white_ev[shown].T]
    exposure, red, blue = (_towards_smooth(position, change, sigma) for change in changes)
    gains[:, 0], gains[:, 1], gains[:, 2] = exposure + red, exposure, exposure + blue
    return gains


def _towards_smooth(
    position: NDArray[np.float64], values: NDArray[np.float64], sigma: float
) -> NDArray[np.float64]:
    """Return what takes values to a smooth curve through them; 0 where they are not known."""
    known = np.isfinite(values)
    change = np.zeros_like(values)
    if known.any():
        change[known] = target(position[known], values[known], sigma) - values[known]
    return change


def _looked_up(pixels: Pixels, gains_ev: NDArray[np.float64], curve: str, white: float) -> Pixels:
    """Return columns raised in linear light; codes are looked up by the root of light, as even as the eye."""
    light = np.take(tone.linear_table(curve).astype(np.float32), pixels)
    light *= np.exp2(gains_ev).astype(np.float32)[:, None, :]
    np.clip(light, 0.0, white, out=light)
    np.sqrt(light, out=light)
    light *= np.float32((_ROOTS - 1) / white**0.5)
    roots = np.linspace(0.0, white**0.5, _ROOTS)
    codes = np.round(tone.encode(curve, shoulder(roots**2, white)) * 255).astype(np.uint8)
    return np.take(codes, np.rint(light).astype(np.intp))


def intervals_s(at_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return at which interval frames came about each of them, in seconds: gaps do not count."""
    if len(at_s) < 2:
        return np.full(len(at_s), _LONE_S)
    steps = np.maximum(np.diff(at_s), _SHORTEST_S)
    width = min(2 * _NEIGHBOURS, len(steps))
    windows = np.lib.stride_tricks.sliding_window_view(steps, width)
    medians: NDArray[np.float64] = np.sort(windows, axis=1)[:, (width - 1) // 2]
    first = np.clip(np.arange(len(at_s)) - width // 2, 0, len(medians) - 1)
    return medians[first]


def _nearest(sorted_s: NDArray[np.float64], wanted_s: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the index of the time nearest to each wanted one."""
    after = np.clip(np.searchsorted(sorted_s, wanted_s), 1, max(len(sorted_s) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(sorted_s) - 1)
    nearer = wanted_s - sorted_s[before] <= sorted_s[after] - wanted_s
    return np.where(nearer, before, after)


def _way(rows: int) -> int:
    return cv2.INTER_AREA if rows > ROWS else cv2.INTER_LINEAR
