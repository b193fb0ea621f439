"""The driver and its session with a camera that has controls: asked, waited for, delivered, recorded."""

from dataclasses import replace
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
from skylapse_bridge.errors import CameraError, CameraLostError

from .acted_picamera import FOCUSED_DIOPTRE, LATENCY, REST_DIOPTRE, SIZE, ActedPicamera
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


@pytest.mark.parametrize("average", [1, 2])
def test_a_long_exposure_brings_what_metering_would_see(average: int) -> None:
    acted = ActedPicamera()
    camera = driven(acted)
    frame, frames = shoot(camera, acted, exposure_us=8_000_000, gain=2.0, average=average)
    assert frames == average
    small, metered = frame.small, camera.meter(settings(exposure_us=8_000_000, gain=2.0))
    assert small is not None
    assert small.seen_at == frame.captured_at, "the first exposure"
    assert replace(small, seen_at=None) == replace(metered, seen_at=None)
    assert (small.exposure_us, small.focus_dioptre) == (7_999_997, REST_DIOPTRE)


def test_a_long_exposure_begins_at_once() -> None:
    acted = ActedPicamera()
    camera = driven(acted)
    shoot(camera, acted, exposure_us=10_000, gain=2.0)
    frame, frames = shoot(camera, acted, exposure_us=8_000_000, gain=2.0)
    assert (frame.exposure_us, frames) == (7_999_997, 1)
    assert acted.starts[-1]["ExposureTime"] == 8_000_000


def test_a_long_exposure_under_way_is_ended_for_the_next() -> None:
    acted = ActedPicamera()
    camera = driven(acted)
    shoot(camera, acted, exposure_us=8_000_000, gain=2.0)
    starts = len(acted.starts)
    _, frames = shoot(camera, acted, exposure_us=8_000_000, gain=2.0)
    assert (len(acted.starts), frames) == (starts + 1, 1)
    session = camera._running()
    with session.shot(session._in_force or {}):
        assert len(acted.starts) == starts + 1, "the exposure under way will do"


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


@pytest.mark.parametrize(("put", "stands"), [(None, FOCUSED_DIOPTRE), (2.0, 2.0), (0.0, 0.0)])
def test_the_lens_is_put_where_it_was_when_the_camera_is_started_anew(
    put: float | None, stands: float
) -> None:
    acted = ActedPicamera()
    camera = driven(acted)
    frame, _ = shoot(camera, acted, exposure_us=8_000_000, gain=1.0)
    assert frame.focus_dioptre == REST_DIOPTRE
    assert camera.focus(put) == stands
    for exposure_us in (8_000_000, 10_000, 9_000_000):
        frame, _ = shoot(camera, acted, exposure_us=exposure_us, gain=1.0)
        assert frame.focus_dioptre == stands


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


def test_an_average_that_memory_does_not_reach_for_is_refused() -> None:
    acted = ActedPicamera(size=(640_000, 480_000))
    camera = make_camera(CameraIdentity(bridge="roof", id="west", name="West"), {}, RealClock())
    camera._session = Session(acted)
    camera._session.start(lambda: {"main": STREAM | {"size": acted.sensor_resolution}, "raw": None})
    with pytest.raises(CameraError, match=r"640000×480000 takes \d+ MB of memory"):
        camera.capture(settings(average=2))
    assert acted.frames == 1, "only that of the start"


def test_where_memory_does_not_reach_the_camera_does_without_raw_pictures(
    caplog: pytest.LogCaptureFixture,
) -> None:
    streams = {"main": STREAM, "lores": STREAM, "raw": STREAM}
    session = Session(ActedPicamera(memory_bytes=2 * 1.5 * SIZE[0] * SIZE[1]))
    session.start(lambda: streams, lambda: streams | {"raw": None})
    assert session.picamera.camera_config["raw"] is None
    assert "memory for cameras does not reach" in caplog.text


def test_where_memory_does_not_reach_at_all_the_way_out_is_told() -> None:
    session = Session(ActedPicamera(memory_bytes=100))
    with pytest.raises(CameraError, match=r"`width`, `height`.*`raw: false`.*vc4-kms-v3d,cma-256") as told:
        session.start(lambda: {"main": STREAM, "raw": STREAM}, lambda: {"main": STREAM, "raw": None})
    assert not isinstance(told.value, CameraLostError), "starting anew does not help"


@pytest.mark.parametrize(
    ("error", "lacks_memory"),
    [
        (RuntimeError("Failed to start camera: Cannot allocate memory"), True),
        (RuntimeError("failed to allocate capture buffers for stream 0"), True),
        (RuntimeError("Failed to start camera: Device or resource busy"), False),
        (OSError(5, "Input/output error"), False),
    ],
)
def test_lack_of_memory_is_told_from_other_trouble(
    error: Exception, *, lacks_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    acted = ActedPicamera()

    def fail() -> None:
        raise error

    monkeypatch.setattr(acted, "start", fail)
    with pytest.raises(CameraError) as told:
        Session(acted).start(lambda: {"main": STREAM, "raw": None})
    assert isinstance(told.value, CameraLostError) != lacks_memory


def test_a_picture_can_be_metered_by_what_it_shows() -> None:
    camera = driven(ActedPicamera())
    frame = camera.capture(settings(exposure_us=600_000, gain=2.0))
    assert frame.small is not None
    assert frame.small.seen_at == frame.captured_at
    assert frame.small.exposure_us == frame.exposure_us
    assert len(frame.small.rgb) == 3 * frame.small.width * frame.small.height
    metered = camera.meter(settings(exposure_us=600_000, gain=2.0))
    assert (metered.width, metered.rgb) == (frame.small.width, frame.small.rgb)
