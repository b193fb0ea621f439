"""What may be gone between one step and the next: cameras, bridges, devices, sources, half an answer."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from aiohttp import ClientPayloadError
from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_mqtt_message
from pytest_homeassistant_custom_component.typing import MqttMockHAClient, WebSocketGenerator

from custom_components.skylapse.brain.day import compile_day
from custom_components.skylapse.configuration import read_configuration, read_profiles
from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.devices import device_info
from custom_components.skylapse.errors import ProcessorUnreachableError
from custom_components.skylapse.facts import Subject
from custom_components.skylapse.processor import ProcessorClient
from tests.integration.brokerage import published
from tests.integration.darkroom import settle
from tests.integration.speakers import Processor
from tests.integration.test_any_camera import OWN


def test_a_profile_without_an_id_is_none() -> None:
    nameless = ConfigSubentryData(data={}, subentry_type="profile", title="Nameless", unique_id=None)
    assert read_profiles(MockConfigEntry(domain=DOMAIN, subentries_data=[nameless])) == {}


async def test_a_bridge_that_has_not_introduced_itself_is_told_of_no_processor(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, processor: Processor
) -> None:
    async_fire_mqtt_message(hass, "skylapse/shed/availability", "online")
    await processor.tell_all()
    await settle(hass)
    assert published(mqtt, "skylapse/shed/uplink/set") == []
    coordinator = loaded.runtime_data.coordinator
    info = device_info(hass, loaded, coordinator, Subject(kind="bridge", id="shed"))
    assert info == {"identifiers": {(DOMAIN, "shed")}}


async def test_a_camera_that_went_while_its_plan_was_compiled_has_no_facts(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    coordinator, deployer = spoken.runtime_data.coordinator, spoken.runtime_data.deployer
    facts = coordinator.system.cameras["roof/west"]
    async_fire_mqtt_message(hass, "skylapse/roof/announce", "")
    await settle(hass)
    with pytest.raises(KeyError):
        device_info(hass, spoken, coordinator, Subject(kind="camera", id="roof/west"))
    configuration = read_configuration(hass, spoken)
    assert await deployer._deploy_camera(configuration, facts, dt_util.utcnow()) == set()
    assert "roof/west" not in coordinator.system.cameras


async def test_a_camera_whose_bridge_has_no_device_has_none(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    registry = dr.async_get(hass)
    roof = registry.async_get_device_by_identifier((DOMAIN, "roof"), spoken.entry_id)
    assert roof is not None
    registry.async_remove_device(roof.id)
    coordinator = spoken.runtime_data.coordinator
    with pytest.raises(ValueError, match="roof/west has no bridge"):
        device_info(hass, spoken, coordinator, Subject(kind="camera", id="roof/west"))
    async_fire_mqtt_message(hass, "skylapse/roof/announce", "")
    await settle(hass)
    assert "roof" not in coordinator.system.bridges, "it goes although its devices went before"


async def test_a_bridge_is_wiped_off_the_broker_and_no_other_ones_cameras(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry
) -> None:
    await spoken.runtime_data.coordinator.async_wipe(Subject(kind="bridge", id="shed"))
    assert published(mqtt, "skylapse/shed/announce") == [b""]
    assert published(mqtt, "skylapse/roof/west/state") == []


async def test_a_schedule_that_goes_while_the_day_is_worked_out_does_no_harm(
    hass: HomeAssistant,
    spoken: MockConfigEntry,
    hass_ws_client: WebSocketGenerator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    specs, gone = spoken.runtime_data.specs, asyncio.Event()

    async def remove() -> None:
        stop = specs.async_listen(gone.set)
        for subentry in list(spoken.get_subentries_of_type("schedule")):
            hass.config_entries.async_remove_subentry(spoken, subentry.subentry_id)
        await gone.wait()
        stop()

    def compile_meanwhile(*given: Any) -> Any:
        asyncio.run_coroutine_threadsafe(remove(), hass.loop).result()
        return compile_day(*given)

    monkeypatch.setattr("custom_components.skylapse.websocket.compile_day", compile_meanwhile)
    client = await hass_ws_client()
    await client.send_json_auto_id({"type": "skylapse/day", "camera": "roof/west"})
    answer = await client.receive_json()
    assert specs.effective == ()
    assert "Hourly" in {window["title"] for window in answer["result"]["windows"]}


async def test_half_an_answer_of_the_processor_is_an_unreachable_one() -> None:
    async def breaks_off() -> None:
        raise ClientPayloadError("half of it")

    reading: Awaitable[None] = breaks_off()
    with pytest.raises(ProcessorUnreachableError, match="half of it"):
        await ProcessorClient._read(reading)


async def test_who_rests_already_says_so_once_and_without_sources_nothing_is_said(
    hass: HomeAssistant, mqtt: MqttMockHAClient, own_cameras: MockConfigEntry
) -> None:
    own = own_cameras.runtime_data.own_bridge
    await own.async_stop()
    await settle(hass)
    said = published(mqtt, f"{OWN}/availability")
    await own._async_shut_down()
    assert published(mqtt, f"{OWN}/availability") == said
    own._sources.clear()
    before = mqtt.async_publish.call_count
    await own._introduce()
    assert mqtt.async_publish.call_count == before
