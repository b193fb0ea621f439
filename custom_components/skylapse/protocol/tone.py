"""Tone curves: how a camera turns linear light into the numbers of its JPEGs.

A curve is a tuple of points (linear, encoded), both on the 16-bit scale 0…65535, strictly rising in both,
straight between the points. Films are levelled in linear light, so the curve that made a picture has to be
known: with sRGB assumed for a Raspberry Pi camera, an exact exposure correction still leaves 16 mEV of
flicker instead of 2.

Sources. The points of the sensors are `rpi.contrast.gamma_curve` in the tuning files of libcamera
(raspberrypi/libcamera, `src/ipa/rpi/vc4/data/imx219.json`, `imx477.json`, `imx519.json`, `imx708.json`,
BSD-2-Clause), read with `ce_enable` left aside; all four files hold the same 33 points. `srgb` is IEC
61966-2-1, sampled at the 256 values that eight bits can take, hence exact there.
"""

from bisect import bisect_right
from collections.abc import Mapping
from operator import itemgetter
from types import MappingProxyType

FULL_SCALE = 65535.0
"""The largest linear or encoded value: clipped white."""

Curve = tuple[tuple[float, float], ...]

_RASPBERRY_PI: Curve = (
    (0, 0),
    (1024, 5040),
    (2048, 9338),
    (3072, 12356),
    (4096, 15312),
    (5120, 18051),
    (6144, 20790),
    (7168, 23193),
    (8192, 25744),
    (9216, 27942),
    (10240, 30035),
    (11264, 32005),
    (12288, 33975),
    (13312, 35815),
    (14336, 37600),
    (15360, 39168),
    (16384, 40642),
    (18432, 43379),
    (20480, 45749),
    (22528, 47753),
    (24576, 49621),
    (26624, 51253),
    (28672, 52698),
    (30720, 53796),
    (32768, 54876),
    (36864, 57012),
    (40960, 58656),
    (45056, 59954),
    (49152, 61183),
    (53248, 62355),
    (57344, 63419),
    (61440, 64476),
    (65535, 65535),
)


def _srgb_linear(encoded: float) -> float:
    """Return the linear light, 0…1, of an sRGB value 0…1 (IEC 61966-2-1)."""
    if encoded <= 0.04045:
        return encoded / 12.92
    return float(((encoded + 0.055) / 1.055) ** 2.4)


_SRGB: Curve = tuple((FULL_SCALE * _srgb_linear(code / 255), 257.0 * code) for code in range(256))

CURVES: Mapping[str, Curve] = MappingProxyType(
    {
        "srgb": _SRGB,
        "imx219": _RASPBERRY_PI,
        "imx477": _RASPBERRY_PI,
        "imx519": _RASPBERRY_PI,
        "imx708": _RASPBERRY_PI,
    }
)
"""Every known curve by its id, the `tone_curve` of a frame record."""


def encode(curve: Curve, linear: float) -> float:
    """Return the encoded value of linear light, both 0…65535; values outside are clipped."""
    return _interpolate(curve, linear, 0, 1)


def decode(curve: Curve, encoded: float) -> float:
    """Return the linear light of an encoded value, both 0…65535; values outside are clipped."""
    return _interpolate(curve, encoded, 1, 0)


def _interpolate(curve: Curve, value: float, axis: int, other: int) -> float:
    """Read the curve at `value` on one axis and return the straight-line value on the other."""
    if value <= curve[0][axis]:
        return curve[0][other]
    if value >= curve[-1][axis]:
        return curve[-1][other]
    right = bisect_right(curve, value, key=itemgetter(axis))
    low, high = curve[right - 1], curve[right]
    share = (value - low[axis]) / (high[axis] - low[axis])
    return low[other] + share * (high[other] - low[other])
