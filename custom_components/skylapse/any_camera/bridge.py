"""The bridge that Home Assistant itself is while it has sources: it announces itself, hears and tells."""

import asyncio
import platform
import time
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeassistant.components import mqtt
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import __version__ as home_assistant_version
from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.loader import async_get_integration
from homeassistant.util import dt as dt_util

from ..const import CONF_PROCESSOR_KEY, CONF_ROOT, DOMAIN, LOGGER, SUBENTRY_SOURCE
from ..coordinator import SkylapseCoordinator
from ..errors import SpoolError
from ..facts import PROCESSOR
from ..issues import async_set_issue
from ..listen import raw
from ..protocol import SCHEMA_MAX, SCHEMA_MIN, topics
from ..protocol.errors import ProtocolError
from ..protocol.messages import BridgeAnnounce, BridgeHealth, CameraState, Command, Host, Uplink
from ..protocol.snapshot import Plan, Snapshot
from . import files
from .deployed import Kept
from .desk import Desk
from .errand import Errand
from .records import BRIDGE
from .sequence import check_deployed
from .source import Parts, Source, SourceSpec
from .spool import Spool
from .upload import Uploader

if TYPE_CHECKING:
    from ..data import SkylapseConfigEntry

NAME = "Home Assistant"
HEALTH_EVERY = timedelta(seconds=30)

_HEARD = (topics.SNAPSHOT, topics.PLAN, topics.COMMAND, topics.UPLINK)
_OF_A_CAMERA = (topics.STATE, topics.SNAPSHOT, topics.PLAN)
_OF_THE_BRIDGE = (topics.AVAILABILITY, topics.HEALTH, topics.UPLINK, topics.ANNOUNCE)
"""What the broker keeps; the announce goes last."""


def spool_folder(hass: HomeAssistant) -> Path:
    """Return where frames wait: in the cache, which backups leave out."""
    return Path(hass.config.cache_path(DOMAIN, "spool"))


def read_sources(entry: ConfigEntry) -> dict[str, SourceSpec]:
    """Return the cameras that the user added, by id."""
    return {
        subentry.unique_id: SourceSpec(
            id=subentry.unique_id,
            name=subentry.title,
            entity=subentry.data["entity"],
            width=subentry.data["width"],
            height=subentry.data["height"],
        )
        for subentry in entry.get_subentries_of_type(SUBENTRY_SOURCE)
        if subentry.unique_id
    }


async def async_forget(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Leave nothing behind, neither on the broker nor on the disk: the entry is removed."""
    async_set_issue(hass, False, "sources_without_processor", BRIDGE)
    sources = read_sources(entry)
    had_spool = await hass.async_add_executor_job(files.remove_spool, spool_folder(hass))
    if sources or had_spool:
        await _async_empty(hass, entry.data[CONF_ROOT], sources)


async def async_leave(hass: HomeAssistant, entry: ConfigEntry, root: str) -> None:
    """Leave nothing behind under a root that the entry speaks under no more."""
    if sources := read_sources(entry):
        await _async_empty(hass, root, sources)


class OwnBridge:
    """Home Assistant as a bridge; it is silent without sources."""

    def __init__(
        self, hass: HomeAssistant, entry: SkylapseConfigEntry, coordinator: SkylapseCoordinator
    ) -> None:
        """Remember whom to serve."""
        self.spool = Spool(hass, spool_folder(hass))
        self._hass = hass
        self._entry = entry
        self._coordinator = coordinator
        self._boot_id = uuid.uuid4().hex
        self._started_s = time.monotonic()
        self._software = ""
        self._sources: dict[str, Source] = {}
        self._uplink: Uplink | None = None
        self._dirty: set[str] = set()
        self._told: dict[str, CameraState] = {}
        self._processor_online = False
        self._kept: dict[str, Kept] = {}
        """What was deployed when this began, until its camera takes it over."""
        self._is_open = False
        self._rests = False
        self._ends: list[CALLBACK_TYPE] = []
        self._following = asyncio.Lock()
        self._follower: asyncio.Task[None] | None = None
        self._uploader = Uploader(hass, entry, self.spool, self._delivery_changed)
        self._desk = Desk(hass, self._sources, NAME, self._flush)
        self._states = Errand(hass, entry, "skylapse own states", self._tell_states)
        self._health = Errand(hass, entry, "skylapse own health", self._tell_health)
        self._introduction = Errand(hass, entry, "skylapse introduction", self._introduce)
        self._parts = Parts(
            hass=hass,
            entry=entry,
            spool=self.spool,
            boot_id=self._boot_id,
            publish=self._publish_soon,
            changed=self._changed,
            resized=self._announce_soon,
            stored=self._uploader.async_poke,
        )

    # ------------------------------------------------------------------ start and stop

    async def async_start(self) -> None:
        """Go to work where there is any: sources, or frames that were left waiting."""
        self._entry.async_on_unload(self._stop_listening)
        wanted = read_sources(self._entry)
        if not wanted and not await self._hass.async_add_executor_job(self.spool.folder.exists):
            return
        await self._async_open()
        left_behind = [camera for camera in self.spool.cameras if camera not in wanted]
        await _async_empty(self._hass, self._coordinator.root, left_behind, whole=not wanted)
        await self.async_follow()
        if not wanted and self._is_open and self.spool.totals().frames == 0:
            await self._hass.async_add_executor_job(files.remove_spool, self.spool.folder)
            self._is_open = False

    async def async_follow(self) -> None:
        """Begin, end and rename cameras as the user's sources say; no further once this is to stop."""
        async with self._following:
            if self._rests:
                return
            self._follower = self._entry.async_create_background_task(
                self._hass, self._follow(), "skylapse own sources"
            )
            await asyncio.wait([self._follower])
            if not self._follower.cancelled():
                self._follower.result()

    async def _follow(self) -> None:
        wanted = read_sources(self._entry)
        async_set_issue(
            self._hass,
            bool(wanted) and CONF_PROCESSOR_KEY not in self._entry.data,
            "sources_without_processor",
            BRIDGE,
        )
        went = [camera for camera in self._sources if camera not in wanted]
        for camera in went:
            self._sources.pop(camera).async_stop()
            self._dirty.discard(camera)
        if went:
            await _async_empty(self._hass, self._coordinator.root, went, whole=not wanted)
            await self.spool.async_recall(wanted)
        changed = [spec for spec in wanted.values() if spec != self._spec(spec.id)]
        if wanted and await self._async_open():
            await self._async_listen()
            for spec in changed:
                self._take_in(spec)
            if changed or went:
                await self._introduce()
        elif not wanted:
            self._stop_listening()

    async def async_stop(self) -> None:
        """Take no more pictures, and say so; what is being written is written to its end."""
        if self._rest():
            self._publish_soon(topics.AVAILABILITY, None, "offline")
        await self.spool.async_close()

    async def _async_shut_down(self) -> None:
        """Stop while the broker is still there to hear it."""
        if self._rest():
            await self._publish(topics.AVAILABILITY, "offline")
        await self.spool.async_close()

    @callback
    def _rest(self) -> bool:
        """Take no more pictures; tell whether there is anybody to whom that is to be said."""
        was_resting, self._rests = self._rests, True
        if self._follower is not None:
            self._follower.cancel()
        for source in self._sources.values():
            source.async_stop()
        for errand in (self._uploader, self._states, self._health, self._introduction):
            errand.async_stop()
        return bool(self._sources) and not was_resting

    async def _async_open(self) -> bool:
        """Open the spool, once; tell whether there is one."""
        if not self._is_open:
            try:
                await self.spool.async_open()
            except SpoolError as error:
                LOGGER.error("Home Assistant's cameras cannot photograph: %s", error)
                return False
            self._is_open = True
            self._kept = await self.spool.async_recall(read_sources(self._entry))
            self._software = str((await async_get_integration(self._hass, DOMAIN)).version)
            self._uploader.async_poke()
        return self._is_open

    async def _async_listen(self) -> None:
        """Hear what the brain and people say to this bridge, and of broker and processor."""
        if self._ends:
            return
        self._ends += [
            mqtt.async_subscribe_connection_status(self._hass, self._connection_changed),
            self._coordinator.async_listen(PROCESSOR, self._processor_changed),
            self._hass.async_add_shutdown_job(HassJob(self._async_shut_down, "skylapse own bridge")),
        ]
        for row in _HEARD:
            topic = row.filter(self._coordinator.root, bridge=BRIDGE)
            self._ends.append(
                await mqtt.async_subscribe(self._hass, topic, self._heard, qos=1, encoding=None)
            )

    @callback
    def _stop_listening(self) -> None:
        while self._ends:
            self._ends.pop()()

    def _spec(self, camera: str) -> SourceSpec | None:
        source = self._sources.get(camera)
        return source.spec if source else None

    @callback
    def _take_in(self, spec: SourceSpec) -> None:
        source = self._sources.get(spec.id)
        if source is not None:
            source.spec = spec
            return
        self._sources[spec.id] = source = Source(spec, self._parts, self._kept.pop(spec.id, Kept()))
        source.async_start()

    # ------------------------------------------------------------------ what others say

    @callback
    def _heard(self, message: mqtt.ReceiveMessage) -> None:
        """Take in what is deployed, and commands; what does not fit is told in the camera's state."""
        root, payload = self._coordinator.root, raw(message.payload)
        try:
            decoded = topics.decode(message.topic, payload, root)
            if isinstance(decoded.message, Plan | Snapshot):
                check_deployed(decoded.message)
        except ProtocolError as error:
            self._refuse(message.topic, error)
            return
        source, said = self._sources.get(decoded.ids.get("camera", "")), decoded.message
        if isinstance(said, Command):
            self._entry.async_create_background_task(
                self._hass, self._answer(decoded.ids["camera"], said, message.retain), "skylapse answer"
            )
        elif decoded.topic is topics.UPLINK:
            self._uplink = said if isinstance(said, Uplink) else None
            self._health.async_ask()
        elif source is not None and decoded.topic is topics.PLAN:
            source.async_deploy_plan(said if isinstance(said, Plan) else None, payload)
        elif source is not None:
            source.async_deploy_snapshot(said if isinstance(said, Snapshot) else None, payload)

    @callback
    def _refuse(self, topic: str, error: ProtocolError) -> None:
        try:
            row, ids = topics.match(topic, self._coordinator.root)
        except ProtocolError:
            return
        source = self._sources.get(ids.get("camera", ""))
        if source is not None and row in (topics.PLAN, topics.SNAPSHOT):
            source.async_refuse("plan" if row is topics.PLAN else "snapshot", str(error))

    async def _answer(self, camera: str, command: Command, retained: bool) -> None:  # noqa: FBT001 one fact
        reply = await self._desk.async_answer(camera, command, retained=retained)
        await self._publish(topics.REPLY, reply, camera=camera)

    @callback
    def _connection_changed(self, connected: bool) -> None:  # noqa: FBT001 the signature is Home Assistant's
        if connected:
            self._introduction.async_ask()

    @callback
    def _processor_changed(self) -> None:
        online = self._coordinator.system.processor.online
        if online and not self._processor_online:
            self._uploader.async_flush()
        self._processor_online = online

    @callback
    def _flush(self) -> int:
        self._uploader.async_flush()
        return self.spool.totals().frames

    @callback
    def _delivery_changed(self, camera: str | None) -> None:
        if camera is None:
            self._health.async_ask()
        else:
            self._changed(camera)

    # ------------------------------------------------------------------ what is told

    @callback
    def _changed(self, camera: str) -> None:
        """Hear that a camera's state is another; that of one that was removed is told nobody."""
        if camera in self._sources:
            self._dirty.add(camera)
            self._states.async_ask()

    @callback
    def _announce_soon(self) -> None:
        self._publish_soon(topics.ANNOUNCE, None, self._announce())

    async def _introduce(self) -> None:
        """Say everything that is retained; that the bridge is there comes last."""
        if not self._sources:
            return
        await self._publish(topics.ANNOUNCE, self._announce())
        self._told.clear()
        self._dirty.update(self._sources)
        await self._tell_states()
        await self._publish(topics.AVAILABILITY, "online")
        self._health.async_ask()

    def _announce(self) -> BridgeAnnounce:
        return BridgeAnnounce(
            bridge=BRIDGE,
            name=NAME,
            software=self._software,
            schema_min=SCHEMA_MIN,
            schema_max=SCHEMA_MAX,
            boot_id=self._boot_id,
            host=Host(
                model=NAME, os=f"Home Assistant {home_assistant_version}", python=platform.python_version()
            ),
            cameras=tuple(source.info for source in self._sources.values()),
        )

    async def _tell_states(self) -> None:
        """Publish the states that changed, each when the broker has the one before."""
        while self._dirty:
            camera = self._dirty.pop()
            state = self._sources[camera].state()
            if state != self._told.get(camera):
                self._told[camera] = state
                await self._publish(topics.STATE, state, camera=camera)

    async def _tell_health(self) -> datetime | None:
        """Publish how spool and delivery fare; return when to do so again."""
        if not self._sources:
            return None
        totals, now = self.spool.totals(), dt_util.utcnow()
        try:
            room = await self._hass.async_add_executor_job(files.disk, self.spool.folder)
        except OSError as error:
            LOGGER.debug("How much room there is cannot be told: %s", error)
            return now + HEALTH_EVERY
        health = BridgeHealth(
            at=now,
            uptime_s=time.monotonic() - self._started_s,
            disk_free_bytes=room.free_bytes,
            disk_total_bytes=room.total_bytes,
            spool_frames=totals.frames,
            spool_bytes=totals.bytes,
            oldest_undelivered_at=totals.oldest_at,
            uplink=self._uplink.processor if self._uplink else None,
            uplink_problem=self._uploader.problem,
        )
        await self._publish(topics.HEALTH, health)
        return now + HEALTH_EVERY

    @callback
    def _publish_soon(self, row: topics.Topic[Any], camera: str | None, message: Any) -> None:
        """Publish without waiting for the broker: a tick must not."""
        ids = {"camera": camera} if camera is not None else {}
        self._entry.async_create_background_task(
            self._hass, self._publish(row, message, **ids), "skylapse publish"
        )

    async def _publish(self, row: topics.Topic[Any], message: Any, **ids: str) -> None:
        try:
            await self._coordinator.async_publish(row, message, bridge=BRIDGE, **ids)
        except (ProtocolError, HomeAssistantError) as error:
            LOGGER.debug("A message of Home Assistant's own bridge was not published: %s", error)


async def _async_empty(hass: HomeAssistant, root: str, cameras: Iterable[str], *, whole: bool = True) -> None:
    """Empty what the broker keeps of cameras that are gone, and of the whole bridge where it is."""
    kept = [row.name(root, bridge=BRIDGE, camera=camera) for camera in cameras for row in _OF_A_CAMERA]
    if whole:
        kept += [row.name(root, bridge=BRIDGE) for row in _OF_THE_BRIDGE]
    try:
        for topic in kept:
            await mqtt.async_publish(hass, topic, b"", 1, retain=True)
    except HomeAssistantError as error:
        LOGGER.warning("What the broker keeps of Home Assistant's cameras is not emptied: %s", error)
