"""Requests to cameras of Home Assistant: obeyed once, answered always, refused in words."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_mqtt_message
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.any_camera import files
from custom_components.skylapse.brain.ab_tests import check_settings
from custom_components.skylapse.brain.errors import AbTestError
from custom_components.skylapse.brain.profiles import BUILT_IN_PROFILES
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import CameraInfo, Command, Reply
from custom_components.skylapse.protocol.snapshot import Arm, Experiment
from tests.integration.brokerage import last, published
from tests.integration.darkroom import NOON, Depot, View, let_it_be, picture, settle
from tests.integration.test_any_camera import GARDEN, OWN, noon
from tests.integration.test_any_camera_sequence import PROFILE

type Ask = Callable[..., Awaitable[Reply]]


@pytest.fixture
def ask(hass: HomeAssistant, mqtt: MqttMockHAClient, own_cameras: MockConfigEntry) -> Ask:
    """Send a command and return its reply."""

    async def ask(
        name: str,
        *,
        camera: str = "garden",
        command_id: str | None = None,
        expires_at: datetime | None = None,
        retain: bool = False,
        **args: Any,
    ) -> Reply:
        topic = f"{OWN}/{camera}/reply"
        number = len(published(mqtt, topic))
        command = Command(
            id=command_id or f"{name}-{number}",
            expires_at=expires_at or dt_util.utcnow() + timedelta(seconds=15),
            name=name,
            args=args,
        )
        payload = topics.encode(topics.COMMAND, command)
        async_fire_mqtt_message(hass, f"{OWN}/{camera}/command", payload, retain=retain)
        await settle(hass)
        reply: Reply = last(mqtt, topic)
        assert len(published(mqtt, topic)) == number + 1
        assert reply.id == command.id
        return reply

    return ask


def code(reply: Reply) -> str | None:
    return reply.error.code if reply.error else None


async def test_a_picture_now(
    hass: HomeAssistant, mqtt: MqttMockHAClient, own_cameras: MockConfigEntry, depot: Depot, ask: Ask
) -> None:
    reply = await ask("capture")
    assert reply.ok
    assert reply.result is not None
    record = reply.result["record"]
    assert (record["window"], record["profile"], record["day"]) == (None, "a", "2026-06-21")
    assert [frame.seq for frame, _ in depot.frames] == [record["seq"]]
    assert json.loads(published(mqtt, f"{GARDEN}/frame")[-1])["sha256"] == record["sha256"]
    assert (await ask("capture", profile="f")).result["record"]["profile"] == "f"  # type: ignore[index]


async def test_a_picture_for_a_test_is_an_override(mqtt: MqttMockHAClient, ask: Ask) -> None:
    reply = await ask("capture", test_id="sample")
    assert reply.result is not None
    assert reply.result["record"]["test_id"] == "sample"
    modes = [json.loads(payload)["mode"] for payload in published(mqtt, f"{GARDEN}/state")]
    assert "override" in modes
    assert modes[-1] == "deployed"


async def test_the_action_takes_a_picture(hass: HomeAssistant, own_cameras: MockConfigEntry) -> None:
    answer = await hass.services.async_call(
        "skylapse", "capture", {"camera": "home_assistant/garden"}, blocking=True, return_response=True
    )
    assert "media-source://skylapse/" in json.dumps(answer)


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("capture", {"profile": "unheard"}, "unknown_profile"),
        ("capture", {"profile": 5}, "bad_arguments"),
        ("capture", {"test_id": "No Id"}, "bad_arguments"),
        ("capture", {"shutter": 1}, "bad_arguments"),
        ("capture", {"ev": 1.0}, "unsupported"),
        ("capture", {"exposure_us": 1000, "gain": 1.0}, "unsupported"),
        ("meter", {}, "unsupported"),
        ("focus", {"dioptre": 1.0}, "unsupported"),
        ("restart", {}, "unsupported"),
        ("update", {}, "unsupported"),
        ("dance", {}, "unknown_command"),
        ("set_mode", {"mode": "override"}, "bad_arguments"),
        ("set_mode", {}, "bad_arguments"),
        ("set_enabled", {"enabled": "yes"}, "bad_arguments"),
        ("identify", {"loud": True}, "bad_arguments"),
    ],
)
async def test_what_cannot_be_done_is_refused(
    garden: View, ask: Ask, name: str, args: dict[str, Any], expected: str
) -> None:
    reply = await ask(name, **args)
    assert not reply.ok
    assert code(reply) == expected
    assert reply.error is not None
    assert len(reply.error.message) > 10
    assert garden.taken == 0


async def test_without_a_snapshot_a_picture_bears_no_profile(
    hass: HomeAssistant, own_cameras: MockConfigEntry, ask: Ask
) -> None:
    async_fire_mqtt_message(hass, f"{GARDEN}/snapshot/set", b"")
    reply = await ask("capture")
    assert reply.result is not None
    assert reply.result["record"]["profile"] is reply.result["record"]["snapshot_version"] is None
    assert code(await ask("capture", profile="f")) == "unknown_profile"


async def test_strangers_and_old_commands_are_refused(garden: View, ask: Ask) -> None:
    assert code(await ask("capture", camera="attic")) == "unknown_camera"
    assert code(await ask("capture", retain=True)) == "retained"
    assert code(await ask("capture", expires_at=NOON - timedelta(hours=1))) == "expired"
    assert garden.taken == 0


async def test_a_repeat_is_answered_and_not_done_again(
    hass: HomeAssistant, garden: View, ask: Ask, freezer: FrozenDateTimeFactory
) -> None:
    first, second = await ask("capture", command_id="one"), await ask("capture", command_id="one")
    assert first == second
    assert garden.taken == 1
    await let_it_be(hass, freezer, NOON + timedelta(minutes=20))
    taken = garden.taken
    await ask("capture", command_id="one")
    assert garden.taken == taken + 1


async def test_a_camera_that_is_busy_until_the_end_says_so(
    hass: HomeAssistant, own_cameras: MockConfigEntry, ask: Ask, freezer: FrozenDateTimeFactory
) -> None:
    source = own_cameras.runtime_data.own_bridge._sources["garden"]
    await source._camera.acquire()
    asking = asyncio.ensure_future(ask("capture", expires_at=dt_util.utcnow() + timedelta(seconds=2)))
    await asyncio.sleep(0)
    await let_it_be(hass, freezer, dt_util.utcnow() + timedelta(seconds=3))
    source._camera.release()
    assert code(await asking) == "busy"


async def test_a_camera_that_fails_says_so(garden: View, ask: Ask) -> None:
    garden.shows = RuntimeError("lens cap on")
    assert code(await ask("capture")) == "camera_failed"
    garden.shows = b"\xff\xd8\xff no picture"
    assert code(await ask("preview")) == "camera_failed"


async def test_a_disk_that_is_full_says_so(ask: Ask) -> None:
    with patch.object(files, "MIN_FREE_BYTES", 10**18):
        assert code(await ask("capture")) == "spool_full"
    with patch("pathlib.Path.replace", side_effect=OSError("read-only")):
        assert code(await ask("set_mode", mode="live")) == "failed"


async def test_a_preview_on_request(mqtt: MqttMockHAClient, depot: Depot, ask: Ask) -> None:
    reply = await ask("preview")
    assert reply.result == {"bytes": len(published(mqtt, f"{GARDEN}/preview")[-1])}
    assert depot.numbers == []


async def test_a_preview_of_a_broken_picture_is_refused(garden: View, ask: Ask) -> None:
    garden.shows = picture(1, size=(640, 480))[:-2000]
    reply = await ask("preview")
    assert reply.error is not None
    assert reply.error.message == "the picture cannot be decoded"


async def test_mode_and_switch_hold_and_survive_a_restart(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    ask: Ask,
    freezer: FrozenDateTimeFactory,
) -> None:
    assert (await ask("set_enabled", enabled=False)).result == {"enabled": False}
    await noon(hass, freezer)
    assert await hass.config_entries.async_reload(own_cameras.entry_id)
    await settle(hass)
    await noon(hass, freezer, 20)
    state = last(mqtt, f"{GARDEN}/state")
    assert (garden.taken, state.enabled, state.capturing, state.next_capture_at) == (0, False, False, None)
    freezer.tick(1)
    await ask("set_enabled", enabled=True)
    assert (await ask("set_mode", mode="live")).result == {"mode": "live"}
    await noon(hass, freezer, 40)
    assert (garden.taken, last(mqtt, f"{GARDEN}/state").mode) == (0, "live")
    freezer.tick(1)
    await ask("set_mode", mode="deployed")
    await noon(hass, freezer, 60)
    assert garden.taken == 1


async def test_a_picture_that_comes_after_a_reload_is_not_written(
    hass: HomeAssistant, own_cameras: MockConfigEntry, garden: View, depot: Depot, ask: Ask
) -> None:
    garden.waiting = asyncio.Event()
    before = own_cameras.runtime_data.own_bridge
    expires_at = dt_util.utcnow() + timedelta(seconds=15)
    command = Command(id="late", expires_at=expires_at, name="capture", args={})
    asking = asyncio.ensure_future(before._desk.async_answer("garden", command, retained=False))
    await garden.asked.wait()
    assert await hass.config_entries.async_reload(own_cameras.entry_id)
    garden.waiting.set()
    late = await asking
    assert (code(late), late.error and late.error.message) == ("failed", "the spool is closed")
    assert (await ask("capture")).ok
    assert depot.numbers == [1]


async def test_identify_and_flush(
    hass: HomeAssistant, depot: Depot, ask: Ask, freezer: FrozenDateTimeFactory
) -> None:
    assert (await ask("identify")).result == {"bridge": "Home Assistant", "camera": "Garden"}
    depot.answers = [507]
    await noon(hass, freezer)
    assert (await ask("flush")).result == {"pending": 1}
    assert depot.numbers == [1]


# ---------------------------------------------------------------- A/B tests


ARMS: list[dict[str, Any]] = [{"profile": "f"}, {"profile": "f", "ev": 0.5, "average": 4, "jpeg_quality": 60}]


async def test_an_action_starts_no_test_on_a_camera_without_settings(
    hass: HomeAssistant, mqtt: MqttMockHAClient, own_cameras: MockConfigEntry
) -> None:
    told = len(published(mqtt, f"{GARDEN}/snapshot/set"))
    with pytest.raises(ServiceValidationError) as refusal:
        await hass.services.async_call(
            "skylapse",
            "start_ab_test",
            {"camera": "home_assistant/garden", "arms": ARMS},
            blocking=True,
            return_response=True,
        )
    assert refusal.value.translation_key == "test_no_settings"
    assert refusal.value.translation_placeholders == {"camera": "home_assistant/garden"}
    assert own_cameras.runtime_data.ab_tester.shelf.tests == []
    assert len(published(mqtt, f"{GARDEN}/snapshot/set")) == told


async def test_the_form_starts_no_test_on_a_camera_without_settings(
    hass: HomeAssistant, own_cameras: MockConfigEntry
) -> None:
    flows = hass.config_entries.subentries
    form = await flows.async_init((own_cameras.entry_id, "ab_test"), context={"source": "user"})
    (name,) = (spec.name for spec in BUILT_IN_PROFILES if spec.id == "f")
    arms = [{**arm, "profile": name} for arm in ARMS]
    given = {"name": "Warm?", "camera": "home_assistant/garden", "arms": arms}
    result = await flows.async_configure(form["flow_id"], given)
    assert result["errors"] == {"camera": "test_no_settings"}


@pytest.mark.parametrize(
    ("can", "obeys", "changes", "is_refused"),
    [
        ({}, False, {"average": 4}, True),
        ({}, True, {"ev": 1.0}, True),
        ({}, True, {"average": 4}, False),
        ({}, True, {"jpeg_quality": 60}, False),
        ({"controls_exposure": True}, True, {"ev": 1.0}, False),
        ({"controls_colour": True}, True, {"ev": 1.0}, False),
        ({"focus": True}, True, {"ev": 1.0}, False),
        ({"raw": True}, True, {"ev": 1.0}, False),
        (None, False, {"ev": 1.0}, False),
    ],
)
def test_a_test_needs_a_camera_that_can_do_what_its_arms_differ_in(
    can: dict[str, Any] | None,
    obeys: bool,  # noqa: FBT001 a parameter of the test
    changes: dict[str, Any],
    is_refused: bool,  # noqa: FBT001 a parameter of the test
) -> None:
    arms = (Arm(test_id="t-a", profile=PROFILE), Arm(test_id="t-b", profile=replace(PROFILE, **changes)))
    info = None
    if can is not None:
        info = CameraInfo(id="c", name="C", model="", driver="http", width=1, height=1, **can)
    with pytest.raises(AbTestError) if is_refused else nullcontext():
        check_settings("roof/c", info, Experiment(id="t", arms=arms), obeys=obeys)
