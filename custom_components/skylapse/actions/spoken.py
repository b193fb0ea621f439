"""What is wrong with what an action was given, in the user's words instead of the validator's.

Only what somebody can do in a form is said so: two fields that exclude each other, and figures out of range.
"""

from collections.abc import Callable, Mapping
from typing import Any

import probatio
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.translation import async_get_cached_translations

from ..const import DOMAIN
from ..forms import words_of_choices
from .base import invalid

type Called = Callable[..., str]
"""What a field is called in the form of its action, and in brackets where in that."""


def spoken(hass: HomeAssistant, action: str, schema: probatio.Schema) -> probatio.Schema:
    """Return a schema that raises ServiceValidationError for what it has words for, Invalid otherwise."""

    def check(given: Mapping[str, Any]) -> Any:
        try:
            return schema(given)
        except probatio.MultipleInvalid as refusal:
            called = _called(hass, action)
            for error in refusal.errors:
                if (told := _told(error, schema, given, called)) is not None:
                    raise told from refusal
            raise

    return probatio.Schema(check)


def _called(hass: HomeAssistant, action: str) -> Called:
    """Return what tells how the fields of an action are called in Home Assistant's language.

    Within a field people count from one; only the arms of an A/B test have settings.
    """
    words = async_get_cached_translations(hass, hass.config.language, "services", DOMAIN)
    settings = words_of_choices(hass)

    def called(field: object, *inner: object) -> str:
        name = words.get(f"component.{DOMAIN}.services.{action}.fields.{field}.name", str(field))
        where = ", ".join(
            str(each + 1)
            if isinstance(each, int)
            else settings.get(f"ab_test_arm.fields.{each}.name", str(each))
            for each in inner
        )
        return f"{name} ({where})" if where else name

    return called


def _told(
    error: probatio.Invalid, schema: probatio.Schema, given: Mapping[str, Any], called: Called
) -> ServiceValidationError | None:
    if isinstance(error, probatio.ExclusiveInvalid | probatio.InclusiveInvalid):
        return _of_group(error.placeholders["group"], schema, given, called)
    if isinstance(error, probatio.RangeInvalid):
        field = called(*error.path)
        if "min" in error.placeholders:
            return invalid("too_low", field=field, limit=str(error.placeholders["min"]))
        return invalid("too_high", field=field, limit=str(error.placeholders["max"]))
    return None


def _of_group(
    group: str, schema: probatio.Schema, given: Mapping[str, Any], called: Called
) -> ServiceValidationError:
    """Return what is said of fields that exclude each other, or belong together."""
    match group:
        case "span":
            return invalid("day_and_start")
        case "colour":
            return invalid("temperature_and_gains")
        case "which":
            return invalid("camera_and_id")
        case "exposure":
            return invalid("time_without_gain")
    members = [each for each in schema.schema if getattr(each, "group_of_exclusion", None) == group]
    return invalid("paces", given=", ".join(called(each) for each in members if str(each) in given))
