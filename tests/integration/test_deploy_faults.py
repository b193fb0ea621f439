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
from tests.integration.brokerage import last, published
from tests.integration.speakers import WEST, Bridge

SNAPSHOT = "skylapse/roof/west/snapshot/set"
EAST = replace(WEST, id="east", name="East")


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
