"""The scene: what the twin's camera looks at, at any moment, in linear light.

A picture is painted from the back to the front (`paint.py`): sky, clouds, stars, sun, ridges, lake, shore.
Then the whole of it is scaled so that its mean luminance is the light of the moment (`light.py`) times the
effect of the clouds, and a shadow is laid over the land. So the truth is exact: scene_ev = log2 lux +
cloud_ev + shadow_ev.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from math import log2

import numpy as np
import numpy.typing as npt

from . import paint
from .bands import in_bands
from .fog import Fog
from .landscape import FIELD_OF_VIEW_DEG, HORIZON, WATERLINE, Landscape, landscape
from .light import lux
from .paint import Light, SunInView
from .palette import palette
from .sun import Place
from .texture import Plane
from .weather import Weather

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""Weights of linear red, green and blue in luminance (ITU-R BT.709)."""

_SUNSET_AT = 0.60
"""The camera looks so that the sun sets here, in picture widths from the left."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Strength:
    """How strong the light of a painted picture is, by row and column."""

    above: np.float32
    """In the sky, everywhere the same…"""
    edge: Plane
    """…in the rows from `top` on in which the shadow sets in…"""
    top: int
    below: npt.NDArray[np.float32]
    """…and by column in the rows below them."""

    def of(self, rows: slice) -> npt.NDArray[np.float32]:
        """Return the strength of some rows, shape (rows, columns), or one that is broadcast to it."""
        full = self.top + self.edge.shape[0]
        if rows.stop <= self.top:
            return np.full((1, 1), self.above)
        if rows.start >= full:
            return self.below[None, :]
        by_row = np.empty((rows.stop - rows.start, self.below.size), dtype=np.float32)
        starts = (rows.start, min(max(self.top, rows.start), rows.stop), min(full, rows.stop), rows.stop)
        first, second = starts[1] - rows.start, starts[2] - rows.start
        by_row[:first] = self.above
        by_row[first:second] = self.edge[starts[1] - self.top : starts[2] - self.top]
        by_row[second:] = self.below
        return by_row


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What is seen at one moment, and the truth about it."""

    painted: Light
    """As it was painted, of any scale: whoever goes through it anyway multiplies it by `strength`."""
    strength: Strength
    sun_elevation_deg: float
    lux: float
    """Illuminance of the clear sky by the sun's elevation."""
    scene_ev: float
    """log2 of the mean luminance of `light`, everything included."""
    cloud_ev: float
    """Effect of the clouds on that mean."""
    shadow_ev: float
    """Effect of the shadow on that mean."""

    @property
    def light(self) -> Light:
        """The light in lux, as a daylight-balanced camera sees it; computed when it is asked for."""
        return self.painted * self.strength.of(slice(0, self.painted.shape[1]))


class Scene:
    """A place, a landscape and its weather, for one picture size; every method is a pure function of time."""

    def __init__(
        self, *, width: int, height: int, seed: int, place: Place, weather: Weather | None = None
    ) -> None:
        """Remember; the landscape is drawn when it is first looked at."""
        self.width = width
        self.height = height
        self.place = place
        self.weather = Weather(seed=seed) if weather is None else weather
        self._seed = seed

    @cached_property
    def landscape(self) -> Landscape:
        """Everything that stands still; drawing it takes about half a second at 1080p."""
        return landscape(self.height, self.width, self._seed)

    def expected_ev(self, at: datetime) -> float:
        """Return the scene's EV without the shadow, known without painting."""
        return log2(lux(self.place.elevation_deg(at))) + self.weather.cloud_ev(at.timestamp())

    def view(self, at: datetime, *, fog: float = 0.0) -> View:
        """Paint the scene of one moment, behind fog of 0…1; fog takes contrast, not light."""
        land, time_s, sun = self.landscape, at.timestamp(), self._sun(at)
        colours = palette(sun.elevation_deg)
        light = np.empty((3, self.height, self.width), dtype=np.float32)
        veil = paint.sky(light, land, colours, sun, time_s, self.weather.coverage(time_s))
        paint.stars(light, land, colours, veil, self._pole(), time_s)
        paint.disc(light, colours, sun, veil)
        air = Fog(colours, land, fog)
        air.over_the_sky(light)
        for number, layer in enumerate(land.layers):
            paint.layer(light, layer, colours)
            air.before(light, number)
        paint.lake(light, land, time_s)
        air.over_the_lake(light)
        paint.layer(light, land.shore, colours)
        clear, cloud_ev = lux(sun.elevation_deg), self.weather.cloud_ev(time_s)
        shade = paint.shadow(
            self.width, self.weather.shadow_centre(time_s), sun.elevation_deg, self.weather.clouds
        )
        strength, share = _light_up(light, shade, clear * 2.0**cloud_ev)
        return View(
            painted=light,
            strength=strength,
            sun_elevation_deg=sun.elevation_deg,
            lux=clear,
            scene_ev=log2(clear * share) + cloud_ev,
            cloud_ev=cloud_ev,
            shadow_ev=log2(share),
        )

    def _sun(self, at: datetime) -> SunInView:
        """Project the sun into the picture."""
        degree = self.width / FIELD_OF_VIEW_DEG
        elevation = self.place.elevation_deg(at)
        aside = self.place.azimuth_deg(at) - self.place.sunset_azimuth_deg(at)
        return SunInView(
            elevation_deg=elevation,
            x=_SUNSET_AT * self.width + ((aside + 180.0) % 360.0 - 180.0) * degree,
            y=HORIZON * self.height - elevation * degree,
            degree=degree,
        )

    def _pole(self) -> tuple[float, float]:
        """Return where the stars turn around, in pixels: a right angle aside, as high as the latitude."""
        degree = self.width / FIELD_OF_VIEW_DEG
        aside = 90.0 if self.place.latitude_deg >= 0.0 else -90.0
        return (
            _SUNSET_AT * self.width + aside * degree,
            HORIZON * self.height - abs(self.place.latitude_deg) * degree,
        )


def _light_up(light: Light, shade: npt.NDArray[np.float32], mean: float) -> tuple[Strength, float]:
    """Return what takes a painted picture to a mean luminance and lays the shadow over the land.

    With it comes the share of that mean that the shadow leaves. `shade` is what it leaves of each column.
    """
    rows = light.shape[1]
    top, full = int(rows * (WATERLINE - 0.08)), int(rows * WATERLINE)
    onset = np.linspace(0.0, 1.0, full - top, dtype=np.float32)[:, None]
    edge = np.asarray(1.0 - onset * (1.0 - shade), dtype=np.float32)
    above, below = (
        np.sum(in_bands(start, stop, lambda band: light[:, band].sum(axis=1)), axis=0)
        for start, stop in ((0, top), (full, rows))
    )
    across = light[:, top:full]
    total = _luminance(above, across.sum(axis=1), below)
    shaded = _luminance(above, (across * edge).sum(axis=1), below * shade)
    factor = np.float32(mean * light[0].size / total)
    return Strength(above=factor, edge=edge * factor, top=top, below=factor * shade), shaded / total


def _luminance(*columns: npt.NDArray[np.float32]) -> float:
    """Return the luminance of sums by channel and column."""
    return float(sum(part.sum(axis=1, dtype=np.float64) for part in columns) @ LUMINANCE)
