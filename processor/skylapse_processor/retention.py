"""Which frames have been kept long enough. Pure: counted stretches, orders, films, renders and a clock in."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.messages import Order

from .store.rows import Stretch

CameraDay = tuple[CameraName, str]
WindowKey = tuple[CameraName, str, str]


def due(
    stretches: Sequence[Stretch],
    orders: Sequence[Order],
    kept: Collection[CameraDay],
    busy: Collection[CameraName],
    now: datetime,
    *,
    unmade: Collection[WindowKey],
) -> tuple[Stretch, ...]:
    """Return the stretches whose frames may go.

    Frames of a schedule are kept as long as the most patient of its orders says, counted from when they were
    stored, for ever where one of them names no limit or there is no order; so are frames under a pinned film
    (`kept`), of cameras that a render reads, and of windows whose films are still to be started (`unmade`).
    """
    return tuple(
        stretch
        for stretch in stretches
        if stretch.frames
        and (stretch.camera, stretch.day) not in kept
        and stretch.camera not in busy
        and (stretch.camera, stretch.day, stretch.window) not in unmade
        and _is_over(stretch, orders, now)
    )


def _is_over(stretch: Stretch, orders: Sequence[Order], now: datetime) -> bool:
    limits = [
        order.retention_days
        for order in orders
        if order.camera == str(stretch.camera) and order.schedule == stretch.schedule
    ]
    days = [limit for limit in limits if limit is not None]
    if not limits or len(days) < len(limits):
        return False
    return stretch.stored_at < now - timedelta(days=max(days))
