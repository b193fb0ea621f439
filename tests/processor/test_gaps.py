"""Frames that are missing: the film goes on as bright as it stopped."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from skylapse_processor.recipe import cook, steps_of
from skylapse_processor.recipe.level import level
from skylapse_processor.recipe.plan import make, pick
from skylapse_processor.recipe.smooth import flicker_mev

from .evenings import planned, shown, without
from .pictures import START, evening

COUNT = 240


@pytest.mark.parametrize("told_by", ["pictures", "lux", "nothing"])
@pytest.mark.parametrize(("first", "missing"), [(80, 20), (120, 40), (60, 80), (140, 80)])
def test_the_film_goes_on_as_bright_as_it_stopped(told_by: str, first: int, missing: int) -> None:
    seen = evening(COUNT)
    plan = level(without(planned(seen, told_by=told_by), first, missing))
    assert plan.levelled_by == "records"
    film = shown(plan, seen)
    step = np.abs(film[first : first + 4].mean() - film[first - 4 : first].mean())
    assert step < (0.3 if told_by == "nothing" else 0.1)
    assert flicker_mev(film) < 20


def test_more_than_a_night_apart_are_two_films() -> None:
    seen = evening(COUNT)
    plan = planned(seen, told_by="pictures")
    later = tuple(
        replace(frame, captured_at=frame.captured_at + timedelta(hours=22)) if number >= 120 else frame
        for number, frame in enumerate(plan.frames)
        if frame.captured_at is not None
    )
    evenings = level(replace(make(later), log_mean=plan.log_mean))
    first, second = (
        level(replace(make(part), log_mean=np.split(plan.log_mean, [120])[index]))
        for index, part in enumerate((later[:120], later[120:]))
    )
    assert evenings.gain_ev == pytest.approx(np.concatenate([first.gain_ev, second.gain_ev]), abs=1e-6)


def test_a_gap_of_one_evening_changes_nothing_of_the_next() -> None:
    seen = evening(COUNT)
    plan = planned(seen, told_by="pictures")
    evenings = tuple(
        replace(frame, captured_at=frame.captured_at + timedelta(hours=22 * (number >= 120)))
        for number, frame in enumerate(plan.frames)
        if frame.captured_at is not None
    )
    whole, gapped = (
        level(replace(make(tuple(evenings[number] for number in kept)), log_mean=plan.log_mean[kept]))
        for kept in (np.arange(COUNT), np.delete(np.arange(COUNT), range(90, 105)))
    )
    assert gapped.gain_ev[-120:] == pytest.approx(whole.gain_ev[-120:], abs=1e-3)
    assert np.abs(gapped.gain_ev[85:95] - whole.gain_ev[[*range(85, 90), *range(105, 110)]]).max() > 0.05


def test_pauses_between_brackets_are_no_gaps() -> None:
    """Three pictures within three seconds, every minute: clouds over minutes stay in the film."""
    seen = evening(COUNT)
    plan = planned(seen, told_by="pictures")
    bracketed = tuple(
        replace(frame, captured_at=START + timedelta(seconds=60 * (number // 3) + number % 3))
        for number, frame in enumerate(plan.frames)
    )
    film = shown(level(replace(make(bracketed), log_mean=plan.log_mean)), seen)
    place = np.linspace(-1, 1, COUNT)
    columns = np.stack([seen.cloud_ev, *(place**power for power in range(5))], axis=1)
    assert np.linalg.lstsq(columns, film)[0][0] > 0.8


def test_frames_missing_everywhere_leave_a_film_that_swells_slowly() -> None:
    seen = evening(COUNT)
    plan = planned(seen, told_by="pictures")
    kept = pick(plan, np.array([number for number in range(COUNT) if number % 40 < 20]))
    kept = replace(make(kept.frames), log_mean=kept.log_mean)
    film = shown(cook(kept, steps_of("clean", {})), seen)
    assert np.abs(np.diff(film)).max() < 0.4
