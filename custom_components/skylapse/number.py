"""Numbers: what is wished of a camera beside its profile."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.number import (
    NumberDeviceClass,
    NumberEntity,
    NumberEntityDescription,
    NumberMode,
)
from homeassistant.const import EntityCategory, Platform, UnitOfTime
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .brain.wishes import LONGEST_S, MOST_EV, SHORTEST_S
from .const import DOMAIN
from .coordinator import SkylapseCoordinator
from .data import SkylapseConfigEntry
from .entity import WishEntity, async_follow
from .facts import Subject
from .profile_entities import async_follow_profiles
from .schedule_entities import async_follow_schedules

PARALLEL_UPDATES = 1


@dataclass(frozen=True, kw_only=True)
class WishNumberDescription(NumberEntityDescription):
    """One number: how it is read, and what setting it changes in the wish."""

    value_fn: Callable[[WishNumber], float | None]
    changes_fn: Callable[[float], dict[str, Any]]


def _interval(number: WishNumber) -> float | None:
    if number.wish.interval_s is not None:
        return number.wish.interval_s
    return number.window.interval_s if number.window else None


def _wished_interval(value: float) -> dict[str, Any]:
    """Return the change; nothing leaves the interval to the schedules."""
    if 0 < value < SHORTEST_S:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="wished_interval",
            translation_placeholders={"shortest": f"{SHORTEST_S:g}"},
        )
    return {"interval_s": value or None}


NUMBERS = (
    WishNumberDescription(
        key="interval",
        translation_key="interval",
        device_class=NumberDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        native_min_value=0,
        native_max_value=LONGEST_S,
        native_step=0.1,
        mode=NumberMode.BOX,
        entity_category=EntityCategory.CONFIG,
        value_fn=_interval,
        changes_fn=_wished_interval,
    ),
    WishNumberDescription(
        key="ev",
        translation_key="camera_ev",
        native_unit_of_measurement="EV",
        native_min_value=-MOST_EV,
        native_max_value=MOST_EV,
        native_step=0.1,
        mode=NumberMode.BOX,
        entity_category=EntityCategory.CONFIG,
        value_fn=lambda number: number.wish.ev,
        changes_fn=lambda value: {"ev": value},
    ),
)


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: SkylapseConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the numbers of every camera that is present, and comes; those of schedules and profiles too."""
    async_follow(entry, async_add_entities, _make)
    async_follow_schedules(entry, async_add_entities, Platform.NUMBER)
    async_follow_profiles(entry, async_add_entities, Platform.NUMBER)


def _make(coordinator: SkylapseCoordinator, subject: Subject) -> list[WishNumber]:
    if subject.kind != "camera":
        return []
    return [WishNumber(coordinator, subject, description) for description in NUMBERS]


class WishNumber(WishEntity, NumberEntity):
    """A number that shows what applies, and that the user changes for this camera alone."""

    entity_description: WishNumberDescription

    @override
    def shown(self) -> object:
        """Whether it is available, and the value."""
        return self.available, self.native_value

    @property
    @override
    def native_value(self) -> float | None:
        """What applies."""
        return self.entity_description.value_fn(self)

    @override
    async def async_set_native_value(self, value: float) -> None:
        """Wish for it."""
        await self.async_wish(**self.entity_description.changes_fn(value))
