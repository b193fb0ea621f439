"""HDR: the pictures of an exposure bracket become one of more light than any of them holds.

Theory
------
A picture exposed t times as much as its bracket's leader shows z = t·L of the light L, up to its white. So
L = z ÷ t is the same from every picture that is neither clipped nor in its own noise, and their mean, each
weighted by what it knows, is the radiance. What is known of a pixel follows from facts: from t, and from the
variance of z, which is that of a tone curve of eight bits (a code is wide in linear light where the curve is
flat), of shot noise (∝ z and gain) and a little for reading:

    weight = t² ÷ variance(z) × gate(z)

The gate closes softly from 0.7 to 0.9 of white in the brightest channel, and stays open in the darkest
picture, since there is none better. Weights depend on exposure and on the value of the pixel itself, never on
what else is in the picture: exposure fusion weighs by contrast and normalises by neighbourhood, so that its
brightness moves with a passing cloud, and films of it flicker. Here all pictures say the same L, whatever
their weights are, and the film is as steady as the levelling of its leaders.

*Ghosts.* Leaves, birds and clouds move between the pictures of a bracket. Where the logarithm of a picture's
light differs from the leader's by more than k deviations of the noise of both, the picture's weight fades:
at k it has half, at 1.5 k nearly none, so that in the end the leader alone is seen. Both are compared as
means of 5 × 5 pixels, and the doubt is spread by as much, for the soft edges of what moved. Where the leader
is clipped, less light than its white is doubted and more is believed.

The light that comes out keeps the leader's scale, so that levelling counts as it would for the leader alone,
and reaches as far above 1 as the darkest picture sees: `tonemap` brings it back.

Sources: M. Robertson et al., "Estimation-theoretic approach to dynamic range enhancement" (2003); S. Hasinoff
et al., "Noise-optimal capture for high dynamic range photography" (2010).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import cv2
import numpy as np
from numpy.typing import NDArray

from skylapse_processor import tone

from .expand import Grouped, expanded
from .layer import Light, Picture
from .plan import Plan
from .register import Landmarks, texture, warped

Plane = NDArray[np.float32]
"""One value a pixel, shape (rows, columns)."""

GHOST_SIGMAS = 4.0
_OPEN, _SHUT = 0.7, 0.9
"""Linear light, 1 is white, up to which a picture is believed, and from which it is not."""
_SHOT = 3e-5
"""Variance of shot noise per linear light, at a gain of 1: modules of a Raspberry Pi, scaled to a film."""
_READ = 4e-8
_CODE = 0.7
"""Deviation of a pixel of a JPEG from what it should be, in codes."""
_SYSTEMATIC = 0.02
"""How far tone curve and recorded exposure may be off together, as a share of light."""
_STEPS = 2048
_BLUR = 5
_ROWS, _MARGIN = 128, 8
_NEVER_NOTHING = np.float32(1e-5)
_RED, _GREEN, _BLUE = (np.float32(weight) for weight in tone.LUMINANCE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposed:
    """What has to be known of one picture of a bracket."""

    over_ev: float
    """Stops exposed more than the middle of the bracket."""
    scale: tuple[float, float, float]
    """What levelling multiplied red, green and blue with."""
    gain: float
    """Of the sensor: noise grows with it."""
    curve: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Merge(Grouped):
    """Radiance of each bracket, on the scale of its leader."""

    exposed: tuple[Exposed, ...]
    ghost_sigmas: float
    align: bool

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        """Merge the pictures that are there; without the leader, the next best judges what moved."""
        columns, rows = below[0].size
        merged = np.empty((3, rows, columns), dtype=np.float32)
        facts = [self.exposed[picture.number] for picture in below]
        found = _found(below) if self.align else [picture.rows for picture in below]
        for top in range(0, rows, _ROWS):
            bottom = min(top + _ROWS, rows)
            wide = slice(max(top - _MARGIN, 0), min(bottom + _MARGIN, rows))
            strip = _merged([rows_of(wide) for rows_of in found], facts, self.ghost_sigmas)
            merged[:, top:bottom] = strip[:, top - wide.start : bottom - wide.start]
        return Picture(light=merged, number=number, frame=self.starts[number])


def hdr(plan: Plan, *, ghost_sigmas: float = GHOST_SIGMAS, align: bool = False) -> Plan:
    """Return the plan with each exposure bracket merged into one picture of all its light.

    `ghost_sigmas`: by how many deviations of the noise a picture may differ from the middle of its bracket
    before it is taken for a ghost; 0 believes everything. `align`: lay the pictures of each bracket upon its
    middle first, where wind shakes the camera between them.
    """
    whole, starts, over_ev = expanded(plan, "hdr")
    exposed = tuple(
        Exposed(
            over_ev=over,
            scale=tuple(np.exp2(gain).tolist()),
            gain=(frame.facts.gain if frame.facts else None) or 1.0,
            curve=frame.facts.tone_curve if frame.facts else tone.SRGB,
        )
        for frame, over, gain in zip(whole.frames, over_ev, whole.gain_ev, strict=True)
    )
    layer = Merge(starts=starts, exposed=exposed, ghost_sigmas=ghost_sigmas, align=align)
    return replace(whole, layers=(layer,))


def _found(below: Sequence[Picture]) -> list[Callable[[slice], Light]]:
    """Return what gives rows of each picture, laid upon the first; as they are where that is not sure."""
    first, *others = below
    size = first.size
    landmarks = Landmarks(texture(first.rows(slice(None))))
    found: list[Callable[[slice], Light]] = [first.rows]
    for picture in others:
        motion = landmarks.motion(texture(picture.rows(slice(None))), "turn")
        if motion.is_sure:
            found.append(partial(warped, picture.rows, size, motion.matrix(*size)))
        else:
            found.append(picture.rows)
    return found


def _merged(lights: Sequence[Light], facts: Sequence[Exposed], ghost_sigmas: float) -> Light:
    """Return the radiance of some rows of one bracket; the first of the pictures judges what moved."""
    if len(lights) == 1:
        return lights[0] * np.float32(2.0 ** -facts[0].over_ev)
    darkest = min(fact.over_ev for fact in facts)
    total = np.zeros(lights[0].shape[1:], dtype=np.float32)
    light = np.zeros_like(lights[0])
    judge: _Seen | None = None
    for levelled, fact in zip(lights, facts, strict=True):
        seen = _seen(levelled, fact, last=fact.over_ev == darkest)
        if judge is None:
            judge = seen
            weight = np.maximum(seen.weight, _NEVER_NOTHING * seen.known)
        else:
            weight = seen.weight if ghost_sigmas == 0 else seen.weight * _trust(seen, judge, ghost_sigmas)
        total += weight
        light += weight * (levelled * np.float32(2.0**-fact.over_ev))
    light /= total
    return light


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """One picture of a bracket as its weights see it."""

    known: Plane
    """t² ÷ variance."""
    weight: Plane
    """The same, gated."""
    log_light: Plane
    """ln of the light on the leader's scale, as the mean of its neighbourhood."""
    spread: Plane
    """Variance of that."""
    clipped: Plane
    """1 where the picture is white."""


def _seen(levelled: Light, fact: Exposed, *, last: bool) -> _Seen:
    """Weigh a picture; the `last` is the darkest, and believed up to its white."""
    scale = 1.0 / np.array(fact.scale, dtype=np.float32)
    own = levelled * scale[:, None, None]
    brightest = own.max(axis=0)
    luminance = _RED * own[0] + _GREEN * own[1] + _BLUE * own[2]
    place = (np.sqrt(np.clip(luminance, 0.0, 1.0)) * np.float32(_STEPS - 1)).astype(np.intp)
    variance = np.take(_variance(fact.curve, fact.gain), place)
    share = np.float32(2.0**fact.over_ev)
    known = share * share / variance
    clipped = np.clip((brightest - _OPEN) / (_SHUT - _OPEN), 0.0, 1.0).astype(np.float32)
    clipped = clipped * clipped * (3.0 - 2.0 * clipped)
    near = np.maximum(cv2.blur(luminance, (_BLUR, _BLUR)), np.float32(1e-5))
    return _Seen(
        known=known,
        weight=known if last else known * (1.0 - clipped),
        log_light=np.log(near / share),
        spread=cv2.blur(variance, (_BLUR, _BLUR)) / (near * near * _BLUR) + np.float32(_SYSTEMATIC**2),
        clipped=clipped,
    )


def _trust(seen: _Seen, judge: _Seen, sigmas: float) -> Plane:
    """Return 0…1: how far a picture shows the same as the one that judges."""
    away = seen.log_light - judge.log_light
    # Where one of them is white, only its own side of the difference says anything.
    away = np.where(away > 0, away * (1.0 - judge.clipped), away * (1.0 - seen.clipped))
    doubt = (away * away / ((seen.spread + judge.spread) * np.float32(sigmas * sigmas))) ** 3
    agrees = 1.0 / (1.0 + doubt)
    agrees = cv2.erode(agrees, np.ones((_BLUR, _BLUR), np.uint8))
    trust: Plane = cv2.blur(agrees, (_BLUR, _BLUR)).astype(np.float32, copy=False)
    return trust


@lru_cache(maxsize=64)
def _variance(curve: str, gain: float) -> Plane:
    """Return the variance of linear light in a JPEG, by the root of the light."""
    linear = np.linspace(0.0, 1.0, _STEPS) ** 2
    codes = np.maximum.accumulate(tone.encode(curve, linear))
    slope = np.gradient(codes, np.maximum(linear, np.arange(_STEPS) * 1e-9))
    slope = np.convolve(np.pad(slope, 20, mode="edge"), np.full(41, 1 / 41), mode="valid")
    quantised = (_CODE / 255 / np.maximum(slope, 1e-3)) ** 2
    table: Plane = (_SHOT * gain * linear + quantised + _READ).astype(np.float32)
    table.flags.writeable = False
    return table
