"""Cameras of Home Assistant as a source: added, photographing by the plan, delivering, and going."""

import json
from datetime import timedelta
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components import image
from homeassistant.components.backup.const import EXCLUDE_FROM_BACKUP
from homeassistant.components.image.const import DATA_COMPONENT
from homeassistant.components.mqtt.const import MQTT_CONNECTION_STATE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_mqtt_message
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.any_camera.bridge import spool_folder
from custom_components.skylapse.const import DOMAIN
from custom_components.skylapse.protocol import topics
from tests.integration.brokerage import last, published
from tests.integration.darkroom import (
    NOON,
    WINDOW,
    Depot,
    Poster,
    View,
    add_source,
    let_it_be,
    picture,
    settle,
    subentry_of,
)
from tests.integration.speakers import Processor
from tests.integration.theatre import FakeProcessor

OWN = "skylapse/home_assistant"
GARDEN = f"{OWN}/garden"


def device(hass: HomeAssistant, entry: MockConfigEntry, name: str) -> Any:
    registry, key = dr.async_get(hass), (DOMAIN, name)
    child = registry.async_get_child_device_by_identifier(key, entry.entry_id)
    return child or registry.async_get_device_by_identifier(key, entry.entry_id)


def events(mqtt: MqttMockHAClient, topic: str = f"{GARDEN}/event") -> list[tuple[str, str | None]]:
    messages = [json.loads(payload) for payload in published(mqtt, topic)]
    return [(message["type"], message["reason"]) for message in messages]


async def noon(hass: HomeAssistant, freezer: FrozenDateTimeFactory, second: float = 0) -> None:
    """Let it be so many seconds after noon."""
    await let_it_be(hass, freezer, NOON + timedelta(seconds=second))


async def reload(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_reload(entry.entry_id)
    await settle(hass)


# ---------------------------------------------------------------- it is a bridge


async def test_home_assistant_announces_itself_as_a_bridge(
    hass: HomeAssistant, mqtt: MqttMockHAClient, own_cameras: MockConfigEntry
) -> None:
    announce = last(mqtt, f"{OWN}/announce")
    assert (announce.bridge, announce.name, announce.software) == (
        "home_assistant",
        "Home Assistant",
        "0.1.0",
    )
    (garden,) = announce.cameras
    assert (garden.id, garden.name, garden.driver) == ("garden", "Garden", "home_assistant")
    assert (garden.width, garden.height, garden.controls_exposure) == (64, 48, False)
    assert published(mqtt, f"{OWN}/availability") == [b"online"]
    retained = {call.args[0]: call.args[3] for call in mqtt.async_publish.call_args_list}
    assert all(retained[topic] for topic in (f"{OWN}/announce", f"{OWN}/availability", f"{GARDEN}/state"))
    own, camera = (device(hass, own_cameras, name) for name in ("home_assistant", "home_assistant/garden"))
    assert (own.name, camera.name, camera.parent_device_id) == ("Home Assistant", "Garden", own.id)
    assert hass.states.get("image.home_assistant_garden") is not None


async def test_it_takes_what_the_brain_deploys(
    hass: HomeAssistant, mqtt: MqttMockHAClient, own_cameras: MockConfigEntry
) -> None:
    state, plan = last(mqtt, f"{GARDEN}/state"), last(mqtt, f"{GARDEN}/plan/set")
    snapshot = last(mqtt, f"{GARDEN}/snapshot/set")
    assert (state.snapshot_id, state.snapshot_version) == (snapshot.id, snapshot.version)
    assert (state.plan_revision, state.next_capture_at) == (plan.revision, NOON)
    assert (state.mode, state.capturing, state.active_window) == ("deployed", True, None)
    facts = own_cameras.runtime_data.coordinator.camera("home_assistant/garden")
    assert facts.applied is True


async def test_a_window_from_its_start_to_its_end(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    for second in (0, 20, 40, 60, 80, 100, 120):
        await noon(hass, freezer, second)
    assert events(mqtt) == [("window_started", None), ("window_ended", None)]
    assert depot.numbers == [1, 2, 3, 4, 5, 6]
    assert [data for _, data in depot.frames] == [picture(number) for number in range(1, 7)]
    record = depot.frames[1][0]
    assert record.captured_at == NOON + timedelta(seconds=20)
    assert (record.bridge, record.camera, record.day) == ("home_assistant", "garden", "2026-06-21")
    assert (record.window, record.schedule, record.profile) == (WINDOW, "noon", "f")
    assert (record.width, record.height, record.media_type) == (64, 48, "image/jpeg")
    assert record.sun_elevation_deg is not None
    assert record.exposure_us is record.lux is None
    assert [
        topics.decode(f"{GARDEN}/frame", payload).message for payload in published(mqtt, f"{GARDEN}/frame")
    ] == [record for record, _ in depot.frames]
    state = last(mqtt, f"{GARDEN}/state")
    assert (state.counts.captured, state.counts.delivered, state.counts.pending) == (6, 6, 0)
    (ended,) = state.ended_windows
    assert (ended.window, ended.day, ended.profiles, ended.captured) == (WINDOW, "2026-06-21", ("f",), 6)
    assert garden.taken == 6
    assert list((spool_folder(hass) / "frames").iterdir()) == []


async def test_a_window_with_several_profiles_has_frames_of_each(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    plan = json.loads(published(mqtt, f"{GARDEN}/plan/set")[-1])
    plan["windows"][0]["profiles"] = ["f", "a"]
    async_fire_mqtt_message(hass, f"{GARDEN}/plan/set", json.dumps(plan))
    for second in (0, 20, 120):
        await noon(hass, freezer, second)
    records = [record for record, _ in depot.frames]
    assert [(record.profile, record.place) for record in records] == [("f", 0), ("a", 1)] * 2
    assert len({record.sha256 for record in records}) == 4
    (ended,) = last(mqtt, f"{GARDEN}/state").ended_windows
    assert (ended.profiles, ended.captured) == (("f", "a"), 4)
    assert garden.at_once == 1


async def test_previews_are_small_and_few(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
) -> None:
    garden.shows = picture(3, size=(2000, 1500))
    await noon(hass, freezer)
    (preview,) = published(mqtt, f"{GARDEN}/preview")
    assert len(preview) <= 60 * 1024
    assert published(mqtt, f"{GARDEN}/preview")[0].startswith(b"\xff\xd8\xff")
    assert last(mqtt, f"{OWN}/announce").cameras[0].width == 2000
    own_bridge = own_cameras.runtime_data.own_bridge
    assert own_bridge.spool.known("garden").height == 1500


async def test_the_health_of_the_bridge_says_what_waits(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    assert last(mqtt, f"{OWN}/health").spool_frames == 0
    depot.always = 507
    await noon(hass, freezer)
    await noon(hass, freezer, 20)
    await noon(hass, freezer, 31)
    health = last(mqtt, f"{OWN}/health")
    assert (health.spool_frames, health.oldest_undelivered_at) == (2, NOON)
    assert health.spool_bytes > 0
    assert health.disk_total_bytes > health.disk_free_bytes > 0
    assert health.uplink_problem == 'the processor answered 507: {"title": "no"}'


async def test_the_processor_that_the_brain_names_is_told(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    processor_server: FakeProcessor,
) -> None:
    processor = Processor(hass, processor_server)
    await processor.arrive()
    assert last(mqtt, f"{OWN}/health").uplink == "house"
    await processor.say(topics.PROCESSOR_ANNOUNCE, None)
    await own_cameras.runtime_data.coordinator.async_publish(topics.UPLINK, None, bridge="home_assistant")
    await settle(hass)
    assert last(mqtt, f"{OWN}/health").uplink is None


async def test_an_image_is_a_source_too(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    assert await async_setup_component(hass, image.DOMAIN, {})
    await hass.data[DATA_COMPONENT].async_add_entities([Poster(hass)])
    add_source(hass, own_cameras, "Map", "image.map")
    await settle(hass)
    assert [camera.id for camera in last(mqtt, f"{OWN}/announce").cameras] == ["garden", "map"]
    await noon(hass, freezer)
    ((record, data),) = [(record, data) for record, data in depot.frames if record.camera == "map"]
    assert (record.width, record.height) == (30, 20)
    assert data.startswith(b"\xff\xd8\xff")


# ---------------------------------------------------------------- coming and going


async def test_the_last_source_takes_the_bridge_with_it(
    hass: HomeAssistant, mqtt: MqttMockHAClient, own_cameras: MockConfigEntry, garden: View
) -> None:
    add_source(hass, own_cameras, "Second", "camera.second")
    await settle(hass)
    hass.config_entries.async_remove_subentry(own_cameras, subentry_of(own_cameras, "second"))
    await settle(hass)
    assert published(mqtt, f"{OWN}/second/state")[-1] == b""
    assert [camera.id for camera in last(mqtt, f"{OWN}/announce").cameras] == ["garden"]
    assert device(hass, own_cameras, "home_assistant/second") is None
    hass.config_entries.async_remove_subentry(own_cameras, subentry_of(own_cameras, "garden"))
    await settle(hass)
    for topic in (
        "announce",
        "availability",
        "health",
        "garden/state",
        "garden/plan/set",
        "garden/snapshot/set",
    ):
        assert published(mqtt, f"{OWN}/{topic}")[-1] == b"", topic
    assert device(hass, own_cameras, "home_assistant") is None
    assert hass.states.get("image.home_assistant_garden") is None


async def test_a_source_that_comes_back_goes_on(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    await noon(hass, freezer)
    hass.config_entries.async_remove_subentry(own_cameras, subentry_of(own_cameras, "garden"))
    await settle(hass)
    await noon(hass, freezer, 21)
    assert garden.taken == 1
    add_source(hass, own_cameras, "Garden", "camera.garden")
    await settle(hass)
    await noon(hass, freezer, 40)
    assert depot.numbers == [1, 2]
    assert last(mqtt, f"{GARDEN}/state").counts.captured == 2


async def test_a_source_is_renamed_without_a_break(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
) -> None:
    hass.config_entries.async_update_subentry(
        own_cameras, own_cameras.subentries[subentry_of(own_cameras, "garden")], title="Back yard"
    )
    await settle(hass)
    assert last(mqtt, f"{OWN}/announce").cameras[0].name == "Back yard"
    await noon(hass, freezer)
    assert garden.taken == 1


async def test_unloading_says_that_the_bridge_is_away_and_takes_no_more_pictures(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
) -> None:
    assert await hass.config_entries.async_unload(own_cameras.entry_id)
    await noon(hass, freezer)
    assert published(mqtt, f"{OWN}/availability") == [b"online", b"offline"]
    assert garden.taken == 0
    assert published(mqtt, f"{OWN}/announce")[-1] != b""


@pytest.mark.parametrize("expected_lingering_timers", [True])  # what is not unloaded goes on to the end
async def test_where_a_platform_does_not_let_go_pictures_are_taken_on(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
) -> None:
    with patch("homeassistant.components.sensor.async_unload_entry", return_value=False):
        assert not await hass.config_entries.async_unload(own_cameras.entry_id)
    await noon(hass, freezer)
    assert published(mqtt, f"{OWN}/availability") == [b"online"]
    assert garden.taken == 1


async def test_a_home_assistant_that_ends_says_so(
    hass: HomeAssistant, mqtt: MqttMockHAClient, own_cameras: MockConfigEntry
) -> None:
    await hass.async_stop(force=True)
    assert published(mqtt, f"{OWN}/availability")[-1] == b"offline"


async def test_an_entry_that_is_removed_leaves_nothing(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    depot.always = 507
    await noon(hass, freezer)
    assert len(list((spool_folder(hass) / "frames").iterdir())) == 2
    await hass.config_entries.async_remove(own_cameras.entry_id)
    await settle(hass)
    for topic in (
        "announce",
        "availability",
        "health",
        "garden/state",
        "garden/plan/set",
        "garden/snapshot/set",
    ):
        assert published(mqtt, f"{OWN}/{topic}")[-1] == b"", topic
    assert not spool_folder(hass).exists()


async def test_without_sources_nothing_is_said_and_nothing_is_written(
    hass: HomeAssistant, mqtt: MqttMockHAClient, loaded: MockConfigEntry, tmp_path: Path
) -> None:
    assert [call.args[0] for call in mqtt.async_publish.call_args_list if OWN in call.args[0]] == []
    assert not spool_folder(hass).exists()


async def test_what_was_removed_while_skylapse_was_away_is_emptied(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    depot.always = 507
    await noon(hass, freezer)
    assert await hass.config_entries.async_unload(own_cameras.entry_id)
    hass.config_entries.async_remove_subentry(own_cameras, subentry_of(own_cameras, "garden"))
    depot.always = None
    mqtt.async_publish.reset_mock()
    assert await hass.config_entries.async_setup(own_cameras.entry_id)
    await settle(hass)
    assert published(mqtt, f"{GARDEN}/state") == published(mqtt, f"{OWN}/announce") == [b""]
    assert depot.numbers == [1]
    await reload(hass, own_cameras)
    assert not spool_folder(hass).exists()


async def test_the_broker_that_comes_back_is_told_everything_again(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    told = len(published(mqtt, f"{OWN}/announce"))
    async_dispatcher_send(hass, MQTT_CONNECTION_STATE, False)
    await noon(hass, freezer)
    assert (garden.taken, depot.numbers) == (1, [1])
    async_dispatcher_send(hass, MQTT_CONNECTION_STATE, True)
    await settle(hass)
    assert len(published(mqtt, f"{OWN}/announce")) == told + 1
    assert last(mqtt, f"{GARDEN}/state").counts.captured == 1
    assert published(mqtt, f"{OWN}/availability")[-1] == b"online"


# ---------------------------------------------------------------- over a restart, and without a processor


async def test_nothing_is_lost_over_a_restart(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    depot.always = 507
    await noon(hass, freezer)
    await noon(hass, freezer, 20)
    freezer.tick(1)
    await reload(hass, own_cameras)
    state = last(mqtt, f"{GARDEN}/state")
    assert (state.counts.captured, state.counts.pending) == (2, 2)
    depot.always = None
    await noon(hass, freezer, 40)
    await noon(hass, freezer, 120)
    assert depot.numbers == [1, 2, 3]
    assert len({(record.spool, record.seq) for record, _ in depot.frames}) == 3
    assert [kind for kind, _ in events(mqtt)] == ["window_started", "window_ended", "tick_skipped"]
    (ended,) = last(mqtt, f"{GARDEN}/state").ended_windows
    assert ended.captured == 3


async def test_a_window_that_ended_while_home_assistant_was_away_is_ended(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    await noon(hass, freezer)
    assert await hass.config_entries.async_unload(own_cameras.entry_id)
    freezer.move_to(NOON + timedelta(hours=1))
    assert await hass.config_entries.async_setup(own_cameras.entry_id)
    await settle(hass)
    (ended,) = last(mqtt, f"{GARDEN}/state").ended_windows
    assert (ended.window, ended.ended_at) == (WINDOW, NOON + timedelta(minutes=2))
    assert events(mqtt)[-1] == ("window_ended", None)


async def test_without_a_key_the_frames_wait_and_the_user_is_told(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    issue = "sources_without_processor_home_assistant"
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue) is None
    data = dict(own_cameras.data)
    hass.config_entries.async_update_entry(own_cameras, data={"root": "skylapse"})
    await settle(hass)
    found = ir.async_get(hass).async_get_issue(DOMAIN, issue)
    assert found is not None
    assert found.translation_key == "sources_without_processor"
    await noon(hass, freezer)
    state = last(mqtt, f"{GARDEN}/state")
    assert (state.counts.captured, state.counts.pending, state.last_error) == (1, 1, None)
    assert last(mqtt, f"{OWN}/health").uplink_problem == "Home Assistant has no key of a processor"
    freezer.tick(1)
    hass.config_entries.async_update_entry(own_cameras, data=data)
    await settle(hass)
    assert depot.numbers == [1]
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue) is None


async def test_frames_are_delivered_as_soon_as_the_processor_is_back(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    processor_server: FakeProcessor,
    freezer: FrozenDateTimeFactory,
) -> None:
    depot.always = 503
    await noon(hass, freezer)
    depot.always = None
    await Processor(hass, processor_server).arrive()
    assert depot.numbers == [1]
    assert last(mqtt, f"{OWN}/health").uplink_problem is None


def test_backups_leave_the_spool_out(hass: HomeAssistant) -> None:
    frame = spool_folder(hass) / "frames" / "1.jpg"
    inside = frame.relative_to(hass.config.config_dir)
    assert any(fnmatch(str(inside), pattern) for pattern in EXCLUDE_FROM_BACKUP)
