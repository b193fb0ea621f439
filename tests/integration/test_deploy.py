"""Snapshot, plan, orders and uplink: what is published, when, and what never is twice."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.brain.deploy import compile_camera
from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import Clock
from custom_components.skylapse.protocol.snapshot import active_window
from tests.integration.brokerage import last, published
from tests.integration.speakers import STATE, WEST, Bridge, Processor

SNAPSHOT = "skylapse/roof/west/snapshot/set"
PLAN = "skylapse/roof/west/plan/set"
ORDERS = "skylapse/processor/orders/set"
UPLINK = "skylapse/roof/uplink/set"
NOON = datetime(2026, 6, 21, 10, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _noon(freezer: FrozenDateTimeFactory) -> None:
    """Let it be the longest day, before its sunset."""
    freezer.move_to(NOON)


async def reload(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


def subentry(entry: MockConfigEntry, unique_id: str) -> ConfigSubentry:
    found: ConfigSubentry = next(each for each in entry.subentries.values() if each.unique_id == unique_id)
    return found


async def test_a_bridge_that_announces_itself_is_supplied(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
) -> None:
    await processor.arrive()
    await bridge.arrive()
    snapshot, plan, orders, uplink = (last(mqtt, topic) for topic in (SNAPSHOT, PLAN, ORDERS, UPLINK))
    assert [profile.id for profile in snapshot.profiles] == list("abcdef")
    assert {window.schedule for window in plan.windows} == {"sunrise", "sunset", "daytime", "hourly"}
    assert plan.time_zone == "Europe/Vienna"
    assert [order.schedule for order in orders.orders] == ["sunrise", "sunset", "daytime", "night"]
    assert {order.camera for order in orders.orders} == {"roof/west"}
    assert (uplink.processor, uplink.url) == ("house", processor.server.url)
    retained = {call.args[0]: call.args[3] for call in mqtt.async_publish.call_args_list}
    assert all(retained[topic] for topic in (SNAPSHOT, PLAN, ORDERS, UPLINK))


async def test_nothing_is_said_twice(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await bridge.arrive(name="Roof top")
    assert len(published(mqtt, SNAPSHOT)) == len(published(mqtt, PLAN)) == 1


async def test_a_restart_says_the_same_again_byte_for_byte(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await reload(hass, loaded)
    await bridge.arrive()
    assert len(set(published(mqtt, SNAPSHOT))) == len(set(published(mqtt, PLAN))) == 1
    assert len(published(mqtt, PLAN)) == 2


async def test_the_broker_that_comes_back_is_told_everything_again(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    loaded.runtime_data.deployer._connection_changed(False)
    assert len(published(mqtt, PLAN)) == 1
    loaded.runtime_data.deployer._connection_changed(True)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(published(mqtt, PLAN)) == len(published(mqtt, SNAPSHOT)) == 2


async def test_the_plan_is_renewed_every_six_hours(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    freezer: FrozenDateTimeFactory,
) -> None:
    await bridge.arrive()
    freezer.tick(timedelta(hours=2, seconds=1))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert [topics.decode(PLAN, raw).message.revision for raw in published(mqtt, PLAN)] == [1, 2]  # type: ignore[attr-defined]
    assert len(published(mqtt, SNAPSHOT)) == 1


async def test_a_bridge_in_simulated_time_gets_a_plan_for_its_own_now(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    freezer: FrozenDateTimeFactory,
) -> None:
    winter = datetime(2027, 12, 21, 15, 0, tzinfo=UTC)
    await bridge.arrive(clock=Clock(start=winter, anchor=NOON, rate=60.0))
    plan = last(mqtt, PLAN)
    assert plan.windows[0].ends_at > winter
    assert all(window.day.startswith("2027-12-2") for window in plan.windows)
    ruling = active_window(plan, winter + timedelta(minutes=30))
    assert ruling is not None
    assert ruling.schedule == "sunset"
    freezer.tick(timedelta(minutes=3, seconds=1))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert last(mqtt, PLAN).revision == 2
    assert last(mqtt, PLAN).sun.starts_at == datetime(2027, 12, 21, 18, 0, tzinfo=UTC)


async def test_a_clock_that_runs_wild_keeps_nobody_busy(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    freezer: FrozenDateTimeFactory,
) -> None:
    end = datetime(9999, 12, 31, tzinfo=UTC)
    await bridge.arrive(clock=Clock(start=end, anchor=NOON, rate=10_000.0))
    for _ in range(9):
        freezer.tick(timedelta(seconds=1))
        async_fire_time_changed(hass)
        await hass.async_block_till_done(wait_background_tasks=True)
    assert len(published(mqtt, PLAN)) == 1
    state = hass.states.get("sensor.roof_west_illuminance")
    assert state is not None


async def test_a_changed_schedule_is_deployed_without_a_reload(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.tell_all()
    sunset = subentry(loaded, "sunset")
    changes = {**sunset.data, "offset_min": -60, "duration_min": 120, "size": "720p"}
    hass.config_entries.async_update_subentry(loaded, sunset, data=changes)
    await hass.async_block_till_done(wait_background_tasks=True)
    window = next(each for each in last(mqtt, PLAN).windows if each.schedule == "sunset")
    assert window.ends_at - window.starts_at == timedelta(hours=2)
    assert next(each for each in last(mqtt, ORDERS).orders if each.schedule == "sunset").size == "720p"
    state = hass.states.get("sensor.roof_west_deployment")
    assert state is not None
    assert state.state == "pending"
    await bridge.say(topics.STATE, replace(STATE, plan_revision=2))
    state = hass.states.get("sensor.roof_west_deployment")
    assert state is not None
    assert state.state == "applied"
    illuminance = hass.states.get("sensor.roof_west_illuminance")
    assert illuminance is not None
    assert illuminance.state == "812.5"


async def test_a_schedule_that_names_a_profile_that_is_gone_is_left_out_with_a_line(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sunset = subentry(loaded, "sunset")
    hass.config_entries.async_update_subentry(loaded, sunset, data={**sunset.data, "profiles": ["gone"]})
    daytime = subentry(loaded, "daytime")
    hass.config_entries.async_update_subentry(loaded, daytime, data={**daytime.data, "profiles": ["a"]})
    profile = subentry(loaded, "a")
    hass.config_entries.async_update_subentry(loaded, profile, data={**profile.data, "extends": "gone"})
    await bridge.arrive()
    assert {window.schedule for window in last(mqtt, PLAN).windows} == {"sunrise", "hourly"}
    assert [profile.id for profile in last(mqtt, SNAPSHOT).profiles] == list("bcdef")
    assert "Schedule Sunset is left out" in caplog.text
    assert "Profile a is left out" in caplog.text


async def test_a_house_that_moves_gets_a_new_plan(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await hass.config.async_update(latitude=-36.85, longitude=174.76, time_zone="Pacific/Auckland")
    await hass.async_block_till_done(wait_background_tasks=True)
    plan = last(mqtt, PLAN)
    assert (plan.revision, plan.time_zone) == (2, "Pacific/Auckland")


async def test_a_camera_that_holds_a_later_version_is_overtaken(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await bridge.say(topics.STATE, replace(STATE, snapshot_version=40, plan_revision=300))
    assert last(mqtt, SNAPSHOT).version == 41
    assert last(mqtt, PLAN).revision == 301


async def test_what_is_gone_for_good_is_emptied(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    processor: Processor,
) -> None:
    await processor.arrive()
    await bridge.arrive(cameras=(WEST, replace(WEST, id="east", name="East")))
    await bridge.say(topics.STATE, STATE, camera="east")
    await bridge.arrive(cameras=(WEST,))
    assert published(mqtt, "skylapse/roof/east/plan/set")[-1] == b""
    assert published(mqtt, "skylapse/roof/east/state") == [b""]
    assert "roof/east" not in loaded.runtime_data.coordinator.system.cameras
    assert published(mqtt, PLAN)[-1] != b""
    assert published(mqtt, UPLINK)[-1] != b""
    await bridge.say(topics.ANNOUNCE, None)
    assert published(mqtt, PLAN)[-1] == published(mqtt, SNAPSHOT)[-1] == published(mqtt, UPLINK)[-1] == b""
    assert last(mqtt, ORDERS).orders == ()


async def test_what_cannot_be_published_is_told_and_tried_again(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with patch.object(mqtt, "async_publish", side_effect=HomeAssistantError("no broker")):
        await bridge.arrive()
    assert caplog.text.count(f"Could not deploy to {PLAN}: no broker") == 1
    await bridge.arrive(name="Again")
    assert last(mqtt, PLAN).revision == 1


@pytest.fixture
def two_cameras(bridge: Bridge) -> None:
    """The bridge has two cameras when it comes."""
    bridge.announce = replace(bridge.announce, cameras=(WEST, replace(WEST, id="east", name="East")))


@pytest.fixture
async def deploying(hass: HomeAssistant, loaded: MockConfigEntry, bridge: Bridge) -> AsyncGenerator[None]:
    """A bridge has come, and what is compiled for it is ready only when the deployer is to stop."""
    compiling, stopping = asyncio.Event(), threading.Event()
    deployer = loaded.runtime_data.deployer
    stop = deployer.async_stop

    def compile_late(*facts: Any) -> Any:
        hass.loop.call_soon_threadsafe(compiling.set)
        assert stopping.wait(60)
        return compile_camera(*facts)

    async def stop_then() -> None:
        stopping.set()
        await stop()

    with (
        patch("custom_components.skylapse.deployer.compile_camera", compile_late),
        patch.object(deployer, "async_stop", stop_then),
    ):
        await bridge.tell(topics.ANNOUNCE, bridge.announce)
        await compiling.wait()
        yield


async def test_unloaded_while_it_deploys_it_does_not_wake_again(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    freezer: FrozenDateTimeFactory,
    deploying: None,
) -> None:
    assert await hass.config_entries.async_unload(loaded.entry_id)
    plans = len(published(mqtt, PLAN))
    freezer.tick(timedelta(hours=7))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(published(mqtt, PLAN)) == plans


async def test_unloaded_while_it_deploys_to_one_camera_it_turns_to_no_other(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    two_cameras: None,
    deploying: None,
) -> None:
    def supplied() -> int:
        return sum(published(mqtt, f"skylapse/roof/{camera}/plan/set") != [] for camera in ("west", "east"))

    assert await hass.config_entries.async_unload(loaded.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert supplied() == 1
    assert await hass.config_entries.async_setup(loaded.entry_id)
    await bridge.arrive()
    assert supplied() == 2


async def test_removed_while_it_deploys_it_leaves_no_ledger(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    deploying: None,
) -> None:
    await hass.config_entries.async_remove(loaded.entry_id)
    assert len(published(mqtt, PLAN)) == 1
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=10))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert f"{DOMAIN}.ledger" not in hass_storage


async def test_reloaded_while_it_deploys_no_revision_is_given_twice(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    deploying: None,
) -> None:
    sunset = subentry(loaded, "sunset")
    hass.config_entries.async_update_subentry(loaded, sunset, data={**sunset.data, "interval_s": 7})
    await reload(hass, loaded)
    await bridge.arrive()
    assert [json.loads(plan)["revision"] for plan in published(mqtt, PLAN)] == [1, 2]


async def test_a_snapshot_that_is_too_large_is_told_and_the_old_one_stays(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    before = published(mqtt, SNAPSHOT)
    added = [
        ConfigSubentry(
            data={"white_balance": "adaptive", "curve": "warm"},  # type: ignore[arg-type]
            subentry_type="profile",
            title="x" * 4000,
            unique_id=f"p{number}",
        )
        for number in range(20)
    ]
    for each in added:
        hass.config_entries.async_add_subentry(loaded, each)
    sunset = subentry(loaded, "sunset")
    hass.config_entries.async_update_subentry(loaded, sunset, data={**sunset.data, "interval_s": 7})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert published(mqtt, SNAPSHOT) == before
    assert {w.interval_s for w in last(mqtt, PLAN).windows if w.schedule == "sunset"} == {7}
    issue = ir.async_get(hass).async_get_issue(DOMAIN, "snapshot_too_large_roof/west")
    assert issue is not None
    assert issue.translation_placeholders == {"camera": "roof/west"}
    for each in added:
        hass.config_entries.async_remove_subentry(loaded, each.subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert ir.async_get(hass).async_get_issue(DOMAIN, "snapshot_too_large_roof/west") is None


def add_schedules(hass: HomeAssistant, entry: MockConfigEntry, count: int) -> list[ConfigSubentry]:
    """Add so many schedules whose names fill the plan."""
    added = [
        ConfigSubentry(
            data={"anchor": "clock", "at": "08:00:00", "duration_min": 30, "interval_s": 2},  # type: ignore[arg-type]
            subentry_type="schedule",
            title=f"Schedule {number}",
            unique_id=f"{'long' * 10}{number:03}",
        )
        for number in range(count)
    ]
    for each in added:
        hass.config_entries.async_add_subentry(entry, each)
    return added


async def test_a_plan_that_is_too_large_reaches_less_far_and_says_so(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    added = add_schedules(hass, loaded, 50)
    await bridge.arrive()
    plan = last(mqtt, PLAN)
    assert len({window.schedule for window in plan.windows}) == 54
    issue = ir.async_get(hass).async_get_issue(DOMAIN, "plan_shortened_roof/west")
    assert issue is not None
    places = issue.translation_placeholders
    assert places is not None
    reach = plan.windows[-1].starts_at - plan.sun.starts_at
    assert int(places["hours"]) < 96
    assert timedelta(hours=48) < reach <= timedelta(hours=int(places["hours"]) + 6)
    assert places["full"] == "96"
    for each in added:
        hass.config_entries.async_remove_subentry(loaded, each.subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert ir.async_get(hass).async_get_issue(DOMAIN, "plan_shortened_roof/west") is None


async def test_a_plan_that_never_fits_is_not_sent_and_the_old_one_stays(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    before = published(mqtt, PLAN)
    add_schedules(hass, loaded, 300)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert published(mqtt, PLAN) == before
    issues = ir.async_get(hass)
    assert issues.async_get_issue(DOMAIN, "plan_too_large_roof/west") is not None
    assert issues.async_get_issue(DOMAIN, "plan_shortened_roof/west") is None
    await bridge.say(topics.ANNOUNCE, None)
    assert issues.async_get_issue(DOMAIN, "plan_too_large_roof/west") is None


async def test_a_profile_means_its_variant_in_its_season_and_changes_with_the_day(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    loaded: MockConfigEntry,
    bridge: Bridge,
    freezer: FrozenDateTimeFactory,
) -> None:
    hass.config_entries.async_add_subentry(
        loaded,
        ConfigSubentry(
            data={"extends": "f", "season": "autumn", "ev": 1.3},  # type: ignore[arg-type]
            subentry_type="profile",
            title="Fog",
            unique_id="fog",
        ),
    )
    hass.config_entries.async_remove_subentry(loaded, subentry(loaded, "hourly").subentry_id)
    freezer.move_to(datetime(2026, 8, 31, 20, 0, tzinfo=UTC))
    await bridge.arrive()
    assert last(mqtt, SNAPSHOT).profile("f").ev == 0.7
    freezer.move_to(datetime(2026, 8, 31, 22, 0, 1, tzinfo=UTC))  # midnight in Vienna
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)
    snapshot = last(mqtt, SNAPSHOT)
    assert (snapshot.version, snapshot.profile("f").ev, snapshot.profile("f").name) == (
        2,
        1.3,
        "Mountain spot",
    )


async def test_removing_the_entry_forgets_the_ledger(
    hass: HomeAssistant, hass_storage: dict[str, Any], loaded: MockConfigEntry, bridge: Bridge
) -> None:
    await bridge.arrive()
    await hass.config_entries.async_unload(loaded.entry_id)
    assert hass_storage[f"{DOMAIN}.ledger"]["data"]["plan/roof/west"]["version"] == 1
    await hass.config_entries.async_remove(loaded.entry_id)
    await hass.async_block_till_done()
    assert f"{DOMAIN}.ledger" not in hass_storage
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=10))
    await hass.async_block_till_done()
