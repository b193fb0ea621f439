"""The room of schedules and profiles: what each is at, who follows them, and how they are changed.

They live in the entry's subentries. Their entities come and go with them, without the entry being loaded
anew; what changes them is kept in the subentry, and deployed by whoever listens to the entry.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from homeassistant.components import mqtt
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.event import async_track_point_in_utc_time
from homeassistant.util import dt as dt_util

from .brain.compiling import check_change, resolve
from .brain.errors import BrainError
from .brain.ledger import Edition
from .brain.outlook import Outlook, look, window_in_view
from .brain.profiles import ProfileSpec
from .brain.schedules import ScheduleSpec
from .configuration import UNREADABLE, read_place, read_profiles, read_schedules
from .const import DOMAIN, SUBENTRY_PROFILE, SUBENTRY_SCHEDULE
from .coordinator import SkylapseCoordinator
from .deployer import Deployer
from .devices import MANUFACTURER
from .facts import CameraFacts, Subject
from .protocol.snapshot import Window

if TYPE_CHECKING:
    from .data import SkylapseConfigEntry

MODELS: Mapping[str, str] = {SUBENTRY_SCHEDULE: "Schedule", SUBENTRY_PROFILE: "Profile"}
"""What the devices of subentries are, by type."""

SHORTEST_REST = timedelta(seconds=1)

type NewSpec = Callable[[ConfigSubentry], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleView:
    """A schedule and what it is at."""

    spec: ScheduleSpec
    outlook: Outlook
    cameras: tuple[CameraFacts, ...]
    """Those that are there and photograph by it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileView:
    """A profile and where it is."""

    spec: ProfileSpec
    """With every field filled in."""
    usable: bool
    """Whether it could be compiled when everything was deployed last."""
    version: int | None
    editions: tuple[Edition, ...]
    cameras: tuple[CameraFacts, ...]
    schedules: tuple[str, ...]
    """Names of the schedules that photograph with it."""


class Specs:
    """Knows what schedules and profiles are at."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: SkylapseConfigEntry,
        coordinator: SkylapseCoordinator,
        deployer: Deployer,
    ) -> None:
        """Remember whom to serve."""
        self.hass = hass
        self.entry = entry
        self.coordinator = coordinator
        self.deployer = deployer
        self.in_view: Window | None = None
        """The window that rules now, or opens next."""
        self.schedules: dict[str, ScheduleSpec] = {}
        self.effective: tuple[ScheduleSpec, ...] = ()
        """The schedules as they are followed: one that cannot be used is as one that is switched off."""
        self._profiles: dict[str, ProfileSpec] = {}
        self._outlooks: dict[str, Outlook] = {}
        self._schedule_views: dict[str, ScheduleView | None] = {}
        self._profile_views: dict[str, ProfileView | None] = {}
        """What was asked for since everything was looked at anew: many entities ask, several times each."""
        self._listeners: list[CALLBACK_TYPE] = []
        self._followers: list[NewSpec] = []
        self._known: set[str] = set()
        self._stops: dict[str, CALLBACK_TYPE] = {}
        """What ends the following of each camera."""
        self._wake: CALLBACK_TYPE | None = None
        self._soon: asyncio.Handle | None = None

    @callback
    def async_start(self) -> None:
        """Begin to watch."""
        self._known = set(self.entry.subentries)
        on_unload = self.entry.async_on_unload
        on_unload(self.coordinator.async_listen_presence(self._presence_changed))
        on_unload(self.deployer.async_listen(self._refresh_soon))
        on_unload(mqtt.async_subscribe_connection_status(self.hass, self._connection_changed))
        on_unload(self._stop)
        self._refresh()

    @property
    def cameras(self) -> list[CameraFacts]:
        """The cameras that are there."""
        return [facts for facts in self.coordinator.system.cameras.values() if facts.info is not None]

    def schedule(self, spec_id: str) -> ScheduleView | None:
        """Return a schedule and what it is at, None where there is none."""
        if spec_id not in self._schedule_views:
            self._schedule_views[spec_id] = self._view_schedule(spec_id)
        return self._schedule_views[spec_id]

    def profile(self, spec_id: str) -> ProfileView | None:
        """Return a profile and where it is, None where there is none or its bases cannot be followed."""
        if spec_id not in self._profile_views:
            self._profile_views[spec_id] = self._view_profile(spec_id)
        return self._profile_views[spec_id]

    def _view_schedule(self, spec_id: str) -> ScheduleView | None:
        spec = self.schedules.get(spec_id)
        if spec is None:
            return None
        return ScheduleView(spec=spec, outlook=self._outlooks[spec_id], cameras=self._cameras_of(spec))

    def _view_profile(self, spec_id: str) -> ProfileView | None:
        try:
            spec = resolve(self._profiles, spec_id)
        except UNREADABLE:
            return None
        ledger, configuration = self.deployer.ledger, self.deployer.configuration
        return ProfileView(
            spec=spec,
            usable=configuration is None or spec_id in configuration.usable,
            version=ledger.version(f"profile/{spec_id}"),
            editions=ledger.editions(f"profile/{spec_id}"),
            cameras=tuple(self.cameras),
            schedules=tuple(each.name for each in self.schedules.values() if spec_id in each.profiles),
        )

    @callback
    def async_listen(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call `listener` whenever something about schedules or profiles changes; return what ends that."""
        self._listeners.append(listener)
        return partial(self._listeners.remove, listener)

    @callback
    def async_follow(self, kind: str, follower: NewSpec) -> CALLBACK_TYPE:
        """Call `follower` with every subentry of a kind that is there, and comes; return what ends that."""

        @callback
        def follow(subentry: ConfigSubentry) -> None:
            if subentry.subentry_type == kind and subentry.unique_id:
                follower(subentry)

        self._followers.append(follow)
        for subentry in self.entry.subentries.values():
            follow(subentry)
        return lambda: self._followers.remove(follow)

    @callback
    def async_changed(self) -> None:
        """Take in that subentries came, went or changed."""
        self._refresh_soon()

    @callback
    def async_change(self, subentry: ConfigSubentry, changes: Mapping[str, Any]) -> None:
        """Change fields of a schedule or profile; raise ServiceValidationError for what cannot be meant."""
        data = {**subentry.data, **changes}
        try:
            self._check(subentry, data)
        except BrainError as error:
            raise ServiceValidationError(
                translation_domain=DOMAIN, translation_key=error.key, translation_placeholders=error.places
            ) from error
        self.hass.config_entries.async_update_subentry(self.entry, subentry, data=data)

    def device_info(self, subentry: ConfigSubentry) -> DeviceInfo:
        """Return the device of a schedule or profile."""
        kind = subentry.subentry_type
        return DeviceInfo(
            identifiers={(DOMAIN, f"{kind}:{subentry.unique_id}")},
            name=subentry.title,
            manufacturer=MANUFACTURER,
            model=MODELS[kind],
            model_id=subentry.unique_id,  # what triggers, conditions and YAML call it
            entry_type=DeviceEntryType.SERVICE,
        )

    def _check(self, subentry: ConfigSubentry, data: Mapping[str, Any]) -> None:
        spec_id = str(subentry.unique_id)
        if subentry.subentry_type == SUBENTRY_SCHEDULE:
            ScheduleSpec.read(spec_id, subentry.title, data)
            return
        check_change(self._profiles, ProfileSpec.read(spec_id, subentry.title, data))

    def _cameras_of(self, schedule: ScheduleSpec) -> tuple[CameraFacts, ...]:
        return tuple(facts for facts in self.cameras if schedule.covers(str(facts.name)))

    @callback
    def _presence_changed(self, came: set[Subject], went: set[Subject]) -> None:
        """Follow the cameras that are there, and look at everything anew."""
        for subject in went:
            if stop := self._stops.pop(subject.id, None):
                stop()
        for subject in came:
            if subject.kind == "camera":
                self._follow_camera(subject)
        self._refresh_when_deployed()

    @callback
    def _connection_changed(self, _connected: bool) -> None:  # noqa: FBT001 the signature is Home Assistant's
        self._refresh_soon()

    @callback
    def _follow_camera(self, subject: Subject) -> None:
        """Tell of a camera's messages only where they change what schedules and profiles are at."""
        known = self._signs(subject.id)

        @callback
        def changed() -> None:
            nonlocal known
            signs = self._signs(subject.id)
            if signs != known:
                known = signs
                self._refresh_when_deployed()

        self._stops[subject.id] = self.coordinator.async_listen(subject, changed)

    def _signs(self, camera: str) -> object:
        facts = self.coordinator.system.cameras.get(camera)
        window = facts.state.active_window if facts and facts.state else None
        return (facts.applied, facts.clock, facts.online, window) if facts else None

    @callback
    def _rename(self) -> None:
        """Let devices be called as their subentries are."""
        registry = dr.async_get(self.hass)
        for subentry_id in self._known & self.entry.subentries.keys():
            subentry = self.entry.subentries[subentry_id]
            identifier = (DOMAIN, f"{subentry.subentry_type}:{subentry.unique_id}")
            device = registry.async_get_device_by_identifier(identifier, self.entry.entry_id)
            if device is not None and device.name != subentry.title:
                registry.async_update_device(device.id, name=subentry.title)

    @callback
    def _refresh_when_deployed(self) -> None:
        """Look at everything anew; in a rush of arrivals once, when all got what is deployed to them."""
        if not self.deployer.is_deploying:
            self._refresh_soon()

    @callback
    def _refresh_soon(self) -> None:
        """Look at everything anew, once for all that happens until then."""
        if self._soon is None:
            self._soon = self.hass.loop.call_soon(self._refresh)

    @callback
    def _refresh(self) -> None:
        """Look at everything anew, and again when the first window opens or closes."""
        self._forget_soon()
        self._rename()
        came = [each for key, each in self.entry.subentries.items() if key not in self._known]
        self._known = set(self.entry.subentries)
        self._schedule_views.clear()
        self._profile_views.clear()
        now, place = dt_util.utcnow(), read_place(self.hass)
        self.schedules = read_schedules(self.entry)
        self._profiles = read_profiles(self.entry)
        configuration = self.deployer.configuration
        usable = set(self._profiles) - (configuration.left_out if configuration is not None else frozenset())
        self._outlooks = {
            each.id: look(
                each,
                place,
                [camera.clock for camera in self._cameras_of(each)],
                now,
                usable=usable.issuperset(each.profiles),
            )
            for each in self.schedules.values()
        }
        self.effective = tuple(
            each if usable.issuperset(each.profiles) else replace(each, enabled=False)
            for each in self.schedules.values()
        )
        self.in_view, changes_at = window_in_view(self.effective, place, now)
        changes = [changes_at, *(outlook.changes_at for outlook in self._outlooks.values())]
        self._wake_at(min((each for each in changes if each is not None), default=None), now)
        for subentry in came:
            for follower in tuple(self._followers):
                follower(subentry)
        for listener in tuple(self._listeners):
            listener()

    @callback
    def _wake_at(self, moment: datetime | None, now: datetime) -> None:
        self._stop_waking()
        if moment is not None:
            moment = max(moment, now + SHORTEST_REST)
            self._wake = async_track_point_in_utc_time(self.hass, self._woken, moment)

    @callback
    def _woken(self, _now: datetime) -> None:
        self._wake = None
        self._refresh()

    @callback
    def _stop(self) -> None:
        self._stop_waking()
        self._forget_soon()
        for stop in self._stops.values():
            stop()

    @callback
    def _forget_soon(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None

    @callback
    def _stop_waking(self) -> None:
        if self._wake is not None:
            self._wake()
            self._wake = None
