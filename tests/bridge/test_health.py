"""What the bridge tells about itself, and what systemd hears."""

import socket
from datetime import timedelta
from pathlib import Path

import pytest

from skylapse_bridge import health as health_room
from skylapse_bridge.health import Uplink, boot_id, buffer_hours_left, frames_planned, health, host
from skylapse_bridge.notify import notify
from skylapse_bridge.spool import Limits, Totals

from .made import START, plan, window

EMPTY = Totals(frames=0, bytes=0, oldest_at=None, used_bytes=0)
DAYLONG = plan(window(start=START - timedelta(hours=1), minutes=60 * 48))


def test_this_machine_tells_what_it_can(tmp_path: Path) -> None:
    told = health(
        at=START,
        started_s=0.0,
        clock_synced=True,
        folder=tmp_path,
        totals=EMPTY,
        hours_left=None,
        uplink=Uplink(processor="main", problem="none"),
    )
    assert told.disk_total_bytes is not None
    assert told.disk_free_bytes is not None
    assert 0 < told.disk_free_bytes <= told.disk_total_bytes
    assert told.memory_used_percent is not None
    assert 0 < told.memory_used_percent < 100
    assert (told.uplink, told.uplink_problem) == ("main", "none")
    assert boot_id() == boot_id() != "unknown"
    assert host().python.startswith("3.")


@pytest.mark.parametrize(
    ("text", "throttled"), [("0", False), ("0x50000", False), ("50005", True), ("odd", None)]
)
def test_throttling_means_now_not_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, *, throttled: bool | None
) -> None:
    (tmp_path / "throttled").write_text(text, "utf-8")
    monkeypatch.setattr(health_room, "_THROTTLED", tmp_path / "throttled")
    assert health_room._throttled() is throttled


def test_a_day_at_fifteen_seconds_is_5760_frames() -> None:
    assert frames_planned(DAYLONG, START, START + timedelta(days=1)) == pytest.approx(5760)
    assert frames_planned(plan(), START, START + timedelta(days=1)) == 0


def test_hours_left_follow_the_smaller_of_spool_and_disk() -> None:
    limits = Limits(max_bytes=46_080_000_000, min_free_bytes=10**9)
    hours = [
        buffer_hours_left([DAYLONG], EMPTY, limits, free, START, 4_000_000)
        for free in (10**12, 24_040_000_000, 0)
    ]
    assert hours == [48.0, 24.0, 0.0]
    assert buffer_hours_left([plan()], EMPTY, limits, 10**12, START, 4_000_000) is None


def test_systemd_hears_that_the_bridge_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notify("READY=1")
        assert systemd.recv(100) == b"READY=1"
        monkeypatch.delenv("NOTIFY_SOCKET")
        notify("WATCHDOG=1")
        systemd.setblocking(False)
        with pytest.raises(BlockingIOError):
            systemd.recv(100)
