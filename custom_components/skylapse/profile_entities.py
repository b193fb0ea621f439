"""The entities of a profile: the figures that are turned most, its version and where that is."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.components.number import NumberEntity, NumberEntityDescription, NumberMode
from homeassistant.components.select import SelectEntity, SelectEntityDescription
from homeassistant.components.sensor import SensorDeviceClass, SensorEntity, SensorEntityDescription
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import EntityCategory, Platform
from homeassistant.core import callback
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .actions.profiles import async_deploy, async_roll_back
from .brain.profiles import METERING, WHITE_BALANCE
from .const import SUBENTRY_PROFILE
from .data import SkylapseConfigEntry
from .protocol.codec import format_time
from .spec_entity import SpecEntity, async_follow_specs
from .specs import ProfileView, Specs

MOST_EV = 5.0

DEPLOYMENTS = ("applied", "pending", "nowhere", "unusable")
"""Every camera holds it; some do not yet; no camera is there; it cannot be compiled, hence is left out."""


@dataclass(frozen=True, kw_only=True)
class ProfileSensorRow(SensorEntityDescription):
    """One sensor: how its value and attributes are read from the profile."""

    value_fn: Callable[[ProfileView], str | int | None]
    attributes_fn: Callable[[ProfileView], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class ProfileButtonRow(ButtonEntityDescription):
    """One button: what it does, and when it can."""

    press_fn: Callable[[SkylapseConfigEntry, ConfigSubentry], Awaitable[object]]
    can_fn: Callable[[ProfileView], bool]


def _deployment(view: ProfileView) -> str:
    if not view.usable:
        return "unusable"
    if not view.cameras:
        return "nowhere"
    return "applied" if all(camera.applied for camera in view.cameras) else "pending"


def _where(view: ProfileView) -> dict[str, Any]:
    cameras = {str(camera.name): "applied" if camera.applied else "pending" for camera in view.cameras}
    return {"cameras": cameras if view.usable else {}, "schedules": list(view.schedules)}


def _history(view: ProfileView) -> dict[str, Any]:
    return {
        "made_at": format_time(view.editions[-1].made_at) if view.editions else None,
        "kept_versions": [edition.version for edition in view.editions],
    }


SENSORS = (
    ProfileSensorRow(
        key="version",
        translation_key="profile_version",
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda view: view.version,
        attributes_fn=_history,
    ),
    ProfileSensorRow(
        key="deployment",
        translation_key="profile_deployment",
        device_class=SensorDeviceClass.ENUM,
        options=list(DEPLOYMENTS),
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_deployment,
        attributes_fn=_where,
    ),
)


def _number(key: str, translation_key: str) -> NumberEntityDescription:
    return NumberEntityDescription(
        key=key,
        translation_key=translation_key,
        native_unit_of_measurement="EV",
        native_min_value=-MOST_EV,
        native_max_value=MOST_EV,
        native_step=0.1,
        mode=NumberMode.BOX,
        entity_category=EntityCategory.CONFIG,
    )


NUMBERS = (_number("ev", "ev"), _number("night_ev", "night_ev"))
"""Keys are fields of the profile."""


def _select(key: str, options: Iterable[str]) -> SelectEntityDescription:
    return SelectEntityDescription(
        key=key, translation_key=key, options=list(options), entity_category=EntityCategory.CONFIG
    )


SELECTS = (_select("metering", METERING), _select("white_balance", WHITE_BALANCE))
"""Keys are fields of the profile."""

BUTTONS = (
    ProfileButtonRow(
        key="deploy",
        translation_key="deploy",
        entity_category=EntityCategory.CONFIG,
        press_fn=async_deploy,
        can_fn=lambda _view: True,
    ),
    ProfileButtonRow(
        key="roll_back",
        translation_key="roll_back",
        entity_category=EntityCategory.CONFIG,
        press_fn=async_roll_back,
        can_fn=lambda view: len(view.editions) > 1,
    ),
)


class ProfileEntity(SpecEntity):
    """An entity of a profile; it shows what holds, by whichever profile that is extended."""

    @property
    def view(self) -> ProfileView | None:
        """The profile and where it is, None once it is gone or its bases cannot be followed."""
        return self.specs.profile(self.spec_id)

    @property
    @override
    def available(self) -> bool:
        """Tell whether it is known what the profile says."""
        return self.view is not None

    def field(self, name: str) -> Any:
        """Return a field of the profile, None where it is not known."""
        view = self.view
        return getattr(view.spec, name) if view is not None else None


class ProfileSensor(ProfileEntity, SensorEntity):
    """The version of the profile, or where that is."""

    entity_description: ProfileSensorRow
    _unrecorded_attributes = frozenset({"cameras", "kept_versions", "made_at", "schedules"})

    @property
    @override
    def native_value(self) -> str | int | None:
        """The value."""
        view = self.view
        return None if view is None else self.entity_description.value_fn(view)

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any] | None:
        """What is told beside it."""
        view = self.view
        return None if view is None else self.entity_description.attributes_fn(view)


class ProfileNumber(ProfileEntity, NumberEntity):
    """A figure of the profile."""

    @property
    @override
    def native_value(self) -> float | None:
        """The figure that holds."""
        figure: float | None = self.field(self.entity_description.key)
        return figure

    @override
    async def async_set_native_value(self, value: float) -> None:
        """Change it."""
        self.async_change(**{self.entity_description.key: value})


class ProfileSelect(ProfileEntity, SelectEntity):
    """A mode of the profile."""

    @property
    @override
    def current_option(self) -> str | None:
        """The mode that holds."""
        mode: str | None = self.field(self.entity_description.key)
        return mode

    @override
    async def async_select_option(self, option: str) -> None:
        """Change it."""
        self.async_change(**{self.entity_description.key: option})


class ProfileButton(ProfileEntity, ButtonEntity):
    """Deploys the profile, or what it was before."""

    entity_description: ProfileButtonRow

    @property
    @override
    def available(self) -> bool:
        """Tell whether the broker is there to deploy by, and there is what is asked for."""
        view = self.view
        can = view is not None and self.entity_description.can_fn(view)
        return can and self.specs.coordinator.connected

    @override
    async def async_press(self) -> None:
        """Do it, and wait until the cameras that are there hold it."""
        await self.entity_description.press_fn(self.specs.entry, self.subentry)


def _sensors(specs: Specs, subentry: ConfigSubentry) -> Iterable[Entity]:
    return [ProfileSensor(specs, subentry, row) for row in SENSORS]


def _numbers(specs: Specs, subentry: ConfigSubentry) -> Iterable[Entity]:
    return [ProfileNumber(specs, subentry, row) for row in NUMBERS]


def _selects(specs: Specs, subentry: ConfigSubentry) -> Iterable[Entity]:
    return [ProfileSelect(specs, subentry, row) for row in SELECTS]


def _buttons(specs: Specs, subentry: ConfigSubentry) -> Iterable[Entity]:
    return [ProfileButton(specs, subentry, row) for row in BUTTONS]


MAKERS: Mapping[Platform, Callable[[Specs, ConfigSubentry], Iterable[Entity]]] = MappingProxyType(
    {
        Platform.BUTTON: _buttons,
        Platform.NUMBER: _numbers,
        Platform.SELECT: _selects,
        Platform.SENSOR: _sensors,
    }
)


@callback
def async_follow_profiles(
    entry: SkylapseConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback, platform: Platform
) -> None:
    """Add what every profile has on a platform, now and whenever one comes."""
    async_follow_specs(entry, async_add_entities, SUBENTRY_PROFILE, MAKERS[platform])
