"""Pictures on the dashboard: the latest frame, the latest film, and what a camera sees now."""

from dataclasses import replace
from datetime import timedelta

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.camera import async_get_image as async_get_camera_image
from homeassistant.components.image import async_get_image
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.facts import Subject
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import CommandError, Reply, StoreState
from tests.integration.brokerage import commands, sent
from tests.integration.dashboard import attributes, state
from tests.integration.speakers import FILM, JPEG, NOW, STATE, Bridge, Processor
from tests.integration.theatre import PICTURE, POSTER, FakeProcessor

COMMAND = "skylapse/roof/west/command"
PREVIEW = "camera.roof_west_preview"


async def test_the_latest_frame_is_the_bridges_preview(
    hass: HomeAssistant, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    image = await async_get_image(hass, "image.roof_west")
    assert (image.content_type, image.content) == ("image/jpeg", JPEG)
    before = state(hass, "image.roof_west")
    await bridge.say(topics.STATE, STATE)
    assert state(hass, "image.roof_west") == before
    await bridge.say(topics.PREVIEW, JPEG + b"2")
    assert state(hass, "image.roof_west") > before


async def test_after_a_restart_the_latest_frame_comes_from_the_store(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    await bridge.arrive()
    with pytest.raises(HomeAssistantError):
        await async_get_image(hass, "image.roof_west")
    await processor.tell_all()
    assert state(hass, "image.roof_west") == NOW.isoformat()
    assert (await async_get_image(hass, "image.roof_west")).content == PICTURE
    await processor.say(topics.STORE_STATE, StoreState(last_frame="no frame"), bridge="roof", camera="west")
    assert state(hass, "image.roof_west") == STATE_UNKNOWN


async def test_the_latest_film_is_shown_by_its_poster(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor, processor_server: FakeProcessor
) -> None:
    assert (await async_get_image(hass, "image.roof_west_film")).content == POSTER
    newer = replace(FILM, id="00000000000000f2", created_at=FILM.created_at + timedelta(days=1))
    await processor.film(newer)
    assert state(hass, "image.roof_west_film") == "2026-06-22T20:00:00+00:00"
    await processor.film(replace(newer, change="removed"))
    assert state(hass, "image.roof_west_film") == "2026-06-21T20:00:00+00:00"
    processor_server.broken = 500
    with pytest.raises(HomeAssistantError, match="answered 500"):
        await async_get_image(hass, "image.roof_west_film")


async def test_an_address_of_a_picture_is_given_only_where_there_is_one(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> None:
    def addresses() -> dict[str, bool]:
        return {
            each.entity_id: "entity_picture" in each.attributes for each in hass.states.async_all("image")
        }

    await bridge.arrive()
    await processor.arrive()
    assert addresses() == {"image.roof_west": False, "image.roof_west_film": False}
    await bridge.say(topics.PREVIEW, JPEG)
    assert addresses() == {"image.roof_west": True, "image.roof_west_film": False}
    await processor.film(FILM)
    assert addresses() == {"image.roof_west": True, "image.roof_west_film": True}
    await processor.film(replace(FILM, change="removed"))
    assert addresses() == {"image.roof_west": True, "image.roof_west_film": False}


@pytest.mark.parametrize("entry_data", [{"root": "skylapse"}])
async def test_without_a_processors_key_there_is_no_poster(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    with pytest.raises(HomeAssistantError):
        await async_get_image(hass, "image.roof_west_film")
    assert state(hass, "sensor.roof_west_last_film_made") == "2026-06-21T20:00:00+00:00"


async def test_the_last_film_says_how_to_play_it(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    found = hass.states.get("sensor.roof_west_last_film_made")
    assert found is not None
    assert found.attributes["media_content_id"] == f"media-source://skylapse/film/{FILM.id}"
    assert found.attributes["frames"] == 240


# ---------------------------------------------------------------- the camera


async def test_whoever_looks_sees_what_the_camera_sees_now(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
    freezer: FrozenDateTimeFactory,
) -> None:
    await bridge.say(topics.PREVIEW, JPEG)
    assert (await async_get_camera_image(hass, PREVIEW)).content == JPEG
    assert commands(mqtt, COMMAND) == []
    freezer.tick(timedelta(seconds=10))
    looks = [
        hass.async_create_background_task(async_get_camera_image(hass, PREVIEW), f"look {number}")
        for number in range(2)
    ]
    command = await sent(mqtt, COMMAND)
    assert (command.name, command.args) == ("preview", {})
    await bridge.reply(Reply(id=command.id, ok=True, result={"bytes": 20}))
    await bridge.tell(topics.PREVIEW, JPEG + b"now")
    assert [(await look).content for look in looks] == [JPEG + b"now"] * 2
    assert len(commands(mqtt, COMMAND)) == 1
    assert attributes(hass, PREVIEW)["model_name"] == "imx519"


async def test_a_camera_without_time_shows_its_last_frame(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
    freezer: FrozenDateTimeFactory,
) -> None:
    freezer.tick(timedelta(seconds=10))
    look = hass.async_create_background_task(async_get_camera_image(hass, PREVIEW), "look")
    command = await sent(mqtt, COMMAND)
    error = CommandError(code="busy", message="the plan left the camera no time")
    await bridge.reply(Reply(id=command.id, ok=False, error=error))
    assert (await look).content == JPEG


async def test_a_camera_that_never_showed_anything_shows_what_is_stored(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    processor_server: FakeProcessor,
) -> None:
    async def look_in_vain(number: int) -> bytes:
        task = hass.async_create_background_task(async_get_camera_image(hass, PREVIEW), "look")
        command = await sent(mqtt, COMMAND, number)
        await bridge.reply(
            Reply(id=command.id, ok=False, error=CommandError(code="camera_failed", message="it hangs"))
        )
        return (await task).content

    await bridge.arrive()
    await processor.tell_all()
    assert await look_in_vain(1) == PICTURE
    processor_server.broken = 500
    with pytest.raises(HomeAssistantError):
        await look_in_vain(2)


async def test_nobody_is_asked_for_the_picture_of_a_bridge_that_is_away(
    hass: HomeAssistant, mqtt: MqttMockHAClient, spoken: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.say(topics.PREVIEW, JPEG + b"last")
    entity = hass.data["entity_components"]["camera"].get_entity(PREVIEW)
    spoken.runtime_data.coordinator.system.update_camera("roof/west", online=False, seen_at=None)
    assert await entity.async_camera_image() == JPEG + b"last"
    spoken.runtime_data.coordinator.system.cameras.clear()
    assert await entity.async_camera_image() is None
    assert commands(mqtt, COMMAND) == []
    spoken.runtime_data.coordinator.async_changed({Subject(kind="camera", id="roof/west")})
    assert state(hass, "image.roof_west") == STATE_UNAVAILABLE
