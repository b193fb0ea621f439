"""What may stand in a bridge's configuration of a twin, and what is made of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import voluptuous as vol

from .faults import Faults
from .sensor import SENSORS

_SIDE = vol.All(int, vol.Range(min=32, max=8192))
_SHARE = vol.All(vol.Coerce(float), vol.Range(min=0.0, max=1.0))
_COUNT = vol.All(int, vol.Range(min=1))


def _moment(value: object) -> datetime:
    """Read a moment; YAML has read it already where it stands without quotes."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise vol.Invalid("is no time like 2026-06-21T19:00:00Z") from None
    if moment.tzinfo is None:
        raise vol.Invalid("lacks the offset from UTC, as in 2026-06-21T19:00:00Z")
    return moment.astimezone(UTC)


def _number(low: float, high: float) -> Any:
    return vol.All(vol.Coerce(float), vol.Range(min=low, max=high))


FAULTS = {
    # Deviation of the picture's shift by wind, in pixels.
    vol.Optional("shake_px"): _number(0.0, 50.0),
    # Drops of water on the lens.
    vol.Optional("droplets"): vol.All(int, vol.Range(min=0, max=100)),
    # How thick the fog is, and the film of dew on the lens.
    vol.Optional("fog"): _SHARE,
    vol.Optional("dew"): _SHARE,
    # Infinity moves by so many dioptres: all of it, and with each °C of the sensor.
    vol.Optional("drift_dioptre"): _number(-5.0, 5.0),
    vol.Optional("dioptre_per_c"): _number(-0.5, 0.5),
    # Wind, drops, fog, dew and drift are there from one moment, and up to another.
    vol.Optional("since"): _moment,
    vol.Optional("until"): _moment,
    # Exposure times in thirds of a stop.
    vol.Optional("third_steps"): bool,
    # Exposures above a limit, and a share of all exposures, are silently halved.
    vol.Optional("halve_above_us"): _number(1.0, 1e9),
    vol.Optional("halve_share"): _SHARE,
}

OPTIONS = {
    vol.Optional("width", default=1920): _SIDE,
    vol.Optional("height", default=1080): _SIDE,
    # Which landscape, which weather; clouds 0 is a clear sky.
    vol.Optional("seed", default=1): vol.All(int, vol.Range(min=0)),
    vol.Optional("clouds", default=1.0): _SHARE,
    vol.Optional("latitude", default=0.0): _number(-90.0, 90.0),
    vol.Optional("longitude", default=0.0): _number(-180.0, 180.0),
    vol.Optional("sensor", default="imx519"): vol.In(sorted(SENSORS)),
    # Deviation of the digital gain, in stops: real modules wobble between 1.000 and 1.016.
    vol.Optional("wobble_ev", default=0.0066): _number(0.0, 0.2),
    # Settings take effect so many pictures later.
    vol.Optional("latency_frames", default=0): vol.All(int, vol.Range(min=0, max=30)),
    # Share of captures that fail, and share at which the camera is lost until it is started anew.
    vol.Optional("drop_share", default=0.0): _SHARE,
    vol.Optional("lose_share", default=0.0): _SHARE,
    # One capture in so many fails: the last of them.
    vol.Optional("drop_every"): _COUNT,
    # Metering and pictures take as long as their exposures, on the bridge's clock.
    vol.Optional("exposures_last", default=False): bool,
    # The camera hangs once until it is stopped: at a capture counted from 1, or from a moment on.
    vol.Optional("hang_at_capture"): _COUNT,
    vol.Optional("hang_at"): _moment,
    **FAULTS,
}


def faults_of(options: Mapping[str, Any]) -> Faults:
    """Return the faults among checked options."""
    return Faults(**{str(key): options[str(key)] for key in FAULTS if str(key) in options})
