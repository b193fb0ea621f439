"""Buttons of a camera: one frame now, and the film of the newest day now."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import DOMAIN
from .coordinator import SkylapseCoordinator
from .data import SkylapseConfigEntry
from .entity import CameraEntity, async_follow, translated
from .errors import CommandError
from .facts import Subject

PARALLEL_UPDATES = 1


@dataclass(frozen=True, kw_only=True)
class SkylapseButtonDescription(ButtonEntityDescription):
    """One button and what it does."""

    press_fn: Callable[[SkylapseButton], Awaitable[None]]
    needs_bridge: bool = True


async def _capture(button: SkylapseButton) -> None:
    await button.async_command("capture")


async def _build_film(button: SkylapseButton) -> None:
    await button.async_build_film()


BUTTONS = (
    SkylapseButtonDescription(key="capture_now", translation_key="capture_now", press_fn=_capture),
    SkylapseButtonDescription(
        key="build_film_now", translation_key="build_film_now", press_fn=_build_film, needs_bridge=False
    ),
)


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: SkylapseConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the buttons of every camera that is present, and comes."""
    async_follow(entry, async_add_entities, _make)


def _make(coordinator: SkylapseCoordinator, subject: Subject) -> list[SkylapseButton]:
    if subject.kind != "camera":
        return []
    return [SkylapseButton(coordinator, subject, description) for description in BUTTONS]


class SkylapseButton(CameraEntity, ButtonEntity):
    """A button that has a command carried out, and says so when it is not."""

    entity_description: SkylapseButtonDescription

    @property
    @override
    def available(self) -> bool:
        """Frames need the bridge, films the processor."""
        if self.entity_description.needs_bridge:
            return super().available
        return self.coordinator.connected and self.coordinator.system.processor.online

    @override
    async def async_press(self) -> None:
        """Do it."""
        await self.entity_description.press_fn(self)

    async def async_build_film(self) -> None:
        """Have the processor make the film of the newest day that has frames."""
        camera = self.camera
        day = camera.store.day if camera is not None and camera.store is not None else None
        if day is None:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="no_frames",
                translation_placeholders={"camera": self.subject.id},
            )
        try:
            await self.coordinator.async_command_processor("render", {"camera": self.subject.id, "day": day})
        except CommandError as error:
            raise translated(error, "processor") from error
