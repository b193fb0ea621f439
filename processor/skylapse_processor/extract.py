"""Frames out of a recording: which ones are taken, and what is to be said about them.

`rate`, `every_s` and `count` ask for moments, even in time; the frame nearest after each is taken or, with
`sharp`, the sharpest of those that are nearer to this moment than to another. `scene` takes a frame whenever
the picture has changed by so much since the last one taken. Between moments nothing is decoded but what the
frames that are taken are decoded from; `sharp` and `scene` look at every frame.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from math import inf
from statistics import median
from typing import Any

import cv2
import numpy as np

from skylapse_protocol.codec import format_time

from .decode_ahead import Follow
from .decode_video import Darkroom, Grey, Recording, Shot, VideoFacts
from .errors import RequestError

LIMITS: Mapping[str, tuple[float, float, str]] = {
    "rate": (0.001, 240.0, "frames a second"),
    "every_s": (0.004, 86_400.0, "seconds"),
    "count": (1, 1_000_000, "frames"),
    "scene": (0.001, 1.0, "share of full brightness"),
}
"""How frames can be asked for: from, to, and what is counted."""

_BLANK_CODES = 2.0
_FROZEN_CODES = 0.02
_BLURRED = 0.4
"""Of the median sharpness of its neighbours."""
_NEIGHBOURS = 5
_TIE = 1e-6
"""Of a step: a frame so little before a moment has reached it, so that none is taken twice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractWish:
    """Which frames of a recording are wanted; one of rate, every_s, count and scene, else one a second."""

    rate: float | None = None
    every_s: float | None = None
    count: int | None = None
    scene: float | None = None
    """Mean change of brightness, 0…1, after which a frame is taken."""
    sharp: bool = False
    """Take the sharpest frame about each moment."""
    from_s: float = 0.0
    to_s: float | None = None

    def check(self) -> None:
        """Raise RequestError for what cannot be."""
        given = [name for name in LIMITS if getattr(self, name) is not None]
        if len(given) > 1:
            raise RequestError(given[1], f"cannot be asked for together with {given[0]}")
        for name in given:
            low, high, unit = LIMITS[name]
            if not low <= getattr(self, name) <= high:
                raise RequestError(name, f"is not from {low:g} to {high:g} {unit}")
        if self.sharp and self.scene is not None:
            raise RequestError("sharp", "cannot be asked for together with scene")
        if self.from_s < 0:
            raise RequestError("from", "is before the recording begins")
        if self.to_s is not None and self.to_s <= self.from_s:
            raise RequestError("to", "is not after from")


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """One frame that was taken."""

    file: str
    time_s: float
    captured_at: str | None
    """RFC 3339; null where the recording does not say when it began."""
    sharpness: float
    """Variance of the Laplacian of a grey picture 320 wide, in codes²."""
    mean: float
    """Of its codes, 0…255."""
    problem: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a recording is worth."""

    facts: VideoFacts
    taken: tuple[Taken, ...]
    broken: int
    """Packets that could not be decoded whole, of those that had to be."""
    ended_s: float | None
    """When the last frame is shown that is there, if the head tells of more."""
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        started = self.facts.started_at
        facts = {**asdict(self.facts), "started_at": format_time(started) if started else None}
        return {**asdict(self), "facts": facts, "problems": len(self.problems)}

    @property
    def problems(self) -> tuple[Taken, ...]:
        """Frames that something is wrong with."""
        return tuple(frame for frame in self.taken if frame.problem)


def chosen(recording: Recording, wish: ExtractWish) -> Iterator[Shot]:
    """Yield the frames that are wanted, in order."""
    if wish.scene is not None:
        return _at_changes(recording, wish, 255.0 * wish.scene)
    step_s = _step_s(recording.facts, wish)
    if wish.sharp:
        return _sharpest(recording, wish, step_s)
    return _at_moments(recording, wish, step_s)


def problem_of(grey: Grey, before: Grey | None) -> str | None:
    """Return what is wrong with a tiny picture, seen beside that of the frame before it."""
    if float(grey.std()) < _BLANK_CODES:
        return "shows nothing"
    if before is not None and _difference(grey, before) < _FROZEN_CODES:
        return "is the same as the one before it"
    return None


def judged(taken: Sequence[Taken]) -> tuple[Taken, ...]:
    """Return the frames with those told that are blurred beside their neighbours."""
    found = []
    for number, frame in enumerate(taken):
        around = taken[max(number - _NEIGHBOURS, 0) : number + _NEIGHBOURS + 1]
        is_blurred = frame.sharpness < _BLURRED * median(one.sharpness for one in around)
        if frame.problem is None and is_blurred:
            found.append(replace(frame, problem="is blurred beside its neighbours"))
        else:
            found.append(frame)
    return tuple(found)


def captured_at(facts: VideoFacts, time_s: float) -> str | None:
    """Return when a frame was taken, RFC 3339; null where the recording does not say when it began."""
    return format_time(facts.started_at + timedelta(seconds=time_s)) if facts.started_at else None


def sharpness(grey: Grey) -> float:
    """Return the variance of the Laplacian, in codes²."""
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def file_name(number: int) -> str:
    """Return the name of the n-th frame without its ending; in natural order names sort as frames do."""
    return f"{number + 1:06d}"


def _step_s(facts: VideoFacts, wish: ExtractWish) -> float:
    """Return how far apart the moments are; raise RequestError where a recording does not tell its length."""
    if wish.count is None:
        return wish.every_s if wish.every_s is not None else 1.0 / (wish.rate or 1.0)
    end_s = wish.to_s if wish.to_s is not None else facts.duration_s
    if end_s is None:
        raise RequestError("count", "needs a recording that tells its length, or an end")
    return max(end_s - wish.from_s, 1e-3) / wish.count


def _span(recording: Recording, wish: ExtractWish, follow: Follow | None = None) -> Iterator[Shot]:
    """Yield the frames between from and to."""
    half_s = _half_s(recording.facts)
    for number, shot in enumerate(recording.shots()):
        if number == 0:
            recording.want(wish.from_s - half_s, follow)
        if wish.to_s is not None and shot.time_s >= wish.to_s - half_s:
            return
        if shot.time_s >= wish.from_s - half_s:
            yield shot


def _half_s(facts: VideoFacts) -> float:
    """Return half the time of a frame: one that is so little early counts as being there."""
    return 0.5 / max(facts.rate, 1.0)


def _at_moments(recording: Recording, wish: ExtractWish, step_s: float) -> Iterator[Shot]:
    """Yield the first frame at or after each moment."""
    half_s = _half_s(recording.facts)

    def follow(time_s: float) -> float:
        """Return from when on a frame is taken after that of this time; never, when all have been."""
        number = int((time_s + half_s - wish.from_s) / step_s + _TIE) + 1
        if wish.count is not None and number >= wish.count:
            return inf
        next_s = wish.from_s + number * step_s
        return inf if wish.to_s is not None and next_s >= wish.to_s else next_s - half_s

    wanted_s = wish.from_s - half_s
    for shot in _span(recording, wish, follow):
        if shot.time_s < wanted_s:
            continue
        yield shot
        wanted_s = follow(shot.time_s)
        if wanted_s == inf:
            return
        recording.want(wanted_s, follow)


def _sharpest(recording: Recording, wish: ExtractWish, step_s: float) -> Iterator[Shot]:
    """Yield the sharpest frame of each stretch of time."""
    best: tuple[float, Shot] | None = None
    place, room = 0, Darkroom()
    for shot in _span(recording, wish):
        here = int((shot.time_s - wish.from_s) / step_s + _TIE)
        if best is not None and here != place:
            yield best[1]
            best = None
        figure = sharpness(room.grey(shot.frame))
        if best is None or figure > best[0]:
            best, place = (figure, shot), here
    if best is not None:
        yield best[1]


def _at_changes(recording: Recording, wish: ExtractWish, change: float) -> Iterator[Shot]:
    """Yield the first frame, and each that differs from the last one taken."""
    last: Grey | None = None
    room = Darkroom()
    for shot in _span(recording, wish):
        grey = room.grey(shot.frame)
        if last is None or _difference(grey, last) >= change:
            last = grey
            yield shot


def _difference(one: Grey, other: Grey) -> float:
    """Return the mean difference of two small pictures, in codes."""
    return float(np.mean(cv2.absdiff(one, other)))
