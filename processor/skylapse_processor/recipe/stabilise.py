"""Stabilise: a tripod for a camera that the wind shakes.

A camera that is fixed to a wall should see the same pixel of a ridge in the same place all day, so nothing is
smoothed along a path as for a camera in the hand: every picture is laid back onto where the camera was aimed
(`track.py`), in one interpolation of linear light. One enlargement, the smallest that keeps every picture's
edge out of sight, holds for the whole film; a film that was not shaken is not touched at all.

The aim itself may drift, as wood dries or a mount sags. `follow_frames` 0 pins the film to one aim as far as
`limit` allows, and lets it go along slowly beyond; above 0 the film always goes along, smoothed by so many
frames. A camera that was knocked to another aim, farther than `limit`, starts anew there. Pictures that tell
nothing of where they lie (fog, dark) go the way between their neighbours.

Parameters: `limit`, the largest correction in shares of the picture's width, default 0.02;
`follow_frames`, default 0: pinned.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .layer import Layer, Picture, Sight, Size
from .plan import Plan
from .register import WORKING_COLUMNS, Motion, warped
from .smooth import smooth
from .track import Poses, after, inverse, motion_of, stands_still, track

_ALONG_FRAMES = 25.0
"""A pinned aim that has gone to its limit goes along with the drift, smoothed by so many frames."""
_ROOM = 0.7
"""Share of the limit that drift may use up; the rest is for shake."""
_AIM_FRAMES = 5
_TURN_LIMIT_DEG = 2.0
_MOST_ZOOM = 1.5
_STRIP_ROWS = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class Stabilised(Layer):
    """Pictures, each laid back onto one aim."""

    limit: float
    follow_frames: float
    corrections: tuple[Motion, ...] = ()
    """How each picture lies upon where the film shows it; none where the film is left alone."""
    zoom: float = 1.0

    @property
    def sight_columns(self) -> int:
        """As wide as textures are."""
        return WORKING_COLUMNS

    @property
    def looks_at_all(self) -> bool:
        """Every picture is registered."""
        return True

    @property
    def by_rows(self) -> bool:
        """Pictures are warped a strip at a time."""
        return True

    @property
    def idle(self) -> bool:
        """A film that was not shaken is not touched."""
        return not self.corrections

    def prepare(self, sight: Sight) -> "Stabilised":
        """Register the whole film."""
        seen = track(sight)
        aim = aims(seen.poses, seen.known, limit=self.limit, follow_frames=self.follow_frames)
        beside = np.array([after(pose, inverse(to)) for pose, to in zip(seen.poses, aim, strict=True)])
        if stands_still(beside, seen):
            return replace(self, corrections=(), zoom=1.0)
        corrections = tuple(motion_of(pose) for pose in limited(beside, self.limit))
        return replace(self, corrections=corrections, zoom=zoom_for(corrections, sight.size))

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        """Lay one picture back."""
        picture = below[0]
        columns, rows = picture.size
        matrix = self.corrections[number].matrix(columns, rows, zoom=self.zoom)
        light = np.empty((3, rows, columns), dtype=np.float32)
        for top in range(0, rows, _STRIP_ROWS):
            part = slice(top, min(top + _STRIP_ROWS, rows))
            light[:, part] = warped(picture.rows, picture.size, matrix, part)
        return replace(picture, light=light, latent=None)


def stabilise(plan: Plan, *, limit: float = 0.02, follow_frames: float = 0.0) -> Plan:
    """Return the plan with every picture laid back onto one aim."""
    return replace(plan, layers=(*plan.layers, Stabilised(limit=limit, follow_frames=follow_frames)))


def aims(poses: Poses, known: NDArray[np.bool_], *, limit: float, follow_frames: float) -> Poses:
    """Return where the film looks at each picture, shape (n, 3); a knocked camera starts anew."""
    aim = poses.copy()
    for start, stop in _stretches(poses, known, limit):
        stretch = poses[start:stop]
        seen = known[start:stop]
        if not seen.any():
            continue
        along = _smooth(stretch, seen, follow_frames or _ALONG_FRAMES)
        if follow_frames:
            aim[start:stop] = along
            continue
        pin = np.median(stretch[seen], axis=0)
        room = _ROOM * np.array([limit, limit, _TURN_LIMIT_DEG])
        aim[start:stop] = np.clip(pin, along - room, along + room)
    return aim


def limited(beside: Poses, limit: float) -> Poses:
    """Return corrections within the limit, by shortening those that are longer."""
    lengths = np.maximum(np.hypot(beside[:, 0], beside[:, 1]), 1e-12)
    shorter = np.minimum(limit / lengths, 1.0)
    turn = np.clip(beside[:, 2], -_TURN_LIMIT_DEG, _TURN_LIMIT_DEG)
    return np.column_stack([beside[:, :2] * shorter[:, None], turn])


def zoom_for(corrections: Sequence[Motion], size: Size) -> float:
    """Return the smallest enlargement that keeps the edges of all pictures out of sight."""
    columns, rows = size
    corners = np.array([(x, y, 1.0) for x in (0, columns - 1) for y in (0, rows - 1)]).T

    def inside(zoom: float) -> bool:
        seen = np.array([motion.matrix(columns, rows, zoom=zoom) @ corners for motion in corrections])
        x, y = seen[:, 0], seen[:, 1]
        return bool(x.min() >= 0 and y.min() >= 0 and x.max() <= columns - 1 and y.max() <= rows - 1)

    low, high = 1.0, _MOST_ZOOM
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (low, middle) if inside(middle) else (middle, high)
    return high


def _stretches(poses: Poses, known: NDArray[np.bool_], limit: float) -> list[tuple[int, int]]:
    """Return stretches of one aim: they end where the aim before and after differ by more than the limit."""
    numbers = np.flatnonzero(known)
    cuts = [0]
    for place in range(_AIM_FRAMES, len(numbers) - _AIM_FRAMES + 1):
        before = np.median(poses[numbers[place - _AIM_FRAMES : place], :2], axis=0)
        behind = np.median(poses[numbers[place : place + _AIM_FRAMES], :2], axis=0)
        step = poses[numbers[place], :2] - poses[numbers[place - 1], :2]
        if min(np.hypot(*(behind - before)), np.hypot(*step)) > limit:
            cuts.append(int(numbers[place]))
    return list(zip(cuts, [*cuts[1:], len(poses)], strict=True))


def _smooth(poses: Poses, known: NDArray[np.bool_], sigma: float) -> Poses:
    numbers, weights = np.arange(len(poses), dtype=np.float64), known.astype(np.float64)
    return np.stack([smooth(numbers, column, sigma, weights=weights) for column in poses.T], axis=1)
