"""How the scene is painted: each function lays one thing over what is already there.

Light is linear, float32, shape (3, rows, columns), of any scale. The sky is painted in strips of rows that
stay in the processor's cache, three times as fast as whole pictures; what depends on rows and on columns
alone is computed once and multiplied.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .bands import STRIP_ROWS, in_bands, strips
from .landscape import DENSITY, FIELD_OF_VIEW_DEG, HORIZON, WATERLINE, Landscape, Layer
from .palette import Palette
from .texture import Plane

Light: TypeAlias = npt.NDArray[np.float32]
"""Linear red, green and blue, shape (3, rows, columns)."""

_DRIFT_S = (2900.0, 4300.0)
"""How long each sheet of clouds takes to cross the picture."""

_DENSEST = 2.0 * DENSITY
"""Clouds this dense hide all they can."""

_GLOWS = ((0.48, 18.0, 5.5), (0.55, 4.8, 3.2))
"""The two bells of light around the sun: strength, and widths across and down in degrees."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SunInView:
    """Where the sun stands in the picture."""

    elevation_deg: float
    x: float
    """In pixels from the left."""
    y: float
    """In pixels from the top."""
    degree: float
    """Pixels in one degree."""


def sky(
    light: Light, land: Landscape, colours: Palette, sun: SunInView, time_s: float, coverage: float
) -> Plane:
    """Paint sky and clouds where they are seen; return how far clouds hide what is behind, per pixel."""
    rows, columns = land.sky_rows, land.columns
    by_row, by_column = _air(colours, sun, land)
    shade, shine, across = _cloud_light(colours, sun, land)
    low_sun = across.min() < 1.0
    shifts = [int(columns * time_s / drift_s) % columns for drift_s in _DRIFT_S]
    veil = np.zeros((rows, columns), dtype=np.float32)

    def paint_band(band: slice) -> None:
        scratch = np.empty(3 * STRIP_ROWS * columns, dtype=np.float32)
        for strip in strips(band):
            for span in _opened(light[:, strip], land.open_sky[strip.start // STRIP_ROWS]):
                air, cover = light[:, strip, span], veil[strip, span]
                np.matmul(by_row[:, strip], by_column[:, :, span], out=air)
                facing = _clouds(land, strip, span, shifts, coverage, cover)
                if low_sun:
                    facing *= across[span]
                spare = scratch[: air.size].reshape(air.shape)
                np.multiply(shine[:, strip, None], facing, out=spare)
                spare += shade[:, strip, None]
                spare -= air
                spare *= cover
                air += spare

    in_bands(0, rows, paint_band)
    return veil


def _opened(area: Light, spans: tuple[slice, ...]) -> tuple[slice, ...]:
    """Return the columns to be painted; elsewhere fresh memory may hold what is no number."""
    if spans != (slice(0, area.shape[2]),):
        area[:] = 0.0
    return spans


def _clouds(
    land: Landscape, strip: slice, span: slice, shifts: list[int], coverage: float, cover: Plane
) -> Plane:
    """Write how far the clouds of a strip hide the sky, 0…1; return how far they face down, 0…1.35."""
    first, second = land.clouds
    left, right = (slice(span.start + shift, span.stop + shift) for shift in shifts)
    np.add(first.density[strip, left], second.density[strip, right], out=cover)
    cover -= np.float32(DENSITY * (1.45 - 2.4 * coverage))
    np.clip(cover, 0.0, _DENSEST, out=cover)
    facing = first.facing[strip, left] + second.facing[strip, right]
    facing -= cover
    np.clip(facing, 0.0, 1.35, out=facing)
    np.sqrt(cover, out=cover)
    cover *= np.float32(0.94 * _DENSEST**-0.5)
    return facing


def _air(
    colours: Palette, sun: SunInView, land: Landscape
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the clear sky as a sum of products: by row, shape (3, rows, 3), and by column, (3, 3, columns).

    The terms are the sky's own colour, a wide glow and a narrow one.
    """
    own = _gradient(colours, land.sky_rows, land.rows), np.ones((3, land.columns), dtype=np.float32)
    glows = [_glow(colours, sun, land.sky_rows, land.columns, *bell) for bell in _GLOWS]
    by_row, by_column = zip(own, *glows, strict=True)
    return np.stack(by_row, axis=2), np.stack(by_column, axis=1)


def _gradient(colours: Palette, rows: int, height: int) -> npt.NDArray[np.float32]:
    """Return the sky's colour by row, shape (3, rows), from the zenith down to the horizon."""
    up = np.clip(1.0 - np.arange(rows) / (HORIZON * height), 0.0, 1.0)
    low = np.exp(-((up / 0.22) ** 1.3))
    high = np.clip((up - 0.12) / 0.88, 0.0, 1.0) ** 0.85
    middle = colours.middle[:, None] * (1.0 - high) + colours.zenith[:, None] * high
    return (middle * (1.0 - low) + colours.horizon[:, None] * low).astype(np.float32)


def _glow(
    colours: Palette, sun: SunInView, rows: int, columns: int, strength: float, across: float, down: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return a bell of light around the sun by row and by column, red reaching farther than blue.

    Shapes (3, rows) and (3, columns).
    """
    horizon = HORIZON / WATERLINE * rows
    x = (np.arange(columns) - sun.x) / sun.degree
    y = (np.arange(rows) - min(sun.y, horizon + 2.0 * sun.degree)) / sun.degree
    reach = np.array([1.12, 0.95, 0.80])[:, None]
    by_row = strength * colours.glow[:, None] * _bell(y[None, :] / (down * reach))
    return by_row.astype(np.float32), _bell(x[None, :] / (across * reach)).astype(np.float32)


def _bell(distance: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return a bell of height 1 and deviation 1."""
    return np.exp(-0.5 * distance * distance)


def _cloud_light(
    colours: Palette, sun: SunInView, land: Landscape
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the clouds' own shade by row, the light that falls on their undersides by row and by column.

    Shapes (3, rows), (3, rows), (columns,).
    """
    up = np.clip(1.0 - np.arange(land.sky_rows) / (HORIZON * land.rows), 0.0, 1.0)
    shade = colours.cloud_shade[:, None] * (1.05 - 0.35 * up)
    shade += 0.22 * colours.horizon[:, None] * np.exp(-up / 0.12)
    low_sun = float(np.clip((12.0 - sun.elevation_deg) / 12.0, 0.0, 1.0))
    by_row = 0.85 * colours.cloud_lit[:, None] * (1.0 - 0.45 * low_sun * up)
    x = (np.arange(land.columns) - sun.x) / sun.degree
    across = 1.0 - low_sun * (0.72 - 0.72 * _bell(x / 20.0))
    return shade.astype(np.float32), by_row.astype(np.float32), across.astype(np.float32)


def stars(
    light: Light, land: Landscape, colours: Palette, veil: Plane, pole: tuple[float, float], time_s: float
) -> None:
    """Add the stars, turned around the pole by the sidereal day; each is spread over four pixels."""
    if colours.stars <= 0.0:
        return
    degree, horizon = land.columns / FIELD_OF_VIEW_DEG, HORIZON * land.rows
    angle = np.radians(land.stars[:, 0] + 360.0 * (time_s / 86164.0905))
    x = pole[0] + land.stars[:, 1] * degree * np.cos(angle)
    y = pole[1] + land.stars[:, 1] * degree * np.sin(angle)
    seen = (x >= 0) & (x < land.columns - 1) & (y >= 0) & (y < horizon - 1)
    column, row = x[seen].astype(np.intp), y[seen].astype(np.intp)
    right, down = x[seen] - column, y[seen] - row
    size = max(land.columns / 1920.0, 0.35) ** 2
    strength = size * colours.stars * land.stars[seen, 2] * (1.0 - veil[row, column]) ** 2
    strength *= np.clip(1.1 - y[seen] / horizon, 0.0, 1.0)
    tint = np.stack([land.stars[seen, 3], np.ones(strength.size), land.stars[seen, 4]])
    for below, aside in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share = np.abs(1 - below - down) * np.abs(1 - aside - right)
        for channel in range(3):
            np.add.at(light[channel], (row + below, column + aside), tint[channel] * strength * share)


def disc(light: Light, colours: Palette, sun: SunInView, veil: Plane) -> None:
    """Add the sun's disc, smooth at its edge and dimmed by clouds."""
    radius = 0.42 * sun.degree
    top, left = max(int(sun.y - 2 * radius), 0), max(int(sun.x - 2 * radius), 0)
    bottom = min(int(sun.y + 2 * radius) + 2, veil.shape[0])
    right = min(int(sun.x + 2 * radius) + 2, veil.shape[1])
    if colours.disc <= 0.0 or top >= bottom or left >= right:
        return
    distance = np.hypot(np.arange(top, bottom)[:, None] - sun.y, np.arange(left, right)[None, :] - sun.x)
    shape = np.clip((radius - distance) / max(0.25 * radius, 1.0) + 0.5, 0.0, 1.0)
    shape *= colours.disc * (1.0 - veil[top:bottom, left:right]) ** 2
    warm = colours.glow / colours.glow.max() + 0.25
    light[:, top:bottom, left:right] += (4.0 * warm[:, None, None] * shape).astype(np.float32)


def layer(light: Light, sheet: Layer, colours: Palette) -> None:
    """Lay one sheet of land over what is behind it."""
    air = 0.5 * (colours.horizon + colours.middle)
    colour = 0.62 * (1.0 - sheet.haze) * colours.land + 0.36 * sheet.haze * air
    tint = colour.astype(np.float32)[:, None, None]

    def paint_band(band: slice) -> None:
        for strip in strips(band):
            part = slice(strip.start - sheet.rows.start, strip.stop - sheet.rows.start)
            number = part.start // STRIP_ROWS
            for span in sheet.cover.solid[number]:
                np.multiply(sheet.lit[part, span], tint, out=light[:, strip, span])
            for span in sheet.cover.mixed[number]:
                area = light[:, strip, span]
                area *= sheet.clear[part, span]
                area += sheet.lit[part, span] * tint

    in_bands(sheet.rows.start, sheet.rows.stop, paint_band)


def lake(light: Light, land: Landscape, time_s: float) -> None:
    """Mirror in the lake what stands above it: rows sway with the waves, near water is darker."""
    shore = land.sky_rows
    count = land.rows - shore
    nearness = np.arange(count) / count
    sway = np.sin(140.0 * nearness**0.7 + 0.9 * time_s) + 0.6 * np.sin(333.0 * nearness**0.6 - 1.7 * time_s)
    source = shore - 1 - 1.35 * np.arange(count) - sway * (0.5 + 5.0 * nearness) * land.rows / 1080.0
    rows = np.clip(source.astype(np.intp), 0, shore - 1)
    shift = int(time_s * land.columns / 700.0) % land.columns
    fall = (0.80 - 0.38 * nearness)[:, None].astype(np.float32)
    waves = land.ripples[:, shift : shift + land.columns]

    def paint_band(band: slice) -> None:
        for strip in strips(band):
            part = slice(strip.start - shore, strip.stop - shore)
            for span in _opened(light[:, strip], land.open_lake[part.start // STRIP_ROWS]):
                shine = waves[part, span] * fall[part]
                for channel, tint in enumerate((0.92, 0.97, 1.04)):
                    mirrored = light[channel, rows[part], span]
                    np.multiply(mirrored, shine * np.float32(tint), out=light[channel, strip, span])

    in_bands(shore, land.rows, paint_band)


def shadow(columns: int, centre: float, elevation_deg: float, clouds: float = 1.0) -> npt.NDArray[np.float32]:
    """Return what a wandering shadow leaves of the light of each column; it is weak when the sun is down.

    It belongs to clouds: without them, at 0, there is none.
    """
    strength = 0.20 + 0.35 * float(np.clip((elevation_deg + 2.0) / 4.0, 0.0, 1.0))
    across = (np.arange(columns) + 0.5) / columns
    return (1.0 - clouds * strength * np.exp(-(((across - centre) / 0.24) ** 4))).astype(np.float32)
