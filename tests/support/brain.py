"""A brain for tests without Home Assistant: deploys plan and snapshot, and remembers what it hears."""

import contextlib
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.messages import CameraState
from skylapse_protocol.records import FrameRecord
from skylapse_protocol.snapshot import Metering, Plan, Profile, Snapshot, WhiteBalance, Window
from skylapse_protocol.topics import FRAME, PLAN, SNAPSHOT, STATE, Topic, decode, encode
from tests.support.waiting import wait_until

PROFILE = Profile(
    id="f",
    name="Mountain spot",
    version=1,
    metering=Metering(mode="matrix"),
    white_balance=WhiteBalance(mode="fixed", kelvin=5500),
)
_SESSION_S = 3600


class Brain:
    """A client of the broker that comes back by itself; its session outlives a broker that is killed."""

    def __init__(self, port: int) -> None:
        self.states: dict[str, CameraState] = {}
        self.frames: list[FrameRecord] = []
        self._port = port
        self._revision = 0
        self._subscribed = False
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="brain", protocol=mqtt.MQTTv5)
        self._client.reconnect_delay_set(0.1, 0.5)  # type: ignore[arg-type]  # seconds may be parts of one
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = _SESSION_S
        self._client.connect("127.0.0.1", self._port, clean_start=False, properties=properties)
        self._client.loop_start()
        wait_until(lambda: self._subscribed, what="the brain's subscriptions")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def deploy(self, bridge: str, camera: str, *, interval_s: float, minutes: float) -> None:
        """Let a camera photograph from now on."""
        now = datetime.now(UTC)
        window = Window(
            id=f"test-{now:%Y%m%d%H%M%S}",
            schedule="test",
            day=f"{now:%Y-%m-%d}",
            starts_at=now,
            ends_at=now + timedelta(minutes=minutes),
            interval_s=interval_s,
            profiles=(PROFILE.id,),
        )
        snapshot = Snapshot(id=f"{bridge}-{camera}", version=1, created_at=now, profiles=(PROFILE,))
        self._publish(SNAPSHOT, snapshot, bridge=bridge, camera=camera)
        self._plan(bridge, camera, (window,))

    def halt(self, bridge: str, camera: str) -> None:
        """Let a camera photograph no longer."""
        self._plan(bridge, camera, ())

    def _plan(self, bridge: str, camera: str, windows: tuple[Window, ...]) -> None:
        self._revision += 1
        plan = Plan(revision=self._revision, created_at=datetime.now(UTC), time_zone="UTC", windows=windows)
        self._publish(PLAN, plan, bridge=bridge, camera=camera)

    def _publish(self, row: Topic[Any], message: object, **ids: str) -> None:
        sent = self._client.publish(row.name(**ids), encode(row, message), qos=row.qos, retain=row.retained)
        sent.wait_for_publish(10)

    def _on_connect(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe([(row.filter(), SubscribeOptions(qos=1)) for row in (STATE, FRAME)])

    def _on_subscribe(self, *_: object) -> None:
        self._subscribed = True

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        with contextlib.suppress(ProtocolError):
            decoded = decode(message.topic, bytes(message.payload))
            match decoded.message:
                case CameraState() as state:
                    self.states[f"{decoded.ids['bridge']}/{decoded.ids['camera']}"] = state
                case FrameRecord() as record:
                    self.frames.append(record)
