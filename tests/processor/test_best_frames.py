"""Best frames: none that is blurred, blown out or black, and each unlike the others."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from skylapse_processor.measure import Measurement
from skylapse_processor.results.best import BEST, Candidate, choose

GOOD = Measurement(
    width=1920,
    height=1080,
    log_mean=-3.0,
    red_ev=0.0,
    blue_ev=0.0,
    clipped_high=0.0,
    clipped_low=0.0,
    sharpness=100.0,
    entropy=7.0,
    colourfulness=30.0,
    fingerprint="0123456789abcdef",
)


def day(count: int = 200) -> list[Candidate]:
    """A day whose light, colour and composition change slowly."""
    dice = np.random.default_rng(5)
    place = np.arange(count) / count
    prints = [f"{(1 << int(64 * share)) - 1:016x}" for share in place]
    return [
        Candidate(
            name=f"frame-{number:03d}",
            at_s=50_000.0 * share,
            measured=replace(
                GOOD,
                log_mean=-2.5 - 2 * abs(share - 0.5),
                red_ev=float(np.exp(-(((share - 0.9) / 0.05) ** 2))),
                colourfulness=float(25 + 30 * np.exp(-(((share - 0.9) / 0.04) ** 2)) + dice.normal()),
                sharpness=float(100 + dice.normal()),
                fingerprint=prints[number],
            ),
        )
        for number, share in enumerate(place)
    ]


def numbers(chosen: list[str]) -> list[int]:
    return sorted(int(name.split("-")[1]) for name in chosen)


def test_the_most_colourful_is_among_them_and_they_are_spread_over_the_day() -> None:
    chosen = choose(day())
    assert len(chosen) == BEST
    assert any(abs(number - 180) <= 6 for number in numbers([each.name for each in chosen]))
    assert np.diff(numbers([each.name for each in chosen])).min() >= 10
    assert [each.score for each in chosen] == sorted((each.score for each in chosen), reverse=True)


def test_what_is_blurred_blown_out_black_or_grey_is_none_of_them() -> None:
    spoils: list[dict[str, Any]] = [
        {"sharpness": 20.0},
        {"clipped_high": 0.3},
        {"log_mean": -9.0},
        {"entropy": 1.0},
    ]
    spoilt = [
        replace(each.measured, **changes)
        for each, changes in zip(
            day()[170:190],
            spoils * 5,
            strict=True,
        )
    ]
    frames = day()
    frames[170:190] = [
        replace(frame, measured=measured) for frame, measured in zip(frames[170:190], spoilt, strict=True)
    ]
    assert not set(numbers([each.name for each in choose(frames)])) & set(range(170, 190))


def test_a_camera_that_sees_one_thing_all_day_has_one_best_frame() -> None:
    same = [Candidate(name=f"frame-{n:03d}", at_s=float(n), measured=GOOD) for n in range(50)]
    assert len(choose(same)) == 1


def test_without_a_good_frame_there_is_none() -> None:
    assert choose([]) == ()
    black = Candidate(name="frame-000", at_s=0.0, measured=replace(GOOD, log_mean=-12.0, clipped_low=1.0))
    assert choose([black]) == ()


def test_the_choice_does_not_depend_on_the_order_of_frames_with_other_names() -> None:
    renamed = [replace(each, name=f"x-{each.name}") for each in day()]
    assert [each.name.removeprefix("x-") for each in choose(renamed)] == [each.name for each in choose(day())]


def test_a_blue_noon_of_moving_clouds_does_not_take_the_places_of_morning_and_evening() -> None:
    dice = np.random.default_rng(7)

    def frame(number: int) -> Candidate:
        noon = 60 <= number < 140
        measured = replace(
            GOOD,
            log_mean=-2.0 if noon else -3.0,
            blue_ev=0.8 if noon else 0.2,
            colourfulness=float((45 if noon else 32) + dice.normal()),
            sharpness=float(100 + dice.normal()),
            fingerprint=dice.bytes(8).hex(),
        )
        return Candidate(name=f"frame-{number:03d}", at_s=250.0 * number, measured=measured)

    found = numbers([each.name for each in choose([frame(number) for number in range(200)])])
    assert len(found) == BEST
    assert sum(60 <= number < 140 for number in found) <= 4, found
    assert (min(found) < 40, max(found) >= 160) == (True, True), found


def from_five_to_nine(seed: int, *, red: float) -> list[Candidate]:
    """A blue noon under moving clouds, with so red a sky at 6:12 and at 20:00."""
    dice = np.random.default_rng(seed)
    frames = []
    for hour in np.arange(5, 21, 1 / 15):
        noon = 1 / (1 + np.exp(-(60 * np.sin(np.pi * (hour - 5.5) / 15) - 20) / 5))
        sky = red * float(np.exp(-(((hour - 6.2) / 0.5) ** 2)) + 1.3 * np.exp(-(((hour - 20) / 0.5) ** 2)))
        measured = replace(
            GOOD,
            log_mean=-4.5 + 2.2 * noon + 0.8 * sky,
            red_ev=0.8 * sky,
            blue_ev=0.7 * noon,
            colourfulness=20 + 25 * noon + 22 * sky + 2 * dice.normal(),
            sharpness=85 + 20 * noon + 3 * dice.normal(),
            entropy=6.3 + 0.8 * noon + 0.3 * sky + 0.05 * dice.normal(),
            fingerprint=dice.bytes(8).hex(),
        )
        frames.append(Candidate(name=f"frame-{round(60 * hour):04d}", at_s=3600 * hour, measured=measured))
    return frames


@pytest.mark.parametrize("seed", range(5))
def test_of_a_day_between_two_red_skies_both_are_among_the_best(seed: int) -> None:
    chosen = numbers([each.name for each in choose(from_five_to_nine(seed, red=1.0))])
    hours = [number / 60 for number in chosen]
    assert len(hours) == BEST
    assert min(hours) == pytest.approx(6.2, abs=0.5), "the sunrise"
    assert max(hours) == pytest.approx(20.0, abs=0.5), "the sunset"
    assert sum(9 <= hour <= 17 for hour in hours) <= BEST / 2 + 1, "half of the day"


def test_a_grey_dusk_takes_the_place_of_no_blue_sky() -> None:
    assert min(each.score for each in choose(from_five_to_nine(1, red=0.0))) > 0.5
