"""How the frames of a day are levelled while most of the day is still to come. Pure.

Theory
------
A render knows all exposures E before it brings them to a smooth target (`recipe/deflicker.py`). Here the
target of a frame is decided for good when AHEAD further frames have come, and cannot be taken back. Cutting
the render's window there will not do: each new exposure enters at the window's edge, where a fitted parabola
gives it its largest weight, and the target trembles with it. So the target is a path, planned anew with each
frame: of all continuations of what is decided already, the one that makes

    Σ (tᵢ − Eᵢ)² + STIFFNESS⁴ · Σ (tᵢ₋₂ − 2 tᵢ₋₁ + tᵢ)²        over the frames up to AHEAD ahead

least (Whittaker 1923; over a whole film, the Hodrick–Prescott filter); its first step is decided. The past
is part of the sum, so that whatever E does, the path does not break. The answer is linear in two decided
targets and the exposures ahead, with weights that are worked out once.

A soft path follows the camera's own loop, which answers clouds, and so loses them; a stiff one swings where
dusk sets in. On a sequence of the twin at dusk with a loop that hunts (76 mEV of flicker in E), a render's
film has 1.0 mEV; with 24 frames ahead the path's has 1.7, 1.5 and 1.1 mEV at a stiffness of 16, 20 and 24
frames, strays 0.3, 0.5 and 0.8 EV from the render's target (rms), and keeps 0.65 of the clouds at 16 and
all of them at 20. With 12 frames ahead it has 3.6 mEV. 24 are few enough to be encoded in the time that a
finished film may take.

Where dusk is fast (12 EV in a hundred pictures) so stiff a path would stray a whole stop from what the camera
delivered, and burn a sunset out. So it grows softer as it strays, measured against a line through the next
exposures: up to 0.4 EV it is as stiff as above, at twice that as soft as a path of 12 frames, and where that
strays in turn, by 0.7 EV and more, of 4. Such a dusk strays 0.69 EV then, one of 17 EV 0.75 (1.03 and 1.44
before), and one of 12 EV in 20 pictures, as with one in five minutes, 1.2 (2.3); the loop that hunts is
levelled as before. Nearer costs more than it brings: on a sequence of the twin with clouds (1.6 mEV and 0.81
of them kept without this, 1.7 and 0.83 with it) 8 frames from 0.3 EV on leave 2.5 mEV and 0.71.

A path knows no time: after a gap it would run on as if the light had waited, and the film would leap. So what
it follows is moved there by as much as the light, and the film goes on as bright as it stopped.

Colour gains are levelled like exposure. A film's shoulder (`recipe/look.py`) begins at its brightest gain,
which nobody knows yet: here it begins at the brightest so far, and comes back slowly.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from skylapse_protocol.messages import Order
from skylapse_protocol.snapshot import Window

from .frames import SourceFrame
from .jobs import RenderSpec
from .recipe.gaps import LONGEST
from .recipe.plan import GAP
from .request import DEFAULT_RATE, MAX_RATE, MIN_RATE, SIZES
from .store.rows import StoredFrame

AHEAD = 24
"""How many frames are looked ahead to before a frame is encoded for good."""
GROUP = 24
"""How many frames a closed segment has."""
STIFFNESS = 18.0
"""How many frames a turn of the target takes, about."""
SOFTER = ((12.0, 0.4, 13), (4.0, 0.7, 7))
"""How many frames a turn takes where the target has strayed; how far it may, in EV; and of how many frames it
is told what is delivered: fewer shake, more answer late."""
_PAUSES = 4
"""The longest of so many tells a gap from a frame that came late."""
_ORDER = 2
"""Of the differences along a path that are its bends."""
_WHITE_DOWN_EV = 0.01
"""How far the shoulder comes back from frame to frame."""

Curve = NDArray[np.float64]
Three = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """When a path's last frame was taken, and in what light."""

    at_s: float | None = None
    """Seconds since 1970; null before the first frame and where nobody knows."""
    pauses_s: tuple[float, ...] = ()
    """Between the last frames; a gap counts as the longest that is none, so that a new pace is learnt."""
    light_ev: tuple[float | None, float | None] = (None, None)
    """As the picture tells, as the meter tells: each as far as a constant of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PathEnd:
    """Where the decided path ends: what the next decision goes on from."""

    targets: tuple[Three, ...] = ()
    """Of the last two frames: exposure, red gain and blue gain, in EV; none before the first decision."""
    seen: Three = (0.0, 0.0, 0.0)
    """The last that was known of each."""
    moved: Three = (0.0, 0.0, 0.0)
    """What gaps have added to each so far."""
    last: Moment = Moment()
    white_ev: float = 0.0
    """The brightest light that the shoulder leaves room for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Aim:
    """How one frame is to look, and where the path stands after it."""

    gain_ev: Three
    """For red, green and blue."""
    white_ev: float
    after: PathEnd


def spec_of(newest: StoredFrame, orders: Sequence[Order]) -> RenderSpec:
    """Return the film that grows with a frame: the one that is ordered of its window, or one like it."""
    plain = RenderSpec(
        camera=newest.name.camera,
        day=newest.day,
        window=newest.window,
        schedule=newest.schedule,
        profile=newest.profile if newest.window else None,
    )
    for order in orders:
        if (order.camera, order.schedule) != (str(plain.camera), plain.schedule) or newest.window is None:
            continue
        ordered = replace(plain, size=order.size, rate=order.rate)
        if order.recipe == plain.recipe and order.profile in (None, plain.profile) and grows(ordered):
            return ordered
    return plain


def grows(spec: RenderSpec) -> bool:
    """Tell whether a film is one that can grow: the plain one of all frames, at a known size and rate."""
    plain = RenderSpec(
        camera=spec.camera,
        day=spec.day,
        window=spec.window,
        schedule=spec.schedule,
        profile=spec.profile,
        size=spec.size,
        rate=spec.rate,
    )
    return spec == plain and spec.size in SIZES and (spec.rate is None or MIN_RATE <= spec.rate <= MAX_RATE)


def pace_of(spec: RenderSpec) -> Fraction:
    """Return the frames a second of a film that grows, as a render would show it."""
    return Fraction(spec.rate or DEFAULT_RATE).limit_denominator(1001)


def follows(spec: RenderSpec, before: RenderSpec) -> bool:
    """Tell whether a film is of another window or day, so that the one before is over."""
    return (spec.day, spec.window) != (before.day, before.window)


def ends_soon(spec: RenderSpec, windows: Sequence[Window], newest: datetime | None) -> bool:
    """Tell whether a film's window has but a segment's frames to come, or nobody knows when it ends."""
    ends = [
        window.ends_at - GROUP * timedelta(seconds=window.interval_s)
        for window in windows
        if (window.id, window.day) == (spec.window, spec.day)
    ]
    return not ends or newest is None or newest >= max(ends)


def is_exact(frame: SourceFrame) -> bool:
    """Tell whether a record says what the frame's exposure was: then a render would level by it, too."""
    facts = frame.facts
    return facts is not None and facts.exposure_ev is not None and facts.rounded_ev == 0.0


def has_colour(frame: SourceFrame) -> bool:
    """Tell whether the frame's white balance is known."""
    return frame.facts is not None and frame.facts.colour_gains is not None


def aims(path_end: PathEnd, frames: Sequence[SourceFrame]) -> tuple[Aim, ...]:
    """Return the aim of every frame that follows on a path; the last AHEAD of them may yet change."""
    values, known, ends = _values(path_end, frames)
    targets = _path(path_end.targets, values)
    found, white_ev = [], path_end.white_ev
    for index in range(len(frames)):
        change = np.where(known[index], targets[index] - values[index], 0.0)
        gains = (float(change[0] + change[1]), float(change[0]), float(change[0] + change[2]))
        white_ev = white_after(white_ev, gains)
        decided = [*path_end.targets, *(_three(row) for row in targets[max(0, index - 1) : index + 1])]
        after = replace(ends[index], targets=tuple(decided[-2:]), white_ev=white_ev)
        found.append(Aim(gain_ev=gains, white_ev=white_ev, after=after))
    return tuple(found)


def white_after(white_ev: float, gain_ev: Three) -> float:
    """Return where the shoulder of a frame of this gain begins, by that of the frame before."""
    return max(0.0, *gain_ev, white_ev - _WHITE_DOWN_EV)


def _values(end: PathEnd, frames: Sequence[SourceFrame]) -> tuple[Curve, NDArray[np.bool_], list[PathEnd]]:
    """Return what the path follows of each frame, what is not standing as it was last seen, and the ends."""
    values, known, ends = np.zeros((len(frames), 3)), np.zeros((len(frames), 3), dtype=np.bool_), []
    for index, frame in enumerate(frames):
        exposure = frame.facts.exposure_ev if frame.facts else None
        colours = frame.facts.colour_gains if frame.facts else None
        logs = [math.log2(colour) for colour in colours] if colours else [None, None]
        facts = (exposure, *logs)
        seen = _three([last if fact is None else fact for fact, last in zip(facts, end.seen, strict=True)])
        end = _moved(replace(end, seen=seen), end.seen, frame)
        values[index] = np.add(seen, end.moved)
        known[index] = [fact is not None for fact in facts]
        ends.append(end)
    return values, known, ends


def _moved(end: PathEnd, before: Three, frame: SourceFrame) -> PathEnd:
    """Return the end with a frame's moment, moved by the light's step where it comes after a gap."""
    at_s = frame.captured_at.timestamp() if frame.captured_at else None
    pause_s = None if at_s is None or end.last.at_s is None else at_s - end.last.at_s
    pauses_s, usual_s = end.last.pauses_s, max(end.last.pauses_s, default=math.inf)
    light_ev = _light_ev(frame)
    if pause_s is not None and pause_s > 0:
        pauses_s = (*pauses_s, min(pause_s, GAP * usual_s))[-_PAUSES:]
    if pause_s is None or pause_s <= GAP * usual_s:
        return replace(end, last=Moment(at_s=at_s, pauses_s=pauses_s, light_ev=light_ev))
    answered = [old - new for old, new in zip(before, end.seen, strict=True)]
    lights = zip(end.last.light_ev, light_ev, strict=True)
    steps = [new - old for old, new in lights if old is not None and new is not None]
    if steps and pause_s < LONGEST * usual_s:
        answered[0] = steps[0]
    moved = _three([was + step for was, step in zip(end.moved, answered, strict=True)])
    return replace(end, moved=moved, last=Moment(at_s=at_s, pauses_s=pauses_s, light_ev=light_ev))


def _light_ev(frame: SourceFrame) -> tuple[float | None, float | None]:
    facts = frame.facts
    exposure = facts.exposure_ev if facts else None
    seen = frame.measured.log_mean - exposure if frame.measured and exposure is not None else None
    return seen, math.log2(facts.lux) if facts and facts.lux else None


def _path(decided: Sequence[Three], values: Curve) -> Curve:
    """Return the targets of all frames, shape (n, 3): each decided as its look-ahead reaches."""
    count = len(values)
    targets = np.empty((count, 3))
    past = [np.array(row) for row in decided]
    first = 0
    if len(past) < _ORDER and count:
        first = min(_ORDER, count)
        targets[:first] = _beginning(min(AHEAD + 1, count))[:first] @ values[: AHEAD + 1]
        past = list(targets[:first])
    for index in range(first, count):
        if len(past) < _ORDER:
            past = [past[-1], *past]
        targets[index] = _next(np.array(past[-_ORDER:]), values[index : index + AHEAD + 1])
        past.append(targets[index])
    return targets


def _next(decided: Curve, ahead: Curve) -> Curve:
    """Return the target that follows two decided ones, shape (3,)."""
    known = np.concatenate([decided, ahead])
    wanted = _weights(len(ahead), STIFFNESS) @ known
    for stiffness, near_ev, frames in SOFTER:
        here = ahead[:frames]
        strayed = np.clip(np.abs(_line(len(here)) @ here - wanted) / near_ev - 1, 0, 1)
        share = strayed**2 * (3 - 2 * strayed)
        wanted = wanted + share * (_weights(len(ahead), stiffness) @ known - wanted)
    return np.asarray(wanted)


def _bends(count: int, stiffness: float) -> Curve:
    """Return the matrix that takes a path to the weighted bends along it."""
    bends: Curve = np.diff(np.eye(count), n=_ORDER, axis=0) * stiffness**_ORDER
    return bends


@lru_cache
def _beginning(count: int) -> Curve:
    """Return the weights of the first frames of a film in its first targets, shape (count, count)."""
    bends = _bends(count, STIFFNESS)
    weights = np.linalg.solve(np.eye(count) + bends.T @ bends, np.eye(count))
    return np.asarray(weights, dtype=np.float64)


@lru_cache
def _weights(ahead: int, stiffness: float) -> Curve:
    """Return the weights of two decided targets and of the exposures ahead in the next target."""
    bends = _bends(ahead + _ORDER, stiffness)
    past, future = bends[:, :_ORDER], bends[:, _ORDER:]
    left = np.eye(ahead) + future.T @ future
    right = np.hstack([-future.T @ past, np.eye(ahead)])
    return np.asarray(np.linalg.solve(left, right)[0], dtype=np.float64)


@lru_cache
def _line(count: int) -> Curve:
    """Return the weights of exposures in where the line through them begins."""
    powers = np.vander(np.arange(count), min(_ORDER, count), increasing=True)
    return np.asarray(np.linalg.pinv(powers)[0], dtype=np.float64)


def _three(row: Sequence[float] | Curve) -> Three:
    return float(row[0]), float(row[1]), float(row[2])


def on_grid(first: int, past: int) -> list[tuple[int, int]]:
    """Cut a run of frames where segments of the grid begin."""
    edges = [first, *(edge for edge in range(GROUP, past, GROUP) if edge > first), past]
    return list(itertools.pairwise(edges))
