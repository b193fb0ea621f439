"""The bridge: everything put together, from start to stop."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from functools import partial
from importlib import metadata
from typing import Any

from skylapse_protocol import SCHEMA_MAX, SCHEMA_MIN
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.messages import BridgeAnnounce, BridgeHealth, Command, Uplink
from skylapse_protocol.records import FrameRecord
from skylapse_protocol.snapshot import Plan, Snapshot
from skylapse_protocol.topics import (
    ANNOUNCE,
    AVAILABILITY,
    FRAME,
    HEALTH,
    PLAN,
    REPLY,
    SNAPSHOT,
    STATE,
    UPLINK,
    Decoded,
    decode,
    match,
)

from .camera.factory import make_camera
from .clock import Clock
from .commands import BridgeActions, CommandDesk
from .config import BridgeConfig
from .deployment import check_deployed
from .errors import DamagedError, SpoolError, SpoolFullError
from .frame_files import StoredFrame, free_bytes
from .health import ClockHealth, Machine, buffer_hours_left, health
from .health import Uplink as UplinkHealth
from .kernel_time import kernel_time
from .lock import StateLock
from .mqtt import Incoming
from .notify import notify
from .outbox import Outbox
from .publisher import BIRTH_TOPIC, Publisher
from .retime import Now, retimed
from .runner import Runner
from .shooting import Shooter
from .spool import Spool
from .taking import FRAME_BYTES
from .telling import Parts
from .timesync import server_time
from .upload import Pace, Uploader
from .worker import Worker

_LOGGER = logging.getLogger(__name__)

_HEALTH_EVERY_S = 30.0
_HOUSEKEEPING_EVERY_S = 1.0
_STATE_EVERY_S = 0.2
_COMPARE_CLOCKS_EVERY_S = 600.0


class Bridge:
    """One bridge with its cameras."""

    def __init__(self, config: BridgeConfig, clock: Clock, *, pace: Pace | None = None) -> None:
        self._config = config
        self._clock = clock
        self._machine = Machine()
        self._boot_id = self._machine.boot_id()
        self._host = self._machine.host()
        self._software = metadata.version("skylapse")
        self._started_s = time.monotonic()
        self._lock = StateLock(config.state_dir)
        self._spool = Spool(config.state_dir, config.spool)
        self._outbox = Outbox(self._spool)
        self._publisher = Publisher(
            config.id, config.mqtt, on_connected=self._connected, on_message=self._received
        )
        self._uploader: Uploader | None = None
        if config.processor is not None:
            self._uploader = Uploader(
                self._outbox,
                key_file=config.processor.key_file,
                now=clock.now,
                on_delivered=self._delivered,
                pace=pace,
            )
        self._runners = {camera.id: self._make_runner(camera.id) for camera in config.cameras}
        actions = BridgeActions(name=config.name, flush=self._flush, restart=self.request_restart)
        self._desk = CommandDesk(clock, actions, self._runners)
        self._uplink: Uplink | None = None
        self._announced: BridgeAnnounce | None = None
        self._deploying = asyncio.Lock()
        self._dirty: set[str] = set()
        self._changed = asyncio.Event()
        self._over: asyncio.Future[bool] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._told_kinds: set[str] = set()
        self._standing: set[str] = set()
        self._told_offset_s: float | None = None
        self._may_hold = True

    # ------------------------------------------------------------------ start and stop

    async def start(self) -> None:
        """Open the spool, go to work, connect; raise BridgeError."""
        self._over = asyncio.get_running_loop().create_future()
        await self._lock.start()
        await self._outbox.start()
        if self._uploader is not None and self._config.processor is not None:
            self._uploader.deliver_to(self._config.processor.url)
            self._uploader.start().add_done_callback(self._finished)
        for runner in self._runners.values():
            await runner.start()
        await self._publisher.start()
        self._spawn(self._tell_states())
        self._spawn(self._keep_house())
        if self._clock.simulated is None:
            self._spawn(self._compare_clocks())
        notify("READY=1")

    async def stop(self) -> None:
        """Stop cameras, delivery and connection, in this order, and close the spool."""
        notify("STOPPING=1")
        await asyncio.gather(*(runner.stop() for runner in self._runners.values()))
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._uploader is not None:
            await self._uploader.stop()
        await self._publisher.stop()
        await self._outbox.stop()
        self._lock.stop()

    async def over(self) -> bool:
        """Wait until somebody asks for the end; tell whether to start again. Raise what went wrong."""
        if self._over is None:
            raise RuntimeError("the bridge was not started")
        return await asyncio.shield(self._over)

    def request_stop(self) -> None:
        """Ask for the end."""
        self._end(again=False)

    def request_restart(self) -> None:
        """Ask for the end, and to be started again."""
        asyncio.get_running_loop().call_later(0.5, partial(self._end, again=True))

    def _end(self, *, again: bool) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(again)

    def _fail(self, error: BaseException) -> None:
        """Hear that a part of the bridge ended for a reason that nobody foresaw: all of it ends."""
        if self._over is not None and not self._over.done():
            _LOGGER.error(
                "the bridge ends, so that it is started anew: %s", str(error) or type(error).__name__
            )
            self._over.set_exception(error)

    def _make_runner(self, camera_id: str) -> Runner:
        config = next(camera for camera in self._config.cameras if camera.id == camera_id)
        camera = make_camera(self._config.id, config, self._clock)
        worker = Worker(f"camera-{camera_id}")
        shooter = Shooter(
            camera,
            worker,
            self._clock,
            bridge=self._config.id,
            boot_id=self._boot_id,
            rest_dioptre=config.options.get("focus"),
        )
        parts = Parts(
            bridge=self._config.id,
            clock=self._clock,
            outbox=self._outbox,
            publish=lambda row, camera, message: self._publisher.publish(row, message, camera),
            on_stored=self._stored,
            on_change=self._camera_changed,
            on_failure=self._fail,
        )
        return Runner(camera_id, shooter, parts, state_dir=self._config.state_dir)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    # ------------------------------------------------------------------ what others tell

    def _stored(self) -> None:
        self._may_hold = True
        if self._uploader is not None:
            self._uploader.poke()

    def _delivered(self, frame: StoredFrame) -> None:
        self._camera_changed(frame.record.camera)

    def _camera_changed(self, camera: str) -> None:
        """Hear that a camera's state is another; frames of one that is configured no more go out, too."""
        if camera in self._runners:
            self._dirty.add(camera)
            self._changed.set()

    def _connected(self) -> None:
        self._spawn(self._introduce())

    def _received(self, incoming: Incoming) -> None:
        """Sort a message from the broker; whatever does not fit is logged once for each kind."""
        if incoming.topic == BIRTH_TOPIC:
            if incoming.payload == b"online":
                self._spawn(self._introduce())
            return
        try:
            decoded = decode(incoming.topic, incoming.payload, self._publisher.root)
            check_deployed(decoded.message)
        except ProtocolError as error:
            self._spawn(self._refuse(incoming.topic, error))
            return
        self._spawn(self._act(decoded, incoming))

    async def _refuse(self, topic: str, error: ProtocolError) -> None:
        """Tell in the camera's state that a plan or snapshot cannot be used, in its turn; log what else."""
        with contextlib.suppress(ProtocolError):
            row, ids = match(topic, self._publisher.root)
            runner = self._runners.get(ids.get("camera", ""))
            if row in (PLAN, SNAPSHOT) and runner is not None:
                async with self._deploying:
                    runner.refuse("plan" if row is PLAN else "snapshot", str(error))
                return
        kind = f"{topic} {error.field}"
        if kind not in self._told_kinds:
            self._told_kinds.add(kind)
            _LOGGER.warning("a message is ignored: %s", error)

    async def _act(self, decoded: Decoded, incoming: Incoming) -> None:
        """Do what a message asks for; what is deployed, one after the other, as it came."""
        message, camera = decoded.message, decoded.ids.get("camera", "")
        try:
            if isinstance(message, Command):
                reply = await self._desk.answer(camera, message, retained=incoming.retained)
                self._publisher.publish(REPLY, reply, camera)
                return
            async with self._deploying:
                await self._deploy(decoded, camera, incoming.payload)
        except Exception:  # it comes again at every connect: no single message may end the bridge
            _LOGGER.exception("a message on %s came to nothing", incoming.topic)

    async def _deploy(self, decoded: Decoded, camera: str, payload: bytes) -> None:
        """Take over a plan or a snapshot; compare the processor that the brain names with the pinned one."""
        message, runner = decoded.message, self._runners.get(camera)
        if decoded.topic is UPLINK:
            self._uplink = message if isinstance(message, Uplink) else None
            self._publisher.publish(HEALTH, await self._health())
        elif runner is None:
            _LOGGER.info("something is deployed for camera %s, which this bridge has not", camera)
        elif decoded.topic is PLAN:
            await runner.deploy_plan(message if isinstance(message, Plan) else None, payload)
        elif decoded.topic is SNAPSHOT:
            await runner.deploy_snapshot(message if isinstance(message, Snapshot) else None, payload)

    async def _flush(self) -> int:
        if self._uploader is not None:
            self._uploader.flush()
        return (await self._outbox.run(Spool.totals)).frames

    # ------------------------------------------------------------------ what the bridge tells

    async def _introduce(self) -> None:
        """Say everything that is retained; that the bridge is there comes last."""
        self._announced = self._announce()
        self._publisher.publish(ANNOUNCE, self._announced)
        for camera, runner in self._runners.items():
            self._publisher.publish(STATE, await runner.state(), camera)
        self._publisher.publish(HEALTH, await self._health())
        self._publisher.publish(AVAILABILITY, "online")

    def _announce(self) -> BridgeAnnounce:
        infos = [runner.shooter.info for runner in self._runners.values()]
        return BridgeAnnounce(
            bridge=self._config.id,
            name=self._config.name,
            software=self._software,
            schema_min=SCHEMA_MIN,
            schema_max=SCHEMA_MAX,
            boot_id=self._boot_id,
            host=self._host,
            cameras=tuple(info for info in infos if info is not None),
            clock=self._clock.simulated,
        )

    async def _tell_states(self) -> None:
        """Publish the states that changed, a few times a second at most."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            dirty, self._dirty = self._dirty, set()
            announce = self._announce()
            if announce != self._announced and self._publisher.publish(ANNOUNCE, announce):
                self._announced = announce
            for camera in dirty:
                self._publisher.publish(STATE, await self._runners[camera].state(), camera)
            await asyncio.sleep(_STATE_EVERY_S)

    async def _health(self) -> BridgeHealth:
        totals = await self._outbox.run(Spool.totals)
        folder, now = self._config.state_dir, self._clock.now()
        plans = [runner.plan for runner in self._runners.values() if runner.plan is not None]
        hours = buffer_hours_left(
            plans, totals, self._config.spool, free_bytes(folder), now, totals.bytes / max(totals.frames, 1)
        )
        return health(
            self._machine,
            at=now,
            started_s=self._started_s,
            clock=self._clock_health(),
            folder=folder,
            totals=totals,
            hours_left=hours,
            uplink=UplinkHealth(
                processor=self._uplink.processor if self._uplink and self._agrees() else None,
                problem=self._uplink_problem(),
            ),
        )

    # ------------------------------------------------------------------ delivery and housekeeping

    def _agrees(self) -> bool:
        """Tell whether the processor that the brain names, if any, is the one to deliver to.

        The key of this bridge goes to the address in its own configuration alone: whoever may publish on the
        broker could name any.
        """
        pinned = self._config.processor.url if self._config.processor else None
        return self._uplink is None or self._uplink.url.rstrip("/") == pinned

    def _uplink_problem(self) -> str | None:
        if self._uploader is None or self._config.processor is None:
            return "no processor is configured"
        if self._uploader.problem is not None:
            return self._uploader.problem
        if self._uplink and not self._agrees():
            pinned = self._config.processor.url
            return f"Home Assistant names {self._uplink.url}, but this bridge is pinned to {pinned}"
        return None

    async def _keep_house(self) -> None:
        """Watch clock, room and delivery; tell health every half minute, and when delivery changes."""
        told_s, told = 0.0, self._uplink_problem()
        while True:
            self._feed_watchdog()
            if self._may_hold:
                await self._let_go()
            await self._look_for_room()
            now_s, problem = time.monotonic(), self._uplink_problem()
            if now_s - told_s >= _HEALTH_EVERY_S or problem != told:
                told_s, told = now_s, problem
                await self._forget_old()
                message = await self._health()
                self._publisher.publish(HEALTH, message)
                notify(f"STATUS={message.spool_frames} frames wait; {problem or 'delivering'}")
            await asyncio.sleep(_HOUSEKEEPING_EVERY_S)

    def _feed_watchdog(self) -> None:
        """Tell systemd that all is well while every camera's work goes on; else it starts the bridge anew."""
        now_s = asyncio.get_running_loop().time()
        standing = {camera for camera, runner in self._runners.items() if not runner.alive(now_s)}
        for camera in standing - self._standing:
            _LOGGER.error("camera %s stands still; the watchdog is not fed any more", camera)
        self._standing = standing
        if not standing:
            notify("WATCHDOG=1")

    async def _compare_clocks(self) -> None:
        """Ask the processor for the time, again and again, while no time server sets this machine's clock."""
        while True:
            url = self._config.processor.url if self._config.processor else None
            told = await server_time(url, self._clock.now) if url and not kernel_time().synchronised else None
            self._told_offset_s = round(told.offset_s, 3) if told is not None else None
            await asyncio.sleep(_COMPARE_CLOCKS_EVERY_S if told is not None else _HEALTH_EVERY_S)

    def _clock_health(self) -> ClockHealth:
        if self._clock.simulated is not None:
            return ClockHealth(synced=self._clock.synced())
        kernel = kernel_time()
        offset_s = kernel.offset_s if kernel.synchronised else self._told_offset_s
        return ClockHealth(synced=self._clock.synced(), offset_s=offset_s)

    async def _forget_old(self) -> None:
        """Delete what was delivered long ago; a disk that refuses even that is tried again later."""
        now = self._clock.now()
        try:
            await self._outbox.run(lambda spool: spool.forget_old(now))
        except SpoolError as error:
            _LOGGER.warning("delivered frames stay: %s", error)

    async def _let_go(self) -> None:
        """Release the frames that waited for the clock, with their true time."""
        held = await self._outbox.run(Spool.held)
        self._may_hold = bool(held)
        now = Now(
            boot_id=self._boot_id,
            at=self._clock.now(),
            monotonic_ns=self._clock.monotonic_ns(),
            synced=self._clock.synced(),
            up_s=time.monotonic() - self._started_s,
        )
        for frame in held:
            runner = self._runners.get(frame.record.camera)
            record = retimed(frame.record, now, runner.plan if runner else None)
            if record is not None:
                await self._release(frame, record)

    async def _release(self, frame: StoredFrame, record: FrameRecord) -> None:
        """Let one frame go; a damaged one is given up, one that finds no room stays for the next time."""
        try:
            released = await self._outbox.run(partial(_release_or_drop, frame=frame, record=record))
        except SpoolError as error:
            about = {"camera": frame.record.camera, "frame": str(frame.record.name)}
            _LOGGER.warning("frame %s keeps waiting: %s", frame.id, error, extra=about)
            return
        self._delivered(frame)
        if released is not None:
            self._publisher.publish(FRAME, released, released.camera)
            self._stored()

    async def _look_for_room(self) -> None:
        """Let cameras go on that stopped for want of room."""
        if not any(runner.full for runner in self._runners.values()):
            return
        try:
            await self._outbox.run(lambda spool: spool.make_room(FRAME_BYTES))
        except SpoolFullError:
            return
        for runner in self._runners.values():
            runner.room_changed(full=False)


def _release_or_drop(spool: Spool, frame: StoredFrame, record: FrameRecord) -> FrameRecord | None:
    try:
        return spool.release(frame.id, record)
    except DamagedError as error:
        spool.drop_damaged(frame.id, str(error))
        return None
