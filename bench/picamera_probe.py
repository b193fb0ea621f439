"""From the call to the start of the exposure, with the driver `picamera` on libcamera's virtual camera.

Runs in the environment of `make libcamera` and prints one JSON object:

    .venv-picamera/bin/python -m bench.picamera_probe

`trigger_ms` is the time from the call of `capture` to the moment that the frame's `SensorTimestamp` gives,
`capture_ms` until the JPEG is there, `own_cpu_ms` what the calling thread computed meanwhile. The virtual
camera exposes as soon as it is asked and never rests, so these are the driver's and picamera2's shares,
without a sensor's.
"""

import io
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from skylapse_bridge.camera.factory import CameraConfig, make_camera
from skylapse_bridge.camera.port import CaptureSettings
from skylapse_bridge.clock import RealClock
from tools.libcamera_rig.rig import VirtualCamera, furnish

SIZE = (1920, 1080)
CAPTURES = 200


def picture() -> bytes:
    """A JPEG with as much texture as a landscape."""
    noise = np.random.default_rng(1).integers(0, 256, (SIZE[1] // 8, SIZE[0] // 8, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize(SIZE, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def measure(folder: Path) -> dict[str, float]:
    """Photograph again and again; return what it took."""
    furnish(folder, {"Virtual0": VirtualCamera(model="imx519", pictures=[picture()], size=SIZE)})
    clock = RealClock()
    camera = make_camera("bench", CameraConfig(id="bench", name="Bench", driver="picamera"), clock)
    camera.start()
    trigger_ms, capture_ms, cpu_ms = [], [], []
    for _ in range(CAPTURES):
        called_ns, computed_ns = clock.monotonic_ns(), time.thread_time_ns()
        frame = camera.capture(CaptureSettings(at=datetime.now(UTC)))
        trigger_ms.append((frame.monotonic_ns - called_ns) / 1e6)
        capture_ms.append((clock.monotonic_ns() - called_ns) / 1e6)
        cpu_ms.append((time.thread_time_ns() - computed_ns) / 1e6)
    camera.stop()
    return {
        "captures": CAPTURES,
        "trigger_ms": round(statistics.median(trigger_ms), 3),
        "trigger_ms_95": round(statistics.quantiles(trigger_ms, n=20)[-1], 3),
        "capture_ms": round(statistics.median(capture_ms), 3),
        "own_cpu_ms": round(statistics.median(cpu_ms), 3),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="skylapse-bench-picamera-") as work:
        print(json.dumps(measure(Path(work))))
