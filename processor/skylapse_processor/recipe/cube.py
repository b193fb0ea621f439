"""The table of a .cube file: codes as a screen shows them go in, codes come out.

The format is Adobe's ("Cube LUT Specification" 1.0, 2013): a table of one dimension, one column a channel,
or of three, red changing fastest. Between the points of a cube eight neighbours count by their nearness
(trilinear); OpenCV's `remap` looks each of two planes of blue up at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from skylapse_processor.errors import CalibrationError

from .layer import Light

MOST_POINTS = 65
"""Of a cube, along each side."""
MOST_ENTRIES = 65_536
"""Of a table of one dimension."""
_FEWEST = 2
_IGNORED = ("TITLE", "LUT_1D_INPUT_RANGE", "LUT_3D_INPUT_RANGE")


@dataclass(frozen=True, slots=True, eq=False)
class Cube:
    """A parsed .cube file."""

    table: NDArray[np.float32]
    """Codes 0…1: shape (entries, 3), or (blue, green, red, 3)."""
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    """Codes of the first and the last point."""

    def __call__(self, codes: Light) -> Light:
        """Return what becomes of codes, shape (3, rows, columns)."""
        low, high = (np.array(end, dtype=np.float32)[:, None, None] for end in (self.low, self.high))
        share = np.clip((codes - low) / (high - low), 0.0, 1.0)
        return self._alone(share) if self.table.ndim == 2 else self._together(share)

    def _alone(self, share: Light) -> Light:
        points = np.linspace(0.0, 1.0, len(self.table))
        found = [np.interp(share[channel], points, self.table[:, channel]) for channel in range(3)]
        return np.stack(found).astype(np.float32)

    def _together(self, share: Light) -> Light:
        size = len(self.table)
        side_by_side = self.table.transpose(1, 0, 2, 3).reshape(size, size * size, 3)
        red, green, blue = share * np.float32(size - 1)
        plane = np.minimum(np.floor(blue), np.float32(size - 2))
        behind, before = (
            cv2.remap(
                side_by_side,
                red + (plane + np.float32(step)) * np.float32(size),
                green,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for step in (0, 1)
        )
        found = behind + (blue - plane)[..., None] * (before - behind)
        return np.ascontiguousarray(np.moveaxis(found, 2, 0), dtype=np.float32)


def parse(text: str, name: str) -> Cube:
    """Return the table in a .cube file; raise CalibrationError naming file and line."""
    ends = {"DOMAIN_MIN": (0.0, 0.0, 0.0), "DOMAIN_MAX": (1.0, 1.0, 1.0)}
    size, dimensions = 0, 0
    rows: list[tuple[float, float, float]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#") or words[0] in _IGNORED:
            continue
        place = f"{name}:{number}"
        if words[0] in ends:
            ends[words[0]] = _three(words[1:], place)
        elif words[0] in ("LUT_1D_SIZE", "LUT_3D_SIZE"):
            if size:
                raise CalibrationError(f"{place}: a second table; one is read")
            size, dimensions = _size(words, place)
        else:
            rows.append(_three(words, place))
            if len(rows) > max(size**dimensions, 1):
                raise CalibrationError(f"{place}: more rows than LUT_{dimensions or 3}D_SIZE says")
    if not size:
        raise CalibrationError(f"{name}: has neither LUT_1D_SIZE nor LUT_3D_SIZE: is it a .cube file?")
    if len(rows) != size**dimensions:
        raise CalibrationError(f"{name}: has {len(rows)} rows, and {size**dimensions} belong to its size")
    low, high = ends["DOMAIN_MIN"], ends["DOMAIN_MAX"]
    if any(first >= last for first, last in zip(low, high, strict=True)):
        raise CalibrationError(f"{name}: DOMAIN_MAX is not above DOMAIN_MIN")
    table = np.clip(np.array(rows, dtype=np.float32), 0.0, 1.0)
    return Cube(table if dimensions == 1 else table.reshape(size, size, size, 3), low, high)


def _size(words: Sequence[str], place: str) -> tuple[int, int]:
    """Return the size of the table and its dimensions."""
    dimensions = int(words[0][4])
    most = MOST_ENTRIES if dimensions == 1 else MOST_POINTS
    text = words[1] if len(words) == 2 else ""
    if not text.isdecimal() or not _FEWEST <= int(text) <= most:
        raise CalibrationError(f"{place}: {words[0]} is no whole number from {_FEWEST} to {most}")
    return int(text), dimensions


def _three(words: Sequence[str], place: str) -> tuple[float, float, float]:
    try:
        red, green, blue = (float(word) for word in words)
    except ValueError:
        raise CalibrationError(f"{place}: is no row of three numbers") from None
    if not np.isfinite([red, green, blue]).all():
        raise CalibrationError(f"{place}: is no row of three numbers")
    return red, green, blue
