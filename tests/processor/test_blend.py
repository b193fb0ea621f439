"""A shutter in linear light, and frames between pictures, held to pictures of which the truth is known."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skylapse_processor import decode, tone
from skylapse_processor.errors import RequestError
from skylapse_processor.frames import SourceFrame, read_folder
from skylapse_processor.recipe.blend import MOST_HELD, Blend, blend, weight
from skylapse_processor.recipe.interpolate import Interpolate, between, interpolate
from skylapse_processor.recipe.layer import Layer, Light, Picture, Size
from skylapse_processor.recipe.plan import Plan, make
from skylapse_processor.render import RenderRequest, render_film
from skylapse_processor.stack import Stack

from .pictures import START, evening, film_frames, write_evening
from .test_stack import Frames

SIZE = (64, 36)


def _plan(count: int, minutes: Sequence[float] = ()) -> Plan:
    frames = tuple(SourceFrame(path=Path(f"{n}"), name=f"{n}") for n in range(count))
    plan = make(frames)
    return replace(plan, position=np.array(minutes)) if minutes else plan


def _shown(plan: Plan, frames: Frames | None = None) -> list[float]:
    stack = Stack(frames or Frames(), len(plan.frames), SIZE, plan.layers)
    return [float(stack.picture(number).light.mean()) for number in range(stack.count)]


@given(distance=st.floats(-3, 3), opening=st.floats(0.01, 8))
@settings(max_examples=60, deadline=None)
def test_weights_are_the_integral_of_the_hat(distance: float, opening: float) -> None:
    times = np.linspace(-opening / 2, opening / 2, 4001)
    expected = np.trapezoid(np.maximum(0.0, 1 - np.abs(times - distance)), times) / opening
    assert weight(distance, opening) == pytest.approx(expected, abs=1e-3)
    assert sum(weight(n - distance % 1, opening) for n in range(-12, 13)) == pytest.approx(1)


def test_half_an_opening_is_the_picture_and_a_little_of_both_neighbours() -> None:
    assert [weight(d, 0.5) for d in (-1, 0, 1)] == pytest.approx([0.0625, 0.875, 0.0625])
    assert [weight(d, 1.0) for d in (-1, 0, 1)] == pytest.approx([0.125, 0.75, 0.125])


def test_a_closed_shutter_shows_the_pictures_and_an_open_one_their_mean() -> None:
    assert _shown(blend(_plan(6), shutter_deg=0)) == pytest.approx(range(6), abs=0.01)
    assert _shown(blend(_plan(12), shutter_deg=360, every=4)) == pytest.approx([1.5, 5.5, 9.5], abs=0.1)
    flash = blend(_plan(9), shutter_deg=720)
    assert _shown(flash)[4] == pytest.approx(4.0, abs=0.01)


def test_light_is_added_not_what_a_tone_curve_makes_of_it() -> None:
    class Blinking(Frames):
        def __call__(self, number: int, size: Size) -> Light:
            return super().__call__(number, size) * 0 + np.float32(number % 2)

    assert _shown(blend(_plan(8), shutter_deg=360, every=2), Blinking()) == pytest.approx([0.5] * 4, abs=0.13)


def test_a_broken_picture_and_a_gap_in_time_are_left_out() -> None:
    broken = _shown(blend(_plan(7), shutter_deg=720), Frames(frozenset({3})))
    assert broken[3] == pytest.approx(3.0, abs=0.01), "its neighbours make up for it"
    gap = _shown(blend(_plan(6, [0, 1, 2, 500, 501, 502]), shutter_deg=720))
    assert gap[2] == pytest.approx((0.25 * 1 + 0.5 * 2) / 0.75, abs=0.02)
    assert gap[3] == pytest.approx((0.5 * 3 + 0.25 * 4) / 0.75, abs=0.02)


def _lengthened(count: int, length_s: float, **parameters: str) -> Plan:
    return interpolate(_plan(count), length_s=length_s, rate=10, **parameters)


@pytest.mark.parametrize("method", ["flow", "blend"])
def test_a_film_of_too_few_pictures_is_filled_up_evenly(method: str) -> None:
    plan = _lengthened(6, 1.1, method=method)
    assert plan.rate == 10
    assert _shown(plan) == pytest.approx(np.linspace(0, 5, 11), abs=0.02)


def test_a_film_of_too_many_pictures_drops_or_merges_them_evenly() -> None:
    assert _shown(_lengthened(12, 0.3)) == pytest.approx([1, 5, 9])
    assert _shown(_lengthened(12, 0.3, surplus="merge")) == pytest.approx([1.5, 5.5, 9.5], abs=0.2)
    assert len(_shown(_lengthened(12, 0.05))) == 1


def test_a_broken_picture_is_bridged() -> None:
    plan = _lengthened(6, 1.1)
    assert _shown(plan, Frames(frozenset({2})))[3:6] == pytest.approx([1.0, 3.0, 3.0])


@pytest.mark.parametrize(
    ("count", "length_s", "method", "said"),
    [
        (5, 20, "auto", "200 frames: of 5 pictures at most 8.0 s can be made"),
        (5, 2, "flow", "flow makes at most 2 frames of each picture, and this film wants 4.0"),
        (5, 0, "auto", "is missing, and so is the length of the film"),
    ],
)
def test_nonsense_is_refused(count: int, length_s: float, method: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        _lengthened(count, length_s, method=method)


def _light(frame: SourceFrame) -> Light:
    pixels = decode.decode(frame.path.read_bytes(), frame.name)
    assert frame.facts is not None
    table = tone.linear_table(frame.facts.tone_curve).astype(np.float32)
    return np.ascontiguousarray(np.moveaxis(table[pixels], 2, 0))


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return seven pictures of the twin: clouds on their way over a landscape."""
    folder = tmp_path_factory.mktemp("clouds")
    words = ["twin", "--out", str(folder), "--frames", "7", "--size", "480x270", "--exposure", "constant"]
    subprocess.run([sys.executable, "-m", "skylapse_bridge", *words], check=True, stdout=subprocess.DEVNULL)
    return folder


def _psnr(shown: Light, true: Light) -> float:
    error = np.sqrt(np.clip(shown, 0, 1)) - np.sqrt(np.clip(true, 0, 1))
    return float(-10 * np.log10(np.mean(error**2)))


def test_following_what_moves_is_nearer_to_the_truth_than_a_cross_fade(clouds: Path) -> None:
    lights = [_light(frame) for frame in read_folder(clouds).frames]
    followed, faded = [], []
    for number in range(1, len(lights) - 1):
        before, true, after = lights[number - 1 : number + 2]
        beside = [
            Picture(light=each * np.float32(true.mean() / each.mean()), number=place, frame=place)
            for place, each in ((0, before), (1, after))
        ]
        followed.append(_psnr(between(beside[0], beside[1], 0.5), true))
        faded.append(_psnr(np.float32(0.5) * (beside[0].light + beside[1].light), true))
    assert np.mean(followed) > np.mean(faded) + 1.0
    assert min(np.array(followed) - faded) > 0, "no picture is worse for it"


def test_where_light_changes_and_nothing_moves_the_cross_fade_is_shown() -> None:
    rng = np.random.default_rng(1)
    first, second = (rng.uniform(0.2, 0.6, (3, 72, 128)).astype(np.float32) for _ in range(2))
    pictures = [Picture(light=each, number=n, frame=n) for n, each in enumerate((first, second))]
    shown = between(pictures[0], pictures[1], 0.5)
    assert np.sqrt(np.mean((shown - (first + second) / 2) ** 2)) < 0.06


def test_a_picture_made_strip_by_strip_is_the_one_that_is_made_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(2)
    coarse = rng.uniform(0.1, 0.7, (3, 24, 32)).astype(np.float32)
    grown = [cv2.resize(each, (320, 320), interpolation=cv2.INTER_CUBIC) for each in coarse]
    whole = np.array(grown, dtype=np.float32)
    first, second = (Picture(light=whole[:, 12 * n : 300 + 12 * n], number=n, frame=n) for n in range(2))
    by_strips = between(first, second, 0.5)
    monkeypatch.setattr(sys.modules[between.__module__], "_BAND", 300)
    assert np.abs(by_strips - between(first, second, 0.5)).max() < 1e-4


def test_layers_tell_how_many_pictures_they_make_and_ask_for_none_that_are_not_there() -> None:
    layers: list[tuple[Layer, int]] = [
        (Blend(opening=4.0, every=3, gaps=()), 11),
        (Interpolate(below=11, frames=29, flows=True, merges=False), 11),
        (Interpolate(below=11, frames=4, flows=False, merges=True), 11),
        (Interpolate(below=11, frames=4, flows=False, merges=False), 11),
    ]
    for layer, below in layers:
        firsts = []
        for number in range(layer.count(below)):
            needed = list(layer.needs(number, below))
            assert needed
            assert 0 <= needed[0] <= needed[-1] < below
            firsts.append(needed[0])
        assert firsts == sorted(firsts)


@pytest.mark.parametrize(
    ("layer", "below"),
    [
        (Blend(opening=20.0, every=1, gaps=()), 100),
        (Blend(opening=200.0, every=10, gaps=()), 900),
        (Blend(opening=20_000.0, every=1000, gaps=()), 60_000),
        (Blend(opening=500.0, every=1000, gaps=()), 9000),
        (Interpolate(below=900, frames=90, flows=False, merges=True), 900),
        (Interpolate(below=90_000, frames=30, flows=False, merges=True), 90_000),
    ],
)
def test_however_long_a_shutter_is_open_few_pictures_are_held_and_all_of_its_time_counts(
    layer: Layer, below: int
) -> None:
    middle = layer.count(below) // 2
    needed = [list(layer.needs(number, below)) for number in (middle, middle + 1)]
    assert len(needed[0]) > 8
    assert len(set(needed[0]) | set(needed[1])) <= MOST_HELD + 1
    steps = np.diff(needed[0])
    assert steps.min() == steps.max()
    wide = layer.opening if isinstance(layer, Blend) else below / layer.count(below)
    assert needed[0][-1] - needed[0][0] == pytest.approx(wide, rel=0.2)


def test_the_mean_of_very_many_is_that_of_all() -> None:
    assert _shown(blend(_plan(600), shutter_deg=360, every=200)) == pytest.approx([99.5, 299.5, 499.5], abs=6)


def test_a_stack_lets_go_of_pictures_as_soon_as_those_made_of_them_are_made() -> None:
    stack = Stack(Frames(), 60, (8, 4), [Blend(opening=4.0, every=4, gaps=())])
    stack.picture(1)
    stack.done(1)
    held = stack.kept
    assert held >= 4, "the first is not made yet"
    stack.picture(0)
    stack.done(0)
    assert stack.kept < held, "what only they needed is gone"
    stack.picture(2)
    stack.done(2)
    assert stack.kept <= 2


def test_a_film_gets_the_length_that_was_asked_for(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(12), facts="records")
    frames = read_folder(tmp_path / "in").frames
    assert frames[0].captured_at is not None
    assert frames[0].captured_at > START
    request = RenderRequest(
        frames=frames,
        output=tmp_path / "film.mp4",
        length_s=2.0,
        parameters={"interpolate": {"rate": 10}, "fade": {"frames": 2}, "overlay": {"text": "{frame}"}},
    )
    result = render_film(request, lambda _: None, lambda: False)
    assert (result.frames, result.rate, result.duration_s) == (20, 10, 2.0)
    shown = [float(frame.mean()) for frame in film_frames(tmp_path / "film.mp4")]
    assert shown[0] < shown[1] < shown[2], "fades are counted in frames of the film"
    assert shown[-1] < shown[-2] < shown[-3]
