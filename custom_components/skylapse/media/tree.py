"""How long lists are laid out: in years and months where there are many days, in pages below. Pure."""

from collections.abc import Mapping, Sequence

MAX_CHILDREN = 50
"""More days, or more pictures, than these are laid into years, then months."""

PAGE = 100
"""A folder of more films or pictures than these has pages."""

DAY = len("2026-06-21")
_MONTH = len("2026-06")
_YEAR = len("2026")


def parts[T](days: Mapping[str, T], depth: int) -> Mapping[str, T]:
    """Return days, or months or years where there are too many days, each with what its latest day has.

    `depth` is the length of what all days begin with; the days come latest first.
    """
    if len(days) <= MAX_CHILDREN:
        return days
    return grouped(days, _YEAR if depth < _YEAR else _MONTH)


def grouped[T](days: Mapping[str, T], length: int) -> Mapping[str, T]:
    """Return what days begin with, each with what the first of them has."""
    found: dict[str, T] = {}
    for day, each in days.items():
        found.setdefault(day[:length], each)
    return found


def page_of[T](items: Sequence[T], page: int) -> Sequence[T]:
    """Return the things on a page, counted from 1."""
    return items[(page - 1) * PAGE : page * PAGE]


def pages(count: int) -> dict[int, str]:
    """Return the pages of a list of so many things, each with the places of its first and last."""
    starts = range(0, count, PAGE)
    return {start // PAGE + 1: f"{start + 1} – {min(start + PAGE, count)}" for start in starts}
