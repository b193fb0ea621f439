"""The software of a bridge: whether it is as new as the integration, and what to type where it is not.

A bridge is a program in the user's own machine and cannot replace itself, so there is nothing to press.
"""

from typing import override

from homeassistant.components.update import (
    UpdateDeviceClass,
    UpdateEntity,
    UpdateEntityDescription,
    UpdateEntityFeature,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.translation import async_get_translations
from homeassistant.loader import Integration, async_get_integration

from .any_camera.records import BRIDGE as OWN_BRIDGE
from .const import DOMAIN
from .coordinator import SkylapseCoordinator
from .data import SkylapseConfigEntry
from .entity import BridgeEntity, async_follow
from .facts import Subject

PARALLEL_UPDATES = 0

SOFTWARE = UpdateEntityDescription(
    key="software",
    device_class=UpdateDeviceClass.FIRMWARE,
    entity_category=EntityCategory.DIAGNOSTIC,
)
COMMANDS = """\
$ sudo PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/usr/local/bin pipx uninstall skylapse
$ sudo PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/usr/local/bin pipx install --system-site-packages \\
    'skylapse[bridge] @ git+{source}'
$ sudo systemctl restart skylapse-bridge"""
"""As on the page about bridges."""


async def async_setup_entry(
    hass: HomeAssistant,
    entry: SkylapseConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the software of every bridge that is present, and comes."""
    integration = await async_get_integration(hass, DOMAIN)

    def make(coordinator: SkylapseCoordinator, subject: Subject) -> list[BridgeSoftware]:
        if subject.kind != "bridge" or subject.id == OWN_BRIDGE:
            return []
        return [BridgeSoftware(coordinator, subject, integration)]

    async_follow(entry, async_add_entities, make)


class BridgeSoftware(BridgeEntity, UpdateEntity):
    """The program that a bridge runs. Bridge and integration are released together, under one version."""

    _attr_title = "Skylapse bridge"
    _attr_supported_features = UpdateEntityFeature.RELEASE_NOTES

    def __init__(self, coordinator: SkylapseCoordinator, subject: Subject, integration: Integration) -> None:
        """Take the version of the integration."""
        super().__init__(coordinator, subject, SOFTWARE)
        self._source = integration.documentation
        self._attr_latest_version = str(integration.version)
        self._attr_release_url = f"{self._source}/blob/main/CHANGELOG.md"

    @override
    def shown(self) -> object:
        """Whether it is available, and the version."""
        return self.available, self.installed_version

    @property
    @override
    def installed_version(self) -> str | None:
        """What the bridge announced."""
        bridge = self.bridge
        return bridge.announce.software if bridge is not None and bridge.announce is not None else None

    @override
    async def async_release_notes(self) -> str:
        """Return how the bridge is updated."""
        words = await async_get_translations(self.hass, self.hass.config.language, "common", {DOMAIN})
        typed = COMMANDS.format(source=self._source)
        return f"{words[f'component.{DOMAIN}.common.update_bridge']}\n\n```console\n{typed}\n```\n"
