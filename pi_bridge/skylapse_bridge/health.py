"""How machine and spool fare, from the kernel's files; what a machine does not tell stays null."""

import os
import platform
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from skylapse_protocol.messages import BridgeHealth, Host, Throttling
from skylapse_protocol.snapshot import Plan

from .spool import Limits, Totals

_THROTTLED = ("sys/devices/platform/soc*/soc*firmware/get_throttled", "sys/class/hwmon/hwmon*/get_throttled")
_THROTTLING: dict[int, Throttling] = {
    0: "under_voltage",
    1: "frequency_capped",
    2: "throttled",
    3: "temperature_limit",
    16: "under_voltage_before",
    17: "frequency_capped_before",
    18: "throttled_before",
    19: "temperature_limit_before",
}
"""The bits of the firmware's `get_throttled`: what is so now, and what was so at some time since boot."""

_THROTTLED_NOW = 0b1111
_PROCESSOR_ZONES = ("cpu", "soc", "x86_pkg_temp", "acpitz")
_NO_NAMES = {"default string", "system manufacturer", "system product name", "to be filled by o.e.m."}
"""What boards are called that nobody named."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Uplink:
    """How delivery fares."""

    processor: str | None
    problem: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockHealth:
    """How the machine's clock fares."""

    synced: bool
    offset_s: float | None = None
    """How far it is ahead; None where nobody can tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A machine by the files in which its kernel tells of it."""

    root: Path = Path("/")

    def boot_id(self) -> str:
        """Return what names this boot of the machine."""
        return self._read("proc/sys/kernel/random/boot_id") or "unknown"

    def host(self) -> Host:
        """Return what the machine is."""
        return Host(
            model=self._read("proc/device-tree/model") or self._board() or f"Computer ({platform.machine()})",
            os=_os_name(),
            python=platform.python_version(),
            serial=self._read("proc/device-tree/serial-number"),
        )

    def _board(self) -> str:
        """Return what maker and board the firmware of a computer names; empty where it names none."""
        named = [self._read(f"sys/class/dmi/id/{name}") or "" for name in ("sys_vendor", "product_name")]
        return " ".join(name for name in named if name and name.lower() not in _NO_NAMES)

    def temperature_c(self) -> float | None:
        """Return the temperature of the processor, of the hottest zone where none is called so."""
        found: dict[str, float] = {}
        for zone in sorted(self.root.glob("sys/class/thermal/thermal_zone*")):
            text = _read(zone / "temp")
            if text and text.lstrip("-").isdecimal():
                found[_read(zone / "type") or zone.name] = int(text) / 1000
        named = [value for name, value in found.items() if name.startswith(_PROCESSOR_ZONES)]
        return max(named or found.values(), default=None)

    def throttled(self) -> int | None:
        """Return the firmware's flags; None on machines that have none."""
        for pattern in _THROTTLED:
            for path in self.root.glob(pattern):
                try:
                    return int(_read(path) or "", 16)
                except ValueError:
                    continue
        return None

    def memory_used_percent(self) -> float | None:
        """Return how much of the memory is in use."""
        total, free = (_kilobytes(self._read("proc/meminfo"), name) for name in ("MemTotal", "MemAvailable"))
        return round(100 * (1 - free / total), 1) if total and free is not None else None

    def own_memory_bytes(self) -> int | None:
        """Return the resident memory of this process."""
        resident = _kilobytes(self._read("proc/self/status"), "VmRSS")
        return None if resident is None else resident * 1024

    def _read(self, name: str) -> str | None:
        return _read(self.root / name)


def throttling(flags: int | None) -> tuple[Throttling, ...]:
    """Return what the firmware's flags mean."""
    return tuple(word for bit, word in _THROTTLING.items() if (flags or 0) & 1 << bit)


def health(
    machine: Machine,
    *,
    at: datetime,
    started_s: float,
    clock: ClockHealth,
    folder: Path,
    totals: Totals,
    hours_left: float | None,
    uplink: Uplink,
) -> BridgeHealth:
    """Return the message; `started_s` is the monotonic time at which the bridge started."""
    disk, flags = os.statvfs(folder), machine.throttled()
    return BridgeHealth(
        at=at,
        uptime_s=round(time.monotonic() - started_s, 1),
        cpu_temperature_c=machine.temperature_c(),
        load=round(os.getloadavg()[0], 2),
        memory_used_percent=machine.memory_used_percent(),
        disk_free_bytes=disk.f_bavail * disk.f_frsize,
        disk_total_bytes=disk.f_blocks * disk.f_frsize,
        spool_frames=totals.frames,
        spool_bytes=totals.bytes,
        oldest_undelivered_at=totals.oldest_at,
        buffer_hours_left=hours_left,
        clock_offset_s=clock.offset_s,
        clock_synced=clock.synced,
        bridge_memory_bytes=machine.own_memory_bytes(),
        throttled=None if flags is None else bool(flags & _THROTTLED_NOW),
        throttling=throttling(flags),
        uplink=uplink.processor,
        uplink_problem=uplink.problem,
    )


def buffer_hours_left(
    plans: list[Plan], totals: Totals, limits: Limits, free_bytes: int, now: datetime, frame_bytes: float
) -> float | None:
    """Return how many hours of frames would fit if none were delivered; None where none are planned."""
    frames = sum(frames_planned(plan, now, now + _DAY) for plan in plans)
    if not frames or not frame_bytes:
        return None
    room = min(limits.max_bytes - totals.bytes, free_bytes - limits.min_free_bytes)
    return round(max(room, 0) / (frames * frame_bytes) * 24, 1)


def frames_planned(plan: Plan, start: datetime, end: datetime) -> float:
    """Return about how many frames a plan wants between two moments."""
    total = 0.0
    for window in plan.windows:
        overlap = min(window.ends_at, end) - max(window.starts_at, start)
        total += max(overlap.total_seconds(), 0.0) / window.interval_s * len(window.profiles)
    return total


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace").strip("\0 \n") or None
    except OSError:
        return None


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def _kilobytes(table: str | None, name: str) -> int | None:
    """Return one figure of a table like /proc/meminfo."""
    for line in (table or "").splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == f"{name}:" and words[1].isdecimal() and words[2] == "kB":
            return int(words[1])
    return None
