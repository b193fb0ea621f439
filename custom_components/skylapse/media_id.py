"""Identifiers in the media source: values, parsed and printed here only.

`films`, `films/<bridge>/<camera>`, `films/<bridge>/<camera>/2026`, `…/2026-06`, `…/2026-06-21`, `film/<id>`,
`frames`, `frames/<bridge>/<camera>`, `frames/<bridge>/<camera>/2026-06-21`, `frame/<bridge>/<camera>/<stem>`
"""

import re
from dataclasses import dataclass

from homeassistant.components.media_source import generate_media_source_id

from .const import DOMAIN
from .protocol.errors import ProtocolError
from .protocol.identifiers import CameraName, FrameName, parse_day, parse_film

_SPAN = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?\Z")


class _MediaId:
    """What all identifiers can do."""

    __slots__ = ()

    @property
    def uri(self) -> str:
        """The whole media content id."""
        return generate_media_source_id(DOMAIN, str(self))


@dataclass(frozen=True, kw_only=True, slots=True)
class RootId(_MediaId):
    """The top of the source."""

    def __str__(self) -> str:
        """Write nothing: the source itself is meant."""
        return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilmsId(_MediaId):
    """Films: of all cameras, of one, or of one in a year, a month or on a day."""

    camera: CameraName | None = None
    span: str = ""

    def __str__(self) -> str:
        """Write `films[/<bridge>/<camera>[/<span>]]`."""
        parts = ["films", str(self.camera) if self.camera else "", self.span]
        return "/".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True, slots=True)
class FilmId(_MediaId):
    """One film."""

    film: str

    def __str__(self) -> str:
        """Write `film/<id>`."""
        return f"film/{self.film}"


@dataclass(frozen=True, kw_only=True, slots=True)
class FramesId(_MediaId):
    """Stored frames: of all cameras, of one, or of one on a day."""

    camera: CameraName | None = None
    day: str = ""

    def __str__(self) -> str:
        """Write `frames[/<bridge>/<camera>[/<day>]]`."""
        parts = ["frames", str(self.camera) if self.camera else "", self.day]
        return "/".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameId(_MediaId):
    """One stored frame."""

    frame: FrameName

    def __str__(self) -> str:
        """Write `frame/<bridge>/<camera>/<stem>`."""
        return f"frame/{self.frame}"


type MediaId = RootId | FilmsId | FilmId | FramesId | FrameId


def parse_media_id(text: str | None) -> MediaId:
    """Read an identifier, None for the top of the source; raise ValueError for anything else."""
    text = text or ""
    kind, _, rest = text.partition("/")
    parts = rest.split("/") if rest else []
    try:
        if kind == "film" and len(parts) == 1:
            return FilmId(film=parse_film(parts[0]))
        if kind == "films" and len(parts) in (0, 2, 3):
            return _parse_films(parts)
        if kind == "frames" and len(parts) in (0, 2, 3):
            return _parse_frames(parts)
        if kind == "frame" and len(parts) == 3:
            return FrameId(frame=FrameName.parse(rest))
    except ProtocolError as error:
        raise ValueError(str(error)) from error
    if not text:
        return RootId()
    raise ValueError(f"{text[:200]!r} is no media of Skylapse")


def _parse_films(parts: list[str]) -> FilmsId:
    if not parts:
        return FilmsId()
    span = parts[2] if len(parts) == 3 else ""
    if span and not _SPAN.match(span):
        raise ValueError(f"{span[:20]!r} is no year, month or day")
    return FilmsId(camera=CameraName.parse("/".join(parts[:2])), span=span)


def _parse_frames(parts: list[str]) -> FramesId:
    if not parts:
        return FramesId()
    day = parse_day(parts[2]) if len(parts) == 3 else ""
    return FramesId(camera=CameraName.parse("/".join(parts[:2])), day=day)
