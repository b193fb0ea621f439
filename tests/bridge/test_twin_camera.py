"""The twin behind the camera port: it obeys, tells what it delivered, and fails when it is told to."""

from concurrent.futures import ThreadPoolExecutor
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


def started(name: str = "roof", **options: Any) -> TwinCamera:
    clock = ScaledClock(Clock(start=SUNSET, rate=1.0, anchor=datetime.now(UTC)))
    identity = CameraIdentity(bridge="pi", id=name, name=name.capitalize())
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
def test_wrong_options_are_refused(option: str, value: Any) -> None:
    with pytest.raises(vol.Invalid, match=option):
        started(**{option: value})


def test_capabilities_say_what_else_it_can() -> None:
    autofocus, fixed = (started(sensor=name).capabilities() for name in ("imx708", "imx219"))
    assert (autofocus.focus, autofocus.max_dioptre, fixed.focus, fixed.max_dioptre) == (
        True,
        12.0,
        False,
        None,
    )
    for info, name in ((autofocus, "imx708"), (fixed, "imx219")):
        assert (info.sensor, info.raw, info.brackets, info.controls_colour) == (name, True, True, True)


def linear(jpeg: bytes) -> np.ndarray:
    return np.asarray(TABLE[np.asarray(Image.open(BytesIO(jpeg)))] / 65535.0)


def test_frames_of_a_bracket_differ_by_the_stops_that_were_asked_for() -> None:
    camera = started(width=320, height=180, wobble_ev=0.0)
    frames = {
        ev: camera.capture(settings(round(16_000 * 2.0**ev), 1.0, jpeg_quality=100)) for ev in (0, -2, 2)
    }
    pixels = {ev: linear(frame.jpeg) for ev, frame in frames.items()}
    for low, high in ((-2, 0), (0, 2), (-2, 2)):
        unclipped = (pixels[low] > 0.01) & (pixels[high] < 0.9)
        assert unclipped.mean() > 0.05
        stops = log2(pixels[high][unclipped].mean() / pixels[low][unclipped].mean())
        assert stops == pytest.approx(high - low, abs=0.03)


def test_every_frame_of_a_bracket_comes_late_where_controls_are_slow() -> None:
    """Three frames of a bracket, three times over: each has the exposure of two frames before."""
    camera = started(latency_frames=2, width=64, height=36)
    asked = [1000, 500, 2000] * 3
    delivered = [camera.capture(settings(us, 1.0)).exposure_us for us in asked]
    assert delivered[2:] == asked[:-2]


def test_the_mean_of_sixteen_pictures_has_a_quarter_of_the_noise() -> None:
    """Pictures of two cameras at the same moment differ by noise alone; JPEG would add its own."""

    def noise(average: int) -> float:
        wanted = settings(2000, 16.0, average=average)
        pictures = []
        for name in ("roof", "garden"):
            camera = started(name, width=320, height=180, wobble_ev=0.0)
            planes, _ = camera._averaged(camera._photograph(wanted, 320, 180), wanted)
            pictures.append(TABLE[planes[1]] / 65535.0)
            assert camera.capture(wanted).averaged == average
        middle = (pictures[0] > 0.02) & (pictures[0] < 0.12)
        return float((pictures[0] - pictures[1])[middle].std())

    assert noise(1) / noise(16) == pytest.approx(4.0, rel=0.06)


def test_a_mean_over_time_is_the_mean_of_its_moments() -> None:
    camera = started(width=320, height=180, wobble_ev=0.0)
    frame = camera.capture(settings(20_000, 1.0, average=4, over_s=40.0, jpeg_quality=100))
    moments = [SUNSET + timedelta(seconds=10 * number) for number in range(4)]
    single = [
        camera.capture(CaptureSettings(at=at, exposure_us=20_000, gain=1.0, jpeg_quality=100))
        for at in moments
    ]
    mean = np.mean([linear(one.jpeg) for one in single], axis=0)
    assert np.abs(linear(frame.jpeg) - mean).mean() < 0.02 * mean.mean()
    assert frame.lux == pytest.approx(np.mean([one.lux for one in single]), rel=1e-6)
    assert frame.captured_at == SUNSET


def test_colour_gains_win_over_the_colour_temperature() -> None:
    camera = started()
    frame = camera.capture(settings(4000, 1.0, colour_gains=(3.0, 1.2), colour_temperature_k=3000))
    assert (frame.colour_gains, frame.colour_temperature_k) == ((3.0, 1.2), None)
    plain = camera.capture(settings(4000, 1.0, colour_gains=(1.5, 1.2)))
    red, less = (linear(one.jpeg)[..., 0] for one in (frame, plain))
    unclipped = red < 0.9
    assert red[unclipped].mean() == pytest.approx(2.0 * less[unclipped].mean(), rel=0.03)


def test_a_raw_picture_comes_where_it_is_asked_for() -> None:
    camera = started()
    assert camera.capture(settings()).raw is None
    raw = camera.capture(settings(raw=True)).raw
    assert raw is not None
    assert raw[:4] == b"II*\x00"
    assert raw == camera.capture(settings(raw=True)).raw


def test_the_focus_of_the_settings_is_obeyed_told_and_kept() -> None:
    camera = started()
    assert camera.capture(settings(focus_dioptre=2.0)).focus_dioptre == 2.0
    assert camera.capture(settings()).focus_dioptre == 2.0
    assert camera.capture(settings(focus_dioptre=99.0)).focus_dioptre == 12.0
    assert started(sensor="imx477").capture(settings(focus_dioptre=2.0)).focus_dioptre is None


def test_the_focus_figure_is_best_at_the_true_infinity() -> None:
    camera = started(width=640, height=360, drift_dioptre=0.3)
    infinity = camera.truth(SUNSET).injected.infinity_dioptre
    figures = {}
    for step in range(-5, 6):
        seen = camera.focus_figure(settings(focus_dioptre=infinity + 0.1 * step))
        assert seen.dioptre == infinity + 0.1 * step
        figures[step] = seen.figure
    assert max(figures, key=lambda step: figures[step]) == 0
    assert seen.temperature_c == round(camera.truth(SUNSET).injected.sensor_temperature_c, 1)
    assert camera.focus(None) == infinity
    with pytest.raises(UnsupportedError, match="fixed focus"):
        started(sensor="imx219").focus_figure(settings())


def test_the_temperature_of_the_sensor_is_recorded() -> None:
    camera = started()
    truth = camera.truth(SUNSET).injected
    assert camera.capture(settings()).sensor_temperature_c == round(truth.sensor_temperature_c, 1)


def test_every_tenth_picture_is_dropped() -> None:
    camera = started(width=32, height=32, drop_every=10)
    failed = []
    for number in range(1, 31):
        try:
            camera.capture(settings())
        except CameraError:
            failed.append(number)
    assert failed == [10, 20, 30]


@pytest.mark.parametrize("option", [{"hang_at_capture": 3}, {"hang_at": SUNSET + timedelta(seconds=30)}])
def test_a_camera_that_hangs_is_let_go_by_stop_and_works_again(option: dict[str, Any]) -> None:
    camera = started(width=32, height=32, **option)
    ticks = [CaptureSettings(at=SUNSET + timedelta(seconds=15 * tick)) for tick in range(5)]
    for tick in ticks[:2]:
        camera.capture(tick)
    with ThreadPoolExecutor(1) as worker:
        hanging = worker.submit(camera.capture, ticks[2])
        with pytest.raises(TimeoutError):
            hanging.result(timeout=0.2)
        camera.stop()
        with pytest.raises(CameraLostError, match="hung"):
            hanging.result(timeout=10)
    camera.start()
    for tick in ticks[3:]:
        assert camera.capture(tick).width == 32


def test_halved_exposures_are_told_as_delivered() -> None:
    camera = started(halve_share=1.0)
    honest = started()
    frame, whole = camera.capture(settings(8000, 1.0)), honest.capture(settings(4000, 1.0))
    assert frame.exposure_us == whole.exposure_us == 4000
    assert level(frame.jpeg) == pytest.approx(level(whole.jpeg), rel=0.01)


@pytest.mark.parametrize(
    ("option", "value"), [("since", "noon"), ("hang_at", "2026-06-10T12:00:00"), ("fog", 1.5)]
)
def test_wrong_faults_are_refused(option: str, value: Any) -> None:
    with pytest.raises(vol.Invalid, match=option):
        started(**{option: value})


def test_moments_may_come_as_text_or_as_what_yaml_makes_of_them() -> None:
    for since in ("2026-06-10T12:00:00Z", datetime(2026, 6, 10, 12, tzinfo=UTC)):
        camera = started(fog=0.5, since=since)
        assert camera.truth(SUNSET).injected.fog == 0.5
        assert camera.truth(datetime(2026, 6, 10, 11, tzinfo=UTC)).injected.fog == 0.0
