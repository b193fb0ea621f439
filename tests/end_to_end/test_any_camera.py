"""A camera that Home Assistant has already: photographed, kept without a processor, made into a film."""

import asyncio
import hashlib
import io
import re
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import av
import pytest
import pytest_asyncio
from PIL import Image, ImageDraw

from demo.films import browse_films, fetch_film
from demo.flows import add_entry, add_mqtt, add_subentry, confirm_discovery
from demo.home_assistant import HomeAssistant
from demo.rig import Rig, died
from demo.store import Store
from demo.sunset import LAKE
from demo.waiting import until
from demo.watch import Watch
from skylapse_protocol.messages import Film
from tests.end_to_end.conftest import KEPT
from tests.end_to_end.test_demo import ABOUT_SKYLAPSE, COMPLAINTS

pytestmark = pytest.mark.asyncio(loop_scope="session")

CAMERA = "home_assistant/yard"
AGO = timedelta(seconds=5)
"""The window is under way when the camera is added."""
WINDOW_S = 150.0
FILM_S = 120.0


class Yard:
    """A file that shows another picture every quarter of a second, as a camera's snapshot does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown: set[str] = set()
        self._number = 0
        self._next: asyncio.TimerHandle | None = None

    def stop(self) -> None:
        """Stand still."""
        if self._next is not None:
            self._next.cancel()

    def paint(self) -> None:
        """Show another picture, and go on."""
        self._paint()
        self._next = asyncio.get_running_loop().call_later(0.25, self.paint)

    def _paint(self) -> None:
        self._number += 1
        shown = Image.new("RGB", (640, 360), (110, 150, 190))
        draw = ImageDraw.Draw(shown)
        draw.rectangle((0, 240, 640, 360), fill=(70, 90, 60))
        left = self._number * 3 % 560
        draw.ellipse((left, 60, left + 80, 140), fill=(240, 220, 150))
        kept = io.BytesIO()
        shown.save(kept, "JPEG", quality=90)
        self.shown.add(hashlib.sha256(kept.getvalue()).hexdigest())
        aside = self.path.with_suffix(".part")
        aside.write_bytes(kept.getvalue())
        aside.replace(self.path)


class Place:
    """Broker, processor and a Home Assistant with a camera of its own; no bridge at all."""

    def __init__(self, folder: Path) -> None:
        self.rig = Rig(folder, bridge="none")
        self.house = HomeAssistant(folder / "home-assistant", place=LAKE)
        self.watch = Watch(self.house)
        self.store = Store(self.rig.url)
        self.yard = Yard(folder / "home-assistant/media/yard.jpg")
        self.ends_at = datetime.max.replace(tzinfo=UTC)

    async def start(self) -> None:
        """Start everything and add Skylapse, the camera, and a window that has begun."""
        self.rig.folder.mkdir(parents=True)
        self.rig.broker.start()
        self.rig.start_processor()
        await self.store.start(self.rig.key_of("test"))
        self.house.prepare()
        self.yard.paint()
        await self.house.start()
        await self.house.onboard()
        await add_mqtt(self.house, host=self.rig.broker.host, port=self.rig.broker.port)
        key = {"processor_key": self.rig.key_of("home-assistant")}
        entry = await confirm_discovery(self.house, "skylapse", key)
        await self.watch.start()
        await add_entry(self.house, "local_file", name="Yard", file_path=str(self.yard.path))
        await add_subentry(self.house, entry, "source", entity="camera.yard", name="Yard")
        begins = datetime.now(ZoneInfo(LAKE.time_zone)) - AGO
        self.ends_at = begins.replace(microsecond=0) + timedelta(minutes=1)
        await add_subentry(
            self.house,
            entry,
            "schedule",
            name="Minute",
            anchor="clock",
            at=f"{begins:%H:%M:%S}",
            offset_min=0,
            duration_min=1,
            interval_s=1,
            profiles=["f"],
        )

    async def stop(self) -> None:
        """End everything that was started."""
        self.yard.stop()
        await self.watch.stop()
        await self.store.stop()
        await self.house.stop()
        self.rig.stop()

    def captured(self) -> int:
        """How many frames the camera took, by its own word."""
        died(self.house.program)
        state = self.watch.heard.cameras.get(CAMERA)
        return state.counts.captured if state else 0

    def delivered(self) -> bool:
        """Tell whether the window is over and nothing waits any more."""
        state = self.watch.heard.cameras.get(CAMERA)
        ended = state is not None and any(each.schedule == "minute" for each in state.ended_windows)
        return state is not None and ended and state.counts.pending == 0

    async def of_the_window(self) -> list[dict[str, Any]]:
        """Return the frames of the window; by day, others follow."""
        return [item async for item in self.store.frames(CAMERA) if item["schedule"] == "minute"]

    def film(self) -> Film | None:
        """Return the film of the window."""
        films = self.watch.heard.films.values()
        return next((film for film in films if film.camera == CAMERA and film.schedule == "minute"), None)


@pytest_asyncio.fixture(loop_scope="session")
async def place() -> AsyncIterator[Place]:
    """A house with a camera, which begins to photograph."""
    folder = KEPT / "any-camera"
    shutil.rmtree(folder, ignore_errors=True)
    made = Place(folder)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


async def test_a_camera_of_home_assistant_becomes_a_film(place: Place) -> None:
    await until(lambda: place.captured() >= 5, timeout_s=WINDOW_S, what="the first frames")
    await asyncio.to_thread(place.rig.processor.stop)
    before = place.captured()
    await until(lambda: place.captured() >= before + 5, timeout_s=WINDOW_S, what="frames without a processor")
    await asyncio.to_thread(place.rig.start_processor)
    await until(place.delivered, timeout_s=WINDOW_S, what="the end of the window")

    async def nothing_lost() -> bool:
        counts = place.watch.heard.cameras[CAMERA].counts
        return counts.captured == counts.delivered == await place.store.stored(CAMERA)

    await until(nothing_lost, what="every frame in the store, of whatever window")
    ended = next(
        each for each in place.watch.heard.cameras[CAMERA].ended_windows if each.schedule == "minute"
    )
    items = await place.of_the_window()
    assert (len(items), ended.dropped) == (ended.captured, 0)
    due_s = (place.ends_at - datetime.fromisoformat(items[0]["captured_at"])).total_seconds()
    assert before + 5 <= ended.captured <= due_s + 1
    for item in items:
        picture = await place.store.body(f"/api/v1/frames/{item['frame']}")
        assert hashlib.sha256(picture).hexdigest() in place.yard.shown

    async def whole() -> Film | None:
        fit = [item for item in await place.of_the_window() if item["state"] == "good"]
        film = place.film()
        return film if film is not None and film.frames == len(fit) > before else None

    film = await until(whole, timeout_s=FILM_S, what="the film of all pictures, none of them shown twice")
    (shown,) = [each for each in await browse_films(place.house) if film.id in each.media_id]
    with av.open(io.BytesIO(await fetch_film(place.house, shown)), "r") as opened:
        assert len(list(opened.decode(video=0))) == film.frames
    log = place.house.program.log()
    entries = [entry for entry in re.split(r"\n(?=\d{4}-\d{2}-\d{2} )", log) if ABOUT_SKYLAPSE.search(entry)]
    assert entries
    assert [entry for entry in entries if COMPLAINTS.search(entry) or " ERROR " in entry] == []
