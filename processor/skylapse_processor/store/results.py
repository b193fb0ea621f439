"""Results beside films, one row each, and what the sunsets of each camera were worth, one row an evening."""

import json
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from skylapse_protocol.identifiers import CameraName

from ..clock import from_us, to_us
from .catalogue import camera_key
from .database import Connection, Database, Row

Kind = Literal["keogram", "keogram_year", "startrail", "best_frame"]

_WORDS = "r.title || ' ' || r.day || ' ' || c.bridge || '/' || c.camera"
"""What a search looks at, beside the names that people call cameras."""
_RESULT = "SELECT r.*, c.bridge, c.camera AS camera_id FROM results r JOIN cameras c ON c.id = r.camera"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredResult:
    """One row."""

    id: str
    camera: CameraName
    day: str
    kind: Kind
    rank: int = 0
    """Place among results of its kind and day, the best first."""
    title: str
    frames: int
    width: int
    height: int
    bytes: int
    score: float | None = None
    content: str
    """Changes with the picture."""
    created_at: datetime
    changed_at: datetime
    details: Mapping[str, Any] = field(default_factory=dict)
    """What belongs to its kind: the span of time that a keogram shows, the frame that a best frame is."""

    @property
    def place(self) -> tuple[str, str, int, str]:
        """Where it stands in lists."""
        return self.day, self.kind, self.rank, self.id


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """One of a search: a result fits that has it, or is of a camera whose name has it."""

    text: str
    cameras: tuple[CameraName, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultQuery:
    """Which results are meant: what is None does not narrow."""

    camera: CameraName | None = None
    day: str | None = None
    kind: str | None = None
    words: tuple[Word, ...] = ()
    after: tuple[str, str, int, str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Evening:
    """What the sunset of one evening was worth."""

    camera: CameraName
    day: str
    worth: float
    """The product of its parts, comparable with other evenings of this camera alone."""
    score: float
    """0…1, among the camera's evenings before it."""
    details: Mapping[str, Any]
    """The frames that it was judged by, each with its parts."""


class ResultTable:
    """All results and all evenings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, result: str) -> StoredResult | None:
        """Return the result with this id, one that somebody deleted excepted."""
        with self._database.reading() as connection:
            row = connection.execute(f"{_RESULT} WHERE r.id = ? AND r.unwanted = 0", (result,)).fetchone()
        return _result(row) if row is not None else None

    def unwanted(self, result: str) -> bool:
        """Tell whether somebody deleted the result with this id."""
        with self._database.reading() as connection:
            query = "SELECT 1 FROM results WHERE id = ? AND unwanted = 1"
            return connection.execute(query, (result,)).fetchone() is not None

    def list(self, wanted: ResultQuery, limit: int = -1) -> tuple[StoredResult, ...]:
        """Return results, newest day first."""
        where, values = "r.unwanted = 0", list[object]()
        if wanted.camera is not None:
            where += " AND c.bridge = ? AND c.camera = ?"
            values += [wanted.camera.bridge, wanted.camera.camera]
        for name, value in (("day", wanted.day), ("kind", wanted.kind)):
            if value is not None:
                where += f" AND r.{name} = ?"
                values.append(value)
        for word in wanted.words:
            named = ", ".join("?" for _ in word.cameras)
            where += f" AND (instr(lower({_WORDS}), ?) > 0 OR c.bridge || '/' || c.camera IN ({named}))"
            values += [word.text.lower(), *map(str, word.cameras)]
        if wanted.after is not None:
            day, *rest = wanted.after
            where += " AND (r.day < ? OR (r.day = ? AND (r.kind, r.rank, r.id) > (?, ?, ?)))"
            values += [day, day, *rest]
        with self._database.reading() as connection:
            rows = connection.execute(
                f"{_RESULT} WHERE {where} ORDER BY r.day DESC, r.kind, r.rank, r.id LIMIT ?", (*values, limit)
            ).fetchall()
        return tuple(_result(row) for row in rows)

    def put(self, result: StoredResult) -> "Future[bool]":
        """Keep a result; resolves to whether it is new. One that somebody deleted stays deleted."""
        return self._database.write(lambda connection: _put(connection, result))

    def remove(self, result: str, *, unwanted: bool) -> "Future[None]":
        """Drop a row; `unwanted`: somebody deleted it, and it is not to come back."""

        def work(connection: Connection) -> None:
            if unwanted:
                connection.execute("UPDATE results SET unwanted = 1 WHERE id = ?", (result,))
            else:
                connection.execute("DELETE FROM results WHERE id = ?", (result,))

        return self._database.write(work)

    def put_evening(self, evening: Evening) -> "Future[None]":
        """Keep what an evening was worth, in place of what was known of it."""

        def work(connection: Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO evenings VALUES (?, ?, ?, ?, ?)",
                (
                    *(camera_key(connection, evening.camera), evening.day, evening.worth, evening.score),
                    json.dumps(evening.details),
                ),
            )

        return self._database.write(work)

    def evenings(
        self, camera: CameraName, limit: int, *, before: str | None = None, day: str | None = None
    ) -> tuple[Evening, ...]:
        """Return evenings of a camera, newest first, `before` a day or of one day."""
        where, values = "c.bridge = ? AND c.camera = ?", list[object]([camera.bridge, camera.camera])
        for condition, value in (("e.day < ?", before), ("e.day = ?", day)):
            if value is not None:
                where += f" AND {condition}"
                values.append(value)
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT e.* FROM evenings e JOIN cameras c ON c.id = e.camera"
                f" WHERE {where} ORDER BY e.day DESC LIMIT ?",
                (*values, limit),
            ).fetchall()
        return tuple(
            Evening(
                camera=camera,
                day=row["day"],
                worth=row["worth"],
                score=row["score"],
                details=json.loads(row["details"]),
            )
            for row in rows
        )


def _put(connection: Connection, result: StoredResult) -> bool:
    known = connection.execute("SELECT unwanted FROM results WHERE id = ?", (result.id,)).fetchone()
    if known is not None and known["unwanted"]:
        return False
    connection.execute(
        "INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT (id) DO"
        " UPDATE SET rank = excluded.rank, title = excluded.title, frames = excluded.frames,"
        " width = excluded.width, height = excluded.height, bytes = excluded.bytes, score = excluded.score,"
        " content = excluded.content, changed_us = excluded.changed_us, details = excluded.details",
        (
            *(result.id, camera_key(connection, result.camera), result.day, result.kind, result.rank),
            *(result.title, result.frames, result.width, result.height, result.bytes, result.score),
            *(result.content, to_us(result.created_at), to_us(result.changed_at)),
            json.dumps(dict(result.details)),
        ),
    )
    return known is None


def _result(row: Row) -> StoredResult:
    return StoredResult(
        id=row["id"],
        camera=CameraName(bridge=row["bridge"], camera=row["camera_id"]),
        day=row["day"],
        kind=row["kind"],
        rank=row["rank"],
        title=row["title"],
        frames=row["frames"],
        width=row["width"],
        height=row["height"],
        bytes=row["bytes"],
        score=row["score"],
        content=row["content"],
        created_at=from_us(row["created_us"]),
        changed_at=from_us(row["changed_us"]),
        details=json.loads(row["details"]),
    )
