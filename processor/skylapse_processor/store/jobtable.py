"""Jobs, ended windows and orders as rows, so that a kill at any moment forgets none of them."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

from skylapse_protocol.codec import read, write
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.messages import EndedWindow, Orders

from ..clock import from_us, to_us
from ..jobs import Job, RenderSpec
from .catalogue import camera_key
from .database import Connection, Database, Row

_OF_IT = "camera = e.camera AND day = CAST(replace(e.day, '-', '') AS INTEGER) AND window = w.id"
_ENDED = f"""
    SELECT e.*, c.bridge, c.camera AS camera_id,
        (SELECT ifnull(sum(frames + gone), 0) FROM stretches WHERE {_OF_IT}) AS stored,
        (SELECT ifnull(sum(bad), 0) FROM stretches WHERE {_OF_IT}) AS bad,
        (SELECT count(*) FROM frames INDEXED BY frame_unmeasured WHERE state = 0 AND {_OF_IT}) AS unmeasured
    FROM ended_windows e JOIN cameras c ON c.id = e.camera LEFT JOIN words w ON w.word = e.window"""


@dataclass(frozen=True, kw_only=True, slots=True)
class EndedRow:
    """A window that has ended, as its bridge told, and whether its films were started."""

    camera: CameraName
    day: str
    window: str
    schedule: str
    profiles: tuple[str, ...]
    captured: int
    dropped: int
    heard_at: datetime
    settled_frames: int | None
    settled_bad: int | None
    remade: bool
    stored: int
    """Its frames that have come, those that are gone again included; the two below at the same moment."""
    bad: int
    unmeasured: int


class JobTable:
    """Questions about jobs, ended windows and orders, and how they change."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, job: str) -> Job | None:
        """Return the job with this id."""
        with self._database.reading() as connection:
            return _find(connection, job)

    def in_states(self, *states: str) -> tuple[Job, ...]:
        """Return the jobs in any of these states, oldest first."""
        marks = ", ".join("?" * len(states))
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT * FROM jobs WHERE state IN ({marks}) ORDER BY created_us, id", states
            ).fetchall()
        return tuple(_job(row) for row in rows)

    def page(self, before: tuple[int, str] | None, limit: int) -> tuple[Job, ...]:
        """Return jobs, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM jobs WHERE ? IS NULL OR (created_us, id) < (?, ?)"
                " ORDER BY created_us DESC, id DESC LIMIT ?",
                (before and before[0], *(before or (0, "")), limit),
            ).fetchall()
        return tuple(_job(row) for row in rows)

    def put(self, jobs: Sequence[Job]) -> "Future[None]":
        """Add new jobs."""

        def work(connection: Connection) -> None:
            for job in jobs:
                _put(connection, job)

        return self._database.write(work)

    def change(self, job: str, change: Callable[[Job], Job | None]) -> "Future[Job | None]":
        """Let `change` decide on the job as it stands in the table; resolves to None where it declines."""

        def work(connection: Connection) -> Job | None:
            before = _find(connection, job)
            after = change(before) if before is not None else None
            if after is not None:
                _put(connection, after)
            return after

        return self._database.write(work)

    def hear_ended(self, camera: CameraName, windows: Sequence[EndedWindow], at: datetime) -> "Future[None]":
        """Note windows that a bridge says have ended; one that went on after all is heard of anew."""

        def work(connection: Connection) -> None:
            key = camera_key(connection, camera)
            for window in windows:
                connection.execute(
                    "INSERT INTO ended_windows VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, 0, NULL)"
                    " ON CONFLICT DO UPDATE SET captured = excluded.captured, dropped = excluded.dropped,"
                    " remade = CASE WHEN excluded.captured > captured THEN 0 ELSE remade END,"
                    " heard_us = CASE WHEN excluded.captured > captured THEN excluded.heard_us"
                    " ELSE heard_us END",
                    (
                        *(key, window.day, window.window, window.schedule, json.dumps(window.profiles)),
                        *(window.captured, window.dropped, to_us(at)),
                    ),
                )

        return self._database.write(work)

    def ended(self, since: datetime) -> tuple[EndedRow, ...]:
        """Return the windows whose end was heard of since then, and whose films may yet be made or remade."""
        query = f"{_ENDED} WHERE e.heard_us >= ? AND NOT e.remade"
        with self._database.reading() as connection:
            rows = connection.execute(query, (to_us(since),)).fetchall()
        return tuple(_ended(row) for row in rows)

    def settle(
        self, window: EndedRow, frames: int, bad: int, *, remade: bool, jobs: Sequence[Job]
    ) -> "Future[None]":
        """Note of what the films of a window were started, and queue their jobs, in one transaction."""

        def work(connection: Connection) -> None:
            connection.execute(
                "UPDATE ended_windows SET settled_frames = ?, settled_bad = ?, remade = ?"
                " WHERE camera = ? AND day = ? AND window = ?",
                (frames, bad, int(remade), camera_key(connection, window.camera), window.day, window.window),
            )
            for job in jobs:
                _put(connection, job)

        return self._database.write(work)

    def set_orders(self, orders: Orders) -> "Future[None]":
        """Keep the standing orders, and for good what people call the schedules in them."""

        def work(connection: Connection) -> None:
            connection.execute(
                "INSERT INTO facts VALUES ('orders', ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                (json.dumps(write(orders)),),
            )
            connection.executemany(
                "INSERT OR REPLACE INTO schedules VALUES (?, ?)",
                [(order.schedule, order.schedule_name) for order in orders.orders if order.schedule_name],
            )

        return self._database.write(work)

    def schedule_name(self, schedule: str | None) -> str:
        """Return what people call a schedule by the last order that said so; empty where none has."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT name FROM schedules WHERE schedule = ?", (schedule,)).fetchone()
        return row["name"] if row is not None else ""

    def orders(self) -> Orders:
        """Return the standing orders."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT value FROM facts WHERE name = 'orders'").fetchone()
        if row is None:
            return Orders(revision=0, orders=())
        return read(Orders, json.loads(row["value"]), "orders")

    def prune(self, before: datetime) -> "Future[None]":
        """Forget jobs that were over before that time.

        Ended windows stay: a bridge goes on telling of its last ones for ever, and none may be taken for new.
        """

        def work(connection: Connection) -> None:
            connection.execute(
                "DELETE FROM jobs WHERE changed_us < ? AND state IN ('done', 'failed', 'cancelled')",
                (to_us(before),),
            )

        return self._database.write(work)


def spec_to_json(spec: RenderSpec) -> dict[str, object]:
    """Return a spec as JSON values."""
    return {**write(spec), "camera": str(spec.camera)}


def spec_from_json(value: Mapping[str, object]) -> RenderSpec:
    """Return the spec in JSON values."""
    return read(RenderSpec, {**value, "camera": write(CameraName.parse(str(value["camera"])))}, "job")


def _find(connection: Connection, job: str) -> Job | None:
    row = connection.execute("SELECT * FROM jobs WHERE id = ?", (job,)).fetchone()
    return _job(row) if row is not None else None


def _put(connection: Connection, job: Job) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(job.id, job.origin, json.dumps(spec_to_json(job.spec)), job.spec.film, job.status),
            *(job.attempt, job.failures, job.frames, job.error, to_us(job.created_at), to_us(job.changed_at)),
            to_us(job.lease_until) if job.lease_until else 0,
        ),
    )


def _job(row: Row) -> Job:
    return Job(
        id=row["id"],
        origin=row["origin"],
        spec=spec_from_json(json.loads(row["spec"])),
        status=row["state"],
        attempt=row["attempt"],
        failures=row["failures"],
        frames=row["frames"],
        error=row["error"],
        created_at=from_us(row["created_us"]),
        changed_at=from_us(row["changed_us"]),
        lease_until=from_us(row["lease_us"]) if row["lease_us"] else None,
    )


def _ended(row: Row) -> EndedRow:
    return EndedRow(
        camera=CameraName(bridge=row["bridge"], camera=row["camera_id"]),
        day=row["day"],
        window=row["window"],
        schedule=row["schedule"],
        profiles=tuple(json.loads(row["profiles"])),
        captured=row["captured"],
        dropped=row["dropped"],
        heard_at=from_us(row["heard_us"]),
        settled_frames=row["settled_frames"],
        settled_bad=row["settled_bad"],
        remade=bool(row["remade"]),
        stored=row["stored"],
        bad=row["bad"],
        unmeasured=row["unmeasured"],
    )
