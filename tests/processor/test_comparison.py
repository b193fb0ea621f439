"""A/B tests compared: truth from the twin (which arm is better is known), and everything that can be odd."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_bridge.twin.scene import Scene
from skylapse_bridge.twin.sensor import SENSORS
from skylapse_bridge.twin.sun import Place
from skylapse_bridge.twin.twin import Twin, Wish
from skylapse_bridge.twin.weather import Weather
from skylapse_processor.clock import utc_now
from skylapse_processor.compare import Comparer
from skylapse_processor.comparison import (
    ArmFacts,
    ArmFrame,
    FrameFigures,
    chance,
    most_pairs,
    pairs_of,
    scores,
    spread,
    winner,
)
from skylapse_processor.errors import NotFoundError, RequestError
from skylapse_processor.service import Service
from skylapse_protocol.codec import encode_json, write
from skylapse_protocol.comparison import Comparison
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.records import FrameRecord
from skylapse_protocol.snapshot import MID_GREY, Arm, Experiment, Metering, Profile, WhiteBalance
from tests.support.mosquitto import Broker
from tests.support.waiting import until

from .client import Client
from .conftest import serving, write_config
from .frames_made import START, frame
from .listener import Listener
from .test_mqtt import answer, command
from .test_raw_pictures import dng, raw_frame

NOON = datetime(2026, 6, 1, 11, 0, tzinfo=UTC)
EVENING = datetime(2026, 6, 1, 18, 0, tzinfo=UTC)
SENSOR = SENSORS["imx519"]
PROFILE = Profile(
    id="f",
    name="As it is",
    version=1,
    metering=Metering(mode="matrix"),
    white_balance=WhiteBalance(mode="fixed", kelvin=5500),
)
SIZE = (640, 360)


@dataclass(frozen=True, kw_only=True)
class Habit:
    """How an arm of the twin photographs."""

    off_ev: float = 0.0
    gain: float = 1.0
    kelvins: tuple[float, ...] = (5500.0,)
    """Colour temperatures that take turns."""


@cache
def twin() -> Twin:
    """A camera that looks at a summer's noon."""
    place = Place(latitude_deg=48.0, longitude_deg=11.0)
    scene = Scene(width=SIZE[0], height=SIZE[1], seed=3, place=place, weather=Weather(seed=3))
    return Twin(scene=scene, sensor=SENSOR, wobble_ev=0.0)


def experiment(*test_ids: str, **changes: Any) -> Experiment:
    """A test whose arms have one profile."""
    return Experiment(
        id="trial", arms=tuple(Arm(test_id=test_id, profile=PROFILE) for test_id in test_ids), **changes
    )


def turns(habits: Sequence[Habit], count: int, start: datetime = NOON) -> list[tuple[bytes, FrameRecord]]:
    """Frames of arms `arm-0`, `arm-1` …, in the order 0 1 1 0."""
    frames = []
    for number in range(count):
        arm = number % len(habits)
        if number // len(habits) % 2:
            arm = len(habits) - 1 - arm
        at, habit = start + timedelta(seconds=15 * number), habits[arm]
        ev = twin().scene.view(at).scene_ev
        total = MID_GREY * 2**habit.off_ev / (SENSOR.response() * 2**ev)
        kelvin = habit.kelvins[number // len(habits) % len(habit.kelvins)]
        wish = Wish(exposure_us=total / habit.gain, gain=habit.gain, colour_gains=SENSOR.colour_gains(kelvin))
        shot = twin().photograph(at, wish)
        data = shot.jpeg(quality=92)
        _data, record = frame(
            1 + number,
            captured_at=at,
            test_id=f"arm-{arm}",
            exposure_us=shot.delivered.exposure_us,
            analogue_gain=shot.delivered.analogue_gain,
            digital_gain=shot.delivered.digital_gain,
            colour_gains=shot.delivered.colour_gains,
            lux=2**ev,
            tone_curve="imx519",
            width=SIZE[0],
            height=SIZE[1],
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        frames.append((data, record))
    return frames


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[tuple[Service, Client]]:
    """A processor without a broker."""
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        yield service, client


async def upload(client: Client, frames: Sequence[tuple[bytes, FrameRecord]]) -> None:
    """Deliver frames and wait until they are measured."""
    for data, record in frames:
        assert (await client.upload(data, record)).status == 201

    async def measured() -> bool:
        items = (await client.get("cameras/roof/west/frames", limit="1000")).value["items"]
        return all(item["state"] != "unmeasured" for item in items)

    await until(measured)


async def compared(service: Service, trial: Experiment, camera: str = "roof/west") -> Comparison:
    """Compare as the command does."""
    return await Comparer(service._store, utc_now).compare(
        {"camera": camera, "experiment": dict(write(trial))}
    )


async def test_half_a_stop_off_is_told_and_loses(service: tuple[Service, Client]) -> None:
    room, client = service
    await upload(client, turns([Habit(), Habit(off_ev=0.5)], 24))
    found = await compared(room, experiment("arm-0", "arm-1"))
    right, off = found.arms
    assert (right.frames, off.frames, found.winner) == (12, 12, "arm-0")
    assert right.exposure_error_ev == pytest.approx(0.0, abs=0.05)
    assert off.exposure_error_ev == pytest.approx(0.5, abs=0.05)
    assert (right.score or 0) > 50 > (off.score or 0)
    assert len(found.pairs) == 12
    assert all(first != second for first, second in found.pairs)


async def test_half_a_stop_too_dark_loses_too(service: tuple[Service, Client]) -> None:
    room, client = service
    await upload(client, turns([Habit(off_ev=-0.5), Habit()], 24))
    assert (await compared(room, experiment("arm-0", "arm-1"))).winner == "arm-1"


async def test_more_gain_is_more_noise(service: tuple[Service, Client]) -> None:
    room, client = service
    await upload(client, turns([Habit(), Habit(gain=8.0)], 24, EVENING))
    found = await compared(room, experiment("arm-0", "arm-1"))
    quiet, noisy = found.arms
    assert (noisy.noise or 0) > 1.5 * (quiet.noise or 1)
    assert found.winner == "arm-0"


async def test_a_white_balance_that_wanders_is_told(service: tuple[Service, Client]) -> None:
    room, client = service
    await upload(client, turns([Habit(kelvins=(5000, 5600, 5200, 6000)), Habit()], 24))
    found = await compared(room, experiment("arm-0", "arm-1"))
    wandering, fixed = found.arms
    assert (wandering.colour_drift or 0) > 5 * (fixed.colour_drift or 1)
    assert found.winner == "arm-1"


async def test_a_fixed_warm_balance_is_as_good_as_a_fixed_cold_one(service: tuple[Service, Client]) -> None:
    room, client = service
    await upload(client, turns([Habit(kelvins=(6500,)), Habit()], 16))
    found = await compared(room, experiment("arm-0", "arm-1"))
    assert found.winner is None
    assert [(arm.colour_drift or 0) < 0.05 for arm in found.arms] == [True, True]


async def test_equal_arms_have_no_winner(service: tuple[Service, Client]) -> None:
    room, client = service
    await upload(client, turns([Habit(), Habit(), Habit()], 30))
    found = await compared(room, experiment("arm-0", "arm-1", "arm-2"))
    assert found.winner is None
    assert [arm.score for arm in found.arms] == [50.0] * 3


async def test_a_comparison_is_kept_listed_and_replaced(service: tuple[Service, Client]) -> None:
    room, client = service
    frames = turns([Habit(), Habit(off_ev=1.0)], 24)
    await upload(client, frames[:8])
    first = await compared(room, experiment("arm-0", "arm-1"))
    assert first.winner is None, "four pairs convince nobody"
    await upload(client, frames[8:])
    second = await compared(room, experiment("arm-0", "arm-1"))
    (listed,) = (await client.get("tests")).value["items"]
    assert listed == (await client.get("tests/trial")).value == write(second)
    assert (listed["winner"], listed["arms"][0]["frames"]) == ("arm-0", 12)
    assert (await client.get("tests", camera="roof/east")).value["items"] == []
    assert (await client.get("tests/trial", camera="roof/east")).status == 404
    other = replace(experiment("arm-0"), id="another")
    await compared(room, other)
    page = (await client.get("tests", limit="1")).value
    rest = (await client.get("tests", limit="1", cursor=page["next"])).value
    assert [item["id"] for item in (*page["items"], *rest["items"])] == ["another", "trial"]


async def test_only_the_arms_own_pictures_count(service: tuple[Service, Client]) -> None:
    room, client = service
    arms = turns([Habit(), Habit()], 8)
    data, record = arms[0]
    production = [(data, replace(record, test_id=None, seq=100 + seq)) for seq in range(3)]
    members = [(data, replace(record, bracket_ev=2.0, seq=200 + seq)) for seq in range(3)]
    after = [(data, replace(record, seq=300, captured_at=NOON + timedelta(hours=1)))]
    raw = [raw_frame(400, dng(), test_id="arm-0")]
    await upload(client, [*arms, *production, *members, *after, *raw])
    trial = experiment("arm-0", "arm-1", ends_at=NOON + timedelta(minutes=30))
    found = await compared(room, trial)
    assert [arm.frames for arm in found.arms] == [4, 4]
    assert found.ended_at == arms[-1][1].captured_at


async def test_an_arm_without_frames_and_a_lone_arm_have_no_score(service: tuple[Service, Client]) -> None:
    room, client = service
    await upload(client, turns([Habit()], 5))
    found = await compared(room, experiment("arm-0", "nobody"))
    lone, nobody = found.arms
    assert (nobody.frames, nobody.noise, nobody.score, nobody.flicker_mev) == (0, None, None, None)
    assert (lone.frames, lone.score, found.winner, found.pairs) == (5, None, None, ())
    assert lone.noise is not None


async def test_what_cannot_be_told_is_null(service: tuple[Service, Client]) -> None:
    room, client = service
    await upload(client, [frame(seq, test_id=f"arm-{seq % 2}", lux=None) for seq in range(1, 5)])
    found = await compared(room, experiment("arm-0", "arm-1"))
    assert [arm.exposure_error_ev for arm in found.arms] == [None, None]
    assert [arm.noise is None for arm in found.arms] == [False, False]


async def test_pictures_that_went_missing_are_left_out(service: tuple[Service, Client], store: Path) -> None:
    room, client = service
    frames = turns([Habit(), Habit()], 8)
    await upload(client, frames)
    day = store / "frames" / "roof" / "west" / frames[0][1].day
    (day / f"{frames[0][1].name.stem}.jpg").unlink()
    (day / f"{frames[1][1].name.stem}.jpg").write_bytes(b"\xff\xd8 no more")
    (day / f"{frames[2][1].name.stem}.json").unlink()
    found = await compared(room, experiment("arm-0", "arm-1"))
    assert [arm.frames for arm in found.arms] == [4, 4]
    assert all(arm.noise is not None for arm in found.arms)


@pytest.mark.parametrize(
    ("args", "error", "words"),
    [
        ({}, RequestError, "camera: is missing"),
        ({"camera": 5}, RequestError, "camera"),
        ({"camera": "../x", "experiment": write(experiment("a"))}, ProtocolError, "bridge"),
        ({"camera": "roof/none", "experiment": write(experiment("a"))}, NotFoundError, "no camera roof/none"),
        (
            {"camera": "roof/west", "experiment": write(experiment("a", "b"))},
            NotFoundError,
            "no stored frame",
        ),
        ({"camera": "roof/west"}, ProtocolError, "experiment"),
        ({"camera": "roof/west", "experiment": []}, ProtocolError, "experiment"),
        ({"camera": "roof/west", "experiment": {"id": "x"}}, ProtocolError, "arms"),
        ({"camera": "roof/west", "experiment": write(experiment())}, RequestError, "arms: are 0"),
        (
            {"camera": "roof/west", "experiment": write(experiment(*(f"a{n}" for n in range(11))))},
            RequestError,
            "arms: are 11; 1 to 10 are compared",
        ),
    ],
)
async def test_what_cannot_be_compared_is_named(
    service: tuple[Service, Client], args: dict[str, Any], error: type[Exception], words: str
) -> None:
    room, client = service
    await upload(client, [frame(1)])
    with pytest.raises(error, match=words):
        await Comparer(room._store, utc_now).compare(args)
    assert (await client.get("tests")).value["items"] == []


async def test_the_command_is_answered_with_the_comparison(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    async with serving(write_config(tmp_path / "processor", broker)) as (_service, client):
        await until(lambda: "online" in listener.on("skylapse/processor/availability"))
        await upload(client, [frame(seq, test_id=f"arm-{seq % 2}") for seq in range(1, 7)])
        asked = command("compare", camera="roof/west", experiment=dict(write(experiment("arm-0", "arm-1"))))
        reply = await answer(listener, asked)
        assert reply["ok"], reply
        assert reply["result"]["comparison"] == (await client.get("tests/trial")).value
        refused = await answer(listener, command("compare", 2, camera="roof/none", experiment={}))
        assert (refused["ok"], refused["error"]["code"]) == (False, "bad_request")


def at(seconds: float) -> datetime:
    """A moment."""
    return START + timedelta(seconds=seconds)


def test_frames_are_paired_with_their_neighbours_and_never_twice() -> None:
    arms = [
        [ArmFrame(name=f"a{s}", at=at(s)) for s in (0, 45, 60, 105)],
        [ArmFrame(name=f"b{s}", at=at(s)) for s in (15, 30, 75, 90)],
    ]
    assert pairs_of(arms) == (("a0", "b15"), ("a45", "b30"), ("a60", "b75"), ("a105", "b90"))
    assert pairs_of(arms[:1]) == ()
    assert pairs_of([arms[0], []]) == ()
    lonely = [arms[0], [ArmFrame(name="late", at=at(9000))]]
    assert pairs_of(lonely) == (), "another light altogether"


@given(st.lists(st.lists(st.integers(0, 500), max_size=40, unique=True), min_size=2, max_size=5))
def test_however_arms_take_turns_pairs_hold_one_of_each_and_nothing_twice(seconds: list[list[int]]) -> None:
    arms = [
        [ArmFrame(name=f"{arm}-{second}", at=at(second)) for second in sorted(each)]
        for arm, each in enumerate(seconds)
    ]
    pairs = pairs_of(arms)
    names = [name for pair in pairs for name in pair]
    assert len(names) == len(set(names))
    assert all([name.split("-")[0] for name in pair] == [str(n) for n in range(len(arms))] for pair in pairs)


def test_pairs_are_spread_evenly_and_fit_a_message() -> None:
    pairs = tuple((f"a{n}", f"b{n}") for n in range(100))
    assert [pair[0] for pair in spread(pairs, 4)] == ["a0", "a25", "a50", "a75"]
    assert spread(pairs[:3], 50) == pairs[:3]
    assert spread((), 50) == ()
    longest = "x" * 63
    name = f"{longest}/{longest}/20260601T180000000000Z-00112233445566aa-{2**62}"
    for arms in range(1, 11):
        named = ((name,) * arms,) * most_pairs(arms)
        scored = scores([ArmFacts(test_id=longest, profile=longest, frames=10**6, seen={})] * arms)
        comparison = Comparison(
            id=longest, camera=f"{longest}/{longest}", compared_at=START, arms=scored, pairs=named
        )
        assert encode_json("reply", {"comparison": write(comparison)})


def test_the_sign_test_is_exact() -> None:
    assert chance(0, 0) == 1.0
    assert chance(8, 0) == pytest.approx(2 / 256)
    assert chance(5, 5) == 1.0
    assert chance(9, 1) == pytest.approx(2 * 11 / 1024)


def facts(test_id: str, *grain: float, sharpness: float | None = None) -> ArmFacts:
    """An arm whose frames have some grain."""
    seen = {
        f"{test_id}{number}": FrameFigures(grain=value, sharpness=sharpness)
        for number, value in enumerate(grain)
    }
    return ArmFacts(test_id=test_id, profile="f", frames=len(grain), seen=seen)


def test_a_winner_beats_each_other_arm_and_not_only_one() -> None:
    good, equal, bad = facts("a", *[0.01] * 12), facts("b", *[0.011] * 12), facts("c", *[0.05] * 12)
    for arms, expected in (((good, bad), "a"), ((bad, good), "a"), ((good, equal, bad), None)):
        pairs = [tuple(f"{arm.test_id}{number}" for arm in arms) for number in range(12)]
        assert winner(arms, scores(arms), pairs) == expected
        assert winner(arms, scores(arms), pairs[:10]) is None, "ten pairs are too few"
    mixed = facts("d", *[0.005, 0.05] * 6)
    pairs = [(f"a{number}", f"d{number}") for number in range(12)]
    assert winner([good, mixed], scores([good, mixed]), pairs) is None, "as often better as worse"


def test_a_trade_of_grain_for_sharpness_has_no_winner() -> None:
    quiet = facts("a", *[0.01] * 12, sharpness=0.3)
    sharp = facts("b", *[0.05] * 12, sharpness=0.6)
    pairs = [(f"a{number}", f"b{number}") for number in range(12)]
    assert winner([quiet, sharp], scores([quiet, sharp]), pairs) is None
    assert [arm.score for arm in scores([quiet, sharp])] == [50.0, 50.0]


def test_an_empty_arm_neither_wins_nor_hinders() -> None:
    arms = [facts("none"), facts("a", *[0.01] * 12), facts("b", *[0.05] * 12)]
    pairs = [(f"a{number}", f"b{number}") for number in range(12)]
    assert winner(arms, scores(arms), pairs) == "a"
