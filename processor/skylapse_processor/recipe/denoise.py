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

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from .layer import Layer, Light, Picture, Sight
from .plan import Plan
from .register import WORKING_COLUMNS, warp
from .track import Track, track

Plane = NDArray[np.float32]

METHODS = ("mean", "median")

_GREY = np.array([[0.3, 0.5, 0.2]], dtype=np.float32)
_HALF = 2
"""Pictures are compared at half their size."""
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
    track: Track | None = None
    """Where the camera looked; null where it stood still."""

    @property
    def sight_columns(self) -> int:
        """As wide as textures are."""
        return WORKING_COLUMNS

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
        others = [self._laid(picture, middle) for picture in below if picture is not middle]
        if not others:
            return middle
        return replace(middle, light=blended(middle.light, others, median=self.median))

    def _laid(self, picture: Picture, middle: Picture) -> Light:
        """Return a neighbour as it lies upon the picture in the middle."""
        if self.track is None:
            return picture.light
        motion = self.track.motion(picture.number, onto=middle.number)
        columns = picture.light.shape[2]
        beside = np.hypot(motion.dx_widths, motion.dy_widths) + abs(np.radians(motion.rotation_deg)) / 2
        return warp(picture.light, motion) if beside * columns > _STANDS_PX else picture.light


def denoise(plan: Plan, *, method: str = "mean", radius: float = 2) -> Plan:
    """Return the plan with every picture the mean of those around it where they show the same."""
    return replace(plan, layers=(*plan.layers, Denoised(radius=round(radius), median=method == "median")))


def blended(middle: Light, others: Sequence[Light], *, median: bool) -> Light:
    """Return a picture blended with others that lie upon it, where they show the same as the guide does."""
    seen = _root(middle)
    gains, roots = [], [seen]
    for other in others:
        root = _root(other)
        gain = _gain(seen, root)
        gains.append(gain)
        roots.append(root * np.sqrt(_fitted(gain, root)))
    guide = _median(roots) if median else seen
    beside = [np.square(root - guide) for root in roots]
    noise = _noise(guide, beside if median else beside[1:])
    weights = [_weight(difference, noise) for difference in beside]
    if median:
        weights = _outvoted(weights)
    return _mean(middle, others, gains, weights)


def _mean(middle: Light, others: Sequence[Light], gains: Sequence[Plane], weights: Sequence[Plane]) -> Light:
    """Return the weighted mean in linear light; the first weight is that of the middle."""
    total = _fitted(weights[0], middle[0])
    light = middle * total
    for other, gain, weight in zip(others, gains, weights[1:], strict=True):
        whole = _fitted(weight, middle[0])
        total += whole
        whole *= _fitted(gain, middle[0])
        for channel, plane in zip(light, other, strict=True):
            cv2.accumulateProduct(plane, whole, channel)
    np.reciprocal(total, out=total)
    light *= total
    return light


def _root(light: Light) -> Plane:
    """Return the root of grey at half the size."""
    grey = cv2.transform(cv2.merge(list(light)), _GREY)
    rows, columns = grey.shape[:2]
    size = max(columns // _HALF, 1), max(rows // _HALF, 1)
    small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    return np.sqrt(np.maximum(small, 0.0, out=small), out=small)


def _fitted(small: Plane, like: Plane) -> Plane:
    """Return a plane enlarged to the size of another one."""
    rows, columns = like.shape
    larger = cv2.resize(small, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray(larger, dtype=np.float32)


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
        centres.append(float(np.median(place[inside])))
        quiet.append(_QUIET_TO_MEAN * float(np.quantile(differing[inside], _QUIET)))
    most = _MOST_NOISE * float(np.sort(quiet)[_QUIET_CLASS])
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
