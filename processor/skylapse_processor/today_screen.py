"""What is to be seen of films that grow: the newest frames, made when somebody looks.

See `today_show` for what players get of it, and why what they were once told stays as it was.
"""

import asyncio
import itertools
import secrets
from collections.abc import Sequence
from dataclasses import replace

from . import today_show
from .frames import SourceFrame
from .today_cut import Lane, box_of, encoded
from .today_frames import AT_ONCE, TodayFrames
from .today_live import Live, latest
from .today_plan import GROUP, Aim, PathEnd, aims
from .today_show import LivePart, Shown

KEPT_BYTES = 16_000_000
"""Of a film, for slow players: of parts, and again of films so far."""
_MANY = 900_000_000
"""Parts are counted from below this: players keep what they fetched before a restart, under its name."""


class Screen:
    """Makes what is to be seen of films that grow."""

    def __init__(self, frames: TodayFrames, lane: Lane) -> None:
        """Remember where frames are found, and who encodes them."""
        self._frames = frames
        self._lane = lane
        self._serials = itertools.count(secrets.randbelow(_MANY) + 1)

    async def show(self, live: Live) -> None:
        """See to it that every frame that has been measured is to be seen."""
        async with live.showing:
            closed = -1
            while closed != len(live.reel.segments):  # what is closed meanwhile is pending no more
                closed = len(live.reel.segments)
                path_end = live.reel.path_end
                pending = await asyncio.to_thread(self._frames.pending, live)
            shown = today_show.settled(live.shown, live.reel, closed)
            shown = await self._to_the_end(live, shown)
            shown = await self._with_newest(live, shown, pending, path_end)
            there = {part.serial: part for part in (*shown.past, *shown.parts)}
            before = {serial: part for serial, part in live.kept.items() if serial not in there}
            last = [part for part in shown.past if part.segment == closed - 1]
            size, fewest = (lambda part: part.size), len(last) + len(shown.parts)
            live.kept = latest({**before, **there}, size, KEPT_BYTES, fewest=fewest)
            live.shown = today_show.remembered(shown, live.kept)

    async def _to_the_end(self, live: Live, shown: Shown) -> Shown:
        """Return what is shown with the rest of a segment that was closed while nobody looked."""
        broken_off = today_show.broken_off(shown, live.reel)
        if broken_off is None:
            return shown
        number, count = broken_off
        names = live.reel.segments[number].frames[count:]
        frames = await asyncio.to_thread(self._frames.named, live, names)
        for name in names:
            live.known.pop(name, None)
        if len(frames) < len(names):
            return today_show.without(shown, number + 1)
        aimed = [live.reel.aim(name) for name in names]
        first = today_show.first_of(live.reel, number)
        parts = []
        for begin, past in today_show.cuts(count, count + len(names), [edge - first for edge in shown.edges]):
            rest = slice(begin - count, past - count)
            parts.append(await self._part(live, frames[rest], aimed[rest], number, first + begin))
        return replace(shown, past=(*shown.past, *parts))

    async def _with_newest(
        self, live: Live, shown: Shown, pending: Sequence[SourceFrame], path_end: PathEnd
    ) -> Shown:
        """Return what is shown with all frames that are in no closed segment, unless they are too many."""
        names = [name for part in shown.parts for name in part.piece.frames]
        is_same = names == [frame.name for frame in pending[: len(names)]]
        parts = list(shown.parts) if is_same else []
        before = today_show.first_of(live.reel, shown.closed)
        if len(pending) < AT_ONCE:
            aimed, done = aims(path_end, pending), len(names) if is_same else 0
            edges = {edge - before for edge in (*today_show.BEGINNING, *shown.edges)}
            for first, past in today_show.cuts(done, len(pending), edges):
                segment = shown.closed + first // GROUP
                part = self._part(live, pending[first:past], aimed[first:past], segment, before + first)
                parts.append(await part)
        told = {edge for edge in (*shown.edges, *(part.past for part in parts)) if edge > before}
        return replace(shown, parts=tuple(parts), edges=frozenset(told))

    async def _part(
        self, live: Live, frames: Sequence[SourceFrame], aimed: Sequence[Aim], segment: int, first: int
    ) -> LivePart:
        piece = await encoded(self._lane, live, frames, aimed, box_of(live, frames[0]))
        return LivePart(serial=next(self._serials), segment=segment, first=first, piece=piece)
