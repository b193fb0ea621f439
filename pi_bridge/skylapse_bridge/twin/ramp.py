"""Exposures for a written sequence, from the easy to the hard. Pure.

The hard one, `reactive`, is what simple cameras do at dusk and what films have to be freed from: the light of
three frames ago is followed in thirds of a stop, clouds and all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log2

from .sensor import SensorModel

TARGET = 0.16
"""Mean of the picture in linear light, 1 = clipped: what libcamera's automatic exposure aims at."""

LAG_FRAMES = 3
_THIRD = 1.0 / 3.0
_TOLERANCE_EV = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposure:
    """One exposure to ask for."""

    exposure_us: int
    gain: float


def exposure_ev(sensor: SensorModel, scene_ev: float) -> float:
    """Return log2 of exposure time in µs times gain that shows a scene of this EV at the target."""
    return log2(TARGET / sensor.response()) - scene_ev


def split(sensor: SensorModel, total_ev: float, interval_s: float) -> Exposure:
    """Split an exposure into time and gain: time first, up to the sensor's limit and 0.8 of the interval."""
    lowest = sensor.gain[0]
    longest = min(float(sensor.exposure_us[1]), 0.8e6 * interval_s)
    time_us = min(max(2.0**total_ev / lowest, float(sensor.exposure_us[0])), longest)
    gain = min(max(2.0**total_ev / time_us, lowest), sensor.gain[1])
    return Exposure(exposure_us=round(time_us), gain=gain)


def constant(wanted: Sequence[float]) -> list[float]:
    """One exposure for all: the middle one of those wanted."""
    return [sorted(wanted)[len(wanted) // 2]] * len(wanted)


def smooth(wanted: Sequence[float]) -> list[float]:
    """Exactly what each frame wants."""
    return list(wanted)


def steps(wanted: Sequence[float]) -> list[float]:
    """What each frame wants, to the nearest third of a stop."""
    return [round(ev / _THIRD) * _THIRD for ev in wanted]


def reactive(wanted: Sequence[float]) -> list[float]:
    """Follow what was metered three frames ago, a third of a stop at a time, once it is off by a quarter."""
    now = steps(wanted[:1])[0]
    followed = []
    for index in range(len(wanted)):
        error = wanted[max(index - LAG_FRAMES, 0)] - now
        if abs(error) > _TOLERANCE_EV:
            now += _THIRD if error > 0 else -_THIRD
        followed.append(now)
    return followed


RAMPS: dict[str, Callable[[Sequence[float]], list[float]]] = {
    "reactive": reactive,
    "steps": steps,
    "smooth": smooth,
    "constant": constant,
}
"""Every way to expose a sequence, by its name on the command line: wanted EV in, asked EV out."""
