"""Has the camera been turned? Static texture of a picture against what it has looked like.

Phase correlation (Kuglin and Hines, 1975) of contrast sketches: clouds and water average away in the
reference, so that only what stands still answers. A peak is believed once the sketch, moved back by it, is
much more like the reference than it was: where the view is hidden it is not, and nothing is said.
"""

import math

import cv2
import numpy as np

from .tiles import Plane

_MEMORY = 60
_MOST_SHARE = 0.25
"""Shifts above this share of a side are not told apart from chance."""
_LIKE, _LIKER = 0.35, 0.15
"""Correlation after moving back, and by how much it has grown."""
_AROUND = 6.0

Shift = tuple[float, float]
"""Right and down, in shares of the picture's long side."""


def shift_between(reference: Plane, sketch: Plane) -> Shift | None:
    """Return how far the texture of a sketch lies from that of the reference; None where that is not seen."""
    if reference.shape != sketch.shape:
        return None
    rows, columns = sketch.shape
    long_side = max(rows, columns)
    one, other = _evened(reference), _evened(sketch)
    window = cv2.createHanningWindow((columns, rows), cv2.CV_32F)
    (right, down), _response = cv2.phaseCorrelate(one, other, window)
    if abs(right) > _MOST_SHARE * columns or abs(down) > _MOST_SHARE * rows:
        return None
    back = np.array([[1.0, 0.0, -right], [0.0, 1.0, -down]])
    moved = cv2.warpAffine(other, back, (columns, rows), borderMode=cv2.BORDER_REFLECT)
    like = _alike(one, np.asarray(moved), window)
    if like < _LIKE or (max(abs(right), abs(down)) > 1.0 and like - _alike(one, other, window) < _LIKER):
        return None
    return right / long_side, down / long_side


def likeness(reference: Plane, sketch: Plane) -> float:
    """Return how like the reference a sketch is where it stands, −1…1."""
    if reference.shape != sketch.shape:
        return 0.0
    window = cv2.createHanningWindow((sketch.shape[1], sketch.shape[0]), cv2.CV_32F)
    return _alike(_evened(reference), _evened(sketch), window)


def blended(reference: Plane | None, count: int, sketch: Plane, memory: int = _MEMORY) -> Plane:
    """Return a mean of sketches after one more."""
    if reference is None or reference.shape != sketch.shape:
        return sketch
    share = np.float32(1.0 / min(count + 1, memory))
    return np.asarray(reference + share * (sketch - reference), dtype=np.float32)


def _evened(sketch: Plane) -> Plane:
    """Return a sketch with the same contrast everywhere, so that one sharp edge does not speak for all."""
    around = cv2.GaussianBlur(np.abs(sketch), (0, 0), _AROUND)
    return np.asarray(np.clip(sketch / (around + np.float32(0.01)), -4.0, 4.0), dtype=np.float32)


def _alike(one: Plane, other: Plane, window: object) -> float:
    weight = np.asarray(window, dtype=np.float32)
    power = float((weight * one * one).sum() * (weight * other * other).sum())
    return float((weight * one * other).sum()) / (math.sqrt(power) + 1e-9)
