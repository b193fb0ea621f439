"""The twin behind the camera port: it obeys, tells what it delivered, and fails when it is told to."""

from datetime import UTC, datetime, timedelta
from io import BytesIO
from math import log2
from typing import Any

import numpy as np
import pytest
import voluptuous as vol
from PIL import Image

from skylapse_bridge.camera.factory import CameraIdentity
from skylapse_bridge.camera.port import PREVIEW_BYTES, PREVIEW_SIDE_PX, SMALL_SIDE_PX, CaptureSettings
from skylapse_bridge.camera.twin import TwinCamera, make_camera
from skylapse_bridge.clock import ScaledClock
from skylapse_bridge.errors import CameraError, CameraLostError, UnsupportedError
from skylapse_bridge.twin.scene import LUMINANCE
from skylapse_bridge.twin.sun import Place
from skylapse_protocol.messages import Clock
from skylapse_protocol.tone import CURVES, decode

HOME = {"latitude": 47.0, "longitude": 8.0}
SUNSET = Place(latitude_deg=47.0, longitude_deg=8.0).evening(datetime(2026, 6, 10, 12, tzinfo=UTC), 0.0)
TABLE = np.array([decode(CURVES["imx519"], 257.0 * code) for code in range(256)])


def started(**options: Any) -> TwinCamera:
    clock = ScaledClock(Clock(start=SUNSET, rate=1.0, anchor=datetime.now(UTC)))
    identity = CameraIdentity(bridge="pi", id="roof", name="Roof")
    camera = make_camera(identity, {"width": 160, "height": 90, **HOME, **options}, clock)
    camera.start()
    return camera


def settings(exposure_us: int | None = None, gain: float | None = None, **more: Any) -> CaptureSettings:
    return CaptureSettings(at=SUNSET, exposure_us=exposure_us, gain=gain, **more)


def level(jpeg: bytes) -> float:
    """Mean luminance in linear light, 0…65535."""
    return float(TABLE[np.asarray(Image.open(BytesIO(jpeg)))].mean(axis=(0, 1)) @ LUMINANCE)


def test_capabilities_are_those_of_the_sensor() -> None:
    info = started(sensor="imx477").capabilities()
    assert (info.id, info.name, info.driver) == ("roof", "Roof", "twin")
    assert (info.width, info.height) == (160, 90)
    assert (info.min_exposure_us, info.max_exposure_us) == (60, 670_740_000)
    assert info.max_gain == pytest.approx(22.26, abs=0.01)
    assert info.controls_exposure
    assert not info.focus


def test_a_capture_has_the_exposure_it_was_asked_for() -> None:
    camera = started()
    dark, bright = (camera.capture(settings(10_000, gain)) for gain in (1.0, 2.0))
    assert dark.captured_at == bright.captured_at == SUNSET
    assert (dark.exposure_us, dark.sensor, dark.tone_curve) == (10_000, "imx519", "imx519")
    assert (dark.analogue_gain, bright.analogue_gain) == (1.0, 2.0)
    assert level(bright.jpeg) == pytest.approx(2 * level(dark.jpeg), rel=0.03)
    assert Image.open(BytesIO(dark.jpeg)).size == (dark.width, dark.height) == (160, 90)


def test_left_alone_it_exposes_by_itself() -> None:
    frame = started().capture(settings())
    assert level(frame.jpeg) / 65535 == pytest.approx(0.16, rel=0.1)
    assert frame.lux == pytest.approx(700, rel=0.6)


def test_the_small_picture_meters_the_light_of_the_large_one() -> None:
    camera = started(width=640, height=360)
    small = camera.meter(settings(5_000, 1.5))
    assert max(small.width, small.height) <= SMALL_SIDE_PX
    pixels = np.frombuffer(small.rgb, dtype=np.uint8).reshape(small.height, small.width, 3)
    reference = small.lux_reference
    assert reference is not None
    assert small.exposure_us is not None
    assert small.gain is not None
    mean = float(TABLE[pixels].mean(axis=(0, 1)) @ LUMINANCE)
    asked = reference.exposure_us * reference.gain / (small.exposure_us * small.gain)
    lux = reference.lux * asked * mean / reference.level
    captured = camera.capture(settings(5_000, 1.5)).lux
    assert captured is not None
    assert log2(lux / captured) == pytest.approx(0, abs=0.06)


def test_settings_come_into_force_some_pictures_later() -> None:
    camera = started(latency_frames=2)
    asked = [1000, 2000, 3000, 4000, 5000]
    assert [camera.capture(settings(us, 1.0)).exposure_us for us in asked] == [1000, 1000, 1000, 2000, 3000]


def test_colour_temperature_is_obeyed_and_told() -> None:
    camera = started()
    cold, warm = (camera.capture(settings(8000, 1.0, colour_temperature_k=k)) for k in (3000, 7500))
    assert (cold.colour_temperature_k, warm.colour_temperature_k) == (3000, 7500)
    assert cold.colour_gains is not None
    assert warm.colour_gains is not None
    assert cold.colour_gains[0] < warm.colour_gains[0]
    red = [np.asarray(Image.open(BytesIO(frame.jpeg)))[..., 0].mean() for frame in (cold, warm)]
    assert red[0] < red[1]


def test_a_preview_is_small() -> None:
    jpeg = started(width=1600, height=900).preview()
    assert len(jpeg) <= PREVIEW_BYTES
    assert max(Image.open(BytesIO(jpeg)).size) == PREVIEW_SIDE_PX


def test_out_of_focus_is_blurred_and_finding_it_is_sharp() -> None:
    camera = started(width=640, height=360)

    def detail() -> float:
        grey = np.asarray(Image.open(BytesIO(camera.capture(settings()).jpeg)).convert("L"), dtype=float)
        return float(np.abs(np.diff(grey, axis=1)).mean())

    sharp = detail()
    assert camera.focus(4.0) == 4.0
    blurred = detail()
    found = camera.focus(None)
    assert blurred < 0.8 * sharp
    assert detail() == pytest.approx(sharp)
    assert camera.capture(settings()).focus_dioptre == found


def test_a_fixed_focus_cannot_be_set() -> None:
    with pytest.raises(UnsupportedError, match="fixed focus"):
        started(sensor="imx219").focus(1.0)


def test_before_start_and_after_stop_nothing_works() -> None:
    camera = started()
    camera.stop()
    with pytest.raises(CameraLostError, match="roof"):
        camera.capture(settings())
    camera.start()
    assert camera.capture(settings()).width == 160


def test_dropped_pictures_and_a_lost_camera_come_as_often_as_asked() -> None:
    camera = started(width=32, height=32, drop_share=0.25, lose_share=0.25)
    ends = []
    for tick in range(80):
        try:
            camera.capture(CaptureSettings(at=SUNSET + timedelta(seconds=15 * tick)))
            ends.append("taken")
        except CameraLostError:
            ends.append("lost")
            camera.start()
        except CameraError:
            ends.append("dropped")
    assert 10 <= ends.count("dropped") <= 30
    assert 10 <= ends.count("lost") <= 30


@pytest.mark.parametrize(
    ("option", "value"), [("sensor", "ov5647"), ("width", 10), ("latitude", 120), ("drop_share", 2), ("x", 1)]
)
def test_wrong_options_are_refused(option: str, value: object) -> None:
    with pytest.raises(vol.Invalid, match=option):
        started(**{option: value})
