"""Sections of the library: films, favourites, and each kind of results, by camera and span of days."""

from collections.abc import Mapping, Sequence

from homeassistant.components.media_player import MediaClass
from homeassistant.components.media_source import BrowseMediaSource

from ..library import Index
from ..links import film_path, result_path
from ..media_id import SectionId
from ..protocol.identifiers import CameraName
from ..protocol.messages import Film, Result
from . import tree
from .cards import film_card, folder, frame_thumbnail, result_card, today_card
from .desk import Desk
from .labels import film_labels, film_titles

type Cards = list[BrowseMediaSource]
type Items = Sequence[Film | Result]

FILMS = "films"
FAVOURITES = "favourites"
_MONTH = len("2026-06")


def section_folder(desk: Desk, section: str) -> BrowseMediaSource | None:
    """Return a section as it lies at the top; None for one that has nothing, films aside."""
    latest = _newest(index_of(desk, section))
    if latest is None and section != FILMS:
        return None
    return folder(
        SectionId(section=section),
        desk.word(section),
        holds=_holds(section),
        thumbnail=_thumbnail(latest),
    )


def open_section(desk: Desk, media: SectionId) -> BrowseMediaSource:
    """Return a folder of a section, with what is in it."""
    if media.camera is None:
        return _of_all_cameras(desk, media)
    index, camera = index_of(desk, media.section), str(media.camera)
    title = media.span or desk.camera_title(camera)
    if media.page:
        filed: Items = index.of_camera(camera, media.span)
        items = tree.page_of(filed, media.page)
        return _shut(media, title, _cards(desk, items, media.span), _first(items))
    days: Mapping[str, Film | Result] = index.latest_days(camera, media.span)
    newest = next(iter(days.values()), None)
    if _lists_things(media, index):
        return _shut(media, title, _leaves(desk, media, index.of_camera(camera, media.span)), newest)
    if media.section == FILMS:
        parts = tree.parts(days, len(media.span))
    else:
        parts = tree.grouped(days, _MONTH if media.span else len("2026"))
    children = [
        folder(
            SectionId(section=media.section, camera=media.camera, span=part),
            part,
            holds=_holds(media.section),
            thumbnail=_thumbnail(item),
        )
        for part, item in parts.items()
    ]
    if media.section == FILMS and not media.span and desk.grows(camera):
        children.insert(0, today_card(media.camera, desk.word("today"), desk.newest_frame(camera)))
    return _shut(media, title, children, newest)


def index_of(desk: Desk, section: str) -> Index[Film] | Index[Result]:
    """Return where a section is filed."""
    if section == FILMS:
        return desk.library.films
    return desk.library.favourites if section == FAVOURITES else desk.library.results[section]


def _of_all_cameras(desk: Desk, media: SectionId) -> BrowseMediaSource:
    """Return a section's cameras; of favourites and results the things themselves, while they are few."""
    index = index_of(desk, media.section)
    if media.section != FILMS and len(index) <= tree.MAX_CHILDREN:
        items = [item for camera in index.cameras() for item in index.of_camera(camera)]
        items.sort(key=lambda item: (item.day, item.created_at), reverse=True)
        return _shut(media, desk.word(media.section), _cards(desk, items, ""), _first(items))
    growing = [str(camera) for camera in desk.growing()] if media.section == FILMS else []
    children = [
        folder(
            SectionId(section=media.section, camera=CameraName.parse(name)),
            desk.camera_title(name),
            holds=_holds(media.section),
            thumbnail=_thumbnail(index.newest(name)) or frame_thumbnail(desk.newest_frame(name)),
        )
        for name in sorted({*index.cameras(), *growing})
    ]
    return _shut(media, desk.word(media.section), children, _newest(index))


def _lists_things(media: SectionId, index: Index[Film] | Index[Result]) -> bool:
    """Tell whether a folder shows films or pictures themselves, not days, months or years.

    Films lie in their days; there are fewer of the others, so that they lie in their months, or together.
    """
    if len(media.span) == tree.DAY:
        return True
    if media.section == FILMS:
        return False
    return (
        len(media.span) == _MONTH or len(index.of_camera(str(media.camera), media.span)) <= tree.MAX_CHILDREN
    )


def _leaves(desk: Desk, media: SectionId, items: Items) -> Cards:
    """Return things, or the pages that they fill."""
    if len(items) <= tree.PAGE:
        return _cards(desk, items, media.span)
    return [
        folder(
            SectionId(section=media.section, camera=media.camera, span=media.span, page=page),
            title,
            holds=_holds(media.section),
            thumbnail=_thumbnail(tree.page_of(items, page)[0]),
        )
        for page, title in tree.pages(len(items)).items()
    ]


def _cards(desk: Desk, items: Items, span: str) -> Cards:
    """Return things as cards; films of one day are called by their schedules."""
    films = [item for item in items if isinstance(item, Film)]
    label = film_labels if len(span) == tree.DAY else film_titles
    labels = label(films, desk.names(), desk.zone) if films else {}
    return [
        film_card(item, labels[item.id]) if isinstance(item, Film) else result_card(item) for item in items
    ]


def _shut(media: SectionId, title: str, children: Cards, newest: Film | Result | None) -> BrowseMediaSource:
    return folder(media, title, children, holds=_holds(media.section), thumbnail=_thumbnail(newest))


def _newest(index: Index[Film] | Index[Result]) -> Film | Result | None:
    found = [index.newest(camera) for camera in index.cameras()]
    return max((item for item in found if item is not None), key=lambda item: item.created_at, default=None)


def _first(items: Items) -> Film | Result | None:
    return items[0] if items else None


def _holds(section: str) -> MediaClass:
    return MediaClass.VIDEO if section in (FILMS, FAVOURITES) else MediaClass.IMAGE


def _thumbnail(item: Film | Result | None) -> str | None:
    if item is None:
        return None
    return film_path(item, "thumb.jpg") if isinstance(item, Film) else result_path(item, "thumb.jpg")
