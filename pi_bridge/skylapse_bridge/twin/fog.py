"""Fog: between the eye and a thing at a distance lies air that scatters its light away and its own light in.

What is left of the thing is t = exp(−k d), what comes in is (1 − t) of the air's light (H. Koschmieder,
Theorie der horizontalen Sichtweite, 1924). Sheets of land are painted from the back to the front, so the air
between two of them is laid over all that is behind it, just after the farther one was painted.
"""

import numpy as np
import numpy.typing as npt

from .bands import in_bands
from .landscape import HORIZON, Landscape
from .paint import Light
from .palette import Palette

_BEFORE = (1.3, 0.9, 0.0)
"""Optical depth, at a fog of 1, of the air before each ridge, from the back to the front; before the last of
them lies only the lake."""

_OVER_LAKE = (0.95, 0.06)
"""Optical depth of the air to the far shore, and to the near one."""

_SKY = 1.6


class Fog:
    """The fog of one moment; without fog it does nothing."""

    def __init__(self, colours: Palette, land: Landscape, density: float) -> None:
        """Remember; `density` is 0…1."""
        self._land = land
        self._density = density
        air = 0.55 * colours.horizon + 0.45 * colours.middle
        grey = float(air @ (0.2126, 0.7152, 0.0722))
        self._air = (0.35 * air + 0.65 * grey).astype(np.float32)[:, None, None]

    def over_the_sky(self, light: Light) -> None:
        """Lay fog over the sky, thickest at the horizon: a look up leaves it sooner."""
        up = np.clip(1.0 - np.arange(self._land.sky_rows) / (HORIZON * self._land.rows), 0.0, 1.0)
        self._lay(light, _SKY / (0.5 + 2.0 * up))

    def before(self, light: Light, number: int) -> None:
        """Lay the air before one ridge over all that is behind it."""
        self._lay(light, np.full(self._land.sky_rows, _BEFORE[number]))

    def over_the_lake(self, light: Light) -> None:
        """Lay the air over the lake over it and over all beyond it."""
        far, near = _OVER_LAKE
        water = np.linspace(far, near, self._land.rows - self._land.sky_rows)
        self._lay(light, np.concatenate([np.full(self._land.sky_rows, far), water]))

    def _lay(self, light: Light, depth: npt.NDArray[np.float64]) -> None:
        """Lay air of this optical depth, by row, over the rows from the top."""
        if self._density == 0.0:
            return
        passed = np.exp(-self._density * depth).astype(np.float32)[:, None]
        added = self._air * (1.0 - passed)

        def lay_band(band: slice) -> None:
            light[:, band] *= passed[band]
            light[:, band] += added[:, band]

        in_bands(0, depth.size, lay_band)
