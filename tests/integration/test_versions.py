"""Profiles deployed, rolled back and listed by action: what is kept, held, and what goes wrong."""

from dataclasses import replace
from typing import Any

import pytest
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.protocol import topics
from tests.integration.brokerage import last, published
from tests.integration.speakers import STATE, WEST, Bridge

SNAPSHOT = "skylapse/roof/west/snapshot/set"
PLAN = "skylapse/roof/west/plan/set"


def call(hass: HomeAssistant, action: str, **data: Any) -> Any:
    """Begin an action with response; it waits for the camera."""
    calling = hass.services.async_call(DOMAIN, action, data, blocking=True, return_response=True)
    return hass.async_create_background_task(calling, action)


def subentry(entry: MockConfigEntry, unique_id: str) -> ConfigSubentry:
    found: ConfigSubentry = next(each for each in entry.subentries.values() if each.unique_id == unique_id)
    return found


async def change(hass: HomeAssistant, entry: MockConfigEntry, unique_id: str, **fields: Any) -> None:
    """Change a profile as its form does."""
    profile = subentry(entry, unique_id)
    hass.config_entries.async_update_subentry(entry, profile, data={**profile.data, **fields})
    await hass.async_block_till_done(wait_background_tasks=True)


async def hold(bridge: Bridge, mqtt: MqttMockHAClient) -> None:
    """Let the camera say that it holds what was published last."""
    state = replace(
        STATE, snapshot_version=last(mqtt, SNAPSHOT).version, plan_revision=last(mqtt, PLAN).revision
    )
    await bridge.say(topics.STATE, state)


@pytest.fixture
async def held(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> MockConfigEntry:
    """The entry with a camera that holds what was deployed; nobody waits for long."""
    hass.config_entries.async_update_entry(loaded, options={"reply_limit_s": 0.2, "link_hours": 1})
    await hass.async_block_till_done(wait_background_tasks=True)
    await bridge.arrive()
    await hold(bridge, mqtt)
    return loaded


# ---------------------------------------------------------------- deploy


@pytest.mark.parametrize("profile", ["f", "Mountain spot"])
async def test_a_profile_that_is_held_is_answered_at_once(
    hass: HomeAssistant, mqtt: MqttMockHAClient, held: MockConfigEntry, profile: str
) -> None:
    applied = {"deployment": "applied", "deployed_version": 1, "held_version": 1}
    assert await call(hass, "deploy_profile", profile=profile, camera="roof/west") == {
        "profile": "f",
        "version": 1,
        "cameras": {"roof/west": applied},
    }
    assert len(published(mqtt, SNAPSHOT)) == 1


async def test_a_profile_is_pending_until_the_camera_holds_it(
    hass: HomeAssistant, mqtt: MqttMockHAClient, held: MockConfigEntry, bridge: Bridge
) -> None:
    await change(hass, held, "f", ev=1.0)
    listed = await call(hass, "list_profile_versions", profile="f")
    assert listed["cameras"]["roof/west"] == {
        "deployment": "pending",
        "deployed_version": 2,
        "held_version": 1,
    }
    with pytest.raises(HomeAssistantError, match="not applied in time by roof/west") as raised:
        await call(hass, "deploy_profile", profile="f")
    assert raised.value.translation_key == "not_applied"
    assert len(published(mqtt, SNAPSHOT)) == 3
    await hold(bridge, mqtt)
    answer = await call(hass, "deploy_profile", profile="f")
    assert (answer["version"], answer["cameras"]["roof/west"]["deployment"]) == (2, "applied")


async def test_bridges_that_are_away_are_not_waited_for_unless_they_are_named(
    hass: HomeAssistant, mqtt: MqttMockHAClient, held: MockConfigEntry, bridge: Bridge
) -> None:
    await change(hass, held, "f", ev=1.0)
    await bridge.say(topics.AVAILABILITY, "offline")
    answer = await call(hass, "deploy_profile", profile="f")
    assert answer["cameras"]["roof/west"]["deployment"] == "pending"
    with pytest.raises(HomeAssistantError, match="not applied in time by roof/west"):
        await call(hass, "deploy_profile", profile="f", camera="image.roof_west")


async def test_only_the_camera_that_is_named_is_answered_for(
    hass: HomeAssistant, mqtt: MqttMockHAClient, held: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive(cameras=(WEST, replace(WEST, id="east", name="East")))
    answer = await call(hass, "deploy_profile", profile="f", camera="roof/west")
    assert list(answer["cameras"]) == ["roof/west"]


async def test_what_is_too_large_is_said(hass: HomeAssistant, held: MockConfigEntry, bridge: Bridge) -> None:
    regions = [{"left": n / 1e4, "top": 0, "right": 1, "bottom": 1} for n in range(1000)]
    await change(hass, held, "f", metering="regions", regions=regions)
    with pytest.raises(HomeAssistantError, match="roof/west would hold does not fit") as raised:
        await call(hass, "deploy_profile", profile="f")
    assert raised.value.translation_key == "too_large"


@pytest.mark.parametrize(
    ("fields", "key"),
    [({"extends": "gone"}, "profile_base_unknown"), ({"bracket_ev": ["much"]}, "bracket_range")],
)
async def test_a_profile_that_would_be_left_out_is_not_deployed(
    hass: HomeAssistant, held: MockConfigEntry, fields: dict[str, Any], key: str
) -> None:
    await change(hass, held, "a", **fields)
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, "deploy_profile", profile="a")
    assert raised.value.translation_key == key


@pytest.mark.parametrize("action", ["deploy_profile", "rollback_profile", "list_profile_versions"])
async def test_a_profile_that_is_not_there_is_refused(
    hass: HomeAssistant, held: MockConfigEntry, action: str
) -> None:
    with pytest.raises(ServiceValidationError, match="There is no profile z"):
        await call(hass, action, profile="z")


# ---------------------------------------------------------------- history and rollback


async def test_versions_are_listed_with_their_content_latest_first(
    hass: HomeAssistant, held: MockConfigEntry
) -> None:
    await change(hass, held, "f", ev=1.0)
    listed = await call(hass, "list_profile_versions", profile="f")
    assert listed["version"] == 2
    assert [(each["version"], each["name"], each["data"]["ev"]) for each in listed["versions"]] == [
        (2, "Mountain spot", 1.0),
        (1, "Mountain spot", 0.7),
    ]


async def test_a_rollback_makes_a_new_version_of_the_old_content_in_form_and_camera(
    hass: HomeAssistant, mqtt: MqttMockHAClient, held: MockConfigEntry, bridge: Bridge
) -> None:
    for ev in (1.0, 1.5):
        await change(hass, held, "f", ev=ev)
    await hold(bridge, mqtt)
    with pytest.raises(HomeAssistantError) as raised:
        await call(hass, "rollback_profile", profile="f", version=1)
    assert raised.value.translation_key == "not_applied"
    assert subentry(held, "f").data["ev"] == last(mqtt, SNAPSHOT).profile("f").ev == 0.7
    await hold(bridge, mqtt)
    assert (await call(hass, "deploy_profile", profile="f"))["version"] == 4
    await bridge.say(topics.AVAILABILITY, "offline")
    answer = await call(hass, "rollback_profile", profile="f")
    assert (answer["version"], answer["content_of"]) == (5, 3)
    assert subentry(held, "f").data["ev"] == last(mqtt, SNAPSHOT).profile("f").ev == 1.5
    versions = (await call(hass, "list_profile_versions", profile="f"))["versions"]
    assert [each["data"]["ev"] for each in versions] == [1.5, 0.7, 1.5, 1.0, 0.7]


@pytest.mark.parametrize("version", [{}, {"version": 1}, {"version": 7}])
async def test_where_there_is_no_older_version_nothing_is_rolled_back(
    hass: HomeAssistant, held: MockConfigEntry, version: dict[str, int]
) -> None:
    with pytest.raises(ServiceValidationError, match="of the profile Mountain spot") as raised:
        await call(hass, "rollback_profile", profile="f", **version)
    assert raised.value.translation_key == ("version_unknown" if version else "no_older_version")
    assert "–" not in str(raised.value)


async def test_content_that_cannot_be_compiled_any_more_stays_old(
    hass: HomeAssistant, held: MockConfigEntry
) -> None:
    await change(hass, held, "a", extends="b")
    await change(hass, held, "a", extends="c")
    hass.config_entries.async_remove_subentry(held, subentry(held, "b").subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    with pytest.raises(ServiceValidationError, match="extends b, which does not exist"):
        await call(hass, "rollback_profile", profile="a")
    assert subentry(held, "a").data["extends"] == "c"
