"""USB cameras. No test machine has one, so the kernel's device is the one thing that is played here.

`Webcam` stands for the door to the kernel (`v4l2_device.Device`) and answers its requests as the kernel does,
byte for byte; how requests are numbered and packed is therefore tested. The film comes out of ffmpeg's own
test source, by the same reader that reads a camera's.
"""

import errno
import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import voluptuous as vol
from PIL import Image

from skylapse_bridge.camera import v4l2, v4l2_device
from skylapse_bridge.camera.auto import AutoCamera
from skylapse_bridge.camera.discovery import Found, discover, probe
from skylapse_bridge.camera.factory import CameraIdentity, driver_options
from skylapse_bridge.camera.port import CaptureSettings
from skylapse_bridge.camera.stream import Film
from skylapse_bridge.camera.v4l2 import UsbCamera, film_of
from skylapse_bridge.camera.v4l2_device import CONTROLS, Range
from skylapse_bridge.clock import RealClock
from skylapse_bridge.errors import CameraError, CameraLostError, UnsupportedError

from .made import START

NAMES = {number: name for name, number in CONTROLS.items()}
IDENTITY = CameraIdentity(bridge="roof", id="desk", name="Desk")
FILM = Film(url="testsrc=size=320x240:rate=30", shown="a test pattern", format="lavfi", stall_s=5.0)


class Webcam:
    """A USB camera as the kernel shows it: requests by the numbers of `videodev2.h` on a 64-bit machine."""

    LIMITS = {  # noqa: RUF012 never changed
        "white_balance_automatic": (0, 1, 1),
        "gain": (0, 255, 1),
        "white_balance_temperature": (2000, 6500, 10),
        "auto_exposure": (0, 3, 1),
        "exposure_time_absolute": (3, 2047, 1),
        "exposure_dynamic_framerate": (0, 1, 1),
        "focus_absolute": (0, 250, 5),
        "focus_automatic_continuous": (0, 1, 1),
    }

    def __init__(self) -> None:
        self.values = {"auto_exposure": 3, "white_balance_automatic": 1, "focus_absolute": 35}
        self.unplugged = False
        self.card = b"HD Webcam C920"
        self.bus = b"usb-0000:01:00.0-1.2"
        self.capabilities = 0x84A00001
        self.own = 0x04200001
        self.open_doors = 0
        self.limits = dict(self.LIMITS)

    def __call__(self, path: str) -> "Webcam":
        """Be opened."""
        if self.unplugged:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        self.open_doors += 1
        return self

    def close(self) -> None:
        """Be closed."""
        self.open_doors -= 1

    def ioctl(self, request: int, data: bytearray) -> None:
        """Answer."""
        if self.unplugged:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        if request == 0x80685600:
            words = (b"uvcvideo", self.card, self.bus, 0x60100, self.capabilities, self.own)
            data[:] = struct.pack("=16s32s32sIII3I", *words, 0, 0, 0)
            return
        name = NAMES[struct.unpack_from("=I", data)[0]]
        if name not in self.limits:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        low, high, step = self.limits[name]
        if request == 0xC0445624:
            data[:] = struct.pack(
                "=II32siiiiI2I", CONTROLS[name], 1, name.encode(), low, high, step, low, 0, 0, 0
            )
        elif request == 0xC008561C:
            self._set(name, struct.unpack("=Ii", data)[1])
        elif request == 0xC008561B:
            data[:] = struct.pack("=Ii", CONTROLS[name], self.values.get(name, low))
        else:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    def _set(self, name: str, value: int) -> None:
        manual = self.values["auto_exposure"] == 1
        if name == "auto_exposure" and value not in {1, 3}:
            raise OSError(errno.ERANGE, os.strerror(errno.ERANGE))
        if name == "exposure_time_absolute":
            if not manual:
                raise OSError(errno.EACCES, os.strerror(errno.EACCES))
            value -= value % 5
        low, high, _ = self.limits[name]
        self.values[name] = min(max(value, low), high)


@pytest.fixture
def webcam(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webcam]:
    """The camera that the kernel has; it is closed in the end."""
    one = Webcam()
    monkeypatch.setattr(v4l2_device, "Device", one)
    monkeypatch.setattr(v4l2, "devices", lambda: ["/dev/video0"])
    yield one
    assert one.open_doors == 0


def options(**given: object) -> dict[str, Any]:
    checked: dict[str, Any] = vol.Schema(driver_options("v4l2"))(given)
    return checked


@pytest.fixture
def started(webcam: Webcam) -> Iterator[UsbCamera]:
    """A camera that is running."""
    assert webcam.open_doors == 0
    camera = UsbCamera(IDENTITY, options(gain_factors=[1, 9]), FILM, RealClock())
    camera.start()
    yield camera
    camera.stop()


def settings(**wanted: Any) -> CaptureSettings:
    return CaptureSettings(at=START, **wanted)


def test_it_says_what_its_controls_can(started: UsbCamera) -> None:
    info = started.capabilities()
    assert (info.model, info.driver, info.width, info.height) == ("HD Webcam C920", "v4l2", 320, 240)
    assert (info.min_exposure_us, info.max_exposure_us) == (300, 204_700)
    assert (info.min_gain, info.max_gain, info.max_dioptre) == (1.0, 9.0, 10.0)
    assert all((info.controls_exposure, info.controls_colour, info.brackets, info.focus))
    assert info.raw is False


def test_what_is_set_is_read_back_and_automatics_are_off(started: UsbCamera, webcam: Webcam) -> None:
    frame = started.capture(
        settings(exposure_us=12_340, gain=5.0, colour_temperature_k=4321, focus_dioptre=4.0)
    )
    assert Image.open(io.BytesIO(frame.jpeg)).size == (320, 240)
    assert (frame.exposure_us, frame.colour_temperature_k, frame.focus_dioptre) == (12_000, 4320, 4.0)
    assert frame.analogue_gain == pytest.approx(5.0, abs=8 / 255)
    assert webcam.values == {
        "auto_exposure": 1,
        "exposure_dynamic_framerate": 1,
        "exposure_time_absolute": 120,
        "gain": 128,
        "white_balance_automatic": 0,
        "white_balance_temperature": 4320,
        "focus_automatic_continuous": 0,
        "focus_absolute": 100,
    }


def test_what_is_not_asked_for_is_left_to_the_camera(started: UsbCamera, webcam: Webcam) -> None:
    started.capture(settings(exposure_us=5000, gain=1.0, colour_temperature_k=5000))
    frame = started.capture(settings())
    assert (frame.exposure_us, frame.analogue_gain, frame.colour_temperature_k) == (None, None, None)
    assert (webcam.values["auto_exposure"], webcam.values["white_balance_automatic"]) == (3, 1)


def test_pictures_taken_before_a_change_took_effect_are_passed_over(started: UsbCamera) -> None:
    source: Any = started._source
    started.capture(settings(exposure_us=5000, gain=1.0))
    before = source.arrived
    started.capture(settings(exposure_us=9000, gain=1.0))
    assert source.arrived >= before + 4
    small = started.meter(settings(exposure_us=9000, gain=1.0))
    assert (small.exposure_us, small.gain, small.width) == (9000, 1.0, 96)


def test_exposures_are_averaged(started: UsbCamera) -> None:
    frame = started.capture(settings(average=3, over_s=0.1))
    assert (frame.averaged, frame.width) == (3, 320)


def test_focus_is_set_found_and_measured(started: UsbCamera, webcam: Webcam) -> None:
    assert started.focus(2.0) == 2.0
    webcam.values["focus_absolute"] = 75
    assert started.focus(None) == 3.0
    assert webcam.values["focus_automatic_continuous"] == 0
    measured = started.focus_figure(settings(focus_dioptre=6.0))
    assert measured.dioptre == 6.0
    assert measured.figure > 0
    assert webcam.values["focus_absolute"] == 150


@pytest.mark.parametrize(("automatic", "dioptre"), [(0, 1.4), (1, None)])
def test_the_lens_tells_where_it_stands_unless_an_autofocus_has_it(
    webcam: Webcam, automatic: int, dioptre: float | None
) -> None:
    webcam.values["focus_automatic_continuous"] = automatic
    camera = UsbCamera(IDENTITY, options(), FILM, RealClock())
    camera.start()
    assert camera.meter(settings()).focus_dioptre == dioptre
    camera.stop()


def test_a_camera_without_controls_photographs_all_the_same(webcam: Webcam) -> None:
    webcam.limits = {}
    camera = UsbCamera(IDENTITY, options(), FILM, RealClock())
    camera.start()
    try:
        info = camera.capabilities()
        assert not any((info.controls_exposure, info.controls_colour, info.brackets, info.focus))
        assert (info.min_exposure_us, info.max_gain) == (None, None)
        frame = camera.capture(
            settings(exposure_us=1000, gain=2.0, colour_temperature_k=4000, focus_dioptre=1.0)
        )
        assert (frame.exposure_us, frame.analogue_gain, frame.focus_dioptre) == (None, None, None)
        for refused in (lambda: camera.focus(1.0), lambda: camera.focus_figure(settings())):
            with pytest.raises(UnsupportedError):
                refused()
    finally:
        camera.stop()


def test_a_camera_that_is_unplugged_is_lost_and_comes_back(started: UsbCamera, webcam: Webcam) -> None:
    started.capture(settings(exposure_us=1000, gain=1.0))
    webcam.unplugged = True
    with pytest.raises(CameraLostError, match="/dev/video0 is gone: No such device"):
        started.capture(settings(exposure_us=2000, gain=1.0))
    started.stop()
    with pytest.raises(CameraLostError, match="/dev/video0: No such file or directory"):
        started.start()
    webcam.unplugged = False
    webcam.values["auto_exposure"] = 3
    started.start()
    assert started.capture(settings(exposure_us=2000, gain=1.0)).exposure_us == 2000


def test_a_device_without_pictures_is_told(webcam: Webcam) -> None:
    webcam.own = 0x04A00000
    with pytest.raises(CameraError, match="takes no pictures"):
        UsbCamera(IDENTITY, options(), FILM, RealClock()).start()


def test_what_is_no_camera_at_all_is_told(tmp_path: Path) -> None:
    (tmp_path / "video0").write_bytes(b"")
    for device, words in ((tmp_path / "none", "No such file"), (tmp_path / "video0", "ioctl")):
        camera = UsbCamera(IDENTITY, {**options(), "device": str(device)}, FILM, RealClock())
        with pytest.raises(CameraLostError, match=words):
            camera.start()


def test_the_film_is_asked_for_as_configured() -> None:
    film = film_of(options(device="/dev/v4l/by-id/usb-cam", size="1920x1080", rate=15, input_format="yuyv"))
    assert (film.url, film.format) == ("/dev/v4l/by-id/usb-cam", "video4linux2,v4l2")
    assert film.options == {"input_format": "yuyv422", "video_size": "1920x1080", "framerate": "15"}


@pytest.mark.parametrize(("value", "set_to"), [(1.0, 3), (7.4, 8), (7.6, 8), (99.0, 21)])
def test_controls_take_the_nearest_step(value: float, set_to: int) -> None:
    assert Range(minimum=3, maximum=21, step=5).nearest(value) == set_to


def test_cameras_are_found_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("video10", "video2", "videodev", "sda"):
        (tmp_path / name).touch()
    assert [Path(path).name for path in v4l2_device.devices(tmp_path)] == ["video2", "video10"]


def test_usb_cameras_are_discovered_and_probed(webcam: Webcam, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v4l2, "film_of", lambda _options: FILM)
    usb = [found for found in discover() if found.driver == "v4l2"]
    assert usb == [
        Found(driver="v4l2", address="/dev/video0", name="HD Webcam C920", options={"device": "/dev/video0"})
    ]
    assert probe(usb[0]).max_exposure_us == 204_700
    webcam.bus = b"platform:bcm2835-isp"
    assert [found for found in discover() if found.driver == "v4l2"] == []
    webcam.unplugged = True
    missing = [found for found in discover() if found.driver == "v4l2"]
    assert missing[0].problem == "/dev/video0: No such file or directory"
    with pytest.raises(CameraError, match="No such file"):
        probe(missing[0])


def test_auto_takes_the_first_camera_that_answers(webcam: Webcam, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v4l2, "film_of", lambda _options: FILM)
    camera = AutoCamera(IDENTITY, RealClock())
    with pytest.raises(CameraLostError, match="not started"):
        camera.capture(settings())
    camera.start()
    assert (camera.capabilities().driver, camera.capabilities().id) == ("v4l2", "desk")
    assert camera.capture(settings()).width == 320
    assert len(camera.preview()) > 0
    assert camera.focus(1.0) == 1.0
    assert camera.focus_figure(settings()).figure > 0
    assert camera.meter(settings()).width == 96
    webcam.unplugged = True
    with pytest.raises(CameraLostError) as caught:
        camera.start()
    assert str(caught.value).count("/dev/video0: No such file or directory") >= 1
    assert "picamera" in str(caught.value)
    webcam.unplugged = False
    camera.start()
    camera.stop()
