"""All routes in one table, and the application that serves them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from .auth import Auth
from .problems import Handler, problems

API = "/api/v1"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'self'",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One row: what is served where."""

    method: str
    path: str
    """Under `/api/v1`, unless `root`."""
    handler: Handler
    summary: str
    query: tuple[str, ...] = ()
    answers: str = "application/json"
    schema: str | None = None
    """Name of the answer's schema in the OpenAPI document."""
    body: str | None = None
    """Name of the body's schema."""
    status: int = 200
    open: bool = False
    """Served without a key."""
    root: bool = False

    @property
    def full_path(self) -> str:
        """The path as clients see it."""
        return self.path if self.root else f"{API}{self.path}"


def build(routes: Sequence[Route], auth: Auth, gallery: Path) -> web.Application:
    """Return the application."""
    app = web.Application(middlewares=[_dress, problems, auth.middleware], client_max_size=64 * 1024)
    for route in routes:
        if route.method == "GET":
            added = app.router.add_get(route.full_path, route.handler)
        else:
            added = app.router.add_route(route.method, route.full_path, route.handler)
        if route.open:
            auth.let_in(added.handler)
    for name, kind in _ASSETS.items():
        path = "/" if name == "index.html" else f"/gallery/{name}"
        auth.let_in(app.router.add_get(path, _asset(gallery / name, kind)).handler)
    return app


_ASSETS = {
    "index.html": "text/html",
    "gallery.js": "text/javascript",
    "results.js": "text/javascript",
    "today.js": "text/javascript",
    "words.js": "text/javascript",
    "gallery.css": "text/css",
    "icon.svg": "image/svg+xml",
}


def _asset(path: Path, kind: str) -> Handler:
    async def serve(_request: web.Request) -> web.StreamResponse:
        return web.FileResponse(
            path, headers={"Cache-Control": "no-cache", "Content-Type": f"{kind}; charset=utf-8"}
        )

    return serve


@web.middleware
async def _dress(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Add what every answer carries."""
    response = await handler(request)
    if not response.prepared:
        response.headers.update(_HEADERS)
    return response
