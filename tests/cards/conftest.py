"""A browser that knows the cards, and nothing else of Home Assistant."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, async_playwright, expect

from demo.waiting import PATIENCE_S
from tests.support.processes import find_program

FOLDER = Path(__file__).parents[2] / "custom_components/skylapse/frontend"
HOUSE = "http://house.test"
PATIENCE_MS = 1000 * PATIENCE_S
expect.set_options(timeout=PATIENCE_MS)
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PAGE = """<!doctype html><body style="margin: 0; --primary-text-color: #212121">
<script type="module" src="/skylapse.js"></script></body>"""


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A page that knows the cards, and nothing else of Home Assistant."""

    async def answer(route: Route) -> None:
        name = route.request.url.removeprefix(f"{HOUSE}/").partition("?")[0]
        if name.endswith(".js"):
            await route.fulfill(path=FOLDER / name, content_type="text/javascript")
        elif name:
            await route.fulfill(status=404)
        else:
            await route.fulfill(body=PAGE, content_type="text/html")

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_program("chromium"), args=CHROMIUM, timeout=PATIENCE_MS
        )
        made = await browser.new_page(viewport={"width": 360, "height": 700})
        made.set_default_timeout(PATIENCE_MS)
        await made.route(f"{HOUSE}/**", answer)
        await made.goto(HOUSE)
        await made.wait_for_function("() => customElements.get('skylapse-card')")
        yield made
        await browser.close()
