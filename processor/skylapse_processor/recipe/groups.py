"""Brackets: pictures of one moment that belong together, and which of them leads.

Records say how far each picture stands from the middle (`bracket_ev` in stops, `bracket_dioptre`). A group
begins with a picture of an offset that the group before it has already; with the offset that begins most
groups, which is the middle where the bridge took them; and with a picture that comes a whole interval after
its group began. So groups that lack members, or even their middle, stay apart. The picture nearest to the
middle leads its group, and the others stand beside it.

Cameras with bracketing of their own (AEB) leave no records. Their exposures tell: about the middle of the
sixteen exposures around each picture they lie in a few tight bundles, half a stop or more apart. The bundles
are the offsets.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

import numpy as np

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


def leading(frames: tuple[SourceFrame, ...]) -> tuple[SourceFrame, ...]:
    """Return the pictures that ordinary films are made of: the middles of brackets; all where none leads."""
    found = tuple(frame for frame in frames if not offset(frame, EXPOSURES) and not offset(frame, FOCUS))
    return found or frames


def grouped(
    frames: tuple[SourceFrame, ...], steps: Collection[str]
) -> tuple[tuple[SourceFrame, ...], tuple[tuple[str, str], ...]]:
    """Return the pictures that lead, with their brackets beside them where one of the steps merges brackets.

    With them come pictures that belong to no bracket, with the reason. Raises RequestError where brackets are
    to be merged and there are none.
    """
    merging = next((step for step in steps if step in MERGING), None)
    return (leading(frames), ()) if merging is None else _gathered(frames, merging)


def _gathered(
    frames: tuple[SourceFrame, ...], step: str
) -> tuple[tuple[SourceFrame, ...], tuple[tuple[str, str], ...]]:
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
    return tuple(_led(group, kind) for group in _groups(wanted, kind)), lost


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
    loose = _split(frames, kind, None, None)
    begins = Counter(offset(group[0], kind) for group in loose).most_common(1)[0][0]
    starts = [frame.captured_at for frame in frames if abs(offset(frame, kind) - begins) < _SAME]
    times = [at.timestamp() for at in starts if at is not None]
    steps = [later - earlier for earlier, later in pairwise(times)]
    return _split(frames, kind, begins, median(steps) if steps else None)


def _split(
    frames: Sequence[SourceFrame], kind: str, begins: float | None, interval_s: float | None
) -> list[list[SourceFrame]]:
    groups: list[list[SourceFrame]] = []
    seen: list[float] = []
    for frame in frames:
        here = offset(frame, kind)
        again = any(abs(here - each) < _SAME for each in seen)
        first = begins is not None and abs(here - begins) < _SAME
        if not groups or again or first or _apart(groups[-1][0], frame, interval_s):
            groups.append([])
            seen = []
        groups[-1].append(frame)
        seen.append(here)
    return groups


def _apart(first: SourceFrame, frame: SourceFrame, interval_s: float | None) -> bool:
    """Say whether a picture was taken a whole interval after the first of a group."""
    if interval_s is None or first.captured_at is None or frame.captured_at is None:
        return False
    return (frame.captured_at - first.captured_at).total_seconds() >= _WHOLE_INTERVAL * interval_s


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
