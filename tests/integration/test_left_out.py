"""A profile that is deleted while schedules name it: it is told of, nothing claims to run, forms mend it."""

from typing import Any

import pytest
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from tests.integration.speakers import Bridge
from tests.integration.test_subentry_flow import SUNSET, change, send, shown_in
from tests.integration.troubles import issues, places

PROBLEM = "binary_sensor.roof_west_problem"


def subentry(entry: MockConfigEntry, unique_id: str) -> ConfigSubentry:
    found: ConfigSubentry = next(each for each in entry.subentries.values() if each.unique_id == unique_id)
    return found


async def edit(hass: HomeAssistant, entry: MockConfigEntry, unique_id: str, **fields: Any) -> None:
    """Change what a subentry keeps, as a form does."""
    found = subentry(entry, unique_id)
    hass.config_entries.async_update_subentry(entry, found, data={**found.data, **fields})
    await hass.async_block_till_done(wait_background_tasks=True)


async def delete(hass: HomeAssistant, entry: MockConfigEntry, unique_id: str) -> None:
    """Delete a subentry, as the integration's page does."""
    hass.config_entries.async_remove_subentry(entry, subentry(entry, unique_id).subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


async def windows(hass_ws_client: WebSocketGenerator) -> list[str]:
    """Return the schedules whose windows the card draws today."""
    client = await hass_ws_client()
    await client.send_json_auto_id({"type": "skylapse/day", "camera": "roof/west"})
    return [window["schedule"] for window in (await client.receive_json())["result"]["windows"]]


def state(hass: HomeAssistant, entity: str) -> Any:
    found = hass.states.get(entity)
    assert found is not None
    return found


async def test_what_a_deleted_profile_stops_is_told_of_and_shown_nowhere_as_if_it_ran(
    hass: HomeAssistant,
    spoken: MockConfigEntry,
    hass_ws_client: WebSocketGenerator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await edit(hass, spoken, "hourly", profiles=["a"])
    assert state(hass, PROBLEM).state == "off"
    await delete(hass, spoken, "f")
    assert issues(hass) == {f"schedule_unusable_{each}" for each in ("sunrise", "sunset", "daytime")}
    assert places(hass, "schedule_unusable_sunset") == {"name": "Sunset", "profiles": "Mountain spot"}
    assert state(hass, PROBLEM).state == "on"
    reason = "nothing is photographed by Sunrise, Sunset, Daytime; gone or cannot be used: Mountain spot"
    assert state(hass, PROBLEM).attributes["reason"] == reason
    assert await windows(hass_ws_client) == ["hourly"]
    assert state(hass, "calendar.timelapse_windows").attributes["message"] == "Hourly"
    for ev in (1.0, 1.1):
        await edit(hass, spoken, "a", ev=ev)
    assert caplog.text.count("Schedule Sunset is left out: gone or cannot be used: Mountain spot") == 1


async def test_profiles_are_called_by_name_whether_they_are_gone_or_only_of_no_use(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    await edit(hass, spoken, "b", extends="a", season="winter")
    await edit(hass, spoken, "sunset", profiles=["b", "f", "never-there"])
    await delete(hass, spoken, "a")
    await delete(hass, spoken, "f")
    profiles = f"{subentry(spoken, 'b').title}, Mountain spot, never-there"
    assert places(hass, "schedule_unusable_sunset") == {"name": "Sunset", "profiles": profiles}


async def test_the_reason_is_said_in_another_language_as_soon_as_that_is_chosen(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    await edit(hass, spoken, "sunset", profiles=["never-there"])
    await hass.config.async_update(language="de")
    await hass.async_block_till_done(wait_background_tasks=True)
    reason = "nach Sunset wird nichts aufgenommen; nicht mehr vorhanden oder nicht brauchbar: never-there"
    assert state(hass, PROBLEM).attributes["reason"] == reason


async def test_it_goes_when_the_schedule_is_put_right_by_its_form(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    for each in ("sunrise", "daytime", "hourly"):
        await edit(hass, spoken, each, profiles=["a"])
    await delete(hass, spoken, "f")
    assert issues(hass) == {"schedule_unusable_sunset"}
    form = await change(hass, spoken, "sunset")
    assert shown_in(form["data_schema"])["profiles"] == []
    result = await send(hass, form, {**SUNSET, "profiles": ["e"]})
    assert result["reason"] == "reconfigure_successful"
    assert issues(hass) == set()
    assert state(hass, PROBLEM).state == "off"
    assert state(hass, "sensor.sunset_state").state != "unusable"


async def test_nobody_is_told_of_a_schedule_that_is_off_or_gone_or_of_an_entry_that_is_not_loaded(
    hass: HomeAssistant, spoken: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    await edit(hass, spoken, "hourly", profiles=["a"])
    await edit(hass, spoken, "sunset", enabled=False)
    await delete(hass, spoken, "f")
    assert "Schedule Sunrise is left out" in caplog.text
    assert "unset is left out" not in caplog.text
    assert issues(hass) == {"schedule_unusable_sunrise", "schedule_unusable_daytime"}
    await delete(hass, spoken, "sunrise")
    assert issues(hass) == {"schedule_unusable_daytime"}
    assert await hass.config_entries.async_unload(spoken.entry_id)
    assert issues(hass) == set()


async def test_a_camera_that_no_such_schedule_covers_has_no_problem(
    hass: HomeAssistant, spoken: MockConfigEntry
) -> None:
    for each in ("sunrise", "daytime", "hourly"):
        await edit(hass, spoken, each, profiles=["a"])
    await edit(hass, spoken, "sunset", cameras=["shed/north"])
    await delete(hass, spoken, "f")
    assert issues(hass) == {"schedule_unusable_sunset"}
    assert state(hass, PROBLEM).state == "off"


async def test_a_camera_that_has_said_nothing_yet_tells_of_it_too(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    assert state(hass, PROBLEM).state == "unknown"
    await delete(hass, loaded, "f")
    assert state(hass, PROBLEM).state == "on"


async def test_the_log_says_in_words_why_a_profile_is_left_out(
    hass: HomeAssistant, loaded: MockConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    await edit(hass, loaded, "b", extends="a", season="winter")
    await delete(hass, loaded, "a")
    (line,) = [each.getMessage() for each in caplog.records if "Profile b is left out" in each.getMessage()]
    assert line.startswith("Profile b is left out: ")
    assert " " in line.removeprefix("Profile b is left out: ")
    assert "season_base" not in line
