"""Switches, buttons and choices: what they ask for, and what they say when it is not done."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import CommandError, Reply
from tests.integration.brokerage import commands, sent
from tests.integration.dashboard import press, state
from tests.integration.speakers import STATE, WEST, Bridge, Processor

COMMAND = "skylapse/roof/west/command"


async def test_the_switch_asks_the_bridge_and_believes_its_state(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    task = await press(hass, "switch", "turn_off", "switch.roof_west_capture")
    command = await sent(mqtt, COMMAND)
    assert (command.name, command.args) == ("set_enabled", {"enabled": False})
    await bridge.reply(Reply(id=command.id, ok=True, result={}))
    await task
    assert state(hass, "switch.roof_west_capture") == "on"
    await bridge.say(topics.STATE, replace(STATE, enabled=False))
    assert state(hass, "switch.roof_west_capture") == "off"
    task = await press(hass, "switch", "turn_on", "switch.roof_west_capture")
    command = await sent(mqtt, COMMAND, 2)
    assert command.args == {"enabled": True}
    await bridge.reply(
        Reply(id=command.id, ok=False, error=CommandError(code="failed", message="the disk is full"))
    )
    with pytest.raises(HomeAssistantError, match="the disk is full"):
        await task


async def test_the_button_takes_one_frame(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    task = await press(hass, "button", "press", "button.roof_west_capture_now")
    command = await sent(mqtt, COMMAND)
    assert command.name == "capture"
    assert command.expires_at - datetime.now(UTC) < timedelta(seconds=16)
    await bridge.reply(Reply(id="somebody else's", ok=True))
    await bridge.reply(Reply(id=command.id, ok=True))
    await bridge.reply(Reply(id=command.id, ok=False))
    assert await task is None


async def test_the_button_makes_the_film_of_the_newest_day(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, processor: Processor
) -> None:
    task = await press(hass, "button", "press", "button.roof_west_build_film_now")
    command = await sent(mqtt, "skylapse/processor/command")
    assert (command.name, command.args) == ("render", {"camera": "roof/west", "day": "2026-06-21"})
    await processor.reply(
        Reply(id=command.id, ok=False, error=CommandError(code="bad_request", message="no frames"))
    )
    with pytest.raises(HomeAssistantError, match="processor refused: no frames"):
        await task


async def test_there_is_no_film_without_frames(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await bridge.arrive()
    await processor.arrive()
    with pytest.raises(HomeAssistantError, match="No frames of roof/west"):
        await hass.services.async_call(
            "button", "press", {"entity_id": "button.roof_west_build_film_now"}, blocking=True
        )


async def test_a_command_for_a_camera_that_just_went_is_refused(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    entity = hass.data["entity_components"]["switch"].get_entity("switch.roof_west_capture")
    spoken.runtime_data.coordinator.system.cameras.clear()
    with pytest.raises(HomeAssistantError, match="not announced any more"):
        await entity.async_turn_on()


# ---------------------------------------------------------------- focus, mode, the bridge's buttons


async def test_the_button_has_the_focus_looked_for(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    pressed_at = datetime.now(UTC)
    task = await press(hass, "button", "press", "button.roof_west_find_focus")
    command = await sent(mqtt, COMMAND)
    assert (command.name, command.args) == ("focus", {})
    assert command.expires_at - pressed_at > timedelta(seconds=60)
    error = CommandError(code="camera_failed", message="it is too dark")
    await bridge.reply(Reply(id=command.id, ok=False, error=error))
    with pytest.raises(HomeAssistantError, match="too dark"):
        await task


async def test_the_mode_is_what_the_camera_says(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    entity = "select.roof_west_mode"
    task = await press(hass, "select", "select_option", entity, option="live")
    command = await sent(mqtt, COMMAND)
    assert (command.name, command.args) == ("set_mode", {"mode": "live"})
    await bridge.reply(Reply(id=command.id, ok=True, result={"mode": "live"}))
    await task
    assert state(hass, entity) == "deployed"
    await bridge.say(topics.STATE, replace(STATE, mode="live"))
    assert state(hass, entity) == "live"
    await bridge.say(topics.STATE, replace(STATE, mode="override"))
    assert state(hass, entity) == "deployed"
    with pytest.raises(ServiceValidationError):
        await hass.services.async_call(
            "select", "select_option", {"entity_id": entity, "option": "override"}, blocking=True
        )


@pytest.mark.parametrize(
    ("button", "name"), [("identify", "identify"), ("restart", "restart"), ("deliver_now", "flush")]
)
async def test_a_bridge_is_asked_by_way_of_a_camera(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
    button: str,
    name: str,
) -> None:
    await bridge.arrive(cameras=(WEST, replace(WEST, id="east", name="East")))
    task = await press(hass, "button", "press", f"button.roof_{button}")
    command = await sent(mqtt, "skylapse/roof/east/command")
    assert (command.name, command.args) == (name, {})
    reply = Reply(id=command.id, ok=False, error=CommandError(code="failed", message="not now"))
    await bridge.say(topics.REPLY, reply, camera="east")
    with pytest.raises(HomeAssistantError, match="roof refused: not now"):
        await task


async def test_a_press_is_done_when_the_bridge_says_so(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    task = await press(hass, "button", "press", "button.roof_restart")
    command = await sent(mqtt, COMMAND)
    await bridge.reply(Reply(id=command.id, ok=True, result={}))
    await task
    assert state(hass, "button.roof_restart") != STATE_UNKNOWN


async def test_home_assistants_own_bridge_is_neither_restarted_nor_updated(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive(bridge="home_assistant", name="Home Assistant")
    assert state(hass, "button.home_assistant_identify") == STATE_UNKNOWN
    assert hass.states.get("button.home_assistant_restart") is None
    assert hass.states.get("update.home_assistant_firmware") is None


# ---------------------------------------------------------------- nobody there


@pytest.mark.parametrize(
    ("domain", "entity", "method", "args"),
    [
        ("button", "button.roof_west_capture_now", "async_press", ()),
        ("button", "button.roof_west_find_focus", "async_press", ()),
        ("select", "select.roof_west_mode", "async_select_option", ("live",)),
        ("switch", "switch.roof_west_capture", "async_turn_off", ()),
        ("button", "button.roof_restart", "async_press", ()),
    ],
)
async def test_what_is_asked_of_a_bridge_that_just_went_is_refused_at_once(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
    domain: str,
    entity: str,
    method: str,
    args: tuple[Any, ...],
) -> None:
    asked = hass.data["entity_components"][domain].get_entity(entity)
    await bridge.say(topics.AVAILABILITY, "offline")
    with pytest.raises(HomeAssistantError, match="cannot be reached"):
        await getattr(asked, method)(*args)
    assert commands(mqtt, COMMAND) == []


async def test_a_bridge_without_cameras_cannot_be_asked(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive(cameras=())
    with pytest.raises(HomeAssistantError, match="has no camera"):
        await hass.services.async_call("button", "press", {"entity_id": "button.roof_restart"}, blocking=True)


async def test_a_bridge_that_does_not_answer_is_waited_for_as_long_as_the_user_lets(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    hass.config_entries.async_update_entry(spoken, options={"reply_limit_s": 0.05})
    await hass.async_block_till_done(wait_background_tasks=True)
    await bridge.tell_all()
    for button in ("button.roof_west_capture_now", "button.roof_restart"):
        with pytest.raises(HomeAssistantError, match="did not reply in time"):
            await hass.services.async_call("button", "press", {"entity_id": button}, blocking=True)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("busy", "no time between two frames of its plan: x"),
        ("expired", "clock and Home Assistant's are apart: x"),
        ("spool_full", "no room for another frame: x"),
        ("unsupported", "roof/west refused: x"),
    ],
)
async def test_a_refusal_is_said_in_the_users_words(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
    code: str,
    words: str,
) -> None:
    task = await press(hass, "button", "press", "button.roof_west_capture_now")
    command = await sent(mqtt, COMMAND)
    await bridge.reply(Reply(id=command.id, ok=False, error=CommandError(code=code, message="x")))
    with pytest.raises(HomeAssistantError, match=words):
        await task
