"""What a source does next: plan, snapshot and the time in, instructions out. Pure.

Ticks are those of the plan. One that comes too late (the camera was slow, Home Assistant was away) is skipped
and counted, never made up for. Each has one picture of every profile of its window. Windows begin and end by
their own times; one that is in the plan no more ends at once, but while there is no plan an open window
waits for its own end.
"""

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from ..protocol.errors import ProtocolError
from ..protocol.messages import Mode
from ..protocol.snapshot import Plan, Profile, Snapshot, Window, next_tick

LOOK_AGAIN = timedelta(minutes=1)
"""Nobody waits longer without a look at the clock: it may have been set."""

_MOMENT = timedelta(microseconds=1)
_LATE = timedelta(seconds=30)
_NEAR = timedelta(hours=1)
_SET_BACK = timedelta(seconds=5)
_CLOCK_WAS_SET = timedelta(days=1)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
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
class Shot:
    """Take the pictures of a tick now."""

    at: datetime
    window: Window
    profiles: tuple[Profile, ...]
    """Those of the window that are deployed, in its order: one picture each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What is to be done now, and when to look again."""

    turns: tuple[Turn, ...] = ()
    skip: Skip | None = None
    shot: Shot | None = None
    look_at: datetime

    @property
    def idle(self) -> bool:
        """Tell whether nothing is left to do before `look_at`."""
        return self.skip is None and self.shot is None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequence:
    """All that decides what comes next."""

    plan: Plan | None = None
    snapshot: Snapshot | None = None
    enabled: bool = True
    mode: Mode = "deployed"
    open_windows: tuple[Window, ...] = ()
    """Windows that began and have not ended."""
    done_until: datetime | None = None
    """Ticks before this moment are taken, skipped or were not to be."""

    @property
    def shooting(self) -> bool:
        """Tell whether ticks are to be taken."""
        deployed = self.plan is not None and self.snapshot is not None
        return deployed and self.enabled and self.mode == "deployed"

    def next_tick_at(self, now: datetime) -> datetime | None:
        """Return when the next picture is due, None where none is."""
        if not self.shooting or self.plan is None:
            return None
        found = first_tick(self.plan, max(self.done_until or now, now))
        return found[0] if found else None


def look(state: Sequence, now: datetime) -> tuple[Sequence, Outcome]:
    """Return the state after a look at the clock, and what is to be done."""
    state, turns = _turn_windows(state, now)
    look_at = min([now + LOOK_AGAIN, *_boundaries_after(state.plan, now)[:1]])
    done_until = _done_until(state, now)
    plan, snapshot = state.plan, state.snapshot
    if not state.shooting or plan is None or snapshot is None:
        return replace(state, done_until=max(done_until, now)), Outcome(turns=turns, look_at=look_at)
    state = replace(state, done_until=done_until)
    found = first_tick(plan, done_until)
    if found is None:
        return state, Outcome(turns=turns, look_at=look_at)
    at, window = found
    if at > now:
        return state, Outcome(turns=turns, look_at=min(at, look_at))
    if skip := _too_late(plan, at, window, now):
        last = at + (skip.ticks - 1) * _interval(window)
        return replace(state, done_until=last + _MOMENT), Outcome(turns=turns, skip=skip, look_at=look_at)
    shot = Shot(at=at, window=window, profiles=_profiles(snapshot, window))
    return replace(state, done_until=at + _MOMENT), Outcome(turns=turns, shot=shot, look_at=look_at)


def changed(state: Sequence, now: datetime, **changes: Any) -> Sequence:
    """Return the state with other fields; what was due while nothing was to be taken is not made up for."""
    if not state.shooting:
        state = replace(state, done_until=max(state.done_until or now, now))
    return replace(state, **changes)


def check_deployed(message: Plan | Snapshot) -> None:
    """Raise ProtocolError for a plan or a snapshot that nothing can be done with, though it can be read."""
    if isinstance(message, Snapshot):
        if not message.profiles:
            raise ProtocolError("snapshot", "profiles", "names no profile")
        return
    ids = Counter(window.id for window in message.windows)
    for window in message.windows:
        if ids[window.id] > 1:
            raise ProtocolError("plan", f"windows.{window.id}", "stands there twice")
        if not _EARLIEST <= window.starts_at < window.ends_at <= _LATEST:
            raise ProtocolError("plan", f"windows.{window.id}", "is not between 1970 and 2200")


def first_tick(plan: Plan, moment: datetime) -> tuple[datetime, Window] | None:
    """Return what `next_tick` does, soon for a plan of a thousand windows too: few of them are near."""
    coming = tuple(window for window in plan.windows if window.ends_at > moment)
    if not coming:
        return None
    horizon = max(moment, min(window.starts_at for window in coming)) + _NEAR
    near = tuple(window for window in coming if window.starts_at <= horizon)
    found = next_tick(replace(plan, windows=near), moment)
    if len(near) == len(coming) or (found is not None and found[0] <= horizon):
        return found
    return next_tick(replace(plan, windows=coming), moment)


def _done_until(state: Sequence, now: datetime) -> datetime:
    """Return up to when ticks are done; where the clock was set, that is now."""
    done = state.done_until
    if done is None or done > now + _SET_BACK or now - done > _CLOCK_WAS_SET:
        return now
    return done


def _turn_windows(state: Sequence, now: datetime) -> tuple[Sequence, tuple[Turn, ...]]:
    """Return the state with the windows that are open now, and which of them began or ended."""
    known = state.plan.windows if state.plan else state.open_windows
    planned = {window.id: window for window in known}
    still, turns = [], []
    for window in state.open_windows:
        today = planned.get(window.id)
        if today is not None and now < today.ends_at:
            still.append(today)
        else:
            at = min((today or window).ends_at, now)
            turns.append(Turn(change="ended", window=today or window, at=at))
    already = {window.id for window in still}
    for window in planned.values():
        if window.starts_at <= now < window.ends_at and window.id not in already:
            still.append(window)
            turns.append(Turn(change="started", window=window, at=now))
    return replace(state, open_windows=tuple(still)), tuple(turns)


def _too_late(plan: Plan, at: datetime, window: Window, now: datetime) -> Skip | None:
    """Return the ticks from `at` on that are too late, as far as the same window rules."""
    interval = _interval(window)
    last = now - min(interval, _LATE)
    if at > last:
        return None
    boundary = _boundaries_after(plan, at)[0]
    ticks = (min(last, boundary - _MOMENT) - at) // interval + 1
    return Skip(window=window, first=at, ticks=ticks)


def _boundaries_after(plan: Plan | None, moment: datetime) -> list[datetime]:
    """Return when windows begin and end after a moment, in order."""
    windows = plan.windows if plan else ()
    moments = sorted(each for window in windows for each in (window.starts_at, window.ends_at))
    return moments[bisect_right(moments, moment) :]


def _profiles(snapshot: Snapshot, window: Window) -> tuple[Profile, ...]:
    found = (snapshot.profile(profile_id, window.schedule) for profile_id in window.profiles)
    return tuple(profile for profile in found if profile is not None)


def _interval(window: Window) -> timedelta:
    """Return the interval in whole microseconds, as ticks are counted."""
    return timedelta(microseconds=round(window.interval_s * 1_000_000))
