"""Recipes: tables of steps, run over the facts of all frames before a pixel of the film is decoded.

Reading order: plan, smooth, deflicker (theory), level, look, finish; then layer and the steps that look at
pixels. A new step is a function from plan to plan, one row in STEPS and its place in ORDER; a new recipe is
one row in RECIPES.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from skylapse_processor.errors import RequestError

from .blend import blend
from .caption import PLACES
from .correct import correct
from .crop import ASPECTS, crop
from .deflicker import deflicker, needs_measuring
from .denoise import METHODS, denoise
from .fade import fade
from .focus import focus
from .grade import grade
from .groups import MERGING
from .interpolate import SURPLUS, WAYS, interpolate
from .level import balance, colour_unknown, level
from .lut import lut
from .merge import hdr
from .overlay import overlay, why_no_colour
from .panzoom import EASINGS, panzoom
from .parameters import Changes, Choice, Number, Parameter, Switch, Text, Value, checked, from_words
from .plan import Plan
from .season import season
from .select import LIGHTS, select, why_no_mark, why_no_zone
from .stabilise import stabilise
from .startrail import startrail
from .tokens import why_no_text
from .tonemap import tonemap


@dataclass(frozen=True, kw_only=True, slots=True)
class StepKind:
    """One kind of step: what it does to a plan, and its parameters, each with a default in the function."""

    run: Callable[..., Plan]
    parameters: Mapping[str, Parameter]
    alone: bool = False
    """Whether it looks at the pixels of one camera's film: a grid of cameras has no such step."""
    measures: Callable[[Plan, Collection[str]], bool] = lambda _plan, _kinds: False
    """Whether it needs brightness measured: asked with the chosen frames, and the kinds of all steps."""
    of: str = ""
    """The kind of step whose work it goes on with; without that it changes nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One row of a recipe."""

    kind: str
    parameters: Mapping[str, Value] = field(default_factory=dict)


ORDER = (
    *("select", "level", "balance", "deflicker", "crop"),
    *("hdr", "focus", "correct", "tonemap"),
    *("stabilise", "denoise", "startrail", "season"),
    *("blend", "interpolate", "panzoom", "lut", "overlay", "grade", "fade"),
)
"""Every step in the order in which they run, whatever the order in which somebody asks for them."""

_SIGMA = Number(low=1, high=500)
_SHARE = Number(low=0, high=1)
_SOME = Number(low=0.05, high=1)
_ZOOM = Number(low=1, high=8)

STEPS: Mapping[str, StepKind] = {
    "select": StepKind(
        run=select,
        parameters={
            "start": Text(longest=10, why_not=why_no_mark),
            "end": Text(longest=10, why_not=why_no_mark),
            "zone": Text(longest=60, why_not=why_no_zone),
            "light": Choice(words=LIGHTS),
            "sun_deg": Number(low=-90, high=90),
            "within_deg": Number(low=0.1, high=30),
            "worst": Number(low=0, high=0.9),
            "clipped": Number(low=0, high=1),
            "every": Number(low=1, high=100_000, whole=True),
            "frames": Number(low=0, high=1_000_000, whole=True),
        },
    ),
    "level": StepKind(
        run=level,
        parameters={"sigma_frames": _SIGMA},
        measures=lambda plan, _kinds: needs_measuring(plan),
    ),
    "balance": StepKind(run=balance, parameters={"sigma_frames": _SIGMA}, measures=colour_unknown),
    "deflicker": StepKind(
        run=deflicker,
        parameters={"cap_ev": Number(low=0, high=1), "sigma_frames": Number(low=1, high=100)},
        measures=lambda _plan, kinds: "level" not in kinds,
    ),
    "focus": StepKind(run=focus, parameters={}, alone=True),
    "hdr": StepKind(
        run=hdr, parameters={"ghost_sigmas": Number(low=0, high=100), "align": Switch()}, alone=True
    ),
    "correct": StepKind(run=correct, parameters={}),
    "lut": StepKind(run=lut, parameters={}),
    "tonemap": StepKind(run=tonemap, parameters={"local": Number(low=0, high=1)}, of="hdr"),
    "stabilise": StepKind(
        run=stabilise,
        parameters={"limit": Number(low=0.001, high=0.1), "follow_frames": Number(low=0, high=500)},
        alone=True,
    ),
    "denoise": StepKind(
        run=denoise,
        parameters={"method": Choice(words=METHODS), "radius": Number(low=1, high=3, whole=True)},
        alone=True,
    ),
    "startrail": StepKind(
        run=startrail,
        parameters={
            "sun_below_deg": Number(low=-18, high=0),
            "brighter_ev": Number(low=0.1, high=5),
            "tail": Number(low=0, high=10_000),
        },
        alone=True,
        measures=lambda _plan, _kinds: True,
    ),
    "season": StepKind(
        run=season,
        parameters={
            "days": Number(low=0, high=10, whole=True),
            "sigma_days": Number(low=0, high=60),
            "cap_ev": Number(low=0, high=3),
        },
        alone=True,
        measures=lambda _plan, _kinds: True,
    ),
    "crop": StepKind(
        run=crop,
        parameters={
            "aspect": Choice(words=tuple(ASPECTS)),
            "x": _SHARE,
            "y": _SHARE,
            "width": _SOME,
            "height": _SOME,
        },
    ),
    "blend": StepKind(
        run=blend,
        parameters={"shutter_deg": Number(low=0, high=7200), "every": Number(low=1, high=1000, whole=True)},
        alone=True,
    ),
    "interpolate": StepKind(
        run=interpolate,
        parameters={
            "length_s": Number(low=0, high=86_400),
            "rate": Number(low=1, high=60),
            "method": Choice(words=WAYS),
            "surplus": Choice(words=SURPLUS),
        },
        alone=True,
    ),
    "panzoom": StepKind(
        run=panzoom,
        parameters={
            "from_zoom": _ZOOM,
            "from_x": _SHARE,
            "from_y": _SHARE,
            "to_zoom": _ZOOM,
            "to_x": _SHARE,
            "to_y": _SHARE,
            "easing": Choice(words=EASINGS),
        },
        alone=True,
    ),
    "overlay": StepKind(
        run=overlay,
        parameters={
            "text": Text(longest=300, why_not=why_no_text),
            "position": Choice(words=PLACES),
            "size": Number(low=0.01, high=0.3),
            "opacity": _SHARE,
            "colour": Text(longest=7, why_not=why_no_colour),
            "zone": Text(longest=60, why_not=why_no_zone),
            "title": Text(longest=100),
        },
    ),
    "grade": StepKind(run=grade, parameters={"contrast": Number(low=0, high=1)}),
    "fade": StepKind(run=fade, parameters={"frames": Number(low=0, high=10_000, whole=True)}),
}

_LEVELLED = tuple(Step(kind=kind) for kind in ("select", "level", "balance", "deflicker", "correct", "lut"))

RECIPES: Mapping[str, tuple[Step, ...]] = {
    "clean": _LEVELLED,
    "cinematic": (
        *_LEVELLED,
        Step(kind="crop", parameters={"aspect": "2.39"}),
        Step(kind="grade", parameters={"contrast": 0.25}),
        Step(kind="fade", parameters={"frames": 15}),
    ),
    "steady": (*_LEVELLED, Step(kind="stabilise"), Step(kind="denoise")),
    "raw": (Step(kind="select"),),
    "3d-print": (
        *(Step(kind=kind) for kind in ("select", "balance")),
        Step(kind="level", parameters={"sigma_frames": 200}),
        Step(kind="deflicker", parameters={"cap_ev": 0.5, "sigma_frames": 12}),
    ),
    "startrail": (Step(kind="select"), Step(kind="startrail")),
    "season": (
        Step(kind="select", parameters={"light": "setting", "sun_deg": 3.0, "within_deg": 4.0}),
        Step(kind="correct"),
        Step(kind="season"),
    ),
    "hdr": (*_LEVELLED, Step(kind="hdr"), Step(kind="tonemap")),
    "focus": (*_LEVELLED, Step(kind="focus")),
}

DEFAULT = "clean"


def steps_of(recipe: str, changes: Changes) -> tuple[Step, ...]:
    """Return the steps of a recipe with changed parameters (`{"level": {"sigma_frames": 40}}`), in ORDER.

    A step that the recipe does not have is added in its place; one that is changed to false is left out.
    Raises RequestError where recipe, step or parameter does not exist, a value is none that is allowed, or
    steps do not go together.
    """
    if recipe not in RECIPES:
        raise RequestError("recipe", f"{recipe!r} is none of {', '.join(sorted(RECIPES))}")
    if not isinstance(changes, Mapping):
        raise RequestError("parameters", "is no object")
    wanted: dict[str, Mapping[str, Value]] = {step.kind: step.parameters for step in RECIPES[recipe]}
    for kind, change in changes.items():
        place = f"parameters.{kind}"[:80]
        if kind not in STEPS:
            raise RequestError(place, f"is no step; there are {', '.join(kinds())}")
        if change is False:
            wanted.pop(kind, None)
            continue
        new = {} if change is True else checked(place, STEPS[kind].parameters, change)
        wanted[kind] = {**wanted.get(kind, {}), **new}
    for merging in MERGING:
        if {merging, "startrail"} <= wanted.keys():
            raise RequestError("recipe", f"startrail and {merging} do not go together: leave one of them out")
    return tuple(Step(kind=kind, parameters=wanted[kind]) for kind in ORDER if kind in wanted)


def changes_of(words: list[str]) -> Changes:
    """Return what `step.parameter=value` on a command line asks for; raise RequestError, see `from_words`."""
    return from_words(words, {kind: STEPS[kind].parameters for kind in kinds()})


def kinds() -> tuple[str, ...]:
    """Return the names of all steps in their order."""
    return tuple(kind for kind in ORDER if kind in STEPS)


def measures(plan: Plan, steps: tuple[Step, ...]) -> bool:
    """Say whether brightness has to be measured for steps that are done to these frames."""
    kinds = {step.kind for step in steps}
    return any(STEPS[kind].measures(plan, kinds) for kind in kinds)


def cook(plan: Plan, steps: tuple[Step, ...]) -> Plan:
    """Return the plan that the steps make of `plan`, in their order."""
    for step in steps:
        plan = STEPS[step.kind].run(plan, **step.parameters)
    return plan
