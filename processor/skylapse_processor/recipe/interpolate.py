"""Interpolate: a film of the length that was asked for, at a rate that the eye takes for motion.

Theory
------
A film of n pictures that is to last T seconds at r frames a second has m = T·r frames, evenly spread over the
pictures: frame k lies at k·(n − 1) ÷ (m − 1).

*More frames than pictures.* Up to twice as many, a frame between two pictures is found by following what
moves (`flow`): optical flow from each picture to the other (dense inverse search, Kroeger et al. 2016, as
OpenCV has it), both pictures moved to the moment between them along it, and their mean taken. Flow is
nonsense where light changes and nothing moves, where something is covered, and in noise; so each pixel is
believed as far as the two moved pictures agree better than the two unmoved ones do:

    belief = D₀² ÷ (D₀² + 4·D₁² + noise²)

D₀ and D₁ being the differences before and after, both as means of a neighbourhood; what is not believed is
the plain cross-fade of the two pictures (`blend`). Beyond twice as many, cross-fades alone are made: a motion
that was photographed at two points does not tell ten between them.

*Fewer frames than pictures.* The surplus is dropped evenly, or with `surplus` merge, all pictures count: each
frame is the mean of those of its time, in linear light, as by a shutter that never closes.

A film that would show each picture for more than sixteen frames is refused: that is a slide show.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from skylapse_processor.errors import RequestError
from skylapse_processor.tone import LUMINANCE

from .blend import mean, weight
from .layer import Layer, Light, Picture
from .plan import Plan, made

WAYS = ("auto", "flow", "blend")
SURPLUS = ("drop", "merge")
FLOW_AT_MOST = 2.0
SLIDE_SHOW = 16.0
"""Frames for each picture from which on a film is none."""

_FLOW_COLUMNS = 640
_SAME = 1e-3
_NOISE = 0.01
_DOUBT = 4.0
_WEIGHTS = LUMINANCE.astype(np.float32)

Plane = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpolate(Layer):
    """So many pictures of as many as there are."""

    below: int
    frames: int
    flows: bool
    """Whether motion is followed between two pictures; else they are cross-faded."""
    merges: bool
    """Whether surplus pictures are merged; else they are dropped."""

    def count(self, below: int) -> int:
        """Return the number that was asked for."""
        return self.frames

    def needs(self, number: int, below: int) -> Sequence[int]:
        """Return the pictures about the moment."""
        at = self.moment(number)
        if self.frames >= self.below:
            first = min(int(at + _SAME), below - 1)
            return [first] if at - first < _SAME else [first, first + 1]
        if not self.merges:
            return [min(round(at), below - 1)]
        opening = self.below / self.frames
        reach = range(max(0, int(at - opening)), min(below, int(at + opening) + 2))
        return [each for each in reach if weight(each - at, opening) > _SAME]

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        """Return the picture of the moment; where one beside it is broken, the other."""
        if len(below) == 1:
            return below[0]
        at = self.moment(number)
        nearest = min(below, key=lambda picture: abs(picture.number - at))
        if self.frames < self.below:
            opening = self.below / self.frames
            return replace(nearest, light=mean(below, [weight(each.number - at, opening) for each in below]))
        first, second = below
        share = at - first.number
        faded = mean(below, [1 - share, share])
        return replace(
            nearest, light=between(first.light, second.light, share, faded) if self.flows else faded
        )

    def moment(self, number: int) -> float:
        """Return where a frame of the film lies among the pictures below."""
        if self.frames == 1:
            return (self.below - 1) / 2
        if self.frames >= self.below:
            return number * (self.below - 1) / (self.frames - 1)
        return (number + 0.5) * self.below / self.frames - 0.5


def interpolate(
    plan: Plan, *, length_s: float = 0.0, rate: float = 30.0, method: str = "auto", surplus: str = "drop"
) -> Plan:
    """Return the plan of a film of this length at this rate; 0 s is the length that the film was asked for.

    `method` flow or blend says how frames between two pictures are made, `surplus` drop or merge what becomes
    of pictures too many. Raises RequestError where no length was asked for, or it would be a slide show.
    """
    wanted_s = length_s or plan.length_s
    if not wanted_s:
        raise RequestError("parameters.interpolate.length_s", "is missing, and so is the length of the film")
    below = made(plan)
    frames = max(1, round(wanted_s * rate))
    if frames > SLIDE_SHOW * below:
        raise RequestError(
            "parameters.interpolate.length_s",
            f"{wanted_s:g} s at {rate:g} frames a second are {frames} frames: of {below} pictures at most"
            f" {SLIDE_SHOW * below / rate:.1f} s can be made",
        )
    often = frames / below
    if method == "flow" and often > FLOW_AT_MOST:
        raise RequestError(
            "parameters.interpolate.method",
            f"flow makes at most {FLOW_AT_MOST:g} frames of each picture, and this film wants {often:.1f}",
        )
    layer = Interpolate(
        below=below,
        frames=frames,
        flows=method == "flow" or (method == "auto" and often <= FLOW_AT_MOST),
        merges=surplus == "merge",
    )
    return replace(plan, layers=(*plan.layers, layer), rate=rate)


def between(first: Light, second: Light, share: float, faded: Light) -> Light:
    """Return the light at a share, 0…1, of the way from one picture to the next.

    `faded` is the cross-fade of both: what is seen where motion is not believed.
    """
    there, back = flows(first, second)
    rows, columns = first.shape[1:]
    x, y = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    to_first = -(1 - share) * share * there + share * share * back
    to_second = (1 - share) ** 2 * there - share * (1 - share) * back
    moved_first = _moved(first, x + to_first[..., 0], y + to_first[..., 1])
    moved_second = _moved(second, x + to_second[..., 0], y + to_second[..., 1])
    belief = _belief(first, second, moved_first, moved_second)
    for one, two, plain in zip(moved_first, moved_second, faded, strict=True):
        cv2.addWeighted(one, 1 - share, two, share, 0.0, dst=one)
        one -= plain
        one *= belief
        one += plain
    return moved_first


def _moved(light: Light, x: Plane, y: Plane) -> Light:
    """Return light with each pixel taken from where x and y say."""
    found = np.empty_like(light)
    for channel, target in zip(light, found, strict=True):
        cv2.remap(channel, x, y, cv2.INTER_LINEAR, dst=target, borderMode=cv2.BORDER_REPLICATE)
    return found


def flows(first: Light, second: Light) -> tuple[Plane, Plane]:
    """Return the motion to the second picture and back, in pixels, each of shape (rows, columns, 2)."""
    rows, columns = first.shape[1:]
    scale = min(1.0, _FLOW_COLUMNS / columns)
    small = (max(16, round(columns * scale)), max(16, round(rows * scale)))
    one, two = (cv2.resize(_codes(light), small, interpolation=cv2.INTER_AREA) for light in (first, second))
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = []
    for start, end in ((one, two), (two, one)):
        flow = np.zeros((small[1], small[0], 2), dtype=np.float32)
        finder.calc(start, end, flow)
        flow *= np.array([columns / small[0], rows / small[1]], dtype=np.float32)
        found.append(np.asarray(cv2.resize(flow, (columns, rows)), dtype=np.float32))
    return found[0], found[1]


def _codes(light: Light) -> NDArray[np.uint8]:
    """Return the square root of luminance as eight bits: near enough to what the eye compares."""
    luminance = np.einsum("c,crx->rx", _WEIGHTS, light)
    codes: NDArray[np.uint8] = np.clip(255 * np.sqrt(np.maximum(luminance, 0.0)), 0, 255).astype(np.uint8)
    return codes


def _belief(first: Light, second: Light, moved_first: Light, moved_second: Light) -> Plane:
    """Return how far motion is believed, 0…1, shape (rows, columns)."""
    columns = first.shape[2]
    sigma = max(1.0, columns / 480)
    differences = []
    for one, two in ((first, second), (moved_first, moved_second)):
        away = np.sqrt(np.maximum(one[1], 0.0)) - np.sqrt(np.maximum(two[1], 0.0))
        differences.append(cv2.GaussianBlur(away * away, (0, 0), sigma))
    before, after = differences
    belief: Plane = before / (before + _DOUBT * after + np.float32(_NOISE**2))
    return belief
