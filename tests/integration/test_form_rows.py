"""Rows of a profile's form: points of a curve, metered regions."""

from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from pytest_homeassistant_custom_component.common import MockConfigEntry

from tests.integration.test_subentry_flow import PROFILE, add


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"curve_points": [{"lux": 2e6, "kelvin": 5000}, {"lux": 1, "kelvin": 4000}]}, "curve_points"),
        ({"curve_points": [{"lux": 9, "kelvin": 13_000}, {"lux": 1, "kelvin": 4000}]}, "curve_points"),
        ({"curve_points": [{"lux": 0, "kelvin": 5000}, {"lux": -1, "kelvin": 4000}]}, "curve_points"),
        ({"regions": [{"left": 0, "top": 0, "right": 2, "bottom": 1}]}, "region_range"),
        ({"regions": [{"left": 0, "top": 0, "right": 1, "bottom": 1, "weight": 0}]}, "region_range"),
    ],
)
async def test_figures_of_rows_out_of_range_are_told_in_words(
    hass: HomeAssistant, loaded: MockConfigEntry, fields: dict[str, Any], key: str
) -> None:
    result = await add(hass, loaded, "profile", **{**PROFILE, "curve": "custom", **fields})
    assert result["type"] is FlowResultType.FORM
    assert key in result["errors"].values()
