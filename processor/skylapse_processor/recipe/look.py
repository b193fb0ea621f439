"""The look of one frame as look-up tables: from a code to sixteen bits, and dithered back to eight.

Frames that pass through layers come as linear light instead, and are looked up by its root.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from skylapse_processor import tone

from .layer import Light
from .plan import Curve, Plan

Tables = NDArray[np.uint16]
"""For red, green and blue, from codes 0…255 to 0…65280, shape (3, 256)."""

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
"""Red, green and blue, each of shape (height, width)."""

KNEE = 0.7
"""Linear light up to which the shoulder leaves a picture alone."""

_STEP = 256
_ROWS = 64
"""Rows at a time: what they need fits into the cache."""
_MIDDLE_GREY = 0.46
_UNCHANGED_EV = 1e-4


_ROOTS = 65_536
"""Steps of the square root of linear light in which layered pictures are looked up."""


class Look:
    """Makes the tables of every frame of one plan."""

    def __init__(self, plan: Plan) -> None:
        """Remember the plan, and the brightest light that any frame of the film is raised to."""
        self._plan = plan
        self._white = max(1.0, float(np.exp2(plan.gain_ev.max(initial=0.0))))

    def tables(self, index: int, fade: float = 1.0) -> Tables | None:
        """Return the tables of a frame, of whose light `fade` is shown; null where it stays as it is."""
        plan = self._plan
        gains = plan.gain_ev[index]
        flat = np.abs(plan.gain_ev).max(initial=0.0) < _UNCHANGED_EV
        if flat and fade == 1.0 and plan.contrast == 0.0:
            return None
        facts = plan.frames[index].facts
        curve = facts.tone_curve if facts else tone.SRGB
        linear = tone.linear_table(curve)
        rows = [self._row(curve, linear * np.exp2(gain), fade) for gain in gains]
        return np.round(np.array(rows) * 255 * _STEP).astype(np.uint16)

    def show(self, light: Light, index: int, planes: Planes, fade: float = 1.0) -> None:
        """Write linear light, already levelled, as the codes of a frame of the film."""
        facts = self._plan.frames[index].facts
        table = _shown(facts.tone_curve if facts else tone.SRGB, self._white, self._plan.contrast)
        table = table if fade == 1.0 else np.round(table * fade).astype(np.uint16)
        scale = (_ROOTS - 1) / self._white**0.5
        height, width = planes[0].shape
        dither = _dither(height, width)
        for channel, plane in zip(light, planes, strict=True):
            for top in range(0, height, _ROWS):
                rows = slice(top, min(top + _ROWS, height))
                roots = cv2.sqrt(np.clip(channel[rows], 0.0, self._white))
                codes = cv2.LUT((roots * np.float32(scale)).astype(np.uint16), table)
                codes += dither[rows]
                np.right_shift(codes, 8, out=plane[rows], casting="unsafe")

    def _row(self, curve: str, linear: Curve, fade: float) -> Curve:
        codes = tone.encode(curve, shoulder(linear, self._white))
        if self._plan.contrast:
            codes = s_curve(codes, self._plan.contrast)
        return codes * fade


@lru_cache(maxsize=4)
def _shown(curve: str, white: float, contrast: float) -> NDArray[np.uint16]:
    """Return sixteen bits for every root of linear light up to `white`."""
    linear = np.linspace(0.0, 1.0, _ROOTS) ** 2 * white
    codes = tone.encode(curve, shoulder(linear, white))
    if contrast:
        codes = s_curve(codes, contrast)
    return np.round(codes * 255 * _STEP).astype(np.uint16)


def shoulder(linear: Curve, white: float) -> Curve:
    """Bend linear light above the knee so that `white` becomes 1; slope 1 at the knee, the identity for 1."""
    spread = (white - KNEE) / (1 - KNEE)
    over = np.maximum(linear - KNEE, 0.0) / (white - KNEE)
    bent: Curve = KNEE + (1 - KNEE) * spread * over / (1 + (spread - 1) * over)
    return np.where(linear > KNEE, np.minimum(bent, 1.0), linear)


def s_curve(codes: Curve, strength: float) -> Curve:
    """Steepen codes, 0…1, about middle grey; 0, 1 and middle grey stay."""
    exponent = np.log(_MIDDLE_GREY) / np.log(0.5)
    centred = np.power(codes, 1 / exponent)
    steep = centred + strength * np.sin(2 * np.pi * centred) * -1 / (2 * np.pi)
    bent: Curve = np.power(np.clip(steep, 0.0, 1.0), exponent)
    return bent


def apply(tables: Tables, planes: Planes) -> None:
    """Look every code up in place, and dither sixteen bits to eight, always in the same way."""
    height, width = planes[0].shape
    dither = _dither(height, width)
    wide = np.empty((_ROWS, width), dtype=np.uint16)
    for table, plane in zip(tables, planes, strict=True):
        for top in range(0, height, _ROWS):
            rows = plane[top : top + _ROWS]
            sixteen = wide[: len(rows)]
            cv2.LUT(rows, table, dst=sixteen)
            sixteen += dither[top : top + _ROWS]
            np.right_shift(sixteen, 8, out=rows, casting="unsafe")


@lru_cache(maxsize=4)
def _dither(rows: int, columns: int) -> NDArray[np.uint16]:
    """Return thresholds 0…255, even in every small neighbourhood (interleaved gradient noise)."""
    y, x = np.ogrid[:rows, :columns]
    noise = 0.06711056 * x + 0.00583715 * y
    for scale in (1.0, 52.9829189):
        noise *= scale
        noise -= np.floor(noise)
    thresholds = (noise * _STEP).astype(np.uint16)
    thresholds.flags.writeable = False
    return thresholds
