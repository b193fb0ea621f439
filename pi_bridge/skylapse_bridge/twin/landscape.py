"""The landscape as it stands: what no time changes about the scene, computed once for a picture's size.

From the back to the front: a far ridge, a middle ridge, wooded hills, a lake that mirrors the sky, a shore
with grass, rocks and spruces. All of it is drawn in shares of the picture's size, so that every size shows
the same place.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .bands import STRIP_ROWS
from .hidden import Cover, Mask, Spans, cover, open_to
from .texture import Plane, below, fractal, profile, resize, spruces, star_catalogue

HORIZON = 0.640
"""Where the true horizon lies, in picture heights from the top."""

WATERLINE = 0.690
"""Where the far shore of the lake lies."""

FIELD_OF_VIEW_DEG = 66.0
"""Horizontal field of view."""

_CLOUD_CANVAS = (512, 1024)
_BELOW_SKY = 0.02
"""Clouds are drawn this far below the sky rows, in picture heights: their relief looks downwards."""

_RELIEF_ROWS = 0.014
"""Height over which the undersides of clouds are told from their tops, in picture heights."""

DENSITY, FACING = 0.21, 0.66
"""What a sheet's noise counts in its density, and how far clouds face down where they are flat."""

_GROUND_CANVAS = (512, 1024)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One sheet of land: what is behind it is multiplied by `clear`, then `lit` times a colour is added."""

    rows: slice
    clear: Plane
    """0 where the sheet is, 1 where it is not, smooth at its edge."""
    lit: Plane
    """How the sheet answers to light: its texture, 0 where it is not."""
    haze: float
    """Share of the sky's horizon colour that lies over the sheet, 0…1."""
    cover: Cover
    """Where of `rows` it is to be painted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """One sheet of clouds, twice as wide as the picture and repeating, so that any shift is a view."""

    density: Plane
    """How much it takes from the light of the undersides, by sky row: of both sheets, so is how they hide."""
    facing: Plane
    """Its share of how far the clouds face down, to the low sun, as strong near as far."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Landscape:
    """All that stands still."""

    rows: int
    columns: int
    layers: tuple[Layer, ...]
    """From the back to the front, all but the shore."""
    shore: Layer
    clouds: tuple[Sheet, Sheet]
    open_sky: Spans
    """Where of the sky rows the ridges leave anything of the sky to be seen."""
    open_lake: Spans
    """Where of the rows below them the shore leaves anything of the lake."""
    ripples: Plane
    """Brightness of the waves on the lake around 1, twice as wide as the picture."""
    stars: npt.NDArray[np.float64]

    @property
    def sky_rows(self) -> int:
        """Rows of the picture in which sky may be seen."""
        return int(self.rows * WATERLINE)


def landscape(rows: int, columns: int, seed: int) -> Landscape:
    """Draw the landscape of one seed for one picture size."""
    rng = np.random.default_rng((seed, 1))
    source, sky_rows = _cloud_rows(rows), int(rows * WATERLINE)
    ridges = [_ridge(rng, rows, columns, spec) for spec in _RIDGES]
    shore = _shore(rng, rows, columns)
    behind = np.zeros((sky_rows, columns), dtype=bool)
    layers = [_painted(ridge, behind) for ridge in reversed(ridges)][::-1]
    before_lake = np.zeros((rows, columns), dtype=bool)
    shore_layer = _painted(shore, before_lake)
    return Landscape(
        rows=rows,
        columns=columns,
        layers=tuple(layers),
        shore=shore_layer,
        clouds=(
            _clouds(rng, source, rows, columns, 1.90, 5.5),
            _clouds(rng, source, rows, columns, 1.60, 3.2),
        ),
        open_sky=open_to(behind),
        open_lake=open_to(before_lake[sky_rows:]),
        ripples=_ripples(rng, rows, columns),
        stars=star_catalogue(rng, 16000),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Land:
    """A sheet of land as it was drawn."""

    top: int
    cover: Plane
    lit: Plane
    haze: float


def _painted(land: _Land, hidden: Mask) -> Layer:
    """Return a sheet as it is painted where nothing nearer is `hidden`; note there what it hides itself.

    Its rows begin with a strip of the picture.
    """
    top = land.top // STRIP_ROWS * STRIP_ROWS
    above = ((land.top - top, 0), (0, 0))
    rows = slice(top, land.top + land.cover.shape[0])
    clear = np.float32(1.0) - np.pad(land.cover, above)
    layer = Layer(
        rows=rows,
        clear=clear,
        lit=np.pad(land.lit, above),
        haze=land.haze,
        cover=cover(clear, hidden[rows]),
    )
    hidden[rows] |= clear == 0.0
    return layer


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ridge:
    """How one ridge is drawn; heights in picture heights."""

    crest: float
    height: float
    peaks: float
    roughness: float
    haze: float
    grain: float


_RIDGES = (
    _Ridge(crest=0.560, height=0.085, peaks=3.0, roughness=1.45, haze=0.60, grain=0.09),
    _Ridge(crest=0.622, height=0.045, peaks=4.0, roughness=1.35, haze=0.34, grain=0.14),
    _Ridge(crest=0.668, height=0.016, peaks=9.0, roughness=0.75, haze=0.08, grain=0.25),
)


def _ridge(rng: np.random.Generator, rows: int, columns: int, spec: _Ridge) -> _Land:
    """Draw one ridge from its crest down to the lake."""
    line = (
        spec.crest - spec.height * profile(rng, columns, roughness=spec.roughness, peaks=spec.peaks)
    ) * rows
    grain = resize(fractal(rng, *_GROUND_CANVAS, roughness=1.1, stretch=0.7), rows, columns)
    top, bottom = max(int(line.min()) - 1, 0), int(rows * WATERLINE)
    area = slice(top, bottom)
    mask = below(line, rows)[area]
    depth = np.clip((np.arange(rows)[area, None] - line[None, :]) / (0.07 * rows), 0.0, 1.0)
    texture = 1.0 + spec.grain * np.clip(grain[area], -2.5, 2.5) + 0.5 * spec.haze * depth
    lit = (mask * texture).astype(np.float32)
    return _Land(top=top, cover=mask, lit=lit, haze=spec.haze)


def _shore(rng: np.random.Generator, rows: int, columns: int) -> _Land:
    """Draw the near shore: ground with grass and rocks, and spruces at both sides."""
    line = 0.885 - 0.020 * profile(rng, columns, roughness=1.2, peaks=2.0)
    line -= 0.075 * np.abs(np.linspace(-1.0, 1.0, columns)) ** 3
    trees = spruces(rng, rows, columns, _grove(rng, line))
    ground = below(line * rows, rows)
    mask = np.maximum(ground, trees)
    top = int(np.flatnonzero(mask.any(axis=1))[0])
    coarse = resize(fractal(rng, *_GROUND_CANVAS, roughness=1.25, stretch=2.0), rows, columns)
    fine = resize(fractal(rng, *_GROUND_CANVAS, roughness=0.35, stretch=0.5), rows, columns)
    texture = np.clip(1.0 + 0.28 * coarse + 0.26 * fine, 0.12, 2.6) * (0.55 + 0.45 * ground * (1.0 - trees))
    area = slice(top, rows)
    lit = (mask * texture)[area].astype(np.float32)
    return _Land(top=top, cover=mask[area], lit=lit, haze=0.0)


def _grove(rng: np.random.Generator, line: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Place the spruces, the tall ones near the edges; rows of (x, foot, height)."""
    edge = np.concatenate([rng.uniform(-0.01, 0.19, 13), rng.uniform(0.82, 1.01, 12)])
    nearness = np.clip(np.abs(edge - 0.5) / 0.5, 0.0, 1.0)
    height = (0.06 + 0.40 * nearness**5) * rng.uniform(0.65, 1.1, edge.size)
    at = np.clip(edge * (line.size - 1), 0, line.size - 1).astype(int)
    return np.column_stack([edge, line[at] + 0.015, height])


def _cloud_rows(rows: int) -> npt.NDArray[np.float64]:
    """Return for each row of sky, and a few below, the row of the cloud canvas, denser at the horizon."""
    height = 1.0 - np.arange(int(rows * (WATERLINE + _BELOW_SKY)) + 2) / (rows * HORIZON)
    depth = 1.0 / (np.clip(height, -0.1, 1.0) + 0.55)
    share = (depth - depth.min()) / (depth.max() - depth.min())
    return np.asarray(0.98 * (_CLOUD_CANVAS[0] - 1) * share, dtype=np.float64)


def _clouds(
    rng: np.random.Generator,
    source: npt.NDArray[np.float64],
    rows: int,
    columns: int,
    roughness: float,
    stretch: float,
) -> Sheet:
    """Draw one sheet of cloud noise in perspective."""
    noise = _in_perspective(
        fractal(rng, *_CLOUD_CANVAS, roughness=roughness, stretch=stretch), source, columns
    )
    count, deeper = int(rows * WATERLINE), max(round(_RELIEF_ROWS * rows), 1)
    relief = 1.25 / np.sqrt(np.maximum(np.gradient(source)[:count] * rows / 512.0, 0.1))
    facing = (noise[:count] - noise[deeper : deeper + count]) * relief[:, None].astype(np.float32)
    return Sheet(density=np.float32(DENSITY) * noise[:count], facing=np.float32(FACING / 2.0) + facing)


def _in_perspective(canvas: Plane, source: npt.NDArray[np.float64], columns: int) -> Plane:
    """Take canvas rows at fractional places, scale to the picture's width, lay two copies side by side."""
    low = np.floor(source).astype(int)
    share = (source - low)[:, None].astype(np.float32)
    tall = canvas[low] * (1.0 - share) + canvas[np.minimum(low + 1, canvas.shape[0] - 1)] * share
    wide = resize(np.concatenate([tall, tall, tall], axis=1), tall.shape[0], 3 * columns)
    return np.ascontiguousarray(wide[:, columns // 2 : columns // 2 + 2 * columns], dtype=np.float32)


def _ripples(rng: np.random.Generator, rows: int, columns: int) -> Plane:
    """Draw the waves of the lake: long across, short towards the eye, larger when near."""
    count = rows - int(rows * WATERLINE)
    canvas = fractal(rng, 512, 1024, roughness=0.75, stretch=9.0)
    nearness = np.linspace(0.0, 1.0, count)
    source = 511.0 * (1.0 - (1.0 - nearness) ** 2.2)
    waves = _in_perspective(canvas, source, columns)
    strength = (0.05 + 0.09 * nearness)[:, None].astype(np.float32)
    return np.asarray(np.clip(1.0 + strength * waves, 0.4, 1.8), dtype=np.float32)
