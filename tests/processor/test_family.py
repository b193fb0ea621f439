"""Weather is family; what is odd is what no weather does."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import cv2
import numpy as np
import pytest

from skylapse_processor.watch.camera import Watch

from .skies import NOON, Codes, glance_at, pixels_at, see, taught, verdicts_of_taught

LATER = timedelta(minutes=2)


def spoilt(pixels: Codes, how: str) -> Codes:
    """A picture that something is wrong with."""
    random = np.random.default_rng(3)
    match how:
        case "pink":
            return np.asarray((pixels * np.array([1.0, 0.45, 0.9])).astype(np.uint8))
        case "covered":
            hand = pixels.copy()
            hand[:, 60:200] = random.normal(6, 2, hand[:, 60:200].shape).clip(0, 255)
            return hand
        case "torn":
            steps = [int(random.integers(pixels.shape[1])) for _row in pixels]
            return np.stack([np.roll(row, step, axis=0) for row, step in zip(pixels, steps, strict=True)])
        case "burnt out":
            return (255 * np.minimum(16 * (pixels / 255) ** 2.2, 1) ** (1 / 2.2)).astype(np.uint8)
    return (pixels + random.normal(0, 60, pixels.shape)).clip(0, 255).astype(np.uint8)


def lit(pixels: Codes, stops: float, part: slice = slice(None)) -> Codes:
    """A picture, or some rows of it, in more light or less."""
    changed = (pixels / 255.0) ** 2.2
    changed[part] *= 2.0**stops
    return np.asarray((255 * np.minimum(changed, 1) ** (1 / 2.2)).astype(np.uint8))


def test_three_days_of_weather_hold_nothing_odd() -> None:
    assert Counter(verdicts_of_taught()) == Counter(good=len(verdicts_of_taught()))


@pytest.mark.parametrize("how", ["pink", "covered", "torn", "burnt out", "noise"])
def test_what_no_weather_does_is_odd_and_the_next_picture_is_good(how: str) -> None:
    watch = taught()
    assert see(watch, NOON) == "good"
    pixels, facts = pixels_at(NOON + LATER)
    verdict = watch.see(glance_at(spoilt(pixels, how)), facts)
    assert verdict.kind == "odd"
    assert verdict.reason
    assert see(watch, NOON + 2 * LATER) == "good"


@pytest.mark.parametrize("hours", [0.0, 6.3], ids=["noon", "dusk"])
@pytest.mark.parametrize(
    ("stops", "part"),
    [(-2.0, slice(None)), (-3.0, slice(None)), (1.0, slice(None)), (1.5, slice(100, None))],
    ids=["storm", "downpour", "hazy sun", "snow on the ground"],
)
def test_sudden_weather_is_not_odd(hours: float, stops: float, part: slice) -> None:
    watch, start = taught(), NOON + timedelta(hours=hours)
    assert see(watch, start) == "good"
    pixels, facts = pixels_at(start + LATER)
    assert facts.exposure_ev is not None
    metered = replace(facts, exposure_ev=facts.exposure_ev - stops)
    for changed, said in ((lit(pixels, stops, part), facts), (pixels, metered)):
        assert watch.see(glance_at(changed), said).kind == "good"


@pytest.mark.parametrize("fault", [{"fog": 0.9}, {"dew": 1.0}, {"droplets": 20}, {"drift_dioptre": 1.5}])
def test_what_stands_before_the_lens_is_not_odd(fault: dict[str, Any]) -> None:
    watch = taught()
    assert see(watch, NOON) == "good"
    assert see(watch, NOON + LATER, **fault) == "good"


@pytest.mark.parametrize("stops", [3.0, 7.0], ids=["half a moon", "full moon and snow"])
def test_a_moonlit_night_is_not_odd(stops: float) -> None:
    watch, midnight = taught(), NOON + timedelta(hours=9)
    assert see(watch, midnight) == "good"
    pixels, facts = pixels_at(midnight + LATER)
    assert facts.exposure_ev is not None
    moonlit = replace(facts, exposure_ev=facts.exposure_ev - stops)
    assert watch.see(glance_at(lit(pixels, 1.0)), moonlit).kind == "good"


def test_what_stays_is_how_things_are() -> None:
    watch = taught()
    see(watch, NOON)
    told = []
    for number in range(1, 12):
        pixels, facts = pixels_at(NOON + LATER * number)
        told.append(watch.see(glance_at(spoilt(pixels, "pink")), facts).kind)
    assert told == ["odd"] * 5 + ["good"] * 6


def test_a_lens_that_was_focused_anew_costs_one_window_its_beginning() -> None:
    watch, odd = Watch(), list[int]()
    for day in range(6):
        told = []
        for number in range(8):
            pixels, facts = pixels_at(NOON + timedelta(days=day, minutes=4 * number))
            soft = cv2.GaussianBlur(pixels, (0, 0), 2.5) if day < 3 else pixels
            told.append(watch.see(glance_at(np.asarray(soft, dtype=np.uint8)), facts).kind)
        odd.append(told.count("odd"))
    assert odd == [0, 0, 0, 3, 0, 0]


def test_without_history_or_without_the_sun_nothing_is_odd() -> None:
    pixels, facts = pixels_at(NOON)
    seen = glance_at(spoilt(pixels, "pink"))
    assert Watch().see(seen, facts).kind == "good"
    assert taught().see(seen, replace(facts, elevation_deg=None)).kind == "good"


def test_a_late_picture_is_good_unless_blank_and_teaches_nothing() -> None:
    watch = taught()
    see(watch, NOON)
    pixels, facts = pixels_at(NOON - timedelta(hours=1))
    assert watch.see(glance_at(spoilt(pixels, "pink")), facts).kind == "good"
    assert watch.see(glance_at(np.zeros_like(pixels)), facts).kind == "blank"
    assert watch.seen_at == NOON
    assert watch.run is None


def test_a_clock_that_was_ahead_once_does_not_make_all_that_follows_late() -> None:
    watch = taught()
    pixels, facts = pixels_at(NOON)
    assert facts.elevation_deg is not None
    ahead = replace(facts, captured_at=NOON + timedelta(days=1800), elevation_deg=facts.elevation_deg / 4)
    watch.see(glance_at(pixels), ahead)
    told = []
    for number in range(1, 12):
        pixels, facts = pixels_at(NOON + LATER * number)
        told.append(watch.see(glance_at(spoilt(pixels, "pink")), facts).kind)
    assert told == ["odd"] * 5 + ["good"] * 6
    assert watch.seen_at == NOON + LATER * 11
