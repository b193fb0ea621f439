"""The machine: bytes to disk so that a power cut cannot take them back, and the memory of this process."""

import os
import resource
from contextlib import suppress
from pathlib import Path

from .errors import FilmError, unreadable


def write_durably(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, fsync it, rename it into place; the caller syncs the folder."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def sync_file(path: Path) -> None:
    """Wait until a file's bytes are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on disk."""
    sync_file(path)


def make_folder(path: Path, root: Path) -> None:
    """Make a folder under `root` and wait until it, and every folder made on the way, is on disk."""
    missing = []
    while path != root and not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, and its folder where there is none, so that a power cut cannot take them back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, data)
    sync_folder(path.parent)


def write_asked(path: Path, data: bytes) -> None:
    """Write a file that somebody asked for beside a film; say in words where it cannot be."""
    try:
        write_whole(path, data)
    except OSError as error:
        with suppress(OSError):
            path.with_name(f"{path.name}.tmp").unlink(missing_ok=True)
        is_file = isinstance(error, FileExistsError | NotADirectoryError)
        why = f"{path.parent} is no folder" if is_file else unreadable(error)
        raise FilmError(f"{path}: cannot be written ({why})") from error


def peak_rss_mb() -> float:
    """Return the largest resident set of this process, in megabytes (10⁶ bytes)."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    peak = next((line for line in lines if line.startswith("VmHWM:")), None)
    kilobytes = int(peak.split()[1]) if peak else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(kilobytes * 1024 / 1e6, 1)
