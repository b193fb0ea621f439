"""The deployer: sees to it that every camera, and the processor, hold what the brain compiled.

It compiles when something it depends on changes (configuration, place, a camera that comes, the plan's six
hours on the bridge's clock, a new day, an A/B test, a wish) and publishes, retained, what is new; nothing
while the broker is away, and everything again when it is back, whose memory may be gone. What was removed is
emptied: no broker keeps plans for cameras that are gone. What does not fit into one message is not sent: a
repair issue says so, and what was there stays.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from homeassistant.components import mqtt
from homeassistant.const import EVENT_CORE_CONFIG_UPDATE
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_track_point_in_utc_time
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util

from .brain.ab_tests import Shelf
from .brain.clock import to_bridge, to_real
from .brain.deploy import (
    FULL_HOURS,
    Configuration,
    Deployment,
    compile_camera,
    compile_orders,
    stamp_profiles,
)
from .brain.ledger import Ledger, Stamp
from .brain.plan import next_midnight, next_renewal
from .brain.wishes import NO_WISH, Wish
from .configuration import read_configuration, read_place
from .const import DOMAIN, LOGGER
from .coordinator import SkylapseCoordinator
from .facts import CameraFacts, Subject
from .issues import async_set_issue
from .left_out import LeftOut
from .protocol import topics
from .protocol.errors import ProtocolError
from .protocol.identifiers import CameraName
from .protocol.messages import Uplink
from .protocol.snapshot import Plan

if TYPE_CHECKING:
    from .data import SkylapseConfigEntry

STORE_VERSION = 1
SHORTEST_REST = timedelta(seconds=10)
"""However fast a bridge says that its clock runs: at 10,000 times real time a plan still lasts for 36 s."""

_SAVE_DELAY_S = 5.0


def ledger_store(hass: HomeAssistant) -> Store[dict[str, Any]]:
    """Return the file that the ledger is kept in."""
    return Store(hass, STORE_VERSION, f"{DOMAIN}.ledger")


async def async_load_ledger(hass: HomeAssistant) -> Ledger:
    """Read the ledger; a version that cannot be read is left out with a line in the log.

    Its receiver says which one it holds, and the next counts on from there.
    """
    stamps = {}
    for subject, kept in (await ledger_store(hass).async_load() or {}).items():
        try:
            stamps[subject] = Stamp.read(subject, kept)
        except ProtocolError as error:
            LOGGER.warning("A kept version is left out: %s", error)
    return Ledger(stamps)


class Deployer:
    """Keeps cameras and processor supplied."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: SkylapseConfigEntry,
        coordinator: SkylapseCoordinator,
        tests: Shelf,
        wishes: dict[str, Wish],
    ) -> None:
        """Remember whom to serve; `tests` says which A/B tests run, `wishes` what is wanted of cameras."""
        self.hass = hass
        self.entry = entry
        self.coordinator = coordinator
        self.tests = tests
        self.wishes = wishes
        self.ledger = Ledger()
        self.configuration: Configuration | None = None
        """What was deployed last."""
        self.plans: dict[str, Plan] = {}
        """The plan that was deployed last to each camera."""
        self._left_out = LeftOut(hass)
        self._store = ledger_store(hass)
        self._lock = asyncio.Lock()
        self._published: dict[str, bytes] = {}
        """What was published on each topic since the broker was last seen to come up."""
        self._wake: CALLBACK_TYPE | None = None
        self._scheduled = False
        self._under_way = 0
        self._stopped = False
        self._listeners: list[CALLBACK_TYPE] = []
        self.too_large: set[str] = set()
        """Cameras whose snapshot or plan does not fit into one message, so that they keep what they have."""

    async def async_start(self) -> None:
        """Read the ledger and begin to watch."""
        self.ledger = await async_load_ledger(self.hass)
        on_unload = self.entry.async_on_unload
        on_unload(self.coordinator.async_listen_presence(self._presence_changed))
        on_unload(self.coordinator.async_listen_happenings(self._happened))
        on_unload(mqtt.async_subscribe_connection_status(self.hass, self._connection_changed))
        on_unload(self.hass.bus.async_listen(EVENT_CORE_CONFIG_UPDATE, self._place_changed))
        on_unload(self._stop)

    @property
    def is_deploying(self) -> bool:
        """Tell whether something is being deployed or about to be: who listens is told when it is done."""
        return self._scheduled or self._under_way > 0

    async def async_deploy(self) -> None:
        """Compile everything and publish what is new."""
        self._under_way += 1
        try:
            await self._deploy()
        finally:
            self._under_way -= 1
            for listener in tuple(self._listeners):
                listener()

    async def _deploy(self) -> None:
        async with self._lock:
            self._scheduled = False
            if self._stopped:
                return
            cameras = [facts for facts in self.coordinator.system.cameras.values() if facts.info]
            now = dt_util.utcnow()
            try:
                await self._deploy_to(cameras, now)
            except Exception:  # noqa: BLE001 whatever a subentry holds, plans are renewed as soon as it is put right
                LOGGER.exception("Could not deploy")
            self._wake_at_next_renewal(cameras, now)
            self._save_soon()

    async def _deploy_to(self, cameras: list[CameraFacts], now: datetime) -> None:
        configuration = self.configuration = read_configuration(self.hass, self.entry)
        await self._left_out.async_learn()
        self._left_out.async_tell(configuration, self.ledger)
        stamp_profiles(configuration, self.ledger, now)
        changed: set[Subject] = set()
        for camera in cameras:
            try:
                changed |= await self._deploy_camera(configuration, camera, now)
            except Exception:  # noqa: BLE001 one camera that cannot be compiled for keeps no other from its plan
                LOGGER.exception("Could not deploy to %s", camera.name)
        self.coordinator.async_changed(changed)
        orders = compile_orders(configuration, (str(each.name) for each in cameras), self.ledger, now)
        await self._publish(topics.ORDERS, orders)
        await self._publish_uplinks()

    @callback
    def async_listen(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call `listener` whenever everything has been deployed; return what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def async_apply(self, cameras: Sequence[str], limit_s: float) -> dict[str, bool]:
        """Deploy now and wait for these cameras to say that they hold it; tell which of them do."""
        for camera in cameras:
            self._say_again(camera)
        await self.async_deploy()
        is_applied = {name: self._is_applied(name) for name in cameras}
        waits = (
            self.coordinator.async_until(Subject(kind="camera", id=name), applied, limit_s)
            for name, applied in is_applied.items()
        )
        return dict(zip(is_applied, await asyncio.gather(*waits), strict=True))

    def _is_applied(self, camera: str) -> Callable[[], bool]:
        """Return what tells whether a camera holds what was deployed last, and is there to say so."""

        def is_applied() -> bool:
            facts = self.coordinator.camera(camera)
            return (
                facts is not None and facts.online and facts.applied is True and camera not in self.too_large
            )

        return is_applied

    def _say_again(self, camera: str) -> None:
        """Let a camera that does not hold what was published be told it again."""
        facts = self.coordinator.camera(camera)
        if facts is not None and facts.applied is not True:
            ids = {"bridge": facts.name.bridge, "camera": facts.name.camera}
            for row in (topics.SNAPSHOT, topics.PLAN):
                self._published.pop(row.name(self.coordinator.root, **ids), None)

    async def async_forget(self, bridges: Iterable[str], cameras: Iterable[CameraName]) -> None:
        """Empty all that was deployed to bridges and cameras that are gone, and what they said last."""
        async with self._lock:
            for bridge in bridges:
                await self._empty(topics.UPLINK, bridge=bridge)
            for name in cameras:
                await self._forget_camera(name)
            self._save_soon()

    async def async_stop(self) -> None:
        """Deploy to no further camera, and write the ledger when what is under way has been deployed."""
        self._stop()
        async with self._lock:
            await self._store.async_save(self._kept())

    @callback
    def _save_soon(self) -> None:
        """Write the ledger before long; once stopped, `async_stop` writes it, and nobody after that."""
        if not self._stopped:
            self._store.async_delay_save(self._kept, _SAVE_DELAY_S)

    def _kept(self) -> dict[str, Any]:
        return self.ledger.write()

    async def _deploy_camera(
        self, configuration: Configuration, camera: CameraFacts, now: datetime
    ) -> set[Subject]:
        """Deploy to one camera; return what changed by it, to be told when all have been deployed to.

        Once stopped, it is left as it is: whoever unloads the entry waits for the one under way alone.
        """
        if self._stopped:
            return set()
        name = str(camera.name)
        ledger = Ledger(self.ledger.stamps)
        deployment: Deployment = await self.hass.async_add_executor_job(
            compile_camera,
            configuration,
            name,
            to_bridge(camera.clock, now),
            ledger,
            camera.state,
            self.tests.experiments(name),
            self.wishes.get(name, NO_WISH),
        )
        self.ledger = ledger
        self._say_what_does_not_fit(name, deployment)
        ids = {"bridge": camera.name.bridge, "camera": camera.name.camera}
        told: dict[str, Any] = {"schedule_problem": self._left_out.reason(configuration, name, ledger)}
        if deployment.snapshot is not None:
            await self._publish(topics.SNAPSHOT, deployment.snapshot, **ids)
            told["snapshot_version"] = deployment.snapshot.version
        if deployment.plan is not None:
            await self._publish(topics.PLAN, deployment.plan, **ids)
            told["plan_revision"] = deployment.plan.revision
            self.plans[name] = deployment.plan
        if name not in self.coordinator.system.cameras:
            return set()
        return self.coordinator.system.update_camera(name, **told)

    def _say_what_does_not_fit(self, camera: str, deployment: Deployment) -> None:
        self.too_large.discard(camera)
        if deployment.snapshot is None or deployment.plan is None:
            self.too_large.add(camera)
        hours = deployment.plan_hours
        is_short = deployment.plan is not None and hours < FULL_HOURS
        facts = {
            "snapshot_too_large": (deployment.snapshot is None, {}),
            "plan_too_large": (deployment.plan is None, {}),
            "plan_shortened": (is_short, {"hours": str(hours), "full": str(FULL_HOURS)}),
        }
        for key, (is_so, places) in facts.items():
            async_set_issue(self.hass, is_so, key, camera, camera=camera, **places)

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
        """Publish a message unless the broker has it already, or is away: it hears all once it is back."""
        if not self.coordinator.connected:
            return
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
        for key in ("snapshot_too_large", "plan_too_large", "plan_shortened"):
            async_set_issue(self.hass, False, key, str(name))
        for row in (topics.SNAPSHOT, topics.PLAN, topics.STATE):
            await self._empty(row, bridge=name.bridge, camera=name.camera)
        self.plans.pop(str(name), None)
        for kind in ("snapshot", "plan"):
            self.ledger.forget(f"{kind}/{name}")

    async def _empty(self, row: topics.Topic[Any], **ids: str) -> None:
        self._published.pop(row.name(self.coordinator.root, **ids), None)
        await self.coordinator.async_publish(row, None, **ids)

    @callback
    def _wake_at_next_renewal(self, cameras: list[CameraFacts], now: datetime) -> None:
        """Compile again when the first of the bridges' clocks reaches its next six hours, or a new day."""
        self._stop_waking()
        if self._stopped:
            return
        place = read_place(self.hass)
        renewals = [
            to_real(clock, find(to_bridge(clock, now)))
            for clock in {None, *(camera.clock for camera in cameras)}
            for find in (next_renewal, lambda moment: next_midnight(moment, place))
        ]
        soonest = max(min(renewals), now + SHORTEST_REST)
        self._wake = async_track_point_in_utc_time(self.hass, self._renew, soonest)

    @callback
    def _stop(self) -> None:
        """Wake no more, not even for what is being deployed just now."""
        self._stopped = True
        self._stop_waking()
        self._left_out.async_stop()

    @callback
    def _stop_waking(self) -> None:
        if self._wake is not None:
            self._wake()
            self._wake = None

    @callback
    def _renew(self, _now: datetime) -> None:
        self._wake = None
        self.async_schedule()

    @callback
    def async_schedule(self) -> None:
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
        self.async_schedule()

    @callback
    def _happened(self, decoded: topics.Decoded) -> None:
        """Deploy to whoever introduces himself, and to a camera that holds a later version than was made."""
        if decoded.topic in (topics.ANNOUNCE, topics.PROCESSOR_ANNOUNCE) and decoded.message is not None:
            self.async_schedule()
        if decoded.topic is topics.STATE and self._is_ahead(
            f"{decoded.ids['bridge']}/{decoded.ids['camera']}"
        ):
            self.async_schedule()

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
            self.async_schedule()

    @callback
    def _place_changed(self, _event: Event[Any]) -> None:
        self.async_schedule()
