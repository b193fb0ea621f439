"""Conditions of Skylapse's own, for automations: thin, over the coordinator's facts.

What is not known is not so: of a camera that cannot be reached, and while no entry is loaded.
"""

from abc import abstractmethod
from typing import Any, ClassVar, Unpack, override

import probatio
from homeassistant.const import CONF_OPTIONS, CONF_TARGET
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.condition import (
    ATTR_BEHAVIOR,
    BEHAVIOR_ALL,
    BEHAVIOR_ANY,
    Condition,
    ConditionCheckParams,
    ConditionConfig,
)
from homeassistant.helpers.target import TargetSelection
from homeassistant.helpers.typing import ConfigType

from .automations import CONF_MEASURE, CONF_SCHEDULE, CONF_THRESHOLD, IDS, cameras_of, check, coordinator_in
from .brain.light import MEASURES, level_of
from .brain.plan import schedule_of
from .coordinator import SkylapseCoordinator
from .facts import PROCESSOR, CameraFacts, Subject


class CameraCondition(Condition):
    """Something that is so of any, or of all, of some cameras."""

    _fields: ClassVar[dict[Any, Any]] = {}

    @override
    @classmethod
    async def async_validate_config(cls, hass: HomeAssistant, config: ConfigType) -> ConfigType:
        """Refuse what cannot be meant."""
        behavior = probatio.Required(ATTR_BEHAVIOR, default=BEHAVIOR_ANY)
        schema = probatio.Schema(
            {
                probatio.Required(CONF_TARGET): cv.TARGET_FIELDS,
                probatio.Required(CONF_OPTIONS, default={}): {
                    behavior: probatio.In([BEHAVIOR_ANY, BEHAVIOR_ALL]),
                    **cls._fields,
                },
            }
        )
        return check(hass, schema(config))

    def __init__(self, hass: HomeAssistant, config: ConditionConfig) -> None:
        """Remember which cameras are meant, and how."""
        super().__init__(hass, config)
        self._target: ConfigType = config.target or {}
        self._options: dict[str, Any] = config.options or {}

    @override
    def _async_check(self, **kwargs: Unpack[ConditionCheckParams]) -> bool:
        coordinator = coordinator_in(self._hass)
        cameras = cameras_of(self._hass, self._target)
        if coordinator is None or not cameras:
            return False
        results = [self._is_known_so(coordinator, camera) for camera in cameras]
        return all(results) if self._options[ATTR_BEHAVIOR] == BEHAVIOR_ALL else any(results)

    def _is_known_so(self, coordinator: SkylapseCoordinator, camera: str) -> bool:
        facts = coordinator.camera(camera)
        if facts is None or not coordinator.is_available(Subject(kind="camera", id=camera)):
            return False
        return self._is_so(facts)

    @abstractmethod
    def _is_so(self, camera: CameraFacts) -> bool:
        """Tell whether it is so of a camera that can be reached."""


class IsCapturing(CameraCondition):
    """A camera takes frames."""

    @override
    def _is_so(self, camera: CameraFacts) -> bool:
        return bool(camera.is_capturing)


class IsInWindow(CameraCondition):
    """A window of a camera is open, whether or not frames are taken."""

    _fields: ClassVar[dict[Any, Any]] = {probatio.Optional(CONF_SCHEDULE): IDS}

    @override
    def _is_so(self, camera: CameraFacts) -> bool:
        window = camera.state.active_window if camera.state else None
        if window is None:
            return False
        wanted = self._options.get(CONF_SCHEDULE)
        return not wanted or schedule_of(window) in wanted


class HasEnoughLight(CameraCondition):
    """What a camera metered last is as bright as asked for."""

    _fields: ClassVar[dict[Any, Any]] = {
        probatio.Required(CONF_MEASURE, default="lux"): probatio.In(MEASURES),
        probatio.Required(CONF_THRESHOLD): probatio.Coerce(float),
    }

    @override
    def _is_so(self, camera: CameraFacts) -> bool:
        level = level_of(camera.reading, self._options[CONF_MEASURE]) if camera.reading else None
        return level is not None and level >= self._options[CONF_THRESHOLD]


class IsRendering(Condition):
    """The processor makes a film, of one of these cameras where some are named."""

    @override
    @classmethod
    async def async_validate_config(cls, hass: HomeAssistant, config: ConfigType) -> ConfigType:
        """Refuse what cannot be meant."""
        schema = probatio.Schema(
            {
                probatio.Optional(CONF_TARGET): cv.TARGET_FIELDS,
                probatio.Required(CONF_OPTIONS, default={}): {},
            }
        )
        asked: ConfigType = schema(config)
        if not TargetSelection(asked.get(CONF_TARGET, {})).has_any_target:
            asked.pop(CONF_TARGET, None)  # the editor leaves an empty one behind
        return check(hass, asked)

    def __init__(self, hass: HomeAssistant, config: ConditionConfig) -> None:
        """Remember which cameras are meant."""
        super().__init__(hass, config)
        self._target = config.target

    @override
    def _async_check(self, **kwargs: Unpack[ConditionCheckParams]) -> bool:
        coordinator = coordinator_in(self._hass)
        if coordinator is None or not coordinator.is_available(PROCESSOR):
            return False
        processor = coordinator.system.processor
        if self._target is not None:
            return processor.job is not None and processor.job.camera in cameras_of(self._hass, self._target)
        return processor.job is not None or bool(processor.health and processor.health.current_job)


CONDITIONS: dict[str, type[Condition]] = {
    "has_enough_light": HasEnoughLight,
    "is_capturing": IsCapturing,
    "is_in_window": IsInWindow,
    "is_rendering": IsRendering,
}


async def async_get_conditions(_hass: HomeAssistant) -> dict[str, type[Condition]]:
    """Return the conditions, as Home Assistant asks for them."""
    return CONDITIONS
