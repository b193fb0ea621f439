"""The user's decisions, read from the entry's subentries; and the subentries that a new entry starts with."""

from collections import Counter
from collections.abc import Iterable

from homeassistant.config_entries import ConfigEntry, ConfigSubentryData
from homeassistant.core import HomeAssistant

from .brain.deploy import Configuration
from .brain.errors import BrainError
from .brain.plan import Place
from .brain.profiles import BUILT_IN_PROFILES, ProfileSpec, resolve
from .brain.schedules import BUILT_IN_SCHEDULES, ScheduleSpec
from .const import LOGGER, SUBENTRY_PROFILE, SUBENTRY_SCHEDULE
from .protocol.messages import Film


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
    """Return the entry's profiles by id."""
    return {
        subentry.unique_id: ProfileSpec.read(subentry.unique_id, subentry.title, subentry.data)
        for subentry in entry.get_subentries_of_type(SUBENTRY_PROFILE)
        if subentry.unique_id
    }


def read_schedules(entry: ConfigEntry) -> dict[str, ScheduleSpec]:
    """Return the entry's schedules by id."""
    return {
        subentry.unique_id: ScheduleSpec.read(subentry.unique_id, subentry.title, subentry.data)
        for subentry in entry.get_subentries_of_type(SUBENTRY_SCHEDULE)
        if subentry.unique_id
    }


def read_configuration(hass: HomeAssistant, entry: ConfigEntry) -> Configuration:
    """Return all that the user decided, profiles that cannot be compiled left out with a line in the log."""
    specs = read_profiles(entry)
    usable: dict[str, ProfileSpec] = {}
    for profile_id in specs:
        try:
            usable[profile_id] = resolve(specs, profile_id)
        except BrainError as error:
            LOGGER.warning("Profile %s is left out: %s", profile_id, error)
    schedules = []
    for schedule in read_schedules(entry).values():
        if missing := set(schedule.profiles) - usable.keys():
            LOGGER.warning("Schedule %s is left out: it names no usable %s", schedule.id, sorted(missing))
            continue
        schedules.append(schedule)
    return Configuration(profiles=usable, schedules=tuple(schedules), place=read_place(hass))


def film_labels(entry: ConfigEntry, films: Iterable[Film]) -> dict[str, str]:
    """Return what tells the films of one camera and day apart, by film id.

    That is the schedule, and the profile where it made several; a film of no schedule keeps its title.
    """
    titles = {subentry.unique_id: subentry.title for subentry in entry.subentries.values()}
    found = list(films)
    many = Counter(film.schedule for film in found)
    labels = {}
    for film in found:
        label = titles.get(film.schedule) or film.schedule or film.title
        profile = titles.get(film.profile) or film.profile
        is_one_of_many = film.schedule is not None and many[film.schedule] > 1
        labels[film.id] = f"{label} · {profile}" if is_one_of_many and profile else label
    return labels


def read_place(hass: HomeAssistant) -> Place:
    """Return where Home Assistant, hence the cameras, stand."""
    return Place(
        latitude=hass.config.latitude,
        longitude=hass.config.longitude,
        elevation_m=float(hass.config.elevation),
        time_zone=hass.config.time_zone,
    )
