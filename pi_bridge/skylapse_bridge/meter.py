"""Metering: how bright is what the camera sees? Pure.

A small picture is taken back to linear light by its tone curve and averaged with the weights of the
metering mode. With the delivered exposure and the sensor's reference that mean is a measurement of light,

    lux = reference_lux · (reference_exposure · reference_gain) / (exposure · gain) · Y / reference_Y,

and the exposure value of the scene at ISO 100 is log2(lux / 2.5).

How far the brightest parts stand above that mean is measured, too, in stops, so that it says the same
whatever the exposure was. Where they are clipped it is estimated from how fast pixels become fewer with
brightness: N(above x) falls as a power of x, whose exponent the stop below white tells.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from math import log2

from skylapse_protocol.messages import Reading
from skylapse_protocol.snapshot import MID_GREY, MIN_LUX, Metering, metering_weight
from skylapse_protocol.tone import CURVES, FULL_SCALE, decode

from .camera.port import LuxReference, SmallFrame

LUX_AT_EV_0 = 2.5
F2_REFERENCE = LuxReference(exposure_us=10_000, gain=1.0, lux=1000.0, level=MID_GREY * FULL_SCALE)
"""A lens of f/2 by the exposure formula: log2(4 / 0.01 s) = 8.6 = log2(1000 lux / 2.5)."""

_RED, _GREEN, _BLUE = 0.2126, 0.7152, 0.0722
_WHITE, _BLACK = 254, 1
_HIGHLIGHT_SHARE = 0.02
_OVEREXPOSED = 0.25
_MOST_ABOVE_WHITE_EV = 1.0
"""More than this a clipped picture cannot tell."""

_UNDEREXPOSED = 0.002


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """What a small picture tells about the scene."""

    at: datetime
    mean_linear: float
    """Weighted mean in linear light, 0…1."""
    clipped_low: float
    clipped_high: float
    highlight_ev: float = 0.0
    """By how many stops the mean must stay below full scale for no more than the share of highlights to clip:
    0 of an even picture."""
    lux: float | None = None
    scene_ev: float | None = None
    reference: LuxReference = F2_REFERENCE
    colour_temperature_k: int | None = None

    @property
    def too_bright(self) -> bool:
        """So much is clipped that the mean says too little."""
        return self.clipped_high > _OVEREXPOSED

    @property
    def too_dark(self) -> bool:
        """So little is above black that the mean says too little."""
        return self.mean_linear < _UNDEREXPOSED


def measure(
    frame: SmallFrame, metering: Metering, at: datetime, highlight_share: float = _HIGHLIGHT_SHARE
) -> Light:
    """Return what the picture tells; lux and scene EV are None where its exposure is unknown.

    `highlight_share` is the share of the pixels that may be clipped.
    """
    linear = _linear(frame.tone_curve)
    red, green, blue = frame.rgb[0::3], frame.rgb[1::3], frame.rgb[2::3]
    weights = _weights(metering, frame.width, frame.height)
    total = sum(
        weight * (_RED * linear[r] + _GREEN * linear[g] + _BLUE * linear[b])
        for weight, r, g, b in zip(weights, red, green, blue, strict=True)
        if weight
    )
    mean = total / sum(weights)
    count = frame.width * frame.height
    brightest = list(map(max, red, green, blue))
    lux = None
    if frame.exposure_us and frame.gain:
        reference = frame.lux_reference or F2_REFERENCE
        lux = max(lux_of(mean, frame.exposure_us * frame.gain, reference), MIN_LUX)
    return Light(
        at=at,
        mean_linear=min(mean, 1.0),
        clipped_low=sum(value <= _BLACK for value in brightest) / count,
        clipped_high=sum(value >= _WHITE for value in brightest) / count,
        highlight_ev=_highlight_ev(brightest, linear, mean, highlight_share),
        lux=lux,
        scene_ev=None if lux is None else log2(lux / LUX_AT_EV_0),
        reference=frame.lux_reference or F2_REFERENCE,
        colour_temperature_k=frame.colour_temperature_k,
    )


def lux_of(mean_linear: float, exposure: float, reference: LuxReference) -> float:
    """Return the light that gives this linear mean with this exposure (microseconds × gain)."""
    return (
        reference.lux
        * (reference.exposure_us * reference.gain / exposure)
        * (mean_linear * FULL_SCALE / reference.level)
    )


def log2_exposure_for(scene_ev: float, ev: float, reference: LuxReference) -> float:
    """Return log2 of the exposure (microseconds × gain) that shows the scene `ev` stops above mid grey."""
    grey = MID_GREY * FULL_SCALE / reference.level
    constant = log2(grey * reference.exposure_us * reference.gain * reference.lux / LUX_AT_EV_0)
    return constant - scene_ev + ev


def reading(light: Light, exposure_us: int | None = None, gain: float | None = None) -> Reading:
    """Return the message for a measurement and the exposure that it suggests."""
    return Reading(
        at=light.at,
        lux=light.lux,
        scene_ev=light.scene_ev,
        clipped_low=light.clipped_low,
        clipped_high=light.clipped_high,
        mean_linear=light.mean_linear,
        suggested_exposure_us=exposure_us,
        suggested_gain=gain,
        colour_temperature_k=light.colour_temperature_k,
    )


def _highlight_ev(brightest: Sequence[int], linear: Sequence[float], mean: float, share: float) -> float:
    """Return by how many stops the brightest `share` reaches above the mean, less those up to full scale.

    A black picture counts as even: it tells nothing.
    """
    if mean <= 0.0:
        return 0.0
    counts = Counter(brightest)
    wanted = min(max(share * len(brightest), 1.0), float(len(brightest)))
    clipped = sum(counts[code] for code in range(_WHITE, 256))
    if clipped >= wanted:
        half = sum(count for code, count in counts.items() if linear[code] >= linear[_WHITE] / 2)
        too_many, fewer_a_stop = log2(clipped / wanted), log2(half / clipped)
        above = too_many / fewer_a_stop if too_many < fewer_a_stop else 1.0
        return min(above, _MOST_ABOVE_WHITE_EV) - log2(mean)
    level = _level(counts, linear, wanted - clipped)
    return log2(max(level, linear[1]) / linear[_WHITE] / mean)


def _level(counts: Counter[int], linear: Sequence[float], wanted: float) -> float:
    """Return the linear light that so many of the unclipped pixels reach.

    Those of one code are taken as spread evenly over what is rounded to it.
    """
    above, code = 0.0, _WHITE
    while above < wanted:
        code -= 1
        above += counts[code]
    within = (above - wanted) / counts[code]
    return linear[code] + (within - 0.5) * (linear[code + 1] - linear[max(code - 1, 0)]) / 2.0


@lru_cache(maxsize=8)
def _linear(tone_curve: str) -> tuple[float, ...]:
    """Return linear light, 0…1, for each of the 256 values of a picture; an unknown curve is read as srgb."""
    curve = CURVES.get(tone_curve, CURVES["srgb"])
    return tuple(decode(curve, 257.0 * code) / FULL_SCALE for code in range(256))


@lru_cache(maxsize=16)
def _weights(metering: Metering, width: int, height: int) -> tuple[float, ...]:
    """Return one weight a pixel, row by row."""
    weights = tuple(
        metering_weight(metering, (column + 0.5) / width, (row + 0.5) / height)
        for row in range(height)
        for column in range(width)
    )
    return weights if any(weights) else (1.0,) * (width * height)
