"""Star trails: each picture of the film is the brightest light that the night has shown so far.

Which frames: those taken while the sun stood at or below `sun_below_deg`, where that is known; where no frame
knows it, those that were exposed as a night is, for long and nearly as long as any. They must not be much
brighter than the night's own median (a car, the moon behind clouds, dawn): `brighter_ev` stops are
allowed, by what was measured. The trail carries from picture to picture in linear light.
With `tail` frames of memory a star draws a comet: light fades by half in so many frames.

Parameters: `sun_below_deg` −18…0 (default −12), `brighter_ev` 0.1…5 stops (default 1), `tail` 0…10,000 frames
(default 0: trails never fade).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skylapse_processor.errors import NoPicturesError
from skylapse_processor.frames import ExposureFacts

from .layer import Layer, Picture
from .plan import Plan, pick

SUN_BELOW_DEG = -12.0
BRIGHTER_EV = 1.0
NIGHT_EV = 17.9
"""As `ExposureFacts.exposure_ev`: a second at ISO 100 and f/2. The day and dusk have less."""
_NEARLY_EV = 3.0
_USUAL = 0.9
"""Of the long exposures so many are no longer than a night's: one by hand may be ten times as long."""
_FEWEST = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Trail(Layer):
    """The running maximum, fading by `keeps` from one picture to the next; 1 keeps all."""

    keeps: float = 1.0

    @property
    def carries(self) -> bool:
        """Each picture is made of the one before."""
        return True

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        """Begin with the first frame."""
        return replace(below[0], number=number)

    def carry(self, number: int, below: Sequence[Picture], before: Picture) -> Picture:
        """Take the brighter of what was and what is, channel by channel."""
        light = before.light * np.float32(self.keeps)
        np.maximum(light, below[0].light, out=light)
        return replace(below[0], light=light, number=number)


def startrail(
    plan: Plan, *, sun_below_deg: float = SUN_BELOW_DEG, brighter_ev: float = BRIGHTER_EV, tail: float = 0
) -> Plan:
    """Return the plan of the night's frames with a trail upon them; raise NoPicturesError for no night."""
    kept = pick(plan, dark(plan, sun_below_deg, brighter_ev))
    if len(kept.frames) < _FEWEST:
        raise NoPicturesError(_no_night(sun_below_deg))
    keeps = 0.5 ** (1.0 / tail) if tail else 1.0
    return replace(kept, layers=(*kept.layers, Trail(keeps=keeps)))


def why_no_trail(suns_deg: Iterable[float | None], sun_below_deg: float = SUN_BELOW_DEG) -> str:
    """Say why frames with the sun so high make no trail; nothing where they may.

    Looks at no more of them than needed. Where no frame knows the sun, `startrail` looks at exposures.
    """
    night, unknown, is_known = 0, 0, False
    for sun in suns_deg:
        is_known |= sun is not None
        unknown += sun is None
        night += sun is not None and sun <= sun_below_deg
        if night >= _FEWEST:
            return ""
    return "" if unknown >= _FEWEST and not is_known else _no_night(sun_below_deg)


def _no_night(sun_below_deg: float) -> str:
    return (
        f"no star trail: fewer than {_FEWEST} frames were taken with the sun {-sun_below_deg:g}° or more"
        " below the horizon, or where no frame knows the sun exposed as at night"
    )


def dark(plan: Plan, sun_below_deg: float, brighter_ev: float) -> NDArray[np.intp]:
    """Return the indices of the frames of a dark sky.

    Those of which nothing tells count as night, unless others tell their exposure and none is a night's.
    """
    facts = [frame.facts or ExposureFacts() for frame in plan.frames]
    sun = np.array([each.sun_elevation_deg for each in facts], dtype=np.float64)
    exposure = np.array([each.exposure_ev for each in facts], dtype=np.float64)
    night = sun <= sun_below_deg
    if np.isnan(sun).all():
        long = exposure[exposure >= NIGHT_EV]
        tells_of_day = not long.size and not np.isnan(exposure).all()
        night = np.isnan(exposure) & (not tells_of_day)
        if long.size:
            night |= exposure >= max(NIGHT_EV, float(np.quantile(long, _USUAL, method="lower")) - _NEARLY_EV)
    bright = plan.log_mean
    if np.isfinite(bright[night]).any():
        limit = float(np.nanmedian(bright[night])) + brighter_ev
        night &= ~(bright > limit)
    return np.flatnonzero(night)
