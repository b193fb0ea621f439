"""The film of today in Home Assistant's media browser, while the camera goes on photographing."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from demo.rig import died
from demo.sunset import EVENING as DAY
from demo.sunset import LAKE
from demo.system import System
from tests.end_to_end.conftest import KEPT, Shown
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

CAMERA = "yard/south"
RATE = 180.0
"""The built-in schedule Daytime photographs every 30 seconds: six times a second on this clock."""
TWIN = {
    "id": "south",
    "name": "Yard",
    "driver": "twin",
    "width": 640,
    "height": 360,
    "latitude": LAKE.latitude,
    "longitude": LAKE.longitude,
}
ENOUGH = 60
"""Frames before somebody looks: some of them in a closed segment."""
SHOWN_A_SECOND = 30
LISTED = re.compile(r"(?:#EXTINF:|#EXT-X-PART:DURATION=)([\d.]+)")
PARTS_OF_WHOLE = re.compile(r"^(#EXT-X-PART:.*\n)+(?=#EXTINF)", re.MULTILINE)
SHOWN_S = """(video) => video.buffered.length ? video.buffered.end(video.buffered.length - 1) : 0"""
HOLES = """(video) => video.buffered.length - 1"""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def growing(shown: Shown) -> AsyncIterator[System]:
    """The system while one more camera photographs a day of its own."""
    system = shown.system
    noon = datetime(DAY.year, DAY.month, DAY.day, 10, 0, tzinfo=UTC)
    clock = {"start": noon.isoformat(), "anchor": datetime.now(UTC).isoformat(), "rate": RATE}
    bridge = system.rig.start_another_bridge("yard", [TWIN], clock=clock)

    def enough() -> bool:
        died(bridge)
        state = system.watch.heard.stores.get(CAMERA)
        return state is not None and state.film_of_today is not None and state.frames_today >= ENOUGH

    try:
        await until(enough, what=f"{ENOUGH} frames of the camera")
        yield system
    finally:
        bridge.stop()


async def test_the_film_of_today_plays_on_while_frames_come_in(growing: System, page: Page) -> None:
    """Frames may take two seconds to be seen: what is announced before somebody signs in is there at once."""
    house, announced = growing.house, growing.watch.heard.stores[CAMERA].frames_today
    await page.goto(f"{house.url}/media-browser/browser")
    username = page.get_by_label("Username")
    await expect(username.or_(page.locator("ha-card, .child").first)).to_be_visible()
    if await username.is_visible():
        await username.fill(house.sign_in.username)
        await page.locator("input[name=password]").fill(house.sign_in.password)
        await page.get_by_role("button", name="Log in").click()
    async with page.expect_response(lambda answer: ".m3u8" in answer.url) as asked:
        for folder in ("Skylapse", "Films", "Yard", "Today (live)"):
            await page.locator("ha-card, .child").filter(has_text=re.compile(re.escape(folder))).first.click()
    listed = frames_in(await (await asked.value).text())
    assert listed >= announced
    video = page.locator("ha-hls-player video").first
    await expect(video).to_be_attached()
    await video.evaluate("(video) => { video.muted = true; return video.play(); }")

    async def plays_on() -> bool:
        shown_s, holes = await video.evaluate(SHOWN_S), await video.evaluate(HOLES)
        return bool(shown_s * SHOWN_A_SECOND >= listed + ENOUGH / 2 and holes == 0)

    await until(plays_on, what="frames that came after the film was opened, and no hole before them")
    await page.screenshot(path=KEPT / "today.png")
    assert await video.evaluate("(video) => video.currentTime") > 0
    assert await video.evaluate("(video) => video.error") is None


def frames_in(playlist: str) -> int:
    """How many frames a playlist names."""
    once = PARTS_OF_WHOLE.sub("", playlist)
    return round(sum(map(float, LISTED.findall(once))) * SHOWN_A_SECOND)
