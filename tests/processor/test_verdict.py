"""Pictures that show nothing, and honest ones that show little."""

from datetime import timedelta

import numpy as np
import pytest

from skylapse_processor.watch.camera import Watch
from skylapse_processor.watch.facts import Facts

from .skies import NOON, Codes, glance_at, pixels_at

SHAPE = (162, 288, 3)
DAY = Facts(captured_at=NOON, exposure_ev=10.0, elevation_deg=40.0)
NIGHT = Facts(captured_at=NOON, exposure_ev=27.0, elevation_deg=-30.0)
NOBODY_KNOWS = Facts(captured_at=NOON)
LONG = Facts(captured_at=NOON, exposure_ev=27.0, elevation_deg=40.0)
"""As an exposure that finds no light by day."""


def noise(level: float, deviation: float) -> Codes:
    """Nothing but noise."""
    drawn = np.random.default_rng(5).normal(level, deviation, SHAPE)
    return drawn.clip(0, 255).astype(np.uint8)


def flat(*colour: int) -> Codes:
    """One colour."""
    return np.broadcast_to(np.array(colour, np.uint8), SHAPE)


@pytest.mark.parametrize(
    ("pixels", "facts", "reason"),
    [
        (noise(255, 1), DAY, "white"),
        (noise(255, 1), NOBODY_KNOWS, "white"),
        (noise(1, 0.5), DAY, "black"),
        (noise(9, 5), LONG, "capped"),
        (noise(30, 15), LONG, "capped"),
        (flat(190, 40, 200), DAY, "one even colour"),
        (flat(128, 128, 128), NIGHT, "one even colour"),
        (flat(0, 0, 0), NOBODY_KNOWS, "black"),
        (flat(0, 0, 0), Facts(captured_at=NOON, elevation_deg=40.0), "black"),
    ],
)
def test_what_shows_nothing_is_blank(pixels: Codes, facts: Facts, reason: str) -> None:
    verdict = Watch().see(glance_at(pixels), facts)
    assert verdict.kind == "blank"
    assert verdict.reason is not None
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("pixels", "facts"),
    [
        (noise(3, 2), NIGHT),
        (noise(1, 0.5), NIGHT),
        (flat(0, 0, 0), NIGHT),
        (noise(3, 2), NOBODY_KNOWS),
        (noise(140, 3), DAY),
        (pixels_at(NOON)[0], LONG),
    ],
    ids=[
        "starless night",
        "dark night",
        "short exposure at night",
        "dark, no facts",
        "in a cloud",
        "lit through a grey filter",
    ],
)
def test_an_honest_picture_is_not_blank_however_little_it_shows(pixels: Codes, facts: Facts) -> None:
    assert Watch().see(glance_at(pixels), facts).kind == "good"


def test_the_same_picture_once_more_is_frozen_and_the_same_view_is_not() -> None:
    watch, later = Watch(), timedelta(seconds=15)
    pixels, facts = pixels_at(NOON)
    assert watch.see(glance_at(pixels), facts).kind == "good"
    again = Facts(captured_at=NOON + later, exposure_ev=facts.exposure_ev, elevation_deg=facts.elevation_deg)
    assert watch.see(glance_at(pixels), again).kind == "frozen"
    other, facts = pixels_at(NOON + 2 * later)
    assert watch.see(glance_at(other), facts).kind == "good"


def test_a_picture_that_comes_late_is_no_frozen_one() -> None:
    watch = Watch()
    pixels, facts = pixels_at(NOON)
    watch.see(glance_at(pixels), facts)
    early = Facts(captured_at=NOON - timedelta(hours=1))
    assert watch.see(glance_at(pixels), early).kind == "good"
