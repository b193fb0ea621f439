"""The whole processor: every room is built here, started in order, stopped in reverse."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aiohttp import web

from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.messages import BridgeAnnounce, CameraState, Command, Orders
from skylapse_protocol.snapshot import Plan
from skylapse_protocol.topics import (
    ANNOUNCE,
    FILM,
    INGEST,
    JOB,
    ORDERS,
    PLAN,
    PROCESSOR_ANNOUNCE,
    PROCESSOR_COMMAND,
    PROCESSOR_HEALTH,
    PROCESSOR_REPLY,
    RESULT,
    STATE,
    STORE_STATE,
    Topic,
)

from .bridges import Bridges
from .child import Limits
from .clock import Clock, utc_now
from .commands import Commands
from .compare import Comparer
from .config import Config
from .dispatch import Dispatch
from .errors import ProcessorError
from .executor import Executor, Words
from .export import Exporter
from .fleet import Fleet
from .ingest import Ingest
from .jobs import RenderSpec
from .keys import Keys
from .library import Library, schedule_name, title_of
from .mqtt import Heard, Mqtt
from .results.keeper import Keeper
from .retention import due
from .status import Status
from .store.films import FilmQuery
from .store.store import Store
from .sweep import Sweep
from .today import Today
from .web.app import build
from .web.auth import Auth
from .web.comparisons import Comparisons
from .web.films import Films
from .web.frames import Frames
from .web.renders import Renders
from .web.results import Results
from .web.routes import Rooms, routes
from .web.today import TodayFilms
from .web.uploads import Uploads

_log = logging.getLogger(__name__)

_HEALTH_S = 30.0
_STATE_S = 1.0
_HOUSEKEEPING_S = 600.0
_HEADER_BYTES = 64 * 1024
PRUNE_AFTER = timedelta(days=30)
"""How long jobs that are over are kept."""
GALLERY = Path(__file__).parent / "web" / "gallery"


def fleet_of(config: Config) -> Fleet:
    """Return the places where films are made."""
    limits = Limits(nice=config.renders.nice, memory_mb=config.renders.memory_mb, cpu_s=config.renders.cpu_s)
    return Fleet(places=config.renders.workers, limits=limits, cluster=config.cluster)


def keys_file(config: Config) -> Path:
    """Return where the keys of clients are kept."""
    return config.store.state / "keys.json"


class Service:
    """A running processor."""

    def __init__(self, config: Config, clock: Clock = utc_now) -> None:
        self._config = config
        self._clock = clock
        self.software = version("skylapse")
        self._store = Store(config.store)
        self._bridges = Bridges(clock)
        self._ingest = Ingest(self._store, clock, lambda said: self._tell(INGEST, said))
        self._library = Library(self._store, lambda said: self._tell(FILM, said))
        self._dispatch = Dispatch(
            self._store,
            self._library,
            Executor(
                self._store.layout,
                fleet_of(config),
                encoder=config.renders.encoder if config.cluster is None else "software",
                threads=config.renders.threads,
                calibration=config.calibration,
            ),
            clock,
            lambda said: self._tell(JOB, said, job=said.id),
            workers=config.renders.workers,
            late_after=timedelta(seconds=config.renders.late_after_s),
        )
        self._dispatch.words = self._words
        self._today = Today(
            self._store,
            self._bridges.believable,
            nice=config.renders.nice,
            calibrated={camera for camera, files in config.calibration.items() if files.as_json()},
        )
        self._dispatch.grown = self._today.finished
        self._keeper = Keeper(
            self._store, clock, lambda said: self._tell(RESULT, said), every_s=config.results.every_s
        )
        self._keeper.name = self._bridges.name
        expire_after = timedelta(hours=config.uploads.expire_hours)
        self._sweep = Sweep(self._store, clock, expire_after)
        comparer = Comparer(self._store, clock)
        self._exporter = Exporter(self._store)
        self._commands = Commands(self._dispatch, self._library, comparer, self._exporter, self.rescan, clock)
        self._status = Status(
            config,
            self._store,
            self._dispatch,
            self._bridges,
            clock,
            software=self.software,
            boot_id=secrets.token_hex(8),
        )
        self._status.film_of_today = self._today.film_of
        self._today.changed = self._on_changed
        self._auth = Auth(Keys(keys_file(config), clock), config.store.state / "session.secret", clock)
        self._rooms = self._build_rooms(expire_after)
        self._mqtt = self._build_mqtt()
        self._changed: set[CameraName] = set()
        self._runner: web.AppRunner | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def base_url(self) -> str:
        """The address under which others reach this processor."""
        configured = self._config.http
        if configured.port == 0:
            return configured.base_url.rpartition(":")[0] + f":{self.port}"
        return configured.base_url

    async def start(self) -> None:
        """Open everything; raise ProcessorError where that cannot be done."""
        self._store.start()
        self._auth.start()
        self._status.start()
        swept = await self._sweep.uploads(self._ingest)
        if swept:
            _log.info("%d frames that a kill had left uncatalogued were taken up", swept)
        self._ingest.stored = self._on_stored
        self._ingest.measured = self._keeper.hear
        self._keeper.changed = self._on_changed
        await self._today.start()
        await self._ingest.start()
        await self._listen()
        if self._mqtt is not None:
            await self._mqtt.start()
        await self._dispatch.start()
        await self._keeper.start()
        for work, every_s in (
            (self._tell_states, _STATE_S),
            (self._tell_health, _HEALTH_S),
            (self.keep_house, _HOUSEKEEPING_S),
        ):
            self._tasks.add(asyncio.create_task(_forever(work, every_s)))
        _log.info("the processor answers at %s", self.base_url)

    async def stop(self) -> None:
        """Close everything; frames under way can be resumed, renders are done again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        await self._keeper.stop()
        await self._dispatch.stop()
        await self._exporter.stop()
        await self._ingest.stop()
        await self._today.stop()
        if self._mqtt is not None:
            await self._mqtt.stop()
        await asyncio.to_thread(self._store.stop)

    async def rescan(self) -> dict[str, Any]:
        """Compare store and catalogue; take up files without a row, and measure what is not measured."""
        found = await self._sweep.everything(self._ingest)
        await self._ingest.measure_left()
        return found

    def _build_rooms(self, expire_after: timedelta) -> Rooms:
        max_bytes = self._config.uploads.max_mb * 1024 * 1024
        return Rooms(
            uploads=Uploads(
                self._ingest, self._store, self._clock, max_bytes=max_bytes, expire_after=expire_after
            ),
            frames=Frames(self._store, self._ingest, self._bridges),
            films=Films(self._store, self._library),
            renders=Renders(self._store, self._dispatch),
            comparisons=Comparisons(self._store),
            results=Results(self._store, self._keeper),
            today=TodayFilms(self._today),
            status=self._status,
            auth=self._auth,
            software=self.software,
        )

    def _build_mqtt(self) -> Mqtt | None:
        if self._config.mqtt is None:
            return None
        name = f"skylapse-processor-{self._config.processor}"
        return Mqtt(self._config.mqtt, name, hear=self._hear, greet=self._greet)

    async def _listen(self) -> None:
        app = build(routes(self._rooms), self._auth, GALLERY)
        self._runner = web.AppRunner(
            app, access_log=None, max_field_size=_HEADER_BYTES, max_headers=100, shutdown_timeout=5.0
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._config.http.host, self._config.http.port)
        try:
            await site.start()
        except OSError as error:
            raise ProcessorError(
                f"{self._config.http.host}:{self._config.http.port}: cannot listen there ({error.strerror})"
            ) from error
        addresses = [address for address in self._runner.addresses if isinstance(address, tuple)]
        self.port = int(addresses[0][1]) if addresses else self._config.http.port

    def _words(self, spec: RenderSpec) -> Words:
        names = tuple(map(self._bridges.name, spec.shown))
        zone = self._keeper.zone(spec.camera)
        orders, remembered = self._store.jobs.orders().orders, self._store.jobs.schedule_name(spec.schedule)
        schedule = schedule_name(orders, spec, remembered)
        return Words(title=title_of(" + ".join(names), spec, schedule), cameras=names, time_zone=zone)

    def _on_stored(self, camera: CameraName) -> None:
        self._changed.add(camera)
        self._dispatch.stir()
        self._today.stir(camera)

    def _on_changed(self, camera: CameraName) -> None:
        self._changed.add(camera)

    def _tell(self, row: Topic[Any], message: object, **ids: str) -> None:
        if self._mqtt is not None:
            self._mqtt.publish(row, message, **ids)

    async def _greet(self) -> None:
        """Tell everything that is retained."""
        self._tell(PROCESSOR_ANNOUNCE, await self._status.announce(self.base_url))
        self._tell(PROCESSOR_HEALTH, await self._status.health())
        for camera in await asyncio.to_thread(self._store.frames.cameras):
            await self._tell_state(camera)

    async def _tell_state(self, camera: CameraName) -> None:
        state = await asyncio.to_thread(self._status.store_state, camera)
        self._tell(STORE_STATE, state, bridge=camera.bridge, camera=camera.camera)

    async def _tell_states(self) -> None:
        """Tell of cameras that have new frames, each at most once a second."""
        changed, self._changed = self._changed, set()
        for camera in changed:
            await self._tell_state(camera)

    async def _tell_health(self) -> None:
        self._tell(PROCESSOR_ANNOUNCE, await self._status.announce(self.base_url))
        self._tell(PROCESSOR_HEALTH, await self._status.health())

    async def keep_house(self) -> None:
        """Forget old uploads and jobs, delete what was kept long enough, watch the disk."""
        now = self._clock()
        await self._sweep.expire()
        await asyncio.wrap_future(self._store.jobs.prune(now - PRUNE_AFTER))
        orders = (await asyncio.to_thread(self._store.jobs.orders)).orders
        stretches = await asyncio.to_thread(self._store.frames.stretches)
        pinned = await asyncio.to_thread(self._store.films.list, FilmQuery(pinned=True), -1)
        kept = {(film.camera, film.day) for film in pinned}
        busy, unmade = await self._dispatch.cameras_in_use(), await self._dispatch.windows_unmade()
        over = due(stretches, orders, kept, busy, now, unmade=unmade)
        if over and self._store.disk.mounted:
            _log.info("%d frames have been kept long enough and were deleted", await self._sweep.retire(over))
        if self._store.disk.short:
            _log.warning("the store's disk is almost full: %s", self._store.layout.root)
        await self._today.tidy(unmade)
        await asyncio.to_thread(self._store.disk.hold_ballast)

    async def _hear(self, heard: Heard) -> None:
        ids, message = heard.decoded.ids, heard.decoded.message
        match heard.decoded.topic.path:
            case ANNOUNCE.path:
                self._bridges.announced(ids["bridge"], _of(message, BridgeAnnounce))
            case STATE.path:
                camera = CameraName(bridge=ids["bridge"], camera=ids["camera"])
                state = _of(message, CameraState)
                self._bridges.stated(camera, state)
                if state is not None:
                    await self._dispatch.hear_state(camera, state)
            case PLAN.path:
                camera = CameraName(bridge=ids["bridge"], camera=ids["camera"])
                plan = _of(message, Plan)
                self._today.hear_windows(camera, plan.windows if plan is not None else ())
                if plan is not None:
                    await asyncio.wrap_future(self._store.windows.plan(camera, plan.windows))
                    self._keeper.hear_zone(camera, plan.time_zone)
            case ORDERS.path:
                orders = _of(message, Orders) or Orders(revision=0, orders=())
                await self._dispatch.hear_orders(orders)
            case PROCESSOR_COMMAND.path:
                command = _of(message, Command)
                if command is not None:
                    task = asyncio.create_task(self._obey(command, retained=heard.retained))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    async def _obey(self, command: Command, *, retained: bool) -> None:
        self._tell(PROCESSOR_REPLY, await self._commands.obey(command, retained=retained))


async def _forever(work: Callable[[], Awaitable[None]], every_s: float) -> None:
    """Do something again and again; a failure is told and does not end it."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await work()
        except Exception:  # noqa: BLE001 - the next time may go better
            _log.exception("%s failed; it is tried again", work.__name__)


def _of(message: object, kind: type[Any]) -> Any:
    """Return a message of the kind that its topic carries; None where its subject went away."""
    return message if isinstance(message, kind) else None
