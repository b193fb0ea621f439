"""The files of the spool: `<seq>.jpg` with `<seq>.json` beside it, and the ledger. Everything here blocks.

A file is written aside, synced, renamed, and its folder synced: a power cut leaves the whole or nothing. The
record comes last: a picture without one was never a frame.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..const import LOGGER
from ..errors import DamagedFrameError, SpoolError, SpoolFullError
from ..protocol.errors import ProtocolError
from ..protocol.records import FrameRecord, read_record, write_record

MIN_FREE_BYTES = 1_000_000_000
"""Room on the disk that is left to Home Assistant."""

_LEDGER = "ledger.json"
_FRAMES = "frames"
_PART = ".part"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a folder holds."""

    ledger: Mapping[str, Any] = field(default_factory=dict)
    """Empty where there is none that can be read."""
    records: tuple[FrameRecord, ...] = ()
    """Of the frames, in the order in which they were taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Disk:
    """Room on the disk."""

    free_bytes: int
    total_bytes: int


def read_spool(folder: Path) -> Found:
    """Return what a folder holds, and sweep away what is unfinished; raise SpoolError."""
    frames = folder / _FRAMES
    try:
        frames.mkdir(parents=True, exist_ok=True)
        for part in folder.rglob(f"*{_PART}"):
            part.unlink()
        records = [record for path in frames.glob("*.json") if (record := _read_record(path)) is not None]
        kept = {f"{record.seq}.jpg" for record in records}
        for path in frames.glob("*.jpg"):
            if path.name not in kept:
                path.unlink()
        ledger = _read_ledger(folder / _LEDGER)
    except OSError as error:
        raise SpoolError(f"the spool cannot be read: {error}") from error
    return Found(ledger=ledger, records=tuple(sorted(records, key=lambda record: record.seq)))


def write_ledger(folder: Path, ledger: Mapping[str, Any]) -> None:
    """Keep the ledger; raise SpoolError."""
    try:
        write_durably(folder / _LEDGER, json.dumps(ledger, separators=(",", ":")).encode())
    except OSError as error:
        raise SpoolError(f"the spool cannot be written: {error}") from error


def write_frame(folder: Path, record: FrameRecord, jpeg: bytes) -> None:
    """Keep a frame; raise SpoolFullError where there is no room for it, and leave nothing of it."""
    picture = folder / _FRAMES / f"{record.seq}.jpg"
    try:
        picture.parent.mkdir(parents=True, exist_ok=True)  # caches are emptied now and then
        if disk(folder).free_bytes < MIN_FREE_BYTES:
            raise SpoolFullError("the disk of Home Assistant is almost full")
        write_durably(picture, jpeg)
        write_durably(picture.with_suffix(".json"), json.dumps(write_record(record)).encode())
    except OSError as error:
        remove_frames(folder, [record])
        raise SpoolFullError(f"a frame cannot be written: {error}") from error


def read_frame(folder: Path, record: FrameRecord) -> bytes:
    """Return a frame's picture; raise DamagedFrameError where it is not what was written, or SpoolError."""
    try:
        data = (folder / _FRAMES / f"{record.seq}.jpg").read_bytes()
    except FileNotFoundError as error:
        raise DamagedFrameError("its file is gone") from error
    except OSError as error:
        raise SpoolError(f"a frame cannot be read: {error}") from error
    if hashlib.sha256(data).hexdigest() != record.sha256:
        raise DamagedFrameError("its file is damaged, the digest is another")
    return data


def remove_frames(folder: Path, records: Iterable[FrameRecord]) -> None:
    """Delete frames, the record of each first; what cannot be deleted is told, and stays."""
    for record in records:
        picture = folder / _FRAMES / f"{record.seq}.jpg"
        try:
            picture.with_suffix(".json").unlink(missing_ok=True)
            picture.unlink(missing_ok=True)
        except OSError as error:
            LOGGER.warning("Frame %s has left the spool and cannot be deleted: %s", record.name, error)


def remove_spool(folder: Path) -> bool:
    """Delete everything; tell whether there was anything."""
    existed = folder.exists()
    shutil.rmtree(folder, ignore_errors=True)
    return existed


def disk(folder: Path) -> Disk:
    """Return how much room there is; raise OSError."""
    usage = shutil.disk_usage(folder)
    return Disk(free_bytes=usage.free, total_bytes=usage.total)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file that afterwards is whole under its name, whatever happens; raise OSError."""
    part = path.with_name(path.name + _PART)
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read_record(path: Path) -> FrameRecord | None:
    """Return the record in a file; one that cannot be read is deleted."""
    try:
        return read_record(json.loads(path.read_bytes()))
    except (ValueError, RecursionError, ProtocolError) as error:
        LOGGER.warning("A frame in the spool is lost, its record cannot be read: %s", error)
        path.unlink()
        return None


def _read_ledger(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        LOGGER.warning("The ledger of the spool cannot be read, a new one is begun: %s", error)
        return {}
    return value if isinstance(value, dict) else {}
