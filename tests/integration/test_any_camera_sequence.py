"""What a source does next, and what the spool finds again: decided without a clock, read from plain files."""

import asyncio
import hashlib
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from homeassistant.core import HomeAssistant

from custom_components.skylapse.any_camera import files
from custom_components.skylapse.any_camera.ledger import ENDED_KEPT, KnownCamera
from custom_components.skylapse.any_camera.records import purposes
from custom_components.skylapse.any_camera.sequence import (
    LOOK_AGAIN,
    Outcome,
    Sequence,
    changed,
    first_tick,
    look,
)
from custom_components.skylapse.any_camera.spool import Spool
from custom_components.skylapse.errors import SpoolError
from custom_components.skylapse.protocol.records import FrameRecord
from custom_components.skylapse.protocol.snapshot import (
    Metering,
    Plan,
    Profile,
    Snapshot,
    WhiteBalance,
    Window,
    next_tick,
)
from tests.integration.speakers import FRAME

START = datetime(2026, 6, 21, 10, 0, tzinfo=UTC)
PROFILE = Profile(
    id="f",
    name="F",
    version=1,
    metering=Metering(mode="matrix"),
    white_balance=WhiteBalance(mode="auto"),
)
SNAPSHOT = Snapshot(id="s", version=1, created_at=START, profiles=(PROFILE,))


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def window(name: str, start: float, end: float, interval_s: float = 10, *profiles: str) -> Window:
    return Window(
        id=name,
        schedule="noon",
        day="2026-06-21",
        starts_at=at(start),
        ends_at=at(end),
        interval_s=interval_s,
        profiles=profiles or ("f",),
    )


def plan(*windows: Window) -> Plan:
    return Plan(revision=1, created_at=START, time_zone="UTC", windows=windows)


def sequence(*windows: Window, **changes: Any) -> Sequence:
    return replace(Sequence(plan=plan(*windows), snapshot=SNAPSHOT, done_until=at(0)), **changes)


def turns(outcome: Outcome) -> list[tuple[str, str]]:
    return [(turn.change, turn.window.id) for turn in outcome.turns]


# ---------------------------------------------------------------- the sequence


def test_a_tick_is_taken_when_it_comes_and_once() -> None:
    state, outcome = look(sequence(window("w", 0, 60)), at(0))
    assert outcome.shot is not None
    assert (outcome.shot.at, outcome.shot.profiles) == (at(0), (PROFILE,))
    assert turns(outcome) == [("started", "w")]
    state, outcome = look(state, at(0))
    assert (outcome.idle, outcome.look_at) == (True, at(10))


def test_a_tick_has_a_picture_of_every_profile_that_is_deployed() -> None:
    other = replace(PROFILE, id="g")
    both = replace(SNAPSHOT, profiles=(PROFILE, other))
    state = sequence(window("w", 0, 60, 10, "g", "unheard", "f"), snapshot=both)
    _, outcome = look(state, at(0))
    assert outcome.shot is not None
    assert outcome.shot.profiles == (other, PROFILE)
    assert [(purpose.profile, purpose.place) for purpose in purposes(outcome.shot)] == [
        (other, 0),
        (PROFILE, 1),
    ]


def test_it_waits_for_a_window_that_is_far_away_and_looks_at_the_clock_meanwhile() -> None:
    _, outcome = look(sequence(window("w", 7200, 7260)), at(0))
    assert (outcome.idle, outcome.look_at) == (True, at(0) + LOOK_AGAIN)
    _, outcome = look(sequence(window("w", 7205, 7260)), at(7200))
    assert outcome.look_at == at(7205)


def test_nothing_is_left_after_the_last_window() -> None:
    state, outcome = look(sequence(window("w", 0, 60), done_until=at(60)), at(61))
    assert (outcome.idle, outcome.shot, state.next_tick_at(at(61))) == (True, None, None)


def test_the_first_look_makes_up_for_nothing() -> None:
    _, outcome = look(sequence(window("w", 0, 60), done_until=None), at(35))
    assert (outcome.skip, outcome.shot, outcome.look_at) == (None, None, at(40))


def test_late_ticks_are_skipped_window_by_window() -> None:
    state = sequence(window("quick", 0, 20, 5), window("slow", 20, 100, 20))
    state, outcome = look(state, at(65))
    assert outcome.skip is not None
    assert (outcome.skip.first, outcome.skip.ticks) == (at(0), 4)
    state, outcome = look(state, at(65))
    assert outcome.skip is not None
    assert (outcome.skip.first, outcome.skip.ticks) == (at(20), 2)
    _, outcome = look(state, at(65))
    assert outcome.shot is not None
    assert outcome.shot.at == at(60)


def test_a_clock_that_was_set_neither_waits_nor_makes_up() -> None:
    state = sequence(window("w", 0, 60), done_until=at(50))
    _, outcome = look(state, at(19))
    assert outcome.look_at == at(20)
    state = sequence(window("w", 0, 400_000), done_until=at(0))
    _, outcome = look(state, at(300_005))
    assert (outcome.skip, outcome.look_at) == (None, at(300_010))


def test_what_is_switched_off_makes_up_for_nothing_later() -> None:
    state, outcome = look(sequence(window("w", 0, 60), enabled=False), at(15))
    assert (outcome.shot, turns(outcome)) == (None, [("started", "w")])
    _, outcome = look(changed(state, at(35), enabled=True), at(35))
    assert (outcome.skip, outcome.shot, outcome.look_at) == (None, None, at(40))
    assert changed(sequence(window("w", 0, 60)), at(35), enabled=False).done_until == at(0)


def test_a_window_that_is_in_the_plan_no_more_ends_at_once() -> None:
    state, _ = look(sequence(window("w", 0, 60)), at(5))
    _, outcome = look(replace(state, plan=plan()), at(7))
    assert [(turn.change, turn.at) for turn in outcome.turns] == [("ended", at(7))]


def test_without_a_plan_an_open_window_waits_for_its_own_end() -> None:
    state = Sequence(open_windows=(window("w", 0, 60),))
    state, outcome = look(state, at(30))
    assert outcome.turns == ()
    _, outcome = look(state, at(90))
    assert [(turn.change, turn.at) for turn in outcome.turns] == [("ended", at(60))]


def test_where_windows_overlap_the_shorter_interval_wins() -> None:
    state = sequence(window("wide", 0, 100, 20), window("fine", 30, 50, 5))
    taken = []
    for second in range(100):
        outcome = None
        while outcome is None or not outcome.idle:
            state, outcome = look(state, at(second))
            taken += [(outcome.shot.window.id, second)] if outcome.shot else []
    assert taken == [
        ("wide", 0),
        ("wide", 20),
        *(("fine", second) for second in (30, 35, 40, 45)),
        ("wide", 60),
        ("wide", 80),
    ]


def test_many_windows_give_the_tick_that_the_contract_says() -> None:
    many = plan(*(window(f"w{n}", n * 7200, n * 7200 + 600 + n, 30 + n) for n in range(60)))
    for second in (0, 599, 700, 7199, 7_805, 200_000, 433_000):
        assert first_tick(many, at(second)) == next_tick(many, at(second))
    rare = plan(window("rare", 0, 90_000, 86_400), window("later", 80_000, 90_000, 50_000))
    assert first_tick(rare, at(1)) == next_tick(rare, at(1))


# ---------------------------------------------------------------- the ledger and the files


def test_the_last_twenty_windows_are_remembered() -> None:
    known = KnownCamera()
    for number in range(ENDED_KEPT + 5):
        one = window(f"w{number}", number, number + 1)
        known = known.begun(one, ("f",)).left(one.id, delivered=2, dropped=1)
        known = known.ended(one, ("f",), at(number + 1))
    known = known.begun(window("open", 0, 99), ("f",))
    over = [each for each in known.windows if each.ended_at is not None]
    assert [each.window.id for each in over] == [f"w{number}" for number in range(5, ENDED_KEPT + 5)]
    assert {(each.delivered, each.dropped) for each in over} == {(2, 1)}
    assert [each.id for each in known.open_windows] == ["open"]


def frame(seq: int, spool: str = "00112233445566ff") -> tuple[FrameRecord, bytes]:
    data = f"picture {seq}".encode()
    digest = hashlib.sha256(data).hexdigest()
    return replace(
        FRAME, bridge="home_assistant", camera="garden", spool=spool, seq=seq, bytes=len(data), sha256=digest
    ), data


def fill(folder: Path, *numbers: int) -> None:
    files.read_spool(folder)
    for number in numbers:
        files.write_frame(folder, *frame(number))


async def test_what_a_kill_left_is_adopted_and_what_is_unfinished_swept(
    hass: HomeAssistant, tmp_path: Path
) -> None:
    fill(tmp_path, 3, 2)
    frames = tmp_path / "frames"
    (frames / "4.jpg").write_bytes(b"no record came")
    (frames / "5.jpg.part").write_bytes(b"half")
    (frames / "6.json").write_text("no record")
    spool = Spool(hass, tmp_path)
    await spool.async_open()
    assert (spool.totals().frames, spool.counts("garden").pending) == (2, 2)
    assert sorted(path.name for path in frames.iterdir()) == ["2.jpg", "2.json", "3.jpg", "3.json"]
    record = await spool.async_add(b"new", lambda spool, seq: replace(frame(seq)[0], spool=spool))
    assert record.seq == 4
    assert record.spool != "00112233445566ff"
    assert spool.oldest([2]) == frame(3)[0]


async def test_numbers_never_come_twice(hass: HomeAssistant, tmp_path: Path) -> None:
    spool = Spool(hass, tmp_path)
    await spool.async_open()
    seen = []
    for _ in range(3):
        record = await spool.async_add(b"x", lambda spool, seq: replace(frame(seq)[0], spool=spool))
        await spool.async_delivered(record)
        seen.append((record.spool, record.seq))
        spool = Spool(hass, tmp_path)
        await spool.async_open()
    assert [seq for _, seq in seen] == [1, 2, 3]
    assert spool.counts("garden").delivered == 3


async def test_a_spool_that_was_restored_names_no_frame_like_another(
    hass: HomeAssistant, tmp_path: Path
) -> None:
    async def take(folder: Path) -> FrameRecord:
        spool = Spool(hass, folder)
        await spool.async_open()
        record = await spool.async_add(b"x", lambda spool, seq: replace(frame(seq)[0], spool=spool))
        await spool.async_delivered(record)
        return record

    await take(tmp_path / "live")
    shutil.copytree(tmp_path / "live", tmp_path / "backup")
    later, again = await take(tmp_path / "live"), await take(tmp_path / "backup")
    assert later.seq == again.seq
    assert later.spool != again.spool


async def test_a_frame_that_was_counted_and_not_deleted_goes_at_the_next_start(
    hass: HomeAssistant, tmp_path: Path
) -> None:
    fill(tmp_path, 1)
    ledger = {
        "next_seq": 2,
        "leaving": [1],
        "cameras": {"garden": {"delivered": 1}},
    }
    (tmp_path / "ledger.json").write_text(json.dumps(ledger))
    spool = Spool(hass, tmp_path)
    await spool.async_open()
    assert (spool.counts("garden").delivered, spool.counts("garden").pending) == (1, 0)
    assert list((tmp_path / "frames").iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"next_seq": "many"}', '{"next_seq": 1, "cameras": 5}', "[" * 100_000]
)
async def test_a_ledger_that_cannot_be_read_begins_a_new_spool(
    hass: HomeAssistant, tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, 7)
    (tmp_path / "ledger.json").write_text(text)
    spool = Spool(hass, tmp_path)
    await spool.async_open()
    assert spool.totals().frames == 1
    record = await spool.async_add(b"x", lambda spool, seq: replace(frame(seq)[0], spool=spool))
    assert record.seq == 8


def test_a_frame_that_cannot_be_deleted_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, 1)
    (tmp_path / "frames" / "1.jpg").unlink()
    (tmp_path / "frames" / "1.jpg").mkdir()
    files.remove_frames(tmp_path, [frame(1)[0]])
    assert "cannot be deleted" in caplog.text


async def test_a_spool_that_opens_at_the_second_try_counts_every_frame_once(
    hass: HomeAssistant, tmp_path: Path
) -> None:
    fill(tmp_path, 1, 2)
    spool = Spool(hass, tmp_path)
    with (
        patch("pathlib.Path.replace", side_effect=OSError("no space")),
        pytest.raises(SpoolError, match="no space"),
    ):
        await spool.async_open()
    await spool.async_open()
    size = sum(len(frame(number)[1]) for number in (1, 2))
    assert (spool.totals().frames, spool.totals().bytes, spool.counts("garden").pending) == (2, size, 2)


async def test_a_closed_spool_says_so_to_who_waits_and_to_nobody_else(
    hass: HomeAssistant, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(hass, tmp_path)
    await spool.async_open()
    async with spool._lock:
        closing = hass.async_create_task(spool.async_close())
        keeping = hass.async_create_task(spool.async_keep("garden", "plan", b"{}"))
        keeping.cancel()
        await asyncio.wait([keeping])
    await closing
    await hass.async_block_till_done()
    assert "closed" not in caplog.text
    assert not (tmp_path / "deployed").exists()
    with pytest.raises(SpoolError, match="closed"):
        await spool.async_keep("garden", "plan", b"{}")


async def test_a_folder_that_is_none_is_an_error(hass: HomeAssistant, tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(SpoolError, match="cannot be read"):
        await Spool(hass, tmp_path / "spool").async_open()
