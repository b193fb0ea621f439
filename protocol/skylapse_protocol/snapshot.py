"""Snapshot and plan: what the brain compiled, and how bridge and brain alike evaluate it.

A *snapshot* holds profiles with their curves already compiled into tables; a *plan* holds the windows of the
next 96 hours and the sun's elevation. Evaluation is interpolation: tables over light are interpolated
linearly in the logarithm of lux, the sun linearly in time; beyond their ends tables keep their last value.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal

from .errors import ProtocolError
from .identifiers import parse_day, parse_id

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MIN_LUX = 1e-6
"""Light below this is evaluated as this: its logarithm must exist."""

MID_GREY = 0.18
"""The linear mean, 0…1, that a metered picture is exposed for at an exposure compensation of zero."""

_SPOT_RADIUS = 0.1
_CENTRE_SIGMA = 0.25

MOST_AVERAGED = 64
"""One frame is averaged from at most this many exposures."""

MOST_BRACKETED = 9
"""A bracket has at most this many frames."""

MOST_DIOPTRES = 50

LuxTable = tuple[tuple[float, float], ...]
"""Pairs of lux (rising) and value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """A part of the picture with a weight; coordinates are shares of width and height."""

    left: float
    top: float
    right: float
    bottom: float
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse regions outside the picture or inside out."""
        if not (0 <= self.left < self.right <= 1 and 0 <= self.top < self.bottom <= 1 and self.weight > 0):
            raise ProtocolError("snapshot", "regions", "a region must lie within the picture, with a weight")


@dataclass(frozen=True, kw_only=True, slots=True)
class Metering:
    """Which part of the picture says how bright the scene is."""

    mode: Literal["centre", "spot", "matrix", "regions"]
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class WhiteBalance:
    """Auto, one temperature, or a table of temperatures over light."""

    mode: Literal["auto", "fixed", "adaptive"]
    kelvin: int | None = None
    table: LuxTable = ()

    def __post_init__(self) -> None:
        """Refuse a mode without its figures."""
        if self.mode == "fixed" and self.kelvin is None:
            raise ProtocolError("snapshot", "white_balance.kelvin", "is missing for fixed white balance")
        if self.mode == "adaptive":
            check_table(self.table, "white_balance.table")


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """A profile compiled for execution: no inheritance, no curves, only figures and tables."""

    id: str
    name: str
    version: int
    metering: Metering
    ev: float = 0.0
    """Exposure compensation, in stops; positive is brighter."""
    ev_table: LuxTable = ((0.5, -1.5), (400.0, 0.0))
    """Stops added over light: the night is kept darker than the day."""
    white_balance: WhiteBalance
    max_exposure_us: int | None = None
    """Longest exposure; null leaves it to the sensor and the interval."""
    max_gain: float | None = None
    max_stops_per_hour: float = 30.0
    highlight_share: float = 0.02
    """Share of clipped pixels above which the exposure is held back."""
    jpeg_quality: int = 92
    bracket_ev: tuple[float, ...] = ()
    """Stops away from the metered exposure, one frame each; empty is one frame as metered."""
    average: int = 1
    """Exposures of one frame: several, spread over the interval, are averaged in linear light."""
    focus_dioptre: float | None = None
    """Null is the camera's stored infinity."""
    focus_bracket: tuple[float, ...] = ()
    """Dioptres away from the profile's focus, one frame each; empty is one frame."""
    raw: bool = False
    """A DNG is kept beside each JPEG, where the camera can."""

    def __post_init__(self) -> None:
        """Refuse figures that no camera could follow."""
        parse_id(self.id, "profile")
        check_table(self.ev_table, "ev_table")
        if not -10 <= self.ev <= 10:
            raise ProtocolError("snapshot", "ev", "is not between −10 and 10 stops")
        if self.max_stops_per_hour <= 0:
            raise ProtocolError("snapshot", "max_stops_per_hour", "is not above zero")
        if not 1 <= self.jpeg_quality <= 100:
            raise ProtocolError("snapshot", "jpeg_quality", "is not between 1 and 100")
        if not 1 <= self.average <= MOST_AVERAGED:
            raise ProtocolError("snapshot", "average", f"is not between 1 and {MOST_AVERAGED}")
        _check_bracket(self.bracket_ev, "bracket_ev", 10)
        _check_bracket(self.focus_bracket, "focus_bracket", 20)
        if self.focus_dioptre is not None and not 0 <= self.focus_dioptre <= MOST_DIOPTRES:
            raise ProtocolError("snapshot", "focus_dioptre", f"is not between 0 and {MOST_DIOPTRES}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One arm of an experiment: a profile variant and the `test_id` of its frames."""

    test_id: str
    profile: Profile

    def __post_init__(self) -> None:
        """Refuse a test id that no frame could carry."""
        parse_id(self.test_id, "test_id")


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """An A/B test: arms that take turns so that each sees the same light."""

    id: str
    arms: tuple[Arm, ...]
    ends_at: datetime | None = None
    """The test ends by itself then; null when the snapshot without it comes."""

    def __post_init__(self) -> None:
        """Refuse tests whose frames could not be told apart."""
        parse_id(self.id, "experiment")
        if len({arm.test_id for arm in self.arms}) != len(self.arms):
            raise ProtocolError("snapshot", f"experiments.{self.id}", "two arms share one test id")


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """A profile as it is executed within the windows of one schedule."""

    schedule: str
    profile: Profile

    def __post_init__(self) -> None:
        """Refuse a schedule that no window could name."""
        parse_id(self.schedule, "schedule")


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """All that a camera needs to know of how to photograph, under one version."""

    schema: int = 1
    id: str
    version: int
    created_at: datetime
    profiles: tuple[Profile, ...]
    experiments: tuple[Experiment, ...] = ()
    variants: tuple[Variant, ...] = ()
    """Profiles that are executed otherwise within one schedule, under the same id."""

    def profile(self, profile_id: str, schedule: str | None = None) -> Profile | None:
        """Return the profile with this id, as the schedule wants it; None where the snapshot has none."""
        own = (variant.profile for variant in self.variants if variant.schedule == schedule)
        return next((profile for profile in (*own, *self.profiles) if profile.id == profile_id), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """One stretch of time in which frames are taken every `interval_s` seconds."""

    id: str
    schedule: str
    day: str
    """Local date of the window's start."""
    starts_at: datetime
    ends_at: datetime
    interval_s: float
    profiles: tuple[str, ...]
    """Profile ids; several make a burst, one frame each, every interval."""

    def __post_init__(self) -> None:
        """Refuse windows without length, pace or profile."""
        parse_id(self.id, "window")
        parse_id(self.schedule, "schedule")
        parse_day(self.day)
        if self.ends_at <= self.starts_at:
            raise ProtocolError("plan", f"windows.{self.id}", "ends before it starts")
        if not 0.1 <= self.interval_s <= 86400:
            raise ProtocolError("plan", f"windows.{self.id}.interval_s", "is not between 0.1 s and a day")
        if not self.profiles:
            raise ProtocolError("plan", f"windows.{self.id}.profiles", "names no profile")


@dataclass(frozen=True, kw_only=True, slots=True)
class SunTable:
    """The sun's elevation in degrees at `starts_at`, and every `step_s` seconds after it."""

    starts_at: datetime
    step_s: float
    elevation_deg: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse a table that cannot be interpolated."""
        if self.step_s <= 0 or not self.elevation_deg:
            raise ProtocolError("plan", "sun", "needs a step above zero and at least one elevation")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Windows and sun of the next 96 hours."""

    schema: int = 1
    revision: int
    created_at: datetime
    time_zone: str
    """Name of the time zone in which days are counted, as in `Europe/Berlin`."""
    windows: tuple[Window, ...]
    sun: SunTable | None = None


def check_table(table: LuxTable, place: str) -> None:
    """Raise ProtocolError unless the table has points, and its lux are above zero and rise."""
    if not table:
        raise ProtocolError("snapshot", place, "has no points")
    lux = [point[0] for point in table]
    if lux[0] <= 0 or any(later <= earlier for earlier, later in pairwise(lux)):
        raise ProtocolError("snapshot", place, "its lux must be above zero and rise from point to point")


def _check_bracket(offsets: tuple[float, ...], place: str, most: float) -> None:
    """Raise ProtocolError for a bracket without its own middle, with doubles, too long or too wide."""
    if not offsets:
        return
    if len(offsets) > MOST_BRACKETED or len(set(offsets)) != len(offsets) or 0 not in offsets:
        raise ProtocolError(
            "snapshot", place, f"needs 0 among at most {MOST_BRACKETED} offsets, each named once"
        )
    if not all(abs(offset) <= most for offset in offsets):
        raise ProtocolError("snapshot", place, f"is not between −{most} and {most}")


def at_lux(table: LuxTable, lux: float) -> float:
    """Interpolate a table linearly in log-lux; its ends reach on for ever."""
    position = math.log(max(lux, MIN_LUX))
    places = [math.log(point[0]) for point in table]
    right = bisect_right(places, position)
    if right == 0:
        return table[0][1]
    if right == len(table):
        return table[-1][1]
    share = (position - places[right - 1]) / (places[right] - places[right - 1])
    return table[right - 1][1] + share * (table[right][1] - table[right - 1][1])


def metering_weight(metering: Metering, x: float, y: float) -> float:
    """Return how much one point of the picture counts; x and y are shares of width and height."""
    from_centre = math.hypot(x - 0.5, y - 0.5)
    if metering.mode == "spot":
        return float(from_centre <= _SPOT_RADIUS)
    if metering.mode == "centre":
        return 0.1 + math.exp(-0.5 * (from_centre / _CENTRE_SIGMA) ** 2)
    if metering.mode == "regions":
        return sum(
            region.weight
            for region in metering.regions
            if region.left <= x <= region.right and region.top <= y <= region.bottom
        )
    return 1.0


def colour_temperature_at(profile: Profile, lux: float) -> int | None:
    """Return the colour temperature in kelvin that the profile wants at this light; None is auto."""
    balance = profile.white_balance
    if balance.mode == "auto":
        return None
    if balance.mode == "fixed":
        return balance.kelvin
    return round(at_lux(balance.table, lux))


def ev_at(profile: Profile, lux: float) -> float:
    """Return the exposure compensation in stops that the profile wants at this light."""
    return profile.ev + at_lux(profile.ev_table, lux)


def sun_elevation_at(plan: Plan, moment: datetime) -> float | None:
    """Return the sun's elevation in degrees, None where the plan's table does not reach."""
    if plan.sun is None:
        return None
    position = (moment - plan.sun.starts_at).total_seconds() / plan.sun.step_s
    last = len(plan.sun.elevation_deg) - 1
    if not 0 <= position <= last:
        return None
    left = min(int(position), max(last - 1, 0))
    right = min(left + 1, last)
    share = position - left
    return plan.sun.elevation_deg[left] * (1 - share) + plan.sun.elevation_deg[right] * share


def active_window(plan: Plan, moment: datetime) -> Window | None:
    """Return the window that rules at this moment.

    Where windows overlap the shorter interval wins, of two with the same interval the shorter window.
    """
    active = [window for window in plan.windows if window.starts_at <= moment < window.ends_at]
    return min(active, key=_rank, default=None)


def _rank(window: Window) -> tuple[float, timedelta, str]:
    return window.interval_s, window.ends_at - window.starts_at, window.id


def tick_at_or_after(window: Window, moment: datetime) -> datetime | None:
    """Return the next whole multiple of the interval since the epoch in a window, None after its end."""
    start = max(moment, window.starts_at)
    interval_us = round(window.interval_s * 1_000_000)
    epoch_us = _epoch_us(start)
    tick_us = -(-epoch_us // interval_us) * interval_us
    tick = start + timedelta(microseconds=tick_us - epoch_us)
    return tick if tick < window.ends_at else None


def next_tick(plan: Plan, moment: datetime) -> tuple[datetime, Window] | None:
    """Return the next tick at or after `moment` with the window that rules then, None where the plan ends."""
    ticks = []
    for window in plan.windows:
        tick = tick_at_or_after(window, moment)
        while tick is not None and active_window(plan, tick) is not window:
            tick = tick_at_or_after(window, _past_rival(plan, window, tick))
        if tick is not None:
            ticks.append((tick, window))
    return min(ticks, key=lambda pair: pair[0], default=None)


def _past_rival(plan: Plan, window: Window, tick: datetime) -> datetime:
    """Return when the window that overrules `window` at `tick` ends."""
    rival = active_window(plan, tick)
    return rival.ends_at if rival is not None and rival is not window else tick + timedelta(microseconds=1)


def _epoch_us(moment: datetime) -> int:
    """Return whole microseconds since the epoch."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
