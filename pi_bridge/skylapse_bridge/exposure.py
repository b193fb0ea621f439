"""Exposure: from measured light to the next exposure, so that films neither jump nor hunt. Pure.

An exposure is one number, E = log2(exposure time in µs × gain). A scene of exposure value S (measured, see
`meter.py`) is shown as wanted when E = c − S + ev, where c belongs to the sensor and ev is what the profile
wants at this light (darker nights, a compensation). Following every measurement would show every cloud and
all the noise of metering as flicker; averaging alone would be late: at dusk the light falls by up to 28
stops an hour, and a mean over three minutes is ninety seconds, up to 0.7 stops, behind.

*Feed-forward.* Most of the change is known beforehand: it is the sun's. M(t) = log2 of the twilight table
(`twin/light.py`) at the sun's elevation, which the plan carries. What is averaged is therefore not S but
the rest R = S − M(t), which clouds and the lie of the land make, and which moves slowly; the scene at the
moment of the next tick is mean(R) + M(tick). Nothing is late, and since S is absolute light, not the
brightness of the last picture, there is no loop that could swing. Without a table of the sun M is 0 and the
mean is short.

*The mean* is trimmed by a fifth at either end and reaches back over `_MEMORY_S`; one bird or one headlight
does not move it.

*Highlight guard.* When more than the profile's share of pixels is clipped, a guard grows slowly up to one
stop and is taken off the target; it shrinks more slowly, and only when clipping has fallen to a quarter, so
that it does not swing.

*Limits.* A step is at most `max_stops_per_hour` × the time since the last step (30 stops an hour are 0.125
stops at 15 s). Turning round needs `_TURN_EV` of cause: small errors against the direction of travel are
left alone, so that noise under a clear sky makes no reversals.

*Restart.* The state is a value that is kept on disk with every frame. A new start goes on where the old one
ended, at most the limit for the time that has passed; only a state older than `_FORGET_S` (or none) jumps
straight to the target.

*Splitting.* Time is used before gain: up to the longest exposure that sensor, profile and interval allow,
with the smallest gain; then gain, continuously, never in steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log2

from skylapse_protocol.messages import CameraInfo
from skylapse_protocol.snapshot import Plan, Profile, ev_at, sun_elevation_at

from .meter import LUX_AT_EV_0, Light, log2_exposure_for
from .twin.light import lux as twilight_lux

_MEMORY_S = 180.0
_MEMORY_WITHOUT_SUN_S = 45.0
_MEMORY_SPACING_S = 6.0
_TRIM = 0.2
_TURN_EV = 0.06
_FORGET_S = 3 * 3600.0
_GUARD_MAX_EV = 1.0
_GUARD_RISE_EV_PER_S = 4.8 / 3600
_GUARD_FALL_EV_PER_S = 1.2 / 3600
_GUARD_RELEASE = 0.25
_SHARE_OF_INTERVAL = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What sensor, profile and interval allow."""

    min_exposure_us: int
    max_exposure_us: int
    min_gain: float
    max_gain: float

    @property
    def log2_range(self) -> tuple[float, float]:
        """The smallest and the largest log2 exposure."""
        return log2(self.min_exposure_us * self.min_gain), log2(self.max_exposure_us * self.max_gain)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One measurement without the sun's share: scene EV − log2 of the table's light."""

    at: datetime
    rest_ev: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ExposureState:
    """All that the next step needs to know of those before."""

    at: datetime
    log2_exposure: float
    direction: int = 0
    """Which way the last step went: −1, 0 or 1."""
    guard_ev: float = 0.0
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposure:
    """An exposure as a camera is asked for it."""

    exposure_us: int
    gain: float


def limits_of(camera: CameraInfo, profile: Profile, interval_s: float, burst: int = 1) -> Limits:
    """Return what sensor, profile and interval allow; `burst` frames share one interval."""
    longest = round(interval_s * _SHARE_OF_INTERVAL * 1e6 / max(burst, 1))
    for limit in (camera.max_exposure_us, profile.max_exposure_us):
        longest = min(longest, limit) if limit is not None else longest
    shortest = max(camera.min_exposure_us or 1, 1)
    min_gain = camera.min_gain or 1.0
    max_gain = min(camera.max_gain or min_gain, profile.max_gain or float("inf"))
    return Limits(
        min_exposure_us=shortest,
        max_exposure_us=max(longest, shortest),
        min_gain=min_gain,
        max_gain=max(max_gain, min_gain),
    )


def step(
    state: ExposureState | None,
    light: Light,
    profile: Profile,
    plan: Plan | None,
    at: datetime,
    limits: Limits,
) -> ExposureState:
    """Return the state for the tick at `at`, from a measurement whose `scene_ev` is known."""
    scene_ev = light.scene_ev
    if scene_ev is None:
        raise ValueError("the light of this measurement is unknown")
    if state is not None and not timedelta(0) <= at - state.at <= timedelta(seconds=_FORGET_S):
        state = None
    samples = _remember(state.samples if state else (), light.at, scene_ev - _sun_ev(plan, light.at))
    expected_ev = _trimmed_mean([sample.rest_ev for sample in _recent(samples, plan, at)]) + _sun_ev(plan, at)
    guard_ev = _guard(state, light, profile, at)
    ev = ev_at(profile, LUX_AT_EV_0 * 2.0**expected_ev) - guard_ev
    low, high = limits.log2_range
    target = min(max(log2_exposure_for(expected_ev, ev, light.reference), low), high)
    if state is None:
        return ExposureState(at=at, log2_exposure=target, guard_ev=guard_ev, samples=samples)
    change = _limited(target - state.log2_exposure, state, profile, at)
    return ExposureState(
        at=at,
        log2_exposure=min(max(state.log2_exposure + change, low), high),
        direction=(change > 0) - (change < 0) or state.direction,
        guard_ev=guard_ev,
        samples=samples,
    )


def split(log2_exposure: float, limits: Limits) -> Exposure:
    """Return time and gain for an exposure: time first, then gain, both continuous."""
    low, high = limits.log2_range
    total = 2.0 ** min(max(log2_exposure, low), high)
    exposure_us = min(max(round(total / limits.min_gain), limits.min_exposure_us), limits.max_exposure_us)
    return Exposure(
        exposure_us=exposure_us, gain=min(max(total / exposure_us, limits.min_gain), limits.max_gain)
    )


def _sun_ev(plan: Plan | None, at: datetime) -> float:
    """Return log2 of the light that the sun's elevation alone makes, 0 where the plan does not know it."""
    elevation = sun_elevation_at(plan, at) if plan is not None else None
    return 0.0 if elevation is None else log2(twilight_lux(elevation) / LUX_AT_EV_0)


def _remember(samples: tuple[Sample, ...], at: datetime, rest_ev: float) -> tuple[Sample, ...]:
    """Return the samples with the newest; those too close before it make room."""
    spacing = timedelta(seconds=_MEMORY_SPACING_S)
    reach = timedelta(seconds=_MEMORY_S)
    kept = [sample for sample in samples if timedelta(0) <= at - sample.at <= reach]
    if len(kept) >= 2 and kept[-1].at - kept[-2].at < spacing:
        kept.pop()
    return (*kept, Sample(at=at, rest_ev=rest_ev))


def _recent(samples: tuple[Sample, ...], plan: Plan | None, at: datetime) -> tuple[Sample, ...]:
    """Return the samples that count: few where the sun's course is unknown."""
    if plan is not None and sun_elevation_at(plan, at) is not None:
        return samples
    since = samples[-1].at - timedelta(seconds=_MEMORY_WITHOUT_SUN_S)
    return tuple(sample for sample in samples if sample.at >= since)


def _trimmed_mean(values: Sequence[float]) -> float:
    """Return the mean without the lowest and the highest fifth."""
    cut = int(len(values) * _TRIM)
    kept = sorted(values)[cut : len(values) - cut]
    return sum(kept) / len(kept)


def _guard(state: ExposureState | None, light: Light, profile: Profile, at: datetime) -> float:
    """Return by how many stops highlights hold the exposure back."""
    if state is None:
        return 0.0
    passed_s = (at - state.at).total_seconds()
    if light.clipped_high > profile.highlight_share:
        return min(state.guard_ev + _GUARD_RISE_EV_PER_S * passed_s, _GUARD_MAX_EV)
    if light.clipped_high < _GUARD_RELEASE * profile.highlight_share:
        return max(state.guard_ev - _GUARD_FALL_EV_PER_S * passed_s, 0.0)
    return state.guard_ev


def _limited(error: float, state: ExposureState, profile: Profile, at: datetime) -> float:
    """Return the step towards the target that pace and direction allow."""
    sign = (error > 0) - (error < 0)
    if sign != state.direction and abs(error) < _TURN_EV:
        return 0.0
    most = profile.max_stops_per_hour * (at - state.at).total_seconds() / 3600
    return min(max(error, -most), most)
