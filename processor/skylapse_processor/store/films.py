"""Films: one row each, found by camera, days, words and pins."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

from skylapse_protocol.identifiers import CameraName

from ..clock import from_us, to_us
from .catalogue import camera_key
from .database import Connection, Database, Row

_FILM = "SELECT f.*, c.bridge, c.camera AS camera_id FROM films f JOIN cameras c ON c.id = f.camera"
_WORDS = (
    "f.title || ' ' || c.bridge || '/' || c.camera || ' ' || f.day || ' ' || f.recipe"
    " || ' ' || ifnull(f.profile, '') || ' ' || ifnull(f.schedule, '')"
)
"""What a search looks at."""
_COLUMNS = (
    *("id", "camera", "day", "window", "schedule", "profile", "recipe", "title", "frames", "skipped"),
    *("duration_s", "rate", "width", "height", "bytes", "codec", "flicker_mev", "created_us", "pinned"),
    *("link", "content", "preview"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFilm:
    """One row."""

    id: str
    camera: CameraName
    day: str
    window: str | None
    schedule: str | None
    profile: str | None
    recipe: str
    title: str
    frames: int
    skipped: int
    duration_s: float
    rate: float
    width: int
    height: int
    bytes: int
    codec: str
    flicker_mev: float | None
    created_at: datetime
    pinned: bool = False
    link: str | None = None
    content: str
    """First digits of the video's digest: it changes when a film is made anew."""
    preview: bool = False
    """Whether it has a small moving picture; films of earlier releases have none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilmQuery:
    """Which films are meant: what is None or empty does not narrow."""

    camera: CameraName | None = None
    from_day: str | None = None
    to_day: str | None = None
    words: tuple[str, ...] = ()
    pinned: bool | None = None
    before: tuple[str, int, str] | None = None
    """Day, creation in microseconds and id of the last film of the page before."""


class FilmTable:
    """Questions about films, and the few ways in which they change."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, film: str) -> StoredFilm | None:
        """Return the film with this id."""
        with self._database.reading() as connection:
            row = connection.execute(f"{_FILM} WHERE f.id = ?", (film,)).fetchone()
        return _film(row) if row is not None else None

    def list(self, wanted: FilmQuery, limit: int) -> tuple[StoredFilm, ...]:
        """Return films, newest day first."""
        where, values = _narrow(wanted)
        with self._database.reading() as connection:
            rows = connection.execute(
                f"{_FILM} WHERE {where} ORDER BY f.day DESC, f.created_us DESC, f.id DESC LIMIT ?",
                (*values, limit),
            ).fetchall()
        return tuple(_film(row) for row in rows)

    def count(self) -> tuple[int, int]:
        """Return how many films there are, and their bytes."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT count(*) AS n, coalesce(sum(bytes), 0) AS b FROM films"
            ).fetchone()
        return int(row["n"]), int(row["b"])

    def put(self, films: Sequence[StoredFilm]) -> "Future[tuple[StoredFilm, ...]]":
        """Add films, all or none, or replace those with their ids, whose pins, links and titles stay."""
        return self._database.write(lambda connection: tuple(_put(connection, film) for film in films))

    def change(self, film: str, values: Mapping[str, object]) -> "Future[StoredFilm | None]":
        """Change `pinned`, `title` or `link`."""
        return self._database.write(lambda connection: _change(connection, film, values))

    def remove(self, film: str) -> "Future[None]":
        """Drop a film's row and raise the revision."""
        return self._database.write(lambda connection: _remove(connection, film))

    def revision(self) -> int:
        """Return how often the library has changed."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT value FROM facts WHERE name = 'library_revision'").fetchone()
        return json.loads(row["value"]) if row is not None else 0


def _put(connection: Connection, film: StoredFilm) -> StoredFilm:
    row = (
        *(film.id, camera_key(connection, film.camera), film.day, film.window, film.schedule, film.profile),
        *(film.recipe, film.title, film.frames, film.skipped, film.duration_s, film.rate, film.width),
        *(film.height, film.bytes, film.codec, film.flicker_mev, to_us(film.created_at), int(film.pinned)),
        *(film.link, film.content, int(film.preview)),
    )
    kept = {"id", "camera", "title", "pinned", "link"}
    changes = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in kept)
    connection.execute(
        f"INSERT INTO films ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
        f" ON CONFLICT (id) DO UPDATE SET {changes}",
        row,
    )
    _raise_revision(connection)
    return _film(connection.execute(f"{_FILM} WHERE f.id = ?", (film.id,)).fetchone())


def _change(connection: Connection, film: str, values: Mapping[str, object]) -> StoredFilm | None:
    for name in ("pinned", "title", "link"):
        if name in values:
            connection.execute(f"UPDATE films SET {name} = ? WHERE id = ?", (values[name], film))
    _raise_revision(connection)
    row = connection.execute(f"{_FILM} WHERE f.id = ?", (film,)).fetchone()
    return _film(row) if row is not None else None


def _remove(connection: Connection, film: str) -> None:
    connection.execute("DELETE FROM films WHERE id = ?", (film,))
    _raise_revision(connection)


def _raise_revision(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO facts VALUES ('library_revision', '1')"
        " ON CONFLICT DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)"
    )


def _narrow(wanted: FilmQuery) -> tuple[str, list[object]]:
    """Return a condition and its values."""
    where = "1"
    values: list[object] = []
    if wanted.camera is not None:
        where += " AND c.bridge = ? AND c.camera = ?"
        values += [wanted.camera.bridge, wanted.camera.camera]
    for condition, value in (
        ("f.day >= ?", wanted.from_day),
        ("f.day <= ?", wanted.to_day),
        ("f.pinned = ?", None if wanted.pinned is None else int(wanted.pinned)),
    ):
        if value is not None:
            where += f" AND {condition}"
            values.append(value)
    for word in wanted.words:
        where += f" AND instr(lower({_WORDS}), ?) > 0"
        values.append(word.lower())
    if wanted.before is not None:
        where += " AND (f.day, f.created_us, f.id) < (?, ?, ?)"
        values += list(wanted.before)
    return where, values


def _film(row: Row) -> StoredFilm:
    return StoredFilm(
        id=row["id"],
        camera=CameraName(bridge=row["bridge"], camera=row["camera_id"]),
        day=row["day"],
        window=row["window"],
        schedule=row["schedule"],
        profile=row["profile"],
        recipe=row["recipe"],
        title=row["title"],
        frames=row["frames"],
        skipped=row["skipped"],
        duration_s=row["duration_s"],
        rate=row["rate"],
        width=row["width"],
        height=row["height"],
        bytes=row["bytes"],
        codec=row["codec"],
        flicker_mev=row["flicker_mev"],
        created_at=from_us(row["created_us"]),
        pinned=bool(row["pinned"]),
        link=row["link"],
        content=row["content"],
        preview=bool(row["preview"]),
    )
