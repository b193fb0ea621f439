"""Commands: obeyed once, answered always, and refused with a reason that programs can read."""

import inspect
import re
from datetime import timedelta
from typing import Any

import pytest

from skylapse_bridge import commands
from skylapse_bridge.runner import Runner
from skylapse_protocol.messages import Command, Reply
from skylapse_protocol.records import read_record
from skylapse_protocol.topics import AVAILABILITY, COMMAND, FRAME, PREVIEW, READING, REPLY, STATE
from tests.support.tree import ROOT
from tests.support.waiting import until

from .conftest import House
from .made import START, plan, profile, snapshot, window

PLAN_NOW = plan(window(start=START - timedelta(minutes=10)))


def command(name: str, command_id: str = "c-1", *, expires_in_s: float = 60, **args: Any) -> Command:
    """A request that is good for a minute."""
    return Command(id=command_id, expires_at=START + timedelta(seconds=expires_in_s), name=name, args=args)


def test_every_command_and_every_refusal_is_documented() -> None:
    page = (ROOT / "protocol" / "PROTOCOL.md").read_text("utf-8")
    rooms = [inspect.getsource(commands)]
    codes = set(re.findall(r'(?:RefusedError\(|_refusal\(command\.?_?id, |Error, )"(\w+)"', "".join(rooms)))
    assert {"expired", "retained", "spool_full"} <= codes
    assert [name for name in [*commands.COMMANDS, *codes] if f"`{name}`" not in page] == []


async def ready(house: House) -> None:
    """Start the bridge and wait until its camera answers."""
    await house.start()
    await house.listener.next(STATE, capturing=True)


def code(reply: Reply) -> str:
    """The code of a refusal."""
    assert not reply.ok
    assert reply.error is not None
    assert reply.error.message
    return reply.error.code


def result(reply: Reply) -> dict[str, Any]:
    """The result of what was done."""
    assert reply.ok, reply.error
    return dict(reply.result or {})


async def test_capture_answers_with_the_record_of_a_frame_that_is_safe(house: House) -> None:
    await ready(house)
    values = result(await house.listener.ask(command("capture")))
    record = read_record(values["record"])
    assert record == await house.listener.next(FRAME, seq=record.seq)
    assert (record.window, record.profile, record.day) == (None, "automatic", "2026-03-20")
    await until(lambda: record.seq in house.server.frames, what="the delivery")


async def test_capture_obeys_explicit_settings_and_test_id(house: House) -> None:
    await ready(house)
    house.deploy(plan(), snapshot(profile("a"), profile("b")))
    await house.listener.next(STATE, plan_revision=1, snapshot_version=7)
    asked = command("capture", exposure_us=2000, gain=2.0, profile="b", test_id="arm-1")
    record = read_record(result(await house.listener.ask(asked))["record"])
    assert record.asked is not None
    assert (record.asked.exposure_us, record.asked.gain) == (2000, 2.0)
    assert record.exposure_us == pytest.approx(2000, rel=0.05)
    assert (record.profile, record.test_id, record.snapshot_version) == ("b", "arm-1", 7)


async def test_an_override_leaves_production_alone(house: House) -> None:
    await ready(house)
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(2)
    await house.listener.ask(command("capture", expires_in_s=3600, exposure_us=20, gain=1.0, test_id="x"))
    await house.photograph(2)
    records = house.listener.all(FRAME)
    override = next(index for index, record in enumerate(records) if record.test_id == "x")
    before, after = records[override - 1], records[override + 1]
    assert before.asked is not None
    assert after.asked is not None
    assert after.asked.exposure_us == pytest.approx(before.asked.exposure_us, rel=0.5)
    assert after.test_id is None


async def test_the_same_command_twice_is_done_once_and_answered_twice(house: House) -> None:
    await ready(house)
    first, second = [await house.listener.ask(command("capture", "same")) for _ in range(2)]
    assert first == second
    assert len(house.listener.all(FRAME)) == 1
    assert result(await house.listener.ask(command("capture", "other"))) != result(first)


async def test_what_nobody_foresaw_is_answered_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await ready(house)
    monkeypatch.setattr(Runner, "preview", lambda *_: 1 / 0)
    for _ in range(2):
        reply = await house.listener.ask(command("preview", "odd"))
        assert reply.error is not None
        assert (reply.error.code, "ZeroDivisionError" in reply.error.message) == ("failed", True)


async def test_two_at_once_are_done_once(house: House) -> None:
    await ready(house)
    for _ in range(3):
        house.listener.say(COMMAND, command("capture", "same"), camera="west")
    await until(lambda: len(house.listener.all(REPLY)) == 3, what="three replies")
    assert len({reply.id for reply in house.listener.all(REPLY)}) == 1
    assert len(house.listener.all(FRAME)) == 1


@pytest.mark.parametrize(
    ("asked", "camera", "reason"),
    [
        (command("capture", expires_in_s=-1), "west", "expired"),
        (command("dance"), "west", "unknown_command"),
        (command("update"), "west", "unsupported"),
        (command("capture", exposure_us=-5, gain=1.0), "west", "bad_arguments"),
        (command("capture", exposure_us=500), "west", "bad_arguments"),
        (command("capture", colour="red"), "west", "bad_arguments"),
        (command("capture", profile="none"), "west", "unknown_profile"),
        (command("set_mode", mode="party"), "west", "bad_arguments"),
        (command("capture"), "east", "unknown_camera"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_a_code(
    house: House, asked: Command, camera: str, reason: str
) -> None:
    await ready(house)
    assert code(await house.listener.ask(asked, camera=camera)) == reason
    assert house.listener.all(FRAME) == []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            command("capture", colour="red"),
            "colour: is not known; capture takes exposure_us, gain, profile, test_id",
        ),
        (command("preview", width=9), "width: is not known; preview takes no arguments"),
        (command("set_mode"), "mode: is missing"),
        (command("set_mode", mode="party"), "mode: is neither live nor deployed"),
        (command("set_mode", mode=[1]), "mode: is neither live nor deployed"),
        (command("set_enabled", enabled="yes"), "enabled: is neither true nor false"),
        (command("focus", dioptre=99), "dioptre: is no number from 0 to 50"),
        (command("meter", profile=""), "profile: is no text of 1 to 64 characters"),
        (
            command("capture", exposure_us=0, gain="x"),
            "exposure_us: is no whole number from 1 to 1000000000; gain: is no number from 0.1 to 1000",
        ),
        (
            command("capture", expires_in_s=-3600),
            "the command expired at 2026-03-20 16:00:00 UTC; it is 2026-03-20 17:00:00 UTC here",
        ),
    ],
)
async def test_a_refusal_says_in_words_what_is_wrong(house: House, asked: Command, words: str) -> None:
    await ready(house)
    reply = await house.listener.ask(asked)
    assert reply.error is not None
    assert sorted(reply.error.message.split("; ")) == sorted(words.split("; "))


async def test_a_retained_command_is_refused_now_and_after_a_restart(house: House) -> None:
    await ready(house)
    assert code(await house.listener.ask(command("capture"), retain=True)) == "retained"
    await house.stop()
    before = len(house.listener.all(REPLY))
    await house.start()
    await until(lambda: len(house.listener.all(REPLY)) > before, what="another refusal")
    assert code(house.listener.all(REPLY)[-1]) == "retained"
    assert house.listener.all(FRAME) == []


async def test_meter_and_preview_answer_and_publish(house: House) -> None:
    await ready(house)
    reading = result(await house.listener.ask(command("meter")))["reading"]
    assert reading["lux"] > 0
    assert reading["suggested_exposure_us"] > 0
    assert house.listener.all(READING)[-1].lux == reading["lux"]
    size = result(await house.listener.ask(command("preview", "c-2")))["bytes"]
    await until(lambda: house.listener.all(PREVIEW), what="the preview")
    assert len(house.listener.all(PREVIEW)[-1]) == size


async def test_live_mode_takes_frames_on_request_only(house: House) -> None:
    await ready(house)
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(1)
    await house.listener.ask(command("set_mode", "m", expires_in_s=3600, mode="live"))
    await house.listener.next(STATE, mode="live", next_capture_at=None)
    before = len(house.listener.all(FRAME))
    house.clock.pass_time(600)
    await house.listener.ask(command("capture", "c", expires_in_s=3600))
    assert len(house.listener.all(FRAME)) == before + 1
    await house.stop()
    after = len(house.listener.all(AVAILABILITY))
    await house.start()
    await house.listener.next(AVAILABILITY, after=after)
    assert house.listener.all(STATE)[-1].mode == "live"
    await house.listener.ask(command("set_mode", "d", expires_in_s=3600, mode="deployed"))
    await house.photograph(2)


async def test_capture_can_be_switched_off_and_stays_off(house: House) -> None:
    await ready(house)
    await house.listener.ask(command("set_enabled", enabled=False))
    await house.listener.next(STATE, enabled=False, capturing=False)
    before = len(house.listener.all(STATE))
    await house.stop()
    await house.start()
    assert (await house.listener.next(STATE, after=before)).enabled is False


async def test_identify_flush_focus_and_restart(house: House) -> None:
    await ready(house)
    ask = house.listener.ask
    assert result(await ask(command("identify", "1"))) == {"bridge": "Roof", "camera": "West"}
    assert result(await ask(command("flush", "2"))) == {"pending": 0}
    assert result(await ask(command("focus", "3", dioptre=1.5))) == {"dioptre": 1.5}
    assert result(await ask(command("restart", "4"))) == {}
    assert house.bridge is not None
    assert await house.bridge.over()
