"""What the kernel says and takes of a video device, besides its pictures: names and controls.

The structures and numbers are those of the kernel's `videodev2.h` and `v4l2-controls.h` (linux-media, V4L2
API). A request number holds direction, size of its structure, the letter V and a number: `_IOWR('V', n,
struct)`. `Device` is the one door to the kernel; tests put a stand-in for it, since few test machines have a
camera.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from skylapse_bridge.errors import CameraError, CameraLostError

_READ, _WRITE = 2, 1
_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_CONTROL = struct.Struct("=Ii")
_QUERY = struct.Struct("=II32siiiiI8x")


def _request(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | ord("V") << 8 | number


QUERYCAP = _request(_READ, 0, _CAPABILITY.size)
G_CTRL = _request(_READ | _WRITE, 27, _CONTROL.size)
S_CTRL = _request(_READ | _WRITE, 28, _CONTROL.size)
QUERYCTRL = _request(_READ | _WRITE, 36, _QUERY.size)

_CAN_CAPTURE = 0x00000001
_OWN_CAPABILITIES = 0x80000000
_DISABLED = 0x0001

_USER, _CAMERA = 0x00980900, 0x009A0900
CONTROLS: Mapping[str, int] = MappingProxyType(
    {
        "white_balance_automatic": _USER + 12,
        "gain": _USER + 19,
        "white_balance_temperature": _USER + 26,
        "auto_exposure": _CAMERA + 1,
        "exposure_time_absolute": _CAMERA + 2,
        "exposure_dynamic_framerate": _CAMERA + 3,
        "focus_absolute": _CAMERA + 10,
        "focus_automatic_continuous": _CAMERA + 12,
    }
)
"""Controls by the names that `v4l2-ctl` gives them."""

AUTO_EXPOSURE_MANUAL = 1
AUTO_EXPOSURE_APERTURE_PRIORITY = 3
"""What USB cameras call automatic: the aperture stands still, since they have none."""

EXPOSURE_UNIT_US = 100

_GONE = frozenset({errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.EIO})
"""What the kernel says of a camera that was unplugged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What a device is."""

    name: str
    bus: str
    captures: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """Which values a control takes, in the device's own units."""

    minimum: int
    maximum: int
    step: int

    def nearest(self, value: float) -> int:
        """Return the value that can be set and lies nearest."""
        step = max(self.step, 1)
        inside = min(max(value, self.minimum), self.maximum)
        return min(self.minimum + round((inside - self.minimum) / step) * step, self.maximum)


class Door(Protocol):
    """A video device that is open."""

    def ioctl(self, request: int, data: bytearray) -> None:
        """Ask the kernel; it answers in place. Raise OSError."""

    def close(self) -> None:
        """Close it."""


class Device:
    """The kernel's own device."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)

    def ioctl(self, request: int, data: bytearray) -> None:
        """Ask the kernel; it answers in place. Raise OSError."""
        fcntl.ioctl(self._descriptor, request, data, True)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


class Controls:
    """The controls of one device."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._door: Door | None = None
        self.ranges: dict[str, Range] = {}
        """Those that the device has; known once it is open."""

    def open(self) -> Card:
        """Open the device and read what it can; raise CameraLostError where it is not there."""
        self.close()
        try:
            door = self._door = Device(self._path)
            card = _card(door)
            self.ranges = dict(_query(door))
        except OSError as error:
            self.close()
            raise CameraLostError(f"{self._path}: {error.strerror or error}") from error
        return card

    def close(self) -> None:
        """Close the device; closing a closed one does nothing."""
        door, self._door = self._door, None
        if door is not None:
            door.close()

    def set(self, name: str, value: float) -> int:
        """Set a control to the value nearest to this one; return what the device made of it.

        Raise CameraLostError where the device is gone, CameraError where it refuses.
        """
        data = bytearray(_CONTROL.pack(CONTROLS[name], self.ranges[name].nearest(value)))
        self._ask(S_CTRL, data, f"sets no {name}")
        return self.get(name)

    def get(self, name: str) -> int:
        """Return the value of a control; raise CameraError."""
        data = bytearray(_CONTROL.pack(CONTROLS[name], 0))
        self._ask(G_CTRL, data, f"does not tell its {name}")
        value: int = _CONTROL.unpack(data)[1]
        return value

    def _ask(self, request: int, data: bytearray, failure: str) -> None:
        if self._door is None:
            raise CameraLostError(f"{self._path} is not open")
        try:
            self._door.ioctl(request, data)
        except OSError as error:
            if error.errno in _GONE:
                raise CameraLostError(f"{self._path} is gone: {error.strerror}") from error
            raise CameraError(f"{self._path} {failure}: {error.strerror or error}") from error


def devices(folder: Path = Path("/dev")) -> list[str]:
    """Return the video devices of this machine in the order of their numbers."""
    found = [path for path in folder.glob("video*") if path.name[5:].isdecimal()]
    return [str(path) for path in sorted(found, key=lambda path: int(path.name[5:]))]


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace").strip()


def _card(door: Door) -> Card:
    data = bytearray(_CAPABILITY.size)
    door.ioctl(QUERYCAP, data)
    _, name, bus, _, of_all, of_this = _CAPABILITY.unpack(data)
    can = of_this if of_all & _OWN_CAPABILITIES else of_all
    return Card(name=_text(name), bus=_text(bus), captures=bool(can & _CAN_CAPTURE))


def _query(door: Door) -> Iterator[tuple[str, Range]]:
    """Yield the controls that the device has; it refuses to speak of others."""
    for name, number in CONTROLS.items():
        data = bytearray(_QUERY.pack(number, 0, b"", 0, 0, 0, 0, 0))
        try:
            door.ioctl(QUERYCTRL, data)
        except OSError as error:
            if error.errno in _GONE:
                raise
            continue
        _, _, _, minimum, maximum, step, _, flags = _QUERY.unpack(data)
        if not flags & _DISABLED:
            yield name, Range(minimum=minimum, maximum=maximum, step=step)
