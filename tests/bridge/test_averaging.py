"""Averages of exposures: in linear light, exact where nothing moved, small."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_bridge.camera.averaging import Averager, Pixels
from skylapse_bridge.errors import CameraError
from skylapse_protocol.tone import CURVES, decode, encode

CURVE_IDS = [None, *CURVES]
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)


def grey(code: int) -> Pixels:
    """A picture of one brightness."""
    return np.full((3, 5, 3), code, np.uint8)


@pytest.mark.parametrize("curve", CURVE_IDS)
@pytest.mark.parametrize("exposures", [1, 2, 7, 64])
def test_the_mean_of_equal_pictures_is_the_picture(curve: str | None, exposures: int) -> None:
    averager = Averager(curve)
    for _ in range(exposures):
        averager.add(RAMP)
    assert averager.count == exposures
    assert (averager.mean() == RAMP).all()


@given(curve=st.sampled_from(CURVE_IDS), codes=st.lists(st.integers(0, 255), min_size=1, max_size=64))
def test_the_mean_is_that_of_the_light_not_of_the_numbers(curve: str | None, codes: list[int]) -> None:
    averager = Averager(curve)
    for code in codes:
        averager.add(grey(code))
    points = CURVES[curve or "srgb"]
    light = sum(decode(points, 257.0 * code) for code in codes) / len(codes)
    assert averager.mean()[0, 0, 0] == pytest.approx(encode(points, light) / 257, abs=0.56)


def test_a_light_that_passes_through_half_of_the_time_is_half_as_bright_in_srgb() -> None:
    averager = Averager("srgb")
    averager.add(grey(0))
    averager.add(grey(255))
    assert int(averager.mean()[0, 0, 0]) == 188


def test_a_picture_of_another_size_and_none_at_all_are_told() -> None:
    averager = Averager(None)
    with pytest.raises(CameraError, match="no exposure"):
        averager.mean()
    averager.add(grey(1))
    with pytest.raises(CameraError, match="16×16 and 5×3"):
        averager.add(RAMP)
    assert averager.count == 1


def test_sixteen_megapixels_are_averaged_within_a_bound() -> None:
    program = (
        "import numpy, pathlib\n"
        "from skylapse_bridge.camera.averaging import Averager\n"
        "def peak_kib():\n"
        "    words = pathlib.Path('/proc/self/status').read_text().split()\n"
        "    return int(words[words.index('VmHWM:') + 1])\n"
        "picture = numpy.full((3496, 4656, 3), 90, numpy.uint8)\n"
        "averager = Averager('imx519')\n"
        "before = peak_kib()\n"
        "for _ in range(3): averager.add(picture)\n"
        "assert (averager.mean() == picture).all()\n"
        "print(peak_kib() - before)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    sums, mean, room = 4656 * 3496 * 12, 4656 * 3496 * 3, 64 * 2**20
    assert int(ended.stdout) * 1024 <= sums + mean + room
