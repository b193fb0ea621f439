"""Delivery: everything arrives once, in spite of everything, and nothing leaves the spool too early."""

import asyncio
import errno
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from skylapse_bridge.errors import SpoolFullError
from skylapse_bridge.outbox import Outbox
from skylapse_bridge.spool import Limits, Spool
from skylapse_bridge.upload import Pace, Uploader
from skylapse_protocol.messages import Counts
from skylapse_protocol.records import read_record, write_record
from tests.support.waiting import until

from .made import START, draft, picture
from .tus_server import KEY, TusServer, answering, hanging_up

AT_ONCE = Pace(first_s=0.01, longest_s=0.05)


@pytest.fixture
async def server() -> AsyncIterator[TusServer]:
    """A tus server that works until it is told not to."""
    one = TusServer()
    await one.start()
    yield one
    await one.stop()


class Delivery:
    """A spool with an uploader on it."""

    def __init__(self, folder: Path, spool: Spool | None = None) -> None:
        self.folder = folder
        self.key_file = folder / "key"
        self.key_file.write_text(KEY + "\n", "utf-8")
        self.outbox = Outbox(spool or Spool(folder / "state", Limits(max_bytes=10**9, min_free_bytes=1)))
        self.delivered: list[int] = []
        self.uploader = Uploader(
            self.outbox,
            key_file=self.key_file,
            now=lambda: START + timedelta(hours=1),
            on_delivered=lambda frame: self.delivered.append(frame.id),
            pace=AT_ONCE,
        )

    async def add(self, count: int = 1, *, size: int = 64) -> None:
        """Put frames into the spool."""
        for _ in range(count):
            shot = picture(width=size, height=size)
            await self.outbox.run(lambda spool: spool.add(draft(), shot))  # noqa: B023 awaited at once
        self.uploader.poke()

    async def counts(self) -> Counts:
        """Return the counts of the one camera."""
        return await self.outbox.run(lambda spool: spool.counts("west"))

    async def settle(self) -> None:
        """Wait until nothing is pending."""

        async def empty() -> bool:
            return (await self.counts()).pending == 0

        await until(empty, what="an empty spool")


@pytest.fixture
async def delivery(tmp_path: Path, server: TusServer) -> AsyncIterator[Delivery]:
    """An uploader at work."""
    one = Delivery(tmp_path)
    await one.outbox.start()
    one.uploader.deliver_to(server.url + "/")
    one.uploader.start()
    yield one
    await one.uploader.stop()
    await one.outbox.stop()


async def test_frames_arrive_whole_with_their_records(delivery: Delivery, server: TusServer) -> None:
    await delivery.add(7)
    await delivery.settle()
    assert sorted(server.frames) == [1, 2, 3, 4, 5, 6, 7]
    assert [method for method, _ in server.requests] == ["POST"] * 7
    record = read_record(server.uploads[0].record)
    assert json.dumps(write_record(record)) == json.dumps(server.uploads[0].record)
    assert sorted(delivery.delivered) == [1, 2, 3, 4, 5, 6, 7]
    assert delivery.uploader.problem is None


@pytest.mark.parametrize("status", [500, 503, 507, 429, 460, 423])
async def test_a_processor_in_trouble_is_waited_out(
    delivery: Delivery, server: TusServer, status: int
) -> None:
    server.standing_fault = answering(status)
    await delivery.add(3)
    await until(lambda: len(server.requests) > 6, what="some attempts")
    assert await delivery.counts() == Counts(captured=3, pending=3)
    assert delivery.uploader.problem is not None
    assert str(status) in delivery.uploader.problem
    server.standing_fault = None
    await delivery.settle()
    assert sorted(server.frames) == [1, 2, 3]
    assert delivery.uploader.problem is None


async def test_a_broken_off_upload_is_resumed_at_its_offset(delivery: Delivery, server: TusServer) -> None:
    server.faults = [hanging_up(server)]
    await delivery.add(size=900)
    await delivery.settle()
    server.requests.clear()
    server.faults = [hanging_up(server), answering(503)]
    await delivery.add(size=900)
    await delivery.settle()
    assert sorted(server.frames) == [1, 2]

    async def no_fault(_request: object) -> None:
        return None

    server.requests.clear()
    server.faults = [hanging_up(server), no_fault, hanging_up(server, after=2000)]
    await delivery.add(size=900)
    await delivery.settle()
    methods = [method for method, _ in server.requests]
    sizes = [size for method, size in server.requests if method == "PATCH"]
    assert methods == ["POST", "POST", "PATCH", "HEAD", "PATCH"]
    assert sizes[1] == sizes[0] - 2000
    assert sorted(server.frames) == [1, 2, 3]


async def test_a_frame_that_was_never_committed_is_not_delivered(
    delivery: Delivery, server: TusServer
) -> None:
    """The processor is killed between the last byte and the commit: HEAD tells the whole length."""

    async def no_fault(_request: object) -> None:
        return None

    delivery.uploader.deliver_to(None)
    await delivery.add(size=900)
    (frame,) = await delivery.outbox.run(lambda spool: spool.pending(9))
    server.faults = [hanging_up(server), no_fault, hanging_up(server, after=frame.record.bytes)]
    delivery.uploader.deliver_to(server.url)
    await delivery.settle()
    assert server.frames == [1]
    assert [method for method, _ in server.requests] == ["POST", "POST", "PATCH", "HEAD", "PATCH"]
    assert server.requests[-1] == ("PATCH", 0)


@pytest.mark.parametrize("status", [201, 307])
async def test_the_key_goes_to_no_other_origin(delivery: Delivery, server: TusServer, status: int) -> None:
    other = TusServer()
    await other.start()

    async def elsewhere(request: web.Request) -> web.Response:
        await request.read()
        place = f"{other.url}/api/v1/uploads/0" if status == 201 else f"{other.url}/api/v1/uploads"
        return web.Response(status=status, headers={"Location": place, "Upload-Offset": "0"})

    server.standing_fault = elsewhere
    await delivery.add()
    await until(lambda: "own" in (delivery.uploader.problem or ""), what="the message")
    assert other.requests == []
    assert (await delivery.counts()).pending == 1
    server.standing_fault = None
    delivery.uploader.flush()
    await delivery.settle()
    assert server.frames == [1]
    await other.stop()


async def test_a_processor_that_is_away_for_days_is_waited_for(delivery: Delivery, server: TusServer) -> None:
    async def after_days(_request: object) -> web.Response:
        delivery.uploader._failures = 5_000
        return web.Response(status=503)

    server.faults = [after_days]
    await delivery.add()
    await delivery.settle()
    assert server.frames == [1]


async def test_an_upload_that_the_processor_forgot_is_begun_again(
    delivery: Delivery, server: TusServer
) -> None:
    async def no_fault(_request: object) -> None:
        return None

    server.faults = [hanging_up(server), no_fault, answering(503), answering(404)]
    await delivery.add(size=900)
    await delivery.settle()
    assert server.frames == [1]
    assert [method for method, _ in server.requests] == ["POST", "POST", "PATCH", "HEAD", "POST"]


@pytest.mark.parametrize("status", [404, 410])
async def test_an_upload_that_the_processor_loses_at_the_last_moment_is_begun_again(
    delivery: Delivery, server: TusServer, status: int
) -> None:
    async def no_fault(_request: object) -> None:
        return None

    server.faults = [hanging_up(server), no_fault, answering(status)]
    await delivery.add(size=900)
    await delivery.settle()
    assert server.frames == [1]
    assert [method for method, _ in server.requests] == ["POST", "POST", "PATCH", "POST"]


async def test_a_frame_that_was_put_aside_counts_as_delivered(delivery: Delivery, server: TusServer) -> None:
    server.faults = [answering(422)]
    await delivery.add()
    await delivery.settle()
    assert await delivery.counts() == Counts(captured=1, delivered=1)
    assert server.frames == []


async def test_a_refused_frame_does_not_hold_the_others_up(delivery: Delivery, server: TusServer) -> None:
    server.faults = [answering(400)]
    await delivery.add()
    await until(lambda: delivery.uploader.problem, what="the refusal")
    await delivery.add(4)
    await until(lambda: len(server.frames) == 4, what="the others")
    counts = await delivery.counts()
    assert (counts.captured, counts.dropped) == (5, 0)
    delivery.uploader.flush()
    await delivery.settle()
    assert sorted(server.frames) == [1, 2, 3, 4, 5]
    assert delivery.uploader.problem is None


async def test_a_frame_that_is_refused_for_good_is_told_steadily(
    delivery: Delivery, server: TusServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults = [answering(400)]
    await delivery.add()
    await until(lambda: "answered 400" in (delivery.uploader.problem or ""), what="the refusal")
    await delivery.add(2)
    await until(lambda: len(delivery.delivered) == 2, what="the others")
    await until(lambda: "others arrive" in (delivery.uploader.problem or ""), what="the words")
    told = {delivery.uploader.problem}
    for number in range(3):
        server.faults = [answering(400)]
        delivery.uploader.flush()
        await until(lambda: not server.faults, what="another try")
        await delivery.add()
        await until(lambda: len(delivery.delivered) == 3 + number, what="another")  # noqa: B023 awaited at once
        told.add(delivery.uploader.problem)
    (words,) = told
    assert (words or "").startswith("1 frame waits while others arrive: the processor answered 400")
    assert caplog.text.count("waits in the spool") == 1


async def test_a_wrong_key_is_told_and_a_right_one_heals(delivery: Delivery, server: TusServer) -> None:
    delivery.key_file.write_text("wrong", "utf-8")
    await delivery.add(2)
    await until(lambda: "refuses the key" in (delivery.uploader.problem or ""), what="the refusal")
    assert await delivery.counts() == Counts(captured=2, pending=2)
    delivery.key_file.write_text(KEY, "utf-8")
    await delivery.settle()
    assert sorted(server.frames) == [1, 2]


async def test_a_missing_key_file_is_told(delivery: Delivery) -> None:
    delivery.key_file.unlink()
    await delivery.add()
    await until(lambda: "key cannot be read" in (delivery.uploader.problem or ""), what="the message")
    delivery.key_file.write_text(KEY, "utf-8")
    await delivery.settle()
    assert (await delivery.counts()).delivered == 1


async def test_a_damaged_file_is_dropped_and_the_rest_arrives(delivery: Delivery, server: TusServer) -> None:
    delivery.uploader.deliver_to(None)
    await delivery.add(3)
    frames = await delivery.outbox.run(lambda spool: spool.pending(9))
    frames[1].path.write_bytes(frames[1].path.read_bytes()[:-50] + b"x" * 50)
    delivery.uploader.deliver_to(server.url)
    await delivery.settle()
    assert await delivery.counts() == Counts(captured=3, delivered=2, dropped=1)
    assert sorted(server.frames) == [1, 3]
    assert [path.name for path in delivery.folder.rglob("damaged/*")] == [frames[1].path.name]


async def test_where_nothing_waits_any_more_nothing_is_in_the_way(
    delivery: Delivery, server: TusServer
) -> None:
    server.standing_fault = answering(507)
    await delivery.add()
    await until(lambda: "507" in (delivery.uploader.problem or ""), what="the trouble")
    (frame,) = await delivery.outbox.run(lambda spool: spool.pending(9))
    frame.path.unlink()
    await delivery.settle()
    await until(lambda: delivery.uploader.problem is None, what="the end of the trouble")
    assert await delivery.counts() == Counts(captured=1, dropped=1)


async def test_a_disk_that_cannot_be_read_for_a_moment_loses_nothing(
    delivery: Delivery, server: TusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery.uploader.deliver_to(None)
    await delivery.add(3)

    def no_more_files(_: Path) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", no_more_files)
        delivery.uploader.deliver_to(server.url)
        await until(lambda: "Too many" in (delivery.uploader.problem or ""), what="the message")
    assert await delivery.counts() == Counts(captured=3, pending=3)
    delivery.uploader.flush()
    await delivery.settle()
    assert sorted(server.frames) == [1, 2, 3]


async def test_room_is_not_made_at_the_cost_of_frames_on_their_way(tmp_path: Path, server: TusServer) -> None:
    spool = Spool(tmp_path / "small", Limits(max_bytes=20_000, min_free_bytes=1, on_full="drop_oldest"))
    delivery = Delivery(tmp_path, spool)
    await delivery.outbox.start()
    gate = asyncio.Event()

    async def slow(_request: object) -> None:
        await gate.wait()

    server.standing_fault = slow
    await delivery.add(8)
    delivery.uploader.deliver_to(server.url)
    delivery.uploader.start()
    await until(lambda: server.requests, what="one on its way, others next")
    size = (await delivery.outbox.run(Spool.totals)).bytes
    await delivery.outbox.run(lambda spool: spool.make_room(20_000 - size + 1))
    assert (await delivery.counts()).dropped == 1
    gate.set()
    await delivery.settle()
    assert server.frames == [1, 2, 3, 4, 5, 6, 8]
    assert await delivery.counts() == Counts(captured=8, delivered=7, dropped=1)
    await delivery.uploader.stop()
    await delivery.outbox.stop()


async def test_a_flush_while_frames_are_on_their_way(delivery: Delivery, server: TusServer) -> None:
    gate, begun = asyncio.Event(), asyncio.Event()

    async def slow(_request: object) -> None:
        begun.set()
        await gate.wait()

    server.standing_fault = slow
    await delivery.add(5)
    await begun.wait()
    delivery.uploader.flush()
    gate.set()
    await delivery.settle()
    assert sorted(server.frames) == [1, 2, 3, 4, 5]


async def test_nothing_is_sent_before_an_address_is_known(delivery: Delivery, server: TusServer) -> None:
    delivery.uploader.deliver_to(None)
    await delivery.add(2)
    assert delivery.uploader.problem == "no processor is known yet"
    assert server.requests == []
    delivery.uploader.deliver_to(server.url)
    await delivery.settle()
    assert sorted(server.frames) == [1, 2]


async def test_a_dead_processor_costs_nothing(delivery: Delivery, server: TusServer) -> None:
    delivery.uploader.deliver_to("http://127.0.0.1:9")
    await delivery.add(2)
    await until(lambda: delivery.uploader.problem, what="the message")
    assert delivery.uploader.problem == "the processor does not answer at 127.0.0.1:9: Connection refused"
    delivery.uploader.deliver_to("http://processor.invalid")
    named = "the processor does not answer at processor.invalid:80: "
    await until(lambda: (delivery.uploader.problem or "").startswith(named), what="another message")
    delivery.uploader.deliver_to(server.url)
    await delivery.settle()
    assert sorted(server.frames) == [1, 2]


@pytest.mark.parametrize("url", ["http://[::1", "http://", "http://a b", "http://x:99999999"])
async def test_an_address_that_is_none_is_told(delivery: Delivery, server: TusServer, url: str) -> None:
    delivery.uploader.deliver_to(url)
    await delivery.add(2)
    await until(lambda: delivery.uploader.problem, what="the message")
    delivery.uploader.deliver_to(server.url)
    await delivery.settle()
    assert sorted(server.frames) == [1, 2]


async def test_a_spool_that_cannot_be_written_now_is_tried_again(
    delivery: Delivery, server: TusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SpoolFullError("the database cannot grow")

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "delivered", full)
        await delivery.add(2)
        await until(lambda: "cannot grow" in (delivery.uploader.problem or ""), what="the message")
    await delivery.settle()
    assert set(server.frames) == {1, 2}
    assert (await delivery.counts()).delivered == 2
