"""Home Assistant with Skylapse in it, and everything around it: broker, bridges, processor."""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from pathlib import Path
from typing import Any
from unittest.mock import Mock, PropertyMock, patch

import freezegun
import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components import camera
from homeassistant.components.camera.const import DATA_COMPONENT
from homeassistant.const import MAJOR_VERSION, MINOR_VERSION
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.setup import async_setup_component
from homeassistant.util import executor
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_mock_service
from pytest_homeassistant_custom_component.typing import MqttMockHAClient, MqttMockPahoClient

from custom_components.skylapse.configuration import built_in_subentries
from custom_components.skylapse.const import DOMAIN
from tests.integration.darkroom import BEFORE, Depot, View, settle, subentries
from tests.integration.speakers import Bridge, Processor
from tests.integration.theatre import KEY, FakeProcessor

HERE = Path(__file__).parent
EVENTS = "event.roof_west_events"

type Listen = Callable[..., Awaitable[list[ServiceCall]]]

freezegun.configure(
    extend_ignore_list=["custom_components.skylapse.protocol", "custom_components.skylapse.any_camera.ledger"]
)
"""The contract compares types; a frozen `datetime` is another one."""

executor.EXECUTOR_SHUTDOWN_TIMEOUT = 300
"""Of a tenth of this each worker thread has its share, to end after a test. One that is interrupted instead,
where the machine stood still for so long, wakes no other, and the test is blamed for those that are left.
"""


@pytest.fixture(autouse=True)
async def enable_event_loop_debug() -> None:
    """Have asyncio watch every callback on the newest release alone: on both it would be half of the time.

    It says nothing of slow ones: how slow they are is the machine's, and a warning of it, now and then, would
    stand among those that tests count.
    """
    loop = asyncio.get_running_loop()
    loop.set_debug((MAJOR_VERSION, MINOR_VERSION) > (2026, 10))
    loop.slow_callback_duration = math.inf


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Warnings in Home Assistant's own code are its own; those in Skylapse stay errors."""
    for item in items:
        if item.path.is_relative_to(HERE) or item.path.is_relative_to(HERE.parent / "blueprints"):
            item.add_marker(pytest.mark.filterwarnings("error:::custom_components"), append=False)
            item.add_marker(pytest.mark.filterwarnings("ignore"), append=False)


@pytest.fixture(autouse=True)
def _custom_integrations(enable_custom_integrations: None) -> None:
    """Let Home Assistant find Skylapse, before MQTT starts, which reads manifests for their topics."""


@pytest.fixture
async def mqtt(
    hass: HomeAssistant, mqtt_mock: MqttMockHAClient, mqtt_client_mock: MqttMockPahoClient
) -> AsyncGenerator[MqttMockHAClient]:
    """MQTT as Home Assistant's own, with its keep-alive timer stopped in the end as the real client does.

    Skylapse is unloaded first: the harness unloads all at once, and a client that has left before Skylapse
    unsubscribes waits for a timer that nobody ends.
    """
    yield mqtt_mock
    for entry in hass.config_entries.async_loaded_entries(DOMAIN):
        await hass.config_entries.async_unload(entry.entry_id)
    mqtt_client_mock.on_socket_close(mqtt_client_mock, None, Mock(fileno=Mock(return_value=-1)))


@pytest.fixture(autouse=True)
def _short_listening() -> Generator[None]:
    """Let flows listen for an instant, and films be read at once: what is retained here comes at once."""
    with (
        patch("custom_components.skylapse.listen.LISTEN_S", 0.2),
        patch("custom_components.skylapse.coordinator.LOAD_AFTER_S", 0.0),
    ):
        yield


@pytest.fixture
async def processor_server(socket_enabled: None) -> AsyncGenerator[FakeProcessor]:
    """A small HTTP server that speaks the processor's API, on a free loopback port."""
    server = FakeProcessor()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def entry_data(processor_server: FakeProcessor) -> dict[str, Any]:
    """What an entry keeps that is connected to the processor."""
    return {"root": "skylapse", "processor_url": processor_server.url, "processor_key": KEY}


@pytest.fixture
def entry(entry_data: dict[str, Any]) -> MockConfigEntry:
    """An entry as the flow makes it, not yet set up."""
    return MockConfigEntry(
        domain=DOMAIN,
        title="Skylapse",
        unique_id=DOMAIN,
        data=entry_data,
        subentries_data=built_in_subentries(),
    )


@pytest.fixture
async def loaded(hass: HomeAssistant, mqtt: MqttMockHAClient, entry: MockConfigEntry) -> MockConfigEntry:
    """The entry, set up, with nobody announced yet."""
    hass.config.latitude, hass.config.longitude, hass.config.elevation = 47.27, 11.40, 600
    await hass.config.async_set_time_zone("Europe/Vienna")
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    return entry


@pytest.fixture
def bridge(hass: HomeAssistant) -> Bridge:
    """A bridge `roof` with one camera `west`, silent until it is told to speak."""
    return Bridge(hass)


@pytest.fixture
def processor(hass: HomeAssistant, processor_server: FakeProcessor) -> Processor:
    """The processor's voice on MQTT."""
    return Processor(hass, processor_server)


@pytest.fixture
async def spoken(loaded: MockConfigEntry, bridge: Bridge, processor: Processor) -> MockConfigEntry:
    """The entry when bridge and processor have said everything."""
    await bridge.tell_all()
    await processor.tell_all()
    return loaded


@pytest.fixture
async def garden(hass: HomeAssistant) -> View:
    """A camera of Home Assistant itself, `camera.garden`."""
    view = View()
    assert await async_setup_component(hass, camera.DOMAIN, {})
    await hass.data[DATA_COMPONENT].async_add_entities([view])
    await settle(hass)
    return view


@pytest.fixture
async def depot(socket_enabled: None) -> AsyncGenerator[Depot]:
    """The processor's door for frames, on a free loopback port."""
    server = Depot()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def own_cameras(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    mqtt_client_mock: MqttMockPahoClient,
    garden: View,
    depot: Depot,
    tmp_path: Path,
    freezer: FrozenDateTimeFactory,
) -> MockConfigEntry:
    """The entry with the garden as a source and a window at noon, in ten seconds."""
    hand_on = mqtt_client_mock.publish.side_effect

    def publish(topic: str, payload: Any, qos: int, _retain: bool, properties: Any) -> Any:  # noqa: FBT001 paho's
        """Hand a message on to who has subscribed already: to him a broker never calls it retained."""
        return hand_on(topic, payload, qos, False, properties)

    mqtt_client_mock.publish.side_effect = publish
    freezer.move_to(BEFORE)
    hass.config.config_dir = str(tmp_path)
    await hass.config.async_set_time_zone("Europe/Vienna")
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Skylapse",
        unique_id=DOMAIN,
        data={"root": "skylapse", "processor_url": depot.url, "processor_key": KEY},
        subentries_data=subentries(("Garden", "camera.garden")),
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await settle(hass)
    return entry


@pytest.fixture
def all_enabled() -> Generator[None]:
    """Let every entity be enabled, those that are off by default too."""
    name = "homeassistant.helpers.entity.Entity.entity_registry_enabled_default"
    with patch(name, PropertyMock(return_value=True)):
        yield


@pytest.fixture
def listen(hass: HomeAssistant) -> Listen:
    """Set up an automation with one trigger; what it tells is in the list."""

    async def set_up(trigger: str, target: dict[str, Any] | None = None, **options: Any) -> list[ServiceCall]:
        told: list[ServiceCall] = async_mock_service(hass, "test", "told")
        row = {
            "trigger": f"skylapse.{trigger}",
            "target": {"entity_id": EVENTS} if target is None else target,
            "options": options,
        }
        actions = [{"action": "test.told", "data": {"trigger": "{{ trigger }}"}}]
        automation = {"id": "one", "alias": "one", "triggers": [row], "actions": actions}
        assert await async_setup_component(hass, "automation", {"automation": [automation]})
        await hass.async_block_till_done()
        return told

    return set_up
