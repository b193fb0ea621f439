"""Tone mapping: the light of a merged bracket, brought to what a screen shows, by one curve for a whole film.

Theory
------
Up to the knee light stays as levelling left it, so that the film is as bright as the leaders alone would be.
Above it the curve is a logarithm, which gives each stop of highlights the same room, continues the line
without a kink, and reaches the film's white at the brightest light that any bracket of the film can hold:

    T(x) = knee + (white − knee) · ln(1 + s·u) ÷ ln(1 + s),   u = (x − knee) ÷ (brightest − knee)

with s such that T has slope 1 at the knee. Half of the way it is looked up by the brightest channel, which
keeps the hue of a sunset, and half of the way channel by channel, which lets the sun go white as film does.

`local` also narrows the distance of large parts from middle grey, in stops: a dark shore is opened and a sky
held back, their detail untouched. What is large is told by a guided filter (He, Sun and Tang 2010) of the
logarithm of the light, which does not glow around edges. Nothing in it is normalised by the picture, so light
that does not change is not changed differently from one frame to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from skylapse_processor.tone import LUMINANCE

from .layer import Layer, Light, Picture
from .merge import Merge
from .plan import Plan

Plane = NDArray[np.float32]

KNEE = 0.2
LOCAL = 0.25
MIDDLE_GREY = 0.18
_STEPS = 16_384
_ROWS = 128
_COLUMNS = 480
"""Large parts are told apart in a picture of this width."""
_REACH = 0.04
"""How far around the guided filter looks, in picture widths."""
_EDGE_EV2 = 0.5
"""Variance of the light, in stops squared, above which an edge is kept."""
_BY_HUE = np.float32(0.5)
_DARKEST = np.float32(2.0**-10)


@dataclass(frozen=True, kw_only=True, slots=True)
class ToneMap(Layer):
    """One curve for all pictures."""

    brightest: float
    """The light that becomes white."""
    white: float
    """What the look of the film takes for white."""
    local: float

    @property
    def by_rows(self) -> bool:
        """It looks at strips, after a look at each channel."""
        return True

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        """Bring one picture to what a screen shows."""
        columns, lines = below[0].size
        shown = np.empty((3, lines, columns), dtype=np.float32)
        table, scale = _table(self.brightest, self.white), np.float32((_STEPS - 1) / self.brightest**0.5)
        large = _large(below[0]) if self.local else None
        for top in range(0, lines, _ROWS):
            rows = slice(top, min(top + _ROWS, lines))
            strip = below[0].rows(rows)
            if large is not None:
                away = np.float32(np.log2(MIDDLE_GREY)) - large[0][rows] * _stops(strip) - large[1][rows]
                strip = strip * np.exp2(away * np.float32(self.local))
            shown[:, rows] = _mapped(np.clip(strip, 0.0, self.brightest), table, scale)
        return replace(below[0], light=shown, latent=None, number=number)


def tonemap(plan: Plan, *, local: float = LOCAL) -> Plan:
    """Return the plan with light above white brought back below it; unchanged where no bracket was merged.

    `local`, 0…1: by how much large parts come nearer to middle grey; 0 is one curve for all of the picture.
    """
    exposed = [each for layer in plan.layers if isinstance(layer, Merge) for each in layer.exposed]
    if not exposed:
        return plan
    white = max(1.0, 2.0 ** float(plan.gain_ev.max(initial=0.0)))
    brightest = max(max(each.scale) * 2.0**-each.over_ev for each in exposed)
    if brightest <= white:
        return plan
    layer = ToneMap(brightest=brightest, white=white, local=local)
    return replace(plan, layers=(*plan.layers, layer))


def curve(light: NDArray[np.float64], brightest: float, white: float) -> NDArray[np.float64]:
    """Return what is shown for light from 0 to `brightest`: 0 to `white`."""
    steep = _steepness((brightest - KNEE) / (white - KNEE))
    over = np.clip((light - KNEE) / (brightest - KNEE), 0.0, 1.0)
    bent = KNEE + (white - KNEE) * np.log1p(steep * over) / np.log1p(steep)
    return np.where(light > KNEE, bent, light)


def _steepness(ratio: float) -> float:
    """Return s with s ÷ ln(1 + s) = ratio, by Newton's method on a rising function."""
    low, high = 1e-9, 1e9
    for _ in range(200):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if middle / np.log1p(middle) < ratio else (low, middle)
    return low


def _table(brightest: float, white: float) -> Plane:
    """Return what is shown by the root of the light."""
    light = np.linspace(0.0, 1.0, _STEPS) ** 2 * brightest
    return curve(light, brightest, white).astype(np.float32)


def _mapped(light: Light, table: Plane, scale: np.float32) -> Light:
    """Look light up: half by its brightest channel, half each channel for itself."""
    alone = np.take(table, (np.sqrt(light) * scale + np.float32(0.5)).astype(np.intp))
    brightest = np.maximum(light.max(axis=0), np.float32(1e-6))
    shown = np.take(table, (np.sqrt(brightest) * scale + np.float32(0.5)).astype(np.intp))
    mapped: Light = alone + _BY_HUE * (light * (shown / brightest) - alone)
    return mapped


def _large(picture: Picture) -> tuple[Plane, Plane]:
    """Return slope and height of the line that tells, from the stops of a pixel, those of what is large."""
    columns, rows = picture.size
    small = (min(_COLUMNS, columns), max(1, round(rows * min(1.0, _COLUMNS / columns))))
    shrunk = [
        cv2.resize(picture.channel(place, slice(None)), small, interpolation=cv2.INTER_AREA)
        for place in range(3)
    ]
    stops = _stops(np.stack(shrunk).astype(np.float32, copy=False))
    side = 2 * max(1, round(_REACH * small[0] / 2)) + 1
    mean = cv2.blur(stops, (side, side))
    variance = cv2.blur(stops * stops, (side, side)) - mean * mean
    kept = variance / (variance + np.float32(_EDGE_EV2))
    slope, height = (
        cv2.resize(cv2.blur(plane, (side, side)), (columns, rows), interpolation=cv2.INTER_LINEAR)
        for plane in (kept, (1 - kept) * mean)
    )
    return np.asarray(slope, dtype=np.float32), np.asarray(height, dtype=np.float32)


def _stops(light: Light) -> Plane:
    """Return log2 of luminance."""
    red, green, blue = (np.float32(weight) for weight in LUMINANCE)
    luminance = red * light[0] + green * light[1] + blue * light[2]
    stops: Plane = np.log2(np.maximum(luminance, _DARKEST))
    return stops
