"""Brackets: pictures of one moment that belong together, and which of them leads.

Records say how far each picture stands from the middle (`bracket_ev` in stops, `bracket_dioptre`). A group
begins with a picture of an offset that the group before it has already; with the offset that begins most
groups, which is the middle where the bridge took them; with a picture that comes a whole interval after its
group began, by how long it takes hereabouts until an offset comes again; where none does, with a picture
that no camera would have waited for in one bracket; and with a place that is no later in its tick than the
one before. So groups that lack members, or even their middle, stay apart, and what they lack is named. The
picture nearest to the middle leads its group, and the others stand beside it.

Cameras with bracketing of their own (AEB) leave no records. Their exposures tell: about the middle of the
sixteen exposures around each picture they lie in a few tight bundles, half a stop or more apart. The bundles
are the offsets.
"""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from skylapse_processor.errors import RequestError
from skylapse_processor.frames import SourceFrame

EXPOSURES, FOCUS = "bracket_ev", "bracket_dioptre"
"""What the pictures of a group differ in, as records name it."""

MERGING = {"hdr": EXPOSURES, "focus": FOCUS}
"""Steps that merge brackets, and what those differ in."""

_SAME = 0.05
_FARTHEST = 100.0
_WINDOW = 16
_BUNDLE_EV = 0.5
_WHOLE_INTERVAL = 0.9
_STEPS_NEAR = 4
"""So many groups before and after a picture tell how often brackets come there…"""
_LOST_SHARE = 0.25
"""…by the steps at this place in their order: those over a lost picture are longer."""
_WAITS_S, _EXPOSURES_LONG = 8.0, 10.0
"""Between two pictures of a bracket a camera writes files, and settles on another exposure."""
_GROUPS_NEAR = 8
"""So many groups before and after one tell what a bracket has there."""
_MISSING = {
    EXPOSURES: "needs exposure brackets: none of the pictures has a bracket_ev in its record, nor do their"
    " exposures differ in a pattern; give the camera's profile bracket_ev, as in [-2, 0, 2]",
    FOCUS: "needs focus brackets: none of the pictures has a bracket_dioptre in its record; give the camera's"
    " profile focus_bracket, as in [0, 1]",
}


def offset(frame: SourceFrame, kind: str) -> float:
    """Return how far from the middle of its bracket a picture was taken; 0 where its record says nothing."""
    value = frame.record.get(kind)
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < _FARTHEST:
        return 0.0
    return float(value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gathered:
    """The pictures of a film, and what is to be said of them; each saying is a file's name and words."""

    leaders: tuple[SourceFrame, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    """Pictures that belong to no bracket."""
    lacking: tuple[tuple[str, str], ...] = ()
    """Leaders of brackets that are not whole."""


def leading(frames: tuple[SourceFrame, ...]) -> tuple[SourceFrame, ...]:
    """Return the pictures that ordinary films are made of: the middles of brackets; all where none leads."""
    found = tuple(frame for frame in frames if not offset(frame, EXPOSURES) and not offset(frame, FOCUS))
    return found or frames


def grouped(frames: tuple[SourceFrame, ...], steps: Collection[str]) -> Gathered:
    """Return the pictures that lead, with their brackets beside them where one of the steps merges brackets.

    Raises RequestError where brackets are to be merged and there are none.
    """
    merging = next((step for step in steps if step in MERGING), None)
    return Gathered(leaders=leading(frames)) if merging is None else _gathered(frames, merging)


def _gathered(frames: tuple[SourceFrame, ...], step: str) -> Gathered:
    kind = MERGING[step]
    other = FOCUS if kind == EXPOSURES else EXPOSURES
    wanted = tuple(frame for frame in frames if not offset(frame, other)) or frames
    lost: tuple[tuple[str, str], ...] = ()
    if not any(offset(frame, kind) for frame in wanted):
        marked = _marked(wanted) if kind == EXPOSURES else None
        if marked is None:
            raise RequestError("recipe", f"{step} {_MISSING[kind]}")
        lost = tuple(
            (frame.name, "belongs to no bracket: its exposure is not known")
            for frame in wanted
            if frame.facts is None or frame.facts.exposure_ev is None
        )
        wanted = marked
    groups = [_led(group, kind) for group in _groups(wanted, kind)]
    return Gathered(leaders=tuple(groups), skipped=lost, lacking=_lacking(groups, kind))


def _lacking(leaders: Sequence[SourceFrame], kind: str) -> tuple[tuple[str, str], ...]:
    """Return the leaders of brackets that lack what most brackets about them have, with what that is."""
    offsets = [{offset(each, kind) for each in (leader, *leader.beside)} for leader in leaders]
    found = []
    for number, (leader, own) in enumerate(zip(leaders, offsets, strict=True)):
        near = offsets[max(number - _GROUPS_NEAR, 0) : number + _GROUPS_NEAR + 1]
        counts = Counter(each for others in near for each in others)
        missing = sorted(each for each, count in counts.items() if 2 * count > len(near) and each not in own)
        if missing:
            words = " and ".join(_place(each, kind) for each in missing)
            found.append((leader.name, f"stands for a bracket without {words}: merged of the others"))
    return tuple(found)


def _place(away: float, kind: str) -> str:
    if not away:
        return "its middle"
    return f"its picture at {away:+.3g} {'EV' if kind == EXPOSURES else 'dioptres'}"


def without_leader(frame: SourceFrame) -> SourceFrame | None:
    """Return the bracket of a picture that turned out broken, led by the next best; null where none is left.

    The next best stands nearest to the middle, as the first beside a leader does.
    """
    if not frame.beside:
        return None
    return replace(frame.beside[0], beside=frame.beside[1:])


def exposure_over(frame: SourceFrame, leader: SourceFrame) -> float:
    """Return by how many stops a picture was exposed more than the leader of its bracket."""
    stated = [each.facts.exposure_ev if each.facts else None for each in (frame, leader)]
    if stated[0] is not None and stated[1] is not None:
        return stated[0] - stated[1]
    return offset(frame, EXPOSURES) - offset(leader, EXPOSURES)


def _led(group: Sequence[SourceFrame], kind: str) -> SourceFrame:
    """Return the leader of a group; those beside it stand in the order of their distance from the middle."""
    first, *others = sorted(group, key=lambda frame: abs(offset(frame, kind)))
    return replace(first, beside=tuple(others))


def _groups(frames: Sequence[SourceFrame], kind: str) -> list[list[SourceFrame]]:
    """Return the pictures of each bracket."""
    never = np.full(len(frames), np.inf)
    loose = _split(frames, kind, None, never)
    begins = Counter(offset(group[0], kind) for group in loose).most_common(1)[0][0]
    return _split(frames, kind, begins, _intervals_s(frames, kind))


def _intervals_s(frames: Sequence[SourceFrame], kind: str) -> NDArray[np.float64]:
    """Return how often brackets come about each picture; infinity where nothing tells.

    Lost pictures make a step from one to the next of the same offset longer, never shorter.
    """
    steps = np.full(len(frames), np.inf)
    before: dict[float, float] = {}
    for number, frame in enumerate(frames):
        if frame.captured_at is not None:
            here, at_s = offset(frame, kind), frame.captured_at.timestamp()
            if at_s > before.get(here, at_s):
                steps[number] = at_s - before[here]
            before[here] = at_s
    reach = _STEPS_NEAR * max(len(before), 1)
    padded = np.pad(steps, reach, constant_values=np.inf)
    near = np.sort(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), axis=1)
    known = np.isfinite(near).sum(axis=1)
    place = (_LOST_SHARE * np.maximum(known - 1, 0)).astype(np.intp)
    intervals: NDArray[np.float64] = np.take_along_axis(near, place[:, None], axis=1)[:, 0]
    return intervals


def _split(
    frames: Sequence[SourceFrame], kind: str, begins: float | None, intervals_s: NDArray[np.float64]
) -> list[list[SourceFrame]]:
    groups: list[list[SourceFrame]] = []
    seen: list[float] = []
    for frame, interval_s in zip(frames, intervals_s, strict=True):
        here = offset(frame, kind)
        again = any(abs(here - each) < _SAME for each in seen)
        first = begins is not None and abs(here - begins) < _SAME
        if not groups or again or first or _apart(groups[-1], frame, interval_s):
            groups.append([])
            seen = []
        groups[-1].append(frame)
        seen.append(here)
    return groups


def _apart(group: Sequence[SourceFrame], frame: SourceFrame, interval_s: float) -> bool:
    """Say whether a picture can be of no bracket that these have begun."""
    first, last = group[0], group[-1]
    places = [each.record.get("place") for each in (last, frame)]
    if isinstance(places[0], int) and isinstance(places[1], int) and places[1] <= places[0]:
        return True
    if first.captured_at is None or last.captured_at is None or frame.captured_at is None:
        return False
    if math.isinf(interval_s):
        waited_s = (frame.captured_at - last.captured_at).total_seconds()
        return waited_s > _WAITS_S + _EXPOSURES_LONG * max(_taken_in_s(last), _taken_in_s(frame))
    return (frame.captured_at - first.captured_at).total_seconds() >= _WHOLE_INTERVAL * interval_s


def _taken_in_s(frame: SourceFrame) -> float:
    """Return how long a picture was exposed; where nobody knows, for ever."""
    exposure_us = frame.facts.exposure_us if frame.facts is not None else None
    averaged = frame.record.get("averaged")
    if exposure_us is None:
        return math.inf
    return exposure_us * 1e-6 * (averaged if isinstance(averaged, int) else 1)


def _marked(frames: Sequence[SourceFrame]) -> tuple[SourceFrame, ...] | None:
    """Return the pictures with the offsets that their exposures tell; null where there is no pattern."""
    known = [frame for frame in frames if frame.facts is not None and frame.facts.exposure_ev is not None]
    if len(known) < 2:
        return None
    exposures = np.array([frame.facts.exposure_ev for frame in known if frame.facts is not None], dtype=float)
    size = min(_WINDOW, len(known) - len(known) % 2)
    windows = np.median(np.lib.stride_tricks.sliding_window_view(exposures, size), axis=1)
    before = (len(known) - len(windows)) // 2
    middles = np.pad(windows, (before, len(known) - len(windows) - before), mode="edge")
    away = exposures - middles
    ordered = np.sort(away)
    bundles = np.split(ordered, np.flatnonzero(np.diff(ordered) >= _BUNDLE_EV) + 1)
    centres = np.array([np.median(bundle) for bundle in bundles])
    if len(centres) < 2 or min(len(bundle) for bundle in bundles) < len(known) / (4 * len(centres)):
        return None
    nearest = np.abs(away[:, None] - centres).argmin(axis=1)
    centres = centres - centres[np.abs(centres).argmin()]
    return tuple(
        replace(frame, record={**frame.record, EXPOSURES: float(centres[place])})
        for frame, place in zip(known, nearest, strict=True)
    )
