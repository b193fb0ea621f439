"""Wishes: what the user wants of one camera until told otherwise, on top of its schedules and profiles."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from ..protocol.codec import read, write
from ..protocol.errors import ProtocolError
from ..protocol.snapshot import Plan, Profile, Window, active_window
from .schedules import ScheduleSpec

SHORTEST_S, LONGEST_S = 0.1, 86_400.0
MOST_EV = 5.0
_WIDEST_EV = 10.0
"""A profile's own compensation and the wished one together stay within what the contract takes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What is wanted of one camera."""

    profile: str | None = None
    """This profile instead of those of the schedules; null leaves it to them."""
    interval_s: float | None = None
    """This interval instead of that of the schedules; null leaves it to them."""
    ev: float = 0.0
    """Stops added to the compensation of every profile."""

    def __post_init__(self) -> None:
        """Refuse figures that no plan or profile can hold."""
        if self.interval_s is not None and not SHORTEST_S <= self.interval_s <= LONGEST_S:
            raise ProtocolError("wish", "interval_s", "is not between 0.1 s and a day")
        if not -MOST_EV <= self.ev <= MOST_EV:
            raise ProtocolError("wish", "ev", f"is not between −{MOST_EV:g} and {MOST_EV:g} stops")

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Self:
        """Read what `write` returned; raise ProtocolError for what does not fit."""
        return read(cls, kept, "wish")

    def write(self) -> dict[str, Any]:
        """Return the wish as JSON values."""
        return dict(write(self))


NO_WISH = Wish()


def wished_schedules(
    schedules: Iterable[ScheduleSpec], wish: Wish, usable: Collection[str]
) -> tuple[ScheduleSpec, ...]:
    """Return schedules as they are wished; a profile that is not usable any more is no wish."""
    changes: dict[str, Any] = {}
    if wish.profile in usable:
        changes["profiles"] = (wish.profile,)
    if wish.interval_s is not None:
        changes["interval_s"] = wish.interval_s
    return tuple(replace(schedule, **changes) for schedule in schedules)


def brightened(profile: Profile, wish: Wish) -> Profile:
    """Return a profile with the wished stops added."""
    return replace(profile, ev=min(max(profile.ev + wish.ev, -_WIDEST_EV), _WIDEST_EV))


def window_that_counts(plan: Plan, now: datetime) -> Window | None:
    """Return the window that rules now, else the one that rules next; None where the plan has no more."""
    coming = [window.starts_at for window in plan.windows if window.starts_at > now]
    return active_window(plan, now) or (active_window(plan, min(coming)) if coming else None)
