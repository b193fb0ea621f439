"""What people type into the media browser's search field, made into a question to films.

Date words narrow the days: `today`, `yesterday`, `last week`, `this month`, `2026`, `2026-06`, `2026-06-21`.
Every other word has to occur in title, camera, schedule, profile, recipe or day. Pure.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType

from .protocol.messages import Film

Days = tuple[str, str]
"""First and last day, YYYY-MM-DD, both included."""

_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?\Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """Words that must all occur, and days that a film must lie in."""

    words: tuple[str, ...]
    days: tuple[Days, ...]

    def fits(self, film: Film) -> bool:
        """Tell whether a film is meant."""
        if any(not first <= film.day <= last for first, last in self.days):
            return False
        text = " ".join(
            part
            for part in (film.title, film.camera, film.schedule, film.profile, film.recipe, film.day)
            if part
        ).casefold()
        return all(word in text for word in self.words)


def parse_query(text: str, today: date) -> Query:
    """Return the question in a text; `today` is the user's local day."""
    rest = " ".join(text.casefold().split())
    days: list[Days] = []
    for phrase, span in _PHRASES.items():
        if re.search(rf"(?<!\w){phrase}(?!\w)", rest):
            days.append(span(today))
            rest = re.sub(rf"(?<!\w){phrase}(?!\w)", " ", rest)
    words = []
    for word in rest.split():
        if _DATE.match(word):
            days.append((word, f"{word}~"))
        else:
            words.append(word)
    return Query(words=tuple(words), days=tuple(days))


def _span(first: date, last: date) -> Days:
    return first.isoformat(), last.isoformat()


def _week(today: date, back: int) -> Days:
    monday = today - timedelta(days=today.weekday() + 7 * back)
    return _span(monday, monday + timedelta(days=6))


def _month(today: date, back: int) -> Days:
    last = today
    for _ in range(back):
        last = last.replace(day=1) - timedelta(days=1)
    prefix = f"{last:%Y-%m}"
    return prefix, f"{prefix}~"


_PHRASES: Mapping[str, Callable[[date], Days]] = MappingProxyType(
    {
        "today": lambda today: _span(today, today),
        "yesterday": lambda today: _span(today - timedelta(days=1), today - timedelta(days=1)),
        "this week": lambda today: _week(today, 0),
        "last week": lambda today: _week(today, 1),
        "this month": lambda today: _month(today, 0),
        "last month": lambda today: _month(today, 1),
        "this year": lambda today: (f"{today.year}", f"{today.year}~"),
        "last year": lambda today: (f"{today.year - 1}", f"{today.year - 1}~"),
    }
)
