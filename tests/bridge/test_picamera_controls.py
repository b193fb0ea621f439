"""The driver and its session with a camera that has controls: asked, waited for, delivered, recorded."""

from datetime import UTC, datetime
from typing import Any

import pytest

from skylapse_bridge.camera.factory import CameraIdentity
from skylapse_bridge.camera.picamera import PicameraCamera, make_camera
from skylapse_bridge.camera.port import CapturedFrame, CaptureSettings
from skylapse_bridge.camera.pursuit import MOST_AFTER_START, MOST_FRAMES
from skylapse_bridge.camera.session import Session
from skylapse_bridge.camera.tuning import read_tuning
from skylapse_bridge.clock import RealClock

from .acted_picamera import FOCUSED_DIOPTRE, LATENCY, SIZE, ActedPicamera
from .tuning_files import IMX519

STREAM = {"format": "YUV420", "size": SIZE}


def driven(acted: ActedPicamera, **options: Any) -> PicameraCamera:
    """The driver on an acted camera, as `start` leaves it."""
    camera = make_camera(CameraIdentity(bridge="roof", id="west", name="West"), options, RealClock())
    session = Session(acted)
    session.start(lambda: {"main": STREAM, "lores": STREAM, "raw": STREAM})
    camera._session, camera._model, camera._tuning = session, "imx519", read_tuning(IMX519, "imx519")
    return camera


def settings(**wishes: Any) -> CaptureSettings:
    """Settings of this moment."""
    return CaptureSettings(at=datetime.now(UTC), **wishes)


def shoot(camera: PicameraCamera, acted: ActedPicamera, **wishes: Any) -> tuple[CapturedFrame, int]:
    """Take a picture; return it, and how many frames it took."""
    before = acted.frames
    frame = camera.capture(settings(**wishes))
    assert acted.held == 0, "every buffer went back to the camera"
    return frame, acted.frames - before


def test_the_first_frame_obeys_and_later_settings_are_waited_for() -> None:
    acted = ActedPicamera()
    camera = driven(acted)
    frame, frames = shoot(camera, acted, exposure_us=10_000, gain=2.0, colour_temperature_k=5700)
    assert frames == 1
    assert acted.starts[0] == {"Sharpness": 1.0}
    assert acted.starts[1] == {
        "AeEnable": False,
        "ExposureTime": 10_000,
        "AnalogueGain": 2.0,
        "AwbEnable": False,
        "ColourGains": pytest.approx((1 / 0.4467, 1 / 0.6671)),
        "Sharpness": 1.0,
    }
    frame, frames = shoot(camera, acted, exposure_us=20_000, gain=4.0, colour_temperature_k=5700)
    assert (frame.exposure_us, frame.analogue_gain, frames) == (19_997, 4.0, LATENCY + 1)
    frame, frames = shoot(camera, acted, exposure_us=20_000, gain=4.0, colour_temperature_k=5700)
    assert frames == 1
    assert len(acted.starts) == 2, "the camera ran on"


def test_what_was_delivered_is_recorded() -> None:
    acted = ActedPicamera()
    frame, _ = shoot(driven(acted), acted, exposure_us=10_000, gain=2.0, raw=True, jpeg_quality=77)
    assert (frame.jpeg, frame.raw) == (b"jpeg 77", b"a DNG")
    assert (frame.exposure_us, frame.analogue_gain, frame.digital_gain) == (9_997, 2.0, 1.01)
    assert (frame.colour_gains, frame.colour_temperature_k, frame.lux) == ((2.0, 1.5), 5210, 400.0)
    assert (frame.sensor, frame.tone_curve, frame.sensor_temperature_c) == ("imx519", "imx519", 31.0)


def test_a_metered_frame_carries_its_exposure() -> None:
    acted = ActedPicamera()
    small = driven(acted).meter(settings(exposure_us=10_000, gain=2.0))
    assert (small.exposure_us, small.tone_curve) == (9_997, "imx519")
    assert small.gain == pytest.approx(2.02)
    assert (small.width, small.height, small.rgb) == (*SIZE, bytes([128]) * 3 * SIZE[0] * SIZE[1])


def test_a_long_exposure_begins_at_once() -> None:
    acted = ActedPicamera()
    camera = driven(acted)
    shoot(camera, acted, exposure_us=10_000, gain=2.0)
    frame, frames = shoot(camera, acted, exposure_us=8_000_000, gain=2.0)
    assert (frame.exposure_us, frames) == (7_999_997, 1)
    assert acted.starts[-1]["ExposureTime"] == 8_000_000


def test_long_exposures_of_an_average_follow_one_another_without_a_restart() -> None:
    acted = ActedPicamera()
    camera = driven(acted)
    frame, frames = shoot(camera, acted, exposure_us=600_000, gain=1.0, average=3, over_s=0.001)
    assert (frame.averaged, frames, len(acted.starts)) == (3, 3, 2)
    assert frame.jpeg[:2] == b"\xff\xd8"


def test_a_halved_exposure_is_recorded_and_costs_time_once() -> None:
    acted = ActedPicamera(halves_above_us=100_000)
    camera = driven(acted)
    shoot(camera, acted, exposure_us=10_000, gain=2.0)
    frame, frames = shoot(camera, acted, exposure_us=400_000, gain=2.0)
    assert (frame.exposure_us, frames) == (199_997, MOST_FRAMES)
    frame, frames = shoot(camera, acted, exposure_us=410_000, gain=2.0)
    assert frame.exposure_us == 204_997
    assert frames <= LATENCY + 1
    frame, frames = shoot(camera, acted, exposure_us=900_000, gain=2.0)
    assert (frame.exposure_us, frames) == (449_997, 1)
    frame, frames = shoot(driven(acted), acted, exposure_us=900_000, gain=2.0)
    assert (frame.exposure_us, frames) == (449_997, MOST_AFTER_START)


def test_a_camera_with_controls_says_what_it_can() -> None:
    info = driven(ActedPicamera()).capabilities()
    assert (info.min_exposure_us, info.max_exposure_us) == (287, 120_729_139)
    assert (info.min_gain, info.max_gain, info.max_dioptre) == (1.0, 16.0, 12.0)
    assert all((info.controls_exposure, info.controls_colour, info.brackets, info.focus, info.raw))


def test_the_lens_stays_where_it_was_put() -> None:
    acted = ActedPicamera()
    camera = driven(acted)
    assert camera.focus(2.0) == 2.0
    frame, _ = shoot(camera, acted, exposure_us=10_000, gain=1.0)
    assert frame.focus_dioptre == 2.0
    frame, _ = shoot(camera, acted, exposure_us=10_000, gain=1.0, focus_dioptre=0.0)
    assert frame.focus_dioptre == 0.0
    frame, _ = shoot(camera, acted, exposure_us=12_000, gain=1.0)
    assert frame.focus_dioptre == 0.0


def test_autofocus_finds_a_place_and_keeps_it() -> None:
    acted = ActedPicamera()
    camera = driven(acted)
    shoot(camera, acted, exposure_us=10_000, gain=1.0)
    assert camera.focus(None) == FOCUSED_DIOPTRE
    frame, _ = shoot(camera, acted, exposure_us=10_000, gain=1.0)
    assert frame.focus_dioptre == FOCUSED_DIOPTRE
    assert len(acted.starts) == 2, "the camera ran on"


def test_a_focus_figure_says_where_the_lens_stood() -> None:
    figure = driven(ActedPicamera()).focus_figure(settings(exposure_us=10_000, gain=1.0, focus_dioptre=0.5))
    assert (figure.figure, figure.dioptre, figure.temperature_c) == (0.0, 0.5, 31.0)
