"""The virtual camera of libcamera under picamera2, and in one place what it cannot show.

Real are picamera2 whole, its threads and jobs, libcamera with its camera manager, requests and buffers, and
frames with `SensorTimestamp` out of pictures on disk, as fast as they are asked for. Three things are not:

- memory: a shim answers for /dev/udmabuf (`shim.c`), and libcamera's own allocator for picamera2's, which
  asks the kernel of a Raspberry Pi;
- the raw stream: the virtual camera has none, and picamera2 wants to hear of one raw mode;
- the controls: the virtual camera has no exposure, gain, colour, focus nor tuning file.

What the driver makes of controls and raw stream is pure for the most part and tested on series of metadata
(`tests/bridge/test_pursuit.py`, `test_tuning.py`), the rest on an acted camera (`acted_picamera.py` there).
That a sensor obeys, that libcamera follows the changed tuning file and that a DNG opens shows on a Raspberry
Pi alone.

The virtual camera shows each picture for four frames, then the next, and never rests.
"""

import importlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREVIEW_SIZE = (640, 360)
"""A second size that the virtual camera offers, for the small stream."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VirtualCamera:
    """One camera: what it is called and which pictures it shows."""

    model: str
    pictures: Sequence[bytes]
    """JPEG files."""
    size: tuple[int, int] = (1920, 1080)


def furnish(folder: Path, cameras: Mapping[str, VirtualCamera]) -> None:
    """Let libcamera see these cameras, by their ids, from now on."""
    described = {name: _describe(folder / name, camera) for name, camera in cameras.items()}
    configuration = folder / "pipeline/virtual/virtual.yaml"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.write_text(f"%YAML 1.1\n---\n{json.dumps(described)}\n", "utf-8")
    os.environ["SKYLAPSE_RIG"] = str(folder)
    adapt()


def adapt() -> None:
    """Let picamera2 do without the memory and the raw stream of a Raspberry Pi."""
    module: Any = importlib.import_module("picamera2.picamera2")
    allocators = importlib.import_module("picamera2.allocators")
    library = module.Picamera2
    if hasattr(library, "on_the_rig"):
        return
    configure = library.configure_

    def with_own_memory(picamera: Any, configuration: Any) -> None:
        picamera.allocator = allocators.LibcameraAllocator(picamera.camera)
        configure(picamera, configuration)

    def one_raw_mode(picamera: Any) -> list[dict[str, Any]]:
        left, top, width, height = picamera.camera_properties_["PixelArrayActiveAreas"][0]
        return [{"format": "SRGGB10", "size": (width - left, height - top)}]

    library.configure_ = with_own_memory
    library._get_raw_modes = one_raw_mode  # noqa: SLF001 the only place where raw modes are asked for
    library.on_the_rig = True
    module.DmaAllocator = allocators.Allocator


def _describe(folder: Path, camera: VirtualCamera) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(camera.pictures):
        (folder / f"{number}.jpg").write_bytes(picture)
    sizes = [camera.size, *([PREVIEW_SIZE] if camera.size[0] > PREVIEW_SIZE[0] else [])]
    return {
        "supported_formats": [
            {"width": width, "height": height, "frame_rates": [30, 60]} for width, height in sizes
        ],
        "frames": {"path": f"{folder}/"},
        "model": camera.model,
    }
