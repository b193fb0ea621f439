"""The processor's store where Home Assistant sees it as a folder: found by its mark, read, left in doubt."""

from dataclasses import replace
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from homeassistant.components import media_source
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, WebSocketGenerator

from custom_components.skylapse.media import shared
from custom_components.skylapse.media.files import film_file, frame_file, result_file
from custom_components.skylapse.protocol.identifiers import CameraName
from tests.integration.browsing import SOURCE
from tests.integration.speakers import FILM, FRAME, KEOGRAM, Processor
from tests.integration.theatre import PICTURE, POSTER, VIDEO, FakeProcessor

ROOT = Path(__file__).parents[2]
FILM_URI = f"{SOURCE}/film/{FILM.id}"
STORED_FILM = b"a film that lies here" * 100
STORED_PICTURE = b"a picture that lies here"
MARK = "house boot-p"
"""What the processor of these tests announces: its name and its start."""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a store be looked for again whenever it is asked for."""
    monkeypatch.setattr(shared, "LOOK_AGAIN_S", 0.0)


@pytest.fixture
def media(hass: HomeAssistant, tmp_path: Path) -> Path:
    """The folder of Home Assistant's media."""
    folder = tmp_path / "media"
    folder.mkdir()
    hass.config.media_dirs = {"local": str(folder), "gone": str(tmp_path / "gone")}
    return folder


def fill(store: Path, mark: str = MARK) -> Path:
    """Make a store with a film, its poster, a result and two frames."""
    files = {
        shared.MARKER: f"{mark}\n".encode(),
        f"films/roof/west/2026-06-21/{FILM.id}.mp4": STORED_FILM,
        f"films/roof/west/2026-06-21/{FILM.id}.poster.jpg": STORED_PICTURE,
        f"results/roof/west/2026-06-21/{KEOGRAM.id}.jpg": STORED_PICTURE,
        f"frames/roof/west/2026-06-20/{FRAME.name.stem}.jpg": STORED_PICTURE,
    }
    for name, content in files.items():
        path = store / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return store


@pytest.fixture
async def known(hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor) -> MockConfigEntry:
    """The entry that knows the film and the result of the store."""
    await processor.film(replace(FILM, change="changed", bytes=len(STORED_FILM)))
    await processor.result(replace(KEOGRAM, bytes=len(STORED_PICTURE)))
    return spoken


PATHS = {
    f"film/{FILM.id}/r/film.mp4": (STORED_FILM, VIDEO),
    f"film/{FILM.id}/r/poster.jpg": (STORED_PICTURE, POSTER),
    f"result/{KEOGRAM.id}/r/picture.jpg": (STORED_PICTURE, PICTURE),
    f"frame/{FRAME.name}/picture.jpg": (STORED_PICTURE, PICTURE),
}


@pytest.mark.parametrize("place", [".", "skylapse", "nas/skylapse"])
async def test_what_lies_here_is_served_from_here(
    known: MockConfigEntry,
    media: Path,
    processor_server: FakeProcessor,
    hass_client: ClientSessionGenerator,
    place: str,
) -> None:
    fill(media / place)
    processor_server.broken = HTTPStatus.SERVICE_UNAVAILABLE
    client = await hass_client()
    for path, (stored, _) in PATHS.items():
        answer = await client.get(f"/api/skylapse/{path}")
        assert (answer.status, await answer.read()) == (HTTPStatus.OK, stored), path
        assert answer.headers["Content-Type"] == ("video/mp4" if path.endswith("mp4") else "image/jpeg")


async def test_a_film_that_lies_here_plays_by_range_and_by_a_signed_address(
    hass: HomeAssistant,
    known: MockConfigEntry,
    media: Path,
    hass_ws_client: WebSocketGenerator,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    fill(media / "skylapse")
    asker = await hass_ws_client(hass)
    await asker.send_json_auto_id({"type": "media_source/resolve_media", "media_content_id": FILM_URI})
    url = (await asker.receive_json())["result"]["url"]
    client = await hass_client_no_auth()
    part = await client.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status, await part.read()) == (HTTPStatus.PARTIAL_CONTENT, STORED_FILM[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(STORED_FILM)}"
    assert part.headers["Accept-Ranges"] == "bytes"
    head = await client.head(url)
    assert (head.status, head.headers["Content-Length"]) == (HTTPStatus.OK, str(len(STORED_FILM)))
    again = await client.get(url, headers={"If-None-Match": head.headers["ETag"]})
    assert again.status == HTTPStatus.NOT_MODIFIED
    beyond = await client.get(url, headers={"Range": "bytes=999999-"})
    assert beyond.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE


async def test_the_store_of_another_start_or_processor_is_not_read(
    known: MockConfigEntry, media: Path, hass_client: ClientSessionGenerator
) -> None:
    client = await hass_client()
    for mark in ("house boot-q", "other boot-p", "", "house boot-p and more", "house"):
        fill(media / "skylapse", mark)
        for path, (_, fetched) in PATHS.items():
            assert await (await client.get(f"/api/skylapse/{path}")).read() == fetched, mark


async def test_what_is_missing_or_not_as_long_is_fetched(
    known: MockConfigEntry, media: Path, hass_client: ClientSessionGenerator
) -> None:
    store = fill(media / "skylapse")
    film = store / f"films/roof/west/2026-06-21/{FILM.id}.mp4"
    client = await hass_client()
    film.write_bytes(STORED_FILM[:-1])
    path = f"/api/skylapse/film/{FILM.id}/r/film.mp4"
    assert await (await client.get(path)).read() == VIDEO
    film.write_bytes(STORED_FILM)
    assert await (await client.get(path)).read() == STORED_FILM
    film.unlink()
    assert await (await client.get(path)).read() == VIDEO


async def test_a_link_that_leads_out_of_the_store_is_not_followed(
    known: MockConfigEntry, media: Path, tmp_path: Path, hass_client: ClientSessionGenerator
) -> None:
    store = fill(media / "skylapse")
    secret = tmp_path / "secrets.yaml"
    secret.write_bytes(b"s" * len(STORED_FILM))
    film = store / f"films/roof/west/2026-06-21/{FILM.id}.mp4"
    film.unlink()
    film.symlink_to(secret)
    answer = await (await hass_client()).get(f"/api/skylapse/film/{FILM.id}/r/film.mp4")
    assert await answer.read() == VIDEO


async def test_a_store_that_is_mounted_later_is_found_and_one_that_goes_is_left(
    known: MockConfigEntry, media: Path, hass_client: ClientSessionGenerator
) -> None:
    client = await hass_client()
    path = f"/api/skylapse/film/{FILM.id}/r/film.mp4"
    assert await (await client.get(path)).read() == VIDEO
    store = fill(media / "skylapse")
    assert await (await client.get(path)).read() == STORED_FILM
    store.rename(media.parent / "unmounted")
    assert await (await client.get(path)).read() == VIDEO


async def test_a_store_that_is_not_here_is_not_sought_all_the_time(
    known: MockConfigEntry, media: Path, hass_client: ClientSessionGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "LOOK_AGAIN_S", 3600.0)
    client = await hass_client()
    path = f"/api/skylapse/film/{FILM.id}/r/film.mp4"
    assert await (await client.get(path)).read() == VIDEO
    fill(media / "skylapse")
    assert await (await client.get(path)).read() == VIDEO, "looked for again after a while"


async def test_a_film_that_is_filed_nowhere_is_fetched(
    known: MockConfigEntry, media: Path, processor: Processor, hass_client: ClientSessionGenerator
) -> None:
    fill(media / "skylapse")
    await processor.film(replace(FILM, change="changed", day="../../../2026-06-21"))
    answer = await (await hass_client()).get(f"/api/skylapse/film/{FILM.id}/r/film.mp4")
    assert await answer.read() == VIDEO


async def test_programs_in_the_house_get_the_file_itself(
    hass: HomeAssistant, known: MockConfigEntry, media: Path
) -> None:
    for what in (FILM_URI, f"{SOURCE}/frame/{FRAME.name}", f"{SOURCE}/result/{KEOGRAM.id}"):
        assert (await media_source.async_resolve_media(hass, what, None)).path is None
    fill(media / "skylapse")
    found = await media_source.async_resolve_media(hass, FILM_URI, None)
    assert found.path == media / f"skylapse/films/roof/west/2026-06-21/{FILM.id}.mp4"
    frame = await media_source.async_resolve_media(hass, f"{SOURCE}/frame/{FRAME.name}", None)
    assert frame.path is not None
    assert frame.path.read_bytes() == STORED_PICTURE


@pytest.mark.parametrize("entry_data", [{"root": "skylapse"}])
async def test_without_an_announced_processor_nothing_is_looked_for(
    hass: HomeAssistant, loaded: MockConfigEntry, media: Path
) -> None:
    fill(media / "skylapse")
    store = loaded.runtime_data.coordinator.shared
    assert await store.async_find(None, film_file(FILM.id, "film", FILM)) is None


def test_files_lie_where_the_processor_puts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("protocol", "processor"):
        monkeypatch.syspath_prepend(str(ROOT / folder))
    layout = import_module("skylapse_processor.store.layout")
    camera: Any = CameraName.parse(FILM.camera)
    store = layout.Layout(root=Path(), state=Path("state"))
    frame: Any = FRAME.name
    zone = dt_util.get_time_zone("Europe/Vienna")
    assert zone is not None
    wanted = {
        store.film(camera, FILM.day, FILM.id): film_file(FILM.id, "film", FILM),
        store.poster(camera, FILM.day, FILM.id): film_file(FILM.id, "poster", FILM),
        store.film_thumb(camera, FILM.day, FILM.id): film_file(FILM.id, "thumb", FILM),
        store.result(camera, KEOGRAM.day, KEOGRAM.id): result_file(KEOGRAM.id, thumb=False, result=KEOGRAM),
        store.result_thumb(camera, KEOGRAM.day, KEOGRAM.id): result_file(
            KEOGRAM.id, thumb=True, result=KEOGRAM
        ),
        store.picture(frame, FRAME.day): frame_file(FRAME.name, zone, thumb=False),
        store.thumb(frame, FRAME.day): frame_file(FRAME.name, zone, thumb=True),
    }
    for path, file in wanted.items():
        assert file.stored[0] == path.as_posix()
    assert layout.MARKER == shared.MARKER
