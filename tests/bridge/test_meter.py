"""Metering: known light in, the same light out."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_bridge.aiming import Purpose
from skylapse_bridge.camera.factory import CameraIdentity
from skylapse_bridge.camera.port import LuxReference, SmallFrame
from skylapse_bridge.camera.twin import make_camera
from skylapse_bridge.exposure import ExposureState
from skylapse_bridge.meter import (
    F2_REFERENCE,
    LUX_AT_EV_0,
    log2_exposure_for,
    lux_of,
    measure,
    reading,
)
from skylapse_bridge.shooting import Shooter
from skylapse_bridge.twin.scene import Scene
from skylapse_bridge.twin.sun import Place
from skylapse_bridge.twin.weather import Weather
from skylapse_bridge.worker import Worker
from skylapse_protocol.snapshot import MID_GREY, Metering, Region
from skylapse_protocol.tone import CURVES, FULL_SCALE, encode

from .made import START, HandClock, profile, window

IMX519 = LuxReference(exposure_us=13_841, gain=2.0, lux=900.0, level=12_064.0)


def frame(linear: float, *, curve: str = "srgb", **facts: object) -> SmallFrame:
    """An even picture of this linear light."""
    code = round(encode(CURVES[curve], linear * FULL_SCALE) / 257)
    size = {"width": 20, "height": 16}
    return SmallFrame(**size, rgb=bytes([code] * 3 * 20 * 16), tone_curve=curve, **facts)  # type: ignore[arg-type]


def split_frame() -> SmallFrame:
    """Black on the left, white on the right."""
    row = bytes([0] * 3 * 10 + [255] * 3 * 10)
    return SmallFrame(width=20, height=16, rgb=row * 16)


@pytest.mark.parametrize("curve", ["srgb", "imx519"])
@pytest.mark.parametrize("linear", [0.02, 0.18, 0.6])
def test_linear_light_comes_out_as_it_went_in(curve: str, linear: float) -> None:
    light = measure(frame(linear, curve=curve), Metering(mode="matrix"), START)
    assert light.mean_linear == pytest.approx(linear, rel=0.05)


def test_the_reference_measures_its_own_light() -> None:
    linear = IMX519.level / FULL_SCALE
    shown = frame(linear, curve="imx519", exposure_us=13_841, gain=2.0, lux_reference=IMX519)
    light = measure(shown, Metering(mode="matrix"), START)
    assert light.lux == pytest.approx(900, rel=0.03)
    assert light.scene_ev == pytest.approx(math.log2(900 / 2.5), abs=0.05)


@given(scene_ev=st.floats(-5, 16), ev=st.floats(-3, 3))
def test_the_suggested_exposure_shows_the_scene_as_wanted(scene_ev: float, ev: float) -> None:
    exposure = 2.0 ** log2_exposure_for(scene_ev, ev, IMX519)
    mean = MID_GREY * 2.0**ev
    assert lux_of(mean, exposure, IMX519) == pytest.approx(2.5 * 2.0**scene_ev, rel=1e-9)


def test_f2_follows_the_exposure_formula() -> None:
    exposure_us = 2.0 ** log2_exposure_for(12.0, 0.0, F2_REFERENCE)
    assert math.log2(4 / (exposure_us / 1e6)) == pytest.approx(12.0, abs=0.01)


def test_an_unknown_exposure_leaves_the_light_unknown() -> None:
    light = measure(frame(0.18), Metering(mode="matrix"), START)
    assert (light.lux, light.scene_ev) == (None, None)


def test_modes_look_at_different_parts() -> None:
    left = Metering(mode="regions", regions=(Region(left=0, top=0, right=0.4, bottom=1),))
    right = Metering(mode="regions", regions=(Region(left=0.6, top=0, right=1, bottom=1),))
    assert measure(split_frame(), left, START).mean_linear == 0
    assert measure(split_frame(), right, START).mean_linear == pytest.approx(1.0)
    for mode in ("centre", "spot", "matrix"):
        light = measure(split_frame(), Metering(mode=mode), START)
        assert light.mean_linear == pytest.approx(0.5, abs=0.01)


def test_clipped_shares_are_told() -> None:
    light = measure(split_frame(), Metering(mode="matrix"), START)
    assert (light.clipped_low, light.clipped_high) == (0.5, 0.5)
    assert light.too_bright


def test_a_spot_smaller_than_a_pixel_still_meters() -> None:
    tiny = SmallFrame(width=2, height=2, rgb=bytes([255] * 12))
    assert measure(tiny, Metering(mode="spot"), START).mean_linear == pytest.approx(1.0)


def test_a_region_counts_as_much_as_its_weight() -> None:
    regions = (
        Region(left=0, top=0, right=0.5, bottom=1, weight=3.0),
        Region(left=0.5, top=0, right=1, bottom=1, weight=1.0),
    )
    light = measure(split_frame(), Metering(mode="regions", regions=regions), START)
    assert light.mean_linear == pytest.approx(0.25)


def test_where_regions_overlap_their_weights_add_up() -> None:
    whole = Region(left=0, top=0, right=1, bottom=1)
    white = Region(left=0.5, top=0, right=1, bottom=1, weight=2.0)
    light = measure(split_frame(), Metering(mode="regions", regions=(whole, white)), START)
    assert light.mean_linear == pytest.approx(0.75)


def test_regions_that_hold_no_pixel_leave_the_whole_picture() -> None:
    for regions in ((), (Region(left=0.001, top=0.001, right=0.002, bottom=0.002),)):
        light = measure(split_frame(), Metering(mode="regions", regions=regions), START)
        assert light.mean_linear == pytest.approx(0.5)


@given(
    left=st.floats(0, 0.9),
    top=st.floats(0, 0.9),
    width=st.floats(0.1, 1),
    height=st.floats(0.1, 1),
    weight=st.floats(0.01, 100),
)
def test_an_even_picture_measures_the_same_through_any_region(
    left: float, top: float, width: float, height: float, weight: float
) -> None:
    region = Region(
        left=left, top=top, right=min(left + width, 1), bottom=min(top + height, 1), weight=weight
    )
    drawn = measure(frame(0.18), Metering(mode="regions", regions=(region,)), START)
    whole = measure(frame(0.18), Metering(mode="matrix"), START)
    assert drawn.mean_linear == pytest.approx(whole.mean_linear)


def test_a_light_in_the_middle_counts_by_mode() -> None:
    rows = [[0] * 3 * 20 for _ in range(20)]
    for row in range(8, 12):
        rows[row][3 * 8 : 3 * 12] = [255] * 12
    shown = SmallFrame(width=20, height=20, rgb=bytes(value for row in rows for value in row))
    spot, centre, matrix = (
        measure(shown, Metering(mode=mode), START).mean_linear for mode in ("spot", "centre", "matrix")
    )
    assert spot == pytest.approx(1.0)
    assert spot > centre > matrix == pytest.approx(0.04)


def ramp_frame(exposure: float) -> SmallFrame:
    """Half as many pixels for each stop of brightness, from 0.02 × `exposure` up, as far as white."""
    linear = [0.02 * exposure / (1.0 - place / 2000) for place in range(2000)]
    codes = [round(encode(CURVES["srgb"], min(one, 1.0) * FULL_SCALE) / 257) for one in linear]
    return SmallFrame(width=50, height=40, rgb=bytes(code for code in codes for _ in range(3)))


@pytest.mark.parametrize("share", [0.01, 0.02, 0.1])
def test_highlights_stand_as_far_above_the_mean_at_any_exposure(share: float) -> None:
    for exposure in (0.05, 0.2, 0.5, 1.0):
        light = measure(ramp_frame(exposure), Metering(mode="matrix"), START, share)
        above_white = light.highlight_ev + math.log2(light.mean_linear)
        assert above_white == pytest.approx(math.log2(exposure * 0.02 / share), abs=0.08)


def test_of_clipped_highlights_no_more_than_a_stop_is_told() -> None:
    light = measure(ramp_frame(10.0), Metering(mode="matrix"), START)
    assert light.highlight_ev + math.log2(light.mean_linear) == pytest.approx(1.0)
    white = measure(frame(1.0), Metering(mode="matrix"), START)
    assert white.highlight_ev == pytest.approx(1.0)


@pytest.mark.parametrize("share", [0.0, 0.02, 1.0, 1e300])
def test_an_even_picture_has_no_highlights(share: float) -> None:
    for linear in (0.0, 0.02, 0.18, 0.6):
        light = measure(frame(linear), Metering(mode="matrix"), START, share)
        assert light.highlight_ev == pytest.approx(0.0, abs=0.05)


def test_a_black_picture_is_measured_as_the_least_light() -> None:
    black = SmallFrame(width=20, height=16, rgb=bytes(3 * 20 * 16), exposure_us=10_000, gain=1.0)
    light = measure(black, Metering(mode="matrix"), START)
    assert light.too_dark
    assert not light.too_bright
    assert light.clipped_low == 1.0
    assert light.lux == pytest.approx(1e-6)


def test_a_curve_that_nobody_knows_is_read_as_srgb() -> None:
    unknown = SmallFrame(width=20, height=16, rgb=frame(0.18).rgb, tone_curve="of-tomorrow")
    light = measure(unknown, Metering(mode="matrix"), START)
    assert light.mean_linear == pytest.approx(0.18, rel=0.05)


def test_a_reading_tells_what_was_measured_and_what_is_suggested() -> None:
    light = measure(frame(0.18, exposure_us=10_000, gain=1.0), Metering(mode="matrix"), START)
    message = reading(light, 9_000, 1.5)
    assert (message.at, message.lux, message.mean_linear) == (START, light.lux, light.mean_linear)
    assert (message.suggested_exposure_us, message.suggested_gain) == (9_000, 1.5)
    assert message.lux == pytest.approx(1000, rel=0.05)


@pytest.mark.parametrize(("hours", "log2_exposure"), [(0.0, 27.5), (0.0, 6.7), (3.0, 6.7)])
async def test_light_far_off_the_exposure_in_force_is_metered_anew(
    hours: float, log2_exposure: float
) -> None:
    """By day with the longest exposure and the shortest, by night with the shortest."""
    at = START + timedelta(hours=hours)
    identity = CameraIdentity(bridge="roof", id="west", name="west")
    camera = make_camera(identity, {"width": 96, "height": 64, "clouds": 0.0}, HandClock(at))
    shooter = Shooter(camera, Worker("test"), HandClock(at), bridge="roof", boot_id="b")
    await shooter.start()
    shooter.exposures = {"f": ExposureState(at=at - timedelta(seconds=15), log2_exposure=log2_exposure)}
    scene = Scene(width=96, height=64, seed=1, place=Place(), weather=Weather(seed=1, clouds=0.0))
    purpose = Purpose(at=at, profile=profile(), window=window(start=START, minutes=300))
    aim = await shooter.aim(purpose, None)
    await shooter.stop()
    assert aim.light.scene_ev == pytest.approx(scene.view(at).scene_ev - math.log2(LUX_AT_EV_0), abs=0.3)
    assert not aim.light.too_bright


async def test_the_first_exposure_is_decided_by_a_picture_that_is_hardly_clipped() -> None:
    """A low sun in a northern winter clips a tenth of a picture with the exposure that is tried first."""
    at = datetime(2026, 12, 21, 12, tzinfo=UTC)
    identity = CameraIdentity(bridge="roof", id="west", name="west")
    options = {"width": 96, "height": 54, "latitude": 60.0, "clouds": 0.0}
    clock = HandClock(at)
    shooter = Shooter(
        make_camera(identity, options, clock), Worker("test"), clock, bridge="roof", boot_id="b"
    )
    await shooter.start()
    exposures = []
    for tick in range(4):
        purpose = Purpose(at=at + tick * timedelta(seconds=15), profile=profile(), window=window(start=at))
        aim = await shooter.aim(purpose, None)
        await shooter.shoot(aim)
        assert aim.settings.exposure_us is not None
        exposures.append(math.log2(aim.settings.exposure_us))
    await shooter.stop()
    assert max(exposures) - min(exposures) <= 0.03
