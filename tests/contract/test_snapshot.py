"""How bridge and brain evaluate what was compiled: tables over light, windows over time."""

import dataclasses
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.snapshot import (
    Arm,
    Experiment,
    LuxTable,
    Metering,
    Plan,
    Profile,
    Region,
    Snapshot,
    SunTable,
    Variant,
    WhiteBalance,
    Window,
    active_window,
    at_lux,
    colour_temperature_at,
    ev_at,
    metering_weight,
    next_tick,
    sun_elevation_at,
    tick_at_or_after,
)

from .examples import EXAMPLES, FIXED, NOW, PROFILE, WINDOW

lux = st.floats(min_value=1e-5, max_value=2e5)
tables = st.lists(
    st.tuples(lux, st.floats(-1e4, 1e4)),
    min_size=1,
    max_size=60,
    unique_by=lambda point: round(math.log(point[0]), 6),
).map(lambda points: tuple(sorted(points)))


@given(table=tables, light=lux)
def test_a_table_stays_between_its_values(table: LuxTable, light: float) -> None:
    values = [value for _, value in table]

    assert min(values) - 1e-6 <= at_lux(table, light) <= max(values) + 1e-6


@given(table=tables)
def test_a_table_gives_its_own_points(table: LuxTable) -> None:
    for light, value in table:
        assert at_lux(table, light) == pytest.approx(value, abs=1e-6 + 1e-6 * abs(value))


def test_a_table_is_even_in_stops_of_light() -> None:
    table = ((1.0, 0.0), (100.0, 2.0))

    assert at_lux(table, 10.0) == pytest.approx(1.0)
    assert at_lux(table, 0.0) == 0.0
    assert at_lux(table, 1e9) == 2.0


def test_white_balance_by_mode() -> None:
    auto = dataclasses.replace(FIXED, white_balance=WhiteBalance(mode="auto"))

    assert colour_temperature_at(auto, 100.0) is None
    assert colour_temperature_at(FIXED, 100.0) == 5500
    assert colour_temperature_at(PROFILE, 100.0) == 4800
    assert colour_temperature_at(PROFILE, 1.0) in range(4200, 4801)


def test_the_night_is_darker_on_purpose() -> None:
    assert ev_at(PROFILE, 20_000.0) == pytest.approx(-0.3)
    assert ev_at(PROFILE, 0.01) == pytest.approx(-1.8)


@pytest.mark.parametrize("table", [(), ((1.0, 0.0), (1.0, 1.0)), ((2.0, 0.0), (1.0, 1.0)), ((0.0, 1.0),)])
def test_tables_that_cannot_be_evaluated_are_refused(table: LuxTable) -> None:
    with pytest.raises(ProtocolError):
        WhiteBalance(mode="adaptive", table=table)


def test_profiles_that_no_camera_could_follow_are_refused() -> None:
    for change in ({"ev": 11.0}, {"max_stops_per_hour": 0.0}, {"jpeg_quality": 0}, {"id": "Not an id"}):
        with pytest.raises(ProtocolError):
            dataclasses.replace(PROFILE, **change)
    with pytest.raises(ProtocolError):
        WhiteBalance(mode="fixed")
    with pytest.raises(ProtocolError):
        Region(left=0.5, top=0.0, right=0.4, bottom=1.0)


def window(start_s: float, end_s: float, interval_s: float, name: str = "w") -> Window:
    return Window(
        id=name,
        schedule="sunset",
        day="2026-06-21",
        starts_at=NOW + timedelta(seconds=start_s),
        ends_at=NOW + timedelta(seconds=end_s),
        interval_s=interval_s,
        profiles=("c",),
    )


def plan(*windows: Window) -> Plan:
    return Plan(revision=1, created_at=NOW, time_zone="Europe/Berlin", windows=windows)


windows = st.lists(
    st.builds(
        lambda start, length, interval: (start, start + length, interval),
        st.floats(-300, 300),
        st.floats(1, 600),
        st.sampled_from([0.5, 1.0, 15.0, 30.0, 37.0, 3600.0]),
    ),
    max_size=4,
).map(lambda items: plan(*(window(*item, name=f"w{index}") for index, item in enumerate(items))))


@given(plan=windows, offset=st.floats(-400, 900))
def test_the_next_tick_is_in_its_window_on_the_grid_and_none_comes_before(plan: Plan, offset: float) -> None:
    moment = NOW + timedelta(seconds=offset)
    found = next_tick(plan, moment)

    if found is None:
        for candidate in plan.windows:
            tick = tick_at_or_after(candidate, moment)
            assert tick is None or active_window(plan, tick) is not candidate
        return
    tick, ruling = found
    assert tick >= moment
    assert active_window(plan, tick) is ruling
    interval = timedelta(seconds=ruling.interval_s)
    assert (tick - datetime(1970, 1, 1, tzinfo=UTC)) % interval == timedelta(0)
    before = next_tick(plan, min(moment, tick))
    assert before is not None
    assert before[0] <= tick


def test_where_windows_overlap_the_shorter_interval_wins() -> None:
    slow, fast = window(-60, 60, 30.0, "slow"), window(0, 30, 15.0, "fast")
    both = plan(slow, fast)

    assert active_window(both, NOW) is fast
    assert active_window(both, NOW - timedelta(seconds=1)) is slow
    assert active_window(both, NOW + timedelta(seconds=60)) is None


def test_of_two_windows_with_one_interval_the_shorter_wins() -> None:
    whole_day, evening = window(-600, 600, 15.0, "a-day"), window(0, 30, 15.0, "evening")

    assert active_window(plan(whole_day, evening), NOW) is evening
    assert active_window(plan(evening, whole_day), NOW - timedelta(seconds=1)) is whole_day


def test_two_cameras_on_one_clock_shoot_together() -> None:
    first = tick_at_or_after(window(-100, 100, 15.0), NOW)
    second = tick_at_or_after(window(-37, 100, 15.0), NOW)

    assert first == second == datetime(2026, 6, 21, 19, 30, 15, tzinfo=UTC)


def test_the_sun_between_its_points_and_beyond() -> None:
    example = EXAMPLES["plan"]
    assert isinstance(example, Plan)

    assert sun_elevation_at(example, NOW) == pytest.approx(1.25)
    assert sun_elevation_at(example, NOW + timedelta(seconds=300)) == pytest.approx(0.625)
    assert sun_elevation_at(example, NOW + timedelta(seconds=1200)) == pytest.approx(-1.2)
    assert sun_elevation_at(example, NOW + timedelta(seconds=1201)) is None
    assert sun_elevation_at(example, NOW - timedelta(seconds=1)) is None
    assert sun_elevation_at(plan(), NOW) is None
    lone = dataclasses.replace(example, sun=SunTable(starts_at=NOW, step_s=60.0, elevation_deg=(5.0,)))
    assert sun_elevation_at(lone, NOW) == 5.0


def test_windows_and_suns_that_make_no_sense_are_refused() -> None:
    for change in ({"ends_at": WINDOW.starts_at}, {"interval_s": 0.0}, {"profiles": ()}, {"day": "tomorrow"}):
        with pytest.raises(ProtocolError):
            dataclasses.replace(WINDOW, **change)
    with pytest.raises(ProtocolError):
        SunTable(starts_at=NOW, step_s=0.0, elevation_deg=(1.0,))


def test_a_snapshot_finds_its_profiles() -> None:
    snapshot = EXAMPLES["snapshot"]

    assert snapshot.profile("b") is FIXED
    assert snapshot.profile("z") is None
    assert isinstance(PROFILE, Profile)
    assert Metering(mode="spot").regions == ()


def test_an_arm_has_a_test_id_that_frames_can_carry() -> None:
    with pytest.raises(ProtocolError, match="test_id"):
        Arm(test_id="Warmer!", profile=PROFILE)


@pytest.mark.parametrize("field", ["bracket_ev", "focus_bracket"])
@pytest.mark.parametrize(
    "offsets",
    [
        (-1.0, 1.0),
        (0.0, 1.0, 1.0),
        tuple(float(offset) for offset in range(10)),
        (0.0, 21.0),
        (0.0, math.nan),
    ],
)
def test_brackets_that_no_tick_could_hold_are_refused(field: str, offsets: tuple[float, ...]) -> None:
    change: dict[str, Any] = {field: offsets}
    with pytest.raises(ProtocolError, match=field):
        dataclasses.replace(PROFILE, **change)


def test_brackets_around_their_middle_are_taken() -> None:
    profile = dataclasses.replace(PROFILE, bracket_ev=(-2.0, 0.0, 2.0), focus_bracket=(0.0, 1.5))

    assert profile.bracket_ev == (-2.0, 0.0, 2.0)
    assert profile.focus_bracket == (0.0, 1.5)
    with pytest.raises(ProtocolError, match="bracket_ev"):
        dataclasses.replace(PROFILE, bracket_ev=(0.0, 10.5))


@pytest.mark.parametrize(
    "change", [{"average": 0}, {"average": 65}, {"focus_dioptre": -0.1}, {"focus_dioptre": 51.0}]
)
def test_averages_and_distances_beyond_any_camera_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match=next(iter(change))):
        dataclasses.replace(PROFILE, **change)


def test_a_profile_is_executed_as_its_schedule_wants_it() -> None:
    snapshot = EXAMPLES["snapshot"]
    assert isinstance(snapshot, Snapshot)
    brighter = dataclasses.replace(FIXED, ev=1.0)
    varied = dataclasses.replace(snapshot, variants=(Variant(schedule="sunset", profile=brighter),))

    assert varied.profile("b", "sunset") is brighter
    assert varied.profile("b", "sunrise") is FIXED
    assert varied.profile("b") is FIXED
    assert varied.profile("z", "sunset") is None
    with pytest.raises(ProtocolError, match="schedule"):
        Variant(schedule="At dusk", profile=brighter)


def test_the_arms_of_a_test_can_be_told_apart_and_its_end_is_kept() -> None:
    one, other = Arm(test_id="one", profile=PROFILE), Arm(test_id="other", profile=FIXED)
    test = Experiment(id="t", arms=(one, other), ends_at=NOW)

    assert test.ends_at == NOW
    assert Experiment(id="t", arms=(one, other)).ends_at is None
    with pytest.raises(ProtocolError, match="share one test id"):
        Experiment(id="t", arms=(one, Arm(test_id="one", profile=FIXED)))
    with pytest.raises(ProtocolError, match="experiment"):
        Experiment(id="No id", arms=(one,))


def test_spot_centre_and_matrix_weigh_the_picture() -> None:
    spot, centre, matrix = (Metering(mode=mode) for mode in ("spot", "centre", "matrix"))

    assert (metering_weight(spot, 0.5, 0.59), metering_weight(spot, 0.5, 0.61)) == (1.0, 0.0)
    assert metering_weight(centre, 0.5, 0.5) == pytest.approx(1.1)
    assert metering_weight(centre, 0.0, 0.0) == pytest.approx(0.1, abs=0.02)
    assert metering_weight(matrix, 0.0, 1.0) == 1.0


def test_regions_weigh_what_lies_in_them_and_add_up() -> None:
    sky = Region(left=0.0, top=0.0, right=1.0, bottom=0.5, weight=2.0)
    tree = Region(left=0.2, top=0.2, right=0.4, bottom=1.0, weight=0.5)
    regions = Metering(mode="regions", regions=(sky, tree))

    assert metering_weight(regions, 0.9, 0.1) == 2.0
    assert metering_weight(regions, 0.3, 0.3) == 2.5
    assert metering_weight(regions, 0.3, 0.9) == 0.5
    assert metering_weight(regions, 0.9, 0.9) == 0.0
    assert metering_weight(Metering(mode="regions"), 0.5, 0.5) == 0.0


@pytest.mark.parametrize(
    "change", [{"left": -0.1}, {"right": 1.1}, {"bottom": 0.0}, {"weight": 0.0}, {"weight": -1.0}]
)
def test_regions_outside_the_picture_or_without_weight_are_refused(change: dict[str, Any]) -> None:
    region = Region(left=0.0, top=0.0, right=1.0, bottom=1.0)
    with pytest.raises(ProtocolError, match="region"):
        dataclasses.replace(region, **change)
