"""Windows that overlap: what the film of the one that does not rule is lent.

While windows overlap, the bridge photographs by the shorter interval, and files each frame under that window
alone. The film of the other one would leap over that time. So each tick of it that has no frame of its own
is lent the nearest frame of the ruling window, of the same profile and at most half an interval away.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from skylapse_protocol.identifiers import FrameName

from .store.rows import FrameRole, Selection, StoredFrame
from .store.store import Store
from .store.windows import Lender

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Overlaps:
    """Finds the frames that windows are lent. Its methods read the catalogue."""

    def __init__(self, store: Store) -> None:
        self._catalogue = store.frames
        self._windows = store.windows

    def lenders(self, film: Selection) -> tuple[Lender, ...]:
        """Return the windows that rule in the middle of a film's window; none where it is of no window."""
        if film.day is None or film.window is None:
            return ()
        return self._windows.lenders(film.camera, film.day, film.window)

    def filled(
        self,
        film: Selection,
        own: Sequence[StoredFrame],
        *,
        since: FrameName | None = None,
        until: datetime | None = None,
    ) -> tuple[StoredFrame, ...]:
        """Return a window's own frames and what it is lent, in order; only what lies between two moments."""
        lenders = self.lenders(film) if own else ()
        others: list[StoredFrame] = []
        for lender in lenders:
            wanted = Selection(
                camera=film.camera,
                day=lender.day,
                window=lender.window,
                profile=film.profile,
                from_at=lender.from_at,
                to_at=lender.to_at if until is None else min(lender.to_at, until),
                role=FrameRole.LEADS,
                not_bad=True,
            )
            others += self._catalogue.frames(replace(wanted, after=since))
        if not others:
            return tuple(own)
        return chosen(own, others, lenders[0].interval, [since.captured_at] if since else [])


def chosen(
    own: Sequence[StoredFrame],
    others: Iterable[StoredFrame],
    interval: timedelta,
    taken_at: Sequence[datetime] = (),
) -> tuple[StoredFrame, ...]:
    """Return a window's own frames and, for each tick without one, the nearest other of a profile of its own.

    Ticks are whole multiples of the interval since the epoch; those nearest to `taken_at` have a frame.
    """
    profiles = {frame.profile for frame in own}
    taken = {(_tick(frame.name.captured_at, interval), frame.profile) for frame in own}
    taken |= {(_tick(moment, interval), profile) for moment in taken_at for profile in profiles}
    nearest: dict[tuple[int, str | None], tuple[timedelta, StoredFrame]] = {}
    for frame in others:
        at = frame.name.captured_at
        tick = _tick(at, interval)
        away = abs(at - _EPOCH - tick * interval)
        key = (tick, frame.profile)
        if frame.profile in profiles and key not in taken and (key not in nearest or away < nearest[key][0]):
            nearest[key] = (away, frame)
    lent = (frame for _away, frame in nearest.values())
    return tuple(sorted((*own, *lent), key=lambda frame: frame.name.captured_at))


def _tick(moment: datetime, interval: timedelta) -> int:
    """Return the number of the tick that is nearest to a moment."""
    return (moment - _EPOCH + interval / 2) // interval
