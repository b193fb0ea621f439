"""The files of the spool: a picture with its record, whole under its name.

A JPEG carries its record in its EXIF. A raw picture is left as the camera made it; its record stands beside
it, `1.json` beside `1.dng`, and is durable before the picture has its name. So whatever has a picture's name
can be adopted, should the database not know of it.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.records import FrameRecord, read_record, write_record

from . import exif, jpeg
from .durable import PART_SUFFIX, make_folder, write_durably
from .errors import DamagedError, SpoolError, SpoolFullError

RAW_TYPE = "image/x-adobe-dng"
_SUFFIXES = {"image/jpeg": ".jpg", RAW_TYPE: ".dng"}


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


def file_name(record: FrameRecord, *, timed: bool = False) -> str:
    """Return the name of a frame's file; one whose time was repaired has another than before."""
    mark = "-timed" if timed else ""
    return f"{record.camera}/{record.spool}-{record.seq}{mark}{_SUFFIXES[record.media_type]}"


def write_frame(
    path: Path, record: FrameRecord, picture: bytes, *, make: str = "", model: str = ""
) -> FrameRecord:
    """Write a picture with its record, durably; return the record with size and digest.

    Raise SpoolFullError where it cannot be written, ValueError for what is no JPEG and no raw picture.
    """
    raw = record.media_type == RAW_TYPE
    data = picture if raw else exif.write_exif(picture, record, make=make, model=model)
    record = replace(record, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    try:
        make_folder(path.parent)
        if raw:
            write_durably(_sidecar(path), json.dumps(write_record(record)).encode())
        write_durably(path, data)
    except OSError as error:
        path.with_name(path.name + PART_SUFFIX).unlink(missing_ok=True)
        remove_frame(path)
        raise SpoolFullError(f"{path} cannot be written: {error}") from error
    return record


def remove_frame(path: Path) -> None:
    """Delete a frame's files; those that are gone already do not matter."""
    path.unlink(missing_ok=True)
    if path.suffix == _SUFFIXES[RAW_TYPE]:
        _sidecar(path).unlink(missing_ok=True)


def put_aside(path: Path, folder: Path) -> None:
    """Move a frame's picture into a folder, for people to look at; raise OSError."""
    make_folder(folder)
    path.rename(folder / path.name)
    remove_frame(path)


def sweep_files(frames: Path) -> None:
    """Delete what is unfinished: parts of files, and records whose raw picture was never written."""
    for part in frames.rglob(f"*{PART_SUFFIX}"):
        part.unlink()
    for sidecar in frames.glob("*/*.json"):
        if not sidecar.with_suffix(_SUFFIXES[RAW_TYPE]).exists():
            sidecar.unlink()


def pictures(frames: Path) -> Iterator[Path]:
    """Yield all pictures in the spool, camera by camera."""
    for suffix in _SUFFIXES.values():
        yield from sorted(frames.glob(f"*/*{suffix}"))


def record_in(path: Path) -> FrameRecord | None:
    """Return the record of the frame in a file, size and digest from the file; None where there is none."""
    try:
        data = path.read_bytes()
        values = _raw_values(path) if path.suffix == _SUFFIXES[RAW_TYPE] else _jpeg_values(data)
        if values is None:
            return None
        digest = hashlib.sha256(data).hexdigest()
        if values.get("sha256", digest) != digest:
            return None
        return read_record({**values, "bytes": len(data), "sha256": digest})
    except (OSError, ValueError, ProtocolError):
        return None


def _jpeg_values(data: bytes) -> dict[str, object] | None:
    jpeg.size(data)
    return exif.read_record_values(data)


def _raw_values(path: Path) -> dict[str, object] | None:
    values = json.loads(_sidecar(path).read_bytes())
    return values if isinstance(values, dict) else None


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".json")


def free_bytes(folder: Path) -> int:
    """Return the room that is left on the disk under a folder."""
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize
