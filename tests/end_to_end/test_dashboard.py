"""What a person does in Home Assistant's pages: a schedule, a profile, an A/B test, a dashboard, a film."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import ConsoleMessage, Locator, Page, ViewportSize, async_playwright, expect

from demo.dashboard import CONFIG, PATH
from demo.home_assistant import HomeAssistant
from demo.processes import find_program
from demo.rig import died
from demo.sunset import EVENING as DAY
from demo.sunset import LAKE
from demo.system import System
from tests.end_to_end.conftest import CHROMIUM, KEPT, PATIENCE_MS, PLAYS, Shown
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

CAMERA = "garden/north"
TEST = "half-as-bright"
PAIRS = 3
RATE = 60.0
"""The built-in schedule Daytime photographs every 30 seconds: twice a second on this clock."""
TWIN = {
    "id": "north",
    "name": "Garden",
    "driver": "twin",
    "width": 640,
    "height": 360,
    "latitude": LAKE.latitude,
    "longitude": LAKE.longitude,
}
NARROW, WIDE = ViewportSize(width=360, height=780), ViewportSize(width=1280, height=900)
NOISE = re.compile(r"favicon\.ico")
"""What the browser itself asks for and Home Assistant does not have."""
COMPLAINTS = re.compile(
    r"deprecated|will stop working|Detected blocking call|Detected that custom integration"
    r"|Validation of translation placeholders|Error doing job|Exception in|Traceback| ERROR ",
    re.IGNORECASE,
)
ABOUT_SKYLAPSE = re.compile(r"custom_components[./]skylapse|component\.skylapse|\bskylapse\b(?!/)")


@dataclass(kw_only=True)
class Desk:
    """A person at a browser, in front of a system that photographs."""

    system: System
    page: Page
    errors: list[str] = field(default_factory=list)
    """What the browser's console complained of."""

    @property
    def house(self) -> HomeAssistant:
        """Home Assistant."""
        return self.system.house

    async def open(self, path: str) -> None:
        """Go to a page of Home Assistant."""
        await self.page.goto(f"{self.house.url}{path}")

    async def subentry(self, title: str) -> dict[str, Any] | None:
        """Return a schedule, profile or test by its title."""
        (entry,) = await self.house.ask("config_entries/get", domain="skylapse")
        known = await self.house.ask("config_entries/subentries/list", entry_id=entry["entry_id"])
        return next((each for each in known if each["title"] == title), None)

    async def perform(self, yaml: str) -> None:
        """Perform an action on the page of tools, written as YAML."""
        await self.open("/config/tools/action")
        await self.page.get_by_text("YAML mode", exact=True).click()
        await self.page.locator(".cm-content").first.click()
        await self.page.keyboard.press("Control+A")
        await self.page.keyboard.insert_text(yaml)
        await self.page.get_by_role("button", name="Perform action").click()

    def heed(self, message: ConsoleMessage) -> None:
        """Take in what the console says."""
        if message.type == "error" and not NOISE.search(f"{message.text} {message.location}"):
            self.errors.append(f"{message.text} ({message.location.get('url')})")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk(shown: Shown) -> AsyncIterator[Desk]:
    """Sign in, while a camera of its own photographs by daylight."""
    noon = datetime(DAY.year, DAY.month, DAY.day, 10, 0, tzinfo=UTC)
    clock = {"start": noon.isoformat(), "anchor": datetime.now(UTC).isoformat(), "rate": RATE}
    bridge = shown.system.rig.start_another_bridge("garden", [TWIN], clock=clock)

    def has_begun() -> bool:
        died(bridge)
        store = shown.system.watch.heard.stores.get(CAMERA)
        return store is not None and store.frames_today > 0

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_program("chromium"), headless=True, args=CHROMIUM, timeout=PATIENCE_MS
        )
        page = await browser.new_page(viewport=WIDE, reduced_motion="reduce")
        page.set_default_timeout(PATIENCE_MS)
        made = Desk(system=shown.system, page=page)
        page.on("console", made.heed)
        page.on("pageerror", lambda error: made.errors.append(str(error)))
        try:
            await sign_in(made)
            await until(has_begun, what="the first frame of the garden")
            yield made
        finally:
            await browser.close()
            bridge.stop()


async def sign_in(desk: Desk) -> None:
    """Fill in the form of Home Assistant's first page."""
    await desk.open("/")
    await desk.page.get_by_label("Username").fill(desk.house.sign_in.username)
    await desk.page.locator("input[name=password]").fill(desk.house.sign_in.password)
    await desk.page.get_by_role("button", name="Log in").click()
    await expect(desk.page.get_by_text("Media", exact=True)).to_be_visible()


async def submit(desk: Desk) -> None:
    """Send the form of the dialog that is open, and close what thanks for it."""
    await desk.page.get_by_role("button", name="Submit").click()
    done = desk.page.get_by_role("button", name=re.compile("Finish|Close|OK")).last
    await expect(desk.page.get_by_role("button", name="Submit")).to_have_count(0)
    if await done.is_visible():
        await done.click()


async def choose(form: Locator, option: str) -> None:
    """Choose from the first list of a form."""
    choices = form.locator("ha-selector-select").first
    await choices.click()
    await choices.get_by_role("menuitem", name=option, exact=True).click()


async def card_of(desk: Desk, tag: str, name: str) -> Locator:
    """Return the card with this name, in view."""
    card = desk.page.locator(tag).filter(has=desk.page.get_by_role("heading", name=name, exact=True))
    await expect(card).to_be_visible()
    await card.scroll_into_view_if_needed()
    return card


async def test_a_schedule_that_is_added_reaches_the_cameras(desk: Desk) -> None:
    state = desk.system.watch.heard.cameras[CAMERA]
    await desk.open("/config/integrations/integration/skylapse")
    await desk.page.get_by_text("Add schedule").first.click()
    await desk.page.locator("step-flow-form input:not([type=checkbox])").first.fill("Blue hour")
    await submit(desk)
    added = await until(lambda: desk.subentry("Blue hour"), what="the schedule")
    assert added["subentry_type"] == "schedule"

    def has_it() -> bool:
        return (desk.system.watch.heard.cameras[CAMERA].plan_revision or 0) > (state.plan_revision or 0)

    await until(has_it, what="the camera to hold the new plan")


async def test_a_profile_that_is_changed_reaches_the_cameras(desk: Desk) -> None:
    state = desk.system.watch.heard.cameras[CAMERA]
    await desk.open("/config/integrations/integration/skylapse")
    row = desk.page.locator("ha-config-sub-entry-row").filter(has_text="Mountain spot").first
    await row.get_by_role("button", name="Change profile").click()
    await desk.page.locator("step-flow-form input:not([type=checkbox])").first.fill("Mountain at noon")
    await submit(desk)
    changed = await until(lambda: desk.subentry("Mountain at noon"), what="the profile")
    assert changed["subentry_type"] == "profile"

    def has_it() -> bool:
        held = desk.system.watch.heard.cameras[CAMERA].snapshot_version or 0
        return held > (state.snapshot_version or 0)

    await until(has_it, what="the camera to hold the changed profile")


async def test_an_ab_test_is_started_by_its_form_and_stopped(desk: Desk) -> None:
    await desk.open("/config/integrations/integration/skylapse")
    await desk.page.get_by_text("Start A/B test").first.click()
    form, row = desk.page.locator("step-flow-form"), desk.page.locator("dialog-form")
    await form.locator("input:not([type=checkbox])").first.fill("Half as bright")
    await choose(form, "Garden")
    for profile in ("Center-weighted auto", "Mountain at noon"):
        await form.get_by_role("button", name="Add", exact=True).click()
        await choose(row, profile)
        add = row.get_by_role("button", name="Add", exact=True)
        await add.click()
        await expect(add).to_have_count(0)
    await submit(desk)
    added = await until(lambda: desk.subentry("Half as bright"), what="the test")
    assert added["subentry_type"] == "ab_test"
    (begun,) = (await desk.house.act("list_ab_tests", camera=CAMERA))["tests"]
    assert begun["state"] == "running"
    assert [(arm["test_id"], arm["profile"], arm["label"]) for arm in begun["arms"]] == [
        (f"{TEST}-a", "a", "Center-weighted auto"),
        (f"{TEST}-b", "f", "Mountain at noon"),
    ]

    async def pairs() -> int:
        frames = [item["test_id"] async for item in desk.system.store.frames(CAMERA)]
        return min(frames.count(f"{TEST}-{letter}") for letter in "ab")

    async def are_enough() -> bool:
        return await pairs() >= PAIRS

    await until(are_enough, what=f"{PAIRS} pairs of test frames")
    await desk.perform(f"action: skylapse.stop_ab_test\ndata:\n  camera: {CAMERA}\n")

    async def is_compared() -> bool:
        tests = (await desk.house.act("list_ab_tests", camera=CAMERA))["tests"]
        return bool(tests[0]["state"] == "compared")

    await until(is_compared, what="the comparison")


async def test_the_dashboard_is_found_among_those_of_the_community(desk: Desk) -> None:
    await desk.open("/config/lovelace/dashboards")
    await desk.page.get_by_role("button", name="Add dashboard").click()
    await desk.page.get_by_text("All cameras of Skylapse").click()
    await desk.page.get_by_role("button", name="Create").click()
    await expect(desk.page.get_by_role("button", name="Create")).to_have_count(0)
    made = await until(lambda: _dashboard(desk.house), what="the dashboard")
    await desk.open(f"/{made}/cameras")
    for name in ("Garden", "Lake", "Pictures"):
        card = await card_of(desk, "skylapse-card", name)
        await expect(card.get_by_alt_text(f"Latest frame of {name}")).to_be_visible()
        await expect(card.get_by_role("img", name=re.compile("Dial of"))).to_be_visible()
    await desk.page.evaluate("window.scrollTo(0, 0)")
    await desk.page.screenshot(path=KEPT / "dashboard.jpg", type="jpeg", quality=85)


async def _dashboard(house: HomeAssistant) -> str | None:
    """Return the path of the dashboard that was added; the demo has made one itself."""
    for each in await house.ask("lovelace/dashboards/list"):
        config = await house.ask("lovelace/config", url_path=each["url_path"])
        if config == CONFIG and each["url_path"] != PATH:
            path: str = each["url_path"]
            return path
    return None


async def test_a_card_takes_a_frame_and_plays_the_film_of_today(desk: Desk) -> None:
    await desk.open(f"/{await _dashboard(desk.house)}/cameras")
    card = await card_of(desk, "skylapse-card", "Garden")
    await card.get_by_role("button", name="Capture now").press("Enter")
    await expect(card.get_by_text("Capture now: done")).to_be_visible()
    await card.get_by_role("button", name="Today").press("Enter")
    video = card.locator("video").first
    await expect(video).to_be_attached()
    assert await video.evaluate(PLAYS) > 0
    await card.get_by_role("button", name="Picture").press("Enter")
    await expect(card.get_by_alt_text("Latest frame of Garden")).to_be_visible()


async def test_a_part_that_no_card_has_is_named(desk: Desk) -> None:
    card = await card_of(desk, "skylapse-card", "Garden")
    await card.evaluate("(card) => card.setConfig({ ...card._config, show: ['frame', 'dail'] })")
    await expect(desk.page.get_by_text("Under show stands dail")).to_be_visible()


@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_the_cards_fit_the_smallest_phone(desk: Desk, colours: Any) -> None:
    await desk.page.emulate_media(color_scheme=colours)
    await desk.page.set_viewport_size(NARROW)
    path = await _dashboard(desk.house)
    for view, tag, name in (
        ("cameras", "skylapse-card", "Garden"),
        ("ab-tests", "skylapse-compare-card", "A/B · Garden"),
    ):
        await desk.open(f"/{path}/{view}")
        card = await card_of(desk, tag, name)
        await expect(card.locator("img").first).to_be_visible()
        assert await card.evaluate(FITS) == []
        await card.screenshot(path=KEPT / f"{view}-{colours}-360.jpg", type="jpeg", quality=85)
    await desk.page.emulate_media(color_scheme="light")
    await desk.page.set_viewport_size(WIDE)


FITS = """(card) => [...card.shadowRoot.querySelectorAll("*")]
  .filter((each) => !each.closest("svg, .scroll"))
  .filter((each) => each.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((each) => each.outerHTML.slice(0, 100))"""


async def test_the_slider_follows_keys_and_the_mouse(desk: Desk) -> None:
    await desk.open(f"/{await _dashboard(desk.house)}/ab-tests")
    card = await card_of(desk, "skylapse-compare-card", "A/B · Garden")
    slider = card.get_by_role("slider")
    await expect(slider).to_have_attribute("aria-valuenow", "50")
    await expect(slider).to_have_accessible_name(re.compile(r"Divider between A · .* and B · .*"))
    for key, at in (("ArrowRight", 51), ("Shift+ArrowLeft", 41), ("End", 100), ("PageDown", 90), ("Home", 0)):
        await slider.press(key)
        await expect(slider).to_have_attribute("aria-valuenow", str(at))
    box = await card.locator(".slider").bounding_box()
    assert box is not None
    await desk.page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] / 2)
    await desk.page.mouse.down()
    await desk.page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
    await desk.page.mouse.up()
    await expect(slider).to_have_attribute("aria-valuenow", "75")
    pair = await card.locator(".over").get_attribute("src")
    await card.get_by_role("button", name="Earlier pair").click()
    await expect(card.locator(".over")).not_to_have_attribute("src", pair or "")
    await expect(card.get_by_role("row", name=re.compile("^Exposure error"))).to_be_visible()
    await card.screenshot(path=KEPT / "compare.jpg", type="jpeg", quality=85)


async def test_a_film_is_searched_and_played(desk: Desk) -> None:
    await desk.open("/media-browser/browser/app%2Cmedia-source%3A%2F%2Fskylapse")
    await desk.page.get_by_placeholder("Search Skylapse").fill("lake")
    await desk.page.get_by_role("button", name="Search", exact=True).click()
    found = desk.page.locator(".child").filter(has_text=re.compile(r"Lake · \d{4}-\d{2}-\d{2}")).first
    await expect(found).to_be_visible()
    await desk.page.screenshot(path=KEPT / "search.png")
    await found.click()
    video = desk.page.locator("video").first
    await expect(video).to_be_attached()
    assert await video.evaluate(PLAYS) > 0


async def test_nobody_had_anything_to_complain_about(desk: Desk) -> None:
    assert desk.errors == []
    entries = re.split(r"\n(?=\d{4}-\d{2}-\d{2} )", desk.house.program.log())
    about = [entry for entry in entries if ABOUT_SKYLAPSE.search(entry)]
    assert about
    assert [entry for entry in about if COMPLAINTS.search(entry)] == []
