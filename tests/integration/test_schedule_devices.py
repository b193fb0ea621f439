"""Schedules as devices: what they show, what their entities change, how they come and go."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, State
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed
from pytest_homeassistant_custom_component.typing import MqttMockHAClient, WebSocketGenerator

from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import Clock
from tests.integration.brokerage import last, published
from tests.integration.speakers import FRAME, STATE, Bridge

NOON = datetime(2026, 6, 21, 10, 0, tzinfo=UTC)
PLAN = "skylapse/roof/west/plan/set"


@pytest.fixture(autouse=True)
def _noon(freezer: FrozenDateTimeFactory) -> None:
    """Let it be the longest day, before its sunset."""
    freezer.move_to(NOON)


def subentry(entry: MockConfigEntry, unique_id: str) -> ConfigSubentry:
    found: ConfigSubentry = next(each for each in entry.subentries.values() if each.unique_id == unique_id)
    return found


def device(hass: HomeAssistant, entry: MockConfigEntry, name: str) -> dr.DeviceEntry | None:
    return dr.async_get(hass).async_get_device_by_identifier((DOMAIN, name), entry.entry_id)


def shown(hass: HomeAssistant, entity_id: str) -> State:
    state = hass.states.get(entity_id)
    assert state is not None, (entity_id, sorted(hass.states.async_entity_ids()))
    return state


def value(hass: HomeAssistant, entity_id: str) -> str:
    return shown(hass, entity_id).state


async def act(hass: HomeAssistant, action: str, entity_id: str, **data: Any) -> None:
    """Do what a click on the device's page does."""
    domain = entity_id.partition(".")[0]
    await hass.services.async_call(domain, action, {"entity_id": entity_id, **data}, blocking=True)
    await hass.async_block_till_done(wait_background_tasks=True)


def sunsets(mqtt: MqttMockHAClient) -> list[Any]:
    """Return the sunset's windows of the plan that was published last."""
    return [window for window in last(mqtt, PLAN).windows if window.schedule == "sunset"]


async def pass_time(hass: HomeAssistant, freezer: FrozenDateTimeFactory, **time: float) -> None:
    freezer.tick(timedelta(**time))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)


def blue_hour(**data: Any) -> ConfigSubentry:
    fields = {"anchor": "dusk", "duration_min": 30, "interval_s": 10, **data}
    return ConfigSubentry(
        data=MappingProxyType(fields), subentry_type="schedule", title="Blue hour", unique_id="blue_hour"
    )


# ---------------------------------------------------------------- what is there


async def test_every_schedule_is_a_device_of_its_subentry(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    for schedule in ("sunrise", "sunset", "daytime", "night", "hourly"):
        found = device(hass, loaded, f"schedule:{schedule}")
        assert found is not None
        assert found.name == subentry(loaded, schedule).title
        assert found.entry_type is dr.DeviceEntryType.SERVICE
        assert found.config_subentry_id == subentry(loaded, schedule).subentry_id
    sunset = device(hass, loaded, "schedule:sunset")
    assert sunset is not None
    entities = er.async_entries_for_device(er.async_get(hass), sunset.id)
    assert {each.entity_id for each in entities} == {
        "number.sunset_duration",
        "number.sunset_interval",
        "number.sunset_offset",
        "select.sunset_anchor",
        "sensor.sunset_next_window",
        "sensor.sunset_state",
        "switch.sunset_enabled",
        "time.sunset_time_of_day",
    }


async def test_a_schedule_shows_what_it_says(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    ids = ("number.sunset_offset", "number.sunset_duration", "number.sunset_interval")
    assert [float(value(hass, each)) for each in ids] == [-30, 60, 15]
    assert value(hass, "select.sunset_anchor") == "sunset"
    assert value(hass, "switch.sunset_enabled") == "on"
    assert value(hass, "switch.night_enabled") == "off"
    assert value(hass, "time.sunset_time_of_day") == "unavailable"
    assert value(hass, "time.daytime_time_of_day") == "07:30:00"


# ---------------------------------------------------------------- what it is at


async def test_a_schedule_waits_runs_and_waits_again(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, freezer: FrozenDateTimeFactory
) -> None:
    assert value(hass, "sensor.sunset_state") == "idle"
    await bridge.arrive()
    assert value(hass, "sensor.sunset_state") == "waiting"
    starts_at = datetime.fromisoformat(value(hass, "sensor.sunset_next_window"))
    assert starts_at.date() == NOON.date()
    assert shown(hass, "sensor.sunset_state").attributes["cameras"] == ["roof/west"]
    await pass_time(hass, freezer, seconds=(starts_at - NOON).total_seconds() + 0.5)
    assert value(hass, "sensor.sunset_state") == "running"
    following = datetime.fromisoformat(value(hass, "sensor.sunset_next_window"))
    assert following - starts_at > timedelta(hours=23)
    await pass_time(hass, freezer, minutes=60)
    assert value(hass, "sensor.sunset_state") == "waiting"


async def test_a_schedule_tells_which_camera_photographs_by_it_just_now(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    for window, capturing in (
        ("sunset-20260621", ["roof/west"]),
        ("sunrise-20260621", []),
        (None, []),
    ):
        await bridge.say(topics.STATE, replace(STATE, active_window=window))
        assert shown(hass, "sensor.sunset_state").attributes["capturing"] == capturing


async def test_a_schedule_follows_the_clock_of_a_bridge_in_simulated_time(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    winter = datetime(2027, 12, 21, 15, 15, tzinfo=UTC)
    await bridge.arrive(clock=Clock(start=winter, anchor=NOON, rate=60.0))
    assert value(hass, "sensor.sunset_state") == "running"


async def test_a_schedule_that_is_switched_off_has_no_windows_any_more(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await act(hass, "turn_off", "switch.sunset_enabled")
    assert value(hass, "sensor.sunset_state") == "disabled"
    assert value(hass, "sensor.sunset_next_window") == "unknown"
    assert sunsets(mqtt) == []
    assert subentry(loaded, "sunset").data["enabled"] is False
    await act(hass, "turn_on", "switch.sunset_enabled")
    assert value(hass, "sensor.sunset_state") == "waiting"
    assert sunsets(mqtt)


async def test_where_the_sun_does_not_set_the_schedule_says_so(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await hass.config.async_update(latitude=78.22, longitude=15.65, time_zone="Arctic/Longyearbyen")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert value(hass, "sensor.sunset_state") == "no_sun"
    assert value(hass, "sensor.sunset_next_window") == "unknown"
    assert value(hass, "sensor.daytime_state") == "running"
    assert sunsets(mqtt) == []


async def test_a_schedule_whose_profile_is_gone_says_so(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    hass.config_entries.async_remove_subentry(loaded, subentry(loaded, "f").subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert value(hass, "sensor.sunset_state") == "unusable"


# ---------------------------------------------------------------- what is changed


@pytest.mark.parametrize(
    ("entity_id", "figure", "field"),
    [
        ("number.sunset_duration", 90, "duration_min"),
        ("number.sunset_offset", -45, "offset_min"),
        ("number.sunset_interval", 7.5, "interval_s"),
    ],
)
async def test_a_figure_that_is_changed_reaches_the_camera(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    entity_id: str,
    figure: float,
    field: str,
) -> None:
    await bridge.arrive()
    before = sunsets(mqtt)
    await act(hass, "set_value", entity_id, value=figure)
    assert float(value(hass, entity_id)) == figure
    assert subentry(loaded, "sunset").data[field] == figure
    assert last(mqtt, PLAN).revision == 2
    windows = sunsets(mqtt)
    assert [each.id for each in windows] == [each.id for each in before]
    length = {each.ends_at - each.starts_at for each in windows}
    assert length == {timedelta(minutes=90 if field == "duration_min" else 60)}
    earlier = timedelta(minutes=15 if field == "offset_min" else 0)
    assert [each.starts_at + earlier for each in windows] == [each.starts_at for each in before]
    assert {each.interval_s for each in windows} == {7.5 if field == "interval_s" else 15}


async def test_an_interval_of_less_than_a_second_is_for_the_form(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    sunset = subentry(loaded, "sunset")
    hass.config_entries.async_update_subentry(loaded, sunset, data={**sunset.data, "interval_s": 0.5})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert float(value(hass, "number.sunset_interval")) == 0.5
    with pytest.raises(ServiceValidationError):
        await act(hass, "set_value", "number.sunset_interval", value=0.9)
    assert {each.interval_s for each in sunsets(mqtt)} == {0.5}


async def test_a_schedule_is_moved_from_the_sun_to_the_clock(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await act(hass, "select_option", "select.sunset_anchor", option="clock")
    assert value(hass, "time.sunset_time_of_day") == "00:00:00"
    await act(hass, "set_value", "time.sunset_time_of_day", time="18:45:00")
    assert value(hass, "time.sunset_time_of_day") == "18:45:00"
    assert {f"{each.starts_at:%H:%M}" for each in sunsets(mqtt)} == {"16:15"}


# ---------------------------------------------------------------- coming and going


async def test_a_schedule_that_is_added_becomes_a_device_without_a_reload(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await bridge.say(topics.FRAME, FRAME)
    rooms, frame = loaded.runtime_data, shown(hass, "sensor.roof_west_illuminance")
    hass.config_entries.async_add_subentry(loaded, blue_hour())
    await hass.async_block_till_done(wait_background_tasks=True)
    assert value(hass, "sensor.blue_hour_state") == "waiting"
    assert float(value(hass, "number.blue_hour_interval")) == 10
    assert {each.schedule for each in last(mqtt, PLAN).windows} >= {"blue_hour"}
    assert loaded.runtime_data is rooms
    assert shown(hass, "sensor.roof_west_illuminance") is frame


async def test_a_schedule_that_is_deleted_takes_its_device_along(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    for _ in range(2):
        hass.config_entries.async_add_subentry(loaded, blue_hour())
        await hass.async_block_till_done(wait_background_tasks=True)
        assert value(hass, "switch.blue_hour_enabled") == "on"
        hass.config_entries.async_remove_subentry(loaded, subentry(loaded, "blue_hour").subentry_id)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert device(hass, loaded, "schedule:blue_hour") is None
        assert not [each for each in hass.states.async_entity_ids() if "blue_hour" in each]
        assert {each.schedule for each in last(mqtt, PLAN).windows}.isdisjoint({"blue_hour"})


async def test_a_schedule_that_is_renamed_renames_its_device(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    hass.config_entries.async_update_subentry(loaded, subentry(loaded, "sunset"), title="Evening")
    await hass.async_block_till_done(wait_background_tasks=True)
    found = device(hass, loaded, "schedule:sunset")
    assert found is not None
    assert found.name == "Evening"
    assert shown(hass, "switch.sunset_enabled").name == "Evening Enabled"


async def test_a_schedule_without_an_id_or_with_impossible_figures_is_left_out(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    entry: MockConfigEntry,
    bridge: Bridge,
    caplog: pytest.LogCaptureFixture,
) -> None:
    entry.add_to_hass(hass)
    nameless = ConfigSubentry(
        data=blue_hour().data, subentry_type="schedule", title="Nameless", unique_id=None
    )
    for each in (nameless, blue_hour(duration_min=5000)):
        hass.config_entries.async_add_subentry(entry, each)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await bridge.arrive()
    assert "Schedule blue_hour cannot be read" in caplog.text
    assert value(hass, "switch.blue_hour_enabled") == "unavailable"
    assert value(hass, "sensor.blue_hour_state") == "unavailable"
    assert value(hass, "time.blue_hour_time_of_day") == "unavailable"
    assert published(mqtt, PLAN)


async def test_the_device_of_a_schedule_is_not_deleted_by_itself(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    await async_setup_component(hass, "config", {})
    found = device(hass, loaded, "schedule:sunset")
    assert found is not None
    client = await hass_ws_client(hass)
    await client.send_json_auto_id(
        {
            "type": "config/device_registry/remove_config_entry",
            "config_entry_id": loaded.entry_id,
            "device_id": found.id,
        }
    )
    answer: Mapping[str, Any] = await client.receive_json()
    assert not answer["success"]
    assert device(hass, loaded, "schedule:sunset") is not None


async def test_a_camera_that_goes_leaves_the_schedule_without_one(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await bridge.say(topics.ANNOUNCE, None)
    assert value(hass, "sensor.sunset_state") == "idle"
    await bridge.arrive()
    assert value(hass, "sensor.sunset_state") == "waiting"
