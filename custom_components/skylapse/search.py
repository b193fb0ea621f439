"""What people type into the media browser's search field, made into a question to films and results.

Date words narrow the days, in English and in German: `today`, `gestern`, `last week`, `letzter Monat`,
`last 10 days`, `June`, `Juni 2026`, `21. Juni`, `21.06.2026`, `2026`, `2026-06`, `2026-06-21`. Every other
word has to occur in what a thing is called: its title, camera, schedule, profile, recipe or kind, by id or by
name. Pure.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain
from types import MappingProxyType
from typing import Final

from .protocol.messages import Film, Result

type Days = Callable[[str], bool]
"""Tells whether a day, YYYY-MM-DD, is meant."""

KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "keogram": "keogram keogramm",
        "keogram_year": "keogram keogramm year jahr",
        "startrail": "star trail trails startrail sternspur sternspuren",
        "best_frame": "best frame bestes bild",
    }
)
"""What people call the kinds of results, in any language."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """Words that must all occur, and days that a thing must lie in."""

    words: tuple[str, ...]
    days: tuple[Days, ...]

    def fits(self, item: Film | Result, names: Mapping[str, str]) -> bool:
        """Tell whether a thing is meant; `names` says what ids are called."""
        if not all(is_meant(item.day) for is_meant in self.days):
            return False
        if not self.words:
            return True
        text = _text(item, names)
        return all(word in text for word in self.words)


def parse_query(text: str, today: date) -> Query:
    """Return the question in a text; `today` is the user's local day."""
    rest = " ".join(text.casefold().split())
    days: list[Days] = []
    for pattern, meaning in _PHRASES:
        while (match := pattern.search(rest)) is not None:
            found = meaning(match, today)
            if found is None:
                break
            days.append(found)
            rest = f"{rest[: match.start()]} {rest[match.end() :]}"
    return Query(words=tuple(rest.split()), days=tuple(days))


def _text(item: Film | Result, names: Mapping[str, str]) -> str:
    """Return everything that a thing is called."""
    if isinstance(item, Film):
        ids = [item.camera, item.schedule, item.profile, item.recipe]
    else:
        ids = [item.camera, item.kind]
    known = [each for each in ids if each]
    called = [names.get(each, "") for each in known]
    kind = "" if isinstance(item, Film) else KINDS[item.kind]
    return " ".join([item.title, item.day, kind, *known, *called]).casefold()


def _between(first: date, last: date) -> Days:
    low, high = first.isoformat(), last.isoformat()
    return lambda day: low <= day <= high


def _begins(prefix: str) -> Days:
    return lambda day: day.startswith(prefix)


def _day(back: int) -> Callable[[date], Days]:
    return lambda today: _between(today - timedelta(days=back), today - timedelta(days=back))


def _week(back: int) -> Callable[[date], Days]:
    def of(today: date) -> Days:
        monday = today - timedelta(days=today.weekday() + 7 * back)
        return _between(monday, monday + timedelta(days=6))

    return of


def _month(back: int) -> Callable[[date], Days]:
    def of(today: date) -> Days:
        months = today.year * 12 + today.month - 1 - back
        return _begins(f"{months // 12:04d}-{months % 12 + 1:02d}")

    return of


def _year(back: int) -> Callable[[date], Days]:
    return lambda today: _begins(f"{today.year - back:04d}")


_RELATIVE: Final[Mapping[str, Callable[[date], Days]]] = MappingProxyType(
    {
        "today|heute": _day(0),
        "vorgestern|(?:the )?day before yesterday": _day(2),
        "yesterday|gestern": _day(1),
        "this week|diese woche|dieser woche": _week(0),
        "last week|(?:letzte|vorige|vergangene)n? woche|(?:letzter|voriger|vergangener) woche": _week(1),
        "this month|diese[nrms]? monats?": _month(0),
        "last month|(?:letzte|vorige|vergangene)[nrms]? monats?": _month(1),
        "this year|diese[sm]? jahr(?:es)?": _year(0),
        "last year|(?:letzte|vorige|vergangene)[smn]? jahr(?:es)?": _year(1),
    }
)

_MONTHS: Final = (
    ("january", "jan", "januar", "jänner"),
    ("february", "feb", "februar", "feber"),
    ("march", "mar", "märz"),
    ("april", "apr"),
    ("may", "mai"),
    ("june", "jun", "juni"),
    ("july", "jul", "juli"),
    ("august", "aug"),
    ("september", "sep", "sept"),
    ("october", "oct", "oktober", "okt"),
    ("november", "nov"),
    ("december", "dec", "dezember", "dez"),
)
_NUMBER_OF_MONTH: Final = {name: number + 1 for number, names in enumerate(_MONTHS) for name in names}


def _relative(meaning: Callable[[date], Days]) -> Callable[[re.Match[str], date], Days]:
    return lambda _match, today: meaning(today)


def _last_days(match: re.Match[str], today: date) -> Days:
    return _between(today - timedelta(days=int(match["days"]) - 1), today)


def _written(match: re.Match[str], _today: date) -> Days | None:
    """Read `21 June 2026`, any part but the month left out, or `June 21, 2026`; None where that is no day."""
    day = match["day"] or match["after"]
    year, month = match["year"] or "2000", _NUMBER_OF_MONTH[match["month"]]
    if day is None:
        return _like(match["year"], f"-{month:02d}")
    return _like(match["year"], f"-{month:02d}-{int(day):02d}") if _is_day(year, month, day) else None


def _numeric(match: re.Match[str], _today: date) -> Days | None:
    """Read `21.06.2026` and `06.2026`; None where that is no day."""
    month = int(match["month"])
    if not _is_day(match["year"], month, match["day"] or "1"):
        return None
    return _begins(f"{match['year']}-{month:02d}" + (f"-{int(match['day']):02d}" if match["day"] else ""))


def _like(year: str | None, tail: str) -> Days:
    """Return what means a month or a day of one year, or of every year."""
    if year is not None:
        return _begins(year + tail)
    return lambda day: day[4:].startswith(tail)


def _is_day(year: str, month: int, day: str) -> bool:
    try:
        date(int(year), month, int(day))
    except ValueError:
        return False
    return True


def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.-])(?:{pattern})(?![\w-])")


_NAMES: Final = "|".join(sorted(chain.from_iterable(_MONTHS), key=len, reverse=True))
_PHRASES: Final = (
    *((_whole(words), _relative(meaning)) for words, meaning in _RELATIVE.items()),
    (_whole(r"(?:last|past|letzten?|vergangenen?) (?P<days>[1-9]\d{0,3}) (?:days|tage[n]?)"), _last_days),
    (
        _whole(
            rf"(?:(?P<day>\d\d?)\.? )?(?P<month>{_NAMES})\.?"
            r"(?: (?P<after>\d\d?)(?:st|nd|rd|th)?,?(?!\d))?(?: (?P<year>\d{4}))?"
        ),
        _written,
    ),
    (_whole(r"(?:(?P<day>\d\d?)\.)?(?P<month>\d\d?)\.(?P<year>\d{4})"), _numeric),
    (_whole(r"\d{4}(?:-\d\d(?:-\d\d)?)?"), lambda match, _today: _begins(match[0])),
)
"""What is looked for, and what it means; None where it only looks like that."""
