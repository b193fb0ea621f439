"""Somebody on the broker: hears all of a bridge as messages of the contract, and can speak."""

import asyncio
from dataclasses import dataclass
from typing import Any, TypeVar

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.messages import Command, Reply
from skylapse_protocol.topics import COMMAND, REPLY, Topic, decode, encode
from tests.support.waiting import until

M = TypeVar("M")


@dataclass(frozen=True)
class Heard:
    """One message."""

    topic: Topic[Any]
    ids: dict[str, str]
    message: Any
    retained: bool


class Listener:
    """Hears everything under the root from `start` on."""

    def __init__(self, port: int, *, bridge: str = "roof") -> None:
        self._bridge = bridge
        self._port = port
        self.heard: list[Heard] = []
        self._subscribed = False
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.on_message = self._hear
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = self._ready

    async def start(self) -> None:
        """Connect and subscribe."""
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        await until(lambda: self._subscribed, what="the subscription")

    async def stop(self) -> None:
        """Go away."""
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    def _subscribe(self, *_: Any) -> None:
        self._client.subscribe("skylapse/#", options=SubscribeOptions(qos=1, retainAsPublished=True))

    def _ready(self, *_: Any) -> None:
        self._subscribed = True

    def _hear(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        try:
            decoded = decode(message.topic, bytes(message.payload))
        except ProtocolError:
            return
        self.heard.append(Heard(decoded.topic, decoded.ids, decoded.message, message.retain))

    def all(self, row: Topic[M]) -> list[M]:
        """Everything heard on a row of the map, oldest first."""
        return [heard.message for heard in list(self.heard) if heard.topic is row]

    async def next(self, row: Topic[M], after: int = 0, **wanted: Any) -> M:
        """Wait for a message of a row, behind the first `after`, whose fields are as wanted.

        What is wanted of a field is a value, or a function that says whether it will do.
        """

        def found() -> M | None:
            for message in self.all(row)[after:]:
                if all(_as_wanted(getattr(message, name), each) for name, each in wanted.items()):
                    return message
            return None

        message = await until(found, what=f"{row.path} {wanted}")
        assert message is not None
        return message

    def say(self, row: Topic[Any], message: object, *, retain: bool | None = None, **ids: str) -> None:
        """Publish a message of the contract."""
        payload = encode(row, message) if message is not None else b""
        self.raw(
            row.name(bridge=self._bridge, **ids), payload, retain=row.retained if retain is None else retain
        )

    def raw(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish any bytes."""
        self._client.publish(topic, payload, qos=1, retain=retain)

    async def ask(self, command: Command, *, camera: str = "west", retain: bool = False) -> Reply:
        """Send a command and wait for its next reply."""
        before = sum(reply.id == command.id for reply in self.all(REPLY))
        self.say(COMMAND, command, retain=retain, camera=camera)

        def answered() -> Reply | None:
            replies = [reply for reply in self.all(REPLY) if reply.id == command.id]
            return replies[before] if len(replies) > before else None

        reply = await until(answered, what=f"the reply to {command.name}")
        assert reply is not None
        return reply


def _as_wanted(value: object, wanted: object) -> bool:
    return bool(wanted(value)) if callable(wanted) else value == wanted


def nothing_but_late(last_error: str | None) -> bool:
    """Tell whether nothing is wrong; the clock that a test moves may be too fast for the machine."""
    return last_error is None or "too late since" in last_error
