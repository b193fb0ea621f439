"""A camera of Home Assistant's own, and a processor's door for its frames: a real socket that speaks tus."""

import asyncio
import base64
import contextlib
import hashlib
import io
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, override

from aiohttp import web
from homeassistant.components.camera import Camera
from homeassistant.components.image import ImageEntity
from homeassistant.config_entries import ConfigSubentry, ConfigSubentryData
from homeassistant.core import HomeAssistant
from PIL import Image
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.skylapse.brain.profiles import BUILT_IN_PROFILES
from custom_components.skylapse.brain.schedules import ScheduleSpec
from custom_components.skylapse.protocol.records import FrameRecord, read_record
from tests.integration.theatre import KEY

BEFORE = datetime(2026, 6, 21, 9, 59, 50, tzinfo=UTC)
NOON = datetime(2026, 6, 21, 10, 0, tzinfo=UTC)
"""Twelve o'clock in Vienna: the window begins."""
SCHEDULE = ScheduleSpec(id="noon", name="Noon", anchor="clock", at="12:00:00", duration_min=2, interval_s=20)
WINDOW = "noon-20260621"
CHATTER = -1
"""Instead of a status: an error whose words do not end."""

ALL_CHATTER = 64_000_000

_UPLOADS = "/api/v1/uploads"


def picture(number: int = 0, kind: str = "JPEG", size: tuple[int, int] = (64, 48)) -> bytes:
    """Return a small picture, another one for each number."""
    kept = io.BytesIO()
    Image.new("RGB", size, (number * 7 % 256, number // 256 % 256, 90)).save(kept, kind)
    return kept.getvalue()


def noise(size: tuple[int, int] = (640, 480)) -> bytes:
    """Return a picture that takes some hundred kilobytes."""
    kept = io.BytesIO()
    pixels = random.Random(1).randbytes(size[0] * size[1] * 3)
    Image.frombytes("RGB", size, pixels).save(kept, "JPEG", quality=90)
    return kept.getvalue()


class View(Camera):
    """A camera that shows what it is told to: a picture, a different one each time, an error, or nothing."""

    _attr_name = "Garden"
    _attr_should_poll = False
    _attr_unique_id: str | None = "garden"

    def __init__(self) -> None:
        super().__init__()
        self.shows: bytes | Exception | None = None
        self.present = True
        self.taken = 0
        self.at_once = 0
        """The most pictures that were ever asked for at the same time."""
        self.waiting: asyncio.Event | None = None
        """What a picture waits for, None where it comes at once."""
        self.asked = asyncio.Event()
        """Set when somebody asks for a picture."""
        self._asked = 0

    @property
    @override
    def available(self) -> bool:
        return self.present

    @override
    async def async_camera_image(self, width: int | None = None, height: int | None = None) -> bytes | None:
        self._asked += 1
        self.asked.set()
        self.at_once = max(self.at_once, self._asked)
        try:
            if self.waiting is not None:
                await self.waiting.wait()
        finally:
            self._asked -= 1
        if isinstance(self.shows, Exception):
            raise self.shows
        self.taken += 1
        return self.shows if self.shows is not None else picture(self.taken)


class Poster(ImageEntity):
    """An image of Home Assistant: a PNG, as graphs and maps are."""

    _attr_name = "Map"
    _attr_should_poll = False
    _attr_content_type = "image/png"

    @override
    async def async_image(self) -> bytes | None:
        return picture(5, "PNG", (30, 20))


class Depot:
    """Takes frames as the processor does; `answers` are given instead, one after the other."""

    def __init__(self) -> None:
        self.frames: list[tuple[FrameRecord, bytes]] = []
        self.answers: list[int] = []
        self.always: int | None = None
        self.refused: set[int] = set()
        """Numbers of frames that it will not have."""
        self.asked = 0
        self.meanwhile: Callable[[], object] | None = None
        """What happens while it takes a frame, None where nothing does."""
        self.taken: list[tuple[str, int]] = []
        """The requests that came, each with how many bytes were taken of it."""
        self.cuts: list[int] = []
        """After so many bytes the line breaks, once each."""
        self.offsets: list[int] = []
        """What it tells of an upload that is created, one after the other, instead of the truth."""
        self.location: str | None = None
        """Where it says that uploads stand, instead of the truth."""
        self.losses: list[int] = []
        """It has lost an upload when the next piece of it comes, and answers so, once each."""
        self.stuck = False
        """Whether it takes no piece of an upload that was begun."""
        self.chatter = 0
        """How many bytes it has said in answers that do not end."""
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._parts: dict[str, tuple[FrameRecord, bytearray]] = {}

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application(client_max_size=50_000_000)
        app.router.add_post(_UPLOADS, self._create)
        app.router.add_head(_UPLOADS + "/{part}", self._tell)
        app.router.add_patch(_UPLOADS + "/{part}", self._append)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close the socket."""
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def numbers(self) -> list[int]:
        """The numbers of the frames that came, in order."""
        return [record.seq for record, _ in self.frames]

    def forget(self) -> None:
        """Know nothing of uploads that were begun."""
        self._parts.clear()

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.meanwhile is not None:
            self.meanwhile()
        words = dict(pair.split(" ") for pair in request.headers["Upload-Metadata"].split(","))
        record = read_record(json.loads(base64.b64decode(words["record"])))
        assert base64.b64decode(words["sha256"]).decode() == record.sha256
        assert record.bytes == int(request.headers["Upload-Length"])
        status = self.answers.pop(0) if self.answers else self.always or 201
        if request.headers["Authorization"] != f"Bearer {KEY}":
            status = 401
        if status == CHATTER:
            return await self._chat(request)
        if status != 201 or record.seq in self.refused:
            await request.read()
            return web.json_response({"title": "no"}, status=status if status != 201 else 400)
        name = f"{record.seq}-{record.sha256}"
        if name not in self._parts or request.can_read_body:
            self._parts[name] = (record, bytearray())
        headers = {"Location": self.location or f"{_UPLOADS}/{name}"}
        return await self._receive(request, name, 201, headers)

    async def _tell(self, request: web.Request) -> web.Response:
        self.taken.append(("HEAD", 0))
        found = self._parts.get(request.match_info["part"])
        if found is None:
            return web.Response(status=404)
        return web.Response(headers={"Upload-Offset": str(len(found[1]))})

    async def _append(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        name = request.match_info["part"]
        if self.losses:
            await request.read()
            self.forget()
            return web.Response(status=self.losses.pop(0))
        if request.headers["Upload-Offset"] != str(len(self._parts[name][1])):
            return web.Response(status=409)
        return await self._receive(request, name, 204, {})

    async def _receive(
        self, request: web.Request, name: str, status: int, headers: dict[str, str]
    ) -> web.Response:
        """Take the body of a request, or as much of it as comes before the line breaks."""
        record, part = self._parts[name]
        if self.cuts and request.can_read_body:
            data = await request.content.readexactly(self.cuts.pop(0))
            assert request.transport is not None
            request.transport.abort()
        else:
            data = await request.read()
            assert base64.b64decode(request.headers.get("Upload-Checksum", "")[7:]) in (
                b"",
                hashlib.sha256(data).digest(),
            )
        if not self.stuck:
            part += data
        self.taken.append((request.method, len(data)))
        is_answered = request.transport is not None and not request.transport.is_closing()
        if is_answered and hashlib.sha256(part).hexdigest() == record.sha256:
            self.frames.append((record, bytes(part)))
        offset = self.offsets.pop(0) if self.offsets else len(part)
        return web.Response(status=status, headers={**headers, "Upload-Offset": str(offset)})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        """Refuse in words without end, as far as anybody listens."""
        await request.read()
        answer = web.StreamResponse(status=500)
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            while self.chatter < ALL_CHATTER:
                await answer.write(b"no " * 20_000)
                self.chatter += 60_000
        return answer


def subentries(*sources: tuple[str, str]) -> list[ConfigSubentryData]:
    """Return the profiles, one schedule at noon, and sources: name and entity of each."""
    profiles = [
        ConfigSubentryData(data=spec.write(), subentry_type="profile", title=spec.name, unique_id=spec.id)
        for spec in BUILT_IN_PROFILES
    ]
    schedule = ConfigSubentryData(
        data=SCHEDULE.write(), subentry_type="schedule", title=SCHEDULE.name, unique_id=SCHEDULE.id
    )
    cameras = [source(name, entity) for name, entity in sources]
    return [*profiles, schedule, *cameras]


def source(name: str, entity: str) -> ConfigSubentryData:
    """Return a source as its form keeps it."""
    data: dict[str, Any] = {"entity": entity, "width": 64, "height": 48}
    return ConfigSubentryData(data=data, subentry_type="source", title=name, unique_id=name.lower())


def add_source(hass: HomeAssistant, entry: MockConfigEntry, name: str, entity: str) -> None:
    """Add a source to an entry, as its form does."""
    kept = source(name, entity)
    hass.config_entries.async_add_subentry(
        entry,
        ConfigSubentry(
            data=MappingProxyType(dict(kept["data"])),
            subentry_type=kept["subentry_type"],
            title=kept["title"],
            unique_id=kept["unique_id"],
        ),
    )


def subentry_of(entry: MockConfigEntry, unique_id: str) -> str:
    """Return the id of a subentry."""
    found: str = next(each.subentry_id for each in entry.subentries.values() if each.unique_id == unique_id)
    return found


async def settle(hass: HomeAssistant) -> None:
    """Let everything that is under way come to its end."""
    await hass.async_block_till_done(wait_background_tasks=True)


async def let_it_be(hass: HomeAssistant, freezer: Any, moment: datetime) -> None:
    """Let it be this moment, and what is due happen."""
    freezer.move_to(moment)
    async_fire_time_changed(hass, moment)
    await settle(hass)
