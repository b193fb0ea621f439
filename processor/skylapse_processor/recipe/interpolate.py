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
frame is the mean of those of its time, in linear light, as by a shutter that never closes; evenly spread ones
of very many.

A film that would show each picture for more than sixteen frames is refused: that is a slide show.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from skylapse_processor.errors import RequestError
from skylapse_processor.tone import LUMINANCE

from .blend import mean, thinned, weight
from .layer import Layer, Light, Picture, Size
from .plan import Plan, made

WAYS = ("auto", "flow", "blend")
SURPLUS = ("drop", "merge")
FLOW_AT_MOST = 2.0
SLIDE_SHOW = 16.0
"""Frames for each picture from which on a film is none."""

_FLOW_COLUMNS = 640
_BAND = 128
"""Rows at a time, for the sake of memory: at 1080p one channel of them lies in blocks that are used again."""
_GREEN_FIRST = (1, 0, 2)
"""Channels; by the first of them motion is believed."""
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

    @property
    def by_rows(self) -> bool:
        """Few rows of both pictures are looked at at a time."""
        return True

    def count(self, below: int) -> int:
        """Return the number that was asked for."""
        return self.frames

    def needs(self, number: int, below: int) -> Sequence[int]:
        """Return the pictures about the moment, one to spare where a single one would do."""
        at = self.moment(number)
        if self.frames >= self.below or not self.merges:
            first = min(int(at + _SAME), below - 1)
            return range(first, min(first + 2, below))
        opening = self.below / self.frames
        reach = range(max(0, int(at - opening)), min(below, int(at + opening) + 2))
        seen = thinned(reach, opening, opening)
        return [each for each in seen if weight(each - at, opening) > _SAME / opening]

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        """Return the picture of the moment; where one beside it is broken, the other."""
        at = self.moment(number)
        nearest = min(below, key=lambda picture: abs(picture.number - at))
        return replace(nearest, light=self._light(at, below, nearest), latent=None)

    def _light(self, at: float, below: Sequence[Picture], nearest: Picture) -> Light:
        if len(below) == 1:
            return mean(below, [1.0])
        if self.frames < self.below and self.merges:
            opening = self.below / self.frames
            return mean(below, [weight(each.number - at, opening) for each in below])
        first, second = below
        share = at - first.number
        if share < _SAME or self.frames < self.below:
            return mean([nearest], [1.0])
        return between(first, second, share) if self.flows else mean(below, [1 - share, share])

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


def between(first: Picture, second: Picture, share: float) -> Light:
    """Return the light at a share, 0…1, of the way from one picture to the next."""
    there, back = flows(first, second)
    motions = (
        (share - 1) * share * there + share * share * back,
        (1 - share) ** 2 * there + (share - 1) * share * back,
    )
    columns, rows = first.size
    spread = max(2, round(columns / 270))
    reach = 1 + math.ceil(max(np.abs(motion[1]).max() for motion in motions))
    shown = np.empty((3, rows, columns), dtype=np.float32)
    for top in range(0, rows, _BAND):
        part = slice(top, min(top + _BAND, rows))
        near = _wider(part, spread, rows)
        wide = _wider(near, reach, rows)
        ways = [_way(motion, near, wide.start, first.size) for motion in motions]
        belief: Plane | None = None
        for channel in _GREEN_FIRST:
            lights = [picture.channel(channel, wide) for picture in (first, second)]
            still = [light[near.start - wide.start : near.stop - wide.start] for light in lights]
            moved = [_moved(light, *way) for light, way in zip(lights, ways, strict=True)]
            if belief is None:
                belief = _belief(still, moved, spread)
            plain, followed = (
                cv2.addWeighted(one, 1 - share, two, share, 0.0) for one, two in (still, moved)
            )
            mixed = plain + belief * (followed - plain)
            shown[channel, part] = mixed[top - near.start : part.stop - near.start]
    return shown


def _wider(part: slice, by: int, rows: int) -> slice:
    """Return so many rows more on either side, as far as there are any."""
    return slice(max(0, part.start - by), min(rows, part.stop + by))


def _way(motion: Plane, part: slice, above: int, size: Size) -> tuple[Plane, Plane]:
    """Return the columns and rows, `above` the first of them, where motion points from some rows."""
    columns, rows = size
    across, down = motion.shape[2] / columns, motion.shape[1] / rows
    grown = np.array([[across, 0, across / 2 - 0.5], [0, down, (part.start + 0.5) * down - 0.5]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    x, y = (
        np.asarray(
            cv2.warpAffine(
                plane, grown, (columns, part.stop - part.start), flags=how, borderMode=cv2.BORDER_REPLICATE
            ),
            dtype=np.float32,
        )
        for plane in motion
    )
    x += np.arange(columns, dtype=np.float32)
    y += np.arange(part.start - above, part.stop - above, dtype=np.float32)[:, None]
    return x, y


def _moved(light: Plane, x: Plane, y: Plane) -> Plane:
    """Return one channel of light, each pixel taken from where it points."""
    moved = cv2.remap(light, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.float32)


def flows(first: Picture, second: Picture) -> tuple[Plane, Plane]:
    """Return the motion to the second picture and back: how far to the right and down, in their pixels.

    Each is of shape (2, rows, columns) at the small size at which motion is looked for.
    """
    columns, rows = first.size
    scale = min(1.0, _FLOW_COLUMNS / columns)
    small = (max(16, round(columns * scale)), max(16, round(rows * scale)))
    one, two = (cv2.resize(_codes(each), small, interpolation=cv2.INTER_AREA) for each in (first, second))
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = []
    for start, end in ((one, two), (two, one)):
        flow = np.zeros((small[1], small[0], 2), dtype=np.float32)
        finder.calc(start, end, flow)
        flow *= np.array([columns / small[0], rows / small[1]], dtype=np.float32)
        found.append(np.ascontiguousarray(np.moveaxis(flow, 2, 0)))
    return found[0], found[1]


def _codes(picture: Picture) -> NDArray[np.uint8]:
    """Return the square root of luminance as eight bits: near enough to what the eye compares."""
    columns, rows = picture.size
    codes = np.empty((rows, columns), dtype=np.uint8)
    for top in range(0, rows, _BAND):
        part = slice(top, min(top + _BAND, rows))
        luminance = np.zeros((part.stop - top, columns), dtype=np.float32)
        for channel, share in enumerate(_WEIGHTS):
            luminance += share * picture.channel(channel, part)
        codes[part] = np.minimum(255.0, 255.0 * np.sqrt(np.maximum(luminance, 0.0)))
    return codes


def _belief(still: Sequence[Plane], moved: Sequence[Plane], spread: int) -> Plane:
    """Return how far motion is believed, 0…1, shape (rows, columns), by one channel of both pictures."""
    differences = []
    for one, two in (still, moved):
        away = cv2.sqrt(np.maximum(one, 0.0)) - cv2.sqrt(np.maximum(two, 0.0))
        differences.append(cv2.blur(away * away, (2 * spread + 1, 2 * spread + 1)))
    before, after = differences
    return np.asarray(before / (before + _DOUBT * after + np.float32(_NOISE**2)), dtype=np.float32)
