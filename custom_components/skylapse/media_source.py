"""Skylapse in the media browser: films and frames by camera and day, played through views.

Films are browsed and searched in memory; days and frames are asked of the processor.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
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

from .configuration import film_labels
from .const import DOMAIN
from .coordinator import SkylapseCoordinator
from .errors import ProcessorError
from .links import film_path, frame_path, today_path
from .media_id import FilmId, FilmsId, FrameId, FramesId, MediaId, RootId, TodayId, parse_media_id
from .processor import ProcessorClient
from .protocol.identifiers import CameraName, FrameName
from .protocol.messages import Film

MAX_CHILDREN = 50
"""Days above this number are laid into years, then months."""

MAX_FRAMES = 300
"""More frames than these lie in hours, hours of more in tens of minutes, and those in minutes."""

MAX_FOUND = 200
_VIDEO = "video/mp4"
_IMAGE = "image/jpeg"
_PLAYLIST = "application/x-mpegURL"
"""The one name of HLS that the frontend's dialog plays."""
_DAY = len("2026-06-21")
_HOUR = len("20")
_MINUTE = len("2015")


async def async_get_media_source(hass: HomeAssistant) -> MediaSource:
    """Return the source."""
    return SkylapseMediaSource(hass)


class SkylapseMediaSource(MediaSource):
    """Films and frames of every camera."""

    name = "Skylapse"

    def __init__(self, hass: HomeAssistant) -> None:
        """Remember where the entry lives."""
        super().__init__(DOMAIN)
        self.hass = hass

    @override
    async def async_resolve_media(self, item: MediaSourceItem) -> PlayMedia:
        """Return the address of a film or a frame."""
        try:
            media = _parse(item.identifier)
            coordinator, _ = await self._async_system()
        except BrowseError as error:
            raise Unresolvable(
                translation_domain=DOMAIN,
                translation_key=error.translation_key,
                translation_placeholders=error.translation_placeholders,
            ) from error
        if isinstance(media, FrameId):
            return PlayMedia(frame_path(media.frame, "picture.jpg"), _IMAGE)
        if isinstance(media, TodayId) and _grows(coordinator, media.camera):
            return PlayMedia(today_path(media.camera, "playlist.m3u8"), _PLAYLIST)
        film = coordinator.library.get(media.film) if isinstance(media, FilmId) else None
        if film is None:
            raise Unresolvable(
                translation_domain=DOMAIN,
                translation_key="media_not_found",
                translation_placeholders={"media": item.identifier[:200]},
            )
        return PlayMedia(film_path(film, "film.mp4"), _VIDEO)

    @override
    async def async_browse_media(self, item: MediaSourceItem) -> BrowseMediaSource:
        """Return a folder with what is in it."""
        media = _parse(item.identifier)
        coordinator, client = await self._async_system()
        match media:
            case RootId():
                children = [self._folder(FilmsId(), self._word("films")), self._frames_folder()]
                return self._folder(media, "Skylapse", children)
            case FilmId():
                film = coordinator.library.get(media.film)
                if film is None:
                    raise _not_found(item.identifier)
                return _film(film, film.title)
            case FrameId():
                return _frame(media.frame)
            case TodayId():
                if not _grows(coordinator, media.camera):
                    raise _not_found(item.identifier)
                return self._today(coordinator, media.camera)
            case FramesId():
                return await self._frames(coordinator, client, media)
            case FilmsId():
                return self._films(coordinator, media)

    @override
    async def async_search_media(self, item: MediaSourceItem, query: SearchMediaQuery) -> SearchMedia:
        """Return the films that fit what was typed, within the folder that is open."""
        media = _parse(item.identifier)
        coordinator, _ = await self._async_system()
        if query.media_filter_classes and MediaClass.VIDEO not in query.media_filter_classes:
            return SearchMedia(result=[])
        camera = str(media.camera) if isinstance(media, FilmsId) and media.camera else None
        span = media.span if isinstance(media, FilmsId) else ""
        found = coordinator.library.search(query.search_query, dt_util.now().date(), camera)
        films = [film for film in found if film.day.startswith(span)]
        return SearchMedia(result=[_film(film, film.title) for film in films[:MAX_FOUND]])

    async def _async_system(self) -> tuple[SkylapseCoordinator, ProcessorClient]:
        """Return the coordinator with its library read, and the processor's client."""
        entries = self.hass.config_entries.async_loaded_entries(DOMAIN)
        if not entries:
            raise BrowseError(translation_domain=DOMAIN, translation_key="not_loaded")
        coordinator: SkylapseCoordinator = entries[0].runtime_data.coordinator
        if coordinator.client is None:
            raise BrowseError(translation_domain=DOMAIN, translation_key="no_processor")
        if not coordinator.library.complete:
            await _asked(coordinator.async_load_library)
        return coordinator, coordinator.client

    def _films(self, coordinator: SkylapseCoordinator, media: FilmsId) -> BrowseMediaSource:
        """Return films: by camera, then by day, by year and month above that where there are many days."""
        if media.camera is None:
            children = [
                self._folder(
                    FilmsId(camera=CameraName.parse(name)),
                    camera_title(coordinator, name),
                    film=coordinator.library.newest(name),
                )
                for name in _cameras_with_films(coordinator)
            ]
            return self._folder(media, self._word("films"), children)
        films = coordinator.library.of_camera(str(media.camera), media.span)
        title = media.span or camera_title(coordinator, str(media.camera))
        if len(media.span) == _DAY:
            labels = film_labels(coordinator.entry, films)
            children = [_film(film, labels[film.id]) for film in films]
        else:
            children = [
                self._folder(FilmsId(camera=media.camera, span=part), part, film=film)
                for part, film in _parts(_by_day(films), len(media.span)).items()
            ]
            if not media.span and _grows(coordinator, media.camera):
                children.insert(0, self._today(coordinator, media.camera))
        return self._folder(media, title, children, next(iter(films), None))

    def _today(self, coordinator: SkylapseCoordinator, camera: CameraName) -> BrowseMediaSource:
        """Return the film that grows, with the newest frame for its thumbnail."""
        facts = coordinator.camera(str(camera))
        newest = facts.store.last_frame if facts is not None and facts.store is not None else None
        return BrowseMediaSource(
            domain=DOMAIN,
            identifier=str(TodayId(camera=camera)),
            media_class=MediaClass.VIDEO,
            media_content_type=_PLAYLIST,
            title=self._word("today"),
            can_play=True,
            can_expand=False,
            thumbnail=frame_path(FrameName.parse(newest), "thumb.jpg") if newest else None,
        )

    async def _frames(
        self, coordinator: SkylapseCoordinator, client: ProcessorClient, media: FramesId
    ) -> BrowseMediaSource:
        """Return frames: by camera, then by day as films are, then by time of day where there are many."""
        camera = media.camera
        if camera is None:
            names = sorted(name for name, facts in coordinator.system.cameras.items() if facts.info)
            children = [
                self._frames_folder(FramesId(camera=CameraName.parse(name)), camera_title(coordinator, name))
                for name in names
            ]
            return self._frames_folder(media, self._word("frames"), children)
        if len(media.span) == _DAY:
            return self._frames_of_day(media, await _asked(lambda: client.frames(camera, media.span)))
        days = [day for day in await _asked(lambda: client.days(camera)) if day.startswith(media.span)]
        children = [
            self._frames_folder(FramesId(camera=camera, span=part), part)
            for part in _parts(dict.fromkeys(days), len(media.span))
        ]
        title = media.span or camera_title(coordinator, str(camera))
        return self._frames_folder(media, title, children)

    def _frames_of_day(self, media: FramesId, frames: Iterable[FrameName]) -> BrowseMediaSource:
        found = [frame for frame in frames if _clock(frame).startswith(media.clock)]
        title = _clock_title(media.clock) if media.clock else media.span
        if len(found) <= MAX_FRAMES or len(media.clock) == _MINUTE:
            return self._frames_folder(media, title, [_frame(frame) for frame in found])
        length = len(media.clock) + 1 if media.clock else _HOUR
        children = [
            self._frames_folder(replace(media, clock=part), _clock_title(part))
            for part in dict.fromkeys(_clock(frame)[:length] for frame in found)
        ]
        return self._frames_folder(media, title, children)

    def _folder(
        self,
        media: MediaId,
        title: str,
        children: list[BrowseMediaSource] | None = None,
        film: Film | None = None,
    ) -> BrowseMediaSource:
        """Return a folder of films; `film` lends it its thumbnail."""
        is_last = bool(children) and children is not None and children[-1].can_play
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
            children_media_class=MediaClass.VIDEO if is_last else MediaClass.DIRECTORY,
        )

    def _frames_folder(
        self,
        media: FramesId | None = None,
        title: str | None = None,
        children: list[BrowseMediaSource] | None = None,
    ) -> BrowseMediaSource:
        """Return a folder of frames."""
        return BrowseMediaSource(
            domain=DOMAIN,
            identifier=str(media or FramesId()),
            media_class=MediaClass.DIRECTORY,
            media_content_type=MediaType.IMAGE,
            title=title or self._word("frames"),
            can_play=False,
            can_expand=True,
            children=children,
            children_media_class=MediaClass.IMAGE,
        )

    def _word(self, key: str) -> str:
        words = async_get_cached_translations(self.hass, self.hass.config.language, "common", DOMAIN)
        return words.get(f"component.{DOMAIN}.common.{key}", key.capitalize())


def _grows(coordinator: SkylapseCoordinator, camera: CameraName) -> bool:
    """Say whether a camera has a film that grows."""
    facts = coordinator.camera(str(camera))
    return facts is not None and facts.store is not None and facts.store.film_of_today is not None


def _cameras_with_films(coordinator: SkylapseCoordinator) -> list[str]:
    """Return the cameras that have films in the library, or one that grows."""
    growing = [name for name in coordinator.system.cameras if _grows(coordinator, CameraName.parse(name))]
    return sorted({*coordinator.library.cameras(), *growing})


def camera_title(coordinator: SkylapseCoordinator, name: str) -> str:
    """Return what people call a camera; its id where its bridge is gone."""
    facts = coordinator.camera(name)
    return facts.info.name if facts is not None and facts.info is not None else name


async def _asked[T](ask: Callable[[], Awaitable[T]]) -> T:
    """Return the processor's answer; what it could not answer is a BrowseError."""
    try:
        return await ask()
    except ProcessorError as error:
        raise BrowseError(
            translation_domain=DOMAIN,
            translation_key="processor_failed",
            translation_placeholders={"reason": str(error)},
        ) from error


def _by_day(films: Iterable[Film]) -> dict[str, Film]:
    """Return the latest film of every day; the films come latest first."""
    latest: dict[str, Film] = {}
    for film in films:
        latest.setdefault(film.day, film)
    return latest


def _parts[T](days: Mapping[str, T], depth: int) -> Mapping[str, T]:
    """Return days, or months or years where there are too many days, each with what its latest day has."""
    if len(days) <= MAX_CHILDREN:
        return days
    length = len("2026") if depth == 0 else len("2026-06")
    parts: dict[str, T] = {}
    for day, each in days.items():
        parts.setdefault(day[:length], each)
    return parts


def _clock(frame: FrameName) -> str:
    return f"{dt_util.as_local(frame.captured_at):%H%M}"


def _clock_title(clock: str) -> str:
    """Return the time at which a part of a day begins."""
    return f"{clock[:_HOUR]}:{clock[_HOUR:]:0<2}"


def _film(film: Film, title: str) -> BrowseMediaSource:
    return BrowseMediaSource(
        domain=DOMAIN,
        identifier=str(FilmId(film=film.id)),
        media_class=MediaClass.VIDEO,
        media_content_type=_VIDEO,
        title=title,
        can_play=True,
        can_expand=False,
        thumbnail=film_path(film, "thumb.jpg"),
    )


def _frame(frame: FrameName) -> BrowseMediaSource:
    return BrowseMediaSource(
        domain=DOMAIN,
        identifier=str(FrameId(frame=frame)),
        media_class=MediaClass.IMAGE,
        media_content_type=_IMAGE,
        title=f"{dt_util.as_local(frame.captured_at):%H:%M:%S}",
        can_play=True,
        can_expand=False,
        thumbnail=frame_path(frame, "thumb.jpg"),
    )


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
