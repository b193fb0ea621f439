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
from .const import CONF_REPLY_LIMIT_S, DEFAULT_REPLY_LIMIT_S, DOMAIN
from .coordinator import Facts, SkylapseCoordinator
from .devices import registered
from .errors import CommandError, CommandRefusedError, CommandTimeoutError
from .facts import BridgeFacts, CameraFacts, Subject
from .protocol import topics
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
        self.knower = subject
        """Who knows what the entity shows, and so must be up: not always the one whose device it is on."""
        self._last_shown: object = None
        self.entity_description = description
        self._attr_unique_id = f"{subject.id}_{description.key}"
        self.device_entry = registered(coordinator.hass, coordinator.entry, subject)

    @property
    def reply_limit_s(self) -> float:
        """How long the user lets a reply be waited for."""
        return float(self.coordinator.entry.options.get(CONF_REPLY_LIMIT_S, DEFAULT_REPLY_LIMIT_S))

    @property
    def facts(self) -> Facts | None:
        """What is known of the subject."""
        return self.coordinator.facts(self.subject)

    @property
    @override
    def available(self) -> bool:
        """Tell whether bridge or processor, and the broker between, are up."""
        return self.coordinator.is_available(self.knower)

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to the subject."""
        await super().async_added_to_hass()
        self.async_on_remove(self.coordinator.async_listen(self.subject, self._facts_changed))
        if self.knower is not self.subject:
            self.async_on_remove(self.coordinator.async_listen(self.knower, self._facts_changed))
        self._last_shown = self.shown()  # Home Assistant writes it next

    def shown(self) -> object:
        """Return all that the entity shows: it is written only when that changed, for facts change often."""
        return self.available

    @callback
    def _facts_changed(self) -> None:
        shown = self.shown()
        if shown != self._last_shown:
            self._last_shown = shown
            self.async_write_ha_state()


class BridgeEntity(SkylapseEntity):
    """An entity of a bridge."""

    @property
    def bridge(self) -> BridgeFacts | None:
        """What is known of the bridge."""
        return self.coordinator.system.bridges.get(self.subject.id)

    async def async_command(self, name: str) -> None:
        """Have the bridge do something; raise a translated HomeAssistantError when it does not.

        Commands travel by a camera's topic, whichever it is.
        """
        system = self.coordinator.system
        cameras = [system.cameras[each] for each in sorted(system.cameras_of(self.subject.id))]
        camera = next((each for each in cameras if each.info is not None), None)
        if camera is None:
            raise failed("bridge_has_no_camera", bridge=self.subject.id)
        if not self.available:
            raise failed("bridge_offline", bridge=self.subject.id)
        try:
            await self.coordinator.async_command_camera(camera, name, {}, self.reply_limit_s)
        except CommandError as error:
            raise translated(error, self.subject.id) from error


class CameraEntity(SkylapseEntity):
    """An entity of a camera."""

    @property
    def camera(self) -> CameraFacts | None:
        """What is known of the camera."""
        return self.coordinator.system.cameras.get(self.subject.id)

    async def async_command(self, name: str, limit_s: float | None = None, **args: object) -> None:
        """Have the camera do something; raise a translated HomeAssistantError when it does not."""
        camera = self.camera
        if camera is None:
            raise failed("camera_gone", camera=self.subject.id)
        if not self.coordinator.is_available(self.subject):
            raise failed("camera_offline", camera=self.subject.id)
        try:
            await self.coordinator.async_command_camera(
                camera, name, dict(args), limit_s or self.reply_limit_s
            )
        except CommandError as error:
            raise translated(error, self.subject.id) from error


class WishEntity(CameraEntity):
    """An entity by which the user wishes for something. Wishes are the brain's: they need no bridge."""

    @property
    @override
    def available(self) -> bool:
        """Tell whether what is wished can be deployed; a bridge that is away takes it when it is back."""
        return self.coordinator.connected and self.coordinator.camera(self.subject.id) is not None

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to the schedules too: windows begin and end while a bridge is away."""
        await super().async_added_to_hass()
        specs = self.coordinator.entry.runtime_data.specs
        self.async_on_remove(specs.async_listen(self._facts_changed))

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
        return failed("no_reply", who=subject)
    reason = error.message if isinstance(error, CommandRefusedError) else str(error)
    match getattr(error, "code", None):
        case "busy":
            return failed("refused_busy", who=subject, reason=reason)
        case "expired":
            return failed("refused_expired", who=subject, reason=reason)
        case "spool_full":
            return failed("refused_full", who=subject, reason=reason)
    return failed("refused", who=subject, reason=reason)


def failed(key: str, **places: str) -> HomeAssistantError:
    """Return the error of what was tried and did not succeed."""
    return HomeAssistantError(translation_domain=DOMAIN, translation_key=key, translation_placeholders=places)


@callback
def async_follow(
    entry: SkylapseConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    make: Callable[[SkylapseCoordinator, Subject], Iterable[Entity]],
    *,
    at_announces: bool = False,
) -> None:
    """Add the entities of every subject that is present, now and whenever one comes, each once.

    `at_announces` is for those that only cameras have whose lens moves: they are looked for again when a
    bridge announces that one does, as it does when a driver finds that out.
    """
    coordinator = entry.runtime_data.coordinator
    made: dict[Subject, set[str | None]] = {}
    moving: set[Subject] = set()

    @callback
    def follow(came: set[Subject], went: set[Subject]) -> None:
        for subject in went:
            made.pop(subject, None)
            moving.discard(subject)
        moving.update(subject for subject in came if lens_moves(coordinator, subject))
        async_add_entities(
            [
                entity
                for subject in sorted(came, key=lambda each: each.id)
                for entity in make(coordinator, subject)
                if _is_new(made.setdefault(subject, set()), entity)
            ]
        )

    @callback
    def happened(decoded: topics.Decoded) -> None:
        if decoded.topic is topics.ANNOUNCE:
            found = {each for each in made.keys() - moving if lens_moves(coordinator, each)}
            if found:
                follow(found, set())

    entry.async_on_unload(coordinator.async_listen_presence(follow))
    if at_announces:
        entry.async_on_unload(coordinator.async_listen_happenings(happened))
    follow(coordinator.system.present, set())


def lens_moves(coordinator: SkylapseCoordinator, subject: Subject) -> bool:
    """Tell whether a subject is a camera whose lens moves."""
    camera = coordinator.camera(subject.id)
    return camera is not None and camera.info is not None and camera.info.focus


def _is_new(made: set[str | None], entity: Entity) -> bool:
    """Tell whether an entity was not made yet, and note that it is."""
    is_new = entity.unique_id not in made
    made.add(entity.unique_id)
    return is_new
