"""Home Assistant's own cameras without a broker: they photograph by what was deployed last."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_mqtt_message
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.any_camera.bridge import spool_folder
from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.snapshot import Plan, Snapshot
from tests.integration.brokerage import last, published
from tests.integration.darkroom import Depot, View, add_source, settle, subentry_of
from tests.integration.test_any_camera import GARDEN, noon, reload


@contextmanager
def no_broker() -> Generator[None]:
    """Let nothing be published, so that nobody hears or says anything."""
    with patch("homeassistant.components.mqtt.async_publish", side_effect=HomeAssistantError("no broker")):
        yield


def kept(hass: HomeAssistant, camera: str = "garden") -> Path:
    """Return the folder of what is deployed on a camera."""
    return spool_folder(hass) / "deployed" / camera


async def test_what_is_deployed_is_kept_as_it_came(
    hass: HomeAssistant, mqtt: MqttMockHAClient, own_cameras: MockConfigEntry
) -> None:
    for kind, message in (("plan", Plan), ("snapshot", Snapshot)):
        payload = (kept(hass) / f"{kind}.json").read_bytes()
        assert payload == published(mqtt, f"{GARDEN}/{kind}/set")[-1]
        assert isinstance(topics.decode(f"{GARDEN}/{kind}/set", payload).message, message)
    written = (kept(hass) / "plan.json").stat().st_mtime_ns
    async_fire_mqtt_message(hass, f"{GARDEN}/plan/set", published(mqtt, f"{GARDEN}/plan/set")[-1])
    await settle(hass)
    assert (kept(hass) / "plan.json").stat().st_mtime_ns == written


async def test_without_its_broker_a_home_assistant_that_starts_photographs_by_the_last_plan(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    assert await hass.config_entries.async_unload(own_cameras.entry_id)
    with no_broker():
        assert await hass.config_entries.async_setup(own_cameras.entry_id)
        await settle(hass)
        for second in (0, 20, 40, 120):
            await noon(hass, freezer, second)
    assert depot.numbers == [1, 2, 3]
    record = depot.frames[0][0]
    assert (record.window, record.schedule, record.profile) == ("noon-20260621", "noon", "f")
    assert record.snapshot_version == last(mqtt, f"{GARDEN}/snapshot/set").version
    assert record.sun_elevation_deg is not None
    await reload(hass, own_cameras)
    (ended,) = last(mqtt, f"{GARDEN}/state").ended_windows
    assert ended.captured == 3


@pytest.mark.parametrize("damage", ["cut", "empty", "unfit", "folder"])
async def test_a_plan_that_is_damaged_is_told_and_set_aside(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    assert await hass.config_entries.async_unload(own_cameras.entry_id)
    path = kept(hass) / "plan.json"
    plan = path.read_bytes()
    path.unlink()
    match damage:
        case "cut":
            path.write_bytes(plan[:100])
        case "empty":
            path.write_bytes(b"")
        case "unfit":
            twice = json.loads(plan)
            twice["windows"] *= 2
            path.write_text(json.dumps(twice))
        case _:
            path.mkdir()
    with no_broker():
        assert await hass.config_entries.async_setup(own_cameras.entry_id)
        await settle(hass)
        await noon(hass, freezer)
    assert garden.taken == 0
    assert (
        f"The plan of camera garden {'cannot be read' if damage == 'folder' else 'is damaged'}" in caplog.text
    )
    aside = path.with_suffix(".damaged")
    assert aside.exists() is (damage != "folder")
    if damage == "folder":
        path.rmdir()
    freezer.tick(1)
    await reload(hass, own_cameras)
    await noon(hass, freezer, 20)
    assert garden.taken == 1
    assert isinstance(topics.decode(f"{GARDEN}/plan/set", path.read_bytes()).message, Plan)


async def test_what_cannot_be_kept_is_told_and_photographed_by_all_the_same(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
) -> None:
    plan = json.loads(published(mqtt, f"{GARDEN}/plan/set")[-1])
    plan["revision"] += 1
    with patch("pathlib.Path.replace", side_effect=OSError("read-only")):
        async_fire_mqtt_message(hass, f"{GARDEN}/plan/set", json.dumps(plan))
        await settle(hass)
    state = last(mqtt, f"{GARDEN}/state")
    assert state.last_error == "the plan cannot be kept over a restart: read-only"
    assert state.plan_revision >= plan["revision"]
    async_fire_mqtt_message(hass, f"{GARDEN}/plan/set", json.dumps(plan))
    await settle(hass)
    assert last(mqtt, f"{GARDEN}/state").last_error is None
    await noon(hass, freezer)
    assert garden.taken == 1


async def test_what_was_taken_away_is_not_photographed_by_after_a_restart(
    hass: HomeAssistant,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
) -> None:
    async_fire_mqtt_message(hass, f"{GARDEN}/plan/set", b"")
    await settle(hass)
    assert [path.name for path in kept(hass).iterdir()] == ["snapshot.json"]
    assert await hass.config_entries.async_unload(own_cameras.entry_id)
    with no_broker():
        assert await hass.config_entries.async_setup(own_cameras.entry_id)
        await settle(hass)
        await noon(hass, freezer)
    assert garden.taken == 0


async def test_a_camera_that_goes_takes_what_was_deployed_with_it(
    hass: HomeAssistant, own_cameras: MockConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    add_source(hass, own_cameras, "Second", "camera.second")
    await settle(hass)
    assert (kept(hass, "second") / "plan.json").exists()
    hass.config_entries.async_remove_subentry(own_cameras, subentry_of(own_cameras, "second"))
    await settle(hass)
    assert not kept(hass, "second").exists()
    assert (kept(hass) / "plan.json").exists()
    assert await hass.config_entries.async_unload(own_cameras.entry_id)
    hass.config_entries.async_remove_subentry(own_cameras, subentry_of(own_cameras, "garden"))
    add_source(hass, own_cameras, "Third", "camera.third")
    freezer.tick(timedelta(seconds=1))
    assert await hass.config_entries.async_setup(own_cameras.entry_id)
    await settle(hass)
    assert not kept(hass).exists()
    assert (kept(hass, "third") / "plan.json").exists()
