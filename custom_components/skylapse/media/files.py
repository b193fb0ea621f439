"""Each picture and video: where the processor's API has it, and where it lies in the processor's store.

Pure: addresses are built from checked identifiers only, so that none leads anywhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from types import MappingProxyType
from typing import Final, Literal

from ..protocol.errors import ProtocolError
from ..protocol.identifiers import CameraName, FrameName, parse_day, parse_film
from ..protocol.messages import Film, Result

type FilmPart = Literal["film", "poster", "thumb"]

VIDEO, IMAGE = "video/mp4", "image/jpeg"


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaFile:
    """A file of the processor."""

    path: str
    """Under `/api/v1`."""
    stored: tuple[str, ...] = ()
    """Under the root of the processor's store, likelier first; empty where that is not known."""
    bytes: int | None = None
    """How long it is, where that is known: what is stored under its name but is not as long is another."""
    media_type: str = IMAGE


_FILM_PARTS: Final[Mapping[FilmPart, tuple[str, str]]] = MappingProxyType(
    {"film": ("video", ".mp4"), "poster": ("poster", ".poster.jpg"), "thumb": ("thumb", ".thumb.jpg")}
)


def film_file(film_id: str, part: FilmPart, film: Film | None = None) -> MediaFile:
    """Return a part of a film, of which more may be known; raise ProtocolError for what is no film id."""
    path, suffix = _FILM_PARTS[part]
    is_video = part == "film"
    return MediaFile(
        path=f"films/{parse_film(film_id)}/{path}",
        stored=_filed("films", film, suffix),
        bytes=film.bytes if film is not None and is_video else None,
        media_type=VIDEO if is_video else IMAGE,
    )


def result_file(result_id: str, *, thumb: bool, result: Result | None = None) -> MediaFile:
    """Return a result's picture; raise ProtocolError for what is no result id."""
    return MediaFile(
        path=f"results/{parse_film(result_id)}/{'thumb' if thumb else 'picture'}",
        stored=_filed("results", result, ".thumb.jpg" if thumb else ".jpg"),
        bytes=result.bytes if result is not None and not thumb else None,
    )


def frame_file(frame: FrameName, zone: tzinfo, *, thumb: bool) -> MediaFile:
    """Return a frame's picture. It is filed under the day on which its window began, in its local time."""
    day = frame.captured_at.astimezone(zone).date()
    suffix = ".thumb.jpg" if thumb else ".jpg"
    return MediaFile(
        path=f"frames/{frame}" + ("/thumb" if thumb else ""),
        stored=tuple(
            f"frames/{frame.camera}/{each.isoformat()}/{frame.stem}{suffix}"
            for each in (day, day - timedelta(days=1))
        ),
    )


def _filed(folder: str, item: Film | Result | None, suffix: str) -> tuple[str, ...]:
    """Return where a film or a result is stored; nowhere where what is said of it names no place."""
    if item is None:
        return ()
    try:
        camera, day = CameraName.parse(item.camera), parse_day(item.day)
    except ProtocolError:
        return ()
    return (f"{folder}/{camera}/{day}/{parse_film(item.id)}{suffix}",)
