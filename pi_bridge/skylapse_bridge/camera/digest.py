"""Answers to the challenges of HTTP: Basic (RFC 7617) and Digest (RFC 7616), pure.

A server that wants a name says so with 401 and one or more challenges, in one header or in several; the
strongest that is understood here is answered. Digest proves the password without sending it: response =
H(H(name:realm:password) : nonce : count : own nonce : qop : H(method:path)). The server's nonce serves for
many requests, each with the next count, until the server challenges anew (`stale`, or simply another 401).
Cameras know MD5, some SHA-256; only `qop=auth` is answered, for a GET has no body to protect.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

_HASHES: Mapping[str, Callable[[bytes], "hashlib._Hash"]] = {
    "SHA-256": hashlib.sha256,
    "SHA-512-256": lambda data: hashlib.new("sha512_256", data),
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False),
}
"""The strongest first."""

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 the grammar of RFC 9110, no secret
_PART = re.compile(rf'\s*,*\s*({_TOKEN})(?:\s*=\s*("(?:[^"\\]|\\.)*"|{_TOKEN}))?')


@dataclass(frozen=True, kw_only=True, slots=True)
class Challenge:
    """One way in that a server offers."""

    scheme: str
    """In lower case."""
    parameters: Mapping[str, str]

    @property
    def strength(self) -> int:
        """The larger the better; 0 cannot be answered."""
        if self.scheme == "basic":
            return 1
        offered = {word.strip() for word in self.parameters.get("qop", "auth").lower().split(",")}
        known = list(_HASHES)
        algorithm = _algorithm(self.parameters)
        if self.scheme != "digest" or not self.parameters.get("nonce") or "auth" not in offered:
            return 0
        return 1 + len(known) - known.index(algorithm) if algorithm in known else 0


def challenges(headers: Iterable[str]) -> list[Challenge]:
    """Return what the `WWW-Authenticate` headers of an answer offer."""
    found: list[Challenge] = []
    for header in headers:
        parameters: dict[str, str] = {}
        for name, value in _PART.findall(header):
            if value:
                parameters[name.lower()] = _unquoted(value)
            else:
                parameters = {}
                found.append(Challenge(scheme=name.lower(), parameters=parameters))
    return found


def strongest(headers: Iterable[str], allowed: Iterable[str]) -> Challenge | None:
    """Return the best challenge among the schemes that are allowed, None where none can be answered."""
    known = [one for one in challenges(headers) if one.scheme in set(allowed) and one.strength]
    return max(known, key=lambda one: one.strength, default=None)


def basic(username: str, password: str) -> str:
    """Return the header that tells name and password."""
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is asked for with the proof."""

    path: str
    """With the query, as it is sent."""
    count: int
    """The how manieth request with this nonce it is, from 1."""
    own_nonce: str
    """A random word, another one for every request."""
    method: str = "GET"


def answer(challenge: Challenge, username: str, password: str, request: Request) -> str:
    """Return the header that proves the password; raise KeyError for a digest that is not known here."""
    given = challenge.parameters
    algorithm = _algorithm(given)

    def digest(*parts: str) -> str:
        return str(_HASHES[algorithm](":".join(parts).encode()).hexdigest())

    secret = digest(username, given.get("realm", ""), password)
    if given.get("algorithm", "").lower().endswith("-sess"):
        secret = digest(secret, given["nonce"], request.own_nonce)
    what = digest(request.method, request.path)
    count = f"{request.count:08x}"
    if "qop" in given:
        proof = digest(secret, given["nonce"], count, request.own_nonce, "auth", what)
    else:
        proof = digest(secret, given["nonce"], what)
    words = {
        "username": _quoted(username),
        "realm": _quoted(given.get("realm", "")),
        "nonce": _quoted(given["nonce"]),
        "uri": _quoted(request.path),
        "response": _quoted(proof),
    }
    if "algorithm" in given:
        words["algorithm"] = given["algorithm"]
    if "opaque" in given:
        words["opaque"] = _quoted(given["opaque"])
    if "qop" in given:
        words |= {"qop": "auth", "nc": count, "cnonce": _quoted(request.own_nonce)}
    return "Digest " + ", ".join(f"{name}={value}" for name, value in words.items())


def _algorithm(parameters: Mapping[str, str]) -> str:
    return parameters.get("algorithm", "MD5").upper().removesuffix("-SESS")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
