"""Focus and obedience over hours, on the running bridge: what drifts is told once, and is well again."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from skylapse_bridge.camera.port import CapturedFrame, CaptureSettings, FocusFigure, SmallFrame
from skylapse_protocol.messages import CameraEvent, CameraInfo, CameraState, Command
from skylapse_protocol.topics import EVENT, FRAME, STATE
from tests.support.waiting import until

from .conftest import House
from .listener import nothing_but_late
from .made import START, plan, profile, snapshot, window
from .test_camera_trouble import MoodyCamera
from .test_commands import twin

LONG = plan(window(start=START - timedelta(hours=1), minutes=60 * 24, interval_s=120))


class Lens(MoodyCamera):
    """A camera whose lens is sharp at a place that wanders."""

    def __init__(self) -> None:
        super().__init__()
        self.sharp_at = 0.4
        self.stood_at: list[float | None] = []

    def capabilities(self) -> CameraInfo:
        """Claim to focus."""
        return CameraInfo(
            id="west",
            name="West",
            model="lens",
            driver="lens",
            width=64,
            height=48,
            focus=True,
            max_dioptre=10.0,
        )

    def meter(self, settings: CaptureSettings) -> SmallFrame:
        """Show bright daylight, and where the lens stands."""
        return replace(super().meter(settings), exposure_us=100, gain=1.0, focus_dioptre=1.0)

    def capture(self, settings: CaptureSettings) -> CapturedFrame:
        """Remember where the lens was to stand."""
        self.stood_at.append(settings.focus_dioptre)
        return super().capture(settings)

    def focus_figure(self, settings: CaptureSettings) -> FocusFigure:
        """Be sharp near one place."""
        dioptre = settings.focus_dioptre or 0.0
        return FocusFigure(
            figure=1.0 / (1.0 + 20 * (dioptre - self.sharp_at) ** 2), dioptre=dioptre, temperature_c=20.0
        )


def drifts(house: House) -> list[CameraEvent]:
    return [event for event in house.listener.all(EVENT) if event.type == "focus_drift"]


async def test_a_focus_that_drifts_is_told_once_and_is_well_when_it_comes_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    lens = Lens()
    monkeypatch.setattr("skylapse_bridge.service.make_camera", lambda *_: lens)
    await house.start()
    house.deploy(LONG, snapshot())
    await house.photograph(1, step_s=20)
    asked = Command(id="1", expires_at=house.clock.now() + timedelta(days=1), name="focus")
    found = await ask(house, asked)
    assert found["dioptre"] == pytest.approx(0.4, abs=0.05)
    await house.photograph(2, step_s=20)
    assert lens.stood_at[-1] == pytest.approx(found["dioptre"])
    lens.sharp_at = 3.0

    def state() -> CameraState:
        house.let_pass(30)
        return house.listener.all(STATE)[-1]

    await until(lambda: drifted(state()) is True, what="the drift")
    assert "sharp" in (house.listener.all(STATE)[-1].last_error or "")
    lens.sharp_at = 0.4
    await until(lambda: drifted(state()) is False, what="the end of the drift")
    assert len(drifts(house)) == 1
    assert nothing_but_late(house.listener.all(STATE)[-1].last_error)


def drifted(state: CameraState) -> bool | None:
    """Tell whether a state says that the focus drifted."""
    return state.focus.drifted if state.focus else None


async def ask(house: House, command: Command) -> dict[str, Any]:
    """Ask while time passes."""
    reply = asyncio.ensure_future(house.listener.ask(command))

    def answered() -> bool:
        house.let_pass(1)
        return reply.done()

    await until(answered, what="the reply")
    assert reply.result().ok, reply.result().error
    return dict(reply.result().result or {})


async def test_a_camera_that_halves_its_exposures_is_told_and_gain_makes_up_for_it(house: House) -> None:
    camera = twin()
    halving = replace(camera, options={**camera.options, "halve_above_us": 100.0})
    await house.start(cameras=(halving,))
    house.deploy(LONG, snapshot(profile(max_stops_per_hour=0.5)))
    await house.photograph(3, step_s=20)
    told = await house.listener.next(EVENT, type="settings_not_followed")
    assert "asked for" in (told.reason or "")
    await house.listener.next(STATE, settings_problem=told.reason)
    await house.photograph(6, step_s=20)
    last = house.listener.all(FRAME)[-1]
    assert last.asked is not None
    assert last.exposure_us == pytest.approx(last.asked.exposure_us, rel=0.06)
    await house.listener.next(STATE, after=len(house.listener.all(STATE)) - 1, last_error=nothing_but_late)
    assert house.listener.all(STATE)[-1].settings_problem is None
