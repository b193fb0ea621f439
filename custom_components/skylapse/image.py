"""Images of a camera: the latest frame, and the poster of the latest film."""

from abc import abstractmethod
from datetime import datetime
from typing import override

from homeassistant.components.image import ImageEntity, ImageEntityDescription
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .brain.clock import to_real
from .const import DOMAIN
from .coordinator import SkylapseCoordinator
from .data import SkylapseConfigEntry
from .entity import CameraEntity, async_follow
from .errors import ProcessorError
from .facts import PROCESSOR, Subject
from .last_frame import async_last_frame, stored_frame

PARALLEL_UPDATES = 0

LATEST_FRAME = ImageEntityDescription(key="latest_frame", translation_key="latest_frame")
LATEST_FILM = ImageEntityDescription(key="latest_film", translation_key="latest_film")


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: SkylapseConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the images of every camera that is present, and comes."""
    async_follow(entry, async_add_entities, _make)


def _make(coordinator: SkylapseCoordinator, subject: Subject) -> list[SkylapseImage]:
    if subject.kind != "camera":
        return []
    return [LatestFrame(coordinator, subject, LATEST_FRAME), LatestFilm(coordinator, subject, LATEST_FILM)]


class SkylapseImage(CameraEntity, ImageEntity):
    """A picture whose time changes when the picture does, and only then."""

    _attr_content_type = "image/jpeg"

    def __init__(
        self, coordinator: SkylapseCoordinator, subject: Subject, description: ImageEntityDescription
    ) -> None:
        """Take subject and device."""
        CameraEntity.__init__(self, coordinator, subject, description)
        ImageEntity.__init__(self, coordinator.hass)

    @override
    async def async_added_to_hass(self) -> None:
        """Begin with what is known already."""
        self._attr_image_last_updated = self._taken_at()
        await super().async_added_to_hass()

    @abstractmethod
    def _taken_at(self) -> datetime | None:
        """Return when the picture was taken or made."""

    @abstractmethod
    async def _picture(self) -> bytes | None:
        """Return the picture; raise ProcessorError where it cannot be had."""

    @property
    @override
    def entity_picture(self) -> str | None:
        """None while there is no picture: its icon is shown then, not an address that fails."""
        return super().entity_picture if self._attr_image_last_updated else None

    @override
    def shown(self) -> object:
        """Whether it is available, and which picture it is."""
        return self.available, self._taken_at()

    @callback
    @override
    def _facts_changed(self) -> None:
        self._attr_image_last_updated = self._taken_at()
        super()._facts_changed()

    @override
    async def async_image(self) -> bytes | None:
        """Return the picture, None where there is none yet."""
        try:
            return await self._picture()
        except ProcessorError as error:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="processor_failed",
                translation_placeholders={"reason": str(error)},
            ) from error


class LatestFrame(SkylapseImage):
    """The latest frame: the bridge's preview, else the newest stored frame (after a restart)."""

    _attr_name = None

    @override
    def _taken_at(self) -> datetime | None:
        camera = self.camera
        if camera is None:
            return None
        stored = stored_frame(camera)
        return camera.seen_at or (to_real(camera.clock, stored.captured_at) if stored else None)

    @override
    async def _picture(self) -> bytes | None:
        return await async_last_frame(self.coordinator, self.subject)


class LatestFilm(SkylapseImage):
    """The poster of the film that was made last; it stays when the bridge is away."""

    def __init__(
        self, coordinator: SkylapseCoordinator, subject: Subject, description: ImageEntityDescription
    ) -> None:
        """A film is the processor's."""
        super().__init__(coordinator, subject, description)
        self.knower = PROCESSOR

    @override
    def _taken_at(self) -> datetime | None:
        film = self.camera.film if self.camera else None
        return film.created_at if film else None

    @override
    async def _picture(self) -> bytes | None:
        film = self.camera.film if self.camera else None
        if film is None or self.coordinator.client is None:
            return None
        return await self.coordinator.client.film_picture(film.id, "poster")
