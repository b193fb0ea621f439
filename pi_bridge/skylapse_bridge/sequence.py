"""What a camera does next: events in, instructions out. Pure; `runner.py` obeys.

Ticks are whole multiples of a window's interval since the epoch, so that cameras on one clock shoot
together. A tick is begun a little early, to meter and to set the controls. A tick that comes too late (the
camera was busy, the machine slept) is skipped and counted, never stacked. Which frames a tick has is
decided in `shots.py`.

Windows begin and end by their own times, whichever of them rules; a window that disappears from the plan
ends at once. One that began stays open while the clock stands before it: a machine without a clock of its own
wakes up long ago, and is told the time later.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Literal

from skylapse_protocol.messages import Mode
from skylapse_protocol.snapshot import Plan, Snapshot, Window, next_tick

from .shots import Shot, shots_of

_MOMENT = timedelta(microseconds=1)
_LEAD_S = 4.0
_LEAD_SHARE = 0.5
_LATE = timedelta(seconds=30)
_SET_BACK = timedelta(seconds=2 * _LEAD_S)
"""Ticks are never done so far ahead of time: the clock was set back."""
_NEAR = timedelta(hours=1)
_CLOCK_WAS_SET = timedelta(days=1)
"""No run leaves so much time behind: the machine woke up in 1970, and was told the time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanChanged:
    """Another plan is in force, or none."""

    plan: Plan | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SnapshotChanged:
    """Another snapshot is in force, or none."""

    snapshot: Snapshot | None


@dataclass(frozen=True, kw_only=True, slots=True)
class EnabledChanged:
    """Capture was switched on or off."""

    enabled: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ModeChanged:
    """Another mode is in force."""

    mode: Mode


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraChanged:
    """The camera answers, or does not any more."""

    camera_up: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RoomChanged:
    """The spool is full, or has room again."""

    full: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Woken:
    """Time has passed."""


Event = PlanChanged | SnapshotChanged | EnabledChanged | ModeChanged | CameraChanged | RoomChanged | Woken
"""The fields of an event are fields of `Sequence`, which it sets."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowTurned:
    """A window began or ended."""

    change: Literal["started", "ended"]
    window: Window
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Skip:
    """Ticks were too late."""

    window: Window
    first: datetime
    ticks: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Shoot:
    """Meter now, take these frames at `at`."""

    at: datetime
    window: Window
    shots: tuple[Shot, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitUntil:
    """Nothing to do before this moment, or before the next event where it is None."""

    moment: datetime | None


Instruction = WindowTurned | Skip | Shoot | WaitUntil


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequence:
    """All that decides what comes next."""

    plan: Plan | None = None
    snapshot: Snapshot | None = None
    enabled: bool = True
    mode: Mode = "deployed"
    camera_up: bool = False
    full: bool = False
    open_windows: tuple[Window, ...] = ()
    """Windows that began and have not ended."""
    done_until: datetime | None = None
    """Ticks before this moment are taken, skipped or were not to be."""

    @property
    def shooting(self) -> bool:
        """Tell whether ticks are to be taken."""
        deployed = self.plan is not None and self.snapshot is not None and self.mode == "deployed"
        return deployed and self.enabled and self.camera_up and not self.full

    def next_tick_at(self, now: datetime) -> datetime | None:
        """Return when the next frame is due, None where none is."""
        due = self.due(now)
        return due[0] if due else None

    def due(self, now: datetime) -> tuple[datetime, Window] | None:
        """Return the next tick and its window, None where none comes."""
        if not self.shooting or self.plan is None:
            return None
        return first_tick(self.plan, max(self.done_until or now, now))


def step(state: Sequence, event: Event, now: datetime) -> tuple[Sequence, tuple[Instruction, ...]]:
    """Return the state after an event, and what to do; the last instruction is `Shoot` or `WaitUntil`."""
    if state.done_until is not None and state.done_until > now + _SET_BACK:
        state = replace(state, done_until=now)
    if not state.shooting:
        state = replace(state, done_until=max(state.done_until or now, now))
    state = replace(state, **{field.name: getattr(event, field.name) for field in fields(event)})
    state, turned = _turn_windows(state, now)
    plan, snapshot = state.plan, state.snapshot
    if not state.shooting or plan is None or snapshot is None:
        return state, (*turned, WaitUntil(moment=_next_boundary(plan, now)))
    state, skipped = _skip_late(state, plan, now)
    state, then = _next(state, plan, snapshot, now)
    return state, (*turned, *skipped, *then)


def first_tick(plan: Plan, moment: datetime) -> tuple[datetime, Window] | None:
    """Return what `next_tick` does, soon for a plan of a thousand windows too: few of them are near."""
    coming = tuple(window for window in plan.windows if window.ends_at > moment)
    if not coming:
        return None
    horizon = max(moment, min(window.starts_at for window in coming)) + _NEAR
    near = tuple(window for window in coming if window.starts_at <= horizon)
    found = next_tick(replace(plan, windows=near), moment)
    if found is not None and found[0] <= horizon:
        return found
    return next_tick(replace(plan, windows=coming), moment)


def lead_s(window: Window) -> float:
    """Return how long before its moment a tick is begun."""
    return min(_LEAD_S, _LEAD_SHARE * window.interval_s)


def _next(
    state: Sequence, plan: Plan, snapshot: Snapshot, now: datetime
) -> tuple[Sequence, tuple[Instruction, ...]]:
    """Begin the next tick where it is time, else wait for it or for the next window's turn."""
    boundary = _next_boundary(plan, now)
    found = first_tick(plan, state.done_until or now)
    if found is None:
        return state, (WaitUntil(moment=boundary),)
    at, window = found
    begin = at - timedelta(seconds=lead_s(window))
    if begin > now:
        return state, (WaitUntil(moment=begin if boundary is None else min(begin, boundary)),)
    shoot = Shoot(at=at, window=window, shots=shots_of(snapshot, window, at))
    state = replace(state, done_until=at + _MOMENT)
    if any(window.id == known.id for known in state.open_windows):
        return state, (shoot,)
    # The first tick of a window is begun before the window: its frame must find the window open.
    state = replace(state, open_windows=(*state.open_windows, window))
    return state, (WindowTurned(change="started", window=window, at=window.starts_at), shoot)


def _turn_windows(state: Sequence, now: datetime) -> tuple[Sequence, tuple[WindowTurned, ...]]:
    """Return the state with the windows that are open now, and which of them began or ended."""
    planned = {window.id: window for window in state.plan.windows} if state.plan else {}
    still, turned = [], []
    for window in state.open_windows:
        known = planned.get(window.id)
        if known is not None and now < known.ends_at:
            still.append(known)
        else:
            at = min((known or window).ends_at, now)
            turned.append(WindowTurned(change="ended", window=known or window, at=at))
    already = {window.id for window in still}
    for window in planned.values():
        if window.starts_at <= now < window.ends_at and window.id not in already:
            still.append(window)
            turned.append(WindowTurned(change="started", window=window, at=now))
    return replace(state, open_windows=tuple(still)), tuple(turned)


def _skip_late(state: Sequence, plan: Plan, now: datetime) -> tuple[Sequence, tuple[Skip, ...]]:
    """Return the state after the ticks that are too late, and those ticks by window."""
    if state.done_until is None or now - state.done_until > _CLOCK_WAS_SET:
        return replace(state, done_until=now), ()
    late: dict[str, Skip] = {}
    after = state.done_until
    for skip in _late_ticks(plan, state.done_until, now):
        before = late.get(skip.window.id, replace(skip, ticks=0))
        late[skip.window.id] = replace(before, ticks=before.ticks + skip.ticks)
        after = skip.first + (skip.ticks - 1) * _interval(skip.window) + _MOMENT
    return replace(state, done_until=after), tuple(late.values())


def _late_ticks(plan: Plan, since: datetime, now: datetime) -> Iterator[Skip]:
    """Yield the ticks since a moment that are too late now, stretch by stretch in which one window rules."""
    boundaries = sorted(moment for window in plan.windows for moment in (window.starts_at, window.ends_at))
    while (found := first_tick(plan, since)) is not None:
        at, window = found
        interval = _interval(window)
        last = now - min(interval, _LATE)
        if at > last:
            return
        turn = bisect_right(boundaries, at)
        last = min(last, boundaries[turn] - _MOMENT)
        ticks = (last - at) // interval + 1
        yield Skip(window=window, first=at, ticks=ticks)
        since = at + (ticks - 1) * interval + _MOMENT


def _interval(window: Window) -> timedelta:
    """Return the interval in whole microseconds, as ticks are counted."""
    return timedelta(microseconds=round(window.interval_s * 1_000_000))


def _next_boundary(plan: Plan | None, now: datetime) -> datetime | None:
    """Return when the next window begins or ends."""
    windows = plan.windows if plan else ()
    moments = [moment for window in windows for moment in (window.starts_at, window.ends_at) if moment > now]
    return min(moments, default=None)
