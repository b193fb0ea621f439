"""What is known of bridges, cameras and the processor: messages in, frozen facts out.

Pure. Messages come in any order (retained ones all at once), so a camera's state may be heard before its
bridge has announced it; it counts as present only once it is announced.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from .protocol import topics
from .protocol.errors import Speaker
from .protocol.identifiers import CameraName
from .protocol.messages import (
    BridgeAnnounce,
    BridgeHealth,
    CameraInfo,
    CameraState,
    Clock,
    Counts,
    Film,
    JobState,
    ProcessorAnnounce,
    ProcessorHealth,
    Reading,
    StoreState,
)
from .protocol.records import FrameRecord

MAX_SUBJECTS = 512
"""Bridges and cameras above this number are ignored: nobody has them, but anybody can publish them."""

Kind = Literal["bridge", "camera", "processor"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What facts, devices and entities are about: a bridge, a camera (`<bridge>/<camera>`), the processor."""

    kind: Kind
    id: str


PROCESSOR = Subject(kind="processor", id="processor")


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeFacts:
    """What is known of a bridge."""

    id: str
    announce: BridgeAnnounce | None = None
    stranger: Speaker | None = None
    """Who announced itself last, where that could not be read."""
    online: bool = False
    health: BridgeHealth | None = None
    counts: Counts | None = None
    """Of all its cameras together when it told of its health; None where one of them never said."""

    @property
    def clock(self) -> Clock | None:
        """The bridge's simulated clock, None where it lives in real time."""
        return self.announce.clock if self.announce else None


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraFacts:
    """What is known of a camera."""

    name: CameraName
    info: CameraInfo | None = None
    """Given by the bridge's announce."""
    online: bool = False
    """Whether the camera's bridge is."""
    clock: Clock | None = None
    state: CameraState | None = None
    reading: Reading | None = None
    frame: FrameRecord | None = None
    preview: bytes | None = None
    seen_at: datetime | None = None
    """When the newest frame or preview was heard of, real time."""
    store: StoreState | None = None
    film: Film | None = None
    """The newest film."""
    snapshot_version: int | None = None
    """The version that was deployed last; what the camera holds stands in its state."""
    plan_revision: int | None = None
    schedule_problem: str | None = None
    """Which of its schedules have it photograph nothing, and why."""

    @property
    def is_capturing(self) -> bool | None:
        """Whether frames are being taken, None where the camera never said."""
        if self.state is None:
            return None
        return self.state.capturing and self.state.active_window is not None

    @property
    def applied(self) -> bool | None:
        """Whether the camera holds what was deployed last, None where nothing was or it never said."""
        if self.state is None or self.snapshot_version is None:
            return None
        held = (self.state.snapshot_version, self.state.plan_revision)
        return held == (self.snapshot_version, self.plan_revision)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessorFacts:
    """What is known of the processor."""

    announce: ProcessorAnnounce | None = None
    stranger: Speaker | None = None
    """Who announced itself last, where that could not be read."""
    online: bool = False
    health: ProcessorHealth | None = None
    job: JobState | None = None
    """The job that runs, None where none does or none was told of yet."""


class System:
    """Every fact, by subject."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.bridges: dict[str, BridgeFacts] = {}
        self.cameras: dict[str, CameraFacts] = {}
        self.processor = ProcessorFacts()

    @property
    def present(self) -> set[Subject]:
        """All that has been announced."""
        bridges = {
            Subject(kind="bridge", id=bridge.id) for bridge in self.bridges.values() if bridge.announce
        }
        cameras = {Subject(kind="camera", id=name) for name, facts in self.cameras.items() if facts.info}
        return bridges | cameras | ({PROCESSOR} if self.processor.announce else set())

    @property
    def strangers(self) -> set[Subject]:
        """Those who announced themselves last in words that cannot be read."""
        bridges = {
            Subject(kind="bridge", id=bridge.id) for bridge in self.bridges.values() if bridge.stranger
        }
        return bridges | ({PROCESSOR} if self.processor.stranger else set())

    def apply(self, message: topics.Decoded, now: datetime) -> set[Subject]:
        """Take in a message and return the subjects that it changed; what is no fact changes none."""
        handler = _HANDLERS.get(message.topic.path)
        if handler is None or (self.is_full and self._is_new(message.ids)):
            return set()
        return handler(self, message.ids, message.message, now)

    def take_stranger(self, ids: dict[str, str], speaker: Speaker) -> set[Subject]:
        """Take in that a bridge, or the processor, announced itself in a schema that cannot be read."""
        if "bridge" not in ids:
            return self.update_processor(stranger=speaker)
        if self.is_full and ids["bridge"] not in self.bridges:
            return set()
        return self.update_bridge(ids["bridge"], stranger=speaker)

    def update_camera(self, name: str, **changes: Any) -> set[Subject]:
        """Change facts of a camera."""
        known = self.cameras.get(name) or CameraFacts(name=CameraName.parse(name))
        self.cameras[name] = replace(known, **changes)
        return {Subject(kind="camera", id=name)}

    @property
    def is_full(self) -> bool:
        """Whether no bridge and no camera is taken in any more."""
        return len(self.bridges) + len(self.cameras) >= MAX_SUBJECTS

    def _is_new(self, ids: dict[str, str]) -> bool:
        bridge, camera = ids.get("bridge"), ids.get("camera")
        return bridge is not None and (
            bridge not in self.bridges if camera is None else f"{bridge}/{camera}" not in self.cameras
        )

    def update_bridge(self, bridge: str, **changes: Any) -> set[Subject]:
        """Change facts of a bridge."""
        self.bridges[bridge] = replace(self.bridges.get(bridge) or BridgeFacts(id=bridge), **changes)
        return {Subject(kind="bridge", id=bridge)}

    def update_processor(self, **changes: Any) -> set[Subject]:
        """Change facts of the processor."""
        self.processor = replace(self.processor, **changes)
        return {PROCESSOR}

    def cameras_of(self, bridge: str) -> list[str]:
        """Return the names of a bridge's cameras."""
        return [name for name, facts in self.cameras.items() if facts.name.bridge == bridge]


def _announce(system: System, ids: dict[str, str], message: Any, _now: datetime) -> set[Subject]:
    bridge = ids["bridge"]
    if message is None:
        return _forget(system, bridge)
    changed = system.update_bridge(bridge, announce=message, stranger=None)
    infos = {f"{bridge}/{info.id}": info for info in message.cameras}
    changed |= _drop(system, [name for name in system.cameras_of(bridge) if name not in infos])
    for name, info in infos.items():
        if name in system.cameras or not system.is_full:
            changed |= system.update_camera(
                name, info=info, clock=message.clock, online=system.bridges[bridge].online
            )
    return changed


def _forget(system: System, bridge: str) -> set[Subject]:
    system.bridges.pop(bridge, None)
    return {Subject(kind="bridge", id=bridge)} | _drop(system, system.cameras_of(bridge))


def _drop(system: System, cameras: list[str]) -> set[Subject]:
    for name in cameras:
        del system.cameras[name]
    return {Subject(kind="camera", id=name) for name in cameras}


def _availability(system: System, ids: dict[str, str], message: Any, _now: datetime) -> set[Subject]:
    online = message == "online"
    changed = system.update_bridge(ids["bridge"], online=online)
    for name in system.cameras_of(ids["bridge"]):
        changed |= system.update_camera(name, online=online)
    return changed


def _health(system: System, ids: dict[str, str], message: Any, _now: datetime) -> set[Subject]:
    return system.update_bridge(ids["bridge"], health=message, counts=_counts(system, ids["bridge"]))


def _counts(system: System, bridge: str) -> Counts | None:
    cameras = [system.cameras[name] for name in system.cameras_of(bridge) if system.cameras[name].info]
    counts = [camera.state.counts for camera in cameras if camera.state is not None]
    if not counts or len(counts) < len(cameras):
        return None
    return Counts(
        captured=sum(each.captured for each in counts),
        delivered=sum(each.delivered for each in counts),
        pending=sum(each.pending for each in counts),
        dropped=sum(each.dropped for each in counts),
    )


def _state(system: System, ids: dict[str, str], message: Any, _now: datetime) -> set[Subject]:
    if message is None and _camera(ids) not in system.cameras:
        return set()
    return system.update_camera(_camera(ids), state=message)


def _reading(system: System, ids: dict[str, str], message: Any, _now: datetime) -> set[Subject]:
    return system.update_camera(_camera(ids), reading=message)


def _frame(system: System, ids: dict[str, str], message: Any, now: datetime) -> set[Subject]:
    return system.update_camera(_camera(ids), frame=message, seen_at=now)


def _preview(system: System, ids: dict[str, str], message: Any, now: datetime) -> set[Subject]:
    return system.update_camera(_camera(ids), preview=message, seen_at=now)


def _store(system: System, ids: dict[str, str], message: Any, _now: datetime) -> set[Subject]:
    return system.update_camera(_camera(ids), store=message)


def _processor_announce(system: System, _ids: dict[str, str], message: Any, _now: datetime) -> set[Subject]:
    if message is None:
        system.processor = ProcessorFacts()
        return {PROCESSOR}
    return system.update_processor(announce=message, stranger=None)


def _processor_availability(
    system: System, _ids: dict[str, str], message: Any, _now: datetime
) -> set[Subject]:
    online = message == "online"
    return system.update_processor(online=online, job=system.processor.job if online else None)


def _processor_health(system: System, _ids: dict[str, str], message: Any, _now: datetime) -> set[Subject]:
    is_busy = message is not None and message.current_job is not None
    return system.update_processor(health=message, job=system.processor.job if is_busy else None)


def _job(system: System, _ids: dict[str, str], message: Any, _now: datetime) -> set[Subject]:
    if message.state == "running":
        return system.update_processor(job=message)
    known = system.processor.job
    return system.update_processor(job=None) if known is not None and known.id == message.id else set()


def _camera(ids: dict[str, str]) -> str:
    return f"{ids['bridge']}/{ids['camera']}"


_HANDLERS: dict[str, Callable[[System, dict[str, str], Any, datetime], set[Subject]]] = {
    topics.ANNOUNCE.path: _announce,
    topics.AVAILABILITY.path: _availability,
    topics.HEALTH.path: _health,
    topics.STATE.path: _state,
    topics.READING.path: _reading,
    topics.FRAME.path: _frame,
    topics.PREVIEW.path: _preview,
    topics.STORE_STATE.path: _store,
    topics.PROCESSOR_ANNOUNCE.path: _processor_announce,
    topics.PROCESSOR_AVAILABILITY.path: _processor_availability,
    topics.PROCESSOR_HEALTH.path: _processor_health,
    topics.JOB.path: _job,
}
