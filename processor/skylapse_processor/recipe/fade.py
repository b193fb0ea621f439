"""Fade: light rises from black at the beginning of the film and falls to black at its end.

Counted in frames of the finished film, whatever number of pictures it is made of, and never longer than a
quarter of it at each end. What a caption shows fades with the picture.
"""

from dataclasses import replace

import numpy as np

from .plan import Curve, Plan


def fade(plan: Plan, *, frames: float = 15) -> Plan:
    """Return the plan with `frames` frames of the film at each end on the way from black or to it."""
    return replace(plan, fade_frames=round(frames))


def ramp(count: int, frames: int) -> Curve:
    """Return the share of its light, 0…1, that each of the `count` frames of a film shows, shape (count,).

    The first frame and the last are black.
    """
    length = min(frames, count // 4)
    if length < 1:
        return np.ones(count)
    rising = np.arange(count) / length
    return np.minimum(1.0, np.minimum(rising, rising[::-1]))
