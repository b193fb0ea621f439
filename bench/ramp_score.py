"""A ramp against the intended curve of its twilight."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import log2, sqrt
from statistics import median

from skylapse_protocol.snapshot import Profile

from .ramp_cases import INTERVAL_S, Case, Shot

REACH = (log2(100.0), log2(0.8e6 * INTERVAL_S * 16.0))
"""log2 of the shortest and the longest exposure × gain of the twin's imx519 at the interval."""

_STILL = 1e-9
_RECOVERED_EV = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What a ramp is worth, in stops; errors are counted only where the sensor reaches what is wanted."""

    frames: int
    counted: int
    rms: float
    worst: float
    rms_now: float
    """Against the exposure that is wanted for the light of the very moment."""
    worst_now: float
    reversals: int
    """How often brighter became darker or the other way, in what was asked for."""
    largest_step: float
    """Between neighbours, for an interval: a frame that was dropped doubles the time."""


def score(case: Case, profile: Profile, shots: Sequence[Shot], *, free_offset: bool = False) -> Score:
    """Score a run; `free_offset` takes the middle error off, for loops with a target of their own."""
    reached = [shot for shot in shots if REACH[0] <= case.wanted(profile, shot.at) <= REACH[1]]
    errors = [shot.delivered_ev - case.wanted(profile, shot.at) for shot in reached]
    errors_now = [shot.delivered_ev - case.wanted_now(profile, shot.at) for shot in reached]
    if free_offset:
        offset = median(errors)
        errors, errors_now = ([error - offset for error in some] for some in (errors, errors_now))
    steps = [after.asked_ev - before.asked_ev for before, after in pairwise(shots)]
    signs = [step > 0 for step in steps if abs(step) > _STILL]
    intervals = [(after.at - before.at) / timedelta(seconds=INTERVAL_S) for before, after in pairwise(shots)]
    return Score(
        frames=len(shots),
        counted=len(reached),
        rms=_rms(errors),
        worst=max(map(abs, errors)),
        rms_now=_rms(errors_now),
        worst_now=max(map(abs, errors_now)),
        reversals=sum(a != b for a, b in pairwise(signs)),
        largest_step=max(abs(step) / count for step, count in zip(steps, intervals, strict=True)),
    )


def recovery_s(
    case: Case, profile: Profile, shots: Sequence[Shot], change_ev: float, since: datetime
) -> float:
    """Return how long after a sudden change of the light the error last was above a quarter of a stop.

    The error is that against the light of the moment, the change included, less the middle error before.
    A loop that is content with more than a quarter is never done: then it is the length of the run.
    """
    errors = [shot.delivered_ev - case.wanted_now(profile, shot.at) for shot in shots]
    offset = median(error for shot, error in zip(shots, errors, strict=True) if shot.at < since)
    wrong = [
        shot.at
        for shot, error in zip(shots, errors, strict=True)
        if shot.at >= since and abs(error + change_ev - offset) > _RECOVERED_EV
    ]
    return (wrong[-1] - since).total_seconds() + INTERVAL_S if wrong else 0.0


def _rms(values: Sequence[float]) -> float:
    return sqrt(sum(value**2 for value in values) / len(values))
