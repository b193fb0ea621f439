"""One row of the tables of sensors: how a value is read from the facts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from homeassistant.components.sensor import SensorEntityDescription
from homeassistant.helpers.typing import StateType

type Value = StateType | datetime


@dataclass(frozen=True, kw_only=True)
class SensorRow[F](SensorEntityDescription):
    """One sensor: how its value, and its attributes if any, are read from the facts."""

    value_fn: Callable[[F], Value]
    attributes_fn: Callable[[F], dict[str, Any]] | None = None
    needs_focus: bool = False
    """Only for cameras whose lens moves."""
    from_processor: bool = False
    """Known from the processor, whoever's device it belongs to: it is there while a bridge is away."""


def booted(at: datetime, uptime_s: float) -> datetime | None:
    """Return when a program began that ran for so long at a moment, None before all calendars."""
    try:
        return at - timedelta(seconds=uptime_s)
    except OverflowError:
        return None
