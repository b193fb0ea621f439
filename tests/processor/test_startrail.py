"""Star trails: the brightest light of dark frames, as a picture that grows and as a film."""

import io
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from skylapse_processor import decode
from skylapse_processor.decode import Pixels
from skylapse_processor.errors import NoPicturesError
from skylapse_processor.frames import ExposureFacts, SourceFrame
from skylapse_processor.measure import Measurement, measure
from skylapse_processor.recipe import cook, steps_of
from skylapse_processor.recipe import plan as plans
from skylapse_processor.recipe.layer import Layer, Light, Size
from skylapse_processor.recipe.startrail import Trail, why_no_trail
from skylapse_processor.recipe.startrail import startrail as trail_of
from skylapse_processor.render import RenderRequest, render_film
from skylapse_processor.results import startrail
from skylapse_processor.stack import Stack

from .evenings_made import Camera, evening, every
from .frames_made import START

STEP = timedelta(minutes=2)


def night(count: int, clouds: float = 0.0, deg: float = -16.0) -> list[Pixels]:
    """Pictures of a night."""
    camera = Camera(size=(640, 360), clouds=clouds)
    return [decode.decode(data, "f") for data, _ in camera.frames(every(STEP, evening(deg), count))]


def test_stars_are_seen_in_a_clear_night_and_not_through_a_lid() -> None:
    (sky,) = night(1)
    lid = np.asarray(decode.decode(_blurred(sky), "lid"))
    assert startrail.is_starry(sky)
    assert not startrail.is_starry(lid)
    assert not startrail.is_starry(np.full_like(sky, 30))


def _blurred(pixels: Pixels) -> bytes:
    """The same sky through cloud, as a JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(12)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def test_dusk_and_what_shines_are_no_night() -> None:
    (data, _record), *_ = Camera(size=(320, 180)).frames([evening(-16.0)])
    dark = measure(data, tone_curve="imx519")
    assert startrail.is_night(-16.0, dark)
    assert not startrail.is_night(-11.0, dark)
    assert not startrail.is_night(None, dark)
    assert not startrail.is_night(-16.0, replace(dark, log_mean=-2.0))
    assert not startrail.is_night(-16.0, replace(dark, clipped_high=0.01))


def test_maxima_may_be_taken_in_any_order_and_twice() -> None:
    frames = night(5)
    forward, backward = frames[0].copy(), frames[-1].copy()
    for each in frames:
        startrail.brighten(forward, each)
    for each in [*reversed(frames), *frames]:
        startrail.brighten(backward, each)
    assert (forward == backward).all()
    assert (forward == np.max(frames, axis=0)).all()


def test_stars_draw_trails() -> None:
    frames = night(8)
    trail = frames[0].copy()
    for each in frames[1:]:
        startrail.brighten(trail, each)
    sky = slice(0, 150)
    assert (trail[sky] > 60).sum() > 2 * (frames[0][sky] > 60).sum()


class Lamp:
    """A point of light that moves by one column a frame."""

    def __call__(self, number: int, size: Size) -> Light:
        light = np.full((3, size[1], size[0]), 0.01, dtype=np.float32)
        light[:, 4, number] = 1.0
        return light


def pictures(layers: Sequence[Layer], count: int = 8) -> list[Light]:
    stack = Stack(Lamp(), count, (16, 9), layers)
    return [stack.picture(number).light for number in range(count)]


def test_light_stays_in_the_film() -> None:
    shown = pictures([Trail()])
    for number, light in enumerate(shown):
        assert (light[0, 4] > 0.5).sum() == number + 1
        assert light[0, 5].max() == pytest.approx(0.01, abs=0.001)


def test_a_comet_fades_by_half_in_the_length_of_its_tail() -> None:
    last = pictures([Trail(keeps=0.5 ** (1 / 3))])[-1][0, 4]
    assert last[7] == pytest.approx(1.0, abs=0.01)
    assert last[4] == pytest.approx(0.5, abs=0.02)
    assert last[1] == pytest.approx(0.25, abs=0.02)


def source(number: int, sun: float | None, log_mean: float = -6.0) -> SourceFrame:
    """A frame of which only facts matter."""
    return SourceFrame(
        path=Path(f"{number}.jpg"),
        name=f"{number}",
        captured_at=START + number * STEP,
        facts=ExposureFacts(sun_elevation_deg=sun),
        measured=replace(MEASURED, log_mean=log_mean),
    )


MEASURED = Measurement(
    width=64,
    height=36,
    log_mean=-6.0,
    red_ev=0.0,
    blue_ev=0.0,
    clipped_high=0.0,
    clipped_low=0.0,
    sharpness=1.0,
    entropy=4.0,
    colourfulness=1.0,
    fingerprint="0" * 16,
)


def chosen(frames: Sequence[SourceFrame], **changes: float) -> list[str]:
    """Names of the frames that the recipe takes."""
    plan = cook(plans.make(tuple(frames)), steps_of("startrail", {"startrail": changes}))
    return [frame.name for frame in plan.frames]


def test_the_film_is_made_of_the_night_and_of_nothing_that_shines_into_it() -> None:
    sun = [-5.0, -11.0, -13.0, -16.0, -18.0, -18.0, -16.0, -13.0, -10.0]
    frames = [source(number, deg) for number, deg in enumerate(sun)]
    frames[4] = source(4, -18.0, log_mean=-3.0)
    assert chosen(frames) == ["2", "3", "5", "6", "7"]
    assert chosen(frames, sun_below_deg=-15.0) == ["3", "5", "6"]
    assert chosen(frames, brighter_ev=4.0) == ["2", "3", "4", "5", "6", "7"]


def test_without_the_sun_all_dark_frames_count_and_a_day_is_refused() -> None:
    unknown = [source(number, None) for number in range(4)]
    assert chosen(unknown) == ["0", "1", "2", "3"]
    with pytest.raises(NoPicturesError, match="12° or more below the horizon"):
        chosen([source(number, 20.0) for number in range(4)])


@pytest.mark.parametrize(
    ("exposures_s", "names"),
    [
        ([1 / 80, 1 / 10, 1.0, 6.0, 10.0, 10.0], ["3", "4", "5"]),
        ([20.0] * 3, ["0", "1", "2"]),
        ([*[20.0] * 19, 300.0], [str(number) for number in range(20)]),
        ([1 / 80] * 3, []),
        ([1 / 80, 1 / 60, None, 20.0], ["2", "3"]),
        ([1 / 80, 1 / 60, None, None, None], []),
    ],
    ids=[
        "a day that ends",
        "a night by hand",
        "a night with a bulb",
        "a day",
        "one of nobody knows when",
        "a day beside them",
    ],
)
def test_where_no_frame_knows_the_sun_exposures_tell_the_night(
    exposures_s: Sequence[float | None], names: list[str]
) -> None:
    frames = [
        replace(source(number, None), facts=ExposureFacts(exposure_us=s and s * 1e6, gain=8.0, aperture=2.8))
        for number, s in enumerate(exposures_s)
    ]
    if names:
        assert chosen(frames) == names
    else:
        with pytest.raises(NoPicturesError, match="exposed as at night"):
            chosen(frames)


def test_a_film_of_trails_holds_the_night_alone(tmp_path: Path) -> None:
    frames = []
    camera = Camera(size=(160, 90), clouds=0.0)
    for number, (data, record) in enumerate(camera.frames(every(1.5 * STEP, evening(-10.5), 12))):
        (tmp_path / f"{number}.jpg").write_bytes(data)
        facts = ExposureFacts(tone_curve="imx519", sun_elevation_deg=record.sun_elevation_deg)
        frames.append(
            SourceFrame(
                path=tmp_path / f"{number}.jpg",
                name=str(number),
                captured_at=record.captured_at,
                facts=facts,
                measured=measure(data, tone_curve="imx519"),
            )
        )
    request = RenderRequest(
        frames=tuple(frames), output=tmp_path / "trail.mp4", recipe="startrail", size="source", rate=10
    )
    made = render_film(request, lambda _progress: None, lambda: False)
    night_frames = sum((frame.facts.sun_elevation_deg or 0) <= -12 for frame in frames if frame.facts)
    assert made.frames == night_frames > 2


@pytest.mark.parametrize(
    ("suns_deg", "makes_one"),
    [
        ([], False),
        ([-20.0], False),
        ([-20.0, 5.0, -12.0], True),
        ([-20.0, None, None], False),
        ([None], False),
        ([None, None], True),
    ],
)
def test_a_trail_needs_two_frames_of_a_night_or_two_of_nobody_knows_when(
    suns_deg: list[float | None], *, makes_one: bool
) -> None:
    assert bool(why_no_trail(suns_deg)) is not makes_one
    frames = tuple(
        SourceFrame(path=Path(f"{n}.jpg"), name=f"{n}.jpg", facts=ExposureFacts(sun_elevation_deg=sun))
        for n, sun in enumerate(suns_deg)
    )
    with nullcontext() if makes_one else pytest.raises(NoPicturesError):
        trail_of(plans.make(frames))
