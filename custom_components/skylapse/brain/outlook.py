"""The outlook of a schedule: whether one of its windows is open, and when the next one opens.

Pure. Cameras may live by clocks of their own: each is looked at by its bridge's clock, and told in real time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ..protocol.messages import Clock
from ..protocol.snapshot import Plan, Window
from .clock import to_bridge, to_real
from .plan import Place, windows_between
from .schedules import ScheduleSpec
from .wishes import window_that_counts

AHEAD = timedelta(days=8)
"""Every schedule that has windows at all has one within a week, since a clock change swallows none."""

Stage = Literal["disabled", "unusable", "idle", "no_sun", "waiting", "running"]
STAGES: tuple[Stage, ...] = ("disabled", "unusable", "idle", "no_sun", "waiting", "running")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """What a schedule does now and next, in real time."""

    stage: Stage
    """Disabled: switched off. Unusable: it names a profile that cannot be executed. Idle: no camera is there
    for it. No sun: the sun does not do what the windows are placed by, as in polar day and night."""
    next_at: datetime | None = None
    """When the next window opens."""
    ends_at: datetime | None = None
    """When the window that is open closes."""

    @property
    def changes_at(self) -> datetime | None:
        """When to look again."""
        return min((moment for moment in (self.next_at, self.ends_at) if moment is not None), default=None)


def look(
    schedule: ScheduleSpec, place: Place, clocks: Iterable[Clock | None], now: datetime, *, usable: bool
) -> Outlook:
    """Return the outlook of a schedule for cameras with these clocks."""
    found = set(clocks)
    if not schedule.enabled:
        return Outlook(stage="disabled")
    if not usable:
        return Outlook(stage="unusable")
    if not found:
        return Outlook(stage="idle")
    spans = [span for clock in found for span in _spans(schedule, place, clock, now)]
    opens = min((starts_at for starts_at, _ in spans if starts_at > now), default=None)
    closes = max((ends_at for starts_at, ends_at in spans if starts_at <= now), default=None)
    if closes is not None:
        return Outlook(stage="running", next_at=opens, ends_at=closes)
    return Outlook(stage="waiting" if opens is not None else "no_sun", next_at=opens)


def window_in_view(
    schedules: Iterable[ScheduleSpec], place: Place, now: datetime
) -> tuple[Window | None, datetime | None]:
    """Return the window that rules now, else the one that opens next; and when that has to be asked again."""
    windows = [window for schedule in schedules if schedule.enabled for window in _near(schedule, place, now)]
    plan = Plan(revision=0, created_at=now, time_zone=place.time_zone, windows=tuple(windows))
    changes = [window.starts_at if window.starts_at > now else window.ends_at for window in windows]
    return window_that_counts(plan, now), min(changes, default=None)


def _spans(
    schedule: ScheduleSpec, place: Place, clock: Clock | None, now: datetime
) -> list[tuple[datetime, datetime]]:
    shown = to_bridge(clock, now)
    return [
        (to_real(clock, window.starts_at), to_real(clock, window.ends_at))
        for window in _near(schedule, place, shown)
    ]


def _near(schedule: ScheduleSpec, place: Place, now: datetime) -> Iterator[Window]:
    """Yield the windows of a schedule that are open, and the one that opens next."""
    for window in windows_between(schedule, place, now, now + AHEAD):
        yield window
        if window.starts_at > now:
            return
