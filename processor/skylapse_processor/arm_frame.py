"""What the pixels of one picture of an A/B test show: brightness as metered, grain, sharpness.

The picture is decoded at about the size of a film, where grain and sharpness are what a film would show of
them. Grain is Immerkær's estimate (1996, "Fast noise variance estimation"): a mask that does not see a plane
and its slopes, and answers white noise with six times its deviation, of which the mean magnitude is √(2/π).
Tiles with structure would count as grain, so only the smoothest quarter is asked, and the median of their
answers is taken.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from skylapse_protocol.snapshot import MID_GREY, Metering, Profile, ev_at, metering_weight

from .comparison import FrameFigures
from .decode import Pixels, decode, look
from .tone import LUMINANCE, known, linear_table

LONG_SIDE = 1280
_TILE = 32
_SMOOTHEST = 0.25
_METERED_SIDE = 64
_DARKEST, _BRIGHTEST = 0.002, 0.9
"""Linear light of tiles that grain is looked for in: below it is one code, above it is clipped."""
_MASK_GAIN = 6.0
_MAGNITUDE = math.sqrt(math.pi / 2)
_BLACK = 2.0**-20

Plane = NDArray[np.float32]


def see(
    picture: bytes, name: str, profile: Profile, *, lux: float | None, tone_curve: str | None
) -> FrameFigures:
    """Return the figures of a JPEG; raise PictureError where it is none."""
    shape = look(picture, name)
    scale = min(1.0, LONG_SIDE / max(shape.width, shape.height))
    cover = (math.ceil(shape.width * scale), math.ceil(shape.height * scale))
    pixels = decode(picture, name, cover=cover, shape=shape)
    linear = _luminance(pixels, known(tone_curve))
    noise, grain = _grain(linear)
    return FrameFigures(
        exposure_error_ev=_exposure_error_ev(linear, profile, lux),
        noise=noise,
        grain=grain,
        sharpness=_sharpness(pixels),
    )


def metered_mean(linear: Plane, metering: Metering) -> float:
    """Return the weighted mean of linear light, 0…1."""
    step = max(1, math.ceil(max(linear.shape) / _METERED_SIDE))
    blocks = _blocks(linear, step)
    weights = _weights(metering, *blocks.shape)
    return float((blocks * weights).sum() / weights.sum())


def _exposure_error_ev(linear: Plane, profile: Profile, lux: float | None) -> float | None:
    """Return how far off the picture is, in stops, without a sign; null where its light is not known."""
    if lux is None:
        return None
    wanted = math.log2(MID_GREY) + ev_at(profile, lux)
    return abs(math.log2(max(metered_mean(linear, profile.metering), _BLACK)) - wanted)


@lru_cache(maxsize=32)
def _weights(metering: Metering, rows: int, columns: int) -> NDArray[np.float64]:
    weights = np.array(
        [
            [
                metering_weight(metering, (column + 0.5) / columns, (row + 0.5) / rows)
                for column in range(columns)
            ]
            for row in range(rows)
        ]
    )
    return weights if weights.any() else np.ones_like(weights)


def _luminance(pixels: Pixels, curve: str) -> Plane:
    table = linear_table(curve).astype(np.float32)
    red, green, blue = (table[pixels[..., channel]] * np.float32(LUMINANCE[channel]) for channel in range(3))
    linear: Plane = red + green + blue
    return linear


def _blocks(plane: Plane, step: int) -> Plane:
    """Return the means of blocks of step × step; what is left over at the edges is left out."""
    rows, columns = (max(1, side // step) for side in plane.shape)
    cut = plane[: rows * step, : columns * step]
    means: Plane = cut.reshape(rows, cut.shape[0] // rows, columns, cut.shape[1] // columns).mean(axis=(1, 3))
    return means


def _grain(linear: Plane) -> tuple[float | None, float | None]:
    """Return noise in linear light, and as a share of the light it lies on; null in small pictures."""
    if min(linear.shape) < 2 * _TILE:
        return None, None
    fine = linear[:-2] - 2 * linear[1:-1] + linear[2:]
    fine = np.abs(fine[:, :-2] - 2 * fine[:, 1:-1] + fine[:, 2:])
    light = _blocks(linear, _TILE)
    rows, columns = fine.shape[0] // _TILE, fine.shape[1] // _TILE
    light = light[:rows, :columns]
    noise = _blocks(fine, _TILE) * (_MAGNITUDE / _MASK_GAIN)
    coarse = _blocks(linear, _TILE // 4)[: 4 * rows, : 4 * columns].reshape(rows, 4, columns, 4)
    structure = coarse.std(axis=(1, 3)) / np.maximum(light, _DARKEST)
    fit = (light >= _DARKEST) & (light <= _BRIGHTEST)
    if not fit.any():
        return None, None
    smooth = fit & (structure <= np.quantile(structure[fit], _SMOOTHEST))
    return float(np.median(noise[smooth])), float(np.median(noise[smooth] / light[smooth]))


def _sharpness(pixels: Pixels) -> float | None:
    luma = _blocks(pixels.mean(axis=2, dtype=np.float32), 2)
    spread = float(luma.std())
    if min(luma.shape) < 3 or spread == 0:
        return None
    inner = luma[1:-1, 1:-1]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * inner
    return float(laplacian.std()) / spread
