"""Pan and zoom: a camera that stands still moves within its picture.

The film begins with one part of the picture and ends with another; each is a zoom (1 shows all of it, 2 half
of its width and height) and a place in the room that is left (`x` 0 left, 1 right; `y` 0 top, 1 bottom). In
between, the motion sets in and ends softly (`easing` smooth, a quintic without a jump of speed or of
acceleration; or linear). The zoom grows by equal factors in equal times, as the eye sees a steady approach,
and the part's edges move along straight lines.

Pictures are decoded larger than the film by the largest zoom, at most twice, as far as they have pixels: so
zooming in shows what is there instead of enlarging a film. What is larger than the film is softened before it
is sampled, by as much as it shrinks, or fine structures would glitter while they move.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .layer import Layer, Light, Picture, Sight, Size
from .plan import Plan

EASINGS = ("smooth", "linear")
LARGEST = 2.0
"""How much larger than the film pictures are decoded at most: memory grows with its square."""

_SAME_ZOOM = 1e-6
_SHARP_ENOUGH = 1.05
_SOFTNESS = 0.42


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A part of the picture."""

    zoom: float
    x: float
    y: float

    def corner(self) -> tuple[float, float]:
        """Return left and top in shares of the whole picture."""
        return (1 - 1 / self.zoom) * self.x, (1 - 1 / self.zoom) * self.y


@dataclass(frozen=True, kw_only=True, slots=True)
class PanZoom(Layer):
    """Moves from one view to another over the film."""

    start: View
    end: View
    easing: str
    pictures: int = 1
    scale: float = 1.0
    """The film's width ÷ that of the pictures below."""

    def prepare(self, sight: Sight) -> Layer:
        """Return the layer, knowing how long the film is, and how large."""
        return replace(self, pictures=sight.count, scale=sight.film[0] / sight.size[0])

    def size(self, below: Size) -> Size:
        """Return the film's size."""
        columns, rows = (max(2, 2 * round(side * self.scale / 2)) for side in below)
        return columns, rows

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        """Return the view of one picture."""
        left, top, width = self.part(number)
        size = self.size((below[0].light.shape[2], below[0].light.shape[1]))
        return replace(below[0], light=cut(below[0].light, left, top, width, size))

    def part(self, number: int) -> tuple[float, float, float]:
        """Return left, top and width of what a frame shows, in shares of the whole picture."""
        place = _eased(number / max(1, self.pictures - 1), self.easing)
        wide = 1 / self.start.zoom, 1 / self.end.zoom
        width = wide[0] ** (1 - place) * wide[1] ** place
        same = abs(wide[1] - wide[0]) < _SAME_ZOOM
        share = place if same else (width - wide[0]) / (wide[1] - wide[0])
        corners = zip(self.start.corner(), self.end.corner(), strict=True)
        left, top = (first + share * (last - first) for first, last in corners)
        return left, top, width


def panzoom(
    plan: Plan,
    *,
    from_zoom: float = 1.0,
    from_x: float = 0.5,
    from_y: float = 0.5,
    to_zoom: float = 1.25,
    to_x: float = 0.5,
    to_y: float = 0.5,
    easing: str = "smooth",
) -> Plan:
    """Return the plan of a film that moves from one part of its pictures to another."""
    start, end = View(zoom=from_zoom, x=from_x, y=from_y), View(zoom=to_zoom, x=to_x, y=to_y)
    oversize = max(plan.oversize, min(LARGEST, max(from_zoom, to_zoom)))
    layer = PanZoom(start=start, end=end, easing=easing)
    return replace(plan, layers=(*plan.layers, layer), oversize=oversize)


def cut(light: Light, left: float, top: float, width: float, size: Size) -> Light:
    """Return a part of a picture, in shares of it, at a size."""
    rows, columns = light.shape[1:]
    step = np.array([columns * width / size[0], rows * width / size[1]])
    away = np.array([left * columns, top * rows]) + step / 2 - 0.5
    matrix = np.array([[step[0], 0.0, away[0]], [0.0, step[1], away[1]]])
    shown = np.empty((3, size[1], size[0]), dtype=np.float32)
    first = max(0, int(top * rows) - 8)
    past = min(rows, int((top + width) * rows) + 8)
    matrix[1, 2] -= first
    for channel, target in zip(light, shown, strict=True):
        band = channel[first:past]
        if step.max() > _SHARP_ENOUGH:
            band = cv2.GaussianBlur(band, (0, 0), _SOFTNESS * float((step.max() ** 2 - 1) ** 0.5))
        how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        cv2.warpAffine(band, matrix, size, dst=target, flags=how, borderMode=cv2.BORDER_REPLICATE)
    np.maximum(shown, 0.0, out=shown)
    return shown


def _eased(share: float, easing: str) -> float:
    if easing == "linear":
        return share
    return share**3 * (share * (6 * share - 15) + 10)
