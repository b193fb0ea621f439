"""Devices: bridges with cameras as children, and the processor. They come, change and go as announced."""

from typing import TYPE_CHECKING, Any

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import ChildDeviceInfo, DeviceEntryType, DeviceInfo

from .const import DOMAIN
from .coordinator import SkylapseCoordinator
from .facts import PROCESSOR, Subject
from .protocol import topics

if TYPE_CHECKING:
    from .data import SkylapseConfigEntry

MANUFACTURER = "Skylapse"


@callback
def async_follow_devices(
    hass: HomeAssistant, entry: SkylapseConfigEntry, coordinator: SkylapseCoordinator
) -> None:
    """Register what is present, now and whenever what is announced of it changes; remove what is gone."""
    described: dict[Subject, dict[str, Any]] = {}

    @callback
    def describe(subject: Subject) -> None:
        info = device_info(hass, entry, coordinator, subject)
        if described.get(subject) != (told := dict(info)):
            described[subject] = told
            _register(hass, entry, info)

    @callback
    def follow(came: set[Subject], went: set[Subject]) -> None:
        for subject in sorted(came, key=_parents_first):
            describe(subject)
        for subject in sorted(went, key=_parents_first, reverse=True):
            described.pop(subject, None)
            _remove(hass, entry, subject)

    @callback
    def happened(decoded: topics.Decoded) -> None:
        if decoded.topic is topics.PROCESSOR_ANNOUNCE and PROCESSOR in described:
            describe(PROCESSOR)
        if decoded.topic is topics.ANNOUNCE:
            bridge = decoded.ids["bridge"]
            for subject in [each for each in described if each.id.partition("/")[0] == bridge]:
                describe(subject)

    entry.async_on_unload(coordinator.async_listen_presence(follow))
    entry.async_on_unload(coordinator.async_listen_happenings(happened))


def device_info(
    hass: HomeAssistant, entry: SkylapseConfigEntry, coordinator: SkylapseCoordinator, subject: Subject
) -> DeviceInfo | ChildDeviceInfo:
    """Return what the device registry is to know of a subject that is present."""
    if subject.kind == "processor":
        return _processor_info(coordinator)
    if subject.kind == "bridge":
        return _bridge_info(coordinator, subject.id)
    facts = coordinator.system.cameras[subject.id]
    parent = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, facts.name.bridge), entry.entry_id)
    if parent is None or facts.info is None:
        raise ValueError(f"{subject.id} has no bridge")
    return ChildDeviceInfo(
        identifiers={(DOMAIN, subject.id)}, name=facts.info.name, parent_device_id=parent.id
    )


def registered(hass: HomeAssistant, entry: SkylapseConfigEntry, subject: Subject) -> dr.AnyDeviceEntry | None:
    """Return the device of a subject that is present: its entities need not describe it, each anew."""
    registry = dr.async_get(hass)
    key = (DOMAIN, subject.id)
    return registry.async_get_child_device_by_identifier(
        key, entry.entry_id
    ) or registry.async_get_device_by_identifier(key, entry.entry_id)


def subject_of(identifiers: set[tuple[str, str]]) -> Subject | None:
    """Return the subject that a device stands for, None for those of schedules and profiles."""
    own = next((identifier for domain, identifier in identifiers if domain == DOMAIN), None)
    if own is None or ":" in own:
        return None
    if own == PROCESSOR.id:
        return PROCESSOR
    return Subject(kind="camera" if "/" in own else "bridge", id=own)


def _processor_info(coordinator: SkylapseCoordinator) -> DeviceInfo:
    announce = coordinator.system.processor.announce
    return DeviceInfo(
        identifiers={(DOMAIN, PROCESSOR.id)},
        name=announce.name if announce else "Skylapse processor",
        manufacturer=MANUFACTURER,
        model="Processor",
        sw_version=announce.software if announce else None,
        entry_type=DeviceEntryType.SERVICE,
    )


def _bridge_info(coordinator: SkylapseCoordinator, bridge: str) -> DeviceInfo:
    announce = coordinator.system.bridges[bridge].announce
    if announce is None:
        return DeviceInfo(identifiers={(DOMAIN, bridge)})
    host = announce.host
    return DeviceInfo(
        identifiers={(DOMAIN, bridge)},
        name=announce.name,
        manufacturer=MANUFACTURER,
        hw_version=host.model,  # no model: it would be shown for the cameras, which hold none of their own
        serial_number=host.serial,
        sw_version=announce.software,
    )


def _register(hass: HomeAssistant, entry: SkylapseConfigEntry, info: DeviceInfo | ChildDeviceInfo) -> None:
    registry = dr.async_get(hass)
    if "parent_device_id" in info:  # a dictionary on 2026.10, on 2026.11 a class that is asked like one
        registry.async_get_or_create_child(
            config_entry_id=entry.entry_id,
            identifiers=info["identifiers"],
            name=info["name"],
            parent_device_id=info["parent_device_id"],
        )
    else:
        registry.async_get_or_create(config_entry_id=entry.entry_id, **info)


def _remove(hass: HomeAssistant, entry: SkylapseConfigEntry, subject: Subject) -> None:
    device = registered(hass, entry, subject)
    if device is not None:
        dr.async_get(hass).async_remove_device(device.id)


def _parents_first(subject: Subject) -> tuple[bool, str]:
    return subject.kind == "camera", subject.id
