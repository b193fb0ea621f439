"""Tuning files: the tone curve stands still and is known, the sensor's facts are read, the rest is kept."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_bridge.camera.port import LuxReference
from skylapse_bridge.camera.tuning import colour_gains, read_tuning
from skylapse_protocol.tone import CURVES

from .tuning_files import IMX519, IMX708_ON_A_PI_5


def contrast(data: Any) -> dict[str, Any]:
    """The settings of the tone curve in a tuning file."""
    found: dict[str, Any] = next(one["rpi.contrast"] for one in data["algorithms"] if "rpi.contrast" in one)
    return found


def test_the_tone_curve_of_the_file_is_recognised_and_no_longer_adapts() -> None:
    tuning = read_tuning(IMX519, "imx519")
    assert tuning.tone_curve == "imx519"
    changed = deepcopy(IMX519)
    contrast(changed)["ce_enable"] = 0
    assert tuning.data == changed
    assert contrast(IMX519)["ce_enable"] == 1, "what was handed in is left as it was"


@pytest.mark.parametrize(("sensor", "name"), [("imx708", "imx708"), ("ov5647", "imx477"), (None, "imx477")])
def test_a_tone_curve_that_films_could_not_take_back_is_replaced(sensor: str | None, name: str) -> None:
    tuning = read_tuning(IMX708_ON_A_PI_5, sensor)
    assert tuning.tone_curve == name
    flat = contrast(tuning.data)["gamma_curve"]
    assert tuple(zip(flat[::2], flat[1::2], strict=True)) == CURVES[name]
    assert contrast(tuning.data)["ce_enable"] == 0


def test_the_lux_reference_is_the_boards_own() -> None:
    assert read_tuning(IMX519, "imx519").lux_reference == LuxReference(
        exposure_us=13841, gain=2.0, lux=900.0, level=12064.0
    )
    assert read_tuning(IMX708_ON_A_PI_5, "imx708").lux_reference == LuxReference(
        exposure_us=20716, gain=1.12, lux=810.0, level=13994.0
    )


def test_colour_gains_are_the_inverse_of_the_curve_and_straight_between_its_points() -> None:
    curve = read_tuning(IMX519, "imx519").colour_curve
    assert colour_gains(curve, 5700) == pytest.approx((1 / 0.4467, 1 / 0.6671))
    assert colour_gains(curve, 5100) == pytest.approx((2 / (0.5208 + 0.4467), 2 / (0.5825 + 0.6671)))
    assert colour_gains(curve, 1000) == pytest.approx((1 / 0.7328, 1 / 0.3734))
    assert colour_gains(curve, 20000) == pytest.approx((1 / 0.3858, 1 / 0.7411))
    assert colour_gains((), 5000) is None


def test_the_white_balance_that_is_switched_on_counts() -> None:
    assert read_tuning(IMX708_ON_A_PI_5, "imx708").colour_curve[-1] == (3610.0, 0.6119, 0.4443)


def test_files_of_version_1_are_read_too() -> None:
    old = {name: values for one in IMX519["algorithms"] for name, values in one.items()}
    old["rpi.contrast"] = deepcopy(old["rpi.contrast"])
    tuning = read_tuning(old, "imx519")
    assert (tuning.tone_curve, len(tuning.colour_curve)) == ("imx519", 5)
    assert tuning.data["rpi.contrast"]["ce_enable"] == 0


def test_a_file_without_these_algorithms_says_nothing() -> None:
    tuning = read_tuning({"version": 2.0, "algorithms": []}, "imx519")
    assert (tuning.tone_curve, tuning.lux_reference, tuning.colour_curve) == (None, None, ())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(name=st.sampled_from(["rpi.lux", "rpi.awb", "rpi.contrast"]), value=JSON)
def test_whatever_stands_in_a_file_is_read_or_refused(name: str, value: Any) -> None:
    try:
        tuning = read_tuning({"version": 2.0, "algorithms": [{name: value}]}, "imx519")
    except ValueError:
        return
    assert json.loads(json.dumps(dict(tuning.data))) == tuning.data


@pytest.mark.parametrize(
    "damage",
    [
        {"gamma_curve": [0, 0, 5]},
        {"gamma_curve": "steep"},
        {},
    ],
)
def test_a_damaged_tone_curve_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"tuning file|shorter|could not convert"):
        read_tuning({"version": 2.0, "algorithms": [{"rpi.contrast": {"ce_enable": 1, **damage}}]}, "imx519")
