"""Whoever waits for the end of a film of today does not wait for what is made at leisure."""

import asyncio
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_processor.decode_scale import Box
from skylapse_processor.frames import read_folder
from skylapse_processor.jobs import RenderSpec
from skylapse_processor.today_cut import STEP, HurriedError, Lane
from skylapse_processor.today_live import Live, in_haste, latest, matching
from skylapse_processor.today_plan import AHEAD, GROUP, PathEnd, aims
from skylapse_processor.today_reel import Piece, Reel, in_groups
from skylapse_protocol.identifiers import CameraName

from .pictures import evening, write_evening

SPEC = RenderSpec(camera=CameraName(bridge="roof", camera="west"), day="2026-06-01")


@pytest.fixture
def lane() -> Iterator[Lane]:
    made = Lane("closing", 0)
    made.start()
    yield made
    made.stop()


async def test_a_segment_that_is_made_at_leisure_is_given_up_and_made_again_quickly(
    tmp_path: Path, lane: Lane
) -> None:
    write_evening(tmp_path / "in", evening(6), facts="records")
    frames = read_folder(tmp_path / "in").frames
    aimed, box = aims(PathEnd(), frames), Box(width=160, height=90)
    live = Live(spec=SPEC, reel=Reel(tmp_path / "today", tmp_path))
    asked, looks = asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def hurried() -> bool:
        looks.append(live.hurried)
        loop.call_soon_threadsafe(asked.set)
        return looks[-1]

    def at_leisure() -> None:
        while True:
            lane.cut(frames, aimed, box, Fraction(24), quick=False, hurried=hurried)

    async def close() -> None:
        async with live.closing:
            await lane.run(at_leisure)

    closing = asyncio.create_task(close())
    await asked.wait()
    async with in_haste(live):
        assert closing.done()
        assert not live.hurried, "what comes after the end is made at leisure again"
        piece = await lane.run(lambda: lane.cut(frames, aimed, box, Fraction(24), quick=True))
    assert piece.frames == tuple(frame.name for frame in frames)
    assert looks[-1]
    with pytest.raises(HurriedError):
        await closing


async def test_an_end_that_is_not_waited_for_any_more_leaves_no_haste(tmp_path: Path) -> None:
    live = Live(spec=SPEC, reel=Reel(tmp_path / "today", tmp_path))

    async def wait() -> None:
        async with in_haste(live):
            raise AssertionError

    async with live.closing:
        waiting = asyncio.create_task(wait())
        while not live.hurried:
            await asyncio.to_thread(lambda: None)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not live.hurried


async def test_what_is_rehearsed_is_what_the_end_would_make(tmp_path: Path, lane: Lane) -> None:
    write_evening(tmp_path / "in", evening(2 * GROUP), facts="records")
    frames, box, rate = read_folder(tmp_path / "in").frames, Box(width=160, height=90), Fraction(24)
    early, late = aims(PathEnd(), frames[: GROUP + AHEAD - 1]), aims(PathEnd(), frames)
    decided = GROUP - STEP
    pieces = [
        lane.cut(frames[first : first + STEP], early[first : first + STEP], box, rate, quick=True)
        for first in range(0, decided, STEP)
    ]
    assert matching(pieces, frames, late) == pieces, "what comes later changes nothing of it"
    assert matching(pieces, frames[1:], aims(PathEnd(), frames[1:])) == []
    out_of_turn = [*frames[:8], frames[-1], *frames[8:-1]]
    assert matching(pieces, out_of_turn, aims(PathEnd(), out_of_turn)) == []

    rest = lane.cut(frames[decided:GROUP], late[decided:GROUP], box, rate, quick=True)
    (joined,) = in_groups([*pieces, rest])
    assert told(joined) == told(lane.cut(frames[:GROUP], late[:GROUP], box, rate, quick=True))
    assert len(joined.samples) == GROUP
    assert [len(piece.frames) for piece in in_groups([*pieces, rest, rest])] == [GROUP, STEP]


def told(piece: Piece) -> tuple[object, ...]:
    """All of a piece but its samples."""
    levelled = piece.log_means, piece.gains, piece.exact, piece.coloured, piece.after
    return (piece.frames, piece.skipped, piece.small, piece.sps, piece.pps, *levelled)


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(0, 40), st.integers(0, 5))
def test_what_is_kept_for_slow_players_has_an_end(sizes: list[int], most_bytes: int, fewest: int) -> None:
    kept = dict(enumerate(sizes))
    left = latest(kept, lambda size: size, most_bytes, fewest=fewest)
    assert list(left.items()) == list(kept.items())[len(kept) - len(left) :]
    assert len(left) >= min(fewest, len(kept))
    assert sum(left.values()) <= most_bytes or len(left) <= fewest
