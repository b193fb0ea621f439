"""What the lens does to the light before it falls on the sensor: wind, drops, dew, and a focus that is off.

Light is linear, so that blur spreads it as glass does: a bright point in the dark grows into a disc. Blur is
done among spatial frequencies, where a bell of any width is one multiplication; the picture is mirrored at
its edges first, since frequencies take it as repeating.
"""

from functools import cache
from math import ceil

import numpy as np
import numpy.typing as npt
from PIL import Image

from .bands import each
from .faults import Droplet, Injected
from .paint import Light
from .texture import Plane, resize

BLUR_PX_PER_DIOPTRE = 6.0
"""Deviation of the blur in a picture 1920 wide. A module of 4.3 mm and f/1.75 blurs by a sixth of that: the
twin exaggerates, so that its focus can be judged on small pictures too."""

WHOLE = (slice(None), slice(None))
"""All rows, all columns."""

_SHARP_PX = 0.1
"""Blur below this is none."""

_DEW_SHARE = 0.6
_DEW_WIDE = 0.012
_DEW_FINE = 0.0010
"""Dew at 1 scatters so much of the light so far, and softens the rest; in picture widths."""


class Lens:
    """A lens and all that is wrong with it at one moment."""

    def __init__(self, injected: Injected, *, defocus_dioptre: float, shake_scale: float) -> None:
        """Remember; `shake_scale` is the width of this picture by that of the full one."""
        self._injected = injected
        self._blur_px = BLUR_PX_PER_DIOPTRE * abs(defocus_dioptre)
        self._shake_scale = shake_scale

    def is_clear(self, width: int) -> bool:
        """Tell whether nothing is wrong: the light of a picture this wide falls on the sensor as it is."""
        injected = self._injected
        faulty = self._shakes() or injected.droplets or injected.dew > 0.0
        return not faulty and self._sigma(width) < _SHARP_PX

    def through(self, light: Light, area: tuple[slice, ...] = WHOLE) -> Light:
        """Return the light as it falls on an area of the sensor; the same light where nothing is wrong."""
        width = light.shape[2]
        if self._shakes():
            light = _shaken(light, self._injected, self._shake_scale)
        if self._injected.droplets:
            light = _wet(light, self._injected.droplets)
        return _blurred(light[:, area[0], area[1]], width, self._sigma(width), self._injected.dew)

    def _shakes(self) -> bool:
        injected = self._injected
        return bool(injected.shake_x_px or injected.shake_y_px or injected.shake_rotation_deg)

    def _sigma(self, width: int) -> float:
        """Return the deviation of the blur in pixels of a picture this wide."""
        return self._blur_px * width / 1920.0


def _blurred(light: Light, width: int, sigma: float, dew: float) -> Light:
    """Return the light blurred by a focus that is off and by dew; `width` is that of the whole picture."""
    bells = [(1.0, sigma)]
    if dew > 0.0:
        share, fine, wide = _DEW_SHARE * dew, _DEW_FINE * dew * width, _DEW_WIDE * dew * width
        bells = [(1.0 - share, np.hypot(sigma, fine)), (share, np.hypot(sigma, wide))]
    if bells[-1][1] < _SHARP_PX:
        return light
    return np.stack(each(list(light), lambda plane: _spread(plane, bells)))


def _spread(plane: Plane, bells: list[tuple[float, float]]) -> Plane:
    """Spread the light of a plane over a sum of bells, each of (share of the light, deviation in pixels)."""
    margin = ceil(4.0 * max(sigma for _, sigma in bells))
    sides = [_quick_length(side + 2 * margin) - side for side in plane.shape]
    padded = np.pad(plane, [(margin, side - margin) for side in sides], mode="symmetric")
    down, across = np.fft.fftfreq(padded.shape[0])[:, None], np.fft.rfftfreq(padded.shape[1])
    passed = np.zeros((padded.shape[0], across.size))
    for share, sigma in bells:
        passed += share * _bell(down, sigma) * _bell(across, sigma)
    spread = np.fft.irfft2(np.fft.rfft2(padded) * passed.astype(np.float32), s=padded.shape)
    inside = spread[margin : margin + plane.shape[0], margin : margin + plane.shape[1]]
    return np.asarray(np.maximum(inside, 0.0), dtype=np.float32)


@cache
def _quick_length(least: int) -> int:
    """Return the next length made of factors 2, 3 and 5: transforms of others take several times as long."""
    powers = (2**two * 3**three * 5**five for two in range(15) for three in range(9) for five in range(7))
    return int(min(length for length in powers if length >= least))


def _bell(frequency: npt.NDArray[np.floating], sigma: float) -> npt.NDArray[np.floating]:
    """Return what a bell of this deviation in pixels passes of each frequency, in cycles a pixel."""
    return np.asarray(np.exp(-2.0 * (np.pi * sigma * frequency) ** 2))


def _shaken(light: Light, injected: Injected, scale: float) -> Light:
    """Shift and turn the picture around its middle; what comes in at its edges is mirrored."""
    _, rows, columns = light.shape
    angle = np.radians(injected.shake_rotation_deg)
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    x, y = injected.shake_x_px * scale, injected.shake_y_px * scale
    margin = ceil(abs(x) + abs(y) + abs(sine) * max(rows, columns)) + 3
    middle_x, middle_y = margin + columns / 2.0, margin + rows / 2.0
    from_x, from_y = columns / 2.0 + x, rows / 2.0 + y
    inverse = (
        cosine,
        sine,
        middle_x - cosine * from_x - sine * from_y,
        -sine,
        cosine,
        middle_y + sine * from_x - cosine * from_y,
    )

    def move(plane: Plane) -> Plane:
        image = Image.fromarray(np.pad(plane, margin, mode="symmetric"))
        moved = image.transform(
            (columns, rows), Image.Transform.AFFINE, inverse, resample=Image.Resampling.BICUBIC
        )
        return np.asarray(np.maximum(np.asarray(moved), 0.0), dtype=np.float32)

    return np.stack(each(list(light), move))


def _wet(light: Light, droplets: tuple[Droplet, ...]) -> Light:
    """Put drops of water before the lens: each shows what is around it upside down, out of focus."""
    wet = light.copy()
    _, rows, columns = light.shape
    for drop in droplets:
        radius = drop.radius * columns
        area = tuple(
            slice(max(int(middle - radius) - 1, 0), min(ceil(middle + radius) + 2, side))
            for middle, side in ((drop.y * rows, rows), (drop.x * columns, columns))
        )
        down = (np.arange(area[0].start, area[0].stop)[:, None] - drop.y * rows) / radius
        across = (np.arange(area[1].start, area[1].stop)[None, :] - drop.x * columns) / radius
        distance = np.hypot(down, across)
        cover = np.clip((1.0 - distance) / 0.18, 0.0, 1.0)
        rim = 1.0 - 0.30 * np.clip((distance - 0.55) / 0.45, 0.0, 1.0) ** 2 * (0.6 - down)
        seen = _through_a_drop(light, drop, *distance.shape)
        dry = wet[:, area[0], area[1]]
        dry += (cover * (seen * rim - dry)).astype(np.float32)
    return wet


def _through_a_drop(light: Light, drop: Droplet, rows: int, columns: int) -> Light:
    """Return what is seen through one drop, in so many rows and columns: its surroundings, turned over."""
    _, height, width = light.shape
    reach = 5.0 * drop.radius * width
    top, bottom = (int(np.clip(drop.y * height + side * reach, 0, height)) for side in (-1, 1))
    left, right = (int(np.clip(drop.x * width + side * reach, 0, width)) for side in (-1, 1))
    around = (Image.fromarray(plane[top:bottom, left:right]) for plane in light)
    coarse = (np.asarray(image.resize((7, 7), Image.Resampling.BOX))[::-1, ::-1] for image in around)
    return np.maximum(np.stack([resize(np.ascontiguousarray(plane), rows, columns) for plane in coarse]), 0.0)
