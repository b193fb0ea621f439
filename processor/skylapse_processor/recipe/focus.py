"""Focus stack: the pictures of a focus bracket become one that is sharp near and far.

Theory
------
A lens that focuses nearer also draws a little larger (focus breathing) and its place shifts. Both belong to
where the lens stands, not to the moment: they are measured on a few brackets of the film and their median is
taken for all of it, so that nothing breathes from frame to frame. Pictures are blurred alike before they are
compared, since one of the two is always out of focus.

How sharp a place is says the sum of the modified Laplacian (Nayar and Nakagawa 1994) of the root of its
light, where noise is even:

    ML = |2·I − I left − I right| + |2·I − I above − I below|, summed over a window

Each picture counts by the eighth power of that figure, as a share of all pictures', evened over 3 × 3: with
texture the sharpest one alone counts; on a plain sky all of them do, which is a mean and halves the noise.
Pictures are blended band by band (Burt and Adelson 1983): each band of a Laplacian pyramid with the shares
blurred as far as that band reaches, so that there are no seams between near and far.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from skylapse_processor.errors import PictureError

from .expand import Grouped, expanded
from .groups import FOCUS, offset
from .layer import Light, Picture, Sight
from .plan import Plan
from .register import Motion, register

Plane = NDArray[np.float32]

_COLUMNS = 960
"""Width of the pictures that breathing is measured on."""
_BRACKETS = 7
"""So many of them, spread over the film."""
_ALIKE_WIDTHS = 0.003
_WINDOW_WIDTHS = 0.012
_SELECTIVE = 8
_LEVELS = 7
_LEAST_SIDE = 8
_NOISE = np.float32(1e-4)


@dataclass(frozen=True, kw_only=True, slots=True)
class FocusStack(Grouped):
    """One picture of each bracket, sharp wherever one of its pictures is."""

    places: tuple[float, ...]
    """Where the lens stood for each picture, in dioptres from the middle of its bracket."""
    breathing: tuple[tuple[float, Motion], ...] = ()
    """How a picture lies upon its leader, by the dioptres between them; known once `prepare` has looked."""

    @property
    def sight_columns(self) -> int:
        """Breathing is a few pixels."""
        return _COLUMNS

    def prepare(self, sight: Sight) -> "FocusStack":
        """Measure how the lens breathes."""
        count = self.count(sight.count)
        chosen = sorted({round(place) for place in np.linspace(0, count - 1, min(count, _BRACKETS))})
        seen: dict[float, list[Motion]] = {}
        for number in chosen:
            first, past = self.starts[number], self.starts[number + 1]
            leader: Light | None = None
            for place in range(first, past):
                try:
                    light = _alike(sight.picture(place).light)
                except (PictureError, OSError):
                    continue
                if leader is None:
                    leader, led = light, self.places[place]
                    continue
                motion = register(leader, light, model="scale")
                if motion.is_sure:
                    seen.setdefault(self._apart(place, led), []).append(motion)
        return replace(self, breathing=tuple((apart, _median(motions)) for apart, motions in seen.items()))

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        """Fuse the pictures that are there."""
        led = self.places[below[0].number]
        motions = dict(self.breathing)
        laid = [_Laid(picture, motions.get(self._apart(picture.number, led))) for picture in below]
        fused = below[0].rows(slice(None)) if len(below) == 1 else _fused(laid)
        return Picture(light=fused, number=number, frame=self.starts[number])

    def _apart(self, place: int, led: float) -> float:
        return round(self.places[place] - led, 3)


def focus(plan: Plan) -> Plan:
    """Return the plan with each focus bracket fused into one picture that is sharp near and far."""
    whole, starts, _ = expanded(plan, "focus")
    places = tuple(offset(frame, FOCUS) for frame in whole.frames)
    return replace(whole, layers=(FocusStack(starts=starts, places=places),))


@dataclass(frozen=True, slots=True)
class _Laid:
    """A picture laid upon its leader, one colour at a time: large pictures take little memory."""

    picture: Picture
    motion: Motion | None

    def root(self, channel: int) -> Plane:
        """Return the root of one channel's light."""
        whole = self.picture.latent
        light = self.picture.light[channel] if whole is None else whole.channel(channel).light()[0]
        if self.motion is not None:
            size = self.picture.size
            flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
            laid = cv2.warpAffine(
                light, self.motion.matrix(*size), size, flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
            light = np.asarray(laid, dtype=np.float32)
        root: Plane = np.sqrt(np.maximum(light, 0.0))
        return root

    def grey(self) -> Plane:
        """Return the mean of the roots, green counting most."""
        grey: Plane = np.float32(0.5) * self.root(1)
        grey += np.float32(0.3) * self.root(0)
        grey += np.float32(0.2) * self.root(2)
        return grey


def _fused(pictures: Sequence[_Laid]) -> Light:
    """Return the light of pictures, blended by how sharp each is where."""
    columns, rows = pictures[0].picture.size
    shares = _shares(pictures, 2 * max(1, round(_WINDOW_WIDTHS * columns / 2)) + 1)
    depth = max(1, min(_LEVELS, int(np.log2(min(rows, columns) / _LEAST_SIDE))))
    falling = [_falling(share, depth) for share in shares]
    fused = np.empty((3, rows, columns), dtype=np.float32)
    for channel in range(3):
        blended: list[Plane] = []
        for picture, levels in zip(pictures, falling, strict=True):
            _blend(picture.root(channel), levels, blended)
        plane = blended.pop()
        while blended:
            band = blended.pop()
            plane = band + _up(plane, band)
        np.square(np.maximum(plane, 0.0), out=fused[channel])
    return fused


def _shares(pictures: Sequence[_Laid], window: int) -> list[Plane]:
    """Return by how much each picture counts where, together 1."""
    figures = [_sharpness(picture.grey(), window) for picture in pictures]
    most = np.maximum.reduce(figures)
    for figure in figures:
        np.divide(figure, most, out=figure)
        np.power(figure, _SELECTIVE, out=figure)
    total = np.add.reduce(figures)
    return [np.asarray(cv2.blur(figure / total, (3, 3)), dtype=np.float32) for figure in figures]


def _falling(plane: Plane, depth: int) -> list[Plane]:
    """Return a plane and its smaller and smaller copies."""
    levels = [plane]
    for _ in range(depth):
        levels.append(np.asarray(cv2.pyrDown(levels[-1]), dtype=np.float32))
    return levels


def _blend(root: Plane, shares: Sequence[Plane], blended: list[Plane]) -> None:
    """Add the bands of one picture, each by its share, to those of the pictures before it."""
    levels = _falling(root, len(shares) - 1)
    for level, share in enumerate(shares):
        whole = levels[level]
        band = whole if level + 1 == len(levels) else whole - _up(levels[level + 1], whole)
        if len(blended) <= level:
            blended.append(np.zeros_like(band))
        blended[level] += band * share


def _sharpness(grey: Plane, window: int) -> Plane:
    """Return the sum of the modified Laplacian of each place."""
    padded = np.pad(grey, 1, mode="edge")
    middle = 2 * grey
    modified = np.abs(middle - padded[1:-1, :-2] - padded[1:-1, 2:])
    modified += np.abs(middle - padded[:-2, 1:-1] - padded[2:, 1:-1])
    figure: Plane = cv2.GaussianBlur(modified, (0, 0), window / 3).astype(np.float32) + _NOISE
    return figure


def _alike(light: Light) -> Light:
    """Return light as blurred as any picture of its bracket may be."""
    sigma = max(_ALIKE_WIDTHS * light.shape[2], 0.5)
    return np.stack([cv2.GaussianBlur(channel, (0, 0), sigma) for channel in light]).astype(np.float32)


def _median(motions: Sequence[Motion]) -> Motion:
    """Return what most brackets of the film agree on."""
    names = ("dx_widths", "dy_widths", "rotation_deg", "scale", "confidence")
    return Motion(**{name: float(np.median([getattr(each, name) for each in motions])) for name in names})


def _up(smaller: Plane, like: Plane) -> Plane:
    """Return a level at the size of the one above it."""
    return np.asarray(cv2.pyrUp(smaller, dstsize=like.shape[::-1]), dtype=np.float32)
