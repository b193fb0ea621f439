"""What is wrong with what an action was given, in the user's words instead of the validator's.

Only what somebody can do in a form is said so: two fields that exclude each other, and figures out of range.
"""

from collections.abc import Mapping
from typing import Any

import probatio
from homeassistant.exceptions import ServiceValidationError

from .base import invalid


def spoken(schema: probatio.Schema) -> probatio.Schema:
    """Return a schema that raises ServiceValidationError for what it has words for, Invalid otherwise."""

    def check(given: Mapping[str, Any]) -> Any:
        try:
            return schema(given)
        except probatio.MultipleInvalid as refusal:
            for error in refusal.errors:
                if (told := _told(error, schema, given)) is not None:
                    raise told from refusal
            raise

    return probatio.Schema(check)


def _told(
    error: probatio.Invalid, schema: probatio.Schema, given: Mapping[str, Any]
) -> ServiceValidationError | None:
    if isinstance(error, probatio.ExclusiveInvalid | probatio.InclusiveInvalid):
        return _of_group(error.placeholders["group"], schema, given)
    if isinstance(error, probatio.RangeInvalid):
        field = ".".join(str(part) for part in error.path)
        if "min" in error.placeholders:
            return invalid("too_low", field=field, limit=str(error.placeholders["min"]))
        return invalid("too_high", field=field, limit=str(error.placeholders["max"]))
    return None


def _of_group(group: str, schema: probatio.Schema, given: Mapping[str, Any]) -> ServiceValidationError:
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
    return invalid("paces", given=", ".join(str(each) for each in members if str(each) in given))
