"""One bridge at a time on one state folder: a lock that the kernel takes back with its process."""

import asyncio
import fcntl
import os
from pathlib import Path

from .durable import make_folder
from .errors import SpoolError

_NAME = "bridge.lock"
_ATTEMPTS, _PAUSE_S = 20, 0.05


class StateLock:
    """Held from `start` to `stop`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None

    async def start(self) -> None:
        """Take the lock; raise SpoolError where another bridge has it, or the folder cannot be written."""
        try:
            make_folder(self._folder)
            self._file = os.open(self._folder / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if not await self._taken(self._file):
                owner = _read_pid(self._file)
                self.stop()
                raise SpoolError(f"another bridge works in {self._folder} (process {owner})")
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            self.stop()
            raise SpoolError(f"the state folder {self._folder} cannot be used: {error}") from error

    def stop(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    async def _taken(self, file: int) -> bool:
        """Take the lock; somebody who only looks whether it is held has it for a moment."""
        for _ in range(_ATTEMPTS):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(_PAUSE_S)
            else:
                return True
        return False


def running_bridge(folder: Path) -> int | None:
    """Return the process id of the bridge that works in a folder: 0 where unknown, None where none does."""
    try:
        file = os.open(folder / _NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_pid(file)
    finally:
        os.close(file)
    return None


def _read_pid(file: int) -> int:
    words = os.pread(file, 32, 0).split()
    return int(words[0]) if words and words[0].isdigit() else 0
