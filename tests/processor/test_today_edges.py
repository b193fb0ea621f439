"""The film of today where something is wrong: a clock that was ahead, a disk that takes nothing."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event

import pytest
from aiohttp import ClientError

from skylapse_processor.errors import FilmError
from skylapse_processor.service import Service
from skylapse_processor.store.rows import Selection
from skylapse_processor.today_plan import GROUP
from skylapse_processor.today_reel import Reel
from skylapse_protocol.identifiers import CameraName
from tests.support.waiting import PATIENCE_S, until

from .client import Client
from .conftest import serving, write_config
from .frames_made import DAY, record_of
from .test_today import GROWN, LONG, TODAY, asked_for, closes, deliver, fetched, marked, playlist, seen, shows


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Service, Client]]:
    """A processor without a broker, and its client."""
    async with serving(write_config(tmp_path / "processor")) as made:
        yield made


async def test_a_frame_from_a_clock_years_ahead_is_not_the_film_of_today(
    served: tuple[Service, Client],
) -> None:
    service, client = served
    await deliver(client, 1)
    said = await until(partial(shows, client, 1))
    ahead = datetime(2062, 6, 1, 18, 0, tzinfo=UTC)
    await deliver(client, 2, captured_at=ahead, day="2062-06-01")
    await deliver(client, 3)
    after = await until(partial(shows, client, 2))
    assert (after["film"], after["day"]) == (said["film"], DAY)
    (camera,) = (await client.get("cameras")).value["items"]
    assert (camera["last_day"], camera["last_frame"]["day"]) == (DAY, DAY)
    state = service._status.store_state(CameraName.parse("roof/west"))
    assert (state.day, state.frames_today, state.frames) == (DAY, 2, 3)
    assert state.last_frame == camera["last_frame"]["frame"]
    assert camera["last_frame"]["stem"] == record_of(marked(3), 3).name.stem


async def test_nobody_draws_any_more_where_a_film_is_rendered_instead(
    served: tuple[Service, Client], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, client = served
    await deliver(client, *range(1, LONG + 1))
    await until(partial(closes, client, 1))
    today, camera = service._today, CameraName.parse("roof/west")
    failed, answered, order = Event(), Event(), list[str]()

    def fail(*_: object) -> None:
        failed.set()
        raise FilmError("the disk is full")

    def draw(*_: object) -> None:
        failed.wait(PATIENCE_S)
        answered.wait(0.5)
        order.append("drawn")

    monkeypatch.setattr(Reel, "finish", fail)
    monkeypatch.setattr(today._showing, "stills", draw)
    live = await today.of(camera)
    assert await today.finished(live.spec, tmp_path / "attempt", "Evening") == ()
    order.append("answered")
    answered.set()
    assert order == ["drawn", "answered"]


async def test_a_disk_that_does_not_take_it_costs_no_frame_and_no_film(
    served: tuple[Service, Client], tmp_path: Path
) -> None:
    _service, client = served
    in_the_way = tmp_path / "processor/store/today"
    in_the_way.write_text("a file where a folder should be")
    await deliver(client, *range(1, LONG + 1))
    await until(partial(shows, client, LONG))
    assert seen(await fetched(client, await playlist(client)))[0] == list(range(1, LONG + 1))
    numbers, keys = await asked_for(client, LONG)
    assert numbers == list(range(1, LONG + 1))
    assert keys != GROWN
    in_the_way.unlink()
    await deliver(client, LONG + 1)
    await until(partial(closes, client, 1))
    assert await asked_for(client, LONG + 1) == (list(range(1, LONG + 2)), GROWN)


async def test_a_frame_that_is_gone_at_the_end_is_in_no_film(served: tuple[Service, Client]) -> None:
    service, client = served
    await deliver(client, *range(1, LONG + 1))
    await until(partial(closes, client, 1))
    there = list(range(1, LONG + 1))
    for seq in (LONG - 1, 3):
        found = service._store.frames.find(CameraName.parse("roof/west"), record_of(b"x", seq).spool, seq)
        assert found is not None
        service._store.layout.picture(found.name, found.day).unlink()
        await asyncio.wrap_future(service._store.frames.forget([found]))
        there.remove(seq)
        numbers, keys = await asked_for(client, len(there))
        assert numbers == there
        assert (keys == GROWN) == (seq > GROUP), "what is encoded already is rendered without it"


async def test_a_film_whose_frames_are_all_gone_is_not_made(served: tuple[Service, Client]) -> None:
    service, client = served
    await deliver(client, *range(1, LONG + 1))
    await until(partial(closes, client, 1))
    camera = CameraName.parse("roof/west")
    live = await service._today.of(camera)
    catalogue = service._store.frames
    await asyncio.wrap_future(catalogue.forget(catalogue.frames(Selection(camera=camera))))
    assert await service._today.finished(live.spec, live.reel.folder, "Evening") == ()


async def test_a_player_is_let_go_when_the_film_that_it_reads_is_gone(
    served: tuple[Service, Client], tmp_path: Path
) -> None:
    _, client = served
    await deliver(client, *range(1, LONG + 1))
    await until(partial(closes, client, 1))
    item = (await client.get(TODAY)).value
    (media,) = (tmp_path / "processor/store/today").rglob("media")
    media.write_bytes(b"")
    with pytest.raises(ClientError):
        await client.get(item["video"])


async def test_a_playlist_that_has_not_changed_is_not_sent_again(served: tuple[Service, Client]) -> None:
    _service, client = served
    await deliver(client, 1)
    await until(partial(shows, client, 1))
    address = (await client.get(TODAY)).value["playlist"]
    first = await client.ask("GET", address)
    asked = {"If-None-Match": first.headers["ETag"]}
    again = await client.ask("GET", address, headers=asked)
    assert (again.status, again.body) == (304, b"")
    await deliver(client, 2)
    await until(partial(shows, client, 2))
    grown = await client.ask("GET", address, headers=asked)
    assert (grown.status, grown.body != first.body) == (200, True)
    assert "no-cache" in grown.headers["Cache-Control"], "it is asked for each time"


async def test_a_film_that_another_one_follows_ends_with_all_its_frames(
    served: tuple[Service, Client],
) -> None:
    _service, client = served
    frames = GROUP + 5
    await deliver(client, *range(1, frames + 1))
    said = await until(partial(shows, client, frames))
    assert "#EXT-X-ENDLIST" not in await playlist(client, said["film"])
    await deliver(client, frames + 1, window="night", schedule="night")
    await until(partial(shows, client, 1))
    over, grows = await playlist(client, said["film"]), await playlist(client)
    assert over.endswith("#EXT-X-ENDLIST\n")
    lengths_s = re.findall(r"^#EXTINF:([\d.]+)", over, re.MULTILINE)
    assert [round(float(length) * 30, 3) for length in lengths_s] == [24, 5]
    assert seen(await fetched(client, over))[0] == list(range(1, frames + 1)), "and none of the other film"
    assert "#EXT-X-ENDLIST" not in grows
    assert seen(await fetched(client, grows))[0] == [frames + 1]
