"""What is remembered of cameras' pictures and lenses, and what was said of the pictures that are left out."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal

from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.messages import LensFault

from ..clock import to_us
from .catalogue import camera_key
from .database import Connection, Database
from .rows import FrameState, StoredFrame

Kind = Literal["broken", "blank", "frozen", "odd"]
LensState = Literal["clear", "obstructed", "unknown"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Remembered:
    """The watch over one camera at one size of its pictures."""

    camera: CameraName
    width: int
    height: int
    lens: LensState
    faults: tuple[LensFault, ...]
    memory: bytes
    seen_us: int
    """When the newest picture of it was captured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """Why a frame is left out of films."""

    kind: Kind
    reason: str
    """In plain words."""


class WatchTable:
    """One row a camera and size, and one a frame that is left out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, remembered: Remembered) -> "Future[None]":
        """Keep what is remembered, in place of what was."""

        def work(connection: Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO watches VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(camera_key(connection, remembered.camera), remembered.width, remembered.height),
                    *(remembered.seen_us, remembered.lens, ",".join(remembered.faults), remembered.memory),
                ),
            )

        return self._database.write(work)

    def get(self, camera: CameraName, width: int, height: int) -> bytes | None:
        """Return what is remembered."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT memory FROM watches WHERE width = ? AND height = ? AND camera ="
                " (SELECT id FROM cameras WHERE bridge = ? AND camera = ?)",
                (width, height, camera.bridge, camera.camera),
            ).fetchone()
        return bytes(row["memory"]) if row is not None else None

    def lens(self, camera: CameraName) -> tuple[LensState, tuple[LensFault, ...]]:
        """Return the state of a camera's lens and its faults, of the size that was seen last."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT lens, faults FROM watches WHERE camera ="
                " (SELECT id FROM cameras WHERE bridge = ? AND camera = ?) ORDER BY seen_us DESC LIMIT 1",
                (camera.bridge, camera.camera),
            ).fetchone()
        if row is None:
            return "unknown", ()
        return row["lens"], tuple(row["faults"].split(",") if row["faults"] else ())

    def mark(self, frame: StoredFrame, mark: Mark) -> "Future[None]":
        """Note why a picture is left out of films."""

        def work(connection: Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO marks SELECT f.camera, f.captured_us, f.spool, f.seq, ?, ?"
                " FROM frames f JOIN cameras c ON c.id = f.camera JOIN spools s ON s.id = f.spool"
                " WHERE c.bridge = ? AND c.camera = ? AND f.captured_us = ? AND s.spool = ? AND f.seq = ?",
                (mark.kind, mark.reason, *_key(frame)),
            )

        return self._database.write(work)

    def marks(self, frames: Sequence[StoredFrame]) -> dict[str, Mark]:
        """Return what is wrong with those of some frames that are left out, by their names."""
        bad = [frame for frame in frames if frame.state is FrameState.BAD]
        found: dict[str, Mark] = {}
        with self._database.reading() as connection:
            for frame in bad:
                row = connection.execute(
                    "SELECT m.kind, m.reason FROM marks m JOIN cameras c ON c.id = m.camera"
                    " JOIN spools s ON s.id = m.spool WHERE c.bridge = ? AND c.camera = ?"
                    " AND m.captured_us = ? AND s.spool = ? AND m.seq = ?",
                    _key(frame),
                ).fetchone()
                if row is not None:
                    found[str(frame.name)] = Mark(kind=row["kind"], reason=row["reason"])
        return found


def _key(frame: StoredFrame) -> tuple[object, ...]:
    name = frame.name
    return (name.camera.bridge, name.camera.camera, to_us(name.captured_at), name.spool, name.seq)
