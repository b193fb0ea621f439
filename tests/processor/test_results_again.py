"""What results meet that goes wrong once is made up for."""

import errno
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path

import pytest

from skylapse_processor.store.results import Evening, ResultTable
from tests.support.waiting import until

from .conftest import serving, write_config
from .evenings_made import evening, every
from .test_results_service import QUICKLY, SMALL, dusk, five_evenings, shown

FRAMES = 3


async def test_an_evening_that_could_not_be_noted_is_noted_whole_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put = ResultTable.put_evening
    async with serving(write_config(tmp_path / "processor", results=QUICKLY)) as (service, client):

        def only_when_all_are_in(table: ResultTable, evening: Evening) -> "Future[None]":
            (growing,) = service._keeper._days.values()
            if len(growing.day.ledger) < 2 + FRAMES:
                raise OSError(errno.EIO, "Input/output error")
            return put(table, evening)

        await five_evenings(service)
        monkeypatch.setattr(ResultTable, "put_evening", only_when_all_are_in)
        (first, *rest) = dusk(FRAMES)
        for data, record in SMALL.frames(
            every(timedelta(minutes=3), evening(2.0) - timedelta(hours=9), 2), first=50
        ):
            await client.upload(data, record)
        assert await shown(client, "keogram", 2)
        await client.upload(*first)
        assert await shown(client, "keogram", 3)
        await client.upload(*rest[0])
        await until(lambda: "they are tried again" in caplog.text)
        for data, record in rest[1:]:
            await client.upload(data, record)

        async def judged() -> bool:
            found = (await client.get("cameras/roof/west/sunsets")).value["items"]
            named = {each["frame"] for each in found[0]["frames"]} if len(found) == 6 else set()
            return str(first[1].name) in named

        await until(judged)
