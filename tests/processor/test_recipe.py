"""Recipes: what the levelling does to sequences of which everything is known."""

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skylapse_processor import tone
from skylapse_processor.errors import RequestError
from skylapse_processor.frames import ExposureFacts, SourceFrame
from skylapse_processor.recipe import ORDER, RECIPES, STEPS, changes_of, cook, steps_of
from skylapse_processor.recipe.deflicker import (
    CAP_EV,
    deflicker,
    estimate_exposure,
    needs_measuring,
    residual_of,
)
from skylapse_processor.recipe.layer import Latent
from skylapse_processor.recipe.level import balance, level
from skylapse_processor.recipe.look import KNEE, Look, apply, s_curve, shoulder
from skylapse_processor.recipe.parameters import Changes
from skylapse_processor.recipe.plan import Curve, Plan, make, pick
from skylapse_processor.recipe.smooth import flicker_mev, smooth, smooth_robust

from .pictures import START, Evening, evening

OF_ALL_FRAMES = ("clean", "cinematic", "raw", "3d-print")
CALM = st.floats(-12, 12, allow_nan=False)


def _plan(exposure_ev: Curve, *, rounded_ev: float = 0.0, log_mean: Curve | None = None) -> Plan:
    frames = tuple(
        SourceFrame(
            path=Path(f"{number}.jpg"),
            name=f"{number}.jpg",
            facts=ExposureFacts(exposure_us=1000 * 2.0**ev, gain=1.0, rounded_ev=rounded_ev)
            if np.isfinite(ev)
            else None,
        )
        for number, ev in enumerate(exposure_ev)
    )
    plan = make(frames)
    return plan if log_mean is None else replace(plan, log_mean=log_mean)


def _film(plan: Plan, seen: Evening) -> Curve:
    return seen.light_ev + seen.exposure_ev + plan.gain_ev[:, 1]


def _kept(film: Curve, seen: Evening) -> float:
    """Return the share of the clouds that the film shows: its regression on cloud and a slow drift."""
    place = np.linspace(-1, 1, len(film))
    columns = np.stack([seen.cloud_ev, *(place**power for power in range(5))], axis=1)
    return float(np.linalg.lstsq(columns, film)[0][0])


@given(level_ev=CALM, slope=st.floats(-0.1, 0.1), count=st.integers(1, 80), sigma=st.floats(1, 60))
@settings(max_examples=60, deadline=None)
def test_a_straight_line_is_its_own_smooth_curve(
    level_ev: float, slope: float, count: int, sigma: float
) -> None:
    place = np.arange(count, dtype=float)
    line = level_ev + slope * place
    assert smooth(place, line, sigma) == pytest.approx(line, abs=1e-4)
    assert smooth(place, line, sigma, degree=2) == pytest.approx(line, abs=1e-3)


def test_a_robust_fit_does_not_follow_a_flash() -> None:
    place = np.arange(60, dtype=float)
    values = 0.01 * place
    values[30] += 3
    assert smooth_robust(place, values, 4.0)[30] == pytest.approx(0.3, abs=0.01)


def test_a_gap_has_no_weight() -> None:
    values = np.arange(40, dtype=float)
    values[[5, 6, 20]] = np.nan
    assert smooth(np.arange(40, dtype=float), values, 5.0) == pytest.approx(np.arange(40), abs=1e-3)


@given(
    exposure_ev=CALM,
    brightness=st.floats(-8, -0.5),
    count=st.integers(1, 60),
    rounded=st.sampled_from([0.0, 0.01]),
)
@settings(max_examples=60, deadline=None)
def test_a_constant_sequence_is_left_alone(
    exposure_ev: float, brightness: float, count: int, rounded: float
) -> None:
    plan = _plan(np.full(count, exposure_ev), rounded_ev=rounded, log_mean=np.full(count, brightness))
    cooked = cook(plan, steps_of("clean", {}))
    assert np.abs(cooked.gain_ev).max() < 1e-4
    assert Look(cooked).tables(0) is None


@given(st.lists(CALM, min_size=1, max_size=60), st.sampled_from(OF_ALL_FRAMES), st.sampled_from([0.0, 0.01]))
@settings(max_examples=60, deadline=None)
def test_recipes_that_choose_no_frames_keep_them_all(
    exposures: list[float], recipe: str, rounded_ev: float
) -> None:
    count = len(exposures)
    plan = replace(
        _plan(np.array(exposures), rounded_ev=rounded_ev, log_mean=np.linspace(-3, -2, count)),
        colour_ev=np.random.default_rng(count).normal(0, 0.1, (count, 2)),
    )
    cooked = cook(plan, steps_of(recipe, {}))
    assert cooked.frames == plan.frames
    assert cooked.gain_ev.shape == (len(exposures), 3)
    assert np.isfinite(cooked.gain_ev).all()


@given(st.lists(st.floats(-10, 0), min_size=5, max_size=80), st.floats(0, 0.5))
@settings(max_examples=60, deadline=None)
def test_the_residual_never_exceeds_its_cap(brightness: list[float], cap_ev: float) -> None:
    plan = _plan(np.zeros(len(brightness)), rounded_ev=0.01, log_mean=np.array(brightness))
    levelled = replace(plan, levelled_by="exif")
    corrected = deflicker(levelled, cap_ev=cap_ev)
    assert np.abs(corrected.gain_ev).max() <= cap_ev + 1e-9


def test_records_take_out_the_exposure_and_leave_the_clouds() -> None:
    seen = evening(300)
    plan = level(_plan(seen.exposure_ev))
    assert plan.levelled_by == "records"
    film = _film(plan, seen)
    assert flicker_mev(seen.light_ev + seen.exposure_ev) > 40
    assert flicker_mev(film - seen.light_ev) < 2
    assert _kept(film, seen) > 0.8


def test_rounded_exposure_is_refined_by_the_pictures() -> None:
    seen = evening(300)
    stated = seen.exposure_ev + np.random.default_rng(3).uniform(-0.01, 0.01, 300)
    plan = _plan(stated, rounded_ev=0.01, log_mean=seen.light_ev + seen.exposure_ev)
    cooked = cook(plan, steps_of("clean", {}))
    assert cooked.levelled_by == "exif"
    film = _film(cooked, seen)
    assert flicker_mev(film - seen.light_ev) < flicker_mev(_film(level(plan), seen) - seen.light_ev) / 2
    assert flicker_mev(film - seen.light_ev) < 4
    assert _kept(film, seen) > 0.75


def test_without_facts_the_jumps_tell_the_exposure() -> None:
    seen = evening(300)
    plan = _plan(np.full(300, np.nan), log_mean=seen.light_ev + seen.exposure_ev)
    cooked = cook(plan, steps_of("clean", {}))
    assert cooked.levelled_by == "pictures"
    assert flicker_mev(_film(cooked, seen) - seen.light_ev) < 5


def test_a_print_under_a_lamp_is_as_steady_as_a_lamp_should_be() -> None:
    rng = np.random.default_rng(4)
    lamp = 0.04 * rng.standard_normal(200) + 0.1 * np.sin(np.arange(200) / 2)
    plan = _plan(np.full(200, np.nan), log_mean=-3 + lamp)
    figures = {}
    for recipe in ("clean", "3d-print"):
        cooked = cook(plan, steps_of(recipe, {}))
        figures[recipe] = flicker_mev(plan.log_mean + cooked.gain_ev[:, 1])
    assert figures["3d-print"] < flicker_mev(plan.log_mean) / 4
    assert figures["3d-print"] <= figures["clean"]


def test_steps_that_come_thick_and_fast_are_no_trap() -> None:
    place = np.arange(120)
    light = -0.0008 * place**2
    exposure = np.floor(np.maximum(0.0, 0.0008 * (place - 3.0) ** 2) * 3) / 3
    plan = _plan(np.full(120, np.nan), log_mean=light + exposure)
    cooked = cook(plan, steps_of("clean", {}))
    film = light + exposure + cooked.gain_ev[:, 1]
    assert flicker_mev(film) < flicker_mev(light + exposure) / 5
    assert np.ptp(film) < 2


def test_exif_that_is_wrong_is_not_believed() -> None:
    seen = evening(200)
    lies = np.random.default_rng(5).normal(0, 0.5, 200)
    plan = _plan(lies, rounded_ev=0.01, log_mean=seen.light_ev + seen.exposure_ev)
    cooked = cook(plan, steps_of("clean", {}))
    assert cooked.levelled_by == "pictures"
    assert flicker_mev(_film(cooked, seen)) < flicker_mev(seen.light_ev + seen.exposure_ev)


@pytest.mark.parametrize("rounded_ev", [0.0, 0.01])
@pytest.mark.parametrize("wrong_ev", [1.0, -1.0, 0.5, -3.0])
@pytest.mark.parametrize("place", [slice(0, 1), slice(33, 34), slice(40, 43), slice(59, 60)])
def test_a_believable_lie_of_a_record_is_no_flash_in_the_film(
    place: slice, wrong_ev: float, rounded_ev: float
) -> None:
    seen = evening(60)
    bright = seen.light_ev + seen.exposure_ev
    told = seen.exposure_ev.copy()
    told[place] += wrong_ev
    cooked = cook(_plan(told, rounded_ev=rounded_ev, log_mean=bright), steps_of("clean", {}))
    true = cook(_plan(seen.exposure_ev, rounded_ev=rounded_ev, log_mean=bright), steps_of("clean", {}))
    assert cooked.denied == tuple(range(place.start, place.stop))
    assert np.abs(cooked.gain_ev - true.gain_ev).max() < 0.1


def _at_random(exposure: Curve) -> Curve:
    rng = np.random.default_rng(2)
    return np.where(rng.random(len(exposure)) < 0.5, -3.3, exposure)


LIES: dict[str, Callable[[Curve], Curve]] = {
    "every other the same": lambda exposure: np.where(np.arange(len(exposure)) % 2, -3.3, exposure),
    "half of them, anywhere": _at_random,
    "the first half": lambda exposure: np.where(np.arange(len(exposure)) < len(exposure) / 2, -3.3, exposure),
    "ten in a row": lambda exposure: exposure + ((np.arange(len(exposure)) // 10) == 2),
    "all, at random": lambda exposure: np.random.default_rng(3).uniform(-4, 4, len(exposure)),
}


@pytest.mark.parametrize("rounded_ev", [0.0, 0.01])
@pytest.mark.parametrize("lie", list(LIES))
def test_many_believable_lies_do_no_more_harm_than_no_facts(lie: str, rounded_ev: float) -> None:
    seen = evening(80)
    plan = _plan(
        LIES[lie](seen.exposure_ev), rounded_ev=rounded_ev, log_mean=seen.light_ev + seen.exposure_ev
    )
    film = _film(cook(plan, steps_of("clean", {})), seen)
    assert flicker_mev(film - seen.light_ev) < 5
    assert np.abs(np.diff(film - seen.light_ev)).max() < 0.1


def _gusts(count: int) -> Curve:
    return np.interp(np.arange(count), np.arange(0, count, 6), _NOISE.uniform(-1, 0, -(-count // 6)))


_NOISE = np.random.default_rng(3)
_PLACE = np.arange(180)
LIGHTS: dict[str, Curve] = {
    "clouds that race": -0.01 * _PLACE + _gusts(180),
    "sun and shadow": np.repeat(_NOISE.choice([-1.0, 0.0], 18), 10),
    "lightning": np.where(np.isin(_PLACE, [50, 90]), 3.0, -0.01 * _PLACE),
    "a lamp": np.where(_PLACE < 100, 0.0, 4.0),
    "a dusk that falls fast": np.asarray(-12 / (1 + np.exp(-(_PLACE - 90) / 8)), dtype=np.float64),
}


@pytest.mark.parametrize("light", list(LIGHTS))
def test_light_that_is_true_is_taken_for_no_lie(light: str) -> None:
    lit = LIGHTS[light]
    answer: Curve = np.zeros(len(lit))
    answer -= np.round(np.concatenate([np.repeat(lit[:1], 3), lit[:-3]]) * 3) / 3
    answer[:3] += [3, 2, 1]
    plan = _plan(answer, log_mean=np.add(lit, answer))
    cooked = cook(plan, steps_of("clean", {}))
    unseen = cook(_plan(answer), steps_of("clean", {}))
    assert (cooked.levelled_by, cooked.denied) == ("records", ())
    assert cooked.gain_ev == pytest.approx(unseen.gain_ev)


def test_pictures_are_asked_only_where_exposures_move_as_lies_do() -> None:
    quiet: Curve = np.add(0.02 * np.arange(60), np.where(np.arange(60) < 30, 0.0, 1 / 3))
    assert not needs_measuring(_plan(quiet))
    assert not needs_measuring(_plan(quiet + 2.0 * (np.arange(60) == 30), log_mean=np.zeros(60)))
    for place in (0, 30, 59):
        assert needs_measuring(_plan(quiet + 0.5 * (np.arange(60) == place)))
    assert needs_measuring(_plan(np.where(np.arange(60) < 30, quiet, -5)))


def test_a_few_frames_without_facts_are_filled_in_from_their_brightness() -> None:
    seen = evening(120)
    stated = seen.exposure_ev.copy()
    stated[[10, 50, 51, 90]] = np.nan
    plan = _plan(stated, log_mean=seen.light_ev + seen.exposure_ev)
    assert needs_measuring(plan)
    cooked = cook(plan, steps_of("clean", {}))
    assert flicker_mev(_film(cooked, seen) - seen.light_ev) < 4


def test_a_lamp_that_goes_on_stays_on() -> None:
    brightness = np.where(np.arange(80) < 40, -6.0, -2.0)
    assert np.ptp(estimate_exposure(brightness)) < 0.01


def test_too_few_frames_have_no_residual() -> None:
    assert residual_of(np.arange(3.0), np.array([0.0, 1.0, 0.0])).tolist() == [0, 0, 0]


def test_white_balance_jumps_are_taken_out() -> None:
    gains = [(2.0 + 0.2 * (number % 2), 1.5) for number in range(60)]
    frames = tuple(
        SourceFrame(path=Path("x"), name=f"{number}", facts=ExposureFacts(colour_gains=pair))
        for number, pair in enumerate(gains)
    )
    plan = balance(make(frames))
    red = np.log2([pair[0] for pair in gains]) + plan.gain_ev[:, 0]
    assert np.ptp(red[10:50]) < 0.005
    assert np.abs(plan.gain_ev[:, 1:]).max() < 1e-6


def test_white_balance_that_nobody_recorded_is_seen_in_the_pictures() -> None:
    place = np.arange(120)
    sunset = 0.004 * place
    jumps = 0.06 * ((place // 7) % 2)
    plan = replace(
        _plan(np.zeros(120), rounded_ev=0.01, log_mean=np.full(120, -3.0)),
        colour_ev=np.stack([sunset + jumps, -sunset], axis=1),
    )
    cooked = cook(plan, steps_of("clean", {}))
    red = plan.colour_ev[:, 0] + cooked.gain_ev[:, 0] - cooked.gain_ev[:, 1]
    assert flicker_mev(red) < flicker_mev(plan.colour_ev[:, 0]) / 5
    assert red[110] - red[10] == pytest.approx(0.4, abs=0.06), "the sunset stays red"


def test_the_cap_of_the_residual_is_the_documented_one() -> None:
    assert CAP_EV == 0.15


@given(white=st.floats(1, 8), light=st.lists(st.floats(0, 8), min_size=2, max_size=20))
def test_the_shoulder_keeps_order_shadows_and_the_scale(white: float, light: list[float]) -> None:
    linear = np.sort(np.array([*light, 0.0, KNEE]))
    bent = shoulder(linear, white)
    assert (np.diff(bent) >= -1e-12).all()
    assert bent.max() <= 1 + 1e-12
    below = linear <= KNEE
    assert bent[below] == pytest.approx(linear[below])
    assert shoulder(np.array([white]), white) == pytest.approx([1.0])


def test_one_stop_is_one_stop_in_linear_light_and_dither_adds_no_bias() -> None:
    frames = tuple(
        SourceFrame(path=Path("x"), name=f"{number}", facts=ExposureFacts(tone_curve="imx219"))
        for number in (1, 2)
    )
    plan = replace(make(frames), gain_ev=np.array([[-1.0] * 3, [0.0] * 3]))
    tables = Look(plan).tables(0)
    assert tables is not None
    codes = np.random.default_rng(1).integers(40, 230, (3, 120, 160), dtype=np.uint8)
    planes = (codes[0].copy(), codes[1].copy(), codes[2].copy())
    apply(tables, planes)
    linear = tone.linear_table("imx219")
    assert linear[planes[0]].mean() / linear[codes[0]].mean() == pytest.approx(0.5, rel=0.002)


@pytest.mark.parametrize("gain_ev", [-0.5, 0.0, 0.4])
def test_light_that_layers_hand_on_is_shown_as_codes_are_by_the_short_way(gain_ev: float) -> None:
    facts = ExposureFacts(tone_curve="imx219")
    frames = tuple(SourceFrame(path=Path("x"), name=name, facts=facts) for name in ("a", "b"))
    plan = replace(make(frames), gain_ev=np.array([[gain_ev] * 3, [0.1] * 3]), contrast=0.2)
    codes = np.random.default_rng(1).integers(0, 256, (3, 120, 160), dtype=np.uint8)
    look = Look(plan)
    for fade in (1.0, 0.4):
        tables = look.tables(0, fade)
        assert tables is not None
        short = (codes[0].copy(), codes[1].copy(), codes[2].copy())
        apply(tables, short)
        linear = np.outer(np.exp2(plan.gain_ev[0]), tone.linear_table("imx219")).astype(np.float32)
        long = (np.empty_like(codes[0]), np.empty_like(codes[1]), np.empty_like(codes[2]))
        look.show(Latent(codes=tuple(codes), tables=linear).light(), 0, long, fade)
        away = np.array(short).astype(int) - np.array(long)
        assert np.abs(away).max() <= 1
        assert np.abs(away).mean() < 0.01


def test_the_s_curve_holds_black_white_and_middle_grey() -> None:
    ends = np.array([0.0, 0.46, 1.0])
    assert s_curve(ends, 0.5) == pytest.approx(ends, abs=1e-6)
    assert (np.diff(s_curve(np.linspace(0, 1, 100), 1.0)) >= -1e-9).all()


def test_frames_are_placed_by_their_time() -> None:
    times = [0, 15, 30, 300, 315, 330]
    frames = tuple(
        SourceFrame(
            path=Path("x"), name=str(time), captured_at=START.replace(minute=time // 60, second=time % 60)
        )
        for time in times
    )
    assert make(frames).position.tolist() == [0, 1, 2, 20, 21, 22]


@pytest.mark.parametrize(
    ("recipe", "parameters", "place"),
    [
        ("none", {}, "recipe"),
        ("clean", {"levels": {}}, "parameters.levels"),
        ("clean", [], "parameters"),
        ("clean", {"level": 3}, "parameters.level"),
        ("clean", {"level": {"sigma": 3}}, "parameters.level.sigma"),
        ("clean", {"level": {"sigma_frames": 0}}, "parameters.level.sigma_frames"),
        ("clean", {"level": {"sigma_frames": "40"}}, "parameters.level.sigma_frames"),
        ("clean", {"level": {"sigma_frames": float("nan")}}, "parameters.level.sigma_frames"),
        ("clean", {"select": {"every": 1.5}}, "parameters.select.every"),
        ("startrail", {"hdr": True}, "recipe"),
        ("focus", {"startrail": True}, "recipe"),
    ],
)
def test_what_a_recipe_does_not_know_is_refused_by_its_place(
    recipe: str, parameters: Any, place: str
) -> None:
    with pytest.raises(RequestError) as caught:
        steps_of(recipe, parameters)
    assert caught.value.field == place


def test_a_step_can_be_added_in_its_place_and_left_out() -> None:
    changes: Changes = {"fade": {"frames": 3}, "level": True, "crop": {"aspect": "1:1"}}
    assert [step.kind for step in steps_of("raw", changes)] == ["select", "level", "crop", "fade"]
    whole = [step.kind for step in steps_of("cinematic", {})]
    left = [step.kind for step in steps_of("cinematic", {"balance": False, "fade": False})]
    assert left == [kind for kind in whole if kind not in ("balance", "fade")]
    assert len(left) == len(whole) - 2


def test_every_step_has_its_place_and_defaults_that_are_allowed() -> None:
    assert set(STEPS) <= set(ORDER)
    for recipe, rows in RECIPES.items():
        changes: Changes = {step.kind: step.parameters for step in rows}
        assert set(changes) == {step.kind for step in steps_of(recipe, changes)}
    for kind in STEPS.values():
        given = inspect.signature(kind.run).parameters
        assert set(kind.parameters) == set(given) - {"plan"}
        for name, parameter in kind.parameters.items():
            assert parameter.wrong(given[name].default) is None, name


def test_words_of_a_command_line_are_values_of_their_kind() -> None:
    words = ["level.sigma_frames=40", "level=on", "level.sigma_frames=30", "fade.frames=5", "deflicker=off"]
    assert changes_of(words) == {"level": {"sigma_frames": 30}, "fade": {"frames": 5}, "deflicker": False}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("sigma=3", "sigma=3: names no step: there are select, level"),
        ("level.sigma=3", "level.sigma: is no parameter: level has sigma_frames"),
        ("level.sigma_frames", "is not of the form step.parameter=value"),
        ("level=3", "is not of the form step.parameter=value"),
    ],
)
def test_words_that_mean_nothing_are_refused(word: str, said: str) -> None:
    with pytest.raises(RequestError, match=re.escape(said)):
        changes_of([word])


def test_every_nth_frame_can_be_selected() -> None:
    plan = _plan(np.arange(10.0))
    cooked = cook(plan, steps_of("clean", {"select": {"every": 3}}))
    assert [frame.name for frame in cooked.frames] == ["0.jpg", "3.jpg", "6.jpg", "9.jpg"]


def test_frames_that_were_denied_are_known_by_their_new_numbers() -> None:
    plan = replace(make(tuple(SourceFrame(path=Path("x"), name=f"{n}.jpg") for n in range(6))), denied=(1, 4))
    assert pick(plan, np.array([0, 2, 4, 5])).denied == (2,)
