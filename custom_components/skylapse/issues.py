"""Repair issues: what only a person can put right. Each goes by itself once it is."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from homeassistant.components import mqtt
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_call_later

from .const import CONF_APP, DOMAIN
from .coordinator import SkylapseCoordinator
from .errors import ProcessorUnreachableError
from .facts import PROCESSOR, BridgeFacts, CameraFacts, Subject
from .protocol import topics
from .protocol.messages import BridgeAnnounce, ProcessorAnnounce
from .troubles import TROUBLES, Places, Trouble, Whole

if TYPE_CHECKING:
    from .data import SkylapseConfigEntry

HELP_URL = "https://github.com/skylapse-ha/skylapse/blob/main/docs/troubleshooting.md"

ALONE_S = 600.0
"""Twins put each other off the broker, again within a minute: who is alone for so long has no twin left."""

_KEPT_BOOTS = 3
_TWINS: Trouble[Any] = Trouble(key="twin_bridges", find=lambda *_: None, is_severe=True)
"""Told by what was said before, not by facts."""


class Issues:
    """Looks at everybody whose facts change, and tells of troubles that last."""

    def __init__(
        self, hass: HomeAssistant, entry: SkylapseConfigEntry, coordinator: SkylapseCoordinator
    ) -> None:
        """Remember whom to serve."""
        self.hass = hass
        self.entry = entry
        self.coordinator = coordinator
        self._boots: dict[str, list[str]] = {}
        self._alone: dict[str, CALLBACK_TYPE] = {}
        """What ends the wait for a bridge to be alone under its id, by bridge."""
        self._told: set[str] = set()
        self._patience: dict[str, CALLBACK_TYPE] = {}
        """What ends the wait for a trouble to last, by issue."""
        self._places: dict[str, Places] = {}
        self._is_unshared = False
        self._sought: str | None = None
        """The start of the processor whose folder is being looked for, or was found."""

    @callback
    def async_start(self) -> None:
        """Begin to watch."""
        on_unload = self.entry.async_on_unload
        on_unload(self.coordinator.async_listen_happenings(self._happened))
        on_unload(self.coordinator.async_listen_presence(self._presence_changed))
        on_unload(self.coordinator.async_listen(PROCESSOR, self._look_at_processor))
        on_unload(self.coordinator.async_listen_strangers(self._met))
        on_unload(self._stop)
        self._look_at_processor()

    @callback
    def _happened(self, decoded: topics.Decoded) -> None:
        bridge, camera = decoded.ids.get("bridge", ""), decoded.ids.get("camera")
        if decoded.topic is topics.STATE:
            self._look(Subject(kind="camera", id=f"{bridge}/{camera}"))
        elif decoded.topic in (topics.ANNOUNCE, topics.AVAILABILITY, topics.HEALTH):
            if isinstance(decoded.message, BridgeAnnounce):
                self._look_for_twins(decoded.message)
            self._look(Subject(kind="bridge", id=bridge))
            self._look_at_processor()

    @callback
    def _met(self, stranger: Subject) -> None:
        """Look at who announced himself in words that cannot be read; he is heard, after all."""
        self._look(stranger)
        self._look(PROCESSOR)

    @callback
    def _presence_changed(self, came: set[Subject], went: set[Subject]) -> None:
        for subject in came:
            self._look(subject)
        for subject in went:
            self._boots.pop(subject.id, None)
            self._end(self._alone, subject.id)
            for trouble in (*TROUBLES[subject.kind], _TWINS):
                if subject != PROCESSOR:
                    self._say(trouble, subject.id, None)

    @callback
    def _look_at_processor(self) -> None:
        self._look(PROCESSOR)
        processor = self.coordinator.system.processor
        is_here = processor.online and CONF_APP in self.entry.data
        if is_here and processor.announce is not None and processor.announce.boot_id != self._sought:
            self._sought = processor.announce.boot_id
            self.entry.async_create_background_task(
                self.hass, self._async_seek(processor.announce), "skylapse shared folder", eager_start=False
            )

    async def _async_seek(self, announce: ProcessorAnnounce) -> None:
        """Look whether the media browser shows the folder of the app; if not, look again later."""
        self._is_unshared = await self.coordinator.shared.async_root(announce) is None
        self._sought = None if self._is_unshared else announce.boot_id
        self._look(PROCESSOR)

    def _look(self, subject: Subject) -> None:
        """Find what is wrong with a subject, and what is not any more."""
        facts = self._facts(subject)
        for trouble in TROUBLES[subject.kind]:
            find: Any = trouble.find
            is_told = self._issue(trouble.key, subject.id) in self._told
            self._say(trouble, subject.id, None if facts is None else find(facts, is_told))

    def _facts(self, subject: Subject) -> BridgeFacts | CameraFacts | Whole | None:
        """Return what a subject's troubles are found in, None while it is not announced."""
        coordinator = self.coordinator
        if subject == PROCESSOR:
            client = coordinator.client
            return Whole(
                system=coordinator.system,
                connected=mqtt.is_connected(self.hass),
                pinned=str(client.url) if client is not None else None,
                is_lost=isinstance(coordinator.processor_failure, ProcessorUnreachableError),
                is_unshared=self._is_unshared,
            )
        if subject.kind == "camera":
            return coordinator.camera(subject.id)
        bridge = coordinator.system.bridges.get(subject.id)
        return bridge if bridge is not None and (bridge.announce or bridge.stranger) else None

    def _look_for_twins(self, announce: BridgeAnnounce) -> None:
        """A boot id that comes back after another one was heard is a second machine, not a restart."""
        boots = self._boots.setdefault(announce.bridge, [])
        if boots and boots[-1] == announce.boot_id:
            return
        is_so = announce.boot_id in boots
        self._say(_TWINS, announce.bridge, {"bridge": announce.bridge} if is_so else None)
        boots.append(announce.boot_id)
        del boots[:-_KEPT_BOOTS]
        self._end(self._alone, announce.bridge)
        if is_so:
            self._wait_until_alone(announce.bridge)

    def _wait_until_alone(self, bridge: str) -> None:
        """Believe that there are no twins any more once one boot alone has been heard for a while."""

        @callback
        def is_alone(_now: datetime) -> None:
            del self._alone[bridge]
            del self._boots[bridge][:-1]
            self._say(_TWINS, bridge, None)

        self._alone[bridge] = async_call_later(self.hass, ALONE_S, is_alone)

    @callback
    def _say(self, trouble: Trouble[Any], subject: str, places: Places | None) -> None:
        """Tell of a trouble once it has lasted, and at once that it is over."""
        issue = self._issue(trouble.key, subject)
        if places is None:
            self._forget(issue)
        elif issue in self._told or not trouble.grace_s:
            self._tell(trouble, subject, places)
        else:
            self._places[issue] = places
            self._wait(trouble, subject, issue)

    def _wait(self, trouble: Trouble[Any], subject: str, issue: str) -> None:
        """Tell of a trouble later, with what is known of it then."""
        if issue in self._patience:
            return

        @callback
        def has_lasted(_now: datetime) -> None:
            del self._patience[issue]
            self._tell(trouble, subject, self._places.pop(issue))

        self._patience[issue] = async_call_later(self.hass, trouble.grace_s, has_lasted)

    def _tell(self, trouble: Trouble[Any], subject: str, places: Places) -> None:
        self._told.add(self._issue(trouble.key, subject))
        async_tell(self.hass, trouble, subject, places)

    def _forget(self, issue: str) -> None:
        self._places.pop(issue, None)
        self._end(self._patience, issue)
        if issue in self._told:
            self._told.discard(issue)
            ir.async_delete_issue(self.hass, DOMAIN, issue)

    @callback
    def _stop(self) -> None:
        """Tell of nothing any more: an entry that is not loaded knows nothing."""
        for issue in {*self._patience, *self._told}:
            self._forget(issue)
        for bridge in tuple(self._alone):
            self._end(self._alone, bridge)

    @staticmethod
    def _end(waits: dict[str, CALLBACK_TYPE], key: str) -> None:
        if (stop := waits.pop(key, None)) is not None:
            stop()

    @staticmethod
    def _issue(key: str, subject: str) -> str:
        return f"{key}_{subject}"


@callback
def async_forget_issues(hass: HomeAssistant) -> None:
    """Take every repair issue away: the entry is removed."""
    for issue in [name for domain, name in ir.async_get(hass).issues if domain == DOMAIN]:
        ir.async_delete_issue(hass, DOMAIN, issue)


@callback
def async_set_issue(hass: HomeAssistant, is_so: bool, key: str, subject: str, **places: str) -> None:  # noqa: FBT001 one call, one fact
    """Raise a repair issue about a subject, or take it away."""
    if is_so:
        async_tell(hass, Trouble(key=key, find=lambda *_: None), subject, places)
    else:
        ir.async_delete_issue(hass, DOMAIN, f"{key}_{subject}")


@callback
def async_tell(hass: HomeAssistant, trouble: Trouble[Any], subject: str, places: Places) -> None:
    """Raise the repair issue of a trouble; what mends it finds subject and places in the issue's data."""
    ir.async_create_issue(
        hass,
        DOMAIN,
        f"{trouble.key}_{subject}",
        data={"subject": subject, **places},
        is_fixable=trouble.is_fixable,
        learn_more_url=f"{HELP_URL}#{trouble.key}",
        severity=ir.IssueSeverity.ERROR if trouble.is_severe else ir.IssueSeverity.WARNING,
        translation_key=trouble.key,
        translation_placeholders=places,
    )
