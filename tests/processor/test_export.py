"""Frames taken out: whole, with their records, out of retention's reach; the same span is the same folder."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from skylapse_processor.errors import NoRoomError
from skylapse_processor.service import Service
from skylapse_protocol.messages import Command, Reply
from tests.support.waiting import PATIENCE_S

from .client import Client
from .conftest import serving, write_config
from .frames_made import DAY, START, picture, record_of

CAMERA = "roof/west"
FRAMES = 4


class Asking:
    """Sends the processor one export after the other."""

    def __init__(self, service: Service, client: Client) -> None:
        self.service = service
        self.client = client
        self._number = 0

    async def reply(self, **args: Any) -> Reply:
        """Ask for an export of the camera's frames."""
        self._number += 1
        expires_at = datetime.now(UTC) + timedelta(hours=1)
        command = Command(id=f"c{self._number}", expires_at=expires_at, name="export", args=args)
        return await self.service._commands.obey(command, retained=False)

    async def export(self, **args: Any) -> dict[str, Any]:
        """Return the result of an export."""
        reply = await self.reply(**{"camera": CAMERA, **args})
        assert reply.ok, reply.error
        return dict(reply.result or {})


@pytest.fixture
async def asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asking]:
    """A processor with four frames of a sunset, one of an A/B test, that answers when it is done."""
    monkeypatch.setattr("skylapse_processor.export.ANSWER_S", PATIENCE_S)
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        for seq in range(1, FRAMES + 1):
            data = picture(seq)
            changes = {"test_id": "warm-a"} if seq == FRAMES else {}
            assert (await client.upload(data, record_of(data, seq, **changes))).status == 201
        yield Asking(service, client)


def _pictures(folder: str) -> list[Path]:
    return sorted(Path(folder).glob("*.jpg"))


async def test_a_days_frames_lie_in_a_folder_with_their_records(asking: Asking) -> None:
    made = await asking.export(day=DAY)
    pictures = _pictures(made["folder"])
    assert (made["done"], made["frames"], len(pictures)) == (True, 3, 3)
    assert made["bytes"] == sum(path.stat().st_size for path in pictures)
    assert [path.read_bytes() for path in pictures] == [picture(seq) for seq in (1, 2, 3)]
    records = [json.loads(path.with_suffix(".json").read_text()) for path in pictures]
    assert [record["seq"] for record in records] == [1, 2, 3]
    assert "Delete this folder" in (Path(made["folder"]) / "about.txt").read_text()


async def test_what_is_edited_in_the_folder_stays_as_it_was_in_the_store(asking: Asking) -> None:
    made = await asking.export(day=DAY)
    first = _pictures(made["folder"])[0]
    stored = next(asking.service._store.layout.frames.rglob(first.name))
    with first.open("r+b") as file:
        file.write(b"an editor that writes in place")
    assert stored.read_bytes() == picture(1)


async def test_a_link_takes_no_room_and_outlives_the_stored_frame(asking: Asking) -> None:
    made = await asking.export(window="sunset", day=DAY, link=True)
    first = _pictures(made["folder"])[0]
    assert first.stat().st_nlink == 2
    assert "edit copies" in (first.parent / "about.txt").read_text()
    stored = next(asking.service._store.layout.frames.rglob(first.name))
    stored.unlink()
    assert first.read_bytes() == picture(1)


async def test_links_become_copies_where_those_are_asked_for(asking: Asking) -> None:
    for link, names in ((True, {2}), (False, {1}), (True, {1})):
        made = await asking.export(day=DAY, link=link)
        assert {path.stat().st_nlink for path in _pictures(made["folder"])} == names
        assert [path.read_bytes() for path in _pictures(made["folder"])] == [picture(n) for n in (1, 2, 3)]


async def test_the_same_span_asked_for_again_gains_what_has_come_meanwhile(asking: Asking) -> None:
    made = await asking.export(day=DAY, profile="f")
    data = picture(9)
    await asking.client.upload(data, record_of(data, 9))
    again = await asking.export(day=DAY, profile="f")
    assert (again["export"], again["frames"]) == (made["export"], 4)
    assert len(_pictures(again["folder"])) == 4


async def test_a_span_of_time_is_another_folder(asking: Asking) -> None:
    ends = (START + timedelta(seconds=20), START + timedelta(seconds=40))
    span = {name: at.isoformat() for name, at in zip(("from", "to"), ends, strict=True)}
    made = await asking.export(**span)
    assert made["frames"] == 1
    assert made["export"] != (await asking.export(day=DAY))["export"]
    assert made["export"].startswith("roof-west-2026-06-01-")


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        ({"day": "2026-06-02"}, "not_found", "no stored frame"),
        ({}, "bad_request", "day: is missing"),
        ({"day": DAY, "recipe": "clean"}, "bad_request", "recipe: is not known"),
        ({"day": DAY, "link": "yes"}, "bad_request", "link: is neither true nor false"),
        ({"day": DAY, "camera": "../etc"}, "bad_request", "camera"),
    ],
)
async def test_what_cannot_be_taken_out_is_refused(
    asking: Asking, args: dict[str, str], code: str, words: str
) -> None:
    reply = await asking.reply(**{"camera": CAMERA, **args})
    assert reply.error is not None
    assert (reply.error.code, words in reply.error.message) == (code, True)
    assert not asking.service._store.layout.exports.exists()


async def test_where_the_disk_knows_no_links_frames_are_copied(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(_self: Path, _target: Path) -> None:
        raise PermissionError("a disk without links cannot be had here")

    monkeypatch.setattr(Path, "hardlink_to", unsupported)
    made = await asking.export(day=DAY, link=True)
    copies = _pictures(made["folder"])
    assert [path.read_bytes() for path in copies] == [picture(seq) for seq in (1, 2, 3)]
    assert {path.stat().st_nlink for path in copies} == {1}


async def test_a_frame_that_goes_before_it_is_copied_is_left_out(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copyfile

    def gone(source: Path, target: Path) -> None:
        if source.suffix == ".jpg":
            source.unlink()
        copy(source, target)

    monkeypatch.setattr("skylapse_processor.export.shutil.copyfile", gone)
    made = await asking.export(day=DAY)
    assert made["done"]
    assert _pictures(made["folder"]) == []


async def test_without_room_nothing_is_copied(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_bytes: int) -> None:
        raise NoRoomError("the disk is full")

    monkeypatch.setattr(asking.service._store.disk, "check", full)
    reply = await asking.reply(camera=CAMERA, day=DAY)
    assert reply.error is not None
    assert reply.error.code == "no_room"


async def test_what_takes_long_is_answered_at_once_and_told_when_it_is_done(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Event()
    copy = shutil.copyfile

    def slowly(source: Path, target: Path) -> None:
        held.wait(PATIENCE_S)
        copy(source, target)

    monkeypatch.setattr("skylapse_processor.export.shutil.copyfile", slowly)
    monkeypatch.setattr("skylapse_processor.export.ANSWER_S", 0.01)
    first, second = await asyncio.gather(asking.export(day=DAY), asking.export(day=DAY))
    assert first == second
    assert (first["done"], first["frames"], _pictures(first["folder"])) == (False, 3, [])
    held.set()
    monkeypatch.setattr("skylapse_processor.export.ANSWER_S", PATIENCE_S)
    assert await asking.export(day=DAY) == {**first, "done": True}
    assert len(_pictures(first["folder"])) == 3


async def test_copies_asked_for_while_links_are_made_are_copies(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Event()
    link = Path.hardlink_to

    def slowly(self: Path, target: Path) -> None:
        held.wait(PATIENCE_S)
        link(self, target)

    monkeypatch.setattr(Path, "hardlink_to", slowly)
    monkeypatch.setattr("skylapse_processor.export.ANSWER_S", 0.01)
    made = await asking.export(day=DAY, link=True)
    assert await asking.export(day=DAY) == {**made, "done": False}
    running = [each.task for each in asking.service._exporter._running.values()]
    held.set()
    await asyncio.wait(running)
    assert {path.stat().st_nlink for path in _pictures(made["folder"])} == {1}
    assert "edit copies" not in (Path(made["folder"]) / "about.txt").read_text()
    assert not asking.service._exporter._running


async def test_a_processor_that_ends_leaves_the_rest_for_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_config(tmp_path / "processor")
    reached, held = Event(), Event()
    copy = shutil.copyfile

    def slowly(source: Path, target: Path) -> None:
        reached.set()
        held.wait(PATIENCE_S)
        copy(source, target)

    async with serving(path) as (service, client):
        for seq in (1, 2):
            data = picture(seq)
            await client.upload(data, record_of(data, seq))
        with monkeypatch.context() as patched:
            patched.setattr("skylapse_processor.export.shutil.copyfile", slowly)
            patched.setattr("skylapse_processor.export.ANSWER_S", 0.01)
            begun = await Asking(service, client).export(day=DAY)
            await asyncio.to_thread(reached.wait, PATIENCE_S)
            service._exporter._stopping.set()
            held.set()
            await service._exporter.stop()
    assert len(_pictures(begun["folder"])) == 1
    async with serving(path) as (service, client):
        assert (await Asking(service, client).export(day=DAY))["done"]
    assert len(_pictures(begun["folder"])) == 2


async def test_a_frame_that_retention_takes_meanwhile_is_left_out(asking: Asking) -> None:
    exporter = asking.service._exporter
    target = asking.service._store.layout.root / "taken.jpg"
    for link in (True, False):
        exporter._take_out(target.with_name("gone.jpg"), target, link=link)
    assert not target.exists()


async def test_an_export_that_fails_says_so_to_whoever_waits(
    asking: Asking, caplog: pytest.LogCaptureFixture
) -> None:
    layout = asking.service._store.layout
    layout.exports.write_text("a file where the folder would be")
    reply = await asking.reply(camera=CAMERA, day=DAY)
    assert reply.error is not None
    assert reply.error.code == "failed"
    assert "export roof-west-2026-06-01-" in caplog.text
