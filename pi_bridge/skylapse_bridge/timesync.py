"""How far the machine's clock is off by what the processor says, where no time server sets it.

HTTP answers carry a `Date` in whole seconds: the difference is known to half a second and half the way there
and back. An offset is how far this machine's clock is ahead: negative is late.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
from yarl import URL

_DATE_RESOLUTION_S = 1.0
_PATIENCE_S = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerTime:
    """What a server's `Date` says of this clock."""

    offset_s: float
    error_s: float
    """The truth is at most this far from `offset_s`."""


def health_address(url: str) -> URL:
    """Return where a processor says whether it works; no key is needed there."""
    return URL(url) / "health"


def compare(date: str, before: datetime, after: datetime) -> ServerTime | None:
    """Return what a `Date` header says that came between two moments of this clock, None for nonsense."""
    try:
        told = parsedate_to_datetime(date)
    except ValueError:
        return None
    if told.tzinfo is None:
        told = told.replace(tzinfo=UTC)
    journey_s = (after - before).total_seconds()
    half_s = _DATE_RESOLUTION_S / 2
    return ServerTime(
        offset_s=(before - told).total_seconds() + journey_s / 2 - half_s, error_s=half_s + journey_s / 2
    )


async def server_time(url: str, now: Callable[[], datetime]) -> ServerTime | None:
    """Ask a server for the time; None where none answers with one."""
    timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            before = now()
            async with session.get(health_address(url)) as answer:
                after = now()
                return compare(answer.headers.get("Date", ""), before, after)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None
