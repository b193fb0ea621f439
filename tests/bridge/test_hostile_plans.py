"""Plans and snapshots that the contract lets through but nobody sane would write."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skylapse_bridge.deployment import Deployment, check_plan
from skylapse_bridge.exposure import limits_of, split, step
from skylapse_bridge.meter import Light
from skylapse_bridge.sequence import PlanChanged, Sequence, Shoot, WaitUntil, Woken
from skylapse_bridge.sequence import step as sequence_step
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.messages import CameraInfo
from skylapse_protocol.snapshot import Plan, Profile, SunTable, Window
from skylapse_protocol.topics import PLAN, SNAPSHOT, STATE

from .conftest import House
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
        check_plan(hostile)
    await house.start()
    await house.listener.next(STATE, capturing=True)
    house.listener.say(PLAN, hostile, camera="west")
    house.listener.say(SNAPSHOT, snapshot(), camera="west")
    house.listener.say(PLAN, plan(window(start=START - timedelta(minutes=1)), revision=9), camera="west")
    await house.listener.next(STATE, plan_revision=9)
    await house.photograph(1)


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
    check_plan(strange)
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
