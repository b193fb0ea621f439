"""An A/B test and the three modes, through Home Assistant's actions, on a camera of their own by daylight."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from math import log2
from typing import Any

import pytest
import pytest_asyncio

from demo.home_assistant import HomeAssistantError
from demo.processes import Program
from demo.rig import died
from demo.sunset import EVENING as DAY
from demo.sunset import LAKE
from demo.system import System
from skylapse_protocol.messages import CameraState
from tests.end_to_end.conftest import Shown
from tests.support.waiting import PATIENCE_S, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

CAMERA = "roof/west"
TEST = "darker"
ARMS = [{"profile": "f"}, {"profile": "f", "ev": 0.0}]
APART_EV = -0.7
"""The second arm is to be darker by this: highlights would hold back more than profile f asks for."""
PAIRS = 12
RATE = 60.0
"""The built-in schedule Daytime photographs every 30 seconds: twice a second on this clock."""
TWIN = {
    "id": "west",
    "driver": "twin",
    "width": 640,
    "height": 360,
    "latitude": LAKE.latitude,
    "longitude": LAKE.longitude,
}


class Trial:
    """The camera under test, as Home Assistant and the processor show it."""

    def __init__(self, system: System, bridge: Program) -> None:
        self.house = system.house
        self.store = system.store
        self.system = system
        self.bridge = bridge

    @property
    def state(self) -> CameraState | None:
        """What the camera said last."""
        died(self.bridge)
        return self.system.watch.heard.cameras.get(CAMERA)

    async def frames(self) -> list[dict[str, Any]]:
        """Every frame of the camera that the processor keeps, in the order of their capture."""
        return [item async for item in self.store.frames(CAMERA)]

    async def frames_of(self, test_id: str | None, after: str = "") -> list[dict[str, Any]]:
        """The frames of one arm, or of production, taken after a moment of the camera's clock."""
        found = await self.frames()
        return [item for item in found if item["test_id"] == test_id and item["captured_at"] > after]

    async def record(self, frame: str) -> dict[str, Any]:
        """What is known of a frame; fails where the processor does not have it."""
        record: dict[str, Any] = await self.store.get(f"/api/v1/frames/{frame}/record")
        return record

    async def tests(self) -> list[dict[str, Any]]:
        """The camera's tests as Home Assistant lists them."""
        tests: list[dict[str, Any]] = (await self.house.act("list_ab_tests", camera=CAMERA))["tests"]
        return tests


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def trial(shown: Shown) -> AsyncIterator[Trial]:
    """One more bridge, that appears in Home Assistant by itself and follows the built-in schedules."""
    noon = datetime(DAY.year, DAY.month, DAY.day, 10, 0, tzinfo=UTC)
    clock = {"start": noon.isoformat(), "anchor": datetime.now(UTC).isoformat(), "rate": RATE}
    bridge = shown.system.rig.start_another_bridge("roof", [TWIN], clock=clock)
    made = Trial(shown.system, bridge)
    try:
        await until(lambda: made.store.stored(CAMERA), what="the first frame of production")
        yield made
    finally:
        bridge.stop()


async def test_an_ab_test_is_photographed_in_turns_and_scored(trial: Trial) -> None:
    begun = await trial.house.act("start_ab_test", camera=CAMERA, arms=ARMS, id=TEST, duration="01:00:00")
    assert begun["state"] == "running"
    assert [arm["test_id"] for arm in begun["arms"]] == [f"{TEST}-a", f"{TEST}-b"]
    assert trial.state is not None
    assert trial.state.experiments == (TEST,)

    async def are_enough() -> bool:
        return all([len(await trial.frames_of(f"{TEST}-{arm}")) > PAIRS for arm in "ab"])

    await until(are_enough, what=f"{PAIRS} pairs of test frames")
    ended = await trial.house.act("stop_ab_test", camera=CAMERA)
    comparison = ended["comparison"]
    assert (ended["state"], ended["failure"], comparison["id"]) == ("compared", None, TEST)
    _check_arms(comparison["arms"], {arm: await trial.frames_of(f"{TEST}-{arm}") for arm in "ab"})
    await _check_pairs(trial, comparison["pairs"])
    assert await trial.tests() == [ended]


def _check_arms(arms: list[dict[str, Any]], frames: dict[str, list[dict[str, Any]]]) -> None:
    assert [arm["test_id"] for arm in arms] == [f"{TEST}-a", f"{TEST}-b"]
    assert [arm["frames"] for arm in arms] == [len(frames["a"]), len(frames["b"])]
    for arm in arms:
        assert arm["profile"] == "f"
        assert 0 <= arm["score"] <= 100
        assert 0 <= arm["exposure_error_ev"] < 0.5
        assert 0 <= arm["clipped_low"] < 0.2
        assert 0 <= arm["clipped_high"] < 0.2
        assert 0 < arm["noise"] < 0.1
        assert arm["sharpness"] > 0
        assert arm["flicker_mev"] >= 0


async def _check_pairs(trial: Trial, pairs: list[list[str]]) -> None:
    """Frames of a pair exist, were taken next to each other, and differ by what was asked for."""
    assert len(pairs) >= PAIRS
    named = [name for pair in pairs for name in pair]
    assert len(set(named)) == len(named)
    apart = []
    for pair in pairs:
        one, other = [await trial.record(frame) for frame in pair]
        assert [one["test_id"], other["test_id"]] == [f"{TEST}-a", f"{TEST}-b"]
        between = datetime.fromisoformat(other["captured_at"]) - datetime.fromisoformat(one["captured_at"])
        assert abs(between) < timedelta(minutes=5)
        apart.append(log2(_light(other) / _light(one)))
    assert sum(apart) / len(apart) == pytest.approx(APART_EV, abs=0.2)


def _light(record: dict[str, Any]) -> float:
    """How much light a frame was exposed to, times its gains."""
    light: float = record["exposure_us"] * record["analogue_gain"] * record["digital_gain"]
    return light


async def test_production_goes_on_without_the_test(trial: Trial) -> None:
    (test,) = await trial.tests()
    last = max(item["captured_at"] for item in await trial.frames() if item["test_id"])

    async def three_more() -> list[dict[str, Any]]:
        later = await trial.frames_of(None, after=last)
        return later if len(later) >= 3 else []

    later = await until(three_more, what="three frames of production after the test")
    assert test["ended_at"] is not None
    assert {item["profile"] for item in later} == {"f"}
    assert {item["test_id"] for item in await trial.frames() if item["captured_at"] > last} == {None}
    assert trial.state is not None
    assert trial.state.experiments == ()


async def test_a_frame_taken_by_hand_leaves_production_as_it_was(trial: Trial) -> None:
    answer = await trial.house.act("capture", camera=CAMERA, exposure_us=4000, gain=2, test_id="by-hand")
    by_hand = answer["record"]
    assert (by_hand["test_id"], by_hand["exposure_us"]) == ("by-hand", pytest.approx(4000, rel=0.05))
    assert by_hand["analogue_gain"] * by_hand["digital_gain"] == pytest.approx(2, rel=0.05)
    later = await until(
        lambda: trial.frames_of(None, after=by_hand["captured_at"]),
        what="the next frame of production",
    )
    production = [
        item for item in await trial.frames_of(None) if item["captured_at"] < by_hand["captured_at"]
    ]
    before, after = [await trial.record(item["frame"]) for item in (production[-1], later[0])]
    assert after["asked"] != by_hand["asked"]
    assert abs(log2(_light(after) / _light(before))) < 0.3 < abs(log2(_light(by_hand) / _light(before)))
    assert (await trial.record(f"{CAMERA}/{_stem(answer)}"))["sha256"] == by_hand["sha256"]


def _stem(answer: dict[str, Any]) -> str:
    """The last part of the name of a frame that an action answers with."""
    stem: str = answer["media_content_id"].rpartition("/")[2]
    return stem


async def test_a_live_camera_shows_what_it_is_asked_for_and_nothing_else(trial: Trial) -> None:
    assert await trial.house.act("set_mode", camera=CAMERA, mode="live") == {"mode": "live"}
    await until(lambda: trial.state and trial.state.mode == "live", what="live mode")
    reading = (await trial.house.act("meter", camera=CAMERA, profile="f"))["reading"]
    assert reading["lux"] > 1000
    assert 0 < reading["mean_linear"] < 1
    wanted = {"exposure_us": reading["suggested_exposure_us"], "gain": 1, "colour_temperature_k": 5000}
    taken: list[dict[str, Any]] = []

    async def over_two_ticks() -> bool:
        answer = await trial.house.act("capture", camera=CAMERA, jpeg_quality=80, **wanted)
        taken.append(answer["record"])
        first, last = (datetime.fromisoformat(taken[index]["captured_at"]) for index in (0, -1))
        return last - first > timedelta(seconds=60)

    await until(over_two_ticks, what="captures over two ticks of the schedule")
    assert [each["seq"] - taken[0]["seq"] for each in taken] == list(range(len(taken)))
    for each in taken:
        assert each["exposure_us"] == pytest.approx(wanted["exposure_us"], rel=0.05)
        assert each["colour_temperature_k"] == pytest.approx(5000, rel=0.05)
        assert (each["test_id"], each["window"]) == (None, None)


async def test_the_film_is_made_of_production_alone(trial: Trial) -> None:
    await until(_is_delivered(trial), what="every frame to be delivered")
    everything = await trial.frames()
    window = f"daytime-{DAY:%Y%m%d}"
    of_window = [item for item in everything if item["window"] == window and item["state"] == "good"]
    production = [item for item in of_window if item["test_id"] is None]
    assert len(of_window) - len(production) >= 2 * PAIRS
    asked = {"day": DAY.isoformat(), "schedule": "daytime", "size": "720p", "wait_s": PATIENCE_S}
    made = (await trial.house.act("render", camera=CAMERA, **asked))["film"]
    film = trial.system.watch.heard.films[made["film"]]
    assert film.frames + film.skipped == len(production)
    assert film.frames == made["frames"] > film.skipped


def _is_delivered(trial: Trial) -> Callable[[], bool]:
    return lambda: trial.state is not None and not trial.state.counts.pending


async def test_the_comparison_outlives_a_restart_of_home_assistant(trial: Trial) -> None:
    (before,) = await trial.tests()
    await trial.system.watch.stop()
    await trial.house.restart()
    await trial.system.watch.start()
    assert before in (await trial.house.act("list_ab_tests"))["tests"]
    await until(partial(_obeys_again, trial), what="the camera to be back")
    assert await trial.tests() == [before]
    assert re.findall(r"ERROR .*custom_components[./]skylapse.*", trial.house.program.log()) == []


async def _obeys_again(trial: Trial) -> bool:
    with suppress(HomeAssistantError):  # until its bridge is heard of, the camera cannot be reached
        return await trial.house.act("set_mode", camera=CAMERA, mode="deployed") == {"mode": "deployed"}
    return False
