"""The gallery in a real browser: sign in by keyboard, find films, play one, pin it; on a phone and a desk."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route, async_playwright

from skylapse_processor.service import Service
from skylapse_processor.store.films import FilmQuery
from tests.support.processes import find_program
from tests.support.waiting import PATIENCE_S, until

from .client import Client
from .conftest import serving, write_config
from .frames_made import DAY, picture, record_of

CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PATIENCE_MS = 1000 * PATIENCE_S


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(
            executable_path=find_program("chromium"), args=CHROMIUM, timeout=PATIENCE_MS
        )
        yield launched
        await launched.close()


async def make_film(client: Client) -> None:
    """Have a film of two seconds made."""
    for seq in range(1, 25):
        data = picture(seq, size=(640, 360))
        await client.upload(data, record_of(data, seq))
    wish = {"camera": "roof/west", "day": DAY, "size": "480p", "rate": 12}
    await client.ask("POST", "renders", json=wish)

    async def there() -> bool:
        return bool((await client.get("films")).value["items"])

    await until(there)


async def sign_in(page: Page, url: str, key: str) -> None:
    """Sign in without touching the mouse."""
    await page.goto(url)
    await page.wait_for_selector("#sign-in:not([hidden])")
    await page.keyboard.type("sky_guess")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#refused:not([hidden])")
    await page.fill("#key", key)
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".card")


async def play_and_pin(page: Page) -> None:
    """Open the first film by keyboard, see it run, pin it, and be back at its card."""
    await page.focus(".card")
    await page.keyboard.press("Enter")
    await until(lambda: page.evaluate("() => document.getElementById('video').currentTime > 0.2"))
    await page.click("#pin")
    await page.wait_for_selector("#pin[aria-pressed=true]")
    await page.keyboard.press("Escape")
    await page.wait_for_selector(".star:not([hidden])")
    assert await page.evaluate("() => document.activeElement.className") == "card"


async def set_apart(page: Page, service: Service) -> None:
    """See that films of one window are told from each other; leave one."""
    films = service._store.films
    (film,) = films.list(FilmQuery(), 9)
    later = film.created_at + timedelta(seconds=5)
    others = (
        replace(film, id="0" * 16, recipe="raw"),
        replace(film, id="1" * 16, created_at=later),
        replace(film, id="2" * 16, width=360),
    )
    await asyncio.wrap_future(films.put(others))
    await page.reload()
    await page.wait_for_selector("[data-film]:nth-child(4)")
    told = await page.locator("[data-film] .detail").all_inner_texts()
    assert len(set(told)) == 4
    assert {"raw · 640 × 360 · 24 frames", "clean · 360 × 360 · 24 frames"} < set(told)
    assert sum(words.startswith("clean · 640 × 360 · made ") for words in told) == 2
    for other in others:
        await asyncio.wrap_future(films.remove(other.id))
    await page.reload()
    await page.wait_for_selector(".card")


async def test_films_are_found_played_and_pinned(tmp_path: Path, browser: Browser) -> None:
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        await make_film(client)
        page = await browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="dark")
        page.set_default_timeout(PATIENCE_MS)
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        await sign_in(page, service.base_url, client.key)
        assert await page.inner_text(".day h2") == "Monday, June 1, 2026"
        assert await page.inner_text(".card .name") == "roof/west · Sunset"
        assert await page.inner_text(".card .detail") == "24 frames"
        await set_apart(page, service)
        thumb = "() => document.querySelector('.card img').naturalWidth"
        assert await until(lambda: page.evaluate(thumb)) == 400
        await play_and_pin(page)
        (film,) = (await client.get("films", pinned="true")).value["items"]
        await page.fill("#words", "no such film")
        await page.wait_for_selector("#nothing:not([hidden])")
        await page.fill("#words", film["day"])
        await page.wait_for_selector(".card")
        await page.click("#sign-out")
        await page.wait_for_selector("#sign-in:not([hidden])")
        assert await page.query_selector(".card") is None
        assert faults == []


async def test_nothing_sticks_out_on_a_phone(tmp_path: Path, browser: Browser) -> None:
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        await make_film(client)
        page = await browser.new_page(viewport={"width": 360, "height": 740}, color_scheme="light")
        page.set_default_timeout(PATIENCE_MS)
        await sign_in(page, service.base_url, client.key)
        assert await page.evaluate("() => document.documentElement.scrollWidth") == 360
        await page.click(".card")
        await page.wait_for_selector("#player[open]")
        assert await page.evaluate("() => document.getElementById('player').scrollWidth") <= 360


async def shows(client: Client, camera: str, frames: int) -> bool:
    """Whether a camera's film of today has so many frames."""
    answer = await client.get(f"cameras/{camera}/today")
    return answer.status == 200 and answer.value["frames"] == frames


async def test_a_film_of_one_frame_is_shown_as_a_picture_until_there_are_more(
    tmp_path: Path, browser: Browser
) -> None:
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        page = await browser.new_page(viewport={"width": 360, "height": 740}, color_scheme="dark")
        page.set_default_timeout(PATIENCE_MS)
        data = picture(1, size=(640, 360))
        await client.upload(data, record_of(data, 1))
        await until(lambda: shows(client, "roof/west", 1))
        await page.goto(service.base_url)
        await page.fill("#key", client.key)
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".growing")
        await page.click(".growing")
        wide = "() => document.getElementById('today-still').naturalWidth"
        assert await until(lambda: page.evaluate(wide)) == 640
        assert not await page.is_visible("#today-video")
        await page.screenshot(path=str(tmp_path / "one.png"))
        async with page.expect_event("requestfailed"):
            await page.route("**/cameras/roof/west/today", lambda route: route.abort(), times=1)
        for seq in range(2, 6):
            data = picture(seq, size=(640, 360))
            await client.upload(data, record_of(data, seq))
        await page.wait_for_selector("#today-video", state="visible")
        assert not await page.is_visible("#today-still")


async def test_the_gallery_is_there_before_the_films_of_today_are(tmp_path: Path, browser: Browser) -> None:
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        data = picture(1)
        await client.upload(data, record_of(data, 1))
        await until(lambda: shows(client, "roof/west", 1))
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE_MS)
        encoded = asyncio.Event()

        async def answer_late(route: Route) -> None:
            await encoded.wait()
            await route.continue_()

        await page.route("**/cameras/roof/west/today", answer_late)
        await page.goto(service.base_url)
        await page.fill("#key", client.key)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#today-wait", state="visible")
        assert await page.is_visible("#words")
        assert await page.is_visible("#sign-out")
        await page.screenshot(path=str(tmp_path / "waits.png"))
        encoded.set()
        await page.wait_for_selector(".growing")
        assert not await page.is_visible("#today-wait")


async def test_the_film_of_today_goes_on_where_frames_have_come(tmp_path: Path, browser: Browser) -> None:
    async with serving(write_config(tmp_path / "processor")) as (service, client):

        async def deliver(first: int, past: int, schedule: str = "sunset") -> None:
            for seq in range(first, past):
                data = picture(seq, size=(640, 360))
                await client.upload(data, record_of(data, seq, window=schedule, schedule=schedule))

        await deliver(1, 31)
        await until(lambda: shows(client, "roof/west", 30))
        page = await browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="dark")
        page.set_default_timeout(PATIENCE_MS)
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        await page.goto(service.base_url)
        await page.fill("#key", client.key)
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".growing")
        assert await page.inner_text(".growing .detail") == "30 frames so far"
        assert await page.inner_text(".growing .name") == "roof/west · Sunset", "and not another schedule's"
        data = picture(1, size=(640, 360))
        await client.upload(data, record_of(data, 1, bridge="lake", camera="pier", spool="00" * 8))
        await until(lambda: shows(client, "lake/pier", 1))
        await page.reload()
        await page.wait_for_selector(".growing >> nth=1")
        await page.fill("#words", "west")
        await page.wait_for_selector(".growing[data-camera='lake/pier']", state="hidden")
        assert await page.is_visible(".growing[data-camera='roof/west']")
        await page.fill("#words", "")
        await page.click(".camera:has-text('lake/pier')")
        await page.wait_for_selector(".growing[data-camera='roof/west']", state="hidden")
        assert await page.is_visible(".growing[data-camera='lake/pier']")
        await page.check("#pinned")
        await page.wait_for_selector("#today", state="hidden")
        await page.uncheck("#pinned")
        await page.click(".camera:has-text('roof/west')")
        await page.click(".growing[data-camera='roof/west']")
        lasts = "() => document.getElementById('today-video').duration || 0"
        at = "() => document.getElementById('today-video').currentTime"
        assert abs(await until(lambda: page.evaluate(lasts)) - 1.0) < 0.01
        await until(lambda: page.evaluate(f"() => ({at})() > 0.9"))
        await page.route("**/today/film.mp4*", lambda route: route.abort(), times=1)
        await deliver(31, 61)
        await until(lambda: page.evaluate(f"() => ({at})() > 1.9"))
        assert (await page.inner_text("#today-facts")).endswith("so far")
        await deliver(61, 69, schedule="night")
        await page.wait_for_selector("#today-title:has-text('Night')")
        assert abs(await until(lambda: page.evaluate(lasts)) - 8 / 30) < 0.01, "the film that follows"
        await page.keyboard.press("Escape")
        await page.click("#sign-out")
        await page.wait_for_selector("#sign-in:not([hidden])")
        assert await page.query_selector(".growing") is None
        assert faults == []
