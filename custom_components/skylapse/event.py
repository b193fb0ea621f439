"""The event entity of a camera: what happened last, and what is known of it."""

from typing import Any, override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import SkylapseCoordinator
from .data import SkylapseConfigEntry
from .entity import CameraEntity, async_follow
from .facts import Subject
from .links import film_facts, frame_facts
from .protocol import topics
from .protocol.messages import CameraEvent, Film, JobState
from .protocol.records import FrameRecord

PARALLEL_UPDATES = 0

TOLD_INTERVAL_S = 300.0
"""Frames of schedules that photograph more often are counted, shown and stored, but are no events."""

EVENT = EventEntityDescription(
    key="event",
    translation_key="event",
    event_types=[
        "camera_back",
        "camera_lost",
        "capture_completed",
        "capture_failed",
        "film_failed",
        "film_ready",
        "focus_drift",
        "settings_not_followed",
        "window_ended",
        "window_started",
    ],
)


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: SkylapseConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the event entity of every camera that is present, and comes."""
    async_follow(entry, async_add_entities, _make)


def _make(coordinator: SkylapseCoordinator, subject: Subject) -> list[SkylapseEvent]:
    return [SkylapseEvent(coordinator, subject, EVENT)] if subject.kind == "camera" else []


class SkylapseEvent(CameraEntity, EventEntity):
    """Tells of windows, failures and films of a camera, and of frames where they are rare."""

    entity_description: EventEntityDescription

    @property
    @override
    def available(self) -> bool:
        """Films are told of while the bridge is away."""
        return self.coordinator.connected

    @override
    async def async_added_to_hass(self) -> None:
        """Listen to what happens."""
        await super().async_added_to_hass()
        self.async_on_remove(self.coordinator.async_listen_happenings(self._happened, camera=self.subject.id))

    @callback
    def _happened(self, decoded: topics.Decoded) -> None:
        if _is_routine(self.coordinator, decoded.message):
            return
        told = _tell(self.coordinator, self.subject.id, decoded)
        if told is None or told[0] not in self.event_types:
            return
        self._trigger_event(*told)
        self.async_write_ha_state()


def _is_routine(coordinator: SkylapseCoordinator, message: object) -> bool:
    """Tell whether a frame is one of so many that telling of each would bury all else that happens."""
    if not isinstance(message, FrameRecord) or message.schedule is None:
        return False
    schedule = coordinator.entry.runtime_data.specs.schedules.get(message.schedule)
    return schedule is not None and schedule.interval_s < TOLD_INTERVAL_S


def _tell(
    coordinator: SkylapseCoordinator, camera: str, decoded: topics.Decoded
) -> tuple[str, dict[str, Any]] | None:
    """Return type and attributes of the event that a message is for this camera, None where it is none."""
    message = decoded.message
    about = f"{decoded.ids.get('bridge')}/{decoded.ids.get('camera')}"
    if isinstance(message, FrameRecord) and about == camera:
        return "capture_completed", frame_facts(message)
    if isinstance(message, CameraEvent) and about == camera:
        details = {"reason": message.reason, "window": message.window, "schedule": message.schedule}
        return message.type, {key: value for key, value in details.items() if value is not None}
    if isinstance(message, Film) and message.camera == camera and message.change == "added":
        return "film_ready", film_facts(coordinator, message)
    if isinstance(message, JobState) and message.camera == camera and message.state == "failed":
        return "film_failed", {"job": message.id, "reason": message.error}
    return None
