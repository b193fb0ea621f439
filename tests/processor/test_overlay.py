"""Words upon the film: what they say, where they stand, and that nothing else is touched."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skylapse_processor.errors import RequestError
from skylapse_processor.frames import ExposureFacts, SourceFrame, read_folder
from skylapse_processor.recipe import steps_of
from skylapse_processor.recipe.overlay import overlay
from skylapse_processor.recipe.plan import make
from skylapse_processor.recipe.tokens import fill, parse
from skylapse_processor.render import FilmResult, RenderRequest, render_film
from skylapse_processor.request import from_json, to_json

from .pictures import START, evening, film_frames, write_evening, write_plain

FRAME = SourceFrame(
    path=Path("a.jpg"),
    name="a.jpg",
    captured_at=START,
    facts=ExposureFacts(exposure_us=4000, gain=2.5, sun_elevation_deg=-4.25),
    record={
        "bridge": "roof",
        "camera": "west",
        "lux": 12.3456,
        "wet": True,
        "colour_gains": [1.8714285714285714, 2.5],
        "sensors": {"garden": {"humidity": 81.0}},
        "broken": float("nan"),
    },
)


def _said(text: str, frame: SourceFrame = FRAME) -> str:
    return fill(parse(text), frame, 6, UTC, "Harbour")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{time} on {date}", "18:00 on 2026-06-01"),
        ("{time:%H h %M}, {date:%d.%m.%y}", "18 h 00, 01.06.26"),
        ("{exposure} ×{gain} ISO {iso}", "1/250 s ×2.5 ISO 250"),
        ("{lux} {lux:.0f} {lux:d} {lux:%H}", "12.3 12 12 12.3"),
        ("{sun} {sun:+.1f}", "−4.2° −4.2"),
        ("{camera} {title} #{frame}", "roof/west Harbour #7"),
        ("{sensors.garden.humidity} {humidity:.1f} {wet}", "81 81.0 True"),
        ("{broken} of {lux:.0f}", "– of 12"),
        ("{colour_gains}, {colour_gains:.1f}", "1.87, 2.50, 1.9, 2.5"),
        ("{{{frame}}}", "{7}"),
    ],
)
def test_tokens_say_what_is_known(text: str, said: str) -> None:
    assert _said(text) == said


def test_what_is_not_known_is_a_dash_and_a_line_that_knows_nothing_is_left_out() -> None:
    bare = SourceFrame(path=Path("a.jpg"), name="a.jpg", record={"lux": 3})
    assert _said("{exposure} at {lux} lx", bare) == "– at 3 lx"
    assert _said(r"top\n{time}\n{exposure} {sun}", bare) == "top"
    slow = SourceFrame(path=Path("a.jpg"), name="a.jpg", facts=ExposureFacts(exposure_us=2_500_000))
    assert _said("{exposure}", slow) == "2.5 s"


@pytest.mark.parametrize(
    "text", ["{time", "time}", "{}", "{time!r}", "{a[0]}", "{lux:99999999d}", "{time:%Q}", "x" * 301]
)
def test_a_text_of_another_form_is_refused_before_a_picture_is_looked_at(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        steps_of("clean", {"overlay": {"text": text}})
    assert caught.value.field == "parameters.overlay.text"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "{",
            "is no caption: braces enclose the name of a value, as {time}; a brace itself is written twice",
        ),
        ("{date!r}", "has {date!r}: what stands after the name begins with a colon"),
    ],
)
def test_what_is_wrong_with_a_text_is_said_plainly(text: str, why: str) -> None:
    with pytest.raises(RequestError) as caught:
        steps_of("clean", {"overlay": {"text": text}})
    assert caught.value.why == why


@pytest.mark.parametrize("token", ["sun", "lux", "camera", "exposure", "sensor_temperature_c"])
def test_a_token_that_no_frame_has_a_value_for_is_named(tmp_path: Path, token: str) -> None:
    """The film is made: a sensor that was silent for a day takes none away."""
    write_plain(tmp_path / "in", 2)
    film = _film(tmp_path / "in", overlay={"text": f"{{frame}} {{{token}:.1f}}"})
    assert film.frames == 2
    words = f"has {{{token}}}, and no picture of the film has a value for it"
    assert ("overlay.text", words) in film.noticed


def test_a_token_that_one_frame_alone_has_a_value_for_is_not_named(tmp_path: Path) -> None:
    write_plain(tmp_path / "in", 3)
    last = max((tmp_path / "in").iterdir())
    last.with_suffix(".json").write_text('{"lux": 3, "sun_elevation_deg": 0}', encoding="utf-8")
    film = _film(tmp_path / "in", overlay={"text": "{lux} {sun}"})
    assert "overlay.text" not in dict(film.noticed)


def test_a_token_that_no_frame_can_have_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(RequestError, match=r"knows no {humidty}; there are time, .*humidity"):
        overlay(make((FRAME,)), text="{humidty}")


def _film(folder: Path, **parameters: Any) -> FilmResult:
    request = RenderRequest(
        frames=read_folder(folder).frames, output=folder.parent / "film.mp4", parameters=parameters
    )
    return render_film(request, lambda _: None, lambda: False)


def test_a_camera_is_called_as_people_call_it_and_its_time_is_that_on_its_wall(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(1), facts="records", size=(480, 270))
    frames = read_folder(tmp_path / "in").frames
    shown = []
    for text in ("{camera} {time}, {title}", "Lake 20:00, Evening"):
        request = RenderRequest(
            frames=frames,
            output=tmp_path / "film.mp4",
            parameters={"overlay": {"text": text, "size": 0.1}},
            metadata={"title": "Evening"},
            camera="Lake",
            time_zone="Europe/Zurich",
        )
        assert from_json(json.dumps(to_json(request))) == request, "as the processor hands it on"
        render_film(request, lambda _: None, lambda: False)
        shown.append(film_frames(tmp_path / "film.mp4")[0])
    assert (shown[0] == shown[1]).all()
    plan = replace(make((FRAME,)), zone="Europe/Zurich")
    own = overlay(plan, text="{time}", zone="Asia/Tokyo").captions[0]
    assert own.words(FRAME, 0) == "03:00", "who asks for a zone gets it"


def test_where_nobody_names_a_zone_the_time_is_that_of_the_pictures_own() -> None:
    at = datetime(2026, 6, 1, 19, 0, tzinfo=timezone(timedelta(hours=5)))
    caption = overlay(make((FRAME,)), text="{time}").captions[0]
    assert caption.words(replace(FRAME, captured_at=at), 0) == "19:00"


def test_captions_stand_where_they_are_asked_for_and_touch_nothing_else(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(6), facts="records", size=(480, 270))
    plain = _film(tmp_path / "in")
    without = film_frames(tmp_path / "film.mp4")
    words = {"text": "Zürich {time:%H:%M:%S}", "position": "top-right", "size": 0.1, "colour": "ff0000"}
    result = _film(tmp_path / "in", overlay={**words, "zone": "UTC", "opacity": 1})
    shown = film_frames(tmp_path / "film.mp4")
    assert result.flicker_mev == plain.flicker_mev, "its light is none of the scene's"
    changed = np.abs(shown[2].astype(int) - without[2]).max(axis=2) > 40
    rows, columns = np.nonzero(changed)
    assert rows.max() < 70
    assert columns.min() > 200
    reddest = shown[2][changed].astype(int)
    assert (reddest[:, 0] - reddest[:, 1]).max() > 150
    assert (shown[2][120:].astype(int) - without[2][120:]).std() < 2
    assert np.abs(shown[2][:60, 300:].astype(int) - shown[3][:60, 300:]).max() > 60, "the clock goes on"


def test_captions_fade_with_the_film(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(8), facts="records", size=(320, 180))
    _film(tmp_path / "in", overlay={"text": "WHITE", "size": 0.2, "opacity": 1}, fade={"frames": 2})
    shown = film_frames(tmp_path / "film.mp4")
    brightest = [int(frame[100:].max()) for frame in shown]
    assert brightest[0] < 3, "the first frame is black"
    assert brightest[1] == pytest.approx(brightest[3] / 2, abs=14)
    assert brightest[3] > 230
