"""On a real broker: everything told anew, commands answered once, anything hostile survived."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from skylapse_processor.bridges import Bridges
from skylapse_processor.service import Service
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.messages import BridgeAnnounce, CameraInfo, Clock, Command, Host
from skylapse_protocol.topics import ANNOUNCE, PROCESSOR_COMMAND, TOPICS, encode
from tests.contract.examples import EXAMPLES
from tests.support.mosquitto import Broker
from tests.support.waiting import until

from .client import Client
from .conftest import serving, write_config
from .frames_made import DAY, frame, picture, record_of
from .listener import Listener

Serving = tuple[Service, Client]


@pytest.fixture
async def served(tmp_path: Path, broker: Broker) -> AsyncIterator[Serving]:
    """A processor on the broker, and a client of it."""
    async with serving(write_config(tmp_path / "processor", broker)) as both:
        yield both


def command(name: str, number: int = 1, expires_in_s: float = 60, **args: Any) -> Command:
    """A command that expires in a minute."""
    expires_at = datetime.now(UTC) + timedelta(seconds=expires_in_s)
    return Command(id=f"c{number}", expires_at=expires_at, name=name, args=args)


async def answer(listener: Listener, asked: Command) -> dict[str, Any]:
    """Send a command and wait for its reply."""
    before = len(listener.on("skylapse/processor/reply"))
    listener.say(PROCESSOR_COMMAND, asked)
    replies = await until(lambda: listener.on("skylapse/processor/reply")[before:])
    assert replies[0]["id"] == asked.id
    return dict(replies[0])


async def test_it_introduces_itself_and_says_goodbye(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    async with serving(write_config(tmp_path / "processor", broker)) as (service, _client):
        await until(lambda: "online" in listener.on("skylapse/processor/availability"))
        told = listener.on("skylapse/processor/announce")[-1]
        assert (told["processor"], told["base_url"]) == ("main", service.base_url)
        assert listener.on("skylapse/processor/health")[-1]["storage_total_bytes"] > 0
    await until(lambda: listener.on("skylapse/processor/availability")[-1] == "offline")


async def test_what_it_knows_is_retained_for_those_who_come_later(
    served: Serving, broker: Broker, listener: Listener
) -> None:
    _service, client = served
    for seq in (1, 2):
        await client.upload(*frame(seq))
    await until(lambda: [s for s in listener.on("skylapse/processor/roof/west/state") if s["frames"] == 2])
    late = Listener(broker.port)
    try:
        topics = ("announce", "availability", "health", "roof/west/state")
        await until(lambda: all(late.on(f"skylapse/processor/{topic}") for topic in topics))
        first = {topic: retained for topic, _value, retained in reversed(late.heard)}
        assert all(first[f"skylapse/processor/{topic}"] for topic in topics)
        state = late.on("skylapse/processor/roof/west/state")[0]
        assert (state["day"], state["frames_today"]) == (DAY, 2)
        assert state["last_frame"] == str(frame(2)[1].name)
    finally:
        late.stop()


async def test_every_frame_is_told_with_its_figures_and_every_refusal_with_its_reason(
    served: Serving, listener: Listener
) -> None:
    _service, client = served
    data, record = frame(1)
    await client.upload(data, record)
    told = (await until(lambda: listener.on("skylapse/processor/ingest")))[0]
    assert (told["frame"], told["stored"], told["sha256"]) == (str(record.name), True, record.sha256)
    assert told["log_mean_ev"] < 0
    other = picture(2)
    await client.upload(other, record_of(other, 1))
    refused = (await until(lambda: listener.on("skylapse/processor/ingest")[1:]))[0]
    assert (refused["stored"], refused["quarantined"]) == (False, True)
    assert "another picture" in refused["reason"]


async def test_a_broker_that_was_killed_finds_everything_again(
    served: Serving, broker: Broker, listener: Listener
) -> None:
    _service, client = served
    await client.upload(*frame(1))
    await until(lambda: listener.on("skylapse/processor/roof/west/state"))
    listener.stop()
    broker.kill()
    for kept in broker.folder.glob("mosquitto.db*"):
        kept.unlink()
    assert (await client.upload(*frame(2))).status == 201, "frames need no broker"
    broker.start()
    late = Listener(broker.port)
    try:
        await until(lambda: "online" in late.on("skylapse/processor/availability"))
        assert late.on("skylapse/processor/announce")
        assert late.on("skylapse/processor/roof/west/state")[-1]["frames"] == 2
    finally:
        late.stop()


@pytest.mark.usefixtures("served")
async def test_home_assistants_birth_is_answered_with_everything(listener: Listener) -> None:
    await until(lambda: "online" in listener.on("skylapse/processor/availability"))
    before = len(listener.on("skylapse/processor/announce"))
    listener.raw("homeassistant/status", b"online")
    assert await until(lambda: len(listener.on("skylapse/processor/announce")) > before)


async def test_commands_are_done_once_and_answered_every_time(served: Serving, listener: Listener) -> None:
    _service, client = served
    await client.upload(*frame(1))
    asked = command("render", camera="roof/west", day=DAY, size="480p")
    first = await answer(listener, asked)
    again = await answer(listener, asked)
    assert first == again
    assert first["ok"]
    assert len((await client.get("renders")).value["items"]) == 1


IMPOSSIBLE: list[tuple[str, dict[str, Any], str, str]] = [
    ("dance", {}, "unknown", "dance is none of cancel, compare, delete, export, link, pin, render, rescan"),
    ("render", {}, "bad_request", "camera: is missing"),
    ("render", {"camera": "roof/west"}, "bad_request", "day: is missing"),
    ("render", {"camera": "roof/east", "day": DAY}, "bad_request", "roof/east has no stored frame"),
    (
        "render",
        {"camera": "roof/west", "day": DAY, "window": "nope", "profile": "f"},
        "bad_request",
        f"window: roof/west has no stored frame of {DAY} in window nope of profile f",
    ),
    ("render", {"camera": "../x", "day": DAY}, "bad_request", "camera:"),
    ("render", {"camera": "roof/west", "day": DAY, "recipe": "soup"}, "bad_request", "recipe: is none of"),
    (
        "render",
        {"camera": "roof/west", "day": DAY, "rate": 1, "length_s": 1},
        "bad_request",
        "rate: give one of",
    ),
    ("render", {"camera": "roof/west", "dya": DAY}, "bad_request", "dya: is not known"),
    ("cancel", {"job": "nothing"}, "not_found", "there is no job nothing"),
    ("pin", {"film": "0" * 16}, "not_found", "there is no film 0000000000000000"),
    ("pin", {"film": "../../etc"}, "bad_request", "is no film id"),
    ("delete", {}, "bad_request", "film: is missing"),
]


@pytest.mark.usefixtures("served")
async def test_what_cannot_be_done_is_answered_with_a_code_and_words(listener: Listener) -> None:
    for number, (name, args, code, words) in enumerate(IMPOSSIBLE):
        reply = await answer(listener, command(name, number, **args))
        assert (reply["ok"], reply["error"]["code"]) == (False, code), reply
        assert words in reply["error"]["message"]


@pytest.mark.usefixtures("served")
async def test_an_expired_command_is_refused(listener: Listener) -> None:
    reply = await answer(listener, command("rescan", expires_in_s=-1))
    assert (reply["ok"], reply["error"]["code"]) == (False, "expired")


@pytest.mark.usefixtures("served")
async def test_a_retained_command_is_refused(broker: Broker, tmp_path: Path) -> None:
    listener = Listener(broker.port)
    try:
        asked = command("rescan")
        listener.raw(PROCESSOR_COMMAND.name(), encode(PROCESSOR_COMMAND, asked), retain=True)
        await until(lambda: listener.on("skylapse/processor/reply"))
        async with serving(write_config(tmp_path / "second", broker, processor="second")):
            replies = await until(lambda: listener.on("skylapse/processor/reply")[1:])
        assert (replies[0]["ok"], replies[0]["error"]["code"]) == (False, "retained")
    finally:
        listener.raw(PROCESSOR_COMMAND.name(), b"", retain=True)
        listener.stop()


async def test_a_command_that_is_published_with_retain_is_refused_while_connected(
    served: Serving, listener: Listener
) -> None:
    _service, client = served
    await client.upload(*frame(1))
    await until(lambda: "online" in listener.on("skylapse/processor/availability"))
    asked = command("render", camera="roof/west", day=DAY, size="480p")
    listener.raw(PROCESSOR_COMMAND.name(), encode(PROCESSOR_COMMAND, asked), retain=True)
    reply = (await until(lambda: listener.on("skylapse/processor/reply")))[0]
    listener.raw(PROCESSOR_COMMAND.name(), b"", retain=True)
    assert (reply["ok"], reply["error"]["code"]) == (False, "retained")
    assert (await client.get("renders")).value["items"] == []


async def test_a_film_is_pinned_linked_and_deleted_by_command(served: Serving, listener: Listener) -> None:
    _service, client = served
    for seq in (1, 2):
        await client.upload(*frame(seq))
    job = (await answer(listener, command("render", camera="roof/west", day=DAY, size="480p")))["result"]
    await until(lambda: listener.on("skylapse/processor/film"))
    film = job["film"]
    assert (await answer(listener, command("pin", 2, film=film)))["result"]["film"]["pinned"] is True
    linked = await answer(listener, command("link", 3, film=film, link="print 42"))
    assert linked["result"]["film"]["link"] == "print 42"
    kept = await answer(listener, command("delete", 4, film=film))
    assert kept["error"]["message"].startswith(f"pinned: film {film} is pinned")
    await answer(listener, command("pin", 5, film=film, pinned=False))
    assert (await answer(listener, command("delete", 6, film=film)))["ok"]
    changes = [told["change"] for told in listener.on("skylapse/processor/film")]
    assert changes == ["added", "changed", "changed", "changed", "removed"]
    assert (await client.get(f"films/{film}")).status == 404


HOSTILE = [b"", b"\x00\xff\xfe", b"{", b"[]", b'{"schema": 1}', b'{"schema": 99}', b"[" * 5000, b"9" * 70_000]


async def test_anything_on_any_topic_is_survived(served: Serving, listener: Listener) -> None:
    _service, client = served
    await until(lambda: "online" in listener.on("skylapse/processor/availability"))
    for row in TOPICS:
        topic = row.filter().replace("+", "x1")
        for payload in HOSTILE:
            listener.raw(topic, payload)
    listener.raw("skylapse/Not An Id/west/state", b"{}")
    reply = await answer(listener, command("rescan", 99))
    assert reply["result"] == {"adopted": 0, "missing": 0, "dropped": 0, "refused": []}
    assert (await client.get("stats")).value["cameras"] == []


async def test_cameras_have_the_names_that_their_bridge_gives_them(
    served: Serving, listener: Listener
) -> None:
    _service, client = served
    camera = CameraInfo(id="west", name="Westward", model="twin", driver="twin", width=64, height=36)
    announce = BridgeAnnounce(
        bridge="roof",
        name="Roof",
        software="1",
        schema_min=1,
        schema_max=1,
        boot_id="b",
        host=Host(model="m", os="o", python="3"),
        cameras=(camera,),
    )
    listener.say(ANNOUNCE, announce, bridge="roof")

    async def named() -> bool:
        return [item["name"] for item in (await client.get("cameras")).value["items"]] == ["Westward"]

    await until(named)
    listener.raw(ANNOUNCE.name(bridge="roof"), b"", retain=True)

    async def gone() -> bool:
        return bool((await client.get("cameras")).value["items"] == [])

    assert await until(gone)


def test_frames_of_a_bridge_in_simulated_time_are_believed_as_its_clock_says() -> None:
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    bridges = Bridges(lambda: now)
    announce = EXAMPLES["bridge_announce"]
    assert isinstance(announce, BridgeAnnounce)
    ahead = Clock(start=now + timedelta(days=300), anchor=now - timedelta(hours=1), rate=60)
    bridges.announced("attic", replace(announce, clock=ahead))
    simulated, real = CameraName.parse("attic/west"), CameraName.parse("roof/west")
    assert bridges.believable(simulated) == now + timedelta(days=300, hours=60) + timedelta(days=1)
    assert bridges.believable(real) == now + timedelta(days=1)


async def test_a_dead_connection_is_built_anew(tmp_path: Path, broker: Broker, listener: Listener) -> None:
    async with serving(write_config(tmp_path / "processor", broker)) as (service, _client):
        mqtt = service._mqtt
        assert mqtt is not None
        await until(mqtt.connected.is_set)
        mqtt._ping_s = 0.2
        first = mqtt._client
        assert first is not None
        first.loop_stop()
        mqtt._tasks[1].cancel()
        mqtt._tasks[1] = asyncio.create_task(mqtt._watch())
        await until(lambda: mqtt._client is not first and mqtt.connected.is_set())
        before = len(listener.on("skylapse/processor/availability"))
        await until(lambda: "online" in listener.on("skylapse/processor/availability")[before:])


async def test_a_broker_that_is_not_there_is_told_once_and_so_is_its_coming(
    tmp_path: Path, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "skylapse_processor.mqtt")
    broker.kill()
    async with serving(write_config(tmp_path / "processor", broker)) as (service, _client):
        mqtt = service._mqtt
        assert mqtt is not None
        await until(lambda: mqtt._missed)
        assert mqtt._client is not None
        mqtt._on_connect_fail(mqtt._client, None)
        await until(mqtt._queue.empty)
        broker.start()
        await until(mqtt.connected.is_set)
        place = f"{broker.host}:{broker.port}"
        told = [record.getMessage() for record in caplog.records if place in record.getMessage()]
    assert told == [
        f"the broker at {place} cannot be reached; trying on",
        f"connected to the broker at {place}",
    ]
