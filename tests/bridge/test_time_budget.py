"""The interval's budget on the running bridge: exposures that last, and tests that take what is left."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from skylapse_bridge.service import Bridge
from skylapse_protocol.messages import Command
from skylapse_protocol.records import FrameRecord
from skylapse_protocol.snapshot import Arm, Experiment, Profile, Snapshot
from skylapse_protocol.topics import COMMAND, EVENT, FRAME, SNAPSHOT, STATE
from tests.support.waiting import until

from .conftest import House
from .made import LeapingClock, plan, profile, snapshot, window

AHEAD = timedelta(minutes=1)
"""Cameras are started so long before their window."""
SETTLED = 8
"""Ticks after which the first light has been found."""
NIGHT = datetime.fromisoformat("2026-03-20T22:00:00+00:00")
DUSK = datetime.fromisoformat("2026-03-20T18:22:00+00:00")
DAY = datetime.fromisoformat("2026-03-20T12:00:00+00:00")


async def live(
    house: House, begin: datetime, deployed: Snapshot, seconds: float, *, interval_s: float
) -> list[FrameRecord]:
    """Let a new bridge, whose exposures last, photograph for so long; return what it took."""
    clock = LeapingClock(begin - AHEAD)
    house.clock = clock
    heard = len(house.listener.all(FRAME))
    (camera,) = house.config.cameras
    camera = replace(camera, options={**camera.options, "exposures_last": True})
    state_dir = house.folder / f"state-{heard}"
    bridge = await house.start(cameras=(camera,), state_dir=state_dir)
    one = window(start=begin, minutes=600, interval_s=interval_s, profiles=names(deployed))
    house.deploy(plan(one), deployed)
    await until(lambda: bridge._runners["west"]._sequence.shooting, what="plan, snapshot and camera")
    goal = clock.goal = begin + timedelta(seconds=seconds)
    clock.leap()
    await until(lambda: clock.moment >= goal, what=f"{goal}")
    captured = await counted(bridge)
    stopping = asyncio.create_task(house.stop())
    await until(lambda: over(stopping, clock), what="the end of the last exposure")
    await until(lambda: len(house.listener.all(FRAME)) - heard >= captured, what="the records")
    last = goal - timedelta(seconds=2 * interval_s)
    return [record for record in house.listener.all(FRAME)[heard:] if record.captured_at <= last]


def over(stopping: "asyncio.Task[None]", clock: LeapingClock) -> bool:
    """Let an exposure end that is under way; tell whether the bridge has stopped."""
    clock.pass_time(1)
    return stopping.done()


async def counted(bridge: Bridge) -> int:
    """The frames that are in the spool."""
    return (await bridge._outbox.run(lambda spool: spool.counts("west"))).captured


def names(deployed: Snapshot) -> tuple[str, ...]:
    """The profiles of a snapshot."""
    return tuple(one.id for one in deployed.profiles)


def late_s(records: list[FrameRecord], begin: datetime) -> list[float]:
    """How much later than its tick each exposure began."""
    clock = LeapingClock(begin)
    ahead_ns = AHEAD.seconds * 10**9
    return [
        (record.monotonic_ns - ahead_ns - clock.monotonic_ns()) / 1e9
        - (record.captured_at - begin).total_seconds()
        for record in records
    ]


@pytest.mark.parametrize(
    ("interval_s", "profiles", "longest_us"),
    [
        (2.0, (profile(),), 800_000),
        (15.0, (profile(),), 12_000_000),
        (15.0, (profile("a"), profile("b", ev=-1.0)), 6_000_000),
        (15.0, (profile(bracket_ev=(-1.0, 0.0, 1.0)),), 3_500_000),
        (15.0, (profile(average=3),), 3_000_000),
    ],
    ids=["every 2 s", "every 15 s", "two profiles", "bracket", "average"],
)
async def test_at_night_every_tick_is_on_time_with_exposures_at_their_limit(
    house: House, interval_s: float, profiles: tuple[Profile, ...], longest_us: int
) -> None:
    ticks = 30
    records = await live(house, NIGHT, snapshot(*profiles), ticks * interval_s, interval_s=interval_s)
    settled = [
        record for record in records if record.captured_at >= NIGHT + SETTLED * timedelta(seconds=interval_s)
    ]
    leading = [record for record in settled if not record.place]
    taken = [record.captured_at for record in leading]
    interval = timedelta(seconds=interval_s)
    assert taken == [NIGHT + number * interval for number in range(SETTLED, SETTLED + len(taken))]
    assert len(taken) >= ticks - SETTLED - 2
    assert max(record.exposure_us or 0 for record in leading) == pytest.approx(longest_us, rel=0.001)
    assert late_s(leading, NIGHT) == pytest.approx([0.0] * len(leading), abs=1e-6)


def with_test(*arms: Profile) -> Snapshot:
    """Production, and a test beside it."""
    named = tuple(Arm(test_id=f"arm-{one.id}", profile=one) for one in arms)
    return snapshot(experiments=(Experiment(id="ab", arms=named),))


def asked(records: list[FrameRecord]) -> list[tuple[object, ...]]:
    """What production was taken with."""
    return [
        (one.captured_at, one.asked, one.exposure_us, one.analogue_gain, one.digital_gain, one.lux)
        for one in records
        if one.test_id is None
    ]


@pytest.mark.parametrize("begin", [DAY, DUSK, NIGHT], ids=["day", "dusk", "night"])
async def test_a_test_changes_nothing_of_production(house: House, begin: datetime) -> None:
    arms = profile("a", ev=1.0), profile("b", bracket_ev=(0.0, 1.0, -1.0))
    alone = await live(house, begin, snapshot(), 600, interval_s=15)
    beside = await live(house, begin, with_test(*arms), 600, interval_s=15)
    assert len(asked(alone)) >= 35
    assert asked(beside) == asked(alone)
    turns = [record.test_id for record in beside if record.test_id and not record.bracket_ev]
    assert abs(turns.count("arm-a") - turns.count("arm-b")) <= 1
    assert (len(turns) > 30) == (begin == DAY)
    assert (not turns) == (begin == NIGHT)


async def test_arms_wait_for_room_and_that_is_told_once_until_they_have_it(house: House) -> None:
    arms = profile("a"), profile("b", ev=-1.0)
    beside = await live(house, NIGHT, with_test(*arms), 300, interval_s=15)
    assert {record.test_id for record in beside} == {None}
    told = [state.last_error for state in house.listener.all(STATE)]
    assert "the A/B test ab waits: an arm needs" in (told[-1] or "")
    assert len({error for error in told if error}) == 1
    assert not [event for event in house.listener.all(EVENT) if event.type == "capture_failed"]


def withdraw_window(house: House) -> None:
    """The window is over."""
    house.deploy(None, with_test(profile("a")))


def withdraw_test(house: House) -> None:
    """The test is over."""
    house.listener.say(SNAPSHOT, snapshot(), camera="west")


def switch_off(house: House) -> None:
    """Nothing is to be photographed."""
    until_then = NIGHT + timedelta(hours=1)
    order = Command(id="1", expires_at=until_then, name="set_enabled", args={"enabled": False})
    house.listener.say(COMMAND, order, camera="west")


@pytest.mark.parametrize("end", [withdraw_window, withdraw_test, switch_off])
async def test_a_test_is_told_to_wait_no_longer_than_it_does(
    house: House, end: Callable[[House], None]
) -> None:
    await wait_for_room(house, with_test(profile("a")))
    end(house)
    await until(lambda: "waits" not in last_error(house), what="the end of its waiting")


async def test_of_two_tests_the_one_that_still_waits_is_told(house: House) -> None:
    first, second = (
        Experiment(id=name, arms=(Arm(test_id=f"arm-{name}", profile=profile(name)),))
        for name in ("ab", "cd")
    )
    await wait_for_room(house, snapshot(experiments=(first, second)))
    house.listener.say(SNAPSHOT, snapshot(experiments=(second,)), camera="west")
    await until(lambda: "the A/B test cd waits" in last_error(house), what="the other one")


async def wait_for_room(house: House, deployed: Snapshot) -> None:
    """Photograph by night until test ab waits, and stop the clock between two ticks."""
    house.clock.set(NIGHT)
    bridge = await house.start()
    house.deploy(plan(window(start=NIGHT, minutes=600)), deployed)
    await house.photograph(1, step_s=1)
    for _ in range(200):
        if "the A/B test ab waits" in last_error(house):
            break
        await house.photograph(1, step_s=1)
    assert "the A/B test ab waits" in last_error(house)

    def idle() -> bool:
        if bridge._runners["west"]._due_s is not None:
            house.clock.pass_time(1)
        return bridge._runners["west"]._due_s is None

    await until(idle, what="the end of a tick")


def last_error(house: House) -> str:
    """What stands in the camera's state."""
    return house.listener.all(STATE)[-1].last_error or ""
