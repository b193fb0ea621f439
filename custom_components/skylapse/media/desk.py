"""What every room of the media source is handed: whom to ask, and what things are called."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import TYPE_CHECKING

from homeassistant.components.media_player import BrowseError
from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_cached_translations
from homeassistant.util import dt as dt_util

from ..brain.ab_tests import AbTest
from ..const import DOMAIN
from ..coordinator import SkylapseCoordinator
from ..errors import ProcessorError
from ..facts import CameraFacts
from ..library import Library
from ..processor import ProcessorClient
from ..protocol.errors import ProtocolError
from ..protocol.identifiers import CameraName, FrameName

if TYPE_CHECKING:
    from ..data import SkylapseConfigEntry


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """One look at the system, for one question of the media browser."""

    hass: HomeAssistant
    entry: SkylapseConfigEntry
    coordinator: SkylapseCoordinator
    client: ProcessorClient
    zone: tzinfo = field(default_factory=dt_util.get_default_time_zone)

    @property
    def library(self) -> Library:
        """The films and results that are known."""
        return self.coordinator.library

    @property
    def tests(self) -> list[AbTest]:
        """All A/B tests, latest first."""
        return self.entry.runtime_data.ab_tester.shelf.tests

    def word(self, key: str) -> str:
        """Return a word in the house's language."""
        words = async_get_cached_translations(self.hass, self.hass.config.language, "common", DOMAIN)
        return words.get(f"component.{DOMAIN}.common.{key}", key.replace("_", " ").capitalize())

    def names(self) -> dict[str, str]:
        """Return what people call schedules, profiles, recipes and cameras; by id, of several all."""
        words = async_get_cached_translations(self.hass, self.hass.config.language, "selector", DOMAIN)
        start = f"component.{DOMAIN}.selector.recipe.options."
        recipes = {key.removeprefix(start): word for key, word in words.items() if key.startswith(start)}
        found: dict[str, list[str]] = defaultdict(list)
        for subentry in self.entry.subentries.values():
            found[str(subentry.unique_id)].append(subentry.title)
        titles = {about: " / ".join(dict.fromkeys(called)) for about, called in found.items()}
        cameras = {name: self.camera_title(name) for name in self.coordinator.system.cameras}
        return {**recipes, **titles, **cameras}

    def camera(self, name: str) -> CameraFacts | None:
        """Return what is known of a camera that is announced."""
        return self.coordinator.camera(name)

    def camera_title(self, name: str) -> str:
        """Return what people call a camera; its id where its bridge is gone."""
        facts = self.camera(name)
        return facts.info.name if facts is not None and facts.info is not None else name

    def grows(self, name: str) -> bool:
        """Tell whether a camera has a film that grows."""
        return self.film_of_today(name) is not None

    def film_of_today(self, name: str) -> str | None:
        """Return the id of the film of a camera that grows."""
        facts = self.camera(name)
        return facts.store.film_of_today if facts is not None and facts.store is not None else None

    def newest_frame(self, name: str) -> FrameName | None:
        """Return the newest frame that the processor has of a camera."""
        facts = self.camera(name)
        if facts is None or facts.store is None or facts.store.last_frame is None:
            return None
        try:
            return FrameName.parse(facts.store.last_frame)
        except ProtocolError:
            return None

    def growing(self) -> list[CameraName]:
        """Return the cameras that have a film that grows."""
        return [
            CameraName.parse(name) for name in sorted(self.coordinator.system.cameras) if self.grows(name)
        ]


async def asked[T](ask: Callable[[], Awaitable[T]]) -> T:
    """Return the processor's answer; what it could not answer is a BrowseError."""
    try:
        return await ask()
    except ProcessorError as error:
        raise BrowseError(
            translation_domain=DOMAIN,
            translation_key="processor_failed",
            translation_placeholders={"reason": str(error)},
        ) from error


def not_found(media: object) -> BrowseError:
    """Return what is said of what is not there."""
    return BrowseError(
        translation_domain=DOMAIN,
        translation_key="media_not_found",
        translation_placeholders={"media": str(media)[:200]},
    )
