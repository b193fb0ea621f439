"""What a camera's rooms share: the rest of the bridge, and a voice that tells what goes wrong."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from skylapse_protocol.messages import CameraEvent
from skylapse_protocol.topics import EVENT, Topic

from .clock import Clock
from .outbox import Outbox

_LOGGER = logging.getLogger(__name__)

Publish = Callable[[Topic[Any], str, Any], bool]
"""Publishes a message about a camera: row of the map, camera id, message."""

EventType = Literal[
    "capture_failed",
    "tick_skipped",
    "window_started",
    "window_ended",
    "camera_lost",
    "camera_back",
    "focus_drift",
    "settings_not_followed",
]

Matter = Literal["capture", "room", "profiles", "pace", "settings", "focus", "plan", "snapshot", "test"]
"""What a problem is about; it stands until this very matter is well again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What the rooms of a camera work with."""

    bridge: str
    clock: Clock
    outbox: Outbox
    publish: Publish
    on_stored: Callable[[], None]
    """Called when the spool holds another frame."""
    on_change: Callable[[str], None]
    """Called with the camera's id when its state is to be published."""
    on_failure: Callable[[BaseException], None]
    """Called when a camera's work ended for a reason that nobody foresaw."""


class Voice:
    """Logs, publishes and remembers what is wrong with one camera."""

    def __init__(self, camera: str, parts: Parts) -> None:
        self._camera = camera
        self._parts = parts
        self._problems: dict[Matter, str] = {}

    @property
    def last_error(self) -> str | None:
        """The newest problem that still stands, None where all is well.

        Frames that came too late are told where nothing else is wrong: they may come of it.
        """
        standing: list[Matter] = [matter for matter in self._problems if matter != "pace"] or [
            *self._problems
        ]
        return self._problems[standing[-1]] if standing else None

    def problem(self, matter: Matter) -> str | None:
        """Return what is wrong with one matter."""
        return self._problems.get(matter)

    def complain(self, matter: Matter, reason: str) -> None:
        """Log and remember what is wrong."""
        self._log(reason)
        self.remember(matter, reason)

    def remember(self, matter: Matter, reason: str) -> None:
        """Remember what is wrong."""
        self._problems.pop(matter, None)
        self._problems[matter] = reason
        self._parts.on_change(self._camera)

    def well(self, *matters: Matter) -> None:
        """Forget what was wrong."""
        for matter in matters:
            if self._problems.pop(matter, None) is not None:
                self._parts.on_change(self._camera)

    def fail(self, kind: EventType, reason: str, matter: Matter = "capture") -> None:
        """Log, remember and publish what went wrong."""
        self.complain(matter, reason)
        self.event(kind, reason)

    def mention(self, kind: EventType, reason: str) -> None:
        """Log and publish what is no problem by itself."""
        self._log(reason)
        self.event(kind, reason)

    def event(self, kind: EventType, reason: str | None = None) -> None:
        """Publish that something happened."""
        message = CameraEvent(at=self._parts.clock.now(), type=kind, reason=reason)
        self._parts.publish(EVENT, self._camera, message)
        self._parts.on_change(self._camera)

    def _log(self, reason: str) -> None:
        _LOGGER.warning("camera %s: %s", self._camera, reason)
