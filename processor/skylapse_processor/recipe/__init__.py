"""Recipes: tables of steps, run over the facts of all frames before a pixel of the film is decoded.

Reading order: plan, smooth, deflicker (theory), level, look, finish. A new step is a function from plan
to plan and one row in STEPS; a new recipe is one row in RECIPES.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from skylapse_processor.errors import RequestError

from .deflicker import deflicker
from .finish import crop, fade, grade, select
from .level import balance, level
from .plan import Plan

Parameters = Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class StepKind:
    """One kind of step: what it does to a plan, and the limits of its parameters."""

    run: Callable[..., Plan]
    limits: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One row of a recipe."""

    kind: str
    parameters: Parameters


STEPS: Mapping[str, StepKind] = {
    "select": StepKind(run=select, limits={"every": (1, 100_000)}),
    "level": StepKind(run=level, limits={"sigma_frames": (1, 500)}),
    "deflicker": StepKind(run=deflicker, limits={"cap_ev": (0, 1), "sigma_frames": (1, 100)}),
    "balance": StepKind(run=balance, limits={"sigma_frames": (1, 500)}),
    "grade": StepKind(run=grade, limits={"contrast": (0, 1)}),
    "crop": StepKind(run=crop, limits={"aspect": (0.1, 10)}),
    "fade": StepKind(run=fade, limits={"frames": (0, 10_000)}),
}

_LEVELLED = tuple(Step(kind=kind, parameters={}) for kind in ("select", "level", "balance", "deflicker"))

RECIPES: Mapping[str, tuple[Step, ...]] = {
    "clean": _LEVELLED,
    "cinematic": (
        *_LEVELLED,
        Step(kind="grade", parameters={"contrast": 0.25}),
        Step(kind="crop", parameters={"aspect": 2.39}),
        Step(kind="fade", parameters={"frames": 15}),
    ),
    "raw": (Step(kind="select", parameters={}),),
}

DEFAULT = "clean"


def steps_of(recipe: str, parameters: Mapping[str, Any]) -> tuple[Step, ...]:
    """Return the steps of a recipe with changed parameters (`{"level": {"sigma_frames": 40}}`).

    Raises RequestError where recipe, step or parameter does not exist, or a number is out of its limits.
    """
    if recipe not in RECIPES:
        raise RequestError("recipe", f"{recipe!r} is none of {', '.join(sorted(RECIPES))}")
    steps = RECIPES[recipe]
    for kind in parameters:
        if kind not in {step.kind for step in steps}:
            raise RequestError(f"parameters.{kind}", f"is no step of the recipe {recipe}")
    return tuple(_changed(step, parameters.get(step.kind, {})) for step in steps)


def cook(plan: Plan, steps: tuple[Step, ...]) -> Plan:
    """Return the plan that the steps make of `plan`, in their order."""
    for step in steps:
        plan = STEPS[step.kind].run(plan, **step.parameters)
    return plan


def _changed(step: Step, changes: object) -> Step:
    if not isinstance(changes, Mapping):
        raise RequestError(f"parameters.{step.kind}", "is no object")
    limits = STEPS[step.kind].limits
    for name, value in changes.items():
        place = f"parameters.{step.kind}.{name}"
        if name not in limits:
            raise RequestError(place, f"is none of {', '.join(limits)}")
        low, high = limits[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise RequestError(place, f"is no number from {low} to {high}")
    return Step(kind=step.kind, parameters={**step.parameters, **changes})
