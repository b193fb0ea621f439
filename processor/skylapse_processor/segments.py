"""How a render is cut into stretches that are made apart and joined: counts in, stretches out.

Pure: no clock, no file, no process. A stretch begins where the film made at once would begin a group of
pictures, and its groups are closed, so that the joined film has the same groups, the same number of frames
and the same times. More stretches share the work better and lose less with a machine that dies; each costs
the start of a process and the pictures beside it that its layers look at. `cut` weighs the two:

    cost of a stretch of n frames = START_FRAMES + around + n        (in frames' time)

and makes no stretch for which the first two are more than `_OVERHEAD` of the third.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

START_FRAMES = 12
"""How many frames of 1080p are made while a process starts, reads its job and plans: about a second."""
ROUNDS = 3
"""Stretches for each place of work: the last ones to end wait for a third of a share at most."""
MAX_FAILURES = 3
_OVERHEAD = 0.15

PartStatus = Literal["waiting", "running", "done"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
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


def cut(frames: int, group: int, places: int, around: int = 0) -> tuple[Stretch, ...]:
    """Return the stretches of a film: one where there is one place to work at, or little to do.

    `group` is the length of a group of pictures, `places` how many stretches are made at once, `around` how
    many pictures beside its own a stretch looks at.
    """
    groups = math.ceil(frames / group)
    fewest = max(1, math.ceil((START_FRAMES + around) / _OVERHEAD / group))
    """Groups in the shortest stretch that is worth its start."""
    count = min(groups // fewest, places * ROUNDS) if places > 1 else 1
    count = _whole_rounds(count, places)
    if count <= 1:
        return (Stretch(first=0, past=frames),)
    edges = [min(frames, round(groups * number / count) * group) for number in range(count + 1)]
    return tuple(Stretch(first=first, past=past) for first, past in zip(edges, edges[1:], strict=False))


def _whole_rounds(count: int, places: int) -> int:
    """Return so many stretches that all places have one in every round, where there are enough for that."""
    return count - count % places if count > places else count


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One stretch of a render under way."""

    number: int
    stretch: Stretch
    status: PartStatus = "waiting"
    failures: int = 0
    done: int = 0
    """Frames made so far."""


def progressed(part: Part, done: int) -> Part:
    """Return the part with what its worker reports."""
    return replace(part, status="running", done=min(done, part.stretch.frames))


def finished(part: Part) -> Part:
    """Return the part as done."""
    return replace(part, status="done", done=part.stretch.frames)


def lost(part: Part) -> Part:
    """Return the part to be made anew: its worker is gone, which is nobody's fault."""
    return replace(part, status="waiting", done=0)


def failed(part: Part) -> Part | None:
    """Return the part to be made anew, None where it has failed too often: the fault is its own."""
    failures = part.failures + 1
    return None if failures >= MAX_FAILURES else replace(part, status="waiting", done=0, failures=failures)


def frames_done(parts: Sequence[Part]) -> int:
    """Return how many frames of the film are made."""
    return sum(part.done for part in parts)
