"""One frame to the processor by the tus 1.0 protocol: what breaks off goes on where it broke off.

The first attempt sends the picture with the creation, in one request. Where that breaks off, the upload is
created once more without a picture: the processor answers where it is, and how much of it is there. From then
on HEAD asks for the offset. Only the answer to bytes follows the commit, so an upload that was found whole is
ended with an empty PATCH. The key goes to the address that it is pinned to alone, wherever an answer points.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from yarl import URL

from ..errors import UploadError, UploadKeyError, UploadQuarantinedError, UploadRefusedError
from ..protocol.records import FrameRecord, write_record

_PATH = "api/v1/uploads"
_LIMITS = ClientTimeout(total=None, sock_connect=10, sock_read=60)
_ANSWER_BYTES = 300
_PIECES = 3
"""So often one attempt goes on with an upload."""
_DAMAGED_ON_THE_WAY = 460
_PASSING = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.LOCKED,
    HTTPStatus.TOO_MANY_REQUESTS,
    _DAMAGED_ON_THE_WAY,
)
"""Answers that another attempt may better."""
_LOST = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
"""Answers by which the processor knows nothing of an upload."""
_FORGOTTEN = (*_LOST, HTTPStatus.FORBIDDEN)
"""Those to HEAD."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Door:
    """Where frames are taken in."""

    session: ClientSession
    url: str
    key: str

    def request(
        self, method: str, url: URL, data: bytes, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[ClientResponse]:
        """Return a request, with the headers that all of them have."""
        return self.session.request(
            method,
            url,
            data=data,
            headers={"Authorization": f"Bearer {self.key}", "Tus-Resumable": "1.0.0", **headers},
            timeout=_LIMITS,
            allow_redirects=False,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Progress:
    """How far an upload has come."""

    offset: int
    is_answer: bool
    """Told in answer to bytes, and so, when they are all there, after the commit."""


@dataclass(kw_only=True, slots=True)
class Transfer:
    """One frame on its way; remembers over attempts how far it came."""

    record: FrameRecord
    broken_off: bool = False
    address: URL | None = None

    async def async_send(self, door: Door, data: bytes) -> None:
        """Return when the processor has the frame for good; raise UploadError."""
        try:
            progress = await self._create(door, data)
            for _ in range(_PIECES):
                if not progress.is_answer or progress.offset != len(data):
                    progress = await self._append(door, data, progress.offset)
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            why = str(error) or type(error).__name__
            raise UploadError(f"the processor does not answer: {why}") from error
        if not progress.is_answer or progress.offset != len(data):
            raise UploadError(f"the processor took {progress.offset} of {len(data)} bytes")

    async def _create(self, door: Door, data: bytes) -> _Progress:
        """Create the upload, or find it again."""
        if self.address is not None:
            offset = await self._ask_offset(door, self.address)
            if offset is not None:
                return _Progress(offset=offset, is_answer=False)
        body = b"" if self.broken_off else data
        headers = {"Upload-Length": str(len(data)), "Upload-Metadata": _metadata(self.record)}
        if body:
            headers |= _about(body)
        self.broken_off = True
        url = URL(door.url.rstrip("/")) / _PATH
        async with door.request("POST", url, body, headers) as answer:
            await _check(answer, HTTPStatus.CREATED)
            self.broken_off = False
            self.address = _location(answer, url)
            return _Progress(offset=_offset(answer), is_answer=True)

    async def _ask_offset(self, door: Door, address: URL) -> int | None:
        """Return the offset of an upload that was begun, None where the processor has forgotten it."""
        async with door.request("HEAD", address, b"", {}) as answer:
            if answer.status in _FORGOTTEN:
                self.address = None
                return None
            await _check(answer, HTTPStatus.OK, HTTPStatus.NO_CONTENT)
            return _offset(answer)

    async def _append(self, door: Door, data: bytes, offset: int) -> _Progress:
        """Send what is missing from `offset` on, if only the end."""
        if self.address is None:
            raise UploadError("the processor did not take the whole frame, and names no place to go on")
        body = data[offset:]
        headers = {"Upload-Offset": str(offset), **_about(body)}
        async with door.request("PATCH", self.address, body, headers) as answer:
            if answer.status == HTTPStatus.CONFLICT:
                return _Progress(offset=await self._ask_offset(door, self.address) or 0, is_answer=False)
            if answer.status in _LOST:
                self.address = None
                raise UploadError(
                    f"the processor answered {answer.status}: it has lost what it had of a frame"
                )
            await _check(answer, HTTPStatus.NO_CONTENT)
            return _Progress(offset=_offset(answer), is_answer=True)


async def _check(answer: ClientResponse, *wanted: HTTPStatus) -> None:
    """Raise the error that an answer means, unless it is one of those wanted."""
    status = answer.status
    if status in wanted:
        return
    text = (await answer.content.read(_ANSWER_BYTES)).decode("utf-8", "replace")
    said = f"the processor answered {status}: {text}"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise UploadKeyError(said)
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        raise UploadQuarantinedError(said)
    passing = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING
    if passing or status < HTTPStatus.BAD_REQUEST:
        raise UploadError(said)
    raise UploadRefusedError(said)


def _location(answer: ClientResponse, asked: URL) -> URL | None:
    """Return where the upload stands, None where that is no address of the processor that was asked."""
    location = answer.headers.get("Location")
    address = asked.join(URL(location)) if location else None
    return address if address is not None and address.origin() == asked.origin() else None


def _offset(answer: ClientResponse) -> int:
    text = answer.headers.get("Upload-Offset", "")
    return int(text) if text.isdecimal() else 0


def _about(body: bytes) -> dict[str, str]:
    """Return the headers of a piece of a picture."""
    digest = _base64(hashlib.sha256(body).digest())
    return {"Content-Type": "application/offset+octet-stream", "Upload-Checksum": f"sha256 {digest}"}


def _metadata(record: FrameRecord) -> str:
    text = json.dumps(write_record(record), separators=(",", ":"))
    return f"sha256 {_base64(record.sha256.encode())},record {_base64(text.encode())}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
