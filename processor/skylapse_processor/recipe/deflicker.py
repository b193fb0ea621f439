"""Flicker: where it comes from, and how it is taken out without taking the weather out with it.

Theory
------
A frame's linear brightness is the product of scene and exposure, a sum in stops: L = E + B.
A film wants B, with an exposure that changes so slowly that nobody sees it. What is seen as flicker is E:
stepped shutter times, a loop that overshoots, gain that wobbles. What must stay is B: clouds, shadows,
dusk. Smoothing L removes both: a moving mean of 31 frames halves the flicker's last digit and every
cloud. So E is subtracted where it is known, and only where it is not known is it estimated, by as little
smoothing as will do.

1. *Recorded.* A frame record holds what the sensor delivered: exposure time × analogue × digital gain. E
   is exact. The correction is target(E) − E, with target a local parabola in a Gaussian of σ 48 frames
   (`level.py`), held near what the camera delivered where dusk sets in faster (`smooth.py`). No cloud can be
   mistaken for exposure, and a second stage could only do harm (in simulation it tripled the flicker).
   Pictures are asked only whether they deny what is told of them (`doubt.py`): such frames are filled in from
   the light of those around, and where half or all tell lies, the others speak.
2. *Rounded.* EXIF holds ISO as a whole number and the time as somebody's rational: ISO 100 alone leaves
   ±7 mEV, a camera that writes 1/60 for 1/64 leaves 90. After levelling by what EXIF says, the residual
   of the log mean against a robust local parabola (σ 4 frames, Tukey's biweight) is the rounding, and is
   removed, at most ±0.15 EV: more than that is weather. EXIF that makes the flicker worse than it was is
   not believed at all.
3. *Unknown.* Exposure moves in jumps, light does not. In the differences of L from frame to frame, a
   running median of 11, smoothed (σ 3), is the light; what remains is exposure, and its running sum is E
   up to a slow drift, which the target removes as it removes the true one. The film keeps clouds that the
   camera's own loop had erased: the loop answers a cloud in steps, and the steps are put back. A jump
   above 1.2 EV is no exposure loop: a lamp, another scene. It stays. Where steps come so thick that light
   and exposure cannot be told apart, the film would flicker; then only the jumps' departure from their own
   mean over some frames counts, or brightness is smoothed as others do.

White balance is levelled in the same three ways: recorded gains exactly, else the jumps of red and blue
over green are taken out like the jumps of brightness, and a drift of colour, which is the sunset, stays.

All of it happens in linear light. The inverse of the sensor's own tone curve leads there; with sRGB
assumed for a Raspberry Pi camera an exact E still leaves 16 mEV (reference: libcamera's `rpi.contrast`).
One look-up table a channel a frame applies it (`look.py`): sixteen bits, dithered back to eight, with a
shoulder that is the same for the whole film, since a shoulder that moved with the gain would flicker
itself.

The figure
----------
Flicker := rms over frames of log2 of the film's linear mean luminance less its Gaussian of σ 2 frames, in
thousandths of a stop (mEV). A film's own figure includes what truly changed from frame to frame; the bench
subtracts that, since the twin knows it.
"""

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .blank import as_around, blanks
from .doubt import Mask, believable, suspicious
from .groups import EXPOSURES, offset
from .plan import Curve, Plan, after_gaps, brightened_ev
from .smooth import flicker_mev, near_target, smooth, smooth_robust

CAP_EV = 0.15
RESIDUAL_SIGMA_FRAMES = 4.0
LIGHT_MEDIAN_HALF = 5
LIGHT_SIGMA_FRAMES = 3.0
LARGEST_JUMP_EV = 1.2
SHORT_SIGMA_FRAMES = 12.0
PLAIN_SIGMA_FRAMES = 8.0
SPLIT_SIGMA_FRAMES = 8.0
_ENOUGH_KNOWN = 0.5
_ENOUGH_TRUE = 0.25
_RECORDS_TIMES, _RECORDS_MEV = 3.0, 100.0
"""Levelled by records a film may flicker so much more than its pictures: light that a camera answered at once
is shown. Beyond that they are no records of these pictures."""
_MANY = 0.1
_QUIET_TIMES, _QUIET_MEV = 2.0, 5.0
"""Where many lie, what is left of them has to be so quiet beside what the pictures tell."""
_FEWEST = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Belief:
    """What a film takes for its exposures."""

    exposure: Curve | None
    """E of every frame in EV, shape (n,); null where nothing is known."""
    levelled_by: str
    """records, exif, pictures or nothing."""
    denied: tuple[int, ...] = ()
    """Frames whose pictures deny what is told of them."""


def needs_measuring(plan: Plan) -> bool:
    """Say whether brightness has to be measured: some exposure is rounded, unknown or hard to believe."""
    if any(not _is_exact(plan, index) for index in range(len(plan.frames))):
        return True
    return not np.isfinite(plan.log_mean).all() and suspicious(_unmeant(plan), _between_gaps(plan))


def believed_exposure(plan: Plan, sigma_frames: float, blank: Mask) -> Belief:
    """Return the exposures to be levelled by; what is told of blank frames is not asked for."""
    stated = np.where(blank, np.nan, [_stated(plan, index) for index in range(len(plan.frames))])
    is_exact = all(blank[index] or _is_exact(plan, index) for index in range(len(plan.frames)))
    told_by = "records" if is_exact else "exif"
    if not np.isfinite(plan.log_mean).all() or len(plan.frames) < _FEWEST:
        known = np.isfinite(stated).all()
        return Belief(exposure=stated if known else None, levelled_by=told_by if known else "nothing")
    seen = exposure_seen(plan, sigma_frames)
    quiet_mev = _QUIET_TIMES * levelled_flicker_mev(plan, seen, sigma_frames) + _QUIET_MEV
    most_mev = flicker_mev(plan.log_mean)
    if is_exact:
        most_mev = _RECORDS_TIMES * most_mev + _RECORDS_MEV
    trusted, denied = believable(stated, plan.log_mean, _between_gaps(plan))
    if denied.mean() > _MANY:
        most_mev, told_by = min(most_mev, quiet_mev), "exif"
    if np.isfinite(trusted).mean() >= _ENOUGH_KNOWN:
        exposure = fill(plan, trusted)
        if levelled_flicker_mev(plan, exposure, sigma_frames) <= most_mev:
            return Belief(exposure=exposure, levelled_by=told_by, denied=_numbers(denied))
    half = _true_half(plan, stated, sigma_frames, quiet_mev)
    if half is not None:
        return half
    wrong = np.full(len(stated), is_exact)
    return Belief(exposure=seen, levelled_by="pictures", denied=_numbers(wrong))


def deflicker(plan: Plan, *, cap_ev: float = CAP_EV, sigma_frames: float = RESIDUAL_SIGMA_FRAMES) -> Plan:
    """Return the plan with the residual removed, at most ±cap_ev, unless exact exposure levelled it."""
    if plan.levelled_by == "records" or not np.isfinite(plan.log_mean).all():
        return plan
    seen = as_around(plan, blanks(plan))
    levelled = seen.log_mean + brightened_ev(seen, plan.gain_ev)
    residual = np.clip(residual_of(plan.position, levelled, sigma_frames), -cap_ev, cap_ev)
    return replace(plan, gain_ev=plan.gain_ev - residual[:, None])


def residual_of(position: Curve, levelled: Curve, sigma_frames: float = RESIDUAL_SIGMA_FRAMES) -> Curve:
    """Return what a robust local parabola does not follow, in EV."""
    if len(levelled) < _FEWEST:
        return np.zeros_like(levelled)
    return levelled - smooth_robust(position, levelled, sigma_frames, degree=2)


def exposure_seen(plan: Plan, sigma_frames: float) -> Curve:
    """Return E in EV as the pictures tell it, by the quiet estimate that keeps most of the light."""
    jumps = estimate_exposure(plan.log_mean)
    estimates = (
        jumps,
        jumps - smooth(plan.position, jumps, SHORT_SIGMA_FRAMES),
        plan.log_mean - smooth(plan.position, plan.log_mean, PLAIN_SIGMA_FRAMES),
    )
    flickers = [levelled_flicker_mev(plan, exposure, sigma_frames) for exposure in estimates]
    quiet = 3 * min(flickers) + 5
    return next(each for each, flicker in zip(estimates, flickers, strict=True) if flicker <= quiet)


def estimate_exposure(log_mean: Curve) -> Curve:
    """Return E up to a slow drift, in EV, from brightness alone: its jumps."""
    if len(log_mean) < _FEWEST:
        return np.zeros_like(log_mean)
    steps = np.diff(log_mean)
    light = _running_median(steps, LIGHT_MEDIAN_HALF)
    light = smooth(np.arange(len(light), dtype=np.float64), light, LIGHT_SIGMA_FRAMES)
    jumps = steps - light
    jumps[np.abs(jumps) > LARGEST_JUMP_EV] = 0.0
    return np.concatenate([[0.0], np.cumsum(jumps)])


def fill(plan: Plan, stated: Curve) -> Curve:
    """Return `stated` with its gaps filled: the scene's brightness, interpolated, tells their exposure."""
    known = np.isfinite(stated)
    scene = plan.log_mean[known] - stated[known]
    filled: Curve = np.where(
        known, stated, plan.log_mean - np.interp(plan.position, plan.position[known], scene)
    )
    return filled


def _true_half(plan: Plan, stated: Curve, sigma_frames: float, quiet_mev: float) -> Belief | None:
    """Return what one half tells where the other lies, all to one side; null where neither half is quiet."""
    light, known = plan.log_mean - stated, np.isfinite(stated)
    above = light > smooth(plan.position, light, SPLIT_SIGMA_FRAMES)
    found = None
    for side in (above & known, ~above & known):
        if side.mean() < _ENOUGH_TRUE:
            continue
        exposure = fill(plan, np.where(side, stated, np.nan))
        left_mev = levelled_flicker_mev(plan, exposure, sigma_frames)
        if left_mev <= quiet_mev:
            quiet_mev = left_mev
            found = Belief(exposure=exposure, levelled_by="exif", denied=_numbers(known & ~side))
    return found


def levelled_flicker_mev(plan: Plan, exposure: Curve, sigma_frames: float) -> float:
    """Return the flicker in mEV that levelling by this exposure would leave."""
    return flicker_mev(plan.log_mean + near_target(plan.position, exposure, sigma_frames) - exposure)


def _numbers(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(number) for number in np.flatnonzero(mask))


def _unmeant(plan: Plan) -> Curve:
    """Return the exposures that are told, in EV, without what a bracket was exposed more on purpose."""
    return np.array(
        [_stated(plan, index) - offset(frame, EXPOSURES) for index, frame in enumerate(plan.frames)]
    )


def _between_gaps(plan: Plan) -> list[slice]:
    """Return the stretches of a film between which frames are missing."""
    edges = [0, *(int(edge) for edge in after_gaps(plan)), len(plan.frames)]
    return [slice(first, past) for first, past in itertools.pairwise(edges)]


def _is_exact(plan: Plan, index: int) -> bool:
    facts = plan.frames[index].facts
    return facts is not None and facts.exposure_ev is not None and facts.rounded_ev == 0.0


def _stated(plan: Plan, index: int) -> float:
    facts = plan.frames[index].facts
    stated = facts.exposure_ev if facts else None
    return np.nan if stated is None else stated


def _running_median(values: Curve, half: int) -> Curve:
    """Return the median about each value; near an end, that of the last whole window."""
    width = min(2 * half + 1, len(values))
    medians = np.median(np.lib.stride_tricks.sliding_window_view(values, width), axis=1)
    missing = len(values) - len(medians)
    return np.pad(medians, (missing // 2, missing - missing // 2), mode="edge")
