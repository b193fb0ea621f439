"""Adding and changing profiles: what is left empty comes from the profile that is extended."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import probatio
from homeassistant.const import CONF_NAME
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)

from .brain.compiling import check_change
from .brain.curves import CURVES, HIGHEST_KELVIN, LOWEST_KELVIN
from .brain.errors import BrainError
from .brain.profiles import CUSTOM_CURVE, FOCUS, METERING, WHITE_BALANCE, ProfileSpec
from .brain.seasons import SEASONS
from .configuration import read_profiles, read_schedules
from .forms import (
    Options,
    Words,
    choice,
    named,
    number,
    offsets,
    one_of,
    one_of_names,
    overridable_fields,
    point_fields,
    region_fields,
    required,
    row_names,
    rows,
    words_of_choices,
)
from .protocol.snapshot import MOST_AVERAGED, MOST_DIOPTRES
from .subentry_flow import Fields, FormSection, SpecFlow

_ERROR_FIELDS = {
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
}
_OVERRIDES = "schedule_overrides"
_STOPS = ("-3", "-2", "-1", "1", "2", "3")
_DIOPTRES = ("-1", "-0.5", "-0.25", "0.25", "0.5", "1")


class _OverrideError(BrainError):
    """What is wrong with a profile only where a schedule overrides it."""


class ProfileFlow(SpecFlow):
    """A profile; what is left empty comes from the profile that it extends."""

    def _defaults(self) -> Mapping[str, Any]:
        return {}

    def _shown(self, kept: Mapping[str, Any]) -> Mapping[str, Any]:
        """Show brackets without their middle, and overrides as rows that name their schedules."""
        shown = dict(kept)
        for key in {"bracket_ev", "focus_bracket"} & kept.keys():
            shown[key] = [f"{offset:g}" for offset in kept[key] if offset != 0]
        if _OVERRIDES in kept:
            names = self._schedule_names()
            shown[_OVERRIDES] = [
                {"schedule": names.get(schedule, schedule), **changes}
                for schedule, changes in kept[_OVERRIDES].items()
            ]
        return shown

    def _compile(self, spec_id: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
        ids = {name: schedule for schedule, name in self._schedule_names().items()}
        overrides: dict[str, dict[str, Any]] = {}
        for row in given.get(_OVERRIDES, ()):
            schedule = ids.get(row["schedule"], row["schedule"])
            if schedule in overrides:
                raise _OverrideError("override_twice")
            overrides[schedule] = {key: value for key, value in row.items() if key != "schedule"}
        spec = ProfileSpec.read(spec_id, name, {**given, _OVERRIDES: overrides})
        specs = read_profiles(self._get_entry())
        check_change(specs, replace(spec, schedule_overrides=None))
        try:
            check_change(specs, spec)
        except BrainError as error:
            raise _OverrideError(error.key, **error.places) from error
        return spec.write()

    def _field_of(self, error: BrainError) -> str:
        if isinstance(error, _OverrideError):
            return _OVERRIDES
        return _ERROR_FIELDS.get(error.key, "base")

    def _schedule_names(self) -> dict[str, str]:
        """Return what rows call schedules, by their ids; of those that are gone the ids."""
        entry = self._get_entry()
        kept = (profile.schedule_overrides or {} for profile in read_profiles(entry).values())
        gone = {schedule: schedule for overrides in kept for schedule in overrides}
        return {**gone, **row_names(read_schedules(entry).values())}

    def _head(self, known_id: str | None) -> Fields:
        profiles = read_profiles(self._get_entry())
        bases = named(spec for spec in profiles.values() if spec.id != known_id)
        known = profiles.get(known_id or "")
        if known is not None and known.extends is not None and known.extends not in profiles:
            bases.append(SelectOptionDict(value=known.extends, label=known.extends))
        return head(bases)

    def _sections(self, _known_id: str | None) -> tuple[FormSection, ...]:
        return sections(self._schedule_names().values(), words_of_choices(self.hass))


def head(bases: Options) -> Fields:
    """Return the fields above the sections, with the profiles that can be extended."""
    seasons = SelectSelectorConfig(
        options=list(SEASONS), translation_key="season", mode=SelectSelectorMode.DROPDOWN
    )
    return {
        probatio.Required(CONF_NAME): TextSelector(),
        probatio.Optional("extends"): one_of(bases),
        probatio.Optional("season"): SelectSelector(seasons),
    }


def sections(schedules: Iterable[str], words: Words = MappingProxyType({})) -> tuple[FormSection, ...]:
    """Return the sections of the form, with the names of the schedules that can be told apart."""
    overrides = {"schedule": required(one_of_names(schedules)), **overridable_fields(words)}
    return (
        FormSection(key="exposure", fields=_exposure(), collapsed=False),
        FormSection(key="measuring", fields=_measuring()),
        FormSection(key="colour", fields=_colour()),
        FormSection(key="brackets", fields=_brackets()),
        FormSection(key="files", fields=_files()),
        FormSection(
            key="overrides", fields={probatio.Optional(_OVERRIDES): rows("schedule_override", overrides)}
        ),
    )


def _exposure() -> Fields:
    optional = probatio.Optional
    return {
        optional("ev"): number(-5, 5, 0.1, "EV"),
        optional("night_ev"): number(-5, 5, 0.1, "EV"),
        optional("max_exposure_s"): number(0, 3600, "any", "s"),
        optional("max_gain"): number(0, 64, "any", None),
        optional("average"): number(1, MOST_AVERAGED, 1, None),
    }


def _measuring() -> Fields:
    return {
        probatio.Optional("metering"): choice(METERING, "metering"),
        probatio.Optional("regions"): rows("region", region_fields()),
    }


def _colour() -> Fields:
    optional = probatio.Optional
    return {
        optional("white_balance"): choice(WHITE_BALANCE, "white_balance"),
        optional("kelvin"): number(LOWEST_KELVIN, HIGHEST_KELVIN, 50, "K"),
        optional("curve"): choice((*CURVES, CUSTOM_CURVE), "curve"),
        optional("curve_points"): rows("curve_point", point_fields()),
    }


def _brackets() -> Fields:
    optional = probatio.Optional
    return {
        optional("focus"): choice(FOCUS, "focus"),
        optional("focus_dioptre"): number(0, MOST_DIOPTRES, "any", "dpt"),
        optional("focus_bracket"): offsets(_DIOPTRES),
        optional("bracket_ev"): offsets(_STOPS),
    }


def _files() -> Fields:
    return {
        probatio.Optional("raw"): BooleanSelector(),
        probatio.Optional("jpeg_quality"): number(50, 100, 1, "%"),
    }
