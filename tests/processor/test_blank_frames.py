"""A black or a white picture among good ones, a lens cap or a stray file: the others are as without it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skylapse_processor.frames import ExposureFacts, SourceFrame, read_folder
from skylapse_processor.recipe import cook, steps_of
from skylapse_processor.recipe.blank import in_words
from skylapse_processor.recipe.level import balance
from skylapse_processor.recipe.plan import Curve, Plan, make
from skylapse_processor.render import render_film
from skylapse_processor.request import RenderRequest

from .pictures import Evening, evening, film_frames, write_evening

BLACK_EV, WHITE_EV, MOSTLY_BLACK_EV = -20.0, 0.0, -7.0
TOLD = ("records", "exif", "nothing")
WORDS = "is black, white, or far darker or brighter than those around it: nothing is levelled by it"


def _plan(
    seen: Evening,
    *,
    told_by: str,
    blank: Sequence[int] = (),
    as_ev: float = BLACK_EV,
    told_ev: float | None = None,
) -> Plan:
    """An evening some of whose pictures are blank, and tell no exposure or one so much above the camera's."""
    rounded_ev = 0.0 if told_by == "records" else 0.01
    exposure_ev = seen.exposure_ev.copy()
    exposure_ev[list(blank)] = np.nan if told_ev is None else exposure_ev[list(blank)] + told_ev
    frames = tuple(
        SourceFrame(
            path=Path(f"{number}.jpg"),
            name=f"{number}.jpg",
            facts=ExposureFacts(exposure_us=1000 * 2.0**ev, gain=1.0, rounded_ev=rounded_ev)
            if told_by != "nothing" and np.isfinite(ev)
            else None,
        )
        for number, ev in enumerate(exposure_ev)
    )
    log_mean = seen.light_ev + seen.exposure_ev - 2.0
    log_mean[list(blank)] = as_ev
    return replace(make(frames), log_mean=log_mean, colour_ev=np.zeros((len(frames), 2)))


def _gain(plan: Plan) -> Curve:
    gain: Curve = cook(plan, steps_of("clean", {})).gain_ev[:, 1]
    return gain


def _bent(plan: Plan, whole: Plan, blank: Sequence[int]) -> float:
    """Return by how much the film of the good pictures differs from that without blank ones, in EV."""
    good = np.delete(np.arange(len(whole.frames)), list(blank))
    return float(np.abs(_gain(plan) - _gain(whole))[good].max())


@pytest.mark.parametrize("told_by", TOLD)
@pytest.mark.parametrize("count", [14, 47])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_black_picture_bends_no_film(told_by: str, count: int, place: str) -> None:
    seen = evening(count)
    blank = [{"first": 0, "middle": count // 2, "last": count - 1}[place]]
    plan, whole = _plan(seen, told_by=told_by, blank=blank), _plan(seen, told_by=told_by)
    cooked = cook(plan, steps_of("clean", {}))
    assert _bent(plan, whole, blank) < 0.1
    assert cooked.blank == tuple(f"{number}.jpg" for number in blank)
    assert np.abs(_gain(plan) - _gain(whole)).max() < 0.5


@pytest.mark.parametrize("told_by", TOLD)
def test_a_cap_that_stays_on_for_a_while_bends_no_film(told_by: str) -> None:
    seen, blank = evening(80), range(30, 42)
    plan, whole = _plan(seen, told_by=told_by, blank=blank), _plan(seen, told_by=told_by)
    assert _bent(plan, whole, blank) < 0.4
    assert len(cook(plan, steps_of("clean", {})).blank) == 12


@pytest.mark.parametrize("told_by", ["records", "exif"])
def test_a_camera_that_opens_up_under_its_cap_tells_nothing_of_the_light(told_by: str) -> None:
    seen, whole = evening(47), _plan(evening(47), told_by=told_by)
    plan = _plan(seen, told_by=told_by, blank=[23], told_ev=6.0)
    assert _bent(plan, whole, [23]) < 0.1
    assert cook(plan, steps_of("clean", {})).blank == ("23.jpg",)


@pytest.mark.parametrize("as_ev", [WHITE_EV, MOSTLY_BLACK_EV])
@pytest.mark.parametrize("told_by", ["records", "exif"])
def test_a_white_or_a_strange_picture_bends_no_film(told_by: str, as_ev: float) -> None:
    seen = evening(47)
    plan, whole = _plan(seen, told_by=told_by, blank=[23], as_ev=as_ev), _plan(seen, told_by=told_by)
    assert _bent(plan, whole, [23]) < 0.1
    assert cook(plan, steps_of("clean", {})).blank == ("23.jpg",)


@pytest.mark.parametrize("told_by", ["records", "exif"])
def test_a_night_that_sinks_into_black_is_no_blank_picture(told_by: str) -> None:
    seen = evening(80)
    night = _plan(seen, told_by=told_by)
    dusk = np.clip(-0.5 * np.arange(80), BLACK_EV, 0.0)
    night = replace(night, log_mean=np.maximum(night.log_mean + dusk, BLACK_EV))
    assert cook(night, steps_of("clean", {})).blank == ()


def test_a_film_that_is_black_for_the_most_part_is_taken_as_it_is() -> None:
    seen = evening(40)
    assert cook(_plan(seen, told_by="nothing", blank=range(5, 30)), steps_of("clean", {})).blank == ()


@pytest.mark.parametrize("told_by", ["gains", "pictures"])
def test_colours_are_balanced_past_a_black_picture(told_by: str) -> None:
    seen = evening(47)
    plan, whole = (_plan(seen, told_by="exif", blank=blank) for blank in ([23], []))
    drift = np.outer(0.5 + 0.01 * np.arange(47) + 0.2 * (np.arange(47) > 15), [1.0, -1.0])
    if told_by == "gains":
        plan, whole = (_with_gains(each, 2.0**drift) for each in (plan, whole))
    else:
        plan, whole = (replace(each, colour_ev=drift.copy()) for each in (plan, whole))
        plan.colour_ev[23] = 0.0
    away = np.abs(balance(plan).gain_ev - balance(whole).gain_ev)
    assert np.delete(away, 23, axis=0).max() < 0.02


def _with_gains(plan: Plan, gains: Curve) -> Plan:
    frames = tuple(
        replace(frame, facts=replace(frame.facts, colour_gains=(float(red), float(blue))))
        if frame.facts
        else frame
        for frame, (red, blue) in zip(plan.frames, gains, strict=True)
    )
    return replace(plan, frames=frames)


def test_a_folder_with_a_stray_black_picture_makes_the_film_of_the_others(tmp_path: Path) -> None:
    seen = evening(14)
    means = []
    for name in ("whole", "stray"):
        folder = tmp_path / name
        write_evening(folder, seen, facts="exif")
        if name == "stray":
            Image.new("RGB", (3, 2)).save(folder / "0008b.png")
        listing = read_folder(folder)
        request = RenderRequest(frames=listing.frames, output=tmp_path / f"{name}.mp4")
        film = render_film(request, lambda _: None, lambda: False)
        means.append(np.array([frame.mean() for frame in film_frames(tmp_path / f"{name}.mp4")]))
    assert film.noticed == (("0008b.png", WORDS),)
    said = "1 of its 15 pictures has no capture time and stands by name: 0008b.png"
    assert listing.noticed == ((str(folder), said),)
    assert means[1][8] < 3
    assert np.delete(means[1], 8) == pytest.approx(means[0], rel=0.03)


def test_many_blank_pictures_are_told_in_one_line() -> None:
    named = [f"{number}.jpg" for number in range(7)]
    ((film, words),) = in_words("film.mp4", 40, named)
    assert film == "film.mp4"
    assert words.startswith("7 of its 40 pictures are black, white, or far darker or brighter than others")
    assert words.endswith("0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg, …")
