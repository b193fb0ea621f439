"""Where the camera looked, picture by picture: each lies upon the first as far as static texture tells.

Pictures are looked at by stretches. In a stretch, texture that stays is told from texture that moves: the
mean of its first third looks like the mean of its last where nothing moves, and like nothing where clouds
passed. Corners are looked for in what stays. Every picture is registered to the one in the middle of its
stretch, which looks most like it, and that one to an anchor, which is replaced only when too little of it can
be found again, as light goes on changing: so errors do not add up from picture to picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from skylapse_processor.errors import PictureError

from .layer import Sight
from .register import WORKING_COLUMNS, Landmarks, Motion, Texture, texture

Poses = NDArray[np.float64]
"""Shift to the right and down in picture widths and turn in degrees, clockwise; shape (n, 3)."""

STRETCH = 24
"""Pictures looked at together: half a megabyte each."""

_GOOD = 0.6
"""Confidence from which an anchor serves on."""
_STATIC_COLUMNS = 240
_STAYS = 0.5
_PATCH = (9, 9)
_FEWEST_TO_TELL = 6
_LEAST_STATIC = 0.02
_FLAT = 128.0
_KEYS = (0.5, 0.25, 0.75)

_STILL_PX = 0.15
"""Nineteen of twenty pictures of a camera that stands still are found nearer to their aim than this, in
pixels of what is compared: it is what registration itself leaves."""
_NINETEEN_OF_TWENTY = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class Trajectory:
    """Where each picture of a film lies upon the first."""

    poses: Poses
    """Interpolated where nothing is known."""
    known: NDArray[np.bool_]
    """Whether a picture was registered with confidence, shape (n,)."""
    columns: int
    """Of the pictures that were looked at."""

    def motion(self, number: int, onto: int) -> Motion:
        """Return how one picture lies upon another one; of no confidence where either is not known."""
        if not (self.known[number] and self.known[onto]):
            return Motion()
        return motion_of(after(self.poses[number], inverse(self.poses[onto])))

    @property
    def is_still(self) -> bool:
        """Whether the camera stood still, for all that can be told."""
        return stands_still(self.poses - np.median(self.poses, axis=0), self)


def track(sight: Sight) -> Trajectory:
    """Look at the whole film once, or at parts of it, and return where each picture lies upon the first."""
    poses = np.zeros((sight.count, 3))
    known = np.zeros(sight.count, dtype=bool)
    chain = _Chain()
    for stretch in _stretches(sight):
        key, landmarks, motions = _registered([shown for _, shown in stretch])
        base = chain.base(key, landmarks)
        for (number, _), motion in zip(stretch, motions, strict=True):
            if motion.is_sure:
                poses[number] = after(pose_of(motion), base)
                known[number] = True
    return Trajectory(poses=_filled(poses, known), known=known, columns=min(WORKING_COLUMNS, sight.small[0]))


def stands_still(beside: Poses, seen: Trajectory) -> bool:
    """Tell whether poses beside their aim are no more than registration makes of a camera that stands."""
    far = np.hypot(*beside[seen.known, :2].T) * seen.columns
    return not far.size or float(np.quantile(far, _NINETEEN_OF_TWENTY)) < _STILL_PX


def static_texture(textures: Sequence[Texture]) -> NDArray[np.uint8] | None:
    """Return where texture stays through a stretch of pictures, 0 elsewhere; null where nobody can tell."""
    if len(textures) < _FEWEST_TO_TELL:
        return None
    third = len(textures) // 3
    early, late = (_small_mean(part) for part in (textures[:third], textures[-third:]))
    alike, first, last = (cv2.blur(plane, _PATCH) for plane in (early * late, early**2, late**2))
    mask = (np.asarray(alike) > _STAYS * np.sqrt(np.asarray(first) * np.asarray(last))).astype(np.uint8)
    return mask if mask.mean() >= _LEAST_STATIC else None


def _small_mean(textures: Sequence[Texture]) -> NDArray[np.float32]:
    rows, columns = textures[0].shape
    size = min(_STATIC_COLUMNS, columns), max(rows * min(_STATIC_COLUMNS, columns) // columns, 1)
    total = np.zeros(size[::-1], np.float32)
    for shown in textures:
        total += np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_AREA), dtype=np.float32) - _FLAT
    total /= np.float32(len(textures))
    return total


def after(second: NDArray[np.float64], first: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the pose that `second` makes of a picture that already lies as `first`."""
    angle = np.radians(second[2])
    x = np.cos(angle) * first[0] - np.sin(angle) * first[1] + second[0]
    y = np.sin(angle) * first[0] + np.cos(angle) * first[1] + second[1]
    return np.array([x, y, first[2] + second[2]])


def inverse(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the pose that undoes another."""
    turned = after(np.array([0.0, 0.0, -pose[2]]), pose)
    return np.array([-turned[0], -turned[1], -pose[2]])


def motion_of(pose: NDArray[np.float64]) -> Motion:
    """Return a pose as a motion that is believed."""
    x, y, angle = pose.tolist()
    return Motion(dx_widths=x, dy_widths=y, rotation_deg=angle, confidence=1.0)


def pose_of(motion: Motion) -> NDArray[np.float64]:
    """Return a motion as a pose."""
    return np.array([motion.dx_widths, motion.dy_widths, motion.rotation_deg])


class _Chain:
    """The anchors of a film, each lying upon the one before it."""

    def __init__(self) -> None:
        self._anchor: Landmarks | None = None
        self._anchor_pose = np.zeros(3)
        self._last: Landmarks | None = None
        self._last_pose = np.zeros(3)

    def base(self, key: Texture, landmarks: Landmarks) -> NDArray[np.float64]:
        """Return where the middle picture of the next stretch lies."""
        pose, confidence = self._last_pose, 0.0
        for known, at in ((self._anchor, self._anchor_pose), (self._last, self._last_pose)):
            motion = known.motion(key) if known is not None and confidence < _GOOD else Motion()
            if motion.is_sure and motion.confidence > confidence:
                pose, confidence = after(pose_of(motion), at), motion.confidence
        if confidence < _GOOD:
            self._anchor, self._anchor_pose = landmarks, pose
        self._last, self._last_pose = landmarks, pose
        return pose


def _registered(stretch: Sequence[Texture]) -> tuple[Texture, Landmarks, list[Motion]]:
    """Return the picture that a stretch is registered to, its corners, and how each picture lies upon it.

    It is the one in the middle, or another where too few lie upon that one: it may show fog.
    """
    static = static_texture(stretch)
    best, most = (stretch[0], Landmarks(stretch[0], static), [Motion()] * len(stretch)), 0
    for share in _KEYS:
        key = stretch[int(share * len(stretch))]
        landmarks = Landmarks(key, static)
        motions = [landmarks.motion(shown) for shown in stretch]
        sure = sum(motion.is_sure for motion in motions)
        if sure > most:
            best, most = (key, landmarks, motions), sure
        if most > len(stretch) / 2:
            break
    return best


def _stretches(sight: Sight) -> Iterator[list[tuple[int, Texture]]]:
    """Yield numbers and textures of the pictures that can be had, a stretch at a time, each of one part."""
    for part in sight.parts or (range(sight.count),):
        stretch: list[tuple[int, Texture]] = []
        for number in part:
            try:
                stretch.append((number, texture(sight.picture(number).light)))
            except (PictureError, OSError):
                continue
            if len(stretch) == STRETCH:
                yield stretch
                stretch = []
        if stretch:
            yield stretch


def _filled(poses: Poses, known: NDArray[np.bool_]) -> Poses:
    """Return poses with those that are not known interpolated between their neighbours."""
    if known.all() or not known.any():
        return poses
    numbers = np.arange(len(poses))
    return np.stack([np.interp(numbers, numbers[known], column[known]) for column in poses.T], axis=1)
