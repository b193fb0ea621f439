"""Adding and changing schedules and profiles: forms made of selectors, checked by compiling what they say."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import probatio
from homeassistant.config_entries import ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_NAME
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
    TimeSelector,
)
from homeassistant.util import slugify

from .brain.compiling import check_profile
from .brain.curves import CURVES, HIGHEST_KELVIN, LOWEST_KELVIN
from .brain.errors import BrainError
from .brain.profiles import CUSTOM_CURVE, FOCUS, METERING, WHITE_BALANCE, ProfileSpec
from .brain.schedules import ANCHORS, MAX_DURATION_MIN, RECIPES, SIZES, WEEKDAYS, ScheduleSpec
from .brain.seasons import SEASONS
from .configuration import read_profiles, read_schedules
from .forms import (
    camera_options,
    choice,
    named,
    number,
    offsets,
    one_of,
    overridable_fields,
    point_fields,
    region_fields,
    required,
    rows,
)
from .protocol.snapshot import MOST_AVERAGED, MOST_DIOPTRES

_ERROR_FIELDS = {
    "duration_range": "duration_min",
    "interval_range": "interval_s",
    "no_profile": "profiles",
    "no_day": "days",
    "profile_circle": "extends",
    "profile_base_unknown": "extends",
    "season_base": "season",
    "season_taken": "season",
    "no_region": "regions",
    "region_range": "regions",
    "curve_points": "curve_points",
    "curve_too_wild": "curve_points",
    "curve_unknown": "curve",
    "bracket_range": "bracket_ev",
    "focus_bracket_range": "focus_bracket",
    "change_unknown": "schedule_overrides",
    "profile_figures": "base",
}
_WHOLE = ("keep_days",)
_STOPS = ("-3", "-2", "-1", "1", "2", "3")
_DIOPTRES = ("-1", "-0.5", "-0.25", "0.25", "0.5", "1")
_MAX_ID = 40


class _SpecFlow(ConfigSubentryFlow):
    """What both flows share: one form, compiled on submit, kept under an id made of the name."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Add one."""
        return self._step("user", user_input, self._defaults(), None)

    async def async_step_reconfigure(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Change one."""
        subentry = self._get_reconfigure_subentry()
        values = {**self._shown(subentry.data), CONF_NAME: subentry.title}
        return self._step("reconfigure", user_input, values, subentry.unique_id)

    def _step(
        self,
        step: str,
        user_input: dict[str, Any] | None,
        values: Mapping[str, Any],
        known_id: str | None,
    ) -> SubentryFlowResult:
        errors: dict[str, str] = {}
        if user_input is not None:
            given = {key: int(value) if key in _WHOLE else value for key, value in user_input.items()}
            name = str(given.pop(CONF_NAME)).strip()
            spec_id = known_id or self._new_id(name)
            try:
                data = self._compile(spec_id, name, given)
            except BrainError as error:
                errors = {_ERROR_FIELDS[error.key]: error.key}
            else:
                return self._finish(spec_id, name, data)
            values = user_input
        return self.async_show_form(
            step_id=step,
            data_schema=self.add_suggested_values_to_schema(self._schema(known_id), values),
            errors=errors,
        )

    def _finish(self, spec_id: str, name: str, data: dict[str, Any]) -> SubentryFlowResult:
        if self.source == "reconfigure":
            return self.async_update_and_abort(
                self._get_entry(), self._get_reconfigure_subentry(), title=name, data=data
            )
        return self.async_create_entry(title=name, data=data, unique_id=spec_id)

    def _new_id(self, name: str) -> str:
        """Return an id that nothing of this kind has yet."""
        base = slugify(name)[:_MAX_ID]
        taken = {subentry.unique_id for subentry in self._get_entry().subentries.values()}
        count = 1
        while (found := base if count == 1 else f"{base}_{count}") in taken:
            count += 1
        return found

    @abstractmethod
    def _defaults(self) -> Mapping[str, Any]:
        """Return what the form of a new one suggests."""

    def _shown(self, kept: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what the form shows of what is kept."""
        return kept

    @abstractmethod
    def _compile(self, spec_id: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """Return what is kept of the fields; raise BrainError for what cannot be compiled."""

    @abstractmethod
    def _schema(self, known_id: str | None) -> probatio.Schema:
        """Return the form; `known_id` is the one that is changed."""


class ScheduleFlow(_SpecFlow):
    """A schedule: when, how often, with which profiles, and what film is made of it."""

    def _defaults(self) -> Mapping[str, Any]:
        return ScheduleSpec(
            id="new", name="", anchor="sunset", offset_min=-30, duration_min=60, interval_s=15
        ).write()

    def _compile(self, spec_id: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
        return ScheduleSpec.read(spec_id, name, {**self._defaults(), **given}).write()

    def _schema(self, _known_id: str | None) -> probatio.Schema:
        entry = self._get_entry()
        profiles = named(read_profiles(entry).values())
        return probatio.Schema(
            {
                probatio.Required(CONF_NAME): TextSelector(),
                probatio.Required("enabled", default=True): BooleanSelector(),
                probatio.Required("anchor"): choice(ANCHORS, "anchor"),
                probatio.Optional("at", default="00:00:00"): TimeSelector(),
                probatio.Optional("offset_min", default=0): number(-720, 720, 1, "min"),
                probatio.Required("duration_min"): number(1, MAX_DURATION_MIN, 1, "min"),
                probatio.Required("interval_s"): number(0.1, 86_400, "any", "s"),
                probatio.Required("days", default=list(WEEKDAYS)): choice(WEEKDAYS, "days", multiple=True),
                probatio.Optional("cameras", default=[]): SelectSelector(
                    SelectSelectorConfig(options=camera_options(entry), multiple=True, custom_value=True)
                ),
                probatio.Required("profiles"): SelectSelector(
                    SelectSelectorConfig(options=profiles, multiple=True)
                ),
                probatio.Required("film", default=True): BooleanSelector(),
                probatio.Required("recipe", default="clean"): choice(RECIPES, "recipe"),
                probatio.Required("size", default="1080p"): choice(SIZES, "size"),
                probatio.Required("rate", default=24): number(1, 60, 1, "fps"),
                probatio.Required("keep_days", default=0): number(0, 36_500, 1, "d"),
            }
        )


class ProfileFlow(_SpecFlow):
    """A profile; what is left empty comes from the profile that it extends."""

    def _defaults(self) -> Mapping[str, Any]:
        return {}

    def _shown(self, kept: Mapping[str, Any]) -> Mapping[str, Any]:
        """Brackets as the texts of a choice, overrides as rows that name their schedule."""
        shown = dict(kept)
        for key in ("bracket_ev", "focus_bracket"):
            if key in kept:
                shown[key] = [f"{offset:g}" for offset in kept[key] if offset]
        if "schedule_overrides" in kept:
            shown["schedule_overrides"] = [
                {"schedule": schedule, **changes} for schedule, changes in kept["schedule_overrides"].items()
            ]
        return shown

    def _compile(self, spec_id: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
        given_rows = given.get("schedule_overrides", ())
        overrides = {
            row["schedule"]: {key: value for key, value in row.items() if key != "schedule"}
            for row in given_rows
        }
        spec = ProfileSpec.read(spec_id, name, {**given, "schedule_overrides": overrides})
        specs = {**read_profiles(self._get_entry()), spec_id: spec}
        for each in specs:
            check_profile(specs, each)
        return spec.write()

    def _schema(self, known_id: str | None) -> probatio.Schema:
        entry = self._get_entry()
        others = named(spec for spec in read_profiles(entry).values() if spec.id != known_id)
        optional = probatio.Optional
        overrides = {
            "schedule": required(one_of(named(read_schedules(entry).values()))),
            **overridable_fields(),
        }
        return probatio.Schema(
            {
                probatio.Required(CONF_NAME): TextSelector(),
                optional("extends"): one_of(others),
                optional("season"): choice(SEASONS, "season"),
                optional("metering"): choice(METERING, "metering"),
                optional("regions"): rows("region", region_fields()),
                optional("ev"): number(-5, 5, 0.1, "EV"),
                optional("night_ev"): number(-5, 5, 0.1, "EV"),
                optional("white_balance"): choice(WHITE_BALANCE, "white_balance"),
                optional("kelvin"): number(LOWEST_KELVIN, HIGHEST_KELVIN, 50, "K"),
                optional("curve"): choice((*CURVES, CUSTOM_CURVE), "curve"),
                optional("curve_points"): rows("curve_point", point_fields()),
                optional("max_exposure_s"): number(0, 3600, "any", "s"),
                optional("max_gain"): number(0, 64, "any", None),
                optional("bracket_ev"): offsets(_STOPS),
                optional("average"): number(1, MOST_AVERAGED, 1, None),
                optional("focus"): choice(FOCUS, "focus"),
                optional("focus_dioptre"): number(0, MOST_DIOPTRES, "any", "dpt"),
                optional("focus_bracket"): offsets(_DIOPTRES),
                optional("raw"): BooleanSelector(),
                optional("jpeg_quality"): number(50, 100, 1, "%"),
                optional("schedule_overrides"): rows("schedule_override", overrides),
            }
        )
