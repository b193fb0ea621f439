"""What triggers and conditions share: which cameras are meant, who is loaded, and what is refused.

A target may name what does not exist yet; what exists and has nothing to do with a camera is refused.
"""

from collections.abc import Callable
from typing import Any

import probatio
from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
    ConfigEntryState,
)
from homeassistant.const import ATTR_DEVICE_ID, ATTR_ENTITY_ID, CONF_EXCLUDE, CONF_OPTIONS, CONF_TARGET
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.target import TargetSelection, async_extract_referenced_entity_ids
from homeassistant.helpers.typing import ConfigType

from .const import DOMAIN, SUBENTRY_PROFILE, SUBENTRY_SCHEDULE
from .coordinator import Happening, SkylapseCoordinator
from .devices import subject_of

CONF_MEASURE = "measure"
CONF_SCHEDULE = "schedule"
CONF_PROFILE = "profile"
CONF_THRESHOLD = "threshold"

IDS = probatio.All(cv.ensure_list, [cv.string])
"""One or several ids of schedules or profiles."""


@callback
def coordinator_in(hass: HomeAssistant) -> SkylapseCoordinator | None:
    """Return the coordinator of the entry that is loaded, None where none is."""
    entries = hass.config_entries.async_loaded_entries(DOMAIN)
    coordinator: SkylapseCoordinator | None = entries[0].runtime_data.coordinator if entries else None
    return coordinator


@callback
def cameras_of(hass: HomeAssistant, target: ConfigType) -> dict[str, str]:
    """Return the cameras (`<bridge>/<camera>`) that a target names, each with the id of its device.

    A camera is named by any of its entities, its device, its bridge's device, or an area, floor or label.
    """
    excluded = _named(hass, target.get(CONF_EXCLUDE) or {})
    return {camera: device for camera, device in _named(hass, target).items() if camera not in excluded}


@callback
def check(hass: HomeAssistant, config: ConfigType) -> ConfigType:
    """Return what a trigger or condition is set to; raise Invalid with words where it cannot be meant."""
    if CONF_TARGET in config:
        _check_target(hass, config[CONF_TARGET])
    options: dict[str, Any] = config[CONF_OPTIONS]
    for key, kind in ((CONF_SCHEDULE, SUBENTRY_SCHEDULE), (CONF_PROFILE, SUBENTRY_PROFILE)):
        _check_ids(hass, kind, options.get(key, []))
    return config


@callback
def async_follow_coordinator(
    hass: HomeAssistant, meet: Callable[[SkylapseCoordinator], Happening]
) -> CALLBACK_TYPE:
    """Have the coordinator of an entry that is loaded, now or later, heard by what `meet` returns for it."""
    stops: list[CALLBACK_TYPE] = []

    @callback
    def leave() -> None:
        while stops:
            stops.pop()()

    @callback
    def follow(_change: ConfigEntryChange, entry: ConfigEntry) -> None:
        if entry.domain != DOMAIN:
            return
        leave()
        if entry.state is ConfigEntryState.LOADED:
            coordinator: SkylapseCoordinator = entry.runtime_data.coordinator
            stops.append(coordinator.async_listen_happenings(meet(coordinator)))

    unfollow = async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, follow)
    for entry in hass.config_entries.async_loaded_entries(DOMAIN):
        follow(ConfigEntryChange.UPDATED, entry)

    @callback
    def detach() -> None:
        unfollow()
        leave()

    return detach


def _named(hass: HomeAssistant, target: ConfigType) -> dict[str, str]:
    selection = TargetSelection({key: ids for key, ids in target.items() if key != CONF_EXCLUDE})
    selected = async_extract_referenced_entity_ids(hass, selection, primary_entities_only=False)
    entities, devices = er.async_get(hass), dr.async_get(hass)
    ids = set(selected.referenced_devices)
    for entity_id in selected.referenced | selected.indirectly_referenced:
        entity = entities.async_get(entity_id)
        if entity is not None and entity.device_id is not None:
            ids.add(entity.device_id)
    found = {}
    for device_id in ids:
        device = devices.async_get(device_id)
        subject = subject_of(device.identifiers) if device is not None else None
        if subject is not None and subject.kind == "camera":
            found[subject.id] = device_id
    return found


def _check_target(hass: HomeAssistant, target: ConfigType) -> None:
    if not TargetSelection(target).has_any_target:
        raise probatio.Invalid("No camera is named: give an entity, a device, an area, a floor or a label")
    known: dict[str, Callable[[str], object]] = {
        ATTR_ENTITY_ID: er.async_get(hass).async_get,
        ATTR_DEVICE_ID: dr.async_get(hass).async_get,
    }
    for kind, find in known.items():
        for each in target.get(kind, []):
            if find(each) is not None and not _named(hass, {kind: [each]}):
                raise probatio.Invalid(f"{each} belongs to no camera of Skylapse")


def _check_ids(hass: HomeAssistant, kind: str, ids: list[str]) -> None:
    entries = hass.config_entries.async_entries(DOMAIN)
    known = {each.unique_id or "" for entry in entries for each in entry.get_subentries_of_type(kind)}
    for each in ids:
        if entries and each not in known:
            raise probatio.Invalid(f"Skylapse has no {kind} {each!r}, only {', '.join(sorted(known))}")
