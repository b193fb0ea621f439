"""Results in the gallery, in a real browser: among the films of their day, opened and closed by keyboard."""

import asyncio
import hashlib
import re
from datetime import UTC, date, datetime, timedelta
from functools import partial
from importlib.resources import files
from pathlib import Path

from playwright.async_api import Browser, Page

from skylapse_processor.results.press import TITLES
from skylapse_processor.service import Service
from skylapse_processor.store.results import Kind, StoredResult
from skylapse_protocol.identifiers import CameraName
from tests.support.waiting import until

from .conftest import serving, write_config
from .test_gallery import PATIENCE_MS, browser
from .test_results_service import QUICKLY, dusk, shown

__all__ = ["browser"]


async def sign_in(page: Page, url: str, key: str) -> None:
    await page.goto(url)
    await page.wait_for_selector("#sign-in:not([hidden])")
    await page.fill("#key", key)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[data-result]")


async def test_keograms_and_best_frames_are_shown_under_their_day(tmp_path: Path, browser: Browser) -> None:
    async with serving(write_config(tmp_path / "processor", results=QUICKLY)) as (service, client):
        for data, record in dusk():
            await client.upload(data, record)
        keogram = await shown(client, "keogram", 12)

        async def best() -> bool:
            return bool((await client.get("results", kind="best_frame")).value["items"])

        await until(best)
        page = await browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="dark")
        page.set_default_timeout(PATIENCE_MS)
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        await sign_in(page, service.base_url, client.key)
        headings = await page.eval_on_selector_all(".day h2", "all => all.map((each) => each.textContent)")
        assert headings == ["Monday, June 1, 2026", "2026"]
        card = f"[data-result='{keogram['id']}']"
        assert await page.inner_text(f"{card} .name") == "roof/west · Keogram"
        assert await page.inner_text(f"{card} .detail") == "12 frames"
        thumb = f'() => document.querySelector("{card} img").naturalWidth'
        assert await until(lambda: page.evaluate(thumb)) == 400
        await page.focus(card)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#still[open]")
        wide = "() => document.getElementById('still-picture').naturalWidth"
        assert await until(lambda: page.evaluate(wide)) == keogram["width"]
        await page.keyboard.press("Escape")
        await page.wait_for_selector("#still", state="hidden")
        await page.screenshot(path=str(tmp_path / "gallery.png"))
        await page.fill("#words", "no such film")
        await page.wait_for_selector("#nothing:not([hidden])")
        assert await page.query_selector("[data-result]") is None
        await page.set_viewport_size({"width": 360, "height": 740})
        assert await page.evaluate("() => document.documentElement.scrollWidth") == 360
        assert faults == []


async def put_results(service: Service, camera: str, *kinds: Kind) -> None:
    """Have results without pictures."""
    now = datetime(2026, 6, 1, tzinfo=UTC)
    for kind in kinds:
        result = StoredResult(
            id=hashlib.sha256(f"{camera} {kind}".encode()).hexdigest()[:16],
            camera=CameraName.parse(camera),
            day="2026-06-01",
            kind=kind,
            rank=1,
            title=TITLES[kind],
            details={"captured_at": "2026-06-01T15:34:00.000Z"} if kind == "best_frame" else {},
            frames=1429,
            width=16,
            height=9,
            bytes=1,
            content="0",
            created_at=now,
            changed_at=now,
        )
        await asyncio.wrap_future(service._store.results.put(result))


async def names(page: Page) -> list[str]:
    """Return what is written on the cards of results."""
    return sorted(await page.locator("[data-result] .name").all_inner_texts())


async def test_a_result_names_its_camera_and_is_found_by_words(tmp_path: Path, browser: Browser) -> None:
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        await put_results(service, "roof/west", "keogram", "startrail")
        await put_results(service, "lake/pier", "keogram", "best_frame")
        service._keeper.hear_zone(CameraName.parse("lake/pier"), "Asia/Kolkata")
        service._keeper.name = lambda camera: {"roof/west": "Roof", "lake/pier": "Seeblick"}[str(camera)]
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE_MS)
        await sign_in(page, service.base_url, client.key)
        everything = [
            "Roof · Keogram",
            "Roof · Star trail",
            "Seeblick · Best frame 21:04",
            "Seeblick · Keogram",
        ]
        assert await names(page) == everything
        for words, found in {
            "keograms": ["Roof · Keogram", "Seeblick · Keogram"],
            "seeb": ["Seeblick · Best frame 21:04", "Seeblick · Keogram"],
            "west star": ["Roof · Star trail"],
            "2026-06 pier best": ["Seeblick · Best frame 21:04"],
            "nowhere": [],
        }.items():
            await page.fill("#words", words)
            await until(partial(shows, page, found))
        assert await page.inner_text("#nothing") == "Nothing fits."


async def shows(page: Page, found: list[str]) -> bool:
    """Tell whether the gallery shows these results and no others."""
    return await names(page) == found


async def test_the_gallery_is_all_german_where_the_reader_is(tmp_path: Path, browser: Browser) -> None:
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        await put_results(service, "roof/west", "keogram", "keogram_year", "startrail", "best_frame")
        context = await browser.new_context(locale="de-DE", viewport={"width": 360, "height": 740})
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await page.goto(service.base_url)
        assert "Ein Schlüssel öffnet diese Galerie" in await page.inner_text("#sign-in")
        await sign_in(page, service.base_url, client.key)
        assert await page.locator(".day h2").all_inner_texts() == ["Montag, 1. Juni 2026", "2026"]
        assert await names(page) == [
            f"roof/west · {kind}"
            for kind in ("Bestes Bild 15:34 UTC", "Jahreskeogramm", "Keogramm", "Sternspuren")
        ]
        told = await page.locator("[data-result] .detail").all_inner_texts()
        assert "Platz 1 von 1.429" in told
        assert await page.get_attribute("#words", "placeholder") == "Suche"
        await page.fill("#words", "sternspur")
        await until(lambda: shows(page, ["roof/west · Sternspuren"]))
        await page.screenshot(path=str(tmp_path / "german.png"))
        assert await page.evaluate("() => document.documentElement.scrollWidth") == 360
        await context.close()
        context = await browser.new_context(locale="fr-FR")
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await sign_in(page, service.base_url, client.key)
        assert await page.locator(".day h2").all_inner_texts() == ["Monday, June 1, 2026", "2026"]
        await context.close()


def test_both_languages_of_the_gallery_say_the_same_things() -> None:
    gallery = files("skylapse_processor") / "web" / "gallery"
    words = (gallery / "words.js").read_text(encoding="utf-8")
    english, german = re.findall(
        r"^const (?:ENGLISH|GERMAN) = \{$(.*?)^\};$", words, re.DOTALL | re.MULTILINE
    )
    keys = [re.findall(r'(\w+): (?:"|\{$)', each, re.MULTILINE) for each in (english, german)]
    assert keys[0] == keys[1]
    assert len(keys[0]) > 40
    page = (gallery / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'data-(?:say|label|hint)="(\w+)"', page)) < set(keys[0])
    shown = re.sub(r"<title>.*?</title>|<code>.*?</code>|<[^>]*>", "", page)
    assert set(shown.split()) == {"Skylapse", "★", "‹", "›"}


async def test_older_results_come_with_older_films(tmp_path: Path, browser: Browser) -> None:
    first, now = date(2025, 1, 1), datetime(2026, 6, 1, tzinfo=UTC)
    days = [f"{first + timedelta(days=number)}" for number in range(305)]
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        for number, day in enumerate(days):
            result = StoredResult(
                id=f"{number:016x}",
                camera=CameraName.parse("roof/west"),
                day=day,
                kind="keogram",
                title="Keogram",
                frames=9,
                width=16,
                height=9,
                bytes=1,
                content="0",
                created_at=now,
                changed_at=now,
            )
            service._store.results.put(result)
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE_MS)
        shown = "all => all.map((each) => each.closest('.day').dataset.day)"
        await sign_in(page, service.base_url, client.key)
        assert await page.eval_on_selector_all("[data-result]", shown) == days[:4:-1]
        await page.click("#more")
        await page.wait_for_selector("#more", state="hidden")
        assert await page.eval_on_selector_all("[data-result]", shown) == days[::-1]
        await page.fill("#words", "no such film")
        await page.wait_for_selector("#nothing:not([hidden])")
        assert await page.query_selector("[data-result]") is None
        await page.fill("#words", "")
        await page.wait_for_selector("#more:not([hidden])")
        assert len(await page.query_selector_all("[data-result]")) == 300
