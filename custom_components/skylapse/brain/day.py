"""One local day of a camera, as its dial shows it: where the sun stands, and the day's windows. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from astral import sun as astral_sun

from ..protocol.snapshot import Window
from .plan import Place, windows_between
from .schedules import ScheduleSpec

STEP_S = 600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """A local day, 23 to 25 hours long."""

    day: str
    starts_at: datetime
    ends_at: datetime
    step_s: float
    elevation_deg: tuple[float, ...]
    """Where the sun stands, every `step_s` from the start of the day to its end."""
    windows: tuple[Window, ...]


def compile_day(schedules: Iterable[ScheduleSpec], camera: str, place: Place, now: datetime) -> Day:
    """Return the local day that `now` falls on, with the windows of the schedules that cover a camera."""
    zone = ZoneInfo(place.time_zone)
    today = now.astimezone(zone).date()
    starts_at, ends_at = (
        datetime.combine(day, time.min, zone).astimezone(UTC) for day in (today, today + timedelta(days=1))
    )
    windows = [
        window
        for schedule in schedules
        if schedule.enabled and schedule.covers(camera)
        for window in windows_between(schedule, place, starts_at, ends_at)
    ]
    steps = int((ends_at - starts_at).total_seconds() / STEP_S)
    moments = (starts_at + timedelta(seconds=STEP_S * step) for step in range(steps + 1))
    return Day(
        day=today.isoformat(),
        starts_at=starts_at,
        ends_at=ends_at,
        step_s=STEP_S,
        elevation_deg=tuple(round(astral_sun.elevation(place.observer, moment), 2) for moment in moments),
        windows=tuple(sorted(windows, key=lambda window: (window.starts_at, window.id))),
    )
