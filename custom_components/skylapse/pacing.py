"""Waking whoever shows facts: at once while little is said, in turns in a rush, so that the loop stays free.

A camera has dozens of entities, and writing one takes longer than reading the message that changed it. What
is in turn shows the newest facts, so that nothing but states between them is left out.
"""

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable

from homeassistant.core import callback

from .facts import Subject

BURST = 200
"""So many are woken at once: all that is retained of fifty cameras."""
RATE_HZ = 100.0
TURN_S = 0.05
PER_TURN = 5


class Pace:
    """Wakes the listeners of subjects, in a rush a few at a time."""

    def __init__(self, loop: AbstractEventLoop, wake: Callable[[Subject], None]) -> None:
        """Remember whom to call."""
        self._loop = loop
        self._wake = wake
        self._credit = float(BURST)
        self._at = loop.time()
        self._waiting: dict[Subject, None] = {}
        self._timer: TimerHandle | None = None

    @callback
    def tell(self, subjects: set[Subject]) -> None:
        """Wake the listeners of these subjects, or let them wait for their turn."""
        now = self._loop.time()
        self._credit = min(float(BURST), self._credit + (now - self._at) * RATE_HZ)
        self._at = now
        for subject in subjects:
            if self._credit >= 1 and not self._waiting:
                self._credit -= 1
                self._wake(subject)
            else:
                self._waiting[subject] = None
        if self._waiting and self._timer is None:
            self._timer = self._loop.call_later(TURN_S, self._turn)

    @callback
    def stop(self) -> None:
        """Wake nobody any more."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @callback
    def _turn(self) -> None:
        self._timer = None
        for subject in list(self._waiting)[:PER_TURN]:
            del self._waiting[subject]
            self._wake(subject)
        if self._waiting and self._timer is None:
            self._timer = self._loop.call_later(TURN_S, self._turn)
