"""The spool: what was announced is there, once, whatever happens."""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skylapse_bridge import exif, frame_files
from skylapse_bridge.durable import write_durably
from skylapse_bridge.errors import DamagedError, SpoolError, SpoolFullError
from skylapse_bridge.frame_files import read_verified
from skylapse_bridge.spool import Limits, Spool
from skylapse_protocol.messages import Counts
from skylapse_protocol.records import FrameRecord, write_exif_record

from .made import DAY, START, draft, picture, window

DNG = b"II*\0 what a raw picture is made of" * 20
ROOMY = Limits(max_bytes=10**9, min_free_bytes=1)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """An open spool."""
    one = Spool(tmp_path / "state", ROOMY)
    one.open()
    yield one
    one.close()


def again(spool: Spool) -> Spool:
    """The spool after a restart."""
    spool.close()
    spool.open()
    return spool


def files(spool_folder: Path) -> list[str]:
    return sorted(path.name for path in (spool_folder / "frames").rglob("*") if path.is_file())


def equation(counts: Counts) -> bool:
    return counts.captured == counts.delivered + counts.pending + counts.dropped


def test_a_frame_is_whole_on_disk_with_its_record_inside(spool: Spool) -> None:
    record = spool.add(draft(), picture())
    (frame,) = spool.pending(9)
    data = frame.path.read_bytes()
    assert frame.record == record
    assert (record.spool, record.seq) == (spool.id, 1)
    assert (record.bytes, record.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert exif.read_record_values(data) == write_exif_record(record)
    assert read_verified(frame) == data


def raw(**facts: Any) -> FrameRecord:
    """The record of a raw picture as it comes to the spool."""
    return draft(media_type="image/x-adobe-dng", **facts)


def test_a_raw_picture_is_kept_as_it_came_with_its_record_beside_it(spool: Spool, tmp_path: Path) -> None:
    spool.add(draft(), picture())
    record = spool.add(raw(), DNG)
    _, frame = again(spool).pending(9)
    assert frame.record == record
    assert read_verified(frame) == DNG
    assert (frame.path.suffix, record.seq, record.leads) == (".dng", 2, False)
    assert spool.counts("west") == Counts(captured=2, pending=2)
    for one in spool.pending(9):
        spool.delivered(one.id, START)
    spool.forget_old(START + timedelta(hours=100))
    assert files(tmp_path / "state") == []


def test_a_raw_picture_from_before_the_clock_was_set_gets_its_true_time(spool: Spool, tmp_path: Path) -> None:
    spool.add(raw(clock_synced=False), DNG)
    (held,) = spool.held()
    record = spool.release(held.id, replace(held.record, captured_at=START, clock_synced=True))
    (frame,) = again(spool).pending(9)
    assert frame.record == record
    assert read_verified(frame) == DNG
    assert files(tmp_path / "state") == sorted([frame.path.name, frame.path.with_suffix(".json").name])


def test_a_raw_picture_outlives_the_database_that_knew_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path, ROOMY)
    spool.open()
    record = spool.add(raw(), DNG)
    spool.close()
    (tmp_path / "spool.db").write_bytes(b"this was a database once" * 100)
    spool.open()
    assert [frame.record for frame in spool.pending(9)] == [record]
    spool.close()


@pytest.mark.parametrize("damage", ["picture", "record"])
def test_a_raw_picture_that_nobody_knows_and_that_is_damaged_is_left_alone(
    spool: Spool, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "state" / "frames" / "west"
    spool.add(raw(), DNG)
    (frame,) = spool.pending(9)
    path = frame.path
    texts = path.read_bytes(), path.with_suffix(".json").read_bytes()
    spool.drop(frame.id, "as the test wants")
    path.write_bytes(texts[0] + b"?" * (damage == "picture"))
    path.with_suffix(".json").write_bytes(texts[1][: None if damage == "picture" else 9])
    assert again(spool).pending(9) == []
    assert path.parent == folder
    assert path.exists()


def test_numbers_never_come_again(spool: Spool) -> None:
    first = spool.add(draft(), picture())
    spool.delivered(first.seq, START)
    spool.forget_old(START + timedelta(hours=100))
    assert not spool.pending(9)
    assert again(spool).add(draft(), picture()).seq == 2


def test_delivery_goes_oldest_first_and_counts(spool: Spool) -> None:
    records = [spool.add(draft(), picture()) for _ in range(4)]
    assert [frame.record for frame in spool.pending(3)] == records[:3]
    assert [frame.id for frame in spool.pending(9, frozenset({1, 3}))] == [2, 4]
    spool.delivered(1, START)
    spool.delivered(1, START)
    spool.drop(2, "as the test wants")
    spool.drop(2, "as the test wants")
    assert again(spool).counts("west") == Counts(captured=4, delivered=1, pending=2, dropped=1)
    assert spool.totals().frames == 2
    assert spool.totals().oldest_at == START


def test_a_picture_that_is_none_leaves_nothing_behind(spool: Spool, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JPEG"):
        spool.add(draft(), b"no picture")
    assert spool.counts("west") == Counts()
    assert files(tmp_path / "state") == []
    assert spool.add(draft(), picture()).seq == 2


def test_a_full_spool_gives_delivered_frames_away_and_keeps_the_others(tmp_path: Path) -> None:
    size = len(exif.write_exif(picture(), draft()))
    spool = Spool(tmp_path, Limits(max_bytes=size * 4, min_free_bytes=1))
    spool.open()
    for _ in range(3):
        spool.delivered(spool.add(draft(), picture()).seq, START)
    for _ in range(3):
        spool.add(draft(), picture())
    assert spool.counts("west").pending == 3
    spool.add(draft(), picture())
    with pytest.raises(SpoolFullError, match="full"):
        spool.add(draft(), picture())
    counts = spool.counts("west")
    assert counts.dropped == 0
    assert counts.pending >= 3
    assert equation(counts)
    spool.close()


def test_dropping_the_oldest_is_counted(tmp_path: Path) -> None:
    size = len(exif.write_exif(picture(), draft()))
    spool = Spool(tmp_path, Limits(max_bytes=size * 4, min_free_bytes=1, on_full="drop_oldest"))
    spool.open()
    spool.ledger.open_window("west", window())
    for _ in range(10):
        spool.add(draft(window="sunset-1"), picture())
    spool.ledger.end_window("west", window(), START + timedelta(hours=1))
    counts = spool.counts("west")
    assert counts.captured == 10
    assert counts.dropped >= 6
    assert equation(counts)
    (ended,) = spool.ledger.ended_windows("west")
    assert (ended.captured, ended.dropped) == (10, counts.dropped)
    assert [frame.record.seq for frame in spool.pending(9)][-1] == 10
    spool.close()


def test_a_full_disk_stops_before_the_database_does(tmp_path: Path) -> None:
    spool = Spool(tmp_path, Limits(max_bytes=10**9, min_free_bytes=10**18))
    spool.open()
    with pytest.raises(SpoolFullError, match="disk is full"):
        spool.add(draft(), picture())
    assert spool.counts("west") == Counts()
    spool.close()


def test_a_disk_that_fills_while_writing_leaves_no_half_frame(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(SpoolFullError, match="No space left"):
            spool.add(draft(), picture())
    assert files(tmp_path / "state") == []
    spool.add(draft(), picture())
    assert spool.counts("west") == Counts(captured=1, pending=1)


def test_a_file_that_is_gone_or_damaged_is_told(spool: Spool) -> None:
    spool.add(draft(), picture())
    spool.add(draft(), picture())
    gone, damaged = spool.pending(9)
    gone.path.unlink()
    damaged.path.write_bytes(damaged.path.read_bytes()[:-9])
    with pytest.raises(DamagedError, match="gone"):
        read_verified(gone)
    with pytest.raises(DamagedError, match="digest"):
        read_verified(damaged)
    assert again(spool).counts("west") == Counts(captured=2, pending=1, dropped=1)


def test_a_folder_that_is_away_says_nothing_about_its_frames(spool: Spool) -> None:
    spool.add(draft(), picture())
    (frame,) = spool.pending(9)
    folder = frame.path.parent
    aside = folder.rename(folder.with_name("away"))
    with pytest.raises(SpoolError) as told:
        read_verified(frame)
    assert not isinstance(told.value, DamagedError)
    aside.rename(folder)
    assert read_verified(frame)


def test_a_query_that_fails_is_an_error_of_the_spool(spool: Spool) -> None:
    with pytest.raises(SpoolError, match="database failed"):
        spool.all("SELECT nothing FROM nowhere")


def test_delivered_frames_are_kept_for_their_hours(spool: Spool, tmp_path: Path) -> None:
    spool.delivered(spool.add(draft(), picture()).seq, START)
    spool.forget_old(START + timedelta(hours=47))
    assert len(files(tmp_path / "state")) == 1
    spool.forget_old(START + timedelta(hours=49))
    assert files(tmp_path / "state") == []
    assert spool.counts("west") == Counts(captured=1, delivered=1)


def test_a_frame_from_before_the_clock_was_set_waits_and_is_timed(spool: Spool, tmp_path: Path) -> None:
    old = spool.add(draft(clock_synced=False), picture())
    assert spool.pending(9) == []
    assert spool.counts("west").pending == 1
    (held,) = again(spool).held()
    assert held.record == old
    later = replace(held.record, captured_at=START + timedelta(days=1), clock_synced=True)
    record = spool.release(held.id, later)
    (frame,) = spool.pending(9)
    assert frame.record == record
    assert exif.read_record_values(read_verified(frame)) == write_exif_record(record)
    assert (record.captured_at, record.seq) == (START + timedelta(days=1), old.seq)
    assert len(files(tmp_path / "state")) == 1


def test_windows_are_remembered_with_their_counts(spool: Spool) -> None:
    spool.ledger.open_window("west", window())
    for _ in range(3):
        spool.add(draft(window="sunset-1"), picture())
    spool.add(draft(), picture())
    assert again(spool).ledger.open_windows("west") == (window(),)
    spool.ledger.end_window("west", window(), START + timedelta(hours=1))
    (ended,) = again(spool).ledger.ended_windows("west")
    assert (ended.window, ended.day, ended.profiles, ended.captured) == ("sunset-1", DAY, ("f",), 3)
    assert spool.ledger.open_windows("west") == ()


def test_a_window_that_ended_while_the_clock_was_not_set_is_kept(spool: Spool) -> None:
    long = window("long")
    spool.ledger.open_window("west", long)
    spool.add(draft(window="long"), picture())
    for number in range(20):
        one = window(f"w-{number}", start=START + number * timedelta(days=1))
        spool.ledger.open_window("west", one)
        spool.ledger.end_window("west", one, one.ends_at)
    spool.ledger.end_window("west", long, datetime(1970, 1, 1, tzinfo=UTC))
    last = spool.ledger.ended_windows("west")[-1]
    assert (last.window, last.captured) == ("long", 1)
    assert len(spool.ledger.ended_windows("west")) == 20
    spool.ledger.open_window("west", long)
    spool.add(draft(window="long"), picture())
    spool.ledger.end_window("west", long, START + timedelta(days=30))
    assert again(spool).ledger.ended_windows("west")[-1].captured == 2


def test_twenty_ended_windows_are_kept_oldest_first(spool: Spool) -> None:
    for number in range(25):
        one = window(f"w-{number}", start=START + timedelta(hours=number))
        spool.ledger.open_window("west", one)
        spool.ledger.end_window("west", one, one.ends_at)
    assert [ended.window for ended in spool.ledger.ended_windows("west")] == [f"w-{n}" for n in range(5, 25)]


def test_a_broken_database_is_put_aside_and_its_frames_are_adopted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, ROOMY)
    spool.open()
    old = spool.add(draft(), picture())
    spool.close()
    (tmp_path / "spool.db").write_bytes(b"this was a database once" * 100)
    spool.open()
    assert spool.id != old.spool
    assert [frame.record for frame in spool.pending(9)] == [old]
    new = spool.add(draft(), picture())
    assert new.spool == spool.id
    assert spool.counts("west") == Counts(captured=2, pending=2)
    assert list(tmp_path.glob("spool-*.broken"))
    spool.close()


def test_a_spool_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    spool = Spool(tmp_path, ROOMY)
    spool.open()
    spool.close()
    database = sqlite3.connect(tmp_path / "spool.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(SpoolError, match="newer release"):
        spool.open()


class PowerCutError(BaseException):
    """Raised where the power goes: nothing catches it."""


def cut_before_writing(_path: Path, _data: bytes) -> None:
    raise PowerCutError


def cut_after_writing(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    raise PowerCutError


def cut_in_mid_writing(path: Path, data: bytes) -> None:
    path.with_name(path.name + ".tmp").write_bytes(data[: len(data) // 2])
    raise PowerCutError


@pytest.mark.parametrize(
    ("cut", "survives"), [(cut_before_writing, False), (cut_in_mid_writing, False), (cut_after_writing, True)]
)
def test_a_kill_leaves_a_whole_frame_or_none(
    spool: Spool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cut: Callable[[Path, bytes], None],
    survives: bool,  # noqa: FBT001 a parameter of the test
) -> None:
    spool.add(draft(), picture())
    with monkeypatch.context() as patch:
        patch.setattr(frame_files, "write_durably", cut)
        patch.setattr(Spool, "forget_reserved", lambda *_: None)
        with pytest.raises(PowerCutError):
            spool.add(draft(), picture())
    again(spool)
    assert [frame.record.seq for frame in spool.pending(9)] == ([1, 2] if survives else [1])
    assert all(read_verified(frame) for frame in spool.pending(9))
    assert len(files(tmp_path / "state")) == (2 if survives else 1)
    assert equation(spool.counts("west"))
    assert spool.add(draft(), picture()).seq == 3


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/x-adobe-dng"])
@pytest.mark.parametrize(
    ("cut", "survives"), [(cut_before_writing, False), (cut_in_mid_writing, False), (cut_after_writing, True)]
)
def test_notes_become_true_with_their_frame_or_not_at_all(
    spool: Spool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cut: Callable[[Path, bytes], None],
    survives: bool,  # noqa: FBT001 a parameter of the test
    media_type: str,
) -> None:
    shot = DNG if media_type != "image/jpeg" else picture()
    spool.add(draft(media_type=media_type), shot, notes={"bookmark": "1.jpg"})
    assert spool.ledger.note("west", "bookmark") == "1.jpg"
    with monkeypatch.context() as patch:
        patch.setattr(frame_files, "write_durably", only_pictures(cut))
        patch.setattr(Spool, "forget_reserved", lambda *_: None)
        with pytest.raises(PowerCutError):
            spool.add(draft(media_type=media_type), shot, notes={"bookmark": "2.jpg"})
    assert spool.ledger.note("west", "bookmark") == "1.jpg"
    again(spool)
    assert len(spool.pending(9)) == (2 if survives else 1)
    assert spool.ledger.note("west", "bookmark") == ("2.jpg" if survives else "1.jpg")
    assert spool.all("SELECT name FROM note") == [("bookmark",)]
    assert len(list(frame_files.pictures(tmp_path / "state" / "frames"))) == len(spool.pending(9))


def only_pictures(cut: Callable[[Path, bytes], None]) -> Callable[[Path, bytes], None]:
    """Cut the power at a picture, not at the record beside it."""

    def write(path: Path, data: bytes) -> None:
        (write_durably if path.suffix == ".json" else cut)(path, data)

    return write


@pytest.mark.parametrize("cut", [cut_in_mid_writing, cut_after_writing])
def test_a_kill_while_a_frame_is_timed_leaves_one_frame(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: Callable[[Path, bytes], None]
) -> None:
    spool.add(draft(clock_synced=False), picture())
    (held,) = spool.held()
    with monkeypatch.context() as patch:
        patch.setattr(frame_files, "write_durably", cut)
        with pytest.raises(PowerCutError):
            spool.release(held.id, replace(held.record, captured_at=START + timedelta(days=1)))
    assert [frame.record for frame in again(spool).held()] == [held.record]
    assert read_verified(held)
    assert len(files(tmp_path / "state")) == 1
    assert spool.counts("west") == Counts(captured=1, pending=1)


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.sampled_from(["add", "hold", "raw", "deliver", "drop", "release", "restart", "lose"]), max_size=25
    )
)
def test_the_equation_always_holds(tmp_path_factory: pytest.TempPathFactory, steps: list[str]) -> None:
    spool = Spool(tmp_path_factory.mktemp("spool"), ROOMY)
    spool.open()
    for step in steps:
        waiting = spool.pending(1)
        if step in {"add", "hold"}:
            spool.add(draft(clock_synced=step == "add"), picture())
        elif step == "raw":
            spool.add(raw(), DNG)
        elif step == "restart":
            again(spool)
        elif step == "release" and spool.held():
            spool.release(spool.held()[0].id, replace(spool.held()[0].record, clock_synced=True))
        elif step == "deliver" and waiting:
            spool.delivered(waiting[0].id, START)
        elif step == "drop" and waiting:
            spool.drop(waiting[0].id, "as the test wants")
        elif step == "lose" and waiting:
            waiting[0].path.unlink(missing_ok=True)
        assert equation(spool.counts("west"))
    again(spool)
    counts = spool.counts("west")
    assert equation(counts)
    assert counts.captured == sum(steps.count(step) for step in ("add", "hold", "raw"))
    assert counts.pending == len(spool.pending(99)) + len(spool.held())
    spool.close()
