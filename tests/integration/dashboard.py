"""What a user sees on the dashboard, and does there."""

import asyncio
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry


def state(hass: HomeAssistant, entity: str) -> str:
    """Return an entity's state, which must be there."""
    found = hass.states.get(entity)
    assert found is not None, entity
    return found.state


def attributes(hass: HomeAssistant, entity: str) -> dict[str, Any]:
    """Return an entity's attributes."""
    found = hass.states.get(entity)
    assert found is not None, entity
    return dict(found.attributes)


def entries(hass: HomeAssistant, entry: MockConfigEntry) -> list[er.RegistryEntry]:
    """Return the entities of the bridge, its camera and the processor."""
    known = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    return [each for each in known if each.unique_id.startswith(("roof", "processor"))]


def shown(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, str]:
    """Return the states of those of them that are enabled."""
    enabled = (each.entity_id for each in entries(hass, entry) if each.disabled_by is None)
    return {entity: state(hass, entity) for entity in enabled}


async def press(
    hass: HomeAssistant, domain: str, service: str, entity: str, **data: Any
) -> asyncio.Task[Any]:
    """Call a service without waiting for it; it waits for a reply."""
    call = hass.services.async_call(domain, service, {"entity_id": entity, **data}, blocking=True)
    return hass.async_create_background_task(call, "call")
