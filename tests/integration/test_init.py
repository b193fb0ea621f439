"""Setting up, unloading, devices that come and go, what is hostile, what only a person can put right."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.mqtt.const import MQTT_CONNECTION_STATE
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
    async_fire_mqtt_message,
    async_fire_time_changed,
)
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
    get_diagnostics_for_device,
)
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    MqttMockHAClient,
    MqttMockPahoClient,
    WebSocketGenerator,
)

from custom_components.skylapse import system_health
from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.coordinator import LOAD_AGAIN_S
from custom_components.skylapse.protocol import topics
from tests.integration.brokerage import published
from tests.integration.speakers import ANNOUNCE, FILM, HEALTH, WEST, Bridge, Processor
from tests.integration.theatre import KEY, FakeProcessor
from tests.integration.troubles import issues
from tests.support.waiting import until


def device(hass: HomeAssistant, entry: MockConfigEntry, name: str) -> Any:
    registry = dr.async_get(hass)
    key = (DOMAIN, name)
    return registry.async_get_child_device_by_identifier(
        key, entry.entry_id
    ) or registry.async_get_device_by_identifier(key, entry.entry_id)


# ---------------------------------------------------------------- subscriptions


async def test_who_is_announced_is_known_by_then_though_discovery_heard_announces_long_before(
    hass: HomeAssistant, loaded: MockConfigEntry, mqtt_client_mock: MqttMockPahoClient, bridge: Bridge
) -> None:
    def order() -> list[str]:
        asked = [_topics(call) for call in mqtt_client_mock.subscribe.call_args_list]
        return [topic for each in asked for topic in each if topic.startswith("skylapse/+/")]

    await until(lambda: "skylapse/+/announce/#" in order())
    assert order()[0] == "skylapse/+/announce"  # Home Assistant's own, by the manifest
    assert order()[-1] == "skylapse/+/announce/#"
    assert {"skylapse/+/+/state", "skylapse/+/availability"} <= set(order())
    await bridge.arrive()
    assert device(hass, loaded, "roof/west") is not None


def _topics(call: Any) -> list[str]:
    """Return what was asked for in one call: a single filter, or a list of them with their qualities."""
    first = call.args[0]
    return [first] if isinstance(first, str) else [topic for topic, _ in first]


# ---------------------------------------------------------------- devices


async def test_devices_come_without_a_click(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await bridge.tell_all()
    await processor.tell_all()
    roof, west, house = (device(hass, loaded, name) for name in ("roof", "roof/west", "processor"))
    assert (roof.name, roof.hw_version, roof.sw_version) == ("Roof", "Raspberry Pi 4", "0.1.0")
    assert roof.serial_number == "100000003d1d1c36"
    assert roof.model is None, "it would be shown as that of the cameras"
    assert (west.name, west.parent_device_id) == ("West", roof.id)
    assert (house.name, house.entry_type) == ("House", dr.DeviceEntryType.SERVICE)


async def test_a_device_is_described_anew_when_another_version_or_name_is_announced(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    updates = async_capture_events(hass, dr.EVENT_DEVICE_REGISTRY_UPDATED)
    await bridge.arrive()
    await processor.arrive()
    assert not updates
    newer = replace(ANNOUNCE.host, model="Raspberry Pi 5")
    await bridge.arrive(software="0.2.0", host=newer, cameras=(replace(WEST, name="Garden"),))
    await processor.arrive("0.3.0")
    roof, west, house = (device(hass, spoken, name) for name in ("roof", "roof/west", "processor"))
    assert (roof.name, roof.hw_version, roof.sw_version) == ("Roof", "Raspberry Pi 5", "0.2.0")
    assert (west.name, west.parent_device_id) == ("Garden", roof.id)
    assert house.sw_version == "0.3.0"
    assert len(updates) == 3


async def test_a_second_bridge_and_a_second_camera_need_no_reload(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await bridge.arrive(cameras=(WEST, replace(WEST, id="east", name="East")))
    await Bridge(hass).arrive(bridge="barn", name="Barn")
    for entity in ("image.roof_east", "image.barn_west", "sensor.barn_temperature"):
        assert hass.states.get(entity) is not None
    assert len(hass.states.async_entity_ids("event")) == 3


async def test_two_bridges_that_tell_of_one_network_card_are_two_devices(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.tell_all()
    entities = hass.states.async_entity_ids()
    shed = Bridge(hass)
    await shed.arrive(bridge="shed", name="Shed")
    assert device(hass, loaded, "shed").id != device(hass, loaded, "roof").id
    await shed.say(topics.ANNOUNCE, None, bridge="shed")
    assert device(hass, loaded, "shed") is None
    assert hass.states.async_entity_ids() == entities
    await bridge.arrive(boot_id="another")
    assert device(hass, loaded, "roof/west").parent_device_id == device(hass, loaded, "roof").id


async def test_what_is_announced_no_more_goes_with_its_entities(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    before = hass.states.async_entity_ids()
    await bridge.arrive(cameras=(WEST, replace(WEST, id="east", name="East")))
    await processor.tell_all()
    await bridge.arrive(cameras=(WEST,))
    assert device(hass, loaded, "roof/east") is None
    assert hass.states.get("image.roof_east") is None
    assert hass.states.get("image.roof_west") is not None
    await bridge.say(topics.ANNOUNCE, None)
    await processor.say(topics.PROCESSOR_ANNOUNCE, None)
    assert hass.states.async_entity_ids() == before
    assert device(hass, loaded, "roof") is device(hass, loaded, "processor") is None
    await bridge.arrive(cameras=(WEST,))
    assert hass.states.get("image.roof_west") is not None


async def test_a_device_is_deleted_by_hand_only_when_it_is_away(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    hass_ws_client: WebSocketGenerator,
) -> None:
    assert await async_setup_component(hass, "config", {})
    await bridge.tell_all()
    await processor.tell_all()
    client = await hass_ws_client(hass)

    async def delete(name: str) -> bool:
        answer = await client.remove_device(device(hass, loaded, name).id)
        await hass.async_block_till_done(wait_background_tasks=True)
        return bool(answer["success"])

    assert not await delete("roof")
    assert not await delete("roof/west")
    assert not await delete("processor")
    await bridge.say(topics.AVAILABILITY, "offline")
    await processor.say(topics.PROCESSOR_AVAILABILITY, "offline")
    assert not await delete("roof/west")
    assert await delete("roof")
    assert await delete("processor")
    for topic in (
        "roof/announce",
        "roof/availability",
        "roof/health",
        "roof/west/state",
        "processor/announce",
    ):
        assert published(mqtt, f"skylapse/{topic}")[-1] == b""


@pytest.mark.parametrize("name", ["roof", "processor"])
async def test_who_speaks_newer_words_is_deleted_only_when_he_is_away_and_with_his_repair(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    hass_ws_client: WebSocketGenerator,
    name: str,
) -> None:
    assert await async_setup_component(hass, "config", {})
    await bridge.arrive()
    await processor.arrive()
    assert await hass.config_entries.async_reload(loaded.entry_id)
    newer = json.dumps({"schema": 2, "name": "Newer", "schema_min": 2, "schema_max": 2})
    client = await hass_ws_client(hass)
    for availability, is_deleted in (("online", False), ("offline", True)):
        async_fire_mqtt_message(hass, f"skylapse/{name}/announce", newer)
        async_fire_mqtt_message(hass, f"skylapse/{name}/availability", availability)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert issues(hass) == {f"contract_apart_{name}"}
        answer = await client.remove_device(device(hass, loaded, name).id)
        await hass.async_block_till_done(wait_background_tasks=True)
        assert answer["success"] is is_deleted
        assert published(mqtt, f"skylapse/{name}/announce") == ([b""] if is_deleted else [])
    assert issues(hass) == set()


async def test_while_the_broker_is_away_nobody_is_taken_for_gone(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    hass_ws_client: WebSocketGenerator,
) -> None:
    assert await async_setup_component(hass, "config", {})
    client = await hass_ws_client(hass)
    async_dispatcher_send(hass, MQTT_CONNECTION_STATE, False)
    for name in ("roof", "processor"):
        answer = await client.remove_device(device(hass, spoken, name).id)
        assert not answer["success"]
    assert published(mqtt, "skylapse/roof/announce") == []
    async_dispatcher_send(hass, MQTT_CONNECTION_STATE, True)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert device(hass, spoken, "roof/west") is not None


async def test_a_device_that_a_restart_left_behind_can_be_deleted(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    assert await async_setup_component(hass, "config", {})
    for identifiers in ({(DOMAIN, "old")}, {("other", "thing")}):
        left = dr.async_get(hass).async_get_or_create(
            config_entry_id=loaded.entry_id, identifiers=identifiers
        )
        client = await hass_ws_client(hass)
        answer = await client.remove_device(left.id)
        assert answer["success"]


# ---------------------------------------------------------------- setting up and down


async def test_without_mqtt_it_waits(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "mqtt_unavailable"


async def test_unloading_takes_everything_down_and_loading_brings_it_back(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.tell_all()
    assert await hass.config_entries.async_unload(loaded.entry_id)
    await hass.async_block_till_done()
    assert loaded.state is ConfigEntryState.NOT_LOADED
    assert {state.state for state in hass.states.async_all()} == {"unavailable"}
    assert await hass.config_entries.async_setup(loaded.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await bridge.tell_all()
    state = hass.states.get("sensor.roof_west_illuminance")
    assert state is not None
    assert state.state == "812.5"


# ---------------------------------------------------------------- the library


async def test_films_are_read_when_the_processor_comes(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    processor.server.put(FILM)
    await bridge.arrive()
    await processor.arrive()
    state = hass.states.get("sensor.roof_west_last_film_made")
    assert state is not None
    assert state.state == "2026-06-21T20:00:00+00:00"


async def test_films_made_while_the_broker_was_away_are_found(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await bridge.arrive()
    await processor.arrive()
    coordinator = loaded.runtime_data.coordinator
    coordinator._connection_changed(False)
    processor.server.put(FILM)
    coordinator._connection_changed(True)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert [film.id for film in coordinator.library.of_camera("roof/west")] == [FILM.id]


async def test_a_camera_that_comes_after_its_films_finds_them(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    processor.server.put(FILM)
    await processor.arrive()
    await bridge.arrive()
    state = hass.states.get("sensor.roof_west_last_film_made")
    assert state is not None
    assert state.state == "2026-06-21T20:00:00+00:00"


async def test_a_list_of_films_that_does_not_fit_is_told(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    processor: Processor,
    processor_server: FakeProcessor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    processor_server.films_answer = {"items": [{"id": "nonsense"}], "next": None}
    await processor.arrive()
    assert "films do not fit: film: camera: is missing" in caplog.text
    processor_server.films_answer = ["no object"]
    await processor.say(topics.PROCESSOR_AVAILABILITY, "offline")
    await processor.say(topics.PROCESSOR_AVAILABILITY, "online")
    assert "films did not answer with an object" in caplog.text
    for cursor in ("again", 7):
        caplog.clear()
        loaded.runtime_data.coordinator.processor_failure = None
        processor_server.films_answer = {"items": [], "next": cursor}
        await processor.say(topics.PROCESSOR_AVAILABILITY, "offline")
        await processor.say(topics.PROCESSOR_AVAILABILITY, "online")
        assert "the pages of films lead nowhere" in caplog.text


async def test_a_list_of_films_that_cannot_be_read_is_tried_again_and_told_once(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    processor: Processor,
    processor_server: FakeProcessor,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def wait() -> None:
        freezer.tick(LOAD_AGAIN_S + 1)
        async_fire_time_changed(hass)
        await hass.async_block_till_done(wait_background_tasks=True)

    coordinator = loaded.runtime_data.coordinator
    processor_server.broken = 500
    await processor.arrive()
    await wait()
    assert caplog.text.count("films could not be read") == 1
    await processor.say(topics.PROCESSOR_AVAILABILITY, "offline")
    asked = len(processor_server.asked)
    await wait()
    assert len(processor_server.asked) == asked  # who is away is not asked
    await processor.say(topics.PROCESSOR_AVAILABILITY, "online")
    processor_server.broken = None
    await wait()
    assert coordinator.library.complete
    assert coordinator.processor_failure is None
    await coordinator.async_load_library()
    assert caplog.text.count("films can be read again") == 1


# ---------------------------------------------------------------- for helpers


async def test_diagnostics_show_the_system_and_no_secret(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    hass_client: ClientSessionGenerator,
) -> None:
    await bridge.tell_all()
    await processor.tell_all()
    async_fire_mqtt_message(hass, "skylapse/roof/west/state", b"{}")
    await hass.async_block_till_done()
    told = await get_diagnostics_for_config_entry(hass, hass_client, loaded)
    assert told["subjects"]["camera:roof/west"]["state"]["counts"]["captured"] == 240
    assert told["subjects"]["camera:roof/west"]["preview"].endswith("bytes")
    assert told["deployed"]["plan/roof/west"]["version"] == 1
    assert told["complaints"] == ["skylapse/roof/west/state"]
    assert len(told["subentries"]) == 11
    for secret in (KEY, "127.0.0.1", "100000003d1d1c36", "dc:a6:32", "Europe/Vienna"):
        assert secret not in str(told)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("http://10.0.0.7:8097/api refused", "http://**REDACTED**/api refused"),
        ("rtsp://me:secret@cam.lan/live", "rtsp://**REDACTED**/live"),
        ("pinned to https://[fd00::1]:8097", "pinned to https://**REDACTED**"),
        ("192.168.1.4 is away, b8:27:EB:01:02:03 too", "**REDACTED** is away, **REDACTED** too"),
        ("media-source://skylapse/film/1 of 24.5.1", "media-source://skylapse/film/1 of 24.5.1"),
        ("from fe80::1:2:3:4%eth0: refused", "from **REDACTED**: refused"),
        ("[2001:db8::5]:1883 and 2001:db8:0:0:1:2:3:4.", "[**REDACTED**]:1883 and **REDACTED**."),
        ("at 12:34:56 in std::map of a:b", "at 12:34:56 in std::map of a:b"),
    ],
)
async def test_diagnostics_hide_addresses_within_words(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    bridge: Bridge,
    hass_client: ClientSessionGenerator,
    words: str,
    shown: str,
) -> None:
    await bridge.arrive()
    await bridge.say(topics.HEALTH, replace(HEALTH, uplink_problem=words))
    told = await get_diagnostics_for_config_entry(hass, hass_client, loaded)
    assert told["subjects"]["bridge:roof"]["health"]["uplink_problem"] == shown


async def test_diagnostics_name_the_repairs_and_why_films_cannot_be_read(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    processor_server: FakeProcessor,
    hass_client: ClientSessionGenerator,
) -> None:
    processor_server.broken = 500
    await processor.arrive()
    await bridge.arrive(schema_min=2, schema_max=2)
    told = await get_diagnostics_for_config_entry(hass, hass_client, loaded)
    assert told["issues"] == ["contract_apart_roof"]
    assert told["processor_failure"] == "films answered 500"


async def test_a_device_has_diagnostics_of_its_own(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, hass_client: ClientSessionGenerator
) -> None:
    await bridge.tell_all()
    roof = device(hass, loaded, "roof")
    told = await get_diagnostics_for_device(hass, hass_client, loaded, roof)
    assert told["present"]
    assert told["facts"]["health"]["cpu_temperature_c"] == 48.5
    loaded.runtime_data.coordinator.system.bridges.clear()
    assert await get_diagnostics_for_device(hass, hass_client, loaded, roof) == {"present": False}


async def test_the_device_of_a_schedule_shows_what_it_says(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    told = await get_diagnostics_for_device(
        hass, hass_client, loaded, device(hass, loaded, "schedule:sunset")
    )
    assert (told["present"], told["title"]) == (True, "Sunset")
    assert told["data"]["anchor"] == "sunset"


async def test_system_health_asks_everybody(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    processor_server: FakeProcessor,
) -> None:
    await bridge.arrive()
    told: dict[str, Any] = {}

    class Registration:
        def async_register_info(self, info: Any) -> None:
            told["info"] = info

    system_health.async_register(hass, Registration())  # type: ignore[arg-type]
    answer = await told["info"](hass)
    assert answer["bridges"] == "1 / 1"
    assert (answer["broker"], answer["cameras"], answer["contract"]) == (True, 1, "1")
    assert (answer["version"], answer["bridge_versions"]) == ("0.1.0", "Roof 0.1.0")
    assert answer["processor_version"] == "–"
    await processor.arrive()
    assert (await told["info"](hass))["processor_version"] == "0.1.0"
    assert await answer["processor"] == "ok"
    for status, error in ((401, "invalid_key"), (500, "unreachable")):
        processor_server.broken = status
        assert await (await told["info"](hass))["processor"] == {"type": "failed", "error": error}
    hass.config_entries.async_update_entry(loaded, data={"root": "skylapse"})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await (await told["info"](hass))["processor"] == "–"
    await hass.config_entries.async_unload(loaded.entry_id)
    assert await told["info"](hass) == {}
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=10))
    await hass.async_block_till_done()
