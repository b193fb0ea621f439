"""What is changed in an arm of an A/B test, in words."""

import re
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient, WebSocketGenerator

from custom_components.skylapse.actions.base import setting_fields
from custom_components.skylapse.arm_words import in_words
from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.forms import async_words_of_choices
from tests.integration.speakers import Bridge, Processor
from tests.integration.test_ab_tests import call, started


@pytest.fixture
async def spoken(loaded: MockConfigEntry, bridge: Bridge, processor: Processor) -> MockConfigEntry:
    """The entry when bridge and processor are there."""
    await processor.arrive()
    await bridge.arrive()
    return loaded


@pytest.mark.parametrize("language", ["en", "de"])
async def test_every_change_of_an_arm_has_words(hass: HomeAssistant, language: str) -> None:
    words = await async_words_of_choices(hass, language)
    changes = {str(each) for each in setting_fields()}
    assert {key for key in changes if "{value}" not in words.get(f"ab_test_change.{key}", "")} == set()
    figures = {"ev": 0.0, "night_ev": -1.5, "max_gain": 8.0, "kelvin": 4500.0, "average": 4}
    point = {"en": ".", "de": ","}[language]
    told = " ".join(in_words(figures, words))
    assert re.findall(r"[−+]?\d[\d.,]*", told) == ["0", f"−1{point}5", "8", "4500", "4"]


async def test_what_is_kept_and_is_no_figure_is_told_all_the_same(hass: HomeAssistant) -> None:
    words = await async_words_of_choices(hass, "en")
    region = {"left": 0.25, "right": None, "top": 0, "bottom": "half", "weight": [2], "note": "the house"}
    told = in_words({"curve_points": [{"lux": "dusk"}], "regions": [region]}, words)
    assert [each.partition(" ")[2] for each in told] == ["dusk lx ? K", "0.25–None × 0–half ([2]×)"]


async def test_a_point_of_a_curve_may_have_a_note(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
    hass_ws_client: WebSocketGenerator,
) -> None:
    points = [{"lux": 10, "kelvin": 3000, "note": "dusk"}, {"lux": 1000, "kelvin": 5500}]
    answer = await started(
        hass, mqtt, bridge, arms=[{"profile": "f"}, {"profile": "f", "curve_points": points}]
    )
    label = "Mountain spot · Curve 10 lx 3000 K / 1000 lx 5500 K"
    assert answer["arms"][1]["label"] == label
    assert (await call(hass, "list_ab_tests"))["tests"] == [answer]
    client = await hass_ws_client()
    await client.send_json_auto_id({"type": f"{DOMAIN}/ab_tests"})
    (test,) = (await client.receive_json())["result"]["tests"]
    assert test["arms"][1]["name"] == label


async def test_a_test_that_was_kept_without_its_changes_takes_them_from_its_subentry(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    mqtt: MqttMockHAClient,
    spoken: MockConfigEntry,
    bridge: Bridge,
) -> None:
    before = await started(hass, mqtt, bridge, id="one")
    await hass.config_entries.async_unload(spoken.entry_id)
    (kept,) = hass_storage[f"{DOMAIN}.ab_tests"]["data"]["tests"]
    del kept["changes"]
    await hass.config_entries.async_setup(spoken.entry_id)
    assert (await call(hass, "list_ab_tests"))["tests"] == [before]
    await hass.config_entries.async_unload(spoken.entry_id)
    (kept,) = hass_storage[f"{DOMAIN}.ab_tests"]["data"]["tests"]
    assert kept["changes"] == [{}, {"ev": 0.2, "curve": "warm"}]
