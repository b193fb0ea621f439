"""Adding and changing schedules: when, what, and which film is made of it."""

from collections.abc import Mapping
from typing import Any

import probatio
from homeassistant.const import CONF_NAME
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
    TimeSelector,
)

from .brain.errors import BrainError
from .brain.schedules import (
    ANCHORS,
    CODECS,
    LONGEST_S,
    MAX_DURATION_MIN,
    MAX_OFFSET_MIN,
    RECIPES,
    SHORTEST_S,
    SIZES,
    WEEKDAYS,
    ScheduleSpec,
)
from .configuration import read_profiles
from .forms import camera_options, choice, named, number
from .subentry_flow import Fields, FormSection, SpecFlow

_ERROR_FIELDS = {
    "duration_range": "duration_min",
    "offset_range": "offset_min",
    "interval_range": "interval_s",
    "no_profile": "profiles",
    "no_day": "days",
}


class ScheduleFlow(SpecFlow):
    """A schedule: when, how often, with which profiles, and what film is made of it."""

    def _defaults(self) -> Mapping[str, Any]:
        return ScheduleSpec(
            id="new", name="", anchor="sunset", offset_min=-30, duration_min=60, interval_s=15
        ).write()

    def _compile(self, spec_id: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
        return ScheduleSpec.read(spec_id, name, {**self._defaults(), **given}).write()

    def _field_of(self, error: BrainError) -> str:
        return _ERROR_FIELDS[error.key]

    def _head(self, _known_id: str | None) -> Fields:
        return {
            probatio.Required(CONF_NAME): TextSelector(),
            probatio.Required("enabled", default=True): BooleanSelector(),
        }

    def _sections(self, _known_id: str | None) -> tuple[FormSection, ...]:
        return (
            FormSection(key="when", fields=_when(), collapsed=False),
            FormSection(key="what", fields=self._what(), collapsed=False),
            FormSection(key="film_made", fields=_film()),
        )

    def _what(self) -> Fields:
        entry = self._get_entry()
        profiles = named(read_profiles(entry).values())
        return {
            probatio.Required("profiles"): SelectSelector(
                SelectSelectorConfig(options=profiles, multiple=True)
            ),
            probatio.Optional("cameras", default=[]): SelectSelector(
                SelectSelectorConfig(options=camera_options(entry), multiple=True, custom_value=True)
            ),
            probatio.Required("keep_days", default=0): number(0, 36_500, 1, "d"),
        }


def _when() -> Fields:
    return {
        probatio.Required("anchor"): choice(ANCHORS, "anchor"),
        probatio.Optional("at", default="00:00:00"): TimeSelector(),
        probatio.Optional("offset_min", default=0): number(-MAX_OFFSET_MIN, MAX_OFFSET_MIN, 1, "min"),
        probatio.Required("duration_min"): number(1, MAX_DURATION_MIN, 1, "min"),
        probatio.Required("interval_s"): number(SHORTEST_S, LONGEST_S, "any", "s"),
        probatio.Required("days", default=list(WEEKDAYS)): choice(WEEKDAYS, "days", multiple=True),
    }


def _film() -> Fields:
    return {
        probatio.Required("film", default=True): BooleanSelector(),
        probatio.Required("recipe", default="clean"): choice(RECIPES, "recipe"),
        probatio.Required("size", default="1080p"): choice(SIZES, "size"),
        probatio.Optional("also_sizes", default=[]): choice(SIZES, "size", multiple=True),
        probatio.Required("codec", default="h264"): choice(CODECS, "codec"),
        probatio.Required("rate", default=24): number(1, 60, 1, "fps"),
    }
