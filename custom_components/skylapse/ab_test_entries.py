"""What a subentry keeps of an A/B test.

Every test is a subentry of the entry, whoever started it, and stays one when it is over, until somebody
removes it. The subentry is the user's side of a test: its name, and when it ends; the test itself, with what
was compared, lies on the shelf (`brain/ab_tests.py`), and stays there when the subentry goes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentry

from .brain.ab_tests import AbTest
from .const import SUBENTRY_AB_TEST
from .protocol.codec import format_time, parse_time

_PREFIX = "ab_test/"
"""Ids of profiles and schedules, which are unique in the same entry, have no slash."""


def unique_id_of(test_id: str) -> str:
    """Return the unique id of a test's subentry."""
    return f"{_PREFIX}{test_id}"


def id_of_test(subentry: ConfigSubentry) -> str:
    """Return the id of the test that a subentry stands for."""
    return str(subentry.unique_id).removeprefix(_PREFIX)


def ends_at_of(subentry: ConfigSubentry) -> datetime:
    """Return when a test is to end, as its subentry says."""
    return parse_time(subentry.data["ends_at"])


def kept_of(test: AbTest, arms: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the subentry of a test keeps."""
    return {
        "camera": test.camera,
        "arms": [dict(arm) for arm in arms],
        "ends_at": format_time(test.ends_at),
    }


def subentry_of(test: AbTest, arms: Sequence[Mapping[str, Any]]) -> ConfigSubentry:
    """Return the subentry of a test."""
    return ConfigSubentry(
        data=MappingProxyType(kept_of(test, arms)),
        subentry_type=SUBENTRY_AB_TEST,
        title=test.name,
        unique_id=unique_id_of(test.id),
    )


def subentries_of(entry: ConfigEntry) -> dict[str, ConfigSubentry]:
    """Return the subentries of tests, by the test's id."""
    return {id_of_test(each): each for each in entry.get_subentries_of_type(SUBENTRY_AB_TEST)}
