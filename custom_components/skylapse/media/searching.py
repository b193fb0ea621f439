"""The search field of the media browser: films and results that fit, within the folder that is open."""

from collections.abc import Iterable

from homeassistant.components.media_player import MediaClass, SearchMediaQuery
from homeassistant.components.media_source import BrowseMediaSource
from homeassistant.util import dt as dt_util

from ..library import Index, found, latest_first
from ..media_id import MediaId, SectionId
from ..protocol.messages import Film, Result
from ..search import parse_query
from .cards import film_card, result_card
from .desk import Desk
from .labels import film_titles
from .sections import index_of

MAX_FOUND = 200


def search_in(desk: Desk, media: MediaId, query: SearchMediaQuery) -> list[BrowseMediaSource]:
    """Return what is found, latest first."""
    asked = parse_query(query.search_query, dt_util.now(desk.zone).date())
    names = desk.names()
    films: list[Film] = []
    results: list[Result] = []
    for index in _indexes(desk, media):
        for item in _within(index, media):
            if isinstance(item, Film):
                films.append(item)
            else:
                results.append(item)
    shown: list[Film | Result] = [
        *(found(films, asked, names) if _wants(query, MediaClass.VIDEO) else []),
        *(found(results, asked, names) if _wants(query, MediaClass.IMAGE) else []),
    ]
    best = latest_first(shown)[:MAX_FOUND]
    titles = film_titles([item for item in best if isinstance(item, Film)], names, desk.zone)
    return [
        film_card(item, titles[item.id]) if isinstance(item, Film) else result_card(item) for item in best
    ]


def _indexes(desk: Desk, media: MediaId) -> list[Index[Film] | Index[Result]]:
    """Return what is searched: one section, else everything."""
    if isinstance(media, SectionId):
        return [index_of(desk, media.section)]
    return [desk.library.films, *desk.library.results.values()]


def _within(index: Index[Film] | Index[Result], media: MediaId) -> Iterable[Film | Result]:
    if not isinstance(media, SectionId) or media.camera is None:
        return index
    return index.of_camera(str(media.camera), media.span)


def _wants(query: SearchMediaQuery, kind: MediaClass) -> bool:
    return not query.media_filter_classes or kind in query.media_filter_classes
