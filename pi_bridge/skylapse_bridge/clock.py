"""Time as an argument: real, or simulated at a multiple of its speed."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from skylapse_protocol import messages

from .kernel_time import kernel_time

_OLDEST_PLAUSIBLE = datetime(2025, 1, 1, tzinfo=UTC)
"""No release of Skylapse is older: a clock before this was never set."""

_LONGEST_SLEEP_S = 5.0
"""The wall clock may be set while somebody waits for a moment; it is looked at again after this long."""

_BOARD = Path("/proc/device-tree/model")
_RTC = Path("/sys/class/rtc/rtc0")


class Clock(Protocol):
    """What the bridge knows of time."""

    @property
    def simulated(self) -> messages.Clock | None:
        """The parameters of simulated time, None for real time."""

    def now(self) -> datetime:
        """Return the time, UTC."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds since some moment of this boot; never set back, same pace as `now`."""

    def synced(self) -> bool:
        """Tell whether `now` can be trusted."""

    async def wait_until(self, moment: datetime) -> None:
        """Return when `now` has reached `moment`."""


class RealClock:
    """The machine's own clock."""

    simulated: messages.Clock | None = None

    def __init__(self, synced: Callable[[], bool] | None = None) -> None:
        self._synced = synced or machine_is_synced

    def now(self) -> datetime:
        """Return the time, UTC."""
        return datetime.now(UTC)

    def monotonic_ns(self) -> int:
        """Return nanoseconds since boot."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def synced(self) -> bool:
        """Tell whether the clock was set since the machine started."""
        return self.now() > _OLDEST_PLAUSIBLE and self._synced()

    async def wait_until(self, moment: datetime) -> None:
        """Return when the clock has reached `moment`."""
        while (left_s := (moment - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 only time changes the condition
            await asyncio.sleep(min(left_s, _LONGEST_SLEEP_S))


class ScaledClock:
    """Simulated time: `start` + (real time − `anchor`) × `rate`."""

    def __init__(self, parameters: messages.Clock, real: RealClock | None = None) -> None:
        self.simulated: messages.Clock | None = parameters
        self._parameters = parameters
        self._real = real or RealClock()

    def now(self) -> datetime:
        """Return the simulated time, UTC."""
        parameters = self._parameters
        return parameters.start + (self._real.now() - parameters.anchor) * parameters.rate

    def monotonic_ns(self) -> int:
        """Return simulated nanoseconds since boot."""
        return round(self._real.monotonic_ns() * self._parameters.rate)

    def synced(self) -> bool:
        """Simulated time is what it says it is."""
        return True

    async def wait_until(self, moment: datetime) -> None:
        """Return when simulated time has reached `moment`."""
        while (left := moment - self.now()) > timedelta(0):  # noqa: ASYNC110 only time changes the condition
            await asyncio.sleep(min(left.total_seconds() / self._parameters.rate, _LONGEST_SLEEP_S))


def machine_is_synced() -> bool:
    """Tell whether this machine has a clock of its own or was told the time since it started.

    Boards without a real-time clock start with the time of their last shutdown; there the kernel knows
    whether a time server has spoken since (adjtimex(2) answers TIME_ERROR until then).
    """
    if not _BOARD.exists() or _RTC.exists():
        return True
    return kernel_time().synchronised


def make_clock(parameters: messages.Clock | None) -> Clock:
    """Return real time, or simulated time where parameters are given."""
    return RealClock() if parameters is None else ScaledClock(parameters)
