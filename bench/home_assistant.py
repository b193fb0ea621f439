"""The integration in a real Home Assistant on a real broker: fifty cameras, ten thousand films, a rush.

Home Assistant is as people have it, its log too: it tells of warnings and errors, for that is its default. At
level `info` it writes a line for every entity that is new, and a first set-up takes about a tenth longer.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from aiohttp import web
from paho.mqtt.enums import CallbackAPIVersion

from demo.broker import Broker
from demo.flows import add_mqtt, confirm_discovery, reconfigure_subentry
from demo.home_assistant import PYTHON, STUBS, HomeAssistant, HomeAssistantError, Place
from demo.processes import REPOSITORY, Program, free_port
from demo.waiting import until
from skylapse_protocol import SCHEMA_MAX, SCHEMA_MIN
from skylapse_protocol.codec import write
from skylapse_protocol.messages import (
    BridgeAnnounce,
    BridgeHealth,
    CameraInfo,
    CameraState,
    Counts,
    Film,
    Host,
    ProcessorAnnounce,
    StoreState,
)
from skylapse_protocol.topics import (
    ANNOUNCE,
    AVAILABILITY,
    HEALTH,
    PREVIEW,
    PROCESSOR_ANNOUNCE,
    PROCESSOR_AVAILABILITY,
    STATE,
    STORE_STATE,
    Topic,
    encode,
)

from .figures import Figure

BRIDGES, CAMERAS_EACH = 10, 5
FEWEST_EACH = 20
"""A camera has more entities than these."""
FILMS = 10_000
RATE_HZ, BUSY_S = 1000, 10
PLACE = Place(latitude=47.27, longitude=11.4, elevation_m=600, time_zone="Europe/Vienna")
KEY = "0123456789abcdef" * 4
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 120 + b"\xff\xd9"
"""As long as a preview is."""
NEWEST = date(2026, 11, 1)
FOLDERS = ("", "films", "films/b0/c0", "films/b0/c0/2026", "films/b0/c0/2026-10", "films/b0/c0/2026-10-31")
SEARCHES = ("sunset", "last week", "2026-06", "june", "camera 3 clean 2025", "nothing that there is", "")
SETTLED_S = 6.0
"""Home Assistant is through with what a new entry sets off."""
LEFT_S = 2.0
"""Home Assistant has unsubscribed, so that all of the fifty cameras is retained, as it is where it starts."""
_PAGE = 200
_SERENE = "autosave_on_changes false\nlog_type error\n"
"""As brokers are in houses: what is kept is not written at every message."""


def run(work: Path) -> list[Figure]:
    """Measure the integration."""
    return asyncio.run(_run(work))


async def _run(work: Path) -> list[Figure]:
    broker = Broker(work / "broker", extra=_SERENE)
    broker.start()
    speaker = Speaker(broker.port)
    try:
        async with _library() as url, _house(work, broker) as house:
            speaker.introduce_processor(url)
            entry = await confirm_discovery(house, "skylapse", {"processor_key": KEY})
            await asyncio.sleep(SETTLED_S)
            await house.post("/api/bench/unload", {})
            await asyncio.sleep(LEFT_S)
            speaker.introduce_cameras()
            return [
                *await _set_up(house),
                *await _busy(house, speaker),
                *await _media(house),
                await _first_image(house, speaker),
                await _edited(house, speaker, entry),
            ]
    finally:
        speaker.stop()
        broker.stop()


class Speaker:
    """Speaks for all bridges and the processor, and hears what is deployed to them."""

    def __init__(self, port: int) -> None:
        self.cameras = [(f"b{b}", f"c{c}") for b in range(BRIDGES) for c in range(CAMERAS_EACH)]
        self.plans: dict[str, tuple[float, bytes]] = {}
        """By topic the last plan, and when it came."""
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.on_message = self._hear
        self._client.on_connect = lambda client, *_: client.subscribe([("skylapse/+/+/plan/set", 1)])
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def stop(self) -> None:
        """Go away."""
        self._client.disconnect()
        self._client.loop_stop()

    def say(self, row: Topic[Any], message: Any, **ids: str) -> paho.MQTTMessageInfo:
        """Publish one message as its sender does."""
        return self._client.publish(row.name(**ids), encode(row, message), row.qos, row.retained)

    def introduce_processor(self, url: str) -> None:
        """Announce the processor."""
        self.say(PROCESSOR_ANNOUNCE, _processor(url))
        self.say(PROCESSOR_AVAILABILITY, "online")

    def introduce_cameras(self) -> None:
        """Say everything that is retained of fifty cameras, and wait until the broker has it."""
        said = []
        for bridge in sorted({bridge for bridge, _ in self.cameras}):
            said.append(self.say(ANNOUNCE, _bridge(bridge), bridge=bridge))
            said.append(self.say(AVAILABILITY, "online", bridge=bridge))
            health = BridgeHealth(at=datetime.now(UTC), uptime_s=1000.0, cpu_temperature_c=48.0, load=0.4)
            said.append(self.say(HEALTH, health, bridge=bridge))
        for bridge, camera in self.cameras:
            said.append(self.say(STATE, _state(0), bridge=bridge, camera=camera))
            store = StoreState(day=NEWEST.isoformat(), frames_today=100, frames=1000)
            said.append(self.say(STORE_STATE, store, bridge=bridge, camera=camera))
        for each in said:
            each.wait_for_publish(10)

    def hurry(self) -> int:
        """Publish states at a steady rate for some seconds; return the number of the last."""
        started = time.monotonic()
        for number in range(RATE_HZ * BUSY_S):
            bridge, camera = self.cameras[number % len(self.cameras)]
            self.say(STATE, _state(number), bridge=bridge, camera=camera)
            ahead = started + (number + 1) / RATE_HZ - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
        return number

    def _hear(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self.plans[message.topic] = time.monotonic(), bytes(message.payload)


async def _set_up(house: HomeAssistant) -> list[Figure]:
    """Set up fifty cameras that were never seen, and again as after a start of Home Assistant."""
    figures: list[Figure] = []
    for when in ("for the first time", "known from before"):
        if figures:
            await house.post("/api/bench/unload", {})
        done = await house.post("/api/bench/set_up", {})
        if not done["ok"] or done["entities"] < FEWEST_EACH * BRIDGES * CAMERAS_EACH:
            raise SystemExit(f"bench: the entry was not set up: {done}")
        what = f"{BRIDGES * CAMERAS_EACH} cameras, {done['entities']} entities, {when}"
        figures += [
            Figure(figure=f"set-up → {what}", value=round(done["seconds"], 2), unit="s", bound=1.0),
            Figure(figure=f"processor time of that, {when}", value=round(done["cpu_s"], 2), unit="s"),
        ]
    return figures


async def _busy(house: HomeAssistant, speaker: Speaker) -> list[Figure]:
    """Let a thousand states a second come in, and watch by how much the event loop falls behind."""
    await asyncio.sleep(SETTLED_S)
    watching = asyncio.create_task(house.post("/api/bench/lag", {"seconds": BUSY_S + 1}))
    last = await asyncio.to_thread(speaker.hurry)
    seen = await watching

    async def all_heard() -> bool:
        captured: dict[str, int] = await house.post("/api/bench/captured", {})
        return max(captured.values()) == last

    behind = time.monotonic()
    await until(all_heard, timeout_s=60, what="every state to be heard")
    what = f"{RATE_HZ} states a second for {BUSY_S} s"
    return [
        Figure(
            figure=f"event loop late at worst, {what}",
            value=round(1000 * seen["worst_s"], 1),
            unit="ms",
            bound=50,
        ),
        Figure(figure=f"event loop late, 99 of 100, {what}", value=round(1000 * seen["p99_s"], 1), unit="ms"),
        Figure(
            figure=f"processor time of Home Assistant, {what}",
            value=round(100 * seen["cpu_s"] / (BUSY_S + 1), 1),
            unit="%",
        ),
        Figure(
            figure=f"last state heard, after the watch over {what}",
            value=round(time.monotonic() - behind, 2),
            unit="s",
        ),
    ]


async def _media(house: HomeAssistant) -> list[Figure]:
    """Browse and search ten thousand films; the slowest of each counts."""
    browsed = [
        await house.post("/api/bench/browse", {"media": f"media-source://skylapse/{folder}".rstrip("/")})
        for folder in FOLDERS
    ]
    found = [
        await house.post("/api/bench/search", {"media": "media-source://skylapse", "query": query})
        for query in SEARCHES
    ]
    if not browsed[-1]["answer"]["children"] or not found[0]["answer"]["result"]:
        raise SystemExit("bench: the films are not there")
    return [
        Figure(
            figure=f"{what} among {FILMS} films, the slowest of {len(times)}",
            value=round(1000 * max(each["seconds"] for each in times), 1),
            unit="ms",
            bound=bound,
        )
        for what, times, bound in (("browsing", browsed, 100), ("searching", found, 200))
    ]


async def _first_image(house: HomeAssistant, speaker: Speaker) -> Figure:
    """Publish a camera's first preview and fetch it from Home Assistant as soon as that says there is one."""
    bridge, camera = speaker.cameras[-1]
    async with await house.connect() as page:
        await page.ask("subscribe_events", event_type="state_changed")
        started = time.monotonic()
        speaker.say(PREVIEW, JPEG, bridge=bridge, camera=camera)
        while True:
            said = (await page.event())["data"]
            is_image = said["entity_id"].startswith("image.") and said["new_state"]
            if is_image and (address := said["new_state"]["attributes"].get("entity_picture")):
                status, body, _ = await house.fetch(address)
                if status == web.HTTPOk.status_code and body == JPEG:
                    break
    return Figure(
        figure="preview on MQTT → picture fetched",
        value=round(time.monotonic() - started, 3),
        unit="s",
        bound=2.0,
    )


async def _edited(house: HomeAssistant, speaker: Speaker, entry: str) -> Figure:
    """Change a window in its form, and wait until every bridge has its new plan."""
    everybody = len(speaker.cameras)
    await until(lambda: len(speaker.plans) == everybody, timeout_s=60, what="the first plans")
    before = {topic: payload for topic, (_, payload) in speaker.plans.items()}
    started = time.monotonic()
    await reconfigure_subentry(house, entry, "schedule", "Sunset", interval_s=21)

    def changed() -> list[float] | None:
        came = [at for topic, (at, payload) in speaker.plans.items() if payload != before[topic]]
        return came if len(came) == everybody else None

    came = await until(changed, timeout_s=60, what="the new plans")
    return Figure(
        figure=f"window edited in its form → the last of {everybody} bridges' cameras has it",
        value=round(max(came) - started, 2),
        unit="s",
        bound=2.0,
    )


@asynccontextmanager
async def _house(work: Path, broker: Broker) -> AsyncIterator[HomeAssistant]:
    """A real Home Assistant with its own MQTT on the broker."""
    house = HomeAssistant(work / "house", place=PLACE)
    house.prepare()
    house.program = Program(
        "home-assistant",
        [str(PYTHON), "-m", "bench.house_probe", str(house.folder)],
        log_path=work / "home-assistant.log",
        environment={"SETUP_PORT": str(house.port), "PYTHONPATH": f"{STUBS}:{REPOSITORY}"},
        folder=work,
    )
    try:
        await house.start()
        await house.onboard()
        await add_mqtt(house, host=broker.host, port=broker.port)
        yield house
    except HomeAssistantError:
        print(house.program.tail(60))
        raise
    finally:
        await house.stop()


@asynccontextmanager
async def _library() -> AsyncIterator[str]:
    """The lists of a processor that has ten thousand films; yields its address."""
    films = [write(each) for each in _films()]

    async def page(request: web.Request) -> web.Response:
        start = int(request.query.get("cursor", "0"))
        more = str(start + _PAGE) if start + _PAGE < FILMS else None
        return web.json_response({"items": films[start : start + _PAGE], "next": more})

    async def nothing(_request: web.Request) -> web.Response:
        return web.json_response({"items": [], "next": None})

    app = web.Application()
    app.router.add_get("/api/v1/films", page)
    app.router.add_get("/api/v1/{anything:.*}", nothing)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def _films() -> list[Film]:
    """Ten thousand films: two a day of each of ten cameras, over one year and more."""
    made: list[Film] = []
    for number in range(FILMS):
        day, place = NEWEST - timedelta(days=number // 20), number % 20
        bridge, profile = f"b{place % BRIDGES}", "fd"[place // BRIDGES]
        film = f"{number:016x}"
        base = f"/api/v1/films/{film}"
        made.append(
            Film(
                id=film,
                change="added",
                camera=f"{bridge}/c0",
                day=day.isoformat(),
                window=f"sunset-{day:%Y%m%d}",
                schedule="sunset",
                profile=profile,
                recipe="clean",
                title=f"Camera {place % BRIDGES} · Sunset · {day.isoformat()}",
                frames=240,
                duration_s=10.0,
                rate=24.0,
                width=1920,
                height=1080,
                bytes=5_000_000 + number,
                flicker_mev=1.2,
                created_at=datetime(day.year, day.month, day.day, 20, tzinfo=UTC) + timedelta(seconds=place),
                poster=f"{base}/poster",
                thumb=f"{base}/thumb",
                video=f"{base}/video",
            )
        )
    return made


def _bridge(bridge: str) -> BridgeAnnounce:
    west = CameraInfo(
        id="c0",
        name="c0",
        model="imx519",
        driver="twin",
        width=1920,
        height=1080,
        min_exposure_us=100,
        max_exposure_us=10_000_000,
        min_gain=1.0,
        max_gain=16.0,
        controls_exposure=True,
    )
    return BridgeAnnounce(
        bridge=bridge,
        name=f"Bridge {bridge}",
        software="0.1.0",
        schema_min=SCHEMA_MIN,
        schema_max=SCHEMA_MAX,
        boot_id=f"boot-{bridge}",
        host=Host(model="Raspberry Pi 4", os="Debian 13", python="3.13"),
        cameras=tuple(
            replace(west, id=f"c{number}", name=f"Camera {bridge} {number}") for number in range(CAMERAS_EACH)
        ),
    )


def _processor(url: str) -> ProcessorAnnounce:
    return ProcessorAnnounce(
        processor="house",
        name="House",
        software="0.1.0",
        schema_min=SCHEMA_MIN,
        schema_max=SCHEMA_MAX,
        boot_id="boot-p",
        base_url=url,
    )


def _state(number: int) -> CameraState:
    """What a busy camera says: something is new in each."""
    return CameraState(
        mode="deployed",
        capturing=True,
        active_window="sunset-20261101",
        next_capture_at=datetime(2026, 11, 1, 16, tzinfo=UTC) + timedelta(seconds=number),
        counts=Counts(captured=number, delivered=number),
    )
