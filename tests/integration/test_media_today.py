"""The film of today in the media browser: it lies above the days, and players follow its playlist."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components import media_source
from homeassistant.components.media_player import BrowseError
from homeassistant.components.media_source import Unresolvable
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, WebSocketGenerator

from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import StoreState
from tests.integration.browsing import SOURCE, browse, titles
from tests.integration.speakers import FILM, FRAME, KEOGRAM, Processor
from tests.integration.theatre import VIDEO, FakeProcessor

TODAY_URI = f"{SOURCE}/today/roof/west"


@pytest.fixture
async def growing(spoken: MockConfigEntry, processor: Processor) -> MockConfigEntry:
    """The entry while a film of the camera grows."""
    state = StoreState(
        day="2026-06-21",
        frames_today=236,
        frames=236,
        last_frame=str(FRAME.name),
        film_of_today="00000000000000aa",
    )
    await processor.say(topics.STORE_STATE, state, bridge="roof", camera="west")
    return spoken


async def test_the_film_that_grows_lies_above_the_days(hass: HomeAssistant, growing: MockConfigEntry) -> None:
    camera = await browse(hass, f"{SOURCE}/films/roof/west")
    assert titles(camera) == ["Today (live)", "2026-06-21"]
    today = camera.children[0]
    assert (today.media_content_id, today.can_play) == (TODAY_URI, True)
    assert today.thumbnail == f"/api/skylapse/frame/{FRAME.name}/thumb.jpg"
    assert (await browse(hass, TODAY_URI)).title == "Today (live)"
    assert titles(await browse(hass, f"{SOURCE}/films")) == ["West"]


async def test_a_camera_whose_first_film_grows_is_listed(
    hass: HomeAssistant, growing: MockConfigEntry, processor: Processor
) -> None:
    await processor.film(replace(FILM, change="removed"))
    assert titles(await browse(hass, f"{SOURCE}/films")) == ["West"]
    assert titles(await browse(hass, f"{SOURCE}/films/roof/west")) == ["Today (live)"]


async def test_all_of_today_lies_together(
    hass: HomeAssistant, growing: MockConfigEntry, processor: Processor
) -> None:
    await processor.result(KEOGRAM)
    await processor.film(replace(FILM, id="00000000000000f5", camera="barn/east", day="2026-06-21"))
    await processor.film(replace(FILM, id="00000000000000f6", day="2026-06-20"))
    root = await browse(hass, SOURCE)
    assert titles(root)[0] == "Today (live)"
    assert root.children[0].thumbnail == f"/api/skylapse/frame/{FRAME.name}/thumb.jpg"
    today = await browse(hass, root.children[0].media_content_id)
    assert [child.media_content_id.removeprefix(f"{SOURCE}/") for child in today.children] == [
        "today/roof/west",
        f"film/{FILM.id}",
        f"result/{KEOGRAM.id}",
    ]
    assert titles(today)[0] == "West"


async def test_what_tells_things_of_a_day_apart_stands_where_no_grid_cuts_it(
    hass: HomeAssistant, growing: MockConfigEntry, processor: Processor
) -> None:
    await processor.film(replace(FILM, change="changed", title="West · 2026-06-21 · Sunset · f"))
    best: Any = {"kind": "best_frame", "title": "West · Best frame 21:04 · 2026-06-21"}
    await processor.result(replace(KEOGRAM, **best))
    today = await browse(hass, f"{SOURCE}/today")
    assert titles(today) == ["West", "Sunset · f · West · 2026-06-21", "Best frame 21:04 · 2026-06-21 · West"]
    assert [(await browse(hass, child.media_content_id)).title for child in today.children[1:]] == titles(
        today
    )[1:]


async def test_today_is_the_day_of_the_house_where_nothing_grows(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor, freezer: FrozenDateTimeFactory
) -> None:
    freezer.move_to(datetime(2026, 11, 22, 23, 30, tzinfo=UTC))
    for number, day in enumerate(("2026-11-22", "2026-11-23", "2026-11-24")):
        await processor.film(replace(FILM, id=f"00000000000000f{number + 5}", day=day, title=f"Of {day}"))
    assert titles(await browse(hass, f"{SOURCE}/today")) == ["Of 2026-11-23"]


async def test_no_film_grows_where_the_processor_names_none(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    with pytest.raises(BrowseError):
        await browse(hass, TODAY_URI)
    with pytest.raises(Unresolvable):
        await media_source.async_resolve_media(hass, TODAY_URI, None)


async def test_players_follow_the_playlist_without_signing_in(
    hass: HomeAssistant,
    growing: MockConfigEntry,
    hass_ws_client: WebSocketGenerator,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    asker = await hass_ws_client(hass)
    await asker.send_json_auto_id({"type": "media_source/resolve_media", "media_content_id": TODAY_URI})
    found = (await asker.receive_json())["result"]
    assert found["mime_type"] == "application/x-mpegURL"
    client = await hass_client_no_auth()
    answer = await client.get(found["url"])
    text = await answer.text()
    assert (answer.status, answer.content_type) == (HTTPStatus.OK, "application/vnd.apple.mpegurl")
    addresses = re.findall(r'^/\S+|(?<=URI=")[^"]+', text, re.MULTILINE)
    assert len(addresses) == len(re.findall(r"00000000000000aa", text)) == 5
    for address, parts in zip(addresses, ("", "", "7-7", "8-8", "7-8"), strict=True):
        segment = await client.get(address)
        assert (segment.status, await segment.read()) == (HTTPStatus.OK, VIDEO + parts.encode())
        bare = await client.get(address.partition("?")[0])
        assert bare.status == HTTPStatus.UNAUTHORIZED
    others = await client.get(addresses[-1].replace("parts=7-8", "parts=7-9"))
    assert others.status == HTTPStatus.UNAUTHORIZED
    assert addresses[-1].partition("?")[0] == addresses[-2].partition("?")[0], "of one segment for a player"
    assert await (await client.get(found["url"])).text() == text, "a player sees no other names"


async def test_a_playlist_that_has_not_changed_is_not_sent_again(
    hass: HomeAssistant,
    growing: MockConfigEntry,
    processor_server: FakeProcessor,
    hass_client: ClientSessionGenerator,
) -> None:
    client = await hass_client()
    path = "/api/skylapse/today/roof/west/00000000000000aa.m3u8"
    first = await client.get(path)
    asked = {"If-None-Match": first.headers["ETag"]}
    again = await client.get(path, headers=asked)
    assert (again.status, await again.read()) == (HTTPStatus.NOT_MODIFIED, b"")
    processor_server.playlist = "#EXTINF:0.133333,\n00000000000000aa-000000.m4s?parts=1-4\n"
    grown = await client.get(path, headers=asked)
    assert grown.status == HTTPStatus.OK
    assert "00000000000000aa-000000.m4s?parts=1-4&authSig=" in await grown.text()
    assert grown.headers["ETag"] != first.headers["ETag"]


YOUNG = "#EXT-X-PART-INF:PART-TARGET=0.800000\n#EXTINF:{:.6f},\n00000000000000aa-000000.m4s?parts=1-4\n"


async def test_a_film_is_its_newest_picture_until_a_segment_is_whole(
    hass: HomeAssistant, growing: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    processor_server.playlist = YOUNG.format(23 / 30)
    found = await media_source.async_resolve_media(hass, TODAY_URI, None)
    assert (found.url, found.mime_type) == (f"/api/skylapse/frame/{FRAME.name}/picture.jpg", "image/jpeg")
    on_a_screen = await media_source.async_resolve_media(hass, TODAY_URI, "media_player.tv")
    assert on_a_screen.mime_type == "application/x-mpegURL", "a screen asks once"
    processor_server.playlist = YOUNG.format(23 / 30) + "#EXT-X-ENDLIST\n"
    found = await media_source.async_resolve_media(hass, TODAY_URI, None)
    assert found.mime_type == "application/x-mpegURL", "no more will come"
    processor_server.playlist = YOUNG.format(24 / 30)
    found = await media_source.async_resolve_media(hass, TODAY_URI, None)
    assert found.mime_type == "application/x-mpegURL"


async def test_a_player_is_given_the_film_and_not_whatever_the_camera_makes_next(
    hass: HomeAssistant, growing: MockConfigEntry, processor: Processor
) -> None:
    before = await media_source.async_resolve_media(hass, TODAY_URI, None)
    assert before.url == "/api/skylapse/today/roof/west/00000000000000aa.m3u8"
    state = StoreState(day="2026-06-21", frames=237, film_of_today="00000000000000bb")
    await processor.say(topics.STORE_STATE, state, bridge="roof", camera="west")
    after = await media_source.async_resolve_media(hass, TODAY_URI, None)
    assert after.url == "/api/skylapse/today/roof/west/00000000000000bb.m3u8"


async def test_a_film_that_nobody_can_measure_is_left_to_the_player(
    hass: HomeAssistant, growing: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    processor_server.broken = HTTPStatus.INTERNAL_SERVER_ERROR
    found = await media_source.async_resolve_media(hass, TODAY_URI, None)
    assert found.mime_type == "application/x-mpegURL"


@pytest.mark.parametrize(
    ("camera", "file"),
    [
        ("roof/east", "00000000000000aa.m3u8"),
        ("roof/west", "secrets.yaml"),
        ("roof/west", "../films/1-1.mp4"),
        ("roof/west", "00000000000000aa-000001.m4s?parts=7-x"),
    ],
)
async def test_of_a_film_that_grows_nothing_else_is_served(
    growing: MockConfigEntry, hass_client: ClientSessionGenerator, camera: str, file: str
) -> None:
    answer = await (await hass_client()).get(f"/api/skylapse/today/{camera}/{file}")
    assert answer.status == HTTPStatus.NOT_FOUND


async def test_a_processor_that_cannot_say_what_grows_is_a_bad_gateway(
    growing: MockConfigEntry, processor_server: FakeProcessor, hass_client: ClientSessionGenerator
) -> None:
    client = await hass_client()
    processor_server.broken = HTTPStatus.INTERNAL_SERVER_ERROR
    answer = await client.get("/api/skylapse/today/roof/west/00000000000000aa.m3u8")
    assert answer.status == HTTPStatus.BAD_GATEWAY
