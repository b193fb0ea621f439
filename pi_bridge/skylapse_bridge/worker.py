"""One thread for one camera, which can be left behind when a driver hangs."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeVar

from .errors import CameraError, CameraHungError

T = TypeVar("T")

_Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Worker:
    """Runs blocking calls one after the other; a thread that hangs is left behind for a new one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job | None] | None = None

    async def call(self, work: Callable[[], T], timeout_s: float) -> T:
        """Run a call; raise CameraHungError when it does not return in time."""
        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            known = copy_context()  # which camera a line of the log is about
            threading.Thread(target=known.run, args=(_work, self._jobs), name=self._name, daemon=True).start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put((work, loop, future))
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError as error:
            self.stop()
            raise CameraHungError(f"the camera did not answer within {timeout_s:.0f} s") from error

    def stop(self) -> None:
        """Let the thread end after the call that it is busy with."""
        if self._jobs is not None:
            self._jobs.put(None)
            self._jobs = None


def _work(jobs: "queue.SimpleQueue[_Job | None]") -> None:
    while (job := jobs.get()) is not None:
        work, loop, future = job
        try:
            result = work()
        except CameraError as error:
            _answer(loop, future, None, error)
        except Exception as error:  # noqa: BLE001 a driver may raise anything, the bridge goes on
            wrapped = CameraError(f"{type(error).__name__}: {error}")
            wrapped.__cause__ = error
            _answer(loop, future, None, wrapped)
        else:
            _answer(loop, future, result, None)


def _answer(
    loop: asyncio.AbstractEventLoop, future: "asyncio.Future[Any]", result: object, error: CameraError | None
) -> None:
    def settle() -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    if not loop.is_closed():
        loop.call_soon_threadsafe(settle)
