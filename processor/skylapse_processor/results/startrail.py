"""Star trail of a night: the brightest light that any dark frame showed at each place.

A curve of tones rises with light, so the brightest code of each channel is the brightest linear light, and
eight bits a channel hold it exactly. Maxima may be taken in any order, and twice. What would drown the
stars is left out frame by frame, each judged by itself: frames taken while the sun stood higher than 12°
under the horizon, frames with the moon, a lamp or lit clouds in them, and frames under a closed sky: without
bright points against what surrounds them.
"""

import cv2
import numpy as np

from skylapse_processor.decode import Pixels
from skylapse_processor.measure import Measurement

LONG_SIDE = 1920
FEWEST = 10
"""Fewer frames with stars draw dots, and no trails."""
DARK_BELOW_DEG = -12.0
"""The sun's elevation at the end of nautical twilight."""
BRIGHTEST_EV = -3.0
"""log2 of the mean linear light above which a frame is no night."""
CLIPPED = 0.002
"""Share of white pixels above which something shines into it: the moon covers more than this."""
FEWEST_STARS = 1.2e-4
"""Share of pixels that are bright points, below which the sky is closed."""

_POINT = 12.0
"""By how many codes a point is above its surroundings…"""
_SIGMAS = 6.0
"""…and by how many deviations of what is left there."""
_SURROUNDINGS = 7
_LOOKED_AT = 960
"""Columns: enough to see whether there are stars."""
_MAD = 1.4826


def is_night(sun_elevation_deg: float | None, measured: Measurement | None) -> bool:
    """Tell whether a frame can be of a dark sky, by what its record and its ingest say."""
    if sun_elevation_deg is None or sun_elevation_deg > DARK_BELOW_DEG:
        return False
    dark = measured is None or measured.log_mean <= BRIGHTEST_EV
    return dark and (measured is None or measured.clipped_high <= CLIPPED)


def stars(pixels: Pixels) -> float:
    """Return the share of pixels that are bright points on a dark ground, in the middle of the upper half."""
    height, width = pixels.shape[:2]
    left = max(0, (width - _LOOKED_AT) // 2)
    sky = pixels[: min(height // 2, _LOOKED_AT // 2), left : left + _LOOKED_AT]
    grey = cv2.cvtColor(np.ascontiguousarray(sky), cv2.COLOR_RGB2GRAY)
    around = cv2.medianBlur(grey, _SURROUNDINGS)
    noise = _MAD * float(np.median(cv2.absdiff(grey, around)))
    return float((cv2.subtract(grey, around) > max(_POINT, _SIGMAS * noise)).mean())


def is_starry(pixels: Pixels) -> bool:
    """Tell whether stars can be seen in a dark frame."""
    return stars(pixels) >= FEWEST_STARS


def brighten(trail: Pixels, pixels: Pixels) -> None:
    """Take a frame into a trail, in place; one of another size is fitted."""
    height, width = trail.shape[:2]
    if pixels.shape != trail.shape:
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    np.maximum(trail, pixels, out=trail)
