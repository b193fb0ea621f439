"""Schedules: rules that yield one window a day, and the built-in ones."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, time
from typing import Any, Literal, Self

from .errors import ScheduleError
from .profiles import PRODUCTION_PROFILE

Anchor = Literal["clock", "dawn", "sunrise", "solar_noon", "sunset", "dusk"]
ANCHORS: tuple[Anchor, ...] = ("clock", "dawn", "sunrise", "solar_noon", "sunset", "dusk")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
RECIPES = ("clean", "cinematic", "steady", "hdr", "focus", "startrail", "season", "3d-print", "raw")
FILM_RECIPES = tuple(recipe for recipe in RECIPES if recipe != "season")
"""Those that make a film of one window: a season shows one frame of each day, and a window is of one."""
SIZES = ("720p", "1080p", "1440p", "2160p")
Codec = Literal["h264", "h265", "av1"]
CODECS: tuple[Codec, ...] = ("h264", "h265", "av1")
MAX_DURATION_MIN = 1440.0
MAX_OFFSET_MIN = 720.0
SHORTEST_S, LONGEST_S = 0.1, 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleSpec:
    """A rule: on these days, around this anchor, one frame of each profile every interval."""

    id: str
    name: str
    enabled: bool = True
    anchor: Anchor
    at: str = "00:00:00"
    """Local time of day, for the clock anchor."""
    offset_min: float = 0.0
    """From the anchor to the window's start; negative is before it."""
    duration_min: float
    interval_s: float
    days: tuple[str, ...] = WEEKDAYS
    """Weekdays on which the anchor falls."""
    cameras: tuple[str, ...] = ()
    """Names `<bridge>/<camera>`; empty means all."""
    profiles: tuple[str, ...] = (PRODUCTION_PROFILE,)
    """Several make a burst, one frame each, every interval."""
    film: bool = True
    recipe: str = "clean"
    size: str = "1080p"
    also_sizes: tuple[str, ...] = ()
    """Further sizes, each a film of its own."""
    codec: Codec = "h264"
    rate: float = 24.0
    keep_days: int = 0
    """How long frames are kept; 0 keeps them for ever."""

    def __post_init__(self) -> None:
        """Refuse figures that no window can have."""
        if not 0 < self.duration_min <= MAX_DURATION_MIN:
            raise ScheduleError("duration_range", schedule=self.name)
        if not -MAX_OFFSET_MIN <= self.offset_min <= MAX_OFFSET_MIN:
            raise ScheduleError("offset_range", schedule=self.name)
        if not SHORTEST_S <= self.interval_s <= LONGEST_S:
            raise ScheduleError("interval_range", schedule=self.name)
        if not self.profiles:
            raise ScheduleError("no_profile", schedule=self.name)
        if not self.days:
            raise ScheduleError("no_day", schedule=self.name)

    @classmethod
    def read(cls, schedule_id: str, name: str, data: Mapping[str, Any]) -> Self:
        """Read a schedule from what a subentry keeps."""
        known = {field.name for field in fields(cls)} - {"id", "name"}
        given: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in data.items()
            if key in known
        }
        spec = cls(id=schedule_id, name=name, **{**given, "recipe": recipe_of(data)})
        if not all(isinstance(profile, str) for profile in spec.profiles):
            raise ScheduleError("no_profile", schedule=name)
        return spec

    def write(self) -> dict[str, Any]:
        """Return what a subentry keeps: JSON values, id and name left out."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in values.items()
            if key not in ("id", "name")
        }

    @property
    def clock_time(self) -> time:
        """The local time of day of the clock anchor."""
        return time.fromisoformat(self.at)

    def covers(self, camera: str) -> bool:
        """Tell whether a camera photographs by this schedule."""
        return not self.cameras or camera in self.cameras

    def falls_on(self, day: date) -> bool:
        """Tell whether the schedule's anchor counts on this day."""
        return WEEKDAYS[day.weekday()] in self.days


def recipe_of(data: Mapping[str, Any]) -> str:
    """Return the recipe of what a subentry keeps; `clean` for one that makes no film of a window."""
    kept = str(data.get("recipe"))
    return kept if kept in FILM_RECIPES else "clean"


BUILT_IN_SCHEDULES = (
    ScheduleSpec(
        id="sunrise", name="Sunrise", anchor="sunrise", offset_min=-30, duration_min=60, interval_s=15
    ),
    ScheduleSpec(id="sunset", name="Sunset", anchor="sunset", offset_min=-30, duration_min=60, interval_s=15),
    ScheduleSpec(
        id="daytime", name="Daytime", anchor="clock", at="07:30:00", duration_min=615, interval_s=30
    ),
    ScheduleSpec(
        id="night",
        name="Night",
        enabled=False,
        anchor="dusk",
        offset_min=60,
        duration_min=360,
        interval_s=60,
    ),
    ScheduleSpec(id="hourly", name="Hourly", anchor="clock", duration_min=1440, interval_s=3600, film=False),
)
