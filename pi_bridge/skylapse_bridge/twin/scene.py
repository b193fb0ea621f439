"""The scene: what the twin's camera looks at, at any moment, in linear light.

A picture is painted from the back to the front: sky, clouds, stars, sun, ridges, lake, shore. Then the whole
of it is scaled so that its mean luminance is the light of the moment (`light.py`) times the effect of the
clouds, and a shadow is laid over the land. So the truth is exact: scene_ev = log2 lux + cloud_ev + shadow_ev.

Sky and sensor work in strips of rows that stay in the processor's cache: three times as fast as whole
pictures.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from math import log2
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .landscape import FIELD_OF_VIEW_DEG, HORIZON, WATERLINE, Landscape, Layer, landscape
from .light import lux
from .palette import Colour, Palette, palette
from .sun import Place
from .weather import Weather

Light: TypeAlias = npt.NDArray[np.float32]
"""Linear light in lux, shape (3, rows, columns): red, green, blue as a daylight-balanced camera sees them."""

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""Weights of linear red, green and blue in luminance (ITU-R BT.709)."""

STRIP_ROWS = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What is seen at one moment, and the truth about it."""

    light: Light
    sun_elevation_deg: float
    lux: float
    """Illuminance of the clear sky by the sun's elevation."""
    scene_ev: float
    """log2 of the mean luminance of `light`, everything included."""
    cloud_ev: float
    """Effect of the clouds on that mean."""
    shadow_ev: float
    """Effect of the shadow on that mean."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sun:
    """Where the sun stands in the picture."""

    elevation_deg: float
    x: float
    """In pixels from the left."""
    y: float
    """In pixels from the top."""
    degree: float
    """Pixels in one degree."""


class Scene:
    """A place, a landscape and its weather, for one picture size; every method is a pure function of time."""

    def __init__(
        self, *, width: int, height: int, seed: int, place: Place, weather: Weather | None = None
    ) -> None:
        """Remember; the landscape is drawn at the first view."""
        self.width = width
        self.height = height
        self.place = place
        self.weather = Weather(seed=seed) if weather is None else weather
        self._seed = seed

    def expected_ev(self, at: datetime) -> float:
        """Return the scene's EV without the shadow, known without painting."""
        return log2(lux(self.place.elevation_deg(at))) + self.weather.cloud_ev(at.timestamp())

    def view(self, at: datetime) -> View:
        """Paint the scene of one moment."""
        land = _landscape(self.height, self.width, self._seed)
        sun = self._sun(at)
        colours = palette(sun.elevation_deg)
        time_s = at.timestamp()
        light = np.empty((3, self.height, self.width), dtype=np.float32)
        veil = _paint_sky(light, land, colours, sun, time_s, self.weather.coverage(time_s))
        _paint_stars(light, land, colours, veil, self._pole(), time_s)
        _paint_disc(light, colours, sun, veil)
        for layer in land.layers:
            _paint_layer(light, layer, colours)
        _paint_lake(light, land, time_s)
        _paint_layer(light, land.shore, colours)
        clear = lux(sun.elevation_deg)
        cloud_ev = self.weather.cloud_ev(time_s)
        light *= np.float32(clear * 2.0**cloud_ev / mean_luminance(light))
        before = clear * 2.0**cloud_ev
        _cast_shadow(light, self.weather.shadow_centre(time_s), sun.elevation_deg)
        scene_ev = log2(mean_luminance(light))
        return View(
            light=light,
            sun_elevation_deg=sun.elevation_deg,
            lux=clear,
            scene_ev=scene_ev,
            cloud_ev=cloud_ev,
            shadow_ev=scene_ev - log2(before),
        )

    def _sun(self, at: datetime) -> _Sun:
        """Project the sun; the camera looks at where it sets, a little to the left of the middle."""
        degree = self.width / FIELD_OF_VIEW_DEG
        elevation = self.place.elevation_deg(at)
        aside = (self.place.azimuth_deg(at) - self.place.sunset_azimuth_deg(at) + 180.0) % 360.0 - 180.0
        return _Sun(
            elevation_deg=elevation,
            x=0.60 * self.width + aside * degree,
            y=HORIZON * self.height - elevation * degree,
            degree=degree,
        )

    def _pole(self) -> tuple[float, float]:
        """Return where the stars turn around, in pixels: due north, as high as the latitude, right of the west."""
        degree = self.width / FIELD_OF_VIEW_DEG
        north = 1.0 if self.place.latitude_deg >= 0.0 else -1.0
        return (
            0.60 * self.width + north * 90.0 * degree,
            (HORIZON * self.height) - abs(self.place.latitude_deg) * degree,
        )


@lru_cache(maxsize=4)
def _landscape(rows: int, columns: int, seed: int) -> Landscape:
    """Keep the landscapes that are in use."""
    return landscape(rows, columns, seed)


def mean_luminance(light: Light) -> float:
    """Return the mean luminance of a picture in linear light."""
    return float(light.mean(axis=(1, 2), dtype=np.float64) @ LUMINANCE)


def _paint_sky(
    light: Light, land: Landscape, colours: Palette, sun: _Sun, time_s: float, coverage: float
) -> npt.NDArray[np.float32]:
    """Paint sky and clouds over the sky rows; return how far clouds hide what is behind, per pixel."""
    rows, columns = land.sky_rows, land.columns
    base = _gradient(colours, rows, land.rows)
    glow_y, glow_x = _glow(colours, sun, rows, columns)
    shade, shine_y, shine_x = _cloud_light(colours, sun, rows, columns)
    shifts = [int(speed * columns * time_s) % columns for speed in (1 / 2900.0, 1 / 4300.0)]
    threshold = (1.15 - 1.75 * coverage) * np.ones(rows, dtype=np.float32)
    veil = np.empty((rows, columns), dtype=np.float32)
    scratch = np.empty((3, STRIP_ROWS, columns), dtype=np.float32)
    for top in range(0, rows, STRIP_ROWS):
        strip = slice(top, min(top + STRIP_ROWS, rows))
        sky, spare, cover = light[:, strip], scratch[:, : strip.stop - strip.start], veil[strip]
        np.multiply(glow_y[0][:, strip, None], glow_x[0][:, None, :], out=sky)
        sky += base[:, strip, None]
        np.multiply(glow_y[1][:, strip, None], glow_x[1][:, None, :], out=spare)
        sky += spare
        facing = _cloud_cover(land, strip, shifts, threshold[strip], cover)
        np.multiply(shine_y[:, strip, None], shine_x[:, None, :], out=spare)
        spare *= facing
        spare += shade[:, strip, None]
        spare -= sky
        spare *= cover
        sky += spare
    return veil


def _cloud_cover(
    land: Landscape,
    strip: slice,
    shifts: list[int],
    threshold: npt.NDArray[np.float32],
    cover: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Write how dense the clouds of a strip are, 0…1, and return how far they face the low sun, 0…1."""
    first, second = (slice(shift, shift + land.columns) for shift in shifts)
    np.add(land.clouds[0][strip, first], land.clouds[1][strip, second], out=cover)
    cover -= threshold[:, None]
    cover *= np.float32(0.62)
    np.clip(cover, 0.0, 1.0, out=cover)
    facing = land.undersides[0][strip, first] + land.undersides[1][strip, second]
    facing *= np.float32(0.22)
    facing += np.float32(0.62)
    facing -= np.float32(0.35) * cover
    np.clip(facing, 0.0, 1.3, out=facing)
    return facing


def _gradient(colours: Palette, rows: int, height: int) -> npt.NDArray[np.float32]:
    """Return the sky's colour by row, shape (3, rows), from the zenith down to the horizon."""
    up = np.clip(1.0 - np.arange(rows) / (HORIZON * height), 0.0, 1.0)
    low = np.exp(-((up / 0.20) ** 1.3))
    high = np.clip((up - 0.15) / 0.85, 0.0, 1.0) ** 0.9
    middle = colours.middle[:, None] * (1.0 - high) + colours.zenith[:, None] * high
    return (middle * (1.0 - low) + colours.horizon[:, None] * low).astype(np.float32)


def _bell(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return a bell of height 1."""
    return np.exp(-0.5 * distance * distance)


def _glow(
    colours: Palette, sun: _Sun, rows: int, columns: int
) -> tuple[list[npt.NDArray[np.float32]], list[npt.NDArray[np.float32]]]:
    """Return the two bells of light around the sun as (coloured by row, by column), red reaching farther than blue."""
    x = (np.arange(columns) - sun.x) / sun.degree
    y = (np.arange(rows) - min(sun.y, HORIZON / WATERLINE * rows + 2.0 * sun.degree)) / sun.degree
    reach = np.array([1.12, 0.95, 0.80])[:, None]
    rows_of, columns_of = [], []
    for strength, across, down in ((0.62, 17.0, 5.5), (0.80, 4.6, 3.0)):
        rows_of.append(
            (strength * colours.glow[:, None] * _bell(y[None, :] / (down * reach))).astype(np.float32)
        )
        columns_of.append(_bell(x[None, :] / (across * reach)).astype(np.float32))
    return rows_of, columns_of


def _cloud_light(
    colours: Palette, sun: _Sun, rows: int, columns: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the clouds' own shade by row, and the light on their undersides as (coloured by row, by column)."""
    up = np.clip(1.0 - np.arange(rows) / (HORIZON / WATERLINE * rows), 0.0, 1.0)
    shade = colours.cloud_shade[:, None] * (1.05 - 0.30 * up) + 0.25 * colours.horizon[:, None] * np.exp(
        -up / 0.12
    )
    low_sun = np.clip((12.0 - sun.elevation_deg) / 12.0, 0.0, 1.0)
    shine = colours.cloud_lit[:, None] * (1.0 - (0.55 * low_sun) * up) * 0.85
    x = (np.arange(columns) - sun.x) / sun.degree
    across = 1.0 - low_sun * (1.0 - (0.30 + 0.70 * _bell(x / 19.0)))
    by_column = np.broadcast_to(across, (3, columns))
    return shade.astype(np.float32), shine.astype(np.float32), by_column.astype(np.float32)


def _paint_stars(
    light: Light,
    land: Landscape,
    colours: Palette,
    veil: npt.NDArray[np.float32],
    pole: tuple[float, float],
    time_s: float,
) -> None:
    """Add the stars, turned around the pole by the sidereal day; each is spread over four pixels."""
    if colours.stars <= 0.0:
        return
    degree = land.columns / FIELD_OF_VIEW_DEG
    angle = np.radians(land.stars[:, 0] + 360.0 * (time_s / 86164.0905))
    x = pole[0] + land.stars[:, 1] * degree * np.cos(angle)
    y = pole[1] + land.stars[:, 1] * degree * np.sin(angle)
    seen = (x >= 0) & (x < land.columns - 1) & (y >= 0) & (y < HORIZON * land.rows - 1)
    column, row = x[seen].astype(int), y[seen].astype(int)
    right, down = x[seen] - column, y[seen] - row
    size = max(land.columns / 1920.0, 0.25) ** 2
    strength = 0.55 * size * colours.stars * land.stars[seen, 2] * (1.0 - veil[row, column]) ** 2
    strength *= np.clip(1.15 - y[seen] / (HORIZON * land.rows), 0.0, 1.0)
    tint = np.stack([land.stars[seen, 3], np.ones(strength.size), land.stars[seen, 4]])
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        share = np.abs(1 - dy - down) * np.abs(1 - dx - right)
        np.add.at(light, (slice(None), row + dy, column + dx), (tint * strength * share).astype(np.float32))


def _paint_disc(light: Light, colours: Palette, sun: _Sun, veil: npt.NDArray[np.float32]) -> None:
    """Add the sun's disc, smooth at its edge and dimmed by clouds."""
    radius = 0.42 * sun.degree
    top, left = int(sun.y - 3 * radius), int(sun.x - 3 * radius)
    bottom, right = top + int(6 * radius) + 2, left + int(6 * radius) + 2
    top, left, bottom, right = (
        max(top, 0),
        max(left, 0),
        min(bottom, veil.shape[0]),
        min(right, veil.shape[1]),
    )
    if colours.disc <= 0.0 or top >= bottom or left >= right:
        return
    distance = np.hypot(np.arange(top, bottom)[:, None] - sun.y, np.arange(left, right)[None, :] - sun.x)
    shape = np.clip((radius - distance) / max(0.25 * radius, 1.0) + 0.5, 0.0, 1.0)
    shape *= colours.disc * (1.0 - veil[top:bottom, left:right]) ** 2
    warm = colours.glow / colours.glow.max() + 0.25
    light[:, top:bottom, left:right] += (4.0 * warm[:, None, None] * shape).astype(np.float32)


def _paint_layer(light: Light, layer: Layer, colours: Palette) -> None:
    """Lay one sheet of land over what is behind it."""
    colour: Colour = (
        colours.land * (1.0 - layer.haze) * 0.75
        + (colours.horizon * 0.5 + colours.middle * 0.5) * layer.haze * 0.42
    )
    for channel in range(3):
        area = light[channel, layer.rows]
        area -= area * layer.cover
        area += layer.lit * np.float32(colour[channel])


def _paint_lake(light: Light, land: Landscape, time_s: float) -> None:
    """Mirror in the lake what stands above it, rows swayed by the waves, darker when looked at from above."""
    shore = int(land.rows * WATERLINE)
    count = land.rows - shore
    nearness = np.arange(count) / count
    sway = np.sin(nearness**0.7 * 140.0 + time_s * 0.9) + 0.6 * np.sin(nearness**0.6 * 333.0 - time_s * 1.7)
    source = shore - 1 - np.arange(count) * 1.35 - sway * (0.5 + 5.0 * nearness) * land.rows / 1080.0
    rows = np.clip(source.astype(int), 0, shore - 1)
    shift = int(time_s * land.columns / 700.0) % land.columns
    fall = (0.80 - 0.38 * nearness)[:, None].astype(np.float32)
    waves = land.ripples[:, shift : shift + land.columns] * fall
    for channel, tint in enumerate((0.92, 0.97, 1.04)):
        np.multiply(light[channel, rows], waves * np.float32(tint), out=light[channel, shore:])


def _cast_shadow(light: Light, centre: float, elevation_deg: float) -> None:
    """Darken lake and land under a wandering cloud; the shadow is soft, and weak when the sun is down."""
    strength = 0.20 + 0.35 * float(np.clip((elevation_deg + 2.0) / 4.0, 0.0, 1.0))
    across = np.linspace(0.0, 1.0, light.shape[2])
    bell = np.exp(-(((across - centre) / 0.24) ** 4))
    top = int(light.shape[1] * (WATERLINE - 0.04))
    light[:, top:] *= (1.0 - strength * bell).astype(np.float32)
