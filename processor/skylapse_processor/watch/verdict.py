"""Whether one picture is fit for films, as far as itself and its record can tell.

Blank is what shows nothing: no structure, or no light though the sun is up. Honest nights are dark, too, so
a dark picture is blank only where facts say that there was light to see; where they say that the sun is
down, or say nothing and there is noise, it is not.
"""

from dataclasses import dataclass
from typing import Literal

from .facts import Facts
from .glance import Glance

Kind = Literal["good", "broken", "blank", "frozen", "odd"]

_FLAT_SPREAD, _FLAT_REACH = 1.2, 6.0
"""Codes: noise and a lens's shading leave more than that in any view, even in fog."""
_DARK, _WHITE = 6.0, 0.97
_SUN_IS_UP_DEG, _SUN_IS_DOWN_DEG = 1.0, -4.0
_CAPPED_LOG2_LUX = 0.0
"""One lux: with the sun up the darkest storm leaves a hundred."""
_LIT = 48.0
"""Codes: under a cap a sensor shows noise, dark at any gain; a brighter picture was lit, if only through a
grey filter of ten stops or at another hour than its record says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """On one picture."""

    kind: Kind
    reason: str | None = None
    """In plain words; null for a good one."""


GOOD = Verdict(kind="good")


def blank(glance: Glance, facts: Facts) -> str | None:
    """Return why a picture shows nothing; None where it shows something, or may honestly be dark."""
    flat = glance.spread < _FLAT_SPREAD and glance.reach <= _FLAT_REACH
    if glance.measured.clipped_high >= _WHITE:
        return "the picture is white"
    elevation = facts.elevation_deg
    up = elevation is not None and elevation > _SUN_IS_UP_DEG
    lux = facts.log2_lux(glance.measured.log_mean)
    if up and glance.level < _LIT and lux is not None and lux < _CAPPED_LOG2_LUX:
        return "the sun is up, but no light has reached the sensor: the lens may be capped"
    if flat and glance.level > _DARK:
        return "the picture is one even colour"
    if flat and (up or (glance.spread == 0.0 and not _is_night(facts))):
        return "the picture is black"
    return None


def _is_night(facts: Facts) -> bool:
    return facts.elevation_deg is not None and facts.elevation_deg < _SUN_IS_DOWN_DEG
