"""The files of the spool: a picture with its record, whole under its name."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.records import FrameRecord, read_record

from . import exif, jpeg
from .errors import DamagedError, SpoolError


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFrame:
    """A frame that is safe."""

    id: int
    path: Path
    record: FrameRecord


def read_verified(frame: StoredFrame) -> bytes:
    """Return a frame's file. For any thread.

    Raise DamagedError where it is gone or not what was announced, SpoolError where that cannot be told now:
    a disk that is away or a process that may open no more files says nothing about the frame.
    """
    try:
        data = frame.path.read_bytes()
    except FileNotFoundError as error:
        if frame.path.parent.is_dir():
            raise DamagedError("its file is gone") from error
        raise SpoolError(f"the folder of frames is gone: {error}") from error
    except OSError as error:
        raise SpoolError(f"a frame cannot be read: {error}") from error
    if hashlib.sha256(data).hexdigest() != frame.record.sha256:
        raise DamagedError("its file is damaged, the digest is another")
    return data


def record_in(path: Path) -> FrameRecord | None:
    """Return the record of the frame in a file, size and digest from the file; None where there is none."""
    try:
        data = path.read_bytes()
        jpeg.size(data)
        values = exif.read_record_values(data)
        extra = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        return read_record({**values, **extra}) if values else None
    except (OSError, ValueError, ProtocolError):
        return None


def free_bytes(folder: Path) -> int:
    """Return the room that is left on the disk under a folder."""
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize
