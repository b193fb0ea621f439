"""Repairs that a click mends."""

from dataclasses import replace
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator, MqttMockHAClient

from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.issues import async_tell
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import CommandError, Focus, Reply
from custom_components.skylapse.troubles import Trouble
from tests.integration.brokerage import sent
from tests.integration.speakers import STATE, Bridge, Processor
from tests.integration.theatre import KEY, FakeProcessor
from tests.integration.troubles import MINUTE_S, issues, moved_to, pass_time


class Fixer:
    """Somebody who clicks on *Fix* in the browser."""

    def __init__(self, hass: HomeAssistant, client: Any) -> None:
        self.hass = hass
        self._client = client
        self._flow = ""

    async def open(self, issue: str) -> dict[str, Any]:
        """Click on the issue and return the first form."""
        answer = await self._post("/api/repairs/issues/fix", {"handler": DOMAIN, "issue_id": issue})
        self._flow = str(answer["flow_id"])
        return answer

    async def submit(self, **fields: Any) -> dict[str, Any]:
        """Submit the form."""
        return await self._post(f"/api/repairs/issues/fix/{self._flow}", fields)

    async def look(self) -> dict[str, Any]:
        """Ask how far it is, as the browser does when it is told of progress."""
        response = await self._client.get(f"/api/repairs/issues/fix/{self._flow}")
        return dict(await response.json())

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = await self._client.post(path, json=body)
        assert response.status == 200, await response.text()
        answer: dict[str, Any] = await response.json()
        return answer


@pytest.fixture
async def fixer(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> Fixer:
    """The browser of somebody signed in."""
    assert await async_setup_component(hass, "repairs", {})
    return Fixer(hass, await hass_client())


@pytest.mark.parametrize("entry_data", [{"root": "skylapse"}])
async def test_a_missing_key_is_asked_for_in_one_field(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
    processor_server: FakeProcessor,
    fixer: Fixer,
) -> None:
    await bridge.arrive()
    await processor.arrive()
    await pass_time(hass, 10 * MINUTE_S + 1)
    assert issues(hass) == {"processor_key_missing_processor"}
    form = await fixer.open("processor_key_missing_processor")
    required = {field["name"] for field in form["data_schema"] if field.get("required")}
    assert required == {"processor_key"}
    assert form["description_placeholders"]["name"] == "House"
    for fields, errors in (
        ({"processor_key": "wrong"}, {"processor_key": "invalid_key"}),
        ({"processor_key": KEY, "processor_url": "x"}, {"processor_url": "invalid_url"}),
        ({"processor_key": KEY, "processor_url": "http://127.0.0.1:1"}, {"processor_url": "cannot_connect"}),
    ):
        assert (await fixer.submit(**fields))["errors"] == errors
    assert (await fixer.submit(processor_key=KEY))["type"] == "create_entry"
    await hass.async_block_till_done(wait_background_tasks=True)
    assert loaded.data["processor_url"] == processor_server.url
    assert loaded.data["root"] == "skylapse"
    assert issues(hass) == set()
    await pass_time(hass, 600)
    assert issues(hass) == set()


async def test_a_processor_that_moved_is_followed_after_a_look_at_its_address(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    processor: Processor,
    processor_server: FakeProcessor,
    fixer: Fixer,
) -> None:
    await processor_server.stop()
    old = processor_server.url
    new = FakeProcessor()
    await new.start()
    await processor.say(topics.PROCESSOR_ANNOUNCE, moved_to(new.url))
    await processor.say(topics.PROCESSOR_AVAILABILITY, "online")
    form = await fixer.open("processor_moved_processor")
    assert form["description_placeholders"]["pinned"] == old
    assert form["description_placeholders"]["announced"] == new.url
    new.broken = 401
    assert (await fixer.submit())["errors"] == {"base": "invalid_key"}
    new.broken = None
    await processor.say(topics.PROCESSOR_ANNOUNCE, moved_to("http://thief:8097"))
    assert (await fixer.submit())["type"] == "create_entry"
    await hass.async_block_till_done(wait_background_tasks=True)
    assert loaded.data["processor_url"] == new.url
    assert loaded.data["processor_key"] == KEY
    await new.stop()


async def drift(bridge: Bridge) -> None:
    """Let the lens of the camera drift."""
    await bridge.arrive()
    focus = Focus(infinity_dioptre=0.4, drifted=True)
    await bridge.say(topics.STATE, replace(STATE, focus=focus))


async def test_a_camera_that_does_not_reply_is_told_in_words_that_can_be_translated(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    fixer: Fixer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("custom_components.skylapse.repairs.LOOK_S", 0.0)
    await drift(bridge)
    await fixer.open("focus_drifted_roof/west")
    answer = await fixer.submit()
    await hass.async_block_till_done(wait_background_tasks=True)
    if answer["type"] == "progress":
        answer = await fixer.look()
    assert (answer["type"], answer["reason"]) == ("abort", "no_reply")
    assert answer["description_placeholders"]["camera"] == "roof/west"


@pytest.mark.parametrize("error", [None, CommandError(code="camera_failed", message="too dark")])
async def test_a_lens_that_drifted_is_focused_by_a_click(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    fixer: Fixer,
    error: CommandError | None,
) -> None:
    await drift(bridge)
    assert (await fixer.open("focus_drifted_roof/west"))["step_id"] == "confirm"
    progress = await fixer.submit()
    assert (progress["type"], progress["progress_action"]) == ("progress", "look")
    command = await sent(mqtt, "skylapse/roof/west/command")
    assert command.name == "focus"
    await bridge.reply(Reply(id=command.id, ok=error is None, error=error))
    await hass.async_block_till_done(wait_background_tasks=True)
    answer = await fixer.look()
    if error is None:
        assert answer["type"] == "create_entry"
        assert issues(hass) == set()
    else:
        assert (answer["type"], answer["reason"]) == ("abort", "not_focused")
        assert answer["description_placeholders"]["problem"] == "too dark"
        assert issues(hass) == {"focus_drifted_roof/west"}


async def test_a_camera_that_is_away_is_not_focused(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, fixer: Fixer
) -> None:
    await drift(bridge)
    await bridge.say(topics.AVAILABILITY, "offline")
    await fixer.open("focus_drifted_roof/west")
    assert (await fixer.submit())["reason"] == "camera_offline"
    assert issues(hass) == {"focus_drifted_roof/west"}


@pytest.mark.parametrize(
    ("key", "subject"),
    [
        ("focus_drifted", "roof/west"),
        ("processor_moved", "processor"),
        ("processor_key_missing", "processor"),
    ],
)
async def test_an_entry_that_goes_meanwhile_is_said(
    hass: HomeAssistant, loaded: MockConfigEntry, fixer: Fixer, key: str, subject: str
) -> None:
    assert await hass.config_entries.async_unload(loaded.entry_id)
    trouble: Trouble[Any] = Trouble(key=key, find=lambda *_: None, is_fixable=True)
    async_tell(hass, trouble, subject, {"announced": "http://a", "url": "http://a"})
    answer = await fixer.open(f"{key}_{subject}")
    if answer["type"] == "form":
        answer = await fixer.submit()
    assert (answer["type"], answer["reason"]) == ("abort", "not_loaded")


async def test_what_has_no_flow_of_its_own_is_only_confirmed(
    hass: HomeAssistant, loaded: MockConfigEntry, fixer: Fixer
) -> None:
    trouble: Trouble[Any] = Trouble(key="twin_bridges", find=lambda *_: None, is_fixable=True)
    async_tell(hass, trouble, "roof", {"bridge": "roof"})
    assert (await fixer.open("twin_bridges_roof"))["step_id"] == "confirm"
    assert (await fixer.submit())["type"] == "create_entry"
    assert issues(hass) == set()
