"""The sensor of the twin: its limits, its reference light, its noise, and pixels that give the light back."""

from datetime import UTC, datetime
from itertools import pairwise
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_bridge.twin.ramp import RAMPS, split
from skylapse_bridge.twin.scene import LUMINANCE, Scene
from skylapse_bridge.twin.sensor import SENSORS, deliver, develop
from skylapse_bridge.twin.sun import Place
from skylapse_bridge.twin.twin import Photograph, Twin, Wish
from skylapse_protocol.tone import CURVES, decode

PLACE = Place(latitude_deg=0.0, longitude_deg=0.0)
EQUINOX = datetime(2026, 3, 20, 12, tzinfo=UTC)
IDS = sorted(SENSORS)


def linear_mean(planes: np.ndarray, tone_curve: str) -> float:
    """Undo the tone curve: mean luminance in linear light, 1 = clipped."""
    table = np.array([decode(CURVES[tone_curve], 257.0 * code) / 65535.0 for code in range(256)])
    return float(table[planes].mean(axis=(1, 2)) @ LUMINANCE)


@pytest.mark.parametrize("name", IDS)
@given(st.floats(min_value=0, max_value=1e12), st.floats(min_value=0, max_value=1000))
def test_limits_are_kept(name: str, exposure_us: float, gain: float) -> None:
    sensor = SENSORS[name]
    delivered = deliver(sensor, exposure_us=exposure_us, gain=gain)
    assert sensor.exposure_us[0] <= delivered.exposure_us <= sensor.exposure_us[1]
    assert sensor.gain[0] - 1e-5 <= delivered.analogue_gain <= sensor.gain[1] + 1e-5
    assert 1.0 <= delivered.digital_gain < 1.05


@pytest.mark.parametrize("name", IDS)
@given(st.floats(min_value=1.2, max_value=10), st.floats(min_value=0, max_value=0.07))
def test_digital_gain_makes_up_for_the_gain_codes_and_adds_the_wobble(
    name: str, gain: float, wobble_ev: float
) -> None:
    delivered = deliver(SENSORS[name], exposure_us=10_000, gain=gain, wobble_ev=wobble_ev)
    assert log2(delivered.total / (10_000 * gain)) == pytest.approx(wobble_ev, abs=1e-9)


@pytest.mark.parametrize("name", IDS)
def test_the_reference_light_gives_the_reference_level(name: str) -> None:
    sensor = SENSORS[name]
    light = np.full((3, 64, 64), sensor.reference_lux, dtype=np.float32)
    delivered = deliver(sensor, exposure_us=sensor.reference_exposure_us, gain=sensor.reference_gain)
    planes = develop(light, sensor, delivered, np.random.default_rng(1))
    assert linear_mean(planes, sensor.tone_curve) * 65535 == pytest.approx(sensor.reference_y, rel=0.01)


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("elevation_deg", [5.0, 0.0, -4.0, -7.0])
def test_pixels_give_the_light_back(name: str, elevation_deg: float) -> None:
    sensor = SENSORS[name]
    scene = Scene(width=320, height=180, seed=2, place=PLACE)
    at = PLACE.evening(EQUINOX, elevation_deg)
    exposure = split(sensor, log2(0.08 / sensor.response()) - scene.expected_ev(at), 15.0)
    photograph = Twin(scene=scene, sensor=sensor).photograph(
        at, Wish(exposure_us=exposure.exposure_us, gain=exposure.gain)
    )
    level = linear_mean(photograph.planes, sensor.tone_curve)
    found_ev = log2(level / sensor.response() / photograph.delivered.total)
    assert found_ev == pytest.approx(photograph.view.scene_ev, abs=0.01)


def photograph_of(camera: str, gain: float = 1.0) -> Photograph:
    scene = Scene(width=160, height=90, seed=2, place=PLACE)
    twin = Twin(scene=scene, sensor=SENSORS["imx477"], camera=camera)
    return twin.photograph(PLACE.evening(EQUINOX, 0.0), Wish(exposure_us=20_000 / gain, gain=gain))


def test_the_same_camera_takes_the_same_picture_and_another_its_own() -> None:
    first, again, other = photograph_of("a"), photograph_of("a"), photograph_of("b")
    assert np.array_equal(first.planes, again.planes)
    assert first.delivered == again.delivered
    assert not np.array_equal(first.planes, other.planes)


def test_high_gain_is_noisy() -> None:
    def grain(gain: float) -> float:
        flat = np.full((3, 128, 128), 300.0, dtype=np.float32)
        sensor = SENSORS["imx519"]
        delivered = deliver(sensor, exposure_us=40_000 / gain, gain=gain)
        return float(develop(flat, sensor, delivered, np.random.default_rng(1))[1].std())

    assert grain(16.0) == pytest.approx(4 * grain(1.0), rel=0.15)


def test_white_balance_shifts_red_against_blue() -> None:
    scene = Scene(width=64, height=36, seed=2, place=PLACE)
    sensor = SENSORS["imx708"]
    at = PLACE.evening(EQUINOX, 4.0)
    means = []
    for kelvin in (4000.0, 7000.0):
        wish = Wish(exposure_us=1500, gain=1.2, colour_gains=sensor.colour_gains(kelvin))
        red, _, blue = Twin(scene=scene, sensor=sensor).photograph(at, wish).planes.mean(axis=(1, 2))
        means.append(red / blue)
    assert means[1] > 1.15 * means[0]


@pytest.mark.parametrize("name", IDS)
@given(st.floats(min_value=-5, max_value=45), st.floats(min_value=1, max_value=120))
def test_a_split_exposure_keeps_the_interval_and_prefers_time(
    name: str, total_ev: float, interval_s: float
) -> None:
    sensor = SENSORS[name]
    exposure = split(sensor, total_ev, interval_s)
    assert exposure.exposure_us <= max(0.8e6 * interval_s, sensor.exposure_us[0]) + 1
    assert sensor.gain[0] <= exposure.gain <= sensor.gain[1]
    if exposure.gain > sensor.gain[0] * 1.01:
        assert exposure.exposure_us >= min(0.8e6 * interval_s, sensor.exposure_us[1]) - 1


@given(
    st.lists(st.floats(min_value=-3, max_value=3), min_size=1, max_size=60), st.sampled_from(sorted(RAMPS))
)
def test_every_ramp_answers_every_frame(wanted: list[float], name: str) -> None:
    assert len(RAMPS[name](wanted)) == len(wanted)


def test_the_reactive_ramp_goes_in_thirds_of_a_stop_and_comes_late() -> None:
    wanted = [0.1 * frame for frame in range(60)]
    followed = RAMPS["reactive"](wanted)
    jumps = {round(3 * (b - a), 6) for a, b in pairwise(followed)}
    assert jumps == {0.0, 1.0}
    assert 0.1 < np.mean(np.array(wanted) - followed) < 0.6
