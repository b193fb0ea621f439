"""Seasons: one frame a day at the same sun, out of any number; days melt into each other."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_processor import recipe
from skylapse_processor.errors import FilmError
from skylapse_processor.frames import ExposureFacts, SourceFrame, read_folder
from skylapse_processor.jobs import RenderSpec
from skylapse_processor.recipe import plan as plans
from skylapse_processor.recipe.layer import Light, Size
from skylapse_processor.recipe.season import Dissolve, choose
from skylapse_processor.render import render_film
from skylapse_processor.request import RenderRequest
from skylapse_processor.stack import Stack
from skylapse_protocol.identifiers import CameraName
from tests.support.waiting import until

from .conftest import serving, write_config
from .evenings_made import PLACE, Camera
from .pictures import evening, write_evening
from .test_startrail import MEASURED

FIRST = datetime(2026, 3, 1, tzinfo=UTC)


def day_of_sun(minutes: int, number: int = 0) -> list[tuple[datetime, float]]:
    """Moments of a day and the sun's elevation at each."""
    midnight = FIRST + timedelta(days=number)
    moments = [midnight + timedelta(minutes=at) for at in range(0, 24 * 60, minutes)]
    return [(at, PLACE.elevation_deg(at)) for at in moments]


@pytest.mark.parametrize("light", ["rising", "setting", "noon"])
@pytest.mark.parametrize("minutes", [1, 7, 45])
def test_the_frame_of_a_day_is_found_by_asking_for_few(light: str, minutes: int) -> None:
    sun = [elevation for _at, elevation in day_of_sun(minutes)]
    asked: set[int] = set()

    def sun_of(index: int) -> float:
        asked.add(index)
        return sun[index]

    found = choose(len(sun), sun_of, light, 3.0, 8.0)
    top = int(np.argmax(sun))
    half = range(top + 1) if light == "rising" else range(top, len(sun))
    best = top if light == "noon" else min(half, key=lambda index: abs(sun[index] - 3.0))
    assert found is not None
    assert abs(sun[found] - sun[best]) < 0.3
    assert found == best or light == "noon"
    assert len(asked) <= 130


@given(st.lists(st.one_of(st.none(), st.floats(-30, 60)), min_size=1, max_size=80))
def test_whatever_is_known_of_the_sun_the_choice_keeps_its_limits(sun: list[float | None]) -> None:
    found = choose(len(sun), sun.__getitem__, "setting", 3.0, 2.0)
    if found is not None:
        elevation = sun[found]
        assert elevation is not None
        assert abs(elevation - 3.0) <= 2.0


def test_a_season_of_a_folder_has_one_frame_a_day_at_the_same_sun() -> None:
    frames = tuple(
        SourceFrame(
            path=Path("x.jpg"),
            name=at.isoformat(),
            captured_at=at,
            facts=ExposureFacts(sun_elevation_deg=elevation),
        )
        for number in range(20)
        for at, elevation in day_of_sun(10, number)
    )
    plan = recipe.cook(plans.make(frames), recipe.steps_of("season", {"select": {"zone": "Europe/Berlin"}}))
    assert len(plan.frames) == 20
    sun = [frame.facts.sun_elevation_deg for frame in plan.frames if frame.facts]
    assert np.ptp(np.array(sun)) < 2.0
    assert len({frame.name[:10] for frame in plan.frames}) == 20


def test_weather_is_smoothed_and_the_year_stays() -> None:
    dice = np.random.default_rng(2)
    weather = dice.normal(0, 0.5, 60)
    year = np.linspace(-3, -1, 60)
    frames = tuple(
        SourceFrame(
            path=Path("x.jpg"),
            name=str(number),
            captured_at=FIRST + timedelta(days=number),
            facts=ExposureFacts(sun_elevation_deg=3.0),
            measured=replace(MEASURED, log_mean=float(year[number] + weather[number])),
        )
        for number in range(60)
    )
    plan = recipe.cook(plans.make(frames), recipe.steps_of("season", {"season": {"cap_ev": 3.0}}))
    shown = plan.log_mean + plan.gain_ev[:, 1]
    assert np.diff(shown).std() < 0.15 * np.diff(plan.log_mean).std()
    assert shown[50:].mean() - shown[:10].mean() == pytest.approx(
        year[50:].mean() - year[:10].mean(), abs=0.4
    )


def test_a_season_of_one_evening_says_that_it_stands_still(tmp_path: Path) -> None:
    write_evening(tmp_path / "in", evening(3), facts="records")
    for path in (tmp_path / "in").glob("*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "sun_elevation_deg": 3.0}))
    request = RenderRequest(
        frames=read_folder(tmp_path / "in").frames, output=tmp_path / "film.mp4", recipe="season"
    )
    film = render_film(request, lambda _: None, lambda: False)
    assert film.frames == 1
    why = "shows a single frame: select chose one of 3 pictures, for it takes one a day"
    assert film.noticed == (("film.mp4", why),)


def flat(number: int, size: Size) -> Light:
    return np.full((3, size[1], size[0]), float(number), dtype=np.float32)


def test_days_melt_into_each_other_by_weights_that_fall_evenly() -> None:
    stack = Stack(lambda number, size: flat(number**2, size), 6, (8, 4), [Dissolve(days=1)])
    means = [float(stack.picture(number).light.mean()) for number in range(6)]
    expected = [1 / 3, *((n - 1) ** 2 / 4 + n**2 / 2 + (n + 1) ** 2 / 4 for n in range(1, 5)), (16 + 50) / 3]
    assert means == pytest.approx(expected, rel=0.01)


async def test_a_span_of_days_makes_a_film_of_one_frame_each(tmp_path: Path) -> None:
    camera = Camera(size=(96, 54))
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        seq = 1
        for number in range(4):
            noon = FIRST + timedelta(days=number, hours=11, minutes=15)
            sunset = PLACE.evening(noon, 3.0)
            moments = [noon, *(sunset + timedelta(minutes=20 * step) for step in range(-2, 3))]
            for data, record in camera.frames(moments, first=seq):
                assert (await client.upload(data, record)).status == 201
            seq += len(moments)
        wish = {
            "camera": "roof/west",
            "from": "2026-03-01T00:00:00Z",
            "to": "2026-06-01T00:00:00Z",
            "recipe": "season",
            "size": "480p",
        }
        answer = await client.ask("POST", "renders", json=wish)
        assert answer.status == 202, answer.value

        async def film() -> dict[str, object] | None:
            items = (await client.get("films")).value["items"]
            return items[0] if items else None

        made = await until(film)
        assert made["frames"] == 4
        for span in (
            {"day": "2026-03-02"},
            {"from": "2026-03-02T00:00:00Z", "to": "2026-03-03T00:00:00Z"},
        ):
            lonely = {"camera": "roof/west", "recipe": "season", **span}
            refused = await client.ask("POST", "renders", json=lonely)
            assert (refused.status, refused.value["field"]) == (400, "recipe")
            assert "give from and to, several days apart" in refused.value["detail"]
        ordered = RenderSpec(camera=CameraName.parse("roof/west"), day="2026-03-02", recipe="season")
        with pytest.raises(FilmError, match="has those of one day"):
            service._dispatch._footage.of(ordered)
