"""What stands before the lens: told in half an hour, taken back when it is gone, and nothing else."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from skylapse_bridge.twin.sun import Place
from skylapse_processor.watch.camera import Watch
from skylapse_processor.watch.lens import OBSTRUCTING, Evidence, Lens, step, textured_tiles
from skylapse_processor.watch.memory import dump, load
from skylapse_processor.watch.tiles import FINE

from .skies import NOON, START, glance_at, pixels_at, scene, see, taught

FIVE = timedelta(minutes=5)
DRY = np.zeros((6, 12), dtype=np.bool_)


def watch_for(watch: Watch, start: datetime, count: int, **faults: Any) -> datetime:
    """Show a watch a picture every five minutes; return when the next one is due."""
    for number in range(count):
        assert see(watch, start + FIVE * number, **faults) == "good", "films keep what a wet lens saw"
    return start + FIVE * count


def told(watch: Watch) -> tuple[str, ...]:
    """What is told of the lens."""
    return watch.faults


@pytest.mark.parametrize(
    ("fault", "faults"),
    [
        ("droplets", {"droplets": 12}),
        ("dew", {"dew": 0.6}),
        ("fog", {"fog": 0.6}),
        ("focus", {"drift_dioptre": 0.7}),
    ],
)
def test_a_fault_is_told_within_half_an_hour_by_its_name_and_taken_back(
    fault: str, faults: dict[str, Any]
) -> None:
    watch = taught()
    assert watch.lens_state == "clear"
    later = watch_for(watch, NOON - timedelta(hours=2), 7, **faults)
    assert told(watch) == (fault,)
    assert watch.lens_state == ("obstructed" if fault in OBSTRUCTING else "clear")
    watch_for(watch, later, 7)
    assert (watch.lens_state, told(watch)) == ("clear", ())


def test_a_camera_that_was_turned_is_told_and_one_that_shakes_in_the_wind_is_not() -> None:
    turned, shaken = taught(), taught()
    watch_for(shaken, NOON, 8, shake_px=2.0)
    assert shaken.faults == ()
    for number in range(7):
        pixels, facts = pixels_at(NOON + FIVE * number)
        turned.see(glance_at(np.roll(pixels, (3, 8), axis=(0, 1))), facts)
    assert turned.faults == ("aim",)


@pytest.mark.parametrize(("first_hour", "minutes"), [(4, 18), (7, 4.1)], ids=["night to night", "often"])
def test_nothing_is_told_of_a_day_of_clouds(first_hour: int, minutes: float) -> None:
    watch = taught()
    for number in range(60):
        see(watch, START + timedelta(days=3, hours=first_hour, minutes=minutes * number))
        assert watch.faults == ()


def test_nothing_is_told_of_clouds_at_a_height_of_the_sun_that_has_not_been_seen_on_two_days() -> None:
    watch, view = Watch(), scene(seed=1, place=Place(latitude_deg=46.7), clouds=1.0)
    for day in range(2):
        for number in range(8):
            see(watch, START + timedelta(days=day, hours=17, minutes=10 * number), view)
    for number in range(25):
        see(watch, START + timedelta(days=2, hours=9, minutes=4.1 * number), view)
        assert watch.faults == ()


def test_clouds_and_waves_are_no_texture_however_steady_their_contrast_is() -> None:
    watch = taught()
    expected = watch.tiles.expect(50.0, NOON, rising=False)
    seen = glance_at(pixels_at(NOON)[0]).tiles
    assert expected is not None
    assert seen is not None
    steady = replace(expected, deviation=np.zeros_like(expected.deviation))
    textured = textured_tiles(seen, steady, watch.reference)
    assert textured is not None
    rows = textured.mean(axis=1)
    assert rows[0] < 0.2, "sky"
    assert (steady.middle[FINE][0] > -5.5).mean() >= 0.5, "in which there are clouds to be taken for texture"
    assert rows.max() > 0.9, "land"


def test_a_burnt_out_picture_says_nothing_of_the_lens() -> None:
    watch = taught()
    for number in range(12):
        see(watch, NOON + FIVE * number, over_ev=3.0)
        assert watch.faults == ()


def test_nothing_is_said_before_two_days_are_known() -> None:
    watch = Watch()
    watch_for(watch, NOON, 10, dew=0.6)
    assert (watch.lens_state, watch.faults) == ("unknown", ())


def test_the_night_changes_nothing() -> None:
    watch = taught()
    watch_for(watch, NOON, 7, dew=0.6)
    for number in range(8):
        see(watch, NOON + timedelta(hours=9, minutes=20 * number))
    assert watch.faults == ("dew",)


def test_drops_that_stay_for_days_are_dirt() -> None:
    watch = taught()
    first = []
    for hours in (-2, 22, 45):
        watch_for(watch, NOON + timedelta(hours=hours), 8, droplets=12)
        first.append(watch.faults[0])
        assert watch.lens_state == "obstructed"
    assert first == ["droplets", "droplets", "dirt"]


def test_what_is_there_to_stay_is_how_things_are() -> None:
    watch = taught()
    watch_for(watch, NOON, 7, fog=0.6)
    for day in range(1, 12):
        assert watch.faults == (("fog",) if day < 11 else ())
        watch_for(watch, NOON + timedelta(days=day), 3, fog=0.6)


def test_a_restart_forgets_nothing() -> None:
    watch = taught()
    later = watch_for(watch, NOON, 4, dew=0.6)
    again = load(dump(watch))
    assert again is not None
    for one in (watch, again):
        watch_for(one, later, 3, dew=0.6)
    assert again.faults == watch.faults == ("dew",)
    assert len(dump(again)) < 200_000


@pytest.mark.parametrize("cut", [0, 20, 4000])
def test_a_memory_that_is_damaged_or_of_another_version_is_none(cut: int) -> None:
    assert load(dump(taught())[:cut]) is None


def test_six_of_eight_tell_and_two_of_eight_take_back() -> None:
    lens = Lens()
    seen = "dddd..dd........"
    dewy = []
    for number, letter in enumerate(seen):
        evidence = Evidence(at=NOON + FIVE * number, whole="dew" if letter == "d" else None, odd=DRY)
        lens = step(lens, evidence)
        dewy.append("dew" in lens.faults)
    assert dewy == [False] * 7 + [True] * 4 + [False] * 5


def test_one_wet_tile_and_a_passing_cloud_are_no_drops() -> None:
    lens = Lens()
    for number in range(12):
        odd = DRY.copy()
        odd[2, 3] = True
        odd[0, number] = odd[0, (number + 1) % 12] = True
        lens = step(lens, Evidence(at=NOON + FIVE * number, whole=None, odd=odd))
        assert lens.faults == ()
