"""What is delivered against what was asked for: told after three, learned from, and forgiven."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from skylapse_bridge.camera.port import CapturedFrame, CaptureSettings
from skylapse_bridge.exposure import Limits, split
from skylapse_bridge.obedience import Obedience, after, departure

from .made import START

LIMITS = Limits(min_exposure_us=100, max_exposure_us=8_000_000, min_gain=1.0, max_gain=16.0)


def asked(exposure_us: int | None, gain: float | None = 1.0) -> CaptureSettings:
    return CaptureSettings(at=START, exposure_us=exposure_us, gain=gain)


def delivered(
    exposure_us: int | None, gain: float | None = 1.0, digital: float | None = None
) -> CapturedFrame:
    return CapturedFrame(
        jpeg=b"",
        width=1,
        height=1,
        captured_at=START,
        monotonic_ns=1,
        exposure_us=exposure_us,
        analogue_gain=gain,
        digital_gain=digital,
    )


@pytest.mark.parametrize(
    ("wanted", "got", "departs"),
    [
        (asked(10_000), delivered(10_400), False),
        (asked(10_000), delivered(10_600), True),
        (asked(10_000), delivered(9_400), True),
        (asked(500), delivered(550), False),
        (asked(10_000, 2.0), delivered(10_000, 2.0, 1.016), False),
        (asked(10_000, 2.0), delivered(10_000, 2.0, 1.1), True),
        (asked(10_000, 2.0), delivered(10_000, 1.8), True),
        (asked(None, None), delivered(10_000), False),
        (asked(10_000), delivered(None, None), False),
    ],
)
def test_five_percent_or_a_line_are_obeyed_well_enough(
    wanted: CaptureSettings, got: CapturedFrame, *, departs: bool
) -> None:
    assert (departure(wanted, got) is not None) == departs


def test_the_third_in_a_row_is_told_once_with_its_figures_and_cleared_when_it_obeys() -> None:
    state, told = Obedience(), []
    for gain in (2.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0):
        state, figures = after(state, asked(10_000, 1.0), delivered(10_000, gain))
        told.append(figures)
    (only,) = [figures for figures in told if figures]
    assert told.index(only) == 4
    assert "asked for 10000 µs at gain 1.00, delivered 10000 µs at gain 2.00" in only
    assert (state.departures, state.told) == (6, True)
    state, figures = after(state, asked(10_000, 1.0), delivered(10_000, 1.0))
    assert (state.told, figures, state.departures) == (False, None, 6)


def ramp(camera: Callable[[int], int], stops: list[float]) -> tuple[Obedience, list[float]]:
    """Ask for these log2 exposures, one after the other; return how far each was off, in stops."""
    state, errors = Obedience(), []
    for log2_exposure in stops:
        exposure = split(log2_exposure, state.within(LIMITS))
        settings = state.asking(asked(exposure.exposure_us, exposure.gain))
        assert settings.exposure_us is not None
        got = camera(settings.exposure_us)
        errors.append(got * exposure.gain / 2.0**log2_exposure - 1)
        state, _ = after(state, settings, delivered(got, settings.gain))
    return state, errors


def test_where_time_is_cut_short_gain_makes_up_for_it() -> None:
    dusk = [14 + 0.1 * frame for frame in range(60)]
    state, errors = ramp(lambda wanted_us: min(wanted_us, 100_000), dusk)
    assert state.longest_us == 100_000
    dark = [error for error in errors if abs(error) > 0.06]
    assert len(dark) == 3
    assert state.within(LIMITS).max_exposure_us == 100_000


def test_a_camera_that_always_gives_half_is_asked_for_twice_as_much() -> None:
    dusk = [14 + 0.1 * frame for frame in range(40)]
    state, errors = ramp(lambda wanted_us: wanted_us // 2, dusk)
    assert state.share == pytest.approx(0.5, abs=0.01)
    assert state.longest_us is None
    assert max(abs(error) for error in errors[8:]) < 0.06


def test_a_camera_that_halves_long_exposures_is_followed_up_and_down() -> None:
    dusk = [14 + 0.1 * frame for frame in range(60)]
    state, errors = ramp(lambda us: us // 2 if us > 60_000 else us, [*dusk, *reversed(dusk)])
    wrong = [error for error in errors if abs(error) > 0.06]
    assert len(wrong) <= 12
    assert state.departures <= 12


def test_a_frame_that_asks_for_less_proves_nothing_about_what_was_cut_short() -> None:
    state = Obedience()
    for _ in range(3):
        state, figures = after(state, asked(200_000), delivered(100_000))
        if figures is None:
            state, _ = after(state, asked(50_000), delivered(50_000))
    assert state.longest_us == 100_000


def test_cuts_with_a_frame_between_them_that_obeyed_teach_nothing() -> None:
    state = Obedience()
    for got in (100_000, 100_000, 200_000, 100_000):
        state, _ = after(state, asked(200_000), delivered(got))
    assert state.longest_us is None
    assert state.within(LIMITS) == LIMITS


def test_a_part_that_is_given_no_more_is_forgotten() -> None:
    state = Obedience(share=0.5)
    for _ in range(3):
        state, _ = after(state, asked(20_000), delivered(20_000))
    assert state.share == 1.0
    assert state.asking(asked(10_000)) == asked(10_000)
    assert replace(state, share=0.5).asking(asked(10_000)) == asked(20_000)
    assert replace(state, share=0.5).asking(asked(None)) == asked(None)
    assert replace(state, share=0.5).within(LIMITS).max_exposure_us == 4_000_000


def test_what_is_cut_short_differently_each_time_teaches_nothing() -> None:
    state = Obedience()
    for got in (50_000, 70_000, 90_000):
        state, _ = after(state, asked(200_000), delivered(got))
    assert (state.longest_us, state.share) == (None, 1.0)
