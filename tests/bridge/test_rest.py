"""Where the lens rests: whatever moves it for a frame of its own, production finds it where it was."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import log2
from typing import Any

import pytest

from skylapse_bridge.camera.port import CapturedFrame, CaptureSettings, FocusFigure, SmallFrame
from skylapse_bridge.camera.twin import TwinCamera
from skylapse_bridge.twin.faults import INFINITY_DIOPTRE
from skylapse_protocol.messages import Command
from skylapse_protocol.records import FrameRecord, read_record
from skylapse_protocol.snapshot import Arm, Experiment, Metering
from skylapse_protocol.topics import FRAME, STATE
from tests.support.waiting import until

from .conftest import House
from .made import START, plan, profile, snapshot, window
from .test_brackets import stops
from .test_commands import code, ready, result, twin
from .test_drift import Lens

LONG = plan(window(start=START - timedelta(minutes=10)))
NIGHT = datetime(2026, 3, 20, 23, tzinfo=UTC)
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)


def asked(house: House, name: str, command_id: str = "c", **args: Any) -> Command:
    """A request that is good for an hour."""
    return Command(id=command_id, expires_at=house.clock.now() + timedelta(hours=1), name=name, args=args)


def production(house: House) -> list[FrameRecord]:
    """The frames of the plan, those of tests aside."""
    return [record for record in house.listener.all(FRAME) if record.window and record.test_id is None]


def places(records: list[FrameRecord]) -> set[float | None]:
    """Where the lens stood."""
    return {record.focus_dioptre for record in records}


async def test_an_arm_with_a_focus_of_its_own_leaves_the_others_where_they_were(house: House) -> None:
    await house.start()
    near = Arm(test_id="near", profile=profile("n", focus_dioptre=4.0))
    test = Experiment(id="t", arms=(near, Arm(test_id="same", profile=profile("s"))))
    house.deploy(LONG, snapshot(experiments=(test,)))
    await house.photograph(10)
    house.deploy(LONG, snapshot())
    await house.listener.next(STATE, after=len(house.listener.all(STATE)) - 1, experiments=())
    await house.photograph(4)
    arms = {
        name: places([record for record in house.listener.all(FRAME) if record.test_id == name])
        for name in ("near", "same")
    }
    assert arms == {"near": {4.0}, "same": {INFINITY_DIOPTRE}}
    assert places(production(house)) == {INFINITY_DIOPTRE}
    assert house.listener.all(FRAME)[-1].test_id is None


async def test_a_bracket_has_its_middle_where_the_lens_rests_and_the_burst_goes_on_there(
    house: House,
) -> None:
    await house.start()
    both = plan(window(start=START - timedelta(minutes=10), profiles=("f", "g")))
    house.deploy(both, snapshot(profile(focus_bracket=(0.0, 2.0)), profile("g")))
    await house.photograph(9)
    seen = {
        (record.profile, record.bracket_dioptre, record.focus_dioptre) for record in house.listener.all(FRAME)
    }
    assert seen == {
        ("f", 0.0, INFINITY_DIOPTRE),
        ("f", 2.0, INFINITY_DIOPTRE + 2.0),
        ("g", None, INFINITY_DIOPTRE),
    }


async def test_an_override_as_the_first_frame_of_all_leaves_production_alone(house: House) -> None:
    await ready(house)
    override = read_record(
        result(await house.listener.ask(asked(house, "capture", focus_dioptre=3.0)))["record"]
    )
    assert override.focus_dioptre == pytest.approx(3.0)
    house.deploy(LONG, snapshot())
    await house.photograph(2)
    assert places(production(house)) == {INFINITY_DIOPTRE}


async def test_a_sweep_that_fails_puts_the_lens_back(house: House) -> None:
    house.clock.set(NIGHT)
    await house.start(cameras=(twin(width=320, height=200),))
    await house.listener.next(STATE, capturing=True)
    reply = await house.listener.ask(asked(house, "focus"))
    assert code(reply) == "camera_failed"
    assert house.bridge is not None
    camera = house.bridge._runners["west"].shooter._camera
    assert camera.meter(CaptureSettings(at=NIGHT)).focus_dioptre == INFINITY_DIOPTRE
    house.deploy(plan(window(start=NIGHT)), snapshot())
    await house.photograph(2)
    assert places(production(house)) == {INFINITY_DIOPTRE}


class Stubborn(Lens):
    """A lens that stays where it was left, also over a restart; it may keep to itself where that is."""

    def __init__(self, *, tells: bool = True) -> None:
        super().__init__()
        self.stands_at, self.tells = 1.0, tells

    def meter(self, settings: CaptureSettings) -> SmallFrame:
        """Move, and tell."""
        return replace(super().meter(settings), focus_dioptre=self.moved(settings) if self.tells else None)

    def capture(self, settings: CaptureSettings) -> CapturedFrame:
        """Move, and tell."""
        return replace(super().capture(settings), focus_dioptre=self.moved(settings))

    def focus(self, dioptre: float | None) -> float:
        """Move."""
        self.stands_at = dioptre or 0.0
        return self.stands_at

    def moved(self, settings: CaptureSettings) -> float:
        """Return where the lens stands then."""
        if settings.focus_dioptre is not None:
            self.stands_at = settings.focus_dioptre
        return self.stands_at


def in_the_house(monkeypatch: pytest.MonkeyPatch, camera: Lens) -> None:
    """Let the bridge have this camera."""
    monkeypatch.setattr("skylapse_bridge.service.make_camera", lambda *_: camera)


@pytest.mark.parametrize(("configured", "rests_at"), [({}, 1.0), ({"focus": 0.5}, 0.5)])
async def test_where_the_lens_rests_is_known_over_a_restart_unless_the_configuration_says_otherwise(
    house: House, monkeypatch: pytest.MonkeyPatch, configured: dict[str, float], rests_at: float
) -> None:
    lens = Stubborn()
    in_the_house(monkeypatch, lens)
    await ready(house)
    await house.listener.ask(asked(house, "capture", focus_dioptre=5.0))
    await house.stop()
    assert lens.stands_at == 5.0
    camera = twin()
    await house.start(cameras=(replace(camera, options={**camera.options, **configured}),))
    house.deploy(LONG, snapshot())
    await house.photograph(2)
    assert places(production(house)) == {rests_at}


async def test_a_lens_that_would_not_find_back_is_moved_by_nobody_but_production(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    lens = Stubborn(tells=False)
    in_the_house(monkeypatch, lens)
    await ready(house)
    for number, wanted in enumerate((asked(house, "focus"), asked(house, "capture", focus_dioptre=5.0))):
        reply = await house.listener.ask(replace(wanted, id=f"c-{number}"))
        assert code(reply) == "camera_failed"
        assert "unknown" in (reply.error.message if reply.error else "")
    house.deploy(LONG, snapshot(profile(focus_bracket=(0.0, 2.0))))
    await house.photograph(2)
    assert places(production(house)) == {1.0}
    house.deploy(LONG, snapshot(profile(focus_dioptre=4.0)))
    await until(lambda: moved_on(house), what="a frame of a profile that says where to focus")


def moved_on(house: House) -> bool:
    """Let time pass; tell whether production stands where its profile wants it."""
    house.let_pass(5)
    return production(house)[-1].focus_dioptre == 4.0


async def test_sweep_and_watch_are_exposed_alike_whatever_the_profile(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    real: Callable[[TwinCamera, CaptureSettings], FocusFigure] = TwinCamera.focus_figure

    def look(camera: TwinCamera, settings: CaptureSettings) -> FocusFigure:
        looks.append(log2((settings.exposure_us or 1) * (settings.gain or 1.0)))
        return real(camera, settings)

    monkeypatch.setattr(TwinCamera, "focus_figure", look)
    house.clock.set(NOON)
    await house.start(cameras=(twin(width=960, height=640),))
    house.deploy(plan(), snapshot(profile(ev=-3.0, metering=Metering(mode="spot"))))
    await house.listener.next(STATE, capturing=True, snapshot_version=7)
    result(await house.listener.ask(asked(house, "focus")))
    swept = len(looks)

    def watched() -> bool:
        house.let_pass(60)
        return len(looks) > swept

    await until(watched, what="a look")
    assert looks[-1] == pytest.approx(looks[0], abs=0.7)


async def test_a_frame_that_waited_is_taken_and_labelled_by_the_snapshot_of_its_moment(house: House) -> None:
    await ready(house)
    house.deploy(plan(), snapshot())
    await house.listener.next(STATE, snapshot_version=7)
    assert house.bridge is not None
    runner = house.bridge._runners["west"]
    async with runner.time.first():
        before = len(house.listener.all(STATE))
        waiting = house.listener.ask(asked(house, "capture", test_id="x"))
        reply = asyncio.ensure_future(waiting)
        await house.listener.next(STATE, after=before, mode="override")
        house.deploy(plan(), replace(snapshot(profile(average=3)), version=8))
        await house.listener.next(STATE, snapshot_version=8)
    record = read_record(result(await reply)["record"])
    assert (record.snapshot_version, record.averaged) == (8, 3)


async def test_a_snapshot_that_comes_while_a_frame_is_metered_is_not_that_of_the_frame(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    lens, metering, go_on = Stubborn(), threading.Event(), threading.Event()
    in_the_house(monkeypatch, lens)
    await ready(house)
    house.deploy(plan(), snapshot())
    await house.listener.next(STATE, snapshot_version=7)

    meter = lens.meter

    def slow(settings: CaptureSettings) -> SmallFrame:
        metering.set()
        go_on.wait()
        return meter(settings)

    monkeypatch.setattr(lens, "meter", slow)
    reply = asyncio.ensure_future(house.listener.ask(asked(house, "capture")))
    await until(metering.is_set, what="the metering")
    house.deploy(plan(), replace(snapshot(), version=8))
    await house.listener.next(STATE, snapshot_version=8)
    go_on.set()
    assert read_record(result(await reply)["record"]).snapshot_version == 7


async def test_an_arm_that_is_called_like_a_profile_has_exposures_of_its_own_while_it_runs(
    house: House,
) -> None:
    await house.start()
    slow = profile(max_stops_per_hour=0.5)
    arm = Arm(test_id="f", profile=profile("dark", ev=-3.0, max_stops_per_hour=0.5))
    house.deploy(LONG, snapshot(slow, experiments=(Experiment(id="t", arms=(arm,)),)))
    await house.photograph(6)
    assert house.bridge is not None
    shooter = house.bridge._runners["west"].shooter
    dark = [record for record in house.listener.all(FRAME) if record.test_id == "f"]
    assert len(dark) >= 2
    assert min(map(stops, production(house))) - max(map(stops, dark)) > 2.5
    assert set(shooter.exposures) == {"f", "test/f"}
    house.deploy(LONG, snapshot(slow))
    await house.listener.next(STATE, after=len(house.listener.all(STATE)) - 1, experiments=())
    await house.photograph(2)
    assert set(shooter.exposures) == {"f"}
