"""Identifiers in the media source: values, parsed and printed here only.

`films` · `films/<bridge>/<camera>` · `films/<bridge>/<camera>/2026` · `…/2026-06` · `…/2026-06-21` ·
`film/<id>`
"""

import re
from dataclasses import dataclass

from homeassistant.components.media_source import generate_media_source_id

from .const import DOMAIN
from .protocol.errors import ProtocolError
from .protocol.identifiers import CameraName, parse_film

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


type MediaId = RootId | FilmsId | FilmId


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
