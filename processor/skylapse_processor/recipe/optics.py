"""A calibrated lens: where it draws what lies before it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skylapse_processor.errors import RequestError

from .layer import Size

Values = NDArray[np.float64]
Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

_SAME_SHAPE = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class LensModel:
    """A calibrated lens, in pixels of the whole picture; see docs/calibration.md."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0
    red_scale: float = 1.0
    """How much larger red is drawn than green, about the centre."""
    blue_scale: float = 1.0
    vignetting: tuple[float, ...] = ()
    """v1, v2, v3."""
    colour_matrix: Matrix | None = None
    """Rows: what red, green and blue of the film are made of."""

    @property
    def bends(self) -> bool:
        """Tell whether places move."""
        lengths = (self.k1, self.k2, self.p1, self.p2, self.k3, self.red_scale - 1, self.blue_scale - 1)
        return any(lengths)

    def of_size(self, size: Size) -> "LensModel":
        """Return the lens for pictures of another size and the same shape; raise RequestError for others."""
        across, down = size[0] / self.width, size[1] / self.height
        if abs(across / down - 1) > _SAME_SHAPE:
            raise RequestError(
                "lens",
                f"was calibrated with {self.width} × {self.height} pixels, and these have {size[0]} × "
                f"{size[1]}: the shapes differ",
            )
        return replace(
            self,
            width=size[0],
            height=size[1],
            fx=self.fx * across,
            fy=self.fy * down,
            cx=(self.cx + 0.5) * across - 0.5,
            cy=(self.cy + 0.5) * down - 0.5,
        )

    def drawn(self, x: Values, y: Values) -> tuple[Values, Values]:
        """Return where the points (x, y, 1) before the lens are drawn."""
        r2 = x * x + y * y
        radial = 1 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
        bent_x = x * radial + 2 * self.p1 * x * y + self.p2 * (r2 + 2 * x * x)
        bent_y = y * radial + self.p1 * (r2 + 2 * y * y) + 2 * self.p2 * x * y
        return self.fx * bent_x + self.cx, self.fy * bent_y + self.cy
