"""The sequence: which frame when, what is skipped, when windows turn. All without a clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skylapse_bridge.sequence import (
    CameraChanged,
    EnabledChanged,
    Event,
    Instruction,
    ModeChanged,
    PlanChanged,
    RoomChanged,
    Sequence,
    Shoot,
    Skip,
    SnapshotChanged,
    WaitUntil,
    WindowTurned,
    Woken,
    step,
)
from skylapse_bridge.shots import shots_of
from skylapse_protocol.snapshot import Arm, Experiment, Plan, Window, active_window, next_tick

from .made import START, plan, profile, snapshot, window

SECOND = timedelta(seconds=1)
READY = Sequence(plan=plan(window()), snapshot=snapshot(), camera_up=True)


def live(state: Sequence, start: datetime, end: datetime, *, busy_s: float = 0.0) -> list[Instruction]:
    """Obey instructions from `start` to `end`; every frame takes `busy_s` after its tick."""
    now, seen = start, list[Instruction]()
    while now < end:
        state, instructions = step(state, Woken(), now)
        seen += instructions
        last = instructions[-1]
        if isinstance(last, Shoot):
            now = max(now, last.at) + busy_s * SECOND
        else:
            assert isinstance(last, WaitUntil)
            if last.moment is None:
                break
            assert last.moment > now
            now = last.moment
    return seen


def shoots(seen: list[Instruction]) -> list[Shoot]:
    return [instruction for instruction in seen if isinstance(instruction, Shoot)]


def turns(seen: list[Instruction]) -> list[tuple[str, str]]:
    return [(turn.change, turn.window.id) for turn in seen if isinstance(turn, WindowTurned)]


def test_a_window_is_photographed_from_its_first_tick_to_its_last() -> None:
    seen = live(READY, START - timedelta(hours=1), START + timedelta(hours=2))
    taken = [shoot.at for shoot in shoots(seen)]
    assert taken == [START + 15 * k * SECOND for k in range(240)]
    assert turns(seen) == [("started", "sunset-1"), ("ended", "sunset-1")]
    assert not [instruction for instruction in seen if isinstance(instruction, Skip)]


def test_the_first_frame_finds_its_window_open() -> None:
    seen = live(READY, START - timedelta(hours=1), START + timedelta(seconds=20))
    assert [type(instruction) for instruction in seen[:4]] == [WaitUntil, WindowTurned, Shoot, WaitUntil]
    started = seen[1]
    assert isinstance(started, WindowTurned)
    assert started.at == START


def test_a_tick_is_begun_early_so_that_controls_are_in_flight() -> None:
    _, instructions = step(READY, Woken(), START + 5 * SECOND)
    assert instructions[-1] == WaitUntil(moment=START + 11 * SECOND)
    _, instructions = step(replace(READY, done_until=START + 5 * SECOND), Woken(), START + 11 * SECOND)
    assert isinstance(instructions[-1], Shoot)
    assert instructions[-1].at == START + 15 * SECOND


def test_late_ticks_are_skipped_and_counted_never_stacked() -> None:
    state, _ = step(READY, Woken(), START)
    _, instructions = step(state, Woken(), START + 100 * SECOND)
    skips = [instruction for instruction in instructions if isinstance(instruction, Skip)]
    assert [(skip.first, skip.ticks) for skip in skips] == [(START + 15 * SECOND, 5)]
    assert isinstance(instructions[-1], Shoot)
    assert instructions[-1].at == START + 90 * SECOND


def test_a_camera_slower_than_the_interval_skips_but_keeps_to_the_ticks() -> None:
    seen = live(READY, START, START + timedelta(hours=1), busy_s=40)
    taken = [shoot.at for shoot in shoots(seen)]
    skipped = sum(skip.ticks for skip in seen if isinstance(skip, Skip))
    assert len(taken) + skipped == pytest.approx(240, abs=3)
    assert len(taken) > 60
    assert all((at - START) % (15 * SECOND) == timedelta(0) for at in taken)
    assert all(b > a for a, b in pairwise(taken))


def test_a_night_long_sleep_costs_one_step_not_a_thousand() -> None:
    state = replace(READY, plan=plan(window(minutes=60 * 24, interval_s=1)), done_until=START)
    state, instructions = step(state, Woken(), START + timedelta(hours=20))
    shots = shoots(list(instructions))
    assert not shots or shots[0].at >= START + timedelta(hours=20)
    (skip,) = [instruction for instruction in instructions if isinstance(instruction, Skip)]
    assert (skip.first, skip.ticks) == (START, 20 * 3600)
    assert state.done_until is not None
    assert state.done_until >= START + timedelta(hours=20)


@pytest.mark.parametrize(
    "event",
    [
        PlanChanged(plan=None),
        SnapshotChanged(snapshot=None),
        EnabledChanged(enabled=False),
        ModeChanged(mode="live"),
        CameraChanged(camera_up=False),
        RoomChanged(full=True),
    ],
)
def test_each_of_these_stops_the_ticks(event: Event) -> None:
    state, _ = step(READY, Woken(), START)
    state, _ = step(state, event, START + SECOND)
    assert not shoots(live(state, START + 2 * SECOND, START + timedelta(hours=2)))
    assert state.next_tick_at(START) is None


def test_after_a_pause_nothing_is_made_up_for() -> None:
    state, _ = step(READY, Woken(), START)
    state, _ = step(state, RoomChanged(full=True), START + SECOND)
    state, instructions = step(state, RoomChanged(full=False), START + timedelta(minutes=20, seconds=1))
    assert not [instruction for instruction in instructions if isinstance(instruction, Skip)]
    assert instructions[-1] == WaitUntil(moment=START + timedelta(minutes=20, seconds=11))
    assert state.next_tick_at(START + timedelta(minutes=20, seconds=1)) == START + timedelta(
        minutes=20, seconds=15
    )


def test_the_shorter_interval_rules_and_both_windows_turn_by_their_own_times() -> None:
    hour = window("hour", start=START - timedelta(hours=2), minutes=360, interval_s=3600, schedule="hourly")
    state = replace(READY, plan=plan(hour, window()))
    seen = live(state, START - timedelta(hours=2, seconds=10), START + timedelta(hours=5))
    owners = [shoot.window.id for shoot in shoots(seen)]
    assert owners == ["hour"] * 2 + ["sunset-1"] * 240 + ["hour"] * 3
    assert turns(seen) == [
        ("started", "hour"),
        ("started", "sunset-1"),
        ("ended", "sunset-1"),
        ("ended", "hour"),
    ]


def test_a_window_taken_from_the_plan_ends_at_once() -> None:
    state, _ = step(READY, Woken(), START)
    _, instructions = step(state, PlanChanged(plan=plan()), START + 100 * SECOND)
    ended = instructions[0]
    assert isinstance(ended, WindowTurned)
    assert (ended.change, ended.at) == ("ended", START + 100 * SECOND)


def test_a_window_that_ended_while_the_bridge_was_down_is_ended_at_the_start() -> None:
    state = Sequence(plan=plan(window()), open_windows=(window(),))
    _, instructions = step(state, Woken(), START + timedelta(hours=9))
    ended = instructions[0]
    assert isinstance(ended, WindowTurned)
    assert (ended.change, ended.at) == ("ended", START + timedelta(hours=1))


def test_a_clock_that_is_not_set_yet_ends_no_window() -> None:
    state = replace(READY, open_windows=(window(),))
    state, instructions = step(state, Woken(), datetime(1970, 1, 1, tzinfo=UTC))
    assert turns(list(instructions)) == []
    state, instructions = step(state, Woken(), START + 600 * SECOND)
    assert turns(list(instructions)) == []
    assert state.open_windows == (window(),)


def test_a_renewed_plan_moves_the_end_of_an_open_window() -> None:
    state, _ = step(READY, Woken(), START)
    state, instructions = step(state, PlanChanged(plan=plan(window(minutes=90), revision=2)), START + SECOND)
    assert not turns(list(instructions))
    assert len(shoots(live(state, START + SECOND, START + timedelta(hours=3)))) == 359


def test_several_profiles_are_a_burst() -> None:
    shots = shots_of(snapshot(profile("a"), profile("b")), window(profiles=("a", "b", "unknown")), START)
    assert [(shot.profile.id, shot.place) for shot in shots] == [("a", 0), ("b", 1)]
    assert [shot.place for shot in shots_of(snapshot(), window(), START)] == [None]


def test_the_arms_of_an_experiment_take_turns_beside_production() -> None:
    arms = tuple(Arm(test_id=name, profile=profile(name)) for name in ("x", "y"))
    deployed = snapshot(experiments=(Experiment(id="e", arms=arms),))
    seen = [shots_of(deployed, window(), START + 15 * k * SECOND) for k in range(4)]
    assert [[shot.profile.id for shot in shots] for shots in seen] == [["f", arm] for arm in "xyyx"]
    assert [shots[1].test_id for shots in seen] == list("xyyx")


@given(
    interval_s=st.sampled_from([0.1, 0.7, 1, 7, 15, 30, 333]),
    offset_s=st.floats(0, 400),
    busy_s=st.floats(0, 100),
)
def test_two_cameras_on_one_clock_shoot_together(interval_s: float, offset_s: float, busy_s: float) -> None:
    begin = datetime(2026, 3, 20, 17, 3, 1, tzinfo=UTC)
    wide = window(start=begin - timedelta(hours=1), minutes=300, interval_s=interval_s)
    state = replace(READY, plan=plan(wide))
    end = begin + 20 * max(interval_s, 1) * SECOND
    one = live(state, begin, end, busy_s=busy_s)
    other = live(state, begin + offset_s * SECOND, end + offset_s * SECOND)
    ticks = [shoot.at for shoot in shoots(one)]
    grid_us = round(interval_s * 1e6)
    assert ticks
    for at in [*ticks, *(shoot.at for shoot in shoots(other))]:
        assert ((at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)) % grid_us == 0
    assert len(set(ticks)) == len(ticks)


def test_a_clock_that_is_set_back_does_not_stop_the_camera() -> None:
    state, _ = step(READY, Woken(), START + timedelta(minutes=50))
    state, _ = step(state, Woken(), START + timedelta(minutes=50, seconds=11))
    back = START + timedelta(minutes=10)
    assert state.next_tick_at(back) is not None
    seen = live(state, back, back + timedelta(minutes=1))
    assert shoots(seen)[0].at <= back + timedelta(seconds=15)


def test_a_clock_that_is_set_ahead_skips_what_never_was_once() -> None:
    state = replace(READY, plan=plan(window(minutes=600)))
    state, _ = step(state, Woken(), START)
    ahead = START + timedelta(hours=2, seconds=1)
    state, instructions = step(state, Woken(), ahead)
    skips = [instruction for instruction in instructions if isinstance(instruction, Skip)]
    assert [(skip.first, skip.ticks) for skip in skips] == [(START + 15 * SECOND, 479)]
    assert turns(list(instructions)) == []
    seen = live(state, ahead, ahead + timedelta(minutes=1))
    assert not [instruction for instruction in seen if isinstance(instruction, Skip)]
    assert [shoot.at for shoot in shoots(seen)] == [
        START + timedelta(hours=2) + 15 * k * SECOND for k in range(1, 5)
    ]


def test_a_clock_that_is_set_ahead_over_the_end_of_a_window_ends_it() -> None:
    state, _ = step(READY, Woken(), START)
    state, instructions = step(state, Woken(), START + timedelta(hours=2))
    assert turns(list(instructions)) == [("ended", "sunset-1")]
    assert not shoots(list(instructions))
    state, instructions = step(state, Woken(), START + timedelta(minutes=1))
    assert turns(list(instructions)) == [("started", "sunset-1")]
    assert shoots(live(state, START + timedelta(minutes=1), START + timedelta(minutes=2)))


def test_small_corrections_of_the_clock_double_no_tick() -> None:
    state, now, taken = READY, START, list[datetime]()
    for number in range(200):
        state, instructions = step(state, Woken(), now)
        taken += [shoot.at for shoot in shoots(list(instructions))]
        now += (3.0 if number % 3 else -2.0) * SECOND
    assert len(taken) == len(set(taken)) > 10
    assert taken == sorted(taken)


def test_a_machine_that_woke_up_in_1970_makes_up_for_nothing_when_it_is_told_the_time() -> None:
    early = datetime(1970, 1, 1, 0, 0, 30, tzinfo=UTC)
    today = [window(f"w{hour}", start=START + timedelta(hours=hour), minutes=59) for hour in range(-9, 3)]
    state, instructions = step(replace(READY, plan=plan(*today)), Woken(), early)
    assert instructions == (WaitUntil(moment=START - timedelta(hours=9, seconds=4)),)
    state, instructions = step(state, Woken(), START + timedelta(minutes=5))
    assert not [instruction for instruction in instructions if isinstance(instruction, Skip)]
    assert turns(list(instructions)) == [("started", "w0")]
    seen = live(state, START + timedelta(minutes=5), START + timedelta(minutes=6))
    assert 4 <= len(shoots(seen)) <= 5


WINDOW = st.builds(
    lambda number, start_s, length_s, interval_s: window(
        f"w{number}", start=START + start_s * SECOND, minutes=length_s / 60, interval_s=interval_s
    ),
    st.integers(0, 10**6),
    st.floats(-3600, 3600),
    st.floats(1, 3600),
    st.sampled_from([0.5, 1, 7, 15, 33.3, 60, 600]),
)
WINDOWS = st.lists(WINDOW, max_size=6, unique_by=lambda one: one.id)
MOVES = st.lists(st.tuples(st.floats(0, 120), st.floats(0, 60)), min_size=1, max_size=60)


@settings(max_examples=300)
@given(windows=WINDOWS, moves=MOVES)
def test_no_tick_twice_none_outside_its_window_all_on_the_grid_and_each_accounted_for(
    windows: list[Window], moves: list[tuple[float, float]]
) -> None:
    deployed = plan(*windows)
    state, now = replace(READY, plan=deployed), START
    taken, skipped = list[tuple[datetime, str]](), 0
    for late_s, busy_s in moves:
        state, instructions = step(state, Woken(), now)
        skipped += sum(one.ticks for one in instructions if isinstance(one, Skip))
        last = instructions[-1]
        if isinstance(last, Shoot):
            taken.append((last.at, last.window.id))
            now = max(now, last.at) + busy_s * SECOND
        else:
            assert isinstance(last, WaitUntil)
            if last.moment is None:
                break
            assert last.moment > now
            now = last.moment + late_s * SECOND
    moments = [at for at, _ in taken]
    assert moments == sorted(set(moments))
    for at, name in taken:
        ruling = active_window(deployed, at)
        assert ruling is not None
        assert ruling.id == name
        grid_us = round(ruling.interval_s * 1e6)
        assert ((at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)) % grid_us == 0
    assert state.done_until is not None
    assert len(taken) + skipped == ticks_between(deployed, START, state.done_until)


def ticks_between(deployed: Plan, start: datetime, end: datetime) -> int:
    """Count the ticks of a plan, one by one."""
    count = 0
    while (found := next_tick(deployed, start)) is not None and found[0] < end:
        count, start = count + 1, found[0] + timedelta(microseconds=1)
    return count
