"""What goes wrong with cameras of Home Assistant: told, survived, and well again by itself."""

import asyncio
import io
import json
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.camera.const import DATA_COMPONENT
from homeassistant.core import HomeAssistant
from PIL import Image
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_mqtt_message,
    async_fire_time_changed,
)
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.any_camera import pictures
from custom_components.skylapse.any_camera.spool import Spool
from custom_components.skylapse.errors import SpoolFullError
from tests.integration.brokerage import last, published
from tests.integration.darkroom import NOON, Depot, View, picture, settle, subentry_of
from tests.integration.test_any_camera import GARDEN, OWN, events, noon


def state(mqtt: MqttMockHAClient) -> Any:
    return last(mqtt, f"{GARDEN}/state")


def failures(mqtt: MqttMockHAClient) -> list[str]:
    return [str(reason) for kind, reason in events(mqtt) if kind == "capture_failed"]


# ---------------------------------------------------------------- the camera


@pytest.mark.parametrize(
    ("shows", "reason"),
    [
        (b"", "camera.garden gave no picture: Unable to get image"),
        (RuntimeError("lens cap on"), "camera.garden gave no picture: lens cap on"),
        (OSError(), "camera.garden gave no picture: OSError"),
        (b"<svg/>", "the picture is no JPEG, PNG or WebP that can be read"),
        (picture(1, "GIF"), "the picture is no JPEG, PNG or WebP that can be read"),
        (picture(1)[:12], "the picture is no JPEG, PNG or WebP that can be read"),
    ],
)
async def test_a_camera_that_gives_no_picture_is_told_and_comes_back(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
    shows: Any,
    reason: str,
) -> None:
    garden.shows = shows
    await noon(hass, freezer)
    await noon(hass, freezer, 20)
    assert len(failures(mqtt)) == 2
    assert failures(mqtt)[0].startswith(reason)
    assert state(mqtt).last_error.startswith(reason)
    assert state(mqtt).capturing is False
    garden.shows = None
    await noon(hass, freezer, 40)
    assert (state(mqtt).last_error, state(mqtt).capturing) == (None, True)
    assert depot.numbers == [1]


FAILURE = "camera.garden gave no picture: Unable to get image"


@pytest.mark.parametrize(
    ("fails_from_s", "stands"), [(100, None), (80, None), (60, FAILURE), (0, FAILURE)], ids=str
)
async def test_what_failed_at_the_very_end_of_a_window_is_no_problem_when_it_is_over(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
    fails_from_s: int,
    stands: str | None,
) -> None:
    for second in range(0, 120, 20):
        garden.shows = b"" if second >= fails_from_s else None
        await noon(hass, freezer, second)
    assert state(mqtt).last_error == FAILURE
    await noon(hass, freezer, 125)
    assert (state(mqtt).active_window, state(mqtt).last_error) == (None, stands)


async def test_what_failed_is_a_problem_as_long_as_another_window_goes_on(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
) -> None:
    plan = json.loads(published(mqtt, f"{GARDEN}/plan/set")[-1])
    minute = {"starts_at": "2026-06-21T10:01:00.000000Z", "ends_at": "2026-06-21T10:04:00.000000Z"}
    plan["windows"].append({**plan["windows"][0], **minute, "id": "late-20260621", "interval_s": 100})
    async_fire_mqtt_message(hass, f"{GARDEN}/plan/set", json.dumps(plan))
    await settle(hass)
    for second in range(0, 120, 20):
        garden.shows = b"" if second == 100 else None
        await noon(hass, freezer, second)
    await noon(hass, freezer, 125)
    assert (state(mqtt).active_window, state(mqtt).last_error) == ("late-20260621", FAILURE)
    await noon(hass, freezer, 245)
    assert (state(mqtt).active_window, state(mqtt).last_error) == (None, None)


async def test_a_full_spool_stands_when_the_window_is_over(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
) -> None:
    for second in range(0, 100, 20):
        await noon(hass, freezer, second)
    with patch.object(Spool, "async_add", side_effect=SpoolFullError("no room")):
        await noon(hass, freezer, 100)
    await noon(hass, freezer, 125)
    assert (state(mqtt).active_window, state(mqtt).last_error) == (None, "no room")


async def test_a_camera_that_is_unavailable_or_gone_is_not_asked(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    garden.present = False
    garden.async_write_ha_state()
    await noon(hass, freezer)
    garden.present = True
    garden.async_write_ha_state()
    await noon(hass, freezer, 20)
    await hass.data[DATA_COMPONENT].async_remove_entity("camera.garden")
    hass.states.async_remove("camera.garden")
    await noon(hass, freezer, 40)
    assert failures(mqtt) == ["camera.garden is unavailable", "camera.garden is not there"]
    assert depot.numbers == [1]


async def test_a_camera_that_hangs_costs_its_tick_alone(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    garden.waiting = asyncio.Event()
    freezer.move_to(NOON)
    async_fire_time_changed(hass, NOON)
    await garden.asked.wait()
    await noon(hass, freezer, 11)
    assert failures(mqtt) == ["camera.garden gave no picture within 10 s"]
    garden.waiting = None
    await noon(hass, freezer, 20)
    assert depot.numbers == [1]


@pytest.mark.parametrize("late", [2, 3])
async def test_a_slow_camera_skips_ticks_and_never_has_two_at_once(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
    late: int,
) -> None:
    pause = timedelta(seconds=25 + 20 * late)
    garden.waiting = asyncio.Event()
    freezer.move_to(NOON)
    async_fire_time_changed(hass, NOON)
    await garden.asked.wait()
    freezer.move_to(NOON + pause)
    garden.waiting.set()
    await settle(hass)
    assert garden.at_once == 1
    words = f"{late} too late since 2026-06-21 10:00:20 UTC"
    assert ("tick_skipped", words) in events(mqtt)
    assert [record.captured_at - NOON for record, _ in depot.frames] == [timedelta(0), pause]
    assert state(mqtt).last_error == (words.replace(" too", " frames too") if late > 2 else None)
    await noon(hass, freezer, 120)
    assert state(mqtt).last_error is None


async def test_late_frames_of_a_window_that_is_over_are_no_problem(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
) -> None:
    garden.waiting = asyncio.Event()
    freezer.move_to(NOON)
    async_fire_time_changed(hass, NOON)
    await garden.asked.wait()
    freezer.move_to(NOON + timedelta(seconds=125))
    garden.waiting.set()
    await settle(hass)
    assert events(mqtt)[-2:] == [
        ("window_ended", None),
        ("tick_skipped", "5 too late since 2026-06-21 10:00:20 UTC"),
    ]
    assert (state(mqtt).active_window, state(mqtt).last_error) == (None, None)


async def test_late_frames_hide_no_other_problem(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
) -> None:
    async_fire_mqtt_message(hass, f"{GARDEN}/plan/set", "no plan")
    await settle(hass)
    refused = state(mqtt).last_error
    assert refused is not None
    garden.waiting = asyncio.Event()
    freezer.move_to(NOON)
    async_fire_time_changed(hass, NOON)
    await garden.asked.wait()
    freezer.move_to(NOON + timedelta(seconds=85))
    garden.waiting.set()
    await settle(hass)
    assert ("tick_skipped", "3 too late since 2026-06-21 10:00:20 UTC") in events(mqtt)
    assert state(mqtt).last_error == refused


async def test_a_camera_that_stays_slow_is_logged_once(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plan = json.loads(published(mqtt, f"{GARDEN}/plan/set")[-1])
    plan["windows"][0]["interval_s"] = 5
    async_fire_mqtt_message(hass, f"{GARDEN}/plan/set", json.dumps(plan))
    await settle(hass)
    waiting = garden.waiting = asyncio.Event()
    freezer.move_to(NOON)
    async_fire_time_changed(hass, NOON)
    for second in (20, 30):
        await garden.asked.wait()
        garden.asked.clear()
        freezer.move_to(NOON + timedelta(seconds=second))
        garden.waiting = asyncio.Event()
        waiting.set()
        waiting = garden.waiting
    await garden.asked.wait()
    waiting.set()
    await settle(hass)
    assert [reason for kind, reason in events(mqtt) if kind == "tick_skipped"] == [
        "3 too late since 2026-06-21 10:00:05 UTC",
        "1 too late since 2026-06-21 10:00:25 UTC",
    ]
    assert state(mqtt).last_error == "4 frames too late since 2026-06-21 10:00:05 UTC"
    assert [line for line in caplog.messages if line.startswith("Camera Garden: ")] == [
        "Camera Garden: 3 frames too late since 2026-06-21 10:00:05 UTC"
    ]


async def test_a_source_that_goes_while_its_picture_is_waited_for_gives_none(
    hass: HomeAssistant,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    garden.waiting = asyncio.Event()
    freezer.move_to(NOON)
    async_fire_time_changed(hass, NOON)
    await garden.asked.wait()
    hass.config_entries.async_remove_subentry(own_cameras, subentry_of(own_cameras, "garden"))
    await own_cameras.runtime_data.own_bridge.async_follow()
    garden.waiting.set()
    await settle(hass)
    assert (garden.taken, depot.numbers) == (0, [])


async def test_a_picture_that_is_too_large_is_refused_in_words(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
) -> None:
    with patch.object(pictures, "MAX_PICTURE_BYTES", 100):
        await noon(hass, freezer)
    with patch.object(pictures, "MAX_PIXELS", 100):
        await noon(hass, freezer, 20)
    first, second = failures(mqtt)
    assert "bytes, more than 100" in first
    assert second == "the picture has 64 × 48 pixels, more than 100"


async def test_a_picture_that_would_take_too_much_memory_is_not_decoded(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    kept = io.BytesIO()
    Image.new("1", (4097, 4096)).save(kept, "PNG")
    garden.shows = kept.getvalue()
    await noon(hass, freezer)
    why = "the picture, which is no JPEG, has 4097 × 4096 pixels, more than 16777216"
    assert failures(mqtt) == [state(mqtt).last_error] == [why]
    progressive = io.BytesIO()
    Image.new("RGB", (64, 48)).save(progressive, "JPEG", progressive=True)
    with patch.object(pictures, "MAX_DECODED_PIXELS", 100):
        garden.shows = progressive.getvalue()
        await noon(hass, freezer, 20)
        assert published(mqtt, f"{GARDEN}/preview") == []
        garden.shows = picture(1)
        await noon(hass, freezer, 40)
    assert len(published(mqtt, f"{GARDEN}/preview")) == 1
    assert depot.numbers == [1, 2]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
async def test_other_pictures_become_jpegs(
    hass: HomeAssistant,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
    kind: str,
) -> None:
    garden.shows = picture(9, kind)
    await noon(hass, freezer)
    ((record, data),) = depot.frames
    assert data.startswith(b"\xff\xd8\xff")
    assert (record.width, record.height, record.media_type) == (64, 48, "image/jpeg")


async def test_a_picture_that_is_cut_short_goes_on_without_a_preview(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    garden.shows = picture(1, size=(640, 480))[:-2000]
    await noon(hass, freezer)
    assert depot.frames[0][1] == garden.shows
    assert published(mqtt, f"{GARDEN}/preview") == []


# ---------------------------------------------------------------- what is deployed


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"windows": "none"}, "windows"),
        ({"windows": 2}, "stands there twice"),
        ({"starts_at": "1969-06-21T10:00:00Z"}, "is not between 1970 and 2200"),
    ],
)
async def test_a_plan_that_cannot_be_followed_is_refused_and_the_one_before_stays(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
    change: dict[str, Any],
    why: str,
) -> None:
    topic = f"{GARDEN}/plan/set"
    plan = json.loads(published(mqtt, topic)[-1])
    match change:
        case {"windows": int()}:
            plan["windows"] = [plan["windows"][0]] * 2
        case {"starts_at": early}:
            plan["windows"][0]["starts_at"] = early
        case _:
            plan |= change
    async_fire_mqtt_message(hass, topic, json.dumps(plan))
    await settle(hass)
    assert "the plan that came is refused, the one before stays" in state(mqtt).last_error
    assert why in state(mqtt).last_error
    await noon(hass, freezer)
    assert garden.taken == 1
    async_fire_mqtt_message(hass, topic, published(mqtt, topic)[-1])
    await settle(hass)
    assert state(mqtt).last_error is None


async def test_a_snapshot_without_profiles_is_refused(
    hass: HomeAssistant, mqtt: MqttMockHAClient, own_cameras: MockConfigEntry
) -> None:
    topic = f"{GARDEN}/snapshot/set"
    snapshot = json.loads(published(mqtt, topic)[-1])
    async_fire_mqtt_message(hass, topic, json.dumps({**snapshot, "profiles": []}))
    await settle(hass)
    assert "names no profile" in state(mqtt).last_error


async def test_a_window_whose_profile_is_not_deployed_takes_nothing(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
) -> None:
    topic = f"{GARDEN}/snapshot/set"
    snapshot = json.loads(published(mqtt, topic)[-1])
    others = [profile for profile in snapshot["profiles"] if profile["id"] != "f"]
    async_fire_mqtt_message(hass, topic, json.dumps({**snapshot, "profiles": others}))
    await noon(hass, freezer)
    assert failures(mqtt) == ["the snapshot knows none of f"]
    assert garden.taken == 0


async def test_without_plan_or_snapshot_nothing_is_taken(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
) -> None:
    for topic in ("plan/set", "snapshot/set"):
        async_fire_mqtt_message(hass, f"{GARDEN}/{topic}", b"")
    await noon(hass, freezer)
    assert garden.taken == 0
    assert (state(mqtt).plan_revision, state(mqtt).snapshot_version) == (None, None)
    assert state(mqtt).next_capture_at is None


async def test_messages_to_nobody_and_of_no_sense_are_passed_over(
    hass: HomeAssistant, mqtt: MqttMockHAClient, own_cameras: MockConfigEntry
) -> None:
    before = len(published(mqtt, f"{GARDEN}/state"))
    plan = published(mqtt, f"{GARDEN}/plan/set")[-1]
    for topic, payload in (
        (f"{OWN}/attic/plan/set", plan),
        (f"{OWN}/attic/snapshot/set", b"{}"),
        (f"{GARDEN}/command", b"\xff"),
        (f"{OWN}/NO/command", b"{}"),
        (f"{OWN}/uplink/set", b"[]"),
    ):
        async_fire_mqtt_message(hass, topic, payload)
    await settle(hass)
    assert len(published(mqtt, f"{GARDEN}/state")) == before
    assert published(mqtt, f"{GARDEN}/reply") == []
