"""Playing and looking: whole and by range, with HEAD and ETag, signed in or by a signed address."""

from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus

import pytest
from aiohttp import ClientError
from homeassistant.components import media_source
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, WebSocketGenerator
from yarl import URL

from tests.integration.browsing import SOURCE, browse
from tests.integration.speakers import FILM, FRAME, Processor
from tests.integration.theatre import PICTURE, POSTER, THUMB, VIDEO, FakeProcessor

FILM_URI = f"{SOURCE}/film/{FILM.id}"


async def signed(hass: HomeAssistant, hass_ws_client: WebSocketGenerator) -> str:
    client = await hass_ws_client(hass)
    await client.send_json_auto_id({"type": "media_source/resolve_media", "media_content_id": FILM_URI})
    url: str = (await client.receive_json())["result"]["url"]
    return url


async def test_a_film_plays_by_whole_and_by_range(
    hass: HomeAssistant,
    spoken: MockConfigEntry,
    hass_ws_client: WebSocketGenerator,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    url = await signed(hass, hass_ws_client)
    client = await hass_client_no_auth()
    whole = await client.get(url)
    assert whole.status == HTTPStatus.OK
    assert await whole.read() == VIDEO
    assert whole.headers["Content-Type"] == "video/mp4"
    assert whole.headers["Accept-Ranges"] == "bytes"
    part = await client.get(url, headers={"Range": "bytes=100-299"})
    assert part.status == HTTPStatus.PARTIAL_CONTENT
    assert part.headers["Content-Range"] == f"bytes 100-299/{len(VIDEO)}"
    assert part.headers["Content-Length"] == "200"
    assert await part.read() == VIDEO[100:300]
    tail = await client.get(url, headers={"Range": "bytes=-10"})
    assert await tail.read() == VIDEO[-10:]
    head = await client.head(url)
    assert (head.status, head.headers["Content-Length"]) == (HTTPStatus.OK, str(len(VIDEO)))
    assert head.headers["Accept-Ranges"] == "bytes"
    beyond = await client.get(url, headers={"Range": "bytes=999999-"})
    assert beyond.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    assert beyond.headers["Content-Range"] == f"bytes */{len(VIDEO)}"


async def test_nobody_gets_a_film_without_a_sign_in(
    hass: HomeAssistant, spoken: MockConfigEntry, hass_client_no_auth: ClientSessionGenerator
) -> None:
    client = await hass_client_no_auth()
    media = await media_source.async_resolve_media(hass, FILM_URI, None)
    assert (await client.get(media.url)).status == HTTPStatus.UNAUTHORIZED
    thumbnail = (await browse(hass, FILM_URI)).thumbnail
    assert (await client.get(thumbnail)).status == HTTPStatus.UNAUTHORIZED


async def test_thumbnails_and_posters_may_be_kept_for_ever(
    hass: HomeAssistant, spoken: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    client = await hass_client()
    thumbnail = (await browse(hass, FILM_URI)).thumbnail
    answer = await client.get(thumbnail)
    assert (answer.status, await answer.read()) == (HTTPStatus.OK, THUMB)
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert answer.headers["Content-Type"] == "image/jpeg"
    answer = await client.get(thumbnail.replace("thumb.jpg", "poster.jpg"))
    assert await answer.read() == POSTER
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    old = await client.get(f"/api/skylapse/film/{FILM.id}/00000000/poster.jpg")
    assert (await old.read(), old.headers.get("Cache-Control")) == (POSTER, None), "not what it was made for"
    frame = f"/api/skylapse/frame/{FRAME.name}"
    assert await (await client.get(f"{frame}/picture.jpg")).read() == PICTURE
    assert await (await client.get(f"{frame}/thumb.jpg")).read() == THUMB


async def test_a_film_made_anew_has_another_address(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor
) -> None:
    before = (await browse(hass, FILM_URI)).thumbnail
    await processor.film(
        replace(FILM, change="changed", created_at=FILM.created_at + timedelta(minutes=5), bytes=6_000_000)
    )
    assert (await browse(hass, FILM_URI)).thumbnail != before


async def test_what_is_known_already_is_not_sent_again(
    hass: HomeAssistant, spoken: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    client = await hass_client()
    for path in (f"film/{FILM.id}/r/film.mp4", f"frame/{FRAME.name}/picture.jpg"):
        first = await client.get(f"/api/skylapse/{path}")
        known = {"If-None-Match": first.headers["ETag"]}
        again = await client.get(f"/api/skylapse/{path}", headers=known)
        assert (again.status, await again.read()) == (HTTPStatus.NOT_MODIFIED, b"")
        head = await client.head(f"/api/skylapse/{path}")
        assert (head.status, await head.read()) == (HTTPStatus.OK, b"")
        assert head.headers["Content-Length"] == first.headers["Content-Length"]


BROKEN = [
    "film/00000000000000aa/r/film.mp4",
    "film/00000000000000aa/r/poster.jpg",
    "film/no-film/r/film.mp4",
    "film/no-film/r/thumb.jpg",
    "frame/roof/west/no-frame/thumb.jpg",
    "frame/processor/west/x/picture.jpg",
    f"film/{FILM.id}/r/secrets.yaml",
    f"film/{FILM.id}/r/filmXmp4",
    "result/00000000000000aa/r/picture.jpg",
    "result/no-result/r/thumb.jpg",
]


async def test_what_is_not_there_is_404(
    hass: HomeAssistant, spoken: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    client = await hass_client()
    for path in BROKEN:
        assert (await client.get(f"/api/skylapse/{path}")).status == HTTPStatus.NOT_FOUND, path


@pytest.mark.parametrize("part", ["..%2F..%2Fsecrets.yaml", "..", "%00", "%2e%2e", "a%20b", "é"])
async def test_no_address_leads_out_of_the_library(
    hass: HomeAssistant,
    spoken: MockConfigEntry,
    processor_server: FakeProcessor,
    hass_client: ClientSessionGenerator,
    part: str,
) -> None:
    client = await hass_client()
    asked = len(processor_server.asked)
    for path in (
        f"film/{part}/r/film.mp4",
        f"film/{FILM.id}/r/{part}",
        f"result/{part}/r/picture.jpg",
        f"frame/{part}/west/{FRAME.name.stem}/picture.jpg",
        f"frame/roof/{part}/{FRAME.name.stem}/thumb.jpg",
        f"frame/roof/west/{part}/picture.jpg",
        f"today/roof/{part}/00000000000000aa.m3u8",
        f"today/roof/west/{part}",
    ):
        answer = await client.get(URL(f"/api/skylapse/{path}", encoded=True))
        assert answer.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND), path
    assert len(processor_server.asked) == asked, "the processor is not even asked"


PATHS = [
    f"film/{FILM.id}/r/film.mp4",
    f"film/{FILM.id}/r/poster.jpg",
    f"frame/{FRAME.name}/thumb.jpg",
]


async def test_a_processor_that_fails_is_a_bad_gateway(
    hass: HomeAssistant,
    spoken: MockConfigEntry,
    processor_server: FakeProcessor,
    hass_client: ClientSessionGenerator,
) -> None:
    client = await hass_client()
    processor_server.broken = 500
    for path in PATHS:
        assert (await client.get(f"/api/skylapse/{path}")).status == HTTPStatus.BAD_GATEWAY, path
    await processor_server.stop()
    for path in PATHS:
        assert (await client.get(f"/api/skylapse/{path}")).status == HTTPStatus.BAD_GATEWAY, path


async def test_an_answer_that_breaks_off_is_no_whole_film(
    hass: HomeAssistant,
    spoken: MockConfigEntry,
    processor_server: FakeProcessor,
    hass_client: ClientSessionGenerator,
) -> None:
    client = await hass_client()
    processor_server.cut = True
    answer = await client.get(f"/api/skylapse/film/{FILM.id}/r/film.mp4")
    with pytest.raises(ClientError):
        await answer.read()
    answer = await client.get(f"/api/skylapse/film/{FILM.id}/r/poster.jpg")
    with pytest.raises(ClientError):
        await answer.read()


@pytest.mark.parametrize("entry_data", [{"root": "skylapse"}])
async def test_without_a_processor_there_is_nothing(
    hass: HomeAssistant, spoken: MockConfigEntry, hass_client: ClientSessionGenerator
) -> None:
    client = await hass_client()
    for path in PATHS:
        assert (await client.get(f"/api/skylapse/{path}")).status == HTTPStatus.NOT_FOUND, path
    await hass.config_entries.async_unload(spoken.entry_id)
    await hass.async_block_till_done()
    for path in PATHS:
        assert (await client.get(f"/api/skylapse/{path}")).status == HTTPStatus.SERVICE_UNAVAILABLE, path
