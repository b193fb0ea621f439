"""A small tus server that keeps frames in memory and fails on request."""

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

KEY = "the-key"
Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


@dataclass
class Upload:
    """One upload under way or whole."""

    length: int
    sha256: str
    record: dict[str, Any]
    data: bytearray = field(default_factory=bytearray)
    committed: bool = False
    """The answer to the last bytes was reached; a fault that keeps bytes is killed before that."""

    @property
    def whole(self) -> bool:
        """All bytes are there, are the right ones, and were committed."""
        return (
            self.committed
            and len(self.data) == self.length
            and hashlib.sha256(self.data).hexdigest() == self.sha256
        )


class TusServer:
    """Start it, deliver to `url`, look into `frames` and `requests`."""

    def __init__(self) -> None:
        self.uploads: list[Upload] = []
        self.requests: list[tuple[str, int]] = []
        """Method and size of the body of each request."""
        self.faults: list[Fault] = []
        """One is taken for each request; it may answer instead."""
        self.standing_fault: Fault | None = None
        application = web.Application(middlewares=[self._fail])
        application.router.add_post("/api/v1/uploads", self._create)
        application.router.add_route("HEAD", "/api/v1/uploads/{number}", self._head)
        application.router.add_patch("/api/v1/uploads/{number}", self._patch)
        self._server = TestServer(application)

    async def start(self) -> None:
        """Listen on a free loopback port."""
        await self._server.start_server()

    async def stop(self) -> None:
        """Stop listening."""
        await self._server.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return str(self._server.make_url("")).rstrip("/")

    @property
    def frames(self) -> list[int]:
        """The numbers of all whole frames, in the order of their creation."""
        return [upload.record["seq"] for upload in self.uploads if upload.whole]

    @web.middleware
    async def _fail(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.requests.append((request.method, request.content_length or 0))
        fault = self.faults.pop(0) if self.faults else self.standing_fault
        if fault is not None:
            answer = await fault(request)
            if answer is not None:
                return answer
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.Response(status=401, text="a key is needed")
        return await handler(request)

    async def _create(self, request: web.Request) -> web.Response:
        metadata = dict(pair.split(" ") for pair in request.headers["Upload-Metadata"].split(","))
        upload = Upload(
            length=int(request.headers["Upload-Length"]),
            sha256=base64.b64decode(metadata["sha256"]).decode(),
            record=json.loads(base64.b64decode(metadata["record"])),
        )
        self.uploads.append(upload)
        number = len(self.uploads) - 1
        await self._take(request, upload)
        return web.Response(
            status=201,
            headers={"Location": f"/api/v1/uploads/{number}", "Upload-Offset": str(len(upload.data))},
        )

    async def _head(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        return web.Response(headers={"Upload-Offset": str(len(self.uploads[number].data))})

    async def _patch(self, request: web.Request) -> web.Response:
        upload = self.uploads[int(request.match_info["number"])]
        if int(request.headers["Upload-Offset"]) != len(upload.data):
            return web.Response(status=409)
        await self._take(request, upload)
        return web.Response(status=204, headers={"Upload-Offset": str(len(upload.data))})

    async def _take(self, request: web.Request, upload: Upload) -> None:
        body = await request.read()
        if body:
            algorithm, digest = request.headers["Upload-Checksum"].split(" ")
            assert algorithm == "sha256"
            assert base64.b64decode(digest) == hashlib.sha256(body).digest()
        upload.data += body
        upload.committed = len(upload.data) == upload.length


def answering(status: int) -> Fault:
    """A fault that answers with a status and does nothing."""

    async def fault(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=status, text="as the test wants")

    return fault


def hanging_up(server: TusServer, *, after: int | None = None) -> Fault:
    """A fault that cuts the connection; `after` so many bytes of a PATCH were kept."""

    async def fault(request: web.Request) -> None:
        if after is not None:
            upload = server.uploads[int(request.match_info["number"])]
            upload.data += await request.content.readexactly(after)
        assert request.transport is not None
        request.transport.abort()
        raise ConnectionResetError

    return fault
