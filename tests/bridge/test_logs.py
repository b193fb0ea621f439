"""What the bridge logs: lines for people, JSON for programs, priorities for systemd."""

import asyncio
import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from skylapse_bridge.logs import STYLES, Style, about, configure
from skylapse_bridge.worker import Worker
from skylapse_protocol.topics import EVENT
from tests.support.mosquitto import Broker
from tests.support.processes import Program
from tests.support.waiting import until

from .listener import Listener
from .test_program import Machine
from .tus_server import TusServer

LOGGER = logging.getLogger("skylapse_bridge.test")


@pytest.fixture(autouse=True)
def _undisturbed() -> Iterator[None]:
    """The root logger of the tests is given back as it was."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    for handler in before:
        root.removeHandler(handler)
    yield
    root.handlers[:] = before
    root.setLevel(level)


def fail() -> None:
    """Log what nobody foresaw."""
    try:
        int("odd")
    except ValueError:
        LOGGER.exception("it ends")


async def test_a_line_of_json_says_when_how_bad_where_what_and_about_which_camera() -> None:
    stream = io.StringIO()
    configure("json", stream=stream)

    async def work() -> None:
        LOGGER.warning("light %d", 5, extra={"frame": "roof/west/1"})

    with about(camera="west"):
        task = asyncio.create_task(work())
    await task
    LOGGER.debug("not said")
    first = json.loads(stream.getvalue())
    assert abs(datetime.fromisoformat(first.pop("time")) - datetime.now(UTC)) < timedelta(minutes=1)
    assert first == {
        "level": "warning",
        "logger": "skylapse_bridge.test",
        "message": "light 5",
        "camera": "west",
        "frame": "roof/west/1",
    }


async def test_what_a_driver_says_on_its_own_thread_names_the_camera() -> None:
    stream = io.StringIO()
    configure("json", stream=stream)
    worker = Worker("camera-west")
    with about(camera="west"):
        await worker.call(lambda: LOGGER.warning("no cable"), 5)
    worker.stop()
    assert json.loads(stream.getvalue())["camera"] == "west"


def test_a_failure_is_one_line_of_json_with_its_traceback() -> None:
    stream = io.StringIO()
    configure("json", verbose=True, stream=stream)
    fail()
    LOGGER.debug("said")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert "ValueError: invalid literal" in first["exception"]
    assert second["message"] == "said"
    assert "camera" not in second


def test_people_read_the_same_in_a_line() -> None:
    stream = io.StringIO()
    configure("text", stream=stream)
    with about(camera="west"):
        LOGGER.error("no light")
    line = stream.getvalue()
    assert line.count("\n") == 1
    assert all(word in line for word in ("error", "no light", "skylapse_bridge.test", "camera=west"))


@pytest.mark.parametrize("style", STYLES)
def test_systemd_reads_the_priority_of_every_line(
    style: Style, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "journal").open("w", encoding="utf-8") as stream:
        facts = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{facts.st_dev}:{facts.st_ino}")
        configure(style, stream=stream)
        LOGGER.info("all is well")
        fail()
    first, *rest = (tmp_path / "journal").read_text("utf-8").splitlines()
    assert first.startswith("<6>")
    assert rest
    assert all(line.startswith("<3>") for line in rest)
    assert ("T" in first and "Z" in first) is (style == "json"), (
        "the journal knows the time of a line of text"
    )


async def test_a_bridge_logs_json_with_the_camera_that_a_line_is_about(
    tmp_path: Path, broker: Broker, server: TusServer
) -> None:
    Machine(tmp_path, broker, server.url, driver="twin", width=64, height=48, lose_share=1.0)
    command = [sys.executable, "-m", "skylapse_bridge", "run", "--log", "json"]
    program = Program(
        "bridge", [*command, "--config", str(tmp_path / "bridge.yaml")], log_path=tmp_path / "bridge.log"
    )
    listener = Listener(broker.port)
    await listener.start()
    program.start()
    await until(lambda: "camera_lost" in [event.type for event in listener.all(EVENT)], what="a loss")
    program.stop()
    await listener.stop()
    lines = [json.loads(line) for line in program.log().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert any(line.get("camera") == "west" and "lost" in line["message"] for line in lines)
