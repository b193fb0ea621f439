"""One camera at work: feeds events to `sequence.py` and obeys its instructions."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from skylapse_protocol.codec import write
from skylapse_protocol.messages import CameraEvent, CameraState, Mode, Reading
from skylapse_protocol.records import FrameRecord
from skylapse_protocol.snapshot import Plan, Snapshot, active_window
from skylapse_protocol.topics import EVENT, FRAME, PREVIEW, READING, Topic

from .aiming import Purpose
from .clock import Clock
from .deployment import Deployment
from .errors import BridgeError, CameraEndError, CameraError, CameraLostError, SpoolError, SpoolFullError
from .logs import about
from .meter import reading
from .outbox import Outbox
from .sequence import (
    CameraChanged,
    EnabledChanged,
    Event,
    ModeChanged,
    PlanChanged,
    RoomChanged,
    Sequence,
    Shoot,
    Skip,
    SnapshotChanged,
    WaitUntil,
    WindowTurned,
    Woken,
    step,
)
from .shooting import Shooter, read_exposures, read_info, version_of, write_exposures
from .spool import Spool

_LOGGER = logging.getLogger(__name__)

_PREVIEW_EVERY_S = 5.0
_START_AGAIN_S = (1.0, 5.0, 30.0)
_STANDSTILL_S = 180.0
"""Work on one event may take this long, that on one frame an interval longer."""
FRAME_BYTES = 8_000_000
"""Room that is made before a frame is taken."""
_TURNS: dict[str, Literal["window_started", "window_ended"]] = {
    "started": "window_started",
    "ended": "window_ended",
}
_MODES: dict[str, Mode] = {"live": "live", "deployed": "deployed"}

D = TypeVar("D", Plan, Snapshot)
Publish = Callable[[Topic[Any], str, Any], bool]
"""Publishes a message about a camera: row of the map, camera id, message."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What a runner works with."""

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


class Runner:
    """Runs one camera from `start` to `stop`."""

    def __init__(self, camera_id: str, shooter: Shooter, parts: Parts, *, state_dir: Path) -> None:
        self.id = camera_id
        self.shooter = shooter
        self._parts = parts
        self._deployment = Deployment(state_dir, parts.bridge, camera_id)
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._camera = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sequence = Sequence()
        self._last_error: str | None = None
        self._last_preview_s = 0.0
        self._ended = False
        self._due_s: float | None = None

    async def start(self) -> None:
        """Take up what was deployed before, then start the camera and go to work."""
        plan = await asyncio.to_thread(self._deployment.load_plan)
        snapshot = await asyncio.to_thread(self._deployment.load_snapshot)
        ledger = await self._parts.outbox.run(self._recall)
        self._sequence = replace(ledger, plan=plan, snapshot=snapshot)
        self._spawn(self._run())
        self._spawn(self._start_camera())

    async def stop(self) -> None:
        """Stop work and camera; a frame that is being made safe is finished."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self.shooter.stop()
        except CameraError as error:
            _LOGGER.warning("camera %s did not stop: %s", self.id, error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        with about(camera=self.id):
            task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._parts.on_failure(error)

    # ------------------------------------------------------------------ what others ask for

    def alive(self, now_s: float) -> bool:
        """Tell whether the camera's work goes on at this loop time: it waits, or is not long overdue."""
        return self._due_s is None or now_s < self._due_s

    def _expect_round(self, longer_s: float = 0.0) -> None:
        """Promise to come round again in time."""
        self._due_s = asyncio.get_running_loop().time() + _STANDSTILL_S + longer_s

    @property
    def full(self) -> bool:
        """The camera stopped for want of room."""
        return self._sequence.full

    @property
    def plan(self) -> Plan | None:
        """The plan in force."""
        return self._sequence.plan

    @property
    def snapshot(self) -> Snapshot | None:
        """The snapshot in force."""
        return self._sequence.snapshot

    async def deploy_plan(self, plan: Plan | None, payload: bytes) -> None:
        """Keep a plan as it came, and act by it."""
        await self._keep_deployed(self._deployment.keep_plan, plan, payload)
        self._events.put_nowait(PlanChanged(plan=plan))

    async def deploy_snapshot(self, snapshot: Snapshot | None, payload: bytes) -> None:
        """Keep a snapshot as it came, and act by it."""
        await self._keep_deployed(self._deployment.keep_snapshot, snapshot, payload)
        self._events.put_nowait(SnapshotChanged(snapshot=snapshot))

    async def _keep_deployed(
        self, keep: Callable[[D | None, bytes], None], message: D | None, payload: bytes
    ) -> None:
        """Keep a message on disk; one that finds no room there is obeyed all the same, and that is told."""
        try:
            await asyncio.to_thread(keep, message, payload)
        except OSError as error:
            self._last_error = f"what is deployed cannot be kept: {error}"
            _LOGGER.error("camera %s: %s", self.id, self._last_error)  # noqa: TRY400

    async def set_mode(self, mode: Mode) -> None:
        """Photograph by the plan (deployed) or on request only (live)."""
        await self._parts.outbox.run(lambda spool: spool.ledger.set_note(self.id, "mode", mode))
        self._events.put_nowait(ModeChanged(mode=mode))

    async def set_enabled(self, *, enabled: bool) -> None:
        """Switch capture by the plan on or off."""
        await self._parts.outbox.run(lambda spool: spool.ledger.set_note(self.id, "enabled", enabled))
        self._events.put_nowait(EnabledChanged(enabled=enabled))

    def room_changed(self, *, full: bool) -> None:
        """Hear that the spool is full or has room again."""
        if full != self._sequence.full:
            self._events.put_nowait(RoomChanged(full=full))

    async def take(self, purpose: Purpose) -> FrameRecord:
        """Take one frame now, beside the plan; raise CameraError or SpoolError."""
        async with self._camera:
            return await self._take(purpose)

    async def meter(self, purpose: Purpose) -> Reading:
        """Meter now; return and publish the reading."""
        async with self._camera:
            aim = await self.shooter.aim(purpose, self.plan)
        message = reading(aim.light, aim.settings.exposure_us, aim.settings.gain)
        self._parts.publish(READING, self.id, message)
        return message

    async def preview(self) -> int:
        """Publish what the camera sees; return its size in bytes."""
        async with self._camera:
            picture = await self.shooter.preview()
        self._parts.publish(PREVIEW, self.id, picture)
        return len(picture)

    async def focus(self, dioptre: float | None) -> float:
        """Focus; return the distance in dioptres."""
        async with self._camera:
            return await self.shooter.focus(dioptre)

    async def state(self) -> CameraState:
        """Return the message about what the camera does now."""
        counts, ended = await self._parts.outbox.run(
            lambda spool: (spool.counts(self.id), spool.ledger.ended_windows(self.id))
        )
        sequence, now = self._sequence, self._parts.clock.now()
        window = active_window(sequence.plan, now) if sequence.plan else None
        return CameraState(
            mode=sequence.mode,
            capturing=sequence.enabled and sequence.camera_up and not sequence.full and not self._ended,
            enabled=sequence.enabled,
            active_window=window.id if window else None,
            snapshot_id=sequence.snapshot.id if sequence.snapshot else None,
            snapshot_version=version_of(sequence.snapshot),
            plan_revision=sequence.plan.revision if sequence.plan else None,
            next_capture_at=None if self._ended else sequence.next_tick_at(now),
            last_error=self._last_error,
            counts=counts,
            ended_windows=ended,
        )

    # ------------------------------------------------------------------ obeying the sequence

    def _recall(self, spool: Spool) -> Sequence:
        """Return what the spool remembers of this camera."""
        now = self._parts.clock.now()
        self.shooter.exposures = read_exposures(spool.ledger.note(self.id, "exposures"), now)
        self.shooter.info = read_info(spool.ledger.note(self.id, "info"))
        mode = spool.ledger.note(self.id, "mode")
        return Sequence(
            enabled=spool.ledger.note(self.id, "enabled") is not False,
            mode=_MODES.get(str(mode), "deployed"),
            open_windows=spool.ledger.open_windows(self.id),
        )

    async def _run(self) -> None:
        event: Event = Woken()
        while True:
            self._expect_round()
            self._sequence, instructions = step(self._sequence, event, self._parts.clock.now())
            self._parts.on_change(self.id)
            event = Woken()
            for instruction in instructions:
                match instruction:
                    case WaitUntil(moment=moment):
                        self._due_s = None
                        event = await self._next_event(moment)
                    case Shoot():
                        await self._obey_shoot(instruction)
                        event = Woken() if self._events.empty() else self._events.get_nowait()
                    case WindowTurned():
                        await self._obey_turn(instruction)
                    case Skip():
                        self._tell("tick_skipped", f"{instruction.ticks} too late since {instruction.first}")

    async def _next_event(self, moment: datetime | None) -> Event:
        """Return the next event, `Woken` when the moment comes first."""
        event = asyncio.create_task(self._events.get())
        waits: list[asyncio.Task[Any]] = [event]
        if moment is not None:
            waits.append(asyncio.create_task(self._parts.clock.wait_until(moment)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        return Woken() if event.cancelled() else event.result()

    async def _obey_turn(self, turn: WindowTurned) -> None:
        """Remember that a window began or ended, then tell."""
        window, at = turn.window, turn.at
        try:
            if turn.change == "started":
                await self._parts.outbox.run(lambda spool: spool.ledger.open_window(self.id, window))
            else:
                await self._parts.outbox.run(lambda spool: spool.ledger.end_window(self.id, window, at))
        except SpoolError as error:
            self._tell("capture_failed", str(error))
        kind = _TURNS[turn.change]
        message = CameraEvent(at=at, type=kind, window=window.id, schedule=window.schedule)
        self._parts.publish(EVENT, self.id, message)
        self._parts.on_change(self.id)

    async def _obey_shoot(self, shoot: Shoot) -> None:
        """Take the frames of one tick; what fails is told and costs this tick only."""
        if not shoot.shots:
            self._tell("capture_failed", f"the snapshot knows none of {', '.join(shoot.window.profiles)}")
        for shot in shoot.shots:
            self._expect_round(shoot.window.interval_s)
            purpose = Purpose(
                at=shoot.at,
                profile=shot.profile,
                window=shoot.window,
                test_id=shot.test_id,
                place=shot.place,
                burst=len(shoot.shots),
            )
            try:
                await self.take(purpose)
            except CameraEndError as error:
                self._note_end(str(error))
            except CameraLostError as error:
                self._lose(str(error))
            except SpoolFullError as error:
                self._tell("capture_failed", str(error))
                self.room_changed(full=True)
            except BridgeError as error:
                self._tell("capture_failed", str(error))

    async def _take(self, purpose: Purpose) -> FrameRecord:
        """Meter, wait for the moment, capture, make safe, announce."""
        parts, plan, version = self._parts, self.plan, version_of(self.snapshot)
        await parts.outbox.run(lambda spool: spool.make_room(FRAME_BYTES))
        aim = await self.shooter.aim(purpose, plan)
        parts.publish(READING, self.id, reading(aim.light, aim.settings.exposure_us, aim.settings.gain))
        await parts.clock.wait_until(purpose.at)
        captured = await self.shooter.shoot(aim)
        draft = self.shooter.describe(aim, captured, plan, version)
        record = await parts.outbox.run(partial(self._keep, draft=draft, picture=captured.jpeg))
        if record.clock_synced:
            parts.publish(FRAME, self.id, record)
        self._last_error, self._ended = None, False
        parts.on_stored()
        parts.on_change(self.id)
        await self._maybe_preview()
        return record

    def _keep(self, spool: Spool, draft: FrameRecord, picture: bytes) -> FrameRecord:
        """Make the frame safe, and the exposures that led to it."""
        model = self.shooter.info.model if self.shooter.info else ""
        record = spool.add(draft, picture, make="Skylapse", model=model)
        spool.ledger.set_note(self.id, "exposures", write_exposures(self.shooter.exposures))
        return record

    async def _maybe_preview(self) -> None:
        """Publish a preview every few seconds; one that fails is told and matters no more."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._last_preview_s < _PREVIEW_EVERY_S:
            return
        self._last_preview_s = now_s
        try:
            self._parts.publish(PREVIEW, self.id, await self.shooter.preview())
        except CameraError as error:
            _LOGGER.warning("camera %s: no preview: %s", self.id, error)

    # ------------------------------------------------------------------ the camera's health

    async def _start_camera(self) -> None:
        """Start the camera, again and again until it answers."""
        failures, lost = 0, False
        while True:
            try:
                async with self._camera:
                    await self.shooter.start()
            except CameraError as error:
                wait_s = _START_AGAIN_S[min(failures, len(_START_AGAIN_S) - 1)]
                failures += 1
                lost = self._note_absence(error) or lost
                await asyncio.sleep(wait_s)
                continue
            self._ended = False
            if lost:
                self._last_error = None
                self._tell_event("camera_back", None)
            self._events.put_nowait(CameraChanged(camera_up=True))
            await self._remember_info()
            return

    async def _remember_info(self) -> None:
        """Keep what the camera is, so that it is announced even while it is away."""
        info = write(self.shooter.info)
        try:
            await self._parts.outbox.run(lambda spool: spool.ledger.set_note(self.id, "info", info))
        except SpoolError as error:
            _LOGGER.warning("camera %s: what it is cannot be kept: %s", self.id, error)

    def _lose(self, reason: str) -> None:
        """Hear that the camera does not answer; start it anew."""
        self._tell("camera_lost", reason)
        self._events.put_nowait(CameraChanged(camera_up=False))
        self._spawn(self._start_camera())

    def _note_absence(self, error: CameraError) -> bool:
        """Hear why a camera did not start; tell whether that is a fault."""
        if isinstance(error, CameraEndError):
            self._note_end(str(error))
            return False
        if self._last_error != str(error):
            self._tell("camera_lost", str(error))
        return True

    def _note_end(self, reason: str) -> None:
        """Hear that the camera has no more pictures: no fault, it goes on when another one is there."""
        if not self._ended:
            self._ended, self._last_error = True, None
            _LOGGER.info("camera %s: %s", self.id, reason)
            self._parts.on_change(self.id)

    def _tell(self, kind: Any, reason: str) -> None:
        """Log, remember and publish what went wrong."""
        _LOGGER.warning("camera %s: %s: %s", self.id, kind, reason)
        self._last_error = reason
        self._tell_event(kind, reason)

    def _tell_event(self, kind: Any, reason: str | None) -> None:
        message = CameraEvent(at=self._parts.clock.now(), type=kind, reason=reason)
        self._parts.publish(EVENT, self.id, message)
        self._parts.on_change(self.id)
