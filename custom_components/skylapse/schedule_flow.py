"""Adding and changing schedules: when, what, and which film is made of it."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import probatio
from homeassistant.config_entries import SubentryFlowResult
from homeassistant.const import CONF_NAME
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
    TimeSelector,
)

from .brain.compiling import compile_profile, resolve
from .brain.errors import BrainError
from .brain.load import Load, load_of
from .brain.schedules import (
    ANCHORS,
    CODECS,
    FILM_RECIPES,
    LONGEST_S,
    MAX_DURATION_MIN,
    MAX_OFFSET_MIN,
    SHORTEST_S,
    SIZES,
    WEEKDAYS,
    ScheduleSpec,
    recipe_of,
)
from .configuration import read_profiles
from .forms import Options, camera_options, choice, named, number
from .protocol.snapshot import Profile
from .subentry_flow import Fields, FormSection, SpecFlow

HEAD: Fields = {
    probatio.Required(CONF_NAME): TextSelector(),
    probatio.Required("enabled", default=True): BooleanSelector(),
}
_ERROR_FIELDS = {
    "duration_range": "duration_min",
    "offset_range": "offset_min",
    "interval_range": "interval_s",
    "no_profile": "profiles",
    "no_day": "days",
}


class ScheduleFlow(SpecFlow):
    """A schedule: when, how often, with which profiles, and what film is made of it."""

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self._asked: tuple[str, str, dict[str, Any]] = ("", "", {})
        """Id, name and fields of the schedule that was filled in last."""

    async def async_step_much(self, _user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Show the question once more, to a page that is loaded anew."""
        return self._question()

    async def async_step_save(self, _user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Keep what was asked about as it is."""
        return super()._finish(*self._asked)

    async def async_step_again(self, _user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Show the form again, to change what was asked about."""
        spec_id, name, data = self._asked
        known_id = spec_id if self.source == "reconfigure" else None
        step = "user" if known_id is None else "reconfigure"
        return self._step(step, None, {**data, CONF_NAME: name}, known_id)

    def _finish(self, spec_id: str, name: str, data: dict[str, Any]) -> SubentryFlowResult:
        """Keep the schedule; where it fills disks, ask before."""
        self._asked = spec_id, name, data
        is_much = self._load(ScheduleSpec.read(spec_id, name, data)).is_much
        return self._question() if is_much else super()._finish(spec_id, name, data)

    def _question(self) -> SubentryFlowResult:
        """Ask whether somebody means what fills disks."""
        spec_id, name, data = self._asked
        schedule = ScheduleSpec.read(spec_id, name, data)
        load = self._load(schedule)
        return self.async_show_menu(
            step_id="much",
            menu_options=["again", "save"],
            description_placeholders={
                "name": name,
                "interval": f"{schedule.interval_s:g}",
                "frames": f"{load.frames:,}".replace(",", "\N{NARROW NO-BREAK SPACE}"),
                "cameras": str(load.cameras),
                "gigabytes": str(max(round(load.bytes / 1e9), 1)),
            },
        )

    def _load(self, schedule: ScheduleSpec) -> Load:
        """Return what a schedule yields with the cameras that are known."""
        data = getattr(self._get_entry(), "runtime_data", None)
        known = data.coordinator.system.cameras if data is not None else {}
        sizes = [
            each.info.width * each.info.height
            for name, each in known.items()
            if each.info is not None and schedule.covers(name)
        ]
        return load_of(schedule, self._profiles_of(schedule), sizes)

    def _profiles_of(self, schedule: ScheduleSpec) -> Iterator[Profile]:
        """Yield those of the schedule's profiles that can be used, as they are within its windows."""
        specs = read_profiles(self._get_entry())
        for profile in schedule.profiles:
            with suppress(BrainError):
                overrides = resolve(specs, profile).schedule_overrides or {}
                yield compile_profile(specs, profile, 0, changes=overrides.get(schedule.id, {}))

    def _defaults(self) -> Mapping[str, Any]:
        return ScheduleSpec(
            id="new", name="", anchor="sunset", offset_min=-30, duration_min=60, interval_s=15
        ).write()

    def _shown(self, kept: Mapping[str, Any]) -> Mapping[str, Any]:
        """Show no profile that is gone: nobody could take it away, and the form refuses it."""
        known = read_profiles(self._get_entry())
        profiles = [each for each in kept.get("profiles", ()) if each in known]
        return {**kept, "recipe": recipe_of(kept), "profiles": profiles}

    def _compile(self, spec_id: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
        return ScheduleSpec.read(spec_id, name, {**self._defaults(), **given}).write()

    def _field_of(self, error: BrainError) -> str:
        return _ERROR_FIELDS[error.key]

    def _head(self, _known_id: str | None) -> Fields:
        return HEAD

    def _sections(self, _known_id: str | None) -> tuple[FormSection, ...]:
        entry = self._get_entry()
        return sections(named(read_profiles(entry).values()), camera_options(entry))


def sections(profiles: Options, cameras: Options) -> tuple[FormSection, ...]:
    """Return the sections of the form, with what there is to choose from."""
    return (
        FormSection(key="when", fields=_when(), collapsed=False),
        FormSection(key="what", fields=_what(profiles, cameras), collapsed=False),
        FormSection(key="film_made", fields=_film()),
    )


def _what(profiles: Options, cameras: Options) -> Fields:
    return {
        probatio.Required("profiles"): SelectSelector(SelectSelectorConfig(options=profiles, multiple=True)),
        probatio.Optional("cameras", default=[]): SelectSelector(
            SelectSelectorConfig(options=cameras, multiple=True, custom_value=True)
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
        probatio.Required("recipe", default="clean"): choice(FILM_RECIPES, "recipe"),
        probatio.Required("size", default="1080p"): choice(SIZES, "size"),
        probatio.Optional("also_sizes", default=[]): choice(SIZES, "size", multiple=True),
        probatio.Required("codec", default="h264"): choice(CODECS, "codec"),
        probatio.Required("rate", default=24): number(1, 60, 1, "fps"),
    }
