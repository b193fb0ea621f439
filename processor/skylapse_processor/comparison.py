"""Scoring an A/B test: which arm is better, and is it clear? Pure: figures of frames in, a comparison out.

Theory
------
The arms of a test photograph the same light in turns, so frames that were taken next to each other can be
compared one by one, and what the weather does falls out. Every frame has seven figures (`FrameFigures`).
An arm's figure is the mean of its frames', the root of the mean square where the figure is a distance. All of
them are made so that a brighter picture is not a better one: grain is held against the light that it lies on,
sharpness against the contrast of the whole picture.

*Alike.* Two values closer than a figure's `alike` (nobody sees the difference) count as equal. Without it any
difference, however small, would be a rank.

*Score.* For each figure an arm gets the share of the other arms that it beats, half a share for each that is
alike. The score is the mean over the figures that at least two arms have: 0 to 100, equals have 50.

*Winner.* The arm with the best score wins where it is clearly better than each other arm. For each figure the
sign test asks in how many pairs of frames it is the better one; pairs that are alike do not count. A
result so one-sided must be at most 1 % likely between equals (two-sided, exact binomial, shared among figures
and other arms: Bonferroni). The winner is clearly better in more figures than it is clearly worse in: eleven
pairs to nothing are the least that can convince, and a trade of grain for sharpness has no winner.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import comb, sqrt
from statistics import fmean, median

from skylapse_protocol.comparison import ArmScore

MOST_NAMES = 200
"""All pairs together name at most so many frames: a reply has 64 KiB."""
MOST_PAIRS = 50
CLEAR = 0.01
_APART = 1.5
"""Frames of one pair lie within so many turns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One figure of a frame: which way is better, and from where on a difference counts."""

    name: str
    more_is_better: bool = False
    alike: float = 0.0
    alike_share: float = 0.0
    """The same as a share of the larger value; the wider of both counts."""
    square: bool = False
    """An arm's figure is the root of the mean square."""

    def better(self, one: float | None, other: float | None) -> int:
        """Return 1 where one is better than the other, −1 where it is worse, 0 where they are alike."""
        if one is None or other is None:
            return 0
        least = max(self.alike, self.alike_share * max(abs(one), abs(other)))
        if abs(one - other) <= least:
            return 0
        return 1 if (one > other) is self.more_is_better else -1


FIGURES = (
    Figure(name="exposure_error_ev", alike=0.05, square=True),
    Figure(name="clipped_low", alike=0.005),
    Figure(name="clipped_high", alike=0.005),
    Figure(name="grain", alike_share=0.25),
    Figure(name="sharpness", alike_share=0.1, more_is_better=True),
    Figure(name="colour_step", alike=0.01, alike_share=0.5, square=True),
    Figure(name="flicker_ev", alike=0.002, alike_share=0.5, square=True),
)
"""Colour and flicker hold what the weather did between two frames of an arm, hence their wide share."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameFigures:
    """What one frame shows; null where it cannot be told."""

    exposure_error_ev: float | None = None
    """Distance of its brightness from what the profile asked for, in stops."""
    clipped_low: float | None = None
    clipped_high: float | None = None
    noise: float | None = None
    """Standard deviation of fine grain in smooth parts, share of full scale, linear light."""
    grain: float | None = None
    """The same as a share of the light in those parts."""
    sharpness: float | None = None
    """Rms Laplacian over the standard deviation of luma: fine contrast over all contrast."""
    colour_step: float | None = None
    """By how much the colour of the picture moved since the frame before, in stops of red to blue."""
    flicker_ev: float | None = None
    """What levelling would leave of its flicker, in stops."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmFrame:
    """One frame of an arm: what it is called, and when it was taken."""

    name: str
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmFacts:
    """An arm with what was seen of it."""

    test_id: str
    profile: str
    frames: int
    seen: Mapping[str, FrameFigures]
    """By name of the frame."""

    def figure(self, figure: Figure) -> float | None:
        """Return the arm's figure; null where no frame has it."""
        values = [getattr(each, figure.name) for each in self.seen.values()]
        known = [value for value in values if value is not None]
        if not known:
            return None
        return sqrt(fmean(value * value for value in known)) if figure.square else fmean(known)

    def noise(self) -> float | None:
        """Return the mean noise, share of full scale; null where no frame has it."""
        known = [each.noise for each in self.seen.values() if each.noise is not None]
        return fmean(known) if known else None


Pair = tuple[str, ...]
"""Names of frames taken next to each other, one of each arm in their order."""


def pairs_of(arms: Sequence[Sequence[ArmFrame]]) -> tuple[Pair, ...]:
    """Return frames that were taken next to each other, each frame at most once, in order of time."""
    turns = sorted((frame.at, number, frame.name) for number, arm in enumerate(arms) for frame in arm)
    if len(arms) < 2 or len(turns) < 2:
        return ()
    spacing = median((later[0] - earlier[0]).total_seconds() for earlier, later in pairwise(turns))
    longest_s = spacing * (len(arms) - 1) * _APART
    pairs, waiting = [], dict[int, tuple[datetime, str]]()
    for at, number, name in turns:
        waiting[number] = (at, name)
        waiting = {arm: seen for arm, seen in waiting.items() if (at - seen[0]).total_seconds() <= longest_s}
        if len(waiting) == len(arms):
            pairs.append(tuple(waiting[arm][1] for arm in range(len(arms))))
            waiting = {}
    return tuple(pairs)


def spread(pairs: Sequence[Pair], most: int) -> tuple[Pair, ...]:
    """Return at most so many of them, evenly spread."""
    count = min(most, len(pairs))
    return tuple(pairs[number * len(pairs) // count] for number in range(count))


def most_pairs(arms: int) -> int:
    """Return how many pairs a comparison of so many arms names."""
    return min(MOST_PAIRS, MOST_NAMES // max(arms, 1))


def scores(arms: Sequence[ArmFacts]) -> tuple[ArmScore, ...]:
    """Return the arms with their figures and scores, in their order."""
    return tuple(
        ArmScore(
            test_id=arm.test_id,
            profile=arm.profile,
            frames=arm.frames,
            exposure_error_ev=_rounded(arm.figure(FIGURES[0])),
            clipped_low=_rounded(arm.figure(FIGURES[1])),
            clipped_high=_rounded(arm.figure(FIGURES[2])),
            noise=_rounded(arm.noise()),
            sharpness=_rounded(arm.figure(FIGURES[4])),
            colour_drift=_rounded(arm.figure(FIGURES[5])),
            flicker_mev=_rounded(arm.figure(FIGURES[6]), 1000.0),
            score=_score(arm, arms),
        )
        for arm in arms
    )


def winner(arms: Sequence[ArmFacts], scored: Sequence[ArmScore], pairs: Sequence[Pair]) -> str | None:
    """Return the test id of the arm that is clearly the best; null where none is.

    `pairs` are of the arms of which anything was seen, in their order.
    """
    there = [(score.score or 0.0, arm) for arm, score in zip(arms, scored, strict=True) if arm.seen]
    ranked = sorted(there, key=lambda each: -each[0])
    if len(ranked) < 2 or ranked[0][0] <= ranked[1][0]:
        return None
    (_score, best), *rest = ranked
    places = {arm.test_id: place for place, (_score, arm) in enumerate(there)}
    limit = CLEAR / (len(rest) * len(FIGURES))
    for _score, other in rest:
        pairs_seen = [
            (best.seen.get(pair[places[best.test_id]]), other.seen.get(pair[places[other.test_id]]))
            for pair in pairs
        ]
        both = [(mine, its) for mine, its in pairs_seen if mine is not None and its is not None]
        if sum(_verdict(figure, both, limit) for figure in FIGURES) <= 0:
            return None
    return best.test_id


def chance(wins: int, losses: int) -> float:
    """Return how likely equals are to differ so much: the two-sided sign test, exactly."""
    tosses = wins + losses
    tail = sum(comb(tosses, number) for number in range(min(wins, losses) + 1))
    return min(1.0, float(2 * tail / 2**tosses))


def _verdict(figure: Figure, pairs: Sequence[tuple[FrameFigures, FrameFigures]], limit: float) -> int:
    """Return 1 where the first of each pair is clearly better in this figure, −1 worse, 0 neither."""
    signs = [figure.better(getattr(one, figure.name), getattr(other, figure.name)) for one, other in pairs]
    wins, losses = signs.count(1), signs.count(-1)
    if chance(wins, losses) > limit:
        return 0
    return 1 if wins > losses else -1


def _score(arm: ArmFacts, arms: Sequence[ArmFacts]) -> float | None:
    shares = []
    for figure in FIGURES:
        mine = arm.figure(figure)
        others = [value for other in arms if other is not arm and (value := other.figure(figure)) is not None]
        if mine is not None and others:
            shares.append(fmean((1 + figure.better(mine, value)) / 2 for value in others))
    return round(100 * fmean(shares), 1) if shares else None


def _rounded(value: float | None, scale: float = 1.0) -> float | None:
    return None if value is None else round(value * scale, 6)
