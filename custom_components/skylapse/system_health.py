"""System health: is the broker there, who is online, does the processor answer, and in which versions."""

from typing import Any

from homeassistant.components import system_health
from homeassistant.core import HomeAssistant, callback
from homeassistant.loader import async_get_integration

from .const import DOMAIN
from .coordinator import SkylapseCoordinator
from .errors import ProcessorError, ProcessorKeyError
from .troubles import own_schemas


@callback
def async_register(_hass: HomeAssistant, register: system_health.SystemHealthRegistration) -> None:
    """Register what is told on the repairs page."""
    register.async_register_info(_info)


async def _info(hass: HomeAssistant) -> dict[str, Any]:
    entries = hass.config_entries.async_loaded_entries(DOMAIN)
    if not entries:
        return {}
    coordinator: SkylapseCoordinator = entries[0].runtime_data.coordinator
    bridges = [each for each in coordinator.system.bridges.values() if each.announce]
    processor = coordinator.system.processor.announce
    versions = (f"{each.announce.name} {each.announce.software}" for each in bridges if each.announce)
    return {
        "version": str((await async_get_integration(hass, DOMAIN)).version),
        "broker": coordinator.connected,
        "bridges": f"{sum(each.online for each in bridges)} / {len(bridges)}",
        "cameras": sum(facts.info is not None for facts in coordinator.system.cameras.values()),
        "contract": own_schemas(),
        "films": len(coordinator.library),
        "processor": _reach(coordinator),
        "bridge_versions": ", ".join(sorted(versions)) or "–",
        "processor_version": processor.software if processor is not None else "–",
    }


async def _reach(coordinator: SkylapseCoordinator) -> str | dict[str, str]:
    """Ask the processor for a sign of life."""
    if coordinator.client is None:
        return "–"
    try:
        await coordinator.client.check()
    except ProcessorKeyError:
        return {"type": "failed", "error": "invalid_key"}
    except ProcessorError:
        return {"type": "failed", "error": "unreachable"}
    return "ok"
