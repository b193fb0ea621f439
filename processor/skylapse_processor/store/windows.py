"""When windows were planned to be, so that the film of one finds those that rule in the middle of it."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta

from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.snapshot import Window

from ..clock import from_us, to_us
from .catalogue import camera_key
from .database import Connection, Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Lender:
    """A window that rules during a part of another one."""

    day: str
    window: str
    from_at: datetime
    to_at: datetime
    """Both windows last from one to the other."""
    interval: timedelta
    """Of the other one."""


class WindowTable:
    """One row a window of a camera's plans; the last plan counts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def plan(self, camera: CameraName, windows: Sequence[Window]) -> "Future[None]":
        """Note when windows are to be."""

        def work(connection: Connection) -> None:
            key = camera_key(connection, camera)
            for window in windows:
                connection.execute(
                    "INSERT OR REPLACE INTO planned_windows VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        *(key, window.day, window.id, to_us(window.starts_at), to_us(window.ends_at)),
                        round(window.interval_s * 1e6),
                    ),
                )

        return self._database.write(work)

    def ends_at(self, camera: CameraName, day: str, window: str) -> datetime | None:
        """Return when a window was planned to end; null where nobody has said."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT ends_us FROM planned_windows WHERE day = ? AND window = ?"
                " AND camera = (SELECT id FROM cameras WHERE bridge = ? AND camera = ?)",
                (day, window, camera.bridge, camera.camera),
            ).fetchone()
        return from_us(row["ends_us"]) if row is not None else None

    def lenders(self, camera: CameraName, day: str, window: str) -> tuple[Lender, ...]:
        """Return the windows that rule where they overlap this one, as `snapshot.active_window` says."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT b.day, b.window, max(a.starts_us, b.starts_us) AS from_us,"
                " min(a.ends_us, b.ends_us) AS to_us, a.interval_us"
                " FROM planned_windows a JOIN planned_windows b ON b.camera = a.camera"
                " AND b.day BETWEEN date(a.day, '-2 days') AND date(a.day, '+2 days')"
                " AND b.starts_us < a.ends_us AND b.ends_us > a.starts_us"
                " AND (b.interval_us, b.ends_us - b.starts_us, b.window)"
                " < (a.interval_us, a.ends_us - a.starts_us, a.window)"
                " WHERE a.camera = (SELECT id FROM cameras WHERE bridge = ? AND camera = ?)"
                " AND a.day = ? AND a.window = ?",
                (camera.bridge, camera.camera, day, window),
            ).fetchall()
        return tuple(
            Lender(
                day=row["day"],
                window=row["window"],
                from_at=from_us(row["from_us"]),
                to_at=from_us(row["to_us"]),
                interval=timedelta(microseconds=row["interval_us"]),
            )
            for row in rows
        )
