"""Skylapse in the media browser: everything of today, films, frames, results and A/B tests.

Films and results are browsed and searched in memory; days and frames are asked of the processor.
"""

from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.media_player import BrowseError, SearchMedia, SearchMediaQuery
from homeassistant.components.media_source import (
    BrowseMediaSource,
    MediaSource,
    MediaSourceItem,
    PlayMedia,
    Unresolvable,
)
from homeassistant.core import HomeAssistant

from .const import DOMAIN
from .coordinator import SkylapseCoordinator
from .errors import ProcessorError
from .links import film_path, frame_path, result_path, today_path
from .media import desk as desks
from .media.cards import PLAYLIST, film_card, folder, frame_card, result_card, today_card
from .media.comparisons import open_tests, tests_folder
from .media.desk import Desk
from .media.files import IMAGE, MediaFile, film_file, frame_file, result_file
from .media.frames import frames_folder, open_frames
from .media.labels import film_title
from .media.searching import search_in
from .media.sections import open_section, section_folder
from .media.today import has_hardly_begun, open_today, today_folder
from .media_id import (
    SECTIONS,
    AbTestsId,
    FilmId,
    FrameId,
    FramesId,
    LiveId,
    MediaId,
    ResultId,
    RootId,
    SectionId,
    TodayId,
    parse_media_id,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Still:
    """A picture, as Home Assistant's `MediaImage` is, which 2026.10 does not have yet."""

    content: bytes
    mime_type: str


async def async_get_media_source(hass: HomeAssistant) -> MediaSource:
    """Return the source."""
    return SkylapseMediaSource(hass)


class SkylapseMediaSource(MediaSource):
    """All that every camera has made."""

    name = "Skylapse"

    def __init__(self, hass: HomeAssistant) -> None:
        """Remember where the entry lives."""
        super().__init__(DOMAIN)
        self.hass = hass

    @override
    async def async_resolve_media(self, item: MediaSourceItem) -> PlayMedia:
        """Return the address of a film, a result or a frame, and its path where it can be read as a file."""
        try:
            media = _parse(item.identifier)
            desk = await self._async_desk()
            if isinstance(media, TodayId) and (film := desk.film_of_today(str(media.camera))):
                newest = desk.newest_frame(str(media.camera))
                plays_on = item.target_media_player is not None  # and asks no second time
                if plays_on or newest is None or not await has_hardly_begun(desk, media.camera, film):
                    return PlayMedia(today_path(media.camera, f"{film}.m3u8"), PLAYLIST)
                media = FrameId(frame=newest)
            url, file = _played(desk, media)
        except BrowseError as error:
            raise Unresolvable(
                translation_domain=DOMAIN,
                translation_key=error.translation_key,
                translation_placeholders=error.translation_placeholders,
            ) from error
        return PlayMedia(url, file.media_type, path=await _stored(desk.coordinator, file))

    @override
    async def async_get_media_image(self, item: MediaSourceItem) -> Any:
        """Return one picture, of a film its poster, as AI tasks ask for; None where that cannot be had."""
        try:
            media = _parse(item.identifier)
            desk = await self._async_desk()
            path = _still(desk, media)
            return None if path is None else Still(content=await desk.client.picture(path), mime_type=IMAGE)
        except BrowseError, ProcessorError:
            return None

    @override
    async def async_browse_media(self, item: MediaSourceItem) -> BrowseMediaSource:
        """Return a folder with what is in it."""
        media = _parse(item.identifier)
        desk = await self._async_desk()
        match media:
            case RootId():
                return _root(desk)
            case SectionId():
                return open_section(desk, media)
            case LiveId():
                return open_today(desk)
            case FramesId():
                return await open_frames(desk, media)
            case AbTestsId():
                return open_tests(desk, media)
            case _:
                return _card(desk, media)

    @override
    async def async_search_media(self, item: MediaSourceItem, query: SearchMediaQuery) -> SearchMedia:
        """Return the films and results that fit what was typed, within the folder that is open."""
        media = _parse(item.identifier)
        return SearchMedia(result=search_in(await self._async_desk(), media, query))

    async def _async_desk(self) -> Desk:
        """Return whom to ask, with the library read."""
        entries = self.hass.config_entries.async_loaded_entries(DOMAIN)
        if not entries:
            raise BrowseError(translation_domain=DOMAIN, translation_key="not_loaded")
        coordinator: SkylapseCoordinator = entries[0].runtime_data.coordinator
        if coordinator.client is None:
            raise BrowseError(translation_domain=DOMAIN, translation_key="no_processor")
        if not coordinator.library.complete:
            await desks.asked(coordinator.async_load_library)
        return Desk(hass=self.hass, entry=entries[0], coordinator=coordinator, client=coordinator.client)


def _root(desk: Desk) -> BrowseMediaSource:
    """Return the top: what there is, films and frames at any rate."""
    sections = {section: section_folder(desk, section) for section in SECTIONS}
    films, favourites = sections.pop("films"), sections.pop("favourites")
    children = [
        today_folder(desk),
        films,
        frames_folder(desk),
        favourites,
        *sections.values(),
        tests_folder(desk),
    ]
    return folder(RootId(), "Skylapse", [child for child in children if child is not None])


def _card(desk: Desk, media: MediaId) -> BrowseMediaSource:
    """Return what is played or looked at, as it lies in its folder."""
    match media:
        case FilmId():
            film = desk.library.get(media.film)
            if film is not None:
                return film_card(film, film_title(film))
        case ResultId():
            result = desk.library.result(media.result)
            if result is not None:
                return result_card(result)
        case FrameId():
            return frame_card(media.frame)
        case TodayId() if desk.grows(str(media.camera)):
            return today_card(media.camera, desk.word("today"), desk.newest_frame(str(media.camera)))
    raise desks.not_found(media)


def _played(desk: Desk, media: MediaId) -> tuple[str, MediaFile]:
    """Return the address and the file of a film, a result or a frame; raise BrowseError for all else."""
    match media:
        case FilmId():
            film = desk.library.get(media.film)
            if film is not None:
                return film_path(film, "film.mp4"), film_file(film.id, "film", film)
        case ResultId():
            result = desk.library.result(media.result)
            if result is not None:
                return result_path(result, "picture.jpg"), result_file(result.id, thumb=False, result=result)
        case FrameId():
            return frame_path(media.frame, "picture.jpg"), frame_file(media.frame, desk.zone, thumb=False)
    raise desks.not_found(media)


def _still(desk: Desk, media: MediaId) -> str | None:
    """Return where the processor has one picture of something: itself, a poster, the newest frame."""
    match media:
        case FilmId():
            return film_file(media.film, "poster").path
        case ResultId():
            return result_file(media.result, thumb=False).path
        case FrameId():
            return frame_file(media.frame, desk.zone, thumb=False).path
        case TodayId():
            newest = desk.newest_frame(str(media.camera))
            return frame_file(newest, desk.zone, thumb=False).path if newest else None
    return None


async def _stored(coordinator: SkylapseCoordinator, file: MediaFile) -> Any:
    return await coordinator.shared.async_find(coordinator.system.processor.announce, file)


def _parse(identifier: str) -> MediaId:
    try:
        return parse_media_id(identifier)
    except ValueError as error:
        raise desks.not_found(identifier) from error
