"""Adding and changing schedules and profiles by their forms."""

from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from tests.integration.brokerage import last
from tests.integration.speakers import Bridge

SUNSET = {
    "name": "Sunset",
    "enabled": True,
    "anchor": "sunset",
    "offset_min": -60,
    "duration_min": 120,
    "interval_s": 15,
    "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    "cameras": [],
    "profiles": ["f"],
    "film": True,
    "recipe": "clean",
    "size": "1080p",
    "rate": 24,
    "keep_days": 0,
}
PROFILE = {"name": "Sunset warm", "extends": "f", "white_balance": "adaptive", "curve": "warm"}


async def add(hass: HomeAssistant, entry: MockConfigEntry, kind: str, **fields: Any) -> Any:
    """Go through the form that adds one."""
    manager = hass.config_entries.subentries
    form = await manager.async_init((entry.entry_id, kind), context={"source": "user"})
    assert form["step_id"] == "user"
    result = await manager.async_configure(form["flow_id"], fields)
    await hass.async_block_till_done(wait_background_tasks=True)
    return result


async def change(hass: HomeAssistant, entry: MockConfigEntry, unique_id: str) -> Any:
    """Open the form that changes one."""
    subentry = next(each for each in entry.subentries.values() if each.unique_id == unique_id)
    return await entry.start_subentry_reconfigure_flow(hass, subentry.subentry_id)


def data(entry: MockConfigEntry, unique_id: str) -> Any:
    return next(each for each in entry.subentries.values() if each.unique_id == unique_id).data


async def test_the_sunset_is_made_longer(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    form = await change(hass, loaded, "sunset")
    assert form["step_id"] == "reconfigure"
    suggested = {
        str(key): (key.description or {}).get("suggested_value") for key in form["data_schema"].schema
    }
    assert (suggested["offset_min"], suggested["name"]) == (-30, "Sunset")
    result = await hass.config_entries.subentries.async_configure(form["flow_id"], SUNSET)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert data(loaded, "sunset")["duration_min"] == 120
    assert {
        window.id
        for window in last(mqtt, "skylapse/roof/west/plan/set").windows
        if window.schedule == "sunset"
    }
    assert last(mqtt, "skylapse/roof/west/plan/set").revision == 2


async def test_a_films_rate_is_in_frames_a_second(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    form = await change(hass, loaded, "sunset")
    rate = next(field for key, field in form["data_schema"].schema.items() if str(key) == "rate")
    assert rate.config["unit_of_measurement"] == "fps"


async def test_a_new_schedule_is_deployed(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    fields = {**SUNSET, "name": "Blue hour", "anchor": "dusk", "cameras": ["roof/west"], "rate": 30}
    result = await add(hass, loaded, "schedule", **fields)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["unique_id"] == "blue_hour"
    plan = last(mqtt, "skylapse/roof/west/plan/set")
    assert any(window.schedule == "blue_hour" for window in plan.windows)
    orders = last(mqtt, "skylapse/processor/orders/set")
    assert next(order for order in orders.orders if order.schedule == "blue_hour").rate == 30
    form = await change(hass, loaded, "blue_hour")
    options = next(
        field.config["options"] for key, field in form["data_schema"].schema.items() if str(key) == "cameras"
    )
    assert options == [{"value": "roof/west", "label": "West"}]


@pytest.mark.parametrize(
    ("fields", "errors"),
    [({"profiles": []}, {"profiles": "no_profile"}), ({"days": []}, {"days": "no_day"})],
)
async def test_a_schedule_without_profile_or_day_is_said_and_put_right(
    hass: HomeAssistant, loaded: MockConfigEntry, fields: dict[str, Any], errors: dict[str, str]
) -> None:
    form = await change(hass, loaded, "sunset")
    manager = hass.config_entries.subentries
    result = await manager.async_configure(form["flow_id"], {**SUNSET, **fields})
    assert result["errors"] == errors
    result = await manager.async_configure(form["flow_id"], SUNSET)
    assert result["reason"] == "reconfigure_successful"


async def test_figures_out_of_range_are_refused_by_the_form(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    with pytest.raises(InvalidData):
        await add(hass, loaded, "schedule", **{**SUNSET, "duration_min": 2000})


async def test_a_variant_of_a_profile_is_added_deployed_and_used(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    result = await add(hass, loaded, "profile", **PROFILE)
    assert result["unique_id"] == "sunset_warm"
    assert result["data"] == {"extends": "f", "white_balance": "adaptive", "curve": "warm"}
    snapshot = last(mqtt, "skylapse/roof/west/snapshot/set")
    warm = snapshot.profile("sunset_warm")
    assert (snapshot.version, warm.metering.mode, warm.ev) == (2, "spot", 0.7)
    form = await change(hass, loaded, "sunset")
    result = await hass.config_entries.subentries.async_configure(
        form["flow_id"], {**SUNSET, "profiles": ["f", "sunset_warm"]}
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    windows = last(mqtt, "skylapse/roof/west/plan/set").windows
    assert {window.profiles for window in windows if window.schedule == "sunset"} == {("f", "sunset_warm")}


async def test_a_name_that_is_taken_gets_another_id(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    ids = [(await add(hass, loaded, "schedule", **SUNSET))["unique_id"] for _ in range(2)]
    assert ids == ["sunset_2", "sunset_3"]


async def test_profiles_that_extend_each_other_are_refused_and_put_right(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    await add(hass, loaded, "profile", **PROFILE)
    form = await change(hass, loaded, "f")
    fields = {"name": "Mountain spot", "extends": "sunset_warm", "kelvin": 5600, "jpeg_quality": 95}
    manager = hass.config_entries.subentries
    result = await manager.async_configure(form["flow_id"], fields)
    assert result["errors"] == {"extends": "profile_circle"}
    del fields["extends"]
    result = await manager.async_configure(form["flow_id"], fields)
    assert result["reason"] == "reconfigure_successful"
    assert data(loaded, "f") == {"kelvin": 5600, "jpeg_quality": 95}


async def test_a_profile_whose_base_was_deleted_is_refused(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    await add(hass, loaded, "profile", **PROFILE)
    base = next(each for each in loaded.subentries.values() if each.unique_id == "f")
    hass.config_entries.async_remove_subentry(loaded, base.subentry_id)
    form = await change(hass, loaded, "a")
    result = await hass.config_entries.subentries.async_configure(form["flow_id"], {"name": "A"})
    assert result["errors"] == {"extends": "profile_base_unknown"}


async def test_the_form_of_an_entry_that_is_not_loaded_knows_the_named_cameras(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    entry.add_to_hass(hass)
    sunset = next(each for each in entry.subentries.values() if each.unique_id == "sunset")
    hass.config_entries.async_update_subentry(entry, sunset, data={**sunset.data, "cameras": ["barn/east"]})
    form = await change(hass, entry, "sunset")
    options = next(
        field.config["options"] for key, field in form["data_schema"].schema.items() if str(key) == "cameras"
    )
    assert options == [{"value": "barn/east", "label": "barn/east"}]


FULL = {
    "name": "Winter f",
    "extends": "f",
    "season": "winter",
    "metering": "regions",
    "regions": [{"left": 0, "top": 0.5, "right": 1, "bottom": 1}],
    "white_balance": "adaptive",
    "curve": "custom",
    "curve_points": [{"lux": 400, "kelvin": 6000}, {"lux": 1, "kelvin": 4500}],
    "bracket_ev": ["2", "-2"],
    "average": 4.0,
    "focus": "fixed",
    "focus_dioptre": 0.5,
    "focus_bracket": ["0.25"],
    "raw": True,
    "schedule_overrides": [{"schedule": "sunset", "ev": 0.3, "kelvin": 6500.0}],
}


async def test_everything_that_a_profile_says_is_kept_deployed_and_shown_again(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    fields = {key: value for key, value in FULL.items() if key != "season"}
    result = await add(hass, loaded, "profile", **fields)
    assert result["unique_id"] == "winter_f"
    kept = dict(result["data"])
    assert kept["bracket_ev"] == [0, -2, 2]
    assert kept["schedule_overrides"] == {"sunset": {"ev": 0.3, "kelvin": 6500.0}}
    snapshot = last(mqtt, "skylapse/roof/west/snapshot/set")
    profile = snapshot.profile("winter_f")
    assert (profile.metering.mode, profile.bracket_ev, profile.focus_bracket) == (
        "regions",
        (0, -2, 2),
        (0, 0.25),
    )
    assert (profile.average, profile.focus_dioptre, profile.raw) == (4, 0.5, True)
    form = await change(hass, loaded, "winter_f")
    shown = {str(key): (key.description or {}).get("suggested_value") for key in form["data_schema"].schema}
    assert shown["bracket_ev"] == ["-2", "2"]
    assert shown["schedule_overrides"] == FULL["schedule_overrides"]
    again = {key: value for key, value in shown.items() if value is not None}
    result = await hass.config_entries.subentries.async_configure(form["flow_id"], again)
    assert result["reason"] == "reconfigure_successful"
    assert dict(data(loaded, "winter_f")) == kept


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"season": "winter"}, {"season": "season_base"}),
        ({"metering": "regions"}, {"regions": "no_region"}),
        ({"regions": [{"left": 1, "top": 0, "right": 0, "bottom": 1}]}, {"regions": "region_range"}),
        ({"white_balance": "adaptive", "curve": "custom"}, {"curve_points": "curve_points"}),
        ({"bracket_ev": ["much"]}, {"bracket_ev": "bracket_range"}),
        ({"focus_bracket": ["99"]}, {"focus_bracket": "focus_bracket_range"}),
    ],
)
async def test_a_profile_that_no_camera_could_follow_is_said_at_its_field(
    hass: HomeAssistant, loaded: MockConfigEntry, fields: dict[str, Any], errors: dict[str, str]
) -> None:
    result = await add(hass, loaded, "profile", name="New", **fields)
    assert result["errors"] == errors
    result = await hass.config_entries.subentries.async_configure(result["flow_id"], FULL)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_second_variant_for_a_season_is_refused(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    await add(hass, loaded, "profile", **FULL)
    result = await add(hass, loaded, "profile", **FULL)
    assert result["errors"] == {"season": "season_taken"}
