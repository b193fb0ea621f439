"""Setting Skylapse up, changing it, and what goes wrong on the way; every error is followed by a recovery."""

from typing import Any

from homeassistant.config_entries import SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from pytest_homeassistant_custom_component.common import async_fire_mqtt_message
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.protocol import topics
from tests.integration.speakers import ANNOUNCE, Processor
from tests.integration.theatre import KEY, FakeProcessor

CLOSED = "http://127.0.0.1:1"


async def found_by_mqtt(
    hass: HomeAssistant, processor: Processor | None, payload: bytes | None = None
) -> Any:
    """Let a bridge announce itself; return the flow that waits for a click."""
    await hass.async_block_till_done(wait_background_tasks=True)
    if processor is not None:
        await processor.arrive()
    raw = topics.encode(topics.ANNOUNCE, ANNOUNCE) if payload is None else payload
    async_fire_mqtt_message(hass, "skylapse/roof/announce", raw, retain=True)
    await hass.async_block_till_done(wait_background_tasks=True)
    flows = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    return flows[0] if flows else None


async def added_by_hand(hass: HomeAssistant) -> Any:
    return await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})


async def test_a_bridge_is_found_and_confirmed_with_one_click(
    hass: HomeAssistant, mqtt: MqttMockHAClient, processor: Processor, processor_server: FakeProcessor
) -> None:
    flow = await found_by_mqtt(hass, processor)
    assert flow["context"]["title_placeholders"]["name"] in ("Roof", "House")
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], {"processor_key": KEY})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {
        "root": "skylapse",
        "processor_url": processor_server.url,
        "processor_key": KEY,
    }
    subentries = {each.unique_id: each.title for each in result["result"].subentries.values()}
    assert subentries["sunset"] == "Sunset"
    assert {"a", "b", "c", "d", "e", "f", "sunrise", "sunset", "daytime", "night", "hourly"} == set(
        subentries
    )
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_without_a_processor_the_key_can_wait(hass: HomeAssistant, mqtt: MqttMockHAClient) -> None:
    flow = await found_by_mqtt(hass, None)
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {"root": "skylapse"}
    await hass.async_block_till_done(wait_background_tasks=True)
