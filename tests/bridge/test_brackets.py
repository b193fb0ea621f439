"""Brackets, averages and tests on the running bridge: every frame says what it is."""

from datetime import timedelta
from math import log2

import pytest

from skylapse_protocol.records import FrameRecord
from skylapse_protocol.snapshot import Arm, Experiment
from skylapse_protocol.topics import FRAME, READING, STATE
from tests.support.waiting import until

from .conftest import House
from .made import START, plan, profile, snapshot, window

LONG = plan(window(start=START - timedelta(minutes=10)))


def stops(record: FrameRecord) -> float:
    """The exposure that was asked for, in stops."""
    assert record.asked is not None
    return log2(record.asked.exposure_us * record.asked.gain)


async def test_a_bracket_is_metered_once_and_its_middle_leads(house: House) -> None:
    await house.start()
    house.deploy(LONG, snapshot(profile(bracket_ev=(-1.5, 0.0, 1.5), focus_bracket=(0.0, 1.0))))
    await house.photograph(12)
    first = house.listener.all(FRAME)[:6]
    assert [record.place for record in first] == list(range(6))
    assert [record.bracket_ev for record in first] == [0.0, -1.5, 1.5] * 2
    assert [record.bracket_dioptre for record in first] == [0.0] * 3 + [1.0] * 3
    assert [record.leads for record in first] == [True] + [False] * 5
    assert [stops(record) - stops(first[0]) for record in first] == pytest.approx(
        [0.0, -1.5, 1.5] * 2, abs=0.03
    )
    assert len({record.captured_at for record in first}) == 1
    taken = len({record.captured_at for record in house.listener.all(FRAME)})
    assert len(house.listener.all(READING)) in (taken, taken + 1)
    assert house.bridge is not None
    state = house.bridge._runners["west"].shooter.exposures["f"]
    middles = [stops(record) for record in house.listener.all(FRAME) if record.leads]
    assert min(abs(state.log2_exposure - middle) for middle in middles) < 0.01


async def test_an_average_says_of_how_many_it_is_the_mean(house: House) -> None:
    await house.start()
    house.deploy(LONG, snapshot(profile(average=4)))
    await house.photograph(2)
    assert {record.averaged for record in house.listener.all(FRAME)} == {4}
    house.deploy(LONG, snapshot())
    before = len(house.listener.all(FRAME))
    await house.photograph(3)
    assert house.listener.all(FRAME)[-1].averaged is None
    assert before >= 2


async def test_a_raw_picture_goes_out_after_its_jpeg(house: House) -> None:
    await house.start()
    house.deploy(LONG, snapshot(profile(raw=True)))
    await house.photograph(4)
    await until(lambda: len(house.server.frames) >= 4, what="the delivery")
    shot, raw = house.server.uploads[:2]
    assert (shot.record["media_type"], raw.record["media_type"]) == ("image/jpeg", "image/x-adobe-dng")
    assert shot.record["captured_at"] == raw.record["captured_at"]
    assert bytes(shot.data[:2]) == b"\xff\xd8"
    assert bytes(raw.data[:2]) in {b"II", b"MM"}
    assert house.server.frames == sorted(house.server.frames)


async def test_a_test_runs_beside_production_and_ends_by_itself(house: House) -> None:
    await house.start()
    arms = tuple(Arm(test_id=name, profile=profile(f"arm-{name}", ev=1.0)) for name in "ab")
    test = Experiment(id="ab", arms=arms, ends_at=START + timedelta(seconds=120))
    house.deploy(LONG, snapshot(experiments=(test,)))
    await house.listener.next(STATE, experiments=("ab",))
    await until(lambda: over(house), what="the end of the test")
    records = house.listener.all(FRAME)
    turns = [record.test_id for record in records if record.test_id]
    assert len(turns) >= 4
    assert abs(turns.count("a") - turns.count("b")) <= 2
    assert all(record.captured_at < START + timedelta(seconds=120) for record in records if record.test_id)
    production = [record for record in records if record.test_id is None]
    assert len(production) > len(turns)
    assert {record.profile for record in production} == {"f"}
    assert {record.place for record in production if record.captured_at >= START + timedelta(minutes=2)} == {
        None
    }


def over(house: House) -> bool:
    """Let time pass; tell whether no test runs any more, and production went on."""
    house.let_pass(3)
    later = START + timedelta(minutes=2, seconds=20)
    alone = any(record.captured_at > later for record in house.listener.all(FRAME))
    return alone and house.listener.all(STATE)[-1].experiments == ()
