"""The user's decisions, read from the entry's subentries; and the subentries that a new entry starts with."""

from homeassistant.config_entries import ConfigEntry, ConfigSubentryData
from homeassistant.core import HomeAssistant

from .brain.compiling import check_profile
from .brain.deploy import Configuration
from .brain.errors import BrainError
from .brain.plan import Place
from .brain.profiles import BUILT_IN_PROFILES, ProfileSpec
from .brain.schedules import BUILT_IN_SCHEDULES, ScheduleSpec
from .const import LOGGER, SUBENTRY_PROFILE, SUBENTRY_SCHEDULE

UNREADABLE = (BrainError, AttributeError, LookupError, TypeError, ValueError)
"""What reading and compiling raise: subentries that were not made by their forms can hold anything."""


def built_in_subentries() -> list[ConfigSubentryData]:
    """Return the profiles and schedules that are there from the first start."""
    profiles = [
        ConfigSubentryData(
            data=profile.write(), subentry_type=SUBENTRY_PROFILE, title=profile.name, unique_id=profile.id
        )
        for profile in BUILT_IN_PROFILES
    ]
    schedules = [
        ConfigSubentryData(
            data=schedule.write(), subentry_type=SUBENTRY_SCHEDULE, title=schedule.name, unique_id=schedule.id
        )
        for schedule in BUILT_IN_SCHEDULES
    ]
    return [*profiles, *schedules]


def read_profiles(entry: ConfigEntry) -> dict[str, ProfileSpec]:
    """Return the entry's profiles by id; one that cannot be read is left out with a line in the log."""
    specs = {}
    for subentry in entry.get_subentries_of_type(SUBENTRY_PROFILE):
        if not subentry.unique_id:
            continue
        try:
            specs[subentry.unique_id] = ProfileSpec.read(subentry.unique_id, subentry.title, subentry.data)
        except UNREADABLE as error:
            LOGGER.warning("Profile %s cannot be read: %s", subentry.unique_id, error)
    return specs


def read_schedules(entry: ConfigEntry) -> dict[str, ScheduleSpec]:
    """Return the entry's schedules by id; one that cannot be read is left out with a line in the log."""
    specs = {}
    for subentry in entry.get_subentries_of_type(SUBENTRY_SCHEDULE):
        if not subentry.unique_id:
            continue
        try:
            specs[subentry.unique_id] = ScheduleSpec.read(subentry.unique_id, subentry.title, subentry.data)
        except UNREADABLE as error:
            LOGGER.warning("Schedule %s cannot be read: %s", subentry.unique_id, error)
    return specs


def read_configuration(hass: HomeAssistant, entry: ConfigEntry) -> Configuration:
    """Return all that the user decided, profiles that cannot be compiled left out with a line in the log."""
    specs = read_profiles(entry)
    left_out = set()
    for profile_id in specs:
        try:
            check_profile(specs, profile_id)
        except UNREADABLE as error:
            LOGGER.warning("Profile %s is left out: %s", profile_id, error)
            left_out.add(profile_id)
    usable = specs.keys() - left_out
    schedules = []
    for schedule in read_schedules(entry).values():
        if missing := set(schedule.profiles) - usable:
            LOGGER.warning("Schedule %s is left out: it names no usable %s", schedule.id, sorted(missing))
            continue
        schedules.append(schedule)
    return Configuration(
        profiles=specs, left_out=frozenset(left_out), schedules=tuple(schedules), place=read_place(hass)
    )


def read_place(hass: HomeAssistant) -> Place:
    """Return where Home Assistant, hence the cameras, stand."""
    return Place(
        latitude=hass.config.latitude,
        longitude=hass.config.longitude,
        elevation_m=float(hass.config.elevation),
        time_zone=hass.config.time_zone,
    )
