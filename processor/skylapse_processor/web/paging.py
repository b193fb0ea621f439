"""Lists come in pages: `{"items": […], "next": cursor}`; the cursor is opaque, and null on the last page."""

import base64
import binascii
import json
from collections.abc import Sequence

from aiohttp import web

from ..errors import RequestError

MAX_PAGE = 1000


def page_size(request: web.Request, default: int = 100) -> int:
    """Return how many items the client wants in a page."""
    text = request.query.get("limit", str(default))
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:9]) <= MAX_PAGE:
        raise RequestError("limit", f"is no whole number from 1 to {MAX_PAGE}")
    return int(text)


def write_cursor(*key: str | int) -> str:
    """Return the cursor that stands for the last item of a page."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def read_cursor(request: web.Request, *kinds: type) -> tuple[str | int, ...] | None:
    """Return the key in the request's cursor; None where it asks for the first page."""
    text = request.query.get("cursor")
    if not text:
        return None
    try:
        key = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError, binascii.Error) as error:
        raise RequestError("cursor", "is none that was given out here") from error
    fits = isinstance(key, list) and len(key) == len(kinds) and all(map(_is, key, kinds))
    if not fits:
        raise RequestError("cursor", "is none that was given out here")
    return tuple(key)


def page(items: Sequence[object], cursor: str | None) -> web.Response:
    """Return one page of a list."""
    return web.json_response({"items": list(items), "next": cursor}, dumps=_dumps)


def _is(value: object, kind: type) -> bool:
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62
    return isinstance(value, kind)


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
