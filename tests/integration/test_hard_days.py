"""The brain's hard days: poles, equator, clock changes of every zone, leap days, midnight; against astral."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from astral import sun as astral_sun
from hypothesis import given
from hypothesis import strategies as st

from custom_components.skylapse.brain.compiling import check_change, resolve
from custom_components.skylapse.brain.errors import ProfileError
from custom_components.skylapse.brain.outlook import look, window_in_view
from custom_components.skylapse.brain.plan import (
    PLAN_SPAN,
    RENEW_EVERY,
    Place,
    compile_plan,
    compile_sun,
    next_midnight,
    sun_event,
    windows_between,
)
from custom_components.skylapse.brain.profiles import BUILT_IN_PROFILES, ProfileSpec
from custom_components.skylapse.brain.schedules import BUILT_IN_SCHEDULES, ScheduleSpec
from custom_components.skylapse.brain.seasons import season_of
from custom_components.skylapse.protocol.messages import Clock
from custom_components.skylapse.protocol.snapshot import Window

TROMSO = Place(latitude=69.65, longitude=18.96, elevation_m=0.0, time_zone="Europe/Oslo")
LONGYEARBYEN = Place(latitude=78.22, longitude=15.65, elevation_m=0.0, time_zone="Arctic/Longyearbyen")
SOUTH_POLE = Place(latitude=-90.0, longitude=0.0, elevation_m=2835.0, time_zone="Antarctica/McMurdo")
HELSINKI = Place(latitude=60.17, longitude=24.94, elevation_m=0.0, time_zone="Europe/Helsinki")
QUITO = Place(latitude=-0.18, longitude=-78.47, elevation_m=2850.0, time_zone="America/Guayaquil")
AUCKLAND = Place(latitude=-36.85, longitude=174.76, elevation_m=0.0, time_zone="Pacific/Auckland")
KIRITIMATI = Place(latitude=1.87, longitude=-157.43, elevation_m=0.0, time_zone="Pacific/Kiritimati")
DENVER = Place(latitude=39.74, longitude=-104.99, elevation_m=1609.0, time_zone="America/Denver")
KASHGAR = Place(latitude=39.47, longitude=75.99, elevation_m=0.0, time_zone="Asia/Shanghai")
VIENNA = Place(latitude=48.21, longitude=16.37, elevation_m=0.0, time_zone="Europe/Vienna")
PLACES = (TROMSO, LONGYEARBYEN, HELSINKI, QUITO, AUCKLAND, KIRITIMATI, DENVER, KASHGAR, VIENNA)

SCHEDULES = {spec.id: spec for spec in BUILT_IN_SCHEDULES}
CLOCK = ScheduleSpec(id="clock", name="Clock", anchor="clock", duration_min=60, interval_s=15)
DAY = timedelta(days=1)
YEAR = tuple(date(2026, 1, 1) + number * DAY for number in range(365))


def windows(schedule: ScheduleSpec, place: Place, start: datetime, length: timedelta) -> list[Window]:
    return list(windows_between(schedule, place, start, start + length))


def at(place: Place, day: str, hour: str = "00:00") -> datetime:
    """Return a local time of a place, in UTC."""
    local = datetime.fromisoformat(f"{day}T{hour}:00")
    return local.replace(tzinfo=ZoneInfo(place.time_zone)).astimezone(UTC)


def local(moment: datetime, place: Place) -> str:
    return f"{moment.astimezone(ZoneInfo(place.time_zone)):%Y-%m-%d %H:%M}"


def spans(found: list[Window], place: Place) -> list[tuple[str, str]]:
    return [(local(each.starts_at, place), local(each.ends_at, place)) for each in found]


# ---------------------------------------------------------------- the sun


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.time_zone)
@pytest.mark.parametrize("anchor", ["dawn", "sunrise", "sunset", "dusk"])
def test_the_sun_stands_where_its_event_says_and_no_day_has_two_or_loses_its_own(
    place: Place, anchor: str
) -> None:
    wanted = -6.0 if anchor in ("dawn", "dusk") else 0.0
    found = {day: sun_event(anchor, place, day) for day in YEAR}
    for day, moment in found.items():
        highest = astral_sun.elevation(place.observer, noon(place, day))
        lowest = astral_sun.elevation(place.observer, noon(place, day) + timedelta(hours=12))
        if moment is None:
            assert highest < wanted + 1.5 or lowest > wanted - 1.5, day
            continue
        if abs(highest - lowest) > 10:  # elsewhere the sun hardly moves up or down, and a minute is nothing
            elevation = astral_sun.elevation(place.observer, moment)
            assert wanted - 3.0 < elevation < wanted + 0.7, (day, elevation)
        before = anchor in ("dawn", "sunrise")
        assert (moment < noon(place, day)) is before, day
    for (day, moment), (after, following) in pairwise(found.items()):
        if moment is not None and following is not None:
            assert timedelta(hours=23) < following - moment < timedelta(hours=25), (day, after)


def noon(place: Place, day: date) -> datetime:
    moment = sun_event("solar_noon", place, day)
    assert moment is not None
    return moment


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.time_zone)
def test_every_day_has_a_noon_that_falls_on_it(place: Place) -> None:
    zone = ZoneInfo(place.time_zone)
    for day in YEAR:
        moment = noon(place, day).astimezone(zone)
        assert moment.date() == day
        assert 10 <= moment.hour <= 15


def test_the_evening_of_a_white_night_is_still_that_of_the_day_before() -> None:
    """In Helsinki's June dusk falls after midnight: no evening is without one, and in July none has two."""
    dusk = replace(SCHEDULES["sunset"], id="dusk", anchor="dusk", offset_min=0, duration_min=30)
    summer = windows(dusk, HELSINKI, at(HELSINKI, "2026-06-01", "12:00"), 60 * DAY)
    assert len(summer) == len({each.id for each in summer}) == 60
    late = [each for each in summer if local(each.starts_at, HELSINKI)[-5:] < "12:00"]
    assert late
    for each in late:
        following = date.fromisoformat(f"{each.id[5:9]}-{each.id[9:11]}-{each.id[11:]}") + DAY
        assert each.day == following.isoformat()


@pytest.mark.parametrize("anchor", ["dawn", "sunrise", "sunset", "dusk"])
@pytest.mark.parametrize(
    ("place", "day"),
    [
        (TROMSO, "2026-06-10"),
        (TROMSO, "2026-12-15"),
        (LONGYEARBYEN, "2026-06-10"),
        (LONGYEARBYEN, "2026-12-15"),
        (SOUTH_POLE, "2026-06-10"),
        (SOUTH_POLE, "2026-12-15"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.time_zone,
)
def test_polar_day_and_night_are_said_and_crash_nothing(place: Place, day: str, anchor: Any) -> None:
    now = at(place, day)
    schedule = replace(SCHEDULES["sunset"], anchor=anchor)
    plan = compile_plan([schedule, CLOCK], "roof/west", place, compile_sun(place, now), 1, now)
    found = [each for each in plan.windows if each.schedule == "sunset"]
    outlook = look(schedule, place, [None], now, usable=True)
    twilight = place == TROMSO and day == "2026-12-15" and anchor in ("dawn", "dusk")
    assert bool(found) is twilight
    assert outlook.stage == ("waiting" if twilight else "no_sun")
    assert (outlook.next_at is not None) is twilight
    assert len([each for each in plan.windows if each.schedule == "clock"]) >= 4


def test_the_sun_comes_back_to_the_north() -> None:
    found = windows(SCHEDULES["sunset"], TROMSO, at(TROMSO, "2026-11-20"), 70 * DAY)
    days = [date.fromisoformat(each.day) for each in found]
    gap = max(later - earlier for earlier, later in pairwise(days))
    assert timedelta(days=50) < gap < timedelta(days=65)


def test_on_the_equator_days_are_alike_and_the_season_is_the_northern_one() -> None:
    lengths = []
    for day in YEAR:
        rises, sets = sun_event("sunrise", QUITO, day), sun_event("sunset", QUITO, day)
        assert rises is not None
        assert sets is not None
        lengths.append(sets - rises)
    assert max(lengths) - min(lengths) < timedelta(minutes=5)
    assert season_of(date(2026, 7, 1), 0.0) == "summer"


def test_south_of_the_equator_december_has_the_long_days() -> None:
    def length(day: date) -> timedelta:
        rises, sets = sun_event("sunrise", AUCKLAND, day), sun_event("sunset", AUCKLAND, day)
        assert rises is not None
        assert sets is not None
        return sets - rises

    assert length(date(2026, 12, 21)) > length(date(2026, 6, 21)) + timedelta(hours=4)
    assert season_of(date(2026, 12, 21), AUCKLAND.latitude) == "summer"


def test_an_evening_in_denver_is_not_lost_to_midnight_in_greenwich() -> None:
    """Its sunset crosses midnight UTC in spring and autumn."""
    found = windows(SCHEDULES["sunset"], DENVER, at(DENVER, "2026-01-01", "12:00"), 365 * DAY)
    assert [each.day for each in found] == [day.isoformat() for day in YEAR]


# ---------------------------------------------------------------- clocks that change


def test_in_spring_a_window_in_the_hour_that_is_skipped_begins_after_it() -> None:
    def on_the_day(at_time: str, minutes: float) -> list[tuple[str, str]]:
        schedule = replace(CLOCK, at=at_time, duration_min=minutes)
        start = at(VIENNA, "2026-03-29")
        return spans(windows(schedule, VIENNA, start, timedelta(hours=20)), VIENNA)

    assert on_the_day("01:30:00", 60) == [("2026-03-29 01:30", "2026-03-29 03:00")]
    assert on_the_day("02:30:00", 60) == [("2026-03-29 03:00", "2026-03-29 03:30")]
    assert on_the_day("02:00:00", 60) == [("2026-03-29 03:00", "2026-03-29 04:00")]
    assert on_the_day("02:15:00", 30) == [("2026-03-29 03:00", "2026-03-29 03:30")]
    assert on_the_day("03:00:00", 60) == [("2026-03-29 03:00", "2026-03-29 04:00")]


def test_in_autumn_the_first_of_two_equal_hours_counts() -> None:
    def length(at_time: str, minutes: float) -> timedelta:
        schedule = replace(CLOCK, at=at_time, duration_min=minutes)
        (window,) = windows(schedule, VIENNA, at(VIENNA, "2026-10-25"), timedelta(hours=20))
        return window.ends_at - window.starts_at

    assert length("01:00:00", 60) == timedelta(hours=1)
    assert length("02:15:00", 30) == timedelta(minutes=30)
    assert length("02:30:00", 60) == timedelta(hours=2)
    assert length("00:00:00", 240) == timedelta(hours=5)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 2.5), ("2026-10-24", 3.0), ("2026-06-21", 3.0)])
def test_half_past_eleven_and_three_hours_more(day: str, hours: float) -> None:
    night = replace(CLOCK, at="23:30:00", duration_min=180)
    found = [
        each
        for each in windows(night, VIENNA, at(VIENNA, day, "12:00"), timedelta(hours=20))
        if each.day == day
    ]
    assert [each.ends_at - each.starts_at for each in found] == [timedelta(hours=hours)]
    after_midnight = found[0].ends_at - timedelta(minutes=1)
    assert windows(night, VIENNA, after_midnight, DAY)[0] == found[0]


def changes_of_clocks() -> Iterator[tuple[str, date]]:
    """Yield every zone of the database with each day of the year on which its clocks change."""
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        offsets = [datetime.combine(day, time(), zone).utcoffset() for day in (*YEAR, date(2027, 1, 1))]
        for day, (offset, following) in zip(YEAR, pairwise(offsets), strict=True):
            if offset != following:
                yield name, day


def test_no_zone_of_the_database_loses_or_doubles_a_window() -> None:
    changes = list(changes_of_clocks())
    assert len({name for name, _ in changes}) > 100
    hours = [replace(CLOCK, id=f"at-{hour}", at=f"{hour:02}:30:00", duration_min=60) for hour in range(24)]
    whole = replace(CLOCK, id="whole", duration_min=1440)
    for name, day in changes:
        place = replace(VIENNA, time_zone=name)
        start = datetime.combine(day - DAY, time(12), ZoneInfo(name)).astimezone(UTC)
        days = windows(whole, place, start, 3 * DAY)
        assert all(left.ends_at == right.starts_at for left, right in pairwise(days)), (name, day)
        for schedule in hours:
            found = windows(schedule, place, start, 3 * DAY)
            named = [date.fromisoformat(each.id[-8:]) for each in found]
            assert {day, day + DAY} <= set(named), (name, day, schedule.at)
            assert all(later - earlier == DAY for earlier, later in pairwise(named)), (name, day)
            for each in found:
                length = each.ends_at - each.starts_at
                most = timedelta(hours=3)  # at Troll in Antarctica, where clocks change by two hours
                assert timedelta(minutes=14) < length <= most, (name, day, schedule.at)


@given(
    zone=st.sampled_from(sorted(available_timezones())),
    minutes=st.integers(0, 1439),
    length=st.integers(1, 1440),
    now=st.datetimes(datetime(2020, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 the zone is given beside
)
def test_a_window_by_the_clock_shows_the_time_that_was_asked_for_or_the_one_after_a_gap(
    zone: str, minutes: int, length: int, now: datetime
) -> None:
    place = replace(VIENNA, time_zone=zone)
    asked = time(minutes // 60, minutes % 60)
    schedule = replace(CLOCK, at=asked.isoformat("seconds"), duration_min=length)
    found = windows(schedule, place, now, 3 * DAY)
    assert len({each.id for each in found}) == len(found) >= 2
    for each in found:
        shown = each.starts_at.astimezone(ZoneInfo(zone))
        before = (each.starts_at - timedelta(seconds=1)).astimezone(ZoneInfo(zone))
        skipped = shown.utcoffset() != before.utcoffset()
        assert skipped or shown.time() == asked


# ---------------------------------------------------------------- the calendar's own days


def test_the_leap_day_is_a_day_like_any_other() -> None:
    found = windows(SCHEDULES["sunset"], VIENNA, at(VIENNA, "2028-02-28", "00:00"), 3 * DAY)
    assert [each.id for each in found] == ["sunset-20280228", "sunset-20280229", "sunset-20280301"]
    assert season_of(date(2028, 2, 29), VIENNA.latitude) == "winter"
    midnight = next_midnight(at(VIENNA, "2028-02-29", "12:00"), VIENNA)
    assert local(midnight, VIENNA) == "2028-03-01 00:00"


def test_a_window_over_new_year_belongs_to_the_old_one() -> None:
    night = replace(CLOCK, at="23:30:00", duration_min=180)
    found = windows(night, AUCKLAND, at(AUCKLAND, "2026-12-31", "12:00"), timedelta(hours=20))
    assert [(each.id, each.day) for each in found] == [("clock-20261231", "2026-12-31")]
    assert spans(found, AUCKLAND) == [("2026-12-31 23:30", "2027-01-01 02:30")]


def test_an_offset_may_reach_into_the_day_before_and_the_day_after() -> None:
    early = replace(CLOCK, at="00:10:00", offset_min=-30)
    late = replace(CLOCK, at="23:50:00", offset_min=30)
    start = at(VIENNA, "2026-06-20", "12:00")
    assert [(each.id[-4:], each.day[-5:]) for each in windows(early, VIENNA, start, DAY)] == [
        ("0621", "06-20")
    ]
    assert [(each.id[-4:], each.day[-5:]) for each in windows(late, VIENNA, start, DAY)] == [
        ("0620", "06-21")
    ]


# ---------------------------------------------------------------- plans that follow each other


@pytest.mark.parametrize("place", [VIENNA, TROMSO, AUCKLAND, KIRITIMATI], ids=lambda place: place.time_zone)
@pytest.mark.parametrize("month", [3, 5, 10, 12])
def test_plans_renewed_every_six_hours_agree_and_reach_96_hours(place: Place, month: int) -> None:
    start = datetime(2026, month, 22, 1, tzinfo=UTC)
    schedules = [replace(each, enabled=True) for each in BUILT_IN_SCHEDULES]
    known: dict[str, Window] = {}
    for number in range(40):
        now = start + number * RENEW_EVERY
        plan = compile_plan(schedules, "roof/west", place, compile_sun(place, now), number, now)
        for window in plan.windows:
            assert known.setdefault(window.id, window) == window
        assert plan.sun is not None
        reach = plan.sun.starts_at + timedelta(seconds=plan.sun.step_s) * (len(plan.sun.elevation_deg) - 1)
        assert reach >= now + PLAN_SPAN
        daily = [each for each in plan.windows if each.schedule == "hourly"]
        assert daily[0].starts_at <= now
        assert daily[-1].ends_at >= now + PLAN_SPAN


def test_each_camera_gets_the_windows_of_its_own_schedules() -> None:
    now = at(VIENNA, "2026-06-21")
    east = replace(SCHEDULES["sunset"], cameras=("roof/east", "barn/cow"))
    plans = {
        camera: compile_plan([east, CLOCK], camera, VIENNA, compile_sun(VIENNA, now), 1, now)
        for camera in ("roof/east", "roof/west", "barn/cow")
    }
    assert {name: {each.schedule for each in plan.windows} for name, plan in plans.items()} == {
        "roof/east": {"sunset", "clock"},
        "roof/west": {"clock"},
        "barn/cow": {"sunset", "clock"},
    }


# ---------------------------------------------------------------- outlook


def test_a_schedule_says_what_it_is_at() -> None:
    schedule, noon_of_june = SCHEDULES["sunset"], at(VIENNA, "2026-06-21", "12:00")
    waiting = look(schedule, VIENNA, [None], noon_of_june, usable=True)
    assert waiting.next_at is not None
    assert (waiting.stage, waiting.changes_at) == ("waiting", waiting.next_at)
    running = look(schedule, VIENNA, [None], waiting.next_at, usable=True)
    assert running.next_at is not None
    assert running.ends_at == waiting.next_at + timedelta(hours=1) == running.changes_at
    assert running.next_at > waiting.next_at + timedelta(hours=23)
    assert look(schedule, VIENNA, [], noon_of_june, usable=True).stage == "idle"
    assert look(schedule, VIENNA, [None], noon_of_june, usable=False).stage == "unusable"
    off = replace(schedule, enabled=False)
    assert look(off, VIENNA, [None], noon_of_june, usable=True).changes_at is None


def test_the_outlook_of_a_bridge_in_simulated_time_is_told_in_real_time() -> None:
    now = at(VIENNA, "2026-06-21", "12:00")
    shown = at(VIENNA, "2027-12-21", "12:00")
    clock = Clock(start=shown, anchor=now, rate=60.0)
    outlook = look(SCHEDULES["sunset"], VIENNA, [clock], now, usable=True)
    assert outlook.next_at is not None
    assert timedelta(minutes=2) < outlook.next_at - now < timedelta(minutes=5)


def test_the_window_in_view_is_the_one_that_rules_or_the_next() -> None:
    found = {
        hour: window_in_view(BUILT_IN_SCHEDULES, VIENNA, at(VIENNA, "2026-06-21", hour))
        for hour in ("05:00", "12:00", "20:50", "23:00")
    }
    assert {hour: window.schedule for hour, (window, _) in found.items() if window is not None} == {
        "05:00": "sunrise",
        "12:00": "daytime",
        "20:50": "sunset",
        "23:00": "hourly",
    }
    assert {hour: local(changes, VIENNA)[-5:] for hour, (_, changes) in found.items() if changes} == {
        "05:00": "05:24",
        "12:00": "17:45",
        "20:50": "21:28",
        "23:00": "00:00",
    }
    assert window_in_view([], VIENNA, at(VIENNA, "2026-06-21")) == (None, None)
    only_sunset = [SCHEDULES["sunset"]]
    window, _ = window_in_view(only_sunset, VIENNA, at(VIENNA, "2026-06-21"))
    assert window is not None
    assert window.id == "sunset-20260621"


# ---------------------------------------------------------------- profiles in a circle


def test_a_circle_of_three_is_refused_and_a_broken_neighbour_is_no_reason() -> None:
    specs = {
        **{spec.id: spec for spec in BUILT_IN_PROFILES},
        "x": ProfileSpec(id="x", name="X", extends="y"),
        "y": ProfileSpec(id="y", name="Y", extends="z"),
        "z": ProfileSpec(id="z", name="Z", extends="x"),
    }
    with pytest.raises(ProfileError) as raised:
        resolve(specs, "x")
    assert raised.value.key == "profile_circle"
    check_change(specs, replace(specs["a"], ev=1.0))
    check_change(specs, replace(specs["z"], extends="f"))
    with pytest.raises(ProfileError):
        check_change(specs, replace(specs["a"], extends="x"))
