"""The broker dies, forgets, shouts nonsense, or is too old: the bridge goes on and says what is wrong."""

import asyncio
import logging
import random
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from skylapse_bridge.config import MqttConfig
from skylapse_bridge.mqtt import Broker as Connection
from skylapse_bridge.mqtt import Incoming, Will
from skylapse_protocol.messages import Command
from skylapse_protocol.topics import (
    ANNOUNCE,
    AVAILABILITY,
    COMMAND,
    FRAME,
    HEALTH,
    PLAN,
    SNAPSHOT,
    STATE,
    TOPICS,
    UPLINK,
    Topic,
)
from tests.support.mosquitto import Broker
from tests.support.waiting import until

from .conftest import House
from .listener import Listener
from .made import START, plan, snapshot, window

PLAN_NOW = plan(window(start=START - timedelta(minutes=10)))
RETAINED: tuple[Topic[Any], ...] = (ANNOUNCE, AVAILABILITY, HEALTH, STATE)


async def test_after_kill_9_of_a_forgetful_broker_everything_is_said_again(house: House) -> None:
    await house.start()
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(2)
    house.broker.kill()
    for kept in house.broker.folder.glob("*.db"):
        kept.unlink()
    house.clock.pass_time(30)
    house.broker.start()
    stranger = Listener(house.broker.port)
    await stranger.start()
    for row in RETAINED:
        await stranger.next(row)
    assert (await stranger.next(STATE)).plan_revision == 1
    await stranger.stop()
    await house.photograph(2)
    await until(lambda: len(house.server.frames) >= 5, what="all frames at the processor")


async def test_the_last_will_says_offline(house: House) -> None:
    bridge = await house.start()
    await house.listener.next(AVAILABILITY)
    connection = bridge._publisher._broker
    assert connection is not None
    assert connection._client is not None
    sock = cast("socket.socket", connection._client.socket())
    sock.shutdown(socket.SHUT_RDWR)
    await until(lambda: "offline" in house.listener.all(AVAILABILITY), what="the will")
    await until(lambda: house.listener.all(AVAILABILITY)[-1] == "online", what="the bridge again")


async def test_home_assistant_starting_hears_everything_again(house: House) -> None:
    await house.start()
    await house.listener.next(AVAILABILITY)
    before = {row.path: len(house.listener.all(row)) for row in RETAINED}
    house.listener.raw("homeassistant/status", b"online")
    assert await until(
        lambda: all(len(house.listener.all(row)) > before[row.path] for row in RETAINED),
        what="another introduction",
    )


async def test_random_bytes_on_every_topic_harm_nothing(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.start()
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(1)
    noise = random.Random(7)
    names = [row.name(**_ids(row.path)) for row in TOPICS]
    names += [
        "skylapse/roof/west/command/x",
        "skylapse/roof",
        "skylapse//west/command",
        "homeassistant/status",
    ]
    for _ in range(4):
        for name in names:
            house.listener.raw(name, noise.randbytes(noise.choice([0, 1, 30, 3000])))
    for row in (COMMAND, PLAN, SNAPSHOT, UPLINK):
        house.listener.raw(row.name(**_ids(row.path)), b"{" * 70_000)
        house.listener.raw(row.name(**_ids(row.path)), b'{"schema": 2}')
        house.listener.raw(row.name(**_ids(row.path)), b'{"schema": 1, "revision": "\xff"}')
    house.deploy(PLAN_NOW, snapshot())
    reply = await house.listener.ask(Command(id="c", expires_at=START + timedelta(hours=9), name="identify"))
    assert reply.ok
    await house.photograph(2)
    told = [record for record in caplog.records if "a message is ignored" in record.getMessage()]
    assert 1 <= len(told) <= 30
    assert not [
        record for record in caplog.records if record.levelno >= logging.ERROR and "paho" in record.name
    ]


def _ids(path: str) -> dict[str, str]:
    known = {"bridge": "roof", "camera": "west", "job": "j"}
    return {key: value for key, value in known.items() if f"{{{key}}}" in path}


def deadly(*_: object) -> None:
    """End the thread that calls, as a bug in a callback may."""
    raise SystemExit


def mistaken(*_: object) -> None:
    """Fail, as a bug in a callback does."""
    raise ZeroDivisionError("division by zero")


class Ears:
    """What a connection told."""

    def __init__(self) -> None:
        self.connections = 0
        self.messages: list[Incoming] = []

    def connected(self) -> None:
        """Count."""
        self.connections += 1


def connection_to(port: int, ears: Ears, host: str = "127.0.0.1") -> Connection:
    return Connection(
        MqttConfig(host=host, port=port, root="skylapse"),
        client_id="test",
        will=Will(topic="skylapse/roof/availability", payload=b"offline"),
        filters=("skylapse/#",),
        on_connected=ears.connected,
        on_message=ears.messages.append,
    )


@pytest.fixture
async def old_broker() -> AsyncIterator[int]:
    """Answers every connection as a broker of MQTT 3.1.1 does."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(bytes([0x20, 2, 0, 1]))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_a_broker_of_yesterday_is_refused_with_a_word_on_what_to_change(old_broker: int) -> None:
    ears = Ears()
    connection = connection_to(old_broker, ears)
    await connection.start()
    await until(lambda: "needs MQTT 5" in (connection.problem or ""), what="the refusal")
    assert not connection.connected
    assert not connection.publish("skylapse/x", b"", qos=1, retained=False)
    await connection.stop()


async def test_no_broker_at_all_is_told_in_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    connection = connection_to(9, Ears())
    await connection.start()
    await until(lambda: "no broker answers at 127.0.0.1:9" in (connection.problem or ""), what="the message")
    assert not connection.connected
    await connection.stop()
    ours = [record for record in caplog.records if record.name.startswith("skylapse_bridge")]
    told = [record.getMessage() for record in ours if record.levelno > logging.INFO]
    assert told == ["no broker answers at 127.0.0.1:9"]


async def test_a_name_that_cannot_be_resolved_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    connection = connection_to(1883, Ears(), "borker.local")
    await connection.start()
    await until(lambda: connection.problem, what="the message")
    assert connection.problem == "the broker's name 'borker.local' cannot be resolved"
    await connection.stop()


async def test_a_mistake_of_ours_on_the_thread_of_the_broker_is_an_error(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    ears = Ears()
    connection = connection_to(broker.port, ears)
    await connection.start()
    await until(lambda: ears.connections == 1, what="the connection")
    assert connection._client is not None
    connection._client.on_message = mistaken
    connection.publish("skylapse/x", b"", qos=1, retained=False)
    await until(
        lambda: any("division by zero" in record.getMessage() for record in caplog.records), what="the error"
    )
    assert {record.levelname for record in caplog.records if "division" in record.getMessage()} == {"ERROR"}
    await connection.stop()


async def test_what_the_broker_would_cut_the_connection_for_is_not_sent(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "small", extra="max_packet_size 2000\n")
    broker.start()
    ears = Ears()
    connection = connection_to(broker.port, ears)
    await connection.start()
    await until(lambda: connection.connected, what="the connection")
    assert not connection.publish("skylapse/a", b"x" * 3000, qos=1, retained=False)
    assert connection.publish("skylapse/b", b"y", qos=1, retained=False)
    await until(lambda: [message.topic for message in ears.messages] == ["skylapse/b"], what="the small one")
    assert ears.connections == 1
    await connection.stop()
    broker.stop()


# That a thread dies is the point here.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_dead_thread_is_noticed_and_replaced(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skylapse_bridge.mqtt._LOOK_AFTER_S", 0.05)
    ears = Ears()
    connection = connection_to(broker.port, ears)
    await connection.start()
    await until(lambda: ears.connections == 1, what="the connection")
    thread = connection._thread
    assert thread is not None
    assert connection._client is not None
    connection._client.on_message = deadly
    connection.publish("skylapse/x", b"", qos=1, retained=False)
    await until(lambda: ears.connections == 2, what="a new connection")
    assert not thread.is_alive()
    await connection.stop()


async def test_frames_are_announced_at_once_or_not_at_all(house: House) -> None:
    await house.start()
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(2)
    seqs = [record.seq for record in house.listener.all(FRAME)]
    assert seqs == sorted(set(seqs))
