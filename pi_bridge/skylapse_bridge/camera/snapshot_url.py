"""One picture by HTTP: signed in, checked, bounded in time and size, and with nothing secret in any message.

`http.client` of the standard library carries the bytes. Digests are answered here (`digest.py`), for its own
handlers know no SHA-256. Redirects are followed on the same host alone, where name and password may go.
"""

import contextlib
import http.client
import secrets
import socket
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from skylapse_bridge.errors import CameraError, CameraLostError

from .digest import Challenge, Request, answer, basic, strongest
from .secret import password_of, read_secret, shown_url
from .wire import Deadline, connected

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_STEPS = 6
"""A challenge, a stale nonce and some redirects."""

_CHUNK = 1 << 16


class SnapshotUrl:
    """The address of one camera's pictures, and what is remembered of how it lets one in."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._shown = shown_url(options["url"])
        self._challenge: Challenge | None = None
        self._count = 0

    def fetch(self) -> bytes:
        """Return what the address answers; raise CameraLostError where nobody answers, else CameraError.

        All of it, with names, TLS, redirects and signing in, takes no longer than `timeout_s`.
        """
        url, refused = str(self._options["url"]), False
        deadline = Deadline(float(self._options["timeout_s"]))
        for _ in range(_MOST_STEPS):
            status, headers, body = self._ask(url, deadline)
            if status in _REDIRECTS:
                url = self._redirected(url, headers.get("Location"))
            elif status == 401:
                self._be_challenged(headers, again=refused)
                refused = True
            elif status != 200:
                raise CameraError(f"{self._shown} answers {status} {http.client.responses.get(status, '')}")
            else:
                return body
        raise CameraError(f"{self._shown} sends from one address to the next and never to a picture")

    def _ask(self, url: str, deadline: Deadline) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Ask once."""
        parts = urlsplit(url)
        connection, tls = self._connection(parts)
        late = threading.Event()
        alarm: threading.Timer | None = None
        try:
            connection.sock = connected(connection.host, connection.port, tls, deadline)
            alarm = threading.Timer(deadline.left_s(), _hang_up, (connection.sock, late))
            alarm.daemon = True
            alarm.start()
            path = parts.path or "/"
            target = f"{path}?{parts.query}" if parts.query else path
            connection.request("GET", target, headers=self._headers(target))
            answered = connection.getresponse()
            body = self._body(answered)
            if late.is_set():
                raise TimeoutError
        except CameraError:
            raise
        except ssl.SSLCertVerificationError as error:
            raise CameraError(
                f"{self._shown}: {error.verify_message or 'its certificate is not trusted'}"
            ) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = "it does not answer in time" if late.is_set() else _reason(error)
            raise CameraLostError(f"{self._shown}: {why}") from None
        else:
            return answered.status, answered.headers, body
        finally:
            if alarm is not None:
                alarm.cancel()
            connection.close()

    def _connection(self, parts: SplitResult) -> tuple[http.client.HTTPConnection, ssl.SSLContext | None]:
        """Return a connection that is not there yet, and what secures it."""
        host = parts.hostname or ""
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, parts.port), None
        authorities = self._options.get("ca_file")
        try:
            context = ssl.create_default_context(cafile=authorities)
        except (OSError, ssl.SSLError) as error:
            raise CameraError(f"{authorities} holds no certificates: {_reason(error)}") from error
        if not self._options["tls_verify"]:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(host, parts.port, context=context), context

    def _headers(self, target: str) -> dict[str, str]:
        headers = {"Accept": "image/jpeg, image/*;q=0.5", "Cache-Control": "no-cache", "Connection": "close"}
        sign_in = self._sign_in(target)
        return headers | ({"Authorization": sign_in} if sign_in else {})

    def _sign_in(self, target: str) -> str | None:
        """Return the header that signs in, None where nobody asked for one yet."""
        options = self._options
        if "token_file" in options:
            return f"Bearer {read_secret(Path(options['token_file']))}"
        if "token" in options:
            return f"Bearer {options['token']}"
        if "username" not in options or self._challenge is None:
            return None
        password = password_of(options) or ""
        if self._challenge.scheme == "basic":
            return basic(options["username"], password)
        self._count += 1
        request = Request(path=target, count=self._count, own_nonce=secrets.token_hex(16))
        return answer(self._challenge, options["username"], password, request)

    def _be_challenged(self, headers: http.client.HTTPMessage, *, again: bool) -> None:
        """Remember how to sign in; raise CameraError where that is impossible or was refused."""
        offered = headers.get_all("WWW-Authenticate") or []
        schemes = {"auto": ("basic", "digest")}.get(self._options["sign_in"], (self._options["sign_in"],))
        challenge = strongest(offered, schemes)
        known, self._challenge, self._count = self._challenge, None, 0
        if "token" in self._options or "token_file" in self._options:
            raise CameraError(f"{self._shown} refuses the token")
        if "username" not in self._options:
            raise CameraError(f"{self._shown} wants a username and a password")
        if challenge is None:
            raise CameraError(f"{self._shown} offers no way to sign in that is known here and allowed")
        stale = challenge.parameters.get("stale", "").lower() == "true"
        if again and known is not None and not stale:
            raise CameraError(f"{self._shown} refuses the username or the password")
        self._challenge = challenge

    def _redirected(self, url: str, location: str | None) -> str:
        """Return the next address; raise CameraError for one on another host."""
        old, new = urlsplit(url), urlsplit(urljoin(url, location or ""))
        secure = new.scheme == old.scheme or (old.scheme, new.scheme) == ("http", "https")
        if not location or new.hostname != old.hostname or not secure:
            raise CameraError(
                f"{self._shown} sends to {new.scheme}://{new.hostname}, where it was not told to go"
            )
        return new.geturl()

    def _body(self, answered: http.client.HTTPResponse) -> bytes:
        """Return the body, not larger than it may be."""
        if answered.status != 200:
            return b""
        most = int(self._options["max_mb"] * 1_000_000)
        if (answered.length or 0) > most:
            raise CameraError(
                f"{self._shown} sends {answered.length} bytes, more than max_mb: {self._options['max_mb']:g}"
            )
        announced = answered.length
        body = bytearray()
        while chunk := answered.read(_CHUNK):
            body += chunk
            if len(body) > most:
                raise CameraError(f"{self._shown} sends more than max_mb: {self._options['max_mb']:g}")
        if announced is not None and len(body) < announced:
            raise ConnectionError(f"it hangs up after {len(body)} of {announced} bytes")
        return bytes(body)


def _hang_up(wire: socket.socket, late: threading.Event) -> None:
    """End a connection from outside: reads that wait for more return at once."""
    late.set()
    with contextlib.suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__)
