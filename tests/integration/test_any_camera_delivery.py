"""What goes wrong between Home Assistant's own cameras and the processor: no frame is lost unseen."""

import logging
import shutil
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
)
from pytest_homeassistant_custom_component.typing import MqttMockHAClient

from custom_components.skylapse.any_camera import files, pictures, upload
from custom_components.skylapse.any_camera import spool as spool_room
from custom_components.skylapse.any_camera.bridge import async_forget, spool_folder
from tests.integration.brokerage import last, published
from tests.integration.darkroom import (
    NOON,
    Depot,
    View,
    let_it_be,
    settle,
    subentry_of,
)
from tests.integration.test_any_camera import GARDEN, OWN, noon, reload
from tests.integration.test_any_camera_faults import failures, state

# ---------------------------------------------------------------- the processor


async def test_a_key_that_the_processor_does_not_know_asks_for_another(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    depot.always = 401
    await noon(hass, freezer)
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    assert "401" in last(mqtt, f"{OWN}/health").uplink_problem
    assert state(mqtt).counts.pending == 1


async def test_pauses_grow_and_the_order_stays(
    hass: HomeAssistant,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    depot.always = 507
    await noon(hass, freezer)
    asked = [depot.asked]
    for second in range(1, 41):
        await noon(hass, freezer, second)
        asked.append(depot.asked)
    tried = [second for second in range(1, 41) if asked[second] > asked[second - 1]]
    pauses = [later - earlier for earlier, later in zip([0, *tried], tried, strict=False)]
    assert 3 <= len(tried) <= 8
    assert pauses[0] <= 2 < pauses[-1]
    assert caplog.text.count("wait in the spool") == 1
    depot.always = None
    await noon(hass, freezer, 150)
    assert depot.numbers == [1, 2, 3]
    assert "reach the processor again" in caplog.text


async def test_a_processor_that_takes_its_time_to_fail_is_given_a_pause_too(
    hass: HomeAssistant,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    def hang() -> None:
        depot.meanwhile = None
        freezer.tick(70)

    depot.always, depot.meanwhile = 507, hang
    await noon(hass, freezer)
    await noon(hass, freezer, 70)
    assert depot.asked == 1
    await noon(hass, freezer, 72)
    assert depot.asked == 2


async def test_a_processor_that_is_not_there_is_waited_for(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    await depot.stop()
    await noon(hass, freezer)
    assert "does not answer" in last(mqtt, f"{OWN}/health").uplink_problem
    assert state(mqtt).counts.pending == 1


@pytest.mark.parametrize("status", [302, 404, 400, 413])
async def test_one_frame_that_is_refused_does_not_stop_the_others(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
    status: int,
) -> None:
    depot.answers = [status]
    await noon(hass, freezer)
    assert depot.numbers == []
    await noon(hass, freezer, 20)
    late = [2] if status >= 400 else [1, 2]
    assert depot.numbers == late
    await noon(hass, freezer, 400)
    assert sorted(depot.numbers)[:2] == [1, 2]
    assert state(mqtt).counts.pending == 0


async def test_a_frame_that_was_put_aside_is_delivered_for_good(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    depot.answers = [422]
    await noon(hass, freezer)
    assert (state(mqtt).counts.delivered, state(mqtt).counts.pending) == (1, 0)
    assert "was put aside: the processor answered 422" in caplog.text
    assert depot.asked == 1


async def test_half_a_frame_is_none(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    depot.stuck = True
    await noon(hass, freezer)
    assert state(mqtt).counts.pending == 1
    assert "the processor took 0 of" in last(mqtt, f"{OWN}/health").uplink_problem
    depot.stuck = False
    await noon(hass, freezer, 3)
    assert depot.numbers == [1]


async def test_a_frame_that_is_refused_for_good_waits_alone_and_is_told_once(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def problem() -> str | None:
        told: str | None = last(mqtt, f"{OWN}/health").uplink_problem
        return told

    why = 'the processor answered 400: {"title": "no"}'
    depot.refused = {1, 2}
    await noon(hass, freezer)
    assert problem() == why
    await noon(hass, freezer, 20)
    await noon(hass, freezer, 40)
    assert problem() == f"2 frames wait while others arrive: {why}"
    depot.refused = {1}
    for second in (60, 340, 650, 960):
        await noon(hass, freezer, second)
    assert problem() == f"1 frame waits while others arrive: {why}"
    assert (state(mqtt).counts.pending, depot.numbers) == (1, [3, 4, 2])
    assert caplog.text.count("waits in the spool: the processor answered 400") == 1
    assert "reach the processor again" not in caplog.text
    depot.refused = set()
    own_cameras.runtime_data.own_bridge._uploader.async_flush()
    await settle(hass)
    assert (problem(), state(mqtt).counts.pending, depot.numbers) == (None, 0, [3, 4, 2, 1])


async def test_a_processor_that_comes_back_and_refuses_is_not_said_to_be_reached(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    depot.always = 507
    await noon(hass, freezer)
    depot.always, depot.refused = None, {1}
    await noon(hass, freezer, 3)
    assert "answered 400" in last(mqtt, f"{OWN}/health").uplink_problem
    assert "reach the processor again" not in caplog.text
    await noon(hass, freezer, 20)
    assert depot.numbers == [2]
    assert caplog.text.count("reach the processor again") == 1


# ---------------------------------------------------------------- the spool


async def test_a_full_spool_drops_the_oldest_and_counts_them(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    depot.always = 507
    with patch.object(spool_room, "MAX_FRAMES", 2):
        for second in (0, 20, 40):
            await noon(hass, freezer, second)
    counts = state(mqtt).counts
    assert (counts.captured, counts.pending, counts.dropped) == (3, 2, 1)
    assert "The spool is full" in caplog.text
    depot.always = None
    await noon(hass, freezer, 130)
    assert len(depot.numbers) == 2
    assert 3 in depot.numbers
    (ended,) = state(mqtt).ended_windows
    assert (ended.captured, ended.dropped) == (3, 1)


async def test_a_frame_under_way_is_not_dropped_for_room(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    depot.always = 507
    with patch.object(spool_room, "MAX_BYTES", 1):
        for second in (0, 20):
            await noon(hass, freezer, second)
        own_cameras.runtime_data.own_bridge._uploader.async_stop()
        own_cameras.runtime_data.own_bridge.spool.under_way = 2
        await noon(hass, freezer, 40)
    assert state(mqtt).counts.dropped == 1
    assert state(mqtt).counts.pending == 2


async def test_a_disk_that_is_almost_full_takes_no_more_frames(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    with patch.object(files, "MIN_FREE_BYTES", 10**18):
        await noon(hass, freezer)
    assert failures(mqtt) == ["the disk of Home Assistant is almost full"]
    await noon(hass, freezer, 20)
    assert (state(mqtt).last_error, depot.numbers) == (None, [2])


async def test_a_disk_that_cannot_be_written_is_told(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    with patch("pathlib.Path.replace", side_effect=OSError("read-only")):
        await noon(hass, freezer)
    assert failures(mqtt) == [
        "the spool cannot be written: read-only",
        "a frame cannot be written: read-only",
    ]
    assert list((spool_folder(hass) / "frames").glob("*.jpg")) == []
    await noon(hass, freezer, 20)
    assert len(depot.numbers) == 1


async def test_a_cache_that_was_emptied_is_begun_anew(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    await noon(hass, freezer)
    own = own_cameras.runtime_data.own_bridge
    shutil.rmtree(own.spool.folder)
    told = len(published(mqtt, f"{OWN}/health"))
    own._health.async_ask()
    await settle(hass)
    assert len(published(mqtt, f"{OWN}/health")) == told
    await noon(hass, freezer, 20)
    assert depot.numbers == [1, 2]
    await noon(hass, freezer, 60)
    assert len(published(mqtt, f"{OWN}/health")) > told


def test_the_documents_say_where_frames_wait_and_how_many(hass: HomeAssistant) -> None:
    words = (Path(__file__).parents[2] / "docs/limits.md").read_text("utf-8")
    assert f"`{spool_folder(hass).relative_to(hass.config.config_dir)}`" in words
    assert f"{spool_room.MAX_FRAMES:,} frames or {spool_room.MAX_BYTES // 10**9} GB" in words
    assert f"{files.MIN_FREE_BYTES // 10**9} GB of the disk free" in words
    assert f"{pictures.MAX_PICTURE_BYTES // 2**20} MiB" in words
    assert f"JPEG may have {pictures.MAX_PIXELS // 10**6} megapixels" in words
    assert pictures.MAX_DECODED_PIXELS == 4096 * 4096
    assert "4096 × 4096 pixels" in words
    assert "every five minutes" in words
    assert timedelta(minutes=5) == upload.REFUSED_PAUSE


@pytest.mark.parametrize("damage", ["gone", "changed"])
async def test_a_damaged_frame_is_given_up_and_counted(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    depot.always = 507
    await noon(hass, freezer)
    frame = spool_folder(hass) / "frames" / "1.jpg"
    if damage == "gone":
        frame.unlink()
    else:
        frame.write_bytes(b"other")
    depot.always = None
    await noon(hass, freezer, 20)
    counts = state(mqtt).counts
    assert (counts.captured, counts.delivered, counts.dropped) == (2, 1, 1)
    assert "is lost: its file is" in caplog.text


async def test_where_nothing_waits_any_more_nothing_is_in_the_way(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    depot.always = 507
    await noon(hass, freezer)
    assert "answered 507" in last(mqtt, f"{OWN}/health").uplink_problem
    (spool_folder(hass) / "frames" / "1.jpg").unlink()
    await noon(hass, freezer, 3)
    health = last(mqtt, f"{OWN}/health")
    assert (health.spool_frames, health.uplink_problem) == (0, None)


async def test_a_frame_that_cannot_be_read_now_is_tried_again(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    with patch("pathlib.Path.read_bytes", side_effect=OSError("too many open files")):
        await noon(hass, freezer)
    assert state(mqtt).counts.pending == 1
    await noon(hass, freezer, 3)
    assert depot.numbers == [1]


async def test_a_spool_that_cannot_be_opened_stops_the_cameras_alone(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    garden: View,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with patch("pathlib.Path.mkdir", side_effect=OSError("read-only")):
        await reload(hass, own_cameras)
    assert "Home Assistant's cameras cannot photograph: the spool cannot be read: read-only" in caplog.text
    await noon(hass, freezer)
    assert garden.taken == 0
    freezer.tick(1)
    await reload(hass, own_cameras)
    await noon(hass, freezer, 20)
    assert garden.taken == 1


async def test_frames_in_a_spool_that_cannot_be_opened_are_left_there_though_their_camera_is_gone(
    hass: HomeAssistant,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
) -> None:
    depot.always = 507
    await noon(hass, freezer)
    assert await hass.config_entries.async_unload(own_cameras.entry_id)
    hass.config_entries.async_remove_subentry(own_cameras, subentry_of(own_cameras, "garden"))
    depot.always = None
    with patch("pathlib.Path.mkdir", side_effect=OSError("read-only")):
        assert await hass.config_entries.async_setup(own_cameras.entry_id)
        await settle(hass)
    freezer.tick(1)
    await reload(hass, own_cameras)
    assert depot.numbers == [1]


async def test_a_broker_that_refuses_stops_nobody(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    depot: Depot,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "custom_components.skylapse")
    with patch.object(
        own_cameras.runtime_data.coordinator, "async_publish", side_effect=HomeAssistantError("denied")
    ):
        await noon(hass, freezer)
    assert depot.numbers == [1]
    assert "was not published: denied" in caplog.text


async def test_topics_that_cannot_be_emptied_are_told(
    hass: HomeAssistant,
    own_cameras: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with patch("homeassistant.components.mqtt.async_publish", side_effect=HomeAssistantError("no broker")):
        await async_forget(hass, own_cameras)
    assert "is not emptied: no broker" in caplog.text
    assert not spool_folder(hass).exists()


async def test_a_minute_without_anything_to_do_says_nothing(
    hass: HomeAssistant,
    mqtt: MqttMockHAClient,
    own_cameras: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    await noon(hass, freezer, 121)
    told = len(published(mqtt, f"{GARDEN}/state"))
    for minutes in (3, 4, 5):
        await let_it_be(hass, freezer, NOON + timedelta(minutes=minutes))
    assert len(published(mqtt, f"{GARDEN}/state")) == told
