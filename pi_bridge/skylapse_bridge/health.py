"""How machine and spool fare, from the kernel's files; what a machine does not tell stays null."""

import os
import platform
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from skylapse_protocol.messages import BridgeHealth, Host
from skylapse_protocol.snapshot import Plan

from .spool import Limits, Totals

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MODEL = Path("/proc/device-tree/model")
_SERIAL = Path("/proc/device-tree/serial-number")
_TEMPERATURE = Path("/sys/class/thermal/thermal_zone0/temp")
_THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
_MEMORY = Path("/proc/meminfo")
_THROTTLED_NOW = 0b1111
_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Uplink:
    """How delivery fares."""

    processor: str | None
    problem: str | None


def boot_id() -> str:
    """Return what names this boot of the machine."""
    return _read(_BOOT_ID) or "unknown"


def host() -> Host:
    """Return what the machine is."""
    return Host(
        model=_read(_MODEL) or platform.machine() or "unknown",
        os=_os_name(),
        python=platform.python_version(),
        serial=_read(_SERIAL),
    )


def health(
    *,
    at: datetime,
    started_s: float,
    clock_synced: bool,
    folder: Path,
    totals: Totals,
    hours_left: float | None,
    uplink: Uplink,
) -> BridgeHealth:
    """Return the message; `started_s` is the monotonic time at which the bridge started."""
    disk = os.statvfs(folder)
    return BridgeHealth(
        at=at,
        uptime_s=round(time.monotonic() - started_s, 1),
        cpu_temperature_c=_temperature_c(),
        load=round(os.getloadavg()[0], 2),
        memory_used_percent=_memory_used_percent(),
        disk_free_bytes=disk.f_bavail * disk.f_frsize,
        disk_total_bytes=disk.f_blocks * disk.f_frsize,
        spool_frames=totals.frames,
        spool_bytes=totals.bytes,
        oldest_undelivered_at=totals.oldest_at,
        buffer_hours_left=hours_left,
        clock_synced=clock_synced,
        throttled=_throttled(),
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


def _temperature_c() -> float | None:
    text = _read(_TEMPERATURE)
    return int(text) / 1000 if text and text.lstrip("-").isdecimal() else None


def _throttled() -> bool | None:
    text = _read(_THROTTLED)
    try:
        return bool(int(text, 16) & _THROTTLED_NOW) if text else None
    except ValueError:
        return None


def _memory_used_percent() -> float | None:
    fields = dict(line.split(":", 1) for line in (_read(_MEMORY) or "").splitlines() if ":" in line)
    try:
        total, free = (int(fields[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    except (KeyError, ValueError, IndexError):
        return None
    return round(100 * (1 - free / total), 1) if total else None
