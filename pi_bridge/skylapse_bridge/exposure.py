"""Exposure: from measured light to the next exposure, so that films neither jump nor hunt. Pure.

An exposure is one number, E = log2(exposure time in µs × gain). A scene of exposure value S (measured, see
`meter.py`) is shown as wanted when E = c − S + ev, where c belongs to the sensor and ev is what the profile
wants at this light (darker nights, a compensation). Following every measurement would show every cloud and
all the noise of metering as flicker; averaging alone would be late: at dusk the light falls by up to 28
stops an hour, and a mean over three minutes is ninety seconds, up to 0.7 stops, behind.

*Feed-forward.* Most of the change is known beforehand: it is the sun's. M(t) = log2 of the twilight table
(`twin/light.py`) at the sun's elevation, which the plan carries. So every measurement S is first carried to
the moment of the next tick, S + M(tick) − M(then), and what is averaged is what clouds and the lie of the
land make of the light, which moves slowly. Nothing is late, and since S is absolute light, not the brightness
of the last picture, there is no loop that could swing. Where the table does not reach either moment, nothing
is carried and the mean is late by half its memory.

*The mean* is trimmed by a fifth at either end (of three, the middle one is left), so that a bird, a
headlight or a black picture does not move it. It reaches back over `_MEMORY_S`: on the twin a cloud changes
the light by up to 0.3 stops a minute, so that a minute's mean is behind it by 0.15 stops at most, three
minutes' by 0.45. Where frames are further apart it reaches back over three, within `_LONGEST_MEMORY_S`.

*Highlight guard.* How far the brightest parts stand above the mean is measured as the light is, and averaged
like it, whatever exposure it was seen with (`meter.py`). Where more than the profile's share of pixels would
be clipped by what is wanted, as many stops are taken off as keep them, at most one. So the guard is a matter
of the scene, not of what was done before. It grows slowly and shrinks more slowly, so that a sun that
comes and goes between clouds makes no film breathe.

*Limits.* A step is at most `max_stops_per_hour` × the time since the last step (30 stops an hour are 0.125
stops at 15 s). Turning round needs `_TURN_EV` of cause: small errors against the direction of travel are
left alone, so that noise under a clear sky makes no reversals. At the sensor's end the exposure stays where
it is and the picture darkens with the light.

*Restart.* The state is a value that is kept on disk with every frame. A new start goes on where the old one
ended, at most the limit for the time that has passed; only a state older than `_FORGET_S` (or none) jumps
straight to the target. Plans tell the sun every five minutes, refracted, so that what is carried over a pause
is some hundredths of a stop off: where the first new measurement agrees with the old ones it alone counts.
Where it does not, the old ones still hold a bird back.

*A clock that is set* changes no light. Set back, it leaves measurements of the future behind: they are
forgotten, the exposure is kept for one frame and goes on from there. Set forward, it looks like a pause: the
old measurements are out of reach, and the light that is measured anew is the same light.

*The interval's budget.* An exposure that filled its interval would make the next frame late: a camera that
changes a long exposure is started anew (half a second), a large picture takes as long again to be read out
and to become a JPEG, and a slow card some tenths to make it safe. So `_OVERHEAD_S` of a frame's share of the
interval are left free, a fifth of long ones, and of short ones never more than leaves `_LEAST_SHARE`: cameras
that are asked for frames in quick succession have the overhead of small pictures. Metering is not in this
budget, since long exposures are not metered anew (`shooting.py`): the last picture tells the light, and what
the sun has done since is carried to the tick as above. Averaged exposures share the frame's budget among one
more than they are, for a sensor that runs freely may just have begun one.

*Splitting.* Time is used before gain: up to the longest exposure that sensor, profile and interval allow,
with the smallest gain; then gain, continuously, never in steps. Time counts in whole microseconds; what is
lost by that, a hundredth at the shortest exposures, is made up by gain where the camera has any to set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import floor, log2

from skylapse_protocol.messages import CameraInfo
from skylapse_protocol.snapshot import MID_GREY, Plan, Profile, ev_at, sun_elevation_at

from .meter import LUX_AT_EV_0, Light, log2_exposure_for
from .twin.light import lux as twilight_lux

_MEMORY_S = 60.0
_MEMORY_SPACING_S = 6.0
_LEAST_SAMPLES = 3
_LONGEST_MEMORY_S = 900.0
_TRIM = 0.2
_AGREED_EV = 0.25
_TURN_EV = 0.06
_FORGET_S = 3 * 3600.0
_GUARD_MAX_EV = 1.0
_GUARD_RISE_EV_PER_S = 4.8 / 3600
_GUARD_FALL_EV_PER_S = 1.2 / 3600
_MOST_SHARE = 0.8
_LEAST_SHARE = 0.4
_OVERHEAD_S = 1.5


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
    """One measurement."""

    at: datetime
    scene_ev: float
    highlight_ev: float = 0.0
    """As `Light` has it."""


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


def exposing_s(share_s: float) -> float:
    """Return how long a frame may be exposed in its share of the interval."""
    return max(min(_MOST_SHARE * share_s, share_s - _OVERHEAD_S), _LEAST_SHARE * share_s)


def overhead_s(share_s: float) -> float:
    """Return how long a frame takes at least besides its exposure, in its share of the interval."""
    return min(_OVERHEAD_S, (1.0 - _LEAST_SHARE) * share_s)


def spread_s(share_s: float, average: int) -> float:
    """Return over how long the exposures of one frame are spread; each takes its part of that at most."""
    return exposing_s(share_s) * (1.0 if average == 1 else average / (average + 1))


def limits_of(camera: CameraInfo, profile: Profile, share_s: float) -> Limits:
    """Return what sensor, profile and the frame's share of the interval allow each of its exposures."""
    longest = round(spread_s(share_s, profile.average) / profile.average * 1e6)
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
    if light.scene_ev is None:
        raise ValueError("the light of this measurement is unknown")
    if state is not None and at - state.at > timedelta(seconds=_FORGET_S):
        state = None
    newest = Sample(at=light.at, scene_ev=light.scene_ev, highlight_ev=light.highlight_ev)
    samples = _remember(state.samples if state else (), newest)
    expected_ev = _settled(samples, [one.scene_ev + _sun_change_ev(plan, one.at, at) for one in samples])
    highlight_ev = _settled(samples, [one.highlight_ev for one in samples])
    ev = ev_at(profile, LUX_AT_EV_0 * 2.0**expected_ev)
    excess_ev = min(max(log2(MID_GREY) + ev + highlight_ev, 0.0), _GUARD_MAX_EV)
    passed_s = max((at - state.at).total_seconds(), 0.0) if state else 0.0
    guard_ev = _guard(state.guard_ev, excess_ev, passed_s) if state else excess_ev
    low, high = limits.log2_range
    target = min(max(log2_exposure_for(expected_ev, ev - guard_ev, light.reference), low), high)
    if state is None:
        return ExposureState(at=at, log2_exposure=target, guard_ev=guard_ev, samples=samples)
    most = profile.max_stops_per_hour * passed_s / 3600
    change = _limited(target - state.log2_exposure, state.direction, most)
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
    time_us = floor(total / limits.min_gain)
    if total > time_us * limits.max_gain:
        time_us = round(total / limits.min_gain)
    exposure_us = min(max(time_us, limits.min_exposure_us), limits.max_exposure_us)
    return Exposure(
        exposure_us=exposure_us, gain=min(max(total / exposure_us, limits.min_gain), limits.max_gain)
    )


def _sun_change_ev(plan: Plan | None, since: datetime, until: datetime) -> float:
    """Return by how many stops the sun alone changes the light, 0 where the plan does not know."""
    if plan is None:
        return 0.0
    before, after = sun_elevation_at(plan, since), sun_elevation_at(plan, until)
    if before is None or after is None:
        return 0.0
    return log2(_sun_lux(after) / _sun_lux(before))


def _sun_lux(elevation_deg: float) -> float:
    """Return the table's light; no plan moves the sun beyond the zenith."""
    return twilight_lux(min(max(elevation_deg, -90.0), 90.0))


def _remember(samples: tuple[Sample, ...], newest: Sample) -> tuple[Sample, ...]:
    """Return the samples with the newest; those too close before it make room, those after it are no more."""
    ages = [(newest.at - sample.at).total_seconds() for sample in samples]
    known = [sample for sample, age in zip(samples, ages, strict=True) if 0 <= age <= _LONGEST_MEMORY_S]
    if len(known) > 1 and (known[-1].at - known[-2].at).total_seconds() < _MEMORY_SPACING_S:
        known.pop()
    recent = sum((newest.at - sample.at).total_seconds() <= _MEMORY_S for sample in known)
    return (*known[-max(recent, _LEAST_SAMPLES - 1) :], newest)


def _settled(samples: Sequence[Sample], values: Sequence[float]) -> float:
    """Return the trimmed mean of the samples' values; after a pause the newest, where it agrees with that."""
    cut = round(len(values) * _TRIM)
    kept = sorted(values)[cut : len(values) - cut]
    mean = sum(kept) / len(kept)
    paused = len(samples) > 1 and (samples[-1].at - samples[-2].at).total_seconds() > _MEMORY_S
    return values[-1] if paused and abs(values[-1] - mean) <= _AGREED_EV else mean


def _guard(guard_ev: float, excess_ev: float, passed_s: float) -> float:
    """Return by how many stops highlights hold the exposure back, on the way to what they ask for."""
    most, least = _GUARD_RISE_EV_PER_S * passed_s, -_GUARD_FALL_EV_PER_S * passed_s
    return guard_ev + min(max(excess_ev - guard_ev, least), most)


def _limited(error: float, direction: int, most: float) -> float:
    """Return the step towards the target that pace and direction allow."""
    sign = (error > 0) - (error < 0)
    if sign != direction and abs(error) < _TURN_EV:
        return 0.0
    return min(max(error, -most), most)
