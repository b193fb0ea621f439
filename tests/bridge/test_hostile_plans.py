"""Plans and snapshots that the contract lets through but nobody sane would write."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skylapse_bridge.deployment import Deployment, check_deployed
from skylapse_bridge.exposure import limits_of, split, step
from skylapse_bridge.meter import Light
from skylapse_bridge.sequence import PlanChanged, Sequence, Shoot, WaitUntil, Woken, first_tick
from skylapse_bridge.sequence import step as sequence_step
from skylapse_protocol.codec import write
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.messages import CameraInfo, CameraState
from skylapse_protocol.snapshot import Plan, Profile, SunTable, Window, next_tick
from skylapse_protocol.topics import EVENT, FRAME, PLAN, SNAPSHOT, STATE, Topic, encode
from tests.support.waiting import until

from .conftest import House
from .listener import nothing_but_late
from .made import START, plan, profile, snapshot, window

FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
TOO_EARLY = plan(window(start=FIRST))
TOO_LATE = plan(window(start=LAST))
NO_SUN = plan(window(), sun=SunTable(starts_at=START, step_s=60, elevation_deg=(1e308, -1e308)))

HUGE = st.floats(allow_nan=False, allow_infinity=False)
MOMENT = st.datetimes(datetime(1971, 1, 1), datetime(2190, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 zone is given
WINDOW = st.builds(
    lambda name, start, minutes, interval_s: window(
        name, start=start, minutes=minutes, interval_s=interval_s
    ),
    st.sampled_from("abcd"),
    MOMENT,
    st.floats(0.01, 10**6),
    st.floats(0.1, 86400),
)
PROFILE = st.builds(
    profile,
    ev=st.floats(-10, 10),
    ev_table=st.lists(st.tuples(st.floats(5e-324, 1e308), HUGE), min_size=1, max_size=1).map(tuple),
    max_exposure_us=st.none() | st.integers(-(2**62), 2**62),
    max_gain=st.none() | HUGE,
    max_stops_per_hour=st.floats(5e-324, 1e308),
    highlight_share=HUGE,
)
CAMERA = CameraInfo(
    id="west",
    name="west",
    model="m",
    driver="twin",
    width=64,
    height=48,
    min_exposure_us=50,
    max_exposure_us=10**8,
    min_gain=1.0,
    max_gain=16.0,
    controls_exposure=True,
)


@pytest.mark.parametrize("hostile", [TOO_EARLY, TOO_LATE, NO_SUN])
async def test_a_plan_that_cannot_be_reckoned_with_is_ignored(house: House, hostile: Plan) -> None:
    with pytest.raises(ProtocolError):
        check_deployed(hostile)
    await house.start()
    await house.listener.next(STATE, capturing=True)
    house.listener.say(PLAN, hostile, camera="west")
    house.listener.say(SNAPSHOT, snapshot(), camera="west")
    house.listener.say(PLAN, plan(window(start=START - timedelta(minutes=1)), revision=9), camera="west")
    await house.listener.next(STATE, plan_revision=9)
    await house.photograph(1)


def altered(row: Topic[Any], message: object, **changes: Any) -> bytes:
    """A message as somebody careless would write it."""
    return json.dumps(json.loads(encode(row, message)) | changes).encode()


def windows(*ids: str) -> list[dict[str, Any]]:
    """The JSON of windows with these ids."""
    made = plan(*(window(name, start=START - timedelta(minutes=10)) for name in ids))
    return list(write(made)["windows"])


def profiles(**changes: Any) -> list[dict[str, Any]]:
    """The JSON of one profile."""
    return [json.loads(encode(SNAPSHOT, snapshot()))["profiles"][0] | changes]


BAD_PLANS = {
    "stands there twice": altered(PLAN, plan(), windows=windows("one", "one")),
    "ends before it starts": altered(
        PLAN, plan(), windows=[windows("one")[0] | {"ends_at": "2020-01-01T00:00:00Z"}]
    ),
    "interval_s": altered(PLAN, plan(), windows=[windows("one")[0] | {"interval_s": 0}]),
    "names no profile": altered(PLAN, plan(), windows=[windows("one")[0] | {"profiles": []}]),
    "bytes are more than": altered(PLAN, plan(), windows=windows(*(f"w{n}" for n in range(1000)))),
    "is not between": encode(PLAN, TOO_LATE),
    "schema": altered(PLAN, plan(), schema=99),
    "no JSON": b"{",
}
BAD_SNAPSHOTS = {
    "names no profile": altered(SNAPSHOT, snapshot(), profiles=[]),
    "has no points": altered(SNAPSHOT, snapshot(), profiles=profiles(ev_table=[])),
    "rise from point to point": altered(
        SNAPSHOT, snapshot(), profiles=profiles(ev_table=[[400, 0], [0.5, -1.5]])
    ),
    "above zero": altered(SNAPSHOT, snapshot(), profiles=profiles(ev_table=[[0, 1]])),
    "no JSON": altered(SNAPSHOT, snapshot(), profiles=profiles(ev_table=[[1.0, float("nan")]])),
    "jpeg_quality": altered(SNAPSHOT, snapshot(), profiles=profiles(jpeg_quality=0)),
    "needs 0 among": altered(SNAPSHOT, snapshot(), profiles=profiles(bracket_ev=[1, 2])),
    "two arms share one test id": altered(
        SNAPSHOT,
        snapshot(),
        experiments=[{"id": "e", "arms": [{"test_id": "t", "profile": one} for one in profiles() * 2]}],
    ),
}


@pytest.mark.parametrize(
    ("row", "payload", "why"),
    [(PLAN, payload, why) for why, payload in BAD_PLANS.items()]
    + [(SNAPSHOT, payload, why) for why, payload in BAD_SNAPSHOTS.items()],
)
async def test_what_is_refused_is_told_and_the_last_good_one_stays_in_force(
    house: House, row: Topic[Any], payload: bytes, why: str
) -> None:
    await house.start()
    house.deploy(plan(window(start=START - timedelta(minutes=10)), revision=4), snapshot())
    await house.photograph(1)
    house.listener.raw(row.name(bridge="roof", camera="west"), payload)
    what = "plan" if row is PLAN else "snapshot"
    told = f"the {what} that came is refused"

    def refusals() -> list[CameraState]:
        return [one for one in house.listener.all(STATE) if told in (one.last_error or "")]

    await until(refusals, what="the refusal")
    state = refusals()[0]
    assert why in (state.last_error or "")
    assert (state.plan_revision, state.snapshot_version, state.capturing) == (4, 7, True)
    seen = len(refusals())
    await house.photograph(1)
    await until(lambda: len(refusals()) > seen, what="the refusal, still standing")
    before = len(house.listener.all(STATE))
    house.deploy(plan(window(start=START - timedelta(minutes=10)), revision=5), snapshot())
    await house.listener.next(STATE, after=before, plan_revision=5, last_error=nothing_but_late)


async def test_a_plan_that_asks_for_a_profile_nobody_has_says_so_before_it_is_due(house: House) -> None:
    await house.start()
    house.deploy(plan(window("always", start=START + timedelta(hours=1), profiles=("sky",))), snapshot())
    words = "window always asks for profile sky, which snapshot 7 does not have"
    await house.listener.next(STATE, plan_revision=1, snapshot_version=7, last_error=words)
    house.clock.pass_time(3595)

    def failed() -> bool:
        house.let_pass(1)
        return any(
            event.type == "capture_failed" and event.reason == words for event in house.listener.all(EVENT)
        )

    await until(failed, what="the failure")
    before = len(house.listener.all(STATE))
    house.deploy(plan(window("always", minutes=300), revision=2), snapshot())
    await house.listener.next(STATE, after=before, plan_revision=2, last_error=nothing_but_late)


async def test_an_unknown_time_zone_is_told_and_does_not_stop_capture(house: House) -> None:
    await house.start()
    strange = replace(plan(window(start=START - timedelta(minutes=1))), time_zone="Mars/Base")
    house.deploy(strange, snapshot())
    words = "the plan's time zone 'Mars/Base' is none that this machine knows"
    await house.listener.next(STATE, plan_revision=1, last_error=words)
    await house.photograph(1)
    assert [record.profile for record in house.listener.all(FRAME)][:1] == ["f"]


async def test_what_is_refused_is_logged_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    await house.start()
    await house.listener.next(STATE, capturing=True)
    house.listener.raw(PLAN.name(bridge="roof", camera="west"), b"{")
    await until(lambda: house.listener.all(STATE)[-1].last_error, what="the refusal")
    house.listener.raw("skylapse/roof/west/command", b"{")
    house.listener.raw("skylapse/roof/west/command", b"{")
    house.deploy(plan(window()), snapshot())
    await house.listener.next(STATE, plan_revision=1, snapshot_version=7)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len([line for line in told if "plan" in line and "refused" in line]) == 1
    assert len([line for line in told if "a message is ignored" in line]) == 1


async def test_plans_that_are_odd_but_clear_are_obeyed(house: House) -> None:
    await house.start()
    over = plan(window("over", start=START - timedelta(days=9)), revision=2)
    house.deploy(over, snapshot(profile(ev_table=((1.0, -0.5),))))
    state = await house.listener.next(STATE, plan_revision=2, snapshot_version=7)
    assert (state.next_capture_at, state.active_window, state.last_error) == (None, None, None)
    slow = window("slow", start=START - timedelta(hours=1), minutes=600, interval_s=60)
    quick = window("quick", start=START + timedelta(minutes=2), minutes=2, interval_s=20)
    house.deploy(plan(slow, quick, revision=3), snapshot(profile(ev_table=((1.0, -0.5),))))
    await house.listener.next(STATE, plan_revision=3)
    await house.photograph(9, step_s=4)
    taken = [(record.window, record.captured_at) for record in house.listener.all(FRAME)]
    assert {name for name, _ in taken} == {"slow", "quick"}
    for name, at in taken:
        assert (name == "quick") == (quick.starts_at <= at < quick.ends_at)


def test_a_thousand_windows_are_stepped_through_at_once() -> None:
    many = [
        window(f"w{n}", start=START + n * timedelta(minutes=5), minutes=9, interval_s=15 + n % 7)
        for n in range(1000)
    ]
    far = window("far", start=START + timedelta(days=90))
    for moment in (START, START + timedelta(hours=7, seconds=3), START + timedelta(days=3)):
        assert first_tick(plan(*many, far), moment) == next_tick(plan(*many, far), moment)
    assert first_tick(plan(*many), START + timedelta(days=30)) is None
    gappy = window("gappy", start=START, minutes=50, interval_s=7200)
    assert first_tick(plan(gappy, far), START + timedelta(minutes=1)) == (far.starts_at, far)


def test_a_plan_on_disk_is_checked_too(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, "roof", "west")
    deployment.keep_plan(TOO_LATE)
    assert deployment.load_plan() is None
    deployment.keep_plan(plan(window()))
    assert deployment.load_plan() == plan(window())
    (tmp_path / "cameras" / "west" / "plan.json").write_bytes(b"\xff not a plan")
    assert deployment.load_plan() is None


@settings(max_examples=100, deadline=None)
@given(windows=st.lists(WINDOW, max_size=6), moments=st.lists(MOMENT, min_size=1, max_size=6))
def test_any_plan_gives_an_answer_at_any_time(windows: list[Window], moments: list[datetime]) -> None:
    strange = plan(*windows)
    if len({one.id for one in windows}) == len(windows):
        check_deployed(strange)
    state, _ = sequence_step(
        Sequence(snapshot=snapshot(), camera_up=True), PlanChanged(plan=strange), moments[0]
    )
    for now in moments:
        state, instructions = sequence_step(state, Woken(), now)
        last = instructions[-1]
        assert isinstance(last, Shoot | WaitUntil)
        if isinstance(last, WaitUntil) and last.moment is not None:
            assert last.moment > now


@settings(max_examples=150, deadline=None)
@given(strange=PROFILE, lights=st.lists(st.floats(-20, 25), min_size=1, max_size=5))
def test_any_profile_gives_an_exposure_that_the_camera_can_make(
    strange: Profile, lights: list[float]
) -> None:
    limits = limits_of(CAMERA, strange, 15)
    state = None
    for tick, scene_ev in enumerate(lights):
        at = START + tick * timedelta(seconds=15)
        light = Light(
            at=at,
            mean_linear=0.2,
            clipped_low=0,
            clipped_high=0.5,
            lux=2.5 * 2**scene_ev,
            scene_ev=scene_ev,
        )
        state = step(state, light, strange, None, at, limits)
        exposure = split(state.log2_exposure, limits)
        assert 50 <= exposure.exposure_us <= 10**8
        assert 1.0 <= exposure.gain <= 16.0
