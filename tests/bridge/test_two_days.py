"""Two days alone: no broker, no processor, nobody at home, a restart in between, and nothing is lost."""

import re
from datetime import datetime, timedelta

import pytest

from skylapse_bridge.service import Bridge
from skylapse_protocol.messages import Counts
from skylapse_protocol.records import FrameRecord, read_record
from skylapse_protocol.snapshot import Plan, SunTable, Window, next_tick
from skylapse_protocol.topics import STATE
from tests.support.waiting import until

from .conftest import House
from .made import LeapingClock, plan, snapshot
from .tus_server import hanging_up

BEGIN = datetime.fromisoformat("2026-03-20T00:00:00+00:00")
END = BEGIN + timedelta(hours=48)


def window(name: str, day: int, hour: float, hours: float, interval_s: float) -> Window:
    """A window of one day."""
    start = BEGIN + timedelta(days=day, hours=hour)
    return Window(
        id=f"{name}-{start:%Y%m%d}",
        schedule=name,
        day=f"{start:%Y-%m-%d}",
        starts_at=start,
        ends_at=start + timedelta(hours=hours),
        interval_s=interval_s,
        profiles=("f",),
    )


def two_days() -> Plan:
    """Sunrise and sunset densely, over a thin day that goes on beneath them."""
    windows = [
        made
        for day in (0, 1)
        for made in (
            window("day", day, 4.0, 16.0, 900),
            window("sunrise", day, 5.0, 1.5, 45),
            window("sunset", day, 17.0, 1.5, 45),
        )
    ]
    elevations = tuple(50.0 * (1 - abs((step / 12) % 24 - 12) / 6) for step in range(96 * 12 + 1))
    sun = SunTable(starts_at=BEGIN, step_s=300, elevation_deg=elevations)
    return plan(*windows, sun=sun, revision=3)


def planned(deployed: Plan) -> list[datetime]:
    """Every tick of the two days."""
    found, moment = [], BEGIN
    while (tick := next_tick(deployed, moment)) is not None:
        found.append(tick[0])
        moment = tick[0] + timedelta(microseconds=1)
    return found


async def live_until(bridge: Bridge, clock: LeapingClock, moment: datetime) -> None:
    """Let the bridge live until this moment, as fast as it can, from when its camera answers."""
    await until(lambda: bridge._runners["west"]._sequence.camera_up, what="the camera")
    clock.goal = moment
    clock.leap()
    await until(lambda: clock.moment >= moment, what=f"{moment}")


async def test_two_days_alone_lose_nothing(house: House, caplog: pytest.LogCaptureFixture) -> None:
    deployed = two_days()
    ticks = planned(deployed)
    clock = LeapingClock(BEGIN)
    house.clock = clock
    bridge = await house.start()
    house.deploy(deployed, snapshot())
    await house.listener.next(STATE, plan_revision=3, snapshot_version=7, capturing=True)
    house.broker.kill()
    house.server.standing_fault = hanging_up(house.server)
    await live_until(bridge, clock, BEGIN + timedelta(hours=29.9, seconds=10))
    await house.stop()
    bridge = await house.start()
    await live_until(bridge, clock, END)
    counts = await counted(bridge)
    assert counts == Counts(captured=counts.captured, pending=counts.captured)

    house.server.standing_fault = None
    house.broker.start()
    await until(lambda: len(house.server.frames) == counts.captured, what="the delivery")

    records = [read_record(upload.record) for upload in house.server.uploads if upload.whole]
    assert [record.seq for record in records] == sorted(record.seq for record in records)
    taken = [record.captured_at for record in records]
    assert taken == sorted(set(taken))
    assert set(taken) <= set(ticks)
    skipped = sum(map(int, re.findall(r"(\d+) too late since", caplog.text)))
    assert len(taken) + skipped == len(ticks)
    assert skipped <= 2
    check_windows(records, deployed)
    await until(lambda: delivered(house, len(taken)), what="the counts at home")
    ended = house.listener.all(STATE)[-1].ended_windows
    assert sum(one.captured for one in ended) == len(taken)
    assert [one.window for one in ended] == [
        one.id for one in sorted(deployed.windows, key=lambda one: one.ends_at)
    ]


def delivered(house: House, count: int) -> bool:
    """Tell whether the bridge says that all is delivered."""
    return house.listener.all(STATE)[-1].counts == Counts(captured=count, delivered=count)


def check_windows(records: list[FrameRecord], deployed: Plan) -> None:
    """Every frame belongs to the window that ruled, and carries its day."""
    windows = {one.id: one for one in deployed.windows}
    for record in records:
        ruling = windows[record.window or ""]
        assert ruling.starts_at <= record.captured_at < ruling.ends_at
        assert (record.schedule, record.day, record.profile) == (ruling.schedule, ruling.day, "f")
        assert record.sun_elevation_deg is not None


async def counted(bridge: Bridge) -> Counts:
    """The counts in the spool."""
    return await bridge._outbox.run(lambda spool: spool.counts("west"))
