"""What goes wrong with deploying: the broker away, a camera nothing can be compiled for, a ledger spoilt."""

import logging
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.components.mqtt.const import MQTT_CONNECTION_STATE
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.brain.deploy import compile_camera
from custom_components.skylapse.brain.schedules import BUILT_IN_SCHEDULES
from custom_components.skylapse.protocol import topics
from tests.integration.brokerage import last, published
from tests.integration.speakers import STATE, WEST, Bridge

SNAPSHOT = "skylapse/roof/west/snapshot/set"
PLAN = "skylapse/roof/west/plan/set"
EAST = replace(WEST, id="east", name="East")
HOURLY = next(each for each in BUILT_IN_SCHEDULES if each.id == "hourly").write()


async def set_ev(hass: HomeAssistant, entry: MockConfigEntry, ev: float) -> None:
    """Edit a profile."""
    profile = next(each for each in entry.subentries.values() if each.unique_id == "f")
    hass.config_entries.async_update_subentry(entry, profile, data={**profile.data, "ev": ev})
    await hass.async_block_till_done(wait_background_tasks=True)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what Skylapse says in the log at the level that Home Assistant shows."""
    return [
        each.getMessage()
        for each in caplog.records
        if each.name.startswith("custom_components.skylapse") and each.levelno >= logging.WARNING
    ]


async def test_while_the_broker_is_away_nothing_is_deployed_or_told_and_then_only_the_newest(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await bridge.arrive()
    async_dispatcher_send(hass, MQTT_CONNECTION_STATE, False)
    with patch.object(mqtt, "async_publish", side_effect=HomeAssistantError("no broker")):
        for ev in (1.0, 1.1, 1.2):
            await set_ev(hass, loaded, ev)
    assert told(caplog) == []
    async_dispatcher_send(hass, MQTT_CONNECTION_STATE, True)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(published(mqtt, SNAPSHOT)) == 2
    assert (last(mqtt, SNAPSHOT).version, last(mqtt, SNAPSHOT).profile("f").ev) == (4, 1.2)


async def test_a_camera_that_nothing_can_be_compiled_for_keeps_no_other_from_its_plan(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await bridge.arrive(cameras=(EAST, WEST))

    def compile_one(configuration: Any, camera: str, *others: Any) -> Any:
        if camera == "roof/east":
            raise TypeError("no such thing")
        return compile_camera(configuration, camera, *others)

    with patch("custom_components.skylapse.deployer.compile_camera", side_effect=compile_one):
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(hours=7))
        await hass.async_block_till_done(wait_background_tasks=True)
        await set_ev(hass, loaded, 1.1)
    assert last(mqtt, SNAPSHOT).profile("f").ev == 1.1
    assert set(told(caplog)) == {"Could not deploy to roof/east"}
    assert last(mqtt, "skylapse/roof/east/snapshot/set").version == 1


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        ("schedule", {}, "Schedule bad cannot be read: "),
        ("schedule", {**HOURLY, "profiles": [["f"]]}, "Schedule bad cannot be read: "),
        ("schedule", {**HOURLY, "profiles": 3}, "Schedule bad cannot be read: "),
        ("profile", {"kelvin": [1]}, "Profile bad cannot be read: "),
        ("profile", {"ev": "x"}, "Profile bad is left out: "),
        ("profile", {"extends": ["f"]}, "Profile bad is left out: "),
        ("profile", {"schedule_overrides": [1]}, "Profile bad is left out: "),
    ],
)
async def test_a_subentry_that_is_none_keeps_no_other_from_being_deployed(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    data: dict[str, Any],
    line: str,
) -> None:
    await bridge.arrive()
    bad = ConfigSubentry(data=MappingProxyType(data), subentry_type=kind, title="Bad", unique_id="bad")
    hass.config_entries.async_add_subentry(loaded, bad)
    await set_ev(hass, loaded, 1.1)
    assert last(mqtt, SNAPSHOT).profile("f").ev == 1.1
    assert [each for each in told(caplog) if not each.startswith(line)] == []
    assert [each for each in caplog.records if each.exc_info] == []


async def test_whatever_fails_it_is_tried_again_at_the_next_renewal(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    await bridge.arrive()
    with patch("custom_components.skylapse.deployer.stamp_profiles", side_effect=TypeError("no such thing")):
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(hours=7))
        await hass.async_block_till_done(wait_background_tasks=True)
    with patch("custom_components.skylapse.deployer.compile_camera", side_effect=compile_camera) as compiled:
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(hours=14))
        await hass.async_block_till_done(wait_background_tasks=True)
    assert compiled.call_count == 1
    assert told(caplog) == ["Could not deploy"]


async def test_a_camera_that_goes_takes_no_other_with_it_whose_name_begins_like_its_own(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    one, ten = (replace(WEST, id=f"cam{number}", name=f"Camera {number}") for number in (1, 10))
    await bridge.arrive(cameras=(one, ten))
    await set_ev(hass, loaded, 1.1)
    assert last(mqtt, "skylapse/roof/cam10/snapshot/set").version == 2
    await bridge.arrive(cameras=(ten,))
    await set_ev(hass, loaded, 1.2)
    assert last(mqtt, "skylapse/roof/cam10/snapshot/set").version == 3


async def test_a_version_that_cannot_be_read_is_counted_on_from_what_the_camera_holds(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    mqtt: MqttMockHAClient,
    entry: MockConfigEntry,
    bridge: Bridge,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = {"version": 7, "digest": "0" * 16, "made_at": "2026-06-21T18:00:00Z"}
    hass_storage["skylapse.ledger"] = {
        "version": 1,
        "key": "skylapse.ledger",
        "data": {"snapshot/roof/west": {"version": "x"}, "plan/roof/west": "x", "orders": kept},
    }
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await bridge.say(topics.STATE, replace(STATE, snapshot_version=41, plan_revision=300))
    await bridge.arrive()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert (last(mqtt, SNAPSHOT).version, last(mqtt, PLAN).revision) == (42, 301)
    assert last(mqtt, "skylapse/processor/orders/set").revision == 8
    assert [each.partition(":")[0] for each in told(caplog)] == ["A kept version is left out"] * 2
