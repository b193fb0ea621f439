"""A camera of the configuration, opened for one command and without the bridge around it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .camera.factory import CameraConfig, make_camera
from .clock import Clock
from .config import BridgeConfig
from .errors import CameraBusyError, CameraError, ConfigError
from .health import Machine
from .lock import running_bridge
from .shooting import Shooter
from .worker import Worker


def camera_called(config: BridgeConfig, name: str | None) -> CameraConfig:
    """Return the camera with this id, the first one for None; raise ConfigError where there is none."""
    for camera in config.cameras:
        if name in {None, camera.id}:
            return camera
    known = ", ".join(camera.id for camera in config.cameras)
    raise ConfigError(f"--camera {name}: there is no such camera in the configuration, only {known}")


@asynccontextmanager
async def opened(config: BridgeConfig, camera: CameraConfig, clock: Clock) -> AsyncIterator[Shooter]:
    """Start a camera and stop it afterwards; raise CameraError, CameraBusyError while a bridge has it."""
    process = running_bridge(config.state_dir)
    if process is not None:
        raise CameraBusyError(f"the bridge that runs (process {process}) has camera {camera.id}")
    driver = make_camera(config.id, camera, clock)
    shooter = Shooter(
        driver, Worker(f"camera-{camera.id}"), clock, bridge=config.id, boot_id=Machine().boot_id()
    )
    try:
        await shooter.start()
        yield shooter
    finally:
        await _close(shooter)


async def _close(shooter: Shooter) -> None:
    """Stop a camera; one that does not stop has said enough before."""
    try:
        await shooter.stop()
    except CameraError:
        return
