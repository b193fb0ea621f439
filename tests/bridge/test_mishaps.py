"""What goes wrong beside the camera, and never ends the bridge nor costs a frame that is whole."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from skylapse_bridge.deployment import Deployment
from skylapse_bridge.errors import SpoolError
from skylapse_bridge.health import Machine
from skylapse_bridge.service import Bridge
from skylapse_bridge.spool import Limits, Spool
from skylapse_protocol.messages import Counts
from skylapse_protocol.topics import AVAILABILITY, FRAME, PLAN, SNAPSHOT, STATE
from tests.support.waiting import until

from .conftest import House
from .made import START, draft, picture, plan, snapshot, window

LARGEST_MESSAGE_BYTES = 64 * 1024
PLAN_NOW = plan(window(start=START - timedelta(minutes=10)))


def fill(state_dir: Path, count: int, **facts: Any) -> list[Path]:
    """Leave frames in the spool, as an earlier run does; return their files."""
    spool = Spool(state_dir, Limits(max_bytes=10**9, min_free_bytes=1))
    spool.open()
    for number in range(count):
        spool.add(draft(captured_at=START + timedelta(seconds=number), **facts), picture(level=10 + number))
    files = [frame.path for frame in (*spool.pending(count), *spool.held())]
    spool.close()
    return files


def runs(bridge: Bridge) -> bool:
    """Nothing ended the bridge."""
    return bridge._over is not None and not bridge._over.done()


def largest_plan() -> bytes:
    """A plan that just fits into a message, its times as short as the contract lets anybody write them."""
    windows: list[dict[str, Any]] = []
    text = b""
    for hour in range(LARGEST_MESSAGE_BYTES):
        start = START + timedelta(hours=hour)
        windows.append(
            {
                "id": f"w{hour}",
                "schedule": "s",
                "day": "2026-03-20",
                "starts_at": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "ends_at": (start + timedelta(minutes=9)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "interval_s": 15,
                "profiles": ["f"],
            }
        )
        message = {
            "schema": 1,
            "revision": 5,
            "created_at": "2026-03-20T17:00:00Z",
            "time_zone": "UTC",
            "windows": windows,
        }
        longer = json.dumps(message, separators=(",", ":")).encode()
        if len(longer) > LARGEST_MESSAGE_BYTES:
            break
        text = longer
    return text


async def test_a_plan_as_large_as_a_message_may_be_is_kept_as_it_came(house: House) -> None:
    payload = largest_plan()
    bridge = await house.start()
    await house.listener.next(AVAILABILITY)
    house.listener.raw(PLAN.name(bridge="roof", camera="west"), payload)
    await house.listener.next(STATE, plan_revision=5)
    await house.stop()
    kept = Deployment(house.config.state_dir, "roof", "west").load_plan()
    assert kept is not None
    assert kept == bridge._runners["west"].plan
    assert runs(bridge)


async def test_what_cannot_be_kept_is_obeyed_and_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    bridge = await house.start()
    await house.listener.next(STATE, capturing=True)
    monkeypatch.setattr("skylapse_bridge.deployment.write_durably", full)
    house.listener.say(PLAN, plan(revision=6), camera="west")
    state = await house.listener.next(STATE, plan_revision=6)
    assert "No space left" in (state.last_error or "")
    assert runs(bridge)


async def test_a_message_that_comes_to_nothing_leaves_the_bridge_running(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = await house.start()
    await house.listener.next(STATE, capturing=True)
    with monkeypatch.context() as patch:
        patch.setattr(Deployment, "keep_snapshot", lambda *_: 1 / 0)
        house.listener.say(SNAPSHOT, snapshot(), camera="west")
        house.listener.say(PLAN, PLAN_NOW, camera="west")
        await house.listener.next(STATE, plan_revision=1)
    assert runs(bridge)
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(1)


async def test_frames_of_a_camera_that_is_configured_no_more_are_delivered(house: House) -> None:
    fill(house.config.state_dir, 9, camera="old")
    bridge = await house.start()
    await until(lambda: len(house.server.frames) == 9, what="the delivery")
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(1)
    assert runs(bridge)


@pytest.mark.parametrize("damage", ["one byte", "all bytes", "gone"])
async def test_a_damaged_frame_that_waits_for_the_clock_is_given_up(house: House, damage: str) -> None:
    bad, _ = fill(house.config.state_dir, 2, clock_synced=False, boot_id=Machine().boot_id())
    data = bad.read_bytes()
    house.clock.pass_time(300)
    spoil = {"one byte": data[:-40] + bytes([data[-40] ^ 0xFF]) + data[-39:], "all bytes": bytes(len(data))}
    bad.write_bytes(spoil.get(damage, data))
    house.clock.is_synced = False
    bridge = await house.start()
    await house.listener.next(AVAILABILITY)
    if damage == "gone":
        bad.unlink()
    house.clock.is_synced = True
    await until(lambda: len(house.server.frames) == 1, what="the whole one")

    async def counted() -> bool:
        return await bridge._outbox.run(lambda spool: spool.counts("west")) == Counts(
            captured=2, delivered=1, dropped=1
        )

    await until(counted, what="the counts")
    assert house.server.frames == [2]
    await house.listener.next(FRAME, seq=2)
    assert len(house.listener.all(FRAME)) == 1
    assert runs(bridge)


async def test_a_spool_that_cannot_be_read_ends_the_bridge_and_says_so(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bridge = await house.start()
    await house.listener.next(STATE, capturing=True)
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "counts", unreadable)
        house.deploy(PLAN_NOW, snapshot())
        with pytest.raises(SpoolError, match="cannot be read"):
            await bridge.over()
    assert "the bridge ends, so that it is started anew: the disk cannot be read" in caplog.text


def unreadable(*_: object) -> Counts:
    """What a database does whose disk went away."""
    raise SpoolError("the disk cannot be read")
