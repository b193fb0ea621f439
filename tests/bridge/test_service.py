"""A whole bridge beside a real broker: it introduces itself, photographs by plan, and delivers."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from skylapse_bridge.deployment import Deployment
from skylapse_bridge.errors import SpoolError, SpoolFullError
from skylapse_bridge.ledger import Ledger
from skylapse_bridge.spool import Limits, Spool
from skylapse_protocol.messages import CameraState, Uplink
from skylapse_protocol.topics import (
    ANNOUNCE,
    AVAILABILITY,
    EVENT,
    FRAME,
    HEALTH,
    PLAN,
    PREVIEW,
    READING,
    STATE,
    UPLINK,
)
from tests.support.waiting import until

from .conftest import House
from .listener import nothing_but_late
from .made import START, picture, plan, profile, snapshot, window
from .tus_server import TusServer, answering

PLAN_NOW = plan(window(start=START - timedelta(minutes=10)))


async def test_the_bridge_introduces_itself_and_says_last_that_it_is_there(house: House) -> None:
    await house.start()
    await house.listener.next(AVAILABILITY)
    kinds = [heard.topic for heard in house.listener.heard]
    assert kinds.index(AVAILABILITY) > max(kinds.index(row) for row in (ANNOUNCE, STATE, HEALTH))
    assert all(heard.retained for heard in house.listener.heard)
    announce = await house.listener.next(ANNOUNCE)
    assert (announce.bridge, announce.name, announce.clock) == ("roof", "Roof", None)

    def cameras() -> bool:
        return [camera.id for camera in house.listener.all(ANNOUNCE)[-1].cameras] == ["west"]

    await until(cameras, what="the camera in the announcement")
    await house.stop()
    await until(lambda: house.listener.all(AVAILABILITY)[-1] == "offline", what="the farewell")


async def test_a_plan_becomes_frames_on_mqtt_and_at_the_processor(house: House) -> None:
    await house.start()
    house.deploy(PLAN_NOW, snapshot(profile(white_balance=profile().white_balance)))
    await house.listener.next(STATE, plan_revision=1, snapshot_version=7, capturing=True)
    await house.photograph(5)
    records = house.listener.all(FRAME)
    await until(lambda: len(house.server.frames) >= 5, what="the delivery")
    sent = {upload.record["seq"]: upload for upload in house.server.uploads if upload.whole}
    for record in records:
        assert sent[record.seq].sha256 == record.sha256
        assert (record.window, record.schedule, record.profile) == ("sunset-1", "sunset", "f")
        assert (record.captured_at - datetime(1970, 1, 1, tzinfo=UTC)) % timedelta(seconds=15) == timedelta(0)
        assert record.asked is not None
        assert record.exposure_us is not None
    assert house.listener.all(READING)
    assert house.listener.all(PREVIEW)

    def settled() -> bool:
        counts = house.listener.all(STATE)[-1].counts
        return len(records) <= counts.captured == counts.delivered

    await until(settled, what="the delivery of all")
    state = house.listener.all(STATE)[-1]
    assert (state.counts.pending, state.counts.dropped) == (0, 0)
    assert state.active_window == "sunset-1"
    assert state.next_capture_at is not None


async def test_capture_needs_no_network(house: House) -> None:
    deployment = Deployment(house.config.state_dir, "roof", "west")
    deployment.keep_plan(PLAN_NOW)
    deployment.keep_snapshot(snapshot())
    house.broker.stop()
    bridge = await house.start(processor=house.processor("http://127.0.0.1:9"))

    async def captured() -> bool:
        house.let_pass(5)
        counts = await bridge._outbox.run(lambda spool: spool.counts("west"))
        return counts.captured >= 4

    await until(captured, what="four frames")
    await house.stop()
    house.broker.start()
    await house.start(processor=house.processor(house.server.url))
    await until(lambda: len(house.server.frames) >= 4, what="the delivery afterwards")
    sent = sorted(upload.record["captured_at"] for upload in house.server.uploads)
    moments = [datetime.fromisoformat(moment) for moment in sent]
    assert {later - earlier for earlier, later in pairwise(moments)} == {timedelta(seconds=15)}


async def test_without_a_plan_the_camera_waits(house: House) -> None:
    await house.start()
    state = await house.listener.next(STATE, capturing=True)
    assert (state.plan_revision, state.next_capture_at) == (None, None)
    house.clock.pass_time(100_000)
    house.deploy(plan(), snapshot())
    await house.listener.next(STATE, plan_revision=1)
    assert house.listener.all(FRAME) == []


async def test_an_emptied_plan_stops_capture_for_good(house: House) -> None:
    await house.start()
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(1)
    await house.listener.next(STATE, plan_revision=1, snapshot_version=7)
    before = len(house.listener.all(STATE))
    house.deploy(None, None)
    gone = {"plan_revision": None, "snapshot_version": None, "next_capture_at": None}
    await house.listener.next(STATE, after=before, **gone)
    await house.stop()
    assert Deployment(house.config.state_dir, "roof", "west").load_plan() is None


async def test_of_many_plans_the_last_one_stays(house: House) -> None:
    await house.start()
    for revision in range(1, 31):
        house.listener.say(PLAN, plan(window(), revision=revision), camera="west")
    await house.listener.next(STATE, plan_revision=30)
    await house.stop()
    kept = Deployment(house.config.state_dir, "roof", "west").load_plan()
    assert kept is not None
    assert kept.revision == 30


async def test_windows_are_told_and_counted_over_a_restart(house: House) -> None:
    await house.start()
    house.deploy(plan(window(minutes=5)), snapshot())
    await house.photograph(4)
    await house.listener.next(EVENT, type="window_started", window="sunset-1")
    await house.stop()
    house.clock.pass_time(3600)
    before = len(house.listener.all(STATE))
    await house.start()
    await house.listener.next(EVENT, type="window_ended", window="sunset-1")

    def ended() -> bool:
        return any(state.ended_windows for state in house.listener.all(STATE)[before:])

    await until(ended, what="the ended window")
    (one,) = house.listener.all(STATE)[-1].ended_windows
    assert (one.window, one.captured, one.dropped) == ("sunset-1", len(house.listener.all(FRAME)), 0)
    assert one.ended_at == START + timedelta(minutes=5)


async def test_a_full_spool_stops_capture_and_room_starts_it_again(house: House) -> None:
    house.server.standing_fault = answering(507)
    await house.start(spool=Limits(max_bytes=8_050_000, min_free_bytes=1))
    house.deploy(PLAN_NOW, snapshot())
    await house.listener.next(STATE, plan_revision=1)

    def stopped() -> CameraState | None:
        house.let_pass(5)
        state = house.listener.all(STATE)[-1]
        return state if "full" in (state.last_error or "") and not state.capturing else None

    state = await until(stopped, what="a full spool")
    assert state is not None
    assert state.counts.dropped == 0
    assert state.counts.captured == state.counts.pending > 0
    house.server.standing_fault = None
    await until(lambda: house.listener.all(STATE)[-1].capturing, what="room again")
    assert nothing_but_late(house.listener.all(STATE)[-1].last_error)
    await house.photograph(1)
    assert house.listener.all(STATE)[-1].counts.dropped == 0


async def test_a_full_disk_says_how_much_is_there_and_how_much_is_needed(house: House) -> None:
    await house.start(spool=Limits(max_bytes=10**9, min_free_bytes=10**18))
    house.deploy(PLAN_NOW, snapshot())

    def told() -> str:
        house.let_pass(5)
        return house.listener.all(STATE)[-1].last_error or "" if house.listener.all(STATE) else ""

    await until(lambda: "the disk is full" in told(), what="a full disk")
    assert re.match(r"the disk is full: [\d,.]+ MB are left in .*, a frame needs [\d,.]+ MB, and", told())
    assert "`spool.min_free_mb` keeps 1,000,000,000,000.0 MB free" in told()


async def test_a_start_on_a_full_disk_says_that_it_is_full(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    (house.config.state_dir / "spool.db").mkdir(parents=True)
    with pytest.raises(SpoolError, match=r"unable to open database file$"):
        await house.start()
    await house.stop()
    monkeypatch.setattr("skylapse_bridge.spool.free_bytes", lambda _: 4096)
    with pytest.raises(SpoolFullError, match=r"the disk is full, 0\.0 MB are left in .* needs 8\.0 MB"):
        await house.start()


async def test_the_return_of_a_camera_is_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    (one,) = house.config.cameras
    away = replace(one, driver="folder", options={"path": str(house.folder / "away"), "at_end": "stop"})
    caplog.set_level("INFO")
    await house.start(cameras=(away,))
    await until(lambda: "is no folder" in caplog.text, what="its absence")
    (house.folder / "away").mkdir()
    (house.folder / "away" / "1.jpg").write_bytes(picture())
    await until(lambda: "camera west is back" in caplog.text, what="the line")


async def test_the_key_never_goes_to_an_address_that_came_by_mqtt(house: House) -> None:
    other = TusServer()
    await other.start()
    await house.start()
    await house.listener.next(AVAILABILITY)
    house.listener.say(UPLINK, Uplink(processor="main", url=house.server.url + "/"))
    await house.listener.next(HEALTH, uplink="main", uplink_problem=None)
    before = len(house.listener.all(HEALTH))
    house.listener.say(UPLINK, Uplink(processor="other", url=other.url))
    health = await house.listener.next(HEALTH, after=before, uplink=None)
    assert health.uplink_problem is not None
    assert "pinned" in health.uplink_problem
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(2)
    await until(lambda: len(house.server.frames) >= 2, what="the delivery to the pinned one")
    assert other.requests == []
    await other.stop()


async def test_frames_from_before_the_clock_was_set_wait_and_get_their_true_time(house: House) -> None:
    house.clock.is_synced = False
    house.clock.set(datetime(1970, 1, 1, 0, 5, tzinfo=UTC))
    early = window("early", start=house.clock.now(), minutes=60)
    bridge = await house.start()
    house.deploy(plan(early), snapshot())

    async def captured() -> bool:
        house.let_pass(5)
        counts = await bridge._outbox.run(lambda spool: spool.counts("west"))
        return counts.captured >= 3

    await until(captured, what="three frames of 1970")
    assert house.listener.all(FRAME) == []
    assert house.server.uploads == []
    held = await bridge._outbox.run(Spool.held)
    now_ns = house.clock.monotonic_ns()
    house.clock.is_synced = True
    house.clock.set(START)
    await until(lambda: len(house.server.frames) >= len(held), what="the delivery")
    told = {record.seq: record for record in house.listener.all(FRAME)}
    for frame in held:
        record = told[frame.record.seq]
        assert record.clock_synced
        assert (START - record.captured_at).total_seconds() == (now_ns - frame.record.monotonic_ns) / 1e9
        assert record.sha256 != frame.record.sha256


async def test_a_disk_that_takes_nothing_does_not_end_the_bridge(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    bridge = await house.start()
    await house.listener.next(STATE, capturing=True)
    with monkeypatch.context() as patch:
        patch.setattr("skylapse_bridge.deployment.write_durably", full)
        patch.setattr("skylapse_bridge.frame_files.write_durably", full)
        patch.setattr(Ledger, "open_window", lambda *_: _refuse())
        house.deploy(PLAN_NOW, snapshot())

        def stopped() -> bool:
            house.let_pass(5)
            return any(event.type == "capture_failed" for event in house.listener.all(EVENT))

        await until(stopped, what="the failure")
    await house.photograph(2)
    assert bridge._over is not None
    assert not bridge._over.done()


def _refuse() -> None:
    raise SpoolError("the database cannot grow")
