"""How much room there is, what shows that the disk is the right one, and what a full disk is given back."""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import NoRoomError
from ..files import sync_folder, write_durably
from .layout import Layout

_MB = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """The disk under the store, in bytes."""

    free_bytes: int
    total_bytes: int

    @property
    def free_percent(self) -> float:
        """Share of the disk that is free."""
        return 100.0 * self.free_bytes / max(1, self.total_bytes)


def room(path: Path) -> Room:
    """Return how full the disk under `path` is."""
    usage = shutil.disk_usage(path)
    return Room(free_bytes=usage.free, total_bytes=usage.total)


class Disk:
    """The store's disk: is it mounted, is there room, and a ballast for the day when there is none."""

    def __init__(
        self, layout: Layout, *, min_free_percent: float, warn_free_percent: float, ballast_mb: int
    ) -> None:
        self._layout = layout
        self._min_free_percent = min_free_percent
        self._warn_free_percent = warn_free_percent
        self._ballast_bytes = ballast_mb * _MB

    def start(self, *, fresh: bool) -> None:
        """Make the folders; `fresh` says that no frame is known yet, so the sentinel may be made."""
        for folder in (self._layout.root, self._layout.state):
            folder.mkdir(parents=True, exist_ok=True)
        if fresh and not self._layout.sentinel.exists():
            write_durably(self._layout.sentinel, b"The processor checks that this file is here.\n")
            sync_folder(self._layout.root)
        if self._layout.sentinel.exists():
            for folder in (
                self._layout.frames,
                self._layout.films,
                self._layout.uploads,
                self._layout.renders,
            ):
                folder.mkdir(exist_ok=True)
        self.hold_ballast()

    def mark(self, keeper: str) -> None:
        """Write into the store who keeps it now: who sees its folder elsewhere may read there what is his."""
        content = f"{keeper}\n".encode()
        with suppress(OSError):  # a disk that is full is told of by others; what is there can be fetched
            if self.mounted and not self._marked(content):
                write_durably(self._layout.marker, content)

    def _marked(self, content: bytes) -> bool:
        return self._layout.marker.exists() and self._layout.marker.read_bytes() == content

    def hold_ballast(self) -> None:
        """Lay the ballast down again once there is room for it."""
        held = self._layout.ballast.stat().st_size if self._layout.ballast.exists() else 0
        if held < self._ballast_bytes and room(self._layout.state).free_bytes > 4 * self._ballast_bytes:
            with self._layout.ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._ballast_bytes)

    def drop_ballast(self) -> bool:
        """Give the ballast back, so that rows can be deleted on a full disk; tell whether there was any."""
        had = self._layout.ballast.exists()
        self._layout.ballast.unlink(missing_ok=True)
        return had

    @property
    def mounted(self) -> bool:
        """Tell whether the store's own disk is there."""
        return self._layout.sentinel.exists()

    @property
    def short(self) -> bool:
        """Tell whether it is time to warn."""
        return not self.mounted or room(self._layout.root).free_percent < self._warn_free_percent

    def check(self, more_bytes: int) -> None:
        """Raise NoRoomError unless so many bytes more leave what is to stay free."""
        if not self.mounted:
            raise NoRoomError(
                f"{self._layout.root}: the store is not mounted ({self._layout.sentinel.name} is missing)"
            )
        now = room(self._layout.root)
        free = now.free_bytes - more_bytes
        if free < now.total_bytes * self._min_free_percent / 100:
            raise NoRoomError(
                f"{self._layout.root}: {now.free_percent:.1f} % of the disk is free,"
                f" {self._min_free_percent:g} % is kept free"
            )
