"""Time of a bridge: most live in real time, a simulated one says in its announce how its clock runs."""

from datetime import datetime

from ..protocol.messages import Clock


def to_bridge(clock: Clock | None, real: datetime) -> datetime:
    """Return what the bridge's clock shows at a moment of real time."""
    if clock is None:
        return real
    return clock.start + (real - clock.anchor) * clock.rate


def to_real(clock: Clock | None, moment: datetime) -> datetime:
    """Return the moment of real time at which the bridge's clock shows `moment`."""
    if clock is None:
        return moment
    return clock.anchor + (moment - clock.start) / clock.rate
