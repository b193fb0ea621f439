"""A camera falls silent, hangs or stays dead, in real picamera2: saved where it can be, told otherwise."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from skylapse_bridge.camera.picamera import PicameraCamera
from skylapse_bridge.camera.port import CaptureSettings
from skylapse_bridge.errors import CameraLostError
from skylapse_bridge.worker import Worker
from tests.support.waiting import PATIENCE_S

from .conftest import SIZE, Open

pytestmark = pytest.mark.usefixtures("one_camera")


@contextmanager
def patience(seconds: float) -> Iterator[pytest.MonkeyPatch]:
    """Wait no longer for a camera that says nothing; one that works has all the time that it takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skylapse_bridge.camera.session._PATIENCE_S", seconds)
        yield patch


def shoot(camera: PicameraCamera) -> tuple[int, int]:
    """Take a picture; return its size."""
    frame = camera.capture(CaptureSettings(at=datetime.now(UTC)))
    return frame.width, frame.height


class Hang:
    """Keeps picamera2's event loop from going on until `over` is called."""

    def __init__(self) -> None:
        self._free = threading.Event()
        self.hanging = threading.Event()

    def __call__(self, camera: PicameraCamera) -> None:
        """Begin to hang."""
        assert camera._session is not None
        camera._session.picamera.pre_callback = self._block
        assert self.hanging.wait(PATIENCE_S)

    def over(self) -> None:
        """Go on."""
        self._free.set()

    def _block(self, _request: object) -> None:
        self.hanging.set()
        self._free.wait(PATIENCE_S)


@pytest.fixture
def hang() -> Iterator[Hang]:
    """A hang that ends with the test."""
    one = Hang()
    yield one
    one.over()


def test_a_camera_starts_again_after_it_was_stopped(opened: Open) -> None:
    camera = opened()
    for _ in range(3):
        assert shoot(camera) == SIZE
        camera.stop()
        camera.stop()
        with pytest.raises(CameraLostError, match="not started"):
            shoot(camera)
        camera.start()
    assert shoot(camera) == SIZE


def test_a_start_closes_what_ran_before(opened: Open) -> None:
    camera = opened()
    camera.start()
    camera.start("a bookmark, which cameras of the present ignore")
    assert shoot(camera) == SIZE


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_camera_that_falls_silent_is_started_anew_and_photographs_on(opened: Open) -> None:
    camera = opened()
    assert camera._session is not None
    # libcamera stops behind the back of picamera2, whose event loop dies of it.
    camera._session.picamera.camera.stop()
    with patience(2.0):
        assert shoot(camera) == SIZE
    assert shoot(camera) == SIZE


def test_a_camera_that_stays_silent_is_lost_and_can_be_started_anew(opened: Open) -> None:
    camera = opened()
    assert camera._session is not None
    library = camera._session.picamera
    library.stop()
    with patience(0.5) as dead:
        dead.setattr(library, "start_", lambda: None)
        with pytest.raises(CameraLostError, match="also after it was started anew"):
            shoot(camera)
        with pytest.raises(CameraLostError, match="closed"):
            shoot(camera)
    camera.start()
    assert shoot(camera) == SIZE


def test_a_hang_of_picamera2_is_a_loss_until_it_ends(opened: Open, hang: Hang) -> None:
    camera = opened()
    hang(camera)
    with patience(0.5):
        with pytest.raises(CameraLostError, match="hangs"):
            shoot(camera)
        with pytest.raises(CameraLostError, match="hangs"):
            camera.start()
    hang.over()
    camera.start()
    assert shoot(camera) == SIZE


async def test_a_thread_that_was_left_behind_does_not_keep_the_camera(opened: Open, hang: Hang) -> None:
    camera, worker = opened(), Worker("camera west")
    hang(camera)
    with pytest.raises(CameraLostError, match="did not answer"):
        await worker.call(lambda: shoot(camera), 0.2)
    hang.over()
    await worker.call(camera.start, PATIENCE_S)
    for _ in range(3):
        assert await worker.call(lambda: shoot(camera), PATIENCE_S) == SIZE
    worker.stop()
