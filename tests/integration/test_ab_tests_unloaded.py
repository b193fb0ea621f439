"""A/B tests that are started or compared just when Skylapse is unloaded: nobody wakes or writes any more."""

import asyncio
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import CommandError, Reply
from tests.integration.brokerage import commands, published, sent
from tests.integration.speakers import Bridge, Processor
from tests.integration.test_ab_tests import ARMS, PROCESSOR, SNAPSHOT, call, deployed, obey, started


@pytest.fixture
async def spoken(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> MockConfigEntry:
    """The entry when bridge and processor are there."""
    await processor.arrive()
    await bridge.arrive()
    return loaded


async def test_a_start_that_waits_while_skylapse_is_loaded_anew_leaves_alone_what_came_after(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
) -> None:
    early = call(hass, "start_ab_test", camera="roof/west", arms=ARMS, id="early")
    await deployed(mqtt, 2)
    assert await hass.config_entries.async_reload(spoken.entry_id)
    await bridge.tell(topics.ANNOUNCE, bridge.announce)
    await bridge.tell(topics.AVAILABILITY, "online")
    await obey(bridge, mqtt, await deployed(mqtt, 3))
    await started(hass, mqtt, bridge, id="late")
    said = published(mqtt, SNAPSHOT)
    early.cancel()
    with pytest.raises(asyncio.CancelledError):
        await early
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=1))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert published(mqtt, SNAPSHOT) == said
    (kept,) = hass_storage[f"{DOMAIN}.ab_tests"]["data"]["tests"]
    assert kept["experiment"]["id"] == "late"


async def test_unloaded_while_a_start_is_being_kept_it_does_not_wake_again(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    keeping, unloaded = asyncio.Event(), asyncio.Event()

    async def keep_late(_kept: dict[str, Any]) -> None:
        keeping.set()
        await unloaded.wait()

    with patch.object(spoken.runtime_data.ab_tester._store, "async_save", keep_late):
        task = call(hass, "start_ab_test", camera="roof/west", arms=ARMS)
        await obey(bridge, mqtt, await deployed(mqtt, 2))
        await keeping.wait()
        assert await hass.config_entries.async_unload(spoken.entry_id)
        unloaded.set()
        await task
    said = published(mqtt, SNAPSHOT)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(hours=3))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert published(mqtt, SNAPSHOT) == said


async def test_unloaded_while_a_test_is_compared_it_is_not_tried_again_and_nothing_is_written(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
) -> None:
    await started(hass, mqtt, bridge, id="one")
    coordinator = spoken.runtime_data.coordinator
    task = call(hass, "stop_ab_test", camera="roof/west")
    await obey(bridge, mqtt, await deployed(mqtt, 3))
    command = await sent(mqtt, PROCESSOR, 1)
    assert await hass.config_entries.async_unload(spoken.entry_id)
    none = CommandError(code="not_found", message="no stored frame of test one")
    coordinator.commander.take(Reply(id=command.id, ok=False, error=none))
    with pytest.raises(HomeAssistantError, match="no stored frame"):
        await task
    (kept,) = hass_storage[f"{DOMAIN}.ab_tests"]["data"]["tests"]
    assert kept["failure"] is None
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=16))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(commands(mqtt, PROCESSOR)) == 1
