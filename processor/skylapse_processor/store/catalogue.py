"""Frames: which there are, of which camera, day, window and profile, and which of them were refused."""

import itertools
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime
from functools import lru_cache

from skylapse_protocol.identifiers import CameraName, FrameName
from skylapse_protocol.records import FrameRecord

from ..clock import from_us, to_us
from .database import Connection, Database, Row
from .rows import Batch, FrameRole, FrameState, Selection, StoredFrame, Stretch, Totals, day_number, day_text

_COLUMNS = """
    SELECT c.bridge, c.camera AS camera_id, f.captured_us, s.spool, f.seq, f.day, w.word AS window,
           k.word AS schedule, p.word AS profile, t.word AS test, f.state, f.bytes, f.width, f.height,
           f.sha256, f.figures, f.role"""
_SPOOLED = "frames f JOIN spools s ON s.id = f.spool"
_FROM = """frames f
    JOIN cameras c ON c.id = f.camera
    JOIN spools s ON s.id = f.spool
    LEFT JOIN words w ON w.id = f.window
    LEFT JOIN words k ON k.id = f.schedule
    LEFT JOIN words p ON p.id = f.profile
    LEFT JOIN words t ON t.id = f.test
"""
_FRAME = f"{_COLUMNS} FROM {_FROM}"
_IN_ORDER = "f.captured_us, f.spool, f.seq"
_EVER_US = 2**63 - 1
_STATES, _ROLES = tuple(FrameState), tuple(FrameRole)
_IDENTITY = "c.bridge = ? AND c.camera = ? AND s.spool = ? AND f.seq = ?"


class Catalogue:
    """Questions about frames, and the few ways in which they change."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, camera: CameraName, spool: str, seq: int) -> StoredFrame | None:
        """Return the frame with this identity."""
        with self._database.reading() as connection:
            row = connection.execute(
                f"{_FRAME} WHERE {_IDENTITY}", (camera.bridge, camera.camera, spool, seq)
            ).fetchone()
        return _frame(row) if row is not None else None

    def add(self, frame: StoredFrame, at: datetime) -> "Future[bool]":
        """Catalogue a frame stored at that time; resolves to False where its identity is there already."""
        return self._database.write(lambda connection: _add(connection, frame, at))

    def settle(self, frame: StoredFrame, state: FrameState, figures: bytes | None = None) -> "Future[None]":
        """Note what measuring a frame has shown."""
        return self._database.write(lambda connection: _settle(connection, frame, state, figures))

    def quarantine(self, record: FrameRecord, reason: str, at: datetime) -> "Future[None]":
        """Count a picture that was refused and kept."""
        return self._database.write(lambda connection: _quarantine(connection, record, reason, at))

    def forget(self, frames: Sequence[StoredFrame]) -> "Future[None]":
        """Drop rows whose files are gone; at most a few hundred in one call."""
        return self._database.write(lambda connection: _forget(connection, frames))

    def cameras(self) -> tuple[CameraName, ...]:
        """Return every camera that has ever been heard of."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT bridge, camera FROM cameras ORDER BY bridge, camera").fetchall()
        return tuple(CameraName(bridge=row["bridge"], camera=row["camera"]) for row in rows)

    def stretches(self, camera: CameraName | None = None, day: str | None = None) -> tuple[Stretch, ...]:
        """Return the counted stretches, newest day first."""
        where = "1"
        values: list[object] = []
        if camera is not None:
            where += " AND c.bridge = ? AND c.camera = ?"
            values += [camera.bridge, camera.camera]
        if day is not None:
            where += " AND x.day = ?"
            values += [day_number(day)]
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT c.bridge, c.camera AS camera_id, x.day, w.word AS window, k.word AS schedule,"
                " p.word AS profile, x.frames, x.bad, x.gone, x.leading, x.bytes, x.first_us, x.last_us,"
                " x.stored_us FROM stretches x"
                " JOIN cameras c ON c.id = x.camera LEFT JOIN words w ON w.id = x.window"
                " LEFT JOIN words k ON k.id = x.schedule LEFT JOIN words p ON p.id = x.profile"
                f" WHERE {where} ORDER BY x.day DESC, x.first_us",
                values,
            ).fetchall()
        return tuple(_stretch(row) for row in rows)

    def totals(self, camera: CameraName | None = None, until: datetime | None = None) -> Totals:
        """Return the counts of a camera, or of all cameras together.

        The last day is one that had begun `until` then, if that is said and there is such a day.
        """
        limit_us = to_us(until) if until is not None else _EVER_US
        chosen, values = "1", []
        if camera is not None:
            chosen = "camera = (SELECT id FROM cameras WHERE bridge = ? AND camera = ?)"
            values = [camera.bridge, camera.camera]
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT ifnull(sum(frames), 0) AS frames, ifnull(sum(bad), 0) AS bad,"
                " ifnull(sum(gone), 0) AS gone, ifnull(sum(bytes), 0) AS bytes,"
                " count(DISTINCT CASE WHEN frames THEN day END) AS days,"
                " min(CASE WHEN frames THEN day END) AS first_day,"
                " ifnull(max(CASE WHEN frames AND first_us <= ? THEN day END),"
                " max(CASE WHEN frames THEN day END)) AS last_day"
                f" FROM stretches WHERE {chosen}",
                (limit_us, *values),
            ).fetchone()
            last = connection.execute(
                "SELECT ifnull(sum(frames), 0) AS frames, ifnull(sum(bad), 0) AS bad"
                f" FROM stretches WHERE {chosen} AND day = ?",
                (*values, row["last_day"]),
            ).fetchone()
        return Totals(
            frames=row["frames"],
            bad=row["bad"],
            gone=row["gone"],
            days=row["days"],
            bytes=row["bytes"],
            first_day=row["first_day"] and day_text(row["first_day"]),
            last_day=row["last_day"] and day_text(row["last_day"]),
            frames_last_day=last["frames"],
            bad_last_day=last["bad"],
        )

    def quarantined(self) -> dict[CameraName, int]:
        """Return how many pictures of each camera were refused and kept."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT c.bridge, c.camera, count(*) AS n FROM quarantine q"
                " JOIN cameras c ON c.id = q.camera GROUP BY c.id"
            ).fetchall()
        return {CameraName(bridge=row["bridge"], camera=row["camera"]): row["n"] for row in rows}

    def unmeasured(self, limit: int) -> tuple[StoredFrame, ...]:
        """Return frames that wait to be measured."""
        with self._database.reading() as connection:
            rows = connection.execute(f"{_FRAME} WHERE f.state = 0 LIMIT ?", (limit,)).fetchall()
        return tuple(_frame(row) for row in rows)

    def newest(self, camera: CameraName, until: datetime | None = None) -> StoredFrame | None:
        """Return the frame that was captured last: of those that films are made of, else any picture.

        Captured `until` then, if that is said and there is one: a clock that was years ahead once has left
        its frames.
        """
        limits_us = (to_us(until), _EVER_US) if until is not None else (_EVER_US,)
        roles = (FrameRole.LEADS, FrameRole.TEST, FrameRole.MEMBER)
        with self._database.reading() as connection:
            for limit_us, role in itertools.product(limits_us, roles):
                row = connection.execute(
                    f"{_FRAME} WHERE f.camera = (SELECT id FROM cameras WHERE bridge = ? AND camera = ?)"
                    " AND f.state <> 3 AND f.role = ? AND f.captured_us <= ?"
                    " ORDER BY f.captured_us DESC LIMIT 1",
                    (camera.bridge, camera.camera, int(role), limit_us),
                ).fetchone()
                if row is not None:
                    return _frame(row)
        return None

    def newest_of_window(self, camera: CameraName, since: datetime, until: datetime) -> StoredFrame | None:
        """Return the frame that was captured last in a span, of those of windows that films are made of."""
        with self._database.reading() as connection:
            row = connection.execute(
                f"{_FRAME} WHERE f.camera = (SELECT id FROM cameras WHERE bridge = ? AND camera = ?)"
                " AND f.state <> 3 AND f.role = ? AND f.window <> 0 AND f.captured_us BETWEEN ? AND ?"
                " ORDER BY f.captured_us DESC LIMIT 1",
                (camera.bridge, camera.camera, int(FrameRole.LEADS), to_us(since), to_us(until)),
            ).fetchone()
        return _frame(row) if row is not None else None

    def frames(self, wanted: Selection, limit: int = -1) -> tuple[StoredFrame, ...]:
        """Return frames in the order of their capture."""
        query, values = frames_query(wanted)
        with self._database.reading() as connection:
            rows = connection.execute(query, (*values, limit)).fetchall()
        return tuple(_frame(row) for row in rows)

    def stems(self, wanted: Selection) -> tuple[str, ...]:
        """Return the stems of the frames' names, in the order of their capture."""
        query, values = _select("SELECT f.captured_us, s.spool, f.seq", _SPOOLED, wanted)
        with self._database.reading() as connection:
            rows = connection.execute(f"{query} ORDER BY {_IN_ORDER}", values).fetchall()
        camera = wanted.camera
        return tuple(
            FrameName(camera=camera, captured_at=from_us(captured_us), spool=spool, seq=seq).stem
            for captured_us, spool, seq in rows
        )

    def batches(self, wanted: Selection) -> tuple[Batch, ...]:
        """Return the frames counted, those last that hold the newest: a long day is as short as any."""
        query, values = _select(
            "SELECT f.day, f.window, f.schedule, f.profile, f.state = 2 AS bad, f.width, f.height,"
            " count(*) AS frames, max(f.captured_us) AS newest_us",
            "frames f",
            wanted,
        )
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT x.day, w.word AS window, k.word AS schedule, p.word AS profile, x.bad, x.width,"
                f" x.height, x.frames FROM ({query} GROUP BY 1, 2, 3, 4, 5, 6, 7) x"
                " LEFT JOIN words w ON w.id = x.window LEFT JOIN words k ON k.id = x.schedule"
                " LEFT JOIN words p ON p.id = x.profile ORDER BY x.newest_us",
                values,
            ).fetchall()
        return tuple(_batch(row) for row in rows)

    def is_empty(self) -> bool:
        """Tell whether there is no frame at all."""
        with self._database.reading() as connection:
            return connection.execute("SELECT 1 FROM frames LIMIT 1").fetchone() is None


def camera_key(connection: Connection, camera: CameraName) -> int:
    """Return the number of a camera, given on first sight."""
    connection.execute(
        "INSERT OR IGNORE INTO cameras (bridge, camera) VALUES (?, ?)", (camera.bridge, camera.camera)
    )
    row = connection.execute(
        "SELECT id FROM cameras WHERE bridge = ? AND camera = ?", (camera.bridge, camera.camera)
    ).fetchone()
    return int(row["id"])


def _spool_key(connection: Connection, spool: str) -> int:
    connection.execute("INSERT OR IGNORE INTO spools (spool) VALUES (?)", (spool,))
    return int(connection.execute("SELECT id FROM spools WHERE spool = ?", (spool,)).fetchone()["id"])


def _word_key(connection: Connection, word: str | None) -> int:
    """Return the number of a word; 0 stands for none."""
    if word is None:
        return 0
    connection.execute("INSERT OR IGNORE INTO words (word) VALUES (?)", (word,))
    return int(connection.execute("SELECT id FROM words WHERE word = ?", (word,)).fetchone()["id"])


def _add(connection: Connection, frame: StoredFrame, at: datetime) -> bool:
    camera = camera_key(connection, frame.name.camera)
    spool = _spool_key(connection, frame.name.spool)
    captured_us, day = to_us(frame.name.captured_at), day_number(frame.day)
    window, schedule, profile, test = (
        _word_key(connection, word) for word in (frame.window, frame.schedule, frame.profile, frame.test_id)
    )
    known = connection.execute(
        "SELECT 1 FROM frames WHERE camera = ? AND spool = ? AND seq = ?", (camera, spool, frame.name.seq)
    ).fetchone()
    if known is not None:
        return False
    connection.execute(
        "INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)",
        (
            *(camera, captured_us, spool, frame.name.seq, day, window, schedule, profile, test),
            *(int(frame.state), frame.bytes, frame.width, frame.height, bytes.fromhex(frame.sha256)),
            int(frame.role),
        ),
    )
    connection.execute(
        "INSERT INTO stretches VALUES (?, ?, ?, ?, ?, 1, 0, 0, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " frames = frames + 1, bytes = bytes + excluded.bytes, leading = leading + excluded.leading,"
        " first_us = min(first_us, excluded.first_us), last_us = max(last_us, excluded.last_us),"
        " stored_us = max(stored_us, excluded.stored_us)",
        (
            *(camera, day, window, profile, schedule, frame.bytes, captured_us, captured_us, to_us(at)),
            int(frame.role is FrameRole.LEADS),
        ),
    )
    return True


_KEY = (
    "camera = (SELECT id FROM cameras WHERE bridge = ? AND camera = ?) AND captured_us = ?"
    " AND spool = (SELECT id FROM spools WHERE spool = ?) AND seq = ?"
)


def _key(frame: StoredFrame) -> tuple[object, ...]:
    name = frame.name
    return (name.camera.bridge, name.camera.camera, to_us(name.captured_at), name.spool, name.seq)


def _settle(connection: Connection, frame: StoredFrame, state: FrameState, figures: bytes | None) -> None:
    row = connection.execute(
        f"SELECT camera, day, window, profile, state FROM frames WHERE {_KEY}", _key(frame)
    ).fetchone()
    if row is None or row["state"] == state:
        return
    connection.execute(
        f"UPDATE frames SET state = ?, figures = ? WHERE {_KEY}", (int(state), figures, *_key(frame))
    )
    change = int(state == FrameState.BAD) - int(row["state"] == FrameState.BAD)
    if change:
        connection.execute(
            "UPDATE stretches SET bad = bad + ? WHERE camera = ? AND day = ? AND window = ? AND profile = ?",
            (change, row["camera"], row["day"], row["window"], row["profile"]),
        )


def _quarantine(connection: Connection, record: FrameRecord, reason: str, at: datetime) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO quarantine (camera, captured_us, spool, seq, sha256, reason, at_us)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            camera_key(connection, record.camera_name),
            to_us(record.captured_at),
            _spool_key(connection, record.spool),
            record.seq,
            bytes.fromhex(record.sha256),
            reason,
            to_us(at),
        ),
    )


def _forget(connection: Connection, frames: Sequence[StoredFrame]) -> None:
    for frame in frames:
        row = connection.execute(
            f"DELETE FROM frames WHERE {_KEY} RETURNING camera, day, window, profile, bytes, state",
            _key(frame),
        ).fetchone()
        if row is not None:
            connection.execute(f"DELETE FROM marks WHERE {_KEY}", _key(frame))
            connection.execute(
                "UPDATE stretches SET frames = frames - 1, gone = gone + 1, bytes = bytes - ?, bad = bad - ?"
                " WHERE camera = ? AND day = ? AND window = ? AND profile = ?",
                (
                    *(row["bytes"], int(row["state"] == FrameState.BAD)),
                    *(row["camera"], row["day"], row["window"], row["profile"]),
                ),
            )


def frames_query(wanted: Selection) -> tuple[str, list[object]]:
    """Return the statement that selects frames in order, with its values; the limit is the last of them."""
    query, values = _select(_COLUMNS, _FROM, wanted)
    return f"{query} ORDER BY {_IN_ORDER} LIMIT ?", values


def _select(columns: str, tables: str, wanted: Selection) -> tuple[str, list[object]]:
    """Return a statement over the frames that are meant, with its values.

    Left to itself SQLite walks the primary key, which is in order already, through all the days before.
    """
    where, values = _narrow(wanted)
    index = "frame_test" if wanted.test_id else "frame_day" if wanted.day else None
    index = "frame_unmeasured" if wanted.unmeasured else index
    if index:
        tables = tables.replace("frames f", f"frames f INDEXED BY {index}")
    return f"{columns} FROM {tables} WHERE {where}", values


def _narrow(wanted: Selection) -> tuple[str, list[object]]:
    """Return a condition and its values."""
    where = "f.camera = (SELECT id FROM cameras WHERE bridge = ? AND camera = ?) AND f.state <> 3"
    if wanted.not_bad:
        where += " AND f.state <> 2"
    if wanted.unmeasured:
        where += " AND f.state = 0"
    values: list[object] = [wanted.camera.bridge, wanted.camera.camera]
    for condition, value in (
        ("f.day = ?", wanted.day and day_number(wanted.day)),
        ("f.window = (SELECT id FROM words WHERE word = ?)", wanted.window),
        ("f.profile = (SELECT id FROM words WHERE word = ?)", wanted.profile),
        ("f.test <> 0 AND f.test = (SELECT id FROM words WHERE word = ?)", wanted.test_id),
        ("f.role = ?", None if wanted.role is None else int(wanted.role)),
        ("f.captured_us >= ?", wanted.from_at and to_us(wanted.from_at)),
        ("f.captured_us < ?", wanted.to_at and to_us(wanted.to_at)),
    ):
        if value is not None:
            where += f" AND {condition}"
            values.append(value)
    if wanted.after is not None:
        spool = "coalesce((SELECT id FROM spools WHERE spool = ?), 0)"
        where += f" AND (f.captured_us, f.spool, f.seq) > (?, {spool}, ?)"
        values += [to_us(wanted.after.captured_at), wanted.after.spool, wanted.after.seq]
    return where, values


@lru_cache
def _camera(bridge: str, camera: str) -> CameraName:
    return CameraName(bridge=bridge, camera=camera)


def _frame(row: Row) -> StoredFrame:
    return StoredFrame(
        name=FrameName(
            camera=_camera(row["bridge"], row["camera_id"]),
            captured_at=from_us(row["captured_us"]),
            spool=row["spool"],
            seq=row["seq"],
        ),
        day=day_text(row["day"]),
        window=row["window"],
        schedule=row["schedule"],
        profile=row["profile"],
        test_id=row["test"],
        state=_STATES[row["state"]],
        bytes=row["bytes"],
        width=row["width"],
        height=row["height"],
        sha256=row["sha256"].hex(),
        figures=row["figures"],
        role=_ROLES[row["role"]],
    )


def _batch(row: Row) -> Batch:
    return Batch(
        day=day_text(row["day"]),
        window=row["window"],
        schedule=row["schedule"],
        profile=row["profile"],
        bad=bool(row["bad"]),
        width=row["width"],
        height=row["height"],
        frames=row["frames"],
    )


def _stretch(row: Row) -> Stretch:
    return Stretch(
        camera=CameraName(bridge=row["bridge"], camera=row["camera_id"]),
        day=day_text(row["day"]),
        window=row["window"],
        schedule=row["schedule"],
        profile=row["profile"],
        frames=row["frames"],
        bad=row["bad"],
        gone=row["gone"],
        leading=row["leading"],
        bytes=row["bytes"],
        first_at=from_us(row["first_us"]),
        last_at=from_us(row["last_us"]),
        stored_at=from_us(row["stored_us"]),
    )
