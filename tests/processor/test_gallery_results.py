"""Results in the gallery, in a real browser: among the films of their day, opened and closed by keyboard."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from playwright.async_api import Browser, Page

from skylapse_processor.store.results import StoredResult
from skylapse_protocol.identifiers import CameraName
from tests.support.waiting import until

from .conftest import serving, write_config
from .test_gallery import browser
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

        await until(best, timeout_s=20)
        page = await browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="dark")
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        await sign_in(page, service.base_url, client.key)
        headings = await page.eval_on_selector_all(".day h2", "all => all.map((each) => each.textContent)")
        assert headings == ["Monday, June 1, 2026", "2026"]
        card = f"[data-result='{keogram['id']}']"
        assert await page.inner_text(f"{card} .name") == "Keogram"
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
