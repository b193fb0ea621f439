"""Conditions of Skylapse's own, in automations of a real Home Assistant."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_mock_service
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.skylapse.condition import CONDITIONS, CameraCondition
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import JobState, ProcessorHealth
from tests.integration.speakers import NOW, READING, STATE, WEST, Bridge, Processor

HOME = Path(__file__).parents[2] / "custom_components" / "skylapse"
WEST_EVENTS, EAST_EVENTS = "event.roof_west_events", "event.roof_east_events"

type Ask = Callable[[], Awaitable[bool]]
type Asking = Callable[..., Awaitable[Ask]]


@pytest.fixture
def asking(hass: HomeAssistant) -> Asking:
    """Set up an automation with one condition, and return what asks whether it lets pass.

    A target that is False is left out.
    """

    async def set_up(
        condition: str, target: dict[str, Any] | Literal[False] | None = None, **options: Any
    ) -> Ask:
        passed = async_mock_service(hass, "test", "passed")
        row: dict[str, Any] = {"condition": f"skylapse.{condition}", "options": options}
        target = {"entity_id": WEST_EVENTS} if target is None else target
        row |= {} if target is False else {"target": target}
        automation = {
            "id": "one",
            "alias": "one",
            "triggers": [{"trigger": "event", "event_type": "asked"}],
            "conditions": [row],
            "actions": [{"action": "test.passed"}],
        }
        assert await async_setup_component(hass, "automation", {"automation": [automation]})

        async def ask() -> bool:
            passed.clear()
            hass.bus.async_fire("asked")
            await hass.async_block_till_done()
            return len(passed) == 1

        return ask

    return set_up


async def test_a_camera_is_capturing(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, asking: Asking
) -> None:
    ask = await asking("is_capturing")
    assert not await ask()
    await bridge.arrive()
    assert not await ask()
    await bridge.say(topics.STATE, STATE)
    assert await ask()
    await bridge.say(topics.STATE, replace(STATE, active_window=None))
    assert not await ask()
    await bridge.say(topics.STATE, replace(STATE, capturing=False))
    assert not await ask()


async def test_what_cannot_be_reached_is_not_known_to_be_so(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, asking: Asking
) -> None:
    await bridge.tell_all()
    ask = await asking("is_capturing")
    assert await ask()
    await bridge.say(topics.AVAILABILITY, "offline")
    assert not await ask()
    await bridge.say(topics.AVAILABILITY, "online")
    assert await ask()
    assert await hass.config_entries.async_unload(loaded.entry_id)
    assert not await ask()


@pytest.mark.parametrize(("behavior", "so_of_one"), [("any", 1), ("all", 0)])
async def test_it_may_have_to_be_so_of_any_camera_or_of_all(
    loaded: MockConfigEntry, bridge: Bridge, asking: Asking, behavior: str, so_of_one: int
) -> None:
    await bridge.tell_all()
    await bridge.arrive(cameras=(WEST, replace(WEST, id="east", name="East")))
    ask = await asking("is_capturing", {"entity_id": [WEST_EVENTS, EAST_EVENTS]}, behavior=behavior)
    assert await ask() == bool(so_of_one)
    await bridge.say(topics.STATE, STATE, camera="east")
    assert await ask()


async def test_a_window_is_open(loaded: MockConfigEntry, bridge: Bridge, asking: Asking) -> None:
    await bridge.arrive()
    ask = await asking("is_in_window")
    assert not await ask()
    await bridge.say(topics.STATE, replace(STATE, capturing=False))
    assert await ask()
    await bridge.say(topics.STATE, replace(STATE, active_window=None))
    assert not await ask()


@pytest.mark.parametrize(("schedule", "passes"), [("sunset", 1), (["night", "sunset"], 1), ("night", 0)])
async def test_a_window_of_a_schedule_is_open(
    loaded: MockConfigEntry, bridge: Bridge, asking: Asking, schedule: str | list[str], passes: int
) -> None:
    await bridge.tell_all()
    ask = await asking("is_in_window", schedule=schedule)
    assert await ask() == bool(passes)


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        ({"threshold": 812.5}, 1),
        ({"threshold": 813}, 0),
        ({"threshold": 9.4, "measure": "scene_ev"}, 1),
        ({"threshold": 9.5, "measure": "scene_ev"}, 0),
    ],
)
async def test_a_camera_has_enough_light(
    loaded: MockConfigEntry, bridge: Bridge, asking: Asking, options: dict[str, Any], passes: int
) -> None:
    await bridge.arrive()
    ask = await asking("has_enough_light", **options)
    assert not await ask()
    await bridge.say(topics.READING, replace(READING, lux=None, scene_ev=None))
    assert not await ask()
    await bridge.say(topics.READING, READING)
    assert await ask() == bool(passes)


@pytest.mark.parametrize("nobody", [False, {}, {"area_id": []}])
async def test_the_processor_is_rendering(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    processor: Processor,
    asking: Asking,
    nobody: dict[str, Any] | Literal[False],
) -> None:
    ask = await asking("is_rendering", nobody)
    assert not await ask()
    await processor.arrive()
    assert not await ask()
    await processor.say(topics.PROCESSOR_HEALTH, ProcessorHealth(at=NOW, uptime_s=1.0, current_job="job-1"))
    assert await ask()
    await processor.say(topics.PROCESSOR_HEALTH, ProcessorHealth(at=NOW, uptime_s=2.0))
    assert not await ask()
    running = JobState(id="job-2", state="running", camera="roof/west", percent=1.0)
    await processor.say(topics.JOB, running, job="job-2")
    assert await ask()
    await processor.say(topics.PROCESSOR_AVAILABILITY, "offline")
    assert not await ask()
    await processor.say(topics.PROCESSOR_AVAILABILITY, "online")
    assert not await ask()
    assert await hass.config_entries.async_unload(loaded.entry_id)
    assert not await ask()


async def test_the_processor_is_rendering_a_film_of_one_camera(
    loaded: MockConfigEntry, bridge: Bridge, processor: Processor, asking: Asking
) -> None:
    await bridge.arrive()
    await processor.arrive()
    ask = await asking("is_rendering")
    assert not await ask()
    for camera, is_so in (("roof/east", False), ("roof/west", True)):
        running = JobState(id="job-1", state="running", camera=camera)
        await processor.say(topics.JOB, running, job="job-1")
        assert await ask() is is_so
    await processor.say(topics.JOB, JobState(id="job-2", state="queued", camera="roof/west"), job="job-2")
    assert await ask()
    await processor.say(topics.JOB, JobState(id="job-1", state="done", camera="roof/west"), job="job-1")
    assert not await ask()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("is_capturing", {"area_id": []}, {}), "No camera is named"),
        (("is_capturing", {"entity_id": "binary_sensor.roof_connectivity"}, {}), "belongs to no camera"),
        (("is_capturing", None, {"behavior": "most"}), "behavior"),
        (("is_in_window", None, {"schedule": "noon"}), "Skylapse has no schedule 'noon'"),
        (("has_enough_light", None, {}), "threshold"),
        (("is_rendering", {"entity_id": "binary_sensor.roof_connectivity"}, {}), "belongs to no camera"),
        (("is_rendering", None, {"behavior": "all"}), "behavior"),
        (("is_asleep", None, {}), "Invalid condition"),
    ],
)
async def test_what_cannot_be_meant_is_refused_with_words(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    bridge: Bridge,
    asking: Asking,
    caplog: pytest.LogCaptureFixture,
    asked: tuple[str, dict[str, Any] | None, dict[str, Any]],
    words: str,
) -> None:
    await bridge.tell_all()
    condition, target, options = asked
    await asking(condition, target, **options)
    state = hass.states.get("automation.one")
    assert state is not None
    assert state.state == "unavailable"
    assert words in caplog.text


# ---------------------------------------------------------------- in the pickers


async def test_the_pickers_show_every_condition(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    assert await async_setup_component(hass, "websocket_api", {})
    client = await hass_ws_client(hass)
    await client.send_json_auto_id({"type": "condition_platforms/subscribe"})
    assert (await client.receive_json())["success"]
    shown: dict[str, Any] = {}
    while not shown:
        rows = (await client.receive_json())["event"]
        shown = {key: row for key, row in rows.items() if key.startswith("skylapse.")}
    assert set(shown) == {f"skylapse.{key}" for key in CONDITIONS}
    assert all(row["target"]["entity"][0]["integration"] == "skylapse" for row in shown.values())


@pytest.mark.parametrize("language", ["en", "de"])
def test_conditions_their_words_and_their_icons_agree(language: str) -> None:
    rows = yaml.safe_load((HOME / "conditions.yaml").read_text(encoding="utf-8"))
    shown = {key: row for key, row in rows.items() if not key.startswith(".")}
    words = json.loads((HOME / "translations" / f"{language}.json").read_text(encoding="utf-8"))["conditions"]
    icons = json.loads((HOME / "icons.json").read_text(encoding="utf-8"))["conditions"]
    assert set(shown) == set(words) == set(icons) == set(CONDITIONS)
    for key, condition in CONDITIONS.items():
        fields = set()
        if issubclass(condition, CameraCondition):
            fields = {"behavior", *map(str, condition._fields)}
        assert fields == set(shown[key].get("fields", {})) == set(words[key].get("fields", {}))
        assert all(field["name"] and field["description"] for field in words[key].get("fields", {}).values())
        assert words[key]["name"]
        assert words[key]["description"].endswith(".")
        assert icons[key]["condition"].startswith("mdi:")
