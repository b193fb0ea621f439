"""One evening at one place, and the clock that runs through it many times as fast as life."""

import math
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from astral import Observer
from astral.sun import sunset

from .home_assistant import Place

LAKE = Place(latitude=46.6863, longitude=7.8632, elevation_m=568, time_zone="Europe/Zurich")
EVENING = date(2026, 9, 12)
_SLOWEST = 10.0
"""So many times as fast as life at least: nobody waits longer for a demo than a quarter of an hour."""
_PICTURES_A_TICK = 5.0
"""What a tick costs, in the time that a picture for the folder camera is made in: a larger one is computed,
two are metered, delivered, decoded and measured."""
_SPARE = timedelta(minutes=1)
"""Home Assistant's sunset may be seconds away from this one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evening:
    """What the cameras live through: so many minutes before and after sunset, at so many times real speed."""

    place: Place = LAKE
    day: date = EVENING
    around_min: float = 60.0
    interval_s: float = 15.0
    rate: float = 60.0
    lead_min: float = 6.0
    """Time on the cameras' clock between their start and the window: the plan has to reach them."""

    @property
    def sunset_at(self) -> datetime:
        """The moment of sunset, UTC."""
        observer = Observer(self.place.latitude, self.place.longitude, self.place.elevation_m)
        return sunset(observer, date=self.day, tzinfo=ZoneInfo(self.place.time_zone)).astimezone(UTC)

    @property
    def starts_at(self) -> datetime:
        """The time on the cameras' clock when they start."""
        return self.sunset_at - timedelta(minutes=self.around_min + self.lead_min)

    @property
    def ends_at(self) -> datetime:
        """The time on the cameras' clock when the last window of the evening has ended."""
        return self.sunset_at + timedelta(minutes=self.around_min)

    @property
    def frames(self) -> int:
        """How many frames a camera takes in the window, about."""
        return round(2 * self.around_min * 60 / self.interval_s)

    @property
    def moments(self) -> tuple[datetime, int]:
        """The first tick that a folder of pictures is to hold, and how many follow it with itself."""
        interval = timedelta(seconds=self.interval_s)
        begins, ends = self.sunset_at - timedelta(minutes=self.around_min) - _SPARE, self.ends_at + _SPARE
        first = datetime.fromtimestamp(begins.timestamp() // self.interval_s * self.interval_s, UTC)
        return first, math.ceil((ends - first) / interval)

    def at_pace(self, picture_s: float) -> "Evening":
        """Return the evening as fast as a machine keeps up with that makes a picture in so many seconds."""
        kept_up = self.interval_s / (_PICTURES_A_TICK * max(picture_s, 1e-3))
        return replace(self, rate=min(self.rate, max(kept_up, _SLOWEST)))

    @property
    def real_s(self) -> float:
        """How long the cameras need in real time."""
        return (2 * self.around_min + self.lead_min) * 60 / self.rate

    def clock(self, anchor: datetime) -> dict[str, Any]:
        """The `clock` of a bridge's configuration, for a bridge that starts at this moment of real time."""
        return {"start": self.starts_at.isoformat(), "anchor": anchor.isoformat(), "rate": self.rate}

    def minutes_from_sunset(self, anchor: datetime, now: datetime) -> float:
        """Where the cameras' clock stands, in minutes after sunset."""
        passed = (now - anchor) * self.rate
        return (self.starts_at + passed - self.sunset_at) / timedelta(minutes=1)
