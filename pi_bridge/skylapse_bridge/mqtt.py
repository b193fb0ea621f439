"""The door to the broker: paho on a thread of its own, watched; messages are handed to the asyncio loop.

MQTT 5 only: under 3.1.1 a publish that the broker denies looks like a success. What is said while there is
no connection is not queued: everything retained is said again at every connect, and frames travel another
way. paho's thread can die while `is_connected()` still answers yes, so the thread itself is watched, and so
are the acknowledgements, which a healthy connection delivers at least as often as the bridge tells its
health.
"""

import asyncio
import contextlib
import logging
import queue
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from .config import MqttConfig
from .errors import BrokerError

_LOGGER = logging.getLogger(__name__)
_PAHO = _LOGGER.getChild("paho")

_KEEPALIVE_S = 30
_LOOK_AFTER_S = 10.0
_SILENT_S = 90.0
_JOIN_S = 5.0
_HEADER_BYTES = 32
_UNSUPPORTED_VERSION = 132


@dataclass(frozen=True, kw_only=True, slots=True)
class Incoming:
    """A message from the broker."""

    topic: str
    payload: bytes
    retained: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Will:
    """What the broker says for us when we are gone."""

    topic: str
    payload: bytes


class Broker:
    """The connection to one broker; connects by itself, again and again."""

    def __init__(
        self,
        config: MqttConfig,
        *,
        client_id: str,
        will: Will | None,
        filters: tuple[str, ...],
        on_connected: Callable[[], None],
        on_message: Callable[[Incoming], None],
    ) -> None:
        self._config = config
        self._client_id = client_id
        self._will = will
        self._filters = filters
        self._on_connected = on_connected
        self._on_message = on_message
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: paho.Client | None = None
        self._thread: threading.Thread | None = None
        self._watchdog: asyncio.Task[None] | None = None
        self._unanswered: dict[int, float] = {}
        self._largest_packet: int | None = None
        self.connected = False
        self.problem: str | None = None
        """Why there is no connection, None while there is one."""

    async def start(self) -> None:
        """Begin to connect; raise BrokerError where the configuration cannot work."""
        self._loop = asyncio.get_running_loop()
        self._open()
        self._watchdog = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Disconnect; what was published before is sent first."""
        if self._watchdog is not None:
            self._watchdog.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watchdog
        await asyncio.to_thread(self._close)

    def publish(self, topic: str, payload: bytes, *, qos: int, retained: bool) -> bool:
        """Publish; False where nobody is listening or the broker would cut the connection for its size."""
        if self._client is None or not self.connected:
            return False
        size = len(topic.encode()) + len(payload) + _HEADER_BYTES
        if self._largest_packet is not None and size > self._largest_packet:
            _LOGGER.warning("%s: %d bytes are more than the broker takes", topic, size)
            return False
        info = self._client.publish(topic, payload, qos=qos, retain=retained)
        if qos and info.rc == paho.MQTT_ERR_SUCCESS:
            self._unanswered[info.mid] = self._time()
        return info.rc == paho.MQTT_ERR_SUCCESS

    async def settle(self, timeout_s: float) -> None:
        """Return when everything published is acknowledged, or after the timeout."""
        deadline = self._time() + timeout_s
        while self.connected and self._unanswered and self._time() < deadline:  # noqa: ASYNC110 paho's thread
            await asyncio.sleep(0.02)

    def _open(self) -> None:
        """Make a client and its thread."""
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=self._client_id, protocol=paho.MQTTv5, transport="tcp"
        )
        client.suppress_exceptions = True
        client.on_log = _log
        client.max_queued_messages_set(1000)
        client.reconnect_delay_set(min_delay=1, max_delay=30)
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, qos=1, retain=True)
        authenticate(client, self._config)
        client.on_connect = self._connected
        client.on_connect_fail = self._not_reached
        client.on_disconnect = self._disconnected
        client.on_message = self._received
        client.on_publish = self._published
        client.connect_async(self._config.host, self._config.port, keepalive=_KEEPALIVE_S, clean_start=True)
        self._client = client
        self._thread = threading.Thread(
            target=client.loop_forever, kwargs={"retry_first_connection": True}, name="mqtt", daemon=True
        )
        self._thread.start()

    def _close(self) -> None:
        self.connected = False
        if self._client is not None and self._thread is not None:
            self._client.disconnect()
            self._thread.join(_JOIN_S)
        self._client = self._thread = None

    async def _watch(self) -> None:
        """Make a new client when the old one's thread is dead or nothing is acknowledged any more."""
        while True:
            await asyncio.sleep(_LOOK_AFTER_S)
            dead = self._thread is None or not self._thread.is_alive()
            oldest = min(self._unanswered.values(), default=None)
            silent = self.connected and oldest is not None and self._time() - oldest > _SILENT_S
            if dead or silent:
                _LOGGER.error("the MQTT client %s; a new one is made", "died" if dead else "is deaf")
                await asyncio.to_thread(self._close)
                self._unanswered.clear()
                try:
                    self._open()
                except BrokerError as error:
                    self._note_problem(str(error))

    def _time(self) -> float:
        return self._loop.time() if self._loop else 0.0

    # ------------------------------------------------------------------ on paho's thread

    def _call(self, work: Callable[..., None], *arguments: object) -> None:
        """Go on in the asyncio loop; at the very end there may be none any more."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(work, *arguments)

    def _connected(
        self,
        client: paho.Client,
        _userdata: object,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._call(self._note_problem, why_refused(self._config, reason))
            return
        largest = getattr(properties, "MaximumPacketSize", None)
        options = SubscribeOptions(qos=1, retainAsPublished=True)
        if self._filters:
            client.subscribe([(name, options) for name in self._filters])
        self._call(self._note_connected, largest)

    def _not_reached(self, _client: paho.Client, _userdata: object) -> None:
        """Hear that there is no connection; paho calls while it handles the error that says why."""
        problem = f"no broker answers at {self._config.host}:{self._config.port}"
        if isinstance(sys.exception(), socket.gaierror):
            problem = f"the broker's name {self._config.host!r} cannot be resolved"
        self._call(self._note_problem, problem)

    def _disconnected(
        self,
        _client: paho.Client,
        _userdata: object,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._call(self._note_end, f"the connection to the broker ended ({reason})")

    def _received(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        incoming = Incoming(topic=topic, payload=bytes(message.payload), retained=message.retain)
        self._call(self._on_message, incoming)

    def _published(
        self,
        _client: paho.Client,
        _userdata: object,
        number: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._call(self._note_published, number, str(reason) if reason.is_failure else None)

    # ------------------------------------------------------------------ in the asyncio loop

    def _note_connected(self, largest_packet: int | None) -> None:
        self._largest_packet = largest_packet
        self._unanswered.clear()
        self.connected, self.problem = True, None
        _LOGGER.info("connected to the broker at %s:%d", self._config.host, self._config.port)
        self._on_connected()

    def _note_problem(self, problem: str) -> None:
        self.connected = False
        if problem != self.problem:
            _LOGGER.warning("%s", problem)
        self.problem = problem

    def _note_end(self, problem: str) -> None:
        """A connection that was refused ends too; the refusal says more."""
        if self.connected:
            self._note_problem(problem)

    def _note_published(self, number: int, refusal: str | None) -> None:
        self._unanswered.pop(number, None)
        if refusal is not None and refusal != self.problem:
            _LOGGER.error("the broker refuses what the bridge publishes: %s", refusal)
            self.problem = refusal


def authenticate(client: paho.Client, config: MqttConfig) -> None:
    """Give a client name, password and certificate; raise BrokerError where they cannot be read."""
    try:
        if config.username is not None:
            password = config.password_file.read_text("utf-8").strip() if config.password_file else None
            client.username_pw_set(config.username, password)
        if config.ca_file is not None:
            client.tls_set_context(ssl.create_default_context(cafile=config.ca_file))
    except (OSError, UnicodeDecodeError) as error:
        raise BrokerError(f"the broker's password or certificate cannot be read: {error}") from error


def why_refused(config: MqttConfig, reason: ReasonCode) -> str:
    """Return what a broker's refusal means."""
    if reason.value == _UNSUPPORTED_VERSION:
        return (
            f"the broker at {config.host}:{config.port} speaks only MQTT 3.1.1; Skylapse"
            " needs MQTT 5 (Mosquitto 1.6 or newer, without `max_protocol_version`)"
        )
    return f"the broker refuses the connection: {reason}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """What came of a short visit to a broker."""

    problem: str | None = None
    """Why there was no visit; None where there was one."""
    largest_packet: int | None = None
    refused: tuple[str, ...] = ()
    """What may not be heard or said, each with the broker's reason."""
    retained: Mapping[str, bytes] = field(default_factory=dict)
    """What the broker had kept of the topics that were asked for."""


class Visitor:
    """Visits a broker with the bridge's name and password, beside the bridge itself if that runs.

    Subscribes to `filters` and publishes `sayings`, which must mean nothing to anybody, to see whether it
    may; `wishes` are subscribed to as well, but no broker is blamed for refusing them.
    """

    def __init__(self, config: MqttConfig, *, client_id: str, timeout_s: float = 10.0) -> None:
        self._config = config
        self._client_id = client_id
        self._timeout_s = timeout_s
        self._told: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._retained: dict[str, bytes] = {}

    def visit(self, filters: Sequence[str], wishes: Sequence[str], sayings: Mapping[str, bytes]) -> Visit:
        """Connect, listen, speak, leave. Blocks; what fails is told in the answer."""
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=self._client_id, protocol=paho.MQTTv5)
        client.on_connect = lambda _c, _u, _f, reason, facts: self._told.put(("connect", (reason, facts)))
        client.on_subscribe = lambda _c, _u, _m, reasons, _p: self._told.put(("subscribe", reasons))
        client.on_publish = lambda _c, _u, number, reason, _p: self._told.put(("publish", (number, reason)))
        client.on_message = lambda _c, _u, message: self._retained.update(
            {message.topic: bytes(message.payload)}
        )
        try:
            authenticate(client, self._config)
            client.connect(self._config.host, self._config.port, keepalive=_KEEPALIVE_S)
        except socket.gaierror:
            return Visit(problem=f"the broker's name {self._config.host!r} cannot be resolved")
        except BrokerError as error:
            return Visit(problem=str(error))
        except OSError as error:
            return Visit(problem=f"no broker answers: {error.strerror or error}")
        client.loop_start()
        try:
            return self._look_round(client, filters, wishes, sayings)
        except queue.Empty:
            return Visit(problem=f"the broker did not answer within {self._timeout_s:.0f} s")
        finally:
            client.disconnect()
            client.loop_stop()

    def _look_round(
        self, client: paho.Client, filters: Sequence[str], wishes: Sequence[str], sayings: Mapping[str, bytes]
    ) -> Visit:
        reason, facts = self._hear("connect")
        if reason.is_failure:
            return Visit(problem=why_refused(self._config, reason))
        refused = []
        client.subscribe([(name, SubscribeOptions(qos=1)) for name in (*filters, *wishes)])
        for name, answer in zip(filters, self._hear("subscribe"), strict=False):
            if answer.is_failure:
                refused.append(f"{name} may not be heard: {answer}")
        for topic, payload in sayings.items():
            number = client.publish(topic, payload, qos=1).mid
            while (answer := self._hear("publish"))[0] != number:
                pass
            if answer[1].is_failure:
                refused.append(f"{topic} may not be said: {answer[1]}")
        return Visit(
            largest_packet=getattr(facts, "MaximumPacketSize", None),
            refused=tuple(refused),
            retained=dict(self._retained),
        )

    def _hear(self, what: str) -> Any:
        """Return the broker's next answer of a kind; raise queue.Empty where none comes."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            kind, answer = self._told.get(timeout=max(deadline - time.monotonic(), 0.001))
            if kind == what:
                return answer


def _log(_client: paho.Client, _userdata: object, _level: int, words: str) -> None:
    """Hear what paho says of itself; what that means for the bridge, the callbacks tell in our words."""
    _PAHO.log(logging.ERROR if words.startswith("Caught exception") else logging.DEBUG, "%s", words)
