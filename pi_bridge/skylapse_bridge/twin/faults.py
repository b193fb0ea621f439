"""What goes wrong with a camera outdoors, injected in known amounts: the truth that detectors are scored on.

Everything is a pure function of (camera, time): the same moment is spoiled in the same way in every process.
Places and lengths are shares of the picture, so that a preview is spoiled as the photograph is.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from math import degrees, log2, radians, sin
from typing import Any

import numpy as np

from .sun import Place

INFINITY_DIOPTRE = 0.25
"""Where the landscape is sharp at `REFERENCE_C`: on real modules infinity is not quite 0 either."""

REFERENCE_C = 25.0

_WARMTH_LAGS = timedelta(hours=2)
_MOST_SHAKE = 3.0
_TURN = 0.25
"""Wind turns a camera less than it pushes it: the edges move by an eighth of the shift."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Faults:
    """What is wrong with a camera; the defaults are a camera that nothing is wrong with."""

    shake_px: float = 0.0
    """Deviation of the picture's shift by wind, along x and along y, in pixels of the full picture."""
    droplets: int = 0
    """Drops of water on the lens."""
    fog: float = 0.0
    """0…1: at 1 the far ridge is gone."""
    dew: float = 0.0
    """0…1: a film of water on the whole lens."""
    drift_dioptre: float = 0.0
    """Infinity moves by so much."""
    since: datetime | None = None
    """The faults above are there from this moment…"""
    until: datetime | None = None
    """…and up to this one."""
    dioptre_per_c: float = 0.0
    """Infinity moves with the temperature of the sensor, always."""
    third_steps: bool = False
    """Exposure times go in thirds of a stop."""
    halve_above_us: float | None = None
    """Longer exposures are silently halved until they are not: 64 MP modules do it above 2.5 s."""
    halve_share: float = 0.0
    """Share of pictures whose exposure is silently halved."""

    def exposure_us(self, asked_us: float, draw: float) -> float:
        """Return the exposure time that the camera makes of a wish; `draw` is 0…1, even."""
        exposure_us = 2.0 ** (round(3.0 * log2(asked_us)) / 3.0) if self.third_steps else asked_us
        while self.halve_above_us is not None and exposure_us > self.halve_above_us:
            exposure_us /= 2.0
        return exposure_us / 2.0 if draw < self.halve_share else exposure_us

    def at(self, moment: datetime, camera: int, place: Place, width: int) -> "Injected":
        """Return what is wrong at one moment; `camera` is a number that belongs to the camera alone."""
        there = (self.since is None or self.since <= moment) and (self.until is None or moment < self.until)
        drift = self.drift_dioptre if there else 0.0
        temperature_c = sensor_temperature_c(place, moment)
        infinity = INFINITY_DIOPTRE + self.dioptre_per_c * (temperature_c - REFERENCE_C) + drift
        if not there:
            return Injected(sensor_temperature_c=temperature_c, infinity_dioptre=infinity)
        x, y, turn = self._shake(moment, camera)
        return Injected(
            shake_x_px=x,
            shake_y_px=y,
            shake_rotation_deg=degrees(_TURN * turn / width),
            droplets=_droplets(camera, self.droplets),
            fog=self.fog,
            dew=self.dew,
            sensor_temperature_c=temperature_c,
            infinity_dioptre=infinity,
        )

    def _shake(self, moment: datetime, camera: int) -> tuple[float, float, float]:
        """Draw the shift of one moment, and its turn, in pixels."""
        if self.shake_px == 0.0:
            return 0.0, 0.0, 0.0
        random = np.random.default_rng((camera, round(moment.timestamp() * 1e6), 1))
        drawn = np.clip(random.standard_normal(3), -_MOST_SHAKE, _MOST_SHAKE) * self.shake_px
        x, y, turn = drawn.tolist()
        return x, y, turn


@dataclass(frozen=True, slots=True)
class Droplet:
    """One drop of water on the lens: a disc in the picture."""

    x: float
    """In picture widths from the left."""
    y: float
    """In picture heights from the top."""
    radius: float
    """In picture widths."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Injected:
    """What is wrong with one picture."""

    sensor_temperature_c: float
    infinity_dioptre: float
    """Where the landscape is sharp."""
    shake_x_px: float = 0.0
    """The picture is shifted to the right, in pixels of the full picture…"""
    shake_y_px: float = 0.0
    """…downwards…"""
    shake_rotation_deg: float = 0.0
    """…and turned clockwise around its middle."""
    droplets: tuple[Droplet, ...] = ()
    fog: float = 0.0
    dew: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it for a line of truth."""
        return {name: _rounded(value) for name, value in asdict(self).items()}


def sensor_temperature_c(place: Place, at: datetime) -> float:
    """Return the temperature of the sensor: it follows the sun, two hours late, between 4 and 44 °C."""
    return 24.0 + 20.0 * sin(radians(place.elevation_deg(at - _WARMTH_LAGS)))


def _droplets(camera: int, count: int) -> tuple[Droplet, ...]:
    """Place the drops, small ones more often than large ones."""
    random = np.random.default_rng((camera, 2))
    drawn = random.uniform(size=(count, 3)).tolist()
    return tuple(Droplet(0.05 + 0.9 * x, 0.05 + 0.9 * y, 0.022 + 0.045 * size**2) for x, y, size in drawn)


def _rounded(value: Any) -> Any:
    """Round figures to what can be measured; leave everything else as it is."""
    return round(value, 6) if isinstance(value, float) else value
