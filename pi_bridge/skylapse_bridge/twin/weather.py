"""What passes over the landscape: clouds that dim the light by known stops, and a wandering shadow.

Everything is a pure function of (seed, time), so that any moment can be asked for in any order. Time is cut
into slots; every slot holds one passage of thick cloud with its own moment, length and depth.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import exp, floor

import numpy as np

_CLEARNESS = 2.0
"""Taken off the coverage under a clear sky: enough for no wisp to be left."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """One passage of thick cloud, a bell over time."""

    centre_s: float
    sigma_s: float
    depth_ev: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Weather:
    """The weather of one twin."""

    seed: int
    cloud_every_s: float = 1500.0
    """One passage of cloud in every stretch of this length; it takes about a quarter of it."""
    shadow_every_s: float = 1100.0
    clouds: float = 1.0
    """0 is a clear sky without any shadow, 1 is as cloudy as it gets."""

    def cloud_ev(self, time_s: float) -> float:
        """Return the effect of thick cloud on the light, in stops, at most 0; `time_s` from the epoch."""
        if self.clouds == 0.0:
            return 0.0
        slot = floor(time_s / self.cloud_every_s)
        near = (_passage(self.seed, self.cloud_every_s, k) for k in (slot - 1, slot, slot + 1))
        return -self.clouds * sum(
            p.depth_ev * exp(-(((time_s - p.centre_s) / p.sigma_s) ** 2) / 2.0) for p in near
        )

    def coverage(self, time_s: float) -> float:
        """Return how much of the sky is clouded, up to 1: some always, more while a passage lasts.

        It falls below 0 under a clear sky: the farther, the fewer wisps are left.
        """
        return min(0.30 + 0.60 * -self.cloud_ev(time_s), 1.0) - _CLEARNESS * (1.0 - self.clouds)

    def shadow_centre(self, time_s: float) -> float:
        """Return where the middle of the shadow stands, in picture widths; seen within −0.4…1.4."""
        share = (time_s / self.shadow_every_s + 0.618 * self.seed) % 1.0
        return 2.2 * share - 0.6


@lru_cache(maxsize=64)
def _passage(seed: int, every_s: float, slot: int) -> Passage:
    """Draw the passage of one slot."""
    moment, length, depth = np.random.default_rng((seed, slot & 0xFFFFFFFF)).uniform(size=3).tolist()
    return Passage(
        centre_s=every_s * (slot + 0.35 + 0.3 * moment),
        sigma_s=every_s * (0.08 + 0.05 * length),
        depth_ev=0.45 + 0.5 * depth,
    )
