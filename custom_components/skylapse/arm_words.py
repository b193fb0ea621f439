"""What the arms of an A/B test are called: by the profile, and by what was changed of it."""

from collections.abc import Iterable, Mapping
from typing import Any

from .brain.ab_tests import AbTest
from .forms import Words

_SIGNS = {True: "✓", False: "✗"}
_SIGNED = frozenset({"ev", "night_ev", "bracket_ev", "focus_bracket"})
"""Changes that are told from where they start, so that a plus says something."""
_MINUS = "\N{MINUS SIGN}"
_BETWEEN = " · "
_CHANGE, _DECIMAL_SIGN = "ab_test_change", "decimal_sign"


def labels(test: AbTest, words: Words) -> list[str]:
    """Return what a test's arms are called, as in `Mountain spot · Warm curve · −1 EV`."""
    return [_BETWEEN.join([arm.profile.name, *in_words(changes, words)]) for arm, changes in test.arms]


def changes_of(arms: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Return what is changed of each arm's profile."""
    return tuple({key: value for key, value in arm.items() if key != "profile"} for arm in arms)


def in_words(changes: Mapping[str, Any], words: Words) -> list[str]:
    """Return each change of a profile in words, as in `Warm curve` and `−1 EV`."""
    return [
        words.get(f"{_CHANGE}.{key}", f"{key} {{value}}").replace("{value}", _value(key, value, words))
        for key, value in changes.items()
    ]


def _value(key: str, value: Any, words: Words) -> str:
    match value:
        case bool():
            return _SIGNS[value]
        case int() | float():
            return _figure(value, words, "+" if key in _SIGNED else "")
        case list() | tuple():
            return " / ".join(_member(key, each, words) for each in value)
    return words.get(f"{key}.{value}", str(value))


def _member(key: str, member: Any, words: Words) -> str:
    """Return one of several: an offset of a bracket, a region or a point of a curve."""
    if not isinstance(member, Mapping):
        return _value(key, member, words)
    if key == "regions":
        left, right, top, bottom = (_told(member, name, words) for name in ("left", "right", "top", "bottom"))
        weight = f" ({_told(member, 'weight', words)}×)" if "weight" in member else ""
        return f"{left}–{right} × {top}–{bottom}{weight}"
    return f"{_told(member, 'lux', words)} lx {_told(member, 'kelvin', words)} K"


def _told(member: Mapping[str, Any], name: str, words: Words) -> str:
    """Return a figure of a region or a point; what is kept and is none is told as it is, or as unknown."""
    found = member.get(name, "?")
    try:
        return _figure(float(found), words)
    except TypeError, ValueError:
        return str(found)


def _figure(value: float, words: Words, sign: str = "") -> str:
    """Return a figure with the decimal sign of the language; nought has no sign."""
    written = format(value, f"{sign if value else ''}.10g")
    return written.replace("-", _MINUS).replace(".", words.get(f"{_CHANGE}.{_DECIMAL_SIGN}", "."))
