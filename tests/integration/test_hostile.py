"""Payloads that fit nothing: one line in the log, and everything goes on. And many of everything."""

import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from types import EllipsisType
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_mqtt_message

from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.errors import ProtocolError
from tests.integration.speakers import WEST, Bridge, Processor

GOLDEN = Path(__file__).parents[2] / "protocol" / "messages" / "v1"
HEARD = [row for row in topics.TOPICS if row.sender != "brain"]
IDS = {"bridge": "roof", "camera": "west", "job": "j"}
COMPLAINT = "Ignored a message that does not fit the contract"


def name_of(row: topics.Topic[Any]) -> str:
    """Return a topic of this row."""
    return row.name(**{key: value for key, value in IDS.items() if f"{{{key}}}" in row.path})


def right(row: topics.Topic[Any]) -> dict[str, Any]:
    """Return a message that belongs on a topic, empty for those that are no JSON."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", row.message.__name__).lower()
    if name in ("str", "bytes"):
        return {}
    golden: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return golden


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=12), values, max_size=4),
    max_leaves=12,
)
BYTES = (
    st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()) | st.just(b"x" * 70_000)
)


@st.composite
def twisted(draw: st.DrawFn, row: topics.Topic[Any]) -> bytes:
    """Return a payload near what belongs on a topic: fields are something else, or gone."""
    message: dict[str, Any] = right(row)
    if not message or draw(st.integers(0, 3)) == 0:
        return draw(BYTES)
    gone: EllipsisType = ...
    names = st.sampled_from(sorted(message))
    changes = draw(st.dictionaries(names, VALUES | st.just(gone), max_size=3))
    return json.dumps(
        {key: value for key, value in {**message, **changes}.items() if value is not gone}
    ).encode()


def lines(topic: str, payloads: list[bytes]) -> int:
    """Return how many lines the log is to get: one whenever a topic turns from right to wrong."""
    told, number = False, 0
    for payload in payloads:
        try:
            topics.decode(topic, payload)
            told = False
        except ProtocolError:
            number += not told
            told = True
    return number


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
@given(data=st.data())
async def test_whatever_is_said_on_any_topic_nothing_breaks(
    hass: HomeAssistant,
    all_enabled: None,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    caplog: pytest.LogCaptureFixture,
    data: st.DataObject,
) -> None:
    await bridge.arrive()
    await processor.arrive()
    loaded.runtime_data.coordinator.complaints.clear()
    caplog.clear()
    row = data.draw(st.sampled_from(HEARD))
    payloads = data.draw(st.lists(twisted(row), min_size=1, max_size=4))
    for payload in payloads:
        async_fire_mqtt_message(hass, name_of(row), payload)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert "Traceback" not in caplog.text
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []
    assert caplog.text.count(COMPLAINT) == lines(name_of(row), payloads)


@pytest.mark.parametrize("topic", [name_of(row) for row in HEARD])
async def test_hostile_payloads_are_one_line_in_the_log(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    bridge: Bridge,
    caplog: pytest.LogCaptureFixture,
    topic: str,
) -> None:
    await bridge.arrive()
    before = {state.entity_id: state.state for state in hass.states.async_all()}
    for payload in (b"\xff\x00\xfe", b"{}", b"[1]", b"x" * 70_000, b'{"schema": 99}'):
        async_fire_mqtt_message(hass, topic, payload)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert {state.entity_id: state.state for state in hass.states.async_all()} == before
    assert caplog.text.count(COMPLAINT) == 1
    assert topic in caplog.text
    assert "Traceback" not in caplog.text


async def test_topics_with_names_that_are_none_are_told_of_too(
    hass: HomeAssistant, loaded: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    before = hass.states.async_entity_ids()
    for number in range(250):
        async_fire_mqtt_message(hass, f"skylapse/Bad Name {number}/announce", b"{}")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert caplog.text.count("Ignored a message") == 200
    assert hass.states.async_entity_ids() == before


async def test_fifty_cameras_come_and_go_without_a_word_in_the_log(
    hass: HomeAssistant, loaded: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    before = hass.states.async_entity_ids()
    cameras = tuple(replace(WEST, id=f"c{number}", name=f"Camera {number}") for number in range(10))
    bridges = [Bridge(hass) for _ in range(5)]
    for number, bridge in enumerate(bridges):
        host = replace(bridge.announce.host, serial=f"s{number}")
        await bridge.arrive(bridge=f"b{number}", name=f"Bridge {number}", cameras=cameras, host=host)
    assert len(hass.states.async_entity_ids("event")) == 50
    assert hass.states.get("image.bridge_4_camera_9") is not None
    for bridge in bridges:
        await bridge.say(topics.ANNOUNCE, None, bridge=bridge.announce.bridge)
    assert hass.states.async_entity_ids() == before
    told = [each for each in caplog.records if each.name.startswith("custom_components")]
    assert [each.getMessage() for each in told if each.levelno >= logging.WARNING] == []
