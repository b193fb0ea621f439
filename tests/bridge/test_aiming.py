"""From light to settings: what a frame is asked of the camera, by profile, light, bracket and lens."""

from dataclasses import replace
from typing import Any

import pytest

from skylapse_bridge.aiming import (
    Aim,
    Purpose,
    aim_at,
    busy_s,
    limits_for,
    member_of,
    settings_for,
    still_needed,
)
from skylapse_bridge.camera.port import CaptureSettings
from skylapse_bridge.errors import CameraError
from skylapse_bridge.meter import Light
from skylapse_protocol.messages import CameraInfo
from skylapse_protocol.records import Asked
from skylapse_protocol.snapshot import WhiteBalance

from .made import START, profile, window

CAMERA = CameraInfo(
    id="west",
    name="West",
    model="module",
    driver="twin",
    width=640,
    height=360,
    min_exposure_us=100,
    max_exposure_us=2_000_000,
    min_gain=1.0,
    max_gain=16.0,
    controls_exposure=True,
    controls_colour=True,
    brackets=True,
    focus=True,
    max_dioptre=10.0,
    raw=True,
)
DUSK = Light(at=START, mean_linear=0.1, clipped_low=0.0, clipped_high=0.0, lux=10.0, scene_ev=3.3)
REST_DIOPTRE = 0.25


def purpose(**facts: Any) -> Purpose:
    return Purpose(**{"at": START, "profile": profile(), "window": window(), **facts})


def aim(wanted: Purpose, light: Light = DUSK, camera: CameraInfo = CAMERA) -> Aim:
    settings = settings_for(wanted, camera, REST_DIOPTRE)
    return aim_at(wanted, settings, light, limits_for(wanted, camera), None, None)


def total(settings: CaptureSettings) -> float:
    assert settings.exposure_us is not None
    assert settings.gain is not None
    return settings.exposure_us * settings.gain


def test_a_frame_of_the_plan_moves_the_ramp_and_one_beside_it_does_not_follow_it() -> None:
    planned, beside = purpose(), purpose(window=None)
    ramp = aim(planned).exposure
    assert ramp is not None
    darker = replace(ramp, log2_exposure=ramp.log2_exposure - 3)
    settings, limits = settings_for(planned, CAMERA, REST_DIOPTRE), limits_for(planned, CAMERA)
    followed = aim_at(planned, settings, DUSK, limits, darker, None).settings
    alone = aim_at(beside, settings, DUSK, limits, darker, None).settings
    assert total(followed) < 0.5 * total(alone)
    assert planned.leads
    assert not beside.leads


def test_the_members_of_a_bracket_stand_their_stops_from_its_middle() -> None:
    middle = aim(purpose(bracket_ev=0.0))
    for stops in (-2.0, 2.0):
        member = member_of(middle, purpose(bracket_ev=stops), CAMERA, REST_DIOPTRE)
        assert total(member.settings) == pytest.approx(total(middle.settings) * 2**stops, rel=0.01)
        assert not member.purpose.leads


def test_what_was_asked_for_from_outside_is_taken_as_it_is() -> None:
    wanted = purpose(asked=Asked(exposure_us=5_000, gain=2.0), colour_gains=(2.0, 1.5))
    found = aim(wanted)
    assert (found.settings.exposure_us, found.settings.gain) == (5_000, 2.0)
    assert found.settings.colour_gains == (2.0, 1.5)
    assert found.settings.colour_temperature_k is None
    assert found.exposure is None
    assert member_of(found, wanted, CAMERA, REST_DIOPTRE).settings.exposure_us == 5_000


def test_white_balance_is_the_profile_s_at_this_light() -> None:
    warm = profile(white_balance=WhiteBalance(mode="fixed", kelvin=3_200))
    assert aim(purpose(profile=warm)).settings.colour_temperature_k == 3_200


def test_a_camera_that_does_not_say_its_exposure_cannot_be_led() -> None:
    with pytest.raises(CameraError, match="does not say which one it used"):
        aim(purpose(), replace(DUSK, scene_ev=None))


@pytest.mark.parametrize(
    ("focus_dioptre", "offset", "rest", "expected"),
    [
        (None, None, 0.25, 0.25),
        (1.0, None, None, 1.0),
        (1.0, 0.5, 0.25, 1.5),
        (None, 0.5, 0.25, 0.75),
        (9.8, 0.5, 0.25, 10.0),
        (0.2, -0.5, 0.25, 0.0),
        (None, None, None, None),
    ],
)
def test_the_lens_stands_where_the_profile_says_else_where_it_rests(
    focus_dioptre: float | None, offset: float | None, rest: float | None, expected: float | None
) -> None:
    wanted = purpose(profile=profile(focus_dioptre=focus_dioptre), bracket_dioptre=offset)
    assert settings_for(wanted, CAMERA, rest).focus_dioptre == expected


def test_a_lens_without_a_known_end_may_go_as_far_as_it_is_asked() -> None:
    wanted = purpose(profile=profile(focus_dioptre=20.0))
    assert settings_for(wanted, replace(CAMERA, max_dioptre=None), 0.25).focus_dioptre == 20.0


def test_a_fixed_lens_is_left_alone() -> None:
    wanted = purpose(profile=profile(focus_dioptre=1.0))
    assert settings_for(wanted, replace(CAMERA, focus=False), None).focus_dioptre is None


@pytest.mark.parametrize(
    "facts",
    [
        {"bracket_dioptre": 0.5},
        {"profile": profile(focus_dioptre=1.0), "window": None},
        {"profile": profile(focus_dioptre=1.0), "test_id": "near"},
    ],
)
def test_a_lens_of_which_nobody_knows_where_it_stands_is_not_moved_for_one_frame(facts: Any) -> None:
    with pytest.raises(CameraError, match="unknown"):
        settings_for(purpose(**facts), CAMERA, None)


def test_an_average_spreads_over_its_share_of_the_interval_and_is_busy_so_long() -> None:
    wanted = purpose(profile=profile(average=4, raw=True), burst=2)
    settings = settings_for(wanted, CAMERA, REST_DIOPTRE)
    assert wanted.share_s == 7.5
    assert 0 < settings.over_s < wanted.share_s
    assert settings.raw
    assert busy_s(replace(settings, exposure_us=3_000_000)) == 12.0
    assert busy_s(replace(settings, exposure_us=1_000)) == pytest.approx(0.75 * settings.over_s + 0.002)
    assert busy_s(CaptureSettings(at=START)) == 0.0


def test_states_of_tests_that_are_over_are_let_go() -> None:
    arms = {purpose(test_id=name).key for name in ("warm", "cold")}
    kept = still_needed({"f", *arms}, ["warm"])
    assert kept == {"f", purpose(test_id="warm").key}
