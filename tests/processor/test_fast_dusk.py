"""A dusk faster than the target of exposure is wide: the film stays near what the camera delivered."""

from pathlib import Path

import numpy as np
import pytest

from skylapse_processor import today_plan
from skylapse_processor.frames import ExposureFacts, SourceFrame
from skylapse_processor.recipe.level import level
from skylapse_processor.recipe.plan import Curve, Plan, make
from skylapse_processor.recipe.smooth import flicker_mev, smooth, target
from skylapse_processor.today_plan import PathEnd, aims

PLACE = np.arange(240, dtype=np.float64)
NEAR_EV = 0.55


def dusk(fall_ev: float = 12.0, *, swell_ev: float = 0.0) -> Curve:
    """The light of a sky of which a picture is taken a minute: it falls from frame 80 to 180."""
    light: Curve = np.interp(PLACE, [80, 180], [0.0, -fall_ev]) + swell_ev * np.sin(PLACE / 9)
    return smooth(PLACE, light, 3.0)


def answered(light: Curve) -> Curve:
    """How a camera exposes that follows the light in thirds of a stop, two frames late."""
    seen = np.concatenate([np.repeat(light[:1], 2), light[:-2]])
    exposure: Curve = -np.round(seen * 3) / 3
    return exposure


def plan_of(exposure: Curve) -> Plan:
    """The plan of frames of which the exposure is known."""
    return make(
        tuple(
            SourceFrame(
                path=Path(f"{number}.jpg"),
                name=f"{number}.jpg",
                facts=ExposureFacts(exposure_us=1000 * 2.0**ev, gain=1.0),
            )
            for number, ev in enumerate(exposure)
        )
    )


@pytest.mark.parametrize("direction", [1.0, -1.0])
@pytest.mark.parametrize("fall_ev", [6.0, 12.0, 17.0])
def test_the_film_stays_near_what_the_camera_delivered(fall_ev: float, direction: float) -> None:
    exposure = direction * answered(dusk(fall_ev))
    wanted = exposure + level(plan_of(exposure)).gain_ev[:, 1]
    delivered = smooth(PLACE, exposure, 12.0, degree=2)
    assert np.abs(wanted - delivered).max() < NEAR_EV


def test_a_sunset_is_no_brighter_than_it_was_photographed_by_half_a_stop() -> None:
    light = dusk()
    exposure = answered(light)
    film = light + exposure + level(plan_of(exposure)).gain_ev[:, 1]
    assert film.max() < smooth(PLACE, light + exposure, 6.0).max() + NEAR_EV


def test_what_holds_it_there_makes_no_flicker() -> None:
    light = dusk()
    exposure = answered(light)
    film = light + exposure + level(plan_of(exposure)).gain_ev[:, 1]
    loose = light + target(PLACE, exposure, 48.0)
    assert flicker_mev(light + exposure) > 60
    assert flicker_mev(film) < flicker_mev(loose) + 1
    assert np.abs(np.diff(film, 3)).max() < 0.01


def test_clouds_to_which_the_camera_answers_come_back_as_before() -> None:
    light = dusk(3.0, swell_ev=0.3)
    exposure = answered(light)
    wanted = exposure + level(plan_of(exposure)).gain_ev[:, 1]
    assert wanted == pytest.approx(target(PLACE, exposure, 48.0), abs=0.05)


def grown(exposure: Curve) -> Curve:
    """The target of a film that grows."""
    gains = [aim.gain_ev[1] for aim in aims(PathEnd(), plan_of(exposure).frames)]
    wanted: Curve = exposure + np.array(gains)
    return wanted


@pytest.mark.parametrize("direction", [1.0, -1.0])
@pytest.mark.parametrize("fall_ev", [6.0, 12.0, 17.0])
def test_a_film_that_grows_stays_nearly_as_near_and_flickers_no_more(
    fall_ev: float, direction: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    light = direction * dusk(fall_ev)
    exposure = direction * answered(dusk(fall_ev))
    delivered = smooth(PLACE, exposure, 12.0, degree=2)
    wanted = grown(exposure)
    assert np.abs(wanted - delivered).max() < NEAR_EV + 0.25
    assert np.abs(np.diff(light + wanted, 3)).max() < 0.01
    monkeypatch.setattr(today_plan, "SOFTER", ())
    assert flicker_mev(light + wanted) < 1.25 * flicker_mev(light + grown(exposure))


@pytest.mark.parametrize(("frames", "strays_ev"), [(40, 1.0), (20, 1.2), (12, 2.1)])
def test_a_picture_every_few_minutes_leaves_the_camera_by_little_more(frames: int, strays_ev: float) -> None:
    """A camera that delivers all of dusk evenly: nothing of it has to be taken back."""
    exposure = -smooth(PLACE, np.interp(PLACE, [120 - frames / 2, 120 + frames / 2], [0.0, -12.0]), 1.0)
    rendered = exposure + level(plan_of(exposure)).gain_ev[:, 1]
    assert np.abs(rendered - exposure).max() < strays_ev
    assert np.abs(grown(exposure) - exposure).max() < strays_ev


@pytest.mark.parametrize("sigma_frames", [2.0, 12.0])
def test_a_target_that_is_narrow_is_left_as_it_is(sigma_frames: float) -> None:
    exposure = answered(dusk())
    wanted = exposure + level(plan_of(exposure), sigma_frames=sigma_frames).gain_ev[:, 1]
    assert wanted == pytest.approx(target(PLACE, exposure, sigma_frames), abs=1e-6)
