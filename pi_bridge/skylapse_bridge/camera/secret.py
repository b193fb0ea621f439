"""How a camera of the network is signed in to, and how its address is told to people: without secrets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import voluptuous as vol

from skylapse_bridge.errors import CameraError

_TEXT = vol.All(str, vol.Length(min=1))
_LONGEST_SECRET = 4096

SIGN_IN = {
    vol.Optional("username"): _TEXT,
    vol.Exclusive("password", "password"): str,
    vol.Exclusive("password_file", "password"): _TEXT,
}
"""Options of every driver that signs in."""


def password_of(options: Mapping[str, Any]) -> str | None:
    """Return the password of the configuration, None where there is none; raise CameraError."""
    if "password_file" in options:
        return read_secret(Path(options["password_file"]))
    password: str | None = options.get("password")
    return password


def read_secret(path: Path) -> str:
    """Return the first line of a file; raise CameraError that names it where it cannot be read."""
    try:
        with path.open(encoding="utf-8") as file:
            secret = file.readline(_LONGEST_SECRET).strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise CameraError(f"{path} cannot be read: {why}") from error
    if not secret:
        raise CameraError(f"{path} is empty")
    return secret


def shown_url(url: str) -> str:
    """Return an address without user, password and query, any of which may be secret."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
