"""The calendar: windows past and to come, with cameras and what they captured."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, State
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.skylapse.brain.almanac import LONGEST_SPAN, occasions
from custom_components.skylapse.brain.plan import Place
from custom_components.skylapse.brain.schedules import BUILT_IN_SCHEDULES
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import EndedWindow
from tests.integration.speakers import STATE, WEST, Bridge

NOON = datetime(2026, 6, 21, 10, 0, tzinfo=UTC)
CALENDAR = "calendar.timelapse_windows"
INNSBRUCK = Place(latitude=47.27, longitude=11.40, elevation_m=600.0, time_zone="Europe/Vienna")
SUNSET = next(each for each in BUILT_IN_SCHEDULES if each.id == "sunset")
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _noon(freezer: FrozenDateTimeFactory) -> None:
    """Let it be the longest day, before its sunset."""
    freezer.move_to(NOON)


def subentry(entry: MockConfigEntry, unique_id: str) -> ConfigSubentry:
    found: ConfigSubentry = next(each for each in entry.subentries.values() if each.unique_id == unique_id)
    return found


def shown(hass: HomeAssistant) -> State:
    state = hass.states.get(CALENDAR)
    assert state is not None, sorted(hass.states.async_entity_ids())
    return state


async def events(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, start: datetime, end: datetime
) -> list[dict[str, Any]]:
    """Ask as the calendar's page does."""
    client = await hass_client()
    address = f"/api/calendars/{CALENDAR}"
    response = await client.get(address, params={"start": start.isoformat(), "end": end.isoformat()})
    assert response.status == 200, await response.text()
    answer: list[dict[str, Any]] = await response.json()
    return answer


def ended(window: str, schedule: str, ended_at: datetime, captured: int = 240) -> EndedWindow:
    day = f"{window[-8:-4]}-{window[-4:-2]}-{window[-2:]}"
    return EndedWindow(
        window=window, schedule=schedule, day=day, profiles=("f",), ended_at=ended_at, captured=captured
    )


# ---------------------------------------------------------------- to come


async def test_a_month_to_come_has_every_window_with_its_cameras(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, hass_client: ClientSessionGenerator
) -> None:
    await bridge.arrive(cameras=(WEST, replace(WEST, id="east", name="East")))
    sunset = subentry(loaded, "sunset")
    hass.config_entries.async_update_subentry(loaded, sunset, data={**sunset.data, "cameras": ["roof/west"]})
    await hass.async_block_till_done(wait_background_tasks=True)
    start = datetime(2026, 7, 1, tzinfo=UTC) - timedelta(hours=2)
    found = await events(hass, hass_client, start, start + 31 * DAY)
    by_name: dict[str, list[dict[str, Any]]] = {}
    for event in found:
        by_name.setdefault(event["summary"], []).append(event)
    assert {name: len(each) for name, each in by_name.items()} == {
        "Sunrise": 31,
        "Sunset": 31,
        "Daytime": 31,
        "Hourly": 31,
    }
    assert {event["location"] for event in by_name["Sunset"]} == {"West"}
    assert {event["location"] for event in by_name["Sunrise"]} == {"East, West"}
    assert by_name["Sunset"][0]["description"] == "West\nevery 15 s"
    first = datetime.fromisoformat(by_name["Sunset"][0]["start"]["dateTime"])
    assert (first.date().isoformat(), first.hour) == ("2026-07-01", 20)
    assert by_name["Sunset"][0]["uid"] == "sunset-20260701"


async def test_the_calendar_shows_the_window_that_rules_and_then_the_next(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, freezer: FrozenDateTimeFactory
) -> None:
    await bridge.arrive()
    assert (shown(hass).state, shown(hass).attributes["message"]) == ("on", "Daytime")
    freezer.move_to(datetime(2026, 6, 21, 18, 50, tzinfo=UTC))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert (shown(hass).state, shown(hass).attributes["message"]) == ("on", "Sunset")
    assert shown(hass).attributes["location"] == "West"
    for each in ("sunrise", "daytime", "hourly"):
        changes = {**subentry(loaded, each).data, "enabled": False}
        hass.config_entries.async_update_subentry(loaded, subentry(loaded, each), data=changes)
    freezer.move_to(datetime(2026, 6, 21, 20, 30, tzinfo=UTC))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert (shown(hass).state, shown(hass).attributes["message"]) == ("off", "Sunset")
    assert shown(hass).attributes["start_time"].startswith("2026-06-22")
    changes = {**subentry(loaded, "sunset").data, "enabled": False}
    hass.config_entries.async_update_subentry(loaded, subentry(loaded, "sunset"), data=changes)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert shown(hass).state == "off"
    assert "message" not in shown(hass).attributes


# ---------------------------------------------------------------- past


async def test_what_cameras_captured_is_told_and_what_was_before_the_entry_is_not_reckoned(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, hass_client: ClientSessionGenerator
) -> None:
    windows = (
        ended("sunset-20260619", "sunset", datetime(2026, 6, 19, 19, 48, tzinfo=UTC)),
        ended("fireworks-20260620", "fireworks", datetime(2026, 6, 20, 20, 30, tzinfo=UTC), 90),
    )
    await bridge.arrive()
    await bridge.say(topics.STATE, replace(STATE, ended_windows=windows))
    found = await events(hass, hass_client, NOON - 30 * DAY, NOON - timedelta(hours=13))
    assert [(event["summary"], event["description"]) for event in found] == [
        ("Sunset", "West: 240 frames\nevery 15 s"),
        ("fireworks", "West: 90 frames"),
    ]
    assert found[1]["start"] == found[1]["end"]
    lasted = datetime.fromisoformat(found[0]["end"]["dateTime"]) - datetime.fromisoformat(
        found[0]["start"]["dateTime"]
    )
    assert timedelta(minutes=50) < lasted <= timedelta(minutes=60)


async def test_what_ended_since_the_day_of_the_entry_is_reckoned_and_told_by_the_action(
    hass: HomeAssistant, loaded: MockConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    object.__setattr__(loaded, "created_at", NOON)
    freezer.move_to(NOON + 3 * DAY)
    span = {"start_date_time": (NOON - DAY).isoformat(), "end_date_time": (NOON + DAY).isoformat()}
    answer: Any = await hass.services.async_call(
        "calendar",
        "get_events",
        {"entity_id": CALENDAR, **span},
        blocking=True,
        return_response=True,
    )
    found = [event["summary"] for event in answer[CALENDAR]["events"]]
    of_its_first_day = [
        "Hourly",
        "Sunrise",
        "Daytime",
        "Sunset",
    ]  # sunrise was over before there was an entry
    assert found == [*of_its_first_day, "Hourly", "Sunrise", "Daytime"]


async def test_in_the_hour_that_autumn_repeats_no_window_breaks_the_calendar(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    """From 02:45 to 02:15 may be half an hour: then clocks show an end before the start."""
    changes = {**subentry(loaded, "sunset").data, "offset_min": 522, "duration_min": 30}
    hass.config_entries.async_update_subentry(loaded, subentry(loaded, "sunset"), data=changes)
    await hass.async_block_till_done(wait_background_tasks=True)
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)
    found = await events(hass, hass_client, start, start + timedelta(hours=5))
    night = next(event for event in found if event["summary"] == "Sunset")
    begins, ends = (datetime.fromisoformat(night[each]["dateTime"]) for each in ("start", "end"))
    assert begins.isoformat().startswith("2026-10-25T02:5")
    assert begins.utcoffset() == timedelta(hours=2)
    assert ends.utcoffset() == timedelta(hours=1)


# ---------------------------------------------------------------- the almanac itself


def test_a_window_that_was_cut_short_ends_when_its_camera_stopped() -> None:
    stopped = datetime(2026, 6, 21, 19, 0, tzinfo=UTC)
    cameras = {
        "roof/west": (ended("sunset-20260621", "sunset", stopped, 100),),
        "roof/east": (ended("sunset-20260621", "sunset", stopped - timedelta(minutes=5), 80),),
        "barn/cow": (),
    }
    (found,) = occasions([SUNSET], cameras, INNSBRUCK, NOON, NOON + timedelta(hours=20), NOON)
    assert found.ends_at == stopped
    assert found.cameras == ("roof/east", "roof/west")
    assert found.captured == {"roof/east": 80, "roof/west": 100}


def test_a_schedule_that_is_off_now_keeps_what_it_did() -> None:
    off = replace(SUNSET, enabled=False)
    cameras = {"roof/west": (ended("sunset-20260621", "sunset", NOON + timedelta(hours=10)),)}
    found = occasions([off], cameras, INNSBRUCK, NOON, NOON + 3 * DAY, NOON)
    assert [each.window for each in found] == ["sunset-20260621"]
    assert found[0].ends_at - found[0].starts_at == timedelta(hours=1)


def test_centuries_are_cut_to_what_a_page_shows() -> None:
    start = datetime(1, 1, 1, tzinfo=UTC)
    found = occasions([SUNSET], {}, INNSBRUCK, start, datetime(9999, 12, 31, tzinfo=UTC), start)
    assert abs(len(found) - LONGEST_SPAN.days) <= 2
    assert (
        occasions(
            [SUNSET], {}, INNSBRUCK, datetime(9000, 1, 1, tzinfo=UTC), datetime(9001, 1, 1, tzinfo=UTC), start
        )
        == []
    )
