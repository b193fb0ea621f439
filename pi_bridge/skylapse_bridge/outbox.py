"""The spool on a thread of its own, for code that must not block."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .spool import Spool

T = TypeVar("T")


class Outbox:
    """Runs work on the spool, one piece after the other."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._thread: ThreadPoolExecutor | None = None

    async def start(self) -> None:
        """Open the spool; raise SpoolError."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        await self.run(Spool.open)

    async def stop(self) -> None:
        """Close the spool after the work that waits."""
        if self._thread is not None:
            await self.run(Spool.close)
            self._thread.shutdown()
            self._thread = None

    async def run(self, work: Callable[[Spool], T]) -> T:
        """Do something with the spool; work that has begun is finished even if its caller is cancelled."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._spool)
