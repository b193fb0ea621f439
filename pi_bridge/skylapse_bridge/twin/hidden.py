"""What hides what: nothing is painted where something nearer stands before it anyway.

A picture is painted by strips of rows (`bands.py`). For each strip, spans of columns say where to paint; they
are decided by blocks, since a call of numpy costs as much as some hundred pixels.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .bands import STRIP_ROWS

BLOCK_COLUMNS = 64

Spans: TypeAlias = tuple[tuple[slice, ...], ...]
"""For each strip of rows, from the first row on, the columns in question."""

Mask: TypeAlias = npt.NDArray[np.bool_]
"""Shape (rows, columns)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cover:
    """Where a sheet of land is painted."""

    solid: Spans
    """Nothing behind it is seen there."""
    mixed: Spans
    """Something of both is."""


def cover(clear: npt.NDArray[np.float32], hidden: Mask) -> Cover:
    """Return where a sheet is painted that leaves `clear`, 0…1, of what is behind it."""
    solid, idle = _blocks((clear == 0.0) | hidden), _blocks((clear == 1.0) | hidden)
    columns = clear.shape[1]
    return Cover(solid=_joined(solid & ~idle, columns), mixed=_joined(~solid & ~idle, columns))


def open_to(hidden: Mask) -> Spans:
    """Return where anything is seen that all these pixels hide."""
    return _joined(~_blocks(hidden), hidden.shape[1])


def _blocks(mask: Mask) -> Mask:
    """Tell for each block of each strip whether the mask is true all over it."""
    down = np.logical_and.reduceat(mask, range(0, mask.shape[0], STRIP_ROWS), axis=0)
    return np.asarray(np.logical_and.reduceat(down, range(0, mask.shape[1], BLOCK_COLUMNS), axis=1))


def _joined(blocks: Mask, columns: int) -> Spans:
    """Return the columns of the true blocks of each strip, neighbours joined."""
    ends = [*range(0, columns, BLOCK_COLUMNS), columns]
    steps = np.diff(np.pad(blocks.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    return tuple(
        tuple(
            slice(ends[first], ends[past])
            for first, past in zip(np.flatnonzero(step == 1), np.flatnonzero(step == -1), strict=True)
        )
        for step in steps
    )
