"""Exposure over a whole dusk: it follows the light, neither jumps nor hunts, and survives restarts."""

import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skylapse_bridge.exposure import ExposureState, Limits, Sample, limits_of, split, step
from skylapse_bridge.meter import F2_REFERENCE, LUX_AT_EV_0, Light, log2_exposure_for
from skylapse_bridge.shooting import read_exposures, write_exposures
from skylapse_bridge.twin.light import lux
from skylapse_protocol.messages import CameraInfo
from skylapse_protocol.snapshot import MID_GREY, Plan, Profile, SunTable, ev_at

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
    def exposures(self) -> list[float]:
        """What was asked for, as log2."""
        return [state.log2_exposure for state in self.states]

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
    highlight_ev: Callable[[datetime], float] = lambda _at: 0.0,
) -> Run:
    """Let the exposure follow a scene, metered 4 s before each tick with some noise."""
    wanted = wanted or profile()
    noise = random.Random(1)
    states, errors = [], []
    for tick in range(ticks):
        at = start + tick * INTERVAL
        metered_at = at - timedelta(seconds=4)
        measured = scene_ev(metered_at) + noise.gauss(0, noise_ev)
        seen = light(measured, metered_at, highlight_ev=highlight_ev(metered_at))
        state = step(state, seen, wanted, in_plan, at, LIMITS)
        states.append(state)
        truth = scene_ev(at)
        target = log2_exposure_for(truth, ev_at(wanted, LUX_AT_EV_0 * 2**truth), F2_REFERENCE)
        low, high = LIMITS.log2_range
        errors.append(state.log2_exposure - min(max(target, low), high))
    return Run(states, errors)


def light(scene_ev: float, at: datetime, *, highlight_ev: float = 0.0) -> Light:
    return Light(
        at=at,
        mean_linear=0.18,
        clipped_low=0,
        clipped_high=0,
        highlight_ev=highlight_ev,
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


def a_low_sun_ev(at: datetime) -> float:
    """Highlights that ask for up to 0.6 stops while the sun sets, and for nothing long before and after."""
    hours = (at - NOON) / timedelta(hours=1) - 6.25
    return -math.log2(MID_GREY) + 0.6 - 2.4 * hours**2


@pytest.mark.parametrize("highlight_ev", [lambda _at: 0.0, a_low_sun_ev], ids=["even", "a low sun"])
@pytest.mark.parametrize("place", [20, 60, 120])
def test_a_restart_in_twilight_does_not_jump(place: int, highlight_ev: Callable[[datetime], float]) -> None:
    """After a pause the first measurement stands alone: its noise counts whole."""
    start = NOON + timedelta(hours=5.75)
    whole = run(clear_ev, start=start, noise_ev=0.004, highlight_ev=highlight_ev)
    kept = read_exposures(write_exposures({"f": whole.states[place - 1]}), start + place * INTERVAL)["f"]
    assert kept == whole.states[place - 1]
    for pause in (0, 20, 240):
        back = start + (place + pause) * INTERVAL
        after = run(clear_ev, start=back, ticks=1, noise_ev=0.004, state=kept, highlight_ev=highlight_ev)
        assert after.exposures[0] == pytest.approx(whole.exposures[place + pause], abs=0.02)


def test_after_a_pause_a_sun_that_is_a_little_off_moves_nothing() -> None:
    """Plans count refraction in and are straight between five minutes: what they carry over is a bit off."""
    kept = step(None, light(8.0, NOON), profile(), None, NOON, LIMITS)
    for _ in range(8):
        at = kept.at + INTERVAL
        kept = step(kept, light(8.0, at), profile(), None, at, LIMITS)
    back = kept.at + timedelta(minutes=5)
    after = step(kept, light(7.9, back), profile(), None, back, LIMITS)
    assert after.log2_exposure == pytest.approx(log2_exposure_for(7.9, 0.0, F2_REFERENCE))


def test_after_two_hours_away_the_exposure_goes_no_further_than_its_pace() -> None:
    slow = profile(max_stops_per_hour=2.0)
    kept = step(None, light(10, NOON), slow, None, NOON, LIMITS)
    back = NOON + timedelta(hours=2)
    after = step(kept, light(0, back), slow, None, back, LIMITS)
    assert after.log2_exposure - kept.log2_exposure == pytest.approx(4.0)


def test_after_a_night_away_it_begins_anew_at_what_is_wanted() -> None:
    slow = profile(max_stops_per_hour=0.1)
    kept = step(None, light(0, NOON), slow, None, NOON, LIMITS)
    back = NOON + timedelta(hours=10)
    fresh = step(None, light(12, back), slow, None, back, LIMITS)
    assert step(kept, light(12, back), slow, None, back, LIMITS) == fresh


@pytest.mark.parametrize("set_by", [timedelta(hours=2), timedelta(hours=-2), timedelta(days=-1)])
def test_a_clock_that_is_set_moves_no_exposure(set_by: timedelta) -> None:
    noise = random.Random(2)
    state = None
    exposures = []
    for tick in range(120):
        at = NOON + tick * INTERVAL + (set_by if tick >= 60 else timedelta(0))
        state = step(state, light(5 + noise.gauss(0, 0.02), at), profile(), None, at, LIMITS)
        exposures.append(state.log2_exposure)
    assert abs(exposures[60] - exposures[59]) <= 0.02
    assert max(abs(after - before) for before, after in pairwise(exposures)) <= 0.07


def test_a_clock_set_back_keeps_the_exposure_for_one_frame_and_goes_on() -> None:
    start = NOON + timedelta(hours=6, minutes=15)
    before = run(clear_ev, start=start, ticks=20, noise_ev=0)
    late = before.states[-1]
    back = late.at - timedelta(hours=2)
    first = step(late, light(3.0, back), profile(), None, back, LIMITS)
    assert first.log2_exposure == late.log2_exposure
    assert [sample.at for sample in first.samples] == [back]
    then = back + INTERVAL
    second = step(first, light(3.0, then), profile(), None, then, LIMITS)
    assert 0 < abs(second.log2_exposure - first.log2_exposure) <= 0.125


def test_highlights_hold_the_exposure_back_slowly_and_let_go_without_swinging() -> None:
    held = None
    values = []
    for tick in range(500):
        at = NOON + tick * INTERVAL
        highlight_ev = 5.0 if 20 <= tick < 200 else 0.0
        held = step(held, light(10.0, at, highlight_ev=highlight_ev), profile(), None, at, LIMITS)
        values.append(held.log2_exposure)
    assert values[0] == values[20]
    assert values[0] - values[199] == pytest.approx(1.0, abs=0.1)
    assert values[100] > values[199] - 0.01
    assert values[0] - values[60] < 0.9
    assert values[0] - values[260] > 0.5
    assert values[199] < values[-1] <= values[0] + 1e-9
    changes = [after - before for before, after in pairwise(values) if after != before]
    assert sum((after > 0) != (before > 0) for before, after in pairwise(changes)) == 1
    assert max(map(abs, changes)) <= 0.1


@pytest.mark.parametrize(("highlight_ev", "held_ev"), [(2.0, 0.0), (2.8, 0.33), (6.0, 1.0)])
def test_the_first_exposure_spares_the_highlights_at_once(highlight_ev: float, held_ev: float) -> None:
    first, even = (
        step(None, light(10.0, NOON, highlight_ev=ev), profile(), None, NOON, LIMITS).log2_exposure
        for ev in (highlight_ev, 0.0)
    )
    assert even - first == pytest.approx(held_ev, abs=0.01)


def test_a_headlight_and_a_black_picture_do_not_move_it() -> None:
    def disturbed(at: datetime) -> float:
        minute, second = at.minute, at.second
        if (minute, second >= 45) == (40, True):
            return clear_ev(at) + 9.0
        return -21.0 if (minute, second >= 45) == (50, True) else clear_ev(at)

    start = NOON + timedelta(hours=6)
    quiet, seen = (run(scene, start=start, noise_ev=0) for scene in (clear_ev, disturbed))
    differences = [a - b for a, b in zip(seen.exposures, quiet.exposures, strict=True)]
    assert max(map(abs, differences)) <= 0.05
    assert seen.reversals == 0


def test_frames_far_apart_are_not_moved_by_one_bad_one_either() -> None:
    state = None
    for tick in range(12):
        at = NOON + tick * timedelta(minutes=5)
        bad = tick in (5, 9)
        state = step(state, light(2.0 if bad else 10.0, at), profile(), None, at, LIMITS)
        wanted = log2_exposure_for(10.0, 0.0, F2_REFERENCE)
        assert state.log2_exposure == pytest.approx(wanted)


def test_a_frame_a_second_remembers_no_more_than_a_frame_every_15() -> None:
    state = None
    for second in range(300):
        at = NOON + timedelta(hours=6, seconds=second)
        state = step(state, light(clear_ev(at), at), profile(), WITH_SUN, at, LIMITS)
        assert len(state.samples) <= 12
        wanted = log2_exposure_for(
            clear_ev(at), ev_at(profile(), LUX_AT_EV_0 * 2 ** clear_ev(at)), F2_REFERENCE
        )
        assert state.log2_exposure == pytest.approx(wanted, abs=0.07)


def test_light_of_unknown_brightness_is_refused() -> None:
    unknown = replace(light(0, NOON), scene_ev=None, lux=None)
    with pytest.raises(ValueError, match="unknown"):
        step(None, unknown, profile(), None, NOON, LIMITS)


@pytest.mark.parametrize("edge", [-30, 0, 30])
def test_a_sun_table_that_ends_or_begins_in_twilight_makes_no_jump(edge: int) -> None:
    dusk = NOON + timedelta(hours=6, minutes=20)
    minutes = [dusk + timedelta(minutes=m) for m in range(90)]
    ends = plan(sun=SunTable(starts_at=NOON, step_s=60, elevation_deg=tuple(
        elevation_deg(NOON + timedelta(minutes=m)) for m in range(380)
    )))  # fmt: skip
    begins = plan(sun=SunTable(starts_at=dusk, step_s=60, elevation_deg=tuple(map(elevation_deg, minutes))))
    start = dusk + timedelta(minutes=edge) - 60 * INTERVAL
    for known in (ends, begins):
        seen = run(clear_ev, start=start, ticks=120, in_plan=known)
        assert max(map(abs, seen.errors)) <= 0.35
        assert max(map(abs, seen.steps)) <= 0.125 + 1e-9


def test_a_plan_of_the_past_is_no_plan() -> None:
    start = NOON + timedelta(hours=5.5)
    past = plan(sun=SunTable(starts_at=NOON - timedelta(days=9), step_s=300, elevation_deg=(-50.0,) * 288))
    assert (
        run(clear_ev, start=start, in_plan=past).states == run(clear_ev, start=start, in_plan=plan()).states
    )


@pytest.mark.parametrize(("elevation", "scene_ev"), [(-25.0, -10.0), (12.0, 12.0)])
def test_polar_day_and_night_stay_where_they_are(elevation: float, scene_ev: float) -> None:
    polar = plan(sun=SunTable(starts_at=NOON, step_s=300, elevation_deg=(elevation,) * 100))
    seen = run(lambda _at: scene_ev, start=NOON + timedelta(minutes=5), in_plan=polar)
    assert seen.rms <= 0.06
    assert seen.reversals <= 1


def test_a_sun_beyond_the_zenith_is_taken_for_the_zenith() -> None:
    absurd = plan(sun=SunTable(starts_at=NOON, step_s=60, elevation_deg=(1e9, -1e9)))
    at = NOON + timedelta(seconds=30)
    state = step(None, light(5, NOON), profile(), absurd, at, LIMITS)
    low, high = LIMITS.log2_range
    assert low <= state.log2_exposure <= high


def test_the_night_is_darker_on_purpose_and_smoothly() -> None:
    seen = run(clear_ev, start=NOON + timedelta(hours=6), ticks=300, noise_ev=0)
    shown = [
        state.log2_exposure - log2_exposure_for(clear_ev(state.at), 0.0, F2_REFERENCE)
        for state in seen.states
    ]
    assert shown[0] == pytest.approx(0.0, abs=0.1)
    assert min(shown) < -1.4
    assert max(abs(after - before) for before, after in pairwise(shown)) <= 0.07


def test_at_the_sensors_limit_the_exposure_stays_and_the_picture_darkens() -> None:
    small = replace(CAMERA, max_gain=4.0)
    limits = limits_of(small, profile(), 15)
    high = limits.log2_range[1]
    state = None
    exposures = []
    for tick in range(400):
        at = NOON + timedelta(hours=6) + tick * INTERVAL
        state = step(state, light(clear_ev(at), at), profile(), WITH_SUN, at, limits)
        exposures.append(state.log2_exposure)
    steps = [after - before for before, after in pairwise(exposures)]
    assert exposures[-1] == high
    assert all(0 <= change <= 0.125 + 1e-9 for change in steps)
    reached = exposures.index(high)
    assert set(exposures[reached:]) == {high}


def test_time_goes_over_into_gain_without_a_step() -> None:
    limits = Limits(min_exposure_us=100, max_exposure_us=12_000_000, min_gain=1.0, max_gain=16.0)
    middle = math.log2(12_000_000)
    totals = [middle + k / 1000 for k in range(-200, 200)]
    made = [split(total, limits) for total in totals]
    for total, exposure in zip(totals, made, strict=True):
        assert math.log2(exposure.exposure_us * exposure.gain) == pytest.approx(total, abs=1e-6)
    assert all(after.gain >= before.gain - 1e-6 for before, after in pairwise(made))
    assert all(after.exposure_us >= before.exposure_us for before, after in pairwise(made))


@settings(max_examples=60)
@given(scene_ev=st.floats(-6, 14), first=st.floats(-6, 14), ev=st.floats(-3, 2.4))
def test_constant_light_is_reached_and_kept(scene_ev: float, first: float, ev: float) -> None:
    wanted = profile(ev=ev)
    state = step(None, light(first, NOON), wanted, None, NOON, LIMITS)
    exposures = []
    for tick in range(1, 240):
        at = NOON + tick * INTERVAL
        state = step(state, light(scene_ev, at), wanted, None, at, LIMITS)
        exposures.append(state.log2_exposure)
    low, high = LIMITS.log2_range
    target = log2_exposure_for(scene_ev, ev_at(wanted, LUX_AT_EV_0 * 2**scene_ev), F2_REFERENCE)
    assert exposures[-1] == pytest.approx(min(max(target, low), high), abs=0.06)
    assert len(set(exposures[-20:])) == 1


@given(scene_ev=st.floats(-12, 18), brighter_by=st.floats(0, 6))
def test_more_light_never_gives_a_longer_exposure(scene_ev: float, brighter_by: float) -> None:
    dark, bright = (
        step(None, light(ev, NOON), profile(), None, NOON, LIMITS).log2_exposure
        for ev in (scene_ev, scene_ev + brighter_by)
    )
    assert bright <= dark + 1e-9


moments = st.integers(-(10**15), 10**15).map(lambda us: NOON + timedelta(microseconds=us))


@given(
    state=st.builds(
        ExposureState,
        at=moments,
        log2_exposure=st.floats(-5, 40),
        direction=st.sampled_from([-1, 0, 1]),
        guard_ev=st.floats(0, 1),
        samples=st.lists(
            st.builds(Sample, at=moments, scene_ev=st.floats(-25, 20), highlight_ev=st.floats(-1, 12)),
            max_size=12,
        ).map(tuple),
    )
)
def test_what_is_kept_on_disk_comes_back_as_it_was(state: ExposureState) -> None:
    kept = json.loads(json.dumps(write_exposures({"f": state})))
    assert read_exposures(kept, state.at) == {"f": state}


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


limits_of_any_sensor = st.builds(
    Limits,
    min_exposure_us=st.integers(1, 1000),
    max_exposure_us=st.integers(1000, 200_000_000),
    min_gain=st.floats(0.5, 2),
    max_gain=st.floats(2, 64),
)


@given(log2_exposure=st.floats(-5, 45), limits=limits_of_any_sensor)
def test_splitting_loses_nothing_and_uses_time_first(log2_exposure: float, limits: Limits) -> None:
    exposure = split(log2_exposure, limits)
    low, high = limits.log2_range
    wanted = min(max(log2_exposure, low), high)
    assert limits.min_exposure_us <= exposure.exposure_us <= limits.max_exposure_us
    assert limits.min_gain <= exposure.gain <= limits.max_gain
    made = exposure.exposure_us * exposure.gain
    assert abs(made - 2.0**wanted) <= limits.min_gain / 2 + 1e-6 * made
    if limits.max_gain >= 1.5 * limits.min_gain and exposure.exposure_us > 2:
        assert math.log2(made) == pytest.approx(wanted, abs=1e-6)
    if exposure.exposure_us < limits.max_exposure_us:
        assert exposure.gain <= limits.min_gain * (1 + 1 / exposure.exposure_us) + 1e-6


@given(log2_exposure=st.floats(-5, 45), more=st.floats(0, 5), limits=limits_of_any_sensor)
def test_splitting_more_never_gives_less(log2_exposure: float, more: float, limits: Limits) -> None:
    less, larger = split(log2_exposure, limits), split(log2_exposure + more, limits)
    assert larger.exposure_us >= less.exposure_us
    assert larger.exposure_us * larger.gain >= less.exposure_us * less.gain * (1 - 1e-9)


def test_exposure_never_outlasts_what_the_profile_allows() -> None:
    assert limits_of(CAMERA, profile(max_exposure_us=500_000), 15).max_exposure_us == 500_000
