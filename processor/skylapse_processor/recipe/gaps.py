"""Gaps in time: where a camera rested for a while, its film goes on as bright as it stopped.

A target that runs across a gap says how light and exposure went meanwhile, and the film shows both in one
step from one frame to the next: with an hour missing at sunset, a stop and more. What a viewer wants there
is no leap. So the step that the film would take, read off lines fitted to both of its sides, is spread over
as many frames on either side as the target is wide. After more than LONGEST intervals another film begins,
as the next evening does, and nothing is spread.
"""

import math

import numpy as np

from .plan import Plan, after_gaps
from .smooth import Curve, smooth

LONGEST = 200.0
"""Intervals."""
_TREND_SIGMA_FRAMES = 8.0
_FEWEST = 4
_REACH = 4.0


def bridged(plan: Plan, exposure: Curve, meant: Curve, wanted: Curve, sigma_frames: float) -> Curve:
    """Return the target of exposure in EV, shape (n,), with which the film takes no step at a gap.

    `meant` is by how much the camera exposed a picture more than its light asked for, on purpose.
    """
    edges = after_gaps(plan)
    is_bridged = plan.position[edges] - plan.position[edges - 1] < LONGEST
    gaps, films = edges[is_bridged], np.concatenate([[0], edges[~is_bridged], [len(wanted)]])
    if not len(gaps):
        return wanted
    film = _light_ev(plan, exposure, meant) + wanted
    trend = np.concatenate(
        [
            _trend(place, shown)
            for place, shown in zip(np.split(plan.position, edges), np.split(film, edges), strict=True)
        ]
    )
    target = wanted.copy()
    reach = math.ceil(_REACH * sigma_frames)
    for gap in gaps:
        first, past = films[np.searchsorted(films, gap, side="right") + np.array([-1, 0])]
        near = np.arange(max(first, gap - reach), min(past, gap + reach))
        after = near >= gap
        away = np.where(after, near - gap, gap - 1 - near)
        share = np.where(after, -0.5, 0.5) * np.exp(-0.5 * (away / sigma_frames) ** 2)
        target[near] += share * (trend[gap] - trend[gap - 1])
    return target


def _light_ev(plan: Plan, exposure: Curve, meant: Curve) -> Curve:
    """Return how bright the scene was, in EV and shape (n,), as far as a constant.

    The pictures tell, where they were measured, else the light meter. Where neither is known, the camera
    is taken to have exposed as its light asked for.
    """
    if np.isfinite(plan.log_mean).all():
        return plan.log_mean - exposure
    lux = np.array([(frame.facts.lux if frame.facts else None) or np.nan for frame in plan.frames])
    return np.log2(lux) if np.isfinite(lux).all() else meant - exposure


def _trend(place: Curve, shown: Curve) -> Curve:
    if len(shown) < _FEWEST:
        return np.full_like(shown, shown.mean())
    return smooth(place, shown, _TREND_SIGMA_FRAMES)
