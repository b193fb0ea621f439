"""What the cards ask for that no entity carries: the day of a camera, and A/B tests with their pairs."""

from contextlib import suppress
from typing import Any

import probatio
from homeassistant.components import websocket_api
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.translation import async_get_exception_message
from homeassistant.util import dt as dt_util

from .arm_words import labels
from .brain.ab_tests import AbTest
from .brain.clock import to_bridge
from .brain.day import compile_day
from .configuration import read_place
from .const import DOMAIN
from .data import SkylapseConfigEntry
from .forms import Words, async_words_of_choices
from .media_id import FrameId
from .protocol.codec import format_time, write
from .protocol.errors import ProtocolError
from .protocol.identifiers import FrameName
from .protocol.snapshot import Window


@callback
def async_register_commands(hass: HomeAssistant) -> None:
    """Register every command, once."""
    websocket_api.async_register_command(hass, ws_day)
    websocket_api.async_register_command(hass, ws_ab_tests)


@websocket_api.websocket_command(
    {probatio.Required("type"): f"{DOMAIN}/day", probatio.Required("camera"): cv.string}
)
@websocket_api.async_response
async def ws_day(
    hass: HomeAssistant, connection: websocket_api.ActiveConnection, msg: dict[str, Any]
) -> None:
    """Answer with the day that it is for a camera, on its bridge's clock: sun, windows, what the time is."""
    entry = _entry(hass)
    camera = entry.runtime_data.coordinator.camera(msg["camera"]) if entry is not None else None
    if entry is None or camera is None:
        _refuse(connection, msg, "camera_unknown", camera=msg["camera"])
        return
    schedules, place = entry.runtime_data.specs.effective, read_place(hass)
    now = to_bridge(camera.clock, dt_util.utcnow())
    day = await hass.async_add_executor_job(compile_day, schedules, str(camera.name), place, now)

    names = {schedule.id: schedule.name for schedule in schedules}

    def told(window: Window) -> dict[str, Any]:
        return {**write(window), "title": names[window.schedule]}

    connection.send_result(
        msg["id"],
        {
            **write(day),
            "windows": [told(window) for window in day.windows],
            "now": format_time(now),
            "rate": camera.clock.rate if camera.clock is not None else 1.0,
            "time_zone": place.time_zone,
        },
    )


@websocket_api.websocket_command(
    {
        probatio.Required("type"): f"{DOMAIN}/ab_tests",
        probatio.Optional("camera"): cv.string,
        probatio.Optional("language"): cv.string,
    }
)
@websocket_api.async_response
async def ws_ab_tests(
    hass: HomeAssistant, connection: websocket_api.ActiveConnection, msg: dict[str, Any]
) -> None:
    """Answer with the A/B tests of a camera, or of all, latest first, in the words of a language."""
    entry = _entry(hass)
    if entry is None:
        _refuse(connection, msg, "not_loaded")
        return
    only = msg.get("camera")
    words = await async_words_of_choices(hass, msg.get("language", hass.config.language))
    tests = entry.runtime_data.ab_tester.shelf.tests
    told = [_told(test, words) for test in tests if only in (None, test.camera)]
    connection.send_result(msg["id"], {"tests": told})


def _refuse(connection: websocket_api.ActiveConnection, msg: dict[str, Any], key: str, **places: str) -> None:
    """Answer that there is no such thing, in words that can be translated."""
    words = async_get_exception_message(DOMAIN, key, places)
    connection.send_error(
        msg["id"],
        websocket_api.ERR_NOT_FOUND,
        words,
        translation_key=key,
        translation_domain=DOMAIN,
        translation_placeholders=places,
    )


def _entry(hass: HomeAssistant) -> SkylapseConfigEntry | None:
    entries: list[SkylapseConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    return next(iter(entries), None)


def _told(test: AbTest, words: Words) -> dict[str, Any]:
    """Return a test with what its arms are called, what they scored, and its pairs as media."""
    comparison = test.comparison
    scores = {arm.test_id: write(arm) for arm in comparison.arms} if comparison is not None else {}
    return {
        "id": test.id,
        "name": test.name,
        "camera": test.camera,
        "state": test.state,
        "started_at": format_time(test.started_at),
        "ends_at": format_time(test.ends_at),
        "failure": test.failure,
        "winner": comparison.winner if comparison is not None else None,
        "arms": [
            {"test_id": arm.test_id, "name": name, "score": scores.get(arm.test_id)}
            for arm, name in zip(test.experiment.arms, labels(test, words), strict=True)
        ],
        "pairs": _pairs(test),
    }


def _pairs(test: AbTest) -> list[list[dict[str, str]]]:
    """Return the pairs that have a frame of every arm; what cannot be read as such is left out."""
    found, arms = [], len(test.experiment.arms)
    for pair in test.comparison.pairs if test.comparison is not None else ():
        with suppress(ProtocolError):
            found.append([_media(frame) for frame in pair])
    return [pair for pair in found if len(pair) == arms]


def _media(frame: str) -> dict[str, str]:
    name = FrameName.parse(frame)
    return {"media_content_id": FrameId(frame=name).uri, "captured_at": format_time(name.captured_at)}
