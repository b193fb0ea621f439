"""What all entities share: the subject they are about, when they are available, how they come into being."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, override

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .brain.clock import to_bridge
from .brain.wishes import Wish, window_that_counts
from .const import DOMAIN
from .coordinator import Facts, SkylapseCoordinator
from .devices import device_info
from .errors import CommandError, CommandRefusedError, CommandTimeoutError
from .facts import CameraFacts, Subject
from .protocol.snapshot import Window

if TYPE_CHECKING:
    from .data import SkylapseConfigEntry
    from .deployer import Deployer


class SkylapseEntity(Entity):
    """An entity of a bridge, a camera or the processor."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(
        self, coordinator: SkylapseCoordinator, subject: Subject, description: EntityDescription
    ) -> None:
        """Remember the subject and take its device."""
        self.coordinator = coordinator
        self.subject = subject
        self.entity_description = description
        self._attr_unique_id = f"{subject.id}_{description.key}"
        self._attr_device_info = device_info(coordinator.hass, coordinator.entry, coordinator, subject)

    @property
    def facts(self) -> Facts | None:
        """What is known of the subject."""
        return self.coordinator.facts(self.subject)

    @property
    @override
    def available(self) -> bool:
        """Tell whether bridge or processor, and the broker between, are up."""
        return self.coordinator.is_available(self.subject)

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to the subject."""
        await super().async_added_to_hass()
        self.async_on_remove(self.coordinator.async_listen(self.subject, self._facts_changed))

    @callback
    def _facts_changed(self) -> None:
        self.async_write_ha_state()


class CameraEntity(SkylapseEntity):
    """An entity of a camera."""

    @property
    def camera(self) -> CameraFacts | None:
        """What is known of the camera."""
        return self.coordinator.system.cameras.get(self.subject.id)

    async def async_command(self, name: str, **args: object) -> None:
        """Have the camera do something; raise a translated HomeAssistantError when it does not."""
        camera = self.camera
        if camera is None:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="camera_gone",
                translation_placeholders={"camera": self.subject.id},
            )
        try:
            await self.coordinator.async_command_camera(camera, name, dict(args))
        except CommandError as error:
            raise translated(error, self.subject.id) from error


class WishEntity(CameraEntity):
    """An entity by which the user wishes for something. Wishes are the brain's: they need no bridge."""

    @property
    @override
    def available(self) -> bool:
        """Tell whether what is wished can be deployed; a bridge that is away takes it when it is back."""
        return self.coordinator.connected and self.coordinator.camera(self.subject.id) is not None

    @property
    def deployer(self) -> Deployer:
        """Who carries wishes out."""
        return self.coordinator.entry.runtime_data.deployer

    @property
    def wish(self) -> Wish:
        """What is wished of the camera."""
        return self.coordinator.entry.runtime_data.wishes.of(self.subject.id)

    @property
    def window(self) -> Window | None:
        """The window that rules now, or next, as it was deployed."""
        plan = self.deployer.plans.get(self.subject.id)
        if plan is None or self.camera is None:
            return None
        return window_that_counts(plan, to_bridge(self.camera.clock, dt_util.utcnow()))

    async def async_wish(self, **changes: object) -> None:
        """Change what is wished of the camera."""
        await self.coordinator.entry.runtime_data.wishes.async_change(self.subject.id, **changes)


def translated(error: CommandError, subject: str) -> HomeAssistantError:
    """Return what a user is told of a command that was not carried out."""
    if isinstance(error, CommandTimeoutError):
        return HomeAssistantError(
            translation_domain=DOMAIN, translation_key="no_reply", translation_placeholders={"who": subject}
        )
    reason = error.message if isinstance(error, CommandRefusedError) else str(error)
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key="refused",
        translation_placeholders={"who": subject, "reason": reason},
    )


@callback
def async_follow(
    entry: SkylapseConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    make: Callable[[SkylapseCoordinator, Subject], Iterable[Entity]],
) -> None:
    """Add the entities of every subject that is present, now and whenever one comes."""
    coordinator = entry.runtime_data.coordinator

    @callback
    def follow(came: set[Subject], _went: set[Subject]) -> None:
        async_add_entities(
            entity
            for subject in sorted(came, key=lambda each: each.id)
            for entity in make(coordinator, subject)
        )

    entry.async_on_unload(coordinator.async_listen_presence(follow))
    follow(coordinator.system.present, set())
