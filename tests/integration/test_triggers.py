"""Triggers of Skylapse's own, in automations of a real Home Assistant."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from homeassistant.const import SERVICE_RELOAD
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)
from pytest_homeassistant_custom_component.typing import MqttMockHAClient, WebSocketGenerator

from custom_components.skylapse.brain.schedules import RECIPES
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import CameraEvent, StoreState
from custom_components.skylapse.trigger import TRIGGERS
from tests.integration.conftest import Listen
from tests.integration.speakers import FILM, NOW, READING, Bridge, Processor

HOME = Path(__file__).parents[2] / "custom_components" / "skylapse"
CLEAR = StoreState(day="2026-06-21", frames_today=1, lens="clear")
DEWY = replace(CLEAR, lens="obstructed", lens_faults=("dew",))


# ---------------------------------------------------------------- films


async def test_a_film_is_told_of_once_with_all_that_is_known_of_it(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor, listen: Listen
) -> None:
    await bridge.tell_all()
    await processor.tell_all()
    told = await listen("film_ready")
    new = replace(FILM, id="00000000000000f2")
    await processor.film(new)
    await processor.film(replace(new, change="changed", pinned=True))
    await processor.film(replace(new, change="removed"))
    assert len(told) == 1
    trigger = told[0].data["trigger"]
    assert trigger["platform"] == "skylapse.film_ready"
    assert trigger["description"] == "film Sunset, West, 21 June 2026 is ready"
    assert trigger["camera"] == "roof/west"
    assert trigger["film"] == "00000000000000f2"
    assert trigger["title"] == "Sunset, West, 21 June 2026"
    assert trigger["media_content_id"] == "media-source://skylapse/film/00000000000000f2"
    assert trigger["window"] == "sunset-20260621"
    assert "/film.mp4?authSig=" in trigger["video"]
    assert "/poster.jpg?authSig=" in trigger["picture"]
    device = dr.async_get(hass).async_get(trigger["device_id"])
    assert device is not None
    assert device.name == "West"


@pytest.mark.parametrize(
    ("options", "times"),
    [
        ({"schedule": "sunset"}, 1),
        ({"schedule": ["sunrise", "sunset"]}, 1),
        ({"schedule": ["sunrise"]}, 0),
        ({"schedule": []}, 1),
        ({"profile": "f"}, 1),
        ({"profile": ["d"]}, 0),
        ({"recipe": ["clean", "raw"]}, 1),
        ({"recipe": "raw"}, 0),
        ({"min_frames": 240}, 1),
        ({"min_frames": 241}, 0),
        ({"schedule": "sunset", "profile": "d"}, 0),
    ],
)
async def test_only_films_that_are_wanted_are_told_of(
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    listen: Listen,
    options: dict[str, Any],
    times: int,
) -> None:
    await bridge.tell_all()
    await processor.arrive()
    told = await listen("film_ready", **options)
    await processor.film(FILM)
    assert len(told) == times


# ---------------------------------------------------------------- events of a bridge


@pytest.mark.parametrize("trigger", ["capture_failed", "window_started", "window_ended"])
async def test_what_a_bridge_tells_is_told_once(
    loaded: MockConfigEntry, bridge: Bridge, listen: Listen, trigger: str
) -> None:
    await bridge.tell_all()
    told = await listen(trigger, schedule="sunset")
    for kind in ("capture_failed", "window_started", "window_ended", "tick_skipped"):
        await bridge.happen(kind, schedule="sunset", window="sunset-20260621", reason="no frame came")
        await bridge.happen(kind, schedule="sunrise", window="sunrise-20260621")
        await bridge.happen(kind)
    assert len(told) == 1
    data = told[0].data["trigger"]
    assert data["camera"] == "roof/west"
    assert (data["reason"], data["window"], data["schedule"]) == (
        "no frame came",
        "sunset-20260621",
        "sunset",
    )
    assert data["description"] == f"roof/west: {trigger.replace('_', ' ')}"


async def test_without_a_schedule_all_are_told_of(
    loaded: MockConfigEntry, bridge: Bridge, listen: Listen
) -> None:
    await bridge.tell_all()
    told = await listen("window_started")
    await bridge.happen("window_started", schedule="sunset", window="sunset-20260621")
    await bridge.happen("window_started", schedule="sunrise", window="sunrise-20260621")
    assert [call.data["trigger"]["schedule"] for call in told] == ["sunset", "sunrise"]


# ---------------------------------------------------------------- lens


async def test_a_lens_that_becomes_obstructed_is_told_of_once(
    loaded: MockConfigEntry, bridge: Bridge, processor: Processor, listen: Listen
) -> None:
    await bridge.tell_all()
    await processor.arrive()
    ids = {"bridge": "roof", "camera": "west"}
    await processor.say(topics.STORE_STATE, CLEAR, **ids)
    told = await listen("lens_obstructed")
    for each in (CLEAR, DEWY, replace(DEWY, frames_today=2), replace(CLEAR, lens="unknown"), DEWY):
        await processor.say(topics.STORE_STATE, each, **ids)
    assert len(told) == 1
    assert told[0].data["trigger"]["faults"] == ["dew"]
    assert told[0].data["trigger"]["day"] == "2026-06-21"
    assert told[0].data["trigger"]["description"] == "roof/west: dew"
    await processor.say(topics.STORE_STATE, CLEAR, **ids)
    await processor.say(topics.STORE_STATE, replace(DEWY, lens_faults=()), **ids)
    assert told[1].data["trigger"]["description"] == "roof/west: lens obstructed"


async def test_only_causes_that_are_wanted_are_told_of(
    loaded: MockConfigEntry, bridge: Bridge, processor: Processor, listen: Listen
) -> None:
    await bridge.tell_all()
    ids = {"bridge": "roof", "camera": "west"}
    told = await listen("lens_obstructed", faults=["aim", "dirt"])
    await processor.say(topics.STORE_STATE, replace(CLEAR, lens="unknown"), **ids)
    await processor.say(topics.STORE_STATE, DEWY, **ids)
    assert told == []
    await processor.say(topics.STORE_STATE, replace(DEWY, lens_faults=("dew", "dirt")), **ids)
    assert [call.data["trigger"]["faults"] for call in told] == [["dew", "dirt"]]


# ---------------------------------------------------------------- light


async def shine(bridge: Bridge, *lux: float | None) -> None:
    """Meter these one after the other."""
    for each in lux:
        await bridge.say(topics.READING, replace(READING, lux=each))


async def test_light_that_falls_below_a_threshold_is_told_of_once_though_it_flickers(
    loaded: MockConfigEntry, bridge: Bridge, listen: Listen
) -> None:
    await bridge.tell_all()
    told = await listen("light_crossed", threshold=100, hysteresis=1)
    await shine(bridge, 300, 101, None, 99, 120, 99, 190, 80)
    assert len(told) == 1
    trigger = told[0].data["trigger"]
    assert (trigger["camera"], trigger["lux"], trigger["scene_ev"]) == ("roof/west", 99, 9.4)
    assert (trigger["measure"], trigger["direction"], trigger["threshold"]) == ("lux", "below", 100)
    assert trigger["description"] == "roof/west: light is below 100 lx"
    await shine(bridge, 200, 99)
    assert len(told) == 2


async def test_the_brightness_of_the_scene_may_rise_above_a_threshold(
    loaded: MockConfigEntry, bridge: Bridge, listen: Listen
) -> None:
    await bridge.tell_all()
    told = await listen("light_crossed", measure="scene_ev", direction="above", threshold=10, hysteresis=0.5)
    for ev in (9.9, 10.1, 9.6, 10.1, None, 9.5, 10.1):
        await bridge.say(topics.READING, replace(READING, scene_ev=ev))
    assert [call.data["trigger"]["description"] for call in told] == 2 * ["roof/west: light is above 10 EV"]


async def test_what_is_dark_from_the_start_did_not_become_dark(
    loaded: MockConfigEntry, bridge: Bridge, listen: Listen
) -> None:
    await bridge.arrive()
    told = await listen("light_crossed", threshold=100, hysteresis=0)
    await shine(bridge, 50, 40)
    assert told == []
    await shine(bridge, 100, 99)
    assert len(told) == 1


async def test_light_has_to_stay_for_as_long_as_is_asked_for(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, listen: Listen
) -> None:
    await bridge.tell_all()
    told = await listen("light_crossed", threshold=100, **{"for": {"minutes": 5}})
    await shine(bridge, 99, 300)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=6))
    await hass.async_block_till_done()
    assert told == []
    await shine(bridge, 99, 98)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=12))
    await hass.async_block_till_done()
    assert [call.data["trigger"]["lux"] for call in told] == [99]


@pytest.mark.parametrize("away", ["the bridge", "the entry"])
async def test_nobody_saw_whether_light_stayed_while_the_bridge_was_away(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, listen: Listen, away: str
) -> None:
    await bridge.tell_all()
    told = await listen("light_crossed", threshold=100, **{"for": {"minutes": 5}})
    await shine(bridge, 99)
    if away == "the entry":
        assert await hass.config_entries.async_unload(loaded.entry_id)
    else:
        await bridge.say(topics.AVAILABILITY, "offline")
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=6))
    await hass.async_block_till_done()
    if away == "the entry":
        assert await hass.config_entries.async_setup(loaded.entry_id)
    await bridge.arrive()
    await shine(bridge, 90, 300)
    assert told == []
    await shine(bridge, 90)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=12))
    await hass.async_block_till_done()
    assert len(told) == 1


async def test_an_automation_that_is_switched_off_waits_no_more(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, listen: Listen
) -> None:
    await bridge.tell_all()
    told = await listen("light_crossed", threshold=100, **{"for": {"minutes": 5}})
    await shine(bridge, 99)
    await hass.services.async_call("automation", "turn_off", {"entity_id": "automation.one"}, blocking=True)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=6))
    await shine(bridge, 300, 99)
    assert told == []


# ---------------------------------------------------------------- when, and when not


async def test_what_the_broker_kept_is_no_happening(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    entry: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    listen: Listen,
) -> None:
    told = await listen("lens_obstructed")
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await bridge.arrive()
    await processor.arrive()
    await processor.say(topics.STORE_STATE, DEWY, bridge="roof", camera="west")
    await bridge.say(topics.READING, replace(READING, lux=1), retain=True)
    assert told == []
    await processor.say(topics.STORE_STATE, CLEAR, bridge="roof", camera="west")
    await processor.say(topics.STORE_STATE, DEWY, bridge="roof", camera="west")
    assert len(told) == 1


async def test_an_automation_may_be_there_before_the_entry_and_outlives_it(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    entry: MockConfigEntry,
    bridge: Bridge,
    listen: Listen,
) -> None:
    told = await listen("window_started")
    assert hass.states.get("automation.one").state == "on"  # type: ignore[union-attr]
    MockConfigEntry(domain="other").add_to_hass(hass)
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await bridge.arrive()
    await bridge.happen("window_started", schedule="sunset")
    assert len(told) == 1
    assert await hass.config_entries.async_unload(entry.entry_id)
    await bridge.happen("window_started", schedule="sunset")
    assert len(told) == 1
    assert await hass.config_entries.async_setup(entry.entry_id)
    await bridge.arrive()
    await bridge.happen("window_started", schedule="sunset")
    assert len(told) == 2
    assert await hass.config_entries.async_reload(entry.entry_id)
    await bridge.arrive()
    await bridge.happen("window_started", schedule="sunset")
    assert len(told) == 3


async def test_a_retained_event_is_not_told_of(
    loaded: MockConfigEntry, bridge: Bridge, listen: Listen
) -> None:
    await bridge.tell_all()
    told = await listen("capture_failed")
    event = CameraEvent(at=NOW, type="capture_failed")
    await bridge.say(topics.EVENT, event, retain=True)
    assert told == []
    await bridge.happen("capture_failed")
    assert len(told) == 1


async def test_an_automation_that_is_removed_hears_nothing(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, listen: Listen
) -> None:
    await bridge.tell_all()
    told = await listen("capture_failed")
    coordinator = loaded.runtime_data.coordinator
    heard_by = len(coordinator._happenings)
    await hass.services.async_call("automation", SERVICE_RELOAD, blocking=True)
    assert len(coordinator._happenings) == heard_by - 1
    await bridge.happen("capture_failed")
    assert told == []


# ---------------------------------------------------------------- in the pickers


async def test_the_pickers_show_every_trigger_with_words_and_an_icon(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    assert await async_setup_component(hass, "websocket_api", {})
    client = await hass_ws_client(hass)
    await client.send_json_auto_id({"type": "trigger_platforms/subscribe"})
    assert (await client.receive_json())["success"]
    shown: dict[str, Any] = {}
    while not shown:
        rows = (await client.receive_json())["event"]
        shown = {key: row for key, row in rows.items() if key.startswith("skylapse.")}
    assert set(shown) == {f"skylapse.{key}" for key in TRIGGERS}
    assert all(row["target"]["entity"][0]["integration"] == "skylapse" for row in shown.values())


@pytest.mark.parametrize("language", ["en", "de"])
def test_triggers_their_words_and_their_icons_agree(language: str) -> None:
    rows = yaml.safe_load((HOME / "triggers.yaml").read_text(encoding="utf-8"))
    shown = {key: row for key, row in rows.items() if not key.startswith(".")}
    words = json.loads((HOME / "translations" / f"{language}.json").read_text(encoding="utf-8"))["triggers"]
    icons = json.loads((HOME / "icons.json").read_text(encoding="utf-8"))["triggers"]
    assert set(shown) == set(words) == set(icons) == set(TRIGGERS)
    for key, trigger in TRIGGERS.items():
        fields = {str(field) for field in trigger._fields}  # type: ignore[attr-defined]
        assert fields == set(shown[key]["fields"]) == set(words[key]["fields"])
        assert all(field["name"] and field["description"] for field in words[key]["fields"].values())
        assert words[key]["name"]
        assert words[key]["description"].endswith(".")
        assert icons[key]["trigger"].startswith("mdi:")
    recipes = shown["film_ready"]["fields"]["recipe"]["selector"]["select"]["options"]
    assert tuple(recipes) == RECIPES
