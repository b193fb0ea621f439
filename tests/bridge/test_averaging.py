"""Averages of exposures: in linear light, exact where nothing moved, small."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_bridge.camera.averaging import Averager, Pixels, require_memory
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


def test_bands_are_added_as_the_picture_that_they_are_of() -> None:
    averager = Averager(None)
    averager.add(RAMP)
    averager.add_bands([RAMP[:6], RAMP[6:]], (16, 16))
    assert averager.count == 2
    assert (averager.mean() == RAMP).all()
    assert averager.count == 0
    averager.add(grey(7))
    assert (averager.mean() == 7).all(), "a mean ends with its own exposures"


def test_a_picture_of_many_bands_keeps_its_rows() -> None:
    picture = np.random.default_rng(3).integers(0, 256, (300, 7, 3), np.uint8)
    averager = Averager("imx519")
    for _ in range(2):
        averager.add(picture)
    assert (averager.mean() == picture).all()


@pytest.mark.parametrize(("size", "reaches"), [((1920, 1080), True), ((4656, 3496), False)])
def test_an_average_takes_no_more_than_a_share_of_the_free_memory(
    size: tuple[int, int], *, reaches: bool, tmp_path: Path
) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  948012 kB\nMemFree:   51200 kB\nMemAvailable:  409600 kB\n")
    if reaches:
        require_memory(size, meminfo)
    else:
        with pytest.raises(CameraError, match=r"4656×3496 takes 260 MB .* 60% of the 419 MB that are free"):
            require_memory(size, meminfo)


@pytest.mark.parametrize("words", [None, "", "MemTotal: 948012 kB\n", "nonsense"])
def test_a_system_that_does_not_tell_its_memory_is_not_refused(words: str | None, tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemAvailable: 1024 kB\n")
    with pytest.raises(CameraError, match="9248×6944"):
        require_memory((9248, 6944), meminfo)
    if words is None:
        meminfo.unlink()
    else:
        meminfo.write_text(words)
    require_memory((9248, 6944), meminfo)


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
        "mean = averager.mean()\n"
        "print(peak_kib() - before)\n"
        "assert (mean == picture).all()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    sums, room = 4656 * 3496 * 12, 32 * 2**20
    assert int(ended.stdout) * 1024 <= sums + room
