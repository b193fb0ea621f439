"""What a camera shows when all is well, by the elevation of the sun: a middle and a spread of every figure.

Light decides what a picture looks like, and the sun's elevation, rising or falling, decides the light. So
elevation is cut into bins, finer where light changes faster, and each bin remembers for mornings and
evenings apart. A bin learns a few pictures a day, so that how often a camera takes pictures does not
matter, and forgets with a time constant of a fortnight: a middle moves by the newest value's distance, over
the number of pictures seen, at least a 56th. A distance counts at most four spreads, as in Huber's estimate
of location (1964), so that one strange picture moves little. A bin unused for a month starts anew.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

Figures = NDArray[np.float32]

_EDGES_DEG = (-18, -12, -8, -6, -4, -2, 0, 2, 4, 6, 9, 12, 16, 20, 25, 30, 40, 50)
_EVERY = timedelta(minutes=3)
_A_DAY = 4
_MEMORY = 14 * _A_DAY
_FORGOTTEN = timedelta(days=30)
_ENOUGH = 3
_NEXT_DAY = timedelta(hours=12)
"""The sun stands as high again no sooner; midnight in UTC may be noon."""
_ENOUGH_DAYS = 2
_REACH = 2
_CLIP = 4.0
_TO_DEVIATION = 1.25
"""A normal deviation over the mean distance from the middle: √(π/2)."""

Place = tuple[int, bool]
"""Bin of elevation, and whether the sun rises."""


@dataclass(kw_only=True, slots=True)
class Known:
    """What one bin remembers."""

    count: int
    last_at: datetime
    day_count: int
    """Pictures learnt on the day of `last_at`."""
    days: int
    """On so many days something was learnt: pictures of one hour know nothing of the weather."""
    middle: Figures
    spread: Figures
    """Mean distance from the middle."""

    @property
    def is_enough(self) -> bool:
        """Tell whether anything can be held against this."""
        return self.count >= _ENOUGH and self.days >= _ENOUGH_DAYS


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """What a picture should show."""

    middle: Figures
    deviation: Figures
    """As a normal deviation, wider where the bin asked for is known from its neighbours only."""


@dataclass(kw_only=True, slots=True)
class Baseline:
    """Figures of one camera when all is well."""

    bins: dict[Place, Known] = field(default_factory=dict)
    days: list[str] = field(default_factory=list)
    """The last days that something was learnt on, in UTC."""

    def expect(self, elevation_deg: float, at: datetime, *, rising: bool) -> Expected | None:
        """Return what is expected; None where too little is known."""
        recent = [day for day in self.days if day >= _day(at - _FORGOTTEN)]
        if len(recent) < _ENOUGH_DAYS:
            return None
        number = _bin(elevation_deg)
        found = [
            (abs(place[0] - number) + 0.5 * (place[1] != rising), place)
            for place, known in self.bins.items()
            if abs(place[0] - number) <= _REACH and known.is_enough and at - known.last_at < _FORGOTTEN
        ]
        if not found:
            return None
        distance, place = min(found)
        known = self.bins[place]
        small_sample = 1.0 + 2.0 / known.count
        return Expected(
            middle=known.middle,
            deviation=_TO_DEVIATION * known.spread * np.float32(small_sample * (1.0 + 0.5 * distance)),
        )

    def learn(self, figures: Figures, elevation_deg: float, at: datetime, *, rising: bool) -> None:
        """Take a picture that all is well in; figures that are no number are left as they were."""
        place, day = (_bin(elevation_deg), rising), _day(at)
        known = self.bins.get(place)
        if known is None or at - known.last_at >= _FORGOTTEN or known.middle.shape != figures.shape:
            self.bins[place] = Known(
                count=1, last_at=at, day_count=1, days=1, middle=figures.copy(), spread=np.zeros_like(figures)
            )
        else:
            same_day = _day(known.last_at) == day
            if at - known.last_at < _EVERY or (same_day and known.day_count >= _A_DAY):
                return
            _move(known, figures)
            known.days += at - known.last_at >= _NEXT_DAY
            known.last_at, known.day_count = at, known.day_count + 1 if same_day else 1
        if day not in self.days:
            self.days = sorted([*self.days, day])[-31:]

    def set_back(self, at: datetime) -> None:
        """Let nothing be remembered of later than `at`."""
        for known in self.bins.values():
            known.last_at = min(known.last_at, at)
        self.days = sorted({min(day, _day(at)) for day in self.days})


def _move(known: Known, figures: Figures) -> None:
    share = np.float32(1.0 / min(known.count + 1, _MEMORY))
    distance = figures - known.middle
    if known.count >= _ENOUGH:
        limit = np.maximum(_CLIP * known.spread, np.float32(0.05))
        distance = np.clip(distance, -limit, limit)
    seen = np.isfinite(figures)
    fresh = seen & ~np.isfinite(known.middle)
    middle = np.where(seen, known.middle + share * distance, known.middle)
    known.middle = np.where(fresh, figures, middle).astype(np.float32)
    known.spread = np.where(
        seen & ~fresh, known.spread + share * (np.abs(distance) - known.spread), known.spread
    ).astype(np.float32)
    known.count += 1


def _bin(elevation_deg: float) -> int:
    return int(np.searchsorted(_EDGES_DEG, elevation_deg))


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()
