"""Discs on the lens among the tiles of a picture: where it is locally not what it was, and stays so.

A drop blurs what is behind it and shows its surroundings upside down. A textured tile loses contrast at the
fine scale, against its own baseline. A smooth tile, sky or water, shows a rim that was not there: structure
that the reference lacks, in the same place as in the pictures just before. Clouds have structure too, but
not the same in the same place minutes later.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from .baseline import Expected
from .tiles import FINE, Plane

Mask = NDArray[np.bool_]

_LOST = -0.7
"""log2 of what is left of a textured tile's contrast."""
_DEVIATIONS = 4.0
_FAINTEST = 0.015
"""Stops: weaker structure than this is not looked at."""
_YET = 0.3
"""How much of that a mean of three pictures holds when only the last of them had it."""
_SMOOTH = 0.7
"""The reference's structure over what is new, where something new can be told."""
_SAME = 0.5
"""Correlation of what is new with what was new just before."""


def anomalies(figures: Plane, expected: Expected, textured: Mask) -> Mask:
    """Return which textured tiles have lost detail that their neighbours have kept."""
    change = (figures - expected.middle)[FINE]
    own = change - np.float32(np.median(change[textured]))
    lost: Mask = textured & (own < np.minimum(_LOST, -_DEVIATIONS * expected.deviation[FINE]))
    return lost


def standing(sketch: Plane, recent: Plane, reference: Plane, shape: tuple[int, ...]) -> Mask:
    """Return which tiles, of `shape` (rows, columns), show again what `reference` lacks and `recent` had."""
    new, before = sketch - reference, recent - reference
    product, power, earlier, usual = (
        np.asarray(cv2.resize(plane, (shape[1], shape[0]), interpolation=cv2.INTER_AREA))
        for plane in (new * before, new * new, before * before, reference * reference)
    )
    same: Mask = (
        (product > _SAME * np.sqrt(power * earlier))
        & (power > _FAINTEST**2)
        & (earlier > (_YET * _FAINTEST) ** 2)
        & (usual < _SMOOTH**2 * power)
    )
    return same
