"""The machine: files that appear whole or not at all, and the memory that this process took."""

import os
import resource
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole, on disk, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def peak_rss_mb() -> float:
    """Return the largest resident set of this process, in megabytes (10⁶ bytes)."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    peak = next((line for line in lines if line.startswith("VmHWM:")), None)
    kilobytes = int(peak.split()[1]) if peak else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(kilobytes * 1024 / 1e6, 1)
