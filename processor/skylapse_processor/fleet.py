"""Makes a film where there are places for it: cuts it, hands the parts out, sees them through, joins them.

A part that a worker lost is made again elsewhere; one that fails by itself is tried three times. A worker
that does not see the store is named in the log and passed by; a film of which one stretch alone cannot be
made is made whole. A cluster is a help and never a condition: while it does not answer, this machine makes
what is left. What is made stays made, whatever happens to the rest.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import child, segments
from .child import Limits, Report
from .config import ClusterConfig
from .errors import BlindWorkerError, FilmError, LostError
from .part import FILM, digests_of, task
from .progress import Progress, summed
from .segments import FrameRange, Part

if TYPE_CHECKING:
    from .cluster import Pool

_log = logging.getLogger(__name__)

PATIENCE_S = 20.0
"""How long a cluster that does not answer is waited for."""
FORSAKE_S = 300.0
"""How long it is left alone then."""
_ASK_EVERY_S = 1.0
_ROUNDS = 10
"""How often places may be lost in the middle of one film."""

Tell = Callable[[Progress], None]


@dataclass(kw_only=True, slots=True)
class _Effort:
    """One render under way."""

    render: str
    job_file: Path
    digests: dict[str, str]
    tell: Tell
    parts: list[Part] = field(default_factory=list)
    """None before it is known how the film is cut."""
    results: dict[int, Report] = field(default_factory=dict)
    reports: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    blind: set[str] = field(default_factory=set)
    began: float = field(default_factory=time.monotonic)

    @property
    def whole(self) -> bool:
        """Whether the film is made in one go."""
        return [part.stretch for part in self.parts] == [None]


class Fleet:
    """The places where films are made; they are opened with the first film and closed after the last."""

    def __init__(self, *, places: int, limits: Limits, cluster: ClusterConfig | None = None) -> None:
        self._places = places
        self._limits = limits
        self._cluster = cluster
        self._pool: Pool | None = None
        self._users = 0
        self._opening = asyncio.Lock()
        self._forsaken_until = 0.0

    async def make(self, folder: Path, render: str, tell: Tell) -> tuple[Report, Path]:
        """Make the film of the job in a folder; return what it is and the folder that holds it.

        Raises FilmError with the render's own words. Cancelling ends all its processes, wherever they are.
        """
        job_file = folder / "job.json"
        effort = _Effort(
            render=render, job_file=job_file, digests=await asyncio.to_thread(digests_of, job_file), tell=tell
        )
        for _ in range(_ROUNDS):
            async with self._open(folder.parent) as pool:
                try:
                    return await self._made(pool, effort)
                except LostError as error:
                    _log.warning("%s; what is left of %s is made elsewhere", error, render)
                    if not pool.lost:
                        self._forsake()
                    await self._drop(pool)
                except FilmError as error:
                    if effort.whole:
                        raise
                    _log.warning("%s: %s; it is made whole instead", render, error)
                    effort.parts = [Part(number=0, stretch=None)]
        raise FilmError(f"{render}: no place to make it lasted")

    async def _made(self, pool: "Pool", effort: _Effort) -> tuple[Report, Path]:
        """Make what is not made yet, and the film of it."""
        if not effort.parts:
            effort.parts = await self._parts(effort.job_file, await pool.places())
        await self._see_through(pool, effort)
        folders = [Path(effort.results[part.number]["folder"]) for part in effort.parts]
        if effort.whole:
            return effort.results[0], folders[0]
        films = [str(folder / FILM) for folder in folders]
        words = ("join", "--job", str(effort.job_file), *films)
        joined = await self.run(*words, hear=lambda said: effort.tell(Progress(**said)))
        return joined, effort.job_file.parent

    async def run(self, *words: str, hear: Callable[[Report], None] = lambda _: None) -> Report:
        """Run another command on a job in a process of its own."""
        return await child.run(words, self._limits, hear)

    async def _parts(self, job_file: Path, places: int) -> list[Part]:
        """Return the parts to be made; one without a stretch is the whole film."""
        stretches: list[str] = []
        if places > 1:
            outline = await self.run("outline", "--job", str(job_file), "--places", str(places))
            stretches = outline["stretches"]
        if not stretches:
            return [Part(number=0, stretch=None)]
        return [
            Part(number=number, stretch=FrameRange.parse(words)) for number, words in enumerate(stretches)
        ]

    async def _see_through(self, pool: "Pool", effort: _Effort) -> None:
        """Make all parts that are not made yet."""
        effort.blind.clear()
        waiting = [part.number for part in effort.parts if part.status != "done"]
        making = [asyncio.create_task(self._make(pool, effort, number)) for number in waiting]
        try:
            await asyncio.gather(*making)
        except BaseException:
            for each in making:
                each.cancel()
            await pool.end(effort.render)
            await asyncio.gather(*making, return_exceptions=True)
            raise

    async def _make(self, pool: "Pool", effort: _Effort, number: int) -> None:
        """Make one part, again where its worker is lost or blind; raise FilmError where that is no use."""
        part = effort.parts[number]
        words = task(
            effort.job_file, effort.digests, effort.render, number, str(part.stretch or ""), self._limits
        )
        while True:
            try:
                result = await pool.make(words, lambda said: _hear(effort, number, said), effort.blind)
            except BlindWorkerError as error:
                if error.worker not in effort.blind:
                    _log.warning("%s", error)
                effort.blind.add(error.worker)
            except FilmError as error:
                again = segments.failed(effort.parts[number])
                own_fault = effort.whole and not isinstance(error, LostError)
                if again is None or own_fault or pool.lost or not await pool.places(effort.blind):
                    raise
                _log.warning("%s, part %d: %s; it is made again", effort.render, number, error)
                effort.parts[number] = again
                effort.reports.pop(number, None)
            else:
                effort.results[number] = result
                effort.parts[number] = segments.finished(effort.parts[number])
                if not effort.whole:
                    _tell(effort)
                return

    @asynccontextmanager
    async def _open(self, scratch: Path) -> AsyncIterator["Pool"]:
        """Have places to make films at, for as long as the context lasts; they may write into `scratch`."""
        self._users += 1
        try:
            async with self._opening:
                if self._pool is None or self._pool.lost:
                    await self._close()
                    self._pool = await self._new(scratch)
                pool = self._pool
            yield pool
        finally:
            self._users -= 1
            if self._users == 0:
                await self._close()

    async def _new(self, scratch: Path) -> "Pool":
        cluster = await asyncio.to_thread(import_module, ".cluster", __package__)
        if self._cluster is not None and time.monotonic() >= self._forsaken_until:
            deadline = time.monotonic() + PATIENCE_S
            while True:
                try:
                    return await _peopled(await cluster.connected(self._cluster), deadline)
                except LostError as error:
                    if time.monotonic() >= deadline:
                        _log.warning("%s; this machine makes films for the next %g s", error, FORSAKE_S)
                        self._forsake()
                        break
                await asyncio.sleep(_ASK_EVERY_S)
        embedded: Pool = await cluster.embedded(self._places, scratch)
        return embedded

    def _forsake(self) -> None:
        """Leave the cluster alone for a while."""
        self._forsaken_until = time.monotonic() + FORSAKE_S

    async def _drop(self, pool: "Pool") -> None:
        """Let go of places that are lost."""
        async with self._opening:
            if self._pool is pool:
                await self._close()

    async def _close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            with contextlib.suppress(Exception):
                await pool.close()


async def _peopled(pool: "Pool", deadline: float) -> "Pool":
    """Return the pool once it has a worker; raise LostError, and close it, where none comes."""
    while not await pool.places():
        if time.monotonic() >= deadline:
            await pool.close()
            raise LostError(f"{pool.name}: no worker is there")
        await asyncio.sleep(_ASK_EVERY_S)
    return pool


def _hear(effort: _Effort, number: int, said: Mapping[str, Any]) -> None:
    """Add what one part reports to what is told of the film."""
    report = said.get("progress")
    if report is None:
        return
    if effort.whole:
        effort.tell(Progress(**report))
        return
    effort.reports[number] = report
    part = effort.parts[number]
    if report["step"] != "measure":
        effort.parts[number] = segments.progressed(part, report["done"] if report["step"] == "render" else 0)
    _tell(effort)


def _tell(effort: _Effort) -> None:
    """Tell how far a film of several parts is."""
    rates = [
        each["frames_per_s"] for key, each in effort.reports.items() if effort.parts[key].status == "running"
    ]
    done, total = segments.frames_done(effort.parts), segments.frames_of(effort.parts)
    effort.tell(summed(done, total, sum(rates), time.monotonic() - effort.began))
