"""What all actions share: whom they are for, how long they wait, and how they say what went wrong."""

from typing import Any

import probatio
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er

from ..brain.errors import BrainError
from ..const import CONF_REPLY_LIMIT_S, DEFAULT_REPLY_LIMIT_S, DOMAIN
from ..coordinator import SkylapseCoordinator
from ..data import SkylapseConfigEntry
from ..devices import subject_of
from ..facts import CameraFacts

ATTR_CAMERA = "camera"


def within(low: float, high: float) -> Any:
    """Return what takes a number in a range."""
    return probatio.All(probatio.Coerce(float), probatio.Range(min=low, max=high))


def whole(low: int, high: int) -> Any:
    """Return what takes a whole number in a range."""
    return probatio.All(probatio.Coerce(int), probatio.Range(min=low, max=high))


def setting_fields() -> dict[Any, Any]:
    """Return the fields of a profile that an arm of an A/B test may change."""
    optional = probatio.Optional
    return {
        optional("ev"): within(-5, 5),
        optional("night_ev"): within(-5, 5),
        optional("metering"): cv.string,
        optional("regions"): [dict],
        optional("white_balance"): cv.string,
        optional("kelvin"): whole(2000, 12_000),
        optional("curve"): cv.string,
        optional("curve_points"): [dict],
        optional("max_exposure_s"): within(0, 3600),
        optional("max_gain"): within(0, 64),
        optional("jpeg_quality"): whole(50, 100),
        optional("bracket_ev"): [probatio.Coerce(float)],
        optional("average"): whole(1, 64),
        optional("focus"): cv.string,
        optional("focus_dioptre"): within(0, 50),
        optional("focus_bracket"): [probatio.Coerce(float)],
        optional("raw"): cv.boolean,
    }


def entry_of(hass: HomeAssistant) -> SkylapseConfigEntry:
    """Return the entry that is loaded."""
    entries: list[SkylapseConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    if not entries:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="not_loaded")
    return entries[0]


def coordinator_of(hass: HomeAssistant) -> SkylapseCoordinator:
    """Return the coordinator of the entry that is loaded."""
    return entry_of(hass).runtime_data.coordinator


def camera_of(call: ServiceCall, coordinator: SkylapseCoordinator) -> CameraFacts:
    """Return the camera that is meant: by one of its entities, its device, or as `<bridge>/<camera>`."""
    asked = call.data[ATTR_CAMERA]
    entity = er.async_get(call.hass).async_get(asked)
    device = dr.async_get(call.hass).async_get(entity.device_id if entity and entity.device_id else asked)
    subject = subject_of(device.identifiers) if device is not None else None
    camera = coordinator.camera(subject.id if subject else asked)
    if camera is None:
        raise invalid("camera_unknown", camera=asked)
    return camera


def present_camera_of(call: ServiceCall, coordinator: SkylapseCoordinator) -> CameraFacts:
    """Return the camera that is meant; raise where its bridge cannot be reached."""
    camera = camera_of(call, coordinator)
    if not (coordinator.connected and camera.online):
        raise failed("camera_offline", camera=str(camera.name))
    return camera


def limit_s(coordinator: SkylapseCoordinator) -> float:
    """Return how long a reply is waited for."""
    return float(coordinator.entry.options.get(CONF_REPLY_LIMIT_S, DEFAULT_REPLY_LIMIT_S))


def failed(key: str, **places: str) -> HomeAssistantError:
    """Return the error of what was tried and did not succeed."""
    return HomeAssistantError(translation_domain=DOMAIN, translation_key=key, translation_placeholders=places)


def invalid(key: str, **places: str) -> ServiceValidationError:
    """Return the error of what was asked and cannot be meant."""
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=places
    )


def unusable(error: BrainError) -> ServiceValidationError:
    """Return the error of what was asked and cannot be compiled."""
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=error.key, translation_placeholders=error.places
    )
