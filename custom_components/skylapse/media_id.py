"""Identifiers in the media source: values, parsed and printed here only.

`films`, `films/<bridge>/<camera>`, `films/<bridge>/<camera>/2026`, `…/2026-06`, `…/2026-06-21`, and below
these `…/p2`, a second page; `favourites` and every kind of results as `films`; `film/<id>`, `result/<id>`;
`frames` as `films`, and below a day `…/2026-06-21/20` (its hour), `…/201` (ten minutes of that), `…/2015`;
`frame/<bridge>/<camera>/<stem>`; `today`; `today/<bridge>/<camera>`, a film that grows; `tests`, `tests/<id>`
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from homeassistant.components.media_source import generate_media_source_id

from .const import DOMAIN
from .library import RESULT_SECTIONS
from .protocol.errors import ProtocolError
from .protocol.identifiers import CameraName, FrameName, parse_day, parse_film, parse_id

SECTIONS = ("films", "favourites", *RESULT_SECTIONS.values())

_SPAN = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?\Z")
_CLOCK = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9]?)?\Z")
_PAGE = re.compile(r"p([1-9][0-9]{0,4})\Z")
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
class SectionId(_MediaId):
    """Films or results: of all cameras, of one, of one in a year, a month or on a day; or a page of them."""

    section: str = "films"
    camera: CameraName | None = None
    span: str = ""
    page: int = 0
    """Counted from 1; 0 is the whole."""

    def __str__(self) -> str:
        """Write `films[/<bridge>/<camera>[/<span>]][/p<page>]`."""
        page = f"p{self.page}" if self.page else ""
        parts = [self.section, str(self.camera) if self.camera else "", self.span, page]
        return "/".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True, slots=True)
class FilmId(_MediaId):
    """One film."""

    film: str

    def __str__(self) -> str:
        """Write `film/<id>`."""
        return f"film/{self.film}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultId(_MediaId):
    """One result: a keogram, star trails, a best frame."""

    result: str

    def __str__(self) -> str:
        """Write `result/<id>`."""
        return f"result/{self.result}"


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


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveId(_MediaId):
    """Everything of today, of all cameras."""

    def __str__(self) -> str:
        """Write `today`."""
        return "today"


@dataclass(frozen=True, kw_only=True, slots=True)
class AbTestsId(_MediaId):
    """A/B tests, or the frames of one, in pairs."""

    test: str = ""

    def __str__(self) -> str:
        """Write `tests[/<id>]`."""
        return f"tests/{self.test}" if self.test else "tests"


type MediaId = RootId | SectionId | FilmId | ResultId | FramesId | FrameId | TodayId | LiveId | AbTestsId


def parse_media_id(text: str | None) -> MediaId:
    """Read an identifier, None for the top of the source; raise ValueError for anything else."""
    text = text or ""
    kind, _, rest = text.partition("/")
    parts = rest.split("/") if rest else []
    try:
        found = RootId() if not text else _parse(kind, parts)
    except ProtocolError as error:
        raise ValueError(str(error)) from error
    if found is None or str(found) != text:
        raise ValueError(f"{text[:200]!r} is no media of Skylapse")
    return found


def _parse(kind: str, parts: list[str]) -> MediaId | None:
    """Return the identifier of a kind, None where there is none with so many parts."""
    if kind in SECTIONS:
        return _parse_section(kind, parts)
    counts, parse = _PARSERS.get(kind, ((), None))
    return parse(parts) if parse is not None and len(parts) in counts else None


def _parse_today(parts: list[str]) -> LiveId | TodayId:
    return TodayId(camera=CameraName.parse("/".join(parts))) if parts else LiveId()


def _parse_section(section: str, parts: list[str]) -> SectionId | None:
    page = _PAGE.match(parts[-1]) if parts else None
    if page:
        parts = parts[:-1]
    number = int(page[1]) if page else 0
    if not parts and not page:
        return SectionId(section=section)
    if len(parts) not in (2, 3):
        return None
    camera = CameraName.parse("/".join(parts[:2]))
    return SectionId(section=section, camera=camera, span=_parse_span(parts[2:3]), page=number)


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


_PARSERS: Final[Mapping[str, tuple[tuple[int, ...], Callable[[list[str]], MediaId]]]] = MappingProxyType(
    {
        "film": ((1,), lambda parts: FilmId(film=parse_film(parts[0]))),
        "result": ((1,), lambda parts: ResultId(result=parse_film(parts[0]))),
        "frames": ((0, 2, 3, 4), _parse_frames),
        "frame": ((3,), lambda parts: FrameId(frame=FrameName.parse("/".join(parts)))),
        "today": ((0, 2), _parse_today),
        "tests": ((0, 1), lambda parts: AbTestsId(test=parse_id(parts[0], "test") if parts else "")),
    }
)
"""How many parts may follow each word, and what they mean; the sections aside."""
