"""Asks a bridge that runs: a command by MQTT and its reply, where the camera cannot be had otherwise."""

import asyncio
import secrets
from datetime import timedelta
from typing import Any

from skylapse_bridge.clock import Clock
from skylapse_bridge.config import MqttConfig
from skylapse_bridge.errors import CalibrationError
from skylapse_bridge.mqtt import Broker, Incoming
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.messages import Command, Reply
from skylapse_protocol.topics import COMMAND, REPLY, decode, encode

_GOOD_FOR = timedelta(minutes=10)


async def ask(
    config: MqttConfig,
    bridge: str,
    camera: str,
    name: str,
    clock: Clock,
    *,
    patience_s: float = 600.0,
    connect_s: float = 10.0,
) -> dict[str, Any]:
    """Return the result of a command without arguments; raise CalibrationError for a refusal or silence."""
    command = Command(id=secrets.token_hex(8), expires_at=clock.now() + _GOOD_FOR, name=name)
    connected, answer = asyncio.Event(), asyncio.get_running_loop().create_future()

    def hear(incoming: Incoming) -> None:
        reply = _reply(incoming, config.root)
        if reply is not None and reply.id == command.id and not answer.done():
            answer.set_result(reply)

    broker = Broker(
        config,
        client_id=f"skylapse-{bridge}-ask-{command.id[:4]}",
        will=None,
        filters=(REPLY.name(config.root, bridge=bridge, camera=camera),),
        on_connected=connected.set,
        on_message=hear,
    )
    await broker.start()
    try:
        async with asyncio.timeout(connect_s):
            await connected.wait()
        topic = COMMAND.name(config.root, bridge=bridge, camera=camera)
        broker.publish(topic, encode(COMMAND, command), qos=1, retained=False)
        async with asyncio.timeout(patience_s):
            return _result(await answer)
    except TimeoutError:
        silent = (
            f"the bridge did not answer the command {name}: may its user publish to its own command topic?"
        )
        raise CalibrationError(broker.problem or silent) from None
    finally:
        await broker.stop()


def _reply(incoming: Incoming, root: str) -> Reply | None:
    try:
        message = decode(incoming.topic, incoming.payload, root).message
    except ProtocolError:
        return None
    return message if isinstance(message, Reply) else None


def _result(reply: Reply) -> dict[str, Any]:
    if reply.ok and reply.result is not None:
        return reply.result
    raise CalibrationError(reply.error.message if reply.error else "the bridge refused without a reason")
