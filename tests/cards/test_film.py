"""The film of today on a card: it is asked for again where it fails, and anew where another one grows."""

import datetime as dt
import json
from typing import Any

from playwright.async_api import Page, expect

from tests.cards.test_troubles import hass

MAKE = """([hass, part]) => {
  window.asked = 0;
  window.grows = null;
  window.hass = hass;
  window.listening = 0;
  hass.connection = new (class extends EventTarget {
    addEventListener(...what) {
      window.listening += 1;
      super.addEventListener(...what);
    }
    removeEventListener(...what) {
      window.listening -= 1;
      super.removeEventListener(...what);
    }
  })();
  hass.callWS = async () => {
    window.asked += 1;
    if (!window.grows) throw { code: "resolve_media_failed", message: "no film" };
    return { url: window.grows, mime_type: "video/mp4" };
  };
  const card = document.createElement("skylapse-card");
  card.setConfig({ device: "camera", show: [part] });
  card.hass = hass;
  document.body.append(card);
}"""
TELL = """(states) => {
  document.querySelector("skylapse-card").hass = { ...window.hass, states };
}"""
BACK = "() => { hass.connection.dispatchEvent(new Event('ready')); }"
SLOW = """() => {
  window.card = document.querySelector("skylapse-card");
  const film = new Promise((done) => {
    window.come = () => done({ url: "/late.mp4", mime_type: "video/mp4" });
  });
  card.hass = { ...hass, callWS: () => film };
}"""
NOON = dt.datetime(2026, 6, 21, 10, tzinfo=dt.UTC)


def growing(film: str | None, **changes: Any) -> dict[str, Any]:
    """What Home Assistant says while a film grows."""
    return hass(sensor__west_frames_today=("30", {"film": film}), **changes)


async def make(page: Page, words: dict[str, Any], part: str = "film") -> None:
    """Put a card on the page, where time stands still."""
    await page.clock.install(time=NOON)
    await page.clock.pause_at(NOON + dt.timedelta(hours=1))
    await page.evaluate(f"({MAKE})({json.dumps([words, part])})")


async def tell(page: Page, words: dict[str, Any], after_ms: int) -> None:
    """Have Home Assistant say something later."""
    await page.clock.run_for(after_ms)
    await page.evaluate(f"({TELL})({json.dumps(words['states'])})")


async def test_a_film_that_fails_is_asked_for_again_by_itself_in_a_quiet_house(page: Page) -> None:
    await make(page, growing(None))
    card = page.locator("skylapse-card")
    retry = card.get_by_role("button", name="Try again")
    await expect(retry).to_be_visible()
    await retry.evaluate("(button) => { button.dataset.first = 'yes'; button.focus(); }")
    await page.clock.run_for(5_000)
    assert await page.evaluate("() => asked") == 1, "not at once"
    await page.clock.run_for(7_000)
    assert await page.evaluate("() => asked") == 2
    await page.clock.run_for(12_000)
    assert await page.evaluate("() => asked") == 2, "later each time"
    await expect(card.locator("[data-first=yes]")).to_be_focused()
    await page.evaluate("() => { window.grows = '/first.mp4'; }")
    await page.clock.run_for(11_000)
    await expect(card.locator("video")).to_have_attribute("src", "/first.mp4")


async def test_that_the_processor_is_away_is_said_once_after_a_film_that_failed(page: Page) -> None:
    await make(page, growing(None))
    card = page.locator("skylapse-card")
    await expect(card.get_by_role("button", name="Try again")).to_be_visible()
    away = growing(None, binary_sensor__processor_connectivity="off")
    await tell(page, away, 1_000)
    message = card.locator(".stage .message")
    await message.evaluate("(words) => { words.dataset.first = 'yes'; }")
    for _ in range(2):
        await tell(page, away, 11_000)
    await expect(message).to_have_attribute("data-first", "yes")
    assert await page.evaluate("() => asked") == 1
    await page.evaluate("() => { window.grows = '/first.mp4'; }")
    await tell(page, growing(None), 1_000)
    await expect(card.locator("video")).to_have_attribute("src", "/first.mp4")


async def test_a_film_is_asked_for_anew_when_home_assistant_is_back(page: Page) -> None:
    await make(page, growing(None))
    await page.evaluate("() => { window.grows = '/first.mp4'; }")
    video = page.locator("skylapse-card video")
    await tell(page, growing(None), 11_000)
    await expect(video).to_have_attribute("src", "/first.mp4")
    await page.evaluate("() => { window.grows = '/second.mp4'; }")
    await tell(page, growing(None), 11_000)
    await expect(video).to_have_attribute("src", "/first.mp4")
    await page.evaluate(BACK)
    await page.clock.run_for(1_000)
    await expect(video).to_have_attribute("src", "/second.mp4")


async def test_a_card_that_is_gone_no_longer_listens_for_home_assistant(page: Page) -> None:
    await make(page, growing(None))
    await tell(page, growing(None), 1_000)
    assert await page.evaluate("() => listening") == 1
    await page.evaluate("() => { window.card = document.querySelector('skylapse-card'); card.remove(); }")
    assert await page.evaluate("() => listening") == 0
    await page.evaluate("() => document.body.append(card)")
    assert await page.evaluate("() => listening") == 1


async def test_a_card_without_a_film_asks_for_none(page: Page) -> None:
    await make(page, growing(None), "badges")
    await expect(page.locator("skylapse-card h2")).to_have_text("West")
    assert await page.evaluate("() => asked") == 0


async def test_the_film_that_follows_another_is_shown_in_its_place(page: Page) -> None:
    await make(page, growing("00000000000000aa"))
    await page.evaluate("() => { window.grows = '/first.mp4'; }")
    video = page.locator("skylapse-card video")
    await tell(page, growing("00000000000000aa"), 11_000)
    await expect(video).to_have_attribute("src", "/first.mp4")
    await page.evaluate("() => { window.grows = '/second.mp4'; }")
    gone = hass(sensor__west_frames_today="unavailable")
    for words in (growing("00000000000000aa"), gone, growing(None)):
        await tell(page, words, 11_000)
    await expect(video).to_have_attribute("src", "/first.mp4")
    await tell(page, growing("00000000000000bb"), 11_000)
    await expect(video).to_have_attribute("src", "/second.mp4")


async def test_a_film_that_comes_when_the_card_shows_the_picture_by_then_is_not_shown(page: Page) -> None:
    await make(page, growing(None, image__west_latest_frame="unknown"))
    await page.evaluate(SLOW)
    await page.clock.run_for(11_000)
    await page.evaluate("() => card.setConfig({ device: 'camera', show: ['frame'] })")
    await page.evaluate("() => come()")
    await page.clock.run_for(1_000)
    assert await page.locator("skylapse-card video").count() == 0
    await expect(page.locator("skylapse-card .stage")).to_have_text("No frame yet")
