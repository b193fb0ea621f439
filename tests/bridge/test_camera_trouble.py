"""Cameras fail, hang, vanish and come back; the bridge photographs on."""

import asyncio
import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from skylapse_bridge.camera.factory import CameraConfig
from skylapse_bridge.camera.port import CapturedFrame, CaptureSettings, FocusFigure, SmallFrame
from skylapse_bridge.errors import CameraError, CameraHungError, CameraLostError, UnsupportedError
from skylapse_bridge.service import Bridge
from skylapse_bridge.worker import Worker
from skylapse_protocol.messages import CameraEvent, CameraInfo, Command
from skylapse_protocol.topics import ANNOUNCE, EVENT, FRAME, STATE
from tests.support.waiting import PATIENCE_S, until

from .conftest import House
from .listener import nothing_but_late
from .made import START, picture, plan, profile, snapshot, window

DNG = b"II*\0 what a raw picture is made of" * 20
PLAN_NOW = plan(window(start=START - timedelta(minutes=10)))


class MoodyCamera:
    """A camera that does what the test tells it to."""

    def __init__(self) -> None:
        self.starts = 0
        self.bookmarks: list[str | None] = []
        self.may_start = True
        self.moods: list[Callable[[], CapturedFrame | None]] = []

    def start(self, bookmark: str | None = None) -> None:
        """Count."""
        self.bookmarks.append(bookmark)
        self.starts += 1
        if not self.may_start:
            raise CameraLostError("the cable is out")

    def stop(self) -> None:
        """Do nothing."""

    def capabilities(self) -> CameraInfo:
        """Claim to be simple."""
        return CameraInfo(id="west", name="West", model="moody", driver="moody", width=64, height=48)

    def meter(self, settings: CaptureSettings) -> SmallFrame:
        """Show grey."""
        return SmallFrame(width=2, height=2, rgb=bytes([settings.jpeg_quality] * 12))

    def capture(self, settings: CaptureSettings) -> CapturedFrame:
        """Have a mood, else take a picture."""
        frame = self.moods.pop(0)() if self.moods else None
        return frame or CapturedFrame(
            jpeg=picture(), width=64, height=48, captured_at=settings.at, monotonic_ns=1
        )

    def preview(self) -> bytes:
        """Refuse."""
        raise CameraError("no preview today")

    def focus(self, dioptre: float | None) -> float:
        """Refuse."""
        raise UnsupportedError(f"no focus ({dioptre})")

    def focus_figure(self, settings: CaptureSettings) -> FocusFigure:
        """Refuse."""
        raise UnsupportedError(f"no focus ({settings.focus_dioptre})")


@pytest.fixture
def moody(monkeypatch: pytest.MonkeyPatch) -> MoodyCamera:
    """The camera of the house has moods."""
    camera = MoodyCamera()
    monkeypatch.setattr("skylapse_bridge.service.make_camera", lambda *_: camera)
    monkeypatch.setattr("skylapse_bridge.tending._START_AGAIN_S", (0.05,))
    return camera


class Patience:
    """As long as anybody likes for a camera that answers, none at all for one that hangs."""

    def __init__(self) -> None:
        self._released = threading.Event()
        self._limit: asyncio.Timeout | None = None

    def timeout(self, _delay_s: float) -> asyncio.Timeout:
        """Stand in for the timeout of a call."""
        self._limit = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()
        return self._limit

    def hang(self) -> CapturedFrame | None:
        """A mood: the call is given up, and returns when the test is over."""
        assert self._limit is not None
        self._loop.call_soon_threadsafe(self._limit.reschedule, 0.0)
        self._released.wait()
        return None

    def release(self) -> None:
        """Let the threads that hang end."""
        self._released.set()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[Patience]:
    """What the bridge has with its cameras."""
    one = Patience()
    known = SimpleNamespace(**{**vars(asyncio), "timeout": one.timeout})
    monkeypatch.setattr("skylapse_bridge.worker.asyncio", known)
    yield one
    one.release()


def failing(error: Exception) -> Callable[[], CapturedFrame | None]:
    """A mood that raises."""

    def mood() -> CapturedFrame | None:
        raise error

    return mood


async def test_a_failed_picture_is_told_and_the_next_one_taken(house: House, moody: MoodyCamera) -> None:
    await house.start()
    moody.moods = [failing(CameraError("shutter stuck")), failing(OSError("strange"))]
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(2)
    reasons = [event.reason for event in house.listener.all(EVENT) if event.type == "capture_failed"]
    assert reasons == ["shutter stuck", "OSError: strange"]
    assert moody.starts == 1


@pytest.mark.parametrize(("failures", "stands"), [(1, None), (2, None), (3, "shutter stuck")])
async def test_what_failed_at_the_very_end_of_a_window_is_no_problem_when_it_is_over(
    house: House, moody: MoodyCamera, failures: int, stands: str | None
) -> None:
    await house.start()
    house.deploy(plan(window(start=START - timedelta(minutes=60), minutes=240, interval_s=600)), snapshot())
    await house.photograph(1, step_s=60)
    moody.moods = [failing(CameraError("shutter stuck"))] * 4

    def failed() -> bool:
        is_enough = len(moody.moods) == 4 - failures
        house.let_pass(0 if is_enough else 20)
        return is_enough

    await until(failed, what="the failures")
    await house.listener.next(STATE, last_error="shutter stuck")
    house.deploy(plan(revision=2), snapshot())
    await house.listener.next(EVENT, type="window_ended")
    house.deploy(plan(revision=3), snapshot())
    assert (await house.listener.next(STATE, plan_revision=3)).last_error == stands


async def test_a_picture_that_is_none_is_a_failure(house: House, moody: MoodyCamera) -> None:
    await house.start()
    cut = CapturedFrame(jpeg=picture()[:-40], width=64, height=48, captured_at=START, monotonic_ns=1)
    moody.moods = [lambda: cut]
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(1)
    failed = await house.listener.next(EVENT, type="capture_failed")
    assert "truncated" in (failed.reason or "")
    assert house.listener.all(FRAME)[0].seq == 1


async def test_a_lost_camera_is_started_again(house: House, moody: MoodyCamera) -> None:
    await house.start()
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(1)
    moody.may_start = False
    moody.moods = [failing(CameraLostError("gone"))]

    def lost() -> bool:
        house.let_pass(5)
        return any(event.type == "camera_lost" for event in house.listener.all(EVENT))

    await until(lost, what="the loss")
    await until(lambda: moody.starts > 3, what="attempts to start it")
    await house.listener.next(STATE, capturing=False, last_error="the cable is out")
    moody.may_start = True
    await house.listener.next(EVENT, type="camera_back")
    await house.photograph(2)
    records = house.listener.all(FRAME)
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert len({record.captured_at for record in records}) == len(records) >= 3


async def test_a_camera_that_is_not_there_at_the_start_does_not_stop_the_others(
    house: House, moody: MoodyCamera
) -> None:
    moody.may_start = False
    await house.start()
    state = await house.listener.next(STATE, last_error="the cable is out")
    assert not state.capturing
    moody.may_start = True
    await house.listener.next(STATE, capturing=True, last_error=None)


async def test_a_camera_that_is_away_after_a_restart_is_still_announced(
    house: House, moody: MoodyCamera
) -> None:
    await house.start()
    await house.listener.next(STATE, capturing=True)
    await house.stop()
    moody.may_start = False
    before = len(house.listener.all(ANNOUNCE))
    await house.start()
    announce = await house.listener.next(ANNOUNCE, after=before)
    assert [camera.model for camera in announce.cameras] == ["moody"]
    await until(lambda: moody.starts > 1, what="attempts to start it")


async def test_a_camera_that_hangs_is_left_behind(
    house: House, moody: MoodyCamera, patience: Patience
) -> None:
    await house.start()
    moody.moods = [patience.hang]
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(2)
    lost = await house.listener.next(EVENT, type="camera_lost")
    assert "did not answer" in (lost.reason or "")
    assert moody.starts == 2


async def test_a_camera_that_hangs_again_and_again_ends_the_bridge_so_that_it_is_started_anew(
    house: House, moody: MoodyCamera, patience: Patience
) -> None:
    bridge = await house.start()
    moody.moods = [*[patience.hang] * 2, lambda: None, *[patience.hang] * 3]
    house.deploy(PLAN_NOW, snapshot())

    def ended() -> bool:
        house.let_pass(5)
        return bridge._over is not None and bridge._over.done()

    await until(ended, what="the end")
    with pytest.raises(CameraHungError, match="3 times in a row"):
        await bridge.over()
    assert moody.moods == []
    assert len(house.listener.all(FRAME)) == 1


async def test_a_camera_that_hangs_under_commands_ends_the_bridge_too(
    house: House, moody: MoodyCamera, patience: Patience
) -> None:
    bridge = await house.start()
    moody.moods = [patience.hang] * 3
    for number in range(3):
        await until(lambda: house.listener.all(STATE)[-1:], what="a state")
        await house.listener.next(STATE, after=len(house.listener.all(STATE)) - 1, capturing=True)
        asked = Command(id=f"c-{number}", expires_at=START + timedelta(minutes=1), name="capture")
        reply = await house.listener.ask(asked)
        assert reply.error is not None
        assert "did not answer" in reply.error.message
    with pytest.raises(CameraHungError, match="3 times in a row"):
        await bridge.over()


async def test_every_tenth_frame_that_is_dropped_is_told_and_the_plan_goes_on(
    house: House, moody: MoodyCamera
) -> None:
    await house.start()
    moody.moods = [failing(CameraError("dropped")) if tick % 10 == 9 else lambda: None for tick in range(30)]
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(28)
    assert len(told(house, "dropped")) == 3
    await until(lambda: house.listener.all(STATE)[-1].counts.captured >= 28, what="the counts")
    assert moody.starts == 1


def told(house: House, reason: str) -> list[CameraEvent]:
    """The failures that were told for this reason."""
    return [event for event in house.listener.all(EVENT) if event.reason == reason]


async def test_a_burst_whose_camera_is_lost_starts_it_once(house: House, moody: MoodyCamera) -> None:
    await house.start()
    moody.moods = [failing(CameraLostError("gone"))]
    house.deploy(
        plan(window(start=START - timedelta(minutes=10), profiles=("a", "b", "c"))),
        snapshot(profile("a"), profile("b"), profile("c")),
    )
    await house.photograph(6)
    assert len(told(house, "gone")) == 1
    assert moody.starts == 2
    places = [record.place for record in house.listener.all(FRAME)]
    assert places[:6] == [0, 1, 2] * 2


async def test_a_camera_that_is_lost_by_a_command_is_started_again(house: House, moody: MoodyCamera) -> None:
    await house.start()
    await house.listener.next(STATE, capturing=True)
    moody.moods = [failing(CameraLostError("gone"))]
    until_then = START + timedelta(minutes=1)
    reply = await house.listener.ask(Command(id="1", expires_at=until_then, name="capture"))
    assert reply.error is not None
    assert reply.error.code == "camera_failed"
    await house.listener.next(EVENT, type="camera_back")
    assert (await house.listener.ask(Command(id="2", expires_at=until_then, name="capture"))).ok


async def test_raw_pictures_are_frames_of_their_own_and_arrive_too(house: House, moody: MoodyCamera) -> None:
    await house.start()
    moody.moods = [with_raw] * 2
    house.deploy(PLAN_NOW, snapshot(profile(raw=True)))
    await house.photograph(4)
    records = house.listener.all(FRAME)[:4]
    assert [record.media_type for record in records] == ["image/jpeg", "image/x-adobe-dng"] * 2
    assert [record.seq for record in records] == [1, 2, 3, 4]
    for shot, raw in (records[:2], records[2:]):
        assert (raw.captured_at, raw.place, raw.profile) == (shot.captured_at, shot.place, shot.profile)
        assert raw.sha256 == hashlib.sha256(DNG).hexdigest()
        assert (shot.leads, raw.leads) == (True, False)
    await until(lambda: {1, 2, 3, 4} <= set(house.server.frames), what="the delivery")
    assert house.server.frames[:4] == [1, 2, 3, 4]
    await until(lambda: house.listener.all(STATE)[-1].counts.captured >= 4, what="the counts")


def with_raw() -> CapturedFrame:
    """A mood that delivers a raw picture too."""
    return CapturedFrame(jpeg=picture(), width=64, height=48, captured_at=START, monotonic_ns=1, raw=DNG)


class Reel(MoodyCamera):
    """A camera that replays numbered pictures from its bookmark on."""

    def __init__(self) -> None:
        super().__init__()
        self.place = 0

    def start(self, bookmark: str | None = None) -> None:
        """Go on behind the bookmark."""
        super().start(bookmark)
        self.place = int(bookmark or 0)

    def capture(self, settings: CaptureSettings) -> CapturedFrame:
        """Take the next one."""
        frame = super().capture(settings)
        self.place += 1
        return replace(frame, jpeg=picture(level=4 * self.place), bookmark=str(self.place))


def number_in(data: bytes) -> int:
    """Which picture of the reel this is."""
    (level,) = Image.open(io.BytesIO(data)).convert("L").resize((1, 1)).tobytes()
    return round(level / 4)


async def test_a_restart_neither_repeats_nor_skips_a_picture(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    reel = Reel()
    monkeypatch.setattr("skylapse_bridge.service.make_camera", lambda *_: reel)
    monkeypatch.setattr("skylapse_bridge.tending._START_AGAIN_S", (0.05,))
    await house.start()
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(3)
    await house.stop()
    reel = Reel()
    await house.start()
    await house.photograph(2)
    await house.stop()
    reel = Reel()
    reel.moods = [lambda: None, failing(CameraLostError("the lamp broke"))]
    await house.start()
    await house.photograph(3)
    assert len(reel.bookmarks) == 2
    await check_that_each_picture_comes_once(house, at_least=8)


async def check_that_each_picture_comes_once(house: House, *, at_least: int) -> None:
    """See that what was taken by now arrives, and repeats and skips no picture of the reel."""
    assert house.bridge is not None
    taken = (await house.bridge._outbox.run(lambda spool: spool.counts("west"))).captured
    assert taken >= at_least
    await until(lambda: len(set(house.server.frames)) == taken, what="the delivery")
    whole = [upload for upload in house.server.uploads if upload.whole]
    shown = {upload.record["seq"]: number_in(bytes(upload.data)) for upload in whole}
    assert [shown[seq] for seq in sorted(shown)] == list(range(1, taken + 1))


async def test_a_folder_goes_on_where_it_was_after_a_restart(house: House, tmp_path: Path) -> None:
    reel = picture_folder(tmp_path / "reel", pictures=0)
    for number in range(1, 41):
        (tmp_path / "reel" / f"{number}.jpg").write_bytes(picture(level=4 * number))
    await house.start(cameras=(reel,))
    house.deploy(PLAN_NOW, snapshot())
    for _ in range(3):
        await house.photograph(2)
        await house.stop()
        await house.start()
    await house.photograph(2)
    await check_that_each_picture_comes_once(house, at_least=8)


async def test_a_bug_ends_the_bridge_instead_of_hiding(house: House, moody: MoodyCamera) -> None:
    bridge: Bridge = await house.start()
    await house.listener.next(STATE, capturing=True)
    runner = bridge._runners["west"]
    runner.shooter.describe = None  # type: ignore[assignment, method-assign]
    house.deploy(PLAN_NOW, snapshot())

    def move() -> bool:
        house.let_pass(5)
        return bridge._over is not None and bridge._over.done()

    await until(move, what="the end")
    with pytest.raises(TypeError):
        await bridge.over()
    assert moody.starts == 1


def picture_folder(path: Path, *, pictures: int) -> CameraConfig:
    """A camera that replays so many pictures and stops."""
    path.mkdir()
    for number in range(pictures):
        (path / f"{number}.jpg").write_bytes(picture())
    options = {"path": str(path), "at_end": "stop"}
    return CameraConfig(id="west", name="West", driver="folder", options=options)


def at_its_end(house: House) -> bool:
    """Let time pass; tell whether the camera says now that it has no more pictures."""
    house.let_pass(5)
    states = house.listener.all(STATE)
    return bool(states) and states[-1].active_window is not None and not states[-1].capturing


async def test_the_end_of_a_folder_is_no_fault(house: House, tmp_path: Path) -> None:
    reel = picture_folder(tmp_path / "reel", pictures=2)
    await house.start(cameras=(reel,))
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(2)
    await until(lambda: at_its_end(house), what="the end")
    state = house.listener.all(STATE)[-1]
    assert (state.next_capture_at, state.counts.captured) == (None, 2)
    assert nothing_but_late(state.last_error)
    assert state.no_picture == f"{tmp_path / 'reel'} has no more pictures"
    before = len(house.listener.all(STATE))
    for number in range(100, 140):
        (tmp_path / "reel" / f"{number}.jpg").write_bytes(picture())
    await house.photograph(1)
    state = await house.listener.next(STATE, after=before, capturing=True, last_error=nothing_but_late)
    assert state.next_capture_at is not None
    assert state.no_picture is None
    assert {event.type for event in house.listener.all(EVENT)} <= {"window_started", "tick_skipped"}


async def test_a_folder_that_is_empty_at_the_start_is_waited_for(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skylapse_bridge.tending._START_AGAIN_S", (0.05,))
    await house.start(cameras=(picture_folder(tmp_path / "reel", pictures=0),))
    house.deploy(PLAN_NOW, snapshot())
    await until(lambda: at_its_end(house), what="the state")
    (tmp_path / "reel" / "first.jpg").write_bytes(picture())
    await house.photograph(1)
    assert all(nothing_but_late(state.last_error) for state in house.listener.all(STATE))
    assert {event.type for event in house.listener.all(EVENT)} <= {"window_started", "tick_skipped"}


async def test_a_worker_runs_one_call_after_the_other() -> None:
    worker = Worker("test")
    seen: list[int] = []
    await asyncio.gather(*(worker.call(lambda n=n: seen.append(n), PATIENCE_S) for n in range(20)))  # type: ignore[misc]
    assert seen == list(range(20))
    with pytest.raises(CameraError, match="ZeroDivisionError"):
        await worker.call(lambda: 1 // 0, PATIENCE_S)
    worker.stop()
