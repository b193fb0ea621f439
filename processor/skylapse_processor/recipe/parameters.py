"""The parameters of steps: what kind of value each takes, and how a command line writes it.

A step's row holds one of `Number`, `Choice`, `Text` and `Switch` for each parameter; what is allowed is said
in one place for the messages, for `job.json`, for `POST /renders` and for `--set step.parameter=value`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from skylapse_processor.errors import RequestError

Value: TypeAlias = float | str | bool
"""What a parameter may be set to."""

Changes: TypeAlias = Mapping[str, Mapping[str, Value] | bool]
"""Changed parameters by step; true switches a step on with its defaults, false leaves it out."""

_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A number from `low` to `high`; `whole` where it counts something."""

    low: float
    high: float
    whole: bool = False

    def wrong(self, value: object) -> str | None:
        """Return why a value does not fit; null where it does."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            fits = math.isfinite(value) and self.low <= value <= self.high
            if fits and not (self.whole and value != int(value)):
                return None
        kind = "whole number" if self.whole else "number"
        return f"is no {kind} from {self.low:.12g} to {self.high:.12g}"

    def typed(self, text: str) -> Value:
        """Return what somebody at a terminal means; the text itself where that is no number."""
        try:
            return float(text)
        except ValueError:
            return text


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def wrong(self, value: object) -> str | None:
        """Return why a value does not fit; null where it does."""
        return None if value in self.words else f"is none of {', '.join(self.words)}"

    def typed(self, text: str) -> Value:
        """Return what somebody at a terminal means."""
        return text


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """Words of one's own; `why_not` says of a text what is wrong with it, or null."""

    longest: int = 200
    why_not: Callable[[str], str | None] | None = None

    def wrong(self, value: object) -> str | None:
        """Return why a value does not fit; null where it does."""
        if not isinstance(value, str) or len(value) > self.longest:
            return f"is no text of at most {self.longest} characters"
        return self.why_not(value) if self.why_not is not None else None

    def typed(self, text: str) -> Value:
        """Return what somebody at a terminal means."""
        return text


@dataclass(frozen=True, kw_only=True, slots=True)
class Switch:
    """True or false."""

    def wrong(self, value: object) -> str | None:
        """Return why a value does not fit; null where it does."""
        return None if isinstance(value, bool) else "is neither true nor false"

    def typed(self, text: str) -> Value:
        """Return what somebody at a terminal means; the text itself where that is neither yes nor no."""
        return text in _TRUE if text in (*_TRUE, *_FALSE) else text


Parameter: TypeAlias = Number | Choice | Text | Switch


def checked(place: str, parameters: Mapping[str, Parameter], changes: object) -> dict[str, Value]:
    """Return the changed parameters of one step; raise RequestError naming the one that does not fit."""
    if not isinstance(changes, Mapping):
        raise RequestError(place, "is neither an object of parameters nor true or false")
    for name, value in changes.items():
        if name not in parameters:
            raise RequestError(f"{place}.{name}"[:80], f"is none of {', '.join(parameters) or 'nothing'}")
        why = parameters[name].wrong(value)
        if why is not None:
            raise RequestError(f"{place}.{name}", why)
    return dict(changes)


def from_words(words: Sequence[str], steps: Mapping[str, Mapping[str, Parameter]]) -> Changes:
    """Return what `step.parameter=value`, `step=on` and `step=off` ask for.

    `steps` are the parameters of each step. Raises RequestError for words of another form, and for a step or
    a parameter that does not exist; whether a value fits is checked with the recipe.
    """
    changes: dict[str, dict[str, Value] | bool] = {}
    for word in words:
        place, equals, text = word.partition("=")
        step, dot, name = place.partition(".")
        if step not in steps:
            raise RequestError(word[:80], f"names no step: there are {', '.join(steps)}")
        if not dot and (not equals or text in (*_TRUE, *_FALSE)):
            changes[step] = text not in _FALSE
            continue
        if not dot or not equals:
            raise RequestError(word[:80], "is not of the form step.parameter=value, step=on or step=off")
        if name not in steps[step]:
            raise RequestError(place[:80], f"is no parameter: {step} has {', '.join(steps[step]) or 'none'}")
        before = changes.get(step)
        value = steps[step][name].typed(text)
        changes[step] = {**(before if isinstance(before, dict) else {}), name: value}
    return changes
