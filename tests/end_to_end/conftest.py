"""One short evening of the demo that all tests of the whole system look at, and a browser."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

import pytest_asyncio
from playwright.async_api import Page, async_playwright, expect

from demo.__main__ import FILM_S, Result, show
from demo.processes import REPOSITORY, find_program
from demo.screen import Screen
from demo.sunset import Evening
from demo.system import Plan, System
from demo.waiting import PATIENCE_S, until

KEPT = REPOSITORY / "build/end-to-end"
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 1000 * PATIENCE_S
expect.set_options(timeout=PATIENCE_MS)
EVENING = Evening(around_min=6)
PLAYS = """async (video) => {
  video.muted = true;
  await video.play();
  const played = () => [...Array(video.played.length).keys()]
    .reduce((sum, part) => sum + video.played.end(part) - video.played.start(part), 0);
  if (!played())
    await new Promise((done) => video.addEventListener("timeupdate", () => played() && done()));
  return played();
}"""
"""Plays a video, and says how many seconds of it were shown; a short one may be over by then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A running system after its evening, and what it has brought."""

    system: System
    result: Result


def every_camera_has_a_film(system: System) -> bool:
    """Tell whether the browser will find what the tests click on."""
    heard = system.watch.heard
    return set(heard.cameras) <= {film.camera for film in heard.films.values()}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shown() -> AsyncIterator[Shown]:
    """The demo, up to its first film and on."""
    screen = Screen()
    plan = Plan(folder=KEPT / "demo", evening=EVENING, width=1280, height=720)
    system = System(plan, screen.say)
    try:
        await system.start()
        result = await show(system, screen, KEPT / "films")
        await until(partial(every_camera_has_a_film, system), timeout_s=FILM_S, what="a film of each camera")
        yield Shown(system=system, result=result)
    finally:
        await system.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def page() -> AsyncIterator[Page]:
    """A page of a fresh Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_program("chromium"), headless=True, args=CHROMIUM, timeout=PATIENCE_MS
        )
        made = await browser.new_page(viewport={"width": 1280, "height": 800})
        made.set_default_timeout(PATIENCE_MS)
        yield made
        await browser.close()
