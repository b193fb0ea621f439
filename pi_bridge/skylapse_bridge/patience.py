"""Waiting for a moment by a clock that may be set meanwhile.

A clock that is set back by two hours would let whoever waits for a moment wait two hours longer. The
monotonic clock is never set: where both part, the wait is over, and whoever waits looks at the clock anew.
"""

import asyncio
from datetime import datetime, timedelta

from .clock import Clock

_GLANCE_S = 1.0
_STEP = timedelta(seconds=2)


async def reach(clock: Clock, moment: datetime) -> bool:
    """Return True when the clock has reached the moment, False when it was set meanwhile."""
    offset = _offset(clock)
    waiting = asyncio.ensure_future(clock.wait_until(moment))
    try:
        while not waiting.done():
            await asyncio.wait((waiting,), timeout=_GLANCE_S)
            if not waiting.done() and abs(_offset(clock) - offset) > _STEP:
                return False
    finally:
        waiting.cancel()
    return True


def _offset(clock: Clock) -> timedelta:
    """Return what the wall clock is ahead of the monotonic one, to within milliseconds."""
    since_first = timedelta(microseconds=clock.monotonic_ns() // 1000)
    return clock.now() - datetime.min.replace(tzinfo=clock.now().tzinfo) - since_first
