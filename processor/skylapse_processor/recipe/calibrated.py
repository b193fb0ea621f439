"""What is known of one camera beyond its records."""

from dataclasses import dataclass

from .cube import Cube
from .optics import LensModel
from .vignette import FlatField


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """All that was calibrated; null for what was not."""

    lens: LensModel | None = None
    flat: FlatField | None = None
    cube: Cube | None = None


NOTHING = Calibration()
