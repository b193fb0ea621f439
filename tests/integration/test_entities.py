"""What people see on their dashboards: states, and when there are none."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.update import UpdateEntityFeature
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN, EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import (
    Clock,
    Counts,
    Focus,
    JobState,
    ProcessorHealth,
    StoreState,
)
from tests.integration.dashboard import attributes, entries, shown, state
from tests.integration.speakers import FRAME, HEALTH, NOW, STATE, WEST, Bridge, Processor

ROOT = Path(__file__).parents[2]
HOME = ROOT / "custom_components" / "skylapse"

EXPECTED = {
    "binary_sensor.house_connectivity": "on",
    "binary_sensor.roof_clock_synchronised": "on",
    "binary_sensor.roof_connectivity": "on",
    "binary_sensor.roof_delivery": "off",
    "binary_sensor.roof_west_capturing": "on",
    "binary_sensor.roof_west_lens_obstructed": "off",
    "binary_sensor.roof_west_problem": "off",
    "binary_sensor.roof_west_settings_not_followed": "off",
    "button.roof_deliver_now": STATE_UNKNOWN,
    "button.roof_identify": STATE_UNKNOWN,
    "button.roof_restart": STATE_UNKNOWN,
    "button.roof_west_build_film_now": STATE_UNKNOWN,
    "button.roof_west_capture_now": STATE_UNKNOWN,
    "button.roof_west_find_focus": STATE_UNKNOWN,
    "camera.roof_west_preview": "recording",
    "image.roof_west_film": "2026-06-21T20:00:00+00:00",
    "number.roof_west_ev_compensation": "0.0",
    "select.roof_west_mode": "deployed",
    "select.roof_west_profile": "Mountain spot",
    "sensor.house_current_job": "running",
    "sensor.house_films": "1",
    "sensor.house_frames": "236",
    "sensor.house_job_progress": "40.0",
    "binary_sensor.roof_throttled": "off",
    "sensor.house_last_backup": STATE_UNKNOWN,
    "sensor.house_queue_depth": "1",
    "sensor.house_storage_free": "95.0",
    "sensor.house_storage_used": "5.0",
    "sensor.roof_buffer_left": "52.0",
    "sensor.roof_disk_free": "20.0",
    "sensor.roof_frames_dropped": "1",
    "sensor.roof_frames_pending": "3",
    "sensor.roof_spool_frames": "3",
    "sensor.roof_spool_size": "9.0",
    "sensor.roof_temperature": "48.5",
    "sensor.roof_west_deployment": "applied",
    "sensor.roof_west_flicker_of_latest_film": "1.2",
    "sensor.roof_west_frames_dropped": "1",
    "sensor.roof_west_frames_today": "236",
    "sensor.roof_west_illuminance": "812.5",
    "sensor.roof_west_last_film_made": "2026-06-21T20:00:00+00:00",
    "sensor.roof_west_model": "imx519",
    "sensor.roof_west_scene_brightness": "9.4",
    "sensor.roof_west_sunset_score": "73.0",
    "switch.roof_west_capture": "on",
    "update.roof_firmware": "off",
}
OFF_BY_DEFAULT = {
    "sensor.house_uptime": "2026-06-21T16:00:00+00:00",
    "sensor.roof_clock_offset": "12.0",
    "sensor.roof_load": "0.4",
    "sensor.roof_memory_used": "31.0",
    "sensor.roof_oldest_undelivered_frame": "2026-06-21T18:00:00+00:00",
    "sensor.roof_uptime": "2026-06-21T17:00:00+00:00",
    "sensor.roof_west_colour_temperature": "5500",
    "sensor.roof_west_exposure_time": "12.5",
    "sensor.roof_west_focus": STATE_UNKNOWN,
    "sensor.roof_west_frames_captured": "240",
    "sensor.roof_west_frames_delivered": "236",
    "sensor.roof_west_frames_pending": "3",
    "sensor.roof_west_frames_stored": "236",
    "sensor.roof_west_gain": "2.02",
    "sensor.roof_west_next_capture": "2026-06-21T18:00:15+00:00",
}


# ---------------------------------------------------------------- states


async def test_every_entity_shows_what_was_said(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    told = shown(hass, spoken)
    assert {entity: state for entity, state in told.items() if entity in EXPECTED} == EXPECTED
    by_the_hour = {"event.roof_west_events", "image.roof_west", "number.roof_west_interval"}
    assert told.keys() - EXPECTED.keys() == by_the_hour


async def test_raw_figures_are_there_for_those_who_want_them(
    hass: HomeAssistant,
    all_enabled: None,
    spoken: MockConfigEntry,
) -> None:
    assert {entity: state(hass, entity) for entity in OFF_BY_DEFAULT} == OFF_BY_DEFAULT


async def test_the_focus_is_shown_of_lenses_that_move(
    hass: HomeAssistant, all_enabled: None, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive(cameras=(replace(WEST, focus=False),))
    assert hass.states.get("sensor.roof_west_focus") is None
    await bridge.arrive(cameras=(WEST,))
    assert attributes(hass, "sensor.roof_west_focus")["infinity"] is None
    await bridge.say(topics.FRAME, replace(FRAME, focus_dioptre=0.5))
    await bridge.say(topics.STATE, replace(STATE, focus=Focus(infinity_dioptre=0.25, found_at=NOW)))
    assert state(hass, "sensor.roof_west_focus") == "0.5"
    told = attributes(hass, "sensor.roof_west_focus")
    assert (told["infinity"], told["found_at"], told["drifted"]) == (0.25, NOW, False)


async def test_entities_have_stable_ids_and_categories(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    known = entries(hass, spoken)
    assert {entry.entity_id for entry in known if entry.disabled_by} == set(OFF_BY_DEFAULT)
    ids = {entry.entity_id: entry.unique_id for entry in known}
    assert ids["image.roof_west"] == "roof/west_latest_frame"
    assert ids["sensor.roof_temperature"] == "roof_temperature"
    assert ids["sensor.house_films"] == "processor_films"
    diagnostic = {entry.entity_id for entry in known if entry.entity_category is EntityCategory.DIAGNOSTIC}
    assert {
        "sensor.roof_temperature",
        "sensor.roof_west_frames_pending",
        "binary_sensor.roof_west_problem",
    } <= (diagnostic)
    assert "sensor.roof_west_illuminance" not in diagnostic


async def test_an_empty_spool_is_no_megabytes_without_a_fraction(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    entry = er.async_get(hass).async_get("sensor.roof_spool_size")
    assert entry is not None
    assert entry.options["sensor"]["suggested_display_precision"] == 0


async def test_the_books_balance_on_the_dashboard(
    hass: HomeAssistant, all_enabled: None, spoken: MockConfigEntry
) -> None:
    captured, stored, pending, dropped = (
        int(state(hass, f"sensor.roof_west_frames_{name}"))
        for name in ("captured", "stored", "pending", "dropped")
    )
    assert captured == stored + pending + dropped


async def test_before_anything_is_said_everything_is_unknown_not_wrong(
    hass: HomeAssistant,
    all_enabled: None,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
) -> None:
    await bridge.arrive()
    await processor.arrive()
    known = {
        "binary_sensor.house_connectivity": "on",
        "binary_sensor.roof_connectivity": "on",
        "camera.roof_west_preview": "idle",
        "number.roof_west_ev_compensation": "0.0",
        "select.roof_west_profile": "Mountain spot",
        "sensor.roof_west_model": "imx519",
        "update.roof_firmware": "off",
    }
    told = shown(hass, loaded)
    assert {entity: told.pop(entity) for entity in known} == known
    del told["number.roof_west_interval"]  # the schedules', by the hour
    assert set(told.values()) == {STATE_UNKNOWN}


@pytest.mark.parametrize(
    ("now", "frames"),
    [("2026-06-21T21:59:00+00:00", "236"), ("2026-06-21T22:01:00+00:00", "0")],
    ids=["before midnight", "after midnight"],
)
async def test_frames_of_another_day_are_none_of_today(
    hass: HomeAssistant,
    spoken: MockConfigEntry,
    bridge: Bridge,
    freezer: FrozenDateTimeFactory,
    now: str,
    frames: str,
) -> None:
    freezer.move_to(now)
    await bridge.say(topics.STATE, replace(STATE, active_window=None))
    assert state(hass, "sensor.roof_west_frames_today") == frames
    told = attributes(hass, "sensor.roof_west_frames_today")
    assert (told["day"], told["film"]) == ("2026-06-21", None), "no film grows"
    await bridge.say(topics.STATE, STATE)
    assert state(hass, "sensor.roof_west_frames_today") == "236", "a night belongs to the day it began on"


async def test_frames_of_today_begin_at_none_with_the_first_window_of_the_day(
    hass: HomeAssistant,
    spoken: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    freezer: FrozenDateTimeFactory,
) -> None:
    def frames() -> str:
        return state(hass, "sensor.roof_west_frames_today")

    freezer.move_to("2026-06-21T22:30:00+00:00")
    await bridge.say(topics.STATE, replace(STATE, capturing=False))
    assert frames() == "236", "a camera that fails once photographs its night on"
    await bridge.say(topics.AVAILABILITY, "offline")
    assert frames() == "236", "a bridge that is away for a moment does, too"
    freezer.move_to("2026-06-22T03:00:00+00:00")
    await bridge.say(topics.AVAILABILITY, "online")
    await bridge.say(topics.STATE, replace(STATE, active_window="sunrise-20260622"))
    assert frames() == "0"
    first = StoreState(day="2026-06-22", frames_today=1)
    await processor.say(topics.STORE_STATE, first, bridge="roof", camera="west")
    assert frames() == "1"
    await processor.say(topics.STORE_STATE, StoreState(), bridge="roof", camera="west")
    assert frames() == "0", "nothing is stored of any day"


async def test_a_bridge_that_goes_takes_its_entities_with_it_and_brings_them_back(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    caplog.clear()
    await bridge.say(topics.AVAILABILITY, "offline")
    assert state(hass, "sensor.roof_west_illuminance") == STATE_UNAVAILABLE
    assert state(hass, "sensor.roof_temperature") == STATE_UNAVAILABLE
    assert state(hass, "binary_sensor.roof_connectivity") == "off"
    assert state(hass, "select.roof_west_mode") == STATE_UNAVAILABLE
    assert state(hass, "camera.roof_west_preview") == STATE_UNAVAILABLE
    assert state(hass, "image.roof_west_film") != STATE_UNAVAILABLE
    assert state(hass, "sensor.roof_west_frames_today") == "0"
    assert state(hass, "select.roof_west_profile") == "Mountain spot"
    assert state(hass, "sensor.house_films") == "1"
    await bridge.say(topics.AVAILABILITY, "offline")
    await bridge.say(topics.AVAILABILITY, "online")
    assert state(hass, "sensor.roof_west_illuminance") == "812.5"
    assert caplog.text.count("roof is unavailable") == caplog.text.count("roof is back") == 1


async def test_what_the_processor_knows_of_a_camera_goes_and_comes_with_it(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor
) -> None:
    known = {
        "binary_sensor.roof_west_lens_obstructed": "off",
        "button.roof_west_build_film_now": STATE_UNKNOWN,
        "image.roof_west_film": "2026-06-21T20:00:00+00:00",
        "sensor.roof_west_sunset_score": "73.0",
    }
    await processor.say(topics.PROCESSOR_AVAILABILITY, "offline")
    assert {state(hass, entity) for entity in known} == {STATE_UNAVAILABLE}
    assert state(hass, "sensor.roof_west_illuminance") == "812.5"
    await processor.say(topics.PROCESSOR_AVAILABILITY, "online")
    assert {entity: state(hass, entity) for entity in known} == known


async def test_without_the_broker_nothing_is_available(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    spoken.runtime_data.coordinator._connection_changed(False)
    await hass.async_block_till_done()
    assert set(shown(hass, spoken).values()) == {STATE_UNAVAILABLE}
    spoken.runtime_data.coordinator._connection_changed(True)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state(hass, "sensor.roof_west_illuminance") == "812.5"


async def test_what_is_wrong_is_said_with_its_reason(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    failing = replace(STATE, capturing=False, last_error="the camera hangs", settings_problem="gain 1, not 2")
    await bridge.say(topics.STATE, failing)
    await bridge.say(topics.HEALTH, replace(HEALTH, uplink_problem="the processor does not know the key"))
    problem, delivery = (
        hass.states.get(f"binary_sensor.{name}") for name in ("roof_west_problem", "roof_delivery")
    )
    assert problem is not None
    assert delivery is not None
    assert (problem.state, problem.attributes["reason"]) == ("on", "the camera hangs")
    assert (delivery.state, delivery.attributes["reason"]) == ("on", "the processor does not know the key")
    assert attributes(hass, "binary_sensor.roof_west_settings_not_followed")["reason"] == "gain 1, not 2"
    assert state(hass, "binary_sensor.roof_west_capturing") == "off"
    assert state(hass, "camera.roof_west_preview") == "idle"


async def test_why_a_camera_that_is_well_takes_no_picture_is_said(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    assert attributes(hass, "binary_sensor.roof_west_capturing")["reason"] is None
    await bridge.say(topics.STATE, replace(STATE, capturing=False, no_picture="reel has no more pictures"))
    capturing = "binary_sensor.roof_west_capturing"
    assert (state(hass, capturing), attributes(hass, capturing)["reason"]) == (
        "off",
        "reel has no more pictures",
    )
    assert state(hass, "binary_sensor.roof_west_problem") == "off"


async def test_times_of_a_simulated_bridge_are_shown_in_real_time(
    hass: HomeAssistant, all_enabled: None, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    anchor = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    await bridge.arrive(clock=Clock(start=NOW, anchor=anchor, rate=60.0))
    await bridge.say(topics.STATE, replace(STATE, next_capture_at=NOW + timedelta(minutes=30)))
    assert state(hass, "sensor.roof_west_next_capture") == "2026-11-21T09:00:30+00:00"


async def test_counts_follow_the_bridge(
    hass: HomeAssistant, all_enabled: None, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.say(topics.STATE, replace(STATE, counts=Counts(captured=241, delivered=241)))
    assert state(hass, "sensor.roof_west_frames_captured") == "241"
    assert state(hass, "sensor.roof_west_frames_pending") == "0"


@pytest.mark.parametrize(
    ("health", "shown"),
    [
        ({"throttled": None}, (STATE_UNKNOWN, None)),
        ({"throttling": ("under_voltage", "throttled_before")}, ("on", "under_voltage")),
        ({"throttling": ("throttled_before",)}, ("off", None)),
        ({"throttled": True}, ("on", None)),
    ],
)
async def test_a_machine_that_is_slowed_down_says_by_what(
    hass: HomeAssistant,
    spoken: MockConfigEntry,
    bridge: Bridge,
    health: dict[str, Any],
    shown: tuple[str, str | None],
) -> None:
    await bridge.say(topics.HEALTH, replace(HEALTH, **health))
    throttled = hass.states.get("binary_sensor.roof_throttled")
    assert throttled is not None
    assert (throttled.state, throttled.attributes["reason"]) == shown


# ---------------------------------------------------------------- lens, sunset, job, bridge


@pytest.mark.parametrize(
    ("store", "obstructed", "reason"),
    [
        ({}, STATE_UNKNOWN, None),
        ({"lens": "clear"}, "off", None),
        ({"lens": "obstructed", "lens_faults": ("droplets", "dirt")}, "on", "droplets"),
    ],
)
async def test_a_lens_that_sees_badly_says_by_what(
    hass: HomeAssistant,
    spoken: MockConfigEntry,
    processor: Processor,
    store: dict[str, Any],
    obstructed: str,
    reason: str | None,
) -> None:
    await processor.say(topics.STORE_STATE, StoreState(**store), bridge="roof", camera="west")
    entity = "binary_sensor.roof_west_lens_obstructed"
    assert (state(hass, entity), attributes(hass, entity)["reason"]) == (obstructed, reason)
    assert attributes(hass, entity)["faults"] == list(store.get("lens_faults", ()))
    assert state(hass, "sensor.roof_west_sunset_score") == STATE_UNKNOWN


async def test_the_job_that_runs_is_shown_with_its_step(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor
) -> None:
    entity, progress = "sensor.house_current_job", "sensor.house_job_progress"
    job = JobState(id="job-1", state="running", camera="roof/west", step="render", percent=55.0, left_s=12.5)
    await processor.job(job)
    await hass.async_block_till_done()
    assert (state(hass, entity), state(hass, progress)) == ("render", "55.0")
    assert attributes(hass, entity)["camera"] == "roof/west"
    assert attributes(hass, entity)["seconds_left"] == 12.5
    await processor.job(replace(job, step="something new"))
    await hass.async_block_till_done()
    assert state(hass, entity) == "running"
    await processor.job(replace(job, state="done"))
    await processor.say(topics.PROCESSOR_HEALTH, ProcessorHealth(at=NOW, uptime_s=7260.0))
    assert (state(hass, entity), state(hass, progress)) == ("idle", STATE_UNKNOWN)
    assert "camera" not in attributes(hass, entity)


async def test_an_uptime_beyond_all_calendars_is_not_known(
    hass: HomeAssistant, all_enabled: None, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await bridge.say(topics.HEALTH, replace(HEALTH, uptime_s=1e300))
    await processor.say(topics.PROCESSOR_HEALTH, ProcessorHealth(at=NOW, uptime_s=1e11))
    assert [state(hass, f"sensor.{each}_uptime") for each in ("roof", "house")] == [STATE_UNKNOWN] * 2


async def test_a_bridge_counts_the_frames_of_all_its_cameras(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive(cameras=(WEST, replace(WEST, id="east", name="East")))
    await bridge.say(topics.HEALTH, HEALTH)
    assert state(hass, "sensor.roof_frames_dropped") == STATE_UNKNOWN
    east = replace(STATE, counts=Counts(captured=10, delivered=4, pending=4, dropped=2))
    await bridge.say(topics.STATE, east, camera="east")
    await bridge.say(topics.HEALTH, HEALTH)
    assert state(hass, "sensor.roof_frames_dropped") == "3"
    assert state(hass, "sensor.roof_frames_pending") == "7"


async def test_a_bridge_with_older_software_says_what_to_type(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge, hass_ws_client: WebSocketGenerator
) -> None:
    entity = "update.roof_firmware"
    assert state(hass, entity) == "off"
    await bridge.arrive(software="0.0.9")
    told = attributes(hass, entity)
    version = json.loads((HOME / "manifest.json").read_text(encoding="utf-8"))["version"]
    assert (state(hass, entity), told["installed_version"], told["latest_version"]) == (
        "on",
        "0.0.9",
        version,
    )
    assert not told["supported_features"] & UpdateEntityFeature.INSTALL
    client = await hass_ws_client(hass)
    await client.send_json_auto_id({"type": "update/release_notes", "entity_id": entity})
    notes = (await client.receive_json())["result"]
    commands = notes.partition("```console\n")[2].partition("```")[0]
    assert "A bridge does not update itself" in notes
    assert commands in (ROOT / "docs" / "bridge.md").read_text(encoding="utf-8")
    await bridge.arrive(software="99.0.0")
    assert state(hass, entity) == "off"


async def test_of_a_model_without_end_as_much_is_shown_as_a_state_holds(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    await bridge.arrive(cameras=(replace(WEST, model="imx519 " * 100),))
    assert state(hass, "sensor.roof_west_model") == ("imx519 " * 100)[:255]
    assert "is longer than" not in caplog.text


async def test_what_a_driver_finds_out_later_is_added_once(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive(cameras=(replace(WEST, focus=False),))
    assert hass.states.get("button.roof_west_find_focus") is None
    await bridge.arrive(cameras=(WEST,))
    assert state(hass, "button.roof_west_find_focus") == STATE_UNKNOWN
    before = len(entries(hass, loaded))
    await bridge.arrive(cameras=(WEST,), boot_id="boot-2")
    assert len(entries(hass, loaded)) == before
    await bridge.say(topics.ANNOUNCE, None)
    assert entries(hass, loaded) == []
    await bridge.arrive()
    assert len(entries(hass, loaded)) == before


@pytest.mark.parametrize("language", ["en", "de"])
def test_what_is_wrong_with_a_lens_has_one_name(language: str) -> None:
    words = json.loads((HOME / "translations" / f"{language}.json").read_text("utf-8"))
    sensor = words["entity"]["binary_sensor"]["lens_obstructed"]["state_attributes"]["reason"]["state"]
    assert words["selector"]["lens_fault"]["options"] == sensor
