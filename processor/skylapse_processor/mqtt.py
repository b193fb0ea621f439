"""The door to the broker: MQTT 5 with a last will, everything retained told anew at every connect.

paho runs a thread of its own; what it hears is handed to the event loop, and nothing of ours runs in it.
That thread can die while `is_connected()` still says yes, so a watchdog looks at the thread, and at whether
our own `online` comes back from the broker; where either fails the client is built anew.
"""

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.topics import (
    ANNOUNCE,
    ORDERS,
    PLAN,
    PROCESSOR_AVAILABILITY,
    PROCESSOR_COMMAND,
    STATE,
    Decoded,
    Topic,
    decode,
    encode,
)

from .config import MqttConfig

_log = logging.getLogger(__name__)

M = TypeVar("M")

PING_S = 30.0
_KEEPALIVE_S = 30
_RECONNECT_S = (1, 30)
_DEFAULT_MAX_PACKET = 2_000_000
_PACKET_OVERHEAD = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """A message that came in, decoded."""

    decoded: Decoded
    retained: bool


class Mqtt:
    """The processor's connection to the broker."""

    def __init__(
        self,
        config: MqttConfig,
        client_id: str,
        *,
        hear: Callable[[Heard], Awaitable[None]],
        greet: Callable[[], Awaitable[None]],
        ping_s: float = PING_S,
    ) -> None:
        self._config = config
        self._client_id = client_id
        self._hear = hear
        self._greet = greet
        self._ping_s = ping_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: paho.Client | None = None
        self._queue: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._connected = asyncio.Event()
        self._missed = False
        self._max_packet = _DEFAULT_MAX_PACKET
        self._echo_at = 0.0

    @property
    def connected(self) -> asyncio.Event:
        """Set while the broker is there."""
        return self._connected

    async def start(self) -> None:
        """Connect, now or as soon as the broker is there."""
        self._loop = asyncio.get_running_loop()
        self._client = self._build()
        self._tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._watch())]

    async def stop(self) -> None:
        """Say goodbye and disconnect."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            client, self._client = self._client, None
            if self._connected.is_set():
                client.publish(self._topic(PROCESSOR_AVAILABILITY), b"offline", qos=1, retain=True)
            await asyncio.to_thread(_close, client)

    def publish(self, row: Topic[M], message: M, **ids: str) -> None:
        """Publish a message; without a broker it is dropped, for whatever matters is told anew at connect."""
        if self._client is None or not self._connected.is_set():
            return
        topic = row.name(self._config.root, **ids)
        try:
            payload = encode(row, message, topic)
        except ProtocolError as error:
            _log.error("not published: %s", error)
            return
        if len(payload) + _PACKET_OVERHEAD > self._max_packet:
            _log.error("%s: %d bytes are more than the broker takes", topic, len(payload))
            return
        self._client.publish(topic, payload, qos=row.qos, retain=row.retained)

    def _topic(self, row: Topic[Any]) -> str:
        return row.name(self._config.root)

    def _build(self) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=self._client_id, protocol=paho.MQTTv5)
        if self._config.username is not None:
            client.username_pw_set(self._config.username, self._config.password)
        if self._config.tls:
            client.tls_set_context(ssl.create_default_context(cafile=self._config.ca_file))
        client.will_set(self._topic(PROCESSOR_AVAILABILITY), b"offline", qos=1, retain=True)
        client.reconnect_delay_set(*_RECONNECT_S)
        client.suppress_exceptions = True
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.connect_async(self._config.host, self._config.port, keepalive=_KEEPALIVE_S)
        client.loop_start()
        self._echo_at = time.monotonic()
        return client

    # ------------------------------------------------------------ in paho's thread

    def _on_connect(
        self,
        client: paho.Client,
        _data: object,
        _flags: object,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            _log.error(
                "the broker at %s:%d refuses: %s%s",
                self._config.host,
                self._config.port,
                reason,
                "; it must speak MQTT 5" if "rotocol" in str(reason) else "",
            )
            return
        limit = getattr(properties, "MaximumPacketSize", None)
        self._max_packet = int(limit) if limit else _DEFAULT_MAX_PACKET
        root = self._config.root
        rows = (ORDERS, PLAN, STATE, ANNOUNCE, PROCESSOR_COMMAND, PROCESSOR_AVAILABILITY)
        topics = [
            (row.filter(root), SubscribeOptions(qos=1, retainAsPublished=row is PROCESSOR_COMMAND))
            for row in rows
        ]
        client.subscribe([*topics, (self._config.birth_topic, SubscribeOptions(qos=1))])
        self._hand_over(self._on_connected)

    def _on_connect_fail(self, _client: paho.Client, _data: object) -> None:
        self._hand_over(self._on_missed)

    def _on_disconnect(
        self, _client: paho.Client, _data: object, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        self._hand_over(lambda: self._on_lost(str(reason)))

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        topic, payload, retained = message.topic, bytes(message.payload), bool(message.retain)
        self._hand_over(lambda: self._receive(topic, payload, retained=retained))

    def _hand_over(self, work: Callable[[], Awaitable[None]]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._queue.put_nowait, work)

    # ------------------------------------------------------------ in the event loop

    async def _work(self) -> None:
        while True:
            work = await self._queue.get()
            try:
                await work()
            except Exception:  # noqa: BLE001 - one message must not end the hearing of all others
                _log.exception("a message from the broker could not be obeyed")

    async def _on_connected(self) -> None:
        _log.info("connected to the broker at %s:%d", self._config.host, self._config.port)
        self._missed = False
        self._connected.set()
        self._echo_at = time.monotonic()
        await self._say_everything()

    async def _on_missed(self) -> None:
        """Say once that nobody is there; `_on_connected` says when somebody is."""
        if not self._missed:
            host, port = self._config.host, self._config.port
            _log.warning("the broker at %s:%d cannot be reached; trying on", host, port)
        self._missed = True

    async def _on_lost(self, reason: str) -> None:
        if self._connected.is_set():
            _log.warning("the broker is gone: %s", reason)
        self._connected.clear()

    async def _say_everything(self) -> None:
        """Tell state first and `online` last: whoever hears `online` finds all the rest."""
        await self._greet()
        self.publish(PROCESSOR_AVAILABILITY, "online")

    async def _receive(self, topic: str, payload: bytes, *, retained: bool) -> None:
        if topic == self._config.birth_topic:
            if payload == b"online" and not retained:
                await self._say_everything()
            return
        try:
            decoded = decode(topic, payload, self._config.root)
        except ProtocolError as error:
            _log.warning("ignored: %s", str(error)[:300])
            return
        if decoded.topic is PROCESSOR_AVAILABILITY:
            self._echo_at = time.monotonic()
            if decoded.message != "online" and not retained:
                self.publish(PROCESSOR_AVAILABILITY, "online")
            return
        await self._hear(Heard(decoded=decoded, retained=retained))

    async def _watch(self) -> None:
        """Build the client anew where its thread is dead, or our own words do not come back."""
        while True:
            await asyncio.sleep(self._ping_s)
            client = self._client
            if client is None:
                continue
            thread = client._thread  # noqa: SLF001 - paho has no public way to tell
            deaf = self._connected.is_set() and time.monotonic() - self._echo_at > 2.5 * self._ping_s
            if thread is None or not thread.is_alive() or deaf:
                _log.error("the connection to the broker is dead; it is built anew")
                self._connected.clear()
                await asyncio.to_thread(_close, client)
                self._client = self._build()
            elif self._connected.is_set():
                self.publish(PROCESSOR_AVAILABILITY, "online")


def _close(client: paho.Client) -> None:
    """Send what waits, disconnect, and join paho's thread."""
    client.disconnect()
    client.loop_stop()
