"""What is changed in an arm of an A/B test, in words."""

import re

import pytest
from homeassistant.core import HomeAssistant

from custom_components.skylapse.actions.base import setting_fields
from custom_components.skylapse.arm_words import in_words
from custom_components.skylapse.forms import async_words_of_choices


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
