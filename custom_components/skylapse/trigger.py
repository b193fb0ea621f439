"""Triggers of Skylapse's own, for automations: thin, over what the coordinator hears.

Automations may be there before an entry is loaded; triggers hear each coordinator while it lives. What the
broker kept from before is no happening.
"""

from abc import abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, get_args, override

import probatio
from homeassistant.const import CONF_FOR, CONF_OPTIONS, CONF_TARGET
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.trigger import (
    Trigger,
    TriggerActionRunner,
    TriggerConfig,
    TriggerNotTriggeredReporter,
)
from homeassistant.helpers.typing import ConfigType

from .automations import (
    CONF_MEASURE,
    CONF_PROFILE,
    CONF_SCHEDULE,
    CONF_THRESHOLD,
    IDS,
    async_follow_coordinator,
    cameras_of,
    check,
    coordinator_in,
)
from .brain.light import DIRECTIONS, MEASURES, Threshold, level_of
from .brain.schedules import RECIPES
from .coordinator import Happening, SkylapseCoordinator
from .facts import Subject
from .links import film_facts
from .protocol import topics
from .protocol.messages import CameraEvent, Film, LensFault, Reading, StoreState

CONF_DIRECTION = "direction"
CONF_FAULTS = "faults"
CONF_HYSTERESIS = "hysteresis"
CONF_MIN_FRAMES = "min_frames"
CONF_RECIPE = "recipe"

FAULTS: tuple[str, ...] = get_args(LensFault)
UNITS = {"lux": "lx", "scene_ev": "EV"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What happened to a camera: in words, and what else an automation may want to know of it."""

    camera: str
    words: str
    facts: dict[str, Any]


class SkylapseTrigger(Trigger):
    """What all triggers have in common: the cameras that they are for, and how they hear of them."""

    _fields: ClassVar[dict[Any, Any]]

    @override
    @classmethod
    async def async_validate_config(cls, hass: HomeAssistant, config: ConfigType) -> ConfigType:
        """Refuse what cannot be meant."""
        schema = probatio.Schema(
            {
                probatio.Required(CONF_TARGET): cv.TARGET_FIELDS,
                probatio.Required(CONF_OPTIONS, default={}): cls._fields,
            }
        )
        return check(hass, schema(config))

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Remember which cameras are meant, and how."""
        super().__init__(hass, config)
        self._target: ConfigType = config.target or {}
        self._options: dict[str, Any] = config.options or {}

    @override
    async def async_attach_runner(
        self, run_action: TriggerActionRunner, did_not_trigger: TriggerNotTriggeredReporter | None = None
    ) -> CALLBACK_TYPE:
        """Listen, now and whenever an entry is loaded; return what ends that."""

        @callback
        def hear(coordinator: SkylapseCoordinator, decoded: topics.Decoded) -> None:
            told = self._tell(coordinator, decoded)
            if told is not None:
                self._act(told, run_action)

        @callback
        def meet(coordinator: SkylapseCoordinator) -> Happening:
            self._meet(coordinator)
            return partial(hear, coordinator)

        return async_follow_coordinator(self._hass, meet)

    @callback
    def _meet(self, coordinator: SkylapseCoordinator) -> None:
        """Learn how things stand before anything happens."""

    @callback
    @abstractmethod
    def _tell(self, coordinator: SkylapseCoordinator, decoded: topics.Decoded) -> Told | None:
        """Return what a message tells of a camera, None where it is not what is waited for."""

    @callback
    def _act(self, told: Told, run_action: TriggerActionRunner) -> None:
        """Run the automation, if the camera is one of those that are meant."""
        device = cameras_of(self._hass, self._target).get(told.camera)
        if device is not None:
            run_action({"camera": told.camera, "device_id": device, **told.facts}, told.words)


class FilmReady(SkylapseTrigger):
    """A film was made."""

    _fields: ClassVar[dict[Any, Any]] = {
        probatio.Optional(CONF_SCHEDULE): IDS,
        probatio.Optional(CONF_PROFILE): IDS,
        probatio.Optional(CONF_RECIPE): probatio.All(cv.ensure_list, [probatio.In(RECIPES)]),
        probatio.Optional(CONF_MIN_FRAMES, default=1): cv.positive_int,
    }

    @callback
    @override
    def _tell(self, coordinator: SkylapseCoordinator, decoded: topics.Decoded) -> Told | None:
        film = decoded.message
        if not isinstance(film, Film) or film.change != "added":
            return None
        filed = {CONF_SCHEDULE: film.schedule, CONF_PROFILE: film.profile, CONF_RECIPE: film.recipe}
        is_wanted = all(value in (self._options.get(key) or [value]) for key, value in filed.items())
        if not is_wanted or film.frames < self._options[CONF_MIN_FRAMES]:
            return None
        return Told(
            camera=film.camera, words=f"film {film.title} is ready", facts=film_facts(coordinator, film)
        )


class CameraEventTrigger(SkylapseTrigger):
    """A bridge told of something."""

    _type: ClassVar[str]
    _words: ClassVar[str]
    _fields: ClassVar[dict[Any, Any]] = {probatio.Optional(CONF_SCHEDULE): IDS}

    @callback
    @override
    def _tell(self, coordinator: SkylapseCoordinator, decoded: topics.Decoded) -> Told | None:
        event = decoded.message
        if not isinstance(event, CameraEvent) or event.type != self._type:
            return None
        wanted = self._options.get(CONF_SCHEDULE)
        if wanted and event.schedule not in wanted:
            return None
        camera = _camera(decoded)
        return Told(
            camera=camera,
            words=f"{camera}: {self._words}",
            facts={"reason": event.reason, "window": event.window, "schedule": event.schedule},
        )


class CaptureFailed(CameraEventTrigger):
    """A frame could not be taken."""

    _type = "capture_failed"
    _words = "capture failed"


class WindowStarted(CameraEventTrigger):
    """A camera began to photograph by a schedule."""

    _type = "window_started"
    _words = "window started"


class WindowEnded(CameraEventTrigger):
    """A camera is through with a schedule for the day."""

    _type = "window_ended"
    _words = "window ended"


class LensObstructed(SkylapseTrigger):
    """Something came between a camera and its view."""

    _fields: ClassVar[dict[Any, Any]] = {
        probatio.Optional(CONF_FAULTS): probatio.All(cv.ensure_list, [probatio.In(FAULTS)])
    }

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Know of no lens yet."""
        super().__init__(hass, config)
        self._obstructed: dict[str, bool] = {}

    @callback
    @override
    def _meet(self, coordinator: SkylapseCoordinator) -> None:
        for name, camera in coordinator.system.cameras.items():
            if camera.store is not None:
                self._obstructed.setdefault(name, self._is_obstructed(camera.store))

    @callback
    @override
    def _tell(self, coordinator: SkylapseCoordinator, decoded: topics.Decoded) -> Told | None:
        store = decoded.message
        if not isinstance(store, StoreState):
            return None
        camera = _camera(decoded)
        before = self._obstructed.get(camera)
        if store.lens == "unknown" and before is not None:
            return None
        self._obstructed[camera] = self._is_obstructed(store)
        if before is not False or not self._obstructed[camera]:
            return None
        return Told(
            camera=camera,
            words=f"{camera}: {', '.join(store.lens_faults) or 'lens obstructed'}",
            facts={"faults": list(store.lens_faults), "day": store.day},
        )

    def _is_obstructed(self, store: StoreState) -> bool:
        wanted = self._options.get(CONF_FAULTS)
        return store.lens == "obstructed" and (not wanted or not set(wanted).isdisjoint(store.lens_faults))


class LightCrossed(SkylapseTrigger):
    """The light at a camera rose above, or fell below, a threshold, and stayed there if that is asked for."""

    _fields: ClassVar[dict[Any, Any]] = {
        probatio.Required(CONF_MEASURE, default="lux"): probatio.In(MEASURES),
        probatio.Required(CONF_DIRECTION, default="below"): probatio.In(DIRECTIONS),
        probatio.Required(CONF_THRESHOLD): probatio.Coerce(float),
        probatio.Optional(CONF_HYSTERESIS, default=0.3): probatio.All(
            probatio.Coerce(float), probatio.Range(min=0, max=10)
        ),
        probatio.Optional(CONF_FOR, default=timedelta(0)): cv.positive_time_period,
    }

    def __init__(self, hass: HomeAssistant, config: TriggerConfig) -> None:
        """Know of no light yet."""
        super().__init__(hass, config)
        self._threshold = Threshold(
            measure=self._options[CONF_MEASURE],
            value=self._options[CONF_THRESHOLD],
            direction=self._options[CONF_DIRECTION],
            hysteresis_ev=self._options[CONF_HYSTERESIS],
        )
        self._beyond: dict[str, bool] = {}
        self._pending: dict[str, CALLBACK_TYPE] = {}

    @override
    async def async_attach_runner(
        self, run_action: TriggerActionRunner, did_not_trigger: TriggerNotTriggeredReporter | None = None
    ) -> CALLBACK_TYPE:
        """Listen; what ends that ends waiting too."""
        stop = await super().async_attach_runner(run_action, did_not_trigger)

        @callback
        def detach() -> None:
            stop()
            for camera in list(self._pending):
                self._pending.pop(camera)()

        return detach

    @callback
    @override
    def _meet(self, coordinator: SkylapseCoordinator) -> None:
        for name, camera in coordinator.system.cameras.items():
            level = level_of(camera.reading, self._threshold.measure) if camera.reading else None
            if level is not None:
                self._beyond.setdefault(name, self._threshold.is_beyond(level))

    @callback
    @override
    def _tell(self, coordinator: SkylapseCoordinator, decoded: topics.Decoded) -> Told | None:
        reading = decoded.message
        if not isinstance(reading, Reading):
            return None
        level = level_of(reading, self._threshold.measure)
        if level is None:
            return None
        camera = _camera(decoded)
        before = self._beyond.get(camera)
        decide = self._threshold.stays_beyond if before else self._threshold.is_beyond
        self._beyond[camera] = decide(level)
        if not self._beyond[camera] and camera in self._pending:
            self._pending.pop(camera)()
        if before is not False or not self._beyond[camera]:
            return None
        return Told(camera=camera, words=self._words(camera), facts=self._facts(reading))

    @callback
    @override
    def _act(self, told: Told, run_action: TriggerActionRunner) -> None:
        """Run the automation at once, or once the light has stayed so for long enough."""
        if not self._options[CONF_FOR]:
            super()._act(told, run_action)
            return

        @callback
        def stayed(_now: object) -> None:
            del self._pending[told.camera]
            coordinator = coordinator_in(self._hass)
            if coordinator is None or not coordinator.is_available(Subject(kind="camera", id=told.camera)):
                del self._beyond[told.camera]  # nobody saw whether it stayed so
                return
            super(LightCrossed, self)._act(told, run_action)

        self._pending[told.camera] = async_call_later(self._hass, self._options[CONF_FOR], stayed)

    def _words(self, camera: str) -> str:
        limit = f"{self._threshold.value:g} {UNITS[self._threshold.measure]}"
        return f"{camera}: light is {self._threshold.direction} {limit}"

    def _facts(self, reading: Reading) -> dict[str, Any]:
        return {
            "lux": reading.lux,
            "scene_ev": reading.scene_ev,
            CONF_MEASURE: self._threshold.measure,
            CONF_DIRECTION: self._threshold.direction,
            CONF_THRESHOLD: self._threshold.value,
        }


TRIGGERS: dict[str, type[Trigger]] = {
    "capture_failed": CaptureFailed,
    "film_ready": FilmReady,
    "lens_obstructed": LensObstructed,
    "light_crossed": LightCrossed,
    "window_ended": WindowEnded,
    "window_started": WindowStarted,
}


async def async_get_triggers(_hass: HomeAssistant) -> dict[str, type[Trigger]]:
    """Return the triggers, as Home Assistant asks for them."""
    return TRIGGERS


def _camera(decoded: topics.Decoded) -> str:
    return f"{decoded.ids['bridge']}/{decoded.ids['camera']}"
