"""Favourites, results and A/B tests in the media browser, and stills of everything for AI tasks."""

from dataclasses import replace
from datetime import date, timedelta
from http import HTTPStatus
from typing import Any

import pytest
from homeassistant.components import media_source
from homeassistant.components.media_player import BrowseError, MediaClass
from homeassistant.components.media_source.models import MediaSourceItem
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.skylapse.brain.ab_tests import AbTest, compile_experiment
from custom_components.skylapse.brain.profiles import BUILT_IN_PROFILES
from custom_components.skylapse.media_source import async_get_media_source
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.comparison import ArmScore, Comparison
from custom_components.skylapse.protocol.messages import Result, StoreState
from tests.integration.browsing import SOURCE, browse, titles
from tests.integration.speakers import CAMERA, FILM, FRAME, KEOGRAM, NOW, Processor
from tests.integration.theatre import PICTURE, POSTER, THUMB, FakeProcessor

KEOGRAM_URI = f"{SOURCE}/result/{KEOGRAM.id}"
TEST_URI = f"{SOURCE}/tests/dusk"


def keograms(count: int, **changes: Any) -> list[Result]:
    """Return keograms, one a day, into the past."""
    return [
        replace(
            KEOGRAM,
            id=f"{number + 8192:016x}",
            day=(date(2026, 6, 20) - timedelta(days=number)).isoformat(),
            **changes,
        )
        for number in range(count)
    ]


# ---------------------------------------------------------------- results


@pytest.mark.parametrize(
    ("kind", "told", "shown"),
    [
        ("keogram", "West · Keogram · 2026-06-21", "Keogram 2026-06-21 · West"),
        ("startrail", "West · Star trail · 2026-06-21", "Star trail 2026-06-21 · West"),
        ("keogram_year", "West · Keogram of the year · 2026", "2026 · West · Keogram of the year"),
        ("best_frame", "West · Best frame 21:04 · 2026-06-21", "Best frame 21:04 · 2026-06-21 · West"),
        ("keogram", "What somebody called it", "What somebody called it"),
    ],
)
async def test_what_tells_results_apart_stands_where_no_grid_cuts_it(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor, kind: Any, told: str, shown: str
) -> None:
    await processor.result(replace(KEOGRAM, kind=kind, title=told))
    assert (await browse(hass, KEOGRAM_URI)).title == shown


async def test_results_come_and_go_as_they_are_told(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor
) -> None:
    assert titles(await browse(hass, SOURCE)) == ["Today (live)", "Films", "Frames"]
    kinds: dict[str, Any] = {"keogram_year": "Year", "startrail": "Stars", "best_frame": "Best"}
    for number, (kind, title) in enumerate(kinds.items()):
        result: Any = {"kind": kind, "title": title}
        await processor.result(replace(KEOGRAM, id=f"{number:016x}", **result))
    await processor.result(KEOGRAM)
    root = await browse(hass, SOURCE)
    assert titles(root)[3:] == ["Keograms", "Keograms of years", "Star trails", "Best frames"]
    assert all(child.thumbnail for child in root.children[3:])
    keogram = (await browse(hass, root.children[3].media_content_id)).children[0]
    assert (keogram.title, keogram.media_content_id) == ("Keogram 21 June 2026 · West", KEOGRAM_URI)
    assert (keogram.media_class, keogram.can_play) == (MediaClass.IMAGE, True)
    assert (await browse(hass, KEOGRAM_URI)).title == "Keogram 21 June 2026 · West"
    await processor.result(replace(KEOGRAM, change="changed", title="Grown", frames=300))
    grown = await browse(hass, KEOGRAM_URI)
    assert (grown.title, grown.thumbnail == keogram.thumbnail) == ("Grown", False)
    await processor.result(replace(KEOGRAM, change="removed"))
    await processor.result(replace(KEOGRAM, change="removed"))
    assert titles(await browse(hass, SOURCE))[3:] == ["Keograms of years", "Star trails", "Best frames"]
    with pytest.raises(BrowseError):
        await browse(hass, KEOGRAM_URI)


async def test_results_that_were_made_unheard_are_in_the_processors_list(
    hass: HomeAssistant, loaded: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    processor_server.put(KEOGRAM)
    assert titles(await browse(hass, f"{SOURCE}/keograms")) == ["Keogram 21 June 2026 · West"]


async def test_a_result_that_does_not_fit_is_said(
    hass: HomeAssistant, loaded: MockConfigEntry, processor_server: FakeProcessor
) -> None:
    processor_server.put(KEOGRAM)
    processor_server.results[KEOGRAM.id] = replace(KEOGRAM, day="x")
    object.__setattr__(processor_server.results[KEOGRAM.id], "camera", "nobody")
    with pytest.raises(BrowseError, match="results do not fit"):
        await browse(hass, f"{SOURCE}/keograms")


async def test_a_keogram_is_seen_by_whom_is_signed_in(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor, hass_client: ClientSessionGenerator
) -> None:
    await processor.result(KEOGRAM)
    found = await media_source.async_resolve_media(hass, KEOGRAM_URI, None)
    assert (found.mime_type, found.path) == ("image/jpeg", None)
    client = await hass_client()
    picture = await client.get(found.url)
    assert (picture.status, await picture.read()) == (HTTPStatus.OK, PICTURE)
    assert picture.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert picture.headers["Content-Type"] == "image/jpeg"
    thumbnail = await client.get((await browse(hass, KEOGRAM_URI)).thumbnail)
    assert await thumbnail.read() == THUMB
    before = found.url.replace(found.url.split("/")[-2], "00000000")
    assert "Cache-Control" not in (await client.get(before)).headers


async def test_many_results_lie_in_years_and_months(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    library = spoken.runtime_data.coordinator.library
    best = [
        replace(each, id=f"{number * 512 + 1:016x}", kind="best_frame", day="2026-06-20")
        for number, each in enumerate(keograms(120))
    ]
    library.replace([], [*keograms(400), *keograms(3, camera="roof/east"), *best])
    assert titles(await browse(hass, f"{SOURCE}/keograms")) == ["roof/east", "West"]
    camera = f"{SOURCE}/keograms/roof/west"
    years = await browse(hass, camera)
    assert (titles(years), years.children[0].can_play) == (["2026", "2025"], False)
    assert titles(await browse(hass, f"{camera}/2026"))[:2] == ["2026-06", "2026-05"]
    month = await browse(hass, f"{camera}/2026-05")
    assert (len(month.children), month.children[0].can_play) == (31, True)
    assert month.children_media_class == MediaClass.IMAGE
    assert len((await browse(hass, f"{SOURCE}/keograms/roof/east")).children) == 3
    assert titles(await browse(hass, f"{SOURCE}/best_frames/roof/west/2026-06")) == ["1 – 100", "101 – 120"]


# ---------------------------------------------------------------- favourites


async def test_pinned_films_are_favourites(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor
) -> None:
    assert "Favourites" not in titles(await browse(hass, SOURCE))
    pinned = replace(FILM, change="changed", pinned=True)
    await processor.film(pinned)
    await processor.film(
        replace(pinned, id="00000000000000f5", camera="roof/east", day="2026-06-22", title="E")
    )
    assert titles(await browse(hass, SOURCE)) == ["Today (live)", "Films", "Frames", "Favourites"]
    favourites = await browse(hass, f"{SOURCE}/favourites")
    assert titles(favourites) == ["E", FILM.title], "latest first, of all cameras"
    assert favourites.children_media_class == MediaClass.VIDEO
    await processor.film(replace(pinned, pinned=False))
    assert titles(await browse(hass, f"{SOURCE}/favourites")) == ["E"]
    await processor.film(replace(pinned, id="00000000000000f5", change="removed"))
    assert titles(await browse(hass, f"{SOURCE}/favourites")) == []


async def test_many_favourites_lie_by_camera(hass: HomeAssistant, spoken: MockConfigEntry) -> None:
    films = [
        replace(
            FILM, id=f"{n:016x}", pinned=True, day=(date(2026, 6, 21) - timedelta(days=20 * n)).isoformat()
        )
        for n in range(60)
    ]
    spoken.runtime_data.coordinator.library.replace(films)
    cameras = await browse(hass, f"{SOURCE}/favourites")
    assert titles(cameras) == ["West"]
    assert titles(await browse(hass, cameras.children[0].media_content_id)) == [
        "2026",
        "2025",
        "2024",
        "2023",
    ]
    assert len((await browse(hass, f"{SOURCE}/favourites/roof/west/2024")).children) == 19


# ---------------------------------------------------------------- A/B tests


def compared(**changes: Any) -> AbTest:
    """Return a test that was compared."""
    experiment = compile_experiment(
        {profile.id: profile for profile in BUILT_IN_PROFILES},
        "dusk",
        [{"profile": "f"}, {"profile": "d"}],
        season="summer",
        ends_at=NOW,
        versions={},
    )
    frames = [
        str(replace(FRAME, seq=seq, captured_at=NOW + timedelta(seconds=15 * seq)).name)
        for seq in range(1, 5)
    ]
    comparison = Comparison(
        id="dusk",
        camera=CAMERA,
        compared_at=NOW,
        arms=tuple(ArmScore(test_id=arm.test_id, profile="f", frames=2) for arm in experiment.arms),
        pairs=((frames[0], frames[1]), (frames[2], "no frame"), (frames[3],)),
        winner="dusk-b",
    )
    facts: dict[str, Any] = {"comparison": comparison, "ended_at": NOW, **changes}
    return AbTest(
        camera=CAMERA,
        name="Dusk",
        experiment=experiment,
        started_at=NOW,
        ends_at=NOW,
        **facts,
    )


async def test_the_frames_of_an_ab_test_lie_side_by_side(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    spoken.runtime_data.ab_tester.shelf.put(compared())
    root = await browse(hass, SOURCE)
    assert titles(root)[-1] == "A/B tests"
    assert root.children[-1].thumbnail.startswith("/api/skylapse/frame/roof/west/")
    tests = await browse(hass, root.children[-1].media_content_id)
    assert titles(tests) == ["Dusk · West · 2026-06-21"]
    assert tests.children[0].media_content_id == TEST_URI
    test = await browse(hass, TEST_URI)
    assert titles(test) == [
        "20:00:15 · A · Mountain spot",
        "20:00:30 · B ★ · Warm dramatic",
        "20:00:45 · A · Mountain spot",
        "20:01:00 · A · Mountain spot",
    ]
    assert test.children[0].can_play


async def test_the_arms_of_an_ab_test_of_one_profile_are_called_by_what_was_changed(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    changes: tuple[dict[str, Any], ...] = ({}, {"ev": -1.0, "kelvin": 4500})
    spoken.runtime_data.ab_tester.shelf.put(compared(changes=changes))
    assert titles(await browse(hass, TEST_URI))[:2] == [
        "20:00:15 · A · Mountain spot",
        "20:00:30 · B ★ · −1 EV · 4500 K · Warm dramatic",
    ]


async def test_an_ab_test_that_was_not_compared_has_nothing_to_show(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    spoken.runtime_data.ab_tester.shelf.put(compared(comparison=None))
    assert "A/B tests" not in titles(await browse(hass, SOURCE))
    assert titles(await browse(hass, f"{SOURCE}/tests")) == []
    with pytest.raises(BrowseError):
        await browse(hass, TEST_URI)


# ---------------------------------------------------------------- stills


async def still(hass: HomeAssistant, what: str) -> bytes | None:
    """Ask for one picture as an AI task does on 2026.11."""
    source = await async_get_media_source(hass)
    item = MediaSourceItem(hass=hass, domain="skylapse", identifier=what, target_media_player=None)
    found = await source.async_get_media_image(item)
    assert found is None or found.mime_type == "image/jpeg"
    return None if found is None else found.content


async def test_ai_tasks_get_a_picture_of_everything(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor, processor_server: FakeProcessor
) -> None:
    await processor.result(KEOGRAM)
    assert await still(hass, f"film/{FILM.id}") == POSTER
    assert await still(hass, f"result/{KEOGRAM.id}") == PICTURE
    assert await still(hass, f"frame/{FRAME.name}") == PICTURE
    assert await still(hass, "today/roof/west") == PICTURE
    for nothing in ("films", "nothing", "film/00000000000000aa", "today/roof/east"):
        assert await still(hass, nothing) is None
    processor_server.broken = 500
    assert await still(hass, f"film/{FILM.id}") is None


@pytest.mark.parametrize("newest", [None, "no frame"])
async def test_a_film_that_grows_without_a_known_frame_has_no_picture(
    hass: HomeAssistant, spoken: MockConfigEntry, processor: Processor, newest: str | None
) -> None:
    state = StoreState(day="2026-06-21", last_frame=newest, film_of_today="00000000000000aa")
    await processor.say(topics.STORE_STATE, state, bridge="roof", camera="west")
    today = await browse(hass, f"{SOURCE}/today/roof/west")
    assert today.thumbnail is None
    assert await still(hass, "today/roof/west") is None
