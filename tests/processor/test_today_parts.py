"""The film of today for those who were away: what was shown in parts is there in the same parts."""

import asyncio
import re
from collections.abc import AsyncIterator
from functools import partial
from itertools import accumulate
from pathlib import Path

import pytest

from skylapse_processor.service import Service
from skylapse_processor.store.rows import Selection
from skylapse_processor.today_frames import AT_ONCE
from skylapse_processor.today_live import Live
from skylapse_processor.today_plan import GROUP
from skylapse_protocol.identifiers import CameraName
from tests.support.waiting import until

from .client import Client
from .conftest import serving, write_config
from .test_today import asked_for, deliver, fetched, joined, playlist, seen, shows

ROOF = CameraName.parse("roof/west")
PART = re.compile(r'^#EXT-X-PART:DURATION=([\d.]+),URI="(\w+-(\d+)\.m4s\S*?)"', re.MULTILINE)
RATE = 30


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Service, Client]]:
    """A processor without a broker, and its client."""
    async with serving(write_config(tmp_path / "processor")) as made:
        yield made


def parts_of(text: str, segment: int) -> list[tuple[int, str]]:
    """The parts that a playlist lists of a segment: how many frames, and under which name."""
    return [
        (round(float(length) * RATE), name)
        for length, name, number in PART.findall(text)
        if int(number) == segment
    ]


def closed(service: Service, segments: int) -> bool:
    """Whether so many segments are on disk."""
    return len(service._today._current[ROOF].reel.segments) == segments


async def away(service: Service, client: Client, *, looked_at: int, there: int, segments: int) -> str:
    """Look at some frames of a film; return the playlist of that moment once it has grown unseen."""
    await deliver(client, *range(1, looked_at + 1))
    await until(partial(shows, client, looked_at))
    text = await playlist(client)
    await deliver(client, *range(looked_at + 1, there + 1))
    await until(partial(closed, service, segments))
    return text


async def test_a_segment_that_was_shown_in_parts_keeps_them(served: tuple[Service, Client]) -> None:
    service, client = served
    there = 4 * GROUP + 6
    before = await away(service, client, looked_at=GROUP + 6, there=there, segments=3)
    after = await playlist(client)
    first = parts_of(before, 1)
    *same, (rest, _name) = parts_of(after, 1)
    assert (same, sum(frames for frames, _ in first) + rest) == (first, GROUP)
    assert seen(await fetched(client, after))[0] == list(range(1, there + 1))
    init = re.findall(r'MAP:URI="(\S+)"', after)
    pieces = [name for segment in range(5) for _, name in parts_of(after, segment)]
    assert seen(await joined(client, init + pieces))[0] == list(range(1, there + 1)), "by parts alone, too"
    assert parts_of(after, 2)[0][0] == GROUP, "what nobody has seen in parts is one"
    lengths_s = set(re.findall(r"(?:EXTINF:|PART-TARGET=)([\d.]+)", after))
    assert len(lengths_s) == 1, "what is whole is known by the length that parts have at most"


async def test_where_its_frames_are_gone_players_are_told_of_no_parts(served: tuple[Service, Client]) -> None:
    service, client = served
    there = 4 * GROUP + 6
    await away(service, client, looked_at=GROUP + 6, there=there, segments=3)
    stored = service._today._catalogue.frames(Selection(camera=ROOF))
    await asyncio.wrap_future(service._today._catalogue.forget(stored[GROUP + 10 : GROUP + 11]))
    after = await playlist(client)
    assert [parts_of(after, segment) for segment in (0, 1)] == [[], []]
    assert seen(await fetched(client, after))[0] == list(range(1, there + 1))


async def test_a_frame_out_of_turn_moves_no_edge_of_a_part(served: tuple[Service, Client]) -> None:
    _service, client = served
    for seqs in ((1, 2), (3, 4, 6), (7, 8)):
        await deliver(client, *seqs)
        await until(partial(shows, client, seqs[-1] - (seqs[-1] > 5)))
        text = await playlist(client)
    await deliver(client, 5)
    await until(partial(shows, client, 8))
    again = await playlist(client)
    counts = [[frames for frames, _ in parts_of(each, 0)] for each in (text, again)]
    assert counts[1] == [*counts[0], 1]
    assert seen(await fetched(client, again))[0] == list(range(1, 9))


async def test_a_film_that_has_fallen_behind_takes_nothing_back(served: tuple[Service, Client]) -> None:
    service, client = served
    await deliver(client, *range(1, GROUP + 7))
    await until(partial(shows, client, GROUP + 6))
    before = await playlist(client)
    live = await service._today.of(ROOF)
    async with live.closing:
        await deliver(client, *range(GROUP + 7, AT_ONCE + GROUP))
        await until(lambda: len(service._today._frames.pending(live)) == AT_ONCE)
        assert await playlist(client) == before
    await until(partial(shows, client, AT_ONCE + GROUP - 1))
    assert seen(await fetched(client, await playlist(client)))[0] == list(range(1, AT_ONCE + GROUP))


def ends_of(text: str, segment: int) -> list[int]:
    """Where the parts that a playlist lists of a segment end."""
    return list(accumulate(frames for frames, _ in parts_of(text, segment)))


def misses_nothing(before: str, after: str, segment: int) -> bool:
    """Whether who has what was listed has all that it takes for known, by its place in its segment."""
    return all(
        new <= old for old, new in zip(ends_of(before, segment), ends_of(after, segment), strict=False)
    )


async def test_after_a_restart_no_part_is_longer_than_it_was(tmp_path: Path) -> None:
    config = write_config(tmp_path / "processor")
    async with serving(config) as (_service, client):
        await deliver(client, *range(1, GROUP + 7))
        await until(partial(shows, client, GROUP + 6))
        before = await playlist(client)
    async with serving(config) as (service, client):
        await until(lambda: service._today._current.get(ROOF))
        there = GROUP + 12
        await deliver(client, *range(GROUP + 7, there + 1))
        await until(partial(shows, client, there))
        after = await playlist(client)
        assert all(misses_nothing(before, after, segment) for segment in (0, 1))
        assert seen(await fetched(client, after))[0] == list(range(1, there + 1))


async def test_what_was_closed_unseen_after_a_restart_is_told_in_no_parts(tmp_path: Path) -> None:
    config = write_config(tmp_path / "processor")
    async with serving(config) as (_service, client):
        await deliver(client, *range(1, 7))
        await until(partial(shows, client, 6))
    async with serving(config) as (service, client):
        await until(lambda: service._today._current.get(ROOF))
        there = 3 * GROUP
        await deliver(client, *range(7, there + 1))
        await until(partial(closed, service, 2))
        after = await playlist(client)
        assert [len(parts_of(after, segment)) for segment in (0, 1)] == [0, 1]
        assert seen(await fetched(client, after))[0] == list(range(1, there + 1))


async def test_a_frame_out_of_turn_in_a_film_that_has_fallen_behind_makes_no_part_longer(
    served: tuple[Service, Client],
) -> None:
    service, client = served
    late, there = GROUP + 3, AT_ONCE + 2 * GROUP
    await deliver(client, *(seq for seq in range(1, GROUP + 7) if seq != late))
    await until(partial(shows, client, GROUP + 5))
    before = await playlist(client)
    live = await service._today.of(ROOF)
    async with live.closing:
        await deliver(client, late, *range(GROUP + 7, there + 1))
        await until(lambda: len(service._today._frames.pending(live)) == AT_ONCE)
        await playlist(client)
    await until(partial(shows, client, there))
    after = await playlist(client)
    assert misses_nothing(before, after, 1)
    assert seen(await fetched(client, after))[0] == list(range(1, there + 1))


async def test_what_was_shown_and_deleted_leaves_its_edges(served: tuple[Service, Client]) -> None:
    service, client = served
    for shown in (6, 12):
        await deliver(client, *range(shown - 5, shown + 1))
        await until(partial(shows, client, shown))
    before = await playlist(client)
    stored = service._today._catalogue.frames(Selection(camera=ROOF))
    await asyncio.wrap_future(service._today._catalogue.forget(stored[3:11]))
    await until(partial(shows, client, 4))
    await playlist(client)
    there = 3 * GROUP
    await deliver(client, *range(13, there + 1))
    await until(partial(closed, service, 1))
    after = await playlist(client)
    assert misses_nothing(before, after, 0)
    assert seen(await fetched(client, after))[0] == [1, 2, 3, *range(12, there + 1)]


async def test_however_large_its_parts_are_the_last_segment_keeps_them(
    served: tuple[Service, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Players look for the newest parts only behind others."""
    monkeypatch.setattr("skylapse_processor.today_screen.KEPT_BYTES", 0)
    service, client = served
    there = 3 * GROUP
    before = await away(service, client, looked_at=GROUP + 6, there=there, segments=2)
    after = await playlist(client)
    assert parts_of(after, 0) == []
    first = parts_of(before, 1)
    assert parts_of(after, 1)[: len(first)] == first
    assert misses_nothing(before, after, 1)
    assert seen(await fetched(client, after))[0] == list(range(1, there + 1))


async def test_a_film_that_ends_while_somebody_looks_is_over_once_all_of_it_is_shown(
    served: tuple[Service, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    service, client = served
    await deliver(client, *range(1, 7))
    said = await until(partial(shows, client, 6))
    show = service._today.show

    async def slow(live: Live) -> None:
        monkeypatch.undo()
        await show(live)
        await deliver(client, 7)
        await asked_for(client, 7)

    monkeypatch.setattr(service._today, "show", slow)
    text = await playlist(client, said["film"])
    assert seen(await fetched(client, text))[0] == list(range(1, 7))
    assert "#EXT-X-ENDLIST" not in text, "players would never ask for the last frame"
    text = await playlist(client, said["film"])
    assert text.endswith("#EXT-X-ENDLIST\n")
    assert seen(await fetched(client, text))[0] == list(range(1, 8))
