"""Identifiers are values: parsed in one place, printed in one place, compared as wholes.

An id is `[a-z0-9][a-z0-9_-]{0,62}`. A camera is named `<bridge>/<camera>` wherever it leaves its bridge, a
frame `<bridge>/<camera>/<captured>-<spool>-<seq>`. File paths and topics are built from these values only.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Self

from .errors import IdentifierError

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")
_SPOOL = re.compile(r"[0-9a-f]{16}\Z")
_FRAME = re.compile(r"([0-9]{8}T[0-9]{12}Z)-([0-9a-f]{16})-([1-9][0-9]{0,18})\Z")
_FILM = re.compile(r"[0-9a-f]{16}\Z")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_CAPTURED = "%Y%m%dT%H%M%S%fZ"

RESERVED_BRIDGES = frozenset({"processor"})
HOME_ASSISTANT = "home_assistant"
"""The bridge that Home Assistant itself is, for cameras of its own."""
RESERVED_CAMERAS = frozenset({"announce", "availability", "health", "uplink"})


def parse_id(text: str, kind: str = "id") -> str:
    """Return `text` when it is an id; raise IdentifierError naming `kind` otherwise."""
    if not _ID.match(text):
        raise IdentifierError(kind, "", f"{text[:80]!r} is no id ([a-z0-9][a-z0-9_-]{{0,62}})")
    return text


def parse_bridge(text: str) -> str:
    """Return `text` when it can name a bridge."""
    if text in RESERVED_BRIDGES:
        raise IdentifierError("bridge", "", f"{text!r} is reserved and names no bridge")
    return parse_id(text, "bridge")


def parse_machine(text: str) -> str:
    """Return `text` when it can name a bridge that is a program on a machine of its own."""
    if text == HOME_ASSISTANT:
        raise IdentifierError("bridge", "", f"{text!r} is reserved for Home Assistant's own cameras")
    return parse_bridge(text)


def parse_camera(text: str) -> str:
    """Return `text` when it can name a camera of a bridge."""
    if text in RESERVED_CAMERAS:
        raise IdentifierError("camera", "", f"{text!r} is reserved and names no camera")
    return parse_id(text, "camera")


def parse_spool(text: str) -> str:
    """Return `text` when it is a spool id: 64 random bits as 16 hexadecimal digits."""
    if not _SPOOL.match(text):
        raise IdentifierError("spool", "", f"{text[:80]!r} is no spool id (16 hexadecimal digits)")
    return text


def parse_film(text: str) -> str:
    """Return `text` when it is a film id: 16 hexadecimal digits."""
    if not _FILM.match(text):
        raise IdentifierError("film", "", f"{text[:80]!r} is no film id (16 hexadecimal digits)")
    return text


def parse_day(text: str) -> str:
    """Return `text` when it is a calendar day written YYYY-MM-DD."""
    try:
        day = date.fromisoformat(text) if _DAY.match(text) else None
    except ValueError:
        day = None
    if day is None:
        raise IdentifierError("day", "", f"{text[:80]!r} is no day (YYYY-MM-DD)")
    return text


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class CameraName:
    """A camera as everybody but its own bridge names it."""

    bridge: str
    camera: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `<bridge>/<camera>`."""
        bridge, slash, camera = text.partition("/")
        if not slash:
            raise IdentifierError("camera", "", f"{text[:130]!r} is not <bridge>/<camera>")
        return cls(bridge=parse_bridge(bridge), camera=parse_camera(camera))

    def __str__(self) -> str:
        """Write `<bridge>/<camera>`."""
        return f"{self.bridge}/{self.camera}"


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class FrameName:
    """A frame: its camera, the start of its exposure (UTC) and its place in the spool."""

    camera: CameraName
    captured_at: datetime
    spool: str
    seq: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `<bridge>/<camera>/<captured>-<spool>-<seq>`."""
        camera, _, stem = text.rpartition("/")
        match = _FRAME.match(stem)
        if match is None:
            raise IdentifierError("frame", "", f"{text[:200]!r} is no frame name")
        if int(match[3]) >= 2**63:
            raise IdentifierError("frame", "", f"{match[3]} is above what a spool counts to")
        try:
            captured_at = datetime.strptime(match[1], _CAPTURED).replace(tzinfo=UTC)
        except ValueError:
            raise IdentifierError("frame", "", f"{match[1]!r} is no moment") from None
        return cls(
            camera=CameraName.parse(camera), captured_at=captured_at, spool=match[2], seq=int(match[3])
        )

    @property
    def stem(self) -> str:
        """The name without its camera, as files carry it: `<captured>-<spool>-<seq>`."""
        captured = self.captured_at.astimezone(UTC)
        return f"{captured:%Y%m%dT%H%M%S}{captured.microsecond:06d}Z-{self.spool}-{self.seq}"

    def __str__(self) -> str:
        """Write `<bridge>/<camera>/<captured>-<spool>-<seq>`."""
        return f"{self.camera}/{self.stem}"
