"""Two bridges on one clock photograph together, without a word between them.

How many milliseconds they are apart is measured by `python -m bench bridge`.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from skylapse_bridge.deployment import Deployment
from skylapse_bridge.spool import Limits, Spool
from skylapse_protocol.records import FrameRecord
from tests.support.processes import Program
from tests.support.waiting import until

from .made import plan, snapshot, window

TICKS = 8


def start_bridge(folder: Path, name: str) -> Program:
    """A bridge of its own with a small twin, one picture a second from now on."""
    folder.mkdir()
    camera = {"id": "west", "driver": "twin", "width": 64, "height": 48}
    settings = {
        "bridge": {"id": name},
        "state_dir": str(folder / "state"),
        "cameras": [camera],
        "spool": {"min_free_mb": 1},
    }
    (folder / "bridge.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    deployment = Deployment(folder / "state", name, "west")
    now = datetime.now(UTC)
    deployment.keep_plan(plan(window(start=now - timedelta(minutes=1), minutes=60, interval_s=1)))
    deployment.keep_snapshot(snapshot())
    arguments = [sys.executable, "-m", "skylapse_bridge", "run", "--config", str(folder / "bridge.yaml")]
    program = Program(name, arguments, log_path=folder / "bridge.log")
    program.start()
    return program


def pictures(folder: Path) -> int:
    return len(list((folder / "state" / "frames" / "west").glob("*.jpg")))


def records(folder: Path) -> dict[datetime, FrameRecord]:
    """What a bridge that ended took, by the tick."""
    spool = Spool(folder / "state", Limits(max_bytes=10**9, min_free_bytes=1))
    spool.open()
    found = {frame.record.captured_at: frame.record for frame in spool.pending(10_000)}
    spool.close()
    return found


async def test_two_bridges_on_one_clock_photograph_the_same_ticks(tmp_path: Path) -> None:
    folders = [tmp_path / "north", tmp_path / "south"]
    programs = [start_bridge(folder, folder.name) for folder in folders]
    try:
        await until(lambda: min(map(pictures, folders)) >= TICKS, what="pictures of both")
    finally:
        for program in programs:
            program.stop()
    north, south = (records(folder) for folder in folders)
    shared = north.keys() & south.keys()
    assert len(shared) >= TICKS // 2
    assert all(at.microsecond == 0 for at in shared)
