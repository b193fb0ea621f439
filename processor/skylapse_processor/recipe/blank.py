"""Pictures that tell nothing of the light: a lens cap, a stray file, a frame that was burnt out all over.

Were they brought to the film's brightness as others are, a black one would ask for twenty stops, and the
smooth target would bend for dozens of frames around it. So nothing is levelled by them, and they are shown as
they are, with the gain of those around. Two kinds are meant:

- *empty ones*, black or white all over. Where exposure is told, a black one has to stand FAR_EV off its
  neighbours' median, for a night that sinks into black is honest, and a white one is light that burnt out.
  Where it is not told, a white one stands OFF_EV off, for fog and snow are bright;
- *strange ones* of which no exposure is told, FAR_EV off their neighbours' median in a film that mostly tells
  it: what is known of those around would be stretched to a picture of something else.

Where half of a film is so, it is how the film looks.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .doubt import HALF, MOST_NAMED, Mask, running_median
from .groups import EXPOSURES, offset
from .plan import Curve, Plan

BLACK_EV, WHITE_EV = -15.0, -0.02
"""Mean luminance: of a tenth of a code, and of all but a seventieth."""
OFF_EV, FAR_EV = 0.5, 2.0
_MOSTLY = 0.5
_FEWEST = 5


def blanks(plan: Plan) -> Mask:
    """Say which frames tell nothing of the light, shape (n,); none where nobody measured them."""
    count = len(plan.frames)
    none = np.zeros(count, dtype=np.bool_)
    if count < _FEWEST or not np.isfinite(plan.log_mean).all():
        return none
    facts = [frame.facts for frame in plan.frames]
    is_told = np.array([each is not None and each.exposure_ev is not None for each in facts])
    light = _light(plan)
    usual = running_median(light, HALF) if count > 2 * HALF else np.median(light)
    away = np.abs(light - usual)
    is_far = away > FAR_EV
    is_black, is_white = plan.log_mean <= BLACK_EV, plan.log_mean >= WHITE_EV
    found: Mask = (is_black & (is_far | ~is_told)) | (is_white & ~is_told & (away > OFF_EV))
    if is_told.mean() >= _MOSTLY:
        found |= is_far & ~is_told
    return found if found.mean() < _MOSTLY else none


def as_around(plan: Plan, blank: Mask) -> Plan:
    """Return the plan with blank frames as bright and as coloured as the light around them."""
    if not blank.any():
        return plan
    meant = plan.log_mean - _light(plan)
    return replace(
        plan,
        log_mean=bridge(plan, _light(plan), blank) + meant,
        colour_ev=np.stack([bridge(plan, colour, blank) for colour in plan.colour_ev.T], axis=1),
    )


def bridge(plan: Plan, values: Curve, blank: Mask) -> Curve:
    """Return values, shape (n,), with those of blank frames drawn straight between the others'."""
    bridged: Curve = np.where(blank, np.interp(plan.position, plan.position[~blank], values[~blank]), values)
    return bridged


def names(plan: Plan, blank: Mask) -> tuple[str, ...]:
    """Return how blank frames are called."""
    return tuple(plan.frames[number].name for number in np.flatnonzero(blank))


def in_words(film: str, count: int, blank: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Say of which pictures of a film nothing was levelled: names and words."""
    if len(blank) <= MOST_NAMED:
        words = "is black, white, or far darker or brighter than those around it: nothing is levelled by it"
        return tuple((name, words) for name in blank)
    named = ", ".join(blank[:MOST_NAMED])
    many = f"{len(blank)} of its {count} pictures are black, white, or far darker or brighter than others"
    return ((film, f"{many}, and nothing is levelled by them: {named}, …"),)


def _light(plan: Plan) -> Curve:
    """Return brightness in EV without what a bracket was exposed more on purpose."""
    meant = np.array([offset(frame, EXPOSURES) for frame in plan.frames], dtype=np.float64)
    light: Curve = plan.log_mean - meant
    return light
