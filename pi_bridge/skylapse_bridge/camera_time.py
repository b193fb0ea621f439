"""Who may use the camera: what the plan wants goes first, what anybody else wants gets the time between.

A tick takes the camera as soon as whoever has it gives it back. A request from outside gets it only where
it is expected to be done before the next tick begins: its exposures must fit, and what such requests usually
take besides (the last ones did; a refusal halves that, so that one slow moment is not held against them for
ever). Otherwise it waits for the gap after the next tick. One that no gap can hold, or that found none
before it expired, is refused as `busy`: whoever asks may stop the plan by `set_mode: live`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from .clock import Clock
from .errors import CommandRefusedError
from .patience import reach


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """The time that is nobody's until the plan wants the camera."""

    ends_at: datetime
    """When the next tick is begun."""
    longest_s: float
    """From one tick to the beginning of the next, if the tick itself takes no time."""


class CameraTime:
    """Hands one camera to one user at a time."""

    def __init__(self, clock: Clock, gap: Callable[[datetime], Gap | None]) -> None:
        self._clock = clock
        self._gap = gap
        self._busy = False
        self._ticks_waiting = 0
        self._moved = asyncio.Event()
        self._usual_s: dict[str, float] = {}

    @asynccontextmanager
    async def first(self) -> AsyncIterator[None]:
        """Have the camera before everybody who has time."""
        self._ticks_waiting += 1
        try:
            while self._busy:
                await self._moved.wait()
        finally:
            self._ticks_waiting -= 1
        self._busy = True
        try:
            yield
        finally:
            self._give_back()

    @asynccontextmanager
    async def spare(self, kind: str, exposures_s: float, until: datetime) -> AsyncIterator[None]:
        """Have the camera between ticks; raise CommandRefusedError where that is not to be had."""
        await self._wait_for_room(kind, exposures_s, until)
        self._busy = True
        began_s = asyncio.get_running_loop().time()
        try:
            yield
            taken_s = (asyncio.get_running_loop().time() - began_s) * self._rate - exposures_s
            self._usual_s[kind] = max(taken_s, 0.5 * self._usually_s(kind))
        finally:
            self._give_back()

    def fits(self, kind: str, exposures_s: float) -> bool:
        """Tell whether work that begins now is done before the next tick begins."""
        now = self._clock.now()
        gap = self._gap(now)
        need_s = exposures_s + self._usually_s(kind)
        return gap is None or need_s < (gap.ends_at - now).total_seconds()

    def _usually_s(self, kind: str) -> float:
        """Return what such work takes besides its exposures: at most all the time that the plan leaves.

        A minute while nobody was in a hurry would otherwise be held against many requests.
        """
        gap = self._gap(self._clock.now())
        usual_s = self._usual_s.get(kind, 0.0)
        return usual_s if gap is None else min(usual_s, gap.longest_s)

    def moved(self) -> None:
        """Say that the plan changed, or that time passed: who waits looks again."""
        self._moved.set()
        self._moved = asyncio.Event()

    @property
    def _rate(self) -> float:
        return self._clock.simulated.rate if self._clock.simulated else 1.0

    def _give_back(self) -> None:
        self._busy = False
        self.moved()

    async def _wait_for_room(self, kind: str, exposures_s: float, until: datetime) -> None:
        """Return when the camera is free for so long."""
        deadline = asyncio.ensure_future(reach(self._clock, until))
        try:
            while self._busy or self._ticks_waiting or not self.fits(kind, exposures_s):
                gap = self._gap(self._clock.now())
                if gap is not None and exposures_s >= gap.longest_s:
                    raise CommandRefusedError(
                        "busy",
                        f"this takes {exposures_s:.1f} s, but the plan leaves {gap.longest_s:.1f} s",
                    )
                moved = asyncio.ensure_future(self._moved.wait())
                await asyncio.wait((deadline, moved), return_when=asyncio.FIRST_COMPLETED)
                moved.cancel()
                if deadline.done():
                    self._usual_s[kind] = 0.5 * self._usually_s(kind)
                    raise CommandRefusedError("busy", "the plan left the camera no time before this expired")
        finally:
            deadline.cancel()
