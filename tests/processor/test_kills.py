"""Killed at any point, the processor loses and doubles nothing that it had acknowledged or been offered."""

import asyncio
import os
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from skylapse_protocol.records import FrameRecord
from tests.support.waiting import until

from .client import Client
from .conftest import write_config
from .frames_made import DAY, OFFSET_STREAM, TUS, creation_headers, picture, record_of
from .program import Processor

FRAMES = 120
KILLS = 10
SEED = 20260601
WISH = {"camera": "roof/west", "day": DAY, "size": "480p"}
LOST = (aiohttp.ClientError, ConnectionError, asyncio.TimeoutError)


@pytest.fixture
def processor(tmp_path: Path) -> Iterator[Processor]:
    """A processor as a program of its own, started."""
    made = Processor(write_config(tmp_path / "processor"))
    made.start()
    yield made
    made.program.stop()


async def deliver(client: Client, data: bytes, record: FrameRecord) -> None:
    """Offer a frame as a bridge does, until it is acknowledged: whole, then in pieces at the offset."""
    while True:
        try:
            answer = await client.ask("POST", "uploads", headers=creation_headers(record))
            assert answer.status == 201, answer.value
            address, offset = answer.headers["Location"], int(answer.headers["Upload-Offset"])
            while offset < len(data):
                headers = {**TUS, **OFFSET_STREAM, "Upload-Offset": str(offset)}
                piece = data[offset : offset + 1 + len(data) // 2]
                answer = await client.ask("PATCH", address, data=piece, headers=headers)
                assert answer.status == 204, answer.value
                offset = int(answer.headers["Upload-Offset"])
        except LOST:
            continue
        return


async def all_frames(client: Client) -> list[dict[str, Any]]:
    """Every frame of the camera, page after page."""
    items: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await client.get("cameras/roof/west/frames", limit="50", cursor=cursor)).value
        items += page["items"]
        cursor = page["next"]
    return items


async def all_measured(client: Client) -> bool:
    """Whether every frame that a kill left unmeasured has been measured."""
    return all(item["state"] == "good" for item in await all_frames(client))


async def test_kills_during_uploads_lose_and_double_nothing(processor: Processor) -> None:
    dice = random.Random(SEED)
    frames = [(data, record_of(data, seq)) for seq in range(1, FRAMES + 1) if (data := picture(seq))]
    acknowledged: list[FrameRecord] = []
    kills = sorted(dice.sample(range(1, FRAMES - 5), KILLS))

    async with Client(processor.url, processor.key) as client:
        queue = iter(frames)

        async def lane() -> None:
            for data, record in queue:
                await deliver(client, data, record)
                acknowledged.append(record)

        def reached(mark: int) -> bool:
            return len(acknowledged) >= mark

        async def killer() -> None:
            for mark in kills:
                await until(partial(reached, mark))
                for _ in range(dice.randrange(20)):
                    await asyncio.sleep(0)
                processor.program.kill()
                await asyncio.to_thread(processor.start)

        await asyncio.gather(lane(), lane(), lane(), killer())
        await until(partial(all_measured, client))
        items = await all_frames(client)
        (counts,) = (await client.get("stats")).value["cameras"]

    assert Counter(item["sha256"] for item in items) == Counter(record.sha256 for record in acknowledged)
    assert len(items) == counts["stored"] == FRAMES
    folder = processor.folder / "store" / "frames" / "roof" / "west" / DAY
    on_disk = {path.name: path.read_bytes() for path in folder.glob("*Z-*.jpg") if "thumb" not in path.name}
    assert on_disk == {f"{record.name.stem}.jpg": data for data, record in frames}
    assert list((processor.folder / "store" / "uploads").rglob("*.part")) == []


async def test_a_frame_whose_bytes_had_all_come_before_a_kill_is_stored_when_asked_for(
    processor: Processor,
) -> None:
    data = picture(1)
    record = record_of(data, 1)
    async with Client(processor.url, processor.key) as client:
        address = (await client.ask("POST", "uploads", headers=creation_headers(record))).headers["Location"]
        processor.program.kill()
        (part,) = (processor.folder / "store" / "uploads").rglob("*.part")
        part.write_bytes(data)
        processor.start()
        head = await client.ask("HEAD", address, headers=TUS)
        assert head.headers["Upload-Offset"] == str(len(data))
        processor.program.kill()
        processor.start()
        assert [item["sha256"] for item in await all_frames(client)] == [record.sha256]


async def test_a_frame_that_was_renamed_but_not_catalogued_is_taken_up(processor: Processor) -> None:
    data = picture(1)
    record = record_of(data, 1)
    async with Client(processor.url, processor.key) as client:
        await client.upload(data, record)
        processor.program.kill()
        store = processor.folder / "store"
        _forget_rows(store / "state" / "catalogue.db")
        left = store / "uploads" / "roof" / "west" / f"{record.name.stem}-{record.sha256}.json"
        left.write_bytes((store / "frames/roof/west" / DAY / f"{record.name.stem}.json").read_bytes())
        processor.start()
        items = (await client.get("cameras/roof/west/frames")).value["items"]
        assert [item["sha256"] for item in items] == [record.sha256]
        assert not left.exists()


def _forget_rows(path: Path) -> None:
    connection = sqlite3.connect(path)
    for table in ("frames", "stretches"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - two names from the line above
    connection.commit()
    connection.close()


@contextmanager
def nobody_gets_past(picture: Path) -> Iterator[None]:
    """A pipe that nobody writes into lies in the place of a picture: whoever renders it waits there."""
    data = picture.read_bytes()
    picture.unlink()
    os.mkfifo(picture)
    try:
        yield
    finally:
        picture.unlink()
        picture.write_bytes(data)


async def state_is(client: Client, job: str, state: str) -> bool:
    """Whether a render is in a state."""
    return bool((await client.get(f"renders/{job}")).value["state"] == state)


async def test_a_render_that_a_kill_interrupted_is_done_again(processor: Processor) -> None:
    async with Client(processor.url, processor.key) as client:
        for seq in range(1, 60):
            data = picture(seq, size=(640, 360))
            record = record_of(data, seq)
            assert (await client.upload(data, record)).status == 201
        await until(partial(all_measured, client))
        day = processor.folder / "store" / "frames" / "roof" / "west" / DAY
        with nobody_gets_past(day / f"{record.name.stem}.jpg"):
            job = (await client.ask("POST", "renders", json=WISH)).value["job"]
            await until(partial(state_is, client, job, "running"))
            processor.program.kill()
        processor.start()
        await until(partial(state_is, client, job, "done"))
        found = (await client.get(f"renders/{job}")).value
        assert found["attempt"] == 2
        (film,) = (await client.get("films")).value["items"]
        assert film["frames"] == 59
        assert list((processor.folder / "store" / "renders").iterdir()) == []
