"""Which frames a tick has: bursts, brackets, variants of a schedule, arms of a test in turn."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_bridge.aiming import Purpose, aim_at, busy_s, limits_for, member_of, settings_for
from skylapse_bridge.errors import CameraError
from skylapse_bridge.exposure import exposing_s, limits_of, overhead_s
from skylapse_bridge.meter import Light
from skylapse_bridge.shots import Shot, arm_of, possible, running, shots_of
from skylapse_protocol.messages import CameraInfo
from skylapse_protocol.snapshot import Arm, Experiment, Variant

from .made import START, profile, snapshot, window

CAMERA = CameraInfo(
    id="west",
    name="west",
    model="m",
    driver="twin",
    width=64,
    height=48,
    min_exposure_us=100,
    max_exposure_us=10**8,
    min_gain=1.0,
    max_gain=16.0,
    controls_exposure=True,
    focus=True,
    max_dioptre=10.0,
    raw=True,
)
LIGHT = Light(at=START, mean_linear=0.2, clipped_low=0, clipped_high=0, lux=2560.0, scene_ev=10.0)


def experiment(arms: int, **facts: object) -> Experiment:
    """A test of so many arms."""
    made = tuple(Arm(test_id=f"t{number}", profile=profile(f"p{number}")) for number in range(arms))
    return Experiment(id="e", arms=made, **facts)  # type: ignore[arg-type]


def offsets(shots: tuple[Shot, ...]) -> list[tuple[float | None, float | None]]:
    return [(shot.bracket_ev, shot.bracket_dioptre) for shot in shots]


def test_a_bracket_takes_its_middle_first_and_then_goes_by_its_offsets() -> None:
    bracketed = profile(bracket_ev=(2.0, -2.0, 0.0, 1.0))
    shots = shots_of(snapshot(bracketed), window(), START)
    assert offsets(shots) == [(0.0, None), (-2.0, None), (1.0, None), (2.0, None)]
    assert [shot.place for shot in shots] == [0, 1, 2, 3]
    assert [shot.leads for shot in shots] == [True, False, False, False]


def test_exposure_and_focus_together_take_every_combination() -> None:
    both = profile(bracket_ev=(-1.0, 0.0, 1.0), focus_bracket=(0.0, 0.5))
    shots = shots_of(snapshot(both), window(), START)
    assert offsets(shots)[0] == (0.0, 0.0)
    assert set(offsets(shots)) == {(ev, dioptre) for ev in (-1.0, 0.0, 1.0) for dioptre in (0.0, 0.5)}
    assert [shot.place for shot in shots] == list(range(6))


def test_places_count_over_burst_brackets_and_arms() -> None:
    deployed = snapshot(profile("a", bracket_ev=(0.0, 1.0)), profile("b"), experiments=(experiment(2),))
    shots = shots_of(deployed, window(profiles=("a", "b")), START)
    assert [(shot.profile.id, shot.place) for shot in shots] == [("a", 0), ("a", 1), ("b", 2), ("p0", 3)]


def test_a_schedule_has_its_own_variant_of_a_profile() -> None:
    other = Variant(schedule="night", profile=profile(ev=-2.0))
    deployed = snapshot(profile(), variants=(other,))
    assert [shot.profile.ev for shot in shots_of(deployed, window(), START)] == [0.0]
    assert [shot.profile.ev for shot in shots_of(deployed, window(schedule="night"), START)] == [-2.0]


def test_a_test_ends_by_itself() -> None:
    deployed = snapshot(experiments=(experiment(2, ends_at=START + timedelta(minutes=1)),))
    before, after = START + timedelta(seconds=45), START + timedelta(seconds=60)
    assert [one.id for one in running(deployed, before)] == ["e"]
    assert len(shots_of(deployed, window(), before)) == 2
    assert running(deployed, after) == ()
    assert [shot.place for shot in shots_of(deployed, window(), after)] == [None]
    assert running(None, START) == ()
    assert running(snapshot(experiments=(experiment(0),)), START) == ()


@given(arms=st.integers(1, 6), first=st.integers(0, 10**9))
def test_every_arm_has_its_share_and_the_same_mean_time(arms: int, first: int) -> None:
    one = experiment(arms)
    begin = first * 2 * arms
    turns = [(turn - begin, arm_of(one, turn).test_id) for turn in range(begin, begin + 2 * arms)]
    assert set(Counter(arm for _, arm in turns).values()) == {2}
    sums = {arm: sum(turn for turn, name in turns if name == arm) for _, arm in turns}
    assert set(sums.values()) == {2 * arms - 1}


def test_a_camera_that_cannot_follow_a_bracket_takes_its_middle_alone() -> None:
    both = profile(bracket_ev=(-1.0, 0.0, 1.0), focus_bracket=(0.0, 0.5))
    shots = shots_of(snapshot(both), window(), START)
    assert possible(shots, CAMERA) == possible(shots, None) == shots
    fixed = replace(CAMERA, focus=False)
    assert offsets(possible(shots, fixed)) == [(0.0, None), (-1.0, None), (1.0, None)]
    dull = replace(CAMERA, controls_exposure=False)
    assert offsets(possible(shots, dull)) == [(None, 0.0), (None, 0.5)]
    (alone,) = possible(shots, replace(dull, focus=False))
    assert (alone.place, alone.leads, offsets((alone,))) == (None, True, [(None, None)])


@pytest.mark.parametrize("offset", [-3.0, -1.0, 1.5, 2.0])
def test_the_others_of_a_bracket_stand_their_stops_away_by_time_first(offset: float) -> None:
    bracketed = profile(bracket_ev=(0.0, offset))
    middle = Purpose(at=START, profile=bracketed, window=window(), burst=2, bracket_ev=0.0)
    limits = limits_for(middle, CAMERA)
    aim = aim_at(middle, settings_for(middle, CAMERA, None), LIGHT, limits, None, None)
    other = member_of(aim, replace(middle, bracket_ev=offset), CAMERA, None)
    assert aim.settings.exposure_us is not None
    assert other.settings.exposure_us is not None
    assert [aim.settings.gain, other.settings.gain] == pytest.approx([1.0, 1.0], rel=0.01)
    assert other.settings.exposure_us == pytest.approx(aim.settings.exposure_us * 2**offset, rel=0.01)
    assert other.exposure == aim.exposure
    assert aim.purpose.leads
    assert not other.purpose.leads


def test_what_the_sensor_cannot_give_is_not_asked_of_it() -> None:
    bracketed = profile(bracket_ev=(0.0, 9.0), max_exposure_us=20_000, max_gain=2.0)
    middle = Purpose(at=START, profile=bracketed, window=window(), burst=2, bracket_ev=0.0)
    limits = limits_for(middle, CAMERA)
    aim = aim_at(middle, settings_for(middle, CAMERA, None), LIGHT, limits, None, None)
    other = member_of(aim, replace(middle, bracket_ev=9.0), CAMERA, None)
    assert other.settings.exposure_us == 20_000
    assert other.settings.gain == pytest.approx(2.0)
    assert other.purpose.bracket_ev == 9.0


@pytest.mark.parametrize(
    ("share_s", "longest_us"),
    [(0.1, 40_000), (1, 400_000), (2, 800_000), (5, 3_500_000), (15, 12_000_000), (60, 48_000_000)],
)
def test_exposure_leaves_the_interval_room_for_what_a_frame_takes_besides(
    share_s: float, longest_us: int
) -> None:
    assert limits_of(CAMERA, profile(), share_s).max_exposure_us == longest_us


@given(share_s=st.floats(0.1, 86400), average=st.integers(1, 64))
def test_exposures_and_what_they_take_besides_fit_their_share(share_s: float, average: int) -> None:
    longest_s = limits_of(CAMERA, profile(average=average), share_s).max_exposure_us / 1e6
    free_running = longest_s * (average + 1) if average > 1 else longest_s
    assert 0.0 < overhead_s(share_s) <= 1.5
    assert free_running + overhead_s(share_s) <= share_s * (1 + 1e-9) + average * 1e-6


def test_frames_of_a_tick_share_its_interval() -> None:
    night = replace(LIGHT, scene_ev=-8.0, lux=0.01)
    for burst, average, longest_us in ((1, 1, 12_000_000), (3, 1, 3_500_000), (2, 3, 1_500_000)):
        purpose = Purpose(at=START, profile=profile(average=average), window=window(), burst=burst)
        settings = settings_for(purpose, CAMERA, None)
        aim = aim_at(purpose, settings, night, limits_for(purpose, CAMERA), None, None)
        assert aim.settings.exposure_us == longest_us
        assert (aim.settings.average, aim.settings.over_s) == (average, 4.5 if average > 1 else 0.0)
        assert busy_s(aim.settings) <= exposing_s(purpose.share_s)


@pytest.mark.parametrize(
    ("own", "rest", "offset", "stands_at"),
    [
        (None, None, None, None),
        (None, 0.3, None, 0.3),
        (2.0, 0.3, None, 2.0),
        (2.0, 0.3, 0.5, 2.5),
        (None, 0.3, -0.5, 0.0),
        (None, 0.3, 15.0, 10.0),
    ],
)
def test_the_lens_stands_where_profile_infinity_and_bracket_say(
    own: float | None, rest: float | None, offset: float | None, stands_at: float | None
) -> None:
    purpose = Purpose(at=START, profile=profile(focus_dioptre=own), bracket_dioptre=offset)
    assert settings_for(purpose, CAMERA, rest).focus_dioptre == stands_at
    assert settings_for(purpose, replace(CAMERA, focus=False), rest).focus_dioptre is None


def test_a_lens_of_which_nobody_knows_where_it_stands_is_not_moved_away() -> None:
    beside = Purpose(at=START, profile=profile(), bracket_dioptre=0.5)
    with pytest.raises(CameraError, match="where the lens stands is unknown"):
        settings_for(beside, CAMERA, None)


def test_raw_is_asked_of_cameras_that_can() -> None:
    purpose = Purpose(at=START, profile=profile(raw=True))
    assert settings_for(purpose, CAMERA, None).raw
    assert not settings_for(purpose, replace(CAMERA, raw=False), None).raw
