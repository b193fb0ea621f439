"""Home Assistant's own bridge stops, in the midst of something or for good: it does and says no more."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components import mqtt as broker
from homeassistant.components.mqtt.const import MQTT_CONNECTION_STATE
from homeassistant.core import HomeAssistant
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_mqtt_message
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.any_camera import files
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import Command
from tests.integration.brokerage import last, published
from tests.integration.darkroom import View, add_source, settle, subentry_of
from tests.integration.test_any_camera import GARDEN, OWN, noon, reload


class SlowBroker:
    """Takes a message on one topic at once, and acknowledges it when it is let."""

    def __init__(self, topic: str) -> None:
        self.reached = asyncio.Event()
        self.goes_on = asyncio.Event()
        self._topic = topic
        self._publish = broker.async_publish

    async def publish(self, hass: HomeAssistant, topic: str, *args: Any, **more: Any) -> None:
        await self._publish(hass, topic, *args, **more)
        if topic == self._topic:
            self.reached.set()
            await self.goes_on.wait()


@contextmanager
def slow_broker(topic: str) -> Generator[SlowBroker]:
    """Let the broker be slow on a topic."""
    slow = SlowBroker(topic)
    with patch("homeassistant.components.mqtt.async_publish", slow.publish):
        yield slow


async def answers(hass: HomeAssistant, mqtt: MqttMockHAClient) -> int:
    """Return how many answers a command gets."""
    before = len(published(mqtt, f"{GARDEN}/reply"))
    until = dt_util.utcnow() + timedelta(seconds=15)
    command = Command(id=f"flush-{before}", expires_at=until, name="flush")
    async_fire_mqtt_message(hass, f"{GARDEN}/command", topics.encode(topics.COMMAND, command))
    await settle(hass)
    return len(published(mqtt, f"{GARDEN}/reply")) - before


async def test_sources_that_are_followed_while_it_stops_are_followed_no_further(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    add_source(hass, own_cameras, "Second", "camera.second")
    await settle(hass)
    with slow_broker(f"{OWN}/second/state") as slow:
        hass.config_entries.async_remove_subentry(own_cameras, subentry_of(own_cameras, "second"))
        await slow.reached.wait()
        add_source(hass, own_cameras, "Third", "camera.third")
        assert await hass.config_entries.async_unload(own_cameras.entry_id)
        slow.goes_on.set()
        await settle(hass)
    assert published(mqtt, f"{OWN}/availability")[-1] == b"offline"
    assert published(mqtt, f"{OWN}/third/state") == []
    assert await answers(hass, mqtt) == 0
    freezer.tick(1)
    assert await hass.config_entries.async_setup(own_cameras.entry_id)
    await settle(hass)
    assert await answers(hass, mqtt) == 1


async def test_a_source_that_comes_while_it_stops_is_begun_by_the_next_start_alone(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
) -> None:
    hass.config_entries.async_remove_subentry(own_cameras, subentry_of(own_cameras, "garden"))
    await settle(hass)
    await reload(hass, own_cameras)
    own = own_cameras.runtime_data.own_bridge
    mqtt.async_publish.reset_mock()
    reads, goes_on = asyncio.Event(), threading.Event()
    read_spool, close = files.read_spool, own.spool.async_close

    def read(folder: Path) -> files.Found:
        hass.loop.call_soon_threadsafe(reads.set)
        goes_on.wait()
        return read_spool(folder)

    async def close_at_last() -> None:
        goes_on.set()
        await close()

    with patch.object(files, "read_spool", read), patch.object(own.spool, "async_close", close_at_last):
        add_source(hass, own_cameras, "Garden", "camera.garden")
        await reads.wait()
        assert await hass.config_entries.async_unload(own_cameras.entry_id)
        await settle(hass)
    assert published(mqtt, f"{OWN}/availability") == published(mqtt, f"{OWN}/announce") == []
    freezer.tick(1)
    assert await hass.config_entries.async_setup(own_cameras.entry_id)
    await settle(hass)
    assert await answers(hass, mqtt) == 1
    await noon(hass, freezer)
    assert garden.taken == 1


async def test_one_that_stops_while_it_introduces_itself_does_not_say_that_it_is_there(
    hass: HomeAssistant, mqtt: MqttMockHAClient, own_cameras: MockConfigEntry
) -> None:
    async def stop_late() -> None:
        slow.goes_on.set()
        under_way = [task for task in asyncio.all_tasks() if task.get_name().startswith("skylapse intro")]
        await asyncio.gather(*under_way, return_exceptions=True)

    deployer = own_cameras.runtime_data.deployer
    with slow_broker(f"{OWN}/announce") as slow, patch.object(deployer, "async_stop", stop_late):
        async_dispatcher_send(hass, MQTT_CONNECTION_STATE, True)
        await slow.reached.wait()
        assert await hass.config_entries.async_unload(own_cameras.entry_id)
    assert published(mqtt, f"{OWN}/availability") == [b"online", b"offline"]


async def test_under_another_root_nothing_is_left_behind_under_the_old_one(
    hass: HomeAssistant, mqtt: MqttMockHAClient, own_cameras: MockConfigEntry
) -> None:
    moved = {**own_cameras.data, "root": "sky"}
    hass.config_entries.async_update_entry(own_cameras, data=moved)
    await settle(hass)
    assert last(mqtt, f"{OWN}/announce") is None
    for topic in (
        "availability",
        "health",
        "uplink/set",
        "garden/state",
        "garden/plan/set",
        "garden/snapshot/set",
    ):
        assert published(mqtt, f"{OWN}/{topic}")[-1] == b"", topic
    there = {call.args[0] for call in mqtt.async_publish.call_args_list if call.args[1]}
    assert there >= {"sky/home_assistant/announce", "sky/home_assistant/garden/state"}
    hass.config_entries.async_update_entry(own_cameras, data={**moved, "processor_key": "another"})
    await settle(hass)
    assert published(mqtt, "sky/home_assistant/announce")[-1] != b""
