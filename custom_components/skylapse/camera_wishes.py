"""Keeps what the user wishes of single cameras, over restarts, and has it deployed."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import Store

from .brain.wishes import NO_WISH, Wish
from .const import DOMAIN, LOGGER
from .coordinator import SkylapseCoordinator
from .deployer import Deployer
from .facts import Subject
from .protocol.errors import ProtocolError

if TYPE_CHECKING:
    from .data import SkylapseConfigEntry

STORE_VERSION = 1


def wish_store(hass: HomeAssistant) -> Store[dict[str, Any]]:
    """Return the file that wishes are kept in."""
    return Store(hass, STORE_VERSION, f"{DOMAIN}.wishes")


async def async_load_wishes(hass: HomeAssistant) -> dict[str, Wish]:
    """Read the wishes by camera; one that cannot be read is left out with a line in the log."""
    wishes = {}
    for camera, kept in (await wish_store(hass).async_load() or {}).items():
        try:
            wishes[camera] = Wish.read(kept)
        except ProtocolError as error:
            LOGGER.warning("The wish for %s is left out: %s", camera, error)
    return wishes


class CameraWishes:
    """The wishes of all cameras; they are the deployer's too."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: SkylapseConfigEntry,
        coordinator: SkylapseCoordinator,
        deployer: Deployer,
    ) -> None:
        """Remember whom to serve."""
        self.entry = entry
        self.coordinator = coordinator
        self.deployer = deployer
        self._wishes = deployer.wishes
        self._store = wish_store(hass)

    @callback
    def async_start(self) -> None:
        """Begin to forget the wishes of cameras that are gone for good."""
        self.entry.async_on_unload(self.coordinator.async_listen_presence(self._presence_changed))

    def of(self, camera: str) -> Wish:
        """Return what is wished of a camera (`<bridge>/<camera>`)."""
        return self._wishes.get(camera, NO_WISH)

    async def async_change(self, camera: str, **changes: Any) -> None:
        """Change what is wished of a camera, keep it, show it and deploy it."""
        wish = replace(self.of(camera), **changes)
        if wish == NO_WISH:
            self._wishes.pop(camera, None)
        else:
            self._wishes[camera] = wish
        self.coordinator.async_changed({Subject(kind="camera", id=camera)})
        await self._store.async_save(self._kept())
        await self.deployer.async_deploy()

    @callback
    def async_forget(self, subject: Subject) -> None:
        """Forget what was wished of a camera, or of all cameras of a bridge."""
        gone = [
            camera for camera in self._wishes if camera == subject.id or camera.startswith(f"{subject.id}/")
        ]
        for camera in gone:
            del self._wishes[camera]
        if gone:
            self._store.async_delay_save(self._kept)

    @callback
    def _presence_changed(self, _came: set[Subject], went: set[Subject]) -> None:
        for subject in went:
            self.async_forget(subject)

    def _kept(self) -> dict[str, Any]:
        return {camera: wish.write() for camera, wish in self._wishes.items()}
