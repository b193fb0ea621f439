"""A season in a minute: pictures of one frame a day melt into each other, and none is darker than its time.

`select` chooses the frames: one a day at the same height of the sun. What still differs from day to day is
the weather. The brightness of a day is brought towards a smooth curve (Gaussian, σ `sigma_days`), at most by
`cap_ev` stops where it is known; then each picture becomes the mean, in linear light, of the days around it,
`days` to each side with weights that fall evenly. So weather shows as a slow breath instead of a flicker.

Parameters: `days` 0…10 (default 1), `sigma_days` 0…60 (default 4; 0 leaves brightness alone), `cap_ev` 0…3
stops (default 1).

`choose` finds the frame of one day for whoever has too many frames to hold: it asks for the sun of some
dozens of them only, for the sun rises to noon and sinks after it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .layer import Layer, Picture
from .plan import Plan
from .smooth import smooth

_COARSE = 24
_FINER = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Dissolve(Layer):
    """The weighted mean of a picture and those of the days around it."""

    days: int

    def needs(self, number: int, below: int) -> Sequence[int]:
        """Return the days around."""
        return range(max(number - self.days, 0), min(number + self.days + 1, below))

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        """Mix them."""
        weights = [self.days + 1 - abs(picture.number - number) for picture in below]
        light = np.zeros_like(below[0].light)
        for weight, picture in zip(weights, below, strict=True):
            light += np.float32(weight / sum(weights)) * picture.light
        middle = min(below, key=lambda picture: abs(picture.number - number))
        return replace(middle, light=light)


def season(plan: Plan, *, days: float = 1, sigma_days: float = 4.0, cap_ev: float = 1.0) -> Plan:
    """Return the plan of days that melt into each other."""
    shown = plan.log_mean + plan.gain_ev @ np.full(3, 1 / 3)
    if sigma_days > 0 and len(shown) > 1 and np.isfinite(shown).all():
        place = np.arange(len(shown), dtype=np.float64)
        towards = np.clip(smooth(place, shown, sigma_days) - shown, -cap_ev, cap_ev)
        plan = replace(plan, gain_ev=plan.gain_ev + towards[:, None])
    if round(days) < 1:
        return plan
    return replace(plan, layers=(*plan.layers, Dissolve(days=round(days))))


def choose(
    count: int, sun_of: Callable[[int], float | None], light: str, wanted_deg: float, within_deg: float
) -> int | None:
    """Return which of a day's frames, in order of time, `select` would choose; null where it would none.

    `sun_of` tells the sun's elevation at a frame in degrees, null where nobody knows it; `light` is rising,
    setting or noon.
    """
    asked: dict[int, float] = {}

    def ask(indices: Sequence[int]) -> None:
        for index in indices:
            if index not in asked and 0 <= index < count:
                sun = sun_of(index)
                asked[index] = math.nan if sun is None else sun

    if not count:
        return None
    step = max(1, count // _COARSE)
    ask([*range(0, count, step), count - 1])
    while True:
        known = {index: sun for index, sun in asked.items() if math.isfinite(sun)}
        if not known:
            return None
        top = max(known, key=lambda index: known[index])
        best = top if light == "noon" else _nearest(known, top, light, wanted_deg)
        if step == 1:
            break
        around, step = step, max(1, step // _FINER)
        ask([at + offset for at in {top, best} for offset in range(-around, around + 1, step)])
    return best if light == "noon" or abs(known[best] - wanted_deg) <= within_deg else None


def _nearest(known: dict[int, float], top: int, light: str, wanted_deg: float) -> int:
    """Return the frame nearest to an elevation, of those on one side of the highest."""
    side = [index for index in known if (index >= top if light == "setting" else index <= top)]
    return min(side, key=lambda index: (abs(known[index] - wanted_deg), index))
