"""One frame to the processor by the tus 1.0 protocol, in one request.

What breaks off is sent again as a whole: Home Assistant is rarely far from its processor, and the same frame
twice is one. The key goes to the address that it is pinned to alone.
"""

import base64
import hashlib
import json
from http import HTTPStatus

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from yarl import URL

from ..errors import UploadError, UploadKeyError, UploadQuarantinedError, UploadRefusedError
from ..protocol.records import FrameRecord, write_record

_LIMITS = ClientTimeout(total=None, sock_connect=10, sock_read=60)
_ANSWER_BYTES = 300
_DAMAGED_ON_THE_WAY = 460
_PASSING = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.LOCKED,
    HTTPStatus.TOO_MANY_REQUESTS,
    _DAMAGED_ON_THE_WAY,
)
"""Answers that another attempt may better."""


async def async_send(session: ClientSession, url: str, key: str, record: FrameRecord, data: bytes) -> None:
    """Return when the processor has the frame for good; raise UploadError."""
    record_json = json.dumps(write_record(record), separators=(",", ":"))
    headers = {
        "Authorization": f"Bearer {key}",
        "Tus-Resumable": "1.0.0",
        "Upload-Length": str(len(data)),
        "Upload-Metadata": f"sha256 {_base64(record.sha256.encode())},record {_base64(record_json.encode())}",
        "Upload-Checksum": f"sha256 {_base64(hashlib.sha256(data).digest())}",
        "Content-Type": "application/offset+octet-stream",
    }
    try:
        async with session.post(
            URL(url.rstrip("/")) / "api/v1/uploads",
            data=data,
            headers=headers,
            timeout=_LIMITS,
            allow_redirects=False,
        ) as answer:
            await _check(answer, len(data))
    except (ClientError, TimeoutError, OSError, ValueError) as error:
        raise UploadError(f"the processor does not answer: {str(error) or type(error).__name__}") from error


async def _check(answer: ClientResponse, length: int) -> None:
    """Raise the error that an answer means."""
    status = answer.status
    if status == HTTPStatus.CREATED:
        if answer.headers.get("Upload-Offset") != str(length):
            raise UploadError("the processor did not take the whole frame")
        return
    said = f"the processor answered {status}: {(await answer.text(errors='replace'))[:_ANSWER_BYTES]}"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise UploadKeyError(said)
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        raise UploadQuarantinedError(said)
    passing = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING
    if passing or status < HTTPStatus.BAD_REQUEST:
        raise UploadError(said)
    raise UploadRefusedError(said)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
