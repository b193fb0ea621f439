"""The spool: frames wait here as files until the processor has them, however long it is away.

A frame is safe when picture and record are synced under their names; only then is it announced. What was
deployed last lies beside the frames. The folder is in Home Assistant's cache, which backups leave out. Where
it was restored all the same, numbers come that were given before; so each start names its frames under a new
spool id, and no frame ever has the name of another.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant

from ..const import LOGGER
from ..errors import SpoolError
from ..protocol.errors import ProtocolError
from ..protocol.messages import Counts, EndedWindow
from ..protocol.records import FrameRecord
from . import deployed, files
from .deployed import Kept
from .ledger import KnownCamera, Ledger, read_ledger, write_ledger

MAX_FRAMES = 20_000
MAX_BYTES = 8_000_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """What waits in the spool."""

    frames: int
    bytes: int
    oldest_at: datetime | None


class Spool:
    """The outbox of one Home Assistant. Memory belongs to the event loop, files to the executor."""

    def __init__(self, hass: HomeAssistant, folder: Path) -> None:
        """Remember where."""
        self.folder = folder
        self.under_way: int | None = None
        """The frame that is being delivered: it is not dropped meanwhile."""
        self._hass = hass
        self._id = secrets.token_hex(8)
        self._ledger = Ledger()
        self._waiting: dict[int, FrameRecord] = {}
        self._bytes = 0
        self._by_camera: Counter[str] = Counter()
        self._by_window: Counter[tuple[str, str | None]] = Counter()
        self._lock = asyncio.Lock()
        self._is_closed = False

    async def async_open(self) -> None:
        """Read what is there, and finish what a kill interrupted; raise SpoolError."""
        await self._alone(self._open())

    async def async_close(self) -> None:
        """Wait for what is being written. Then nothing is: the next spool of the folder gives the numbers."""
        async with self._lock:
            self._is_closed = True

    async def async_add(self, jpeg: bytes, describe: Callable[[str, int], FrameRecord]) -> FrameRecord:
        """Make a frame safe and return its record, written by `describe` for a spool id and a number.

        Where the spool is full the oldest frames go, and are counted as dropped. Raise SpoolError.
        """
        return await self._alone(self._add(jpeg, describe))

    async def async_read(self, record: FrameRecord) -> bytes:
        """Return a frame's picture; raise DamagedFrameError or SpoolError."""
        return await self._hass.async_add_executor_job(files.read_frame, self.folder, record)

    async def async_delivered(self, record: FrameRecord) -> None:
        """Let a frame go that the processor has for good; raise SpoolError."""
        await self._alone(self._leave([record], dropped=False))

    async def async_drop(self, record: FrameRecord, reason: str) -> None:
        """Give a frame up, and count it; raise SpoolError."""
        LOGGER.warning("Frame %s is lost: %s", record.name, reason)
        await self._alone(self._leave([record], dropped=True))

    async def async_recall(self, cameras: Collection[str]) -> dict[str, Kept]:
        """Return what was deployed last on these cameras; what others had is forgotten. Raise SpoolError."""
        return await self._alone(self._recall(cameras))

    async def async_keep(self, camera: str, kind: deployed.Kind, payload: bytes) -> None:
        """Keep what is deployed on a camera over a restart, nothing where it is empty; raise SpoolError."""
        await self._alone(self._keep(camera, kind, payload))

    async def async_note(self, camera: str, change: Callable[[KnownCamera], KnownCamera]) -> None:
        """Remember something else of a camera; raise SpoolError where it is not kept over a restart."""
        await self._alone(self._note(camera, change))

    @property
    def cameras(self) -> tuple[str, ...]:
        """All cameras that anything is remembered of."""
        return tuple(self._ledger.cameras)

    def known(self, camera: str) -> KnownCamera:
        """Return what is remembered of a camera."""
        return self._ledger.camera(camera)

    def counts(self, camera: str) -> Counts:
        """Return where the frames of a camera are."""
        known, pending = self.known(camera), self._by_camera[camera]
        return Counts(
            captured=known.delivered + pending + known.dropped,
            delivered=known.delivered,
            pending=pending,
            dropped=known.dropped,
        )

    def ended_windows(self, camera: str) -> tuple[EndedWindow, ...]:
        """Return the last windows that ended, oldest first, with what was captured in them."""
        return tuple(
            EndedWindow(
                window=known.window.id,
                schedule=known.window.schedule,
                day=known.window.day,
                profiles=known.profiles,
                ended_at=known.ended_at,
                captured=known.delivered + self._by_window[camera, known.window.id] + known.dropped,
                dropped=known.dropped,
            )
            for known in self.known(camera).windows
            if known.ended_at is not None
        )

    def oldest(self, but: Iterable[int]) -> FrameRecord | None:
        """Return the frame that goes next, leaving some out."""
        left_out = set(but)
        return next((record for seq, record in self._waiting.items() if seq not in left_out), None)

    def holds(self, seq: int) -> bool:
        """Tell whether a frame waits."""
        return seq in self._waiting

    def totals(self) -> Totals:
        """Return what waits."""
        oldest = self.oldest(())
        return Totals(
            frames=len(self._waiting),
            bytes=self._bytes,
            oldest_at=oldest.captured_at if oldest else None,
        )

    async def _alone[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Do one thing after the other, each to its end: files are whole whoever stops waiting for them."""

        async def in_turn() -> tuple[T] | None:
            """Return None where the spool is closed: that is no error where nobody waits any more."""
            async with self._lock:
                if self._is_closed:
                    work.close()
                    return None
                return (await work,)

        done = await asyncio.shield(self._hass.async_create_task(in_turn(), "skylapse spool"))
        if done is None:
            raise SpoolError("the spool is closed")
        return done[0]

    async def _open(self) -> None:
        """Take in what is there when all else is done: what fails half-way may be tried again."""
        found = await self._hass.async_add_executor_job(files.read_spool, self.folder)
        ledger = _recovered(found)
        await self._remove([record for record in found.records if record.seq in ledger.leaving])
        await self._write(ledger)
        self._ledger = ledger
        for record in found.records:
            if record.seq not in ledger.leaving:
                self._take_in(record)

    async def _add(self, jpeg: bytes, describe: Callable[[str, int], FrameRecord]) -> FrameRecord:
        record = describe(self._id, self._ledger.next_seq)
        self._ledger = replace(self._ledger, next_seq=record.seq + 1)
        await self._make_room(len(jpeg))
        await self._hass.async_add_executor_job(files.write_frame, self.folder, record, jpeg)
        self._take_in(record)
        return record

    async def _note(self, camera: str, change: Callable[[KnownCamera], KnownCamera]) -> None:
        self._ledger = self._ledger.with_camera(camera, change(self._ledger.camera(camera)))
        await self._write(self._ledger)

    async def _make_room(self, needed: int) -> None:
        """Drop the oldest frames until another one fits."""
        dropped: list[FrameRecord] = []
        size = self._bytes + needed
        for record in self._waiting.values():
            if len(self._waiting) - len(dropped) < MAX_FRAMES and size <= MAX_BYTES:
                break
            if record.seq != self.under_way:
                dropped.append(record)
                size -= record.bytes
        if dropped:
            LOGGER.warning("The spool is full: frame %s is dropped, the oldest of them", dropped[0].name)
            await self._leave(dropped, dropped=True)

    async def _keep(self, camera: str, kind: deployed.Kind, payload: bytes) -> None:
        await self._hass.async_add_executor_job(deployed.keep, self.folder, camera, kind, payload)

    async def _recall(self, cameras: Collection[str]) -> dict[str, Kept]:
        return await self._hass.async_add_executor_job(deployed.recall, self.folder, cameras)

    async def _leave(self, records: list[FrameRecord], *, dropped: bool) -> None:
        """Count frames as gone, then delete their files: a kill in between costs no count."""
        ledger = replace(self._ledger, leaving=tuple(record.seq for record in records))
        for record in records:
            known = ledger.camera(record.camera)
            known = known.left(record.window, delivered=int(not dropped), dropped=int(dropped))
            ledger = ledger.with_camera(record.camera, known)
        await self._write(ledger)
        self._ledger = ledger
        for record in records:
            self._let_go(record)
        await self._remove(records)

    async def _write(self, ledger: Ledger) -> None:
        await self._hass.async_add_executor_job(_write_ledger, self.folder, ledger)

    async def _remove(self, records: list[FrameRecord]) -> None:
        await self._hass.async_add_executor_job(files.remove_frames, self.folder, records)

    def _take_in(self, record: FrameRecord) -> None:
        self._waiting[record.seq] = record
        self._bytes += record.bytes
        self._by_camera[record.camera] += 1
        self._by_window[record.camera, record.window] += 1

    def _let_go(self, record: FrameRecord) -> None:
        del self._waiting[record.seq]
        self._bytes -= record.bytes
        self._by_camera[record.camera] -= 1
        self._by_window[record.camera, record.window] -= 1


def _recovered(found: files.Found) -> Ledger:
    """Return the ledger of a folder; a new one where there is none that fits.

    Numbers go on above every frame that is there: a kill may have come between a frame and its ledger.
    """
    ledger = Ledger()
    try:
        ledger = read_ledger(found.ledger)
    except ProtocolError as error:
        LOGGER.warning("The ledger of the spool cannot be read, a new one is begun: %s", error)
    highest = max((record.seq for record in found.records), default=0)
    return replace(ledger, next_seq=max(ledger.next_seq, highest + 1))


def _write_ledger(folder: Path, ledger: Ledger) -> None:
    files.write_ledger(folder, write_ledger(ledger))
