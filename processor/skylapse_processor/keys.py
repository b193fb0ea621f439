"""Keys of clients: 256 random bits each, of which the processor keeps only the hash.

A key is a high-entropy secret, so one round of SHA-256 guards it as well as a slow hash would guard a
password. The file is read again whenever it changes: adding and revoking needs no restart.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from skylapse_protocol.codec import format_time

from .clock import Clock
from .errors import KeyStoreError
from .files import sync_folder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}\Z")
_PREFIX = "sky_"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredKey:
    """A client's name and the SHA-256 of its key."""

    name: str
    sha256: str
    created_at: str


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read; it is never there with other rights, or half written."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def digest(key: str) -> str:
    """Return what is stored of a key."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


class Keys:
    """The file of keys."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._stamp: tuple[int, int, int] | None = None
        self._known: tuple[StoredKey, ...] = ()

    def list(self) -> tuple[StoredKey, ...]:
        """Return all keys, read anew where the file has changed."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._known = None, ()
            return ()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp != self._stamp:
            self._known = self._read()
            self._stamp = stamp
        return self._known

    def add(self, name: str) -> str:
        """Make a key for a client and return it; it cannot be shown again."""
        if not _NAME.match(name):
            raise KeyStoreError(f"{name[:80]!r} is no name for a key (letters, digits, space, . _ -)")
        if any(stored.name == name for stored in self.list()):
            raise KeyStoreError(f"there is a key named {name!r} already; revoke it first")
        key = _PREFIX + secrets.token_urlsafe(32)
        made = StoredKey(name=name, sha256=digest(key), created_at=format_time(self._clock()))
        self._write((*self.list(), made))
        return key

    def revoke(self, name: str) -> None:
        """End a key."""
        left = tuple(stored for stored in self.list() if stored.name != name)
        if len(left) == len(self.list()):
            raise KeyStoreError(f"there is no key named {name!r}")
        self._write(left)

    def client_of(self, key: str) -> StoredKey | None:
        """Return whose key this is."""
        return self.by_hash(digest(key))

    def by_hash(self, sha256: str) -> StoredKey | None:
        """Return the key with this hash, compared in constant time."""
        found = [stored for stored in self.list() if hmac.compare_digest(stored.sha256, sha256)]
        return found[0] if found else None

    def _read(self) -> tuple[StoredKey, ...]:
        try:
            rows = json.loads(self._path.read_text(encoding="utf-8"))
            return tuple(
                StoredKey(name=row["name"], sha256=row["sha256"], created_at=row["created_at"])
                for row in rows
            )
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise KeyStoreError(f"{self._path}: the file of keys cannot be read ({error})") from error

    def _write(self, stored: tuple[StoredKey, ...]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_secret(self._path, json.dumps([asdict(key) for key in stored], indent=1) + "\n")
