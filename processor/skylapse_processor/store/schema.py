"""The catalogue's schema as a list of migrations, each one transaction, forward only.

`PRAGMA user_version` counts the migrations done. Before the first of them touches a catalogue that holds
something, a copy is written beside it; a catalogue that a newer release wrote is refused. Frames are one
narrow row each (small integers for camera, spool and words) so that a hundred million of them fit a disk.
"""

import logging
import sqlite3
from pathlib import Path

from ..errors import SchemaError

_log = logging.getLogger(__name__)

MIGRATIONS = (
    """
    CREATE TABLE cameras (
        id INTEGER PRIMARY KEY,
        bridge TEXT NOT NULL,
        camera TEXT NOT NULL,
        UNIQUE (bridge, camera)
    ) STRICT;
    CREATE TABLE spools (id INTEGER PRIMARY KEY, spool TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE frames (
        camera INTEGER NOT NULL REFERENCES cameras (id),
        captured_us INTEGER NOT NULL,
        spool INTEGER NOT NULL REFERENCES spools (id),
        seq INTEGER NOT NULL,
        day INTEGER NOT NULL,
        window INTEGER NOT NULL,
        schedule INTEGER NOT NULL,
        profile INTEGER NOT NULL,
        test INTEGER NOT NULL,
        state INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        sha256 BLOB NOT NULL,
        figures BLOB,
        PRIMARY KEY (camera, captured_us, spool, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX frame_identity ON frames (camera, spool, seq);
    CREATE INDEX frame_day ON frames (camera, day, captured_us, spool, seq);
    CREATE INDEX frame_unmeasured ON frames (camera) WHERE state = 0;
    CREATE TABLE stretches (
        camera INTEGER NOT NULL REFERENCES cameras (id),
        day INTEGER NOT NULL,
        window INTEGER NOT NULL,
        profile INTEGER NOT NULL,
        schedule INTEGER NOT NULL,
        frames INTEGER NOT NULL,
        bad INTEGER NOT NULL,
        gone INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        first_us INTEGER NOT NULL,
        last_us INTEGER NOT NULL,
        PRIMARY KEY (camera, day, window, profile)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE quarantine (
        id INTEGER PRIMARY KEY,
        camera INTEGER NOT NULL REFERENCES cameras (id),
        captured_us INTEGER NOT NULL,
        spool INTEGER NOT NULL REFERENCES spools (id),
        seq INTEGER NOT NULL,
        sha256 BLOB NOT NULL,
        reason TEXT NOT NULL,
        at_us INTEGER NOT NULL,
        UNIQUE (camera, spool, seq, sha256)
    ) STRICT;
    CREATE TABLE films (
        id TEXT PRIMARY KEY,
        camera INTEGER NOT NULL REFERENCES cameras (id),
        day TEXT NOT NULL,
        window TEXT,
        schedule TEXT,
        profile TEXT,
        recipe TEXT NOT NULL,
        title TEXT NOT NULL,
        frames INTEGER NOT NULL,
        skipped INTEGER NOT NULL,
        duration_s REAL NOT NULL,
        rate REAL NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        codec TEXT NOT NULL,
        flicker_mev REAL,
        created_us INTEGER NOT NULL,
        pinned INTEGER NOT NULL,
        link TEXT,
        content TEXT NOT NULL
    ) STRICT;
    CREATE INDEX film_day ON films (day, created_us, id);
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        origin TEXT NOT NULL,
        spec TEXT NOT NULL,
        film TEXT NOT NULL,
        state TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        frames INTEGER NOT NULL,
        error TEXT,
        created_us INTEGER NOT NULL,
        changed_us INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX job_state ON jobs (state, created_us);
    CREATE INDEX job_created ON jobs (created_us, id);
    CREATE INDEX job_film ON jobs (film);
    CREATE TABLE ended_windows (
        camera INTEGER NOT NULL REFERENCES cameras (id),
        day TEXT NOT NULL,
        window TEXT NOT NULL,
        schedule TEXT NOT NULL,
        profiles TEXT NOT NULL,
        captured INTEGER NOT NULL,
        dropped INTEGER NOT NULL,
        heard_us INTEGER NOT NULL,
        settled_frames INTEGER,
        remade INTEGER NOT NULL,
        PRIMARY KEY (camera, day, window)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX ended_heard ON ended_windows (heard_us);
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE stretches ADD COLUMN stored_us INTEGER NOT NULL DEFAULT 0;
    UPDATE stretches SET stored_us = last_us;
    """,
    """
    ALTER TABLE frames ADD COLUMN role INTEGER NOT NULL DEFAULT 0;
    UPDATE frames SET role = 1 WHERE test <> 0;
    CREATE INDEX frame_test ON frames (camera, test, captured_us) WHERE test <> 0;
    ALTER TABLE stretches ADD COLUMN leading INTEGER NOT NULL DEFAULT 0;
    UPDATE stretches SET leading = frames + gone - (
        SELECT count(*) FROM frames f WHERE f.camera = stretches.camera AND f.day = stretches.day
        AND f.window = stretches.window AND f.profile = stretches.profile AND f.role <> 0
    );
    CREATE TABLE comparisons (
        camera INTEGER NOT NULL REFERENCES cameras (id),
        id TEXT NOT NULL,
        compared_us INTEGER NOT NULL,
        comparison TEXT NOT NULL,
        PRIMARY KEY (camera, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX comparison_time ON comparisons (compared_us, camera, id);
    """,
    """
    CREATE TABLE results (
        id TEXT PRIMARY KEY,
        camera INTEGER NOT NULL REFERENCES cameras (id),
        day TEXT NOT NULL,
        kind TEXT NOT NULL,
        rank INTEGER NOT NULL,
        title TEXT NOT NULL,
        frames INTEGER NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        score REAL,
        content TEXT NOT NULL,
        created_us INTEGER NOT NULL,
        changed_us INTEGER NOT NULL,
        details TEXT NOT NULL,
        unwanted INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX result_day ON results (day, kind, rank, id);
    CREATE TABLE evenings (
        camera INTEGER NOT NULL REFERENCES cameras (id),
        day TEXT NOT NULL,
        worth REAL NOT NULL,
        score REAL NOT NULL,
        details TEXT NOT NULL,
        PRIMARY KEY (camera, day)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE films ADD COLUMN preview INTEGER NOT NULL DEFAULT 0;
    """,
    """
    CREATE TABLE watches (
        camera INTEGER NOT NULL REFERENCES cameras (id),
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        seen_us INTEGER NOT NULL,
        lens TEXT NOT NULL,
        faults TEXT NOT NULL,
        memory BLOB NOT NULL,
        PRIMARY KEY (camera, width, height)
    ) STRICT;
    CREATE TABLE marks (
        camera INTEGER NOT NULL,
        captured_us INTEGER NOT NULL,
        spool INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        kind TEXT NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (camera, captured_us, spool, seq)
    ) STRICT, WITHOUT ROWID;
    """,
    "ALTER TABLE jobs ADD COLUMN lease_us INTEGER NOT NULL DEFAULT 0;",
    """
    ALTER TABLE ended_windows ADD COLUMN settled_bad INTEGER;
    DROP INDEX frame_unmeasured;
    CREATE INDEX frame_unmeasured ON frames (camera, day, captured_us, window, state) WHERE state = 0;
    """,
    """
    CREATE TABLE planned_windows (
        camera INTEGER NOT NULL REFERENCES cameras (id),
        day TEXT NOT NULL,
        window TEXT NOT NULL,
        starts_us INTEGER NOT NULL,
        ends_us INTEGER NOT NULL,
        interval_us INTEGER NOT NULL,
        PRIMARY KEY (camera, day, window)
    ) STRICT, WITHOUT ROWID;
    """,
    "CREATE TABLE schedules (schedule TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT, WITHOUT ROWID;",
)
"""Append only: what has been released is never edited."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a catalogue up to date; raise SchemaError where a newer release has been at work."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise SchemaError(
            f"{path}: written by a newer release (schema {version}, known here up to {len(MIGRATIONS)});"
            " install that release, or restore the copy beside the file"
        )
    if 0 < version < len(MIGRATIONS):
        _copy(connection, path.with_name(f"{path.stem}-schema-{version}{path.suffix}"))
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        _apply(connection, script, number)


def _copy(connection: sqlite3.Connection, copy: Path) -> None:
    copy.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(copy),))
    _log.info("catalogue copied to %s before its schema changes", copy)


def _apply(connection: sqlite3.Connection, script: str, number: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in script.split(";"):
            if statement.strip():
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except sqlite3.Error:
        connection.execute("ROLLBACK")
        raise
