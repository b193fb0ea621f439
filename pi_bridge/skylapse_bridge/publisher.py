"""What the bridge says by MQTT: rows of the contract's map in, packets out, and who it is, all over again."""

import logging
from collections.abc import Callable
from typing import Any

from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.topics import AVAILABILITY, COMMAND, PLAN, SNAPSHOT, UPLINK, Topic, encode

from .config import MqttConfig
from .mqtt import Broker, Incoming, Will

_LOGGER = logging.getLogger(__name__)

BIRTH_TOPIC = "homeassistant/status"
"""Home Assistant says `online` here when it has started and wants to hear everything again."""


class Publisher:
    """Publishes messages of one bridge; silent where no broker is configured."""

    def __init__(
        self,
        bridge: str,
        config: MqttConfig | None,
        *,
        on_connected: Callable[[], None],
        on_message: Callable[[Incoming], None],
    ) -> None:
        self._bridge = bridge
        self._said: set[str] = set()
        self.root = config.root if config else ""
        self._broker: Broker | None = None
        if config is not None:
            will = Will(topic=AVAILABILITY.name(config.root, bridge=bridge), payload=b"offline")
            wanted = (SNAPSHOT, PLAN, COMMAND, UPLINK)
            self._broker = Broker(
                config,
                client_id=f"skylapse-bridge-{bridge}",
                will=will,
                filters=(*(row.filter(config.root, bridge=bridge) for row in wanted), BIRTH_TOPIC),
                on_connected=on_connected,
                on_message=on_message,
            )

    async def start(self) -> None:
        """Begin to connect; raise BrokerError."""
        if self._broker is not None:
            await self._broker.start()

    async def stop(self) -> None:
        """Say that the bridge goes, and disconnect."""
        if self._broker is not None:
            self.publish(AVAILABILITY, "offline")
            await self._broker.settle(2.0)
            await self._broker.stop()

    def publish(self, row: Topic[Any], message: Any, camera: str | None = None) -> bool:
        """Publish a message; False where nobody hears it. What does not fit the contract is logged once."""
        if self._broker is None:
            return False
        ids = {"bridge": self._bridge} | ({"camera": camera} if camera is not None else {})
        topic = row.name(self.root, **ids)
        try:
            payload = encode(row, message, topic)
        except ProtocolError as error:
            if str(error) not in self._said:
                _LOGGER.error("not published: %s", error)  # noqa: TRY400 the message says it all
                self._said.add(str(error))
            return False
        return self._broker.publish(topic, payload, qos=row.qos, retained=row.retained)
