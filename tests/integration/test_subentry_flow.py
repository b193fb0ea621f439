"""Adding and changing schedules and profiles by their forms."""

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData, section
from homeassistant.helpers.translation import async_load_integrations
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.brain.schedules import CODECS, RECIPES
from tests.integration.brokerage import last
from tests.integration.speakers import WEST, Bridge

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
    "also_sizes": [],
    "codec": "h264",
    "rate": 24,
    "keep_days": 0,
}
PROFILE = {"name": "Sunset warm", "extends": "f", "white_balance": "adaptive", "curve": "warm"}


def fill_in(form: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields as a form wants them: each in its section."""
    filled = {key: value for key, value in fields.items() if key in {str(each) for each in form.schema}}
    for key, part in form.schema.items():
        if isinstance(part, section):
            inner = {str(each) for each in part.schema.schema}
            filled[str(key)] = {name: value for name, value in fields.items() if name in inner}
    return filled


def fields_of(form: Any) -> dict[str, Any]:
    """Return every field of a form with its selector, whichever section it is in."""
    found: dict[str, Any] = {}
    for key, part in form.schema.items():
        if isinstance(part, section):
            found |= {str(name): selector for name, selector in part.schema.schema.items()}
        else:
            found[str(key)] = part
    return found


def shown_in(form: Any) -> dict[str, Any]:
    """Return what a form shows in each field that has something."""
    markers = [
        name
        for key, part in form.schema.items()
        for name in (part.schema.schema if isinstance(part, section) else (key,))
    ]
    shown = {str(key): (key.description or {}).get("suggested_value") for key in markers}
    return {key: value for key, value in shown.items() if value is not None}


def opened(form: Any) -> set[str]:
    """Return the sections that are not folded away."""
    parts = {str(key): part for key, part in form.schema.items() if isinstance(part, section)}
    return {key for key, part in parts.items() if not part.options["collapsed"]}


async def send(hass: HomeAssistant, form: Any, fields: dict[str, Any]) -> Any:
    """Send a form and let Home Assistant act on it."""
    values = fill_in(form["data_schema"], fields)
    result = await hass.config_entries.subentries.async_configure(form["flow_id"], values)
    await hass.async_block_till_done(wait_background_tasks=True)
    return result


async def add(hass: HomeAssistant, entry: MockConfigEntry, kind: str, **fields: Any) -> Any:
    """Go through the form that adds one."""
    manager = hass.config_entries.subentries
    form = await manager.async_init((entry.entry_id, kind), context={"source": "user"})
    assert form["step_id"] == "user"
    return await send(hass, form, fields)


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
    suggested = shown_in(form["data_schema"])
    assert (suggested["offset_min"], suggested["name"]) == (-30, "Sunset")
    result = await send(hass, form, SUNSET)
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
    assert fields_of(form["data_schema"])["rate"].config["unit_of_measurement"] == "fps"


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
    options = fields_of(form["data_schema"])["cameras"].config["options"]
    assert options == [{"value": "roof/west", "label": "West"}]


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"profiles": []}, {"what": "no_profile"}),
        ({"days": []}, {"when": "no_day"}),
        ({"name": "  "}, {"name": "no_name"}),
    ],
)
async def test_a_schedule_without_profile_day_or_name_is_said_and_put_right(
    hass: HomeAssistant, loaded: MockConfigEntry, fields: dict[str, Any], errors: dict[str, str]
) -> None:
    """The frontend shows errors at sections and at fields outside them, not at fields within."""
    form = await change(hass, loaded, "sunset")
    result = await send(hass, form, {**SUNSET, **fields})
    assert result["errors"] == errors
    assert shown_in(result["data_schema"])["duration_min"] == 120
    result = await send(hass, result, SUNSET)
    assert result["reason"] == "reconfigure_successful"


async def test_a_film_may_have_further_sizes_and_another_codec(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    form = await change(hass, loaded, "sunset")
    assert opened(form["data_schema"]) == {"when", "what"}
    await send(hass, form, {**SUNSET, "also_sizes": ["720p", "1080p", "2160p"], "codec": "av1"})
    orders = last(mqtt, "skylapse/processor/orders/set").orders
    order = next(each for each in orders if each.schedule == "sunset")
    assert (order.size, order.also_sizes, order.codec) == ("1080p", ("720p", "2160p"), "av1")
    form = await change(hass, loaded, "sunset")
    assert opened(form["data_schema"]) == {"when", "what", "film_made"}


async def test_no_schedule_makes_a_season_of_one_evening(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    sunset = next(each for each in loaded.subentries.values() if each.unique_id == "sunset")
    hass.config_entries.async_update_subentry(loaded, sunset, data={**sunset.data, "recipe": "season"})
    await hass.async_block_till_done(wait_background_tasks=True)
    orders = last(mqtt, "skylapse/processor/orders/set").orders
    assert {order.recipe for order in orders} == {"clean"}
    form = await change(hass, loaded, "sunset")
    assert shown_in(form["data_schema"])["recipe"] == "clean"
    offered = fields_of(form["data_schema"])["recipe"].config["options"]
    assert {each["value"] for each in offered} == set(RECIPES) - {"season"}
    assert (await send(hass, form, shown_in(form["data_schema"])))["reason"] == "reconfigure_successful"
    assert data(loaded, "sunset")["recipe"] == "clean"


def test_recipes_and_codecs_are_those_of_the_processor() -> None:
    processor = Path(__file__).parents[2] / "processor" / "skylapse_processor"
    assert set(RECIPES) == keys_of(processor / "recipe" / "__init__.py", "RECIPES")
    assert set(CODECS) == keys_of(processor / "encode_codecs.py", "CODECS")


def keys_of(file: Path, name: str) -> set[str]:
    """Return the keys of a table, read from its source: the processor is not installed here."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name:
            return {ast.literal_eval(key) for key in node.value.keys}  # type: ignore[union-attr]
    raise LookupError(name)


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
    await send(hass, form, {**SUNSET, "profiles": ["f", "sunset_warm"]})
    windows = last(mqtt, "skylapse/roof/west/plan/set").windows
    assert {window.profiles for window in windows if window.schedule == "sunset"} == {("f", "sunset_warm")}


async def test_names_that_look_alike_get_ids_of_their_own(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    ids = [
        (await add(hass, loaded, "schedule", **{**SUNSET, "name": name}))["unique_id"]
        for name in ("Sunset!", "Sunset?")
    ]
    assert ids == ["sunset_2", "sunset_3"]


@pytest.mark.parametrize(
    ("kind", "fields", "taken"),
    [("schedule", SUNSET, " sunSET "), ("profile", PROFILE, "mountain spot")],
    ids=["schedule", "profile"],
)
async def test_a_name_is_short_and_no_other_has_it(
    hass: HomeAssistant, loaded: MockConfigEntry, kind: str, fields: dict[str, Any], taken: str
) -> None:
    form = await add(hass, loaded, kind, **{**fields, "name": taken})
    assert form["errors"] == {"name": "name_taken"}
    form = await send(hass, form, {**fields, "name": "S" * 65})
    assert form["errors"] == {"name": "long_name"}
    result = await send(hass, form, {**fields, "name": "S" * 64})
    assert result["title"] == "S" * 64


NONSENSE = {**SUNSET, "name": "Clouds", "interval_s": 0.1, "duration_min": 1440}


async def test_a_schedule_that_fills_disks_is_asked_about_with_its_figures(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    menu = await add(hass, loaded, "schedule", **NONSENSE)
    assert (menu["type"], menu["menu_options"]) == (FlowResultType.MENU, ["again", "save"])
    assert menu["description_placeholders"] == {
        "name": "Clouds",
        "interval": "0.1",
        "frames": "864\N{NARROW NO-BREAK SPACE}000",
        "cameras": "1",
        "gigabytes": "627",
    }
    assert "clouds" not in {each.unique_id for each in loaded.subentries.values()}
    again: Any = await hass.config_entries.subentries.async_configure(menu["flow_id"])
    assert (again["step_id"], again["menu_options"]) == (menu["step_id"], menu["menu_options"])
    form = await answer_menu(hass, menu, "again")
    assert shown_in(form["data_schema"])["interval_s"] == 0.1
    result = await send(hass, form, {**NONSENSE, "duration_min": 30})
    assert (result["type"], result["unique_id"]) == (FlowResultType.CREATE_ENTRY, "clouds")


async def test_whoever_means_it_may_keep_it(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    form = await change(hass, loaded, "sunset")
    much = {**NONSENSE, "name": "Sunset"}
    form = await answer_menu(hass, await send(hass, form, much), "again")
    assert form["step_id"] == "reconfigure"
    result = await answer_menu(hass, await send(hass, form, much), "save")
    assert result["reason"] == "reconfigure_successful"
    assert data(loaded, "sunset")["interval_s"] == 0.1


async def test_fast_clouds_need_no_answer_and_cameras_that_are_left_out_do_not_count(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive(cameras=(WEST, replace(WEST, id="east", width=9000, height=9000)))
    fields = {**SUNSET, "name": "Clouds", "interval_s": 0.5, "duration_min": 90, "cameras": ["roof/west"]}
    menu = await add(hass, loaded, "schedule", **{**fields, "cameras": []})
    assert (menu["type"], menu["description_placeholders"]["cameras"]) == (FlowResultType.MENU, "2")
    result = await add(hass, loaded, "schedule", **fields)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_what_a_profile_takes_besides_is_counted_and_one_that_is_broken_is_not(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    overrides = [{"schedule": "Daytime", "raw": True}]
    await add(hass, loaded, "profile", name="Bracket", bracket_ev=["-2", "0,5"], schedule_overrides=overrides)
    assert data(loaded, "bracket")["bracket_ev"] == [0, -2, 0.5]
    await add(hass, loaded, "profile", **PROFILE)
    base = next(each for each in loaded.subentries.values() if each.unique_id == "f")
    hass.config_entries.async_remove_subentry(loaded, base.subentry_id)
    profiles = ["bracket", "sunset_warm"]
    fields = {**SUNSET, "name": "Daytime", "interval_s": 5, "duration_min": 600, "profiles": profiles}
    menu = await send(hass, await change(hass, loaded, "daytime"), fields)
    assert menu["description_placeholders"]["frames"] == "21\N{NARROW NO-BREAK SPACE}600"
    assert menu["description_placeholders"]["gigabytes"] == "105"


async def answer_menu(hass: HomeAssistant, menu: Any, choice: str) -> Any:
    """Choose from a menu and let Home Assistant act on it."""
    manager = hass.config_entries.subentries
    result = await manager.async_configure(menu["flow_id"], {"next_step_id": choice})
    await hass.async_block_till_done(wait_background_tasks=True)
    return result


async def test_profiles_that_extend_each_other_are_refused_and_put_right(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    await add(hass, loaded, "profile", **PROFILE)
    form = await change(hass, loaded, "f")
    fields = {"name": "Mountain spot", "extends": "sunset_warm", "kelvin": 5600, "jpeg_quality": 95}
    result = await send(hass, form, fields)
    assert result["errors"] == {"extends": "profile_circle"}
    del fields["extends"]
    result = await send(hass, result, fields)
    assert result["reason"] == "reconfigure_successful"
    assert data(loaded, "f") == {"kelvin": 5600, "jpeg_quality": 95}


async def test_a_profile_whose_base_was_deleted_is_refused_and_no_other(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    await add(hass, loaded, "profile", **PROFILE)
    base = next(each for each in loaded.subentries.values() if each.unique_id == "f")
    hass.config_entries.async_remove_subentry(loaded, base.subentry_id)
    result = await send(hass, await change(hass, loaded, "a"), {"name": "A", "ev": 1})
    assert result["reason"] == "reconfigure_successful"
    form = await change(hass, loaded, "sunset_warm")
    result = await send(hass, form, {**PROFILE, "ev": 1})
    assert result["errors"] == {"extends": "profile_base_unknown"}
    result = await send(hass, result, {**PROFILE, "extends": "a"})
    assert result["reason"] == "reconfigure_successful"


async def test_a_profile_is_not_changed_so_that_another_one_breaks(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    regions = [{"left": 0, "top": 0.5, "right": 1, "bottom": 1}]
    form = await change(hass, loaded, "a")
    await send(hass, form, {"name": "A", "regions": regions})
    await add(hass, loaded, "profile", name="Child", extends="a", metering="regions")
    result = await send(hass, await change(hass, loaded, "a"), {"name": "A"})
    assert result["errors"] == {"measuring": "no_region"}


async def test_the_form_of_an_entry_that_is_not_loaded_knows_the_named_cameras(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    entry.add_to_hass(hass)
    sunset = next(each for each in entry.subentries.values() if each.unique_id == "sunset")
    hass.config_entries.async_update_subentry(entry, sunset, data={**sunset.data, "cameras": ["barn/east"]})
    form = await change(hass, entry, "sunset")
    options = fields_of(form["data_schema"])["cameras"].config["options"]
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
    "schedule_overrides": [{"schedule": "Sunset", "ev": 0.3, "kelvin": 6500.0}],
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
    shown = shown_in(form["data_schema"])
    assert shown["bracket_ev"] == ["-2", "2"]
    assert shown["schedule_overrides"] == FULL["schedule_overrides"]
    assert opened(form["data_schema"]) == {
        "exposure",
        "measuring",
        "colour",
        "brackets",
        "files",
        "overrides",
    }
    result = await send(hass, form, shown)
    assert result["reason"] == "reconfigure_successful"
    assert dict(data(loaded, "winter_f")) == kept


async def test_rows_name_schedules_even_two_of_one_name_and_one_that_is_gone(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    schedules = {each.unique_id: each for each in loaded.get_subentries_of_type("schedule")}
    hass.config_entries.async_update_subentry(loaded, schedules["sunset"], title="Sunrise")
    rows = [{"schedule": name, "ev": 1} for name in ("Sunrise", "Sunrise (sunset)", "Night")]
    await add(hass, loaded, "profile", name="New", schedule_overrides=rows)
    assert set(data(loaded, "new")["schedule_overrides"]) == {"sunrise", "sunset", "night"}
    hass.config_entries.async_remove_subentry(loaded, schedules["night"].subentry_id)
    form = await change(hass, loaded, "new")
    shown = shown_in(form["data_schema"])
    assert shown["schedule_overrides"] == [*rows[:2], {"schedule": "night", "ev": 1}]
    result = await send(hass, form, shown)
    assert result["reason"] == "reconfigure_successful"


@pytest.mark.parametrize(("language", "word"), [("en", "Centre"), ("de", "Mitte")])
async def test_the_dialog_of_a_row_has_words_in_home_assistants_language(
    hass: HomeAssistant, loaded: MockConfigEntry, language: str, word: str
) -> None:
    hass.config.language = language
    await async_load_integrations(hass, {"skylapse"})
    form = await change(hass, loaded, "f")
    overrides = fields_of(form["data_schema"])["schedule_overrides"].config["fields"]
    options = overrides["metering"]["selector"].config["options"]
    assert {"value": "centre", "label": word} in options


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"season": "winter"}, {"season": "season_base"}),
        ({"metering": "regions"}, {"measuring": "no_region"}),
        ({"regions": [{"left": 1, "top": 0, "right": 0, "bottom": 1}]}, {"measuring": "region_range"}),
        ({"white_balance": "adaptive", "curve": "custom"}, {"colour": "curve_points"}),
        ({"bracket_ev": ["much"]}, {"brackets": "bracket_range"}),
        ({"focus_bracket": ["99"]}, {"brackets": "focus_bracket_range"}),
        ({"schedule_overrides": [{"schedule": "Sunset", "metering": "regions"}]}, {"overrides": "no_region"}),
        (
            {"schedule_overrides": [{"schedule": "Sunset", "ev": 1}, {"schedule": "Sunset", "ev": 2}]},
            {"overrides": "override_twice"},
        ),
        ({"name": ""}, {"name": "no_name"}),
    ],
)
async def test_a_profile_that_no_camera_could_follow_is_said_at_its_field(
    hass: HomeAssistant, loaded: MockConfigEntry, fields: dict[str, Any], errors: dict[str, str]
) -> None:
    result = await add(hass, loaded, "profile", **{"name": "New", **fields})
    assert result["errors"] == errors
    assert opened(result["data_schema"]) >= errors.keys() - {"season", "name"}
    result = await send(hass, result, FULL)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_second_variant_for_a_season_is_refused(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    await add(hass, loaded, "profile", **FULL)
    result = await add(hass, loaded, "profile", **{**FULL, "name": "Another winter"})
    assert result["errors"] == {"season": "season_taken"}
