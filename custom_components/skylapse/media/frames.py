"""Stored frames: by camera, by day as films are, then by time of day where there are many."""

from collections.abc import Iterable
from dataclasses import replace

from homeassistant.components.media_player import MediaClass
from homeassistant.components.media_source import BrowseMediaSource
from homeassistant.util import dt as dt_util

from ..links import film_path, frame_path
from ..media_id import FramesId
from ..protocol.identifiers import CameraName, FrameName
from . import tree
from .cards import folder, frame_card, frame_thumbnail
from .desk import Desk, asked

MAX_FRAMES = 300
"""More frames than these lie in hours, hours of more in tens of minutes, and those in minutes."""

_HOUR = len("20")
_MINUTE = len("2015")


def frames_folder(desk: Desk) -> BrowseMediaSource:
    """Return the frames as they lie at the top."""
    thumbnails = (
        frame_thumbnail(desk.newest_frame(name)) for name in sorted(desk.coordinator.system.cameras)
    )
    return _folder(FramesId(), desk.word("frames"), thumbnail=next(filter(None, thumbnails), None))


async def open_frames(desk: Desk, media: FramesId) -> BrowseMediaSource:
    """Return a folder of frames, with what is in it."""
    camera = media.camera
    if camera is None:
        names = sorted(name for name, facts in desk.coordinator.system.cameras.items() if facts.info)
        children = [
            _folder(
                FramesId(camera=CameraName.parse(name)),
                desk.camera_title(name),
                thumbnail=frame_thumbnail(desk.newest_frame(name)),
            )
            for name in names
        ]
        return _folder(media, desk.word("frames"), children)
    if len(media.span) == tree.DAY:
        return _of_day(media, await asked(lambda: desk.client.frames(camera, media.span)))
    days = [day for day in await asked(lambda: desk.client.days(camera)) if day.startswith(media.span)]
    children = [
        _folder(FramesId(camera=camera, span=part), part, thumbnail=_film_thumbnail(desk, camera, part))
        for part in tree.parts(dict.fromkeys(days), len(media.span))
    ]
    return _folder(media, media.span or desk.camera_title(str(camera)), children)


def _of_day(media: FramesId, frames: Iterable[FrameName]) -> BrowseMediaSource:
    found = [frame for frame in frames if _clock(frame).startswith(media.clock)]
    title = _clock_title(media.clock) if media.clock else media.span
    if len(found) <= MAX_FRAMES or len(media.clock) == _MINUTE:
        return _folder(media, title, [frame_card(frame) for frame in found])
    length = len(media.clock) + 1 if media.clock else _HOUR
    first: dict[str, FrameName] = {}
    for frame in found:
        first.setdefault(_clock(frame)[:length], frame)
    children = [
        _folder(replace(media, clock=part), _clock_title(part), thumbnail=frame_path(frame, "thumb.jpg"))
        for part, frame in first.items()
    ]
    return _folder(media, title, children)


def _folder(
    media: FramesId,
    title: str,
    children: list[BrowseMediaSource] | None = None,
    thumbnail: str | None = None,
) -> BrowseMediaSource:
    return folder(media, title, children, holds=MediaClass.IMAGE, thumbnail=thumbnail, can_search=False)


def _film_thumbnail(desk: Desk, camera: CameraName, span: str) -> str | None:
    """Return the address of a still of those days: of their newest film."""
    days = desk.library.films.latest_days(str(camera), span)
    return next((film_path(film, "thumb.jpg") for film in days.values()), None)


def _clock(frame: FrameName) -> str:
    return f"{dt_util.as_local(frame.captured_at):%H%M}"


def _clock_title(clock: str) -> str:
    """Return the time at which a part of a day begins."""
    return f"{clock[:_HOUR]}:{clock[_HOUR:]:0<2}"
