"""Profiles as devices: what holds, what is turned, which version is where, and the way back."""

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from homeassistant.components.mqtt.const import MQTT_CONNECTION_STATE
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, State
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.dispatcher import async_dispatcher_send
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.protocol import topics
from tests.integration.brokerage import last
from tests.integration.speakers import STATE, WEST, Bridge

SNAPSHOT = "skylapse/roof/west/snapshot/set"
PLAN = "skylapse/roof/west/plan/set"


def shown(hass: HomeAssistant, entity_id: str) -> State:
    state = hass.states.get(entity_id)
    assert state is not None, (entity_id, sorted(hass.states.async_entity_ids()))
    return state


def value(hass: HomeAssistant, entity_id: str) -> str:
    return shown(hass, entity_id).state


def subentry(entry: MockConfigEntry, unique_id: str) -> ConfigSubentry:
    found: ConfigSubentry = next(each for each in entry.subentries.values() if each.unique_id == unique_id)
    return found


async def act(hass: HomeAssistant, action: str, entity_id: str, **data: Any) -> None:
    """Do what a click on the device's page does."""
    domain = entity_id.partition(".")[0]
    await hass.services.async_call(domain, action, {"entity_id": entity_id, **data}, blocking=True)
    await hass.async_block_till_done(wait_background_tasks=True)


async def hold(bridge: Bridge, mqtt: MqttMockHAClient) -> None:
    """Let the camera say that it holds what was published last."""
    state = replace(
        STATE, snapshot_version=last(mqtt, SNAPSHOT).version, plan_revision=last(mqtt, PLAN).revision
    )
    await bridge.say(topics.STATE, state)


@pytest.fixture
async def held(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> MockConfigEntry:
    """The entry with a camera that holds what was deployed; nobody waits for long."""
    hass.config_entries.async_update_entry(loaded, options={"reply_limit_s": 0.2, "link_hours": 1})
    await hass.async_block_till_done(wait_background_tasks=True)
    await bridge.arrive()
    await hold(bridge, mqtt)
    return loaded


async def add(hass: HomeAssistant, entry: MockConfigEntry, profile: str, **data: Any) -> None:
    made = ConfigSubentry(
        data=MappingProxyType(data), subentry_type="profile", title=profile.capitalize(), unique_id=profile
    )
    hass.config_entries.async_add_subentry(entry, made)
    await hass.async_block_till_done(wait_background_tasks=True)


# ---------------------------------------------------------------- what is there


async def test_every_profile_is_a_device_of_its_subentry(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    found = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, "profile:f"), loaded.entry_id)
    assert found is not None
    assert found.model_id == "f", "what automations call it"
    assert (found.name, found.entry_type) == ("Mountain spot", dr.DeviceEntryType.SERVICE)
    assert found.config_subentry_id == subentry(loaded, "f").subentry_id
    entities = er.async_entries_for_device(er.async_get(hass), found.id)
    assert {each.entity_id for each in entities} == {
        "button.mountain_spot_deploy",
        "button.mountain_spot_roll_back",
        "number.mountain_spot_compensation_at_night",
        "number.mountain_spot_exposure_compensation",
        "select.mountain_spot_metering",
        "select.mountain_spot_white_balance",
        "sensor.mountain_spot_deployment",
        "sensor.mountain_spot_version",
    }


async def test_a_profile_shows_what_holds_whoever_says_it(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    await add(hass, loaded, "snow", extends="f", ev=1.3)
    assert float(value(hass, "number.snow_exposure_compensation")) == 1.3
    assert float(value(hass, "number.snow_compensation_at_night")) == -1.5
    assert value(hass, "select.snow_metering") == "spot"
    assert value(hass, "select.snow_white_balance") == "fixed"
    hass.config_entries.async_remove_subentry(loaded, subentry(loaded, "snow").subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not [each for each in hass.states.async_entity_ids() if "snow" in each]


# ---------------------------------------------------------------- what is turned


async def test_a_figure_that_is_turned_is_a_new_version_pending_until_it_is_applied(
    hass: HomeAssistant, mqtt: MqttMockHAClient, held: MockConfigEntry, bridge: Bridge
) -> None:
    assert value(hass, "sensor.mountain_spot_deployment") == "applied"
    assert value(hass, "sensor.mountain_spot_version") == "1"
    await act(hass, "set_value", "number.mountain_spot_exposure_compensation", value=1.2)
    assert last(mqtt, SNAPSHOT).profile("f").ev == 1.2
    assert value(hass, "sensor.mountain_spot_version") == "2"
    where = shown(hass, "sensor.mountain_spot_deployment")
    assert (where.state, where.attributes["cameras"]) == ("pending", {"roof/west": "pending"})
    assert where.attributes["schedules"] == ["Sunrise", "Sunset", "Daytime", "Night", "Hourly"]
    await hold(bridge, mqtt)
    where = shown(hass, "sensor.mountain_spot_deployment")
    assert (where.state, where.attributes["cameras"]) == ("applied", {"roof/west": "applied"})
    assert shown(hass, "sensor.mountain_spot_version").attributes["kept_versions"] == [1, 2]


async def test_night_metering_and_white_balance_are_turned(
    hass: HomeAssistant, mqtt: MqttMockHAClient, held: MockConfigEntry
) -> None:
    await act(hass, "set_value", "number.mountain_spot_compensation_at_night", value=-2.5)
    await act(hass, "select_option", "select.mountain_spot_metering", option="centre")
    await act(hass, "select_option", "select.mountain_spot_white_balance", option="adaptive")
    profile = last(mqtt, SNAPSHOT).profile("f")
    assert profile.ev_table[0] == (0.5, -2.5)
    assert (profile.metering.mode, profile.white_balance.mode) == ("centre", "adaptive")
    assert value(hass, "select.mountain_spot_white_balance") == "adaptive"
    assert value(hass, "sensor.mountain_spot_version") == "4"


async def test_what_cannot_be_meant_is_refused_in_words_and_changes_nothing(
    hass: HomeAssistant, held: MockConfigEntry
) -> None:
    kept = dict(subentry(held, "f").data)
    with pytest.raises(ServiceValidationError, match="needs at least one region") as raised:
        await act(hass, "select_option", "select.mountain_spot_metering", option="regions")
    assert raised.value.translation_key == "no_region"
    assert dict(subentry(held, "f").data) == kept
    assert value(hass, "select.mountain_spot_metering") == "spot"


async def test_a_profile_is_turned_while_the_bridge_is_away(
    hass: HomeAssistant, mqtt: MqttMockHAClient, held: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.say(topics.AVAILABILITY, "offline")
    await act(hass, "set_value", "number.mountain_spot_exposure_compensation", value=-1)
    assert last(mqtt, SNAPSHOT).profile("f").ev == -1
    assert value(hass, "sensor.mountain_spot_deployment") == "pending"


# ---------------------------------------------------------------- where it is


async def test_without_a_camera_a_profile_is_nowhere(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    where = shown(hass, "sensor.mountain_spot_deployment")
    assert (where.state, where.attributes["cameras"]) == ("nowhere", {})
    await loaded.runtime_data.deployer.async_deploy()
    assert value(hass, "sensor.mountain_spot_deployment") == "nowhere"


async def test_a_profile_whose_base_is_gone_cannot_be_used_until_it_is_put_right(
    hass: HomeAssistant, held: MockConfigEntry
) -> None:
    await add(hass, held, "snow", extends="b")
    await add(hass, held, "region", metering="regions")
    assert value(hass, "sensor.region_deployment") == "unusable"
    hass.config_entries.async_remove_subentry(held, subentry(held, "b").subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    for entity in ("sensor.snow_version", "number.snow_exposure_compensation", "select.snow_metering"):
        assert value(hass, entity) == "unavailable"
    hass.config_entries.async_update_subentry(held, subentry(held, "snow"), data={"extends": "a"})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert value(hass, "select.snow_metering") == "centre"


async def test_one_camera_of_two_that_does_not_hold_it_leaves_a_profile_pending(
    hass: HomeAssistant, mqtt: MqttMockHAClient, held: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive(cameras=(WEST, replace(WEST, id="east", name="East")))
    where = shown(hass, "sensor.mountain_spot_deployment")
    assert where.state == "pending"
    assert where.attributes["cameras"] == {"roof/east": "pending", "roof/west": "applied"}


# ---------------------------------------------------------------- deploying and going back


async def test_a_profile_is_deployed_by_its_button(
    hass: HomeAssistant, mqtt: MqttMockHAClient, held: MockConfigEntry, bridge: Bridge
) -> None:
    await act(hass, "press", "button.mountain_spot_deploy")
    await act(hass, "set_value", "number.mountain_spot_exposure_compensation", value=1)
    with pytest.raises(HomeAssistantError, match="not applied in time by roof/west"):
        await act(hass, "press", "button.mountain_spot_deploy")


async def test_one_version_back_and_the_device_shows_it(
    hass: HomeAssistant, mqtt: MqttMockHAClient, held: MockConfigEntry, bridge: Bridge
) -> None:
    assert value(hass, "button.mountain_spot_roll_back") == "unavailable"
    await act(hass, "set_value", "number.mountain_spot_exposure_compensation", value=2)
    await bridge.say(topics.AVAILABILITY, "offline")
    await act(hass, "press", "button.mountain_spot_roll_back")
    assert float(value(hass, "number.mountain_spot_exposure_compensation")) == 0.7
    assert last(mqtt, SNAPSHOT).profile("f").ev == 0.7
    version = shown(hass, "sensor.mountain_spot_version")
    assert (version.state, version.attributes["kept_versions"]) == ("3", [1, 2, 3])


async def test_the_last_ten_versions_are_kept(hass: HomeAssistant, held: MockConfigEntry) -> None:
    for number in range(12):
        await act(hass, "set_value", "number.mountain_spot_exposure_compensation", value=number / 10 - 2)
    version = shown(hass, "sensor.mountain_spot_version")
    assert (version.state, version.attributes["kept_versions"]) == ("13", list(range(4, 14)))


async def test_without_the_broker_nothing_is_deployed_by_a_button(
    hass: HomeAssistant, held: MockConfigEntry
) -> None:
    for connected, state in ((False, "unavailable"), (True, "unknown")):
        async_dispatcher_send(hass, MQTT_CONNECTION_STATE, connected)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert value(hass, "button.mountain_spot_deploy") == state
        assert value(hass, "number.mountain_spot_exposure_compensation") == "0.7"
