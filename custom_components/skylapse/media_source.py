"""Skylapse in the media browser: films by camera and day, searched in memory, played through views."""

from collections.abc import Iterable
from typing import override

from homeassistant.components.media_player import (
    BrowseError,
    MediaClass,
    MediaType,
    SearchMedia,
    SearchMediaQuery,
)
from homeassistant.components.media_source import (
    BrowseMediaSource,
    MediaSource,
    MediaSourceItem,
    PlayMedia,
    Unresolvable,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_cached_translations
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import SkylapseCoordinator
from .errors import ProcessorError
from .links import film_path
from .media_id import FilmId, FilmsId, MediaId, RootId, parse_media_id
from .protocol.identifiers import CameraName
from .protocol.messages import Film

MAX_CHILDREN = 50
"""Days above this number are laid into years, then months."""

MAX_FOUND = 200
_VIDEO = "video/mp4"


async def async_get_media_source(hass: HomeAssistant) -> MediaSource:
    """Return the source."""
    return SkylapseMediaSource(hass)


class SkylapseMediaSource(MediaSource):
    """Films of every camera."""

    name = "Skylapse"

    def __init__(self, hass: HomeAssistant) -> None:
        """Remember where the entry lives."""
        super().__init__(DOMAIN)
        self.hass = hass

    @override
    async def async_resolve_media(self, item: MediaSourceItem) -> PlayMedia:
        """Return the address of a film."""
        try:
            media = parse_media_id(item.identifier)
            coordinator = await self._async_coordinator()
        except ValueError as error:
            raise _unresolvable(item.identifier) from error
        except BrowseError as error:
            raise Unresolvable(
                translation_domain=DOMAIN,
                translation_key=error.translation_key,
                translation_placeholders=error.translation_placeholders,
            ) from error
        film = coordinator.library.get(media.film) if isinstance(media, FilmId) else None
        if film is None:
            raise _unresolvable(item.identifier)
        return PlayMedia(film_path(film, "film.mp4"), _VIDEO)

    @override
    async def async_browse_media(self, item: MediaSourceItem) -> BrowseMediaSource:
        """Return a folder with what is in it."""
        media = _parse(item.identifier)
        coordinator = await self._async_coordinator()
        if isinstance(media, RootId):
            return self._folder(RootId(), "Skylapse", [self._films(coordinator, with_children=False)])
        if isinstance(media, FilmId):
            film = coordinator.library.get(media.film)
            if film is None:
                raise _not_found(item.identifier)
            return _film(film)
        if media.camera is None:
            return self._films(coordinator, with_children=True)
        return self._camera(coordinator, media.camera, media.span)

    @override
    async def async_search_media(self, item: MediaSourceItem, query: SearchMediaQuery) -> SearchMedia:
        """Return the films that fit what was typed, within the folder that is open."""
        media = _parse(item.identifier)
        coordinator = await self._async_coordinator()
        if query.media_filter_classes and MediaClass.VIDEO not in query.media_filter_classes:
            return SearchMedia(result=[])
        camera = str(media.camera) if isinstance(media, FilmsId) and media.camera else None
        span = media.span if isinstance(media, FilmsId) else ""
        found = coordinator.library.search(query.search_query, dt_util.now().date(), camera)
        films = [film for film in found if film.day.startswith(span)]
        return SearchMedia(result=[_film(film) for film in films[:MAX_FOUND]])

    async def _async_coordinator(self) -> SkylapseCoordinator:
        """Return the coordinator with its library read."""
        entries = self.hass.config_entries.async_loaded_entries(DOMAIN)
        if not entries:
            raise BrowseError(translation_domain=DOMAIN, translation_key="not_loaded")
        coordinator: SkylapseCoordinator = entries[0].runtime_data.coordinator
        if coordinator.client is None:
            raise BrowseError(translation_domain=DOMAIN, translation_key="no_processor")
        if not coordinator.library.complete:
            try:
                await coordinator.async_load_library()
            except ProcessorError as error:
                raise BrowseError(
                    translation_domain=DOMAIN,
                    translation_key="processor_failed",
                    translation_placeholders={"reason": str(error)},
                ) from error
        return coordinator

    def _films(self, coordinator: SkylapseCoordinator, *, with_children: bool) -> BrowseMediaSource:
        cameras = coordinator.library.cameras() if with_children else []
        children = [
            self._folder(
                FilmsId(camera=CameraName.parse(name)),
                camera_title(coordinator, name),
                None,
                coordinator.library.newest(name),
            )
            for name in cameras
        ]
        return self._folder(FilmsId(), self._word("films", "Films"), children)

    def _camera(self, coordinator: SkylapseCoordinator, camera: CameraName, span: str) -> BrowseMediaSource:
        """Return a camera's films: by day, and by year and month above that where there are many days."""
        films = coordinator.library.of_camera(str(camera), span)
        here = FilmsId(camera=camera, span=span)
        title = span or camera_title(coordinator, str(camera))
        if len(span) == len("2026-06-21"):
            return self._folder(here, title, [_film(film) for film in films], _first(films))
        children = [
            self._folder(FilmsId(camera=camera, span=part), part, None, film)
            for part, film in _parts(films, len(span)).items()
        ]
        return self._folder(here, title, children, _first(films))

    def _folder(
        self,
        media: MediaId,
        title: str,
        children: list[BrowseMediaSource] | None,
        film: Film | None = None,
    ) -> BrowseMediaSource:
        """Return a folder; `film` lends it its thumbnail."""
        return BrowseMediaSource(
            domain=DOMAIN,
            identifier=str(media),
            media_class=MediaClass.DIRECTORY,
            media_content_type=MediaType.VIDEO,
            title=title,
            can_play=False,
            can_expand=True,
            can_search=True,
            search_media_classes=[MediaClass.VIDEO],
            thumbnail=film_path(film, "thumb.jpg") if film else None,
            children=children,
            children_media_class=_class_of(children),
        )

    def _word(self, key: str, fallback: str) -> str:
        words = async_get_cached_translations(self.hass, self.hass.config.language, "common", DOMAIN)
        return words.get(f"component.{DOMAIN}.common.{key}", fallback)


def camera_title(coordinator: SkylapseCoordinator, name: str) -> str:
    """Return what people call a camera; its id where its bridge is gone."""
    facts = coordinator.camera(name)
    return facts.info.name if facts is not None and facts.info is not None else name


def _parts(films: list[Film], depth: int) -> dict[str, Film]:
    """Return days, or months or years where there are too many days, each with its latest film."""
    days = {film.day for film in films}
    length = len("2026-06-21")
    if len(days) > MAX_CHILDREN:
        length = len("2026") if depth == 0 else len("2026-06")
    parts: dict[str, Film] = {}
    for film in films:
        parts.setdefault(film.day[:length], film)
    return parts


def _film(film: Film) -> BrowseMediaSource:
    return BrowseMediaSource(
        domain=DOMAIN,
        identifier=str(FilmId(film=film.id)),
        media_class=MediaClass.VIDEO,
        media_content_type=_VIDEO,
        title=film.title,
        can_play=True,
        can_expand=False,
        thumbnail=film_path(film, "thumb.jpg"),
    )


def _first(films: Iterable[Film]) -> Film | None:
    return next(iter(films), None)


def _class_of(children: list[BrowseMediaSource] | None) -> str:
    if children and children[0].can_play:
        return MediaClass.VIDEO
    return MediaClass.DIRECTORY


def _parse(identifier: str) -> MediaId:
    try:
        return parse_media_id(identifier)
    except ValueError as error:
        raise _not_found(identifier) from error


def _not_found(identifier: str) -> BrowseError:
    return BrowseError(
        translation_domain=DOMAIN,
        translation_key="media_not_found",
        translation_placeholders={"media": identifier[:200]},
    )


def _unresolvable(identifier: str) -> Unresolvable:
    return Unresolvable(
        translation_domain=DOMAIN,
        translation_key="media_not_found",
        translation_placeholders={"media": identifier[:200]},
    )
