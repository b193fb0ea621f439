"""Time of a bridge: most live in real time, a simulated one says in its announce how its clock runs.

Anybody can announce a clock: what it shows is kept between the years 1971 and 2200, where calendars work.
"""

from datetime import UTC, datetime, timedelta

from ..protocol.messages import Clock

EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def to_bridge(clock: Clock | None, real: datetime) -> datetime:
    """Return what the bridge's clock shows at a moment of real time."""
    if clock is None:
        return real
    return _reach(clock.start, (real - clock.anchor).total_seconds() * clock.rate)


def to_real(clock: Clock | None, moment: datetime) -> datetime:
    """Return the moment of real time at which the bridge's clock shows `moment`."""
    if clock is None:
        return moment
    return _reach(clock.anchor, (moment - clock.start).total_seconds() / clock.rate)


def _reach(start: datetime, seconds: float) -> datetime:
    try:
        return min(max(start + timedelta(seconds=seconds), EARLIEST), LATEST)
    except OverflowError:
        return LATEST if seconds > 0 else EARLIEST
