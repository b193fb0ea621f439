"""Known-exposure levelling: what the camera is known to have changed is taken back, exactly."""

from dataclasses import replace

import numpy as np

from .deflicker import believed_exposure
from .plan import Plan
from .smooth import smooth

SIGMA_FRAMES = 48.0
"""Width of the target's Gaussian, in frames. With a parabola fitted inside it, it follows a twilight ramp
as a plain Gaussian of 30 would, and bends less light where the ramp sets in."""


def level(plan: Plan, *, sigma_frames: float = SIGMA_FRAMES) -> Plan:
    """Return the plan with every frame brought to a smooth target of exposure."""
    exposure, levelled_by = believed_exposure(plan, sigma_frames)
    if exposure is None:
        return plan
    target = smooth(plan.position, exposure, sigma_frames, degree=2)
    return replace(
        plan,
        gain_ev=plan.gain_ev + (target - exposure)[:, None],
        levelled_by=levelled_by,
    )


def balance(plan: Plan, *, sigma_frames: float = SIGMA_FRAMES) -> Plan:
    """Return the plan with white balance brought to a smooth target, where gains are recorded."""
    gains = [frame.facts.colour_gains if frame.facts else None for frame in plan.frames]
    if any(pair is None for pair in gains) or not gains:
        return plan
    known = np.log2(np.array(gains, dtype=np.float64))
    change = np.zeros_like(plan.gain_ev)
    for channel, column in ((0, 0), (2, 1)):
        values = known[:, column]
        change[:, channel] = smooth(plan.position, values, sigma_frames, degree=2) - values
    return replace(plan, gain_ev=plan.gain_ev + change)
