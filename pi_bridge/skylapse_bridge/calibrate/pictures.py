"""Pictures for a calibration: out of a folder, or taken now by a camera of the configuration."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from skylapse_bridge.aiming import Purpose
from skylapse_bridge.camera.factory import CameraConfig, make_camera
from skylapse_bridge.camera.port import CapturedFrame, CaptureSettings
from skylapse_bridge.clock import Clock
from skylapse_bridge.errors import CalibrationError, CameraEndError
from skylapse_bridge.exposure import split
from skylapse_bridge.shooting import AUTOMATIC, Shooter

STEPS_EV = (-4.0, -3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
"""Stops from the metered exposure: close together where tone curves bend most."""
_DAYLIGHT_K = 5000


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How pictures are taken of somebody who moves a board about."""

    every: timedelta
    patience: timedelta
    """Nobody waits longer than this for enough of them."""


def of_folder(folder: Path, clock: Clock) -> Iterator[CapturedFrame]:
    """Yield the JPEGs of a folder with what sidecars and EXIF say; raise CalibrationError for none."""
    if not folder.is_dir():
        raise CalibrationError(f"--pictures {folder}: is no folder")
    config = CameraConfig(
        id="pictures", name="pictures", driver="folder", options={"path": str(folder), "at_end": "stop"}
    )
    camera = make_camera("calibrate", config, clock)
    camera.start()
    number = 0
    try:
        while True:
            yield camera.capture(CaptureSettings(at=clock.now()))
            number += 1
    except CameraEndError:
        if not number:
            raise CalibrationError(f"--pictures {folder}: holds no whole JPEG") from None
    finally:
        camera.stop()


async def one_after_another(shooter: Shooter, clock: Clock, pace: Pace) -> AsyncIterator[CapturedFrame]:
    """Yield pictures at a pace, until nobody wants more, patience ends, or the camera has no more."""
    until = clock.now() + pace.patience
    while (now := clock.now()) < until:
        try:
            yield await shooter.shoot(await shooter.aim(Purpose(at=now, profile=AUTOMATIC), None))
        except CameraEndError:
            return
        await clock.wait_until(now + pace.every)


async def exposure_series(
    shooter: Shooter, clock: Clock, steps_ev: Sequence[float] = STEPS_EV
) -> list[CapturedFrame]:
    """Return pictures of one scene with different exposures, white balance held still.

    Raises CalibrationError where the camera decides its exposure itself.
    """
    info = shooter.info
    if info is None or not info.controls_exposure:
        raise CalibrationError(
            "the camera does not obey exposures: take pictures with different ones by other means, and give"
            " their folder with --pictures (exposures are read from EXIF, or from 0001.json beside 0001.jpg)"
        )
    aim = await shooter.aim(Purpose(at=clock.now(), profile=AUTOMATIC), None)
    if aim.exposure is None:
        raise CalibrationError("the camera does not say how it exposes, so its tone curve cannot be told")
    frames = []
    for ev in steps_ev:
        exposure = split(aim.exposure.log2_exposure + ev, aim.limits)
        settings = replace(
            aim.settings,
            at=clock.now(),
            exposure_us=exposure.exposure_us,
            gain=exposure.gain,
            colour_temperature_k=_DAYLIGHT_K if info.controls_colour else None,
        )
        frames.append(await shooter.shoot(replace(aim, settings=settings, exposure=None)))
    return frames
