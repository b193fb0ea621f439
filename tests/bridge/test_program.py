"""`skylapse-bridge run` as a program: killed at random, told to stop, told to start again."""

import asyncio
import io
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from PIL import Image

from skylapse_bridge.deployment import Deployment
from skylapse_bridge.spool import Limits, Spool
from skylapse_protocol.messages import Command, Counts
from skylapse_protocol.topics import AVAILABILITY, FRAME
from tests.support.mosquitto import Broker
from tests.support.processes import Program
from tests.support.tree import ROOT
from tests.support.waiting import until

from .listener import Listener
from .made import START, picture, plan, snapshot, window
from .tus_server import KEY, TusServer

RATE = 60


def environment_of_the_unit() -> dict[str, str]:
    """The variables that systemd sets for a bridge."""
    lines = (ROOT / "pi_bridge" / "skylapse-bridge.service").read_text("utf-8").splitlines()
    words = [line.removeprefix("Environment=") for line in lines if line.startswith("Environment=")]
    return dict(word.split("=", 1) for word in words)


class Machine:
    """A machine that a bridge runs on, with its files."""

    def __init__(self, folder: Path, broker: Broker, url: str, **camera: object) -> None:
        self.state_dir = folder / "state"
        (folder / "key").write_text(KEY, "utf-8")
        settings = {
            "bridge": {"id": "roof"},
            "state_dir": str(self.state_dir),
            "mqtt": {"host": "127.0.0.1", "port": broker.port},
            "processor": {"key_file": str(folder / "key"), "url": url},
            "cameras": [{"id": "west", **camera}],
            "spool": {"min_free_mb": 1},
            "clock": {"start": START.isoformat(), "anchor": datetime.now(UTC).isoformat(), "rate": RATE},
        }
        (folder / "bridge.yaml").write_text(yaml.safe_dump(settings), "utf-8")
        deployment = Deployment(self.state_dir, "roof", "west")
        deployment.keep_plan(plan(window(start=START - timedelta(hours=1), minutes=60 * 24)))
        deployment.keep_snapshot(snapshot())
        arguments = [sys.executable, "-m", "skylapse_bridge", "run", "--config", str(folder / "bridge.yaml")]
        self.program = Program(
            "bridge", arguments, log_path=folder / "bridge.log", environment=environment_of_the_unit()
        )

    def counts(self) -> Counts:
        """The counts on disk, while no bridge runs."""
        spool = Spool(self.state_dir, Limits(max_bytes=10**9, min_free_bytes=1))
        spool.open()
        counts = spool.counts("west")
        spool.close()
        return counts

    def peak_mb(self) -> float:
        """The most memory that the program ever had."""
        assert self.program.pid is not None
        status = Path(f"/proc/{self.program.pid}/status").read_text("utf-8")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024


@pytest.fixture
def machines() -> Iterator[list[Machine]]:
    """Machines whose programs end with the test."""
    made: list[Machine] = []
    yield made
    for machine in made:
        machine.program.kill()


async def test_kill_9_at_random_loses_and_doubles_nothing(
    tmp_path: Path, broker: Broker, server: TusServer, machines: list[Machine]
) -> None:
    machine = Machine(tmp_path, broker, server.url, driver="twin", width=64, height=48)
    machines.append(machine)
    listener = Listener(broker.port)
    await listener.start()
    chance = random.Random(5)
    for _ in range(6):
        before = len(listener.all(FRAME))
        enough = before + chance.randint(1, 5)
        machine.program.start()
        await until(lambda: len(listener.all(FRAME)) >= enough, what="frames")  # noqa: B023
        machine.program.kill()
    server.standing_fault = None
    machine.program.start()
    await until(lambda: len(listener.all(FRAME)) > enough + 2, what="a last few frames")
    machine.program.stop()
    counts = machine.counts()
    announced = {(record.spool, record.seq, record.sha256) for record in listener.all(FRAME)}
    stored = [
        (upload.record["spool"], upload.record["seq"], upload.record["sha256"])
        for upload in server.uploads
        if upload.whole
    ]
    assert counts.captured == counts.delivered + counts.pending
    assert counts.dropped == 0
    assert len(set(stored)) >= counts.delivered
    assert len(announced - set(stored)) <= counts.pending
    assert len({(spool, seq) for spool, seq, _ in stored}) == len(set(stored))
    await until(lambda: listener.all(AVAILABILITY)[-1] == "offline", what="the farewell")
    await listener.stop()


async def test_a_restart_on_command_comes_back_by_itself(
    tmp_path: Path, broker: Broker, server: TusServer, machines: list[Machine]
) -> None:
    machine = Machine(tmp_path, broker, server.url, driver="twin", width=64, height=48)
    machines.append(machine)
    listener = Listener(broker.port)
    await listener.start()
    machine.program.start()
    await listener.next(AVAILABILITY)
    ask = Command(id="again", expires_at=START + timedelta(days=9), name="restart")
    assert (await listener.ask(ask)).ok
    await until(lambda: listener.all(AVAILABILITY)[-2:] == ["offline", "online"], what="the bridge again")
    machine.program.stop()
    assert machine.program.exit_code == 0
    await listener.stop()


async def test_a_bridge_without_arrays_stays_below_80_mb(
    tmp_path: Path, broker: Broker, server: TusServer, machines: list[Machine]
) -> None:
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    noise = Image.effect_noise((4000, 3000), 40).convert("RGB")
    buffer = io.BytesIO()
    noise.save(buffer, "JPEG", quality=60)
    (photographs / "1.jpg").write_bytes(buffer.getvalue())
    (photographs / "2.jpg").write_bytes(picture())
    machine = Machine(tmp_path, broker, server.url, driver="folder", path=str(photographs), at_end="loop")
    machines.append(machine)
    machine.program.start()
    await until(lambda: len(server.frames) >= 12, what="frames")
    assert len(buffer.getvalue()) > 3_000_000
    assert machine.peak_mb() <= 80


async def test_a_second_bridge_on_the_same_state_folder_refuses_to_start(
    tmp_path: Path, broker: Broker, server: TusServer, machines: list[Machine]
) -> None:
    machine = Machine(tmp_path, broker, server.url, driver="twin", width=64, height=48)
    machines.append(machine)
    listener = Listener(broker.port)
    await listener.start()
    machine.program.start()
    await listener.next(FRAME)
    second = Program("second", machine.program.command, log_path=tmp_path / "second.log")
    second.start()
    assert await asyncio.to_thread(second.wait) == 2
    assert f"another bridge works in {machine.state_dir} (process {machine.program.pid})" in second.log()
    assert machine.program.running
    machine.program.kill()
    second.start()
    await until(lambda: "connected to the broker" in second.log(), what="the second one at work")
    second.stop()
    await listener.stop()


async def test_a_missing_password_stops_the_start_and_a_missing_key_is_waited_for(
    tmp_path: Path, broker: Broker, server: TusServer, machines: list[Machine]
) -> None:
    machine = Machine(tmp_path, broker, server.url, driver="twin", width=64, height=48)
    machines.append(machine)
    path = tmp_path / "bridge.yaml"
    (tmp_path / "key").unlink()
    good = path.read_text("utf-8")
    settings = yaml.safe_load(good)
    settings["mqtt"] |= {"username": "roof", "password_file": "nowhere"}
    path.write_text(yaml.safe_dump(settings), "utf-8")
    machine.program.start()
    assert await asyncio.to_thread(machine.program.wait) == 2
    said = machine.program.log()
    assert f"mqtt.password_file: {tmp_path / 'nowhere'} cannot be read" in said
    assert "Traceback" not in said
    path.write_text(good, "utf-8")
    machine.program.start()
    await until(lambda: "connected to the broker" in machine.program.log(), what="the bridge at work")
    waits = "cannot be read: No such file or directory; a bridge starts all the same, and waits for it"
    assert f"processor.key_file: {tmp_path / 'key'} {waits}" in machine.program.log()
    (tmp_path / "key").write_text(KEY, "utf-8")
    await until(lambda: server.frames, what="a frame at the processor")
    machine.program.stop()
    assert machine.program.exit_code == 0
