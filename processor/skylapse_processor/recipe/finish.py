"""Steps that choose and dress: which frames, what shape, how the film begins and ends."""

from dataclasses import replace

import numpy as np

from .plan import Plan


def select(plan: Plan, *, every: float = 1) -> Plan:
    """Return the plan with every n-th frame."""
    keep = slice(None, None, max(1, round(every)))
    return replace(
        plan,
        frames=plan.frames[keep],
        position=plan.position[keep],
        log_mean=plan.log_mean[keep],
        colour_ev=plan.colour_ev[keep],
        gain_ev=plan.gain_ev[keep],
        fade=plan.fade[keep],
    )


def crop(plan: Plan, *, aspect: float = 2.39) -> Plan:
    """Return the plan cropped about its centre to width ÷ height = aspect."""
    return replace(plan, aspect=aspect)


def grade(plan: Plan, *, contrast: float = 0.25) -> Plan:
    """Return the plan with an S-curve about middle grey."""
    return replace(plan, contrast=contrast)


def fade(plan: Plan, *, frames: float = 15) -> Plan:
    """Return the plan with light rising from black and falling to it; at most a quarter of the film each."""
    count = len(plan.frames)
    length = min(round(frames), count // 4)
    if length < 1:
        return plan
    ramp = (np.arange(count) + 1) / (length + 1)
    light = np.minimum(1.0, np.minimum(ramp, ramp[::-1]))
    return replace(plan, fade=plan.fade * light)
