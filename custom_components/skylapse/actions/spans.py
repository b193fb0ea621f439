"""Which stored frames of a camera an action is for: a day or a span, of one schedule, of one profile."""

from datetime import date, timedelta
from typing import Any

import probatio
from homeassistant.core import ServiceCall
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util

from ..brain.clock import to_bridge
from ..brain.plan import window_id
from ..const import SUBENTRY_PROFILE, SUBENTRY_SCHEDULE
from ..errors import ProcessorError
from ..facts import CameraFacts
from ..protocol.codec import format_time
from ..protocol.errors import IdentifierError
from ..protocol.identifiers import parse_day, parse_id
from .base import coordinator_of, entry_of, invalid, subentry_named


def local_day(value: Any) -> str:
    """Return a date as the contract writes days."""
    return parse_day(cv.date(value).isoformat())


def span_fields() -> dict[Any, Any]:
    """Return the fields that say which stored frames of a camera are meant."""
    optional = probatio.Optional
    return {
        probatio.Exclusive("day", "span"): local_day,
        probatio.Exclusive("start", "span"): cv.datetime,
        optional("end"): cv.datetime,
        optional("schedule"): cv.string,
        optional("profile"): cv.string,
    }


async def async_span_of(call: ServiceCall, camera: CameraFacts) -> dict[str, Any]:
    """Return the span that a call names as the processor wants it; none is the newest day with frames."""
    if "end" in call.data and "start" not in call.data:
        raise invalid("span_needs_start")
    if "start" not in call.data:
        return await async_day_of(call, camera)
    if "end" not in call.data:
        raise invalid("span_needs_end")
    if "schedule" in call.data:
        raise invalid("span_and_schedule")
    start, end = (to_bridge(camera.clock, dt_util.as_utc(call.data[key])) for key in ("start", "end"))
    if end - start <= timedelta(0):
        raise invalid("span_backwards")
    return {"from": format_time(start), "to": format_time(end), **await _profile_of(call, camera)}


async def async_day_of(call: ServiceCall, camera: CameraFacts) -> dict[str, str]:
    """Return the day that a call names, or the camera's newest one, with the window and the profile."""
    day = call.data.get("day") or (camera.store.day if camera.store else None)
    if day is None:
        raise invalid("no_frames", camera=str(camera.name))
    return {"day": day, **await _window_of(call, camera, day), **await _profile_of(call, camera)}


async def _window_of(call: ServiceCall, camera: CameraFacts, day: str) -> dict[str, str]:
    """Return the window of the schedule that a call names, if any, on a day."""
    if "schedule" not in call.data:
        return {}
    asked = call.data["schedule"]
    schedule = subentry_named(entry_of(call.hass), SUBENTRY_SCHEDULE, asked)
    window = window_id(str(schedule.unique_id) if schedule else asked, date.fromisoformat(day))
    if schedule is None and not await _is_stored(call, camera, asked, {"day": day, "window": window}):
        raise invalid("schedule_unknown", schedule=asked)
    return {"window": window}


async def _profile_of(call: ServiceCall, camera: CameraFacts) -> dict[str, str]:
    """Return the profile that a call names, if any."""
    if "profile" not in call.data:
        return {}
    asked = call.data["profile"]
    profile = subentry_named(entry_of(call.hass), SUBENTRY_PROFILE, asked)
    if profile is not None:
        return {"profile": str(profile.unique_id)}
    if not await _is_stored(call, camera, asked, {"profile": asked}):
        raise invalid("profile_unknown", profile=asked)
    return {"profile": asked}


async def _is_stored(call: ServiceCall, camera: CameraFacts, asked: str, query: dict[str, str]) -> bool:
    """Tell whether frames of a schedule or profile that is gone are stored: they outlive it, under its id.

    Where the processor cannot be asked, it is left to the action to say so.
    """
    try:
        parse_id(asked)
    except IdentifierError:
        return False
    client = coordinator_of(call.hass).client
    if client is None:
        return True
    try:
        frames, _cursor = await client.frames_page(camera.name, 1, query)
    except ProcessorError:
        return True
    return bool(frames)
