"""Lets results grow with the frames that come in, publishes them by and by, and makes up for kills.

One frame after the other, in one thread beside the event loop. Frames that were just measured come first;
what a kill, a deletion or an older release left undone is made up for between them, newest day first. A
result is published when its first frame has come, then at most once in `every_s` while it grows, and a moment
after a frame: at the end of a long day its film is made first, and drawing takes time from it.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from skylapse_processor.clock import Clock
from skylapse_processor.errors import NoRoomError, NotFoundError, ProcessorError
from skylapse_processor.store.results import StoredResult
from skylapse_processor.store.rows import FrameRole, FrameState, Selection, StoredFrame
from skylapse_processor.store.store import Store
from skylapse_protocol.codec import parse_time
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.messages import Result

from .day import Day
from .press import Change, Press, Told

_log = logging.getLogger(__name__)

REMEMBER = timedelta(days=14)
"""How long a day's results can grow after its last frame was stored; then what they grow of is deleted."""
_BEST_EVERY = 10
"""The best frames are chosen anew so many times less often."""
_OPEN = 8
"""Days that are held in memory: a few megabytes each."""
_TICK_S = 0.25
_AFTER = timedelta(seconds=2)
"""A frame that has come is drawn so much later, or sooner where results are to be published more often."""

Key = tuple[CameraName, str]


@dataclass(kw_only=True, slots=True)
class _Growing:
    """A day in memory, and what is still to be told of it."""

    day: Day
    dirty_since: datetime | None = None
    published_at: datetime | None = None
    undecided: bool = False
    """Whether frames have come since the best were chosen."""
    chosen_at: datetime

    def soil(self, now: datetime) -> None:
        """Note that there is something to publish."""
        self.dirty_since = self.dirty_since or now

    @property
    def dirty(self) -> bool:
        """Whether there is something to publish."""
        return self.dirty_since is not None

    def is_fresh(self, now: datetime, every: timedelta) -> bool:
        """Tell whether a frame has come this moment."""
        return self.dirty_since is not None and now < self.dirty_since + min(every, _AFTER)

    def is_due(self, now: datetime, every: timedelta) -> bool:
        """Tell whether there is something to publish, and it has waited long enough."""
        if self.published_at is None:
            return self.dirty
        return self.dirty and now >= self.published_at + every and not self.is_fresh(now, every)


class Keeper:
    """The room of results."""

    def __init__(self, store: Store, clock: Clock, tell: Callable[[Result], None], *, every_s: float) -> None:
        self._catalogue = store.frames
        self._table = store.results
        self._layout = store.layout
        self._press = Press(store, clock)
        self._clock = clock
        self._tell = tell
        self._every = timedelta(seconds=every_s)
        self.name: Callable[[CameraName], str] = str
        """What people call a camera."""
        self.changed: Callable[[CameraName], None] = lambda _camera: None
        """Called, in the event loop, after a result of a camera has changed."""
        self._days: OrderedDict[Key, _Growing] = OrderedDict()
        self._fresh: deque[StoredFrame] = deque()
        self._behind: deque[Key] = deque()
        self._missed: deque[StoredFrame] = deque()
        self._wake = asyncio.Event()
        self._alone = asyncio.Lock()
        self._ending = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with what was left undone."""
        self._behind.extend(await asyncio.to_thread(self._recent))
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """End, once what is being published is told; the rest is made up for after the next start."""
        self._ending = True
        self._wake.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def hear(self, frame: StoredFrame) -> None:
        """Note that a frame was measured and found good."""
        if frame.role is FrameRole.LEADS:
            self._fresh.append(frame)
            self._wake.set()

    def hear_zone(self, camera: CameraName, time_zone: str | None) -> None:
        """Note in which time zone a camera stands: its year is drawn by the clock on its wall."""
        with suppress(ZoneInfoNotFoundError, ValueError, OSError):
            if time_zone:
                self._press.zones[camera] = ZoneInfo(time_zone)

    def zone(self, camera: CameraName) -> str:
        """Return the name of a camera's time zone; empty where nobody told."""
        zone = self._press.zones.get(camera)
        return str(zone.key) if zone is not None else ""

    async def find(self, result: str) -> StoredResult:
        """Return a result; raise NotFoundError where there is none."""
        found = await asyncio.to_thread(self._table.find, result)
        if found is None:
            raise NotFoundError(f"there is no result {result[:80]}")
        return found

    async def delete(self, result: str) -> None:
        """Delete a result for good: it does not come back with further frames."""
        found = await self.find(result)
        async with self._alone:
            told = await asyncio.to_thread(self._press.drop, found, unwanted=True)
        self._say([told])

    def message(self, result: StoredResult, change: Change) -> Result:
        """Return what MQTT and HTTP say of a result; its addresses change with its content."""
        base = f"/api/v1/results/{result.id}"
        return Result(
            id=result.id,
            change=change,
            kind=result.kind,
            camera=str(result.camera),
            day=result.day,
            title=f"{self.name(result.camera)} · {self._what(result)} · {_when(result)}",
            created_at=result.created_at,
            width=result.width,
            height=result.height,
            bytes=result.bytes,
            frames=result.frames,
            score=result.score,
            picture=f"{base}/picture?v={result.content}",
            thumb=f"{base}/thumb?v={result.content}",
        )

    def _what(self, result: StoredResult) -> str:
        """Return what a result is; of a best frame with the time at the camera, for a day has several."""
        captured_at = result.details.get("captured_at")
        if captured_at is None:
            return result.title
        zone = self._press.zones.get(result.camera)
        at = parse_time(captured_at).astimezone(zone or UTC)
        return f"{result.title} {at:%H:%M}{'' if zone else ' UTC'}"

    async def _work(self) -> None:
        while not self._ending:
            try:
                async with self._alone:
                    busy = await self._step()
                    told = await asyncio.to_thread(self._publish_due)
                self._say(told)
            except NoRoomError as error:
                _log.warning("results wait for room: %s", error)
                busy = False
            except Exception:  # noqa: BLE001 - one odd picture must not end the results of all others
                _log.exception("a result could not be made; it is tried again")
                busy = False
            if not busy:
                self._wake.clear()
                try:
                    async with asyncio.timeout(_TICK_S):  # wait_for may swallow a cancel on Python 3.11
                        await self._wake.wait()
                except TimeoutError:
                    pass

    async def _step(self) -> bool:
        """Take one frame in, or look which frames of one day were missed; False where all is done."""
        if self._fresh:
            await asyncio.to_thread(self._take, self._fresh.popleft())
        elif self._missed:
            await asyncio.to_thread(self._take, self._missed.popleft())
        elif self._behind:
            camera, day = self._behind.popleft()
            self._missed.extend(await asyncio.to_thread(self._look, camera, day))
        else:
            return False
        return True

    def _take(self, frame: StoredFrame) -> None:
        """Take a frame in; one whose picture cannot be read is left out."""
        growing = self._open(frame.name.camera, frame.day)
        try:
            taken = growing.day.take(frame)
        except (ProcessorError, OSError) as error:
            _log.warning("%s is left out of results: %s", frame.name, error)
            return
        except Exception:  # noqa: BLE001 - whatever it is, a second look at the picture would not help
            _log.exception("%s is left out of results", frame.name)
            return
        if taken:
            growing.soil(self._clock())
            growing.undecided = True

    def _open(self, camera: CameraName, day: str) -> _Growing:
        """Return a day, read from disk if need be; those that nobody asked for lately are let go."""
        key = (camera, day)
        growing = self._days.get(key)
        if growing is None:
            opened = Day(self._layout, camera, day)
            opened.open()
            growing = _Growing(day=opened, chosen_at=self._clock())
            if not len(opened.ledger):
                self._forget_old()
                self._behind.appendleft(key)
            self._days[key] = growing
            self._let_go(keep=key)
        self._days.move_to_end(key)
        return growing

    def _let_go(self, keep: Key) -> None:
        for key in list(self._days):
            if len(self._days) <= _OPEN:
                break
            growing = self._days[key]
            if key != keep and not growing.dirty and not growing.undecided:
                del self._days[key]

    def _look(self, camera: CameraName, day: str) -> list[StoredFrame]:
        """Return the good frames of a day that its ledger does not hold; note what is to be told anew."""
        growing = self._open(camera, day)
        found = self._catalogue.frames(Selection(camera=camera, day=day, role=FrameRole.LEADS))
        good = [frame for frame in found if frame.state is FrameState.GOOD]
        missed = [frame for frame in good if not growing.day.ledger.holds(frame.name)]
        growing.soil(self._clock())
        growing.undecided |= bool(good) and self._press.is_behind(camera, day, len(good))
        return missed

    def _publish_due(self) -> list[Told]:
        """Publish every day that has changed and was not published lately, once its missed frames are in.

        A day that fails takes nothing from the others: what has been published is told.
        """
        now, told = self._clock(), list[Told]()
        waiting = {*self._behind, *((frame.name.camera, frame.day) for frame in list(self._missed)[:1])}
        for key, growing in list(self._days.items()):
            if self._ending:
                break
            if key in waiting:
                continue
            for publish in (self._publish, self._choose_best):
                try:
                    told += publish(growing, now)
                except NoRoomError as error:
                    _log.warning("results wait for room: %s", error)
                except Exception:  # noqa: BLE001 - one odd day must not end the results of all others
                    _log.exception("results of %s, %s could not be made; they are tried again", *key)
        return told

    def _publish(self, growing: _Growing, now: datetime) -> list[Told]:
        """Publish what grows through a day, if that is due."""
        if not growing.is_due(now, self._every):
            return []
        growing.published_at = now  # what fails is tried again no sooner than what succeeds
        told = self._press.publish(growing.day)
        growing.dirty_since = None
        return told

    def _choose_best(self, growing: _Growing, now: datetime) -> list[Told]:
        """Choose a day's best frames anew, if that is due."""
        waits = not growing.undecided or growing.is_fresh(now, self._every)
        if waits or now < growing.chosen_at + self._every * _BEST_EVERY:
            return []
        growing.chosen_at = now
        told = self._press.choose_best(growing.day.camera, growing.day.day)
        growing.undecided = False
        return told

    def _recent(self) -> list[Key]:
        """Return the days that may still grow, newest first."""
        since = self._clock() - REMEMBER
        keys = {
            (stretch.camera, stretch.day): stretch.stored_at
            for stretch in self._catalogue.stretches()
            if stretch.stored_at >= since and stretch.frames
        }
        return sorted(keys, key=lambda key: key[1], reverse=True)

    def _forget_old(self) -> None:
        """Delete what results of days long gone grew of."""
        limit_s = (self._clock() - REMEMBER).timestamp()
        for path in (self._layout.root / "results").glob("*/*/*/columns.state"):
            if path.stat().st_mtime < limit_s:
                for name in ("columns.state", "trail.state"):
                    path.with_name(name).unlink(missing_ok=True)

    def _say(self, told: list[Told]) -> None:
        for each in told:
            self._tell(self.message(each.result, each.change))
        for camera in {each.result.camera for each in told}:
            self.changed(camera)


def _when(result: StoredResult) -> str:
    """Return the day of a result, or its year."""
    return result.day[:4] if result.kind == "keogram_year" else result.day
