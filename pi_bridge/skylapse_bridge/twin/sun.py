"""Where the sun stands, and when it stands there. The one door of the twin to astral."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from astral import Observer
from astral.sun import azimuth, elevation


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A place on Earth, in degrees, north and east positive."""

    latitude_deg: float = 0.0
    longitude_deg: float = 0.0

    def elevation_deg(self, at: datetime) -> float:
        """Return the geometric elevation of the sun's centre, without refraction.

        astral counts in whole seconds; between two the sun moves evenly here, as it does.
        """
        second = at.replace(microsecond=0)
        share = at.microsecond / 1e6
        now = float(elevation(self._observer, second, with_refraction=False))
        if not share:
            return now
        later = float(elevation(self._observer, second + timedelta(seconds=1), with_refraction=False))
        return now + share * (later - now)

    def azimuth_deg(self, at: datetime) -> float:
        """Return the sun's azimuth, 0 in the north, 90 in the east."""
        return float(azimuth(self._observer, at))

    def evening(self, at: datetime, elevation_deg: float) -> datetime:
        """Return when the setting sun is so high on the local solar day that holds `at`.

        Where it never comes that low or that high on the day, noon or midnight is returned.
        """
        noon = self.solar_noon(at)
        low, high = noon, noon + timedelta(hours=12)
        while high - low > timedelta(milliseconds=1):
            middle = low + (high - low) / 2
            if self.elevation_deg(middle) > elevation_deg:
                low = middle
            else:
                high = middle
        return low

    def solar_noon(self, at: datetime) -> datetime:
        """Return the mean solar noon of the local solar day that holds `at`, within 17 minutes."""
        offset = timedelta(hours=self.longitude_deg / 15.0)
        local = at.astimezone(UTC) + offset
        return local.replace(hour=12, minute=0, second=0, microsecond=0) - offset

    def sunset_azimuth_deg(self, at: datetime) -> float:
        """Return where the sun sets on the local solar day that holds `at`."""
        return _sunset_azimuth(self, self.solar_noon(at))

    @property
    def _observer(self) -> Observer:
        return Observer(self.latitude_deg, self.longitude_deg, 0.0)


@lru_cache(maxsize=16)
def _sunset_azimuth(place: Place, noon: datetime) -> float:
    """Return the azimuth of the sunset that follows a solar noon."""
    return place.azimuth_deg(place.evening(noon, 0.0))
