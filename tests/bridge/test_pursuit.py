"""Settings in flight: on series of metadata as cameras send them, the right frame is taken, none is lost."""

from datetime import UTC, datetime
from typing import Any

import pytest

from skylapse_bridge.camera.port import CaptureSettings
from skylapse_bridge.camera.pursuit import (
    LONG_US,
    MOST_FRAMES,
    Controls,
    Habit,
    Limits,
    Pursuit,
    controls_for,
    delivered_of,
    is_better_restarted,
    limits_of,
)
from skylapse_bridge.camera.tuning import read_tuning

from .tuning_files import IMX519

# The controls of an imx519 with autofocus, as `camera_controls` gives them.
CONTROLS: dict[str, tuple[Any, Any, Any]] = {
    "AeEnable": (False, True, True),
    "AwbEnable": (False, True, None),
    "ExposureTime": (287, 120_729_139, 20_000),
    "AnalogueGain": (1.0, 16.0, 1.0),
    "ColourGains": (0.0, 32.0, None),
    "ColourTemperature": (100, 100_000, None),
    "AfMode": (0, 2, 0),
    "AfTrigger": (0, 1, 0),
    "LensPosition": (0.0, 12.0, 1.0),
    "Sharpness": (0.0, 16.0, 1.0),
}
LIMITS = limits_of(CONTROLS)
OF_TODAY = limits_of(CONTROLS | {"ExposureTimeMode": (0, 1, 0), "AnalogueGainMode": (0, 1, 0)})
EXPOSURE = ("ExposureTimeMode", "AnalogueGainMode", "ExposureTime", "AnalogueGain", "AeEnable")
CURVE = read_tuning(IMX519, "imx519").colour_curve
FRAME_NS = 100_000_000
FIRST_NS = 100 * 10**9


def wanted(limits: Limits = LIMITS, **wishes: Any) -> Controls:
    """The controls for these wishes."""
    at = datetime(2026, 3, 20, tzinfo=UTC)
    return controls_for(CaptureSettings(at=at, **wishes), limits, CURVE)


def frame(number: int, exposure_us: int, gain: float, **facts: Any) -> dict[str, Any]:
    """The metadata of a frame."""
    return {
        "SensorTimestamp": FIRST_NS + number * FRAME_NS,
        "ExposureTime": exposure_us,
        "AnalogueGain": gain,
        "DigitalGain": 1.004,
        **facts,
    }


def chase(
    controls: Controls, frames: list[dict[str, Any]], habit: Habit | None = None, *, not_before_ns: int = 0
) -> tuple[int, Habit]:
    """The number of the frame that is taken, and what was learned."""
    pursuit = Pursuit(
        controls, LIMITS, habit or Habit(), not_before_ns=not_before_ns, most_frames=MOST_FRAMES
    )
    for number, one in enumerate(frames):
        if pursuit.takes(delivered_of(one)):
            return number, pursuit.habit
    raise AssertionError("no frame was taken")


def test_limits_are_read_from_the_camera() -> None:
    assert LIMITS.exposure_us == (287, 120_729_139)
    assert LIMITS.gain == (1.0, 16.0)
    assert LIMITS.dioptre == (0.0, 12.0)
    assert LIMITS.controls_exposure
    assert LIMITS.controls_colour
    blind = limits_of({"FrameDurationLimits": (16666, 33333, None), "ExposureTime": (0, 0, None)})
    assert (blind.exposure_us, blind.controls_exposure, blind.controls_colour) == (None, False, False)
    assert wanted(blind, exposure_us=1000, gain=2.0, colour_temperature_k=5000, focus_dioptre=1.0) == {}


def test_what_is_given_switches_the_automatics_off_and_is_kept_within_the_limits() -> None:
    assert wanted(exposure_us=20_000, gain=2.0, colour_gains=(2.1, 1.6), focus_dioptre=20.0) == {
        "AeEnable": False,
        "ExposureTime": 20_000,
        "AnalogueGain": 2.0,
        "AwbEnable": False,
        "ColourGains": (2.1, 1.6),
        "AfMode": 0,
        "LensPosition": 12.0,
    }
    assert wanted(OF_TODAY, exposure_us=20_000, gain=2.0, focus_dioptre=20.0) == {
        "ExposureTimeMode": 1,
        "AnalogueGainMode": 1,
        "ExposureTime": 20_000,
        "AnalogueGain": 2.0,
        "AwbEnable": True,
        "AfMode": 0,
        "LensPosition": 12.0,
    }
    assert wanted(exposure_us=10, gain=99.0)["ExposureTime"] == 287
    assert wanted(exposure_us=10, gain=99.0)["AnalogueGain"] == 16.0


def test_what_is_left_to_the_camera_is_automatic() -> None:
    controls = wanted()
    assert (controls["AeEnable"], controls["AwbEnable"]) == (True, True)
    assert "LensPosition" not in controls
    exposure = {name: wanted(OF_TODAY).get(name) for name in EXPOSURE}
    assert exposure == {"ExposureTimeMode": 0, "AnalogueGainMode": 0} | dict.fromkeys(EXPOSURE[2:])


@pytest.mark.parametrize(
    ("wish", "today", "before"),
    [
        ({"exposure_us": 5000}, (1, 0, 5000, None, None), (None, None, 5000, 0.0, None)),
        ({"gain": 2.0}, (0, 1, None, 2.0, None), (None, None, 0, 2.0, None)),
    ],
)
def test_exposure_time_or_gain_alone_leaves_the_other_to_the_camera(
    wish: dict[str, Any], today: tuple[Any, ...], before: tuple[Any, ...]
) -> None:
    assert tuple(wanted(OF_TODAY, **wish).get(name) for name in EXPOSURE) == today
    assert tuple(wanted(**wish).get(name) for name in EXPOSURE) == before, (
        "0 is automatic before libcamera 0.5"
    )


def test_a_colour_temperature_becomes_gains_where_libcamera_knows_none() -> None:
    assert wanted(colour_temperature_k=5700)["ColourTemperature"] == 5700
    older = limits_of({name: value for name, value in CONTROLS.items() if name != "ColourTemperature"})
    gains = wanted(older, colour_temperature_k=5700)["ColourGains"]
    assert gains == pytest.approx((1 / 0.4467, 1 / 0.6671))


def test_the_first_frame_that_shows_the_settings_is_taken() -> None:
    controls = wanted(exposure_us=20_000, gain=2.0)
    frames = [frame(0, 5000, 1.0), frame(1, 5000, 1.0), frame(2, 19_987, 1.0), frame(3, 19_987, 2.0)]
    assert chase(controls, frames) == (3, Habit())


@pytest.mark.parametrize("gain", [1.97, 2.03])
def test_gains_are_compared_within_two_percent_and_times_within_a_line(gain: float) -> None:
    controls = wanted(exposure_us=1000, gain=2.0)
    assert chase(controls, [frame(0, 1000, 2.1), frame(1, 1101, 2.0), frame(2, 950, gain)])[0] == 2


def test_a_frame_whose_exposure_began_before_the_call_is_not_taken() -> None:
    controls = wanted(exposure_us=50_000, gain=1.0)
    frames = [frame(number, 50_000, 1.0) for number in range(5)]
    call_ns = FIRST_NS + 2 * FRAME_NS - 50_000_000
    assert delivered_of(frames[2]).began_ns == call_ns
    assert chase(controls, frames, not_before_ns=call_ns)[0] == 2
    assert chase(controls, frames, not_before_ns=call_ns + 1)[0] == 3


def test_colour_and_lens_are_waited_for_too() -> None:
    controls = wanted(exposure_us=1000, gain=1.0, colour_gains=(2.0, 1.5), focus_dioptre=0.0)
    frames = [
        frame(0, 1000, 1.0, ColourGains=(1.0, 1.0), LensPosition=1.0),
        frame(1, 1000, 1.0, ColourGains=(2.01, 1.5), LensPosition=1.0),
        frame(2, 1000, 1.0, ColourGains=(2.01, 1.5), LensPosition=0.01),
    ]
    assert chase(controls, frames)[0] == 2


def test_a_driver_that_halves_exposures_is_recorded_and_known_the_next_time() -> None:
    halved = [frame(number, 2_500_000, 1.0) for number in range(MOST_FRAMES)]
    taken, habit = chase(wanted(exposure_us=5_000_000, gain=1.0), halved)
    assert taken == MOST_FRAMES - 1
    assert habit.exposure == pytest.approx(0.5)
    taken, habit = chase(wanted(exposure_us=6_000_000, gain=1.0), [frame(0, 3_000_000, 1.0)], habit)
    assert taken == 0
    assert habit.exposure == pytest.approx(0.5)


def test_a_camera_that_obeys_again_is_believed_again() -> None:
    obedient = [frame(0, 3_000_000, 1.0), frame(1, 100_000, 1.0)]
    taken, habit = chase(wanted(exposure_us=100_000, gain=1.0), obedient, Habit(exposure=0.5))
    assert (taken, habit) == (1, Habit())


def test_metadata_are_read_as_the_frame_record_wants_them() -> None:
    delivered = delivered_of(
        frame(
            0,
            20_000,
            2.0,
            ColourGains=(2.1, 1.6),
            ColourTemperature=5012,
            Lux=812.5,
            SensorTemperature=31.0,
            LensPosition=0.4,
        )
    )
    assert delivered.gain == pytest.approx(2.008)
    assert (delivered.colour_gains, delivered.colour_temperature_k) == ((2.1, 1.6), 5012)
    assert (delivered.lux, delivered.dioptre, delivered.sensor_temperature_c) == (812.5, 0.4, 31.0)
    bare = delivered_of({"SensorTimestamp": 7})
    assert (bare.began_ns, bare.gain, bare.exposure_us) == (7, None, None)
    with pytest.raises(KeyError):
        delivered_of({})


def test_a_camera_is_restarted_where_waiting_would_cost_long_exposures() -> None:
    short, other = wanted(exposure_us=10_000, gain=1.0), wanted(exposure_us=20_000, gain=1.0)
    long = wanted(exposure_us=2 * LONG_US, gain=1.0)
    assert is_better_restarted(short, None, fresh=False), "the first frame obeys"
    assert not is_better_restarted({}, None, fresh=True), "there is nothing to obey"
    assert not is_better_restarted(other, short, fresh=True)
    assert is_better_restarted(long, short, fresh=False)
    assert is_better_restarted(short, long, fresh=False)
    assert is_better_restarted(long, long, fresh=True)
    assert not is_better_restarted(long, long, fresh=False), "the frame under way will do"
