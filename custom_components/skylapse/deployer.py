"""The deployer: sees to it that every camera, and the processor, hold what the brain compiled.

It compiles when something it depends on changes (configuration, place, a camera that comes, the plan's six
hours on the bridge's clock) and publishes, retained, what is new; everything again when the broker is back,
whose memory may be gone. What was removed is emptied: no broker keeps plans for cameras that are gone.
"""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.components import mqtt
from homeassistant.const import EVENT_CORE_CONFIG_UPDATE
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_track_point_in_utc_time
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util

from .brain.clock import to_bridge, to_real
from .brain.deploy import Configuration, Deployment, compile_camera, compile_orders
from .brain.ledger import Ledger
from .brain.plan import next_renewal
from .configuration import read_configuration
from .const import DOMAIN, LOGGER
from .coordinator import SkylapseCoordinator
from .facts import CameraFacts, Subject
from .protocol import topics
from .protocol.errors import ProtocolError
from .protocol.identifiers import CameraName
from .protocol.messages import Uplink

if TYPE_CHECKING:
    from .data import SkylapseConfigEntry

STORE_VERSION = 1
SHORTEST_REST = timedelta(seconds=10)
"""However fast a bridge says that its clock runs: at 10,000 times real time a plan still lasts for 36 s."""

_SAVE_DELAY_S = 5.0


def ledger_store(hass: HomeAssistant) -> Store[dict[str, Any]]:
    """Return the file that the ledger is kept in."""
    return Store(hass, STORE_VERSION, f"{DOMAIN}.ledger")


class Deployer:
    """Keeps cameras and processor supplied."""

    def __init__(
        self, hass: HomeAssistant, entry: SkylapseConfigEntry, coordinator: SkylapseCoordinator
    ) -> None:
        """Remember whom to serve."""
        self.hass = hass
        self.entry = entry
        self.coordinator = coordinator
        self.ledger = Ledger()
        self._store = ledger_store(hass)
        self._lock = asyncio.Lock()
        self._published: dict[str, bytes] = {}
        """What was published on each topic since the broker was last seen to come up."""
        self._wake: CALLBACK_TYPE | None = None
        self._scheduled = False

    async def async_start(self) -> None:
        """Read the ledger and begin to watch."""
        self.ledger = Ledger.read(await self._store.async_load() or {})
        on_unload = self.entry.async_on_unload
        on_unload(self.coordinator.async_listen_presence(self._presence_changed))
        on_unload(self.coordinator.async_listen_happenings(self._happened))
        on_unload(mqtt.async_subscribe_connection_status(self.hass, self._connection_changed))
        on_unload(self.hass.bus.async_listen(EVENT_CORE_CONFIG_UPDATE, self._place_changed))
        on_unload(self._stop_waking)

    async def async_deploy(self) -> None:
        """Compile everything and publish what is new."""
        async with self._lock:
            self._scheduled = False
            configuration = read_configuration(self.hass, self.entry)
            cameras = [facts for facts in self.coordinator.system.cameras.values() if facts.info]
            now = dt_util.utcnow()
            for camera in cameras:
                await self._deploy_camera(configuration, camera, now)
            orders = compile_orders(configuration, (str(each.name) for each in cameras), self.ledger, now)
            await self._publish(topics.ORDERS, orders)
            await self._publish_uplinks()
            self._wake_at_next_renewal(cameras, now)
            self._store.async_delay_save(self._kept, _SAVE_DELAY_S)

    async def async_forget(self, bridges: Iterable[str], cameras: Iterable[CameraName]) -> None:
        """Empty everything that was deployed to bridges and cameras that are gone."""
        async with self._lock:
            for bridge in bridges:
                await self._empty(topics.UPLINK, bridge=bridge)
            for name in cameras:
                await self._forget_camera(name)
            self._store.async_delay_save(self._kept, _SAVE_DELAY_S)

    async def async_save(self) -> None:
        """Write the ledger now."""
        await self._store.async_save(self._kept())

    def _kept(self) -> dict[str, Any]:
        return self.ledger.write()

    async def _deploy_camera(self, configuration: Configuration, camera: CameraFacts, now: datetime) -> None:
        name = str(camera.name)
        ledger = Ledger(self.ledger.stamps)
        deployment: Deployment = await self.hass.async_add_executor_job(
            compile_camera, configuration, name, to_bridge(camera.clock, now), ledger, camera.state
        )
        self.ledger = ledger
        ids = {"bridge": camera.name.bridge, "camera": camera.name.camera}
        await self._publish(topics.SNAPSHOT, deployment.snapshot, **ids)
        await self._publish(topics.PLAN, deployment.plan, **ids)
        if name in self.coordinator.system.cameras:
            changed = self.coordinator.system.update_camera(
                name, snapshot_version=deployment.snapshot.version, plan_revision=deployment.plan.revision
            )
            self.coordinator.async_changed(changed)

    async def _publish_uplinks(self) -> None:
        """Tell every bridge which processor there is; a bridge that pins another one does not follow."""
        processor = self.coordinator.system.processor.announce
        if processor is None:
            return
        uplink = Uplink(processor=processor.processor, url=processor.base_url)
        for bridge in list(self.coordinator.system.bridges.values()):
            if bridge.announce is not None:
                await self._publish(topics.UPLINK, uplink, bridge=bridge.id)

    async def _publish(self, row: topics.Topic[Any], message: Any, **ids: str) -> None:
        """Publish a message unless the broker has it already."""
        topic = row.name(self.coordinator.root, **ids)
        try:
            payload = topics.encode(row, message, topic)
            if self._published.get(topic) == payload:
                return
            await self.coordinator.async_publish(row, message, **ids)
        except (ProtocolError, HomeAssistantError) as error:
            LOGGER.warning("Could not deploy to %s: %s", topic, error)
            return
        self._published[topic] = payload

    async def _forget_camera(self, name: CameraName) -> None:
        for row in (topics.SNAPSHOT, topics.PLAN):
            await self._empty(row, bridge=name.bridge, camera=name.camera)
        for kind in ("snapshot", "plan"):
            self.ledger.forget(f"{kind}/{name}")

    async def _empty(self, row: topics.Topic[Any], **ids: str) -> None:
        self._published.pop(row.name(self.coordinator.root, **ids), None)
        await self.coordinator.async_publish(row, None, **ids)

    @callback
    def _wake_at_next_renewal(self, cameras: list[CameraFacts], now: datetime) -> None:
        """Compile again when the first of the bridges' clocks reaches its next six hours."""
        self._stop_waking()
        renewals = [
            to_real(clock, next_renewal(to_bridge(clock, now)))
            for clock in {None, *(camera.clock for camera in cameras)}
        ]
        soonest = max(min(renewals), now + SHORTEST_REST)
        self._wake = async_track_point_in_utc_time(self.hass, self._renew, soonest)

    @callback
    def _stop_waking(self) -> None:
        if self._wake is not None:
            self._wake()
            self._wake = None

    @callback
    def _renew(self, _now: datetime) -> None:
        self._wake = None
        self._schedule()

    @callback
    def _schedule(self) -> None:
        """Deploy soon, once for all that happens until then."""
        if self._scheduled:
            return
        self._scheduled = True
        self.entry.async_create_task(self.hass, self.async_deploy(), "skylapse deploy", eager_start=False)

    @callback
    def _presence_changed(self, _came: set[Subject], went: set[Subject]) -> None:
        cameras = [CameraName.parse(subject.id) for subject in went if subject.kind == "camera"]
        bridges = [subject.id for subject in went if subject.kind == "bridge"]
        if went:
            self.entry.async_create_task(self.hass, self.async_forget(bridges, cameras), "skylapse forget")
        self._schedule()

    @callback
    def _happened(self, decoded: topics.Decoded) -> None:
        """Deploy to whoever introduces himself, and to a camera that holds a later version than was made."""
        if decoded.topic in (topics.ANNOUNCE, topics.PROCESSOR_ANNOUNCE) and decoded.message is not None:
            self._schedule()
        if decoded.topic is topics.STATE and self._is_ahead(
            f"{decoded.ids['bridge']}/{decoded.ids['camera']}"
        ):
            self._schedule()

    def _is_ahead(self, name: str) -> bool:
        facts = self.coordinator.camera(name)
        if facts is None or facts.state is None or facts.snapshot_version is None:
            return False
        snapshot, plan = facts.state.snapshot_version or 0, facts.state.plan_revision or 0
        return snapshot > facts.snapshot_version or plan > (facts.plan_revision or 0)

    @callback
    def _connection_changed(self, connected: bool) -> None:  # noqa: FBT001 the signature is Home Assistant's
        self._published.clear()
        if connected:
            self._schedule()

    @callback
    def _place_changed(self, _event: Event[Any]) -> None:
        self._schedule()
