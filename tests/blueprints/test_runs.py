"""Blueprints that change settings, make films and show them: automations of a real Home Assistant."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import EVENT_CALL_SERVICE, EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import CoreState, Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    async_mock_service,
)
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import CameraEvent, Reply
from demo.waiting import PATIENCE_S
from tests.integration.brokerage import commands, sent
from tests.integration.speakers import NOW, Bridge, Processor

EVENTS = "event.roof_west_events"
COMMAND = "skylapse/processor/command"
PRINTER = "sensor.printer"


class Calls:
    """What automations did, in order: action and what it was given."""

    def __init__(self, hass: HomeAssistant, *domains: str) -> None:
        self.made: list[tuple[str, dict[str, Any]]] = []
        self._more = asyncio.Event()
        self._domains = domains
        hass.bus.async_listen(EVENT_CALL_SERVICE, self._heard)

    @callback
    def _heard(self, event: Event) -> None:
        if event.data["domain"] in self._domains:
            action = f"{event.data['domain']}.{event.data['service']}"
            self.made.append((action, event.data["service_data"]))
            self._more.set()

    async def soon(self, number: int) -> list[tuple[str, dict[str, Any]]]:
        """Wait until so many were made, and return all."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.made) < number:
                self._more.clear()
                await self._more.wait()
        return self.made


@pytest.fixture
def calls(hass: HomeAssistant) -> Calls:
    """What automations do to the camera's settings."""
    return Calls(hass, "number", "select")


@pytest.fixture
async def settings(hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge) -> dict[str, str]:
    """The camera's interval and profile, with a profile to choose."""
    await bridge.tell_all()
    entities = er.async_get(hass)
    interval = entities.async_get_entity_id("number", DOMAIN, "roof/west_interval")
    profile = entities.async_get_entity_id("select", DOMAIN, "roof/west_profile")
    assert interval is not None
    assert profile is not None
    state = hass.states.get(profile)
    assert state is not None
    return {"interval": interval, "profile": profile, "boost_profile": state.attributes["options"][2]}


def boosted(settings: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Return what is done when it begins."""
    return [
        ("number.set_value", {"entity_id": [settings["interval"]], "value": 5}),
        (
            "select.select_option",
            {"entity_id": [settings["profile"]], "option": settings["boost_profile"]},
        ),
    ]


def given_back(settings: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Return what is done when it is over."""
    return [
        ("number.set_value", {"entity_id": [settings["interval"]], "value": 0}),
        ("select.select_option", {"entity_id": [settings["profile"]], "option": "by_schedule"}),
    ]


async def happen(bridge: Bridge, kind: Any, schedule: str) -> None:
    """Tell of an event, without waiting for automations that wait."""
    await bridge.tell(topics.EVENT, CameraEvent(at=NOW, type=kind, schedule=schedule))


async def later(hass: HomeAssistant, minutes: float) -> None:
    """Let time pass, without waiting for automations that wait."""
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=minutes))
    await asyncio.sleep(0)


# ---------------------------------------------------------------- sunset


async def test_a_promising_sunset_is_photographed_more_often_until_its_window_ends(
    hass: HomeAssistant, bridge: Bridge, settings: dict[str, str], calls: Calls, use: Callable[..., Any]
) -> None:
    hass.states.async_set("weather.home", "cloudy", {"cloud_coverage": 100})
    await use("sunset_that_promises.yaml", camera=EVENTS, weather="weather.home", **settings)
    await happen(bridge, "window_started", "daytime")
    await happen(bridge, "window_started", "sunset")
    hass.states.async_set("weather.home", "cloudy", {"cloud_coverage": 90})
    hass.states.async_set("weather.home", "partlycloudy", {"cloud_coverage": 60})
    assert await calls.soon(2) == boosted(settings)
    await hass.async_block_till_done()
    state = hass.states.get(settings["interval"])
    assert state is not None
    assert state.state == "5.0"
    await bridge.happen("window_ended", schedule="daytime")
    assert len(calls.made) == 2
    await bridge.happen("window_ended", schedule="sunset")
    assert calls.made[2:] == given_back(settings)
    state = hass.states.get(settings["interval"])
    assert state is not None
    assert state.state != "5.0"


async def test_an_overcast_sunset_is_left_to_its_schedule(
    hass: HomeAssistant, bridge: Bridge, settings: dict[str, str], calls: Calls, use: Callable[..., Any]
) -> None:
    hass.states.async_set("weather.home", "cloudy", {"cloud_coverage": 100})
    await use("sunset_that_promises.yaml", camera=EVENTS, weather="weather.home", **settings)
    await happen(bridge, "window_started", "sunset")
    hass.states.async_set("weather.home", "sunny", {"cloud_coverage": 0})
    hass.states.async_set("weather.home", "sunny", {})
    await bridge.happen("window_ended", schedule="sunset")
    hass.states.async_set("weather.home", "partlycloudy", {"cloud_coverage": 60})
    await hass.async_block_till_done()
    assert calls.made == []


async def test_without_a_weather_entity_every_sunset_counts(
    hass: HomeAssistant, bridge: Bridge, settings: dict[str, str], calls: Calls, use: Callable[..., Any]
) -> None:
    await use("sunset_that_promises.yaml", camera=EVENTS, interval=settings["interval"], boost_s=3)
    await bridge.happen("window_started", schedule="sunset")
    assert calls.made == [("number.set_value", {"entity_id": [settings["interval"]], "value": 3})]


# ---------------------------------------------------------------- storm


@pytest.mark.parametrize("sign", ["pressure", "lightning", "warning"])
async def test_a_storm_is_photographed_more_often_until_it_is_calm(
    hass: HomeAssistant, settings: dict[str, str], calls: Calls, use: Callable[..., Any], sign: str
) -> None:
    calm = {"sensor.fall": "-0.2", "sensor.stroke": "80", "binary_sensor.storm": "off"}
    stormy = {"pressure": ("sensor.fall", "-2.4"), "warning": ("binary_sensor.storm", "on")}
    for entity_id, state in calm.items():
        hass.states.async_set(entity_id, state)
    await use(
        "storm_boost.yaml",
        pressure_changes=["sensor.fall"],
        strikes=["sensor.stroke"],
        warnings=["binary_sensor.storm"],
        **settings,
    )
    for far_away in ("60", "unavailable", "30"):
        hass.states.async_set("sensor.stroke", far_away)
    await hass.async_block_till_done()
    assert calls.made == []
    entity_id, state = stormy.get(sign, ("sensor.stroke", "12"))
    hass.states.async_set(entity_id, state)
    assert await calls.soon(2) == boosted(settings)
    hass.states.async_set(entity_id, calm[entity_id])
    await _calm_down(hass, calls, 4)
    assert calls.made[2:] == given_back(settings)


async def test_a_storm_that_goes_on_is_photographed_on(
    hass: HomeAssistant, settings: dict[str, str], calls: Calls, use: Callable[..., Any]
) -> None:
    hass.states.async_set("binary_sensor.storm", "off")
    await use("storm_boost.yaml", warnings=["binary_sensor.storm"], **settings)
    hass.states.async_set("binary_sensor.storm", "on")
    await calls.soon(2)
    for _ in range(20):
        await later(hass, 31)
    assert len(calls.made) == 2
    hass.states.async_set("binary_sensor.storm", "off")
    await _calm_down(hass, calls, 4)
    assert calls.made[2:] == given_back(settings)


async def test_a_storm_over_a_restart_is_taken_up_again(
    hass: HomeAssistant, settings: dict[str, str], calls: Calls, use: Callable[..., Any]
) -> None:
    await hass.services.async_call(
        "number", "set_value", {"entity_id": settings["interval"], "value": 5}, blocking=True
    )
    hass.set_state(CoreState.starting)
    await use("storm_boost.yaml", interval=settings["interval"])
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await _calm_down(hass, calls, 2)
    assert calls.made[1:] == given_back(settings)[:1]


async def test_a_storm_over_a_reload_of_automations_is_taken_up_again(
    hass: HomeAssistant, settings: dict[str, str], calls: Calls, use: Callable[..., Any]
) -> None:
    hass.states.async_set("binary_sensor.storm", "off")
    await use("storm_boost.yaml", warnings=["binary_sensor.storm"], **settings)
    hass.states.async_set("binary_sensor.storm", "on")
    await calls.soon(2)
    hass.states.async_set("binary_sensor.storm", "off")
    await _reload(hass, {**settings, "warnings": ["binary_sensor.storm"], "calm_min": 20})
    await _calm_down(hass, calls, 4)
    assert calls.made[2:] == given_back(settings)


async def test_without_a_boost_a_reload_sets_nothing_off(
    hass: HomeAssistant, settings: dict[str, str], calls: Calls, use: Callable[..., Any]
) -> None:
    await use("storm_boost.yaml", **settings)
    await _reload(hass, {**settings, "calm_min": 20})
    assert hass.states.async_all("automation")[0].attributes["last_triggered"] is None
    assert calls.made == []


async def _reload(hass: HomeAssistant, inputs: dict[str, Any]) -> None:
    """Load automations anew after this one was changed, which ends what it does."""
    changed = {"use_blueprint": {"path": "skylapse/storm_boost.yaml", "input": inputs}}
    with patch("homeassistant.config.load_yaml_config_file", return_value={"automation": [changed]}):
        await hass.services.async_call("automation", "reload", blocking=True)
    await asyncio.sleep(0)


async def _calm_down(hass: HomeAssistant, calls: Calls, number: int) -> None:
    """Let quiet half hours pass until so many calls were made."""
    for _ in range(1000):  # no limit in seconds: its timer would be let pass, too
        if len(calls.made) >= number:
            break
        await later(hass, 31)
    await hass.async_block_till_done()


# ---------------------------------------------------------------- 3D print


BEGAN = datetime(2026, 6, 21, 9, 0, tzinfo=UTC)
HOURS = timedelta(hours=2)


async def begin_to_print(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, use: Callable[..., Any]
) -> None:
    """Begin a print at nine, and see to it that the automation waits for its end."""
    hass.states.async_set(PRINTER, "idle")
    await use("print_film.yaml", printer=PRINTER, camera=EVENTS)
    freezer.move_to(BEGAN)
    hass.states.async_set(PRINTER, "Printing")
    for _ in range(1000):
        if hass.states.async_all("automation")[0].attributes["current"] == 1:
            break
        await asyncio.sleep(0)


async def test_a_print_that_ends_becomes_a_film_of_its_span(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    settings: dict[str, str],
    processor: Processor,
    freezer: FrozenDateTimeFactory,
    use: Callable[..., Any],
) -> None:
    await processor.arrive()
    await begin_to_print(hass, freezer, use)
    for state in ("paused", "unavailable", "unknown", "printing"):
        freezer.tick(timedelta(minutes=30))
        hass.states.async_set(PRINTER, state)
        await asyncio.sleep(0)
    hass.states.async_set(PRINTER, "finished")
    command = await sent(mqtt, COMMAND)
    assert command.name == "render"
    assert {key: datetime.fromisoformat(command.args.pop(key)) for key in ("from", "to")} == {
        "from": BEGAN,
        "to": BEGAN + HOURS,
    }
    assert command.args == {"camera": "roof/west", "recipe": "3d-print", "size": "1080p", "length_s": 15}
    await processor.reply(Reply(id=command.id, ok=True, result={"job": "job-1"}))
    await hass.async_block_till_done()
    assert len(commands(mqtt, COMMAND)) == 1


@pytest.mark.parametrize(
    ("end", "lasted"),
    [("Cancelled", HOURS), ("error", HOURS), ("finished", timedelta(minutes=10))],
)
async def test_a_print_that_failed_or_was_short_becomes_no_film(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    settings: dict[str, str],
    processor: Processor,
    freezer: FrozenDateTimeFactory,
    use: Callable[..., Any],
    end: str,
    lasted: timedelta,
) -> None:
    await processor.arrive()
    await begin_to_print(hass, freezer, use)
    freezer.tick(lasted)
    hass.states.async_set(PRINTER, end)
    await hass.async_block_till_done()
    assert hass.states.async_all("automation")[0].attributes["current"] == 0
    assert commands(mqtt, COMMAND) == []


async def test_of_a_print_that_began_unseen_the_part_that_was_seen_becomes_a_film(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    settings: dict[str, str],
    processor: Processor,
    freezer: FrozenDateTimeFactory,
    use: Callable[..., Any],
) -> None:
    await processor.arrive()
    freezer.move_to(BEGAN)
    hass.states.async_set(PRINTER, "printing")
    await use("print_film.yaml", printer=PRINTER, camera=EVENTS)
    freezer.tick(HOURS)
    hass.states.async_set(PRINTER, "finished")
    command = await sent(mqtt, COMMAND)
    assert datetime.fromisoformat(command.args["from"]) == BEGAN
    assert datetime.fromisoformat(command.args["to"]) == BEGAN + HOURS
    await processor.reply(Reply(id=command.id, ok=True, result={"job": "job-1"}))
    await hass.async_block_till_done()


# ---------------------------------------------------------------- compilation


@pytest.mark.parametrize(
    ("period", "span"),
    [
        ("week", ("2026-06-22", "2026-06-29")),
        ("week", ("2026-03-23", "2026-03-30")),
        ("month", ("2026-02-01", "2026-03-01")),
        ("month", ("2025-12-01", "2026-01-01")),
    ],
)
async def test_the_days_of_a_whole_period_become_one_film(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    settings: dict[str, str],
    processor: Processor,
    use: Callable[..., Any],
    freezer: FrozenDateTimeFactory,
    period: str,
    span: tuple[str, str],
) -> None:
    today = datetime.fromisoformat(f"{span[1]}T03:00:00").replace(tzinfo=dt_util.get_default_time_zone())
    await processor.arrive()
    freezer.move_to(today - timedelta(minutes=1))
    await use("compilation.yaml", camera=EVENTS, period=period, profile="f", length_s=90)
    freezer.move_to(today + timedelta(seconds=1))
    async_fire_time_changed(hass, today + timedelta(seconds=1))
    command = await sent(mqtt, COMMAND)
    midnights = [dt_util.as_local(datetime.fromisoformat(command.args.pop(key))) for key in ("from", "to")]
    assert [each.isoformat()[:19] for each in midnights] == [f"{day}T00:00:00" for day in span]
    assert command.args == {
        "camera": "roof/west",
        "profile": "f",
        "recipe": "clean",
        "size": "1080p",
        "length_s": 90,
    }
    await processor.reply(Reply(id=command.id, ok=True, result={"job": "job-1"}))
    await hass.async_block_till_done()


@pytest.mark.parametrize(
    ("period", "today"),
    [
        ("week", datetime(2026, 6, 30, 1, 0, tzinfo=UTC)),
        ("month", datetime(2026, 6, 29, 1, 0, tzinfo=UTC)),
    ],
)
async def test_on_other_days_there_is_nothing_to_compile(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    settings: dict[str, str],
    use: Callable[..., Any],
    freezer: FrozenDateTimeFactory,
    period: str,
    today: datetime,
) -> None:
    freezer.move_to(today - timedelta(minutes=1))
    await use("compilation.yaml", camera=EVENTS, period=period)
    freezer.move_to(today + timedelta(seconds=1))
    async_fire_time_changed(hass, today + timedelta(seconds=1))
    await hass.async_block_till_done()
    assert commands(mqtt, COMMAND) == []


# ---------------------------------------------------------------- on a screen


async def test_the_film_of_today_is_shown_at_its_time_and_when_somebody_comes(
    hass: HomeAssistant, settings: dict[str, str], use: Callable[..., Any], freezer: FrozenDateTimeFactory
) -> None:
    shown = async_mock_service(hass, "media_player", "play_media")
    hass.states.async_set("media_player.kitchen", "idle")
    hass.states.async_set("binary_sensor.kitchen", "off")
    noon = datetime(2026, 6, 21, 10, 0, tzinfo=UTC)
    freezer.move_to(noon - timedelta(minutes=1))
    await use(
        "today_on_a_screen.yaml",
        camera=EVENTS,
        screen="media_player.kitchen",
        at="12:00:00",
        presence=["binary_sensor.kitchen"],
    )
    freezer.move_to(noon + timedelta(seconds=1))
    async_fire_time_changed(hass, noon + timedelta(seconds=1))
    await hass.async_block_till_done()
    assert [call.data for call in shown] == [
        {
            "entity_id": ["media_player.kitchen"],
            "media": {
                "media_content_id": "media-source://skylapse/today/roof/west",
                "media_content_type": "application/vnd.apple.mpegurl",
            },
        }
    ]
    hass.states.async_set("binary_sensor.kitchen", "on")
    await hass.async_block_till_done()
    assert len(shown) == 2


@pytest.mark.parametrize(("only_idle", "times"), [(True, 0), (False, 1)])
async def test_a_screen_that_plays_something_is_left_alone_unless_told_otherwise(
    hass: HomeAssistant, settings: dict[str, str], use: Callable[..., Any], only_idle: object, times: int
) -> None:
    shown = async_mock_service(hass, "media_player", "play_media")
    hass.states.async_set("media_player.kitchen", "playing")
    hass.states.async_set("binary_sensor.kitchen", "off")
    await use(
        "today_on_a_screen.yaml",
        camera=EVENTS,
        screen="media_player.kitchen",
        presence=["binary_sensor.kitchen"],
        only_idle=only_idle,
    )
    hass.states.async_set("binary_sensor.kitchen", "on")
    await hass.async_block_till_done()
    assert len(shown) == times
