"""The almanac: every window of a span, past and to come, with the cameras that photograph in it.

Pure. Windows are reckoned from the schedules as they are now; of the last ones the cameras' states say when
they ended and how many frames there were. A window that is known but not reckoned any more, since its
schedule was changed or deleted, is told as the moment of its end.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..protocol.messages import EndedWindow
from ..protocol.snapshot import Window
from .clock import EARLIEST, LATEST
from .plan import Place, windows_between
from .schedules import ScheduleSpec

LONGEST_SPAN = timedelta(days=1100)
"""What is asked for beyond this is left out: a page shows a month, or a year."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Occasion:
    """One window of one schedule, of all its cameras."""

    window: str
    schedule: str
    starts_at: datetime
    ends_at: datetime
    interval_s: float | None = None
    cameras: tuple[str, ...] = ()
    captured: Mapping[str, int] = field(default_factory=dict)
    """Frames of the cameras that told how many they were."""


def occasions(
    schedules: Iterable[ScheduleSpec],
    cameras: Mapping[str, Sequence[EndedWindow]],
    place: Place,
    start: datetime,
    end: datetime,
    since: datetime,
) -> list[Occasion]:
    """Return the windows that touch a span, in order; before `since` only those that cameras tell of.

    `cameras` are those that are there, with the windows that they say have ended.
    """
    start = min(max(start, EARLIEST), LATEST)
    end = min(end, start + LONGEST_SPAN, LATEST)
    told = _told(cameras)
    found = {}
    for schedule in schedules:
        covered = tuple(sorted(camera for camera in cameras if schedule.covers(camera)))
        for window in windows_between(schedule, place, start, end):
            if window.id in told:
                found[window.id] = _as_told(_reckoned(window, covered), told[window.id])
            elif schedule.enabled and window.ends_at > since:
                found[window.id] = _reckoned(window, covered)
    for name, ends in told.items():
        if name not in found and start <= max(each.ended_at for each in ends.values()) < end:
            found[name] = _moment_of(name, ends)
    return sorted(found.values(), key=lambda each: (each.starts_at, each.window))


def _told(cameras: Mapping[str, Sequence[EndedWindow]]) -> dict[str, dict[str, EndedWindow]]:
    """Return what is known of windows that ended, by window and camera."""
    told: dict[str, dict[str, EndedWindow]] = {}
    for camera, ends in cameras.items():
        for each in ends:
            told.setdefault(each.window, {})[camera] = each
    return told


def _reckoned(window: Window, cameras: tuple[str, ...]) -> Occasion:
    return Occasion(
        window=window.id,
        schedule=window.schedule,
        starts_at=window.starts_at,
        ends_at=window.ends_at,
        interval_s=window.interval_s,
        cameras=cameras,
    )


def _as_told(reckoned: Occasion, ends: Mapping[str, EndedWindow]) -> Occasion:
    """Return a window with what its cameras tell; one that was cut short ends when the last of them ended."""
    ended_at = max(each.ended_at for each in ends.values())
    return replace(
        reckoned,
        ends_at=min(max(ended_at, reckoned.starts_at), reckoned.ends_at),
        cameras=tuple(sorted(ends)),
        captured={camera: each.captured for camera, each in sorted(ends.items())},
    )


def _moment_of(name: str, ends: Mapping[str, EndedWindow]) -> Occasion:
    last = max(ends.values(), key=lambda each: each.ended_at)
    return Occasion(
        window=name,
        schedule=last.schedule,
        starts_at=last.ended_at,
        ends_at=last.ended_at,
        cameras=tuple(sorted(ends)),
        captured={camera: each.captured for camera, each in sorted(ends.items())},
    )
