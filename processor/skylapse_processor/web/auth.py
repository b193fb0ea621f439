"""Who asks: a client with a key in `Authorization: Bearer`, or a browser that signed in with one.

A browser's cookie names the key's hash and an expiry under an HMAC; it is HttpOnly and SameSite=Strict, and
ends with the key that it was made from.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from aiohttp import web

from ..clock import Clock, to_us
from ..errors import RequestError
from ..keys import Keys, StoredKey, write_secret
from .problems import Handler, ProblemError

COOKIE = "skylapse_session"
SESSION = timedelta(days=30)
_UNKNOWN = "this key is not known, or was revoked"
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="skylapse"'}
CLIENT = web.RequestKey("client", str)
"""The name of the key that a request came with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Session:
    """What a cookie says."""

    sha256: str
    expires_s: int
    seal: str


class Auth:
    """Checks keys and sessions; signs browsers in and out."""

    def __init__(self, keys: Keys, secret_file: Path, clock: Clock) -> None:
        self._keys = keys
        self._secret_file = secret_file
        self._clock = clock
        self._secret = b""
        self._open: set[object] = set()

    def start(self) -> None:
        """Read the secret that seals sessions, or make it."""
        if not self._secret_file.exists():
            write_secret(self._secret_file, secrets.token_hex(32))
        self._secret = self._secret_file.read_bytes()

    def let_in(self, handler: object) -> None:
        """Serve this handler without a key."""
        self._open.add(handler)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer 401 unless a key or a session comes along, or the handler needs none."""
        if request.match_info.handler not in self._open:
            request[CLIENT] = self._client(request)
        return await handler(request)

    async def sign_in(self, request: web.Request) -> web.Response:
        """POST /session: exchange a key for a cookie."""
        try:
            body = await request.json()
            key = body["key"].strip()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise RequestError("key", 'send a JSON object {"key": "…"}') from error
        stored = self._keys.client_of(key)
        if stored is None:
            raise ProblemError("no-key", _UNKNOWN)
        response = web.Response(status=204)
        response.set_cookie(
            COOKIE,
            self.session_for(stored),
            max_age=int(SESSION.total_seconds()),
            httponly=True,
            samesite="Strict",
            secure=request.secure,
            path="/",
        )
        return response

    async def sign_out(self, _request: web.Request) -> web.Response:
        """DELETE /session: forget the cookie."""
        response = web.Response(status=204)
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return response

    def session_for(self, key: StoredKey) -> str:
        """Return a cookie for whoever has shown this key."""
        expires_s = to_us(self._clock() + SESSION) // 1_000_000
        return f"{key.sha256}.{expires_s}.{self._seal(key.sha256, expires_s)}"

    def client_of_session(self, cookie: str) -> str | None:
        """Return whose session a cookie is; None where it is none, is over, or its key was revoked."""
        session = _parse(cookie)
        if session is None or session.expires_s < to_us(self._clock()) // 1_000_000:
            return None
        if not hmac.compare_digest(session.seal, self._seal(session.sha256, session.expires_s)):
            return None
        stored = self._keys.by_hash(session.sha256)
        return stored.name if stored is not None else None

    def _client(self, request: web.Request) -> str:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            known = self._keys.client_of(key.strip())
            if known is None:
                raise ProblemError("no-key", _UNKNOWN, _CHALLENGE)
            return known.name
        client = self.client_of_session(request.cookies.get(COOKIE, ""))
        if client is None:
            raise ProblemError(
                "no-key",
                "send Authorization: Bearer KEY with a key from `skylapse-processor keys add NAME`",
                _CHALLENGE,
            )
        return client

    def _seal(self, sha256: str, expires_s: int) -> str:
        return hmac.new(self._secret, f"{sha256}.{expires_s}".encode(), hashlib.sha256).hexdigest()


def _parse(cookie: str) -> _Session | None:
    parts = cookie.split(".")
    if len(parts) != 3 or not cookie.isascii() or not parts[1].isdecimal() or len(parts[1]) > 15:
        return None
    return _Session(sha256=parts[0], expires_s=int(parts[1]), seal=parts[2])
