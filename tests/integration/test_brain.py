"""The pure rooms: curves, profiles, schedules, the plan, the ledger, what is deployed."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_components.skylapse.brain.clock import EARLIEST, LATEST, to_bridge, to_real
from custom_components.skylapse.brain.compiling import compile_profile, resolve
from custom_components.skylapse.brain.deploy import (
    Configuration,
    compile_camera,
    compile_orders,
    stamp_profiles,
)
from custom_components.skylapse.brain.errors import ProfileError, ScheduleError
from custom_components.skylapse.brain.ledger import Ledger, Stamp
from custom_components.skylapse.brain.plan import (
    Place,
    compile_plan,
    compile_sun,
    next_renewal,
    plan_start,
    sun_event,
    windows_between,
)
from custom_components.skylapse.brain.profiles import BUILT_IN_PROFILES, ProfileSpec
from custom_components.skylapse.brain.schedules import BUILT_IN_SCHEDULES, ScheduleSpec
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import CameraState, Clock
from custom_components.skylapse.protocol.snapshot import (
    Experiment,
    Plan,
    Snapshot,
    active_window,
    colour_temperature_at,
    ev_at,
    sun_elevation_at,
)

INNSBRUCK = Place(latitude=47.27, longitude=11.40, elevation_m=600, time_zone="Europe/Vienna")
TROMSO = Place(latitude=69.65, longitude=18.96, elevation_m=0, time_zone="Europe/Oslo")
AUCKLAND = Place(latitude=-36.85, longitude=174.76, elevation_m=0, time_zone="Pacific/Auckland")
HONOLULU = Place(latitude=21.31, longitude=-157.86, elevation_m=0, time_zone="Pacific/Honolulu")
JUNE = datetime(2026, 6, 21, 10, 30, tzinfo=UTC)
CAMERA = "roof/west"

PROFILES = {spec.id: spec for spec in BUILT_IN_PROFILES}
SCHEDULES = {spec.id: spec for spec in BUILT_IN_SCHEDULES}
CONFIGURATION = Configuration(profiles=PROFILES, schedules=BUILT_IN_SCHEDULES, place=INNSBRUCK)

ANCHOR = datetime(2026, 11, 21, tzinfo=UTC)
moments = st.timedeltas(timedelta(days=-9000), timedelta(days=9000)).map(lambda offset: ANCHOR + offset)


def windows(schedule: ScheduleSpec, place: Place, start: datetime, hours: float = 96) -> list[Any]:
    return list(windows_between(schedule, place, start, start + timedelta(hours=hours)))


def deployed(
    configuration: Configuration,
    now: datetime,
    ledger: Ledger,
    state: CameraState | None = None,
    experiments: tuple[Experiment, ...] = (),
) -> tuple[Snapshot, Plan]:
    """Return what a camera is to hold, both of which fit."""
    stamp_profiles(configuration, ledger, now)
    made = compile_camera(configuration, CAMERA, now, ledger, state, experiments)
    assert made.snapshot is not None
    assert made.plan is not None
    return made.snapshot, made.plan


def local(moment: datetime, place: Place) -> datetime:
    return moment.astimezone(ZoneInfo(place.time_zone))


# ---------------------------------------------------------------- profiles


def test_the_six_built_in_profiles_are_the_product_page() -> None:
    compiled = {key: compile_profile(PROFILES, key, 1) for key in PROFILES}
    facts = {
        key: (profile.name, profile.metering.mode, profile.ev, profile.white_balance.mode)
        for key, profile in compiled.items()
    }
    assert facts == {
        "a": ("Center-weighted auto", "centre", 0.3, "auto"),
        "b": ("Daylight fixed", "matrix", 0.0, "fixed"),
        "c": ("Conservative adaptive", "matrix", -0.3, "adaptive"),
        "d": ("Warm dramatic", "matrix", 0.0, "adaptive"),
        "e": ("Balanced adaptive", "matrix", 0.0, "adaptive"),
        "f": ("Mountain spot", "spot", 0.7, "fixed"),
    }
    assert colour_temperature_at(compiled["b"], 100) == 5500
    warm, conservative = (colour_temperature_at(compiled[key], 400) for key in "dc")
    assert warm is not None
    assert conservative is not None
    assert warm > conservative
    assert ev_at(compiled["f"], 0.1) == pytest.approx(-0.8)
    assert ev_at(compiled["f"], 10_000) == pytest.approx(0.7)


def test_a_variant_takes_from_its_base_what_it_leaves_open() -> None:
    specs = {
        "base": ProfileSpec(
            id="base", name="Base", metering="spot", ev=0.5, max_gain=8.0, max_exposure_s=2.0
        ),
        "winter": ProfileSpec(id="winter", name="Winter", extends="base", ev=1.0),
        "snow": ProfileSpec(id="snow", name="Snow", extends="winter", white_balance="fixed", kelvin=6500),
    }
    snow = compile_profile(specs, "snow", 3)
    assert (snow.metering.mode, snow.ev, snow.white_balance.kelvin) == ("spot", 1.0, 6500)
    assert (snow.max_gain, snow.max_exposure_us, snow.version, snow.name) == (8.0, 2_000_000, 3, "Snow")


@pytest.mark.parametrize(
    ("extends", "key"), [("gone", "profile_base_unknown"), ("b", "profile_circle"), ("a", "profile_circle")]
)
def test_a_profile_that_extends_nothing_or_itself_is_refused(extends: str, key: str) -> None:
    specs = {
        "a": ProfileSpec(id="a", name="A", extends=extends),
        "b": ProfileSpec(id="b", name="B", extends="a"),
    }
    with pytest.raises(ProfileError) as error:
        resolve(specs, "a")
    assert error.value.key == key


def test_profiles_and_schedules_survive_being_kept() -> None:
    for profile in BUILT_IN_PROFILES:
        assert ProfileSpec.read(profile.id, profile.name, profile.write()) == profile
    for schedule in BUILT_IN_SCHEDULES:
        assert ScheduleSpec.read(schedule.id, schedule.name, schedule.write()) == schedule


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"duration_min": 0}, "duration_range"),
        ({"duration_min": 1441}, "duration_range"),
        ({"offset_min": -721}, "offset_range"),
        ({"interval_s": 0.01}, "interval_range"),
        ({"profiles": ()}, "no_profile"),
        ({"days": ()}, "no_day"),
    ],
)
def test_figures_that_no_window_can_have_are_refused(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ScheduleError) as error:
        replace(SCHEDULES["sunset"], **changes)
    assert error.value.key == key


# ---------------------------------------------------------------- windows


def test_the_sunset_window_lies_around_the_sunset_of_its_day() -> None:
    found = windows(SCHEDULES["sunset"], INNSBRUCK, JUNE)
    assert len(found) == 4
    for window in found:
        sunset = sun_event("sunset", INNSBRUCK, date.fromisoformat(window.day))
        assert sunset is not None
        assert window.starts_at == sunset - timedelta(minutes=30)
        assert window.ends_at == sunset + timedelta(minutes=30)
        assert window.id == f"sunset-{window.day.replace('-', '')}"
        assert 20 <= local(sunset, INNSBRUCK).hour <= 21


@pytest.mark.parametrize("place", [INNSBRUCK, AUCKLAND, HONOLULU], ids=["east", "far east", "far west"])
@pytest.mark.parametrize("anchor", ["dawn", "sunrise", "solar_noon", "sunset", "dusk"])
def test_the_sun_of_a_local_day_falls_on_that_day(place: Place, anchor: str) -> None:
    for offset in range(0, 366, 13):
        day = date(2026, 1, 1) + timedelta(days=offset)
        moment = sun_event(anchor, place, day)
        assert moment is not None
        assert local(moment, place).date() == day


def test_in_polar_day_and_night_there_is_no_sunset_but_a_noon() -> None:
    noon = replace(SCHEDULES["sunset"], id="noon", anchor="solar_noon")
    for month in (6, 12):
        start = datetime(2026, month, 20, tzinfo=UTC)
        assert windows(SCHEDULES["sunset"], TROMSO, start) == []
        assert len(windows(noon, TROMSO, start)) >= 4


def test_where_the_sunrise_crosses_midnight_no_two_windows_share_an_id() -> None:
    found = windows(SCHEDULES["sunrise"], TROMSO, datetime(2026, 5, 1, tzinfo=UTC), 24 * 20)
    assert len({window.id for window in found}) == len(found) > 10
    assert all(local(window.starts_at, TROMSO).date().isoformat() == window.day for window in found)


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 21), 24)]
)
def test_a_whole_day_is_a_whole_local_day_when_clocks_change(day: date, hours: int) -> None:
    start = datetime.combine(day, datetime.min.time(), ZoneInfo("Europe/Vienna")).astimezone(UTC)
    window = next(w for w in windows(SCHEDULES["hourly"], INNSBRUCK, start) if w.day == day.isoformat())
    assert window.starts_at == start
    assert window.ends_at - window.starts_at == timedelta(hours=hours)


def test_clock_windows_keep_their_local_time_when_clocks_change() -> None:
    found = windows(SCHEDULES["daytime"], INNSBRUCK, datetime(2026, 3, 27, 12, tzinfo=UTC))
    assert {f"{local(w.starts_at, INNSBRUCK):%H:%M}-{local(w.ends_at, INNSBRUCK):%H:%M}" for w in found} == {
        "07:30-17:45"
    }
    assert len({w.starts_at.hour for w in found}) == 2


def test_a_window_over_midnight_carries_the_day_of_its_start_and_is_seen_after_midnight() -> None:
    night = replace(SCHEDULES["night"], enabled=True)
    after_midnight = datetime(2026, 6, 22, 0, 30, tzinfo=UTC)
    first = windows(night, INNSBRUCK, after_midnight)[0]
    assert first.starts_at < after_midnight < first.ends_at
    assert first.day == "2026-06-21"


def test_days_that_are_not_chosen_have_no_window() -> None:
    weekend = replace(SCHEDULES["sunset"], days=("sat", "sun"))
    found = windows(weekend, INNSBRUCK, JUNE, 24 * 14)
    assert {date.fromisoformat(window.day).weekday() for window in found} == {5, 6}


# ---------------------------------------------------------------- plan


@given(now=moments)
def test_a_plan_reaches_96_hours_and_is_renewed_within_six(now: datetime) -> None:
    start = plan_start(now)
    assert start <= now < next_renewal(now) == start + timedelta(hours=6)
    assert start.hour % 6 == start.minute == start.second == 0


def test_the_plan_holds_every_enabled_schedule_of_the_camera_and_the_sun() -> None:
    only_east = replace(SCHEDULES["sunrise"], cameras=("roof/east",))
    schedules = [only_east, *(SCHEDULES[key] for key in ("sunset", "daytime", "night", "hourly"))]
    sun = compile_sun(INNSBRUCK, JUNE)
    plan = compile_plan(schedules, CAMERA, INNSBRUCK, sun, 7, JUNE)
    assert {window.schedule for window in plan.windows} == {"sunset", "daytime", "hourly"}
    assert [w.starts_at for w in plan.windows] == sorted(w.starts_at for w in plan.windows)
    assert plan.revision == 7
    assert len(topics.encode(topics.PLAN, plan)) < 30_000
    noon = sun_event("solar_noon", INNSBRUCK, date(2026, 6, 22))
    sunset = sun_event("sunset", INNSBRUCK, date(2026, 6, 22))
    assert noon is not None
    assert sunset is not None
    elevation = sun_elevation_at(plan, noon)
    assert elevation is not None
    assert 65 < elevation < 67
    at_sunset = sun_elevation_at(plan, sunset)
    assert at_sunset is not None
    assert -2.5 < at_sunset < 0.5
    assert sun_elevation_at(plan, JUNE + timedelta(hours=96)) is not None


def test_overlapping_windows_are_left_to_the_rule_of_the_shorter_interval() -> None:
    wide = replace(SCHEDULES["sunset"], offset_min=-240)
    plan = compile_plan(
        [wide, SCHEDULES["daytime"]], CAMERA, INNSBRUCK, compile_sun(INNSBRUCK, JUNE), 1, JUNE
    )
    both = [w for w in plan.windows if w.day == "2026-06-22"]
    assert both[0].ends_at > both[1].starts_at
    ruling = active_window(plan, both[1].starts_at)
    assert ruling is not None
    assert ruling.schedule == "sunset"


# ---------------------------------------------------------------- versions


def test_versions_rise_only_when_the_content_changes() -> None:
    ledger = Ledger()
    first = deployed(CONFIGURATION, JUNE, ledger)
    assert deployed(CONFIGURATION, JUNE + timedelta(hours=1), ledger) == first
    assert (first[0].version, first[1].revision) == (1, 1)
    snapshot, plan = deployed(CONFIGURATION, JUNE + timedelta(hours=6), ledger)
    assert (snapshot.version, plan.revision) == (1, 2)
    brighter = {**PROFILES, "f": replace(PROFILES["f"], ev=1.0)}
    changed, _ = deployed(replace(CONFIGURATION, profiles=brighter), JUNE, ledger)
    assert changed.version == 2
    assert {profile.id: profile.version for profile in changed.profiles} == {
        **dict.fromkeys("abcde", 1),
        "f": 2,
    }


def test_a_ledger_survives_being_kept() -> None:
    ledger = Ledger()
    first = deployed(CONFIGURATION, JUNE, ledger)
    read = Ledger({subject: Stamp.read(subject, kept) for subject, kept in ledger.write().items()})
    assert deployed(CONFIGURATION, JUNE, read) == first
    read.forget("plan/roof")
    assert read.version(f"plan/{CAMERA}") == 1
    read.forget(f"plan/{CAMERA}")
    assert read.version(f"plan/{CAMERA}") is None
    assert read.version(f"snapshot/{CAMERA}") == 1
    assert [edition.content["data"]["ev"] for edition in read.editions("profile/f")] == [0.7]


def test_a_ledger_that_starts_anew_counts_on_from_what_the_camera_holds() -> None:
    holds = CameraState(mode="deployed", capturing=True, snapshot_version=41, plan_revision=300)
    snapshot, plan = deployed(CONFIGURATION, JUNE, Ledger(), holds)
    assert (snapshot.version, plan.revision) == (42, 301)


def test_the_last_ten_versions_of_a_profile_are_kept_with_their_content() -> None:
    ledger = Ledger()
    for number in range(13):
        changed = {**PROFILES, "f": replace(PROFILES["f"], ev=number / 10)}
        deployed(replace(CONFIGURATION, profiles=changed), JUNE + timedelta(minutes=number), ledger)
    editions = ledger.editions("profile/f")
    assert [edition.version for edition in editions] == list(range(4, 14))
    assert [edition.content["data"]["ev"] for edition in editions] == [n / 10 for n in range(3, 13)]
    assert editions[-1].made_at == JUNE + timedelta(minutes=12)
    assert editions[-1].content["name"] == "Mountain spot"
    assert ledger.editions("profile/none") == ()


def many(count: int) -> tuple[ScheduleSpec, ...]:
    """Return so many schedules that photograph at eight in the morning."""
    noon = replace(SCHEDULES["daytime"], at="08:00:00", duration_min=30)
    return tuple(replace(noon, id=f"{'long' * 10}{number:03}") for number in range(count))


def test_a_plan_is_as_long_as_fits_into_one_message() -> None:
    ledger = Ledger()
    made = compile_camera(replace(CONFIGURATION, schedules=many(60)), CAMERA, JUNE, ledger, None)
    assert made.plan is not None
    assert made.plan.sun is not None
    assert 24 < made.plan_hours < 96
    reach = made.plan.sun.starts_at + timedelta(hours=made.plan_hours + 6)
    assert reach - timedelta(hours=24) <= made.plan.windows[-1].starts_at < reach
    last = made.plan.sun.starts_at + timedelta(seconds=300) * (len(made.plan.sun.elevation_deg) - 1)
    assert last == reach
    assert len(topics.encode(topics.PLAN, made.plan)) <= 64 * 1024
    assert ledger.version(f"plan/{CAMERA}") == 1


def test_what_never_fits_leaves_the_ledger_as_it_was() -> None:
    ledger = Ledger()
    deployed(CONFIGURATION, JUNE, ledger)
    loud = {f"p{n}": ProfileSpec(id=f"p{n}", name="x" * 4000) for n in range(20)}
    huge = replace(CONFIGURATION, profiles=loud, schedules=many(400))
    made = compile_camera(huge, CAMERA, JUNE, ledger, None)
    assert (made.snapshot, made.plan, made.plan_hours) == (None, None, 0)
    assert (ledger.version(f"snapshot/{CAMERA}"), ledger.version(f"plan/{CAMERA}")) == (1, 1)


def test_orders_name_every_camera_and_every_schedule_with_a_film() -> None:
    schedules = (
        replace(
            SCHEDULES["sunset"],
            size="2160p",
            also_sizes=("720p", "2160p"),
            codec="h265",
            rate=30.0,
            keep_days=90,
        ),
        replace(SCHEDULES["sunrise"], cameras=("roof/east",)),
        SCHEDULES["hourly"],
    )
    ledger = Ledger()
    orders = compile_orders(
        replace(CONFIGURATION, schedules=schedules), ["roof/west", "roof/east"], ledger, JUNE
    )
    assert [(order.camera, order.schedule) for order in orders.orders] == [
        ("roof/east", "sunset"),
        ("roof/east", "sunrise"),
        ("roof/west", "sunset"),
    ]
    order = orders.orders[0]
    assert order.schedule_name == schedules[0].name
    assert (order.size, order.also_sizes, order.codec) == ("2160p", ("720p",), "h265")
    assert (order.rate, order.retention_days) == (30.0, 90)
    assert compile_orders(CONFIGURATION, [], ledger, JUNE).revision == 2


@given(offset_s=st.floats(-1e5, 1e5), rate=st.floats(0.1, 1000))
def test_a_bridges_clock_is_read_both_ways(offset_s: float, rate: float) -> None:
    clock = Clock(start=JUNE, anchor=ANCHOR, rate=rate)
    moment = ANCHOR + timedelta(seconds=offset_s)
    assert abs(to_real(clock, to_bridge(clock, moment)) - moment) < timedelta(milliseconds=10)
    assert to_bridge(None, moment) == to_real(None, moment) == moment


@given(
    start=st.datetimes(timezones=st.just(UTC)),
    moment=st.datetimes(timezones=st.just(UTC)),
    rate=st.floats(1e-9, 1e4),
)
def test_no_announced_clock_leaves_the_calendar(start: datetime, moment: datetime, rate: float) -> None:
    clock = Clock(start=start, anchor=ANCHOR, rate=rate)
    for shown in (to_bridge(clock, moment), to_real(clock, moment)):
        assert EARLIEST <= shown <= LATEST


@pytest.mark.parametrize("now", [EARLIEST, LATEST])
def test_a_plan_can_be_compiled_wherever_a_clock_may_stand(now: datetime) -> None:
    assert deployed(CONFIGURATION, now, Ledger())[1].windows
