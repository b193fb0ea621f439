"""The films that the processor has, kept in memory so that browsing and searching ask nobody.

Pure. Ten thousand films are some ten megabytes; browsing a camera of that size takes milliseconds.
"""

from collections.abc import Iterable
from datetime import date

from .protocol.messages import Film
from .search import parse_query


class Library:
    """Films by id and by camera."""

    def __init__(self) -> None:
        """Start empty and not yet complete."""
        self.complete = False
        """Whether the processor's whole list has been read."""
        self._films: dict[str, Film] = {}
        self._by_camera: dict[str, dict[str, Film]] = {}

    def __len__(self) -> int:
        """Count the films."""
        return len(self._films)

    def replace(self, films: Iterable[Film]) -> None:
        """Take the processor's whole list."""
        self._films.clear()
        self._by_camera.clear()
        for film in films:
            self._put(film)
        self.complete = True

    def apply(self, film: Film) -> None:
        """Take in that a film appeared, changed or went."""
        if film.change == "removed":
            self._drop(film.id)
        else:
            self._put(film)

    def get(self, film_id: str) -> Film | None:
        """Return a film."""
        return self._films.get(film_id)

    def cameras(self) -> list[str]:
        """Return the cameras that have films, by name."""
        return sorted(camera for camera, films in self._by_camera.items() if films)

    def of_camera(self, camera: str, prefix: str = "") -> list[Film]:
        """Return a camera's films of the days that begin with `prefix`, latest first."""
        films = self._by_camera.get(camera, {}).values()
        return _latest_first(film for film in films if film.day.startswith(prefix))

    def newest(self, camera: str) -> Film | None:
        """Return the film of a camera that was made last."""
        return max(self._by_camera.get(camera, {}).values(), key=lambda film: film.created_at, default=None)

    def search(self, text: str, today: date, camera: str | None = None) -> list[Film]:
        """Return the films that fit every word of a query (see `search.py`), latest first."""
        query = parse_query(text, today)
        films = self._films.values() if camera is None else self._by_camera.get(camera, {}).values()
        return _latest_first(film for film in films if query.fits(film))

    def _put(self, film: Film) -> None:
        self._drop(film.id)
        self._films[film.id] = film
        self._by_camera.setdefault(film.camera, {})[film.id] = film

    def _drop(self, film_id: str) -> None:
        film = self._films.pop(film_id, None)
        if film is not None:
            del self._by_camera[film.camera][film_id]


def _latest_first(films: Iterable[Film]) -> list[Film]:
    return sorted(films, key=lambda film: (film.day, film.created_at), reverse=True)
