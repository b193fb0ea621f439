"""An acted `Picamera2` for what libcamera's virtual camera cannot show: controls, latency, lens, raw stream.

It is the only part acted in the tests of the driver; `tools/libcamera_rig/rig.py` says why. Frames come at
once; their metadata follow the controls some frames later as on a Raspberry Pi, and a start obeys with its
first frame. A start lets the lens go to its place of rest unless it is told where to stand.
"""

import errno
import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

CONTROLS: dict[str, tuple[Any, Any, Any]] = {
    "AeEnable": (False, True, True),
    "AwbEnable": (False, True, None),
    "ExposureTime": (287, 120_729_139, 20_000),
    "AnalogueGain": (1.0, 16.0, 1.0),
    "ColourGains": (0.0, 32.0, None),
    "AfMode": (0, 2, 0),
    "AfTrigger": (0, 1, 0),
    "LensPosition": (0.0, 12.0, 1.0),
    "Sharpness": (0.0, 16.0, 1.0),
}
"""Those of an imx519 with autofocus, on a libcamera that knows no `ColourTemperature`."""

SIZE = (64, 48)
LATENCY = 4
FOCUSED_DIOPTRE = 0.35
REST_DIOPTRE = 1.0


class ActedRequest:
    """One frame with its metadata."""

    def __init__(self, camera: "ActedPicamera", metadata: dict[str, Any]) -> None:
        self.config = camera.camera_config
        self._camera = camera
        self._metadata = metadata
        camera.held += 1

    def get_metadata(self) -> dict[str, Any]:
        """What the frame was taken with."""
        return self._metadata

    def make_array(self, stream: str) -> Any:
        """Grey that follows the exposure."""
        width, height = self.config[stream]["size"]
        return np.full((height * 3 // 2, width), 128, np.uint8)

    def save(self, _stream: str, buffer: Any, format: str) -> None:  # noqa: A002 picamera2's own name
        """Write what is asked for."""
        buffer.write(f"{format} {self._camera.options['quality']}".encode())

    def save_dng(self, buffer: Any) -> None:
        """Write something that is told from a JPEG."""
        buffer.write(b"a DNG")

    def release(self) -> None:
        """Give the buffer back."""
        self._camera.held -= 1


class ActedPicamera:
    """As much of `Picamera2` as the driver uses."""

    def __init__(
        self,
        *,
        halves_above_us: float = float("inf"),
        size: tuple[int, int] = SIZE,
        memory_bytes: float = float("inf"),
    ) -> None:
        self.camera_controls: Mapping[str, tuple[Any, Any, Any]] = CONTROLS
        self.camera_config: dict[str, Any] = {}
        self.options: dict[str, Any] = {}
        self.sensor_resolution = size
        self.sensor_format = "SRGGB10_CSI2P"
        self.halves_above_us = halves_above_us
        self.memory_bytes = memory_bytes
        self.held = 0
        self.starts: list[dict[str, Any]] = []
        self.frames = 0
        self._in_flight: list[dict[str, Any]] = []
        self._set: dict[str, Any] = {}
        self._shown: dict[str, Any] = {"ExposureTime": 33_333, "AnalogueGain": 1.5}

    def configure(self, configuration: dict[str, Any]) -> None:
        """Take the configuration over, where memory reaches for one byte and a half of a pixel."""
        streams = [configuration.get(name) for name in ("main", "lores", "raw")]
        sizes = [stream["size"] for stream in streams if stream is not None]
        if sum(1.5 * width * height for width, height in sizes) > self.memory_bytes:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        self.camera_config = configuration

    def create_still_configuration(self, *, sensor: Any = None, **parts: Any) -> dict[str, Any]:
        """Return what was asked for."""
        return parts | {"sensor": sensor}

    def set_controls(self, controls: dict[str, Any]) -> None:
        """Send controls with the next request."""
        self._set |= controls

    def start(self) -> None:
        """Begin with the controls that were set."""
        self.starts.append(self._set)
        self._shown |= {"LensPosition": REST_DIOPTRE} | self._set
        self._set, self._in_flight = {}, []

    def stop(self) -> None:
        """Forget what is in flight."""
        self._in_flight = []

    def close(self) -> None:
        """Nothing is to be closed."""

    def cancel_all_and_flush(self) -> None:
        """Nothing is waited for."""

    def autofocus_cycle(self, wait: float) -> bool:
        """Find the focus."""
        self._shown["LensPosition"] = FOCUSED_DIOPTRE
        return wait > 0

    def capture_request(self, wait: float) -> ActedRequest:
        """Return the next frame at once."""
        self._in_flight.append(self._set)
        self._set = {}
        if len(self._in_flight) > LATENCY:
            self._shown |= self._in_flight.pop(0)
        self.frames += 1
        exposure = self._shown["ExposureTime"] or 33_333
        exposure = exposure / 2 if exposure > self.halves_above_us else exposure
        return ActedRequest(
            self,
            {
                "SensorTimestamp": time.monotonic_ns() + 1000 * round(exposure),
                "ExposureTime": round(exposure) - 3,
                "AnalogueGain": self._shown["AnalogueGain"] or 1.5,
                "DigitalGain": 1.01,
                "ColourGains": self._shown.get("ColourGains", (2.0, 1.5)),
                "ColourTemperature": 5210,
                "Lux": 400.0,
                "LensPosition": self._shown["LensPosition"],
                "SensorTemperature": 31.0,
            },
        )
