"""One camera at work: feeds events to `sequence.py` and obeys its instructions."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

from skylapse_protocol.messages import CameraEvent, CameraState, Mode, Reading
from skylapse_protocol.punctuality import Fortune, Punctuality
from skylapse_protocol.records import FrameRecord
from skylapse_protocol.snapshot import Plan, Snapshot, active_window
from skylapse_protocol.topics import EVENT, STATE

from .aiming import Aim, Purpose
from .camera_time import CameraTime, Gap
from .deployment import Deployment, misfit
from .errors import (
    BridgeError,
    CameraEndError,
    CameraError,
    CameraHungError,
    CameraLostError,
    SpoolError,
    SpoolFullError,
    SpoolLimitError,
)
from .focusing import Focusing
from .logs import about
from .patience import reach
from .rounds import Rounds, Tick
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
    lead_s,
    step,
)
from .shooting import Shooter, length_s, read_exposures, read_info, version_of
from .shots import Shot, possible, running
from .spool import Spool
from .taking import Taker
from .telling import Matter, Parts, Voice
from .tending import Tending

_LOGGER = logging.getLogger(__name__)

_LOOK_AGAIN = timedelta(hours=1)
"""Where nothing is to come, the plan is looked at again after this long, or when the clock was set."""
_STANDSTILL_S = 180.0
"""Work on one event may take this long, that on one frame an interval longer."""
_TURNS: dict[str, Literal["window_started", "window_ended"]] = {
    "started": "window_started",
    "ended": "window_ended",
}
_MODES: dict[str, Mode] = {"live": "live", "deployed": "deployed"}

D = TypeVar("D", Plan, Snapshot)


class Runner:
    """Runs one camera from `start` to `stop`."""

    def __init__(self, camera_id: str, shooter: Shooter, parts: Parts, *, state_dir: Path) -> None:
        self.id = camera_id
        self.shooter = shooter
        self.time = CameraTime(parts.clock, self._gap)
        self._parts = parts
        self._voice = Voice(camera_id, parts)
        self._deployment = Deployment(state_dir, parts.bridge, camera_id)
        self._taker = Taker(camera_id, shooter, parts, self._voice)
        self._rounds = Rounds(shooter, self._voice)
        self._tending = Tending(camera_id, shooter, parts, self._voice, self.time, on_up=self._up)
        self._focusing = Focusing(camera_id, shooter, parts, self._voice, self._between_ticks)
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sequence = Sequence()
        self._pace = Punctuality()
        self._fortune = Fortune()
        self._overrides = 0
        self._due_s: float | None = None

    async def start(self) -> None:
        """Take up what was deployed before, then start the camera and go to work."""
        plan = await asyncio.to_thread(self._deployment.load_plan)
        snapshot = await asyncio.to_thread(self._deployment.load_snapshot)
        ledger = await self._parts.outbox.run(self._recall)
        self._sequence = replace(ledger, plan=plan, snapshot=snapshot)
        self._spawn(self._run())
        self._spawn(self._tending.start())
        self._spawn(self._focusing.watch())

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
        await self._keep_deployed("plan", self._deployment.keep_plan, plan, payload)
        self._events.put_nowait(PlanChanged(plan=plan))

    async def deploy_snapshot(self, snapshot: Snapshot | None, payload: bytes) -> None:
        """Keep a snapshot as it came, and act by it."""
        await self._keep_deployed("snapshot", self._deployment.keep_snapshot, snapshot, payload)
        self._events.put_nowait(SnapshotChanged(snapshot=snapshot))

    async def _keep_deployed(
        self, matter: Matter, keep: Callable[[D | None, bytes], None], message: D | None, payload: bytes
    ) -> None:
        """Keep a message on disk; one that finds no room there is obeyed all the same, and that is told."""
        self._voice.well(matter)
        try:
            await asyncio.to_thread(keep, message, payload)
        except OSError as error:
            self._voice.complain(matter, f"what is deployed cannot be kept: {error}")

    def refuse(self, matter: Matter, reason: str) -> None:
        """Hear that a plan or snapshot came that cannot be used; the one in force stays so."""
        self._voice.complain(matter, f"the {matter} that came is refused, the one before stays: {reason}")

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
        if full == self._sequence.full:
            return
        if not full:
            self._voice.well("room")
        self._events.put_nowait(RoomChanged(full=full))

    async def take(
        self, purpose: Callable[[], Purpose], until: datetime, *, override: bool = False
    ) -> FrameRecord:
        """Take one frame between the ticks of the plan; an override is told in the state while it runs.

        `purpose` is asked when the camera is to be had: that may be minutes later, and under another
        snapshot, whose version the frame then bears. Raise CommandRefusedError where the plan leaves no time
        before `until`, CameraError or SpoolError.
        """
        async with self._as_override(told=override):
            exposures_s = 0.0
            while True:
                async with self._between_ticks("capture", until, exposures_s):
                    plan, version = self.plan, version_of(self.snapshot)
                    aim = await self._taker.aim(purpose(), plan)
                    needed_s = length_s(aim.settings)
                    if needed_s <= exposures_s or self.time.fits("capture", needed_s):
                        return await self._taker.take(aim, plan, version)
                exposures_s = needed_s

    @asynccontextmanager
    async def _between_ticks(
        self, kind: str, until: datetime, exposures_s: float = 0.0
    ) -> AsyncIterator[None]:
        """Have the camera for something beside the plan; one that is lost meanwhile is started anew."""
        try:
            async with self.time.spare(kind, exposures_s, until):
                yield
        except CameraLostError as error:
            self._lose(error)
            raise

    @asynccontextmanager
    async def _as_override(self, *, told: bool) -> AsyncIterator[None]:
        """Tell that production is interrupted for something else, and that it is not any more."""
        if not told or self._sequence.mode != "deployed":
            yield
            return
        self._overrides += 1
        self._parts.publish(STATE, self.id, await self.state())
        try:
            yield
        finally:
            self._overrides -= 1
            self._parts.on_change(self.id)

    async def meter(self, purpose: Callable[[], Purpose], until: datetime) -> Reading:
        """Meter now; return and publish the reading."""
        async with self._between_ticks("meter", until):
            aim = await self.shooter.aim(purpose(), self.plan)
        return self._taker.publish_reading(aim)

    async def preview(self, until: datetime) -> int:
        """Publish what the camera sees; return its size in bytes."""
        async with self._between_ticks("preview", until):
            return await self._taker.preview()

    async def focus(self, dioptre: float | None, until: datetime) -> dict[str, Any]:
        """Take a distance for infinity, or look for infinity; return the result of the command."""
        if dioptre is not None:
            return await self._focusing.set(dioptre, until)
        return await self._focusing.sweep(until)

    async def state(self) -> CameraState:
        """Return the message about what the camera does now."""
        counts, windows = await self._parts.outbox.run(
            lambda spool: (spool.counts(self.id), spool.ledger.ended_windows(self.id))
        )
        sequence, now = self._sequence, self._parts.clock.now()
        window = active_window(sequence.plan, now) if sequence.plan else None
        ended = self._tending.ended
        return CameraState(
            mode="override" if self._overrides else sequence.mode,
            capturing=sequence.enabled and sequence.camera_up and not sequence.full and not ended,
            enabled=sequence.enabled,
            active_window=window.id if window else None,
            snapshot_id=sequence.snapshot.id if sequence.snapshot else None,
            snapshot_version=version_of(sequence.snapshot),
            plan_revision=sequence.plan.revision if sequence.plan else None,
            next_capture_at=None if ended else sequence.next_tick_at(now),
            last_error=self._voice.last_error or misfit(sequence.plan, sequence.snapshot, now),
            counts=counts,
            ended_windows=windows,
            focus=self._focusing.state(),
            experiments=tuple(experiment.id for experiment in running(sequence.snapshot, now)),
            settings_problem=self._voice.problem("settings"),
            no_picture=self._tending.end_reason,
        )

    # ------------------------------------------------------------------ obeying the sequence

    def _recall(self, spool: Spool) -> Sequence:
        """Return what the spool remembers of this camera."""
        now = self._parts.clock.now()
        self.shooter.exposures = read_exposures(spool.ledger.note(self.id, "exposures"), now)
        self._focusing.recall(spool)
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
            now = self._parts.clock.now()
            self._sequence, instructions = step(self._sequence, event, now)
            self._take_back(now)
            self._parts.on_change(self.id)
            self.time.moved()
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
                        self._miss(instruction)

    def _take_back(self, now: datetime) -> None:
        """Forget what is wrong with tests and profiles that nobody asks for any more."""
        sequence = self._sequence
        self._rounds.only(experiment.id for experiment in running(sequence.snapshot, now))
        if not sequence.shooting:
            self._rounds.rest()
        if misfit(sequence.plan, sequence.snapshot, now) is None:
            self._voice.well("profiles")

    async def _next_event(self, moment: datetime | None) -> Event:
        """Return the next event, `Woken` when the moment comes first."""
        event = asyncio.create_task(self._events.get())
        clock = self._parts.clock
        waits: list[asyncio.Task[Any]] = [
            event,
            asyncio.create_task(reach(clock, moment or clock.now() + _LOOK_AGAIN)),
        ]
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
        if turn.change == "ended":
            self._keep_time(Punctuality())
            self._rounds.rest()
            self._forgive()
        try:
            if turn.change == "started":
                await self._parts.outbox.run(lambda spool: spool.ledger.open_window(self.id, window))
            else:
                await self._parts.outbox.run(lambda spool: spool.ledger.end_window(self.id, window, at))
        except SpoolError as error:
            self._voice.fail("capture_failed", str(error))
        kind = _TURNS[turn.change]
        message = CameraEvent(at=at, type=kind, window=window.id, schedule=window.schedule)
        self._parts.publish(EVENT, self.id, message)
        self._parts.on_change(self.id)

    def _forgive(self) -> None:
        """Forget what went wrong just before the last window ended, where that is no problem any more."""
        if self._sequence.open_windows:
            return
        forgiven, self._fortune = self._fortune.forgiven, Fortune()
        if forgiven is not None and self._voice.problem("capture") == forgiven:
            self._voice.well("capture")

    def _miss(self, skip: Skip) -> None:
        """Tell that frames came too late, and remember it as long as their window goes on."""
        late = f"{skip.ticks} too late since {skip.first:%Y-%m-%d %H:%M:%S} UTC"
        self._voice.mention("tick_skipped", late)
        if any(window.id == skip.window.id for window in self._sequence.open_windows):
            self._keep_time(self._pace.missed(skip.first, skip.ticks))

    def _keep_time(self, pace: Punctuality) -> None:
        """Hear how the camera keeps time now."""
        before, self._pace = self._pace.problem, pace
        if pace.problem is None:
            self._voice.well("pace")
        elif pace.problem != before:
            self._voice.remember("pace", pace.problem)

    async def _obey_shoot(self, shoot: Shoot) -> None:
        """Take the frames of one tick; what fails is told, and costs this frame or this tick only."""
        self._keep_time(self._pace.kept())
        shots = possible(shoot.shots, self.shooter.info)
        if not shots:
            known = f"the snapshot knows none of {', '.join(shoot.window.profiles)}"
            self._voice.fail(
                "capture_failed", misfit(self.plan, self.snapshot, shoot.at) or known, "profiles"
            )
        tick = Tick(shoot=shoot, shots=shots, plan=self.plan)
        fortune = self._fortune.took() if shots else self._fortune
        async with self.time.first():
            for shot in shots:
                self._expect_round(shoot.window.interval_s)
                try:
                    await self._obey_shot(tick, shot)
                except CameraEndError as error:
                    self._tending.note_end(str(error))
                    return
                except CameraLostError as error:
                    self._lose(error)
                    return
                except SpoolFullError as error:
                    limit = isinstance(error, SpoolLimitError)
                    self._voice.fail("capture_failed", str(error), "room" if limit else "capture")
                    self.room_changed(full=True)
                    return
                except CameraError as error:
                    self._voice.fail("capture_failed", str(error))
                    fortune = self._fortune.missed(str(error))
                except BridgeError as error:
                    self._voice.fail("capture_failed", str(error))
                    fortune = self._fortune
            self._fortune = fortune
            if self.time.fits("preview", max(map(_length_s, tick.middles.values()), default=0.0)):
                await self._taker.maybe_preview()

    async def _obey_shot(self, tick: Tick, shot: Shot) -> None:
        """Take one frame of a tick; what belongs to one bracket is metered once."""
        if not self._rounds.may_take(tick, shot):
            return
        shoot = tick.shoot
        purpose = Purpose(
            at=shoot.at,
            profile=shot.profile,
            window=shoot.window,
            test_id=shot.test_id,
            place=shot.place,
            burst=self._rounds.burst(tick, shot),
            bracket_ev=shot.bracket_ev,
            bracket_dioptre=shot.bracket_dioptre,
        )
        key = shot.profile.id, shot.test_id
        plan, version = self.plan, version_of(self.snapshot)
        if key in tick.middles:
            aim = self.shooter.member(tick.middles[key], purpose)
        else:
            aim = tick.middles[key] = await self._taker.aim(purpose, plan)
        if shot.round is None:
            tick.production.append(aim)
        await self._taker.take(aim, plan, version)
        self._tending.took()
        self._focusing.apply()
        tests = (arm.test_id for test in running(self.snapshot, shoot.at) for arm in test.arms)
        self.shooter.forget_tests_but(tests)

    def _gap(self, now: datetime) -> Gap | None:
        """Return the time until the plan wants the camera, None where it does not."""
        due = self._sequence.due(now) if not self._tending.ended else None
        if due is None:
            return None
        at, window = due
        early_s = lead_s(window)
        return Gap(ends_at=at - timedelta(seconds=early_s), longest_s=window.interval_s - early_s)

    def _up(self) -> None:
        """Hear that the camera answers."""
        self._events.put_nowait(CameraChanged(camera_up=True))

    def _lose(self, error: CameraLostError) -> None:
        """Hear that the camera does not answer; start it anew."""
        if self._tending.starting:
            return
        try:
            self._tending.lost(error)
        except CameraHungError as last:
            self._parts.on_failure(last)
            return
        self._events.put_nowait(CameraChanged(camera_up=False))
        self._spawn(self._tending.start(lost=True))


def _length_s(aim: Aim) -> float:
    return length_s(aim.settings)
