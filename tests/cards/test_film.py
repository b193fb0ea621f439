"""The film of today on a card: it is asked for again where it fails, and anew where another one grows."""

import json
from typing import Any

from playwright.async_api import Page, expect

from tests.cards.test_troubles import hass

MAKE = """(hass) => {
  window.asked = 0;
  window.grows = null;
  window.hass = hass;
  hass.callWS = async () => {
    window.asked += 1;
    if (!window.grows) throw { code: "resolve_media_failed", message: "no film" };
    return { url: window.grows, mime_type: "video/mp4" };
  };
  const card = document.createElement("skylapse-card");
  card.setConfig({ device: "camera", show: ["film"] });
  card.hass = hass;
  document.body.append(card);
}"""
TELL = """(states) => {
  document.querySelector("skylapse-card").hass = { ...window.hass, states };
}"""


def growing(film: str | None) -> dict[str, Any]:
    """What Home Assistant says while a film grows."""
    return hass(sensor__west_frames_today=("30", {"film": film}))


async def tell(page: Page, words: dict[str, Any], after_ms: int) -> None:
    """Have Home Assistant say something later."""
    await page.clock.run_for(after_ms)
    await page.evaluate(f"({TELL})({json.dumps(words['states'])})")


async def test_a_film_that_fails_is_asked_for_again_by_itself(page: Page) -> None:
    await page.clock.install()
    await page.evaluate(f"({MAKE})({json.dumps(growing(None))})")
    card = page.locator("skylapse-card")
    retry = card.get_by_role("button", name="Try again")
    await expect(retry).to_be_visible()
    await retry.evaluate("(button) => { button.dataset.first = 'yes'; button.focus(); }")
    await tell(page, growing(None), 5_000)
    assert await page.evaluate("() => asked") == 1, "not at once"
    await tell(page, growing(None), 6_000)
    await page.wait_for_function("() => asked === 2")
    await tell(page, growing(None), 11_000)
    assert await page.evaluate("() => asked") == 2, "later each time"
    await expect(card.locator("[data-first=yes]")).to_be_focused()
    await page.evaluate("() => { window.grows = '/first.mp4'; }")
    await tell(page, growing(None), 11_000)
    await expect(card.locator("video")).to_have_attribute("src", "/first.mp4")


async def test_the_film_that_follows_another_is_shown_in_its_place(page: Page) -> None:
    await page.clock.install()
    await page.evaluate(f"({MAKE})({json.dumps(growing('00000000000000aa'))})")
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
