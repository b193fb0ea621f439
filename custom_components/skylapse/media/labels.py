"""What tells films apart that lie beside each other. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import tzinfo

from ..protocol.messages import Film, Result

_BETWEEN = " · "


def film_labels(films: Iterable[Film], names: Mapping[str, str], zone: tzinfo) -> dict[str, str]:
    """Return what films of one camera and day are called, by film id: their schedule, else their title.

    Where that is one for several, each takes on its profile, recipe, size, codec, and the time when it was
    made: those alone that differ.
    """
    return _told_apart(
        films, lambda film: _name(names, film.schedule) or film_title(film), _differences(names, zone)
    )


def film_titles(films: Iterable[Film], names: Mapping[str, str], zone: tzinfo) -> dict[str, str]:
    """Return what films of any cameras and days are called, by film id: their title, told apart likewise."""
    return _told_apart(films, film_title, _differences(names, zone))


def film_title(film: Film) -> str:
    """Return a film's title, its schedule before its camera and day: grids cut what stands at the end."""
    camera, found, told = film.title.partition(f"{_BETWEEN}{film.day}{_BETWEEN}")
    return _BETWEEN.join((told, camera, film.day)) if found else film.title


def result_title(result: Result) -> str:
    """Return a result's title by what tells it apart in a folder of its kind and among all of its day.

    That is a picture's time and day, a year, and for the rest what it is with its day.
    """
    match result.title.rsplit(_BETWEEN, 2):
        case [camera, what, when] if result.kind == "best_frame":
            return _BETWEEN.join((what, when, camera))
        case [camera, what, when] if result.kind == "keogram_year":
            return _BETWEEN.join((when, camera, what))
        case [camera, what, when]:
            return _BETWEEN.join((f"{what} {when}", camera))
    return result.title


def _told_apart(
    films: Iterable[Film], base: Callable[[Film], str], differences: Iterable[Callable[[Film], str]]
) -> dict[str, str]:
    found = list(films)
    labels = {film.id: base(film) for film in found}
    for difference in differences:
        alike: dict[str, list[Film]] = defaultdict(list)
        for film in found:
            alike[labels[film.id]].append(film)
        for label, group in alike.items():
            values = {film.id: difference(film) for film in group}
            if len(set(values.values())) > 1:
                labels |= {
                    film: _BETWEEN.join(filter(None, (label, value))) for film, value in values.items()
                }
    return labels


def _differences(names: Mapping[str, str], zone: tzinfo) -> tuple[Callable[[Film], str], ...]:
    """Return what two films may differ in, what people care for most first."""
    return (
        lambda film: _name(names, film.profile),
        lambda film: _name(names, film.recipe),
        lambda film: f"{min(film.width, film.height)}p",
        lambda film: film.codec,
        lambda film: f"{film.created_at.astimezone(zone):%H:%M:%S}",
    )


def _name(names: Mapping[str, str], about: str | None) -> str:
    return names.get(about, about) if about else ""
