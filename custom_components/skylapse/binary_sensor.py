"""Binary sensors of cameras, bridges and the processor."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.binary_sensor import (
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import SkylapseCoordinator
from .data import SkylapseConfigEntry
from .entity import SkylapseEntity, async_follow
from .facts import PROCESSOR, BridgeFacts, CameraFacts, Kind, ProcessorFacts, Subject

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class SkylapseBinarySensorDescription[F](BinarySensorEntityDescription):
    """One binary sensor: how it is read from the facts."""

    is_on_fn: Callable[[F], bool | None]
    attributes_fn: Callable[[F], dict[str, Any]] | None = None
    """Why it is on."""
    always_available: bool = False
    """Says itself whether the subject can be reached."""
    from_processor: bool = False
    """Known from the processor, whoever's device it belongs to: it is there while a bridge is away."""


def _because[F](reason_fn: Callable[[F], str | None]) -> Callable[[F], dict[str, Any]]:
    return lambda facts: {"reason": reason_fn(facts)}


def _problem(camera: CameraFacts) -> str | None:
    """Return what the camera says, else what is wrong with its schedules."""
    return (camera.state.last_error if camera.state else None) or camera.schedule_problem


def _settings_problem(camera: CameraFacts) -> str | None:
    return camera.state.settings_problem if camera.state else None


def _lens_obstructed(camera: CameraFacts) -> bool | None:
    if camera.store is None or camera.store.lens == "unknown":
        return None
    return camera.store.lens == "obstructed"


def _lens_faults(camera: CameraFacts) -> dict[str, Any]:
    """Return the surest fault, and all of them."""
    faults = list(camera.store.lens_faults) if camera.store else []
    return {"reason": faults[0] if faults else None, "faults": faults}


def _uplink_problem(bridge: BridgeFacts) -> str | None:
    return bridge.health.uplink_problem if bridge.health else None


def _throttling(bridge: BridgeFacts) -> str | None:
    """Return what slows the machine down now; what did once stands in the diagnostics."""
    if bridge.health is None:
        return None
    now = [each for each in bridge.health.throttling if not each.endswith("_before")]
    return ", ".join(now) or None


def _throttled(bridge: BridgeFacts) -> bool | None:
    if bridge.health is None:
        return None
    return True if _throttling(bridge) else bridge.health.throttled


CAMERA_BINARY_SENSORS: tuple[SkylapseBinarySensorDescription[CameraFacts], ...] = (
    SkylapseBinarySensorDescription(
        key="capturing",
        translation_key="capturing",
        device_class=BinarySensorDeviceClass.RUNNING,
        is_on_fn=lambda camera: camera.is_capturing,
        attributes_fn=_because(lambda camera: camera.state.no_picture if camera.state else None),
    ),
    SkylapseBinarySensorDescription(
        key="problem",
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        is_on_fn=lambda camera: bool(_problem(camera)) if camera.state or _problem(camera) else None,
        attributes_fn=_because(_problem),
    ),
    SkylapseBinarySensorDescription(
        key="settings",
        translation_key="settings",
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        is_on_fn=lambda camera: bool(_settings_problem(camera)) if camera.state else None,
        attributes_fn=_because(_settings_problem),
    ),
    SkylapseBinarySensorDescription(
        key="lens_obstructed",
        translation_key="lens_obstructed",
        device_class=BinarySensorDeviceClass.PROBLEM,
        from_processor=True,
        is_on_fn=_lens_obstructed,
        attributes_fn=_lens_faults,
    ),
)

BRIDGE_BINARY_SENSORS: tuple[SkylapseBinarySensorDescription[BridgeFacts], ...] = (
    SkylapseBinarySensorDescription(
        key="connectivity",
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        entity_category=EntityCategory.DIAGNOSTIC,
        is_on_fn=lambda bridge: bridge.online,
        always_available=True,
    ),
    SkylapseBinarySensorDescription(
        key="delivery",
        translation_key="delivery",
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        is_on_fn=lambda bridge: bool(_uplink_problem(bridge)) if bridge.health else None,
        attributes_fn=_because(_uplink_problem),
    ),
    SkylapseBinarySensorDescription(
        key="throttled",
        translation_key="throttled",
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        is_on_fn=_throttled,
        attributes_fn=_because(_throttling),
    ),
    SkylapseBinarySensorDescription(
        key="clock_synced",
        translation_key="clock_synced",
        entity_category=EntityCategory.DIAGNOSTIC,
        is_on_fn=lambda bridge: bridge.health.clock_synced if bridge.health else None,
    ),
)

PROCESSOR_BINARY_SENSORS: tuple[SkylapseBinarySensorDescription[ProcessorFacts], ...] = (
    SkylapseBinarySensorDescription(
        key="connectivity",
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        entity_category=EntityCategory.DIAGNOSTIC,
        is_on_fn=lambda processor: processor.online,
        always_available=True,
    ),
)

BINARY_SENSORS: dict[Kind, tuple[SkylapseBinarySensorDescription[Any], ...]] = {
    "camera": CAMERA_BINARY_SENSORS,
    "bridge": BRIDGE_BINARY_SENSORS,
    "processor": PROCESSOR_BINARY_SENSORS,
}


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: SkylapseConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the binary sensors of everything that is present, and comes."""
    async_follow(entry, async_add_entities, _make)


def _make(coordinator: SkylapseCoordinator, subject: Subject) -> list[SkylapseBinarySensor]:
    rows = BINARY_SENSORS[subject.kind]
    return [SkylapseBinarySensor(coordinator, subject, description) for description in rows]


class SkylapseBinarySensor(SkylapseEntity, BinarySensorEntity):
    """A binary sensor that reads one row of its table."""

    entity_description: SkylapseBinarySensorDescription[Any]

    def __init__(
        self,
        coordinator: SkylapseCoordinator,
        subject: Subject,
        description: SkylapseBinarySensorDescription[Any],
    ) -> None:
        """Take the row."""
        super().__init__(coordinator, subject, description)
        if description.from_processor:
            self.knower = PROCESSOR

    @property
    @override
    def available(self) -> bool:
        """Connectivity is known as long as the broker is there."""
        if self.entity_description.always_available:
            return self.coordinator.connected
        return super().available

    @override
    def shown(self) -> object:
        """Whether it is available and on, and why."""
        return self.available, self.is_on, self.extra_state_attributes

    @property
    @override
    def is_on(self) -> bool | None:
        """Whether it is on, None while that is not known."""
        facts = self.facts
        return None if facts is None else self.entity_description.is_on_fn(facts)

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        """The reason, for those that know one."""
        facts = self.facts
        if facts is None or self.entity_description.attributes_fn is None:
            return None
        return self.entity_description.attributes_fn(facts)
