"""Choices of a camera: the profile that it photographs with, and whether it follows its plan."""

from typing import override

from homeassistant.components.select import SelectEntity, SelectEntityDescription
from homeassistant.const import EntityCategory, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import SkylapseCoordinator
from .data import SkylapseConfigEntry
from .entity import CameraEntity, WishEntity, async_follow
from .facts import Subject
from .profile_entities import async_follow_profiles
from .schedule_entities import async_follow_schedules

PARALLEL_UPDATES = 1

BY_SCHEDULE = "by_schedule"

PROFILE = SelectEntityDescription(key="profile", translation_key="camera_profile")
MODE = SelectEntityDescription(
    key="mode",
    translation_key="mode",
    options=["deployed", "live"],
    entity_category=EntityCategory.CONFIG,
)


async def async_setup_entry(
    _hass: HomeAssistant,
    entry: SkylapseConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the choices of every camera that is present, and comes; those of schedules and profiles too."""
    async_follow(entry, async_add_entities, _make)
    async_follow_schedules(entry, async_add_entities, Platform.SELECT)
    async_follow_profiles(entry, async_add_entities, Platform.SELECT)


def _make(coordinator: SkylapseCoordinator, subject: Subject) -> list[SelectEntity]:
    if subject.kind != "camera":
        return []
    return [ProfileSelect(coordinator, subject, PROFILE), ModeSelect(coordinator, subject, MODE)]


class ProfileSelect(WishEntity, SelectEntity):
    """The profile that rules now: the one that the user chose for this camera, else its schedules'."""

    @override
    def shown(self) -> object:
        """Whether it is available, what rules and what else could."""
        return self.available, self.current_option, self.options

    @property
    @override
    def options(self) -> list[str]:
        """The way back to the schedules, and every profile that can be deployed."""
        return [BY_SCHEDULE, *self._names().values()]

    @property
    @override
    def current_option(self) -> str | None:
        """The profile that rules, None where no schedule has one for this camera."""
        names = self._names()
        if self.wish.profile in names:
            return names[self.wish.profile]
        return names.get(self.window.profiles[0]) if self.window else None

    @override
    async def async_select_option(self, option: str) -> None:
        """Wish for a profile, or wish for none any more."""
        ids = {name: profile for profile, name in self._names().items()}
        await self.async_wish(profile=ids.get(option))

    def _names(self) -> dict[str | None, str]:
        """Return what each profile is called here, by its id: no two alike, none like the way back."""
        configuration = self.deployer.configuration
        if configuration is None:
            return {}
        names: dict[str | None, str] = {}
        for profile in configuration.usable:
            name = configuration.profiles[profile].name
            is_taken = name == BY_SCHEDULE or name in names.values()
            names[profile] = f"{name} ({profile})" if is_taken else name
        return names


class ModeSelect(CameraEntity, SelectEntity):
    """Whether the camera follows its plan. The bridge's state says so, never the choice itself."""

    @override
    def shown(self) -> object:
        """Whether it is available, and the mode."""
        return self.available, self.current_option

    @property
    @override
    def current_option(self) -> str | None:
        """What the camera says; what interrupts its plan for one frame is still the plan."""
        camera = self.camera
        if camera is None or camera.state is None:
            return None
        return "live" if camera.state.mode == "live" else "deployed"

    @override
    async def async_select_option(self, option: str) -> None:
        """Have the camera follow its plan, or only do what it is asked."""
        await self.async_command("set_mode", mode=option)
