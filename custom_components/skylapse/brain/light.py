"""Light that crosses a threshold: told once, though it flickers about it.

Pure. A threshold is crossed in one direction; it can be crossed again once the light went back past it by the
hysteresis, in EV: 1 EV is twice the light.
"""

from dataclasses import dataclass
from typing import Literal

from ..protocol.messages import Reading

Measure = Literal["lux", "scene_ev"]
Direction = Literal["above", "below"]

MEASURES: tuple[Measure, ...] = ("lux", "scene_ev")
DIRECTIONS: tuple[Direction, ...] = ("above", "below")


@dataclass(frozen=True, kw_only=True, slots=True)
class Threshold:
    """A height of the light, and the side of it that is waited for."""

    measure: Measure
    value: float
    """Lux, or the exposure value of the scene at ISO 100."""
    direction: Direction
    hysteresis_ev: float = 0.0

    def is_beyond(self, level: float) -> bool:
        """Tell whether the light is on the side that is waited for."""
        return level > self.value if self.direction == "above" else level < self.value

    def stays_beyond(self, level: float) -> bool:
        """Tell whether the light, once beyond, has not yet gone back by the hysteresis."""
        return level > self._back if self.direction == "above" else level < self._back

    @property
    def _back(self) -> float:
        ev = -self.hysteresis_ev if self.direction == "above" else self.hysteresis_ev
        return float(self.value + ev if self.measure == "scene_ev" else self.value * 2**ev)


def level_of(reading: Reading, measure: Measure) -> float | None:
    """Return how bright it is, None where the camera cannot tell."""
    return reading.lux if measure == "lux" else reading.scene_ev
