"""The ledger: which version of what was deployed, so that versions rise only when the content changes.

Kept on disk as JSON. A subject is a text like `snapshot/roof/west`, `plan/roof/west`, `profile/f`, `orders`.
Of profiles the ledger keeps the content too, of the last ten versions: that is what a rollback brings back.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from ..protocol.codec import read, write

KEPT_EDITIONS = 10
"""Versions of which the content is kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Edition:
    """A version with its content, JSON values."""

    version: int
    made_at: datetime
    content: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamp:
    """A version, the digest of its content, when it was made, and the editions that are kept."""

    version: int
    digest: str
    made_at: datetime
    editions: tuple[Edition, ...] = ()
    """Oldest first."""

    @classmethod
    def read(cls, subject: str, kept: object) -> Self:
        """Read what a ledger wrote of a subject; raise ProtocolError for what does not fit."""
        return read(cls, kept, subject)


class Ledger:
    """Stamps by subject."""

    def __init__(self, stamps: Mapping[str, Stamp] | None = None) -> None:
        """Start with these stamps."""
        self.stamps = dict(stamps or {})

    def write(self) -> dict[str, dict[str, Any]]:
        """Return the stamps as JSON values."""
        return {subject: write(stamp) for subject, stamp in self.stamps.items()}

    def propose(self, subject: str, content: object, now: datetime, seen: int = 0) -> Stamp:
        """Return the stamp that this content would get: a new version only where the content is new.

        `seen` is the version that the receiver says it holds. A ledger that starts anew counts on from there,
        since a receiver takes nothing older than it has.
        """
        digest = digest_of(content)
        known = self.stamps.get(subject)
        if known is not None and known.digest == digest and known.version >= seen:
            return known
        version = max(known.version if known else 0, seen) + 1
        return Stamp(
            version=version, digest=digest, made_at=now, editions=known.editions if known is not None else ()
        )

    def keep(self, subject: str, stamp: Stamp) -> Stamp:
        """Take in a stamp that was proposed, and return it."""
        self.stamps[subject] = stamp
        return stamp

    def stamp(self, subject: str, content: object, now: datetime, seen: int = 0) -> Stamp:
        """Return the stamp of this content, and keep it."""
        return self.keep(subject, self.propose(subject, content, now, seen))

    def edit(self, subject: str, content: dict[str, Any], now: datetime) -> Stamp:
        """Return the stamp of this content, and keep the content as well where it is new."""
        stamp = self.propose(subject, content, now)
        if stamp.editions and stamp.editions[-1].version == stamp.version:
            return stamp
        edition = Edition(version=stamp.version, made_at=now, content=content)
        return self.keep(subject, replace(stamp, editions=(*stamp.editions, edition)[-KEPT_EDITIONS:]))

    def editions(self, subject: str) -> tuple[Edition, ...]:
        """Return the versions of a subject whose content is kept, oldest first."""
        stamp = self.stamps.get(subject)
        return stamp.editions if stamp else ()

    def version(self, subject: str) -> int | None:
        """Return the version last made of a subject."""
        stamp = self.stamps.get(subject)
        return stamp.version if stamp else None

    def forget(self, subject: str) -> None:
        """Drop what is known of a subject."""
        self.stamps.pop(subject, None)


def digest_of(content: object) -> str:
    """Return 16 hexadecimal digits that name a content (dataclasses and JSON values)."""
    text = json.dumps(write(content), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
