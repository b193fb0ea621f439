"""Buttons of cameras and bridges: each has a command carried out, and says so when it is not."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import override

from homeassistant.components.button import ButtonDeviceClass, ButtonEntity, ButtonEntityDescription
from homeassistant.const import EntityCategory, Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .any_camera.records import BRIDGE as OWN_BRIDGE
from .const import DOMAIN
from .coordinator import SkylapseCoordinator
from .data import SkylapseConfigEntry
from .entity import BridgeEntity, CameraEntity, async_follow, lens_moves, translated
from .errors import CommandError
from .facts import PROCESSOR, Subject
from .profile_entities import async_follow_profiles

PARALLEL_UPDATES = 1

SWEEP_S = 120.0
"""A camera moves its lens step by step and judges each by a picture."""


@dataclass(frozen=True, kw_only=True)
class CameraButtonDescription(ButtonEntityDescription):
    """One button of a camera and what it does."""

    press_fn: Callable[[CameraButton], Awaitable[None]]
    needs_focus: bool = False
    """Only for cameras whose lens moves."""
    from_processor: bool = False
    """The processor does it."""


@dataclass(frozen=True, kw_only=True)
class BridgeButtonDescription(ButtonEntityDescription):
    """One button of a bridge; its key is the command."""

    needs_machine: bool = False
    """Only for bridges that are a program of their own: Home Assistant's own is not."""


async def _capture(button: CameraButton) -> None:
    await button.async_command("capture")


async def _focus(button: CameraButton) -> None:
    await button.async_command("focus", button.reply_limit_s + SWEEP_S)


async def _build_film(button: CameraButton) -> None:
    await button.async_build_film()


CAMERA_BUTTONS = (
    CameraButtonDescription(key="capture_now", translation_key="capture_now", press_fn=_capture),
    CameraButtonDescription(
        key="build_film_now", translation_key="build_film_now", press_fn=_build_film, from_processor=True
    ),
    CameraButtonDescription(
        key="focus",
        translation_key="focus",
        entity_category=EntityCategory.CONFIG,
        press_fn=_focus,
        needs_focus=True,
    ),
)

BRIDGE_BUTTONS = (
    BridgeButtonDescription(
        key="identify",
        device_class=ButtonDeviceClass.IDENTIFY,
        entity_category=EntityCategory.DIAGNOSTIC,
    ),
    BridgeButtonDescription(
        key="restart",
        device_class=ButtonDeviceClass.RESTART,
        entity_category=EntityCategory.CONFIG,
        needs_machine=True,
    ),
    BridgeButtonDescription(
        key="flush", translation_key="deliver_now", entity_category=EntityCategory.DIAGNOSTIC
    ),
)


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: SkylapseConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the buttons of every camera and bridge that is present, and comes; those of profiles too."""
    async_follow(entry, async_add_entities, _make, at_announces=True)
    async_follow_profiles(entry, async_add_entities, Platform.BUTTON)


def _make(coordinator: SkylapseCoordinator, subject: Subject) -> list[ButtonEntity]:
    if subject.kind == "bridge":
        return [
            BridgeButton(coordinator, subject, description)
            for description in BRIDGE_BUTTONS
            if subject.id != OWN_BRIDGE or not description.needs_machine
        ]
    if subject.kind != "camera":
        return []
    moves = lens_moves(coordinator, subject)
    return [
        CameraButton(coordinator, subject, description)
        for description in CAMERA_BUTTONS
        if moves or not description.needs_focus
    ]


class CameraButton(CameraEntity, ButtonEntity):
    """A button of a camera."""

    entity_description: CameraButtonDescription

    def __init__(
        self, coordinator: SkylapseCoordinator, subject: Subject, description: CameraButtonDescription
    ) -> None:
        """Frames need the bridge, films the processor."""
        super().__init__(coordinator, subject, description)
        if description.from_processor:
            self.knower = PROCESSOR

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
            await self.coordinator.async_command_processor(
                "render", {"camera": self.subject.id, "day": day}, self.reply_limit_s
            )
        except CommandError as error:
            raise translated(error, "processor") from error


class BridgeButton(BridgeEntity, ButtonEntity):
    """A button of a bridge."""

    entity_description: BridgeButtonDescription

    @override
    async def async_press(self) -> None:
        """Have the bridge do what the button is called."""
        await self.async_command(self.entity_description.key)
