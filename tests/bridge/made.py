"""What many tests of the bridge need, made small: pictures, records, plans, a clock that is set by hand."""

import asyncio
import io
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from PIL import Image

from skylapse_protocol import messages
from skylapse_protocol.records import FrameRecord
from skylapse_protocol.snapshot import Metering, Plan, Profile, Snapshot, SunTable, WhiteBalance, Window

START = datetime(2026, 3, 20, 17, 0, tzinfo=UTC)
DAY = "2026-03-20"


def picture(*, width: int = 64, height: int = 48, level: int = 100, exif: Image.Exif | None = None) -> bytes:
    """A grey JPEG."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (level, level, level)).save(buffer, "JPEG", exif=exif or Image.Exif())
    return buffer.getvalue()


def draft(**facts: Any) -> FrameRecord:
    """A record as it comes to the spool."""
    record = FrameRecord(
        bridge="roof",
        camera="west",
        spool="0" * 16,
        seq=1,
        boot_id="this-boot",
        monotonic_ns=10**12,
        clock_synced=True,
        captured_at=START,
        day=DAY,
        width=64,
        height=48,
        bytes=1,
        sha256="0" * 64,
    )
    return replace(record, **facts)


def window(
    name: str = "sunset-1",
    *,
    start: datetime = START,
    minutes: float = 60,
    interval_s: float = 15,
    **facts: Any,
) -> Window:
    """A window of one profile."""
    end = start + timedelta(minutes=minutes)
    facts = {"schedule": "sunset", "profiles": ("f",), **facts}
    return Window(id=name, day=DAY, starts_at=start, ends_at=end, interval_s=interval_s, **facts)


def plan(*windows: Window, sun: SunTable | None = None, revision: int = 1) -> Plan:
    """A plan of these windows."""
    return Plan(revision=revision, created_at=START, time_zone="Europe/Berlin", windows=windows, sun=sun)


def profile(name: str = "f", **facts: Any) -> Profile:
    """A profile that leaves everything at its defaults."""
    facts = {
        "metering": Metering(mode="matrix"),
        "white_balance": WhiteBalance(mode="auto"),
        "version": 1,
        **facts,
    }
    return Profile(id=name, name=name, **facts)


def snapshot(*profiles: Profile, **facts: Any) -> Snapshot:
    """A snapshot of these profiles, of profile f where none is named."""
    return Snapshot(id="s", version=7, created_at=START, profiles=profiles or (profile(),), **facts)


class HandClock:
    """A clock that stands until it is moved; waiting ends when it has been moved far enough."""

    simulated: messages.Clock | None = None

    def __init__(self, now: datetime = START, *, synced: bool = True) -> None:
        self.moment = now
        self.is_synced = synced
        self._monotonic_ns = 10**12
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        """The time that was set."""
        return self.moment

    def monotonic_ns(self) -> int:
        """Moves with `pass_time`, not with `set`."""
        return self._monotonic_ns

    def synced(self) -> bool:
        """As it was told."""
        return self.is_synced

    def pass_time(self, seconds: float) -> None:
        """Let time go by."""
        self._monotonic_ns += round(seconds * 1e9)
        self.set(self.moment + timedelta(seconds=seconds))

    def set(self, moment: datetime) -> None:
        """Set the clock, as a time server does."""
        self.moment = moment
        self._moved.set()
        self._moved = asyncio.Event()

    async def wait_until(self, moment: datetime) -> None:
        """Wait until the clock was moved there."""
        while self.moment < moment:
            await self._moved.wait()


class LeapingClock(HandClock):
    """A clock that leaps to the next moment that somebody waits for, once everybody waits.

    It goes as far as `goal`, and on to the end of an exposure: a camera whose exposures last waits on a
    thread and a loop of its own.
    """

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        self.awaited: list[datetime] = []
        self.goal = now
        self._exposing: list[datetime] = []
        self._home = asyncio.get_running_loop()
        self._leapt = threading.Condition()

    def set(self, moment: datetime) -> None:
        """Set the clock, and wake who waits on another thread."""
        with self._leapt:
            super().set(moment)
            self._leapt.notify_all()

    async def wait_until(self, moment: datetime) -> None:
        """Wait, and be counted."""
        at_home = asyncio.get_running_loop() is self._home
        known = [self.awaited] if at_home else [self.awaited, self._exposing]
        for moments in known:
            moments.append(moment)
        self._home.call_soon_threadsafe(self.leap)
        try:
            if at_home:
                await super().wait_until(moment)
            else:
                with self._leapt:
                    self._leapt.wait_for(lambda: self.moment >= moment, timeout=60)
        finally:
            for moments in known:
                moments.remove(moment)

    def leap(self) -> None:
        """Leap where both wait: the camera's work, and whoever watches over its focus."""
        goal = max(self.goal, *self._exposing) if self._exposing else self.goal
        if len(self.awaited) < 2 or min(self.awaited) <= self.moment or self.moment >= goal:
            return
        self.pass_time((min(*self.awaited, goal) - self.moment).total_seconds())
