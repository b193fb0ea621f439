"""Repair issues: what only a person can put right. Each goes by itself once it is."""

from typing import TYPE_CHECKING

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import DOMAIN
from .coordinator import SkylapseCoordinator
from .errors import ProcessorUnreachableError
from .facts import PROCESSOR, Subject
from .protocol import SCHEMA_MAX, SCHEMA_MIN, topics
from .protocol.messages import BridgeAnnounce, CameraState, ProcessorAnnounce

if TYPE_CHECKING:
    from .data import SkylapseConfigEntry

_KEPT_BOOTS = 3


class Issues:
    """Watches announces for what does not fit together."""

    def __init__(
        self, hass: HomeAssistant, entry: SkylapseConfigEntry, coordinator: SkylapseCoordinator
    ) -> None:
        """Remember whom to serve."""
        self.hass = hass
        self.entry = entry
        self.coordinator = coordinator
        self._boots: dict[str, list[str]] = {}

    @callback
    def async_start(self) -> None:
        """Begin to watch."""
        self.entry.async_on_unload(self.coordinator.async_listen_happenings(self._happened))
        self.entry.async_on_unload(self.coordinator.async_listen_presence(self._presence_changed))
        self.entry.async_on_unload(self.coordinator.async_listen(PROCESSOR, self._check_address))

    @callback
    def _happened(self, decoded: topics.Decoded) -> None:
        message = decoded.message
        if isinstance(message, BridgeAnnounce):
            self._check_contract(message.bridge, message)
            self._check_twins(message)
        elif isinstance(message, ProcessorAnnounce):
            self._check_contract("processor", message)
        elif isinstance(message, CameraState):
            self._check_focus(f"{decoded.ids['bridge']}/{decoded.ids['camera']}", message)

    @callback
    def _presence_changed(self, _came: set[Subject], went: set[Subject]) -> None:
        for subject in went:
            self._boots.pop(subject.id, None)
            for key in ("contract_apart", "twin_bridges", "focus_drifted"):
                ir.async_delete_issue(self.hass, DOMAIN, f"{key}_{subject.id}")

    def _check_contract(self, subject: str, announce: BridgeAnnounce | ProcessorAnnounce) -> None:
        """Two programs that share no version of the messages cannot talk: say which side is older."""
        apart = announce.schema_max < SCHEMA_MIN or announce.schema_min > SCHEMA_MAX
        side = announce.name if announce.schema_max < SCHEMA_MIN else "Skylapse"
        async_set_issue(
            self.hass,
            apart,
            "contract_apart",
            subject,
            name=announce.name,
            low=str(announce.schema_min),
            high=str(announce.schema_max),
            own=f"{SCHEMA_MIN} – {SCHEMA_MAX}",
            side=side,
        )

    def _check_twins(self, announce: BridgeAnnounce) -> None:
        """A boot id that comes back after another one was heard is a second machine, not a restart."""
        boots = self._boots.setdefault(announce.bridge, [])
        if boots and boots[-1] == announce.boot_id:
            return
        async_set_issue(
            self.hass, announce.boot_id in boots, "twin_bridges", announce.bridge, bridge=announce.bridge
        )
        boots.append(announce.boot_id)
        del boots[:-_KEPT_BOOTS]

    def _check_focus(self, camera: str, state: CameraState) -> None:
        """A lens that moved since its infinity was found stays unsharp until it is found again."""
        drifted = state.focus is not None and state.focus.drifted
        async_set_issue(self.hass, drifted, "focus_drifted", camera, camera=camera)

    @callback
    def _check_address(self) -> None:
        """A processor that cannot be reached where its key is pinned, and announces another address, moved.

        Another address alone says little: bridges may reach it elsewhere than Home Assistant does.
        """
        client, announce = self.coordinator.client, self.coordinator.system.processor.announce
        if client is None or announce is None:
            return
        lost = isinstance(self.coordinator.processor_failure, ProcessorUnreachableError)
        moved = lost and announce.base_url.rstrip("/") != str(client.url).rstrip("/")
        async_set_issue(
            self.hass,
            moved,
            "processor_moved",
            "processor",
            pinned=str(client.url),
            announced=announce.base_url,
        )


@callback
def async_set_issue(hass: HomeAssistant, is_so: bool, key: str, subject: str, **places: str) -> None:  # noqa: FBT001 one call, one fact
    """Raise a repair issue about a subject, or take it away."""
    issue = f"{key}_{subject}"
    if not is_so:
        ir.async_delete_issue(hass, DOMAIN, issue)
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue,
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key=key,
        translation_placeholders=places,
    )
