"""One upload by the tus 1.0 protocol: create with the picture, resume where it broke off.

The first attempt sends picture and creation in one request. When that breaks off, the upload is created empty
instead, so that its address is known and the next attempt goes on at its offset.

Only the answer to bytes follows the commit. That all bytes are there, as HEAD tells, proves nothing: the
processor may have been killed between the last of them and the commit. So an upload that was found whole is
ended with an empty PATCH. The key goes to the configured origin alone, wherever an answer may point.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp
from yarl import URL

from skylapse_protocol.records import FrameRecord, write_record

from .errors import KeyRefusedError, QuarantinedError, UploadError

_PATH = "/api/v1/uploads"
_VERSION = {"Tus-Resumable": "1.0.0"}
_BODY = {"Content-Type": "application/offset+octet-stream"}
_ANSWER_BYTES = 300
_ATTEMPTS_TO_RESUME = 3
_DAMAGED_ON_THE_WAY = 460
_PASSING = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.LOCKED,
    HTTPStatus.TOO_MANY_REQUESTS,
    _DAMAGED_ON_THE_WAY,
}
"""Answers that another attempt may better."""
_LOST = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
"""Answers by which the processor knows nothing of an upload."""


class RefusedError(UploadError):
    """The processor does not take this one frame; others may fare better."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Progress:
    """How far an upload has come."""

    offset: int
    acknowledged: bool
    """Told in answer to bytes, and so, when they are all there, after the commit."""


@dataclass(kw_only=True, slots=True)
class Transfer:
    """One frame on its way; remembers over attempts how far it came."""

    record: FrameRecord
    data: bytes
    broken_off: bool = False
    address: URL | None = field(default=None)

    async def send(self, session: aiohttp.ClientSession, base_url: str, key: str) -> None:
        """Return when the processor has the frame for good; raise UploadError, or aiohttp's errors."""
        headers = {"Authorization": f"Bearer {key}", **_VERSION}
        progress = await self._create(session, base_url, headers)
        for _ in range(_ATTEMPTS_TO_RESUME):
            if progress.acknowledged and progress.offset == len(self.data):
                return
            progress = await self._append(session, headers, progress.offset)
        if not progress.acknowledged or progress.offset != len(self.data):
            raise UploadError(f"the processor took {progress.offset} of {len(self.data)} bytes")

    async def _create(
        self, session: aiohttp.ClientSession, base_url: str, headers: dict[str, str]
    ) -> _Progress:
        """Create the upload, or find it again; return how many bytes the processor has."""
        if self.address is not None:
            offset = await self._ask_offset(session, self.address, headers)
            if offset is not None:
                return _Progress(offset=offset, acknowledged=False)
        body = b"" if self.broken_off else self.data
        more = {"Upload-Length": str(len(self.data)), "Upload-Metadata": _metadata(self.record)}
        if body:
            more |= {**_BODY, "Upload-Checksum": _checksum(body)}
        self.broken_off = True
        url = URL(base_url + _PATH)
        async with session.post(url, data=body, headers=headers | more, allow_redirects=False) as answer:
            await _check(answer, HTTPStatus.CREATED)
            self.broken_off = False
            self.address = _location(answer, url)
            return _Progress(offset=_offset(answer, len(body)), acknowledged=True)

    async def _ask_offset(
        self, session: aiohttp.ClientSession, address: URL, headers: dict[str, str]
    ) -> int | None:
        """Return the offset of an upload that was begun, None where the processor forgot it."""
        async with session.head(address, headers=headers, allow_redirects=False) as answer:
            if answer.status in {*_LOST, HTTPStatus.FORBIDDEN}:
                self.address = None
                return None
            await _check(answer, HTTPStatus.OK, HTTPStatus.NO_CONTENT)
            return _offset(answer, 0)

    async def _append(
        self, session: aiohttp.ClientSession, headers: dict[str, str], offset: int
    ) -> _Progress:
        """Send what is missing from `offset` on, if only the end; return how far the processor is now."""
        if self.address is None:
            raise UploadError("the processor named no address of its own at which to go on")
        body = self.data[offset:]
        more = {**_BODY, "Upload-Offset": str(offset), "Upload-Checksum": _checksum(body)}
        async with session.patch(
            self.address, data=body, headers=headers | more, allow_redirects=False
        ) as answer:
            if answer.status == HTTPStatus.CONFLICT:
                stands_at = await self._ask_offset(session, self.address, headers)
                return _Progress(offset=stands_at or 0, acknowledged=False)
            if answer.status in _LOST:
                self.address = None
                raise UploadError(
                    f"the processor answered {answer.status}: it has lost what it had of a frame"
                )
            await _check(answer, HTTPStatus.NO_CONTENT)
            return _Progress(offset=_offset(answer, len(self.data)), acknowledged=True)


async def _check(answer: aiohttp.ClientResponse, *wanted: HTTPStatus) -> None:
    """Raise the error that an answer means, unless it is one of those wanted."""
    if answer.status in wanted:
        return
    text = (await answer.text(errors="replace"))[:_ANSWER_BYTES]
    said = f"the processor answered {answer.status}: {text}"
    if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise KeyRefusedError(said)
    if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        raise QuarantinedError(said)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _PASSING:
        raise UploadError(said)
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        raise UploadError(f"{said}; the address in the configuration is not the processor's own")
    raise RefusedError(said)


def _location(answer: aiohttp.ClientResponse, asked: URL) -> URL | None:
    """Return where the upload stands, None where that is no address of the processor that was asked."""
    location = answer.headers.get("Location")
    address = asked.join(URL(location)) if location else None
    return address if address is not None and address.origin() == asked.origin() else None


def _offset(answer: aiohttp.ClientResponse, default: int) -> int:
    text = answer.headers.get("Upload-Offset", "")
    return int(text) if text.isdecimal() else default


def _metadata(record: FrameRecord) -> str:
    text = json.dumps(write_record(record), separators=(",", ":"))
    return f"sha256 {_base64(record.sha256.encode())},record {_base64(text.encode())}"


def _checksum(data: bytes) -> str:
    return f"sha256 {_base64(hashlib.sha256(data).digest())}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
