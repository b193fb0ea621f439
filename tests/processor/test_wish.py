"""What somebody asks for, with the steps of a recipe changed."""

import json
from typing import Any

import pytest

from skylapse_processor.errors import RequestError
from skylapse_processor.jobs import RenderSpec
from skylapse_processor.store.jobtable import spec_from_json, spec_to_json
from skylapse_processor.wish import FilmWish
from skylapse_protocol.identifiers import CameraName

WISH = {"camera": "roof/west", "day": "2026-06-01"}
CHANGES = {"level": {"sigma_frames": 40}, "deflicker": False}


def _spec(**changes: Any) -> RenderSpec:
    camera = CameraName(bridge="roof", camera="west")
    return RenderSpec(camera=camera, day="2026-06-01", **changes)


def test_changed_steps_are_part_of_a_wish_and_survive_the_job_table() -> None:
    assert FilmWish.read({**WISH, "parameters": CHANGES}).parameters == CHANGES
    spec = _spec(parameters=CHANGES)
    assert spec_from_json(json.loads(json.dumps(spec_to_json(spec)))) == spec


def test_a_film_with_other_steps_is_another_film() -> None:
    assert _spec(parameters=CHANGES).film != _spec().film
    assert _spec(parameters=CHANGES).film == _spec(parameters=dict(reversed(CHANGES.items()))).film


@pytest.mark.parametrize(
    ("parameters", "place"),
    [
        ([], "parameters"),
        ({"nothing": {}}, "parameters.nothing"),
        ({"level": {"sigma_frames": "40"}}, "parameters.level.sigma_frames"),
    ],
)
def test_steps_that_do_not_exist_are_refused_by_their_place(parameters: object, place: str) -> None:
    with pytest.raises(RequestError) as caught:
        FilmWish.read({**WISH, "parameters": parameters})
    assert caught.value.field == place
