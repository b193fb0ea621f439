"""Exposures of an average, spread evenly over the time of the bridge's clock."""

import time
from collections.abc import Iterator

from skylapse_bridge.clock import Clock

_LONGEST_SLEEP_S = 1.0
"""The clock is looked at again after this long: the machine may have been asleep."""


def turns(clock: Clock, count: int, over_s: float) -> Iterator[int]:
    """Yield 1, 2, … count - 1, each when so many parts of `over_s` are over; the first exposure is taken.

    Simulated seconds are shorter or longer than real ones, as the clock says. A turn that comes late takes
    nothing from the ones behind it.
    """
    begun_ns = clock.monotonic_ns()
    rate = clock.simulated.rate if clock.simulated else 1.0
    for number in range(1, count):
        due_ns = begun_ns + round(over_s * 1e9 * number / count)
        while (left_ns := due_ns - clock.monotonic_ns()) > 0:
            time.sleep(min(left_ns / 1e9 / rate, _LONGEST_SLEEP_S))
        yield number
