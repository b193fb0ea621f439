"""tus 1.0 (core, creation, creation-with-upload, checksum, expiration, termination) for frames.

An upload's address names what it carries, `/uploads/<bridge>/<camera>/<captured>-<spool>-<seq>-<sha256>`,
so any client can find its way back, and a finished upload still answers HEAD with its full length. A
request for an upload that another connection still holds takes it over: the other one hangs more often than
not.

Answers that matter to a client: 201/204 with Upload-Offset = length means on disk, for good. 422 means kept
in quarantine, for good. 460 means damaged on the way: send again. 507 means no room: keep it and try later.
"""

import asyncio
import base64
import binascii
import hashlib
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import BinaryIO

from aiohttp import web

from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.identifiers import FrameName
from skylapse_protocol.records import FrameRecord, read_record, write_record

from ..clock import Clock
from ..errors import RequestError
from ..ingest import Ingest, Outcome, check_record, clash_reason, upload_name
from ..store.layout import UploadName
from ..store.store import Store
from .problems import ProblemError, problem

TUS_VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
OFFSET_STREAM = "application/offset+octet-stream"
PATH = "/api/v1/uploads"

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_BUFFER_BYTES = 128 * 1024


class _Slot:
    """Who is at work on one upload."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
        self.receiving: asyncio.Task[int] | None = None


class Uploads:
    """The handlers of `/uploads`."""

    def __init__(
        self,
        ingest: Ingest,
        store: Store,
        clock: Clock,
        *,
        max_bytes: int,
        expire_after: timedelta,
    ) -> None:
        self._ingest = ingest
        self._catalogue = store.frames
        self._layout = store.layout
        self._disk = store.disk
        self._clock = clock
        self._max_bytes = max_bytes
        self._expire_after = expire_after
        self._slots: dict[UploadName, _Slot] = {}

    async def options(self, _request: web.Request) -> web.Response:
        """Say what is spoken here."""
        headers = {
            "Tus-Resumable": TUS_VERSION,
            "Tus-Version": TUS_VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(self._max_bytes),
            "Tus-Checksum-Algorithm": "sha256",
        }
        return web.Response(status=204, headers=headers)

    async def create(self, request: web.Request) -> web.Response:
        """POST: decide on a frame by its record, and take its bytes if they came along."""
        _check_version(request)
        record = self._read_record(request)
        verdict = await asyncio.to_thread(self._ingest.judge, record)
        upload = upload_name(record)
        if verdict == "same":
            await _drain(request, record.bytes)
            return self._answer(201, upload, record.bytes, record.bytes)
        if verdict == "clash" and self._layout.quarantined(upload, record.media_type).exists():
            await _drain(request, record.bytes)
            return _refusal(await self._ingest.keep_aside(record, clash_reason(record)))
        await asyncio.to_thread(self._disk.check, record.bytes)
        async with self._alone(upload) as slot:
            offset = await asyncio.to_thread(self._begin, upload, record, restart=request.can_read_body)
            if request.can_read_body:
                _check_content_type(request)
                offset = await self._take(request, slot, upload, offset, record.bytes)
            if offset == record.bytes:
                return await self._finish(201, upload, record)
        return self._answer(201, upload, offset, record.bytes)

    async def head(self, request: web.Request) -> web.Response:
        """HEAD: say how far an upload has come; its full length is said of a committed frame only."""
        _check_version(request)
        upload = _upload_of(request)
        offset, length = await asyncio.to_thread(self._progress, upload)
        if offset == length and (outcome := await self._settle(upload)) is not None and not outcome.stored:
            return _refusal(outcome)
        answer = self._answer(200, upload, offset, length)
        answer.headers["Upload-Length"] = str(length)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    async def patch(self, request: web.Request) -> web.Response:
        """PATCH: take more bytes; the answer to the last of them follows the commit."""
        _check_version(request)
        _check_content_type(request)
        upload = _upload_of(request)
        wanted = _number(request.headers, "Upload-Offset")
        async with self._alone(upload) as slot:
            offset, length = await asyncio.to_thread(self._progress, upload)
            if wanted != offset:
                raise ProblemError(
                    "offset", f"Upload-Offset: {wanted} was given, the upload stands at {offset}"
                )
            record = await asyncio.to_thread(self._stored_record, upload)
            if offset < length or record is not None:
                await asyncio.to_thread(self._disk.check, length - offset)
                offset = await self._take(request, slot, upload, offset, length)
            if offset == length and record is not None:
                return await self._finish(204, upload, record)
        return self._answer(204, upload, offset, length)

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE: forget an unfinished upload."""
        _check_version(request)
        upload = _upload_of(request)
        async with self._alone(upload):
            part = self._layout.part(upload)
            if not part.exists():
                raise ProblemError("not-found", f"{request.path}: no upload is under way here")
            part.unlink()
            self._layout.part_record(upload).unlink(missing_ok=True)
        return web.Response(status=204, headers={"Tus-Resumable": TUS_VERSION})

    @asynccontextmanager
    async def _alone(self, upload: UploadName) -> AsyncIterator[_Slot]:
        """Be the only one at work on an upload; whoever is still receiving for it is stopped."""
        slot = self._slots.setdefault(upload, _Slot())
        slot.users += 1
        if slot.receiving is not None:
            slot.receiving.cancel()
        try:
            async with slot.lock:
                yield slot
        finally:
            slot.users -= 1
            if slot.users == 0:
                self._slots.pop(upload, None)

    def _read_record(self, request: web.Request) -> FrameRecord:
        if "Upload-Defer-Length" in request.headers:
            raise RequestError("Upload-Defer-Length", "the length of a frame is known; send Upload-Length")
        length = _number(request.headers, "Upload-Length")
        metadata = _metadata(request.headers.get("Upload-Metadata", ""))
        for name in ("sha256", "record"):
            if name not in metadata:
                raise RequestError(f"Upload-Metadata.{name}", "is missing")
        sha256 = metadata["sha256"].decode("ascii", "replace")
        if not _SHA256.match(sha256):
            raise RequestError("Upload-Metadata.sha256", "is no SHA-256 in lower-case hexadecimal")
        try:
            record = read_record(json.loads(metadata["record"]))
        except (ValueError, RecursionError) as error:
            raise RequestError("Upload-Metadata.record", f"is no JSON ({str(error)[:120]})") from error
        except ProtocolError as error:
            raise RequestError(f"record.{error.field or error.topic}", error.why) from error
        if length > self._max_bytes:
            raise ProblemError("too-large", f"Upload-Length: {length} is more than {self._max_bytes}")
        check_record(record, sha256, length, self._max_bytes)
        return record

    def _begin(self, upload: UploadName, record: FrameRecord, *, restart: bool) -> int:
        """Open the part of an upload, or start it anew where its bytes come along; return its offset."""
        part = self._layout.part(upload)
        part.parent.mkdir(parents=True, exist_ok=True)
        # A kill may have cut the record short: one that cannot be read is as good as none.
        if restart or self._stored_record(upload) is None:
            part.write_bytes(b"")
            self._layout.part_record(upload).write_text(json.dumps(write_record(record)), encoding="utf-8")
        return part.stat().st_size

    def _progress(self, upload: UploadName) -> tuple[int, int]:
        """Return offset and length of an upload under way or done."""
        record = self._stored_record(upload)
        if record is not None:
            return self._layout.part(upload).stat().st_size, record.bytes
        known = self._catalogue.find(upload.frame.camera, upload.frame.spool, upload.frame.seq)
        if known is not None and known.sha256 == upload.sha256:
            return known.bytes, known.bytes
        raise ProblemError("not-found", f"{upload.stem}: no such upload; create it with POST {PATH}")

    def _stored_record(self, upload: UploadName) -> FrameRecord | None:
        """Return the record of an upload under way."""
        try:
            if not self._layout.part(upload).exists():
                return None
            return read_record(json.loads(self._layout.part_record(upload).read_bytes()))
        except (OSError, ValueError, ProtocolError):
            return None

    async def _take(
        self, request: web.Request, slot: _Slot, upload: UploadName, offset: int, length: int
    ) -> int:
        """Receive a body into the part; return the new offset."""
        checksum = _checksum(request.headers.get("Upload-Checksum"))
        task = asyncio.create_task(_receive(request, self._layout.part(upload), offset, length, checksum))
        slot.receiving = task
        try:
            return await task
        except asyncio.CancelledError:
            if not task.cancelled():
                task.cancel()
                raise
            raise ProblemError("taken-over", f"{upload.stem}: another request goes on with it") from None
        finally:
            slot.receiving = None

    async def _settle(self, upload: UploadName) -> Outcome | None:
        """Finish an upload whose bytes are all here and whose last request was not heard out."""
        async with self._alone(upload):
            record = await asyncio.to_thread(self._stored_record, upload)
            return await self._ingest.finish(record) if record is not None else None

    async def _finish(self, status: int, upload: UploadName, record: FrameRecord) -> web.Response:
        outcome = await self._ingest.finish(record)
        if not outcome.stored:
            return _refusal(outcome)
        return self._answer(status, upload, record.bytes, record.bytes)

    def _answer(self, status: int, upload: UploadName, offset: int, length: int) -> web.Response:
        headers = {"Tus-Resumable": TUS_VERSION, "Upload-Offset": str(offset)}
        if status == 201:
            headers["Location"] = f"{PATH}/{upload.frame.camera}/{upload.stem}"
        if offset < length:
            expires = self._clock() + self._expire_after
            headers["Upload-Expires"] = format_datetime(expires, usegmt=True)
        return web.Response(status=status, headers=headers)


async def _receive(request: web.Request, part: Path, offset: int, length: int, checksum: bytes | None) -> int:
    """Append a body to a part at `offset`; what fails its checksum or exceeds the length is cut off again."""
    digest = hashlib.sha256()
    file = await asyncio.to_thread(part.open, "r+b")
    try:
        await asyncio.to_thread(file.seek, offset)
        place = offset
        async for data in _buffered(request):
            if place + len(data) > length:
                await asyncio.to_thread(file.truncate, offset)
                raise ProblemError("too-large", f"more bytes than Upload-Length, which is {length}")
            digest.update(data)
            await asyncio.to_thread(_append, file, data)
            place += len(data)
        if checksum is not None and digest.digest() != checksum:
            await asyncio.to_thread(file.truncate, offset)
            raise ProblemError("damaged", "Upload-Checksum: the bytes of this request have another SHA-256")
        return place
    finally:
        await asyncio.to_thread(file.close)


def _append(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()


async def _buffered(request: web.Request) -> AsyncIterator[bytes]:
    """Yield a body in pieces worth a write; what came before the line broke or we were stopped, too."""
    buffer = bytearray()
    try:
        async for data in request.content.iter_any():
            buffer += data
            if len(buffer) >= _BUFFER_BYTES:
                yield bytes(buffer)
                buffer.clear()
    except (OSError, web.RequestPayloadError, asyncio.CancelledError):
        if buffer:
            yield bytes(buffer)
        raise
    if buffer:
        yield bytes(buffer)


async def _drain(request: web.Request, limit: int) -> None:
    """Read a body that is not needed, so that the client hears the answer."""
    seen = 0
    async for data in request.content.iter_any():
        seen += len(data)
        if seen > limit:
            break


def _refusal(outcome: Outcome) -> web.Response:
    kind = "damaged" if outcome.damaged else "quarantined"
    return problem(kind, str(outcome.reason), {"Tus-Resumable": TUS_VERSION})


def _check_version(request: web.Request) -> None:
    if request.headers.get("Tus-Resumable") != TUS_VERSION:
        raise ProblemError(
            "tus-version", "Tus-Resumable: 1.0.0 is what is spoken here", {"Tus-Version": TUS_VERSION}
        )


def _check_content_type(request: web.Request) -> None:
    if request.content_type != OFFSET_STREAM:
        raise ProblemError("media-type", f"Content-Type: {request.content_type} is not {OFFSET_STREAM}")


def _number(headers: Mapping[str, str], name: str) -> int:
    text = headers.get(name, "")
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise RequestError(name, "is missing" if not text else f"{text[:40]!r} is no whole number")
    return int(text)


def _metadata(header: str) -> dict[str, bytes]:
    """Read `key base64,key base64`."""
    pairs = {}
    for item in filter(None, (item.strip() for item in header.split(","))):
        key, _, value = item.partition(" ")
        try:
            pairs[key] = base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise RequestError(f"Upload-Metadata.{key[:40]}", "is no base64") from error
    return pairs


def _checksum(header: str | None) -> bytes | None:
    if header is None:
        return None
    algorithm, _, value = header.partition(" ")
    if algorithm != "sha256":
        raise RequestError("Upload-Checksum", f"{algorithm[:40]!r} is not sha256")
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise RequestError("Upload-Checksum", "is no base64") from error


def _upload_of(request: web.Request) -> UploadName:
    """Return the upload that an address names."""
    stem, _, sha256 = request.match_info["stem"].rpartition("-")
    if not _SHA256.match(sha256):
        raise ProblemError("not-found", "the address of an upload ends with its SHA-256")
    camera = f"{request.match_info['bridge']}/{request.match_info['camera']}"
    try:
        frame = FrameName.parse(f"{camera}/{stem}")
    except ProtocolError as error:
        raise ProblemError("not-found", str(error)) from error
    return UploadName(frame=frame, sha256=sha256)
