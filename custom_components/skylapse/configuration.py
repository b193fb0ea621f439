"""The user's decisions, read from the entry's subentries; and the subentries that a new entry starts with."""

from collections.abc import Callable, Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_exception_message

from .brain.compiling import check_profile
from .brain.deploy import Configuration
from .brain.errors import BrainError
from .brain.plan import Place
from .brain.profiles import BUILT_IN_PROFILES, ProfileSpec
from .brain.schedules import BUILT_IN_SCHEDULES, ScheduleSpec
from .const import DOMAIN, SUBENTRY_PROFILE, SUBENTRY_SCHEDULE

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
    """Return the entry's profiles by id; one that cannot be read is left out."""
    return _read(entry, SUBENTRY_PROFILE, ProfileSpec.read)[0]


def read_schedules(entry: ConfigEntry) -> dict[str, ScheduleSpec]:
    """Return the entry's schedules by id; one that cannot be read is left out."""
    return _read(entry, SUBENTRY_SCHEDULE, ScheduleSpec.read)[0]


def read_configuration(hass: HomeAssistant, entry: ConfigEntry) -> Configuration:
    """Return all that the user decided, with what had to be left out."""
    specs, faults = _read(entry, SUBENTRY_PROFILE, ProfileSpec.read)
    kept, unread = _read(entry, SUBENTRY_SCHEDULE, ScheduleSpec.read)
    left_out = set()
    for profile_id in specs:
        try:
            check_profile(specs, profile_id)
        except UNREADABLE as error:
            faults.append(f"Profile {profile_id} is left out: {_why(error)}")
            left_out.add(profile_id)
    usable = specs.keys() - left_out
    unusable = tuple(each for each in kept.values() if not usable >= set(each.profiles))
    return Configuration(
        profiles=specs,
        left_out=frozenset(left_out),
        schedules=tuple(each for each in kept.values() if each not in unusable),
        unusable_schedules=unusable,
        place=read_place(hass),
        faults=(*faults, *unread),
    )


def _read[S](
    entry: ConfigEntry, kind: str, read: Callable[[str, str, Mapping[str, Any]], S]
) -> tuple[dict[str, S], list[str]]:
    """Return what subentries of a kind mean, by id, and what is wrong with those that mean nothing."""
    specs, faults = {}, []
    for subentry in entry.get_subentries_of_type(kind):
        if not subentry.unique_id:
            continue
        try:
            specs[subentry.unique_id] = read(subentry.unique_id, subentry.title, subentry.data)
        except UNREADABLE as error:
            faults.append(f"{kind.capitalize()} {subentry.unique_id} cannot be read: {_why(error)}")
    return specs, faults


def _why(error: Exception) -> str:
    """Return an error in words for the log, which is in English."""
    if isinstance(error, BrainError):
        return async_get_exception_message(DOMAIN, error.key, error.places)
    return str(error)


def read_place(hass: HomeAssistant) -> Place:
    """Return where Home Assistant, hence the cameras, stand."""
    return Place(
        latitude=hass.config.latitude,
        longitude=hass.config.longitude,
        elevation_m=float(hass.config.elevation),
        time_zone=hass.config.time_zone,
    )
