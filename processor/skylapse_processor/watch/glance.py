"""Everything that the watch wants of one picture: taken from the one decode that ingest has."""

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..decode import Pixels
from ..measure import Measurement, histograms
from .tiles import Tiles, tiles_of

_EDGE = 24.0
"""Codes a pixel that a gradient must have to count as an edge."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Glance:
    """Figures of one picture."""

    measured: Measurement
    edges: float
    """Share of pixels on an edge, 0…1."""
    spread: float
    """Deviation of the codes about their mean, of the channel where it is largest."""
    reach: float
    """From the darkest to the brightest code, a thousandth left out at each end, of the same channel."""
    level: float
    """Mean of all codes, 0…255."""
    digest: str
    """Of the decoded pixels, 16 hexadecimal digits: noise makes any two pictures of a sensor differ."""
    tiles: Tiles | None


def glance(pixels: Pixels, measured: Measurement, tone_curve: str | None) -> Glance:
    """Return the figures of a small picture, shape (rows, columns, 3), that has been measured already."""
    tables = histograms(pixels)
    spreads = [_spread(counts) for counts in tables]
    return Glance(
        measured=measured,
        edges=_edges(pixels),
        spread=max(deviation for deviation, _reach in spreads),
        reach=max(reach for _deviation, reach in spreads),
        level=float(sum(counts @ np.arange(256) for counts in tables) / pixels.size),
        digest=hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()[:16],
        tiles=tiles_of(pixels, tone_curve),
    )


def _spread(counts: NDArray[np.float64]) -> tuple[float, float]:
    codes, total = np.arange(256), counts.sum()
    mean = float(counts @ codes / total)
    deviation = float(np.sqrt(counts @ (codes - mean) ** 2 / total))
    share = np.cumsum(counts) / total
    low, high = np.searchsorted(share, 0.001, side="right"), np.searchsorted(share, 0.999)
    return deviation, float(high - low)


def _edges(pixels: Pixels) -> float:
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    across = cv2.Sobel(luma, cv2.CV_16S, 1, 0)
    down = cv2.Sobel(luma, cv2.CV_16S, 0, 1)
    steep = cv2.add(cv2.convertScaleAbs(across, alpha=0.25), cv2.convertScaleAbs(down, alpha=0.25))
    return float(np.count_nonzero(steep >= _EDGE) / steep.size)
