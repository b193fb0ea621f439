"""From leaders to all pictures of their brackets: what a layer that merges brackets finds below it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from skylapse_processor.errors import RequestError
from skylapse_processor.frames import ExposureFacts

from .groups import EXPOSURES, exposure_over, offset
from .layer import Layer
from .plan import Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class Grouped(Layer):
    """A layer that makes one picture of each bracket."""

    starts: tuple[int, ...]
    """The first picture of each bracket, its leader, and one past the last."""

    @property
    def by_rows(self) -> bool:
        """A bracket may have many pictures."""
        return True

    def count(self, below: int) -> int:
        """Return the number of brackets."""
        return len(self.starts) - 1

    def needs(self, number: int, below: int) -> Sequence[int]:
        """Return the pictures of one bracket."""
        return range(self.starts[number], self.starts[number + 1])


def expanded(plan: Plan, recipe: str) -> tuple[Plan, tuple[int, ...], tuple[float, ...]]:
    """Return the plan with the pictures beside each leader after it, where each bracket starts, and stops.

    The pictures beside a leader get its gains, and what white balance differs; by how many stops each picture
    was exposed more than the middle of its bracket is returned, since what merges them has to know both. A
    leader that stands in for a lost middle counts as what it is, and not as a middle to be brightened.
    """
    if plan.layers:
        raise RequestError("recipe", f"{recipe} has to come before the steps that look at pixels")
    sizes = [1 + len(frame.beside) for frame in plan.frames]
    starts = (0, *np.cumsum(sizes).tolist())
    frames = tuple(each for frame in plan.frames for each in (frame, *frame.beside))
    leaders = [leader for leader in plan.frames for _ in range(1 + len(leader.beside))]
    meant = [offset(leader, EXPOSURES) for leader in leaders]
    over_ev = tuple(
        exposure_over(frame, leader) + stops
        for frame, leader, stops in zip(frames, leaders, meant, strict=True)
    )
    white_ev = np.array(
        [_whiter(frame.facts, leader.facts) for frame, leader in zip(frames, leaders, strict=True)]
    )
    repeat = np.repeat(np.arange(len(plan.frames)), sizes)
    return (
        replace(
            plan,
            frames=frames,
            position=plan.position[repeat],
            log_mean=plan.log_mean[repeat],
            colour_ev=plan.colour_ev[repeat],
            gain_ev=plan.gain_ev[repeat] + white_ev + np.array(meant)[:, None],
        ),
        starts,
        over_ev,
    )


def _whiter(facts: ExposureFacts | None, leader: ExposureFacts | None) -> tuple[float, float, float]:
    """Return what takes red, green and blue of a picture to the white balance of its leader, in stops."""
    if facts is None or leader is None or facts.colour_gains is None or leader.colour_gains is None:
        return 0.0, 0.0, 0.0
    red, blue = (
        math.log2(led / own) for led, own in zip(leader.colour_gains, facts.colour_gains, strict=True)
    )
    return red, 0.0, blue
