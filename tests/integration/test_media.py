"""The media browser: browsing, searching, resolving, and playing with Range as every player does."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Any

import pytest
from aiohttp import ClientError
from homeassistant.components import media_source
from homeassistant.components.media_player import BrowseError, MediaClass, SearchMediaQuery
from homeassistant.components.media_source import Unresolvable
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, WebSocketGenerator

from tests.integration.speakers import FILM, FRAME, NOW, Bridge, Processor
from tests.integration.theatre import PICTURE, POSTER, THUMB, VIDEO, FakeProcessor

SOURCE = "media-source://skylapse"
FILM_URI = f"{SOURCE}/film/{FILM.id}"


@pytest.fixture
async def spoken(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, processor: Processor
) -> MockConfigEntry:
    """The entry with one film, and the media source."""
    assert await async_setup_component(hass, "media_source", {})
    await bridge.tell_all()
    await processor.tell_all()
    return loaded


async def browse(hass: HomeAssistant, where: str) -> Any:
    return await media_source.async_browse_media(hass, where)


def titles(folder: Any) -> list[str]:
    return [child.title for child in folder.children]


def many(count: int, **changes: Any) -> list[Any]:
    """Return films, one a day, into the past."""
    return [
        replace(
            FILM,
            id=f"{number + 4096:016x}",
            day=(date(2026, 6, 20) - timedelta(days=number)).isoformat(),
            created_at=FILM.created_at - timedelta(days=number + 1),
            **changes,
        )
        for number in range(count)
    ]


# ---------------------------------------------------------------- browsing


async def test_from_the_top_to_a_film(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    root = await browse(hass, SOURCE)
    assert titles(root) == ["Films", "Frames"]
    assert "Skylapse" in [child.title for child in (await browse(hass, "")).children]
    films = await browse(hass, root.children[0].media_content_id)
    assert (films.title, titles(films)) == ("Films", ["West"])
    camera = await browse(hass, films.children[0].media_content_id)
    assert titles(camera) == ["2026-06-21"]
    assert camera.children[0].media_content_id == f"{SOURCE}/films/roof/west/2026-06-21"
    day = await browse(hass, camera.children[0].media_content_id)
    film = day.children[0]
    assert (film.title, film.media_content_id) == ("Sunset", FILM_URI)
    assert film.can_play
    assert film.media_class == MediaClass.VIDEO
    assert film.thumbnail.startswith(f"/api/skylapse/film/{FILM.id}/")
    assert (await browse(hass, FILM_URI)).title == FILM.title
    assert all(folder.can_search for folder in (films, camera, day))


async def test_films_of_one_day_are_told_apart(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor
) -> None:
    others: dict[str, Any] = {"00000000000000e1": {"profile": "d"}, "00000000000000e2": {"schedule": "storm"}}
    others["00000000000000e3"] = {"schedule": None, "title": "By hand"}
    for film_id, changes in others.items():
        await processor.film(replace(FILM, id=film_id, **changes))
    day = await browse(hass, f"{SOURCE}/films/roof/west/2026-06-21")
    assert sorted(titles(day)) == ["By hand", "Sunset · Mountain spot", "Sunset · Warm dramatic", "storm"]


# ---------------------------------------------------------------- frames


async def test_frames_lie_by_camera_and_day(
    hass: HomeAssistant, spoken: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    names = [replace(FRAME, seq=seq).name for seq in range(1, 241)]
    processor_server.frames = [{"frame": str(name), "day": "2026-06-21"} for name in names]
    processor_server.frames.append({"frame": str(FRAME.name), "day": "2026-06-20"})
    root = await browse(hass, f"{SOURCE}/frames")
    assert (root.title, titles(root)) == ("Frames", ["West"])
    camera = await browse(hass, root.children[0].media_content_id)
    assert titles(camera) == ["2026-06-21", "2026-06-20"]
    day = await browse(hass, camera.children[0].media_content_id)
    assert (len(day.children), day.not_shown) == (240, 0)
    frame = day.children[0]
    assert (frame.title, frame.media_class) == ("20:00:00", MediaClass.IMAGE)
    assert frame.thumbnail == f"/api/skylapse/frame/{names[0]}/thumb.jpg"
    assert (await browse(hass, frame.media_content_id)).title == "20:00:00"
    media = await media_source.async_resolve_media(hass, frame.media_content_id, None)
    assert (media.url, media.mime_type) == (f"/api/skylapse/frame/{names[0]}/picture.jpg", "image/jpeg")


@pytest.mark.parametrize(
    ("step", "steps", "depth"),
    [
        pytest.param(timedelta(seconds=15), 5760, 2, id="a day, one every 15 s: hours"),
        pytest.param(timedelta(seconds=3), 1200, 3, id="an hour, one every 3 s: tens of minutes"),
        pytest.param(timedelta(milliseconds=200), 900, 4, id="five a second: minutes"),
    ],
)
async def test_every_frame_of_a_day_can_be_reached(
    hass: HomeAssistant,
    spoken: MockConfigEntry,
    processor_server: FakeProcessor,
    step: timedelta,
    steps: int,
    depth: int,
) -> None:
    start = datetime(2026, 6, 20, 22, 0, tzinfo=UTC)
    names = [replace(FRAME, seq=n + 1, captured_at=start + n * step).name for n in range(steps)]
    processor_server.frames = [{"frame": str(name), "day": "2026-06-21"} for name in names]
    reached: list[str] = []
    deepest = 0
    folders = [f"{SOURCE}/frames/roof/west/2026-06-21"]
    while folders:
        folder = await browse(hass, folders.pop(0))
        assert len(folder.children) <= 300
        assert folder.not_shown == 0
        if folder.children[0].can_expand:
            folders = [child.media_content_id for child in folder.children] + folders
        else:
            reached += [child.media_content_id for child in folder.children]
            deepest = max(deepest, len(folder.media_content_id.rsplit("/", 1)[1]))
    assert reached == [f"{SOURCE}/frame/{name}" for name in names]
    assert deepest == depth


async def test_the_hours_of_a_day_are_those_of_its_frames(
    hass: HomeAssistant, spoken: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    ten_s = timedelta(seconds=10)
    times = [hour + n * ten_s for hour in (NOW, NOW + timedelta(hours=3)) for n in range(200)]
    names = [replace(FRAME, seq=n + 1, captured_at=at).name for n, at in enumerate(times)]
    processor_server.frames = [{"frame": str(name), "day": "2026-06-21"} for name in names]
    day = await browse(hass, f"{SOURCE}/frames/roof/west/2026-06-21")
    assert titles(day) == ["20:00", "23:00"]
    hour = await browse(hass, day.children[1].media_content_id)
    assert (hour.title, len(hour.children), titles(hour)[:2]) == ("23:00", 200, ["23:00:00", "23:00:10"])


async def test_many_days_of_frames_lie_in_years_and_months(
    hass: HomeAssistant, spoken: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    days = [(date(2026, 6, 20) - timedelta(days=number)).isoformat() for number in range(800)]
    processor_server.frames = [{"frame": str(FRAME.name), "day": day} for day in days]
    camera = f"{SOURCE}/frames/roof/west"
    assert titles(await browse(hass, camera)) == ["2026", "2025", "2024"]
    assert titles(await browse(hass, f"{camera}/2025"))[:2] == ["2025-12", "2025-11"]
    assert len(titles(await browse(hass, f"{camera}/2024-05"))) == 31


async def test_frames_that_the_processor_cannot_list_are_said(
    hass: HomeAssistant, spoken: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    processor_server.frames = [{"frame": "no frame", "day": "2026-06-21"}]
    with pytest.raises(BrowseError, match="frames do not fit"):
        await browse(hass, f"{SOURCE}/frames/roof/west/2026-06-21")
    processor_server.broken = 500
    with pytest.raises(BrowseError, match="answered 500"):
        await browse(hass, f"{SOURCE}/frames/roof/west")


# ---------------------------------------------------------------- more films


async def test_many_days_lie_in_years_and_months(
    hass: HomeAssistant, spoken: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    spoken.runtime_data.coordinator.library.replace(many(300))
    camera = f"{SOURCE}/films/roof/west"
    assert titles(await browse(hass, camera)) == ["2026", "2025"]
    assert titles(await browse(hass, f"{camera}/2026"))[:2] == ["2026-06", "2026-05"]
    assert len(titles(await browse(hass, f"{camera}/2026-05"))) == 31
    assert titles(await browse(hass, f"{camera}/2026-05"))[0] == "2026-05-31"


async def test_a_camera_whose_bridge_is_gone_keeps_its_films(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor
) -> None:
    await processor.film(replace(FILM, id="00000000000000f5", camera="barn/east"))
    assert titles(await browse(hass, f"{SOURCE}/films")) == ["barn/east", "West"]
    assert (await browse(hass, f"{SOURCE}/films/barn/east")).title == "barn/east"


@pytest.mark.parametrize(
    "what",
    [
        "nothing",
        "film/00000000000000aa",
        "films/roof",
        "film/../x",
        "frames/roof/west/june",
        "frame/a/b/c",
        "frames/roof/west/2026-02-30",
        "frames/roof/west/2026-06-21/24",
        "frames/roof/west/2026-06/20",
    ],
)
async def test_what_is_not_there_is_said(hass: HomeAssistant, spoken: MockConfigEntry, what: str) -> None:
    with pytest.raises(BrowseError):
        await browse(hass, f"{SOURCE}/{what}")
    with pytest.raises(Unresolvable):
        await media_source.async_resolve_media(hass, f"{SOURCE}/{what}", None)


@pytest.mark.parametrize("folder", ["films", "frames", "frames/roof/west/2026-06-21"])
async def test_a_folder_cannot_be_played(hass: HomeAssistant, spoken: MockConfigEntry, folder: str) -> None:
    with pytest.raises(Unresolvable):
        await media_source.async_resolve_media(hass, f"{SOURCE}/{folder}", None)


async def test_the_list_is_read_page_by_page_when_somebody_looks(
    hass: HomeAssistant, loaded: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    assert await async_setup_component(hass, "media_source", {})
    for film in many(1100):
        processor_server.put(film)
    assert titles(await browse(hass, f"{SOURCE}/films")) == ["roof/west"]
    assert len([path for path in processor_server.asked if path.startswith("/api/v1/films?")]) == 3
    assert len(loaded.runtime_data.coordinator.library) == 1100


@pytest.mark.parametrize(("status", "words"), [(401, "does not know this key"), (500, "answered 500")])
async def test_a_processor_that_fails_is_said(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    processor_server: FakeProcessor,
    status: int,
    words: str,
) -> None:
    assert await async_setup_component(hass, "media_source", {})
    processor_server.broken = status
    with pytest.raises(BrowseError, match=words):
        await browse(hass, f"{SOURCE}/films")
    with pytest.raises(Unresolvable, match=words):
        await media_source.async_resolve_media(hass, FILM_URI, None)
    processor_server.broken = None
    assert titles(await browse(hass, f"{SOURCE}/films")) == []


@pytest.mark.parametrize("entry_data", [{"root": "skylapse"}])
async def test_without_a_processor_it_says_what_to_do(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    with pytest.raises(BrowseError, match="No processor is connected"):
        await browse(hass, f"{SOURCE}/films")


async def test_without_an_entry_it_says_so(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    await hass.config_entries.async_unload(spoken.entry_id)
    await hass.async_block_till_done()
    with pytest.raises(BrowseError, match="not loaded"):
        await browse(hass, SOURCE)


async def test_ten_thousand_films_are_browsed_and_searched_without_asking_anybody(
    hass: HomeAssistant, spoken: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    spoken.runtime_data.coordinator.library.replace(many(10_000, schedule="sunset"))
    asked = len(processor_server.asked)
    assert len(titles(await browse(hass, f"{SOURCE}/films/roof/west"))) == 28
    found = await media_source.async_search_media(
        hass, f"{SOURCE}/films", SearchMediaQuery(search_query="sunset 2020-05")
    )
    assert len(found.result) == 31
    assert len(processor_server.asked) == asked


# ---------------------------------------------------------------- searching


async def search(hass: HomeAssistant, where: str, text: str, classes: Any = None) -> list[str]:
    query = SearchMediaQuery(search_query=text, media_filter_classes=classes)
    found = await media_source.async_search_media(hass, where, query)
    return [item.media_content_id.rsplit("/", 1)[1] for item in found.result]


async def test_films_are_found_where_one_looks(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor
) -> None:
    east = replace(FILM, id="00000000000000f5", camera="roof/east", title="Storm", day="2026-06-20")
    await processor.film(east)
    assert await search(hass, f"{SOURCE}/films", "storm") == [east.id]
    assert await search(hass, SOURCE, "2026-06") == [FILM.id, east.id]
    assert await search(hass, f"{SOURCE}/films/roof/west", "storm") == []
    assert await search(hass, f"{SOURCE}/films/roof/east/2026-06", "storm") == [east.id]
    assert await search(hass, f"{SOURCE}/films/roof/east/2025", "storm") == []
    assert await search(hass, SOURCE, "sunset", [MediaClass.VIDEO]) == [FILM.id, east.id]
    assert await search(hass, SOURCE, "sunset", [MediaClass.IMAGE]) == []


async def test_the_browsers_own_messages_work(
    hass: HomeAssistant, spoken: MockConfigEntry, hass_ws_client: WebSocketGenerator
) -> None:
    client = await hass_ws_client(hass)
    await client.send_json_auto_id(
        {"type": "media_source/browse_media", "media_content_id": f"{SOURCE}/films/roof/west/2026-06-21"}
    )
    answer = await client.receive_json()
    assert answer["result"]["children"][0]["title"] == "Sunset"
    await client.send_json_auto_id(
        {"type": "media_source/search_media", "media_content_id": SOURCE, "search_query": "west"}
    )
    assert len((await client.receive_json())["result"]["result"]) == 1
    await client.send_json_auto_id({"type": "media_source/resolve_media", "media_content_id": FILM_URI})
    answer = (await client.receive_json())["result"]
    assert answer["mime_type"] == "video/mp4"
    assert "?authSig=" in answer["url"]


# ---------------------------------------------------------------- playing


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


BROKEN = [
    "film/00000000000000aa/r/film.mp4",
    "film/00000000000000aa/r/poster.jpg",
    "film/no-film/r/film.mp4",
    "film/no-film/r/thumb.jpg",
    "frame/roof/west/no-frame/thumb.jpg",
    "frame/processor/west/x/picture.jpg",
]


@pytest.mark.parametrize("path", BROKEN)
async def test_what_is_not_there_is_404(
    hass: HomeAssistant, spoken: MockConfigEntry, hass_client: ClientSessionGenerator, path: str
) -> None:
    client = await hass_client()
    assert (await client.get(f"/api/skylapse/{path}")).status == HTTPStatus.NOT_FOUND


PATHS = [
    f"film/{FILM.id}/r/film.mp4",
    f"film/{FILM.id}/r/poster.jpg",
    f"frame/{FRAME.name}/thumb.jpg",
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_processor_that_fails_is_a_bad_gateway(
    hass: HomeAssistant,
    spoken: MockConfigEntry,
    processor_server: FakeProcessor,
    hass_client: ClientSessionGenerator,
    path: str,
) -> None:
    client = await hass_client()
    processor_server.broken = 500
    assert (await client.get(f"/api/skylapse/{path}")).status == HTTPStatus.BAD_GATEWAY
    await processor_server.stop()
    assert (await client.get(f"/api/skylapse/{path}")).status == HTTPStatus.BAD_GATEWAY


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
    assert answer.status == HTTPStatus.BAD_GATEWAY


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("entry_data", [{"root": "skylapse"}])
async def test_without_a_processor_there_is_nothing(
    hass: HomeAssistant, spoken: MockConfigEntry, hass_client: ClientSessionGenerator, path: str
) -> None:
    client = await hass_client()
    assert (await client.get(f"/api/skylapse/{path}")).status == HTTPStatus.NOT_FOUND
    await hass.config_entries.async_unload(spoken.entry_id)
    await hass.async_block_till_done()
    assert (await client.get(f"/api/skylapse/{path}")).status == HTTPStatus.SERVICE_UNAVAILABLE
