"""A server's side of signing in by digest."""

import hashlib
from typing import Any

from aiohttp import web

from skylapse_bridge.camera.digest import challenges

from .made import picture

NAME, PASSWORD = "kamera", 'ge"heim ü'
REALM = "camera, roof"


class Guard:
    """Digest by RFC 7616 on the server's side; a nonce serves for three requests, then it is stale."""

    def __init__(self, algorithm: str, *, others: tuple[str, ...] = (), nonce_lasts: int = 3) -> None:
        self.algorithm = algorithm
        self.others = others
        self.nonce_lasts = nonce_lasts
        self.nonces = 0
        self.used: list[tuple[str, str]] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Let in or challenge."""
        given = request.headers.get("Authorization", "")
        if not given.startswith("Digest "):
            return self._challenge(stale=False)
        words = challenges([given])[0].parameters
        if words["nonce"] != f"nonce-{self.nonces}":
            return self._challenge(stale=True)
        if words["response"] != self._expected(words) or words["uri"] != request.raw_path:
            return self._challenge(stale=False)
        assert (words["nonce"], words["nc"]) not in self.used, "a count was used twice"
        self.used.append((words["nonce"], words["nc"]))
        if int(words["nc"], 16) >= self.nonce_lasts:
            self.nonces += 1
        return web.Response(body=picture(), content_type="image/jpeg")

    def _challenge(self, *, stale: bool) -> web.StreamResponse:
        answered = web.Response(status=401)
        for other in self.others:
            answered.headers.add("WWW-Authenticate", other)
        answered.headers.add(
            "WWW-Authenticate",
            f'Digest realm="{REALM}", qop="auth,auth-int", algorithm={self.algorithm}, '
            f'nonce="nonce-{self.nonces}", opaque="x", stale={str(stale).lower()}',
        )
        return answered

    def _expected(self, words: Any) -> str:
        kind = {"MD5": "md5", "SHA-256": "sha256"}[self.algorithm.removesuffix("-sess")]

        def digest(text: str) -> str:
            return hashlib.new(kind, text.encode()).hexdigest()

        secret = digest(f"{NAME}:{REALM}:{PASSWORD}")
        if self.algorithm.endswith("-sess"):
            secret = digest(f"{secret}:{words['nonce']}:{words['cnonce']}")
        what = digest(f"GET:{words['uri']}")
        return digest(f"{secret}:{words['nonce']}:{words['nc']}:{words['cnonce']}:auth:{what}")
