"""What a card shows while the broker, a bridge or the processor is away.

The whole system is looked at by the tests from end to end; here states are handed to a card as Home Assistant
does, since a house that falls apart in each of these ways takes minutes.
"""

import json
from typing import Any

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.cards.conftest import FOLDER, HOUSE

PICTURE = "/api/image_proxy/image.west_latest_frame"
ENTITIES = {
    "binary_sensor.roof_connectivity": ("bridge", "connectivity"),
    "binary_sensor.roof_delivery": ("bridge", "delivery"),
    "binary_sensor.processor_connectivity": ("processor", "connectivity"),
    "binary_sensor.west_capturing": ("camera", "capturing"),
    "binary_sensor.west_problem": ("camera", "problem"),
    "image.west_latest_frame": ("camera", "latest_frame"),
    "sensor.west_frames_today": ("camera", "frames_today"),
    "sensor.west_frames_dropped": ("camera", "frames_dropped"),
}
WELL: dict[str, Any] = {
    "binary_sensor.roof_connectivity": "on",
    "binary_sensor.roof_delivery": "off",
    "binary_sensor.processor_connectivity": "on",
    "binary_sensor.west_capturing": "off",
    "binary_sensor.west_problem": "off",
    "image.west_latest_frame": ("2026-06-21T10:00:00+00:00", {"entity_picture": f"{PICTURE}?token=a"}),
    "sensor.west_frames_today": "1",
    "sensor.west_frames_dropped": "0",
}
MAKE = """(hass) => {
  hass.callWS = async () => { throw new Error("nobody answers"); };
  window.hass = hass;
  const card = document.createElement("skylapse-card");
  card.setConfig({ device: "camera", show: ["frame", "film", "badges"] });
  card.hass = hass;
  document.body.append(card);
}"""
TELL = """(hass) => {
  document.querySelector("skylapse-card").hass = { ...hass, callWS: window.hass.callWS };
}"""
REFUSED = """([hass, words]) => {
  hass.callWS = async () => {
    throw {
      code: "not_found",
      message: "There is no camera roof/west.",
      translation_key: "camera_unknown",
      translation_domain: "skylapse",
      translation_placeholders: { camera: "roof/west" },
    };
  };
  hass.loadBackendTranslation = async (category, domain) => (key, places) =>
    words[key.replace(`component.${domain}.${category}.`, "")]?.replace("{camera}", places.camera);
  const card = document.createElement("skylapse-card");
  card.setConfig({ device: "camera", show: ["dial"] });
  card.hass = hass;
  document.body.append(card);
}"""


def hass(language: str = "en", **changes: Any) -> dict[str, Any]:
    """What Home Assistant hands to a card, with some states that are others."""
    states = {}
    for entity, value in {
        **WELL,
        **{name.replace("__", "."): each for name, each in changes.items()},
    }.items():
        state, attributes = value if isinstance(value, tuple) else (value, {})
        states[entity] = {"entity_id": entity, "state": state, "attributes": attributes}
    return {
        "language": language,
        "locale": {"time_format": "24"},
        "config": {"time_zone": "Europe/Vienna"},
        "devices": {
            "bridge": {"id": "bridge", "name": "Roof", "identifiers": [["skylapse", "roof"]]},
            "camera": {
                "id": "camera",
                "name": "West",
                "identifiers": [["skylapse", "roof/west"]],
                "via_device_id": "bridge",
            },
            "processor": {"id": "processor", "name": "House", "identifiers": [["skylapse", "processor"]]},
        },
        "entities": {
            entity: {"entity_id": entity, "platform": "skylapse", "device_id": device, "translation_key": key}
            for entity, (device, key) in ENTITIES.items()
        },
        "states": states,
    }


async def card(page: Page, words: dict[str, Any]) -> Locator:
    """Put a card on the page."""
    await page.evaluate(f"({MAKE})({json.dumps(words)})")
    return page.locator("skylapse-card")


async def with_picture(page: Page) -> None:
    """Have the latest frame come."""
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="160" height="90"/>'

    async def answer(route: Route) -> None:
        await route.fulfill(body=svg, content_type="image/svg+xml")

    await page.route(f"{HOUSE}{PICTURE}*", answer)


@pytest.mark.parametrize(("language", "words"), [("en", "1 frame today"), ("de", "1 Bild heute")])
async def test_one_frame_is_one(page: Page, language: str, words: str) -> None:
    await expect((await card(page, hass(language))).get_by_text(words)).to_be_visible()


async def test_a_broker_that_is_away_is_said_and_the_picture_stays(page: Page) -> None:
    await with_picture(page)
    shown = await card(page, hass())
    picture = shown.get_by_alt_text("Latest frame of West")
    await expect(picture).to_have_js_property("naturalWidth", 160)
    nobody = hass(**{entity.replace(".", "__"): "unavailable" for entity in WELL})
    await page.evaluate(f"({TELL})({json.dumps(nobody)})")
    await expect(shown.get_by_text("not connected to the MQTT broker")).to_be_visible()
    await expect(picture).to_be_visible()


async def test_who_goes_back_to_the_picture_while_nobody_is_heard_is_told_when_it_comes(page: Page) -> None:
    await with_picture(page)
    shown = await card(page, hass())
    await expect(shown.get_by_alt_text("Latest frame of West")).to_have_js_property("naturalWidth", 160)
    await shown.get_by_role("button", name="Today").click()
    await expect(shown.get_by_text("Try again")).to_be_visible()
    nobody = hass(**{entity.replace(".", "__"): "unavailable" for entity in WELL})
    await page.evaluate(f"({TELL})({json.dumps(nobody)})")
    await shown.get_by_role("button", name="Picture").click()
    await expect(shown.get_by_text("is here again when the camera is heard")).to_be_visible()
    await expect(shown.get_by_text("Try again")).to_have_count(0)


async def test_a_card_that_begins_while_nobody_is_heard_says_when_its_picture_comes(page: Page) -> None:
    nobody = hass("de", **{entity.replace(".", "__"): "unavailable" for entity in WELL})
    shown = await card(page, nobody)
    await expect(shown.get_by_text("sobald die Kamera wieder zu hören ist")).to_be_visible()
    await expect(shown.get_by_text("Noch kein Bild")).to_have_count(0)


async def test_a_picture_that_does_not_come_is_no_broken_image(page: Page) -> None:
    shown = await card(page, hass())
    await expect(shown.get_by_text("cannot be loaded at the moment")).to_be_visible()
    await expect(shown.locator("img")).to_have_count(0)


async def test_a_processor_that_is_away_is_told_once_and_instead_of_the_film(page: Page) -> None:
    words = hass(
        binary_sensor__processor_connectivity="off",
        binary_sensor__roof_delivery=("on", {"reason": "Cannot connect to host"}),
    )
    shown = await card(page, words)
    await shown.get_by_role("button", name="Today").click()
    await expect(
        shown.get_by_text("The film of today is at the processor, which is offline.")
    ).to_be_visible()
    await expect(shown.locator(".trouble")).to_have_text(
        ["The processor is offline. Frames wait at the bridge."]
    )


async def test_moments_in_reasons_are_in_the_time_of_the_house(page: Page) -> None:
    reason = "13 frames too late since 2026-06-21 17:00:00 UTC"
    shown = await card(page, hass(binary_sensor__west_problem=("on", {"reason": reason})))
    await expect(shown.locator(".trouble")).to_contain_text("13 frames too late since Sunday, June 21, 19:00")


async def test_a_camera_without_a_further_picture_says_so(page: Page) -> None:
    reason = "pictures has no other picture by 20:00 UTC"
    shown = await card(page, hass(binary_sensor__west_capturing=("off", {"reason": reason})))
    await expect(shown.locator(".trouble")).to_have_text([f"There is no picture to take: {reason}"])


@pytest.mark.parametrize(
    "shown",
    ["„roof/west“ ist keine Kamera von Skylapse.", "There is no camera roof/west."],
    ids=["translated", "no words for it"],
)
async def test_why_home_assistant_refuses_is_told_in_the_readers_language(page: Page, shown: str) -> None:
    texts = json.loads((FOLDER.parent / "translations/de.json").read_text(encoding="utf-8"))["exceptions"]
    words = {f"{key}.message": text["message"] for key, text in texts.items()} if "ist" in shown else {}
    await page.evaluate(f"({REFUSED})({json.dumps([hass('de'), words])})")
    await expect(page.locator("skylapse-card").get_by_text(shown)).to_be_visible()
