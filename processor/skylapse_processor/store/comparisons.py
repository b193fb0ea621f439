"""Comparisons of A/B tests: one row each, found by camera and experiment."""

import json
from concurrent.futures import Future

from skylapse_protocol.codec import read, write
from skylapse_protocol.comparison import Comparison
from skylapse_protocol.identifiers import CameraName

from ..clock import to_us
from .catalogue import camera_key
from .database import Connection, Database

Place = tuple[int, str, str]
"""When it was compared, in microseconds, camera and experiment: the order of lists, newest first."""


class ComparisonTable:
    """All comparisons."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, comparison: Comparison) -> "Future[None]":
        """Keep a comparison, in place of an earlier one of the same experiment."""

        def work(connection: Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO comparisons VALUES (?, ?, ?, ?)",
                (
                    camera_key(connection, CameraName.parse(comparison.camera)),
                    comparison.id,
                    to_us(comparison.compared_at),
                    json.dumps(write(comparison)),
                ),
            )

        return self._database.write(work)

    def list(
        self,
        limit: int,
        *,
        camera: CameraName | None = None,
        experiment: str | None = None,
        before: Place | None = None,
    ) -> tuple[Comparison, ...]:
        """Return comparisons, newest first."""
        where, values = "1", list[object]()
        if camera is not None:
            where += " AND c.bridge = ? AND c.camera = ?"
            values += [camera.bridge, camera.camera]
        if experiment is not None:
            where += " AND x.id = ?"
            values.append(experiment)
        if before is not None:
            where += " AND (x.compared_us, c.bridge || '/' || c.camera, x.id) < (?, ?, ?)"
            values += before
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT x.comparison FROM comparisons x JOIN cameras c ON c.id = x.camera"
                f" WHERE {where} ORDER BY x.compared_us DESC, c.bridge || '/' || c.camera DESC, x.id DESC"
                " LIMIT ?",
                (*values, limit),
            ).fetchall()
        return tuple(read(Comparison, json.loads(row["comparison"]), "comparison") for row in rows)


def place_of(comparison: Comparison) -> Place:
    """Return where a comparison stands in lists."""
    return to_us(comparison.compared_at), comparison.camera, comparison.id
