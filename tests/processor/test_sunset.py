"""Sunsets of the computed camera: clouds that burn beat a clear sky, and both beat a grey lid."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_processor import decode
from skylapse_processor.decode import Pixels
from skylapse_processor.results import sunset

from .evenings_made import Camera, evening

CURVE = "imx519"


@cache
def pictures(clouds: float, seed: int) -> tuple[Pixels, ...]:
    """An evening's pictures."""
    moments = [evening(elevation) for elevation in (2.0, 0.0, -2.0, -4.0)]
    camera = Camera(size=(240, 134), seed=seed, clouds=clouds)
    return tuple(decode.decode(data, "frame") for data, _record in camera.frames(moments))


def worth(frames: tuple[Pixels, ...]) -> float:
    """What an evening with these pictures is worth."""
    judged = [sunset.judged(str(number), sunset.judge(each, CURVE)) for number, each in enumerate(frames)]
    return sunset.worth_of(sunset.best(judged))


def grey(frames: tuple[Pixels, ...]) -> tuple[Pixels, ...]:
    """The same under a lid: no colour, little contrast."""
    return tuple(
        np.repeat((90 + 0.1 * each.mean(axis=2, keepdims=True)).astype(np.uint8), 3, axis=2)
        for each in frames
    )


@pytest.mark.parametrize("seed", [1, 3, 7])
def test_burning_clouds_beat_a_clear_sky_and_both_beat_a_grey_lid(seed: int) -> None:
    burning, clear = pictures(0.8, seed), pictures(0.0, seed)
    assert worth(burning) > 1.3 * worth(clear) > 3 * worth(grey(burning))


def test_an_overexposed_sky_is_worth_less() -> None:
    frames = pictures(0.8, 3)
    blown = tuple(np.minimum(each.astype(np.int16) * 2, 255).astype(np.uint8) for each in frames)
    assert worth(blown) < 0.6 * worth(frames)


def test_exposure_alone_changes_the_colour_of_nothing() -> None:
    (frame, *_) = pictures(0.8, 3)
    darker = np.asarray(frame * 0.6, dtype=np.uint8)
    first, second = sunset.judge(frame, "srgb"), sunset.judge(darker, "srgb")
    assert second.warmth == pytest.approx(first.warmth, abs=0.12)
    assert second.colour == pytest.approx(first.colour, abs=0.12)


def test_the_sun_sinks_in_the_evening_and_rises_in_the_morning() -> None:
    times = np.arange(0.0, 3000.0, 300.0, dtype=np.float64)
    falling = np.linspace(3, -3, 10).astype(np.float32)
    asked_s = np.array([1500.0, 90_000.0])
    assert sunset.are_setting(asked_s, times, falling) == [True, None], "of the second nobody knows"
    assert sunset.are_setting(asked_s, times, falling[::-1]) == [False, None]
    assert sunset.are_setting(asked_s, times, np.full(10, np.nan, dtype=np.float32)) == [None, None]


def test_the_score_is_a_place_among_the_evenings_before() -> None:
    before = [0.01 * number for number in range(60)]
    assert sunset.score(0.9, before) > 0.95
    assert sunset.score(0.001, before) < 0.05
    assert 0.4 < sunset.score(0.3, before) < 0.6
    assert 0.3 < sunset.score(0.12, []) < 0.7


def test_no_share_is_told_of_evenings_that_nobody_knows() -> None:
    assert [sunset.told(0.8, known) for known in (0, 4)] == [None, None]
    assert [sunset.told(0.8, known) for known in (5, 60)] == [0.8, 0.8]


@given(st.floats(0, 1), st.floats(0, 1), st.lists(st.floats(0, 1), max_size=60))
def test_a_better_evening_never_scores_less(one: float, other: float, before: list[float]) -> None:
    low, high = sorted((one, other))
    assert 0 <= sunset.score(low, before) <= sunset.score(high, before) <= 1


def test_the_best_frames_are_kept_once_however_often_they_are_judged() -> None:
    parts = [
        sunset.Parts(colour=share, warmth=1.0, clouds=1.0, exposure=1.0) for share in (0.2, 0.9, 0.5, 0.7)
    ]
    judged = [sunset.judged(f"frame-{number}", each) for number, each in enumerate(parts)]
    kept = sunset.best([*judged, *reversed(judged)])
    assert [each["frame"] for each in kept] == ["frame-1", "frame-3", "frame-2"]
    assert sunset.worth_of(kept) == pytest.approx(0.7, abs=0.001)
