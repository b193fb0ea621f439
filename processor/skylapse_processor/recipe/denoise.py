"""Denoise: a picture and its neighbours in time, laid upon each other, where they show the same.

Noise differs from picture to picture and the landscape does not: the mean of n pictures in linear light has
its noise divided by √n. All the skill is in leaving out what moved. Each neighbour is laid upon the picture
in the middle (`track.py`; untouched where the camera stood still), brought to its brightness in tiles of 32
pixels, so that neither dusk nor the shadow of a cloud counts as motion, and compared with a guide: its
weight is 1 where both differ by no more than noise does, and falls to 0 where they differ by more.

How strong noise is depends on the sensor, on gain, on the JPEG encoder, and within a picture on texture and
brightness: an encoder smooths a clear sky and lets noise be in grass. So it is measured in every picture:
tiles are sorted by the strength of their texture, and by their brightness, and in each class the quietest of
the differences are noise; what differs much more is motion. Differences count in the root of light, where
shot noise is the same in light and in dark; both as a mean over a few pixels, for clouds and water, and pixel
by pixel, for stars and birds.

method mean    the guide is the picture itself: whatever it shows stays, a bird too
method median  the guide is the median of all: a bird, a car, a raindrop in one picture is outvoted; where
               most pictures disagree, as in clouds, the picture itself stays

Parameters: `method`, mean or median, default mean; `radius`, how many neighbours on each side, 1…3, default
2: five pictures. Source of weights by expected noise: A. Buades, J.-L. Lisani, M. Miladinović, "Patch-based
video denoising with optical flow estimation" (2016); the theory of √n is Poisson's.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from .layer import Layer, Light, Picture, Sight, Size
from .plan import Plan
from .register import WORKING_COLUMNS, Matrix, warped
from .track import Trajectory, track

Plane: TypeAlias = NDArray[np.float32]
RowsOf: TypeAlias = Callable[[slice], Light]
"""Returns some rows of a picture's light."""

METHODS = ("mean", "median")

_GREY = np.array([[0.3, 0.5, 0.2]], dtype=np.float32)
_HALF = 2
"""Pictures are compared at half their size."""
_STRIP_ROWS = 64
_TILE_PX = 16
"""Of a compared picture."""
_MOST_GAIN = 1.25
_PATCH_PX = 5
_POINT = 0.15
"""A single pixel may differ by seven times the variance of noise before it counts."""
_SAME, _OTHER = 2.4, 4.5
"""Differences, in variances of noise, up to which a neighbour counts wholly, and from which not at all."""
_CLASSES = 8
_QUIET, _QUIET_TO_MEAN = 0.1, 1.2
_QUIET_CLASS, _MOST_NOISE = 2, 2.0
"""The third quietest of the classes shows noise even where most of a picture moves; none has much more."""
_LEAST_NOISE = 1e-7
_STANDS_PX = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Denoised(Layer):
    """Pictures, each the mean of those around it where they show the same."""

    radius: int
    median: bool
    track: Trajectory | None = None
    """Where the camera looked; null where it stood still."""

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
        """Pictures are added up a strip at a time."""
        return True

    def prepare(self, sight: Sight) -> "Denoised":
        """Register the whole film."""
        seen = track(sight)
        return replace(self, track=None if seen.is_still else seen)

    def needs(self, number: int, below: int) -> Sequence[int]:
        """Return the picture and its neighbours."""
        return range(max(number - self.radius, 0), min(number + self.radius + 1, below))

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        """Take the mean."""
        middle = min(below, key=lambda picture: abs(picture.number - number))
        others = [(picture.rows, self._lies(picture, middle)) for picture in below if picture is not middle]
        light = blended(middle.rows, others, middle.size, median=self.median)
        return replace(middle, light=light, latent=None)

    def _lies(self, picture: Picture, middle: Picture) -> Matrix | None:
        """Return how a neighbour lies upon the picture in the middle; null for as it is."""
        if self.track is None:
            return None
        motion = self.track.motion(picture.number, onto=middle.number)
        columns, rows = picture.size
        beside = np.hypot(motion.dx_widths, motion.dy_widths) + abs(np.radians(motion.rotation_deg)) / 2
        if beside * columns < _STANDS_PX:
            return None
        return motion.matrix(columns, rows)


def denoise(plan: Plan, *, method: str = "mean", radius: float = 2) -> Plan:
    """Return the plan with every picture the mean of those around it where they show the same."""
    return replace(plan, layers=(*plan.layers, Denoised(radius=round(radius), median=method == "median")))


def blended(
    middle: RowsOf, others: Sequence[tuple[RowsOf, Matrix | None]], size: Size, *, median: bool
) -> Light:
    """Return a picture blended with others where they show the same as the guide does.

    Each of the others comes with how it lies upon the picture, null where it lies as it is.
    """
    shares = _shares(middle, others, size, median=median)
    laid = [rows if lies is None else partial(warped, rows, size, lies) for rows, lies in others]
    return _sum([middle, *laid], shares, size)


def _shares(
    middle: RowsOf, others: Sequence[tuple[RowsOf, Matrix | None]], size: Size, *, median: bool
) -> list[Plane]:
    """Return what each pixel of the pictures is multiplied by, at the size at which they are compared."""
    seen = _root(middle, size)
    gains, roots = [np.ones_like(seen)], [seen]
    for other, lies in others:
        root = _moved(_root(other, size), lies)
        gains.append(_fitted(_gain(seen, root), seen.shape))
        roots.append(root * np.sqrt(gains[-1]))
    guide = _median(roots) if median else seen
    beside = [np.square(root - guide) for root in roots]
    del roots
    noise = _noise(guide, beside if median else beside[1:]) if others else guide
    weights = [_weight(difference, noise) for difference in beside]
    del beside
    if median:
        weights = _outvoted(weights)
    total = np.sum(weights, axis=0, dtype=np.float32)
    return [gain * weight / total for gain, weight in zip(gains, weights, strict=True)]


def _sum(pictures: Sequence[RowsOf], shares: Sequence[Plane], size: Size) -> Light:
    """Return the sum of pictures in linear light, each multiplied by its share, some rows at a time."""
    columns, rows = size
    light = np.zeros((3, rows, columns), dtype=np.float32)
    for small, part in _strips(rows):
        for rows_of, share in zip(pictures, shares, strict=True):
            factor = _fitted(share[small], (part.stop - part.start, columns))
            for plane, channel in zip(rows_of(part), light[:, part], strict=True):
                cv2.accumulateProduct(plane, factor, channel)
    return light


def _strips(rows: int) -> Iterator[tuple[slice, slice]]:
    """Yield strips of rows of a compared picture, and those of the picture itself."""
    half = max(rows // _HALF, 1)
    for top in range(0, half, _STRIP_ROWS):
        stop = min(top + _STRIP_ROWS, half)
        yield slice(top, stop), slice(_HALF * top, rows if stop == half else _HALF * stop)


def _root(rows_of: RowsOf, size: Size) -> Plane:
    """Return the root of grey at half the size."""
    columns, rows = size
    root = np.empty((max(rows // _HALF, 1), max(columns // _HALF, 1)), dtype=np.float32)
    for small, part in _strips(rows):
        grey = cv2.transform(cv2.merge(list(rows_of(part))), _GREY)
        shape = root[small].shape
        root[small] = cv2.resize(grey, shape[::-1], interpolation=cv2.INTER_AREA).reshape(shape)
    return np.sqrt(np.maximum(root, 0.0, out=root), out=root)


def _moved(root: Plane, lies: Matrix | None) -> Plane:
    """Return a compared picture laid upon another one; the matrix is that of whole pictures."""
    if lies is None:
        return root
    middle = np.full(2, (_HALF - 1) / 2)
    small = np.column_stack([lies[:, :2], (lies[:, :2] @ middle + lies[:, 2] - middle) / _HALF])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(root, small, root.shape[::-1], None, flags, cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.float32).clip(0.0)


def _fitted(small: Plane, shape: tuple[int, ...]) -> Plane:
    """Return a plane enlarged to so many rows and columns."""
    rows, columns = shape
    return np.asarray(cv2.resize(small, (columns, rows), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _gain(seen: Plane, root: Plane) -> Plane:
    """Return by how much another picture's light is multiplied to be as bright as this one, by tile.

    A median, so that what is small and moves has no say.
    """
    ratio = (seen + np.float32(1e-3)) / (root + np.float32(1e-3))
    middling = np.median(_tiles(ratio), axis=(1, 3)).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(middling, (3, 3), 0.0), dtype=np.float32)
    return np.asarray(np.clip(smooth * smooth, 1.0 / _MOST_GAIN, _MOST_GAIN), dtype=np.float32)


def _tiles(plane: Plane) -> NDArray[np.float32]:
    """Return a plane cut into tiles, shape (tiles down, rows, tiles across, columns)."""
    rows, columns = plane.shape
    down, across = max(rows // _TILE_PX, 1), max(columns // _TILE_PX, 1)
    size = across * min(_TILE_PX, columns), down * min(_TILE_PX, rows)
    if size != (columns, rows):
        plane = np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_NEAREST), dtype=np.float32)
    return plane.reshape(down, size[1] // down, across, size[0] // across)


def _median(planes: Sequence[Plane]) -> Plane:
    """Return the median of planes, by comparing neighbours until they are in order."""
    ordered = list(planes)
    for turn in range(len(ordered)):
        for place in range(turn % 2, len(ordered) - 1, 2):
            low = np.minimum(ordered[place], ordered[place + 1])
            ordered[place + 1] = np.maximum(ordered[place], ordered[place + 1])
            ordered[place] = low
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / np.float32(2)


def _noise(guide: Plane, beside: Sequence[Plane]) -> Plane:
    """Return the variance of what noise makes of differences, place by place, by the texture there."""
    steps = cv2.Sobel(guide, cv2.CV_32F, 1, 0), cv2.Sobel(guide, cv2.CV_32F, 0, 1)
    texture = np.asarray(cv2.magnitude(*steps), dtype=np.float32)
    texture = np.asarray(cv2.blur(texture, (_PATCH_PX, _PATCH_PX)), dtype=np.float32)
    differing = np.concatenate([_tiles(each).mean(axis=(1, 3)).ravel() for each in beside])
    return np.maximum(_by_class(texture, differing), _by_class(guide, differing))


def _by_class(kind: Plane, differing: NDArray[np.float32]) -> Plane:
    """Return the variance of noise at each place by one property of it; `differing` by picture and tile."""
    by_tile = _tiles(kind).mean(axis=(1, 3)).ravel()
    place = np.tile(by_tile, differing.size // by_tile.size)
    centres, quiet = [], []
    for low, high in pairwise(np.quantile(by_tile, np.linspace(0.0, 1.0, _CLASSES + 1)).tolist()):
        inside = (place >= low) & (place <= high)
        if not inside.any():  # between two tiles of a small picture
            continue
        centres.append(float(np.median(place[inside])))
        quiet.append(_QUIET_TO_MEAN * float(np.quantile(differing[inside], _QUIET)))
    most = _MOST_NOISE * float(np.sort(quiet)[min(_QUIET_CLASS, len(quiet) - 1)])
    variances = np.clip(quiet, _LEAST_NOISE, max(most, _LEAST_NOISE))
    steps = np.linspace(0.0, float(kind.max()) + 1e-9, 256)
    table = np.interp(steps, centres, variances).astype(np.float32)
    return np.take(table, (kind * np.float32(255.0 / steps[-1])).astype(np.uint8))


def _weight(beside: Plane, noise: Plane) -> Plane:
    """Return 1 where a picture differs by no more than noise, 0 where by much more."""
    patch = np.asarray(cv2.blur(beside, (_PATCH_PX, _PATCH_PX)), dtype=np.float32)
    point = np.asarray(cv2.dilate(beside, np.ones((3, 3), np.uint8)), dtype=np.float32)
    point *= np.float32(_POINT)
    differs = np.maximum(patch, point, out=patch)
    differs /= noise
    np.subtract(np.float32(_OTHER), differs, out=differs)
    differs /= np.float32(_OTHER - _SAME)
    return np.asarray(np.clip(differs, 0.0, 1.0, out=differs), dtype=np.float32)


def _outvoted(weights: Sequence[Plane]) -> list[Plane]:
    """Return weights with the guide followed where most pictures agree with it, and not elsewhere."""
    votes = np.sum(weights, axis=0, dtype=np.float32)
    agreed = np.clip(votes - np.float32(len(weights) / 2.0), 0.0, 1.0)
    first = weights[0] * agreed + (np.float32(1.0) - agreed)
    return [first, *(weight * agreed for weight in weights[1:])]
