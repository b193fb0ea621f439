"""What all actions share: whom they are for, how long they wait, and how they say what went wrong."""

from typing import Any

import probatio
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er

from ..brain.errors import BrainError
from ..const import (
    CONF_REPLY_LIMIT_S,
    DEFAULT_REPLY_LIMIT_S,
    DOMAIN,
    SUBENTRY_PROFILE,
)
from ..coordinator import SkylapseCoordinator
from ..data import SkylapseConfigEntry
from ..devices import subject_of
from ..entity import failed, translated
from ..errors import CommandError, ProcessorError, ProcessorKeyError, ProcessorUnreachableError
from ..facts import PROCESSOR, CameraFacts
from ..processor import ProcessorClient

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


def camera_named(hass: HomeAssistant, coordinator: SkylapseCoordinator, asked: str) -> CameraFacts:
    """Return the camera that is meant: by one of its entities, its device, or as `<bridge>/<camera>`."""
    entity = er.async_get(hass).async_get(asked)
    device = dr.async_get(hass).async_get(entity.device_id if entity and entity.device_id else asked)
    subject = subject_of(device.identifiers) if device is not None else None
    camera = coordinator.camera(subject.id if subject else asked)
    if camera is None:
        raise invalid("camera_unknown", camera=asked)
    return camera


def camera_of(call: ServiceCall, coordinator: SkylapseCoordinator) -> CameraFacts:
    """Return the camera that a call is for."""
    return camera_named(call.hass, coordinator, call.data[ATTR_CAMERA])


def present_camera_of(call: ServiceCall, coordinator: SkylapseCoordinator) -> CameraFacts:
    """Return the camera that a call is for; raise where its bridge cannot be reached."""
    camera = camera_of(call, coordinator)
    if not (coordinator.connected and camera.online):
        raise failed("camera_offline", camera=str(camera.name))
    return camera


def subentry_named(entry: SkylapseConfigEntry, kind: str, asked: str) -> ConfigSubentry | None:
    """Return the profile or schedule that is meant, by its id or its name; raise where several may be.

    Both may be written in capitals or not, where that still means only one.
    """
    found = list(entry.get_subentries_of_type(kind))
    folded = asked.casefold()
    meant = (
        [each for each in found if each.unique_id == asked]
        or [each for each in found if each.title == asked]
        or [each for each in found if folded in (str(each.unique_id).casefold(), each.title.casefold())]
    )
    if len(meant) > 1:
        raise invalid("name_of_several", name=asked, ids=", ".join(str(each.unique_id) for each in meant))
    return meant[0] if meant else None


def profile_named(entry: SkylapseConfigEntry, asked: str) -> ConfigSubentry:
    """Return the profile that is meant, by its id or its name; raise where there is none."""
    profile = subentry_named(entry, SUBENTRY_PROFILE, asked)
    if profile is None:
        raise invalid("profile_unknown", profile=asked)
    return profile


async def async_ask_processor(
    coordinator: SkylapseCoordinator, name: str, args: dict[str, Any], longer_s: float = 0.0
) -> dict[str, Any]:
    """Have the processor do something and return what it replies; raise what a user is told."""
    check_processor(coordinator)
    try:
        return await coordinator.async_command_processor(name, args, limit_s(coordinator) + longer_s)
    except CommandError as error:
        raise translated(error, "processor") from error


def answered(answer: dict[str, Any], field: str) -> str:
    """Return a field that an answer of the processor has to have; raise where it lacks it."""
    found = answer.get(field)
    if not isinstance(found, str) or not found:
        raise failed("answer_unfit", field=field)
    return found


def check_processor(coordinator: SkylapseCoordinator) -> None:
    """Raise where the processor cannot be reached by MQTT."""
    if not coordinator.is_available(PROCESSOR):
        raise failed("processor_offline")


def client_of(coordinator: SkylapseCoordinator) -> ProcessorClient:
    """Return the way to the processor's lists; raise where Skylapse has no key for it."""
    if coordinator.client is None:
        raise invalid("no_processor")
    return coordinator.client


def untold(coordinator: SkylapseCoordinator, error: ProcessorError) -> HomeAssistantError:
    """Return what a user is told where the processor's lists cannot be read."""
    if isinstance(error, ProcessorKeyError):
        coordinator.entry.async_start_reauth(coordinator.hass)
        return failed("processor_key")
    if isinstance(error, ProcessorUnreachableError):
        return failed("processor_unreachable", url=str(client_of(coordinator).url))
    return failed("processor_failed", reason=str(error))


def limit_s(coordinator: SkylapseCoordinator) -> float:
    """Return how long a reply is waited for."""
    return float(coordinator.entry.options.get(CONF_REPLY_LIMIT_S, DEFAULT_REPLY_LIMIT_S))


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
