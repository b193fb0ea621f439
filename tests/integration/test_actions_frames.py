"""Actions for stored frames: listed page by page, and put into a folder of their own."""

from pathlib import Path
from typing import Any

import pytest
from homeassistant.components import media_source
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, MqttMockHAClient

from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import CommandError, Reply
from tests.integration.brokerage import commands, sent
from tests.integration.speakers import Bridge, Processor
from tests.integration.theatre import PICTURE, FakeProcessor

PROCESSOR = "skylapse/processor/command"
DAY = "2026-06-21"


def stored(seq: int, **changes: Any) -> dict[str, object]:
    """Return a frame as the processor lists it."""
    stem = f"20260621T18{seq:02d}00000000Z-00112233445566ff-{seq}"
    return {
        "frame": f"roof/west/{stem}",
        "captured_at": f"2026-06-21T18:{seq:02d}:00.000000Z",
        "day": DAY,
        "window": "sunset-20260621",
        "schedule": "sunset",
        "profile": "f",
        "test_id": None,
        "state": "good",
        **changes,
    }


@pytest.fixture
async def spoken(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    processor_server: FakeProcessor,
) -> MockConfigEntry:
    """The entry when everybody has spoken and three frames are stored."""
    processor_server.frames = [stored(1), stored(2, test_id="warm-a"), stored(3, state="bad")]
    await bridge.tell_all()
    await processor.tell_all()
    return loaded


def call(hass: HomeAssistant, action: str, **data: Any) -> Any:
    """Begin an action with response; it waits for a reply."""
    calling = hass.services.async_call(DOMAIN, action, data, blocking=True, return_response=True)
    return hass.async_create_background_task(calling, action)


async def test_frames_are_listed_page_by_page(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    first = await call(hass, "list_frames", camera="image.roof_west", limit=2)
    assert (first["camera"], first["day"]) == ("roof/west", DAY)
    assert [frame["test_id"] for frame in first["frames"]] == [None, "warm-a"]
    rest = await call(hass, "list_frames", camera="roof/west", limit=2, cursor=first["cursor"])
    assert [frame["state"] for frame in rest["frames"]] == ["bad"]
    assert rest["cursor"] is None


async def test_a_listed_frame_opens_without_signing_in(
    hass: HomeAssistant, spoken: MockConfigEntry, hass_client_no_auth: ClientSessionGenerator
) -> None:
    (frame, *_) = (await call(hass, "list_frames", camera="roof/west"))["frames"]
    assert frame["media_content_id"] == f"media-source://skylapse/frame/{frame['frame']}"
    client = await hass_client_no_auth()
    for path in (frame["picture"], frame["thumbnail"]):
        assert (await client.get(path)).status == 200
    assert await (await client.get(frame["picture"])).read() == PICTURE
    assert (await client.get(frame["picture"].partition("?")[0])).status == 401


async def test_frames_of_a_schedule_and_a_profile_are_asked_for_by_name(
    hass: HomeAssistant, spoken: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    processor_server.asked.clear()
    data = {"day": "2026-06-20", "schedule": "Sunset", "profile": "Mountain spot"}
    assert (await call(hass, "list_frames", camera="roof/west", **data))["frames"] == []
    (asked,) = processor_server.asked
    assert "day=2026-06-20" in asked
    assert "profile=f&" in f"{asked}&"
    assert "window=sunset-20260620" in asked


@pytest.mark.parametrize("action", ["list_frames", "export_frames", "render"])
@pytest.mark.parametrize("asked", ["nix", "Nix"])
@pytest.mark.parametrize("kind", ["schedule", "profile"])
async def test_what_is_no_schedule_and_no_profile_is_said_by_every_action(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, action: str, asked: str, kind: str
) -> None:
    with pytest.raises(ServiceValidationError, match=f"There is no {kind} {asked}") as raised:
        await call(hass, action, camera="roof/west", **{kind: asked})
    assert raised.value.translation_key == f"{kind}_unknown"
    assert commands(mqtt, PROCESSOR) == []


@pytest.mark.parametrize("kind", ["schedule", "profile"])
async def test_what_is_gone_is_meant_by_its_id_where_frames_of_it_are_stored(
    hass: HomeAssistant, spoken: MockConfigEntry, processor_server: FakeProcessor, kind: str
) -> None:
    gone = {"window": "gone-20260621", "schedule": "gone", "profile": "gone"}
    processor_server.frames.append(stored(4, **gone))
    answer = await call(hass, "list_frames", camera="roof/west", **{kind: "gone"})
    assert [frame[kind] for frame in answer["frames"]] == ["gone"]


async def test_a_processor_that_cannot_tell_whose_frames_are_stored_says_so_itself(
    hass: HomeAssistant, spoken: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    processor_server.broken = 500
    with pytest.raises(HomeAssistantError) as raised:
        await call(hass, "list_frames", camera="roof/west", schedule="gone")
    assert raised.value.translation_key == "processor_failed"


async def test_names_are_meant_in_capitals_or_not_while_that_is_only_one(
    hass: HomeAssistant, spoken: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    processor_server.asked.clear()
    await call(hass, "list_frames", camera="roof/west", profile="mountain SPOT", schedule="sunSET")
    assert {"profile=f", "window=sunset-20260621"} <= set(
        processor_server.asked[0].partition("?")[2].split("&")
    )
    other = next(each for each in spoken.subentries.values() if each.unique_id == "a")
    hass.config_entries.async_update_subentry(spoken, other, title="MOUNTAIN SPOT")
    await hass.async_block_till_done(wait_background_tasks=True)
    with pytest.raises(ServiceValidationError, match=r"mountain spot may mean several: .* of a, f"):
        await call(hass, "list_frames", camera="roof/west", profile="mountain spot")
    assert (await call(hass, "list_frames", camera="roof/west", profile="MOUNTAIN SPOT"))["frames"] == []


async def test_a_camera_that_the_processor_does_not_know_has_no_frames(
    hass: HomeAssistant, spoken: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    processor_server.broken = 404
    with pytest.raises(ServiceValidationError, match="No frames of roof/west are stored yet"):
        await call(hass, "list_frames", camera="roof/west")


async def test_a_cursor_that_is_none_is_said_to_be_none(
    hass: HomeAssistant, spoken: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    processor_server.broken = 400
    with pytest.raises(ServiceValidationError, match="The cursor junk is none") as raised:
        await call(hass, "list_frames", camera="roof/west", cursor="junk")
    assert raised.value.translation_key == "cursor_unknown"
    with pytest.raises(HomeAssistantError) as failed:
        await call(hass, "list_frames", camera="roof/west")
    assert failed.value.translation_key == "processor_failed"


async def test_a_list_that_does_not_fit_is_an_error(
    hass: HomeAssistant, spoken: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    processor_server.frames = [{"day": DAY, "frame": "somewhere"}]
    with pytest.raises(HomeAssistantError, match="the processor's frames do not fit") as raised:
        await call(hass, "list_frames", camera="roof/west")
    assert raised.value.translation_key == "processor_failed"


async def test_frames_are_exported_into_a_folder(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, processor: Processor
) -> None:
    task = call(hass, "export_frames", camera="roof/west", schedule="sunset")
    command = await sent(mqtt, PROCESSOR)
    assert command.name == "export"
    assert command.args == {"camera": "roof/west", "day": DAY, "window": "sunset-20260621"}
    result = {"export": "e1", "folder": "/store/exports/e1", "frames": 3, "bytes": 9, "done": True}
    await processor.reply(Reply(id=command.id, ok=True, result=result))
    assert await task == {**result, "media_content_id": None}


@pytest.fixture
def shared_store(hass: HomeAssistant, tmp_path: Path) -> None:
    """The processor's store among Home Assistant's media, with an export in it."""
    hass.config.media_dirs = {"other": str(tmp_path / "other"), "local": str(tmp_path / "media")}
    store = tmp_path / "media" / "skylapse"
    (store / "exports" / "e1").mkdir(parents=True)
    (store / ".skylapse-processor").write_text("house boot-p")


async def test_an_export_in_a_shared_folder_is_in_the_media_browser(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    shared_store: None,
    spoken: MockConfigEntry,
    processor: Processor,
) -> None:
    task = call(hass, "export_frames", camera="roof/west", day=DAY)
    command = await sent(mqtt, PROCESSOR)
    result = {"export": "e1", "folder": "/media/skylapse/exports/e1", "frames": 3, "bytes": 9, "done": True}
    await processor.reply(Reply(id=command.id, ok=True, result=result))
    answer = await task
    assert answer["media_content_id"] == "media-source://media_source/local/skylapse/exports/e1"
    assert (await media_source.async_browse_media(hass, answer["media_content_id"])).title == "e1"


async def test_an_export_that_is_refused_says_why(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, processor: Processor
) -> None:
    task = call(
        hass, "export_frames", camera="roof/west", start="2026-06-21 20:00:00", end="2026-06-21 21:00:00"
    )
    command = await sent(mqtt, PROCESSOR)
    assert command.args["from"] == "2026-06-21T18:00:00.000000Z"
    error = CommandError(code="no_room", message="the disk is full")
    await processor.reply(Reply(id=command.id, ok=False, error=error))
    with pytest.raises(HomeAssistantError, match="processor refused: the disk is full"):
        await task


async def test_a_processor_that_never_announced_itself_shares_nothing(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await bridge.tell_all()
    await processor.say(topics.PROCESSOR_AVAILABILITY, "online")
    task = call(hass, "export_frames", camera="roof/west", day=DAY)
    await processor.reply(Reply(id=(await sent(mqtt, PROCESSOR)).id, ok=True, result={"export": "e1"}))
    assert await task == {"export": "e1", "media_content_id": None}


@pytest.mark.parametrize(
    ("action", "given", "field"),
    [("export_frames", {}, "export"), ("render", {"wait_s": 30}, "job")],
)
@pytest.mark.parametrize("found", [{}, {"export": "", "job": 7}])
async def test_an_answer_that_lacks_what_was_asked_for_is_no_success(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    processor: Processor,
    action: str,
    given: dict[str, Any],
    field: str,
    found: dict[str, Any],
) -> None:
    task = call(hass, action, camera="roof/west", day=DAY, **given)
    result = found if field == "job" else {key: value for key, value in found.items() if key == "export"}
    await processor.reply(Reply(id=(await sent(mqtt, PROCESSOR)).id, ok=True, result=result))
    with pytest.raises(HomeAssistantError, match=f"without {field}") as raised:
        await task
    assert raised.value.translation_key == "answer_unfit"
