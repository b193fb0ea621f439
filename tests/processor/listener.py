"""Somebody on the broker who hears everything that is said, and can speak."""

import json
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from skylapse_protocol.topics import Topic, encode
from tests.support.waiting import wait_until


class Listener:
    """Somebody on the broker: hears everything under the root, can speak."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, Any, bool]] = []
        self._ready = False
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("skylapse/#", qos=1)
        self._client.loop_start()
        wait_until(lambda: self._ready, what="the subscription")

    def _on_subscribe(self, *_: Any) -> None:
        self._ready = True

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        try:
            value: Any = json.loads(message.payload)
        except (ValueError, RecursionError):
            value = message.payload.decode(errors="replace")
        self.heard.append((message.topic, value, message.retain))

    def on(self, topic: str) -> list[Any]:
        """What was heard on a topic."""
        return [value for name, value, _retained in self.heard if name == topic]

    def say(self, row: Topic[Any], message: object, **ids: str) -> None:
        """Publish a message of the contract."""
        self.raw(row.name(**ids), encode(row, message), retain=row.retained)

    def raw(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish any bytes."""
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def stop(self) -> None:
        """Go away."""
        self._client.disconnect()
        self._client.loop_stop()
