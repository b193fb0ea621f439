"""Delivery: frames leave the spool oldest first, until the processor has them for good.

Each camera has a lane of its own: its frames go one after the other, so that they arrive in the order in
which they were taken and the film of a day grows at its end; the lanes of several cameras go side by side.

A frame counts as delivered when the processor has answered that it is on its disk, or that it put it aside
because it has another picture under the same name. Everything else leaves it in the spool: no network and a
full processor are waited out with growing, jittered pauses; a frame that alone is refused waits alone, and
that is told as long as it waits.
"""

import asyncio
import contextlib
import logging
import os
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import aiohttp

from .errors import DamagedError, KeyRefusedError, QuarantinedError, SpoolError, UploadError
from .frame_files import StoredFrame, read_verified
from .outbox import Outbox
from .spool import Spool
from .tus import RefusedError, Transfer

_LOGGER = logging.getLogger(__name__)

_AT_ONCE = 6
"""So many frames are on their way at most, of all cameras together."""
_AGAIN_S = 300.0
"""How long a frame waits that alone stands in the way: refused, or on a bad spot of the disk."""
_DOUBLED_AT_MOST = 20
"""So often a pause is doubled; no number of failures is too large to reckon with."""
_CONNECT_S = 10.0
_SILENCE_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How long to wait after failures, in real seconds."""

    first_s: float = 0.5
    longest_s: float = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a frame waits alone, and until when by the monotonic clock."""

    reason: str
    again_s: float


class Uploader:
    """Delivers what is in the spool to the processor at `url`."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        key_file: Path,
        now: Callable[[], datetime],
        on_delivered: Callable[[StoredFrame], None],
        pace: Pace | None = None,
    ) -> None:
        self._outbox = outbox
        self._key_file = key_file
        self._now = now
        self._on_delivered = on_delivered
        self._pace = pace or Pace()
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._url: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._transfers: dict[int, Transfer] = {}
        self._refusals: dict[int, Refusal] = {}
        """By frame, the newest last; each stands until its frame has left the spool."""
        self._others_arrive = False
        """Whether a frame was delivered since one was refused for the first time."""
        self._failures = 0
        self._obstacle: str | None = "no processor is known yet"
        """What is in the way of all frames."""

    @property
    def problem(self) -> str | None:
        """Why frames do not reach the processor, None while they do."""
        if self._obstacle is not None or not self._refusals:
            return self._obstacle
        reason, count = next(reversed(self._refusals.values())).reason, len(self._refusals)
        if not self._others_arrive:
            return reason
        return f"{count} {'frame waits' if count == 1 else 'frames wait'} while others arrive: {reason}"

    def start(self) -> asyncio.Task[None]:
        """Begin to deliver; the task that does it ends only when it is stopped."""
        self._task = asyncio.create_task(self._run())
        return self._task

    async def stop(self) -> None:
        """Stop; frames under way stay in the spool."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def deliver_to(self, url: str | None) -> None:
        """Deliver to this address from now on; None waits for one."""
        if url != self._url:
            self._url = url.rstrip("/") if url else None
            self._obstacle = None if url else "no processor is known yet"
            self._refusals.clear()
            self.flush()

    def poke(self) -> None:
        """Say that there is something to deliver."""
        self._wake.set()

    def flush(self) -> None:
        """Try everything again now, whatever failed before."""
        self._failures = 0
        self._refusals = {number: replace(each, again_s=0.0) for number, each in self._refusals.items()}
        self._transfers.clear()
        self._wake.set()
        self._hurry.set()

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
        connector = aiohttp.TCPConnector(limit=_AT_ONCE)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            while True:
                self._wake.clear()
                self._hurry.clear()
                if not await self._try_to_deliver(session):
                    await self._pause()

    async def _pause(self) -> None:
        """Wait for something new; after failures for the next attempt, however much there is to deliver."""
        event, wait_s = self._wake, None
        if self._failures:
            doubled = min(self._failures - 1, _DOUBLED_AT_MOST)
            longest_s = min(self._pace.first_s * 2**doubled, self._pace.longest_s)
            event, wait_s = self._hurry, longest_s * random.uniform(0.5, 1.0)  # noqa: S311 no secret
        elif self._refusals:
            wait_s = max(min(each.again_s for each in self._refusals.values()) - _monotonic(), 0.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await event.wait()

    async def _try_to_deliver(self, session: aiohttp.ClientSession) -> bool:
        """Deliver some frames; a spool that cannot be written now is tried again like a processor."""
        try:
            return await self._deliver_some(session)
        except SpoolError as error:
            self._failures += 1
            self._report(str(error))
            return False
        finally:
            await self._outbox.run(_forget_journeys)

    async def _deliver_some(self, session: aiohttp.ClientSession) -> bool:
        """Deliver the oldest frames, cameras side by side; tell whether there may be more to do at once."""
        now = _monotonic()
        skip = frozenset(number for number, each in self._refusals.items() if each.again_s > now)
        frames = await self._outbox.run(partial(_take_out, skip=skip))
        if len(frames) < _AT_ONCE:
            held = skip | {frame.id for frame in frames}
            self._refusals = {number: each for number, each in self._refusals.items() if number in held}
        if not frames:
            self._failures = 0
            if self._url is not None:
                self._obstacle = None
            return False
        key = await asyncio.to_thread(self._read_key)
        if key is None:
            self._failures += 1
            return False
        url = self._url
        if url is None:
            return False
        cameras = {frame.record.camera for frame in frames}
        lanes = (
            self._deliver_lane(
                session, url, key, [frame for frame in frames if frame.record.camera == camera]
            )
            for camera in cameras
        )
        results = await asyncio.gather(*lanes)
        return any(results)

    async def _deliver_lane(
        self, session: aiohttp.ClientSession, url: str, key: str, frames: list[StoredFrame]
    ) -> bool:
        """Deliver one camera's frames one after the other; stop where one cannot get through now."""
        for frame in frames:
            if not await self._deliver(session, url, key, frame):
                return False
        return True

    def _read_key(self) -> str | None:
        try:
            key = self._key_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self._report(f"the key cannot be read: {error}")
            return None
        if not key.isascii() or not key:
            self._report(f"{self._key_file} holds no key")
            return None
        return key

    async def _deliver(self, session: aiohttp.ClientSession, url: str, key: str, frame: StoredFrame) -> bool:
        """Deliver one frame; tell whether the lane may go on at once."""
        try:
            data = await asyncio.to_thread(read_verified, frame)
        except DamagedError as error:
            reason = str(error)
            return await self._settle(frame, lambda spool: spool.drop_damaged(frame.id, reason))
        except SpoolError as error:
            self._refuse(frame, str(error))
            return True
        transfer = self._transfers.setdefault(frame.id, Transfer(record=frame.record, data=b""))
        transfer.data = data
        try:
            await transfer.send(session, url, key)
        except QuarantinedError as error:
            about = {"camera": frame.record.camera, "frame": str(frame.record.name)}
            _LOGGER.warning("frame %s was put aside: %s", frame.record.name, error, extra=about)
        except RefusedError as error:
            self._obstacle = None
            self._refuse(frame, str(error))
            return True
        except (UploadError, aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._failures += 1
            self._report(_tell(error))
            return False
        finally:
            transfer.data = b""
        self._transfers.pop(frame.id, None)
        at = self._now()
        if not await self._settle(frame, lambda spool: spool.delivered(frame.id, at)):
            return False
        self._failures = 0
        self._obstacle, self._others_arrive = None, True
        return True

    async def _settle(self, frame: StoredFrame, note: Callable[[Spool], None]) -> bool:
        """Note in the spool what became of a frame; False where it cannot be written now."""
        try:
            await self._outbox.run(note)
        except SpoolError as error:
            self._failures += 1
            self._report(str(error))
            return False
        self._refusals.pop(frame.id, None)
        self._on_delivered(frame)
        return True

    def _refuse(self, frame: StoredFrame, reason: str) -> None:
        """Let a frame wait alone for a while; log it once."""
        before = self._refusals.pop(frame.id, None)
        if before is None:
            self._others_arrive = False
        if before is None or before.reason != reason:
            _LOGGER.warning("frame %s waits in the spool: %s", frame.record.name, reason)
        self._refusals[frame.id] = Refusal(reason=reason, again_s=_monotonic() + _AGAIN_S)

    def _report(self, problem: str) -> None:
        """Remember why frames do not arrive; log it once."""
        if problem != self._obstacle:
            _LOGGER.warning("frames wait in the spool: %s", problem)
        self._obstacle = problem


def _take_out(spool: Spool, skip: frozenset[int]) -> list[StoredFrame]:
    """Return the frames that go next, and keep them from being dropped for room meanwhile."""
    frames = spool.pending(_AT_ONCE, skip)
    spool.on_their_way = frozenset(frame.id for frame in frames)
    return frames


def _forget_journeys(spool: Spool) -> None:
    spool.on_their_way = frozenset()


def _tell(error: Exception) -> str:
    if isinstance(error, KeyRefusedError):
        return f"the processor refuses the key of this bridge ({error})"
    if isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError):
        return f"the processor does not answer at {error.host}:{error.port}{_cause(error.os_error)}"
    if isinstance(error, TimeoutError):
        return "the processor does not answer in time"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the processor broke the connection off"
    return str(error) or type(error).__name__


def _cause(error: OSError) -> str:
    """Return what the system calls a failed connection; asyncio words it with the call that failed."""
    if isinstance(error, socket.gaierror):
        return f": {error.strerror}"
    return f": {os.strerror(error.errno)}" if error.errno else ""


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
