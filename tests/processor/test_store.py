"""The catalogue: durable, migrated, refused when newer; frames found by identity, day and page."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skylapse_processor.errors import SchemaError, StoreError
from skylapse_processor.measure import measure
from skylapse_processor.store import schema
from skylapse_processor.store.catalogue import Catalogue, frames_query
from skylapse_processor.store.database import Connection, Database
from skylapse_processor.store.figures import pack, unpack
from skylapse_processor.store.films import FilmQuery, FilmTable, StoredFilm
from skylapse_processor.store.jobtable import _ENDED, JobTable
from skylapse_processor.store.rows import FrameRole, FrameState, Selection, StoredFrame, day_number, day_text
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.messages import EndedWindow
from tests.support.waiting import PATIENCE_S, wait_until

from .frames_made import DAY, START, picture, record_of

WEST = CameraName(bridge="roof", camera="west")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An open catalogue."""
    made = Database(tmp_path / "catalogue.db")
    made.start()
    yield made
    made.stop()


def stored(seq: int, **changes: object) -> StoredFrame:
    """A row."""
    return StoredFrame.of(record_of(b"x" * seq, seq, **changes))


def test_the_writer_waits_for_the_disk_and_readers_cannot_write(database: Database) -> None:
    levels = database.write(lambda c: c.execute("PRAGMA synchronous").fetchone()[0]).result()
    assert levels == 2, "FULL"
    with database.reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM frames")


def test_whoever_asks_while_it_closes_is_told_so(database: Database) -> None:
    busy, go_on = threading.Event(), threading.Event()

    def slow(_connection: Connection) -> None:
        busy.set()
        assert go_on.wait(PATIENCE_S)

    first = database.write(slow)
    assert busy.wait(PATIENCE_S)
    closing = threading.Thread(target=database.stop)
    closing.start()
    wait_until(lambda: not database._work.empty(), what="the end to be asked for")
    with pytest.raises(StoreError, match="is not open"):
        database.write(lambda _connection: None)
    late: Future[None] = Future()
    database._work.put((lambda _connection: None, late))
    go_on.set()
    closing.join(PATIENCE_S)
    first.result(PATIENCE_S)
    with pytest.raises(StoreError, match="was closed"):
        late.result(20)


def test_work_that_fails_is_rolled_back_alone(database: Database) -> None:
    def half(connection: Connection) -> None:
        connection.execute("INSERT INTO words (word) VALUES ('half')")
        raise StoreError("no further")

    failing = database.write(half)
    fine = database.write(lambda c: c.execute("INSERT INTO words (word) VALUES ('whole')").rowcount)
    with pytest.raises(StoreError, match="no further"):
        failing.result()
    assert fine.result() == 1
    with database.reading() as connection:
        assert [row["word"] for row in connection.execute("SELECT word FROM words")] == ["whole"]


def test_work_that_nobody_waits_for_any_more_does_not_hurt_the_rest(database: Database) -> None:
    futures = [database.write(lambda c: c.execute("SELECT 1").fetchone()[0]) for _ in range(200)]
    for future in futures[::3]:
        future.cancel()
    assert database.write(lambda _c: "still there").result() == "still there"
    assert all(future.result() == 1 for future in futures if not future.cancelled())


def test_a_catalogue_of_a_newer_release_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.db"
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(SchemaError, match="written by a newer release"):
        Database(path).start()
    assert path.read_bytes()[:100][60:64] == before[:100][60:64], "its version"


def test_a_reader_that_was_lent_when_the_catalogue_closed_is_closed_when_it_comes_back(
    tmp_path: Path,
) -> None:
    database = Database(tmp_path / "catalogue.db")
    database.start()
    with database.reading() as late:
        database.stop()
        assert late.execute("SELECT count(*) FROM frames").fetchone()[0] == 0
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        late.execute("SELECT 1")


def test_a_migration_copies_first_and_ends_like_a_fresh_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "catalogue.db"
    old = Database(path)
    old.start()
    assert Catalogue(old).add(stored(1), START).result()
    old.stop()
    more = "CREATE TABLE sequels (id INTEGER PRIMARY KEY) STRICT; ALTER TABLE films ADD COLUMN score REAL"
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, more))
    new = Database(path)
    new.start()
    fresh = Database(tmp_path / "fresh.db")
    fresh.start()
    assert _shape(new) == _shape(fresh)
    assert Catalogue(new).find(WEST, stored(1).name.spool, 1) is not None
    new.stop()
    fresh.stop()
    copy = sqlite3.connect(tmp_path / f"catalogue-schema-{len(schema.MIGRATIONS) - 1}.db")
    assert copy.execute("SELECT count(*) FROM frames").fetchone() == (1,)
    assert copy.execute("SELECT name FROM sqlite_master WHERE name = 'sequels'").fetchone() is None
    copy.close()


def test_frames_of_tests_that_an_older_release_stored_lead_no_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "catalogue.db"
    with monkeypatch.context() as before:
        before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:2])
        old = Database(path)
        old.start()
        old.write(_frames_of_release_two).result()
        old.stop()
    new = Database(path)
    new.start()
    catalogue = Catalogue(new)
    (stretch,) = catalogue.stretches(WEST)
    found = catalogue.frames(Selection(camera=WEST))
    new.stop()
    assert (stretch.frames, stretch.leading) == (2, 1)
    assert [(frame.test_id, frame.role) for frame in found] == [
        (None, FrameRole.LEADS),
        ("arm-b", FrameRole.TEST),
    ]


def _frames_of_release_two(connection: Connection) -> None:
    """Rows as schema 2 had them: one of a film, one of a test."""
    connection.execute("INSERT INTO cameras VALUES (1, 'roof', 'west')")
    connection.execute("INSERT INTO spools VALUES (1, '00112233445566aa')")
    connection.execute("INSERT INTO words VALUES (1, 'sunset'), (2, 'f'), (3, 'arm-b')")
    for seq, test in ((1, 0), (2, 3)):
        connection.execute(
            "INSERT INTO frames VALUES (1, ?, 1, ?, 20260601, 1, 1, 2, ?, 1, 9, 16, 9, ?, NULL)",
            (seq, seq, test, bytes(32)),
        )
    connection.execute("INSERT INTO stretches VALUES (1, 20260601, 1, 2, 1, 2, 0, 0, 18, 1, 2, 2)")


def test_a_window_that_went_on_after_all_may_be_made_and_remade_again(database: Database) -> None:
    table = JobTable(database)
    short = EndedWindow(window="w", schedule="s", day=DAY, profiles=("f",), ended_at=START, captured=3)
    whole, later = replace(short, captured=12), START + timedelta(hours=1)
    table.hear_ended(WEST, [short], START).result()
    (row,) = table.ended(START)
    table.settle(row, 3, 0, remade=True, jobs=[]).result()
    table.hear_ended(WEST, [short], later).result()
    unchanged = table.ended(START)
    table.hear_ended(WEST, [whole], later).result()
    grown = table.ended(START)
    assert unchanged == ()
    assert [(row.captured, row.remade, row.heard_at, row.settled_frames) for row in grown] == [
        (12, False, later, 3)
    ]


def test_an_ended_window_knows_how_many_of_its_frames_wait_to_be_measured(database: Database) -> None:
    catalogue, table = Catalogue(database), JobTable(database)
    heard = EndedWindow(window="sunset", schedule="s", day=DAY, profiles=("f",), ended_at=START, captured=3)

    def counted() -> list[tuple[int, int, int, int | None]]:
        rows = table.ended(START)
        return [(row.stored, row.bad, row.unmeasured, row.settled_bad) for row in rows]

    table.hear_ended(WEST, [heard], START).result()
    assert counted() == [(0, 0, 0, None)]
    others = (stored(7, window="sunrise"), stored(8, day="2026-06-02"), stored(9, camera="east"))
    for frame in (stored(1), stored(2, profile="a"), stored(3), *others):
        catalogue.add(frame, START).result()
    assert counted() == [(3, 0, 3, None)]
    catalogue.settle(stored(1), FrameState.GOOD).result()
    catalogue.settle(stored(2, profile="a"), FrameState.BAD).result()
    table.settle(table.ended(START)[0], 3, 1, remade=False, jobs=[]).result()
    assert counted() == [(3, 1, 1, 1)]


def test_what_waits_to_be_measured_is_counted_in_an_index_alone(database: Database) -> None:
    with database.reading() as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {_ENDED}").fetchall()
    words = " ".join(row["detail"] for row in plan)
    assert "USING COVERING INDEX frame_unmeasured (camera=? AND day=?)" in words, words
    assert words.count("SEARCH stretches USING PRIMARY KEY (camera=? AND day=? AND window=?)") == 2, words


def test_a_migration_that_fails_leaves_the_old_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "catalogue.db"
    old = Database(path)
    old.start()
    old.stop()
    known = len(schema.MIGRATIONS)
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE a (b INT) STRICT; NONSENSE"))
    with pytest.raises(StoreError, match="NONSENSE"):
        Database(path).start()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (known,)
    assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'a'").fetchone() is None
    connection.close()


def _shape(database: Database) -> list[tuple[str, str]]:
    with database.reading() as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    return [(row["name"], row["sql"]) for row in rows]


def test_an_identity_is_stored_once(database: Database) -> None:
    catalogue = Catalogue(database)
    assert catalogue.add(stored(1), START).result()
    assert not catalogue.add(stored(1), START).result()
    assert not catalogue.add(stored(1, captured_at=START + timedelta(hours=3)), START).result()
    found = catalogue.find(WEST, stored(1).name.spool, 1)
    assert found == stored(1)
    (stretch,) = catalogue.stretches(WEST)
    assert (stretch.frames, stretch.bytes) == (1, 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["add", "bad", "good", "forget"])), max_size=25),
    st.integers(),
)
def test_counts_agree_with_the_rows_whatever_happens(
    tmp_path: Path, steps: list[tuple[int, str]], run: int
) -> None:
    database = Database(tmp_path / f"{abs(run)}-{len(steps)}.db")
    database.start()
    catalogue = Catalogue(database)
    for number, what in steps:
        frame = stored(number + 1, profile="f" if number % 2 else None, day=f"2026-06-0{1 + number // 2}")
        if what == "add":
            catalogue.add(frame, START).result()
        elif what == "forget":
            catalogue.forget([frame]).result()
        else:
            catalogue.settle(frame, FrameState.BAD if what == "bad" else FrameState.GOOD).result()
    rows = catalogue.frames(Selection(camera=WEST))
    stretches = catalogue.stretches(WEST)
    assert sum(s.frames for s in stretches) == len(rows)
    assert sum(s.bytes for s in stretches) == sum(row.bytes for row in rows)
    assert sum(s.bad for s in stretches) == sum(row.state == FrameState.BAD for row in rows)
    assert all(s.gone >= 0 for s in stretches)
    database.stop()
    for leftover in tmp_path.glob("*.db*"):
        leftover.unlink()


def test_pages_hold_every_frame_once_in_order(database: Database) -> None:
    catalogue = Catalogue(database)
    moments = [START, START, START, START + timedelta(seconds=1), START - timedelta(seconds=1)]
    for seq, moment in enumerate(moments, start=1):
        spool = "aa" * 8 if seq % 2 else "bb" * 8
        catalogue.add(stored(seq, captured_at=moment, spool=spool), START).result()
    everything = catalogue.frames(Selection(camera=WEST))
    paged: list[StoredFrame] = []
    while page := catalogue.frames(Selection(camera=WEST, after=paged[-1].name if paged else None), 2):
        paged += page
    assert tuple(paged) == everything
    assert len(paged) == 5


def test_selections_narrow(database: Database) -> None:
    catalogue = Catalogue(database)
    catalogue.add(stored(1), START).result()
    catalogue.add(stored(2, profile="a"), START).result()
    catalogue.add(stored(3, day="2026-06-02", window=None), START).result()
    catalogue.add(stored(4, camera="east"), START).result()

    def seqs(**wanted: object) -> list[int]:
        return [f.name.seq for f in catalogue.frames(Selection(camera=WEST, **wanted))]  # type: ignore[arg-type]

    assert seqs() == [1, 2, 3]
    assert seqs(day=DAY) == [1, 2]
    assert seqs(profile="a") == [2]
    assert seqs(window="sunset") == [1, 2]
    assert seqs(window="nowhere") == []
    assert seqs(from_at=START + timedelta(seconds=30), to_at=START + timedelta(seconds=45)) == [2]


def test_a_day_of_a_large_catalogue_is_found_by_its_index(database: Database) -> None:
    query, values = frames_query(Selection(camera=WEST, day=DAY, after=stored(1).name))
    with database.reading() as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {query}", (*values, 10)).fetchall()
    words = " ".join(row["detail"] for row in plan)
    assert "frame_day (camera=? AND day=? AND (captured_us" in words, words
    assert "TEMP B-TREE" not in words, "and needs no sorting"


@given(st.dates())
def test_days_are_numbers_and_back(day: object) -> None:
    assert day_text(day_number(str(day))) == str(day)


def test_figures_survive_the_catalogue(database: Database) -> None:
    catalogue = Catalogue(database)
    measured = measure(picture(1))
    frame = stored(1)
    catalogue.add(frame, START).result()
    assert [f.name for f in catalogue.unmeasured(10)] == [frame.name]
    catalogue.settle(frame, FrameState.GOOD, pack(measured)).result()
    assert catalogue.unmeasured(10) == ()
    found = catalogue.find(WEST, frame.name.spool, 1)
    assert found is not None
    assert found.figures is not None
    back = unpack(found.figures, measured.width, measured.height)
    assert back.log_mean == pytest.approx(measured.log_mean, rel=1e-6)
    assert back.fingerprint == measured.fingerprint


def film(number: int, **changes: object) -> StoredFilm:
    """A film of a day."""
    made = StoredFilm(
        id=f"{number:016x}",
        camera=WEST,
        day=f"2026-06-{1 + number // 3:02d}",
        window="sunset",
        schedule="sunset",
        profile="f",
        recipe="clean",
        title=f"Roof {number}",
        frames=10,
        skipped=0,
        duration_s=1.0,
        rate=10.0,
        width=64,
        height=36,
        bytes=100,
        codec="h264",
        flicker_mev=1.0,
        created_at=datetime(2026, 6, 1, tzinfo=UTC) + timedelta(seconds=number % 3),
        content="0" * 12,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_films_are_found_by_camera_day_words_and_pin(database: Database) -> None:
    films = FilmTable(database)
    for number in range(9):
        films.put([film(number)]).result()
    films.put([film(20, camera=CameraName(bridge="roof", camera="east"), title="Sturm über 100 %")]).result()

    def found(**wanted: object) -> list[str]:
        return [f.title for f in films.list(FilmQuery(**wanted), 100)]  # type: ignore[arg-type]

    assert found(camera=WEST, from_day="2026-06-03") == ["Roof 8", "Roof 7", "Roof 6"]
    assert found(to_day="2026-06-01") == ["Roof 2", "Roof 1", "Roof 0"]
    assert found(words=("sturm", "100 %")) == ["Sturm über 100 %"]
    assert found(words=("roof/east",)) == ["Sturm über 100 %"]
    assert found(words=("%",)) == ["Sturm über 100 %"], "a sign, not a pattern"
    assert found(pinned=True) == []
    films.change(film(4).id, {"pinned": 1}).result()
    assert found(pinned=True) == ["Roof 4"]


def test_a_remade_film_keeps_its_pin_its_name_and_its_link(database: Database) -> None:
    films = FilmTable(database)
    films.put([film(1)]).result()
    films.change(film(1).id, {"pinned": 1, "title": "Our wedding", "link": "https://example.org/"}).result()
    revision = films.revision()
    (again,) = films.put([film(1, frames=20, content="f" * 12)]).result()
    assert (again.pinned, again.title, again.link) == (True, "Our wedding", "https://example.org/")
    assert (again.frames, again.content) == (20, "f" * 12)
    assert films.revision() == revision + 1
