"""Time is an argument: whoever needs it is handed a `Clock`. Rows keep microseconds since 1970 (UTC)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_now() -> datetime:
    """Return the machine's own time."""
    return datetime.now(UTC)


def to_us(moment: datetime) -> int:
    """Return whole microseconds since the epoch."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(microseconds: int) -> datetime:
    """Return the moment that lies so many microseconds after the epoch."""
    return _EPOCH + timedelta(microseconds=microseconds)
