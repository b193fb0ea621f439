"""What the cameras and the processor say over MQTT, heard through Home Assistant's own connection."""

import asyncio
from dataclasses import dataclass, field

from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.messages import CameraEvent, CameraState, Film, JobState, StoreState
from skylapse_protocol.topics import EVENT, FILM, JOB, STATE, STORE_STATE, decode

from .home_assistant import Connection, HomeAssistant


@dataclass(kw_only=True, slots=True)
class Heard:
    """The latest word of everybody."""

    cameras: dict[str, CameraState] = field(default_factory=dict)
    stores: dict[str, StoreState] = field(default_factory=dict)
    jobs: dict[str, JobState] = field(default_factory=dict)
    films: dict[str, Film] = field(default_factory=dict)
    skipped: int = 0
    """Frames that were due and not taken: the camera was busy, the machine slept."""

    def take(self, topic: str, payload: bytes) -> None:
        """Remember one message; what is no message of the contract is left aside."""
        try:
            decoded = decode(topic, payload)
        except ProtocolError:
            return
        camera = "/".join(decoded.ids.get(part, "") for part in ("bridge", "camera"))
        match decoded.message:
            case CameraState() as state:
                self.cameras[camera] = state
            case StoreState() as store:
                self.stores[camera] = store
            case JobState() as job:
                self.jobs[job.id] = job
            case Film() as film:
                self.films[film.id] = film
            case CameraEvent(type="tick_skipped", reason=reason):
                count = (reason or "").partition(" ")[0]
                self.skipped += int(count) if count.isdecimal() else 1

    @property
    def captured(self) -> int:
        """Frames that the cameras took."""
        return sum(state.counts.captured for state in self.cameras.values())

    @property
    def pending(self) -> int:
        """Frames that wait in the spools of the bridges."""
        return sum(state.counts.pending for state in self.cameras.values())

    @property
    def dropped(self) -> int:
        """Frames that bridges gave up."""
        return sum(state.counts.dropped for state in self.cameras.values())

    @property
    def stored(self) -> int:
        """Frames that the processor says it holds."""
        return sum(store.frames for store in self.stores.values())

    @property
    def windows_ended(self) -> int:
        """How many cameras have ended a window."""
        return sum(bool(state.ended_windows) for state in self.cameras.values())


class Watch:
    """Listens in the background from `start` to `stop`."""

    def __init__(self, house: HomeAssistant) -> None:
        self.heard = Heard()
        self._house = house
        self._connection: Connection | None = None
        self._listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Subscribe to everything that the progress is told from."""
        self._connection = await self._house.connect()
        for row in (STATE, STORE_STATE, JOB, FILM, EVENT):
            await self._connection.ask("mqtt/subscribe", topic=row.filter(), qos=1)
        self._listening = asyncio.create_task(self._listen(self._connection))

    async def stop(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    async def _listen(self, connection: Connection) -> None:
        while True:
            event = await connection.event()
            self.heard.take(event["topic"], event["payload"].encode())
