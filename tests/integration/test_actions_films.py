"""Actions for films: asked for, predicted, cancelled, pinned, linked, deleted; and every way to fail."""

import re
from dataclasses import replace
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.translation import async_load_integrations
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient, WebSocketGenerator

from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.codec import write
from custom_components.skylapse.protocol.messages import CommandError, JobState, Reply
from tests.integration.brokerage import commands, sent
from tests.integration.speakers import FILM, WEST, Bridge, Processor
from tests.integration.theatre import FakeProcessor

PROCESSOR = "skylapse/processor/command"
MEDIA_ID = f"media-source://skylapse/film/{FILM.id}"


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


# ---------------------------------------------------------------- render


async def test_a_film_is_asked_for_with_everything_that_it_can_have(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, processor: Processor
) -> None:
    wish = {
        "recipe": "cinematic",
        "parameters": {"level": {"sigma_frames": 40}, "deflicker": False},
        "size": "1080p",
        "also_sizes": ["720p"],
        "codec": "h265",
        "speed_up": 600.0,
    }
    task = call(hass, "render", camera="roof/west", day="2026-06-20", schedule="Sunset", **wish)
    command = await sent(mqtt, PROCESSOR)
    span = {"camera": "roof/west", "day": "2026-06-20", "window": "sunset-20260620"}
    assert command.args == {**span, **wish}
    result = {"job": "j1", "film": FILM.id, "films": [FILM.id, "00000000000000f2"]}
    await processor.reply(Reply(id=command.id, ok=True, result=result))
    assert await task == result


async def test_without_a_key_a_profile_is_known_by_its_name_and_one_that_is_gone_by_its_id(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    keyless: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
) -> None:
    await bridge.tell_all()
    await processor.tell_all()
    for number, (asked, meant) in enumerate((("Mountain spot", "f"), ("gone", "gone")), 1):
        task = call(hass, "render", camera="roof/west", profile=asked)
        command = await sent(mqtt, PROCESSOR, number)
        assert command.args["profile"] == meant
        await processor.reply(Reply(id=command.id, ok=True, result={"job": "j1"}))
        await task


async def test_several_cameras_are_shown_side_by_side(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
) -> None:
    await bridge.arrive(cameras=(WEST, replace(WEST, id="east", name="East")))
    task = call(hass, "render", camera=["roof/west", "image.roof_east"], day="2026-06-20")
    command = await sent(mqtt, PROCESSOR)
    assert command.args == {"cameras": ["roof/west", "roof/east"], "day": "2026-06-20"}
    await processor.reply(Reply(id=command.id, ok=True, result={"job": "j1"}))
    assert await task == {"job": "j1"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"schedule": "sunset"}, "several cameras takes no schedule: give a day or a span"),
        ({"profile": "f"}, "several cameras takes no profile"),
        ({"also_sizes": ["720p"]}, "several cameras has one size"),
    ],
)
async def test_what_only_a_film_of_one_camera_can_have_is_said(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
    given: dict[str, Any],
    words: str,
) -> None:
    await bridge.arrive(cameras=(WEST, replace(WEST, id="east", name="East")))
    with pytest.raises(ServiceValidationError, match=words) as raised:
        await call(hass, "render", camera=["roof/west", "roof/east"], day="2026-06-20", **given)
    assert raised.value.translation_key == f"cameras_and_{next(iter(given))}"
    assert commands(mqtt, PROCESSOR) == []


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"start": "2026-06-21 20:00:00"}, "span_needs_end"),
        ({"start": "2026-06-21 20:00:00", "end": "2026-06-21 19:00:00"}, "span_backwards"),
        ({"end": "2026-06-21 19:00:00"}, "span_needs_start"),
        ({"day": "2026-06-21", "end": "2026-06-21 19:00:00"}, "span_needs_start"),
        (
            {"start": "2026-06-21 20:00:00", "end": "2026-06-21 21:00:00", "schedule": "sunset"},
            "span_and_schedule",
        ),
    ],
)
@pytest.mark.parametrize("action", ["render", "export_frames"])
async def test_a_span_that_makes_no_sense_is_refused(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    action: str,
    data: dict[str, Any],
    key: str,
) -> None:
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, action, camera="roof/west", **data)
    assert raised.value.translation_key == key
    assert commands(mqtt, PROCESSOR) == []


async def test_a_dry_run_answers_what_the_film_would_be(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, processor: Processor
) -> None:
    task = call(hass, "render", camera="roof/west", dry_run=True, wait_s=30)
    command = await sent(mqtt, PROCESSOR)
    assert command.args == {"camera": "roof/west", "day": "2026-06-21", "dry_run": True}
    prediction = {"frames": 240, "duration_s": 10.0, "bytes": 5_000_000, "seconds": 42.0}
    await processor.reply(Reply(id=command.id, ok=True, result=prediction))
    assert await task == prediction


@pytest.mark.parametrize(
    ("action", "given", "key", "words"),
    [
        ("render", {"day": "2026-06-20", "start": "2026-06-20 20:00"}, "day_and_start", "Day and start"),
        ("render", {"rate": 24, "speed_up": 60}, "paces", "of Frame rate, Speed-up, leave out all but one"),
        ("render", {"rate": 0.5}, "too_low", "Frame rate is too low: it is at least 1"),
        ("render", {"wait_s": 4000}, "too_high", "Wait is too high: it is at most 3600"),
        ("capture", {"colour_temperature_k": 5000, "colour_gains": [2, 2]}, "temperature_and_gains", "gains"),
        ("capture", {"colour_gains": [2, 200]}, "too_high", "Colour gains (2) is too high"),
        ("capture", {"gain": 4}, "time_without_gain", "belong together"),
        ("stop_ab_test", {"id": "one"}, "camera_and_id", "Camera and id"),
    ],
)
async def test_fields_that_cannot_be_meant_are_named_in_words(
    hass: HomeAssistant, loaded: MockConfigEntry, action: str, given: dict[str, Any], key: str, words: str
) -> None:
    with pytest.raises(ServiceValidationError, match=re.escape(words)) as raised:
        await call(hass, action, camera="roof/west", **given)
    assert raised.value.translation_key == key


async def test_fields_are_called_as_in_the_form_in_the_language_of_the_house(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    await hass.config.async_update(language="de")
    await async_load_integrations(hass, {DOMAIN})  # as Home Assistant does once it runs
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, "capture", camera="roof/west", colour_gains=[2, 200])
    assert raised.value.translation_placeholders == {"field": "Farbverstärkungen (2)", "limit": "32"}
    with pytest.raises(ServiceValidationError) as raised:
        await call(
            hass, "start_ab_test", camera="roof/west", arms=[{"profile": "f"}, {"profile": "f", "ev": 6}]
        )
    assert raised.value.translation_placeholders == {"field": "Arme (2, Belichtungskorrektur)", "limit": "5"}


async def test_without_a_key_a_film_is_waited_for_all_the_same(
    hass: HomeAssistant, mqtt: MqttMockHAClient, keyless: MockConfigEntry, processor: Processor
) -> None:
    task = call(hass, "render", camera="roof/west", wait_s=30)
    command = await sent(mqtt, PROCESSOR)
    await processor.reply(Reply(id=command.id, ok=True, result={"job": "j1", "film": FILM.id}))
    await processor.job(JobState(id="j1", state="done", film="00000000000000f9"))
    assert await task == {"job": "j1", "film": FILM.id}


# ---------------------------------------------------------------- cancel_render


async def test_a_render_is_cancelled(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, processor: Processor
) -> None:
    task = call(hass, "cancel_render", job="j1")
    command = await sent(mqtt, PROCESSOR)
    assert (command.name, command.args) == ("cancel", {"job": "j1"})
    await processor.reply(Reply(id=command.id, ok=True, result={"job": "j1", "state": "cancelled"}))
    assert await task == {"job": "j1", "state": "cancelled"}


@pytest.mark.parametrize(
    ("code", "key", "words"),
    [
        ("not_found", "job_unknown", "There is no job j1"),
        ("bad_request", "refused", "processor refused: j1 is done already"),
    ],
)
async def test_a_render_that_cannot_be_cancelled_is_an_error(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    processor: Processor,
    code: str,
    key: str,
    words: str,
) -> None:
    task = call(hass, "cancel_render", job="j1")
    error = CommandError(code=code, message="j1 is done already")
    await processor.reply(Reply(id=(await sent(mqtt, PROCESSOR)).id, ok=False, error=error))
    with pytest.raises(HomeAssistantError, match=words) as raised:
        await task
    assert raised.value.translation_key == key


# ---------------------------------------------------------------- pin, link, delete


@pytest.mark.parametrize(
    ("action", "data", "changed"),
    [
        ("pin_film", {}, {"pinned": True}),
        ("pin_film", {"pinned": False}, {"pinned": False}),
        ("link_film", {"link": "print 42"}, {"link": "print 42"}),
        ("link_film", {}, {"link": None}),
        ("link_film", {"link": " "}, {"link": None}),
    ],
)
async def test_a_film_is_changed_and_answered(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    processor: Processor,
    action: str,
    data: dict[str, Any],
    changed: dict[str, Any],
) -> None:
    for number, film in enumerate((FILM.id, MEDIA_ID), 1):
        task = call(hass, action, film=film, **data)
        asked = await sent(mqtt, PROCESSOR, number)
        assert (asked.name, asked.args) == (action.removesuffix("_film"), {"film": FILM.id, **changed})
        told = write(replace(FILM, change="changed", **changed))
        await processor.reply(Reply(id=asked.id, ok=True, result={"film": told}))
        answer = await task
        assert {key: answer[key] for key in changed} == changed
        assert answer["media_content_id"] == MEDIA_ID
        assert "authSig=" in answer["video"]


async def test_a_film_is_deleted(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, processor: Processor
) -> None:
    task = call(hass, "delete_film", film=MEDIA_ID)
    command = await sent(mqtt, PROCESSOR)
    assert (command.name, command.args) == ("delete", {"film": FILM.id})
    await processor.reply(Reply(id=command.id, ok=True, result={"film": FILM.id}))
    assert await task == {"film": FILM.id}


async def test_a_pinned_film_is_not_deleted(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, processor: Processor
) -> None:
    await processor.film(replace(FILM, pinned=True, change="changed"))
    with pytest.raises(ServiceValidationError, match=r"Sunset, West, 21 June 2026 is pinned") as raised:
        await call(hass, "delete_film", film=FILM.id)
    assert raised.value.translation_key == "film_pinned"
    assert commands(mqtt, PROCESSOR) == []


async def test_a_schedule_that_nobody_has_and_that_is_no_id_is_said(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry
) -> None:
    with pytest.raises(ServiceValidationError, match="There is no schedule Nonsense"):
        await call(hass, "render", camera="roof/west", day="2026-06-20", schedule="Nonsense")
    assert commands(mqtt, PROCESSOR) == []


@pytest.mark.parametrize("action", ["pin_film", "link_film", "delete_film"])
async def test_what_is_no_film_is_refused(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, processor: Processor, action: str
) -> None:
    with pytest.raises(ServiceValidationError, match="There is no film sunset") as raised:
        await call(hass, action, film="sunset")
    assert raised.value.translation_key == "film_unknown"
    task = call(hass, action, film="00000000000000f9")
    error = CommandError(code="not_found", message="there is no film")
    await processor.reply(Reply(id=(await sent(mqtt, PROCESSOR)).id, ok=False, error=error))
    with pytest.raises(ServiceValidationError, match="There is no film 00000000000000f9"):
        await task


async def test_a_film_that_does_not_fit_is_an_error(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, processor: Processor
) -> None:
    task = call(hass, "pin_film", film=FILM.id)
    await processor.reply(Reply(id=(await sent(mqtt, PROCESSOR)).id, ok=True, result={"film": {"id": 1}}))
    with pytest.raises(HomeAssistantError, match="processor refused: film: id"):
        await task


async def test_a_refusal_of_a_change_says_why(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, processor: Processor
) -> None:
    task = call(hass, "link_film", film=FILM.id, link="\n")
    error = CommandError(code="bad_request", message="link: is no text")
    await processor.reply(Reply(id=(await sent(mqtt, PROCESSOR)).id, ok=False, error=error))
    with pytest.raises(HomeAssistantError, match="processor refused: link: is no text"):
        await task


# ---------------------------------------------------------------- nobody there, no key, a wrong one


ASKING = (
    ("render", {"camera": "roof/west"}),
    ("render", {"camera": "roof/west", "dry_run": True}),
    ("cancel_render", {"job": "j1"}),
    ("pin_film", {"film": FILM.id}),
    ("link_film", {"film": FILM.id}),
    ("delete_film", {"film": FILM.id}),
    ("export_frames", {"camera": "roof/west"}),
)


@pytest.mark.parametrize(("action", "data"), ASKING)
async def test_a_processor_that_is_away_is_not_waited_for(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    processor: Processor,
    action: str,
    data: dict[str, Any],
) -> None:
    await processor.say(topics.PROCESSOR_AVAILABILITY, "offline")
    with pytest.raises(HomeAssistantError, match="The processor cannot be reached") as raised:
        await call(hass, action, **data)
    assert raised.value.translation_key == "processor_offline"
    assert commands(mqtt, PROCESSOR) == []


@pytest.fixture
async def keyless(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge, processor: Processor
) -> MockConfigEntry:
    """The entry when it has no key for the processor."""
    hass.config_entries.async_update_entry(spoken, data={"root": "skylapse"})
    await hass.async_block_till_done(wait_background_tasks=True)
    await bridge.tell_all()
    await processor.tell_all()
    return spoken


@pytest.mark.parametrize(("action", "data"), [("list_films", {}), ("list_frames", {"camera": "roof/west"})])
async def test_without_a_key_lists_say_what_is_missing(
    hass: HomeAssistant, keyless: MockConfigEntry, action: str, data: dict[str, Any]
) -> None:
    with pytest.raises(ServiceValidationError, match="give its key") as raised:
        await call(hass, action, **data)
    assert raised.value.translation_key == "no_processor"


async def test_a_key_that_is_not_known_any_more_is_asked_for(
    hass: HomeAssistant, spoken: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    processor_server.broken = 401
    with pytest.raises(HomeAssistantError, match="does not know the key any more") as raised:
        await call(hass, "list_frames", camera="roof/west")
    assert raised.value.translation_key == "processor_key"
    await hass.async_block_till_done()
    assert [flow["context"]["source"] for flow in hass.config_entries.flow.async_progress()] == ["reauth"]


async def test_a_processor_that_does_not_answer_is_named(
    hass: HomeAssistant, spoken: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    await processor_server.stop()
    with pytest.raises(HomeAssistantError, match=f"does not answer at {processor_server.url}") as raised:
        await call(hass, "list_frames", camera="roof/west")
    assert raised.value.translation_key == "processor_unreachable"


@pytest.mark.parametrize(
    ("action", "data"),
    [
        ("render", {"camera": "roof/west"}),
        ("capture", {"camera": "roof/nowhere"}),
        ("delete_film", {"film": "none"}),
    ],
)
async def test_a_failed_action_leaves_one_line_in_the_log_and_no_traceback(
    hass: HomeAssistant,
    spoken: MockConfigEntry,
    processor: Processor,
    hass_ws_client: WebSocketGenerator,
    caplog: pytest.LogCaptureFixture,
    action: str,
    data: dict[str, Any],
) -> None:
    await processor.say(topics.PROCESSOR_AVAILABILITY, "offline")
    client = await hass_ws_client(hass)
    caplog.clear()
    await client.send_json_auto_id(
        {
            "type": "call_service",
            "domain": DOMAIN,
            "service": action,
            "service_data": data,
            "return_response": True,
        }
    )
    answer = await client.receive_json()
    assert answer["error"]["translation_domain"] == DOMAIN
    told = [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert [record.exc_info for record in told] == [None]
