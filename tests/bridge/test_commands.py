"""Commands: obeyed once, answered always, and refused with a reason that programs can read."""

import asyncio
import inspect
import re
from datetime import timedelta
from math import log2
from typing import Any

import pytest
import voluptuous as vol

from skylapse_bridge import commands
from skylapse_bridge.aiming import Purpose
from skylapse_bridge.camera.factory import CameraConfig, driver_options, make_camera
from skylapse_bridge.camera_time import CameraTime, Gap
from skylapse_bridge.errors import CommandRefusedError
from skylapse_bridge.runner import Runner
from skylapse_bridge.shooting import Shooter
from skylapse_bridge.twin.faults import INFINITY_DIOPTRE
from skylapse_bridge.worker import Worker
from skylapse_protocol.messages import Command, Reply
from skylapse_protocol.records import Asked, read_record
from skylapse_protocol.topics import AVAILABILITY, COMMAND, EVENT, FRAME, PREVIEW, READING, REPLY, STATE
from tests.support.tree import ROOT
from tests.support.waiting import until

from .conftest import House
from .made import START, HandClock, plan, profile, snapshot, window

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


def twin(*, width: int = 64, height: int = 48) -> CameraConfig:
    """A small computed camera."""
    options = vol.Schema(driver_options("twin"))({"width": width, "height": height})
    return CameraConfig(id="west", name="West", driver="twin", options=options)


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


async def test_every_setting_can_be_asked_for(house: House) -> None:
    await ready(house)
    ask = house.listener.ask
    dark = read_record(result(await ask(command("capture", "1", ev=-2.0)))["record"])
    assert dark.asked is not None
    brighter = read_record(result(await ask(command("capture", "2", ev=-1.0)))["record"])
    assert brighter.asked is not None
    stops = log2(brighter.asked.exposure_us * brighter.asked.gain) - log2(
        dark.asked.exposure_us * dark.asked.gain
    )
    assert stops == pytest.approx(1.0, abs=0.05)
    warm = read_record(result(await ask(command("capture", "3", colour_temperature_k=3200)))["record"])
    assert warm.colour_temperature_k == 3200
    near = read_record(result(await ask(command("capture", "4", focus_dioptre=2.0, average=3)))["record"])
    assert near.focus_dioptre == pytest.approx(2.0)
    assert near.averaged == 3
    red = read_record(result(await ask(command("capture", "5", colour_gains=[2.5, 1.5])))["record"])
    assert red.colour_gains == pytest.approx((2.5, 1.5), rel=0.02)
    small = read_record(result(await ask(command("capture", "6", jpeg_quality=20)))["record"])
    assert small.bytes < dark.bytes


async def test_an_override_is_told_and_leaves_production_alone(house: House) -> None:
    await ready(house)
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(2)
    assert house.bridge is not None
    shooter = house.bridge._runners["west"].shooter
    before = dict(shooter.exposures)
    told = len(house.listener.all(STATE))
    asked = command("capture", expires_in_s=3600, exposure_us=20, gain=1.0, focus_dioptre=3.0, test_id="x")
    override = read_record(result(await house.listener.ask(asked))["record"])
    assert shooter.exposures == before
    assert set(before) == {"f"}
    assert (override.test_id, override.window) == ("x", None)
    assert override.focus_dioptre == pytest.approx(3.0)
    await house.listener.next(STATE, after=told, mode="override")
    await house.listener.next(STATE, after=told, mode="deployed")
    await house.photograph(2)
    production = [record for record in house.listener.all(FRAME) if record.test_id is None]
    assert {record.focus_dioptre for record in production} == {production[0].focus_dioptre}


async def test_after_an_override_production_goes_on_as_if_there_had_been_none() -> None:
    aims = []
    for overridden in (False, True):
        clock = HandClock()
        camera = make_camera("roof", twin(), clock)
        shooter = Shooter(camera, Worker("test"), clock, bridge="roof", boot_id="b")
        await shooter.start()
        for tick in range(5):
            purpose = Purpose(at=clock.now(), profile=profile(), window=window())
            await shooter.shoot(await shooter.aim(purpose, PLAN_NOW))
            if overridden and tick % 2:
                clock.pass_time(5)
                asked = Asked(exposure_us=20, gain=1.0)
                wild = Purpose(at=clock.now(), profile=profile(ev=3.0), asked=asked, test_id="x")
                await shooter.shoot(await shooter.aim(wild, PLAN_NOW))
                clean = Purpose(at=clock.now(), profile=profile(ev=3.0))
                await shooter.shoot(await shooter.aim(clean, PLAN_NOW))
            clock.set(START + (tick + 1) * timedelta(seconds=15))
        purpose = Purpose(at=clock.now(), profile=profile(), window=window())
        aims.append(await shooter.aim(purpose, PLAN_NOW))
        await shooter.stop()
    assert aims[0] == aims[1]


async def test_commands_are_done_between_the_ticks(house: House) -> None:
    await ready(house)
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(1)
    for number in range(5):
        asked = command("capture", f"c-{number}", expires_in_s=3600, exposure_us=8_000_000, gain=1.0)
        house.listener.say(COMMAND, asked, camera="west")
    before = len([record for record in house.listener.all(FRAME) if record.window])
    await until(lambda: enough_of_both(house, before), what="frames of the plan and of commands")
    assert not [event for event in house.listener.all(EVENT) if event.type == "tick_skipped"]
    overrides = [record for record in house.listener.all(FRAME) if record.window is None]
    ticks = [record.captured_at for record in house.listener.all(FRAME) if record.window]
    for record in overrides:
        assert record.exposure_us is not None
        done_at = record.captured_at + timedelta(microseconds=record.exposure_us)
        assert not [tick for tick in ticks if record.captured_at < tick < done_at]


def enough_of_both(house: House, before: int) -> bool:
    """Let time pass; tell whether all commands were answered and the plan went on."""
    house.let_pass(1)
    production = [record for record in house.listener.all(FRAME) if record.window]
    return len(house.listener.all(REPLY)) == 5 and len(production) > before + 2


async def test_what_no_gap_of_the_plan_can_hold_is_refused_as_busy(house: House) -> None:
    await ready(house)
    house.deploy(PLAN_NOW, snapshot())
    await house.photograph(1)
    long = command("capture", "long", expires_in_s=3600, exposure_us=14_000_000, gain=1.0)
    assert code(await house.listener.ask(long)) == "busy"
    house.listener.say(COMMAND, command("preview", "late", expires_in_s=1000), camera="west")
    await house.photograph(1)
    assert not [event for event in house.listener.all(EVENT) if event.type == "tick_skipped"]


async def test_a_request_that_finds_no_time_before_it_expires_is_refused_as_busy() -> None:
    clock = HandClock()
    gap = Gap(ends_at=START + timedelta(seconds=5), longest_s=11)
    time = CameraTime(clock, lambda _: gap)
    waiting = asyncio.ensure_future(use(time, clock, 6.0))
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.pass_time(60)
    with pytest.raises(CommandRefusedError, match="no time"):
        await waiting


async def test_one_slow_moment_is_not_held_against_later_requests() -> None:
    clock = HandClock()
    time = CameraTime(clock, lambda now: Gap(ends_at=now + timedelta(seconds=11), longest_s=11))
    time._usual_s["capture"] = 3600.0
    assert not time.fits("capture", 0.0)
    waiting = asyncio.ensure_future(use(time, clock, 0.0))
    await asyncio.sleep(0)
    clock.pass_time(60)
    with pytest.raises(CommandRefusedError, match="no time"):
        await waiting
    assert time.fits("capture", 0.0)
    await use(time, clock, 0.0)
    assert time.fits("capture", 0.0)


async def test_a_tick_that_waits_goes_before_a_command_that_comes_as_the_camera_is_given_back() -> None:
    clock, order = HandClock(), list[str]()
    time = CameraTime(clock, lambda _: None)

    async def tick() -> None:
        async with time.first():
            order.append("tick")

    async with time.first():
        waiting = asyncio.create_task(tick())
        await asyncio.sleep(0)
    async with time.spare("capture", 0.0, clock.now() + timedelta(seconds=60)):
        order.append("command")
    await waiting
    assert order == ["tick", "command"]


async def use(time: CameraTime, clock: HandClock, exposures_s: float) -> None:
    """Have a camera for so long, within a minute."""
    async with time.spare("capture", exposures_s, clock.now() + timedelta(seconds=60)):
        pass


async def test_focus_finds_infinity_keeps_it_and_applies_it(house: House) -> None:
    await house.start(cameras=(twin(width=960, height=640),))
    await house.listener.next(STATE, capturing=True)
    found = result(await house.listener.ask(command("focus", expires_in_s=3600)))
    assert found["dioptre"] == pytest.approx(INFINITY_DIOPTRE, abs=0.2)
    assert found["figure"] > 0
    assert len(found["curve"]) > 10
    await house.stop()
    before = len(house.listener.all(STATE))
    await house.start()
    house.deploy(PLAN_NOW, snapshot(profile(), profile("near", focus_dioptre=4.0)))
    state = await house.listener.next(STATE, after=before, capturing=True)
    assert state.focus is not None
    assert state.focus.infinity_dioptre == pytest.approx(found["dioptre"], abs=0.01)
    await house.photograph(2)
    assert house.listener.all(FRAME)[-1].focus_dioptre == pytest.approx(found["dioptre"], abs=0.05)
    near = command("capture", "near", expires_in_s=3600, profile="near")
    assert read_record(result(await house.listener.ask(near))["record"]).focus_dioptre == pytest.approx(4.0)


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
        (command("capture", exposure_us=500, gain=1, ev=1), "west", "bad_arguments"),
        (command("capture", colour_temperature_k=4000, colour_gains=[1, 2]), "west", "bad_arguments"),
        (command("capture", colour_gains=[1, 2, 3]), "west", "bad_arguments"),
        (command("capture", test_id="No Id!"), "west", "bad_arguments"),
        (command("capture", average=65), "west", "bad_arguments"),
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
            (
                "colour: is not known; capture takes profile, test_id, ev, exposure_us, gain, "
                "colour_temperature_k, colour_gains, focus_dioptre, average, raw, jpeg_quality"
            ),
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
    assert result(await ask(command("focus", "3", dioptre=1.5)))["dioptre"] == 1.5
    assert result(await ask(command("restart", "4"))) == {}
    assert house.bridge is not None
    assert await house.bridge.over()
