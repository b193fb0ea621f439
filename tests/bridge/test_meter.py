"""Metering: known light in, the same light out."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_bridge.camera.port import LuxReference, SmallFrame
from skylapse_bridge.meter import F2_REFERENCE, MID_GREY, log2_exposure_for, lux_of, measure
from skylapse_protocol.snapshot import Metering, Region
from skylapse_protocol.tone import CURVES, FULL_SCALE, encode

from .made import START

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
