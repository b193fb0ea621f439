"""Is a picture of its camera's family? Its figures against those at the same elevation of the sun.

Weather is family: clouds take four stops, snow adds one, the moon makes seven at night, fog takes sharpness,
entropy and edges. So each figure has a limit that weather does not reach, besides the robust z-score, and a
figure that weather lowers is asked only whether it is too high. A picture is odd only if it is unlike its
family and unlike the picture before it, too: what stays for ten minutes is how things are now.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from .baseline import Expected, Figures
from .facts import Facts
from .glance import Glance
from .tiles import BRIGHT

_LEAST_Z = 6.0
_SMALL = 2.0**-6
_NIGHT_DEG = -7.0
_STAYS = timedelta(minutes=10)
_STAYS_FRAMES = 3
_BEFORE = timedelta(days=3)
"""A picture older than this says nothing about the one of now; one of the day before does: what covered the
view, or moved it, may have stayed."""
_COVERED_EV = 2.0
_COVERED_SHARE = 0.15


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """How far one figure may be from its family."""

    words: str
    day: tuple[float, float]
    """Limits below and above…"""
    night: tuple[float, float]
    """…with the sun below −7°."""


_NEVER = float("inf")
ROWS = (
    Row(words="brightness", day=(3.5, 3.0), night=(6.0, _NEVER)),
    Row(words="sharpness", day=(_NEVER, 3.0), night=(_NEVER, 4.0)),
    Row(words="entropy", day=(_NEVER, 2.5), night=(_NEVER, 3.5)),
    Row(words="colourfulness", day=(_NEVER, 2.5), night=(_NEVER, 3.0)),
    Row(words="red against green", day=(1.2, 1.2), night=(1.8, 1.8)),
    Row(words="blue against green", day=(1.2, 1.2), night=(1.8, 1.8)),
    Row(words="magenta cast", day=(_NEVER, 1.0), night=(_NEVER, 1.0)),
    Row(words="burnt-out area", day=(_NEVER, 0.6), night=(_NEVER, 0.6)),
    Row(words="density of edges", day=(_NEVER, 2.5), night=(_NEVER, 4.0)),
)
"""By place in `figures_of`: stops, log2 of the variance, bits, log2 of codes, stops, stops, stops, a share,
log2 of a share."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """How the last picture that was found good differed from its family."""

    at: datetime
    residual: Figures
    covered: float
    torn: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Oddness:
    """How a picture differs from its family."""

    residual: Figures
    covered: float
    """Share of tiles that are far brighter or darker than they should be."""
    torn: bool
    reason: str | None
    """In words; null for a member of the family."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Odd pictures, one after the other."""

    since: datetime
    frames: int

    def is_how_things_are(self, at: datetime) -> bool:
        """Tell whether this has lasted too long to be an accident."""
        return self.frames >= _STAYS_FRAMES and at - self.since >= _STAYS


def figures_of(glance: Glance, facts: Facts) -> Figures:
    """Return the figures that a family is known by; brightness is no number without an exposure."""
    measured = glance.measured
    light_ev = facts.against_clear_sky_ev(measured.log_mean)
    return np.array(
        [
            np.nan if light_ev is None else light_ev,
            np.log2(measured.sharpness + 1.0),
            measured.entropy,
            np.log2(measured.colourfulness + 4.0),
            measured.red_ev,
            measured.blue_ev,
            min(measured.red_ev, measured.blue_ev),
            measured.clipped_high,
            np.log2(glance.edges + _SMALL),
        ],
        dtype=np.float32,
    )


def compare(
    glance: Glance,
    facts: Facts,
    family: Expected,
    tiles: Expected | None,
    before: Member | None,
    *,
    torn: bool,
) -> Oddness:
    """Return how a picture differs from its family, and from the picture before it.

    `torn` says that nothing in it is in its place.
    """
    residual = figures_of(glance, facts) - family.middle
    covered = _covered(glance, tiles)
    last = before if before is not None and abs(facts.captured_at - before.at) < _BEFORE else None
    night = facts.elevation_deg is None or facts.elevation_deg < _NIGHT_DEG
    reason = None
    for place, row in enumerate(ROWS):
        low, high = row.night if night else row.day
        off, z = residual[place], _LEAST_Z * family.deviation[place]
        jump = off if last is None else off - last.residual[place]
        if (off > max(high, z) and jump > 0.6 * high) or (off < -max(low, z) and jump < -0.6 * low):
            way = "more" if off > 0 else "less"
            reason = f"its {row.words} is {way} than this camera's pictures have with the sun so high"
            break
    if reason is None and covered - (last.covered if last is not None else 0.0) > _COVERED_SHARE:
        reason = f"something covers {covered:.0%} of the view"
    if reason is None and torn and not (last is not None and last.torn):
        reason = "nothing in it is where it should be: it may be torn"
    return Oddness(residual=np.nan_to_num(residual), covered=covered, torn=torn, reason=reason)


def _covered(glance: Glance, tiles: Expected | None) -> float:
    if glance.tiles is None or tiles is None or tiles.middle.shape != glance.tiles.figures.shape:
        return 0.0
    change = glance.tiles.figures[BRIGHT] - tiles.middle[BRIGHT]
    change = change - np.median(change)
    limit = np.maximum(_COVERED_EV, _LEAST_Z * tiles.deviation[BRIGHT])
    return float((np.abs(change) > limit).mean())
