"""A virtual camera that shows known pictures, and the driver that photographs them."""

from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from skylapse_bridge.camera.factory import CameraConfig, make_camera
from skylapse_bridge.camera.picamera import PicameraCamera
from skylapse_bridge.clock import RealClock
from tools.libcamera_rig.rig import VirtualCamera, furnish

SIZE = (1280, 720)
Open = Callable[..., PicameraCamera]


def pytest_configure(config: pytest.Config) -> None:
    """Let pass what picamera2 and its libraries do in an old-fashioned way."""
    config.addinivalue_line("filterwarnings", "ignore:setDaemon:DeprecationWarning")
    config.addinivalue_line("filterwarnings", "ignore:Due to '_pack_':DeprecationWarning")


@cache
def landscape(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture with soft gradients, shape (rows, columns, 3), that JPEG keeps almost as it is."""
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]] / max(size)
    waves = [np.sin(6.0 * rows + seed + band) * np.cos(5.0 * columns + 2.0 * band) for band in range(3)]
    picture: np.ndarray[Any, np.dtype[np.uint8]] = (128.0 + 90.0 * np.stack(waves, axis=-1)).astype(np.uint8)
    picture.setflags(write=False)
    return picture


def as_jpeg(picture: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """The picture as a JPEG of the best quality, its colours at half size as cameras do."""
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=98, subsampling=2)
    return buffer.getvalue()


def pixels(jpeg: bytes) -> np.ndarray[Any, np.dtype[np.int16]]:
    """A JPEG's pixels, to be compared."""
    return np.asarray(Image.open(BytesIO(jpeg)).convert("RGB")).astype(np.int16)


@pytest.fixture
def one_camera(tmp_path: Path) -> None:
    """One sensor, which looks at one landscape."""
    camera = VirtualCamera(model="imx519", pictures=[as_jpeg(landscape(0))], size=SIZE)
    furnish(tmp_path / "rig", {"Virtual0": camera})


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open cameras, which are closed after the test."""
    cameras: list[PicameraCamera] = []

    def open_one(*, start: bool = True, **options: Any) -> PicameraCamera:
        config = CameraConfig(id="west", name="West", driver="picamera", options=options)
        camera = make_camera("roof", config, RealClock())
        assert isinstance(camera, PicameraCamera)
        cameras.append(camera)
        if start:
            camera.start()
        return camera

    yield open_one
    for camera in cameras:
        camera.stop()
