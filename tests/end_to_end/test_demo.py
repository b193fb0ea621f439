"""The whole system: real cameras' software, broker, processor, Home Assistant 2026.11 and Chromium."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from playwright.async_api import Page, expect

from tests.end_to_end.conftest import EVENING, KEPT, PLAYS, Shown

pytestmark = pytest.mark.asyncio(loop_scope="session")

COMPLAINTS = re.compile(
    r"deprecated|will stop working|Detected blocking call|Detected that custom integration"
    r"|Validation of translation placeholders|Error doing job|Exception in|Traceback",
    re.IGNORECASE,
)
ABOUT_SKYLAPSE = re.compile(r"custom_components[./]skylapse|component\.skylapse|\bskylapse\b(?!/)")


async def test_the_evening_becomes_a_film_of_all_its_frames(shown: Shown) -> None:
    result = shown.result
    assert result.frames_captured == result.frames_stored + result.frames_pending + result.frames_dropped
    assert result.frames_dropped == 0
    with av.open(result.film_path) as film:
        stream = film.streams.video[0]
        frames = sum(1 for _ in film.decode(stream))
        assert stream.codec_context.name == "h264"
    assert 0.9 * EVENING.frames <= frames <= EVENING.frames + 1


async def test_a_picture_and_its_time_belong_together(shown: Shown) -> None:
    folder = shown.system.plan.folder
    light = {facts["captured_at"]: facts["lux"] for facts in _facts(folder / "pictures")}
    frames = _facts(folder / "store/frames/demo/pictures")
    stored = [frame for frame in frames if frame["schedule"] == "sunset"]
    assert len(stored) > 0.8 * EVENING.frames
    for record in stored:
        assert record["lux"] == pytest.approx(light[record["captured_at"]])


async def test_the_bridge_appears_as_devices_with_entities(shown: Shown) -> None:
    registry = await shown.system.house.ask("config/entity_registry/list")
    domains = {entry["entity_id"].partition(".")[0] for entry in registry if entry["platform"] == "skylapse"}
    assert {"image", "event", "sensor", "binary_sensor"} <= domains
    devices = await shown.system.house.ask("config/device_registry/list")
    assert {"Lake", "Pictures"} <= {device["name"] for device in devices}


async def test_a_person_signs_in_and_plays_the_film(shown: Shown, page: Page) -> None:
    house = shown.system.house
    await page.goto(house.url)
    await page.get_by_label("Username").fill(house.sign_in.username)
    await page.locator("input[name=password]").fill(house.sign_in.password)
    await page.get_by_role("button", name="Log in").click()
    await page.get_by_text("Media", exact=True).click()
    for folder in ("Skylapse", "Films", "Lake"):
        await page.locator("ha-card, .child").filter(has_text=folder).first.click()
    await page.locator(".child").filter(has_text=re.compile(r"\d{4}-\d{2}-\d{2}")).first.click()
    thumbnail = page.locator(".child ha-media-browser-thumbnail [style*='data:image/jpeg']").first
    await expect(thumbnail).to_be_visible()
    await page.screenshot(path=KEPT / "media-browser.png")
    await page.locator(".child").first.click()
    video = page.locator("video").first
    await expect(video).to_be_attached()
    assert await video.evaluate(PLAYS) > 0
    await page.screenshot(path=KEPT / "film.png")


async def test_home_assistant_has_nothing_to_complain_about(shown: Shown) -> None:
    log = shown.system.house.program.log()
    entries = re.split(r"\n(?=\d{4}-\d{2}-\d{2} )", log)
    about = [entry for entry in entries if ABOUT_SKYLAPSE.search(entry)]
    assert about
    assert [entry for entry in about if COMPLAINTS.search(entry) or " ERROR " in entry] == []


async def test_a_dashboard_shows_the_cameras(shown: Shown, page: Page) -> None:
    await page.goto(f"{shown.system.house.url}/demo-skylapse")
    for name in ("Lake", "Pictures"):
        card = page.locator("skylapse-card").filter(has=page.get_by_role("heading", name=name, exact=True))
        await expect(card.locator(".stage img")).to_be_visible()
    await page.screenshot(path=KEPT / "dashboard.png")


def _facts(folder: Path) -> Iterator[dict[str, Any]]:
    for sidecar in folder.rglob("*.json"):
        yield json.loads(sidecar.read_text("utf-8"))
