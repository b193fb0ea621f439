"""The media browser: films and frames by camera and day, and what is said of what is not there."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.components import media_source
from homeassistant.components.media_player import BrowseError, MediaClass, SearchMediaQuery
from homeassistant.components.media_source import Unresolvable
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.skylapse.protocol.messages import JobState, Result
from tests.integration.browsing import SOURCE, browse, search, titles
from tests.integration.speakers import FILM, FRAME, KEOGRAM, NOW, Processor
from tests.integration.theatre import FakeProcessor

FILM_URI = f"{SOURCE}/film/{FILM.id}"


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
    assert titles(root) == ["Today (live)", "Films", "Frames"]
    assert "Skylapse" in [child.title for child in (await browse(hass, "")).children]
    films = await browse(hass, root.children[1].media_content_id)
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


async def test_films_of_one_window_are_told_apart(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor
) -> None:
    others: dict[str, Any] = {
        "00000000000000e1": {"recipe": "cinematic"},
        "00000000000000e2": {"width": 1280, "height": 720},
        "00000000000000e3": {"width": 1280, "height": 720, "codec": "av1"},
        "00000000000000e4": {"recipe": "raw"},
        "00000000000000e5": {"recipe": "raw", "created_at": FILM.created_at + timedelta(minutes=5)},
    }
    for film_id, changes in others.items():
        await processor.film(replace(FILM, id=film_id, **changes))
    day = await browse(hass, f"{SOURCE}/films/roof/west/2026-06-21")
    assert sorted(titles(day)) == [
        "Sunset · Cinematic",
        "Sunset · Clean · 1080p",
        "Sunset · Clean · 720p · av1",
        "Sunset · Clean · 720p · h264",
        "Sunset · Raw · 22:00:00",
        "Sunset · Raw · 22:05:00",
    ]
    query = SearchMediaQuery(search_query="cinematic")
    found = await media_source.async_search_media(hass, SOURCE, query)
    assert [item.title for item in found.result] == [FILM.title]
    query = SearchMediaQuery(search_query="sunset")
    found = await media_source.async_search_media(hass, SOURCE, query)
    assert len({item.title for item in found.result}) == 6


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
    days = [(date(2026, 6, 21) - timedelta(days=number)).isoformat() for number in range(800)]
    processor_server.frames = [{"frame": str(FRAME.name), "day": day} for day in days]
    camera = f"{SOURCE}/frames/roof/west"
    years = await browse(hass, camera)
    assert titles(years) == ["2026", "2025", "2024"]
    shown = years.children[0].thumbnail, years.children[1].thumbnail
    assert shown == ((await browse(hass, FILM_URI)).thumbnail, None), "a day shows a still of its film"
    assert titles(await browse(hass, f"{camera}/2025"))[:2] == ["2025-12", "2025-11"]
    assert len(titles(await browse(hass, f"{camera}/2024-05"))) == 31


async def test_pictures_that_no_browser_shows_are_left_out(
    hass: HomeAssistant, spoken: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    raw, jpeg = (replace(FRAME, seq=seq).name for seq in (1, 2))
    processor_server.frames = [
        {"frame": str(raw), "day": "2026-06-21", "media_type": "image/x-adobe-dng"},
        {"frame": str(jpeg), "day": "2026-06-21", "media_type": "image/jpeg"},
    ]
    day = await browse(hass, f"{SOURCE}/frames/roof/west/2026-06-21")
    assert [child.media_content_id for child in day.children] == [f"{SOURCE}/frame/{jpeg}"]


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
    years = await browse(hass, camera)
    assert titles(years) == ["2026", "2025"]
    assert all(year.thumbnail.startswith("/api/skylapse/film/") for year in years.children)
    assert titles(await browse(hass, f"{camera}/2026"))[:2] == ["2026-06", "2026-05"]
    assert len(titles(await browse(hass, f"{camera}/2026-05"))) == 31
    assert titles(await browse(hass, f"{camera}/2026-05"))[0] == "2026-05-31"


async def test_a_day_of_very_many_films_has_pages(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    films = [
        replace(FILM, id=f"{number:016x}", title=f"Film {number:03}", schedule=None) for number in range(230)
    ]
    spoken.runtime_data.coordinator.library.replace(films)
    day = await browse(hass, f"{SOURCE}/films/roof/west/2026-06-21")
    assert titles(day) == ["1 – 100", "101 – 200", "201 – 230"]
    assert day.children[0].thumbnail
    pages = [await browse(hass, page.media_content_id) for page in day.children]
    assert [len(page.children) for page in pages] == [100, 100, 30]
    seen = [title for page in pages for title in titles(page)]
    assert sorted(seen) == sorted(film.title for film in films)
    assert titles(await browse(hass, f"{SOURCE}/films/roof/west/2026-06-21/p9")) == []


async def test_a_camera_whose_bridge_is_gone_keeps_its_films(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor
) -> None:
    await processor.film(replace(FILM, id="00000000000000f5", camera="barn/east"))
    assert titles(await browse(hass, f"{SOURCE}/films")) == ["barn/east", "West"]
    assert (await browse(hass, f"{SOURCE}/films/barn/east")).title == "barn/east"


NOTHING = [
    "nothing",
    "film",
    "film/00000000000000AA",
    "films/roof/west/p2/p3",
    "films/roof/west/٢٠٢٦",
    "films/p2",
    "films/",
    "films/../../../etc/passwd",
    "films/roof/west/2026-06-21/p0",
    "result/00000000000000aa",
    "result/..",
    "results",
    "favourites/roof",
    "keograms/roof/..",
    "tests/nobody",
    "tests/../x",
    "today/roof",
    "today/roof/west",
    "frame/roof/west/..%2f..%2fsecrets",
    "film/00000000000000aa",
    "films/roof",
    "film/../x",
    "frames/roof/west/june",
    "frame/a/b/c",
    "frames/roof/west/2026-02-30",
    "frames/roof/west/2026-06-21/24",
    "frames/roof/west/2026-06/20",
]


async def test_what_is_not_there_is_said(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    for what in NOTHING:
        with pytest.raises(BrowseError):
            await browse(hass, f"{SOURCE}/{what}")
        with pytest.raises(Unresolvable):
            await media_source.async_resolve_media(hass, f"{SOURCE}/{what}", None)


async def test_a_folder_cannot_be_played(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    for folder in (
        "",
        "films",
        "frames",
        "frames/roof/west/2026-06-21",
        "favourites",
        "tests",
        "today",
        "keograms",
    ):
        with pytest.raises(Unresolvable):
            await media_source.async_resolve_media(hass, f"{SOURCE}/{folder}", None)


async def test_the_list_is_read_page_by_page_when_somebody_looks(
    hass: HomeAssistant, loaded: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    for film in many(1100):
        processor_server.put(film)
    assert titles(await browse(hass, f"{SOURCE}/films")) == ["roof/west"]
    assert len([path for path in processor_server.asked if path.startswith("/api/v1/films?")]) == 6
    assert len(loaded.runtime_data.coordinator.library) == 1100


async def test_what_is_heard_while_the_lists_are_read_is_not_forgotten(
    spoken: MockConfigEntry, processor: Processor
) -> None:
    coordinator = spoken.runtime_data.coordinator
    (late,) = many(1)
    read = coordinator.client.results

    async def results() -> list[Result]:
        found: list[Result] = await read()
        await processor.job(JobState(id="j1", state="running", percent=50.0))
        await processor.film(late)
        await processor.film(replace(FILM, change="removed"))
        await processor.result(KEOGRAM)
        return found

    with patch.object(coordinator.client, "results", results):
        await coordinator.async_load_library()
    assert coordinator.library.get(late.id) is not None
    assert coordinator.library.get(FILM.id) is None
    assert coordinator.library.result(KEOGRAM.id) is not None
    assert coordinator.camera(FILM.camera).film.id == late.id


@pytest.mark.parametrize(("status", "words"), [(401, "does not know this key"), (500, "answered 500")])
async def test_a_processor_that_fails_is_said(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    processor_server: FakeProcessor,
    status: int,
    words: str,
) -> None:
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


@pytest.mark.parametrize("entry_data", [{"root": "skylapse"}])
async def test_without_a_processor_there_is_no_list_to_read(spoken: MockConfigEntry) -> None:
    coordinator = spoken.runtime_data.coordinator
    await coordinator.async_load_library()
    assert not coordinator.library.complete


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
    assert len(await search(hass, f"{SOURCE}/films", "sunset 2020-05")) == 31
    assert len(processor_server.asked) == asked
