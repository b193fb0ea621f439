"""Cards of the media browser: folders, films, results and frames, each with its thumbnail."""

from collections.abc import Sequence

from homeassistant.components.media_player import MediaClass, MediaType
from homeassistant.components.media_source import BrowseMediaSource
from homeassistant.util import dt as dt_util

from ..const import DOMAIN
from ..links import film_path, frame_path, result_path
from ..media_id import FilmId, FrameId, MediaId, ResultId, TodayId
from ..protocol.identifiers import CameraName, FrameName
from ..protocol.messages import Film, Result
from .files import IMAGE, VIDEO
from .labels import result_title

PLAYLIST = "application/x-mpegURL"
"""The one name of HLS that the frontend's dialog plays."""


def folder(
    media: MediaId,
    title: str,
    children: Sequence[BrowseMediaSource] | None = None,
    *,
    holds: MediaClass = MediaClass.VIDEO,
    thumbnail: str | None = None,
    can_search: bool = True,
) -> BrowseMediaSource:
    """Return a folder of videos or pictures, with what lies in it where it is open."""
    is_last = bool(children) and children is not None and children[-1].can_play
    return BrowseMediaSource(
        domain=DOMAIN,
        identifier=str(media),
        media_class=MediaClass.DIRECTORY,
        media_content_type=MediaType.VIDEO if holds == MediaClass.VIDEO else MediaType.IMAGE,
        title=title,
        can_play=False,
        can_expand=True,
        can_search=can_search,
        search_media_classes=[MediaClass.VIDEO, MediaClass.IMAGE] if can_search else None,
        thumbnail=thumbnail,
        children=children,
        children_media_class=holds if is_last else MediaClass.DIRECTORY,
    )


def film_card(film: Film, title: str) -> BrowseMediaSource:
    """Return a film."""
    return _card(FilmId(film=film.id), title, MediaClass.VIDEO, VIDEO, film_path(film, "thumb.jpg"))


def result_card(result: Result) -> BrowseMediaSource:
    """Return a keogram, star trails or a best frame."""
    media = ResultId(result=result.id)
    return _card(media, result_title(result), MediaClass.IMAGE, IMAGE, result_path(result, "thumb.jpg"))


def frame_card(frame: FrameName, title: str | None = None) -> BrowseMediaSource:
    """Return a frame, called by the time when it was taken."""
    called = title or f"{dt_util.as_local(frame.captured_at):%H:%M:%S}"
    return _card(FrameId(frame=frame), called, MediaClass.IMAGE, IMAGE, frame_thumbnail(frame))


def today_card(camera: CameraName, title: str, newest: FrameName | None) -> BrowseMediaSource:
    """Return the film that grows, with the newest frame for its thumbnail."""
    return _card(TodayId(camera=camera), title, MediaClass.VIDEO, PLAYLIST, frame_thumbnail(newest))


def frame_thumbnail(frame: FrameName | None) -> str | None:
    """Return the address of a frame's thumbnail."""
    return frame_path(frame, "thumb.jpg") if frame is not None else None


def _card(
    media: MediaId, title: str, media_class: MediaClass, kind: str, thumbnail: str | None
) -> BrowseMediaSource:
    return BrowseMediaSource(
        domain=DOMAIN,
        identifier=str(media),
        media_class=media_class,
        media_content_type=kind,
        title=title,
        can_play=True,
        can_expand=False,
        thumbnail=thumbnail,
    )
