"""Adding and changing schedules and profiles: forms made of selectors, checked by compiling what they say."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import probatio
from homeassistant.config_entries import ConfigEntry, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.const import CONF_NAME
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    ObjectSelector,
    ObjectSelectorConfig,
    ObjectSelectorField,
    SelectOptionDict,
    Selector,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TimeSelector,
)
from homeassistant.util import slugify

from .brain.compiling import check_profile
from .brain.curves import CURVES, HIGHEST_KELVIN, HIGHEST_LUX, LOWEST_KELVIN, LOWEST_LUX
from .brain.errors import BrainError
from .brain.profiles import CUSTOM_CURVE, FOCUS, METERING, WHITE_BALANCE, ProfileSpec
from .brain.schedules import ANCHORS, MAX_DURATION_MIN, RECIPES, SIZES, WEEKDAYS, ScheduleSpec
from .brain.seasons import SEASONS
from .configuration import read_profiles, read_schedules
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
        number = 1
        while (found := base if number == 1 else f"{base}_{number}") in taken:
            number += 1
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
        profiles = _named(read_profiles(entry).values())
        return probatio.Schema(
            {
                probatio.Required(CONF_NAME): TextSelector(),
                probatio.Required("enabled", default=True): BooleanSelector(),
                probatio.Required("anchor"): _choice(ANCHORS, "anchor"),
                probatio.Optional("at", default="00:00:00"): TimeSelector(),
                probatio.Optional("offset_min", default=0): _number(-720, 720, 1, "min"),
                probatio.Required("duration_min"): _number(1, MAX_DURATION_MIN, 1, "min"),
                probatio.Required("interval_s"): _number(0.1, 86_400, "any", "s"),
                probatio.Required("days", default=list(WEEKDAYS)): _choice(WEEKDAYS, "days", multiple=True),
                probatio.Optional("cameras", default=[]): SelectSelector(
                    SelectSelectorConfig(options=_cameras(entry), multiple=True, custom_value=True)
                ),
                probatio.Required("profiles"): SelectSelector(
                    SelectSelectorConfig(options=profiles, multiple=True)
                ),
                probatio.Required("film", default=True): BooleanSelector(),
                probatio.Required("recipe", default="clean"): _choice(RECIPES, "recipe"),
                probatio.Required("size", default="1080p"): _choice(SIZES, "size"),
                probatio.Required("rate", default=24): _number(1, 60, 1, "fps"),
                probatio.Required("keep_days", default=0): _number(0, 36_500, 1, "d"),
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
        rows = given.get("schedule_overrides", ())
        overrides = {
            row["schedule"]: {key: value for key, value in row.items() if key != "schedule"} for row in rows
        }
        spec = ProfileSpec.read(spec_id, name, {**given, "schedule_overrides": overrides})
        specs = {**read_profiles(self._get_entry()), spec_id: spec}
        for each in specs:
            check_profile(specs, each)
        return spec.write()

    def _schema(self, known_id: str | None) -> probatio.Schema:
        entry = self._get_entry()
        others = _named(spec for spec in read_profiles(entry).values() if spec.id != known_id)
        optional = probatio.Optional
        overrides = {
            "schedule": _required(_options(_named(read_schedules(entry).values()))),
            **_overridable(),
        }
        return probatio.Schema(
            {
                probatio.Required(CONF_NAME): TextSelector(),
                optional("extends"): _options(others),
                optional("season"): _choice(SEASONS, "season"),
                optional("metering"): _choice(METERING, "metering"),
                optional("regions"): _rows("region", _region_fields()),
                optional("ev"): _number(-5, 5, 0.1, "EV"),
                optional("night_ev"): _number(-5, 5, 0.1, "EV"),
                optional("white_balance"): _choice(WHITE_BALANCE, "white_balance"),
                optional("kelvin"): _number(LOWEST_KELVIN, HIGHEST_KELVIN, 50, "K"),
                optional("curve"): _choice((*CURVES, CUSTOM_CURVE), "curve"),
                optional("curve_points"): _rows("curve_point", _point_fields()),
                optional("max_exposure_s"): _number(0, 3600, "any", "s"),
                optional("max_gain"): _number(0, 64, "any", None),
                optional("bracket_ev"): _offsets(_STOPS),
                optional("average"): _number(1, MOST_AVERAGED, 1, None),
                optional("focus"): _choice(FOCUS, "focus"),
                optional("focus_dioptre"): _number(0, MOST_DIOPTRES, "any", "dpt"),
                optional("focus_bracket"): _offsets(_DIOPTRES),
                optional("raw"): BooleanSelector(),
                optional("jpeg_quality"): _number(50, 100, 1, "%"),
                optional("schedule_overrides"): _rows("schedule_override", overrides),
            }
        )


def _region_fields() -> dict[str, ObjectSelectorField]:
    share = _number(0, 1, 0.01, None)
    corners = {key: _required(share) for key in ("left", "top", "right", "bottom")}
    return {**corners, "weight": ObjectSelectorField(selector=_number(0.1, 100, "any", None))}


def _point_fields() -> dict[str, ObjectSelectorField]:
    return {
        "lux": _required(_number(LOWEST_LUX, HIGHEST_LUX, "any", "lx")),
        "kelvin": _required(_number(LOWEST_KELVIN, HIGHEST_KELVIN, 50, "K")),
    }


def _overridable() -> dict[str, ObjectSelectorField]:
    """Return the fields of a profile that its form lets a schedule override."""
    selectors: dict[str, Selector[Any]] = {
        "ev": _number(-5, 5, 0.1, "EV"),
        "night_ev": _number(-5, 5, 0.1, "EV"),
        "metering": _choice(METERING, "metering"),
        "white_balance": _choice(WHITE_BALANCE, "white_balance"),
        "kelvin": _number(LOWEST_KELVIN, HIGHEST_KELVIN, 50, "K"),
        "curve": _choice(tuple(CURVES), "curve"),
        "max_exposure_s": _number(0, 3600, "any", "s"),
        "max_gain": _number(0, 64, "any", None),
        "average": _number(1, MOST_AVERAGED, 1, None),
        "raw": BooleanSelector(),
    }
    return {key: ObjectSelectorField(selector=selector) for key, selector in selectors.items()}


def _required(selector: Selector[Any]) -> ObjectSelectorField:
    return ObjectSelectorField(selector=selector, required=True)


def _rows(key: str, fields: dict[str, ObjectSelectorField]) -> ObjectSelector:
    """Return a list of rows, each shown by its first two fields."""
    label, description, *_ = fields
    return ObjectSelector(
        ObjectSelectorConfig(
            fields=fields,
            multiple=True,
            label_field=label,
            description_field=description,
            translation_key=key,
        )
    )


def _offsets(usual: tuple[str, ...]) -> SelectSelector:
    """Return a choice of a bracket's offsets; the middle belongs to every bracket."""
    return SelectSelector(SelectSelectorConfig(options=list(usual), multiple=True, custom_value=True))


def _named(specs: Iterable[ProfileSpec | ScheduleSpec]) -> list[SelectOptionDict]:
    return [SelectOptionDict(value=spec.id, label=spec.name) for spec in specs]


def _options(options: list[SelectOptionDict]) -> SelectSelector:
    return SelectSelector(SelectSelectorConfig(options=options, mode=SelectSelectorMode.DROPDOWN))


def _choice(options: tuple[str, ...], key: str, *, multiple: bool = False) -> SelectSelector:
    return SelectSelector(SelectSelectorConfig(options=list(options), translation_key=key, multiple=multiple))


def _number(low: float, high: float, step: Any, unit: str | None) -> NumberSelector:
    config = NumberSelectorConfig(min=low, max=high, step=step, mode=NumberSelectorMode.BOX)
    if unit is not None:
        config["unit_of_measurement"] = unit
    return NumberSelector(config)


def _cameras(entry: ConfigEntry) -> list[SelectOptionDict]:
    """Return the cameras that are known while the entry is loaded, and those that schedules name."""
    names = {name for spec in read_schedules(entry).values() for name in spec.cameras}
    labels = dict.fromkeys(sorted(names))
    data = getattr(entry, "runtime_data", None)
    known = data.coordinator.system.cameras if data is not None else {}
    for name, facts in known.items():
        labels[name] = facts.info.name if facts.info else None
    return [SelectOptionDict(value=name, label=label or name) for name, label in labels.items()]
