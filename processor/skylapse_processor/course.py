"""The course of a film, before a pixel is decoded: which frames, how fast, and what its steps ask for.

Pure: `render.py` goes by it, and whoever cuts a film into stretches learns from it how long the film is.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from . import recipe
from .frames import SourceFrame
from .recipe import Step
from .recipe import plan as plans
from .recipe.groups import grouped
from .recipe.layer import Layer
from .recipe.plan import Plan
from .recipe.select import needs_quality
from .request import RenderRequest, pace

_CHOOSING = frozenset({"select"})
_LEVELLING = frozenset({"level", "balance", "deflicker"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """What is known of a film before its brightness is measured."""

    plan: Plan
    """The chosen frames, nothing done to them yet."""
    steps: tuple[Step, ...]
    """What is to be done to them."""
    outline: Plan
    """What all steps but the levelling make of them: layers, window, captions."""
    rate: Fraction
    measures: bool
    """Whether brightness has to be measured first."""

    @property
    def looks(self) -> bool:
        """Whether any step looks at the whole film first."""
        return any(looks_around(layer) for layer in self.outline.layers)

    @property
    def count(self) -> int:
        """How many frames the film has, if no picture turns out broken."""
        return plans.made(self.outline)

    def cooked(self, measured: Plan) -> Plan:
        """Return what the steps make of the plan, now that brightness is measured where it has to be."""
        asked = replace(
            measured,
            length_s=self.plan.length_s,
            title=self.plan.title,
            camera=self.plan.camera,
            zone=self.plan.zone,
            calibration=self.plan.calibration,
        )
        return recipe.cook(asked, self.steps)


def gathered(request: RenderRequest) -> RenderRequest:
    """Return the request with the pictures that lead, brackets beside them where a step merges them."""
    steps = recipe.steps_of(request.recipe, request.parameters)
    found = grouped(request.frames, [step.kind for step in steps])
    return replace(
        request,
        frames=found.leaders,
        skipped=(*request.skipped, *found.skipped),
        noticed=(*request.noticed, *found.lacking),
    )


def goes_by_quality(request: RenderRequest) -> bool:
    """Say whether frames are chosen by what only a look at each of them tells."""
    steps = recipe.steps_of(request.recipe, request.parameters)
    return any(step.kind == "select" and needs_quality(step.parameters) for step in steps)


def course(request: RenderRequest, frames: tuple[SourceFrame, ...]) -> Course:
    """Return the course that a request takes with these frames; raise RequestError where there is none."""
    steps = recipe.steps_of(request.recipe, request.parameters)
    chosen = _asked(plans.make(frames), request)
    chosen = recipe.cook(chosen, tuple(step for step in steps if step.kind in _CHOOSING))
    later = tuple(step for step in steps if step.kind not in _CHOOSING)
    dressing = tuple(step for step in later if step.kind not in _LEVELLING)
    outline = recipe.cook(chosen, dressing)
    if outline.rate is not None:
        rate = Fraction(outline.rate).limit_denominator(1001)
    else:
        rate, every = pace(request, chosen.frames)
        if every > 1:
            chosen = plans.pick(chosen, np.arange(0, len(chosen.frames), every))
            outline = recipe.cook(chosen, dressing)
    return Course(
        plan=chosen,
        steps=later,
        outline=outline,
        rate=rate,
        measures=recipe.measures(chosen, later),
    )


def _asked(plan: Plan, request: RenderRequest) -> Plan:
    """Return the plan with what the request says of the film as a whole."""
    return replace(
        plan,
        length_s=request.length_s,
        title=request.metadata.get("title", ""),
        camera=request.camera,
        zone=request.time_zone,
        calibration=request.calibration,
    )


def looks_around(layer: Layer) -> bool:
    """Say whether a layer looks at the whole film before its first picture."""
    return type(layer).prepare is not Layer.prepare
