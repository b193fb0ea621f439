"""The spool: the bridge's durable outbox. What was announced survives kill −9, a power cut and a full disk.

The order of things
-------------------
1. A row is reserved and committed. Its number is the frame's `seq`; AUTOINCREMENT never gives it again. The
   number comes first because the picture's EXIF carries it.
2. The picture, record inside, is written aside, synced, renamed to its final name, the folder synced.
3. The row is completed with the record, size and digest, and committed; the camera's and the window's counts
   rise in the same transaction. SQLite runs with WAL and `synchronous=FULL`: NORMAL loses acknowledged
   commits in a power cut. From here the frame is *safe*, and only now is it announced.
4. When the processor has acknowledged it, the row becomes delivered; the file stays for `keep_hours`,
   or until room is short, oldest first. What is not delivered is never deleted, except on the user's word
   (`on_full: drop_oldest`), and then counted.

A kill between 1 and 2 leaves a reserved row: it is deleted, nobody ever heard of it. Between 2 and 3 it
leaves a whole file without a completed row: it is adopted at the next start (`recovery.py`), its record read
from its EXIF, or from beside a raw picture. What is to be remembered with a frame, as where a folder goes
on, is laid down with the reservation and becomes true with the completion, in the same transaction. A row
whose file is gone or fails its digest is dropped, counted, with the reason. So at every moment, for each
camera,

    captured = delivered + pending + dropped.

Frames taken before the clock was set are *held*: pending, but not sent. Once the clock is set their time is
computed from the monotonic clock of the same boot, and picture and record are written anew under another name
before the row changes, so that a kill in between leaves one of the two whole.

One thread owns the connection (`outbox.py`). Only this module knows SQL.
"""

import json
import logging
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NoReturn

from skylapse_protocol.codec import format_time
from skylapse_protocol.messages import Counts
from skylapse_protocol.records import FrameRecord, read_record, write_record

from .durable import make_folder
from .errors import SpoolError, SpoolFullError, SpoolLimitError
from .frame_files import (
    StoredFrame,
    file_name,
    free_bytes,
    put_aside,
    read_verified,
    remove_frame,
    write_frame,
)
from .ledger import Ledger, forget_promise, keep_promise, promise_notes
from .recovery import recover

_LOGGER = logging.getLogger(__name__)

_SCHEMA = 1
_DATABASE_BYTES = 8_000_000
"""Room without which the database is not blamed for what goes wrong at its start."""
_TABLES = """
CREATE TABLE spool (id TEXT NOT NULL) STRICT;
CREATE TABLE frame (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    camera TEXT NOT NULL,
    spool TEXT NOT NULL,
    seq INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'held', 'pending', 'delivered')),
    file TEXT NOT NULL,
    bytes INTEGER NOT NULL DEFAULT 0,
    window TEXT,
    record TEXT,
    delivered_at TEXT,
    UNIQUE (spool, seq)
) STRICT;
CREATE INDEX frame_by_state ON frame (state, id);
CREATE TABLE camera (
    id TEXT PRIMARY KEY,
    captured INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE window (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    camera TEXT NOT NULL,
    id TEXT NOT NULL,
    facts TEXT NOT NULL,
    ended_at TEXT,
    captured INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0,
    UNIQUE (camera, id)
) STRICT;
CREATE TABLE note (
    camera TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (camera, name)
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much the spool may hold."""

    max_bytes: int
    min_free_bytes: int
    """Room that stays free on the disk for everything else."""
    keep_hours: float = 48.0
    """How long delivered frames are kept."""
    on_full: Literal["stop", "drop_oldest"] = "stop"


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """What waits in the spool."""

    frames: int
    bytes: int
    oldest_at: datetime | None
    used_bytes: int
    """Delivered frames that are still kept included."""


class Spool:
    """The outbox in one folder. Every method blocks and belongs to one thread."""

    def __init__(self, state_dir: Path, limits: Limits) -> None:
        self._state_dir = state_dir
        self.folder = state_dir / "frames"
        self._limits = limits
        self._database: sqlite3.Connection | None = None
        self._used_bytes = 0
        self.on_their_way: frozenset[int] = frozenset()  # never dropped for room: they may have arrived
        self.id = ""
        self.ledger = Ledger(self)

    # ------------------------------------------------------------------ open and close

    def open(self) -> None:
        """Open the spool, making a new one where there is none, and put in order what a kill left behind."""
        try:
            make_folder(self.folder)
            self._database = self._connect()
            recover(self)
        except OSError as error:
            raise SpoolError(f"the spool in {self._state_dir} cannot be used: {error}") from error
        self._used_bytes = int(self._one("SELECT coalesce(sum(bytes), 0) FROM frame")[0])

    def close(self) -> None:
        """Close the spool; closing a closed one does nothing."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _connect(self) -> sqlite3.Connection:
        """Open the database; a broken one is put aside, its frames are adopted again."""
        path = self._state_dir / "spool.db"
        try:
            return self._open_database(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                self._refuse_start(path, error)
            aside = path.with_name(f"spool-{secrets.token_hex(4)}.broken")
            _LOGGER.exception("%s is broken and is put aside as %s", path, aside)
            path.rename(aside)
            for rest in ("-wal", "-shm"):
                path.with_name(path.name + rest).unlink(missing_ok=True)
            return self._open_database(path)

    def _refuse_start(self, path: Path, error: sqlite3.OperationalError) -> NoReturn:
        """Raise SpoolError; SQLite says of a full disk no more than that it had an I/O error."""
        free = free_bytes(self._state_dir)
        if free < _DATABASE_BYTES:
            raise SpoolFullError(
                f"{path} cannot be opened ({error}): the disk is full, {_mb(free)} are left in"
                f" {self._state_dir}, and the database needs {_mb(_DATABASE_BYTES)}; make room"
            ) from error
        raise SpoolError(f"{path} cannot be opened: {error}") from error

    def _open_database(self, path: Path) -> sqlite3.Connection:
        database = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        try:
            self.id = _prepare(database, path)
        except BaseException:
            database.close()
            raise
        return database

    # ------------------------------------------------------------------ frames

    def add(
        self,
        record: FrameRecord,
        picture: bytes,
        *,
        make: str = "",
        model: str = "",
        notes: dict[str, object] | None = None,
    ) -> FrameRecord:
        """Make a frame safe, and the camera's notes with it; return its final record.

        `spool`, `seq`, `bytes` and `sha256` are filled in here. Raise SpoolFullError without room, ValueError
        where the picture is not what its record says.
        """
        self.make_room(len(picture))
        record = self._reserve(replace(record, spool=self.id), notes or {})
        file = file_name(record)
        try:
            record = write_frame(self.folder / file, record, picture, make=make, model=model)
        except BaseException:
            self.forget_reserved(record.seq)
            raise
        self.complete(record.seq, file, record)
        return record

    def _reserve(self, record: FrameRecord, notes: dict[str, object]) -> FrameRecord:
        """Give a frame its number, for ever."""
        with self.transaction() as database:
            number = database.execute(
                "INSERT INTO frame (camera, spool, seq, state, file) VALUES (?, ?, -1, 'reserved', '')",
                (record.camera, self.id),
            ).lastrowid
            record = replace(record, seq=int(number or 0))
            database.execute("UPDATE frame SET seq = id, file = ? WHERE id = ?", (file_name(record), number))
            promise_notes(database, record.camera, record.seq, notes)
        return record

    def pending(self, limit: int, skip: frozenset[int] = frozenset()) -> list[StoredFrame]:
        """Return the oldest frames that are to be delivered, without those to skip."""
        marks = ",".join("?" * len(skip))
        rows = self.all(
            f"SELECT id, file, record FROM frame WHERE state = 'pending' AND id NOT IN ({marks})"  # noqa: S608
            " ORDER BY id LIMIT ?",
            (*skip, limit),
        )
        return [self._stored(row) for row in rows]

    def held(self) -> list[StoredFrame]:
        """Return the frames that wait for the clock."""
        rows = self.all("SELECT id, file, record FROM frame WHERE state = 'held' ORDER BY id")
        return [self._stored(row) for row in rows]

    def delivered(self, number: int, at: datetime) -> None:
        """Note that the processor has a frame."""
        with self.transaction() as database:
            changed = database.execute(
                "UPDATE frame SET state = 'delivered', delivered_at = ? WHERE id = ? AND state = 'pending'"
                " RETURNING camera",
                (format_time(at), number),
            ).fetchone()
            if changed:
                database.execute("UPDATE camera SET delivered = delivered + 1 WHERE id = ?", changed)

    def drop_damaged(self, number: int, reason: str) -> None:
        """Give a frame up whose file is gone or damaged, counted; what is left of it is put aside."""
        for (file,) in self.all("SELECT file FROM frame WHERE id = ?", (number,)):
            try:
                put_aside(self.folder / file, self._state_dir / "damaged")
            except OSError as error:
                _LOGGER.warning("%s cannot be put aside: %s", self.folder / file, error)
        self.drop(number, reason)

    def drop(self, number: int, reason: str) -> None:
        """Give a frame up, counted: its file is gone, or the user wanted room."""
        with self.transaction() as database:
            row = database.execute(
                "DELETE FROM frame WHERE id = ? AND state IN ('held', 'pending')"
                " RETURNING camera, window, file, bytes",
                (number,),
            ).fetchone()
            if row is None:
                return
            camera, window, file, size = row
            database.execute("UPDATE camera SET dropped = dropped + 1 WHERE id = ?", (camera,))
            database.execute(
                "UPDATE window SET dropped = dropped + 1 WHERE camera = ? AND id = ?", (camera, window)
            )
        self._used_bytes -= size
        remove_frame(self.folder / file)
        _LOGGER.error("frame %s of camera %s is dropped: %s", number, camera, reason)

    def release(self, number: int, record: FrameRecord) -> FrameRecord:
        """Let a held frame go: with another time its picture is written anew, else it goes as it is.

        Raise DamagedError where its file is not what was made safe: a new digest would hide that.
        """
        frame = next((frame for frame in self.held() if frame.id == number), None)
        if frame is None:
            raise SpoolError(f"frame {number} is not held")
        old, file = frame.path, str(frame.path.relative_to(self.folder))
        picture = read_verified(frame)
        if record != frame.record:
            file = file_name(record, timed=True)
            record = write_frame(self.folder / file, record, picture)
        with self.transaction() as database:
            database.execute(
                "UPDATE frame SET state = 'pending', file = ?, bytes = ?, record = ? WHERE id = ?",
                (file, record.bytes, _dump(record), number),
            )
        if self.folder / file != old:
            remove_frame(old)
        return record

    def complete(self, number: int, file: str, record: FrameRecord) -> None:
        """Commit a frame whose file is durable, count it, and let its notes become true."""
        with self.transaction() as database:
            database.execute(
                "UPDATE frame SET state = ?, file = ?, bytes = ?, window = ?, record = ? WHERE id = ?",
                (_first_state(record), file, record.bytes, record.window, _dump(record), number),
            )
            self._count_captured(database, record)
            keep_promise(database, record.camera, number)
        self._used_bytes += record.bytes

    def _count_captured(self, database: sqlite3.Connection, record: FrameRecord) -> None:
        database.execute(
            "INSERT INTO camera (id, captured) VALUES (?, 1)"
            " ON CONFLICT (id) DO UPDATE SET captured = captured + 1",
            (record.camera,),
        )
        database.execute(
            "UPDATE window SET captured = captured + 1 WHERE camera = ? AND id = ?",
            (record.camera, record.window),
        )

    def forget_reserved(self, number: int) -> None:
        """Take back a reservation of which nobody heard; its number is not given again."""
        with self.transaction() as database:
            for (camera,) in database.execute(
                "DELETE FROM frame WHERE id = ? AND state = 'reserved' RETURNING camera", (number,)
            ).fetchall():
                forget_promise(database, camera, number)

    def _stored(self, row: tuple[int, str, str]) -> StoredFrame:
        number, file, record = row
        return StoredFrame(id=number, path=self.folder / file, record=read_record(json.loads(record)))

    # ------------------------------------------------------------------ room

    def make_room(self, size: int) -> None:
        """Delete delivered frames until `size` bytes fit; raise SpoolLimitError where they cannot."""
        while (lack := self._lack(size)) is not None:
            oldest = self.all(
                "SELECT id, file, bytes FROM frame WHERE state = 'delivered' ORDER BY id LIMIT 20"
            )
            if oldest:
                self.delete(oldest)
                continue
            victim = self._oldest_undelivered() if self._limits.on_full == "drop_oldest" else None
            if victim is None:
                raise SpoolLimitError(lack)
            self.drop(victim, lack)

    def forget_old(self, now: datetime) -> None:
        """Delete frames that were delivered longer ago than they are to be kept."""
        since = format_time(now - timedelta(hours=self._limits.keep_hours))
        while old := self.all(
            "SELECT id, file, bytes FROM frame WHERE state = 'delivered' AND delivered_at < ? LIMIT 100",
            (since,),
        ):
            self.delete(old)

    def _lack(self, size: int) -> str | None:
        """Return what stands against `size` more bytes, None where nothing does."""
        limits = self._limits
        if self._used_bytes + size > limits.max_bytes:
            return (
                f"the spool is full: it holds {_mb(self._used_bytes)}, a frame needs {_mb(size)}, and"
                f" `spool.max_gb` allows {_mb(limits.max_bytes)}"
            )
        free = free_bytes(self._state_dir)
        if free < limits.min_free_bytes + size:
            return (
                f"the disk is full: {_mb(free)} are left in {self._state_dir}, a frame needs {_mb(size)}, and"
                f" `spool.min_free_mb` keeps {_mb(limits.min_free_bytes)} free"
            )
        return None

    def _oldest_undelivered(self) -> int | None:
        rows = self.all(
            "SELECT id FROM frame WHERE state IN ('held', 'pending') ORDER BY id LIMIT ?",
            (len(self.on_their_way) + 1,),
        )
        return next((number for (number,) in rows if number not in self.on_their_way), None)

    def delete(self, rows: list[tuple[int, str, int]]) -> None:
        """Delete files first: a full disk may refuse to change the database before there is room."""
        for _, file, _ in rows:
            remove_frame(self.folder / file)
        with self.transaction() as database:
            database.executemany("DELETE FROM frame WHERE id = ?", [(row[0],) for row in rows])
        self._used_bytes -= sum(row[2] for row in rows)

    # ------------------------------------------------------------------ figures

    def counts(self, camera: str) -> Counts:
        """Return a camera's counts in the life of this spool."""
        row = self.all("SELECT captured, delivered, dropped FROM camera WHERE id = ?", (camera,))
        captured, delivered, dropped = row[0] if row else (0, 0, 0)
        pending = self._one(
            "SELECT count(*) FROM frame WHERE camera = ? AND state IN ('held', 'pending')", (camera,)
        )[0]
        return Counts(captured=captured, delivered=delivered, pending=pending, dropped=dropped)

    def totals(self) -> Totals:
        """Return what waits, of all cameras."""
        frames, size, first = self._one(
            "SELECT count(*), coalesce(sum(bytes), 0), min(id) FROM frame WHERE state IN ('held', 'pending')"
        )
        oldest_at = None
        if first is not None:
            record = self._one("SELECT record FROM frame WHERE id = ?", (first,))[0]
            oldest_at = read_record(json.loads(record)).captured_at
        return Totals(frames=frames, bytes=size, oldest_at=oldest_at, used_bytes=self._used_bytes)

    # ------------------------------------------------------------------ the database

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Change rows together or not at all; SQLite's errors become SpoolError."""
        database = self._open
        try:
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")
        except sqlite3.Error as error:
            _refuse(error)
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")

    def all(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query; SQLite's errors become SpoolError."""
        try:
            return self._open.execute(query, values).fetchall()
        except sqlite3.Error as error:
            _refuse(error)

    def _one(self, query: str, values: tuple[object, ...] = ()) -> tuple[Any, ...]:
        return self.all(query, values)[0]

    @property
    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            raise SpoolError("the spool is not open")
        return self._database


def _prepare(database: sqlite3.Connection, path: Path) -> str:
    """Check the database, or make its tables; return the spool's id."""
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "journal_size_limit = 4194304"):
        database.execute(f"PRAGMA {pragma}")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > _SCHEMA:
        raise SpoolError(f"{path} was written by a newer release (schema {version})")
    if database.execute("PRAGMA quick_check").fetchone()[0] != "ok":
        raise sqlite3.DatabaseError("quick_check found damage")
    if version == 0:
        database.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {_SCHEMA};")
        database.execute("INSERT INTO spool VALUES (?)", (secrets.token_hex(8),))
        database.execute("COMMIT")
    return str(database.execute("SELECT id FROM spool").fetchone()[0])


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _first_state(record: FrameRecord) -> str:
    return "pending" if record.clock_synced else "held"


def _dump(record: FrameRecord) -> str:
    return json.dumps(write_record(record), separators=(",", ":"))


def _refuse(error: sqlite3.Error) -> NoReturn:
    if "full" in str(error):
        raise SpoolFullError(f"the spool's database cannot grow: {error}") from error
    raise SpoolError(f"the spool's database failed: {error}") from error
