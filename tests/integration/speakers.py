"""Bridge and processor as Home Assistant hears them: messages written by the contract itself."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import async_fire_mqtt_message

from custom_components.skylapse.protocol import topics
from custom_components.skylapse.protocol.messages import (
    BridgeAnnounce,
    BridgeHealth,
    CameraEvent,
    CameraInfo,
    CameraState,
    Counts,
    Film,
    Host,
    JobState,
    ProcessorAnnounce,
    ProcessorHealth,
    Reading,
    Reply,
    Result,
    StoreState,
)
from custom_components.skylapse.protocol.records import FrameRecord
from tests.integration.theatre import FakeProcessor

CAMERA = "roof/west"
NOW = datetime(2026, 6, 21, 18, 0, tzinfo=UTC)
JPEG = b"\xff\xd8\xff\xe0 a preview \xff\xd9"

WEST = CameraInfo(
    id="west",
    name="West",
    model="imx519",
    driver="twin",
    width=1920,
    height=1080,
    min_exposure_us=100,
    max_exposure_us=10_000_000,
    min_gain=1.0,
    max_gain=16.0,
    controls_exposure=True,
    focus=True,
    max_dioptre=10.0,
)
ANNOUNCE = BridgeAnnounce(
    bridge="roof",
    name="Roof",
    software="0.1.0",
    schema_min=1,
    schema_max=1,
    boot_id="boot-1",
    host=Host(
        model="Raspberry Pi 4",
        os="Debian 12",
        python="3.11",
        serial="100000003d1d1c36",
        mac="dc:a6:32:01:02:03",
    ),
    cameras=(WEST,),
)
HEALTH = BridgeHealth(
    at=NOW,
    uptime_s=3600.0,
    cpu_temperature_c=48.5,
    load=0.4,
    memory_used_percent=31.0,
    disk_free_bytes=20_000_000_000,
    disk_total_bytes=32_000_000_000,
    spool_frames=3,
    spool_bytes=9_000_000,
    oldest_undelivered_at=NOW,
    buffer_hours_left=52.0,
    clock_offset_s=0.012,
    throttled=False,
    uplink="processor",
)
STATE = CameraState(
    mode="deployed",
    capturing=True,
    active_window="sunset-20260621",
    snapshot_version=1,
    plan_revision=1,
    next_capture_at=datetime(2026, 6, 21, 18, 0, 15, tzinfo=UTC),
    counts=Counts(captured=240, delivered=236, pending=3, dropped=1),
)
READING = Reading(
    at=NOW,
    lux=812.5,
    scene_ev=9.4,
    clipped_low=0.0,
    clipped_high=0.01,
    mean_linear=0.18,
    colour_temperature_k=4900,
)
FRAME = FrameRecord(
    bridge="roof",
    camera="west",
    spool="00112233445566ff",
    seq=240,
    boot_id="boot-1",
    monotonic_ns=1,
    clock_synced=True,
    captured_at=NOW,
    day="2026-06-21",
    window="sunset-20260621",
    schedule="sunset",
    profile="f",
    exposure_us=12_500,
    analogue_gain=2.0,
    digital_gain=1.01,
    colour_temperature_k=5500,
    lux=810.0,
    width=1920,
    height=1080,
    bytes=400_000,
    sha256="a" * 64,
)
FILM = Film(
    id="00000000000000f1",
    change="added",
    camera=CAMERA,
    day="2026-06-21",
    window="sunset-20260621",
    schedule="sunset",
    profile="f",
    recipe="clean",
    title="Sunset, West, 21 June 2026",
    frames=240,
    duration_s=10.0,
    rate=24.0,
    width=1920,
    height=1080,
    bytes=5_000_000,
    flicker_mev=1.2,
    created_at=datetime(2026, 6, 21, 20, 0, tzinfo=UTC),
    poster="/api/v1/films/00000000000000f1/poster",
    thumb="/api/v1/films/00000000000000f1/thumb",
    video="/api/v1/films/00000000000000f1/video",
)

KEOGRAM = Result(
    id="00000000000000d1",
    change="added",
    kind="keogram",
    camera=CAMERA,
    day="2026-06-21",
    title="West · Keogram · 21 June 2026",
    created_at=datetime(2026, 6, 21, 19, 0, tzinfo=UTC),
    width=1440,
    height=1080,
    bytes=300_000,
    frames=240,
    picture="/api/v1/results/00000000000000d1/picture?v=1",
    thumb="/api/v1/results/00000000000000d1/thumb?v=1",
)


class Bridge:
    """Speaks for a bridge and its camera."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.hass = hass
        self.announce = ANNOUNCE

    async def say(self, row: topics.Topic[Any], message: Any, *, retain: bool = False, **ids: str) -> None:
        """Publish one message, or the empty one; `retain` only as a broker does to new subscribers."""
        names = {"bridge": "roof"} if row.sender == "bridge" else {}
        names |= {"camera": "west"} if "{camera}" in row.path else {}
        topic = row.name(**{**names, **ids})
        payload = b"" if message is None else topics.encode(row, message, topic)
        async_fire_mqtt_message(self.hass, topic, payload, retain=retain)
        await self.hass.async_block_till_done(wait_background_tasks=True)

    async def arrive(self, **changes: Any) -> None:
        """Announce and come online."""
        self.announce = replace(self.announce, **changes)
        await self.say(topics.ANNOUNCE, self.announce, bridge=self.announce.bridge)
        await self.say(topics.AVAILABILITY, "online", bridge=self.announce.bridge)

    async def tell_all(self) -> None:
        """Say everything that a bridge says."""
        await self.arrive()
        await self.say(topics.STATE, STATE)
        await self.say(topics.HEALTH, HEALTH)
        await self.say(topics.READING, READING)
        await self.say(topics.FRAME, FRAME)
        await self.say(topics.PREVIEW, JPEG)

    async def tell(self, row: topics.Topic[Any], message: Any) -> None:
        """Publish one message, without waiting for whoever waits for it."""
        topic = row.name(**({"camera": "west"} if "{camera}" in row.path else {}), bridge="roof")
        async_fire_mqtt_message(self.hass, topic, topics.encode(row, message, topic))
        await asyncio.sleep(0)

    async def happen(self, kind: Any, **details: Any) -> None:
        """Tell of an event."""
        await self.say(topics.EVENT, CameraEvent(at=NOW, type=kind, **details))

    async def reply(self, reply: Reply) -> None:
        """Answer a command, without waiting for whoever waits for it."""
        async_fire_mqtt_message(self.hass, "skylapse/roof/west/reply", topics.encode(topics.REPLY, reply))
        await asyncio.sleep(0)


class Processor:
    """Speaks for the processor."""

    def __init__(self, hass: HomeAssistant, server: FakeProcessor) -> None:
        self.hass = hass
        self.server = server

    async def say(self, row: topics.Topic[Any], message: Any, **ids: str) -> None:
        """Publish one message, or the empty one, and let Home Assistant take it in."""
        topic = row.name(**ids)
        payload = b"" if message is None else topics.encode(row, message, topic)
        async_fire_mqtt_message(self.hass, topic, payload)
        await self.hass.async_block_till_done(wait_background_tasks=True)

    async def tell(self, row: topics.Topic[Any], message: Any) -> None:
        """Publish one message, without waiting for whoever waits for it."""
        async_fire_mqtt_message(self.hass, row.name(), topics.encode(row, message))
        await asyncio.sleep(0)

    def announce(self, software: str = "0.1.0") -> None:
        """Publish the announce, and wait for nobody."""
        announce = ProcessorAnnounce(
            processor="house",
            name="House",
            software=software,
            schema_min=1,
            schema_max=1,
            boot_id="boot-p",
            base_url=self.server.url,
        )
        payload = topics.encode(topics.PROCESSOR_ANNOUNCE, announce)
        async_fire_mqtt_message(self.hass, "skylapse/processor/announce", payload)

    async def arrive(self, software: str = "0.1.0") -> None:
        """Announce and come online."""
        self.announce(software)
        await self.say(topics.PROCESSOR_AVAILABILITY, "online")

    async def tell_all(self) -> None:
        """Say everything that a processor says of one camera and one film."""
        await self.arrive()
        await self.say(
            topics.PROCESSOR_HEALTH,
            ProcessorHealth(
                at=NOW,
                uptime_s=7200.0,
                queue_depth=1,
                current_job="job-1",
                current_job_percent=40.0,
                films=1,
                frames=236,
                storage_used_bytes=5_000_000_000,
                storage_free_bytes=95_000_000_000,
                storage_total_bytes=100_000_000_000,
            ),
        )
        await self.say(
            topics.STORE_STATE,
            StoreState(
                day="2026-06-21",
                frames_today=236,
                frames=236,
                last_frame=str(FRAME.name),
                lens="clear",
                sunset_score=0.73,
            ),
            bridge="roof",
            camera="west",
        )
        await self.film(FILM)

    async def film(self, film: Film) -> None:
        """Tell of a film that the server has, or has no more."""
        self.server.put(film)
        await self.say(topics.FILM, film)

    async def result(self, result: Result) -> None:
        """Tell of a result that the server has, or has no more."""
        self.server.put(result)
        await self.say(topics.RESULT, result)

    async def job(self, state: JobState) -> None:
        """Tell how far a job is, without waiting for whoever waits for it."""
        topic = topics.JOB.name(job=state.id)
        async_fire_mqtt_message(self.hass, topic, topics.encode(topics.JOB, state))
        await asyncio.sleep(0)

    async def reply(self, reply: Reply) -> None:
        """Answer a command, without waiting for whoever waits for it."""
        payload = topics.encode(topics.PROCESSOR_REPLY, reply)
        async_fire_mqtt_message(self.hass, "skylapse/processor/reply", payload)
        await asyncio.sleep(0)


def payload_of(row: topics.Topic[Any], message: Any) -> dict[str, Any]:
    """Return a message as the JSON that travels."""
    value: dict[str, Any] = json.loads(topics.encode(row, message))
    return value
