"""Wishes: what a user wants of one camera, from its device page to its plan and its frames."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse import async_remove_config_entry_device
from custom_components.skylapse.brain.deploy import Configuration, compile_camera
from custom_components.skylapse.brain.ledger import Ledger
from custom_components.skylapse.brain.plan import Place
from custom_components.skylapse.brain.profiles import BUILT_IN_PROFILES, ProfileSpec
from custom_components.skylapse.brain.schedules import BUILT_IN_SCHEDULES
from custom_components.skylapse.brain.wishes import NO_WISH, Wish, window_that_counts
from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.errors import ProtocolError
from custom_components.skylapse.protocol.snapshot import Plan, Snapshot, active_window
from tests.integration.brokerage import last, published
from tests.integration.dashboard import attributes, state
from tests.integration.speakers import WEST, Bridge

SNAPSHOT = "skylapse/roof/west/snapshot/set"
PLAN = "skylapse/roof/west/plan/set"
PROFILE = "select.roof_west_profile"
INTERVAL = "number.roof_west_interval"
EV = "number.roof_west_ev_compensation"
STORE = f"{DOMAIN}.wishes"
NOON = datetime(2026, 6, 21, 10, 0, tzinfo=UTC)
WINTER_SUNSET = datetime(2026, 12, 21, 15, 30, tzinfo=UTC)
INNSBRUCK = Place(latitude=47.27, longitude=11.40, elevation_m=600.0, time_zone="Europe/Vienna")
CONFIGURATION = Configuration(
    profiles={profile.id: profile for profile in BUILT_IN_PROFILES},
    schedules=BUILT_IN_SCHEDULES,
    place=INNSBRUCK,
)


@pytest.fixture(autouse=True)
def _noon(freezer: FrozenDateTimeFactory) -> None:
    """Let it be the longest day, before its sunset."""
    freezer.move_to(NOON)


async def choose(hass: HomeAssistant, option: str) -> None:
    await hass.services.async_call(
        "select", "select_option", {"entity_id": PROFILE, "option": option}, blocking=True
    )


async def turn(hass: HomeAssistant, entity: str, value: float) -> None:
    await hass.services.async_call(
        "number", "set_value", {"entity_id": entity, "value": value}, blocking=True
    )


async def reload(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


def kept(storage: dict[str, Any]) -> Any:
    return storage[STORE]["data"] if STORE in storage else {}


# ---------------------------------------------------------------- what is compiled


def compiled(
    wish: Wish, now: datetime = NOON, configuration: Configuration = CONFIGURATION
) -> tuple[Snapshot, Plan]:
    made = compile_camera(configuration, "roof/west", now, Ledger(), None, (), wish)
    assert made.snapshot is not None
    assert made.plan is not None
    return made.snapshot, made.plan


def test_a_wish_changes_every_window_and_every_profile_of_a_camera() -> None:
    snapshot, plan = compiled(Wish(profile="d", interval_s=5.0, ev=0.5))
    plain_snapshot, plain = compiled(NO_WISH)
    assert {(window.profiles, window.interval_s) for window in plan.windows} == {(("d",), 5.0)}
    assert [window.id for window in plan.windows] == [window.id for window in plain.windows]
    brighter = {profile.id: profile.ev for profile in snapshot.profiles}
    assert brighter == {profile.id: pytest.approx(profile.ev + 0.5) for profile in plain_snapshot.profiles}
    assert snapshot.id != plain_snapshot.id


def test_what_is_otherwise_in_a_schedule_is_brighter_too_and_stays_within_what_cameras_take() -> None:
    profiles = {
        "d": ProfileSpec(id="d", name="D", schedule_overrides={"sunset": {"ev": -5.0}}),
        "bright": ProfileSpec(id="bright", name="Bright", ev=9.0),
    }
    schedules = tuple(replace(each, profiles=("bright",)) for each in BUILT_IN_SCHEDULES)
    configuration = replace(CONFIGURATION, profiles=profiles, schedules=schedules)
    snapshot, _ = compiled(Wish(profile="d", ev=4.0), configuration=configuration)
    assert [(each.schedule, each.profile.ev) for each in snapshot.variants] == [("sunset", -1.0)]
    bright = snapshot.profile("bright")
    assert bright is not None
    assert bright.ev == 10.0


def test_a_profile_that_is_not_there_any_more_is_no_wish() -> None:
    assert compiled(Wish(profile="gone")) == compiled(NO_WISH)


def test_at_one_interval_the_sunset_is_still_the_sunsets() -> None:
    """By day and by the hour frames are taken at the same time, but films are made of the sunset's."""
    _, plan = compiled(Wish(interval_s=5.0), WINTER_SUNSET)
    _, plain = compiled(NO_WISH, WINTER_SUNSET)
    ruling, usual = active_window(plan, WINTER_SUNSET), active_window(plain, WINTER_SUNSET)
    assert ruling is not None
    assert usual is not None
    assert ruling.id == usual.id == "sunset-20261221"


@pytest.mark.parametrize("wrong", [{"interval_s": 0.05}, {"interval_s": 1e6}, {"ev": 7.0}, {"ev": -7.0}])
def test_a_wish_that_no_plan_can_hold_is_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="is not between"):
        Wish.read(wrong)


def test_the_window_that_counts_is_the_one_that_rules_or_the_next() -> None:
    _, plan = compiled(NO_WISH)
    night = replace(plan, windows=tuple(each for each in plan.windows if each.schedule == "sunset"))
    now, later = window_that_counts(plan, NOON), window_that_counts(night, NOON)
    assert now is not None
    assert later is not None
    assert (now.schedule, later.id) == ("daytime", "sunset-20260621")
    assert window_that_counts(replace(plan, windows=()), NOON) is None


# ---------------------------------------------------------------- what the user does and sees


async def test_the_profile_that_is_chosen_rules_at_once(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    hass_storage: dict[str, Any],
    loaded: MockConfigEntry,
    bridge: Bridge,
) -> None:
    await bridge.arrive(cameras=(WEST, replace(WEST, id="east", name="East")))
    assert attributes(hass, PROFILE)["options"] == [
        "by_schedule",
        "Center-weighted auto",
        "Daylight fixed",
        "Conservative adaptive",
        "Warm dramatic",
        "Balanced adaptive",
        "Mountain spot",
    ]
    assert state(hass, PROFILE) == "Mountain spot"
    await choose(hass, "Warm dramatic")
    assert state(hass, PROFILE) == "Warm dramatic"
    assert {window.profiles for window in last(mqtt, PLAN).windows} == {("d",)}
    east = last(mqtt, PLAN.replace("west", "east"))
    assert {window.profiles for window in east.windows} == {("f",)}
    assert state(hass, "select.roof_east_profile") == "Mountain spot"
    assert kept(hass_storage) == {"roof/west": Wish(profile="d").write()}
    await choose(hass, "by_schedule")
    assert state(hass, PROFILE) == "Mountain spot"
    assert {window.profiles for window in last(mqtt, PLAN).windows} == {("f",)}
    assert kept(hass_storage) == {}


async def test_the_numbers_show_what_applies_and_take_what_is_wished(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    assert (float(state(hass, INTERVAL)), float(state(hass, EV))) == (30.0, 0.0)
    await turn(hass, INTERVAL, 7.5)
    await turn(hass, EV, -0.7)
    assert (float(state(hass, INTERVAL)), float(state(hass, EV))) == (7.5, -0.7)
    assert {window.interval_s for window in last(mqtt, PLAN).windows} == {7.5}
    production = last(mqtt, SNAPSHOT).profile("f")
    assert production.ev == pytest.approx(0.0)
    await turn(hass, INTERVAL, 0)
    assert float(state(hass, INTERVAL)) == 30.0
    with pytest.raises(ServiceValidationError, match=r"at least 0\.1 seconds"):
        await turn(hass, INTERVAL, 0.05)
    with pytest.raises(ServiceValidationError):
        await turn(hass, EV, 6)
    assert (float(state(hass, INTERVAL)), float(state(hass, EV))) == (30.0, -0.7)


async def test_the_interval_follows_the_windows_though_the_bridge_is_away(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge, freezer: FrozenDateTimeFactory
) -> None:
    await bridge.arrive()
    assert float(state(hass, INTERVAL)) == 30.0
    await bridge.say(topics.AVAILABILITY, "offline")
    freezer.move_to(NOON + timedelta(hours=9))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    assert float(state(hass, INTERVAL)) == 15.0


async def test_a_wish_needs_no_bridge_but_a_broker(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await bridge.say(topics.AVAILABILITY, "offline")
    assert state(hass, "select.roof_west_mode") == STATE_UNAVAILABLE
    await choose(hass, "Warm dramatic")
    await turn(hass, INTERVAL, 5)
    assert (state(hass, PROFILE), float(state(hass, INTERVAL))) == ("Warm dramatic", 5.0)
    plan = last(mqtt, PLAN)
    assert {(window.profiles, window.interval_s) for window in plan.windows} == {(("d",), 5.0)}
    loaded.runtime_data.coordinator._connection_changed(False)
    await hass.async_block_till_done()
    assert state(hass, PROFILE) == state(hass, INTERVAL) == STATE_UNAVAILABLE


async def test_wishes_outlive_a_restart(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await choose(hass, "Warm dramatic")
    await turn(hass, EV, 1.0)
    plans, snapshots = len(published(mqtt, PLAN)), len(published(mqtt, SNAPSHOT))
    held = published(mqtt, PLAN)[-1]
    await reload(hass, loaded)
    await bridge.arrive()
    assert (state(hass, PROFILE), float(state(hass, EV))) == ("Warm dramatic", 1.0)
    assert published(mqtt, PLAN)[plans:] == [held]
    assert len(published(mqtt, SNAPSHOT)) == snapshots + 1


async def test_wishes_of_a_camera_that_is_gone_for_good_are_forgotten(
    hass: HomeAssistant, hass_storage: dict[str, Any], loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await choose(hass, "Warm dramatic")
    await bridge.say(topics.ANNOUNCE, None)
    await bridge.arrive()
    assert state(hass, PROFILE) == "Mountain spot"
    await hass.async_stop()
    assert kept(hass_storage) == {}


async def test_wishes_go_with_a_device_that_is_deleted(
    hass: HomeAssistant, hass_storage: dict[str, Any], loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await choose(hass, "Warm dramatic")
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, "roof"), loaded.entry_id)
    assert device is not None
    await reload(hass, loaded)
    assert kept(hass_storage) == {"roof/west": Wish(profile="d").write()}
    assert await async_remove_config_entry_device(hass, loaded, device)
    await bridge.arrive()
    assert state(hass, PROFILE) == "Mountain spot"


async def test_a_wish_that_cannot_be_read_is_left_out(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    loaded: MockConfigEntry,
    bridge: Bridge,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await bridge.arrive(cameras=(WEST, replace(WEST, id="east", name="East")))
    await choose(hass, "Warm dramatic")
    hass_storage[STORE]["data"]["roof/east"] = {"ev": "bright"}
    await reload(hass, loaded)
    await bridge.arrive()
    assert state(hass, PROFILE) == "Warm dramatic"
    assert state(hass, "select.roof_east_profile") == "Mountain spot"
    assert caplog.text.count("The wish for roof/east is left out") == 1


async def test_without_any_schedule_there_is_nothing_to_show_but_wishes(
    hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    for subentry in list(loaded.get_subentries_of_type("schedule")):
        hass.config_entries.async_remove_subentry(loaded, subentry.subentry_id)
    await bridge.arrive()
    assert state(hass, PROFILE) == state(hass, INTERVAL) == STATE_UNKNOWN
    await choose(hass, "Warm dramatic")
    await turn(hass, INTERVAL, 5)
    assert (state(hass, PROFILE), float(state(hass, INTERVAL))) == ("Warm dramatic", 5.0)


async def test_two_profiles_of_one_name_can_be_told_apart(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    titles = {"a": "Warm dramatic", "b": "by_schedule"}
    for subentry in list(loaded.get_subentries_of_type("profile")):
        if subentry.unique_id in titles:
            hass.config_entries.async_update_subentry(loaded, subentry, title=titles[subentry.unique_id])
    await hass.async_block_till_done(wait_background_tasks=True)
    options = attributes(hass, PROFILE)["options"]
    assert options[:5] == [
        "by_schedule",
        "Warm dramatic",
        "by_schedule (b)",
        "Conservative adaptive",
        "Warm dramatic (d)",
    ]
    await choose(hass, "by_schedule (b)")
    assert {window.profiles for window in last(mqtt, PLAN).windows} == {("b",)}
