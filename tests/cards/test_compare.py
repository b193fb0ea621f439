"""The card that compares the arms of A/B tests: which test it shows, and that it fits."""

import itertools
import json
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

ARMS = ["Balanced adaptive", "Balanced adaptive · Warm curve", "Balanced adaptive · −1 EV"]
SHOW = """([hass, tests, config]) => {
  hass.callWS = async (asked) => {
    if (asked.type === "media_source/resolve_media") {
      window.signed = (window.signed || 0) + 1;
      return { url: `/no-picture?signed=${window.signed}` };
    }
    window.asked = asked;
    return { tests: tests.filter((test) => !asked.camera || test.camera === asked.camera) };
  };
  window.connection = hass.connection = new EventTarget();
  const card = document.createElement("skylapse-compare-card");
  card.setConfig(config);
  card.hass = hass;
  document.body.style.padding = "8px";
  document.body.append(card);
}"""
FORM = """async ([hass, tests]) => {
  const home = document.createElement("home-assistant");
  hass.callWS = async () => ({ tests });
  home.hass = hass;
  document.body.append(home);
  const { schema } = await customElements.get("skylapse-compare-card").getConfigForm();
  return schema.find((field) => field.name === "test").selector.select.options;
}"""
BOXES = """(card) => [card, ...card.shadowRoot.querySelectorAll("button, select, table")].map((element) => {
  const { left, top, right, bottom } = element.getBoundingClientRect();
  return { left, top, right, bottom };
})"""


def hass(language: str = "en") -> dict[str, Any]:
    """What Home Assistant hands to a card: two cameras."""
    device = {"lake": "roof/lake", "west": "roof/west"}
    return {
        "language": language,
        "locale": {"time_format": "24"},
        "config": {"time_zone": "Europe/Vienna"},
        "devices": {
            key: {"id": key, "name": key.capitalize(), "identifiers": [["skylapse", name]]}
            for key, name in device.items()
        },
        "entities": {},
        "states": {},
    }


def ab_test(name: str, camera: str = "roof/west", pairs: int = 3) -> dict[str, Any]:
    """Return a test of three arms of one profile as the integration tells of it."""
    frame = {"media_content_id": "frame", "captured_at": "2026-06-21T18:00:00Z"}
    figures = {
        "score": 50,
        "frames": 12,
        "exposure_error_ev": 0.07,
        "clipped_low": 0.0,
        "clipped_high": 0.0,
        "noise": 0.0005,
        "sharpness": 0.254,
        "colour_drift": 0.064,
        "flicker_mev": 10.6,
    }
    return {
        "id": name.lower().replace(" ", "-"),
        "name": name,
        "camera": camera,
        "state": "compared",
        "started_at": "2026-06-21T17:00:00Z",
        "ends_at": "2026-06-21T20:00:00Z",
        "failure": None,
        "winner": None,
        "arms": [{"test_id": f"{name}-{arm}", "name": arm, "score": figures} for arm in ARMS],
        "pairs": [[frame] * len(ARMS)] * pairs,
    }


async def shown(page: Page, tests: list[dict[str, Any]], *, language: str = "en", **config: str) -> Locator:
    """Put a card on the page."""
    await page.evaluate(f"({SHOW})({json.dumps([hass(language), tests, config])})")
    return page.locator("skylapse-compare-card")


async def test_arms_are_told_apart_by_what_was_changed(page: Page) -> None:
    card = await shown(page, [ab_test("Warmer evenings")], language="de", device="west")
    called = [f"{letter} · {arm}" for letter, arm in zip("ABC", ARMS, strict=True)]
    await expect(card.locator("thead th")).to_have_text(called)
    await expect(card.get_by_label("Links").locator("option")).to_have_text(called)
    await expect(card.locator(".slider .arm")).to_have_text(called[:2])
    assert (await page.evaluate("window.asked"))["language"] == "de"


@pytest.mark.parametrize("language", ["en", "de"])
async def test_no_control_overlaps_another_or_leaves_a_narrow_card(page: Page, language: str) -> None:
    tests = [ab_test("Warmer evenings than they were before"), ab_test("Another")]
    card = await shown(page, tests, language=language, device="west")
    await expect(card.locator("select")).to_have_count(3)
    edge, *controls = await card.evaluate(BOXES)
    assert (edge["left"], edge["right"]) == (8, 352)
    assert len(controls) == 6
    for box in controls:
        assert edge["left"] <= box["left"] < box["right"] <= edge["right"]
    for one, other in itertools.combinations(controls, 2):
        assert (
            one["right"] <= other["left"]
            or other["right"] <= one["left"]
            or one["bottom"] <= other["top"]
            or other["bottom"] <= one["top"]
        )


async def test_a_card_without_a_camera_shows_the_latest_test_that_has_pictures(page: Page) -> None:
    tests = [ab_test("New", "roof/lake", pairs=0), ab_test("Warmer evenings"), ab_test("Old", "roof/lake")]
    card = await shown(page, tests)
    await expect(card.locator("h2")).to_have_text("A/B · West")
    await expect(card.get_by_text("Warmer evenings")).to_be_visible()
    await expect(card.locator("[data-choice=test]")).to_have_count(0)


async def test_a_card_without_a_camera_shows_the_test_that_it_names(page: Page) -> None:
    card = await shown(page, [ab_test("Warmer evenings"), ab_test("Old", "roof/lake")], test="old")
    await expect(card.locator("h2")).to_have_text("A/B · Lake")


async def test_a_test_that_is_not_there_is_said_and_another_one_can_be_chosen(page: Page) -> None:
    card = await shown(page, [ab_test("Warmer evenings")], device="west", test="nix")
    await expect(card.get_by_text("There is no A/B test nix here.")).to_be_visible()
    await card.get_by_label("Test").select_option("warmer-evenings")
    await expect(card.locator("thead th")).to_have_count(3)
    await expect(card.get_by_text("There is no A/B test nix here.")).to_have_count(0)


async def test_pictures_are_signed_anew_when_home_assistant_is_back(page: Page) -> None:
    card = await shown(page, [ab_test("Warmer evenings")], device="west")
    over, later = card.locator("img.over"), card.get_by_role("button", name="Later")
    await expect(over).to_have_attribute("src", "/no-picture?signed=1")
    await later.click()
    await expect(over).to_have_attribute("src", "/no-picture?signed=2")
    await card.get_by_role("button", name="Earlier").click()
    await expect(card.get_by_text("Pair 2 / 3")).to_be_visible()
    assert await page.evaluate("signed") == 2
    await page.evaluate("connection.dispatchEvent(new Event('ready'))")
    await later.click()
    await expect(over).to_have_attribute("src", "/no-picture?signed=3")
    await page.evaluate("document.body.append(document.querySelector('skylapse-compare-card'))")
    await card.get_by_role("button", name="Earlier").click()
    await expect(over).to_have_attribute("src", "/no-picture?signed=5")


async def test_the_editor_offers_tests_by_their_names(page: Page) -> None:
    tests = [ab_test("Warmer evenings"), ab_test("Old", "gone/lake")]
    assert await page.evaluate(f"({FORM})({json.dumps([hass(), tests])})") == [
        {"value": "warmer-evenings", "label": "West · Warmer evenings · Sunday, June 21"},
        {"value": "old", "label": "gone/lake · Old · Sunday, June 21"},
    ]
