"""What people see on their dashboards: states, availability, pictures, events, switches and buttons."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from homeassistant.components.image import async_get_image
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN, EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import (
    Clock,
    CommandError,
    Counts,
    JobState,
    Reply,
    StoreState,
)
from tests.integration.brokerage import sent
from tests.integration.speakers import (
    FILM,
    FRAME,
    HEALTH,
    JPEG,
    NOW,
    STATE,
    Bridge,
    Processor,
)
from tests.integration.theatre import PICTURE, POSTER, FakeProcessor

EXPECTED = {
    "binary_sensor.house_connectivity": "on",
    "binary_sensor.roof_connectivity": "on",
    "binary_sensor.roof_delivery": "off",
    "binary_sensor.roof_west_capturing": "on",
    "binary_sensor.roof_west_problem": "off",
    "button.roof_west_build_film_now": STATE_UNKNOWN,
    "button.roof_west_capture_now": STATE_UNKNOWN,
    "image.roof_west_film": "2026-06-21T20:00:00+00:00",
    "sensor.house_films": "1",
    "sensor.house_frames": "236",
    "sensor.house_job_progress": "40.0",
    "binary_sensor.roof_throttled": "off",
    "sensor.house_queue_depth": "1",
    "sensor.house_storage_free": "95.0",
    "sensor.house_storage_used": "5.0",
    "sensor.roof_buffer_left": "52.0",
    "sensor.roof_disk_free": "20.0",
    "sensor.roof_spool_frames": "3",
    "sensor.roof_spool_size": "9.0",
    "sensor.roof_temperature": "48.5",
    "sensor.roof_west_deployment": "applied",
    "sensor.roof_west_flicker_of_latest_film": "1.2",
    "sensor.roof_west_frames_captured": "240",
    "sensor.roof_west_frames_delivered": "236",
    "sensor.roof_west_frames_dropped": "1",
    "sensor.roof_west_frames_pending": "3",
    "sensor.roof_west_frames_stored": "236",
    "sensor.roof_west_frames_today": "236",
    "sensor.roof_west_illuminance": "812.5",
    "sensor.roof_west_last_film_made": "2026-06-21T20:00:00+00:00",
    "sensor.roof_west_model": "imx519",
    "sensor.roof_west_scene_brightness": "9.4",
    "switch.roof_west_capture": "on",
}
OFF_BY_DEFAULT = {
    "binary_sensor.roof_clock_synchronised": "on",
    "sensor.house_last_backup": STATE_UNKNOWN,
    "sensor.house_uptime": "2026-06-21T16:00:00+00:00",
    "sensor.roof_clock_offset": "12.0",
    "sensor.roof_load": "0.4",
    "sensor.roof_memory_used": "31.0",
    "sensor.roof_oldest_undelivered_frame": "2026-06-21T18:00:00+00:00",
    "sensor.roof_uptime": "2026-06-21T17:00:00+00:00",
    "sensor.roof_west_colour_temperature": "5500",
    "sensor.roof_west_exposure_time": "12.5",
    "sensor.roof_west_gain": "2.02",
    "sensor.roof_west_next_capture": "2026-06-21T18:00:15+00:00",
}


def state(hass: HomeAssistant, entity: str) -> str:
    found = hass.states.get(entity)
    assert found is not None, entity
    return found.state


@pytest.fixture
async def spoken(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> MockConfigEntry:
    """The entry when bridge and processor have said everything."""
    await bridge.tell_all()
    await processor.tell_all()
    return loaded


# ---------------------------------------------------------------- states


async def test_every_entity_shows_what_was_said(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    shown = {entity: state(hass, entity) for entity in EXPECTED}
    assert shown == EXPECTED
    others = set(hass.states.async_entity_ids()) - set(EXPECTED)
    assert others == {"event.roof_west_events", "image.roof_west"}


async def test_raw_figures_are_there_for_those_who_want_them(
    hass: HomeAssistant,
    all_enabled: None,
    spoken: MockConfigEntry,
) -> None:
    assert {entity: state(hass, entity) for entity in OFF_BY_DEFAULT} == OFF_BY_DEFAULT


async def test_entities_have_stable_ids_and_categories(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    registry = er.async_get(hass)
    entries = er.async_entries_for_config_entry(registry, spoken.entry_id)
    assert {entry.entity_id for entry in entries if entry.disabled_by} == set(OFF_BY_DEFAULT)
    ids = {entry.entity_id: entry.unique_id for entry in entries}
    assert ids["image.roof_west"] == "roof/west_latest_frame"
    assert ids["sensor.roof_temperature"] == "roof_temperature"
    assert ids["sensor.house_films"] == "processor_films"
    diagnostic = {entry.entity_id for entry in entries if entry.entity_category is EntityCategory.DIAGNOSTIC}
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


async def test_the_books_balance_on_the_dashboard(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
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
        "binary_sensor.roof_connectivity": "on",
        "binary_sensor.house_connectivity": "on",
        "sensor.roof_west_model": "imx519",
    }
    shown = {each.entity_id: each.state for each in hass.states.async_all() if each.entity_id not in known}
    assert set(shown.values()) == {STATE_UNKNOWN}


async def test_a_bridge_that_goes_takes_its_entities_with_it_and_brings_them_back(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    caplog.clear()
    await bridge.say(topics.AVAILABILITY, "offline")
    assert state(hass, "sensor.roof_west_illuminance") == STATE_UNAVAILABLE
    assert state(hass, "sensor.roof_temperature") == STATE_UNAVAILABLE
    assert state(hass, "binary_sensor.roof_connectivity") == "off"
    assert state(hass, "image.roof_west_film") != STATE_UNAVAILABLE
    assert state(hass, "sensor.house_films") == "1"
    await bridge.say(topics.AVAILABILITY, "offline")
    await bridge.say(topics.AVAILABILITY, "online")
    assert state(hass, "sensor.roof_west_illuminance") == "812.5"
    assert caplog.text.count("roof is unavailable") == caplog.text.count("roof is back") == 1


async def test_without_the_broker_nothing_is_available(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    spoken.runtime_data.coordinator._connection_changed(False)
    await hass.async_block_till_done()
    assert {each.state for each in hass.states.async_all()} == {STATE_UNAVAILABLE}
    spoken.runtime_data.coordinator._connection_changed(True)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state(hass, "sensor.roof_west_illuminance") == "812.5"


async def test_what_is_wrong_is_said_with_its_reason(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.say(topics.STATE, replace(STATE, capturing=False, last_error="the camera hangs"))
    await bridge.say(topics.HEALTH, replace(HEALTH, uplink_problem="the processor does not know the key"))
    problem, delivery = (
        hass.states.get(f"binary_sensor.{name}") for name in ("roof_west_problem", "roof_delivery")
    )
    assert problem is not None
    assert delivery is not None
    assert (problem.state, problem.attributes["reason"]) == ("on", "the camera hangs")
    assert (delivery.state, delivery.attributes["reason"]) == ("on", "the processor does not know the key")
    assert state(hass, "binary_sensor.roof_west_capturing") == "off"


async def test_times_of_a_simulated_bridge_are_shown_in_real_time(
    hass: HomeAssistant, all_enabled: None, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    anchor = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    await bridge.arrive(clock=Clock(start=NOW, anchor=anchor, rate=60.0))
    await bridge.say(topics.STATE, replace(STATE, next_capture_at=NOW + timedelta(minutes=30)))
    assert state(hass, "sensor.roof_west_next_capture") == "2026-11-21T09:00:30+00:00"


async def test_counts_follow_the_bridge(hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge) -> None:
    await bridge.say(topics.STATE, replace(STATE, counts=Counts(captured=241, delivered=241)))
    assert state(hass, "sensor.roof_west_frames_captured") == "241"
    assert state(hass, "sensor.roof_west_frames_pending") == "0"


# ---------------------------------------------------------------- pictures


async def test_the_latest_frame_is_the_bridges_preview(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    image = await async_get_image(hass, "image.roof_west")
    assert (image.content_type, image.content) == ("image/jpeg", JPEG)
    before = state(hass, "image.roof_west")
    await bridge.say(topics.STATE, STATE)
    assert state(hass, "image.roof_west") == before
    await bridge.say(topics.PREVIEW, JPEG + b"2")
    assert state(hass, "image.roof_west") > before


async def test_after_a_restart_the_latest_frame_comes_from_the_store(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await bridge.arrive()
    with pytest.raises(HomeAssistantError):
        await async_get_image(hass, "image.roof_west")
    await processor.tell_all()
    assert state(hass, "image.roof_west") == NOW.isoformat()
    assert (await async_get_image(hass, "image.roof_west")).content == PICTURE
    await processor.say(topics.STORE_STATE, StoreState(last_frame="no frame"), bridge="roof", camera="west")
    assert state(hass, "image.roof_west") == STATE_UNKNOWN


async def test_the_latest_film_is_shown_by_its_poster(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor, processor_server: FakeProcessor
) -> None:
    assert (await async_get_image(hass, "image.roof_west_film")).content == POSTER
    newer = replace(FILM, id="00000000000000f2", created_at=FILM.created_at + timedelta(days=1))
    await processor.film(newer)
    assert state(hass, "image.roof_west_film") == "2026-06-22T20:00:00+00:00"
    await processor.film(replace(newer, change="removed"))
    assert state(hass, "image.roof_west_film") == "2026-06-21T20:00:00+00:00"
    processor_server.broken = 500
    with pytest.raises(HomeAssistantError, match="answered 500"):
        await async_get_image(hass, "image.roof_west_film")


async def test_an_address_of_a_picture_is_given_only_where_there_is_one(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    def addresses() -> dict[str, bool]:
        return {
            each.entity_id: "entity_picture" in each.attributes for each in hass.states.async_all("image")
        }

    await bridge.arrive()
    await processor.arrive()
    assert addresses() == {"image.roof_west": False, "image.roof_west_film": False}
    await bridge.say(topics.PREVIEW, JPEG)
    assert addresses() == {"image.roof_west": True, "image.roof_west_film": False}
    await processor.film(FILM)
    assert addresses() == {"image.roof_west": True, "image.roof_west_film": True}
    await processor.film(replace(FILM, change="removed"))
    assert addresses() == {"image.roof_west": True, "image.roof_west_film": False}


@pytest.mark.parametrize("entry_data", [{"root": "skylapse"}])
async def test_without_a_processors_key_there_is_no_poster(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    with pytest.raises(HomeAssistantError):
        await async_get_image(hass, "image.roof_west_film")
    assert state(hass, "sensor.roof_west_last_film_made") == "2026-06-21T20:00:00+00:00"


async def test_the_last_film_says_how_to_play_it(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    found = hass.states.get("sensor.roof_west_last_film_made")
    assert found is not None
    assert found.attributes["media_content_id"] == f"media-source://skylapse/film/{FILM.id}"
    assert found.attributes["frames"] == 240


# ---------------------------------------------------------------- events


async def test_what_happens_is_an_event(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    entity = "event.roof_west_events"

    def told() -> tuple[str, dict[str, Any]]:
        found = hass.states.get(entity)
        assert found is not None
        return found.attributes["event_type"], dict(found.attributes)

    await bridge.say(topics.FRAME, replace(FRAME, seq=241, schedule=None, window=None))
    kind, facts = told()
    assert kind == "capture_completed"
    assert facts["frame"].endswith("-241")
    await bridge.happen("window_started", window="sunset-20260621", schedule="sunset")
    kind, facts = told()
    assert (kind, facts["schedule"]) == ("window_started", "sunset")
    assert "reason" not in facts
    await bridge.happen("capture_failed", reason="hang")
    assert told()[1]["reason"] == "hang"
    await bridge.happen("tick_skipped")
    assert told()[0] == "capture_failed"
    await processor.job(JobState(id="j1", state="failed", camera="roof/west", error="disk full"))
    assert (told()[0], told()[1]["reason"]) == ("film_failed", "disk full")
    await processor.film(FILM)
    kind, facts = told()
    assert (kind, facts["film"]) == ("film_ready", FILM.id)
    assert "authSig=" in facts["video"]
    await processor.film(replace(FILM, change="changed", pinned=True))
    await processor.film(replace(FILM, id="00000000000000f9", camera="roof/east"))
    assert told()[1]["film"] == FILM.id


async def test_frames_that_come_often_are_no_events(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    entity = "event.roof_west_events"
    before = state(hass, entity)
    for seq, schedule in enumerate(("sunset", "sunrise", "night"), start=241):
        await bridge.say(topics.FRAME, replace(FRAME, seq=seq, schedule=schedule))
    assert state(hass, entity) == before
    await bridge.say(topics.FRAME, replace(FRAME, seq=250, schedule="hourly"))
    found = hass.states.get(entity)
    assert found is not None
    assert (found.attributes["event_type"], found.attributes["schedule"]) == ("capture_completed", "hourly")


async def test_old_news_that_a_broker_kept_are_no_events(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    before = state(hass, "event.roof_west_events")
    await bridge.say(topics.FRAME, replace(FRAME, seq=999), retain=True)
    assert state(hass, "event.roof_west_events") == before


# ---------------------------------------------------------------- switches and buttons

COMMAND = "skylapse/roof/west/command"


async def press(hass: HomeAssistant, domain: str, service: str, entity: str) -> Any:
    """Call a service without waiting for it; it waits for a reply."""
    call = hass.services.async_call(domain, service, {"entity_id": entity}, blocking=True)
    return hass.async_create_background_task(call, "call")


async def test_the_switch_asks_the_bridge_and_believes_its_state(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    task = await press(hass, "switch", "turn_off", "switch.roof_west_capture")
    command = await sent(mqtt, COMMAND)
    assert (command.name, command.args) == ("set_enabled", {"enabled": False})
    await bridge.reply(Reply(id=command.id, ok=True, result={}))
    await task
    assert state(hass, "switch.roof_west_capture") == "on"
    await bridge.say(topics.STATE, replace(STATE, enabled=False))
    assert state(hass, "switch.roof_west_capture") == "off"
    task = await press(hass, "switch", "turn_on", "switch.roof_west_capture")
    command = await sent(mqtt, COMMAND, 2)
    assert command.args == {"enabled": True}
    await bridge.reply(
        Reply(id=command.id, ok=False, error=CommandError(code="failed", message="the disk is full"))
    )
    with pytest.raises(HomeAssistantError, match="the disk is full"):
        await task


async def test_the_button_takes_one_frame(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    task = await press(hass, "button", "press", "button.roof_west_capture_now")
    command = await sent(mqtt, COMMAND)
    assert command.name == "capture"
    assert command.expires_at - datetime.now(UTC) < timedelta(seconds=16)
    await bridge.reply(Reply(id="somebody else's", ok=True))
    await bridge.reply(Reply(id=command.id, ok=True))
    await bridge.reply(Reply(id=command.id, ok=False))
    assert await task is None


async def test_the_button_makes_the_film_of_the_newest_day(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, processor: Processor
) -> None:
    task = await press(hass, "button", "press", "button.roof_west_build_film_now")
    command = await sent(mqtt, "skylapse/processor/command")
    assert (command.name, command.args) == ("render", {"camera": "roof/west", "day": "2026-06-21"})
    await processor.reply(
        Reply(id=command.id, ok=False, error=CommandError(code="bad_request", message="no frames"))
    )
    with pytest.raises(HomeAssistantError, match="processor refused: no frames"):
        await task


async def test_there_is_no_film_without_frames(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await bridge.arrive()
    await processor.arrive()
    with pytest.raises(HomeAssistantError, match="No frames of roof/west"):
        await hass.services.async_call(
            "button", "press", {"entity_id": "button.roof_west_build_film_now"}, blocking=True
        )


async def test_a_command_for_a_camera_that_just_went_is_refused(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    entity = hass.data["entity_components"]["switch"].get_entity("switch.roof_west_capture")
    spoken.runtime_data.coordinator.system.cameras.clear()
    with pytest.raises(HomeAssistantError, match="not announced any more"):
        await entity.async_turn_on()


@pytest.mark.parametrize("kind", ["focus_drift", "settings_not_followed"])
async def test_what_a_camera_does_not_do_as_it_should_is_an_event(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge, kind: str
) -> None:
    await bridge.happen(kind, reason="gain 2.0 was asked, 1.0 delivered")
    shown = hass.states.get("event.roof_west_events")
    assert shown is not None
    assert (shown.attributes["event_type"], shown.attributes["reason"]) == (
        kind,
        "gain 2.0 was asked, 1.0 delivered",
    )


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
