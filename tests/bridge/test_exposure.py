"""Exposure over a whole dusk: it follows the light, neither jumps nor hunts, and survives restarts."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skylapse_bridge.exposure import ExposureState, Limits, limits_of, split, step
from skylapse_bridge.meter import F2_REFERENCE, LUX_AT_EV_0, Light, log2_exposure_for
from skylapse_bridge.shooting import read_exposures, write_exposures
from skylapse_bridge.twin.light import lux
from skylapse_protocol.messages import CameraInfo
from skylapse_protocol.snapshot import Plan, Profile, SunTable, ev_at

from .made import plan, profile

INTERVAL = timedelta(seconds=15)
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
TWO_HOURS = 480
CAMERA = CameraInfo(
    id="west",
    name="west",
    model="m",
    driver="twin",
    width=64,
    height=48,
    min_exposure_us=50,
    max_exposure_us=200_000_000,
    min_gain=1.0,
    max_gain=64.0,
    controls_exposure=True,
)
LIMITS = limits_of(CAMERA, profile(), 15)


def elevation_deg(at: datetime) -> float:
    """The sun over the equator at the equinox: fifteen degrees an hour, setting at 18:00."""
    return 90.0 - 15.0 * abs((at - NOON) / timedelta(hours=1))


def clear_ev(at: datetime) -> float:
    """The scene under a clear sky: what the sun gives, a constant less for the landscape."""
    return math.log2(lux(elevation_deg(at)) / LUX_AT_EV_0) - 1.3


def sun() -> SunTable:
    start = NOON - timedelta(hours=12)
    return SunTable(
        starts_at=start,
        step_s=60,
        elevation_deg=tuple(elevation_deg(start + timedelta(minutes=m)) for m in range(24 * 60)),
    )


WITH_SUN = plan(sun=sun())


@dataclass(frozen=True)
class Run:
    """What happened over a stretch of ticks."""

    states: list[ExposureState]
    errors: list[float]
    """Exposure beside the one that the light of the moment wants, in stops."""

    @property
    def steps(self) -> list[float]:
        """By how many stops each frame differs from the one before."""
        return [after.log2_exposure - before.log2_exposure for before, after in pairwise(self.states)]

    @property
    def reversals(self) -> int:
        """How often brightening turned into darkening, or the other way."""
        signs = [step > 0 for step in self.steps if step]
        return sum(a != b for a, b in pairwise(signs))

    @property
    def rms(self) -> float:
        """The usual error."""
        return math.sqrt(sum(error**2 for error in self.errors) / len(self.errors))


def run(
    scene_ev: Callable[[datetime], float],
    *,
    start: datetime,
    ticks: int = TWO_HOURS,
    noise_ev: float = 0.02,
    in_plan: Plan = WITH_SUN,
    state: ExposureState | None = None,
    wanted: Profile | None = None,
) -> Run:
    """Let the exposure follow a scene, metered 4 s before each tick with some noise."""
    wanted = wanted or profile()
    noise = random.Random(1)
    states, errors = [], []
    for tick in range(ticks):
        at = start + tick * INTERVAL
        metered_at = at - timedelta(seconds=4)
        measured = scene_ev(metered_at) + noise.gauss(0, noise_ev)
        state = step(state, light(measured, metered_at), wanted, in_plan, at, LIMITS)
        states.append(state)
        truth = scene_ev(at)
        target = log2_exposure_for(truth, ev_at(wanted, LUX_AT_EV_0 * 2**truth), F2_REFERENCE)
        low, high = LIMITS.log2_range
        errors.append(state.log2_exposure - min(max(target, low), high))
    return Run(states, errors)


def light(scene_ev: float, at: datetime, *, clipped: float = 0.0) -> Light:
    return Light(
        at=at,
        mean_linear=0.18,
        clipped_low=0,
        clipped_high=clipped,
        lux=LUX_AT_EV_0 * 2**scene_ev,
        scene_ev=scene_ev,
    )


@pytest.mark.parametrize("start", [NOON + timedelta(hours=5.5), NOON - timedelta(hours=7.5)])
def test_a_clear_twilight_is_followed_without_lag_or_reversal(start: datetime) -> None:
    seen = run(clear_ev, start=start)
    covered = abs(clear_ev(start) - clear_ev(start + TWO_HOURS * INTERVAL))
    assert covered > 14
    assert seen.rms <= 0.10
    assert max(map(abs, seen.errors)) <= 0.25
    assert seen.reversals == 0
    assert max(map(abs, seen.steps)) <= 0.125 + 1e-9


def test_noon_under_a_clear_sky_turns_round_once_at_most() -> None:
    seen = run(clear_ev, start=NOON - timedelta(hours=1))
    assert seen.reversals <= 1
    assert seen.rms <= 0.10


def test_without_a_table_of_the_sun_it_stays_close() -> None:
    seen = run(clear_ev, start=NOON + timedelta(hours=5.5), in_plan=plan())
    assert seen.rms <= 0.35
    assert max(map(abs, seen.steps)) <= 0.125 + 1e-9


def test_a_cloud_is_followed_slowly_and_a_bird_not_at_all() -> None:
    def with_bird(at: datetime) -> float:
        return clear_ev(at) - (3.0 if at.minute == 30 and at.second < 15 else 0.0)

    start = NOON - timedelta(hours=3)
    clear = run(clear_ev, start=start, ticks=200, noise_ev=0)
    bird = run(with_bird, start=start, ticks=200, noise_ev=0)
    difference = [a.log2_exposure - b.log2_exposure for a, b in zip(clear.states, bird.states, strict=True)]
    assert max(map(abs, difference)) <= 0.06


def test_clouds_over_dusk_stay_within_the_pace() -> None:
    def cloudy(at: datetime) -> float:
        return clear_ev(at) - 0.5 + 0.5 * math.sin(at.timestamp() / 240)

    seen = run(cloudy, start=NOON + timedelta(hours=5.5))
    assert max(map(abs, seen.steps)) <= 0.125 + 1e-9


def test_a_restart_does_not_jump() -> None:
    start = NOON + timedelta(hours=6)
    before = run(clear_ev, start=start, ticks=60)
    kept = read_exposures(write_exposures({"f": before.states[-1]}), start + 60 * INTERVAL)["f"]
    assert kept == before.states[-1]
    whole = run(clear_ev, start=start, ticks=61, noise_ev=0)
    after = run(clear_ev, start=start + 60 * INTERVAL, ticks=1, state=kept, noise_ev=0)
    assert abs(after.states[0].log2_exposure - whole.states[-1].log2_exposure) <= 0.02


def test_highlights_hold_the_exposure_back_slowly_and_let_go_without_swinging() -> None:
    held = None
    values = []
    for tick in range(400):
        at = NOON + tick * INTERVAL
        clipped = 0.1 if tick < 200 else 0.0
        held = step(held, light(10.0, at, clipped=clipped), profile(), None, at, LIMITS)
        values.append(held.log2_exposure)
    assert values[0] - values[200] == pytest.approx(1.0, abs=0.1)
    assert values[200] < values[-1] <= values[0] + 1e-9
    assert max(abs(b - a) for a, b in pairwise(values)) <= 0.1


@settings(max_examples=60)
@given(jumps=st.lists(st.floats(-8, 20), min_size=2, max_size=40))
def test_whatever_the_light_does_the_pace_holds(jumps: list[float]) -> None:
    state = None
    before = None
    for tick, scene_ev in enumerate(jumps):
        at = NOON + tick * INTERVAL
        state = step(state, light(scene_ev, at), profile(), WITH_SUN, at, LIMITS)
        if before is not None:
            assert abs(state.log2_exposure - before) <= 0.125 + 1e-9
        before = state.log2_exposure


@given(
    log2_exposure=st.floats(-5, 45),
    min_us=st.integers(1, 1000),
    max_us=st.integers(1000, 200_000_000),
    max_gain=st.floats(1, 64),
)
def test_splitting_loses_nothing_and_uses_time_first(
    log2_exposure: float, min_us: int, max_us: int, max_gain: float
) -> None:
    limits = Limits(min_exposure_us=min_us, max_exposure_us=max_us, min_gain=1.0, max_gain=max_gain)
    exposure = split(log2_exposure, limits)
    low, high = limits.log2_range
    wanted = min(max(log2_exposure, low), high)
    assert min_us <= exposure.exposure_us <= max_us
    assert 1.0 <= exposure.gain <= max_gain
    if exposure.gain > 1.01:
        assert exposure.exposure_us == max_us or exposure.exposure_us < 60
    if min_us >= 100 and low < wanted < high:
        assert math.log2(exposure.exposure_us * exposure.gain) == pytest.approx(wanted, abs=0.01)


def test_exposure_never_outlasts_the_interval() -> None:
    assert limits_of(CAMERA, profile(), 15).max_exposure_us == 12_000_000
    assert limits_of(CAMERA, profile(), 15, burst=3).max_exposure_us == 4_000_000
    assert limits_of(CAMERA, profile(max_exposure_us=500_000), 15).max_exposure_us == 500_000
