"""The driver photographs what the camera sees, in real libcamera, and is honest about what it cannot do."""

import errno
import importlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from skylapse_bridge.camera.discovery import discover, probe
from skylapse_bridge.camera.picamera import found
from skylapse_bridge.camera.port import (
    PREVIEW_BYTES,
    PREVIEW_SIDE_PX,
    SMALL_SIDE_PX,
    CaptureSettings,
    LuxReference,
)
from skylapse_bridge.errors import CameraError, CameraLostError, UnsupportedError
from skylapse_protocol.tone import CURVES, decode, encode
from tests.bridge.acted_picamera import ActedPicamera
from tests.bridge.tuning_files import IMX519
from tests.support.tree import ROOT
from tools.libcamera_rig.rig import VirtualCamera, furnish

from .conftest import SIZE, Open, as_jpeg, landscape, pixels


def settings(**wishes: object) -> CaptureSettings:
    """Settings of this moment."""
    return CaptureSettings(at=datetime.now(UTC), **wishes)  # type: ignore[arg-type]


@pytest.mark.usefixtures("one_camera")
def test_a_picture_is_the_one_that_the_camera_sees(opened: Open) -> None:
    frame = opened().capture(settings(jpeg_quality=95))
    assert (frame.width, frame.height) == SIZE
    assert Image.open(BytesIO(frame.jpeg)).size == SIZE
    off = np.abs(pixels(frame.jpeg) - landscape(0))
    assert off.mean() < 1.5
    assert off.max() <= 8


@pytest.mark.usefixtures("one_camera")
def test_the_exposure_begins_after_the_call_and_its_moment_is_on_the_bridges_clock(opened: Open) -> None:
    camera = opened()
    called = [datetime.now(UTC)]
    frames = []
    for _ in range(20):
        frames.append(camera.capture(settings()))
        called.append(datetime.now(UTC))
    for frame, (before, after) in zip(frames, pairwise(called), strict=True):
        # Two clocks are read one after the other: a microsecond's rounding on each.
        assert before - timedelta(microseconds=100) <= frame.captured_at <= after
    assert all(one.monotonic_ns < other.monotonic_ns for one, other in pairwise(frames))
    assert all(frame.jpeg == frames[0].jpeg for frame in frames)


@pytest.mark.usefixtures("one_camera")
def test_a_camera_without_controls_claims_none(opened: Open) -> None:
    camera = opened()
    info = camera.capabilities()
    assert (info.driver, info.model, info.sensor) == ("picamera", "imx519", "imx519")
    assert (info.width, info.height) == SIZE
    abilities = (info.controls_exposure, info.controls_colour, info.brackets, info.focus, info.raw)
    assert not any(abilities)
    assert (info.min_exposure_us, info.max_exposure_us, info.min_gain, info.max_gain) == (None,) * 4
    frame = camera.capture(settings(exposure_us=1000, gain=2.0, colour_temperature_k=5000, raw=True))
    assert (frame.exposure_us, frame.analogue_gain, frame.colour_gains, frame.lux) == (None,) * 4
    assert (frame.raw, frame.tone_curve, frame.focus_dioptre) == (None, None, None)
    with pytest.raises(UnsupportedError, match="does not move"):
        camera.focus(0.5)
    with pytest.raises(UnsupportedError, match="does not move"):
        camera.focus_figure(settings())


@pytest.mark.usefixtures("one_camera")
def test_metering_shows_single_pixels_of_the_large_picture(opened: Open) -> None:
    small = opened().meter(settings())
    assert max(small.width, small.height) == SMALL_SIDE_PX
    seen = np.frombuffer(small.rgb, np.uint8).reshape(small.height, small.width, 3).astype(np.int16)
    rows = (2 * np.arange(small.height) + 1) * SIZE[1] // (2 * small.height)
    columns = (2 * np.arange(small.width) + 1) * SIZE[0] // (2 * small.width)
    assert np.abs(seen - landscape(0)[rows][:, columns]).max() <= 8
    assert (small.tone_curve, small.exposure_us, small.gain) == ("srgb", None, None)
    assert small.seen_at is not None
    assert abs(small.seen_at - datetime.now(UTC)) < timedelta(seconds=10)


class OlderPicamera(ActedPicamera):
    """One that knows no argument `sensor`, as in Debian 11."""

    def create_still_configuration(self, **parts: Any) -> dict[str, Any]:
        """Return what was asked for; raise TypeError where `sensor` was."""
        if "sensor" in parts:
            raise TypeError("create_still_configuration() got an unexpected keyword argument 'sensor'")
        return parts


@pytest.mark.parametrize("raw", [True, False])
def test_the_sensor_is_read_in_full_whatever_the_size_of_the_pictures(opened: Open, *, raw: bool) -> None:
    camera = opened(start=False, width=640, height=480, raw=raw)
    acted = ActedPicamera(size=(4656, 3496))
    asked = camera._configuration(acted, raw=raw)
    assert asked["main"]["size"] == (640, 480)
    assert asked["sensor"] == {"output_size": (4656, 3496), "bit_depth": 10}
    assert asked["raw"] == ({"size": (4656, 3496)} if raw else None)
    acted.sensor_format = "BGGR_PISP_COMP1"
    assert camera._configuration(acted, raw=raw)["sensor"] == {"output_size": (4656, 3496)}
    assert "sensor" not in camera._configuration(OlderPicamera(), raw=raw)


@pytest.mark.usefixtures("one_camera")
def test_a_camera_that_memory_does_not_reach_for_says_what_to_do(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = opened(start=False)
    library = importlib.import_module("picamera2.picamera2").Picamera2
    tried: list[Any] = []

    def fail(_picamera: Any, configuration: Any) -> None:
        tried.append(configuration)
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    with monkeypatch.context() as short:
        short.setattr(library, "configure", fail)
        with pytest.raises(CameraError, match=r"does not reach; photograph smaller .*cma-256") as told:
            camera.start()
    assert not isinstance(told.value, CameraLostError)
    assert len(tried) == 2, "with raw pictures and without"
    camera.start()
    assert camera.capture(settings()).width == SIZE[0]


@pytest.mark.usefixtures("one_camera")
def test_a_preview_is_small_and_shows_the_same(opened: Open) -> None:
    preview = opened().preview()
    assert len(preview) <= PREVIEW_BYTES
    image = Image.open(BytesIO(preview))
    assert max(image.size) == PREVIEW_SIDE_PX
    expected = Image.fromarray(landscape(0)).resize(image.size, Image.Resampling.BILINEAR)
    assert np.abs(pixels(preview) - np.asarray(expected)).mean() < 3.0


@pytest.mark.usefixtures("one_camera")
def test_quality_is_obeyed(opened: Open) -> None:
    camera = opened()
    coarse, fine = (camera.capture(settings(jpeg_quality=quality)).jpeg for quality in (30, 95))
    assert len(coarse) < len(fine) / 2


@pytest.mark.usefixtures("one_camera")
def test_a_tuning_file_of_ones_own_gives_tone_curve_and_lux_reference(opened: Open, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(IMX519))
    camera = opened(tuning_file=str(file))
    small = camera.meter(settings())
    assert small.tone_curve == "imx519"
    assert small.lux_reference == LuxReference(exposure_us=13841, gain=2.0, lux=900.0, level=12064.0)
    assert camera.capture(settings()).tone_curve == "imx519"


@pytest.mark.usefixtures("one_camera")
def test_a_tuning_file_that_is_none_is_told(opened: Open, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text('{"version": 2.0, "algorithms": 7}')
    with pytest.raises(CameraError, match=r"mine\.json cannot be used"):
        opened(tuning_file=str(file))
    with pytest.raises(CameraError, match=r"nowhere\.json cannot be used"):
        opened(tuning_file="nowhere.json")


def test_an_average_is_the_mean_in_linear_light(opened: Open, tmp_path: Path) -> None:
    levels = (40, 200)
    pictures = [as_jpeg(np.full((SIZE[1], SIZE[0], 3), level, np.uint8)) for level in levels]
    furnish(tmp_path / "rig", {"Virtual0": VirtualCamera(model="imx519", pictures=pictures, size=SIZE)})
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(IMX519))
    camera = opened(tuning_file=str(file))
    before = datetime.now(UTC)
    frame = camera.capture(settings(average=8, over_s=0.8))
    assert frame.averaged == 8
    assert datetime.now(UTC) - before >= timedelta(seconds=0.7)
    curve = CURVES["imx519"]
    dark, bright = (decode(curve, 257.0 * level) for level in levels)
    possible = [encode(curve, (n * dark + (8 - n) * bright) / 8) / 257 for n in range(9)]
    level = pixels(frame.jpeg).mean()
    assert min(abs(level - mean) for mean in possible) <= 1.0
    assert np.ptp(pixels(frame.jpeg)) <= 3


def test_cameras_are_found_and_chosen_by_number_or_sensor(opened: Open, tmp_path: Path) -> None:
    rig = {
        "Virtual0": VirtualCamera(model="imx519", pictures=[as_jpeg(landscape(0))], size=SIZE),
        "Virtual1": VirtualCamera(model="imx708_wide", pictures=[as_jpeg(landscape(2))], size=(640, 480)),
    }
    furnish(tmp_path / "rig", rig)
    there = {camera.name: camera for camera in found()}
    assert set(there) == {"imx519", "imx708_wide"}
    assert {camera.address for camera in there.values()} == set(rig)
    listed = [camera for camera in discover() if camera.driver == "picamera"]
    assert listed == found()
    for model, camera in there.items():
        info = probe(camera)
        assert (info.model, (info.width, info.height)) == (model, rig[camera.address].size)
    wide = opened(sensor="imx708")
    assert wide.capabilities().sensor == "imx708"
    assert np.abs(pixels(wide.capture(settings()).jpeg) - landscape(2, SIZE)[:480, :640]).shape == (
        480,
        640,
        3,
    )
    wide.stop()
    with pytest.raises(CameraLostError, match=r"no camera with number 5; there are: 0: imx\d+"):
        opened(camera=5)
    with pytest.raises(CameraLostError, match="no camera with sensor imx477"):
        opened(sensor="imx477")


def test_two_cameras_photograph_side_by_side(opened: Open, tmp_path: Path) -> None:
    rig = {
        f"Virtual{number}": VirtualCamera(model=model, pictures=[as_jpeg(landscape(number))], size=SIZE)
        for number, model in enumerate(("imx519", "imx477"))
    }
    furnish(tmp_path / "rig", rig)
    cameras = [opened(sensor=model) for model in ("imx519", "imx477")]
    for _ in range(3):
        for number, camera in enumerate(cameras):
            off = np.abs(pixels(camera.capture(settings()).jpeg) - landscape(number))
            assert off.mean() < 1.5
    cameras[0].stop()
    assert cameras[1].capture(settings()).sensor == "imx477"


WITHOUT_A_CAMERA = """
from skylapse_bridge.camera.factory import CameraConfig, make_camera
from skylapse_bridge.camera.picamera import found
from skylapse_bridge.clock import RealClock
from tools.libcamera_rig.rig import adapt

adapt()
print(found())
make_camera("roof", CameraConfig(id="west", name="West", driver="picamera"), RealClock()).start()
"""


def test_a_machine_without_a_camera_says_so() -> None:
    # A process of its own: libcamera's virtual pipeline never looks again where it found nothing once.
    bare = {name: value for name, value in os.environ.items() if name != "SKYLAPSE_RIG"}
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_CAMERA],
        capture_output=True,
        text=True,
        check=False,
        env=bare,
        cwd=ROOT,
    )
    assert ended.stdout.splitlines() == ["[]"]
    assert "CameraLostError: libcamera sees no camera with number 0; there are: none" in ended.stderr


def test_a_camera_that_was_exchanged_is_seen_at_the_next_start(opened: Open, tmp_path: Path) -> None:
    for number, model in enumerate(("imx519", "imx477")):
        pictures = [as_jpeg(landscape(number))]
        furnish(tmp_path / model, {"Virtual0": VirtualCamera(model=model, pictures=pictures, size=SIZE)})
        camera = opened()
        assert camera.capabilities().sensor == model
        assert np.abs(pixels(camera.capture(settings()).jpeg) - landscape(number)).mean() < 1.5
        camera.stop()
