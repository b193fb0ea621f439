"""The spool: the bridge's durable outbox. What was announced survives kill −9, a power cut and a full disk.

The order of things
-------------------
1. A row is reserved and committed. Its number is the frame's `seq`; AUTOINCREMENT never gives it again. The
   number comes first because the picture's EXIF carries it.
2. The picture, record inside, is written aside, synced, renamed to its final name, the folder synced.
3. The row is completed with the record, size and digest, and committed; the camera's and the window's counts
   rise in the same transaction. SQLite runs with WAL and `synchronous=FULL`: NORMAL loses acknowledged
   commits in a power cut. From here the frame is *safe*, and only now is it announced.
4. When the processor has acknowledged it, the row becomes delivered; the file stays for `keep_hours`, or
until
   room is short, oldest first. What is not delivered is never deleted, except on the user's word
   (`on_full: drop_oldest`), and then counted.

A kill between 1 and 2 leaves a reserved row: it is deleted, nobody ever heard of it. Between 2 and 3 it
leaves a whole file without a completed row: it is adopted at the next start, its record read from its EXIF.
A row whose file is gone or fails its digest is dropped, counted, with the reason. So at every moment, for
each camera,

    captured = delivered + pending + dropped.

Frames taken before the clock was set are *held*: pending, but not sent. Once the clock is set their time is
computed from the monotonic clock of the same boot, and picture and record are written anew under another name
before the row changes, so that a kill in between leaves one of the two whole.

One thread owns the connection (`outbox.py`). Only this module knows SQL.
"""

import hashlib
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

from . import exif
from .durable import PART_SUFFIX, make_folder, write_durably
from .errors import SpoolError, SpoolFullError
from .frame_files import StoredFrame, free_bytes, read_verified, record_in
from .ledger import Ledger

_LOGGER = logging.getLogger(__name__)

_SCHEMA = 1
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

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._frames = folder / "frames"
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
            make_folder(self._frames)
            self._database = self._connect()
            self._sweep()
        except OSError as error:
            raise SpoolError(f"the spool in {self._folder} cannot be used: {error}") from error
        self._used_bytes = int(self._one("SELECT coalesce(sum(bytes), 0) FROM frame")[0])

    def close(self) -> None:
        """Close the spool; closing a closed one does nothing."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _connect(self) -> sqlite3.Connection:
        """Open the database; a broken one is put aside, its frames are adopted again."""
        path = self._folder / "spool.db"
        try:
            return self._open_database(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise SpoolError(f"{path} cannot be opened: {error}") from error
            aside = path.with_name(f"spool-{secrets.token_hex(4)}.broken")
            _LOGGER.exception("%s is broken and is put aside as %s", path, aside)
            path.rename(aside)
            for rest in ("-wal", "-shm"):
                path.with_name(path.name + rest).unlink(missing_ok=True)
            return self._open_database(path)

    def _open_database(self, path: Path) -> sqlite3.Connection:
        database = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        try:
            self.id = _prepare(database, path)
        except BaseException:
            database.close()
            raise
        return database

    # ------------------------------------------------------------------ frames

    def add(self, record: FrameRecord, picture: bytes, *, make: str = "", model: str = "") -> FrameRecord:
        """Make a frame safe and return its final record.

        `spool`, `seq`, `bytes` and `sha256` are filled in here. Raise SpoolFullError without room, ValueError
        where the picture is no JPEG.
        """
        self.make_room(len(picture))
        with self.transaction() as database:
            number = database.execute(
                "INSERT INTO frame (camera, spool, seq, state, file) VALUES (?, ?, -1, 'reserved', '')",
                (record.camera, self.id),
            ).lastrowid
            file = f"{record.camera}/{self.id}-{number}.jpg"
            database.execute("UPDATE frame SET seq = id, file = ? WHERE id = ?", (file, number))
        try:
            record = replace(record, spool=self.id, seq=int(number or 0))
            record = self._write(file, record, picture, make=make, model=model)
        except BaseException:
            self._forget_reserved(int(number or 0))
            raise
        self._complete(record.seq, file, record)
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
            path = self._frames / file
            try:
                make_folder(self._folder / "damaged")
                path.rename(self._folder / "damaged" / path.name)
            except OSError as error:
                _LOGGER.warning("%s cannot be put aside: %s", path, error)
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
        (self._frames / file).unlink(missing_ok=True)
        _LOGGER.error("frame %s of camera %s is dropped: %s", number, camera, reason)

    def release(self, number: int, record: FrameRecord) -> FrameRecord:
        """Let a held frame go: with another time its picture is written anew, else it goes as it is.

        Raise DamagedError where its file is not what was made safe: a new digest would hide that.
        """
        frame = next((frame for frame in self.held() if frame.id == number), None)
        if frame is None:
            raise SpoolError(f"frame {number} is not held")
        old, file = frame.path, str(frame.path.relative_to(self._frames))
        picture = read_verified(frame)
        if record != frame.record:
            file = f"{record.camera}/{record.spool}-{record.seq}-timed.jpg"
            record = self._write(file, record, picture)
        with self.transaction() as database:
            database.execute(
                "UPDATE frame SET state = 'pending', file = ?, bytes = ?, record = ? WHERE id = ?",
                (file, record.bytes, _dump(record), number),
            )
        if self._frames / file != old:
            old.unlink(missing_ok=True)
        return record

    def _write(
        self, file: str, record: FrameRecord, picture: bytes, *, make: str = "", model: str = ""
    ) -> FrameRecord:
        """Write the picture with its record inside; return the record with size and digest."""
        data = exif.write_exif(picture, record, make=make, model=model)
        path = self._frames / file
        try:
            make_folder(path.parent)
            write_durably(path, data)
        except OSError as error:
            path.with_name(path.name + PART_SUFFIX).unlink(missing_ok=True)
            raise SpoolFullError(f"{path} cannot be written: {error}") from error
        return replace(record, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())

    def _complete(self, number: int, file: str, record: FrameRecord) -> None:
        """Commit a frame whose file is durable, and count it."""
        with self.transaction() as database:
            database.execute(
                "UPDATE frame SET state = ?, file = ?, bytes = ?, window = ?, record = ? WHERE id = ?",
                (_first_state(record), file, record.bytes, record.window, _dump(record), number),
            )
            self._count_captured(database, record)
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

    def _forget_reserved(self, number: int) -> None:
        with self.transaction() as database:
            database.execute("DELETE FROM frame WHERE id = ? AND state = 'reserved'", (number,))

    def _stored(self, row: tuple[int, str, str]) -> StoredFrame:
        number, file, record = row
        return StoredFrame(id=number, path=self._frames / file, record=read_record(json.loads(record)))

    # ------------------------------------------------------------------ room

    def make_room(self, size: int) -> None:
        """Delete delivered frames until `size` bytes fit; raise SpoolFullError where they cannot."""
        while (lack := self._lack(size)) is not None:
            oldest = self.all(
                "SELECT id, file, bytes FROM frame WHERE state = 'delivered' ORDER BY id LIMIT 20"
            )
            if oldest:
                self._delete(oldest)
                continue
            victim = self._oldest_undelivered() if self._limits.on_full == "drop_oldest" else None
            if victim is None:
                raise SpoolFullError(lack)
            self.drop(victim, lack)

    def forget_old(self, now: datetime) -> None:
        """Delete frames that were delivered longer ago than they are to be kept."""
        since = format_time(now - timedelta(hours=self._limits.keep_hours))
        while old := self.all(
            "SELECT id, file, bytes FROM frame WHERE state = 'delivered' AND delivered_at < ? LIMIT 100",
            (since,),
        ):
            self._delete(old)

    def _lack(self, size: int) -> str | None:
        """Return what stands against `size` more bytes, None where nothing does."""
        if self._used_bytes + size > self._limits.max_bytes:
            return f"the spool is full: it may hold {self._limits.max_bytes // 2**20} MB"
        free = free_bytes(self._folder)
        if free < self._limits.min_free_bytes + size:
            return f"the disk is full: {free // 2**20} MB are left in {self._folder}"
        return None

    def _oldest_undelivered(self) -> int | None:
        rows = self.all(
            "SELECT id FROM frame WHERE state IN ('held', 'pending') ORDER BY id LIMIT ?",
            (len(self.on_their_way) + 1,),
        )
        return next((number for (number,) in rows if number not in self.on_their_way), None)

    def _delete(self, rows: list[tuple[int, str, int]]) -> None:
        """Delete files first: a full disk may refuse to change the database before there is room."""
        for _, file, _ in rows:
            (self._frames / file).unlink(missing_ok=True)
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

    # ------------------------------------------------------------------ what a kill left behind

    def _sweep(self) -> None:
        """Delete what is unfinished, adopt what is whole, drop what is gone."""
        for part in self._frames.rglob(f"*{PART_SUFFIX}"):
            part.unlink()
        for number, file in self.all("SELECT id, file FROM frame WHERE state = 'reserved'"):
            if not (self._frames / file).is_file() or not self._adopt(number, file):
                self._forget_reserved(number)
        for number, file, state, size in self.all(
            "SELECT id, file, state, bytes FROM frame WHERE state <> 'reserved'"
        ):
            if not (self._frames / file).is_file():
                if state == "delivered":
                    self._delete([(number, file, size)])
                else:
                    self.drop(number, "its file is gone")
        known = {row[0] for row in self.all("SELECT file FROM frame")}
        for path in sorted(self._frames.glob("*/*.jpg")):
            if str(path.relative_to(self._frames)) not in known:
                self._take_in(path)

    def _adopt(self, number: int, file: str) -> bool:
        """Complete a row from the file that was written for it."""
        record = record_in(self._frames / file)
        if record is None:
            return False
        self._complete(number, file, record)
        _LOGGER.info("frame %s was written but not committed before the bridge ended; it is adopted", number)
        return True

    def _take_in(self, path: Path) -> None:
        """Give a file without a row one, unless its frame has a row: then it was left over by `release`."""
        record = record_in(path)
        if record is None:
            _LOGGER.warning("%s holds no frame and is left alone", path)
            return
        if self.all("SELECT 1 FROM frame WHERE spool = ? AND seq = ?", (record.spool, record.seq)):
            path.unlink()
            return
        with self.transaction() as database:
            number = database.execute(
                "INSERT INTO frame (camera, spool, seq, state, file) VALUES (?, ?, ?, 'reserved', ?)",
                (record.camera, record.spool, record.seq, str(path.relative_to(self._frames))),
            ).lastrowid
        self._complete(int(number or 0), str(path.relative_to(self._frames)), record)

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


def _first_state(record: FrameRecord) -> str:
    return "pending" if record.clock_synced else "held"


def _dump(record: FrameRecord) -> str:
    return json.dumps(write_record(record), separators=(",", ":"))


def _refuse(error: sqlite3.Error) -> NoReturn:
    if "full" in str(error):
        raise SpoolFullError(f"the spool's database cannot grow: {error}") from error
    raise SpoolError(f"the spool's database failed: {error}") from error
