"""Where one picture lies upon another: shift, turn and scale, to a few hundredths of a pixel.

Pictures are compared by their texture. Light is compressed by its root, which makes the noise of a sensor the
same in the light and in the dark; a band of middling detail is kept, and divided by how strong detail is
around it: neither dusk nor the shadow of a cloud changes what is left. Corners of that texture are followed
from one picture to the other (Lucas and Kanade, coarse to fine), each to about a tenth of a pixel.

What moves by itself disagrees: clouds drift, water sways, birds fly. So hundreds of corners vote (RANSAC).
A large cloud can have more corners than the land below it, and its corners agree among themselves: up to
three camps are heard, and one that moved little counts for more than one that moved far, since a camera on a
tripod is pushed by wind and not carried away. The corners of the camp that wins give the answer by least
squares, with errors that average out. Too few corners, or too few that agree, as in fog or in the dark of
night: the confidence says so.

Sources: B. Lucas, T. Kanade, "An Iterative Image Registration Technique" (1981); J. Shi, C. Tomasi, "Good
Features to Track" (1994); S. Umeyama, "Least-Squares Estimation of Transformation Parameters Between Two
Point Patterns" (1991).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from .layer import Light, Size

Model: TypeAlias = Literal["shift", "turn", "scale"]
"""What may differ between two pictures: a shift; also a turn; also the scale, as when the focus moves."""

Texture: TypeAlias = NDArray[np.uint8]
"""What is compared, shape (rows, columns); 128 is no texture."""

Points: TypeAlias = NDArray[np.float64]
"""Places in a texture, from its middle, in its pixels, shape (n, 2)."""

Matrix: TypeAlias = NDArray[np.float64]
"""Where each pixel of one picture is found in another, shape (2, 3)."""

WORKING_COLUMNS = 960
"""Textures are no wider: finer detail costs four times as much and adds little."""

CONFIDENT = 0.3
"""Motions of less confidence are not to be believed."""

_GREY = np.array([0.3, 0.5, 0.2], dtype=np.float32)
_FINE_PX, _COARSE_PX, _AROUND_PX = 0.8, 6.0, 24.0
_FLAT = 1.5
"""Detail up to so many times the usual one counts as flat, not as texture to be amplified."""
_CONTRAST = 40.0
_CORNERS = 700
_QUALITY = 0.01
_APART_PX = 6
_WINDOW_PX = 21
_LEVELS = 3
_AGREES_PX = 0.6
_CAMPS = 3
_LEAST_SHARE = 0.08
_FEWEST = 8
_ENOUGH = 40
_NEAR_WIDTHS, _NEAR_STATIC_WIDTHS = 0.006, 0.03
"""A corner that moved by so much counts a third of one that stood still; where static texture was told from
what moves, camps are trusted farther out."""
_REFITS = 4
_KERNEL_PX = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Motion:
    """How a picture lies upon the one that it was compared with."""

    dx_widths: float = 0.0
    """What both show lies farther to the right in it, in picture widths…"""
    dy_widths: float = 0.0
    """…farther down, in picture widths, too…"""
    rotation_deg: float = 0.0
    """…turned clockwise around its middle…"""
    scale: float = 1.0
    """…and so many times as large."""
    confidence: float = 0.0
    """0…1: how many corners agree, and how large a share of those that were found; below CONFIDENT the
    figures are not to be believed, and without any agreement they are those of no motion."""

    @property
    def is_sure(self) -> bool:
        """Whether it is to be believed."""
        return self.confidence >= CONFIDENT

    def matrix(self, columns: int, rows: int, *, zoom: float = 1.0) -> Matrix:
        """Return where in this picture each pixel of the other is found, shape (2, 3).

        With a zoom, where each pixel of the other is found, enlarged so many times about its middle.
        """
        angle = np.radians(self.rotation_deg)
        cosine, sine = self.scale * np.cos(angle), self.scale * np.sin(angle)
        turn = np.array([[cosine, -sine], [sine, cosine]]) / zoom
        middle = np.array([(columns - 1) / 2, (rows - 1) / 2])
        shift = np.array([self.dx_widths, self.dy_widths]) * columns
        return np.column_stack([turn, middle + shift - turn @ middle])


def register(
    reference: Light, picture: Light, *, model: Model = "turn", static: NDArray[np.uint8] | None = None
) -> Motion:
    """Return how a picture lies upon a reference of the same shape; light of any brightness.

    `static` leaves out what moves by itself: 0 where no corners are to be looked for, of any size.
    """
    return Landmarks(texture(reference), static).motion(texture(picture), model)


def texture(light: Light) -> Texture:
    """Return what pictures are compared by; the same at any brightness."""
    grey = np.tensordot(_GREY, light, 1)
    scale = WORKING_COLUMNS / grey.shape[1]
    if scale < 1.0:
        size = WORKING_COLUMNS, max(round(grey.shape[0] * scale), 1)
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    root = np.sqrt(np.maximum(grey, 0.0))
    band = _blurred(root, _FINE_PX) - _blurred(root, _COARSE_PX)
    around = np.sqrt(_blurred(band * band, _AROUND_PX))
    around += _FLAT * np.float32(np.median(around)) + np.float32(1e-6)
    return np.clip(band / around * _CONTRAST + 128.5, 0.0, 255.0).astype(np.uint8)


class Landmarks:
    """Corners of a reference, found once, to follow into many pictures."""

    __slots__ = ("_corners", "_near", "_texture")

    def __init__(self, reference: Texture, static: NDArray[np.uint8] | None = None) -> None:
        """Find the corners, where `static` is not 0."""
        rows, columns = reference.shape
        if static is not None and static.shape != reference.shape:
            near = cv2.resize(static, (columns, rows), interpolation=cv2.INTER_NEAREST)
            static = np.asarray(near, dtype=np.uint8)
        found = cv2.goodFeaturesToTrack(reference, _CORNERS, _QUALITY, _APART_PX, mask=static)
        self._near = _NEAR_WIDTHS if static is None else _NEAR_STATIC_WIDTHS
        self._texture = reference
        self._corners = np.asarray(found if np.any(found) else np.zeros((0, 1, 2)), dtype=np.float32)

    def motion(self, picture: Texture, model: Model = "turn") -> Motion:
        """Return how a picture lies upon the reference."""
        if len(self._corners) < _FEWEST:
            return Motion()
        rows, columns = self._texture.shape
        there, seen, _ = cv2.calcOpticalFlowPyrLK(
            self._texture,
            picture,
            self._corners,
            self._corners.copy(),
            winSize=(_WINDOW_PX, _WINDOW_PX),
            maxLevel=_LEVELS,
        )
        kept = np.asarray(seen)[:, 0] == 1
        middle = np.array([(columns - 1) / 2, (rows - 1) / 2])
        here, there = (np.asarray(places)[kept, 0] - middle for places in (self._corners, there))
        of = len(self._corners)
        camps = [(_motion(*camp, of, columns, model), len(camp[0])) for camp in _camps(here, there)]
        heard = [(size * float(np.exp(-_length(motion) / self._near)), motion) for motion, size in camps]
        return max(heard, key=lambda camp: camp[0], default=(0.0, Motion()))[1]


def warp(light: Light, motion: Motion, *, zoom: float = 1.0) -> Light:
    """Return a picture laid back upon the one that it was compared with, enlarged about its middle.

    Interpolates in linear light (Lanczos, eight by eight); what lies outside is the nearest edge.
    """
    _, rows, columns = light.shape
    matrix = motion.matrix(columns, rows, zoom=zoom)
    return warped(lambda part: light[:, part], (columns, rows), matrix, slice(0, rows))


def warped(rows_of: Callable[[slice], Light], size: Size, matrix: Matrix, part: slice) -> Light:
    """Return some rows of what `warp` makes, of no more rows of a picture than they are made of.

    `matrix` says where in the picture each pixel is found; `rows_of` returns rows of the picture.
    """
    columns, rows = size
    corners = [(x, y) for x in (0, columns - 1) for y in (part.start, part.stop - 1)]
    found = [float(matrix[1] @ (x, y, 1.0)) for x, y in corners]
    first = int(np.clip(np.floor(min(found)) - _KERNEL_PX, 0, rows - 1))
    past = int(np.clip(np.ceil(max(found)) + _KERNEL_PX + 1, first + 1, rows))
    moved = matrix.copy()
    moved[:, 2] += matrix[:, 1] * part.start
    moved[1, 2] -= first
    laid = np.empty((3, part.stop - part.start, columns), dtype=np.float32)
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    for channel, plane in zip(rows_of(slice(first, past)), laid, strict=True):
        cv2.warpAffine(channel, moved, plane.shape[::-1], plane, flags, cv2.BORDER_REPLICATE)
    return np.maximum(laid, 0.0, out=laid)


def _blurred(plane: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma_px), dtype=np.float32)


def _camps(here: Points, there: Points) -> list[tuple[Points, Points]]:
    """Return corners that agree on one motion, the largest camp first."""
    camps: list[tuple[Points, Points]] = []
    fewest = max(_FEWEST, _LEAST_SHARE * len(here))
    while len(camps) < _CAMPS and len(here) >= fewest:
        _, voted = cv2.estimateAffinePartial2D(
            here, there, method=cv2.RANSAC, ransacReprojThreshold=_AGREES_PX, maxIters=500, confidence=0.999
        )
        inside = np.asarray(voted).reshape(-1) == 1
        if len(inside) != len(here) or np.count_nonzero(inside) < fewest:
            break
        camps.append((here[inside], there[inside]))
        here, there = here[~inside], there[~inside]
    return camps


def _motion(here: Points, there: Points, of: int, columns: int, model: Model) -> Motion:
    """Return the motion that a camp agrees on; corners that lie far beside it are dropped on the way."""
    motion, fitted = Motion(), np.zeros(0)
    for _ in range(_REFITS):
        shift, angle, scale = _FITS[model](here, there)
        cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
        fitted = here @ np.array([[cosine, sine], [-sine, cosine]]) + shift
        motion = Motion(
            dx_widths=float(shift[0]) / columns,
            dy_widths=float(shift[1]) / columns,
            rotation_deg=float(np.degrees(angle)),
            scale=scale,
            confidence=_confidence(len(here), of),
        )
        beside = np.hypot(*(there - fitted).T)
        near = beside <= max(2.5 * float(np.median(beside)), 0.02)
        if near.all() or np.count_nonzero(near) < _FEWEST:
            break
        here, there = here[near], there[near]
    return motion


def _confidence(agree: int, of: int) -> float:
    return min(agree / _ENOUGH, 1.0) * min(2.0 * agree / max(of, 1), 1.0)


def _length(motion: Motion) -> float:
    return float(np.hypot(motion.dx_widths, motion.dy_widths))


_Fit: TypeAlias = tuple[NDArray[np.float64], float, float]
"""Shift of the middle in pixels, angle in radians, scale."""


def _fit_shift(here: Points, there: Points) -> _Fit:
    return (there - here).mean(axis=0), 0.0, 1.0


def _fit_turn(here: Points, there: Points) -> _Fit:
    shift, angle, _ = _fit_scale(here, there)
    cosine, sine = np.cos(angle), np.sin(angle)
    shift = (there - here @ np.array([[cosine, sine], [-sine, cosine]])).mean(axis=0)
    return shift, angle, 1.0


def _fit_scale(here: Points, there: Points) -> _Fit:
    """Fit by complex numbers: there = (scale · e^(i angle)) · here + shift."""
    first, second = here @ np.array([1, 1j]), there @ np.array([1, 1j])
    centred = first - first.mean()
    factor = complex(
        (centred.conj() @ (second - second.mean())) / max(float((abs(centred) ** 2).sum()), 1e-9)
    )
    shift = complex(second.mean() - factor * first.mean())
    return np.array([shift.real, shift.imag]), float(np.angle(factor)), abs(factor)


_FITS: Mapping[Model, Callable[[Points, Points], _Fit]] = {
    "shift": _fit_shift,
    "turn": _fit_turn,
    "scale": _fit_scale,
}
