"""Listening for a few seconds: who announces himself on the broker, before there is an entry."""

import asyncio
from dataclasses import dataclass, field

from homeassistant.components import mqtt
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.service_info.mqtt import ReceivePayloadType

from .protocol import topics
from .protocol.errors import ProtocolError
from .protocol.messages import BridgeAnnounce, ProcessorAnnounce

LISTEN_S = 3.0
"""Retained announces come within a fraction of this; it covers a busy broker."""


@dataclass(kw_only=True, slots=True)
class Heard:
    """Who was heard."""

    bridges: dict[str, BridgeAnnounce] = field(default_factory=dict)
    processor: ProcessorAnnounce | None = None

    def take(self, topic: str, payload: bytes, root: str) -> bool:
        """Take in a payload; tell whether it was an announce that fits the contract."""
        try:
            message = topics.decode(topic, payload, root).message
        except ProtocolError:
            return False
        if isinstance(message, BridgeAnnounce):
            self.bridges[message.bridge] = message
        elif isinstance(message, ProcessorAnnounce):
            self.processor = message
        else:
            return False
        return True


def raw(payload: ReceivePayloadType) -> bytes:
    """Return a payload as the bytes that travelled."""
    return payload.encode() if isinstance(payload, str) else bytes(payload)


async def async_listen(hass: HomeAssistant, root: str, heard: Heard) -> None:
    """Hear announces for `LISTEN_S` seconds."""

    @callback
    def take(message: mqtt.ReceiveMessage) -> None:
        heard.take(message.topic, raw(message.payload), root)

    unsubscribe = await mqtt.async_subscribe(hass, topics.ANNOUNCE.filter(root), take, qos=1, encoding=None)
    try:
        await asyncio.sleep(LISTEN_S)
    finally:
        unsubscribe()
