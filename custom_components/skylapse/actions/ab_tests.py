"""Actions for A/B tests: start_ab_test, stop_ab_test, list_ab_tests."""

from typing import Any

import probatio
from homeassistant.core import ServiceCall, ServiceResponse
from homeassistant.helpers import config_validation as cv

from ..ab_test_entries import subentry_of
from ..arm_words import labels
from ..brain.ab_tests import LONGEST, SHORTEST, USUAL, AbTest
from ..brain.errors import BrainError
from ..entity import failed, translated
from ..errors import CommandError, NotTakenError, ProcessorAwayError, UnfitAnswerError
from ..forms import Words, words_of_choices
from ..protocol.codec import format_time, write
from .base import (
    ATTR_CAMERA,
    camera_of,
    entry_of,
    invalid,
    limit_s,
    present_camera_of,
    profile_named,
    setting_fields,
    unusable,
    within,
)

ARM_SCHEMA = probatio.Schema({probatio.Required("profile"): cv.string, **setting_fields()})
START_SCHEMA = probatio.Schema(
    {
        probatio.Required(ATTR_CAMERA): cv.string,
        probatio.Required("arms"): [ARM_SCHEMA],
        probatio.Optional("id"): cv.string,
        probatio.Optional("name"): cv.string,
        probatio.Optional("duration", default=USUAL): probatio.All(
            cv.positive_time_period, probatio.Range(min=SHORTEST, max=LONGEST)
        ),
    }
)
STOP_SCHEMA = probatio.Schema(
    {
        probatio.Exclusive(ATTR_CAMERA, "which"): cv.string,
        probatio.Exclusive("id", "which"): cv.string,
        probatio.Optional("wait_s", default=60): within(0, 900),
    }
)
LIST_SCHEMA = probatio.Schema({probatio.Optional(ATTR_CAMERA): cv.string})


async def async_start_ab_test(call: ServiceCall) -> ServiceResponse:
    """Start a test; answer when the camera has taken it. It is one of the entry's subentries from then on."""
    entry = entry_of(call.hass)
    coordinator = entry.runtime_data.coordinator
    camera = present_camera_of(call, coordinator)
    arms = [
        {**arm, "profile": str(profile_named(entry, arm["profile"]).unique_id)} for arm in call.data["arms"]
    ]
    try:
        test = await entry.runtime_data.ab_tester.async_begin(
            camera,
            arms,
            test_id=call.data.get("id"),
            name=call.data.get("name"),
            duration=call.data["duration"],
            limit_s=limit_s(coordinator),
        )
    except BrainError as error:
        raise unusable(error) from error
    except NotTakenError as error:
        raise failed("test_not_taken", camera=str(camera.name)) from error
    call.hass.config_entries.async_add_subentry(entry, subentry_of(test, arms))
    return _facts(test, words_of_choices(call.hass))


async def async_stop_ab_test(call: ServiceCall) -> ServiceResponse:
    """End a test; answer with its comparison. One that is over already is compared if it was not yet."""
    entry = entry_of(call.hass)
    coordinator = entry.runtime_data.coordinator
    test = _meant(call)
    if test.comparison is not None:
        return _facts(test, words_of_choices(call.hass))
    try:
        compared = await entry.runtime_data.ab_tester.async_end(
            test, call.data["wait_s"], limit_s(coordinator)
        )
    except NotTakenError as error:
        raise failed("test_not_ended", camera=test.camera, test=test.id) from error
    except ProcessorAwayError as error:
        raise failed("test_not_compared", test=test.id) from error
    except UnfitAnswerError as error:
        raise failed("refused", who="processor", reason=str(error)) from error
    except CommandError as error:
        raise translated(error, "processor") from error
    return _facts(compared, words_of_choices(call.hass))


async def async_list_ab_tests(call: ServiceCall) -> ServiceResponse:
    """Answer with the tests that run and the last fifty that are over, latest first."""
    entry = entry_of(call.hass)
    only = str(camera_of(call, entry.runtime_data.coordinator).name) if ATTR_CAMERA in call.data else None
    tests = entry.runtime_data.ab_tester.shelf.tests
    words = words_of_choices(call.hass)
    return {"tests": [_facts(test, words) for test in tests if only in (None, test.camera)]}


def _meant(call: ServiceCall) -> AbTest:
    """Return the test with the id, or the one that the camera runs or ran last."""
    data = entry_of(call.hass).runtime_data
    if "id" in call.data:
        test = data.ab_tester.shelf.get(call.data["id"])
        if test is None:
            raise invalid("test_unknown", test=call.data["id"])
        return test
    if ATTR_CAMERA not in call.data:
        raise invalid("test_unnamed")
    camera = str(camera_of(call, data.coordinator).name)
    of_camera = [test for test in data.ab_tester.shelf.tests if test.camera == camera]
    if not of_camera:
        raise invalid("no_test", camera=camera)
    return of_camera[0]


def _facts(test: AbTest, words: Words) -> dict[str, Any]:
    return {
        "id": test.id,
        "name": test.name,
        "camera": test.camera,
        "state": test.state,
        "arms": [
            {"test_id": arm.test_id, "profile": arm.profile.id, "label": label, "changes": changes}
            for (arm, changes), label in zip(test.arms, labels(test, words), strict=True)
        ],
        "started_at": format_time(test.started_at),
        "ends_at": format_time(test.ends_at),
        "ended_at": format_time(test.ended_at) if test.ended_at else None,
        "comparison": write(test.comparison) if test.comparison else None,
        "failure": test.failure,
    }
