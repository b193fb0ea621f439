"""The plan: schedules and sun compiled into the windows and the sun table of the next 96 hours.

A plan starts at a whole multiple of six hours, so that compiling it twice within them gives the same plan;
it reaches six hours further than it must, so that the 96 hours never run short. A plan that does not fit into
one message is shortened, by six hours at a time. Windows may overlap; which rules then is the bridge's rule,
not the plan's.

Clock windows are counted in local time: one from 00:00 over 24 hours ends at the next 00:00, in 23 to 25 real
hours. A time of day that a clock change skips is the moment of the change, and a window that lies wholly in
what is skipped begins then and is as long as ever; of a time that comes twice the first counts.

Solar windows are counted in real time, and a day of the sun lies around its noon: where summer's sunset falls
into the small hours, it is still that of the evening before, and no day has two of them or loses its own. On
days without the anchor, as in polar day and night, a schedule yields no window.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from astral import Observer
from astral import sun as astral_sun

from ..protocol.snapshot import Plan, SunTable, Window
from .schedules import ScheduleSpec

PLAN_SPAN = timedelta(hours=96)
RENEW_EVERY = timedelta(hours=6)
SUN_STEP_S = 300.0

_EVENTS = {
    "dawn": astral_sun.dawn,
    "sunrise": astral_sun.sunrise,
    "solar_noon": astral_sun.noon,
    "sunset": astral_sun.sunset,
    "dusk": astral_sun.dusk,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_MIDDAY = time(12)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where the cameras stand."""

    latitude: float
    longitude: float
    elevation_m: float
    time_zone: str

    @property
    def observer(self) -> Observer:
        """The place as astral wants it."""
        return Observer(self.latitude, self.longitude, self.elevation_m)


def plan_start(now: datetime) -> datetime:
    """Return the multiple of six hours at or before `now`."""
    return _EPOCH + (now - _EPOCH) // RENEW_EVERY * RENEW_EVERY


def next_renewal(now: datetime) -> datetime:
    """Return when a plan made now has to be renewed."""
    return plan_start(now) + RENEW_EVERY


def next_midnight(now: datetime, place: Place) -> datetime:
    """Return when the next local day begins, and with it perhaps another season."""
    zone = ZoneInfo(place.time_zone)
    tomorrow = now.astimezone(zone).date() + _DAY
    return datetime.combine(tomorrow, time.min, zone).astimezone(UTC)


def compile_plan(
    schedules: Iterable[ScheduleSpec], camera: str, place: Place, sun: SunTable, revision: int, now: datetime
) -> Plan:
    """Return the plan of one camera; `sun` is the table that starts at `plan_start(now)`."""
    start = plan_start(now)
    end = start + PLAN_SPAN + RENEW_EVERY
    windows = [
        window
        for schedule in schedules
        if schedule.enabled and schedule.covers(camera)
        for window in windows_between(schedule, place, start, end)
    ]
    return Plan(
        revision=revision,
        created_at=start,
        time_zone=place.time_zone,
        windows=tuple(sorted(windows, key=lambda window: (window.starts_at, window.id))),
        sun=sun,
    )


def shortened(plan: Plan, sun: SunTable, hours: int) -> Plan:
    """Return a plan with the windows that begin within so many hours, and six more, of its start."""
    end = plan.created_at + timedelta(hours=hours) + RENEW_EVERY
    windows = tuple(window for window in plan.windows if window.starts_at < end)
    steps = int((end - sun.starts_at).total_seconds() / sun.step_s)
    return replace(plan, windows=windows, sun=replace(sun, elevation_deg=sun.elevation_deg[: steps + 1]))


def windows_between(schedule: ScheduleSpec, place: Place, start: datetime, end: datetime) -> Iterator[Window]:
    """Yield the windows of a schedule that are not over at `start` and begin before `end`.

    A window begins from half a day before its anchor's day to half a day after it, and lasts a day at most.
    """
    zone = ZoneInfo(place.time_zone)
    day = start.astimezone(zone).date() - 3 * _DAY
    last = end.astimezone(zone).date() + _DAY
    while day <= last:
        window = _window_on(schedule, place, zone, day) if schedule.falls_on(day) else None
        if window is not None and window.ends_at > start and window.starts_at < end:
            yield window
        day += _DAY


def window_id(schedule: str, day: date) -> str:
    """Return the name of the window whose anchor falls on a day."""
    return f"{schedule}-{day:%Y%m%d}"


def schedule_of(window: str) -> str:
    """Return the schedule that a window is of, by the window's name."""
    return window.rpartition("-")[0]


def day_of(window: str) -> str:
    """Return the day that a window's anchor falls on, as in 2026-06-21, by the window's name."""
    day = window.rpartition("-")[2]
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"


def compile_sun(place: Place, now: datetime) -> SunTable:
    """Return the sun's elevation from `plan_start(now)` to the end of the plan, every five minutes."""
    return _sun_from(place, plan_start(now))


@lru_cache(maxsize=8)
def _sun_from(place: Place, start: datetime) -> SunTable:
    """Return the table that starts at a moment; that of all cameras is one, and costs a while."""
    observer = place.observer
    steps = int((PLAN_SPAN + RENEW_EVERY).total_seconds() / SUN_STEP_S)
    moments = (start + timedelta(seconds=SUN_STEP_S * step) for step in range(steps + 1))
    return SunTable(
        starts_at=start,
        step_s=SUN_STEP_S,
        elevation_deg=tuple(round(astral_sun.elevation(observer, moment), 3) for moment in moments),
    )


def _window_on(schedule: ScheduleSpec, place: Place, zone: ZoneInfo, day: date) -> Window | None:
    """Return the window whose anchor falls on this day, None where the sun has no such moment."""
    span = _clock_span(schedule, zone, day) if schedule.anchor == "clock" else _sun_span(schedule, place, day)
    if span is None:
        return None
    return Window(
        id=window_id(schedule.id, day),
        schedule=schedule.id,
        day=span[0].astimezone(zone).date().isoformat(),
        starts_at=span[0],
        ends_at=span[1],
        interval_s=schedule.interval_s,
        profiles=schedule.profiles,
    )


def _clock_span(schedule: ScheduleSpec, zone: ZoneInfo, day: date) -> tuple[datetime, datetime]:
    length = timedelta(minutes=schedule.duration_min)
    shown = datetime.combine(day, schedule.clock_time) + timedelta(minutes=schedule.offset_min)
    opens, closes = _moment(shown, zone), _moment(shown + length, zone)
    return opens, closes if closes > opens else opens + length


def _moment(shown: datetime, zone: ZoneInfo) -> datetime:
    """Return when clocks first show this local time, or when they skip it."""
    moment, other = (shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if moment <= other:
        return moment
    offset = other.astimezone(zone).utcoffset()
    while moment - other > _SECOND:  # the change lies between the two
        middle = other + (moment - other) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            other = middle
        else:
            moment = middle
    return moment.replace(microsecond=0)


def _sun_span(schedule: ScheduleSpec, place: Place, day: date) -> tuple[datetime, datetime] | None:
    anchor = sun_event(schedule.anchor, place, day)
    if anchor is None:
        return None
    opens = anchor + timedelta(minutes=schedule.offset_min)
    return opens, opens + timedelta(minutes=schedule.duration_min)


@lru_cache(maxsize=8192)
def sun_event(anchor: str, place: Place, day: date) -> datetime | None:
    """Return when the sun does this on a local day, UTC to the second, None where it does not.

    The day is the sun's: dawn and sunrise are those before its noon, sunset and dusk those after it, on
    whichever side of midnight.
    """
    try:
        moment: datetime = _EVENTS[anchor](place.observer, date=_suns_day(place, day))
    except ValueError:
        return None
    return moment.astimezone(UTC).replace(microsecond=0)


@lru_cache(maxsize=2048)
def _suns_day(place: Place, day: date) -> date:
    """Return the day, as astral counts them by longitude, whose noon is nearest to midday of a local day.

    That is another one where a zone's date is not that of its longitude, as on Kiritimati.
    """
    midday = datetime.combine(day, _MIDDAY, ZoneInfo(place.time_zone))
    return min((day, day - _DAY, day + _DAY), key=lambda each: abs(_noon(place, each) - midday))


def _noon(place: Place, day: date) -> datetime:
    noon: datetime = astral_sun.noon(place.observer, date=day)
    return noon
