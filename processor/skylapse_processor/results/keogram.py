"""Keogram of a day: one column a frame, out of the middle of each picture, put where its time is.

Time goes on evenly from left to right, so a gap in the frames is a gap in the picture. A column stands for
the time around its frame: up to three quarters of the interval at which frames came just then. Beyond that
nothing was seen, and the picture says so. Columns are means in linear light of the middle columns of a
frame (Eather et al. 1976, "Keogram": the meridian of an all-sky picture against time).
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from skylapse_processor import tone
from skylapse_processor.decode import Pixels

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
    pixels[:, seen] = columns.pixels[nearest[seen]].transpose(1, 0, 2)
    wider = max(1, NARROWEST // width)
    return Keogram(
        pixels=np.repeat(pixels, wider, axis=1), seen=np.repeat(seen, wider), start_s=start, end_s=end
    )


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
