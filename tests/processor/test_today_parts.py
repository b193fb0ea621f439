"""The film of today for those who were away: what was shown in parts is there in the same parts."""

import asyncio
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from skylapse_processor.service import Service
from skylapse_processor.store.rows import Selection
from skylapse_processor.today_frames import AT_ONCE
from skylapse_processor.today_plan import GROUP
from skylapse_protocol.identifiers import CameraName
from tests.support.waiting import until

from .client import Client
from .conftest import serving, write_config
from .test_today import deliver, fetched, joined, playlist, seen, shows

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
