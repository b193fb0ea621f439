"""Work that is done when it is asked for, once at a time, and later by itself where it says so."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_track_point_in_utc_time

if TYPE_CHECKING:
    import asyncio

    from ..data import SkylapseConfigEntry

type Work = Callable[[], Awaitable[datetime | None]]
"""Does what there is to do; returns when to look again by itself, None for not before somebody asks."""


class Errand:
    """Runs work in the background of the entry."""

    def __init__(self, hass: HomeAssistant, entry: SkylapseConfigEntry, name: str, work: Work) -> None:
        """Remember what is to be done."""
        self._hass = hass
        self._entry = entry
        self._name = name
        self._work = work
        self._asked = False
        self._stopped = False
        self._task: asyncio.Task[None] | None = None
        self._timer: CALLBACK_TYPE | None = None

    @callback
    def async_ask(self) -> None:
        """Have the work done now, or once more after what is being done."""
        self._asked = True
        if self._task is None and not self._stopped:
            self._stop_waiting()
            self._task = self._entry.async_create_background_task(
                self._hass, self._run(), self._name, eager_start=False
            )

    @callback
    def async_stop(self) -> None:
        """Do no more."""
        self._stopped = True
        self._stop_waiting()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        again: datetime | None = None
        try:
            while self._asked:
                self._asked = False
                again = await self._work()
        finally:
            self._task = None
        if again is not None and not self._stopped:
            self._timer = async_track_point_in_utc_time(self._hass, self._due, again)

    @callback
    def _due(self, _now: datetime) -> None:
        self._timer = None
        self.async_ask()

    @callback
    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer()
            self._timer = None
