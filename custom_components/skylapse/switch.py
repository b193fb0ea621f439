"""The switch of a camera that lets it capture by its plan, or keeps it still."""

from typing import Any, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import SkylapseCoordinator
from .data import SkylapseConfigEntry
from .entity import CameraEntity, async_follow
from .facts import Subject
from .schedule_entities import async_follow_schedules

PARALLEL_UPDATES = 1

CAPTURE_ENABLED = SwitchEntityDescription(key="capture_enabled", translation_key="capture_enabled")


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: SkylapseConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the switch of every camera that is present, and comes; those of schedules and profiles too."""
    async_follow(entry, async_add_entities, _make)
    async_follow_schedules(entry, async_add_entities, Platform.SWITCH)


def _make(coordinator: SkylapseCoordinator, subject: Subject) -> list[CaptureSwitch]:
    return [CaptureSwitch(coordinator, subject, CAPTURE_ENABLED)] if subject.kind == "camera" else []


class CaptureSwitch(CameraEntity, SwitchEntity):
    """Capture by the plan, on or off. The bridge's state says which, never the switch itself."""

    @override
    def shown(self) -> object:
        """Whether it is available and on."""
        return self.available, self.is_on

    @property
    @override
    def is_on(self) -> bool | None:
        """Whether capture is enabled, None while the camera has not said."""
        camera = self.camera
        return camera.state.enabled if camera is not None and camera.state is not None else None

    @override
    async def async_turn_on(self, **_kwargs: Any) -> None:
        """Let the camera capture."""
        await self.async_command("set_enabled", enabled=True)

    @override
    async def async_turn_off(self, **_kwargs: Any) -> None:
        """Keep the camera still."""
        await self.async_command("set_enabled", enabled=False)
