"""Where parts of films are made: Dask, in this process and reached by nobody else, or on a cluster with TLS.

Dask dispatches, and that is all: what is to be done, and what has been done, stands in the job table and in
the job's folder. So a scheduler, a worker or this process may die at any moment, and costs the parts under
way. The scheduler of a cluster is `dask scheduler`, its workers are `skylapse-processor worker`; both sides
prove who they are by certificates of one authority, for whoever speaks to a Dask worker commands it.
"""

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import CancelledError as NoLongerAwaited
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dask
from distributed import Client, Future, KilledWorker, Scheduler, Security, Worker, get_worker

from . import part
from .child import Report
from .config import ClusterConfig
from .errors import LostError

_log = logging.getLogger(__name__)
logging.getLogger("distributed").setLevel(logging.WARNING)  # it tells of each of its own steps

LEASE_S = 60.0
"""A part whose worker says nothing for so long is made elsewhere."""
CONNECT_S = 10.0
_LOOK_EVERY_S = 1.0
_END_S = 4.5
_TOPIC = "skylapse"
_QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.scheduler.idle-timeout": None,
}
"""Dask samples its tasks a hundred times a second and serves pages about them; films need neither."""
_LOOPBACK = "127.0.0.1:0"
_SCRATCH = "dask-scratch-space"
"""How Dask calls its folder, wherever it may make it."""

Hear = Callable[[Mapping[str, Any]], None]


class Pool:
    """Makes parts, as many at once as there are places."""

    def __init__(
        self, client: Client, *others: Worker | Scheduler, name: str, scratch: Path | None = None
    ) -> None:
        """Remember a client that is connected, what is closed with it, and the folder that goes then."""
        self._client = client
        self._others = others
        self._scratch = scratch
        self._hears: dict[tuple[str, int], Hear] = {}
        self.name = name

    async def open(self) -> None:
        """Begin to hear what workers say."""
        self._client.subscribe_topic(_TOPIC, self._on_event)

    async def close(self) -> None:
        """Let go; what an embedded worker still makes is ended."""
        for closing in (self._client, *self._others):
            with contextlib.suppress(OSError, TimeoutError):
                await closing.close()
        if self._scratch is not None:
            await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)

    @property
    def lost(self) -> bool:
        """Whether the scheduler is gone."""
        return self._client.status != "running"

    async def places(self, avoid: Collection[str] = ()) -> int:
        """Return how many parts can be made at once by workers that are not to be avoided."""
        try:
            threads = await self._client.nthreads()
        except OSError as error:
            raise LostError(f"{self.name}: the scheduler does not answer") from error
        return sum(count for worker, count in threads.items() if worker not in avoid)

    async def make(self, task: part.Task, hear: Hear, avoid: Collection[str]) -> Report:
        """Make one part. Cancelling ends it.

        Raises FilmError with the render's words, BlindWorkerError, or LostError where scheduler or workers
        are gone.
        """
        heard = _Heard(hear)
        self._hears[task.render, task.part] = heard
        try:
            future = self._client.submit(
                _make, task.as_json(), pure=False, workers=await self._allowed(avoid), key=_key(task)
            )
            try:
                return await self._result(future, heard)
            finally:
                with contextlib.suppress(OSError, NoLongerAwaited):
                    await future.cancel(reason="no longer wanted")
        finally:
            del self._hears[task.render, task.part]

    async def end(self, render: str) -> None:
        """End all that is made for a render, wherever it is; returns when it has ended, or nobody answers."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_END_S):
                await self._client.run(part.end, render, on_error="ignore")

    async def _allowed(self, avoid: Collection[str]) -> list[str] | None:
        if not avoid:
            return None
        allowed = [worker for worker in await self._client.nthreads() if worker not in avoid]
        if not allowed:
            raise LostError(f"{self.name}: no worker is left that sees the store")
        return allowed

    async def _result(self, future: "Future[Any]", heard: "_Heard") -> Report:
        """Wait for a part; raise LostError where nothing is heard of it any more."""
        waiting = asyncio.ensure_future(future.result())
        try:
            while not waiting.done():
                await asyncio.wait((waiting,), timeout=_LOOK_EVERY_S)
                if self.lost or (heard.silent_s > LEASE_S and (heard.began or not await self.places())):
                    raise LostError(f"{self.name}: a worker or the scheduler is gone")
            result: Report = waiting.result()
        except (NoLongerAwaited, KilledWorker, OSError) as error:
            raise LostError(f"{self.name}: a worker or the scheduler is gone") from error
        finally:
            waiting.cancel()
        return result

    def _on_event(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _, said = event
        hear = self._hears.get((str(said.get("render")), int(said.get("part", -1))))
        if hear is not None:
            hear(said)


class _Heard:
    """Hands on what a worker says, and remembers when."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._at = time.monotonic()
        self.began = False

    @property
    def silent_s(self) -> float:
        return time.monotonic() - self._at

    def __call__(self, said: Mapping[str, Any]) -> None:
        self._at = time.monotonic()
        self.began = True
        self._hear(said)


async def embedded(places: int, folder: Path) -> Pool:
    """Start scheduler and worker in this process; what Dask writes lies in `folder` until the pool closes.

    They speak by function calls. Dask opens a listener for each on 127.0.0.1 all the same, without any route.
    """
    with dask.config.set({**_QUIET, "temporary-directory": str(folder)}):
        scheduler = await Scheduler(protocol="inproc", port=0, dashboard=False, dashboard_address=_LOOPBACK)
        worker = await Worker(
            scheduler.address, nthreads=places, memory_limit=0, dashboard_address=_LOOPBACK, name="here"
        )
        client = await Client(scheduler.address, asynchronous=True, set_as_default=False)
    pool = Pool(client, worker, scheduler, name="this machine", scratch=folder / _SCRATCH)
    await pool.open()
    return pool


async def connected(config: ClusterConfig) -> Pool:
    """Connect to a cluster; raise LostError where its scheduler does not answer, or does not trust us."""
    try:
        client = await Client(
            config.scheduler,
            asynchronous=True,
            set_as_default=False,
            security=security(config),
            timeout=CONNECT_S,
        )
    except OSError as error:
        raise LostError(f"{config.scheduler}: no scheduler answers ({error})") from error
    pool = Pool(client, name=config.scheduler)
    await pool.open()
    return pool


async def serve(config: ClusterConfig, places: int, name: str | None, stop: asyncio.Event) -> None:
    """Work for a cluster until `stop`, whatever becomes of its scheduler in between."""
    while not stop.is_set():
        try:
            await _work(config, places, name, stop)
        except (OSError, TimeoutError) as error:
            _log.warning("%s: no scheduler answers (%s); it is tried again", config.scheduler, error)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY_S):
                await stop.wait()


async def _work(config: ClusterConfig, places: int, name: str | None, stop: asyncio.Event) -> None:
    """Be a worker until the scheduler is gone or `stop`; raise OSError where there is none."""
    await _probe(config)
    with dask.config.set(_QUIET):
        worker = await Worker(
            config.scheduler,
            nthreads=places,
            memory_limit=0,
            name=name,
            security=security(config),
            host="127.0.0.1" if config.is_loopback else None,
            dashboard_address=_LOOPBACK,
            death_timeout=CONNECT_S,
        )
    _log.info("%s works for %s", worker.address, config.scheduler)
    stopping = asyncio.create_task(stop.wait())
    gone = asyncio.create_task(_finished(worker))
    try:
        await asyncio.wait((stopping, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        await worker.close()
        await gone


async def _probe(config: ClusterConfig) -> None:
    """Raise OSError or TimeoutError unless somebody listens at the scheduler's address."""
    place = urlsplit(config.scheduler)
    async with asyncio.timeout(CONNECT_S):
        _, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.close()


async def _finished(worker: Worker) -> None:
    await worker.finished()


def security(config: ClusterConfig) -> Security:
    """Return what both sides prove themselves with; none on this machine alone."""
    if config.ca_file is None:
        return Security(require_encryption=False)
    own = {"cert": str(config.cert_file), "key": str(config.key_file)}
    return Security(
        require_encryption=True,
        tls_ca_file=str(config.ca_file),
        **{f"tls_{role}_{kind}": path for role in ("client", "worker") for kind, path in own.items()},
    )


async def _make(words: Mapping[str, Any]) -> Report:
    """Make a part on the worker that this runs on."""
    worker = get_worker()
    return await part.make(words, lambda said: worker.log_event(_TOPIC, said), worker.address)


def _key(task: part.Task) -> str:
    return f"{task.render}-{task.part}-{time.monotonic_ns()}"
