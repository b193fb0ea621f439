"""Setting Skylapse up, changing it, and what goes wrong on the way; every error is followed by a recovery."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import Mock, patch

import pytest
from homeassistant.config_entries import (
    SOURCE_HASSIO,
    SOURCE_MQTT,
    SOURCE_USER,
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.service_info.hassio import HassioServiceInfo
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_mqtt_message
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.protocol import topics
from tests.integration.speakers import ANNOUNCE, FILM, Bridge, Processor
from tests.integration.theatre import KEY, FakeProcessor
from tests.integration.troubles import moved_to

CLOSED = "http://127.0.0.1:1"
WAIT = {"wait_background_tasks": True}
BUILT_IN = {"a", "b", "c", "d", "e", "f", "sunrise", "sunset", "daytime", "night", "hourly"}


@pytest.fixture
def app(processor_server: FakeProcessor) -> HassioServiceInfo:
    """What the Supervisor hands over of the app."""
    config = {"host": "127.0.0.1", "port": int(processor_server.url.rsplit(":", 1)[1]), "key": KEY}
    return HassioServiceInfo(config=config, name="Skylapse processor", slug="abc_skylapse", uuid="u1")


async def found_by_mqtt(hass: HomeAssistant, payload: bytes | None = None) -> Any:
    """Let a bridge announce itself; return the flow that waits for a click, None where there is none."""
    await hass.async_block_till_done(**WAIT)
    raw = topics.encode(topics.ANNOUNCE, ANNOUNCE) if payload is None else payload
    async_fire_mqtt_message(hass, "skylapse/roof/announce", raw)
    await hass.async_block_till_done(**WAIT)
    flows = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    return flows[0] if flows else None


async def answer(hass: HomeAssistant, flow: Any, **fields: Any) -> Any:
    """Fill in the form of a flow."""
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], fields)
    await hass.async_block_till_done(**WAIT)
    return result


async def begin(hass: HomeAssistant, source: str, data: Any = None) -> Any:
    """Start a flow and return its first step."""
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": source}, data=data)
    await hass.async_block_till_done(**WAIT)
    return result


def announce(hass: HomeAssistant, root: str = "skylapse", **changes: Any) -> None:
    """Let a bridge announce itself, and wait for nobody."""
    said = replace(ANNOUNCE, **changes)
    async_fire_mqtt_message(hass, f"{root}/{said.bridge}/announce", topics.encode(topics.ANNOUNCE, said))


@contextmanager
def heard(*say: Callable[[], None]) -> Generator[None]:
    """While the next flow listens, let all these announce themselves: it listens just as long."""
    left = list(say)

    async def listen(_seconds: float) -> None:
        while left:
            left.pop(0)()

    with patch("custom_components.skylapse.listen.asyncio", Mock(sleep=listen)):
        yield


async def while_announced(flow: Awaitable[Any], *say: Callable[[], None]) -> Any:
    """Return what a flow shows that listens while all these announce themselves, one after the other."""
    with heard(*say):
        return await flow


# ---------------------------------------------------------------- found by MQTT


async def test_a_bridge_is_found_and_confirmed_with_one_click(
    hass: HomeAssistant, mqtt: MqttMockHAClient, processor: Processor, processor_server: FakeProcessor
) -> None:
    await hass.async_block_till_done(**WAIT)
    await processor.arrive()
    flow = await found_by_mqtt(hass)
    assert flow["context"]["title_placeholders"]["name"] in ("Roof", "House")
    result = await answer(hass, flow, processor_key=KEY, processor_url=processor_server.url)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {"root": "skylapse", "processor_url": processor_server.url, "processor_key": KEY}
    entry = result["result"]
    assert {each.unique_id for each in entry.subentries.values()} == BUILT_IN
    assert entry.state is ConfigEntryState.LOADED


async def test_the_announced_address_is_taken_where_none_is_given(
    hass: HomeAssistant, mqtt: MqttMockHAClient, processor: Processor, processor_server: FakeProcessor
) -> None:
    await hass.async_block_till_done(**WAIT)
    with heard(processor.announce, lambda: announce(hass, bridge="barn", name="Barn")):
        announce(hass)
        await hass.async_block_till_done(**WAIT)
    flow = hass.config_entries.flow.async_progress_by_handler(DOMAIN)[0]
    form: Any = await hass.config_entries.flow.async_configure(flow["flow_id"])
    assert form["description_placeholders"]["processor"] == f"House ({processor_server.url})"
    assert form["description_placeholders"]["names"] == "Barn, Roof"
    result = await answer(hass, flow, processor_key=KEY)
    assert result["data"]["processor_url"] == processor_server.url


async def test_without_a_processor_the_key_can_wait(hass: HomeAssistant, mqtt: MqttMockHAClient) -> None:
    flow = await found_by_mqtt(hass)
    result = await answer(hass, flow)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {"root": "skylapse"}


@pytest.mark.parametrize("payload", [b"", b"\x00\xff", b"{}", b'{"schema": 1, "bridge": "../x"}'])
async def test_what_is_no_announce_offers_nothing(
    hass: HomeAssistant, mqtt: MqttMockHAClient, payload: bytes
) -> None:
    assert await found_by_mqtt(hass, payload) is None
    assert await found_by_mqtt(hass) is not None


async def test_a_second_bridge_offers_nothing_where_skylapse_is_set_up(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    assert await found_by_mqtt(hass) is None


@pytest.mark.parametrize(
    ("fields", "field", "error"),
    [
        ({"processor_key": "wrong"}, "processor_key", "invalid_key"),
        ({"processor_key": KEY, "processor_url": CLOSED}, "processor_url", "cannot_connect"),
        ({"processor_key": KEY, "processor_url": "house:8097"}, "processor_url", "invalid_url"),
        ({"processor_key": KEY, "processor_url": "http://[bad"}, "processor_url", "invalid_url"),
    ],
)
async def test_a_wrong_key_or_address_is_said_at_its_field(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    processor_server: FakeProcessor,
    fields: dict[str, Any],
    field: str,
    error: str,
) -> None:
    flow = await found_by_mqtt(hass)
    result = await answer(hass, flow, **{"processor_url": processor_server.url, **fields})
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {field: error}
    result = await answer(hass, flow, processor_key=KEY, processor_url=processor_server.url)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_key_without_any_address_is_said(
    hass: HomeAssistant, mqtt: MqttMockHAClient, processor_server: FakeProcessor
) -> None:
    flow = await found_by_mqtt(hass)
    result = await answer(hass, flow, processor_key=KEY)
    assert result["errors"] == {"processor_url": "processor_unknown"}
    result = await answer(hass, flow, processor_key=KEY, processor_url=processor_server.url)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_processor_that_fails_is_said(
    hass: HomeAssistant, mqtt: MqttMockHAClient, processor_server: FakeProcessor
) -> None:
    flow = await found_by_mqtt(hass)
    processor_server.broken = 500
    result = await answer(hass, flow, processor_key=KEY, processor_url=processor_server.url)
    assert result["errors"] == {"processor_url": "cannot_connect"}
    processor_server.broken = None
    result = await answer(hass, flow, processor_key=KEY, processor_url=processor_server.url)
    assert result["type"] is FlowResultType.CREATE_ENTRY


# ---------------------------------------------------------------- by hand


async def test_by_hand_it_says_how_many_bridges_are_heard(
    hass: HomeAssistant, mqtt: MqttMockHAClient
) -> None:
    flow = hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    form = await while_announced(flow, lambda: announce(hass))
    assert form["description_placeholders"]["bridges"] == "1"
    assert form["description_placeholders"]["names"] == "Roof"
    assert form["description_placeholders"]["processor"] == "–"


async def test_by_hand_an_entry_is_made_under_another_root(
    hass: HomeAssistant, mqtt: MqttMockHAClient, processor_server: FakeProcessor
) -> None:
    form = await begin(hass, SOURCE_USER)
    assert form["description_placeholders"]["bridges"] == "0"
    for root in ("house/#", "$SYS", "$share/x", "/house", "house/", "a//b", "+", "a\nb", "x" * 101):
        result = await answer(hass, form, root=root)
        assert result["errors"] == {"root": "invalid_root"}, root
    result = await answer(hass, form, root="house/sky", processor_key=KEY, processor_url=processor_server.url)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"]["root"] == "house/sky"


async def test_a_processor_is_heard_under_the_root_that_is_given(
    hass: HomeAssistant, mqtt: MqttMockHAClient, processor_server: FakeProcessor
) -> None:
    form = await begin(hass, SOURCE_USER)
    there = topics.encode(topics.PROCESSOR_ANNOUNCE, moved_to(processor_server.url))
    flow = hass.config_entries.flow.async_configure(form["flow_id"], {"root": "sky", "processor_key": KEY})
    result = await while_announced(
        flow, lambda: async_fire_mqtt_message(hass, "sky/processor/announce", there)
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {"root": "sky", "processor_url": processor_server.url, "processor_key": KEY}


async def test_without_mqtt_it_says_what_to_do_first(hass: HomeAssistant) -> None:
    result = await begin(hass, SOURCE_USER)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "mqtt_not_available")


async def test_a_second_entry_is_refused(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    result = await begin(hass, SOURCE_USER)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "single_instance_allowed")


# ---------------------------------------------------------------- by the Supervisor


async def test_the_app_brings_address_and_key(
    hass: HomeAssistant, mqtt: MqttMockHAClient, app: HassioServiceInfo, processor_server: FakeProcessor
) -> None:
    form = await begin(hass, SOURCE_HASSIO, app)
    assert form["description_placeholders"] == {"app": "Skylapse processor"}
    processor_server.broken = 503
    result = await answer(hass, form)
    assert result["errors"] == {"base": "cannot_connect"}
    processor_server.broken = None
    result = await answer(hass, form)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].unique_id == DOMAIN
    assert result["data"]["processor_key"] == KEY
    assert result["data"]["processor_url"] == processor_server.url


async def test_the_app_without_mqtt_says_what_to_do_first(
    hass: HomeAssistant, app: HassioServiceInfo
) -> None:
    form = await begin(hass, SOURCE_HASSIO, app)
    result = await answer(hass, form)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "mqtt_not_available")


@pytest.mark.parametrize("entry_data", [{"root": "skylapse"}])
async def test_an_app_that_comes_later_connects_the_entry(
    hass: HomeAssistant, loaded: MockConfigEntry, app: HassioServiceInfo, processor_server: FakeProcessor
) -> None:
    result = await begin(hass, SOURCE_HASSIO, app)
    assert result["reason"] == "already_configured"
    assert loaded.data["processor_url"] == processor_server.url
    assert loaded.data["root"] == "skylapse"
    assert loaded.runtime_data.coordinator.client is not None


async def test_an_app_does_not_take_over_a_processor_that_was_chosen_by_hand(
    hass: HomeAssistant, loaded: MockConfigEntry, app: HassioServiceInfo
) -> None:
    app.config["key"] = "another"
    await begin(hass, SOURCE_HASSIO, app)
    assert loaded.data["processor_key"] == KEY


@pytest.mark.parametrize("missing", ["host", "port", "key"])
async def test_an_app_that_hands_over_half_of_it_offers_nothing(
    hass: HomeAssistant, mqtt: MqttMockHAClient, app: HassioServiceInfo, missing: str
) -> None:
    del app.config[missing]
    result = await begin(hass, SOURCE_HASSIO, app)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "invalid_discovery_info")


async def test_an_app_that_moved_brings_its_new_address(
    hass: HomeAssistant, loaded: MockConfigEntry, app: HassioServiceInfo
) -> None:
    hass.config_entries.async_update_entry(loaded, data={**loaded.data, "app": app.slug})
    app.config["host"] = "localhost"
    await begin(hass, SOURCE_HASSIO, app)
    assert loaded.data["processor_url"].startswith("http://localhost:")


async def test_while_a_click_is_waited_for_the_other_discovery_may_win(
    hass: HomeAssistant, mqtt: MqttMockHAClient, app: HassioServiceInfo, processor_server: FakeProcessor
) -> None:
    supervisor = await begin(hass, SOURCE_HASSIO, app)
    found = await found_by_mqtt(hass)
    by_mqtt = next(
        flow
        for flow in hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        if flow["context"]["source"] == SOURCE_MQTT
    )
    assert found is not None
    processor_server.broken = 503
    assert (await answer(hass, by_mqtt))["type"] is FlowResultType.CREATE_ENTRY
    processor_server.broken = None
    result = await answer(hass, supervisor)
    assert result["reason"] == "already_configured"
    entry = hass.config_entries.async_entries(DOMAIN)[0]
    assert entry.data["processor_url"] == processor_server.url


# ---------------------------------------------------------------- how many steps it takes


async def photograph(hass: HomeAssistant, bridge: Bridge, processor: Processor) -> None:
    """Let the bridge take a frame and the processor make a film; see both, and what was deployed."""
    await bridge.tell_all()
    await processor.tell_all()
    for picture in ("image.roof_west", "image.roof_west_film"):
        state = hass.states.get(picture)
        assert state is not None
        assert state.state not in ("unknown", "unavailable")
    entry = hass.config_entries.async_loaded_entries(DOMAIN)[0]
    facts = entry.runtime_data.coordinator.camera("roof/west")
    assert facts is not None
    assert facts.plan_revision is not None
    assert entry.runtime_data.coordinator.library.get(FILM.id) is not None


async def test_where_the_app_announces_itself_one_confirm_is_enough(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    app: HassioServiceInfo,
    bridge: Bridge,
    processor: Processor,
) -> None:
    assert await found_by_mqtt(hass) is not None
    flow = await begin(hass, SOURCE_HASSIO, app)
    assert flow["data_schema"] is None
    assert (await answer(hass, flow))["type"] is FlowResultType.CREATE_ENTRY
    assert hass.config_entries.flow.async_progress_by_handler(DOMAIN) == []
    await photograph(hass, bridge, processor)


async def test_it_does_not_matter_which_of_the_two_is_confirmed(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    app: HassioServiceInfo,
    bridge: Bridge,
    processor: Processor,
) -> None:
    await begin(hass, SOURCE_HASSIO, app)
    await found_by_mqtt(hass)
    flows = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    by_mqtt = next(flow for flow in flows if flow["context"]["source"] == SOURCE_MQTT)
    result = await answer(hass, by_mqtt)
    assert result["data"]["processor_key"] == KEY
    assert hass.config_entries.flow.async_progress_by_handler(DOMAIN) == []
    await photograph(hass, bridge, processor)


async def test_otherwise_one_confirm_with_one_key_field_is_enough(
    hass: HomeAssistant, mqtt: MqttMockHAClient, bridge: Bridge, processor: Processor
) -> None:
    with heard(processor.announce):
        flow = await found_by_mqtt(hass)
    assert (await answer(hass, flow, processor_key=KEY))["type"] is FlowResultType.CREATE_ENTRY
    await photograph(hass, bridge, processor)


async def test_a_second_bridge_takes_no_step_at_all(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await Bridge(hass).arrive(bridge="barn", name="Barn")
    assert hass.config_entries.flow.async_progress_by_handler(DOMAIN) == []
    assert hass.states.get("image.barn_west") is not None


# ---------------------------------------------------------------- later


async def test_reconfiguring_moves_to_another_processor(
    hass: HomeAssistant, loaded: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    flow = await loaded.start_reconfigure_flow(hass)
    suggested = {str(key): key.description for key in flow["data_schema"].schema}
    assert suggested == {
        "processor_key": None,
        "processor_url": {"suggested_value": processor_server.url},
        "root": {"suggested_value": "skylapse"},
    }
    result = await answer(hass, flow, processor_url=CLOSED)
    assert result["errors"] == {"processor_url": "cannot_connect"}
    url = processor_server.url + "/"
    result = await answer(hass, flow, processor_key="", processor_url=url)
    assert result["reason"] == "reconfigure_successful"
    assert loaded.data == {"root": "skylapse", "processor_url": url, "processor_key": KEY}
    assert loaded.state is ConfigEntryState.LOADED


async def test_reconfiguring_says_who_is_heard_though_the_processor_is_heard_first(
    hass: HomeAssistant, loaded: MockConfigEntry, processor: Processor
) -> None:
    flow = loaded.start_reconfigure_flow(hass)
    form = await while_announced(flow, processor.announce, lambda: announce(hass))
    assert form["description_placeholders"]["bridges"] == "1"
    assert form["description_placeholders"]["names"] == "Roof"


@pytest.mark.parametrize(("changes", "kept"), [({}, "abc_skylapse"), ({"processor_url": "/"}, None)])
async def test_reconfiguring_keeps_the_app_while_its_address_is_the_same(
    hass: HomeAssistant, loaded: MockConfigEntry, changes: dict[str, str], kept: str | None
) -> None:
    hass.config_entries.async_update_entry(loaded, data={**loaded.data, "app": "abc_skylapse"})
    flow = await loaded.start_reconfigure_flow(hass)
    url = loaded.data["processor_url"] + changes.get("processor_url", "")
    result = await answer(hass, flow, processor_url=url, root="skylapse")
    assert result["reason"] == "reconfigure_successful"
    assert loaded.data.get("app") == kept


async def test_reconfiguring_moves_to_another_root(
    hass: HomeAssistant, loaded: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    flow = await loaded.start_reconfigure_flow(hass)
    result = await answer(hass, flow, processor_url=processor_server.url, root="$SYS")
    assert result["errors"] == {"root": "invalid_root"}
    result = await answer(hass, flow, processor_url=processor_server.url, root="house/sky")
    assert result["reason"] == "reconfigure_successful"
    assert loaded.data["root"] == "house/sky"
    assert len(loaded.subentries) == len(BUILT_IN)
    announce(hass, root="house/sky")
    await hass.async_block_till_done(**WAIT)
    assert hass.states.get("image.roof_west") is not None


async def test_reconfiguring_works_while_mqtt_is_away(
    hass: HomeAssistant, entry: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    entry.add_to_hass(hass)
    flow = await entry.start_reconfigure_flow(hass)
    result = await answer(hass, flow, processor_key=KEY, processor_url=processor_server.url)
    assert result["reason"] == "reconfigure_successful"


async def test_reconfiguring_can_take_the_processor_away(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    flow = await loaded.start_reconfigure_flow(hass)
    result = await answer(hass, flow)
    assert result["reason"] == "reconfigure_successful"
    assert loaded.data == {"root": "skylapse"}
    assert loaded.runtime_data.coordinator.client is None


async def test_a_revoked_key_is_asked_for_anew(
    hass: HomeAssistant, loaded: MockConfigEntry, processor: Processor, processor_server: FakeProcessor
) -> None:
    processor_server.broken = 401
    await processor.arrive()
    flow = hass.config_entries.flow.async_progress_by_handler(DOMAIN)[0]
    assert flow["step_id"] == "reauth_confirm"
    result = await answer(hass, flow, processor_key="still wrong")
    assert result["errors"] == {"base": "invalid_key"}
    processor_server.broken = None
    result = await answer(hass, flow, processor_key=KEY)
    assert result["reason"] == "reauth_successful"
    assert loaded.data["processor_key"] == KEY


async def test_options_are_kept_and_used(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    form = await hass.config_entries.options.async_init(loaded.entry_id)
    assert form["step_id"] == "init"
    result = await hass.config_entries.options.async_configure(
        form["flow_id"], {"reply_limit_s": 30, "link_hours": 48}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done(**WAIT)
    assert loaded.options == {"reply_limit_s": 30, "link_hours": 48}
    assert loaded.state is ConfigEntryState.LOADED
