"""What the spool remembers besides frames: windows with their counts, and small notes."""

import json
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from skylapse_protocol.codec import format_time, parse_time, read, write
from skylapse_protocol.messages import EndedWindow
from skylapse_protocol.snapshot import Window

_ENDED_KEPT = 20


class Rows(Protocol):
    """The spool's database as the ledger sees it."""

    def transaction(self) -> AbstractContextManager[Any]:
        """Change rows together or not at all."""

    def all(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""


class Ledger:
    """Windows and notes, kept in the spool's database; every method blocks, in the spool's thread."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def open_window(self, camera: str, window: Window) -> None:
        """Note that a window began; its frames are counted from now on."""
        self._keep_window(camera, window, None)

    def end_window(self, camera: str, window: Window, at: datetime) -> None:
        """Note that a window ended; the last twenty are kept."""
        self._keep_window(camera, window, format_time(at))
        with self._rows.transaction() as database:
            # By number, since `ended_at` comes from a clock that may not have been set.
            database.execute(
                "UPDATE window SET number = (SELECT max(number) + 1 FROM window) WHERE camera = ? AND id = ?",
                (camera, window.id),
            )
            database.execute(
                "DELETE FROM window WHERE camera = ? AND ended_at IS NOT NULL AND number NOT IN"
                " (SELECT number FROM window WHERE camera = ? AND ended_at IS NOT NULL"
                " ORDER BY number DESC LIMIT ?)",
                (camera, camera, _ENDED_KEPT),
            )

    def _keep_window(self, camera: str, window: Window, ended_at: str | None) -> None:
        with self._rows.transaction() as database:
            database.execute(
                "INSERT INTO window (camera, id, facts, ended_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (camera, id)"
                " DO UPDATE SET facts = excluded.facts, ended_at = excluded.ended_at",
                (camera, window.id, json.dumps(write(window)), ended_at),
            )

    def open_windows(self, camera: str) -> tuple[Window, ...]:
        """Return the windows that began and were not ended, as after a restart."""
        rows = self._rows.all("SELECT facts FROM window WHERE camera = ? AND ended_at IS NULL", (camera,))
        return tuple(read(Window, json.loads(row[0]), "window") for row in rows)

    def ended_windows(self, camera: str) -> tuple[EndedWindow, ...]:
        """Return the last windows that ended, oldest first, with what was captured in them."""
        rows = self._rows.all(
            "SELECT facts, ended_at, captured, dropped FROM window"
            " WHERE camera = ? AND ended_at IS NOT NULL ORDER BY number",
            (camera,),
        )
        return tuple(
            EndedWindow(
                window=window.id,
                schedule=window.schedule,
                day=window.day,
                profiles=window.profiles,
                ended_at=parse_time(ended_at),
                captured=captured,
                dropped=dropped,
            )
            for facts, ended_at, captured, dropped in rows
            for window in (read(Window, json.loads(facts), "window"),)
        )

    def note(self, camera: str, name: str) -> object:
        """Return what was noted under this name, parsed JSON, None where nothing was."""
        rows = self._rows.all("SELECT value FROM note WHERE camera = ? AND name = ?", (camera, name))
        return json.loads(rows[0][0]) if rows else None

    def set_note(self, camera: str, name: str, value: object) -> None:
        """Keep a small thing, anything that JSON can hold, over restarts."""
        with self._rows.transaction() as database:
            write_note(database, camera, name, value)


def write_note(database: Any, camera: str, name: str, value: object) -> None:
    """Keep a small thing within a transaction."""
    database.execute(
        "INSERT INTO note VALUES (?, ?, ?) ON CONFLICT (camera, name) DO UPDATE SET value = excluded.value",
        (camera, name, json.dumps(value)),
    )


def promise_notes(database: Any, camera: str, number: int, notes: dict[str, object]) -> None:
    """Lay notes down that become true together with a frame, whether it is completed or adopted."""
    if notes:
        write_note(database, camera, _promise(number), notes)


def keep_promise(database: Any, camera: str, number: int) -> None:
    """Let the notes of a frame become true, in the transaction that makes it safe."""
    for (value,) in _take_promise(database, camera, number):
        for name, note in json.loads(value).items():
            write_note(database, camera, name, note)


def forget_promise(database: Any, camera: str, number: int) -> None:
    """Forget the notes of a frame that never became safe."""
    _take_promise(database, camera, number)


def _take_promise(database: Any, camera: str, number: int) -> list[tuple[str]]:
    """Take the notes of a frame out."""
    taken: list[tuple[str]] = database.execute(
        "DELETE FROM note WHERE camera = ? AND name = ? RETURNING value", (camera, _promise(number))
    ).fetchall()
    return taken


def _promise(number: int) -> str:
    return f"with frame {number}"
