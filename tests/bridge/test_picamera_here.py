"""The driver of the Raspberry Pi's cameras without picamera2: options are checked, the lack is told."""

from typing import Any

import pytest
import voluptuous as vol

from skylapse_bridge.camera.discovery import discover
from skylapse_bridge.camera.factory import CameraConfig, driver_options, make_camera
from skylapse_bridge.clock import RealClock
from skylapse_bridge.errors import CameraError, CameraLostError


def test_without_picamera2_the_way_to_it_is_told() -> None:
    camera = make_camera("roof", CameraConfig(id="west", name="West", driver="picamera"), RealClock())
    with pytest.raises(CameraError, match=r"apt install python3-picamera2.*--system-site-packages"):
        camera.start()
    with pytest.raises(CameraLostError, match="not started"):
        camera.capabilities()
    camera.stop()
    told = [found.problem or "" for found in discover() if found.driver == "picamera"]
    assert len(told) == 1
    assert "apt install python3-picamera2" in told[0]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"camera": 1, "hflip": True, "vflip": True, "raw": False},
        {"sensor": "imx519", "width": 1920, "height": 1080, "focus": 0.5, "tuning_file": "mine.json"},
    ],
)
def test_options_that_make_sense(options: dict[str, Any]) -> None:
    checked = vol.Schema(driver_options("picamera"))(options)
    assert checked == {"hflip": False, "vflip": False, "raw": True} | options


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"camera": 0, "sensor": "imx519"}, "two or more"),
        ({"camera": -1}, "at least 0"),
        ({"width": 1920}, "some but not all"),
        ({"width": 0, "height": 0}, "at least 64"),
        ({"focus": "far"}, "expected float"),
        ({"hflip": "yes"}, "expected bool"),
        ({"sensor": ""}, "length"),
        ({"zoom": 2}, "extra keys"),
    ],
)
def test_options_that_make_none(options: dict[str, Any], why: str) -> None:
    with pytest.raises(vol.Invalid, match=why):
        vol.Schema(driver_options("picamera"))(options)
