"""Identifiers in the media source: values, parsed and printed here only.

`films`, `films/<bridge>/<camera>`, `films/<bridge>/<camera>/2026`, `…/2026-06`, `…/2026-06-21`, `film/<id>`,
`frames` as `films`, and below a day `…/2026-06-21/20` (its hour), `…/201` (ten minutes of that), `…/2015`;
`frame/<bridge>/<camera>/<stem>`; `today/<bridge>/<camera>`, the film that grows
"""

import re
from dataclasses import dataclass

from homeassistant.components.media_source import generate_media_source_id

from .const import DOMAIN
from .protocol.errors import ProtocolError
from .protocol.identifiers import CameraName, FrameName, parse_day, parse_film

_SPAN = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?\Z")
_CLOCK = re.compile(r"([01]\d|2[0-3])([0-5]\d?)?\Z")
_DAY = len("2026-06-21")


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
    """Stored frames: of all cameras, of one, of one in a year, a month, on a day or at its hour."""

    camera: CameraName | None = None
    span: str = ""
    clock: str = ""
    """The first two to four digits of HHMM, local time."""

    def __str__(self) -> str:
        """Write `frames[/<bridge>/<camera>[/<span>[/<clock>]]]`."""
        parts = ["frames", str(self.camera) if self.camera else "", self.span, self.clock]
        return "/".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameId(_MediaId):
    """One stored frame."""

    frame: FrameName

    def __str__(self) -> str:
        """Write `frame/<bridge>/<camera>/<stem>`."""
        return f"frame/{self.frame}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TodayId(_MediaId):
    """The film of a camera that grows while its frames come in."""

    camera: CameraName

    def __str__(self) -> str:
        """Write `today/<bridge>/<camera>`."""
        return f"today/{self.camera}"


type MediaId = RootId | FilmsId | FilmId | FramesId | FrameId | TodayId


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
        if kind == "frames" and len(parts) in (0, 2, 3, 4):
            return _parse_frames(parts)
        if kind == "frame" and len(parts) == 3:
            return FrameId(frame=FrameName.parse(rest))
        if kind == "today" and len(parts) == 2:
            return TodayId(camera=CameraName.parse(rest))
    except ProtocolError as error:
        raise ValueError(str(error)) from error
    if not text:
        return RootId()
    raise ValueError(f"{text[:200]!r} is no media of Skylapse")


def _parse_films(parts: list[str]) -> FilmsId:
    if not parts:
        return FilmsId()
    return FilmsId(camera=CameraName.parse("/".join(parts[:2])), span=_parse_span(parts[2:3]))


def _parse_frames(parts: list[str]) -> FramesId:
    if not parts:
        return FramesId()
    span = _parse_span(parts[2:3])
    clock = parts[3] if len(parts) == 4 else ""
    if clock and not (_CLOCK.match(clock) and len(span) == _DAY):
        raise ValueError(f"{clock[:20]!r} is no time of a day")
    return FramesId(camera=CameraName.parse("/".join(parts[:2])), span=span, clock=clock)


def _parse_span(parts: list[str]) -> str:
    if not parts:
        return ""
    span = parts[0]
    if not _SPAN.match(span):
        raise ValueError(f"{span[:20]!r} is no year, month or day")
    return parse_day(span) if len(span) == _DAY else span
