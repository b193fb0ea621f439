"""What Home Assistant said on MQTT, read by the contract."""

import asyncio
from typing import Any
from unittest.mock import DEFAULT

from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import Command
from demo.waiting import PATIENCE_S


def published(mqtt: MqttMockHAClient, topic: str) -> list[bytes]:
    """Return everything that was published on a topic, in order."""
    calls = (call.args for call in mqtt.async_publish.call_args_list)
    return [_raw(args[1]) for args in calls if args[0] == topic]


def last(mqtt: MqttMockHAClient, topic: str) -> Any:
    """Return the last message on a topic, decoded."""
    return topics.decode(topic, published(mqtt, topic)[-1]).message


def commands(mqtt: MqttMockHAClient, topic: str) -> list[Command]:
    """Return the commands that were sent."""
    return [topics.decode(topic, payload).message for payload in published(mqtt, topic)]  # type: ignore[misc]


async def published_soon(mqtt: MqttMockHAClient, topic: str, number: int = 1) -> bytes:
    """Wait for the `number`-th message on a topic and return it."""
    spoken = asyncio.Event()

    def hear(*_args: Any, **_kwargs: Any) -> Any:
        spoken.set()
        return DEFAULT

    mqtt.async_publish.side_effect = hear
    try:
        async with asyncio.timeout(PATIENCE_S):
            while len(published(mqtt, topic)) < number:
                spoken.clear()
                await spoken.wait()
    finally:
        mqtt.async_publish.side_effect = None
    return published(mqtt, topic)[number - 1]


async def sent(mqtt: MqttMockHAClient, topic: str, number: int = 1) -> Command:
    """Return the command that goes out as the `number`-th."""
    payload = await published_soon(mqtt, topic, number)
    return topics.decode(topic, payload).message  # type: ignore[return-value]


def _raw(payload: Any) -> bytes:
    return payload if isinstance(payload, bytes) else str(payload).encode()
