"""A running bridge whose clock is set by two hours, ahead and back: nothing is stacked, nothing stops."""

from datetime import datetime, timedelta
from itertools import pairwise

from skylapse_protocol.messages import CameraEvent
from skylapse_protocol.records import FrameRecord
from skylapse_protocol.topics import EVENT, FRAME, PLAN, STATE
from tests.support.waiting import until

from .conftest import House
from .made import START, plan, snapshot, window

LONG = plan(window(start=START - timedelta(hours=4), minutes=8 * 60))


def phases(records: list[FrameRecord]) -> list[datetime]:
    """When frames were taken, in the order of their numbers."""
    return [record.captured_at for record in sorted(records, key=lambda record: record.seq)]


def skips(house: House) -> list[CameraEvent]:
    return [event for event in house.listener.all(EVENT) if event.type == "tick_skipped"]


async def test_a_clock_that_is_set_ahead_and_back_stacks_and_stops_nothing(house: House) -> None:
    await house.start()
    house.deploy(LONG, snapshot())
    await house.photograph(3, step_s=3)
    before = len(skips(house))
    house.clock.set(house.clock.now() + timedelta(hours=2))
    await house.photograph(3, step_s=3)
    (ahead,) = skips(house)[before:]
    assert int((ahead.reason or "").split()[0]) in range(478, 482)
    house.clock.set(house.clock.now() - timedelta(hours=2))
    await house.photograph(3, step_s=3)
    assert len(skips(house)) == before + 1
    taken = phases(house.listener.all(FRAME))
    assert all((at - START) % timedelta(seconds=15) == timedelta(0) for at in taken)
    steps = [later - earlier for earlier, later in pairwise(taken)]
    assert sum(step > timedelta(hours=1) for step in steps) == 1
    assert sum(step < timedelta(0) for step in steps) == 1
    assert timedelta(0) not in steps
    await until(lambda: house.listener.all(STATE)[-1].active_window == "sunset-1", what="the window")
    assert {event.type for event in house.listener.all(EVENT)} == {"window_started", "tick_skipped"}


async def test_a_clock_that_is_set_ahead_over_the_end_of_a_window_and_back_opens_it_again(
    house: House,
) -> None:
    await house.start()
    house.deploy(plan(window(start=START - timedelta(minutes=5), minutes=60)), snapshot())
    await house.photograph(2, step_s=3)
    house.clock.set(house.clock.now() + timedelta(hours=2))
    await house.listener.next(EVENT, type="window_ended")
    house.clock.set(house.clock.now() - timedelta(hours=2))
    await house.photograph(2, step_s=3)
    house.clock.set(START + timedelta(hours=1))
    await until(lambda: house.listener.all(STATE)[-1].active_window is None, what="the end")
    taken = len(house.listener.all(FRAME))
    await until(
        lambda: [one.captured for one in house.listener.all(STATE)[-1].ended_windows] == [taken],
        what="the window with all its frames",
    )


async def test_many_late_frames_are_a_problem_until_the_window_is_over(house: House) -> None:
    await house.start()
    house.deploy(LONG, snapshot())
    await house.photograph(1, step_s=3)
    house.clock.set(house.clock.now() + timedelta(hours=2))
    await house.photograph(2, step_s=3)
    await until(lambda: "too late since" in _last_error(house), what="the problem")
    house.deploy(None, snapshot())
    await until(lambda: not _last_error(house), what="its end")


async def test_frames_that_came_too_late_hide_no_other_problem(house: House) -> None:
    await house.start()
    house.deploy(LONG, snapshot())
    await house.photograph(1, step_s=3)
    house.listener.raw(PLAN.name(bridge="roof", camera="west"), b"{")
    await until(lambda: "is refused" in _last_error(house), what="the refusal")
    house.clock.set(house.clock.now() + timedelta(hours=2))
    await house.listener.next(EVENT, type="tick_skipped")
    await house.photograph(2, step_s=3)
    assert "is refused" in _last_error(house)


async def test_late_frames_of_a_window_that_is_over_are_no_problem(house: House) -> None:
    await house.start()
    house.deploy(plan(window(start=START - timedelta(minutes=5), minutes=60)), snapshot())
    await house.photograph(1, step_s=3)
    before = len(skips(house))
    house.clock.set(house.clock.now() + timedelta(hours=2))
    await until(lambda: len(skips(house)) > before, what="the frames that came too late")
    await house.listener.next(EVENT, type="window_ended")
    house.deploy(plan(revision=2), snapshot())
    state = await house.listener.next(STATE, plan_revision=2)
    assert state.last_error is None


def _last_error(house: House) -> str:
    return house.listener.all(STATE)[-1].last_error or ""
