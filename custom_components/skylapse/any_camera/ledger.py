"""What the spool remembers besides the frames in it: numbers, counts, windows, small notes. Pure.

Frames that wait are counted by their files. The ledger counts those that left, delivered or dropped, so for
each camera and each window captured = delivered + pending + dropped holds by construction.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ..protocol.codec import read, write
from ..protocol.messages import Mode
from ..protocol.snapshot import Window

ENDED_KEPT = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownWindow:
    """A window that began, with what left the spool of it."""

    window: Window
    profiles: tuple[str, ...]
    """Those that its frames bear."""
    ended_at: datetime | None = None
    delivered: int = 0
    dropped: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownCamera:
    """What is remembered of a camera."""

    delivered: int = 0
    dropped: int = 0
    enabled: bool = True
    mode: Mode = "deployed"
    width: int = 0
    height: int = 0
    windows: tuple[KnownWindow, ...] = ()
    """Open ones, and the last twenty that ended, in the order in which they did."""

    @property
    def open_windows(self) -> tuple[Window, ...]:
        """The windows that began and have not ended."""
        return tuple(known.window for known in self.windows if known.ended_at is None)

    def begun(self, window: Window, profiles: tuple[str, ...]) -> KnownCamera:
        """Return the camera with a window that began."""
        return replace(self, windows=(*self._others(window), self._known(window, profiles)))

    def ended(self, window: Window, profiles: tuple[str, ...], at: datetime) -> KnownCamera:
        """Return the camera with a window that ended."""
        ended = replace(self._known(window, profiles), ended_at=at)
        windows = (*self._others(window), ended)
        over = [known.window.id for known in windows if known.ended_at is not None]
        forgotten = set(over[:-ENDED_KEPT])
        return replace(self, windows=tuple(known for known in windows if known.window.id not in forgotten))

    def left(self, window: str | None, *, delivered: int, dropped: int) -> KnownCamera:
        """Return the camera after frames of a window have left the spool."""
        windows = tuple(
            replace(known, delivered=known.delivered + delivered, dropped=known.dropped + dropped)
            if known.window.id == window
            else known
            for known in self.windows
        )
        return replace(
            self, delivered=self.delivered + delivered, dropped=self.dropped + dropped, windows=windows
        )

    def _others(self, window: Window) -> Iterable[KnownWindow]:
        return (known for known in self.windows if known.window.id != window.id)

    def _known(self, window: Window, profiles: tuple[str, ...]) -> KnownWindow:
        for known in self.windows:
            if known.window.id == window.id:
                return replace(known, window=window, ended_at=None)
        return KnownWindow(window=window, profiles=profiles)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """The book of one spool."""

    next_seq: int = 1
    leaving: tuple[int, ...] = ()
    """Frames that are counted as gone; a kill may have left their files."""
    cameras: dict[str, KnownCamera] = field(default_factory=dict)

    def camera(self, camera: str) -> KnownCamera:
        """Return what is remembered of a camera."""
        return self.cameras.get(camera) or KnownCamera()

    def with_camera(self, camera: str, known: KnownCamera) -> Ledger:
        """Return the ledger with something else remembered of a camera."""
        return replace(self, cameras={**self.cameras, camera: known})


def read_ledger(value: Mapping[str, Any]) -> Ledger:
    """Return what was written; raise ProtocolError."""
    return read(Ledger, dict(value), "ledger")


def write_ledger(ledger: Ledger) -> dict[str, Any]:
    """Return a ledger as JSON values."""
    return dict(write(ledger))
