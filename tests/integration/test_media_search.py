"""The search field of the media browser: words, date words in two languages, kinds of things, folders."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from homeassistant.components.media_player import MediaClass
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.skylapse.library import Library
from tests.integration.browsing import SOURCE, search
from tests.integration.speakers import FILM, KEOGRAM, Processor

FILM_URI = f"{SOURCE}/film/{FILM.id}"
TODAY = date(2026, 6, 24)
"""A Wednesday."""


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


async def test_people_search_by_the_names_that_they_gave(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor
) -> None:
    await processor.film(replace(FILM, title="No words"))
    for text in ("west", "mountain spot", "sunset", "clean", "ROOF"):
        assert await search(hass, SOURCE, text) == [FILM.id], text
    assert await search(hass, SOURCE, "warm dramatic") == []


async def test_results_are_found_among_the_films(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor
) -> None:
    stars = replace(KEOGRAM, id="00000000000000d2", kind="startrail", title="West", day="2026-06-20")
    for result in (KEOGRAM, stars):
        await processor.result(result)
    assert await search(hass, SOURCE, "") == [FILM.id, KEOGRAM.id, stars.id]
    assert await search(hass, SOURCE, "keogramm") == [KEOGRAM.id]
    assert (
        await search(hass, SOURCE, "Sternspuren") == await search(hass, SOURCE, "star trails") == [stars.id]
    )
    assert await search(hass, SOURCE, "west", [MediaClass.IMAGE]) == [KEOGRAM.id, stars.id]
    assert await search(hass, f"{SOURCE}/keograms", "west") == [KEOGRAM.id]
    assert await search(hass, f"{SOURCE}/star_trails/roof/west/2026-06", "") == [stars.id]
    assert await search(hass, f"{SOURCE}/films", "") == [FILM.id]


async def test_no_more_is_answered_than_anybody_looks_at(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    films = [replace(FILM, id=f"{number:016x}") for number in range(500)]
    spoken.runtime_data.coordinator.library.replace(films)
    assert len(await search(hass, SOURCE, "sunset")) == 200


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("heute", 0, 0),
        ("Gestern", 1, 1),
        ("vorgestern", 2, 2),
        ("the day before yesterday", 2, 2),
        ("diese Woche", -4, 2),
        ("letzte Woche", 3, 9),
        ("vorige woche", 3, 9),
        ("dieser Monat", -6, 23),
        ("diesen monat", -6, 23),
        ("letzten Monat", 24, 54),
        ("letzter Monat", 24, 54),
        ("last 3 days", 0, 2),
        ("letzte 3 Tage", 0, 2),
        ("dieses Jahr", -190, 174),
        ("letztes Jahr", 175, 539),
        ("june 2026", -6, 23),
        ("Juni 2026", -6, 23),
        ("Mai 2026", 24, 54),
        ("21 June 2026", 3, 3),
        ("21. Juni 2026", 3, 3),
        ("june 21, 2026", 3, 3),
        ("June 21st", 3, 3),
        ("21.06.2026", 3, 3),
        ("21.6.2026", 3, 3),
        ("05.2026", 24, 54),
        ("2026-05", 24, 54),
    ],
)
def test_date_words_mean_days(text: str, first: int, last: int) -> None:
    library = Library()
    days = [TODAY - timedelta(days=back) for back in range(-190, 540)]
    library.replace(
        replace(FILM, id=f"{number:016x}", title="Film", day=day.isoformat(), schedule=None)
        for number, day in enumerate(days)
        if day.year >= 2026 or "Jahr" in text
    )
    wanted = [(TODAY - timedelta(days=back)).isoformat() for back in range(first, last + 1)]
    assert [film.day for film in library.search(text, TODAY)] == wanted


def test_a_month_without_a_year_is_that_of_every_year() -> None:
    library = Library()
    days = ["2024-06-30", "2025-06-01", "2025-07-01", "2026-06-21"]
    library.replace(replace(FILM, id=f"{n:016x}", title="Film", day=day) for n, day in enumerate(days))
    assert [film.day for film in library.search("juni", TODAY)] == ["2026-06-21", "2025-06-01", "2024-06-30"]
    assert [film.day for film in library.search("west juni 2025", TODAY)] == ["2025-06-01"]


@pytest.mark.parametrize("text", ["31. Februar 2026", "45.13.2026", "99 june"])
def test_what_only_looks_like_a_day_is_a_word(text: str) -> None:
    library = Library()
    library.replace([FILM])
    assert library.search(text, TODAY) == []
    library.replace([replace(FILM, title=f"The {text} film".casefold())])
    assert len(library.search(text, TODAY)) == 1


def test_a_day_keeps_its_other_films() -> None:
    other = replace(FILM, id="00000000000000aa", created_at=FILM.created_at - timedelta(hours=1))
    library = Library()
    library.replace([FILM, other])
    assert library.newest(FILM.camera) == FILM
    library.apply(replace(FILM, change="removed"))
    assert library.of_camera(FILM.camera, FILM.day) == [other]
    assert library.newest(FILM.camera) == other
