"""What Home Assistant said on MQTT, read by the contract."""

import asyncio
from typing import Any

from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import Command


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


async def sent(mqtt: MqttMockHAClient, topic: str, number: int = 1) -> Command:
    """Return the command that goes out as the `number`-th."""
    for _ in range(1000):
        if len(commands(mqtt, topic)) >= number:
            return commands(mqtt, topic)[number - 1]
        await asyncio.sleep(0)
    raise AssertionError(f"no command {number} on {topic}")


def _raw(payload: Any) -> bytes:
    return payload if isinstance(payload, bytes) else str(payload).encode()
