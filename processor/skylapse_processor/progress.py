"""How far a render is: counted in one place, shown on a terminal or written as JSON lines."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Step = Literal["measure", "look", "render", "finish"]
"""Passes of a render: `look` is that of steps which have to know the whole film before its first frame."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One report of a render."""

    step: Step
    done: int
    """Frames of this step that are done."""
    total: int
    percent: float
    """Of the whole render, 0…100."""
    frames_per_s: float
    seconds_left: float | None
    """Null until there is something to go by."""

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


_WEIGHTS: Mapping[Step, float] = {"measure": 0.25, "look": 0.3, "render": 1.0, "finish": 0.02}
"""How long a step takes, relative to rendering."""


class Meter:
    """Counts frames through the steps of one render and reports them."""

    def __init__(
        self,
        report: Callable[[Progress], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember where to report to."""
        self._report = report
        self._steps: tuple[Step, ...] = ("render", "finish")
        self._clock = clock
        self._started = clock()
        self._step_started = self._started

    def plan(self, *steps: Step) -> None:
        """Say which steps there will be."""
        self._steps = steps

    def begin(self, step: Step, total: int) -> None:
        """Report that a step starts."""
        self._step_started = self._clock()
        self.advance(step, 0, total)

    def advance(self, step: Step, done: int, total: int) -> None:
        """Report that `done` of `total` frames of a step are done."""
        share = self._share(step, done / total if total else 1.0)
        now = self._clock()
        elapsed, in_step = now - self._started, now - self._step_started
        self._report(
            Progress(
                step=step,
                done=done,
                total=total,
                percent=round(100 * share, 1),
                frames_per_s=round(done / in_step, 2) if in_step > 0 else 0.0,
                seconds_left=round(elapsed * (1 - share) / share, 1) if share > 0.02 else None,
            )
        )

    def _share(self, step: Step, within: float) -> float:
        """Return the share of the whole work, 0…1, that is done."""
        whole = sum(_WEIGHTS[name] for name in self._steps)
        before = sum(_WEIGHTS[name] for name in self._steps[: self._steps.index(step)])
        return (before + _WEIGHTS[step] * within) / whole


def summed(done: int, total: int, frames_per_s: float, elapsed_s: float) -> Progress:
    """Return the progress of a film whose stretches are made at once."""
    share = done / total / (1 + _WEIGHTS["finish"])
    return Progress(
        step="render",
        done=done,
        total=total,
        percent=round(100 * share, 1),
        frames_per_s=round(frames_per_s, 2),
        seconds_left=round(elapsed_s * (1 - share) / share, 1) if share > 0.02 else None,
    )
