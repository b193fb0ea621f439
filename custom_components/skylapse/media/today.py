"""Everything of today: the films that grow, the films that are made, the results so far."""

import re
from collections.abc import Iterable

from homeassistant.components.media_source import BrowseMediaSource
from homeassistant.util import dt as dt_util

from ..errors import ProcessorError
from ..library import Index
from ..media_id import LiveId
from ..protocol.identifiers import CameraName
from ..protocol.messages import Film, Result
from .cards import film_card, folder, frame_thumbnail, result_card, today_card
from .desk import Desk
from .labels import film_titles

_WHOLE = re.compile(r"PART-TARGET=([\d.]+)")
_LISTED = re.compile(r"#EXTINF:([\d.]+)")
_OVER = "#EXT-X-ENDLIST"


async def has_hardly_begun(desk: Desk, camera: CameraName, film: str) -> bool:
    """Tell whether the film that grows is too short to be played; not where the processor cannot say.

    Players wait at its first frames for as long as the first segment is not whole.
    """
    try:
        playlist = await desk.client.today_playlist(camera, film)
    except ProcessorError:
        return False
    whole, listed = _WHOLE.search(playlist), _LISTED.findall(playlist)
    if whole is None or _OVER in playlist:
        return False
    return not any(float(each) >= float(whole[1]) for each in listed)


def today_folder(desk: Desk) -> BrowseMediaSource:
    """Return today as it lies at the top."""
    thumbnails = (frame_thumbnail(desk.newest_frame(str(camera))) for camera in desk.growing())
    return folder(LiveId(), desk.word("today"), thumbnail=next(filter(None, thumbnails), None))


def open_today(desk: Desk) -> BrowseMediaSource:
    """Return today with what is in it; the films that grow come first."""
    growing = [
        today_card(camera, desk.camera_title(str(camera)), desk.newest_frame(str(camera)))
        for camera in desk.growing()
    ]
    films = list(_of_today(desk, desk.library.films))
    titles = film_titles(films, desk.names(), desk.zone)
    results = [item for index in desk.library.results.values() for item in _of_today(desk, index)]
    children = [
        *growing,
        *(film_card(film, titles[film.id]) for film in films),
        *(result_card(result) for result in results),
    ]
    return folder(LiveId(), desk.word("today"), children)


def _of_today[T: (Film, Result)](desk: Desk, index: Index[T]) -> Iterable[T]:
    """Go through what there is of each camera's day: its newest frame's where one of its films grows."""
    for camera in index.cameras():
        yield from index.of_camera(camera, _day(desk, camera))


def _day(desk: Desk, camera: str) -> str:
    facts = desk.camera(camera)
    if facts is not None and facts.store is not None and facts.store.day and desk.grows(camera):
        return facts.store.day
    return dt_util.now(desk.zone).date().isoformat()
