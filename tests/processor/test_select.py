"""Which frames a film is made of."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skylapse_processor.errors import RequestError
from skylapse_processor.frames import ExposureFacts, SourceFrame, read_folder
from skylapse_processor.measure import Measurement
from skylapse_processor.recipe.plan import make
from skylapse_processor.recipe.select import select, why_no_mark, why_no_zone
from skylapse_processor.render import RenderRequest, render_film

from .pictures import START, develop, jpeg, scene

FIGURES = Measurement(
    width=160,
    height=90,
    log_mean=-3,
    red_ev=0,
    blue_ev=0,
    clipped_high=0,
    clipped_low=0,
    sharpness=100,
    entropy=5,
    colourfulness=10,
    fingerprint="0" * 16,
)


def _frames(count: int, minutes: float = 60) -> tuple[SourceFrame, ...]:
    return tuple(
        SourceFrame(path=Path(f"{n}.jpg"), name=f"{n}", captured_at=START + timedelta(minutes=minutes * n))
        for n in range(count)
    )


def _names(made_of: tuple[SourceFrame, ...], **parameters: Any) -> list[int]:
    return [int(frame.name) for frame in select(make(made_of), **parameters).frames]


def test_a_span_by_clock_is_one_of_every_day_and_may_go_over_midnight() -> None:
    frames = _frames(48)  # from 18:00 UTC on, an hour apart
    assert _names(frames, start="20:00", end="22:30", zone="UTC") == [2, 3, 4, 26, 27, 28]
    assert _names(frames, start="23:00", end="01:00", zone="UTC") == [5, 6, 29, 30]
    assert _names(frames, start="20:00", end="22:30", zone="Europe/Zurich") == [0, 1, 2, 24, 25, 26]


def test_a_span_by_share_counts_frames() -> None:
    assert _names(_frames(8), start="25%", end="75%") == [2, 3, 4, 5]
    assert _names(_frames(8), end="12.5%") == [0]


def test_every_nth_and_a_limit_of_frames() -> None:
    assert _names(_frames(9), every=3) == [0, 3, 6]
    assert _names(_frames(9), frames=3) == [0, 4, 8]
    assert _names(_frames(9), frames=20) == list(range(9))


def _day_and_night(days: int, highest: float) -> tuple[SourceFrame, ...]:
    """Return a frame every twenty minutes, with the sun going up and down."""
    frames = []
    for frame in _frames(72 * days, minutes=20):
        assert frame.captured_at is not None
        hour = frame.captured_at.hour + frame.captured_at.minute / 60
        sun = highest * np.sin((hour - 6) / 12 * np.pi)
        frames.append(replace(frame, facts=ExposureFacts(sun_elevation_deg=float(sun))))
    return tuple(frames)


@pytest.mark.parametrize(("light", "hours"), [("rising", (6, 9)), ("setting", (15, 18)), ("noon", (12, 12))])
def test_the_same_light_is_one_frame_a_day_on_that_side_of_noon(light: str, hours: tuple[int, int]) -> None:
    frames = _day_and_night(4, highest=50)
    kept = select(make(frames), light=light, sun_deg=20, within_deg=3, zone="UTC").frames
    days = [frame.captured_at.date() for frame in kept if frame.captured_at]
    assert len(days) == len(set(days)) >= 3
    for frame in kept:
        assert frame.captured_at is not None
        assert frame.facts is not None
        assert frame.facts.sun_elevation_deg is not None
        assert hours[0] <= frame.captured_at.hour <= hours[1]
        assert light == "noon" or abs(frame.facts.sun_elevation_deg - 20) < 3


def test_the_blurred_and_the_blown_out_go_and_fog_stays() -> None:
    fog = np.where(np.arange(40) < 20, 100.0, 4.0)
    sharpness = fog * np.where(np.isin(np.arange(40), [6, 30]), 0.5, 1.0)
    frames = tuple(
        replace(frame, measured=replace(FIGURES, sharpness=float(each)))
        for frame, each in zip(_frames(40), sharpness, strict=True)
    )
    assert sorted(set(range(40)) - set(_names(frames, worst=0.05))) == [6, 30]
    blown = (replace(frames[0], measured=replace(FIGURES, clipped_high=0.2)), *frames[1:])
    assert _names(blown, clipped=0.1) == list(range(1, 40))


def test_a_film_leaves_the_blurred_out_where_nobody_measured_before(tmp_path: Path) -> None:
    for number in range(8):
        pixels = develop(scene(), seed=number)
        if number == 5:
            pixels[:] = pixels.mean(axis=(0, 1)).astype(np.uint8)
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(pixels))
    request = RenderRequest(
        frames=read_folder(tmp_path).frames,
        output=tmp_path / "film.mp4",
        parameters={"select": {"worst": 0.125}, "overlay": {"text": "{frame}"}},
    )
    steps = []
    result = render_film(request, lambda progress: steps.append(progress.step), lambda: False)
    assert result.frames == 7
    assert steps.count("measure") >= 8


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ({"start": "03:00", "end": "03:10", "zone": "UTC"}, "start"),
        ({"light": "rising"}, "light"),
    ],
)
def test_what_leaves_no_frame_is_refused_by_its_name(parameters: dict[str, Any], place: str) -> None:
    with pytest.raises(RequestError) as caught:
        select(make(_frames(5, minutes=1)), **parameters)
    assert caught.value.field == f"parameters.select.{place}"


@pytest.mark.parametrize(
    ("light", "said"),
    [
        ("noon", "no picture says how high the sun stood: records do (sun_elevation_deg), EXIF does not"),
        ("rising", "within 2° of 20° with the sun rising: it stood at 4.0° to 8.0° (change select.sun_deg"),
    ],
)
def test_where_there_is_no_such_light_it_is_said_what_there_is(light: str, said: str) -> None:
    frames = _frames(3, minutes=1)
    if light == "rising":
        frames = tuple(
            replace(frame, facts=ExposureFacts(sun_elevation_deg=sun))
            for frame, sun in zip(frames, (4.0, 6.0, 8.0), strict=True)
        )
    with pytest.raises(RequestError) as caught:
        select(make(frames), light=light, sun_deg=20.0)
    assert said in caught.value.why


def test_a_clock_needs_times() -> None:
    frames = tuple(replace(frame, captured_at=None) for frame in _frames(3))
    with pytest.raises(RequestError, match="needs pictures with capture times"):
        select(make(frames), start="06:00")


def test_where_some_have_no_time_it_is_said_how_many_or_what_else_is_amiss() -> None:
    frames = [replace(frame, facts=ExposureFacts(sun_elevation_deg=9.0)) for frame in _frames(4)]
    frames[1] = replace(frames[1], captured_at=None)
    with pytest.raises(RequestError, match="needs pictures with capture times: 1 of 4 has none"):
        select(make(tuple(frames)), light="rising")
    with pytest.raises(RequestError, match="needs pictures with capture times: 2 of 5 have none"):
        select(make((*frames, frames[1])), end="06:00")
    sunless = tuple(replace(frame, facts=None) for frame in frames)
    with pytest.raises(RequestError, match="no picture says how high the sun stood"):
        select(make(sunless), light="rising")


def test_a_span_without_a_frame_is_told_with_the_clock_and_when_there_were_frames() -> None:
    frames = _frames(3, minutes=30)
    with pytest.raises(RequestError) as caught:
        select(make(frames), start="20:45", end="21:00", zone="Asia/Tokyo")
    assert caught.value.why == (
        "there is no frame in this span: the pictures were taken from 2026-06-02 03:00 to 2026-06-02 04:00 "
        "by the clock of Asia/Tokyo (select.zone names another)"
    )
    with pytest.raises(RequestError, match="the time zone of this machine"):
        select(make(frames), start="12:10", end="12:11")
    with pytest.raises(RequestError, match=r"no frame in this span$"):
        select(make(frames), start="99%")


def test_the_ends_of_a_span_are_clock_times_or_shares() -> None:
    marks = ("", "6:30", "24:00", "5%", "99.5%", "25:00", "6.30", "-5%", "6:30%")
    assert [mark for mark in marks if why_no_mark(mark) is None] == ["", "6:30", "24:00", "5%", "99.5%"]


def test_time_zones_are_known_by_name() -> None:
    assert why_no_zone("Europe/Zurich") is None
    assert why_no_zone("") is None
    assert why_no_zone("Moon/Tycho") is not None
    assert why_no_zone("../etc/passwd") is not None
