"""The passes before a film's first frame: what pictures there are, how bright and how sharp they are.

A picture that turns out broken is left out here, with its reason; where it led a bracket, the next best
leads.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from . import decode
from .errors import CancelledError, PictureError
from .frames import SourceFrame, size_of
from .measure import Measurement, measure_pixels, small
from .progress import Meter
from .recipe import plan as plans
from .recipe.groups import without_leader
from .studio import Studio
from .tone import SRGB

WORKERS = 2
IN_FLIGHT = 4

Skipped = list[tuple[str, str]]
"""Files and why they are not in the film."""

Cancelled = Callable[[], bool]
In = TypeVar("In")
Out = TypeVar("Out")


def survey(frames: tuple[SourceFrame, ...]) -> tuple[tuple[SourceFrame, ...], Skipped]:
    """Return the frames with their sizes, and files whose head shows that they are no pictures."""
    good, skipped = [], []
    for first in frames:
        frame: SourceFrame | None = first
        while frame is not None:
            try:
                good.append(frame if frame.size else replace(frame, size=size_of(frame)))
                break
            except (PictureError, OSError) as error:
                skipped.append((frame.name, why(error)))
            frame = without_leader(frame)
    return tuple(good), skipped


def brightness(
    studio: Studio, plan: plans.Plan, meter: Meter, cancelled: Cancelled
) -> tuple[plans.Plan, Skipped]:
    """Return the plan with the brightness of every frame, and without those that turned out broken."""
    good, light, broken = _looked_at(studio.light, plan.frames, meter, cancelled)
    return plans.make(good, light), broken


def quality(
    frames: tuple[SourceFrame, ...], meter: Meter, cancelled: Cancelled
) -> tuple[tuple[SourceFrame, ...], Skipped]:
    """Return the frames with all figures that ingest would have measured, without broken ones."""
    good, figures, broken = _looked_at(_figures, frames, meter, cancelled)
    return tuple(replace(frame, measured=each) for frame, each in zip(good, figures, strict=True)), broken


def _figures(frame: SourceFrame) -> Measurement:
    if frame.measured is not None:
        return frame.measured
    data = frame.path.read_bytes()
    shape = decode.look(data, frame.name)
    curve = frame.facts.tone_curve if frame.facts else SRGB
    return measure_pixels(small(data, frame.name, shape), shape, tone_curve=curve)


def _looked_at(
    work: Callable[[SourceFrame], Out], frames: tuple[SourceFrame, ...], meter: Meter, cancelled: Cancelled
) -> tuple[tuple[SourceFrame, ...], list[Out], Skipped]:
    """Return frames and what `work` makes of each, and those that turned out broken."""

    def tried(frame: SourceFrame) -> tuple[SourceFrame, Out | None, str]:
        try:
            return frame, work(frame), ""
        except (PictureError, OSError) as error:
            return frame, None, why(error)

    meter.begin("measure", len(frames))
    good, found, broken = [], [], []
    for number, (frame, made, reason) in enumerate(in_order(tried, frames, cancelled), 1):
        if made is None:
            broken.append((frame.name, reason))
        else:
            good.append(frame)
            found.append(made)
        meter.advance("measure", number, len(frames))
    return tuple(good), found, broken


def in_order(work: Callable[[In], Out], items: Iterable[In], cancelled: Cancelled) -> Iterator[Out]:
    """Yield what `work` makes of each item, in order, a few ahead in threads; CancelledError to stop."""
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="frame")
    waiting: deque[Future[Out]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= IN_FLIGHT:
                yield waiting.popleft().result()
            if cancelled():
                raise CancelledError("cancelled")
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def why(error: PictureError | OSError) -> str:
    """Return why a picture cannot be used."""
    if isinstance(error, PictureError):
        return error.why
    return f"cannot be read ({error.strerror or error})"
