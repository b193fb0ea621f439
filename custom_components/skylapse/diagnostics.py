"""Diagnostics: what is configured, heard and deployed, without places, keys, addresses and serial numbers."""

from typing import Any

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import AnyDeviceEntry

from .const import CONF_PROCESSOR_KEY, CONF_PROCESSOR_URL
from .coordinator import SkylapseCoordinator
from .data import SkylapseConfigEntry
from .devices import subject_of
from .facts import Subject
from .protocol import SCHEMA_MAX, SCHEMA_MIN
from .protocol.codec import write

TO_REDACT = {
    CONF_PROCESSOR_KEY,
    CONF_PROCESSOR_URL,
    "base_url",
    "elevation_deg",
    "host",
    "mac",
    "serial",
    "time_zone",
    "url",
}


async def async_get_config_entry_diagnostics(
    _hass: HomeAssistant, entry: SkylapseConfigEntry
) -> dict[str, Any]:
    """Return the whole system."""
    coordinator, deployer = entry.runtime_data.coordinator, entry.runtime_data.deployer
    system = coordinator.system
    return {
        "entry": async_redact_data({"data": dict(entry.data), "options": dict(entry.options)}, TO_REDACT),
        "subentries": [
            {"type": each.subentry_type, "id": each.unique_id, "title": each.title, "data": dict(each.data)}
            for each in entry.subentries.values()
        ],
        "contract": {"schema_min": SCHEMA_MIN, "schema_max": SCHEMA_MAX},
        "broker_connected": coordinator.connected,
        "complaints": sorted(coordinator.complaints),
        "deployed": deployer.ledger.write(),
        "films": len(coordinator.library),
        "subjects": {
            f"{subject.kind}:{subject.id}": _facts(coordinator, subject)
            for subject in sorted(system.present, key=lambda each: each.id)
        },
    }


async def async_get_device_diagnostics(
    _hass: HomeAssistant, entry: SkylapseConfigEntry, device: AnyDeviceEntry
) -> dict[str, Any]:
    """Return what is known of one bridge, one camera or the processor."""
    coordinator = entry.runtime_data.coordinator
    subject = subject_of(device.identifiers)
    if subject is None or subject not in coordinator.system.present:
        return {"present": False}
    return {"present": True, "facts": _facts(coordinator, subject)}


def _facts(coordinator: SkylapseCoordinator, subject: Subject) -> Any:
    """Return a subject's facts as JSON values; of a preview only the size."""
    facts = write(coordinator.facts(subject))
    if facts and facts.get("preview") is not None:
        facts["preview"] = f"{len(facts['preview'])} bytes"
    return async_redact_data(facts, TO_REDACT)
