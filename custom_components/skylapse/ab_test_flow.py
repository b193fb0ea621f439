"""Adding an A/B test, which starts it, and changing its name and its end."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import probatio
from homeassistant.config_entries import ConfigEntryState, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_NAME
from homeassistant.helpers.selector import (
    DateTimeSelector,
    ObjectSelectorField,
    SelectOptionDict,
    TextSelector,
)
from homeassistant.util import dt as dt_util

from .ab_test_entries import id_of_test, kept_of, unique_id_of
from .actions.base import limit_s
from .arm_words import changes_of, in_words
from .brain.ab_tests import LETTERS, LONGEST, SHORTEST, USUAL, AbTest
from .brain.errors import BrainError
from .configuration import read_profiles
from .data import SkylapseConfigEntry
from .errors import NotTakenError
from .facts import CameraFacts
from .forms import (
    Options,
    Words,
    name_error,
    number,
    one_of,
    one_of_names,
    overridable_fields,
    required,
    row_names,
    rows,
    words_of_choices,
)
from .protocol.codec import format_time
from .subentry_flow import Fields

_ERROR_FIELDS = {
    "test_no_settings": "camera",
    "test_running": "camera",
    "test_id_bad": "name",
    "test_id_taken": "name",
}
"""Where an error of the brain is shown that is none of the arms'."""


class AbTestFlow(ConfigSubentryFlow):
    """An A/B test: a camera, two or more variants of profiles, and when it ends."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Start a test; the form is done when the camera has taken it."""
        entry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="not_loaded")
        cameras = [each for each in entry.runtime_data.coordinator.system.cameras.values() if each.info]
        if not cameras:
            return self.async_abort(reason="no_camera")
        errors: dict[str, str] = {}
        if user_input is not None:
            arms = _with_ids(entry, user_input["arms"])
            test, errors = await self._begin(entry, {**user_input, "arms": arms})
            if test is not None:
                return self.async_create_entry(
                    title=test.name,
                    data=kept_of(test, arms),
                    unique_id=unique_id_of(test.id),
                )
        schema = self._schema(entry, cameras)
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(schema, user_input or {}),
            errors=errors,
        )

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Change a test's name and, while it runs, its end."""
        entry, subentry = self._get_entry(), self._get_reconfigure_subentry()
        if entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="not_loaded")
        test: AbTest = entry.runtime_data.ab_tester.shelf[id_of_test(subentry)]
        shown = {
            CONF_NAME: subentry.title,
            "ends_at": dt_util.as_local(test.ends_at).strftime("%Y-%m-%d %H:%M:%S"),
        }
        errors: dict[str, str] = {}
        if user_input is not None:
            name, ends_at = str(user_input[CONF_NAME]).strip(), test.ends_at
            if user_input.get("ends_at", shown["ends_at"]) != shown["ends_at"]:
                ends_at, errors = _end(user_input, test.ends_at)
            if wrong_name := name_error(name):
                errors[CONF_NAME] = wrong_name
            if not errors:
                return self.async_update_and_abort(
                    entry, subentry, title=name, data_updates={"ends_at": format_time(ends_at)}
                )
        asked: Fields = {probatio.Required(CONF_NAME): TextSelector()}
        if test.state == "running":
            asked[probatio.Required("ends_at")] = DateTimeSelector()
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(probatio.Schema(asked), user_input or shown),
            description_placeholders={
                "camera": test.camera,
                "arms": _arms_in_words(entry, subentry.data["arms"], words_of_choices(self.hass)),
                "scores": _scores(test),
            },
            errors=errors,
        )

    async def _begin(
        self, entry: SkylapseConfigEntry, given: dict[str, Any]
    ) -> tuple[AbTest | None, dict[str, str]]:
        """Start the test that a form describes; return it, or what is wrong."""
        now, name = dt_util.utcnow(), str(given[CONF_NAME]).strip()
        ends_at, errors = _end(given, now + USUAL)
        if wrong_name := name_error(name):
            errors[CONF_NAME] = wrong_name
        coordinator = entry.runtime_data.coordinator
        camera = coordinator.camera(given["camera"])
        if camera is None or not coordinator.connected or not camera.online:
            errors["camera"] = "camera_offline"
        if errors or camera is None:
            return None, errors
        try:
            test = await entry.runtime_data.ab_tester.async_begin(
                camera,
                given["arms"],
                test_id=None,
                name=name,
                duration=ends_at - now,
                limit_s=limit_s(coordinator),
            )
        except BrainError as error:
            return None, {_ERROR_FIELDS.get(error.key, "arms"): error.key}
        except NotTakenError:
            return None, {"base": "test_not_taken"}
        return test, {}

    def _schema(self, entry: SkylapseConfigEntry, cameras: list[CameraFacts]) -> probatio.Schema:
        options = [
            SelectOptionDict(
                value=str(camera.name), label=camera.info.name if camera.info else str(camera.name)
            )
            for camera in cameras
        ]
        names = row_names(read_profiles(entry).values()).values()
        return probatio.Schema(fields(names, options, words_of_choices(self.hass)))


def fields(profiles: Iterable[str], cameras: Options, words: Words = MappingProxyType({})) -> Fields:
    """Return the fields of the form, with what there is to choose from."""
    arm: dict[str, ObjectSelectorField] = {
        "profile": required(one_of_names(profiles)),
        **overridable_fields(words),
        "jpeg_quality": ObjectSelectorField(selector=number(50, 100, 1, "%")),
    }
    return {
        probatio.Required(CONF_NAME): TextSelector(),
        probatio.Required("camera"): one_of(cameras),
        probatio.Required("arms"): rows("ab_test_arm", arm),
        probatio.Optional("ends_at"): DateTimeSelector(),
    }


def _with_ids(entry: SkylapseConfigEntry, arms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return arms with the ids of their profiles, of which the form knows the names."""
    ids = {name: profile for profile, name in row_names(read_profiles(entry).values()).items()}
    return [{**arm, "profile": ids.get(arm["profile"], arm["profile"])} for arm in arms]


def _end(given: Mapping[str, Any], usual: datetime) -> tuple[datetime, dict[str, str]]:
    """Return when a test is to end, in UTC, and what is wrong with that."""
    asked = dt_util.parse_datetime(str(given.get("ends_at", "")))
    if asked is None:
        return usual, {}
    ends_at = dt_util.as_utc(asked)
    left: timedelta = ends_at - dt_util.utcnow()
    return ends_at, {} if SHORTEST <= left <= LONGEST else {"ends_at": "end_range"}


def _arms_in_words(entry: SkylapseConfigEntry, arms: list[Mapping[str, Any]], words: Words) -> str:
    """Return arms as in `A: Mountain spot · B: Mountain spot (Warm curve, Centre metering)`."""
    names = row_names(read_profiles(entry).values())
    said = []
    for letter, arm, changed in zip(LETTERS, arms, changes_of(arms), strict=False):
        changes = ", ".join(in_words(changed, words))
        name = names.get(arm["profile"], arm["profile"])
        said.append(f"{letter.upper()}: {name}" + (f" ({changes})" if changes else ""))
    return " · ".join(said)


def _scores(test: AbTest) -> str:
    """Return what the arms are worth, as in `A: 72 ★ · B: 55`, once that is known."""
    if test.comparison is None:
        return "–"
    words = []
    for letter, arm in zip(LETTERS, test.comparison.arms, strict=False):
        score = "–" if arm.score is None else f"{arm.score:.0f}"
        words.append(f"{letter.upper()}: {score}" + (" ★" if arm.test_id == test.comparison.winner else ""))
    return " · ".join(words)
