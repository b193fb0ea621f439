"""How a camera turns light into the codes of its JPEGs, from pictures with known exposures. Pure.

Theory. A pixel that sees the light L through the exposure E has the code z with f(z) = log2 L + log2 E, where
2^f is the inverse of the tone curve. Pictures of a scene that stands still share L, pixel by pixel, so f at
256 codes and log2 L at some hundred places are the unknowns of a linear system (Debevec and Malik 1997): one
equation for each place and picture, one that keeps f from bending without need for each code, and one that
says where f is zero, since only ratios of light are known. Codes near black and white say little and get
little weight.

Which known curve it is follows without that: decoded with the right one, two pictures of a place differ by
exactly the ratio of their exposures. The rms of what is left, in thousandths of a stop (mEV), is the residual
that levelling would suffer from; the noise of single pixels is not in it, since places are smooth tiles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skylapse_bridge.camera.port import CapturedFrame
from skylapse_bridge.errors import CalibrationError
from skylapse_protocol.tone import CURVES, FULL_SCALE

FEWEST_PICTURES = 3
LEAST_RATIO_EV = 2.0
WORST_RESIDUAL_MEV = 60.0
_TILE = 8
_MOST_PLACES = 400
_FEWEST_PLACES = 24
_LOWEST, _HIGHEST = 6, 248
_SMOOTH = 100.0
_FLATTEST = 0.35
"""Share of the tiles that places are taken from: those with the least structure."""
_POINTS = 33

Pixels = NDArray[np.uint8]
"""A picture, shape (rows, columns, 3)."""
Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposed:
    """One picture of the series."""

    pixels: Pixels
    exposure: float
    """Delivered exposure: microseconds × gains."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tone:
    """A recovered tone curve."""

    points: tuple[tuple[float, float], ...]
    """Linear light and code, both 0…65535, rising; white is 65535."""
    best: str
    """Id of the known curve that fits best."""
    residual_mev: dict[str, float]
    """What each known curve leaves, by its id."""
    own_mev: float
    """What the recovered curve leaves."""
    pictures: int
    places: int


def of_frames(frames: Sequence[CapturedFrame]) -> Tone:
    """Return the tone curve of captured frames; those whose exposure is not known do not count."""
    series = []
    for frame in frames:
        if frame.exposure_us is None or frame.analogue_gain is None:
            continue
        total = frame.exposure_us * frame.analogue_gain * (frame.digital_gain or 1.0)
        with Image.open(BytesIO(frame.jpeg)) as image:
            series.append(Exposed(pixels=np.asarray(image.convert("RGB")), exposure=total))
    return solve(series, next((frame.sensor for frame in frames if frame.sensor), None))


def solve(series: Sequence[Exposed], sensor: str | None = None) -> Tone:
    """Return the tone curve of a series; raise CalibrationError with what to do better.

    Sensors share curves: of those that fit equally well that of `sensor` is named.
    """
    ordered = sorted(series, key=lambda each: each.exposure)
    _check(ordered)
    codes = _places(ordered)
    exposures = np.log2([each.exposure for each in ordered])
    residual = {name: _residual_mev(codes, exposures, _table(name)) for name in CURVES}
    best = min(residual, key=lambda name: (round(residual[name], 3), name != sensor, name == "srgb"))
    recovered = _debevec(codes, exposures)
    own = _residual_mev(codes, exposures, recovered)
    if min(own, residual[best]) > WORST_RESIDUAL_MEV:
        raise CalibrationError(
            f"no curve explains the pictures (at best {min(own, residual[best]):.0f} mEV are left): something"
            " moved or the light changed between them, or their exposures are not what the camera says"
        )
    return Tone(
        points=_points(recovered),
        best=best,
        residual_mev={name: round(value, 2) for name, value in residual.items()},
        own_mev=round(own, 2),
        pictures=len(ordered),
        places=codes.shape[0],
    )


def _check(ordered: Sequence[Exposed]) -> None:
    if len(ordered) < FEWEST_PICTURES:
        raise CalibrationError(f"{len(ordered)} pictures with known exposures, {FEWEST_PICTURES} are needed")
    if len({each.pixels.shape for each in ordered}) > 1:
        raise CalibrationError("the pictures differ in size: take them with one camera, one after the other")
    span = float(np.log2(ordered[-1].exposure / ordered[0].exposure))
    if span < LEAST_RATIO_EV:
        raise CalibrationError(
            f"the exposures span {span:.1f} stops, {LEAST_RATIO_EV:g} are needed:"
            " take brighter and darker pictures"
        )


def _places(ordered: Sequence[Exposed]) -> Values:
    """Return mean codes of smooth tiles, shape (places, pictures); NaN where a picture clips them."""
    stacks = np.stack([_tiles(each.pixels) for each in ordered], axis=1)
    means, spreads = stacks[..., 0], stacks[..., 1]
    usable = (means >= _LOWEST) & (means <= _HIGHEST)
    structure = np.where(usable, spreads / np.maximum(means, 1.0), np.nan)
    seen = usable.sum(axis=1) >= 2
    if not seen.any():
        raise CalibrationError(_NOTHING)
    bumpy = np.nanmax(structure[seen], axis=1)
    chosen = np.flatnonzero(seen)[bumpy <= np.quantile(bumpy, _FLATTEST)]
    if len(chosen) < _FEWEST_PLACES:
        raise CalibrationError(_NOTHING)
    brightness = np.nanmean(np.where(usable[chosen], means[chosen], np.nan), axis=1)
    even = chosen[np.argsort(brightness)][:: max(1, len(chosen) // _MOST_PLACES)]
    return np.where(usable[even], means[even], np.nan)


_NOTHING = (
    "no part of the scene is neither black nor white in two pictures: choose a scene with light and dark"
    " parts that are smooth, and steps of one or two stops"
)


def _tiles(pixels: Pixels) -> Values:
    """Return mean and deviation of tiles of each channel, shape (tiles × 3, 2); clipped tiles have mean 0."""
    rows, columns = (side // _TILE for side in pixels.shape[:2])
    if not rows or not columns:
        raise CalibrationError("the pictures are too small to be measured")
    cut = pixels[: rows * _TILE, : columns * _TILE].reshape(rows, _TILE, columns, _TILE, 3)
    flat = cut.transpose(0, 2, 4, 1, 3).reshape(-1, _TILE * _TILE).astype(np.float64)
    clipped = (flat.max(axis=1) >= 254) | (flat.min(axis=1) <= 1)
    means = np.where(clipped, 0.0, flat.mean(axis=1))
    return np.stack([means, flat.std(axis=1)], axis=1)


def _table(name: str) -> Values:
    """Return log2 of linear light for the codes 0…255 of a known curve."""
    linear, encoded = (np.array(axis) for axis in zip(*CURVES[name], strict=True))
    table: Values = np.log2(np.maximum(np.interp(np.arange(256) * 257.0, encoded, linear) / FULL_SCALE, 1e-7))
    return table


def _residual_mev(codes: Values, exposures: Values, table: Values) -> float:
    """Return the rms of what a curve leaves between one picture and the next of each place, in mEV."""
    light = np.interp(codes, np.arange(256), table)
    left = [
        (light[:, second] - light[:, first]) - (exposures[second] - exposures[first])
        for first, second in pairwise(range(codes.shape[1]))
    ]
    known = np.concatenate([each[np.isfinite(each)] for each in left])
    if not known.size:
        raise CalibrationError(_NOTHING)
    return float(1000 * np.sqrt(np.mean(known**2)))


def _debevec(codes: Values, exposures: Values) -> Values:
    """Return f at the codes 0…255, in stops, zero at 255."""
    places, pictures = codes.shape
    place, picture = np.nonzero(np.isfinite(codes))
    seen = codes[place, picture]
    trust = np.minimum(seen, 255.0 - seen) / 128.0 + 0.05
    low = np.minimum(np.floor(seen).astype(int), 254)
    share = seen - low
    data = np.zeros((len(seen), 256 + places))
    index = np.arange(len(seen))
    data[index, low], data[index, low + 1] = trust * (1 - share), trust * share
    data[index, 256 + place] = -trust
    bend = np.zeros((254, 256 + places))
    inner = np.arange(254)
    # Towards black f falls steeply (it is a logarithm): the bend is held against the code.
    stiff = _SMOOTH * np.sqrt(len(seen) / 254.0) * ((inner + 1) / 255.0) / pictures
    bend[inner, inner], bend[inner, inner + 1], bend[inner, inner + 2] = stiff, -2 * stiff, stiff
    zero = np.zeros((1, 256 + places))
    zero[0, 255] = 1.0
    side = np.concatenate([trust * exposures[picture], np.zeros(255)])
    solved = np.linalg.lstsq(np.concatenate([data, bend, zero]), side, rcond=None)[0]
    curve: Values = np.maximum.accumulate(solved[:256])
    return curve


def _points(curve: Values) -> tuple[tuple[float, float], ...]:
    """Return the curve as points of `skylapse_protocol.tone`, strictly rising, black at zero."""
    codes = np.linspace(0, 255, _POINTS)
    linear = FULL_SCALE * np.exp2(np.interp(codes, np.arange(256), curve) - curve[255])
    linear[0] = 0.0
    points = [(0.0, 0.0)]
    for light, code in zip(linear[1:].tolist(), (257.0 * codes[1:]).tolist(), strict=True):
        points.append((max(round(light, 1), points[-1][0] + 0.1), round(code, 1)))
    return tuple(points)
