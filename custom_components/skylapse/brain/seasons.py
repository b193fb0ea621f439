"""Seasons as meteorologists count them: three whole months each, opposite south of the equator.

Not the sun's seasons: theirs begin three weeks later, when snow, leaves and light have long changed, and on
days that move from year to year.
"""

from datetime import date
from typing import Literal

Season = Literal["spring", "summer", "autumn", "winter"]
SEASONS: tuple[Season, ...] = ("spring", "summer", "autumn", "winter")

_MARCH = 3


def season_of(day: date, latitude: float) -> Season:
    """Return the season of a local day; on the equator it is the northern one."""
    northern = (day.month - _MARCH) % 12 // 3
    return SEASONS[northern if latitude >= 0 else (northern + 2) % 4]
