"""Actions: answered, refused, not answered; and what is wrong with a call is said in words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, SupportsResponse
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util
from probatio import Invalid
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.actions.base import profile_named
from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.codec import write
from custom_components.skylapse.protocol.messages import Clock, CommandError, JobState, Reply
from custom_components.skylapse.protocol.records import write_record
from custom_components.skylapse.services import ACTIONS
from tests.integration.brokerage import commands, sent
from tests.integration.speakers import FILM, FRAME, NOW, READING, Bridge, Processor
from tests.integration.theatre import FakeProcessor

COMMAND = "skylapse/roof/west/command"
PROCESSOR = "skylapse/processor/command"


@pytest.fixture
async def spoken(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> MockConfigEntry:
    """The entry when bridge and processor have said everything."""
    await bridge.tell_all()
    await processor.tell_all()
    return loaded


def call(hass: HomeAssistant, action: str, **data: Any) -> Any:
    """Begin an action with response; it waits for a reply."""
    calling = hass.services.async_call(DOMAIN, action, data, blocking=True, return_response=True)
    return hass.async_create_background_task(calling, action)


# ---------------------------------------------------------------- capture


@pytest.mark.parametrize("how", ["entity", "device", "name"])
async def test_a_capture_answers_the_frames_record(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge, how: str
) -> None:
    device = dr.async_get(hass).async_get_child_device_by_identifier((DOMAIN, "roof/west"), spoken.entry_id)
    assert device is not None
    camera = {"entity": "image.roof_west", "device": device.id, "name": "roof/west"}[how]
    task = call(hass, "capture", camera=camera, profile="d", exposure_us=20_000.0, gain=2, test_id="t1")
    command = await sent(mqtt, COMMAND)
    assert command.name == "capture"
    assert command.args == {"profile": "d", "exposure_us": 20_000, "gain": 2.0, "test_id": "t1"}
    await bridge.reply(Reply(id=command.id, ok=True, result={"record": write_record(FRAME)}))
    answer = await task
    assert answer["record"]["sha256"] == FRAME.sha256
    assert answer["media_content_id"] == f"media-source://skylapse/frame/{FRAME.name}"
    assert answer["picture"].startswith(f"/api/skylapse/frame/{FRAME.name}/picture.jpg?authSig=")


async def test_a_record_that_does_not_fit_is_an_error(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    task = call(hass, "capture", camera="roof/west")
    command = await sent(mqtt, COMMAND)
    await bridge.reply(Reply(id=command.id, ok=True, result={"record": {"bridge": "roof"}}))
    with pytest.raises(HomeAssistantError, match="record: camera: is missing"):
        await task


async def test_a_refused_capture_says_why(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    task = call(hass, "capture", camera="roof/west")
    command = await sent(mqtt, COMMAND)
    error = CommandError(code="camera_failed", message="the camera does not answer")
    await bridge.reply(Reply(id=command.id, ok=False, error=error))
    with pytest.raises(HomeAssistantError, match="roof/west refused: the camera does not answer") as raised:
        await task
    assert raised.value.translation_key == "refused"


async def test_a_refusal_without_a_reason_is_one_all_the_same(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    task = call(hass, "capture", camera="roof/west")
    await bridge.reply(Reply(id=(await sent(mqtt, COMMAND)).id, ok=False))
    with pytest.raises(HomeAssistantError, match="no reason was given"):
        await task


async def test_a_bridge_that_does_not_reply_is_an_error(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry
) -> None:
    hass.config_entries.async_update_entry(spoken, options={"reply_limit_s": 0.05, "link_hours": 1})
    await hass.async_block_till_done(wait_background_tasks=True)
    await Bridge(hass).arrive()
    with pytest.raises(HomeAssistantError, match="roof/west did not reply in time") as raised:
        await call(hass, "capture", camera="roof/west")
    assert raised.value.translation_key == "no_reply"


async def test_a_broker_that_does_not_take_a_command_is_an_error(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    with (
        patch(
            "custom_components.skylapse.coordinator.mqtt.async_publish",
            side_effect=HomeAssistantError("not connected"),
        ),
        pytest.raises(HomeAssistantError, match="roof/west did not reply in time") as raised,
    ):
        await call(hass, "capture", camera="roof/west")
    assert "capture did not reach the broker: not connected" in str(raised.value.__cause__)


async def test_a_camera_that_cannot_be_reached_is_not_waited_for(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.say(topics.AVAILABILITY, "offline")
    for action, data in (("capture", {}), ("meter", {}), ("focus", {}), ("set_mode", {"mode": "live"})):
        with pytest.raises(HomeAssistantError, match="bridge of roof/west cannot be reached") as raised:
            await call(hass, action, camera="roof/west", **data)
        assert raised.value.translation_key == "camera_offline"
    assert commands(mqtt, "skylapse/roof/west/command") == []


async def test_a_command_that_is_too_large_is_refused_here(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    with pytest.raises(HomeAssistantError, match="bytes are more than"):
        await call(hass, "capture", camera="roof/west", test_id="x" * 70_000)


async def test_a_command_expires_on_the_bridges_own_clock(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    now = dt_util.utcnow()
    await bridge.arrive(clock=Clock(start=NOW, anchor=now, rate=60.0))
    task = call(hass, "capture", camera="roof/west")
    command = await sent(mqtt, COMMAND)
    took = dt_util.utcnow() - now
    assert timedelta(minutes=15) <= command.expires_at - NOW <= timedelta(minutes=15) + 60 * took
    await bridge.reply(Reply(id=command.id, ok=True, result={}))
    assert await task == {}


@pytest.mark.parametrize("action", ["capture", "meter"])
async def test_a_profile_is_known_by_its_name_and_none_that_is_not_there(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge, action: str
) -> None:
    with pytest.raises(ServiceValidationError, match="There is no profile Sharpest") as raised:
        await call(hass, action, camera="roof/west", profile="Sharpest")
    assert raised.value.translation_key == "profile_unknown"
    for number, asked in enumerate(("Mountain spot", "F"), start=1):
        task = call(hass, action, camera="roof/west", profile=asked)
        command = await sent(mqtt, COMMAND, number)
        assert command.args == {"profile": "f"}
        await bridge.reply(Reply(id=command.id, ok=True, result={"reading": write(READING)}))
        await task


@pytest.mark.parametrize(
    ("asked", "ids"), [("Twin", "one, two"), ("TWIN", "one, two"), ("F", "f, three"), ("One", None)]
)
async def test_a_name_that_may_mean_several_profiles_means_none(
    hass: HomeAssistant, spoken: MockConfigEntry, asked: str, ids: str | None
) -> None:
    for profile_id, title in {"one": "Twin", "two": "Twin", "three": "f"}.items():
        profile = ConfigSubentry(
            data=MappingProxyType({}), subentry_type="profile", title=title, unique_id=profile_id
        )
        hass.config_entries.async_add_subentry(spoken, profile)
    if ids is None:
        assert profile_named(spoken, asked).unique_id == "one"
        return
    with pytest.raises(ServiceValidationError, match=f"{asked} may mean several: .*, of {ids}") as raised:
        profile_named(spoken, asked)
    assert raised.value.translation_key == "name_of_several"


@pytest.mark.parametrize("camera", ["image.nothing", "roof/north", "roof", "sensor.house_films", ""])
async def test_what_is_no_camera_is_refused(
    hass: HomeAssistant, spoken: MockConfigEntry, camera: str
) -> None:
    with pytest.raises(ServiceValidationError, match=f"“{camera}” is no camera of Skylapse"):
        await call(hass, "capture", camera=camera)


@pytest.mark.parametrize(
    "data",
    [{}, {"camera": "roof/west", "gain": 2}, {"camera": "roof/west", "exposure_us": 0, "gain": 1}],
)
async def test_bad_settings_never_leave_home_assistant(
    hass: HomeAssistant, spoken: MockConfigEntry, data: dict[str, Any]
) -> None:
    with pytest.raises(Exception, match=r"required|belong together|at least"):
        await call(hass, "capture", **data)


# ---------------------------------------------------------------- render


async def test_a_render_answers_with_its_job_at_once(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, processor: Processor
) -> None:
    task = call(hass, "render", camera="roof/west", recipe="cinematic", size="720p", rate=30)
    command = await sent(mqtt, PROCESSOR)
    assert command.name == "render"
    assert command.args == {
        "camera": "roof/west",
        "day": "2026-06-21",
        "recipe": "cinematic",
        "size": "720p",
        "rate": 30.0,
    }
    await processor.reply(Reply(id=command.id, ok=True, result={"job": "j1", "film": FILM.id}))
    assert await task == {"job": "j1", "film": FILM.id}


async def test_a_render_names_window_and_span_as_the_processor_does(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, processor: Processor
) -> None:
    call(hass, "render", camera="roof/west", day="2026-06-20", schedule="sunset", length_s=12)
    command = await sent(mqtt, PROCESSOR)
    assert command.args["window"] == "sunset-20260620"
    assert (command.args["day"], command.args["length_s"]) == ("2026-06-20", 12.0)
    await processor.reply(Reply(id=command.id, ok=True, result={}))
    call(hass, "render", camera="roof/west", start="2026-06-21 20:00:00", end="2026-06-21T22:00:00+02:00")
    command = await sent(mqtt, PROCESSOR, 2)
    assert command.args["from"] == "2026-06-21T18:00:00.000000Z"
    assert command.args["to"] == "2026-06-21T20:00:00.000000Z"
    await processor.reply(Reply(id=command.id, ok=True, result={}))


async def test_who_waits_for_the_film_gets_it(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, processor: Processor
) -> None:
    made = replace(FILM, id="00000000000000f7", title="Made now")
    processor.server.put(made)
    processor.server.asked.clear()
    task = call(hass, "render", camera="roof/west", wait_s=30)
    command = await sent(mqtt, PROCESSOR)
    await processor.job(JobState(id="another", state="done", film=FILM.id))
    await processor.tell(topics.PROCESSOR_AVAILABILITY, "online")
    await processor.reply(Reply(id="somebody-elses", ok=True, result={"job": "j2"}))
    await processor.reply(Reply(id=command.id, ok=True, result={"job": "j1"}))
    await processor.job(JobState(id="j1", state="running", percent=50.0))
    await processor.job(JobState(id="j1", state="done", film=made.id))
    answer = await task
    assert answer["job"] == "j1"
    assert answer["film"]["title"] == "Made now"
    assert answer["film"]["media_content_id"] == f"media-source://skylapse/film/{made.id}"
    assert processor.server.asked == [f"/api/v1/films/{made.id}"]
    found = (await call(hass, "list_films", query="made now"))["films"]
    assert [film["film"] for film in found] == [made.id]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (JobState(id="j1", state="failed", error="disk full"), "The job j1 failed: disk full"),
        (JobState(id="j1", state="cancelled"), "The job j1 failed: cancelled"),
        (None, r"The job j1 was not done within 0\.2 seconds"),
    ],
)
async def test_a_film_that_is_not_made_is_an_error(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    processor: Processor,
    state: JobState | None,
    words: str,
) -> None:
    task = call(hass, "render", camera="roof/west", wait_s=0.2 if state is None else 30)
    command = await sent(mqtt, PROCESSOR)
    await processor.reply(Reply(id=command.id, ok=True, result={"job": "j1"}))
    if state is not None:
        await processor.job(state)
    with pytest.raises(HomeAssistantError, match=words):
        await task


async def test_a_film_that_was_deleted_at_once_is_left_out(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, processor: Processor
) -> None:
    task = call(hass, "render", camera="roof/west", wait_s=30)
    command = await sent(mqtt, PROCESSOR)
    await processor.reply(Reply(id=command.id, ok=True, result={"job": "j1"}))
    await processor.job(JobState(id="j1", state="done", film="00000000000000f8"))
    assert await task == {"job": "j1"}


async def test_a_processor_that_cannot_tell_of_the_film_is_an_error(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    processor: Processor,
    processor_server: FakeProcessor,
) -> None:
    task = call(hass, "render", camera="roof/west", wait_s=30)
    command = await sent(mqtt, PROCESSOR)
    processor_server.broken = 500
    await processor.reply(Reply(id=command.id, ok=True, result={"job": "j1"}))
    await processor.job(JobState(id="j1", state="done", film=FILM.id))
    with pytest.raises(HomeAssistantError, match="The processor failed"):
        await task


async def test_a_refused_render_says_why(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, processor: Processor
) -> None:
    task = call(hass, "render", camera="roof/west")
    command = await sent(mqtt, PROCESSOR)
    error = CommandError(code="bad_request", message="no stored frame")
    await processor.reply(Reply(id=command.id, ok=False, error=error))
    with pytest.raises(HomeAssistantError, match="processor refused: no stored frame"):
        await task


async def test_without_frames_there_is_nothing_to_render(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    with pytest.raises(ServiceValidationError, match="No frames of roof/west"):
        await call(hass, "render", camera="roof/west")


# ---------------------------------------------------------------- list_films


async def test_films_are_listed_latest_first(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    for number in range(3):
        at = datetime(2026, 6, 22 + number, 20, tzinfo=UTC)
        await processor.film(
            replace(FILM, id=f"{number:016x}", day=f"{at:%Y-%m-%d}", created_at=at, title=f"Film {number}")
        )
    answer = await call(hass, "list_films", camera="image.roof_west", query="film", limit=2)
    assert [film["title"] for film in answer["films"]] == ["Film 2", "Film 1"]
    assert "authSig=" in answer["films"][0]["video"]
    assert len((await call(hass, "list_films"))["films"]) == 4


async def test_films_are_read_when_they_were_not_yet(
    hass: HomeAssistant, loaded: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    processor_server.broken = 500
    with pytest.raises(HomeAssistantError, match="films answered 500"):
        await call(hass, "list_films")
    processor_server.broken = None
    processor_server.put(FILM)
    assert [film["film"] for film in (await call(hass, "list_films"))["films"]] == [FILM.id]


# ---------------------------------------------------------------- meter, focus, set_mode


async def test_a_capture_takes_every_setting_that_a_bridge_knows(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    settings = {
        "ev": -0.5,
        "colour_gains": [2.1, 1.7],
        "focus_dioptre": 1.5,
        "average": 4,
        "raw": True,
        "jpeg_quality": 90,
        "test_id": "t1",
    }
    asked_at = dt_util.utcnow()
    task = call(hass, "capture", camera="roof/west", **settings)
    command = await sent(mqtt, COMMAND)
    assert command.args == settings
    assert command.expires_at - asked_at > timedelta(seconds=60)
    await bridge.reply(Reply(id=command.id, ok=True, result={"record": write_record(FRAME)}))
    assert (await task)["record"]["seq"] == FRAME.seq


async def test_a_long_exposure_is_waited_for(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    asked_at = dt_util.utcnow()
    task = call(hass, "capture", camera="roof/west", exposure_us=100_000_000, gain=1, average=2)
    command = await sent(mqtt, COMMAND)
    assert command.expires_at - asked_at > timedelta(seconds=200)
    await bridge.reply(Reply(id=command.id, ok=True, result={}))
    assert await task == {}


async def test_a_metering_answers_the_reading(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    task = call(hass, "meter", camera="image.roof_west", profile="f")
    command = await sent(mqtt, COMMAND)
    assert (command.name, command.args) == ("meter", {"profile": "f"})
    await bridge.reply(Reply(id=command.id, ok=True, result={"reading": write(READING)}))
    assert (await task)["reading"]["lux"] == 812.5


async def test_a_reading_that_does_not_fit_is_an_error(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    task = call(hass, "meter", camera="roof/west")
    await bridge.reply(Reply(id=(await sent(mqtt, COMMAND)).id, ok=True, result={"reading": {"lux": 1}}))
    with pytest.raises(HomeAssistantError, match="reading: at: is missing"):
        await task


@pytest.mark.parametrize(("data", "seconds"), [({}, 120), ({"dioptre": 0.4}, 10)])
async def test_focus_is_set_or_looked_for(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
    data: dict[str, float],
    seconds: int,
) -> None:
    asked_at = dt_util.utcnow()
    task = call(hass, "focus", camera="roof/west", **data)
    command = await sent(mqtt, COMMAND)
    assert (command.name, command.args) == ("focus", data)
    assert command.expires_at - asked_at > timedelta(seconds=seconds)
    result = {"dioptre": 0.4, "figure": 812.0, "temperature_c": 21.0}
    await bridge.reply(Reply(id=command.id, ok=True, result=result))
    assert await task == result


async def test_the_mode_is_set_and_one_that_is_none_is_refused(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    task = call(hass, "set_mode", camera="roof/west", mode="live")
    command = await sent(mqtt, COMMAND)
    assert (command.name, command.args) == ("set_mode", {"mode": "live"})
    await bridge.reply(Reply(id=command.id, ok=True, result={"mode": "live"}))
    assert await task == {"mode": "live"}
    with pytest.raises(Invalid):
        await call(hass, "set_mode", camera="roof/west", mode="override")


@pytest.mark.parametrize(
    "action", [("meter", {}), ("focus", {}), ("set_mode", {"mode": "live"})], ids=lambda each: each[0]
)
async def test_what_a_camera_cannot_do_is_said(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
    action: tuple[str, dict[str, str]],
) -> None:
    task = call(hass, action[0], camera="roof/west", **action[1])
    error = CommandError(code="unsupported", message="the camera has no such thing")
    await bridge.reply(Reply(id=(await sent(mqtt, COMMAND)).id, ok=False, error=error))
    with pytest.raises(HomeAssistantError, match="roof/west refused: the camera has no such thing"):
        await task


# ---------------------------------------------------------------- always


async def test_actions_are_there_without_an_entry_and_say_so(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    await hass.config_entries.async_unload(loaded.entry_id)
    await hass.async_block_till_done()
    assert set(hass.services.async_services_for_domain(DOMAIN)) == {action.name for action in ACTIONS}
    assert hass.services.supports_response(DOMAIN, "list_films") is SupportsResponse.ONLY
    arms = [{"profile": "f"}, {"profile": "a"}]
    asked: dict[str, dict[str, Any]] = {
        "set_mode": {"camera": "a/b", "mode": "live"},
        "cancel_render": {"job": "j"},
        "pin_film": {"film": FILM.id},
        "link_film": {"film": FILM.id},
        "delete_film": {"film": FILM.id},
        "list_films": {},
        "list_ab_tests": {},
        "stop_ab_test": {"id": "t"},
        "start_ab_test": {"camera": "a/b", "arms": arms},
    }
    for action in ("deploy_profile", "rollback_profile", "list_profile_versions"):
        asked[action] = {"profile": "f"}
    for action in (each.name for each in ACTIONS):
        data = asked.get(action, {"camera": "a/b"})
        with pytest.raises(ServiceValidationError) as raised:
            await call(hass, action, **data)
        assert raised.value.translation_key == "not_loaded"
