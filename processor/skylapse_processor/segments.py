"""How a render is cut into stretches that are made apart and joined: counts in, stretches out.

Pure: no clock, no file, no process. A stretch begins where the film made at once begins a chapter, with an
encoder that knows of nothing before, so that the joined film is the same to the last bit. More stretches
share the work better and lose less with a machine that dies; each costs the start of a process, the pictures
beside it that its layers look at, and what it has to know of the whole film. With n frames, p places to work
at and k stretches, in the time that one frame takes,

    time = (⌈k / p⌉ + RISK) · (START_FRAMES + around + before + n / k) + JOIN_FRAMES

and `cut` takes the k, up to ROUNDS · p, for which that is least.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

START_FRAMES = 12
"""How many frames of 1080p are made while a process starts, reads its job and plans: about a second."""
ROUNDS = 3
"""Stretches for each place of work: the last ones to end wait for a third of a share at most."""
MAX_FAILURES = 3
JOIN_FRAMES = 8
"""How many are made while the parts are joined and looked at."""
RISK = 0.1
"""Share of films in which a place of work dies, or is slower than the others, and a stretch is made again."""

PartStatus = Literal["waiting", "running", "done"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameRange:
    """Frames of the film that are made in one go, from `first` up to but without `past`."""

    first: int
    past: int

    @property
    def frames(self) -> int:
        """How many they are."""
        return self.past - self.first

    def __str__(self) -> str:
        """Print as the command line wants it."""
        return f"{self.first}:{self.past}"

    @classmethod
    def parse(cls, words: str) -> "FrameRange":
        """Read what `str` printed."""
        first, past = words.split(":")
        return cls(first=int(first), past=int(past))


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What each stretch costs beside its own frames."""

    each: int = 0
    """In frames' time: pictures around it, and what it has to know of the whole film."""
    whole: bool = False
    """Whether a stretch is made of everything before it: then nothing is won by cutting."""


NOTHING_MORE = Cost()


def cut(frames: int, chapter: int, places: int, cost: Cost = NOTHING_MORE) -> tuple[FrameRange, ...]:
    """Return the stretches of a film: one where there is one place to work at, or little to win.

    A stretch begins where a chapter does, which are of so many frames; `places` is how many are made at once.
    Of all numbers of stretches, the one is taken after which the last place of work is done first.
    """
    chapters = math.ceil(frames / chapter)
    most = 1 if cost.whole or places == 1 else min(chapters, places * ROUNDS)
    count = min(range(1, most + 1), key=lambda count: (_time(chapters, chapter, places, count, cost), count))
    edges = [min(frames, round(chapters * number / count) * chapter) for number in range(count + 1)]
    return tuple(FrameRange(first=first, past=past) for first, past in itertools.pairwise(edges))


def _time(chapters: int, chapter: int, places: int, count: int, cost: Cost) -> float:
    """Return how long so many stretches take, in frames' time."""
    longest = START_FRAMES + cost.each + math.ceil(chapters / count) * chapter
    return (math.ceil(count / places) + RISK) * longest + (JOIN_FRAMES if count > 1 else 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One stretch of a render under way."""

    number: int
    stretch: FrameRange | None
    """Null for a film that is made whole."""
    status: PartStatus = "waiting"
    failures: int = 0
    done: int = 0
    """Frames made so far."""

    @property
    def frames(self) -> int:
        """How many it is to make, as far as is known."""
        return self.stretch.frames if self.stretch else self.done


def progressed(part: Part, done: int) -> Part:
    """Return the part with what its worker reports."""
    return replace(part, status="running", done=done)


def finished(part: Part) -> Part:
    """Return the part as done."""
    return replace(part, status="done", done=part.frames)


def failed(part: Part) -> Part | None:
    """Return the part to be made anew, or null where it has failed too often: the fault is its own."""
    failures = part.failures + 1
    return None if failures >= MAX_FAILURES else replace(part, status="waiting", done=0, failures=failures)


def frames_done(parts: Sequence[Part]) -> int:
    """Return how many frames of the film are made."""
    return sum(part.done for part in parts)


def frames_of(parts: Sequence[Part]) -> int:
    """Return how many frames of the film are to be made."""
    return sum(part.frames for part in parts)
