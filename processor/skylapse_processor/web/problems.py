"""Every error leaves as an RFC 9457 problem document that says what was wrong and where."""

import errno
import json
import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from skylapse_protocol.errors import ProtocolError

from ..errors import (
    BlindWorkerError,
    FilmError,
    LostError,
    NoRoomError,
    NotFoundError,
    ProcessorError,
    RequestError,
    StoreError,
)

_log = logging.getLogger(__name__)

_HUNG_UP = 499
"""Nobody hears it."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PROBLEMS = {
    "bad-request": (400, "The request does not fit"),
    "no-key": (401, "A key is needed"),
    "not-found": (404, "There is no such thing"),
    "method": (405, "This is not done here"),
    "offset": (409, "The upload stands at another offset"),
    "tus-version": (412, "Only tus 1.0.0 is spoken here"),
    "too-large": (413, "This is too large"),
    "media-type": (415, "Not this kind of content"),
    "no-film": (422, "No film can be made of this"),
    "quarantined": (422, "Kept aside, not stored as a frame"),
    "taken-over": (423, "Another request has taken this upload over"),
    "damaged": (460, "The bytes are not those that were promised"),
    "internal": (500, "Something failed inside the processor"),
    "unavailable": (503, "The processor cannot do this now"),
    "no-room": (507, "The store has no room"),
}
"""Kind of problem → status and title."""


class ProblemError(ProcessorError):
    """A request that is answered with a problem document."""

    def __init__(self, kind: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        """Remember which row of PROBLEMS is meant, and the words for this case."""
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail
        self.headers = headers

    def __str__(self) -> str:
        """Return the words for this case."""
        return self.detail


def problem(kind: str, detail: str, headers: Mapping[str, str] | None = None, **more: object) -> web.Response:
    """Return a problem document."""
    status, title = PROBLEMS[kind]
    body = {"type": f"/problems/{kind}", "title": title, "status": status, "detail": detail, **more}
    return web.Response(
        status=status,
        body=json.dumps(body, ensure_ascii=False).encode(),
        content_type="application/problem+json",
        headers=headers,
    )


def response_to(error: Exception) -> web.Response:
    """Return the document for an error of any kind."""
    if isinstance(error, ProblemError):
        return problem(error.kind, error.detail, error.headers)
    if isinstance(error, RequestError):
        return problem("bad-request", str(error), field=error.field)
    if isinstance(error, ProtocolError):
        return problem("bad-request", str(error), field=error.field or error.topic)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return problem("no-room", f"the disk is full ({error.strerror})")
    kind = next((kind for known, kind in _KINDS.items() if isinstance(error, known)), "internal")
    if kind == "internal":
        _log.error("a request failed", exc_info=error)
        return problem(kind, f"{type(error).__name__}; the log says more")
    return problem(kind, str(error))


_KINDS: dict[type[Exception], str] = {
    NotFoundError: "not-found",
    NoRoomError: "no-room",
    StoreError: "unavailable",
    LostError: "unavailable",
    BlindWorkerError: "unavailable",
    FilmError: "no-film",
}
_OF_STATUS = {status: kind for kind, (status, _title) in PROBLEMS.items()}


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into a problem document."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        kind = _OF_STATUS.get(error.status)
        if kind is None:
            raise
        allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return problem(kind, f"{request.method} {request.path[:200]}: {error.reason}", allowed)
    except (ConnectionResetError, web.RequestPayloadError):
        _log.info("%s %s: the client hung up", request.method, request.path)
        return web.Response(status=_HUNG_UP)
    except Exception as error:  # noqa: BLE001 - the border: every error becomes an answer
        return response_to(error)
