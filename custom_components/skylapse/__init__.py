"""Skylapse: timelapses by the sun. The brain of the system; bridges and the processor are heard by MQTT."""

from types import MappingProxyType
from typing import Any

from homeassistant.components import mqtt
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.device_registry import AnyDeviceEntry
from homeassistant.helpers.typing import ConfigType

from .ab_testing import AbTester, ab_test_store, async_load_shelf
from .any_camera.bridge import OwnBridge, async_forget, async_leave
from .camera_wishes import CameraWishes, async_load_wishes, wish_store
from .const import CONF_ROOT, DOMAIN, PLATFORMS
from .coordinator import SkylapseCoordinator
from .dashboard import async_forget_cards, async_name_cards, async_serve_cards
from .data import SkylapseConfigEntry, SkylapseData
from .deployer import Deployer, ledger_store
from .devices import async_follow_devices, subject_of
from .issues import Issues, async_forget_issues
from .services import async_setup_services
from .specs import Specs
from .views import async_register_views
from .websocket import async_register_commands

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, _config: ConfigType) -> bool:
    """Register what is there whether or not an entry is loaded: actions and addresses."""
    async_setup_services(hass)
    async_register_views(hass)
    async_register_commands(hass)
    await async_serve_cards(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: SkylapseConfigEntry) -> bool:
    """Begin to hear the system, and supply it."""
    if not await mqtt.async_wait_for_mqtt_client(hass):
        raise ConfigEntryNotReady(translation_domain=DOMAIN, translation_key="mqtt_unavailable")
    coordinator = SkylapseCoordinator(hass, entry)
    deployer = Deployer(hass, entry, coordinator, await async_load_shelf(hass), await async_load_wishes(hass))
    ab_tester = AbTester(hass, entry, coordinator, deployer)
    wishes = CameraWishes(hass, entry, coordinator, deployer)
    own_bridge = OwnBridge(hass, entry, coordinator)
    specs = Specs(hass, entry, coordinator, deployer)
    entry.runtime_data = SkylapseData(
        coordinator=coordinator,
        deployer=deployer,
        ab_tester=ab_tester,
        wishes=wishes,
        specs=specs,
        own_bridge=own_bridge,
    )
    async_follow_devices(hass, entry, coordinator)
    Issues(hass, entry, coordinator).async_start()
    await deployer.async_start()
    ab_tester.async_start()
    wishes.async_start()
    specs.async_start()
    await coordinator.async_start()
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    await own_bridge.async_start()
    await async_name_cards(hass)
    _follow_updates(entry)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: SkylapseConfigEntry) -> bool:
    """Stop hearing; where a platform does not let go everything goes on, Home Assistant's own bridge too."""
    if not await hass.config_entries.async_unload_platforms(entry, PLATFORMS):
        return False
    await entry.runtime_data.own_bridge.async_stop()
    await entry.runtime_data.deployer.async_stop()
    return True


async def async_remove_entry(hass: HomeAssistant, entry: SkylapseConfigEntry) -> None:
    """Forget what was deployed; bridges keep it and go on, as they do whenever the brain is away."""
    await ledger_store(hass).async_remove()
    await ab_test_store(hass).async_remove()
    await wish_store(hass).async_remove()
    await async_forget(hass, entry)
    await async_forget_cards(hass)
    async_forget_issues(hass)


async def async_remove_config_entry_device(
    _hass: HomeAssistant, entry: SkylapseConfigEntry, device: AnyDeviceEntry
) -> bool:
    """Let a device be deleted that is not there any more, and with it what the broker keeps of it.

    That of a schedule or profile goes with its subentry. While the broker is away nobody is known to be gone.
    """
    if device.config_subentry_id is not None:
        return False
    subject = subject_of(device.identifiers)
    coordinator = entry.runtime_data.coordinator
    if subject is None:
        return True
    if not coordinator.connected:
        return False
    if subject not in coordinator.system.present | coordinator.system.strangers:
        entry.runtime_data.wishes.async_forget(subject)
        return True
    if subject.kind == "camera" or coordinator.is_available(subject):
        return False
    await coordinator.async_wipe(subject)
    return True


def _follow_updates(entry: SkylapseConfigEntry) -> None:
    """Deploy when schedules or profiles change; load anew when address, key, root or options do.

    The entities of schedules and profiles come and go with them: that needs no reload, and every last frame
    and reading stays on the dashboard.
    """
    loaded_with, root = _settings(entry), entry.data[CONF_ROOT]

    async def updated(hass: HomeAssistant, entry: SkylapseConfigEntry) -> None:
        if _settings(entry) == loaded_with:
            entry.runtime_data.specs.async_changed()
            entry.runtime_data.ab_tester.async_follow()
            entry.runtime_data.deployer.async_schedule()
            await entry.runtime_data.own_bridge.async_follow()
        else:
            await hass.config_entries.async_reload(entry.entry_id)
            if entry.data[CONF_ROOT] != root:
                await async_leave(hass, entry, root)

    entry.async_on_unload(entry.add_update_listener(updated))


def _settings(entry: SkylapseConfigEntry) -> tuple[MappingProxyType[str, Any], ...]:
    return entry.data, entry.options
