"""The coordinator: messages come in here, facts are kept here, everybody else listens here.

Push only. Listeners hang on a subject (a bridge, a camera, the processor), so that a frame of one camera does
not wake the entities of all.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from itertools import batched
from typing import TYPE_CHECKING, Any

from homeassistant.components import mqtt
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util

from .commander import DEFAULT_LIMIT_S, Commander
from .const import CONF_PROCESSOR_KEY, CONF_PROCESSOR_URL, CONF_ROOT, LOGGER
from .errors import ProcessorError, ProcessorKeyError, ProcessorMissingError
from .facts import PROCESSOR, BridgeFacts, CameraFacts, ProcessorFacts, Subject, System
from .library import Library
from .listen import raw
from .media.shared import SharedStore
from .pacing import Pace
from .processor import ProcessorClient
from .protocol import topics
from .protocol.errors import ProtocolError, SchemaError, Speaker
from .protocol.messages import Command, Film, Reply, Result

if TYPE_CHECKING:
    from .data import SkylapseConfigEntry

type Happening = Callable[[topics.Decoded], None]
type Facts = BridgeFacts | CameraFacts | ProcessorFacts
type Presence = Callable[[set[Subject], set[Subject]], None]

LOAD_AFTER_S = 2.0
"""Entities come first: a list of thousands of films takes a moment to read."""

LOAD_AGAIN_S = 300.0
FILED_AT_ONCE = 500
_MAX_COMPLAINTS = 200
_COMINGS_AND_GOINGS = frozenset(
    {
        topics.ANNOUNCE.path,
        topics.AVAILABILITY.path,
        topics.PROCESSOR_ANNOUNCE.path,
        topics.PROCESSOR_AVAILABILITY.path,
    }
)


class SkylapseCoordinator:
    """Hears the whole system and keeps what is known of it."""

    def __init__(self, hass: HomeAssistant, entry: SkylapseConfigEntry) -> None:
        """Remember whom to serve."""
        self.hass = hass
        self.entry = entry
        self.root: str = entry.data[CONF_ROOT]
        self.system = System()
        self.library = Library()
        self.shared = SharedStore(hass)
        self.commander = Commander(dt_util.utcnow)
        self.client: ProcessorClient | None = None
        if CONF_PROCESSOR_KEY in entry.data:
            self.client = ProcessorClient(
                async_get_clientsession(hass), entry.data[CONF_PROCESSOR_URL], entry.data[CONF_PROCESSOR_KEY]
            )
        self.connected = False
        self.processor_failure: ProcessorError | None = None
        """Why the list of films could not be read when it was last tried."""
        self._again: CALLBACK_TYPE | None = None
        """Ends the wait for another try to read it."""
        self._listeners: dict[Subject, list[CALLBACK_TYPE]] = {}
        self._pace = Pace(hass.loop, self._wake)
        self._happenings: list[Happening] = []
        self._happenings_of: dict[str, list[Happening]] = {}
        """By camera."""
        self._presence: list[Presence] = []
        self._strangers: list[Callable[[Subject], None]] = []
        self.complaints: set[str] = set()
        """Topics whose last message did not fit the contract."""

    async def async_start(self) -> None:
        """Subscribe to everything that bridges and processor say."""
        self.connected = mqtt.is_connected(self.hass)
        self.entry.async_on_unload(self._pace.stop)
        self.entry.async_on_unload(self._stop_trying)
        self.entry.async_on_unload(
            mqtt.async_subscribe_connection_status(self.hass, self._connection_changed)
        )
        for topic in filters(self.root):
            unsubscribe = await mqtt.async_subscribe(self.hass, topic, self._heard, qos=1, encoding=None)
            self.entry.async_on_unload(unsubscribe)

    @callback
    def async_listen(self, subject: Subject, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call `listener` whenever facts of a subject change; return what ends that."""
        return _hang(self._listeners.setdefault(subject, []), listener)

    @callback
    def async_listen_happenings(self, listener: Happening, camera: str | None = None) -> CALLBACK_TYPE:
        """Call `listener` with every fresh message, or with those about one camera; return what ends that."""
        hook = self._happenings if camera is None else self._happenings_of.setdefault(camera, [])
        return _hang(hook, listener)

    @callback
    def async_listen_presence(self, listener: Presence) -> CALLBACK_TYPE:
        """Call `listener` with the subjects that came and those that went; return what ends that."""
        return _hang(self._presence, listener)

    @callback
    def async_listen_strangers(self, listener: Callable[[Subject], None]) -> CALLBACK_TYPE:
        """Call `listener` with who announced himself in words that cannot be read; return what ends that."""
        return _hang(self._strangers, listener)

    @callback
    def async_changed(self, subjects: set[Subject]) -> None:
        """Wake everybody who listens to these subjects."""
        for subject in subjects:
            self._wake(subject)

    @callback
    def _wake(self, subject: Subject) -> None:
        """Call whoever listens to a subject."""
        for listener in tuple(self._listeners.get(subject, ())):
            _call(subject, listener)

    async def async_until(self, subject: Subject, is_so: Callable[[], bool], limit_s: float | None) -> bool:
        """Wait until facts of a subject make something so; tell whether they did within the limit."""
        changed = asyncio.Event()
        stop = self.async_listen(subject, changed.set)
        try:
            async with asyncio.timeout(limit_s):
                while not is_so():
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return is_so()
        finally:
            stop()
        return True

    def facts(self, subject: Subject) -> Facts | None:
        """Return what is known of a subject, None where nothing is."""
        if subject.kind == "processor":
            return self.system.processor
        if subject.kind == "bridge":
            return self.system.bridges.get(subject.id)
        return self.system.cameras.get(subject.id)

    def camera(self, name: str) -> CameraFacts | None:
        """Return a camera that is announced."""
        facts = self.system.cameras.get(name)
        return facts if facts is not None and facts.info is not None else None

    def is_available(self, subject: Subject) -> bool:
        """Tell whether what is known of a subject can be trusted: broker, and bridge or processor, are up."""
        if not self.connected:
            return False
        if subject.kind == "processor":
            return self.system.processor.online
        if subject.kind == "camera":
            facts = self.camera(subject.id)
            return facts is not None and facts.online
        bridge = self.system.bridges.get(subject.id)
        return bridge is not None and bridge.online

    async def async_publish(self, row: topics.Topic[Any], message: Any, **ids: str) -> None:
        """Publish one message; `None` empties a retained topic."""
        topic = row.name(self.root, **ids)
        payload = b"" if message is None else topics.encode(row, message, topic)
        await mqtt.async_publish(self.hass, topic, payload, row.qos, row.retained)

    async def async_command_camera(
        self, camera: CameraFacts, name: str, args: dict[str, Any], limit_s: float = DEFAULT_LIMIT_S
    ) -> dict[str, Any]:
        """Have a camera do something and return the result; raise CommandError."""
        ids = {"bridge": camera.name.bridge, "camera": camera.name.camera}

        async def send(command: Command) -> None:
            await self.async_publish(topics.COMMAND, command, **ids)

        return await self.commander.request(send, name, args, limit_s=limit_s, clock=camera.clock)

    async def async_command_processor(
        self, name: str, args: dict[str, Any], limit_s: float = DEFAULT_LIMIT_S
    ) -> dict[str, Any]:
        """Have the processor do something and return the result; raise CommandError."""

        async def send(command: Command) -> None:
            await self.async_publish(topics.PROCESSOR_COMMAND, command)

        return await self.commander.request(send, name, args, limit_s=limit_s)

    async def async_wipe(self, subject: Subject) -> None:
        """Empty what a bridge that is gone, or the processor, left on the broker; the announce goes last."""
        if subject.kind == "processor":
            for topic in (topics.PROCESSOR_AVAILABILITY, topics.PROCESSOR_HEALTH, topics.PROCESSOR_ANNOUNCE):
                await self.async_publish(topic, None)
        if subject.kind == "bridge":
            for facts in list(self.system.cameras.values()):
                if facts.name.bridge == subject.id:
                    await self.async_publish(topics.STATE, None, bridge=subject.id, camera=facts.name.camera)
            for row in (topics.AVAILABILITY, topics.HEALTH, topics.ANNOUNCE):
                await self.async_publish(row, None, bridge=subject.id)

    async def async_load_library(self) -> None:
        """Read the processor's lists of films and results; raise ProcessorError where it cannot be read."""
        if self.client is None:
            return
        meanwhile: list[Film | Result] = []

        @callback
        def heard(decoded: topics.Decoded) -> None:
            if isinstance(decoded.message, Film | Result):
                meanwhile.append(decoded.message)

        stop = self.async_listen_happenings(heard)
        try:
            library = await _filed(await self.client.films(), await self.client.results())
        except ProcessorError as error:
            self.processor_failure = error
            self.async_changed({PROCESSOR})
            raise
        finally:
            stop()
        if self.processor_failure is not None:
            LOGGER.info("The processor's films can be read again")
        self.processor_failure = None
        self.library.become(library)
        self.library.catch_up(meanwhile)
        changed: set[Subject] = set()
        for name, facts in list(self.system.cameras.items()):
            if facts.film != (newest := self.library.newest(name)):
                changed |= self.system.update_camera(name, film=newest)
        self.async_changed(changed | {PROCESSOR})

    async def async_load_film(self, film_id: str) -> Film | None:
        """Return a film as the processor has it now, None where it has none; raise ProcessorError."""
        if self.client is None:
            return self.library.get(film_id)
        try:
            film = await self.client.film(film_id)
        except ProcessorMissingError:
            return None
        self.async_changed(self._film(film))
        return film

    @callback
    def _heard(self, message: mqtt.ReceiveMessage) -> None:
        """Take in one message; what does not fit the contract is told once a topic and left out."""
        try:
            decoded = topics.decode(message.topic, raw(message.payload), self.root)
        except ProtocolError as error:
            self._complain(message.topic, error)
            if isinstance(error, SchemaError) and error.speaker is not None:
                self._meet(message.topic, error.speaker)
            return
        self.complaints.discard(message.topic)
        if message.retain and not decoded.topic.retained:
            return
        if isinstance(decoded.message, Reply):
            self.commander.take(decoded.message)
            return
        self._take(decoded)

    @callback
    def _take(self, decoded: topics.Decoded) -> None:
        if decoded.topic.path in _COMINGS_AND_GOINGS:
            self.async_changed(self._apply_presence(decoded))
        else:
            self._pace.tell(self._apply(decoded))
        for happening in (*self._happenings, *self._happenings_of.get(_camera_of(decoded), ())):
            _call(decoded.topic.path, happening, decoded)

    def _apply(self, decoded: topics.Decoded) -> set[Subject]:
        if isinstance(decoded.message, Film):
            return self._film(decoded.message)
        if isinstance(decoded.message, Result):
            self.library.apply_result(decoded.message)
        return self.system.apply(decoded, dt_util.utcnow())

    @callback
    def _apply_presence(self, decoded: topics.Decoded) -> set[Subject]:
        """Take in a message by which somebody comes or goes."""
        present = self.system.present
        online = _online(self.system)
        changed = self.system.apply(decoded, dt_util.utcnow())
        self._log_availability(online)
        if self.system.present != present:
            self._presence_changed(self.system.present - present, present - self.system.present)
        return changed

    def _film(self, film: Film) -> set[Subject]:
        """Take in a film; a camera that is not known gets no facts by it."""
        self.library.apply(film)
        if film.camera not in self.system.cameras:
            return set()
        return self.system.update_camera(film.camera, film=self.library.newest(film.camera))

    @callback
    def _presence_changed(self, came: set[Subject], went: set[Subject]) -> None:
        for name in (subject.id for subject in came if subject.kind == "camera"):
            self.system.update_camera(name, film=self.library.newest(name))
        for listener in tuple(self._presence):
            _call("who comes and goes", listener, came, went)

    @callback
    def _log_availability(self, before: dict[str, bool]) -> None:
        """Say once when a bridge or the processor goes and once when it is back."""
        for name, online in _online(self.system).items():
            if online != before.get(name, online):
                LOGGER.info("%s is %s", name, "back" if online else "unavailable")
            if online and not before.get(name) and name == PROCESSOR.id:
                self._load_soon()

    @callback
    def _load_soon(self) -> None:
        """Read the list of films in the background: what was made unheard is in it."""
        if self.client is not None:
            self.entry.async_create_background_task(
                self.hass, self._load_quietly(), "skylapse library", eager_start=False
            )

    async def _load_quietly(self) -> None:
        await asyncio.sleep(LOAD_AFTER_S)
        before = str(self.processor_failure)
        try:
            await self.async_load_library()
        except ProcessorKeyError:
            self.entry.async_start_reauth(self.hass)
        except ProcessorError as error:
            if str(error) != before:
                LOGGER.warning("The processor's films could not be read: %s", error)
            self._stop_trying()
            self._again = async_call_later(self.hass, LOAD_AGAIN_S, self._load_again)

    @callback
    def _load_again(self, _now: datetime) -> None:
        self._again = None
        if self.system.processor.online:
            self._load_soon()

    @callback
    def _stop_trying(self) -> None:
        if self._again is not None:
            self._again()
            self._again = None

    @callback
    def _connection_changed(self, connected: bool) -> None:  # noqa: FBT001 the signature is Home Assistant's
        self.connected = connected
        self.async_changed(set(self._listeners))
        if connected and self.system.processor.online:
            self._load_soon()

    @callback
    def _meet(self, topic: str, speaker: Speaker) -> None:
        """Take in that somebody announced himself whom this release does not understand."""
        _, ids = topics.match(topic, self.root)
        for subject in self.system.take_stranger(ids, speaker):
            self._wake(subject)
            for listener in tuple(self._strangers):
                _call(topic, listener, subject)

    @callback
    def _complain(self, topic: str, error: ProtocolError) -> None:
        if topic in self.complaints or len(self.complaints) >= _MAX_COMPLAINTS:
            return
        self.complaints.add(topic)
        LOGGER.warning("Ignored a message that does not fit the contract: %s", error)


async def _filed(films: Iterable[Film], results: Iterable[Result]) -> Library:
    """Return a library of these, filed between other things: thousands at once would hold everybody up."""
    library = Library()
    for some in batched(films, FILED_AT_ONCE, strict=False):
        library.add(some)
        await asyncio.sleep(0)
    for few in batched(results, FILED_AT_ONCE, strict=False):
        library.add((), few)
        await asyncio.sleep(0)
    return library


def filters(root: str) -> list[str]:
    """Return the subscriptions that together hear every sender but the brain, none of them twice.

    Announces come last: whoever is announced is known by then, and his entities need not be written twice.
    Home Assistant listens for them too, to discover Skylapse, and subscribes anew in the order in which each
    filter was first asked for. So they are heard by one of their own: `/#` covers the level above it as well.
    """
    wanted = {row.filter(root) for row in topics.TOPICS if row.sender != "brain"}
    needed = {topic for topic in wanted if not any(_covers(other, topic) for other in wanted - {topic})}
    announces = topics.ANNOUNCE.filter(root)
    return [*sorted(needed - {announces}), f"{announces}/#"]


def _covers(wide: str, narrow: str) -> bool:
    """Tell whether every topic that `narrow` matches is matched by `wide`, both without `#`."""
    pairs = list(zip(wide.split("/"), narrow.split("/"), strict=False))
    same_length = wide.count("/") == narrow.count("/")
    return same_length and all(level in ("+", other) for level, other in pairs)


def _camera_of(decoded: topics.Decoded) -> str:
    """Return the camera that a message is about, the empty text where it is about none."""
    ids = decoded.ids
    if "camera" in ids:
        return f"{ids['bridge']}/{ids['camera']}"
    return getattr(decoded.message, "camera", None) or ""


def _online(system: System) -> dict[str, bool]:
    bridges = {bridge.id: bridge.online for bridge in system.bridges.values()}
    return bridges | {PROCESSOR.id: system.processor.online}


def _call(what: object, listener: Callable[..., None], *said: Any) -> None:
    """Call a listener; one that fails keeps no other from hearing."""
    try:
        listener(*said)
    except Exception:  # noqa: BLE001 anybody may listen, and fail in any way
        LOGGER.exception("What is new of %s could not be shown", what)


def _hang[T](listeners: list[T], listener: T) -> CALLBACK_TYPE:
    listeners.append(listener)
    return partial(listeners.remove, listener)
