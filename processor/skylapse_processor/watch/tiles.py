"""A picture as a grid of tiles: how bright each is, and how much contrast it holds at three scales.

Contrast is the deviation of log luminance, so neither exposure nor light changes it: half the light moves
the logarithm, not its differences. What scatters or blurs changes it, and each in its own way by scale:

- a blur of deviation s passes exp(−2 π² s² f²) of a frequency f: the fine scale goes long before the coarse;
- a film of water spreads a share of the light wide and leaves the rest as it is: fine and middle lose alike;
- air between camera and thing adds its own light: all scales lose alike, and dark tiles turn brighter.

The scales are differences of Gaussians in a picture at most `LONG_SIDE` wide, as ingest has it decoded
anyway.
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from ..decode import Pixels
from ..tone import LUMINANCE, known, linear_table

LONG_SIDE = 384
TILE = 24
"""Pixels of a tile's side: sixteen tiles along the long side."""
SKETCH_SIDE = 192
_LEAST_SIDE = 192
"""Smaller pictures have no tiles."""
_SIGMAS = (0.8, 1.6, 3.2)
_DARKEST = 2.0**-9
"""Added to linear light before the logarithm: about one code, below which there is only noise."""
_FAINTEST = 2.0**-9
_WHITE, _WHITE_SHARE = 250, 0.02
"""Code from which a channel is white, and share of such pixels from which a tile is burnt out."""

Plane = NDArray[np.float32]

FINE, MIDDLE, COARSE, BRIGHT = range(4)
"""Places in `Tiles.figures`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tiles:
    """Figures of one picture by tile."""

    figures: Plane
    """Shape (4, rows, columns): log2 of the deviation of log2 luminance at the fine, the middle and the
    coarse scale, and log2 of mean linear luminance, 0 is white."""
    sketch: Plane
    """Log2 luminance at the middle scale alone, shape (rows, columns) with a long side of `SKETCH_SIDE`: what
    registration looks at, and the search for what stands still."""
    burnt: NDArray[np.bool_]
    """Where white hides what contrast there is, shape (rows, columns)."""


def tiles_of(pixels: Pixels, tone_curve: str | None) -> Tiles | None:
    """Return the figures of a small picture, shape (rows, columns, 3); None where it is too small."""
    if max(pixels.shape[:2]) < _LEAST_SIDE:
        return None
    shrunk = _shrunk(pixels)
    light = _luminance(shrunk, known(tone_curve))
    grid = tuple(max(1, side // TILE) for side in light.shape)
    light = light[: grid[0] * TILE, : grid[1] * TILE] if min(light.shape) >= TILE else light
    bands = _bands(np.log2(light + np.float32(_DARKEST)))
    size = (grid[1], grid[0])
    power = [cv2.resize(band * band, size, interpolation=cv2.INTER_AREA) for band in bands]
    bright = np.log2(cv2.resize(light, size, interpolation=cv2.INTER_AREA) + np.float32(_DARKEST))
    contrast = [0.5 * np.log2(np.asarray(p) + np.float32(_FAINTEST**2)) for p in power]
    return Tiles(
        figures=np.stack([*contrast, bright]).astype(np.float32),
        sketch=_sketch(bands[1]),
        burnt=_burnt(shrunk[: light.shape[0], : light.shape[1]], size),
    )


def _luminance(pixels: Pixels, curve: str) -> Plane:
    table = linear_table(curve).astype(np.float32)
    weights = LUMINANCE.astype(np.float32).reshape(1, 3)
    return np.asarray(cv2.transform(cv2.LUT(pixels, table), weights), dtype=np.float32)


def _burnt(pixels: Pixels, size: tuple[int, int]) -> NDArray[np.bool_]:
    brightest = cv2.max(cv2.max(pixels[..., 0], pixels[..., 1]), pixels[..., 2])
    white = (np.asarray(brightest) >= _WHITE).astype(np.float32)
    share = np.asarray(cv2.resize(white, size, interpolation=cv2.INTER_AREA))
    return share.reshape(size[1], size[0]) > _WHITE_SHARE


def _shrunk(pixels: Pixels) -> Pixels:
    scale = LONG_SIDE / max(pixels.shape[:2])
    if scale >= 1.0:
        return pixels
    size = (max(2, round(pixels.shape[1] * scale)), max(2, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _bands(logs: Plane) -> list[Plane]:
    blurred = [logs, *(np.asarray(cv2.GaussianBlur(logs, (0, 0), sigma)) for sigma in _SIGMAS)]
    return [finer - wider for finer, wider in pairwise(blurred)]


def _sketch(band: Plane) -> Plane:
    scale = min(1.0, SKETCH_SIDE / max(band.shape))
    size = tuple(max(2, round(side * scale)) for side in reversed(band.shape))
    return np.asarray(cv2.resize(band, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
