"""The ledger: which version of what was deployed, so that versions rise only when the content changes.

Kept on disk as JSON. A subject is a text like `snapshot/roof/west`, `plan/roof/west`, `profile/f`, `orders`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..protocol.codec import format_time, parse_time, write


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamp:
    """A version, the digest of its content, and when it was made."""

    version: int
    digest: str
    made_at: datetime


class Ledger:
    """Stamps by subject."""

    def __init__(self, stamps: Mapping[str, Stamp] | None = None) -> None:
        """Start with these stamps."""
        self.stamps = dict(stamps or {})

    @classmethod
    def read(cls, kept: Mapping[str, Mapping[str, Any]]) -> Ledger:
        """Read what `write` returned."""
        return cls(
            {
                subject: Stamp(
                    version=stamp["version"], digest=stamp["digest"], made_at=parse_time(stamp["made_at"])
                )
                for subject, stamp in kept.items()
            }
        )

    def write(self) -> dict[str, dict[str, Any]]:
        """Return the stamps as JSON values."""
        return {
            subject: {
                "version": stamp.version,
                "digest": stamp.digest,
                "made_at": format_time(stamp.made_at),
            }
            for subject, stamp in self.stamps.items()
        }

    def stamp(self, subject: str, content: object, now: datetime, seen: int = 0) -> Stamp:
        """Return the stamp of this content: a new version only where the content is new.

        `seen` is the version that the receiver says it holds. A ledger that starts anew counts on from there,
        since a receiver takes nothing older than it has.
        """
        digest = digest_of(content)
        known = self.stamps.get(subject)
        if known is not None and known.digest == digest and known.version >= seen:
            return known
        version = max(known.version if known else 0, seen) + 1
        self.stamps[subject] = Stamp(version=version, digest=digest, made_at=now)
        return self.stamps[subject]

    def version(self, subject: str) -> int | None:
        """Return the version last made of a subject."""
        stamp = self.stamps.get(subject)
        return stamp.version if stamp else None

    def forget(self, prefix: str) -> None:
        """Drop every subject that starts with `prefix`."""
        self.stamps = {key: stamp for key, stamp in self.stamps.items() if not key.startswith(prefix)}


def digest_of(content: object) -> str:
    """Return 16 hexadecimal digits that name a content (dataclasses and JSON values)."""
    text = json.dumps(write(content), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
