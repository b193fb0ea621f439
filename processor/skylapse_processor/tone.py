"""Tone curves as tables: eight-bit codes to linear light and back."""

import json
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from skylapse_protocol.tone import CURVES, FULL_SCALE

Table = NDArray[np.float64]

SRGB = "srgb"
"""The curve of a picture that does not say which it has, and of every film."""

RASPBERRY_PI = "imx219"
"""libcamera has one curve for all sensors of the Raspberry Pi: for an unknown one any of them does."""

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""Weights of linear red, green and blue (BT.709)."""


_MEASURED = "measured:"


def measured(points: Sequence[Sequence[float]]) -> str:
    """Return the id of a curve that was measured, as pairs of linear light and code, both 0…65535."""
    return _MEASURED + json.dumps([list(pair) for pair in points], separators=(",", ":"))


def known(curve: str | None) -> str:
    """Return the id of a curve that exists; an unknown one, or none, is sRGB."""
    return curve if curve is not None and curve in CURVES else SRGB


@cache
def linear_table(curve: str) -> Table:
    """Return linear light 0…1 for the codes 0…255."""
    linear, encoded = _points(curve)
    table: Table = np.interp(np.arange(256) * 257.0, encoded, linear) / FULL_SCALE
    table.flags.writeable = False
    return table


@cache
def deep_table(curve: str) -> Table:
    """Return linear light 0…1 for the codes 0…65535."""
    linear, encoded = _points(curve)
    table: Table = np.interp(np.arange(65_536, dtype=np.float64), encoded, linear) / FULL_SCALE
    table.flags.writeable = False
    return table


def encode(curve: str, linear: Table) -> Table:
    """Return encoded values, 0…1, of linear light; outside 0…1 is clipped."""
    xs, ys = _points(curve)
    codes: Table = np.interp(linear * FULL_SCALE, xs, ys) / FULL_SCALE
    return codes


@cache
def _points(curve: str) -> tuple[Table, Table]:
    named = json.loads(curve.removeprefix(_MEASURED)) if curve.startswith(_MEASURED) else CURVES[curve]
    points = np.array(named, dtype=np.float64)
    return points[:, 0], points[:, 1]
