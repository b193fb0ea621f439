"""The film of today in the library that Home Assistant plays it with, out of its own frontend."""

import asyncio
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route, async_playwright

from demo.processes import REPOSITORY, find_program
from skylapse_processor.today_plan import GROUP
from tests.end_to_end.conftest import CHROMIUM, PATIENCE_MS
from tests.processor.client import Client
from tests.processor.conftest import serving, write_config
from tests.processor.test_today import deliver, shows
from tests.support.waiting import until

CHUNKS = ".venv-ha/lib/python*/site-packages/hass_frontend/frontend_latest/*.js"
MARK = "levelParsingError"
"""What no other chunk of Home Assistant's frontend says."""
HOUSE = "http://house.test"
PAGE = """<!doctype html><video muted></video><script type="module">
import { __webpack_modules__ as modules } from "/hls.js";
const need = () => ({});
need.d = (out, names) => {
  for (const [name, get] of Object.entries(names)) Object.defineProperty(out, name, { get });
};
need.r = () => {};
const found = Object.values(modules).find((each) => `${each}`.includes("MARK"));
const out = {};
found({ exports: out }, out, need);
window.Hls = out.default;
</script>""".replace("MARK", MARK)
BEGIN = """async (address) => {
  const hls = new Hls({ backBufferLength: 60, maxLiveSyncPlaybackRate: 2, lowLatencyMode: true });
  window.hls = hls;
  window.fatal = [];
  hls.on(Hls.Events.ERROR, (_, said) => said.fatal && window.fatal.push(`${said.details}: ${said.reason}`));
  hls.loadSource(address);
  hls.attachMedia(document.querySelector("video"));
  await document.querySelector("video").play();
}"""
"""As Home Assistant does."""
SHOWN_S = """() => {
  const { buffered } = document.querySelector("video");
  return [...Array(buffered.length).keys()].map((part) => [buffered.start(part), buffered.end(part)]);
}"""
RATE = 30


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A Chromium of its own."""
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(
            executable_path=find_program("chromium"), args=CHROMIUM, timeout=PATIENCE_MS
        )
        yield made
        await made.close()


def library() -> Path:
    """The file of Home Assistant's frontend that has the library."""
    (found,) = (path for path in REPOSITORY.glob(CHUNKS) if MARK in path.read_text(encoding="utf-8"))
    return found


async def opened(browser: Browser, client: Client, awake: asyncio.Event) -> Page:
    """A page that has the library, and asks the processor as Home Assistant would, where it is awake."""

    async def answer(route: Route) -> None:
        path = route.request.url.removeprefix(HOUSE)
        if path == "/hls.js":
            await route.fulfill(path=library(), content_type="text/javascript")
        elif path == "/":
            await route.fulfill(body=PAGE, content_type="text/html")
        else:
            await awake.wait()
            said = await client.ask("GET", path)
            kind = said.headers["Content-Type"]
            soon = re.sub(rb"(?<=#EXT-X-TARGETDURATION:)\d+", b"1", said.body)
            await route.fulfill(status=said.status, body=soon, content_type=kind)

    page = await browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    await page.route(f"{HOUSE}/**", answer)
    await page.goto(HOUSE)
    await page.wait_for_function("() => window.Hls")
    return page


async def has(page: Page, frames: int) -> bool:
    """Whether the player has a film of so many frames, without a hole."""
    shown: list[list[float]] = await page.evaluate(SHOWN_S)
    return [[round(RATE * edge) for edge in part] for part in shown] == [[0, frames]]


async def began(
    browser: Browser, client: Client, film: dict[str, Any], awake: asyncio.Event | None = None
) -> Page:
    """A page that plays a film of today from its beginning."""
    if awake is None:
        awake = asyncio.Event()
        awake.set()
    page = await opened(browser, client, awake)
    await page.evaluate(BEGIN, f"{HOUSE}{film['playlist']}")
    return page


async def test_every_frame_is_seen_soon_and_the_player_never_breaks(tmp_path: Path, browser: Browser) -> None:
    async with serving(write_config(tmp_path / "processor")) as (_service, client):
        there = GROUP + 6
        await deliver(client, *range(1, there + 1))
        film: Any = await until(partial(shows, client, there))
        early = await began(browser, client, film)
        for more in (0, 1, GROUP - 6, GROUP):
            await deliver(client, *range(there + 1, there + more + 1))
            there += more
            await until(partial(has, early, there), what=f"{there} frames in the player")
        late = await began(browser, client, film)
        await until(partial(has, late, there), what=f"{there} frames in the player of somebody who came late")
        await deliver(client, there + 1, window="night", schedule="night")
        for page in (early, late):
            await page.wait_for_function("() => hls.levels[0].details.live === false")
            assert await has(page, there), "and nothing of the film that follows"
            assert await page.evaluate("() => window.fatal") == []
            await page.close()


async def test_a_frame_that_begins_a_segment_is_seen_as_soon_as_others(
    tmp_path: Path, browser: Browser
) -> None:
    """A camera is slow: the player has asked again, and found nothing new, before the next frame comes."""
    async with serving(write_config(tmp_path / "processor")) as (_service, client):
        there = GROUP + 6
        await deliver(client, *range(1, there + 1))
        film: Any = await until(partial(shows, client, there))
        page = await began(browser, client, film)
        for upto in (2 * GROUP - 1, 2 * GROUP, 2 * GROUP + 1, 2 * GROUP + 2):
            await until(partial(has, page, there), what=f"{there} frames in the player")
            for _ in range(2):
                await page.wait_for_event("response", lambda answer: ".m3u8" in answer.url)
            await deliver(client, *range(there + 1, upto + 1))
            there = upto
        await until(partial(has, page, there), what=f"{there} frames in the player")
        await page.close()


async def test_who_was_away_while_segments_closed_misses_no_frame(tmp_path: Path, browser: Browser) -> None:
    """A laptop that slept, a tab behind others: what was shown in pieces has become one."""
    folder = tmp_path / "processor"
    async with serving(write_config(folder)) as (_service, client):
        there, awake = GROUP + 6, asyncio.Event()
        awake.set()
        await deliver(client, *range(1, there + 1))
        film: Any = await until(partial(shows, client, there))
        page = await began(browser, client, film, awake)
        await until(partial(has, page, there), what=f"{there} frames in the player")
        awake.clear()
        await deliver(client, *range(there + 1, there + 3 * GROUP + 1))
        there += 3 * GROUP
        await until(partial(closed, folder, 3), what="segments that nobody looks at")
        awake.set()
        await until(partial(has, page, there), what=f"{there} frames in the player")
        await page.close()


def closed(folder: Path, segments: int) -> bool:
    """Whether so many segments of the only film are on disk."""
    (journal,) = (folder / "store/today").rglob("journal")
    return len(journal.read_text(encoding="utf-8").splitlines()) == 1 + segments
