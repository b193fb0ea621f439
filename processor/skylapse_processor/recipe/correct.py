"""Lens and colour: straight lines are straight, corners as bright as the middle, and colours what they are.

Theory
------
A lens bends what it draws by Brown's and Conrady's polynomials, as `skylapse-bridge calibrate lens` measures
them, and may draw red and blue a little larger or smaller than green (lateral chromatic aberration). Where
each pixel of the film comes from is computed once for a film and its size, for all of it together: crop,
bend and the scale of each colour, so that a picture is resampled once. The film is as much enlarged, or made
smaller, as just leaves no place that the picture does not know.

Light lost towards the corners is given back (`vignette.py`) by where in the picture a pixel comes from, and
a matrix of 3 × 3 takes the camera's red, green and blue to those of the film: all in linear light, where they
are what optics does, and after brackets have been merged, since what is clipped must not be brightened first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from .layer import Layer, Light, Picture, Size
from .optics import LensModel
from .plan import Plan
from .vignette import FlatField, polynomial, seen
from .window import Window

Plane = NDArray[np.float32]

_ROUNDS = 30
_NARROWEST, _WIDEST = 0.5, 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Correct(Layer):
    """Pictures as they would be without their lens."""

    source: Size
    """Of the whole pictures."""
    window: Window
    """What the film shows of them."""
    lens: LensModel | None
    flat: FlatField | None

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        """Correct one picture."""
        light = below[0].light
        maps = _maps(self, (light.shape[2], light.shape[1]))
        corrected = light.copy() if maps.places is None else _moved(light, self, maps)
        if maps.brighter is not None:
            corrected *= maps.brighter
        if self.lens is not None and self.lens.colour_matrix is not None:
            matrix = np.array(self.lens.colour_matrix, dtype=np.float32)
            corrected = np.maximum(np.tensordot(matrix, corrected, axes=1), 0.0)
        return replace(below[0], light=corrected, number=number)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Maps:
    """What is the same for all pictures of one size."""

    places: tuple[Plane, Plane] | None
    """Column and row that each pixel comes from in the picture below; null where nothing moves."""
    centre: tuple[float, float]
    brighter: NDArray[np.float32] | None
    """What light is multiplied with, shape (3 or 1, rows, columns)."""


def correct(plan: Plan) -> Plan:
    """Return the plan with lens and colour corrected; unchanged where nothing was calibrated.

    What was calibrated is named in the configuration (`calibration`) or on the command line (`--lens`,
    `--flat`). Raises RequestError for a lens that was calibrated with pictures of another shape.
    """
    known = plan.calibration
    sizes = [frame.size for frame in plan.frames if frame.size]
    if (known.lens is None and known.flat is None) or not sizes:
        return plan
    source = max(set(sizes), key=sizes.count)
    lens = known.lens.of_size(source) if known.lens is not None else None
    layer = Correct(source=source, window=plan.window, lens=lens, flat=known.flat)
    return replace(plan, layers=(*plan.layers, layer))


@lru_cache(maxsize=2)
def _maps(layer: Correct, size: Size) -> _Maps:
    """Return the maps of a film for one size of its pictures."""
    left, top, wide, high = layer.window.of(*layer.source)
    scale = (size[0] / wide, size[1] / high)
    lens = layer.lens
    across, down = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    centre = (size[0] / 2 - 0.5, size[1] / 2 - 0.5)
    moved = lens is not None and lens.bends
    if lens is not None:
        centre = ((lens.cx + 0.5 - left) * scale[0] - 0.5, (lens.cy + 0.5 - top) * scale[1] - 0.5)
    if lens is not None and moved:
        zoom = _zoom(lens, layer)
        bends = np.array([lens.k1, lens.k2, lens.p1, lens.p2, lens.k3])
        matrix = np.array([[lens.fx * scale[0], 0, centre[0]], [0, lens.fy * scale[1], centre[1]], [0, 0, 1]])
        wanted = matrix.copy()
        wanted[0, 0], wanted[1, 1] = zoom * matrix[0, 0], zoom * matrix[1, 1]
        places = cv2.initUndistortRectifyMap(matrix, bends, np.eye(3), wanted, size, cv2.CV_32FC1)
        across, down = (np.asarray(place, dtype=np.float32) for place in places)
    place = ((across + 0.5) / scale[0] + left, (down + 0.5) / scale[1] + top)
    return _Maps(
        places=(across, down) if moved else None,
        centre=centre,
        brighter=_brighter(layer, place),
    )


def _brighter(layer: Correct, place: tuple[Plane, Plane]) -> NDArray[np.float32] | None:
    """Return what light from places in the whole picture, in pixels, is multiplied with."""
    brightness: NDArray[np.float32] | None = None
    width, height = layer.source
    if layer.lens is not None and layer.lens.vignetting:
        half2 = (width * width + height * height) / 4
        x, y = place[0] - layer.lens.cx - 0.5, place[1] - layer.lens.cy - 0.5
        brightness = polynomial(np.asarray((x * x + y * y) / half2, np.float32), layer.lens.vignetting)[None]
    if layer.flat is not None:
        flat = seen(layer.flat, np.asarray(place[0] / width), np.asarray(place[1] / height))
        brightness = flat if brightness is None else brightness * flat
    return None if brightness is None else np.float32(1.0) / brightness


def _zoom(lens: LensModel, layer: Correct) -> float:
    """Return by how much the film is enlarged: the least that leaves no place unknown."""
    left, top, wide, high = layer.window.of(*layer.source)
    xs, ys = np.linspace(left - 0.5, left + wide - 0.5, 65), np.linspace(top - 0.5, top + high - 0.5, 65)
    edge_x = np.concatenate([xs, xs, np.full(65, xs[0]), np.full(65, xs[-1])])
    edge_y = np.concatenate([np.full(65, ys[0]), np.full(65, ys[-1]), ys, ys])
    spread = max(1.0, lens.red_scale, lens.blue_scale)
    low, high_zoom = _NARROWEST, _WIDEST
    for _ in range(_ROUNDS):
        zoom = (low + high_zoom) / 2
        x, y = lens.drawn((edge_x - lens.cx) / lens.fx / zoom, (edge_y - lens.cy) / lens.fy / zoom)
        x, y = lens.cx + (x - lens.cx) * spread, lens.cy + (y - lens.cy) * spread
        inside = x.min() >= xs[0] and x.max() <= xs[-1] and y.min() >= ys[0] and y.max() <= ys[-1]
        low, high_zoom = (low, zoom) if inside else (zoom, high_zoom)
    return high_zoom


def _moved(light: Light, layer: Correct, maps: _Maps) -> Light:
    """Return the light of each pixel from where it comes from."""
    moved = np.empty_like(light)
    scales = (layer.lens.red_scale, 1.0, layer.lens.blue_scale) if layer.lens is not None else (1.0,) * 3
    for channel, scale in enumerate(scales):
        x, y = (
            place if scale == 1.0 else np.float32(middle) + (place - np.float32(middle)) * np.float32(scale)
            for place, middle in zip(maps.places or (), maps.centre, strict=True)
        )
        cv2.remap(light[channel], x, y, cv2.INTER_CUBIC, dst=moved[channel], borderMode=cv2.BORDER_REPLICATE)
    np.maximum(moved, 0.0, out=moved)
    return moved
