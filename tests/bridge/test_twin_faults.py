"""The faults of the twin: what is injected is what is measured in the picture, and no more."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_bridge.camera.sharpness import figure
from skylapse_bridge.twin.faults import INFINITY_DIOPTRE, Faults, sensor_temperature_c
from skylapse_bridge.twin.landscape import WATERLINE
from skylapse_bridge.twin.ramp import exposure_ev, split
from skylapse_bridge.twin.scene import LUMINANCE, Scene
from skylapse_bridge.twin.sensor import SENSORS
from skylapse_bridge.twin.sun import Place
from skylapse_bridge.twin.twin import Photograph, Twin, Wish
from skylapse_bridge.twin.weather import Weather

PLACE = Place(latitude_deg=47.0, longitude_deg=8.0)
SUMMER = datetime(2026, 6, 10, 12, tzinfo=UTC)
NOON = PLACE.solar_noon(SUMMER)
SCENE = Scene(width=640, height=360, seed=1, place=PLACE)


def twin(camera: str = "twin", **faults: object) -> Twin:
    return Twin(scene=SCENE, sensor=SENSORS["imx519"], camera=camera, faults=Faults(**faults))  # type: ignore[arg-type]


def shot(camera: Twin, at: datetime = NOON, focus_dioptre: float | None = None) -> Photograph:
    exposure = split(camera.sensor, exposure_ev(camera.sensor, SCENE.expected_ev(at)), 15.0)
    wish = Wish(exposure_us=exposure.exposure_us, gain=exposure.gain, focus_dioptre=focus_dioptre)
    return camera.photograph(at, wish)


def grey(photograph: Photograph) -> np.ndarray:
    return np.tensordot(LUMINANCE, photograph.light, axes=1)


def shift(moved: np.ndarray, still: np.ndarray) -> tuple[float, float]:
    """Phase correlation, its peak shaped into a bell so that three values tell its top; x and y in pixels."""
    window = np.hanning(still.shape[0])[:, None] * np.hanning(still.shape[1])
    first, second = (np.fft.fft2((image - image.mean()) * window) for image in (moved, still))
    cross = first * np.conj(second)
    frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(side) for side in still.shape), indexing="ij"))
    peak = np.fft.ifft2(cross / np.abs(cross) * np.exp(-((frequency / 0.12) ** 2))).real
    top = np.unravel_index(int(np.argmax(peak)), peak.shape)
    found = []
    for axis in (1, 0):
        near = np.roll(peak, -top[axis], axis=axis).take([-1, 0, 1], axis=axis)
        before, at, after = np.log2(near.take(top[1 - axis], axis=1 - axis))
        exact = float(top[axis]) + 0.5 * (before - after) / (before - 2.0 * at + after)
        found.append((exact + peak.shape[axis] / 2.0) % peak.shape[axis] - peak.shape[axis] / 2.0)
    return found[0], found[1]


@pytest.mark.parametrize("minute", range(5))
def test_wind_shifts_the_picture_by_what_the_truth_says(minute: int) -> None:
    at = NOON + timedelta(minutes=minute)
    moved = shot(twin(shake_px=3.0), at)
    still = shot(twin("another"), at)
    middle = (slice(80, 280), slice(170, 470))
    pixels = [photograph.planes[1].astype(float)[middle] for photograph in (moved, still)]
    x, y = shift(*pixels)
    assert x == pytest.approx(moved.injected.shake_x_px, abs=0.1)
    assert y == pytest.approx(moved.injected.shake_y_px, abs=0.1)


def test_wind_turns_the_picture_by_what_the_truth_says() -> None:
    """The left edge goes up and the right one down when it turns clockwise."""
    moved, still = shot(twin(shake_px=12.0)), shot(twin("another"))
    injected = moved.injected
    middle_y = slice(120, 300)
    left, right = (
        shift(moved.planes[1].astype(float)[middle_y, part], still.planes[1].astype(float)[middle_y, part])[1]
        for part in (slice(20, 220), slice(420, 620))
    )
    turned_deg = np.degrees((right - left) / 400.0)
    assert abs(injected.shake_rotation_deg) > 0.1
    assert turned_deg == pytest.approx(injected.shake_rotation_deg, abs=0.03)


def test_wind_is_as_strong_as_asked_and_different_every_time() -> None:
    camera = twin(shake_px=2.0)
    truths = [camera.truth(NOON + timedelta(seconds=15 * tick)).injected for tick in range(400)]
    for values in ([truth.shake_x_px for truth in truths], [truth.shake_y_px for truth in truths]):
        assert np.std(values) == pytest.approx(2.0, rel=0.15)
        assert abs(np.mean(values)) < 0.4


def test_drops_lower_local_contrast_within_their_discs_alone() -> None:
    dry, wet = shot(twin()), shot(twin(droplets=8))
    rows, columns = np.mgrid[0:360, 0:640]
    covered, inner = np.zeros((2, 360, 640), dtype=bool)
    for drop in wet.injected.droplets:
        distance = np.hypot(columns - drop.x * 640, rows - drop.y * 360) / (drop.radius * 640)
        covered |= distance <= 1.01
        inner |= distance < 0.8
    left = [detail(grey(photograph))[inner[1:-1, 1:-1]].mean() for photograph in (wet, dry)]
    assert left[0] < 0.2 * left[1]
    assert len(wet.injected.droplets) == 8
    assert 0.02 < covered.mean() < 0.4
    assert np.array_equal(wet.light[:, ~covered], dry.light[:, ~covered])


def detail(light: np.ndarray) -> np.ndarray:
    """How much each pixel differs from the mean of its four neighbours."""
    around = light[:-2, 1:-1] + light[2:, 1:-1] + light[1:-1, :-2] + light[1:-1, 2:]
    return np.asarray(np.abs(light[1:-1, 1:-1] - around / 4.0))


def test_fog_lowers_far_contrast_more_than_near() -> None:
    clear, foggy = (grey(shot(twin(fog=share))) for share in (0.0, 0.5))
    far, near = (slice(int(0.55 * 360), int(WATERLINE * 360)), slice(330, 360))

    def left(rows: slice) -> float:
        after, before = (picture[rows].std() / picture[rows].mean() for picture in (foggy, clear))
        return float(after / before)

    assert left(far) < 0.5
    assert left(near) > 0.8
    assert shot(twin(fog=0.5)).view.scene_ev == pytest.approx(shot(twin()).view.scene_ev, abs=0.05)


def test_dew_lowers_sharpness_everywhere() -> None:
    dry, dewy = (grey(shot(twin(dew=share))) for share in (0.0, 0.6))
    for top in range(0, 360, 90):
        for left in range(0, 640, 160):
            tile = (slice(top, top + 90), slice(left, left + 160))
            assert figure(dewy[tile]) < 0.5 * figure(dry[tile])
    assert dewy.mean() == pytest.approx(dry.mean(), rel=0.01)


def test_pictures_are_sharpest_where_the_truth_says_infinity_is() -> None:
    camera = twin(dioptre_per_c=0.02, drift_dioptre=0.1)
    for at in (NOON, PLACE.evening(SUMMER, 5.0)):
        infinity = camera.truth(at).injected.infinity_dioptre
        steps = np.arange(-4, 5) * 0.1
        figures = [figure(shot(camera, at, infinity + step).planes[1]) for step in steps]
        assert int(np.argmax(figures)) == 4
        assert figures[0] < 0.2 * figures[4]


def test_infinity_moves_with_the_warmth_that_follows_the_sun() -> None:
    camera = twin(dioptre_per_c=0.01)
    hours = [NOON + timedelta(hours=hour) for hour in range(24)]
    truths = [camera.truth(at).injected for at in hours]
    warmest = max(range(24), key=lambda hour: truths[hour].sensor_temperature_c)
    assert warmest == 2
    for truth in truths:
        moved = 0.01 * (truth.sensor_temperature_c - 25.0)
        assert truth.infinity_dioptre == pytest.approx(INFINITY_DIOPTRE + moved)
        assert 0 < truth.sensor_temperature_c < 50
    assert truths[2].sensor_temperature_c == sensor_temperature_c(PLACE, hours[2])


def test_faults_come_and_go_when_they_are_told_to() -> None:
    camera = twin(fog=0.5, droplets=3, drift_dioptre=1.0, since=NOON, until=NOON + timedelta(hours=1))
    moments = (NOON - timedelta(seconds=1), NOON, NOON + timedelta(hours=1))
    before, during, after = (camera.truth(at).injected for at in moments)
    assert (during.fog, len(during.droplets), during.infinity_dioptre) == (0.5, 3, INFINITY_DIOPTRE + 1.0)
    for clear in (before, after):
        assert (clear.fog, clear.droplets, clear.infinity_dioptre) == (0.0, (), INFINITY_DIOPTRE)


@given(st.floats(min_value=30, max_value=1e8))
def test_thirds_of_a_stop_are_the_nearest_ones(asked_us: float) -> None:
    delivered = Faults(third_steps=True).exposure_us(asked_us, 1.0)
    assert 3 * log2(delivered) == pytest.approx(round(3 * log2(delivered)), abs=1e-9)
    assert abs(log2(delivered / asked_us)) <= 1 / 6 + 1e-9


@pytest.mark.parametrize(
    ("asked_us", "delivered_us"), [(2e6, 2e6), (5e6, 2.5e6), (10e6, 2.5e6), (6e6, 1.5e6)]
)
def test_long_exposures_are_silently_halved_and_told_as_delivered(
    asked_us: float, delivered_us: float
) -> None:
    night = PLACE.evening(SUMMER, -10.0)
    photograph = twin(halve_above_us=2.5e6).photograph(night, Wish(exposure_us=asked_us, gain=1.0))
    assert photograph.delivered.exposure_us == delivered_us
    honest = twin().photograph(night, Wish(exposure_us=delivered_us, gain=1.0))
    assert np.array_equal(photograph.planes, honest.planes)


def test_a_share_of_the_exposures_is_halved() -> None:
    camera = replace_scene(twin(halve_share=0.25))
    halved = [
        camera.photograph(
            NOON + timedelta(seconds=tick), Wish(exposure_us=1000, gain=1.0)
        ).delivered.exposure_us
        for tick in range(200)
    ]
    assert set(halved) == {500, 1000}
    assert 30 <= halved.count(500) <= 70


def replace_scene(camera: Twin) -> Twin:
    """The same camera with a tiny picture, which is quick."""
    scene = Scene(width=32, height=32, seed=1, place=PLACE)
    return Twin(scene=scene, sensor=camera.sensor, faults=camera.faults)


def test_under_a_clear_sky_the_light_is_that_of_the_sun_alone() -> None:
    scene = Scene(width=96, height=54, seed=1, place=PLACE, weather=Weather(seed=1, clouds=0.0))
    for hour in range(24):
        view = scene.view(NOON + timedelta(hours=hour, minutes=7))
        assert view.cloud_ev == 0.0
        assert view.shadow_ev == pytest.approx(0.0, abs=1e-6)
        assert view.scene_ev == pytest.approx(log2(view.lux), abs=1e-6)
    sky = scene.view(NOON).light[:, :20]
    assert (sky.std(axis=2) / sky.mean(axis=2)).max() < 0.1


def test_half_the_clouds_take_half_the_light() -> None:
    full, half = (Weather(seed=1, clouds=clouds) for clouds in (1.0, 0.5))
    for time_s in range(0, 6000, 100):
        assert half.cloud_ev(time_s) == pytest.approx(0.5 * full.cloud_ev(time_s))


ALL = "shake_px=2.0, droplets=3, fog=0.2, dew=0.2, drift_dioptre=0.1, dioptre_per_c=0.01, halve_share=0.5"
SCRIPT = f"""
import hashlib, sys
from datetime import datetime
from skylapse_bridge.twin.faults import Faults
from skylapse_bridge.twin.scene import Scene
from skylapse_bridge.twin.sensor import SENSORS
from skylapse_bridge.twin.sun import Place
from skylapse_bridge.twin.twin import Twin, Wish
place = Place(latitude_deg=47.0, longitude_deg=8.0)
scene = Scene(width=512, height=288, seed=1, place=place)
twin = Twin(scene=scene, sensor=SENSORS["imx519"], camera="pi/roof", faults=Faults({ALL}))
wish = Wish(exposure_us=300, gain=1.0, focus_dioptre=0.3)
taken = twin.photograph(datetime.fromisoformat(sys.argv[1]), wish)
print(hashlib.sha256(taken.jpeg() + taken.raw(twin.sensor) + repr(taken.injected).encode()).hexdigest())
"""


def test_every_process_takes_the_same_picture() -> None:
    prints = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT, NOON.isoformat()], check=True, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    }
    assert len(prints) == 1
    assert len(prints.pop()) == 65


def test_a_small_picture_is_spoiled_as_the_large_one_is() -> None:
    small = Twin(
        scene=Scene(width=160, height=90, seed=1, place=PLACE),
        sensor=SENSORS["imx519"],
        faults=Faults(shake_px=8.0, droplets=4),
        full_width=640,
    )
    large = twin(shake_px=8.0, droplets=4)
    assert small.truth(NOON).injected == large.truth(NOON).injected
    shrunk = grey(shot(large)).reshape(90, 4, 160, 4).mean(axis=(1, 3))
    unspoiled = Twin(scene=small.scene, sensor=small.sensor)
    alike, less = (np.corrcoef(shrunk.ravel(), grey(shot(one)).ravel())[0, 1] for one in (small, unspoiled))
    assert alike > 0.93
    assert alike > less + 0.1


def test_nothing_wrong_changes_nothing() -> None:
    plain = shot(Twin(scene=SCENE, sensor=SENSORS["imx519"]))
    assert np.array_equal(plain.light, plain.view.light)
    assert replace(plain.injected, sensor_temperature_c=0.0) == replace(
        twin().truth(NOON).injected, sensor_temperature_c=0.0
    )
