"""The light that a lens loses towards its corners, and how much brighter it has to be made there.

Either as a polynomial of the distance r from the lens's centre, 1 at half the picture's diagonal,

    brightness(r) = 1 + v1·r² + v2·r⁴ + v3·r⁶

as lens profiles have it (Adobe's, and Lensfun's model `pa`), or as a flat field: a picture of something
evenly lit, such as a white sheet before the lens under a grey sky. A flat field also shows what the sensor
does to colour in its corners; what its middle shows counts as even, whatever the colour of the sheet was.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

LEAST = 0.08
"""Brightness below this share of the middle's is no vignetting, and is brightened no further."""
GRID = (64, 48)
"""Columns and rows of a flat field, from edge to edge: vignetting is smooth."""
_DEGREE = 6
_MOST_ROUGH = 0.15
"""Of the natural logarithm of light, rms: noise and dust leave a hundredth or two, views 0.23 and more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FlatField:
    """How bright an even surface is seen, by GRID over the whole picture, 1 in the middle."""

    channels: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]
    """Red, green and blue, row by row."""


def flat_field(light: NDArray[np.float32]) -> FlatField:
    """Return the flat field in the linear light of a picture, shape (rows, columns, 3).

    A polynomial of x and y is fitted to its logarithm, which dust and noise hardly move.
    """
    columns, rows = GRID
    shown_at = _terms(np.linspace(0.0, 1.0, columns), np.linspace(0.0, 1.0, rows))
    middle = _terms(np.array([0.5]), np.array([0.5]))
    fitted = _fitted(light)[0]
    share = np.clip(np.exp((shown_at - middle) @ fitted), LEAST, 1 / LEAST).round(5)
    red, green, blue = (tuple(share[:, channel].tolist()) for channel in range(3))
    return FlatField(channels=(red, green, blue))


def is_even(light: NDArray[np.float32]) -> bool:
    """Tell whether a picture's linear light falls off smoothly about its middle, as of something evenly lit.

    Farther out a lens may show its own rim.
    """
    rows, columns = light.shape[0] // 4, light.shape[1] // 4
    middle = light[rows : max(3 * rows, 1), columns : max(3 * columns, 1)]
    rest = _fitted(np.maximum(middle, LEAST * middle.max(axis=(0, 1))))[1]
    return bool(rest.std(axis=0).max() < _MOST_ROUGH)


def _fitted(light: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the polynomial of the logarithm of light, shape (terms, 3), and what it does not follow."""
    columns, rows = GRID
    grid = np.maximum(cv2.resize(light, GRID, interpolation=cv2.INTER_AREA), 1e-6)
    logs = np.log(grid.reshape(-1, 3).astype(np.float64))
    seen_at = _terms((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows)
    found = np.asarray(np.linalg.lstsq(seen_at, logs, rcond=None)[0], dtype=np.float64)
    rest: NDArray[np.float64] = logs - seen_at @ found
    return found, rest


def _terms(across: NDArray[np.float64], down: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the powers of x and y, -1…1, at every place of a grid, shape (places, terms)."""
    x, y = (plane.ravel() for plane in np.meshgrid(2 * across - 1, 2 * down - 1))
    powers = [x**first * y**second for first in range(_DEGREE + 1) for second in range(_DEGREE + 1 - first)]
    return np.stack(powers, axis=1)


def polynomial(radius2: Plane, terms: tuple[float, ...]) -> Plane:
    """Return brightness by the square of the distance from the centre."""
    brightness = np.ones_like(radius2)
    power = np.ones_like(radius2)
    for term in terms:
        power = power * radius2
        brightness += np.float32(term) * power
    return np.maximum(brightness, np.float32(LEAST))


def seen(field: FlatField, across: Plane, down: Plane) -> NDArray[np.float32]:
    """Return brightness at places in shares of the picture's width and height, shape (3, rows, columns)."""
    columns, rows = GRID
    x, y = across * np.float32(columns - 1), down * np.float32(rows - 1)
    found = [
        cv2.remap(
            np.array(channel, dtype=np.float32).reshape(rows, columns),
            x.astype(np.float32),
            y.astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for channel in field.channels
    ]
    return np.stack(found).astype(np.float32)
