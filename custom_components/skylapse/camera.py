"""The camera: what it sees now, asked of the bridge when somebody looks, else its last frame."""

import asyncio
from datetime import timedelta
from typing import override

from homeassistant.components.camera import Camera, CameraEntityDescription
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import SkylapseCoordinator
from .data import SkylapseConfigEntry
from .entity import CameraEntity, async_follow
from .errors import CommandError, ProcessorError
from .facts import Subject
from .last_frame import async_last_frame

PARALLEL_UPDATES = 0

FRESH = timedelta(seconds=2)
"""A picture that is not older is shown to whoever looks: a dashboard on every wall asks the bridge once."""
PREVIEW_LIMIT_S = 6.0
"""Home Assistant waits ten seconds for a picture; there must be time for the stored frame."""

PREVIEW = CameraEntityDescription(key="preview", translation_key="preview")


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: SkylapseConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the view of every camera that is present, and comes."""
    async_follow(entry, async_add_entities, _make)


def _make(coordinator: SkylapseCoordinator, subject: Subject) -> list[PreviewCamera]:
    return [PreviewCamera(coordinator, subject, PREVIEW)] if subject.kind == "camera" else []


class PreviewCamera(CameraEntity, Camera):
    """A small picture of what the camera sees."""

    _attr_frame_interval = FRESH.total_seconds()

    def __init__(
        self, coordinator: SkylapseCoordinator, subject: Subject, description: CameraEntityDescription
    ) -> None:
        """Take subject and device."""
        CameraEntity.__init__(self, coordinator, subject, description)
        Camera.__init__(self)
        self._asking = asyncio.Lock()

    @override
    def shown(self) -> object:
        """Whether it is available and recording, and what it is."""
        return self.available, self.is_recording, self.model

    @property
    @override
    def is_recording(self) -> bool:
        """Whether frames are being taken."""
        return bool(self.camera and self.camera.is_capturing)

    @property
    @override
    def model(self) -> str | None:
        """What the bridge says that the camera is."""
        return self.camera.info.model if self.camera and self.camera.info else None

    @override
    async def async_camera_image(self, width: int | None = None, height: int | None = None) -> bytes | None:
        """Return what the camera sees now; its last frame where the bridge has no time for that."""
        async with self._asking:
            if not self._is_fresh():
                await self._ask()
        try:
            return await async_last_frame(self.coordinator, self.subject)
        except ProcessorError as error:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="processor_failed",
                translation_placeholders={"reason": str(error)},
            ) from error

    def _is_fresh(self) -> bool:
        camera = self.camera
        if camera is None or camera.preview is None or camera.seen_at is None:
            return False
        return dt_util.utcnow() - camera.seen_at < FRESH

    async def _ask(self) -> None:
        """Have the bridge publish a preview, and wait for it."""
        camera = self.camera
        if camera is None or not self.available:
            return
        before = camera.preview
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + PREVIEW_LIMIT_S
        try:
            await self.coordinator.async_command_camera(camera, "preview", {}, PREVIEW_LIMIT_S)
        except CommandError:
            return
        await self.coordinator.async_until(
            self.subject,
            lambda: self.camera is not None and self.camera.preview is not before,
            max(ends_at - loop.time(), 0.0),
        )
