"""Known-exposure levelling: what the camera is known to have changed is taken back, exactly."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from .blank import as_around, blanks, bridge, names
from .deflicker import believed_exposure, estimate_exposure
from .doubt import Mask
from .gaps import bridged
from .groups import EXPOSURES, offset
from .plan import Curve, Plan, brightened_ev
from .smooth import near_target, target

SIGMA_FRAMES = 48.0
"""Width of the target's Gaussian, in frames. With a parabola fitted inside it, it follows a twilight ramp
as a plain Gaussian of 30 would, and bends less light where the ramp sets in."""


def level(plan: Plan, *, sigma_frames: float = SIGMA_FRAMES) -> Plan:
    """Return the plan with every frame brought to a smooth target of exposure.

    The target stays within about half a stop of what the camera delivered near each frame. What a picture of
    a bracket was exposed more or less on purpose is no part of it. Where frames are missing, the film goes on
    as bright as it stopped. Blank pictures are no evidence and get the gain of those around.
    """
    blank = blanks(plan)
    seen = as_around(plan, blank)
    belief = believed_exposure(seen, sigma_frames, blank)
    exposure = belief.exposure
    if exposure is None:
        return plan
    meant = np.array([offset(frame, EXPOSURES) for frame in plan.frames])
    wanted = near_target(plan.position, exposure - meant, sigma_frames)
    change = bridged(seen, exposure, meant, wanted, sigma_frames) - exposure
    return replace(
        plan,
        gain_ev=plan.gain_ev + change[:, None],
        levelled_by=belief.levelled_by,
        denied=belief.denied,
        blank=names(plan, blank),
    )


def balance(plan: Plan, *, sigma_frames: float = SIGMA_FRAMES) -> Plan:
    """Return the plan with white balance brought to a smooth target: recorded gains, else jumps of colour."""
    blank = blanks(plan)
    recorded = _recorded_gains(plan, blank)
    if recorded is not None:
        return replace(plan, gain_ev=plan.gain_ev + _towards_smooth(plan, recorded, sigma_frames))
    if plan.levelled_by == "records" or not np.isfinite(plan.colour_ev).all():
        return plan
    colours = as_around(plan, blank).colour_ev
    seen = np.stack([estimate_exposure(colour) for colour in colours.T], axis=1)
    change = _towards_smooth(plan, seen, sigma_frames)
    return replace(plan, gain_ev=plan.gain_ev + change - brightened_ev(plan, change)[:, None])


def colour_unknown(plan: Plan, kinds: Collection[str]) -> bool:
    """Say whether `balance` needs colours measured, in a recipe of steps of these kinds."""
    return "level" not in kinds and _recorded_gains(plan, blanks(plan)) is None


def _towards_smooth(plan: Plan, moved: Curve, sigma_frames: float) -> Curve:
    """Return the gains, shape (n, 3), that take red and blue from where they were moved, shape (n, 2)."""
    change = np.zeros_like(plan.gain_ev)
    for channel, column in ((0, 0), (2, 1)):
        values = moved[:, column]
        change[:, channel] = target(plan.position, values, sigma_frames) - values
    return change


def _recorded_gains(plan: Plan, blank: Mask) -> Curve | None:
    """Return log2 of the gains of red and blue, shape (n, 2); null where any but a blank frame's lack."""
    facts = [frame.facts for frame in plan.frames]
    told = [each.colour_gains if each else None for each in facts]
    if not told or any(pair is None for pair, empty in zip(told, blank, strict=True) if not empty):
        return None
    gains = np.log2(np.array([pair or (1.0, 1.0) for pair in told], dtype=np.float64))
    return np.stack([bridge(plan, gain, blank) for gain in gains.T], axis=1)
