"""A film that grows, as it is known while the processor runs, and who may write to its folder."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeVar

from . import mp4
from .frames import SourceFrame
from .jobs import RenderSpec
from .today_plan import Aim
from .today_reel import Piece, Reel
from .today_show import LivePart, Shown, SoFar

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(kw_only=True, slots=True, eq=False)
class Live:
    """A film that grows."""

    spec: RenderSpec
    reel: Reel
    known: dict[str, SourceFrame] = field(default_factory=dict)
    shown: Shown = field(default_factory=Shown)
    """What there is to see."""
    kept: dict[int, LivePart] = field(default_factory=dict)
    """Its parts and those before, by serial: a slow player may still ask for one."""
    so_far: dict[str, SoFar] = field(default_factory=dict)
    rehearsed: list[Piece] = field(default_factory=list)
    """The first of the frames that are in no closed segment, as the end of the film would have them."""
    track: mp4.Track | None = None
    ended: bool = False
    gone: bool = False
    """Its folder is another one's now: nothing is written there any more."""
    hurried: bool = False
    """Its end is waited for: what is being closed at leisure is closed quickly instead."""
    closing: asyncio.Lock = field(default_factory=asyncio.Lock)
    showing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def version(self) -> str:
        """What changes with everything that is to be seen."""
        last = self.shown.parts[-1].serial if self.shown.parts else 0
        return f"{self.shown.closed}-{last}"

    @property
    def frames(self) -> int:
        """How many frames are to be seen."""
        closed = self.reel.segments[: self.shown.closed]
        return sum(len(segment.sizes) for segment in closed) + self.shown.provisional


def matching(pieces: Sequence[Piece], frames: Sequence[SourceFrame], aimed: Sequence[Aim]) -> list[Piece]:
    """Return the pieces up to the first that does not show these frames as they are to look."""
    good: list[Piece] = []
    first = 0
    for piece in pieces:
        past = first + len(piece.frames)
        wanted = (
            tuple(frame.name for frame in frames[first:past]),
            tuple(aim.gain_ev for aim in aimed[first:past]),
        )
        if (piece.frames, piece.gains) != wanted or piece.after != aimed[past - 1].after:
            break
        good.append(piece)
        first = past
    return good


def latest(
    kept: dict[Key, Value], size: Callable[[Value], int], most_bytes: int, *, fewest: int
) -> dict[Key, Value]:
    """Return the newest of what is kept that fit into so many bytes, and the fewest whatever their size."""
    sizes = accumulate(size(value) for value in reversed(kept.values()))
    count = max(fewest, sum(1 for total in sizes if total <= most_bytes))
    return dict(list(kept.items())[-count:]) if count else {}


@contextlib.asynccontextmanager
async def in_haste(live: Live) -> AsyncIterator[None]:
    """Wait until no segment is being made, and have one that is made at leisure given up."""
    live.hurried = True
    try:
        async with live.closing:
            live.hurried = False
            yield
    finally:
        live.hurried = False


@contextlib.asynccontextmanager
async def stopped(live: Live | None) -> AsyncIterator[None]:
    """Wait until nothing is written to a film's folder; from then on nothing is."""
    if live is None:
        yield
        return
    async with live.closing:
        live.gone = True
        yield
