"""Diagnostics: what is configured, heard and deployed, without places, keys, addresses and serial numbers."""

import re
from collections.abc import Mapping
from ipaddress import IPv6Address
from typing import Any

from homeassistant.components.diagnostics import REDACTED, async_redact_data
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.device_registry import AnyDeviceEntry

from .const import CONF_PROCESSOR_KEY, CONF_PROCESSOR_URL, DOMAIN
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
    "latitude",
    "longitude",
    "mac",
    "serial",
    "time_zone",
    "url",
}

_ADDRESS = re.compile(
    r"((?:https?|rtsps?|mqtts?|wss?)://)[^\s/'\",]+"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b"
    r"|\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b"
    r"|(?<![\w:])((?:[0-9a-f]{0,4}:){2,}[0-9a-f:.]*(?:%\w+)?)",
    re.IGNORECASE,
)
"""Hosts of addresses, IP and MAC addresses, wherever words name them; times of day look like some."""


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: SkylapseConfigEntry
) -> dict[str, Any]:
    """Return the whole system."""
    coordinator, deployer = entry.runtime_data.coordinator, entry.runtime_data.deployer
    system = coordinator.system
    told = {
        "entry": {"data": dict(entry.data), "options": dict(entry.options)},
        "subentries": [
            {"type": each.subentry_type, "id": each.unique_id, "title": each.title, "data": dict(each.data)}
            for each in entry.subentries.values()
        ],
        "contract": {"schema_min": SCHEMA_MIN, "schema_max": SCHEMA_MAX},
        "broker_connected": coordinator.connected,
        "complaints": sorted(coordinator.complaints),
        "deployed": deployer.ledger.write(),
        "films": len(coordinator.library),
        "processor_failure": str(coordinator.processor_failure) if coordinator.processor_failure else None,
        "issues": sorted(issue for domain, issue in ir.async_get(hass).issues if domain == DOMAIN),
        "subjects": {
            f"{subject.kind}:{subject.id}": _facts(coordinator, subject)
            for subject in sorted(system.present, key=lambda each: each.id)
        },
    }
    return dict(_redact(told))


async def async_get_device_diagnostics(
    _hass: HomeAssistant, entry: SkylapseConfigEntry, device: AnyDeviceEntry
) -> dict[str, Any]:
    """Return what is known of one bridge, one camera or the processor."""
    for subentry in entry.subentries.values():
        if (DOMAIN, f"{subentry.subentry_type}:{subentry.unique_id}") in device.identifiers:
            return {"present": True, "title": subentry.title, "data": _redact(dict(subentry.data))}
    coordinator = entry.runtime_data.coordinator
    subject = subject_of(device.identifiers)
    if subject is None or subject not in coordinator.system.present:
        return {"present": False}
    return {"present": True, "facts": _redact(_facts(coordinator, subject))}


def _facts(coordinator: SkylapseCoordinator, subject: Subject) -> Any:
    """Return a subject's facts as JSON values; of a preview only the size."""
    facts = write(coordinator.facts(subject))
    if facts and facts.get("preview") is not None:
        facts["preview"] = f"{len(facts['preview'])} bytes"
    return facts


def _redact(told: Any) -> Any:
    """Return what may be shown: neither what stands under a secret's name nor an address within words."""
    return _without_addresses(async_redact_data(told, TO_REDACT))


def _without_addresses(told: Any) -> Any:
    if isinstance(told, str):
        return _ADDRESS.sub(_hidden, told)
    if isinstance(told, Mapping):
        return {key: _without_addresses(value) for key, value in told.items()}
    return [_without_addresses(value) for value in told] if isinstance(told, list) else told


def _hidden(found: re.Match[str]) -> str:
    """Return what is shown of what looks like an address: all of it where it is none."""
    if not found[2]:
        return (found[1] or "") + REDACTED
    text = found[2].rstrip(".")
    ends = (text, text.removesuffix(":"))  # a colon may be that of a sentence that goes on
    return next((found[2].replace(each, REDACTED, 1) for each in ends if _is_ipv6(each)), found[2])


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True
