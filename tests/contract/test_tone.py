"""Tone curves: rising, reversible, and equal to the published figures."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_protocol.tone import CURVES, FULL_SCALE, decode, encode

IDS = ["srgb", "imx219", "imx477", "imx519", "imx708"]


def test_the_known_curves() -> None:
    assert list(CURVES) == IDS


@pytest.mark.parametrize("name", IDS)
def test_a_curve_rises_from_black_to_white(name: str) -> None:
    curve = CURVES[name]
    assert (curve[0], curve[-1]) == ((0, 0), (FULL_SCALE, FULL_SCALE))
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(curve))


@given(st.sampled_from(IDS), st.floats(min_value=0, max_value=FULL_SCALE))
def test_decode_undoes_encode(name: str, linear: float) -> None:
    curve = CURVES[name]
    assert decode(curve, encode(curve, linear)) == pytest.approx(linear, abs=1e-6)


@given(st.sampled_from(IDS), st.floats(min_value=-1e6, max_value=1e6))
def test_values_outside_are_clipped(name: str, value: float) -> None:
    curve = CURVES[name]
    assert 0 <= encode(curve, value) <= FULL_SCALE
    assert 0 <= decode(curve, value) <= FULL_SCALE


@pytest.mark.parametrize(
    ("name", "linear", "encoded"),
    [
        ("srgb", 0.18 * FULL_SCALE, 0.4614 * FULL_SCALE),
        ("srgb", 0.5 * FULL_SCALE, 0.7354 * FULL_SCALE),
        ("imx519", 8192, 25744),
        ("imx519", 16384, 40642),
        ("imx708", 512, 2520),
    ],
)
def test_published_figures(name: str, linear: float, encoded: float) -> None:
    assert encode(CURVES[name], linear) == pytest.approx(encoded, rel=1e-3)


@pytest.mark.parametrize("code", [0, 1, 10, 11, 128, 254, 255])
def test_srgb_is_exact_at_every_eight_bit_value(code: int) -> None:
    share = code / 255
    linear = share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
    assert decode(CURVES["srgb"], 257 * code) == pytest.approx(FULL_SCALE * linear)
