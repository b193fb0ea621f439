"""The films and results that the processor has, kept in memory so that browsing and searching ask nobody.

Pure. Ten thousand films are some ten megabytes; filed by camera and day, a folder opens in milliseconds.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Final, Protocol

from .protocol.messages import Film, Result
from .search import Query, parse_query

RESULT_SECTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "keogram": "keograms",
        "keogram_year": "year_keograms",
        "startrail": "star_trails",
        "best_frame": "best_frames",
    }
)
"""The section of each kind of result."""


class Filed(Protocol):
    """What can be filed: films and results."""

    @property
    def id(self) -> str:
        """What it is asked for by."""

    @property
    def camera(self) -> str:
        """`<bridge>/<camera>`."""

    @property
    def day(self) -> str:
        """YYYY-MM-DD."""

    @property
    def created_at(self) -> datetime:
        """When it was made."""


class Index[T: Filed]:
    """Things by id, and by camera and day."""

    def __init__(self) -> None:
        """Start empty."""
        self._all: dict[str, T] = {}
        self._filed: dict[str, dict[str, dict[str, T]]] = {}
        """By camera, day and id."""
        self._newest: dict[str, T] = {}

    def __len__(self) -> int:
        """Count the things."""
        return len(self._all)

    def __iter__(self) -> Iterator[T]:
        """Go through all, in no order."""
        return iter(self._all.values())

    def clear(self) -> None:
        """Forget everything."""
        self._all.clear()
        self._filed.clear()
        self._newest.clear()

    def put(self, item: T) -> None:
        """File a thing, in place of what had its id."""
        self.drop(item.id)
        self._all[item.id] = item
        self._filed.setdefault(item.camera, {}).setdefault(item.day, {})[item.id] = item
        newest = self._newest.get(item.camera)
        if newest is None or item.created_at > newest.created_at:
            self._newest[item.camera] = item

    def drop(self, item_id: str) -> None:
        """Forget a thing."""
        item = self._all.pop(item_id, None)
        if item is None:
            return
        days = self._filed[item.camera]
        del days[item.day][item_id]
        if not days[item.day]:
            del days[item.day]
        if not days:
            del self._filed[item.camera]
        if self._newest[item.camera].id == item_id:
            self._find_newest(item.camera)

    def get(self, item_id: str) -> T | None:
        """Return a thing by its id."""
        return self._all.get(item_id)

    def cameras(self) -> list[str]:
        """Return the cameras that have things here, by name."""
        return sorted(self._filed)

    def of_camera(self, camera: str, span: str = "") -> list[T]:
        """Return a camera's things of the days that begin with `span`, latest first."""
        days = self._filed.get(camera, {})
        wanted = [span] if span in days else sorted((d for d in days if d.startswith(span)), reverse=True)
        return [item for day in wanted for item in latest_first(days[day].values())]

    def latest_days(self, camera: str, span: str = "") -> dict[str, T]:
        """Return each day that begins with `span`, latest first, with what was made last of it."""
        days = self._filed.get(camera, {})
        wanted = sorted((day for day in days if day.startswith(span)), reverse=True)
        return {day: max(days[day].values(), key=_made) for day in wanted}

    def newest(self, camera: str) -> T | None:
        """Return the thing of a camera that was made last."""
        return self._newest.get(camera)

    def _find_newest(self, camera: str) -> None:
        items = (item for day in self._filed.get(camera, {}).values() for item in day.values())
        newest = max(items, key=_made, default=None)
        if newest is None:
            del self._newest[camera]
        else:
            self._newest[camera] = newest


class Library:
    """Films and results by section."""

    def __init__(self) -> None:
        """Start empty and not yet complete."""
        self.complete = False
        """Whether the processor's whole list has been read."""
        self.films: Index[Film] = Index()
        self.favourites: Index[Film] = Index()
        """The pinned ones among them."""
        self.results: Mapping[str, Index[Result]] = {section: Index() for section in RESULT_SECTIONS.values()}
        """By section."""

    def __len__(self) -> int:
        """Count the films."""
        return len(self.films)

    def replace(self, films: Iterable[Film], results: Iterable[Result] = ()) -> None:
        """Take the processor's whole lists."""
        self.films.clear()
        self.favourites.clear()
        for index in self.results.values():
            index.clear()
        self.add(films, results)
        self.complete = True

    def add(self, films: Iterable[Film], results: Iterable[Result] = ()) -> None:
        """Take a part of the processor's lists."""
        for film in films:
            self._put(film)
        for result in results:
            self.results[RESULT_SECTIONS[result.kind]].put(result)

    def become(self, other: Library) -> None:
        """Hold what another library holds: the processor's whole lists."""
        self.films, self.favourites, self.results = other.films, other.favourites, other.results
        self.complete = True

    def catch_up(self, messages: Iterable[Film | Result]) -> None:
        """Take in what was heard while the lists were read, which may be missing there."""
        for message in messages:
            if isinstance(message, Film):
                self.apply(message)
            else:
                self.apply_result(message)

    def apply(self, film: Film) -> None:
        """Take in that a film appeared, changed or went."""
        if film.change == "removed":
            self.films.drop(film.id)
            self.favourites.drop(film.id)
        else:
            self._put(film)

    def apply_result(self, result: Result) -> None:
        """Take in that a result appeared, changed or went."""
        index = self.results[RESULT_SECTIONS[result.kind]]
        if result.change == "removed":
            index.drop(result.id)
        else:
            index.put(result)

    def get(self, film_id: str) -> Film | None:
        """Return a film."""
        return self.films.get(film_id)

    def result(self, result_id: str) -> Result | None:
        """Return a result."""
        found = (index.get(result_id) for index in self.results.values())
        return next((result for result in found if result is not None), None)

    def cameras(self) -> list[str]:
        """Return the cameras that have films, by name."""
        return self.films.cameras()

    def of_camera(self, camera: str, span: str = "") -> list[Film]:
        """Return a camera's films of the days that begin with `span`, latest first."""
        return self.films.of_camera(camera, span)

    def newest(self, camera: str) -> Film | None:
        """Return the film of a camera that was made last."""
        return self.films.newest(camera)

    def search(
        self, text: str, today: date, camera: str | None = None, names: Mapping[str, str] | None = None
    ) -> list[Film]:
        """Return the films that fit every word of a query (see `search.py`), latest first.

        `names` says what people call cameras, schedules, profiles and recipes.
        """
        return found(
            self.films if camera is None else self.of_camera(camera), parse_query(text, today), names
        )

    def _put(self, film: Film) -> None:
        self.films.put(film)
        if film.pinned:
            self.favourites.put(film)
        else:
            self.favourites.drop(film.id)


def found[T: (Film, Result)](
    items: Iterable[T], query: Query, names: Mapping[str, str] | None = None
) -> list[T]:
    """Return the things that a query means, latest first."""
    known = names or {}
    return latest_first(item for item in items if query.fits(item, known))


def latest_first[T: Filed](items: Iterable[T]) -> list[T]:
    """Return things in the order in which people look for them."""
    return sorted(items, key=lambda item: (item.day, item.created_at, item.id), reverse=True)


def _made(item: Filed) -> datetime:
    return item.created_at
