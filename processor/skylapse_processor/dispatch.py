"""Obeys `jobs.py`: hears of orders and ended windows, keeps the job table, runs and promotes renders."""

import asyncio
import contextlib
import logging
import secrets
import shutil
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from skylapse_protocol.codec import write
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.messages import CameraState, EndedWindow, JobState, Orders

from . import jobs
from .clock import Clock
from .errors import NoPicturesError, NotFoundError, ProcessorError, RequestError
from .executor import Executor, Product, Words, plain_words
from .footage import Footage
from .jobs import Job, RenderSpec, WindowFacts
from .library import Library, content_of
from .progress import Progress
from .promotion import MadeFilm, is_left
from .retention import WindowKey
from .store.films import StoredFilm
from .store.jobtable import EndedRow
from .store.rows import Stretch
from .store.store import Store
from .wish import FilmWish

_log = logging.getLogger(__name__)

Grown = Callable[[RenderSpec, Path, str], Awaitable[tuple[Product, ...]]]

REMEMBER = timedelta(days=14)
"""How long frames that come late still remake the film of their window."""
_TELL_EVERY = timedelta(seconds=0.5)
_LOOK_EVERY_S = 5.0
_GATHER_S, _AWAITED_S = 0.5, 0.05
"""How long frames that come are gathered before windows are counted again; where a film waits for them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """A render under way."""

    job: Job
    task: "asyncio.Task[None]"


class Dispatch:
    """The queue of renders."""

    def __init__(
        self,
        store: Store,
        library: Library,
        executor: Executor,
        clock: Clock,
        tell: Callable[[JobState], None],
        *,
        workers: int,
        late_after: timedelta,
    ) -> None:
        self._table = store.jobs
        self._catalogue = store.frames
        self._footage = Footage(store)
        self._layout = store.layout
        self._library = library
        self._executor = executor
        self._clock = clock
        self._tell = tell
        self._workers = workers
        self._late_after = late_after
        self.words: Callable[[RenderSpec], Words] = plain_words
        """Returns what people call a film and its cameras."""
        self.grown: Grown = _nothing_grown
        """Returns what has grown while the frames came in; nothing where a film must be rendered."""
        self._wake = asyncio.Event()
        self._stirred = asyncio.Event()
        self._runs: dict[str, _Run] = {}
        self._predicting = asyncio.Lock()
        self._progress: dict[str, JobState] = {}
        self._heard: dict[CameraName, tuple[EndedWindow, ...]] = {}
        """What each camera said last, for it says so again with every frame."""
        self._seen: dict[WindowKey, tuple[tuple[int, int], datetime]] = {}
        self._told_at = datetime.min.replace(tzinfo=UTC)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up what a kill interrupted, and begin."""
        left = await asyncio.to_thread(self._renders)
        ended = {folder for folder in left if await self._resumed(folder)}
        for job in await asyncio.to_thread(self._table.in_states, "running"):
            if self._layout.render_folder(job.id, job.attempt) in ended:
                await self._change(job.id, lambda job: jobs.finish(job, job.attempt, self._clock()))
            else:
                await self._change(job.id, lambda job: jobs.recover(job, self._clock()))
        await asyncio.to_thread(self._clear_renders, ended)
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """End renders; they are done again after the next start, without blame."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        runs = list(self._runs.values())
        for run in runs:
            run.task.cancel()
        await asyncio.gather(*(run.task for run in runs), return_exceptions=True)
        for run in runs:
            await self._change(run.job.id, lambda job: jobs.release(job, self._clock()))

    def poke(self) -> None:
        """Look again at what is to be done, at once."""
        self._wake.set()
        self._stirred.set()

    def stir(self) -> None:
        """Look again soon: frames have come, and more are likely to."""
        self._stirred.set()

    async def hear_orders(self, orders: Orders) -> None:
        """Keep new standing orders."""
        await asyncio.wrap_future(self._table.set_orders(orders))
        self.poke()

    async def hear_state(self, camera: CameraName, state: CameraState) -> None:
        """Note which windows a camera says have ended."""
        ended = tuple(window for window in state.ended_windows if window.window != state.active_window)
        if ended != self._heard.get(camera, ()):
            await asyncio.wrap_future(self._table.hear_ended(camera, ended, self._clock()))
            self._heard[camera] = ended
            self.poke()

    async def request(self, wanted: FilmWish) -> Job:
        """Queue a film that somebody asks for; answers at once."""
        job = await self._asked(wanted)
        await asyncio.wrap_future(self._table.put([job]))
        self._announce(job)
        self.poke()
        return job

    async def predict(self, wanted: FilmWish) -> dict[str, Any]:
        """Return what a film would be, as JSON values; one prediction at a time."""
        job = await self._asked(wanted)
        folder = self._layout.render_folder(job.id, job.attempt)
        async with self._predicting:
            try:
                frames = await asyncio.to_thread(self._footage.of, job.spec)
                foretold = await self._executor.predict(job, frames, folder, await self._words(job.spec))
                return {**foretold, "left_out": write(job.spec.left_out)}
            finally:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _asked(self, wanted: FilmWish) -> Job:
        """Return the job of a film that somebody asks for, not queued yet."""
        spec, frames = await asyncio.to_thread(self._footage.wished, wanted)
        now = self._clock()
        return Job(
            id=_new_id(),
            origin="request",
            spec=spec,
            status="queued",
            frames=frames,
            created_at=now,
            changed_at=now,
        )

    async def cancel(self, job_id: str) -> Job:
        """Cancel a job; its process is gone when this returns."""
        job = await self.find(job_id)
        if job.over:
            raise RequestError("job", f"{job_id} is {job.status} already")
        changed = await self._change(job_id, lambda job: jobs.cancel(job, self._clock()))
        run = self._runs.get(job_id)
        if run is not None:
            run.task.cancel()
            await asyncio.gather(run.task, return_exceptions=True)
        return changed or job

    async def find(self, job_id: str) -> Job:
        """Return a job; raise NotFoundError where there is none."""
        job = await asyncio.to_thread(self._table.find, job_id)
        if job is None:
            raise NotFoundError(f"there is no job {job_id[:80]}")
        return job

    def state_of(self, job: Job) -> JobState:
        """Return what is told of a job."""
        state = self._progress.get(job.id) if job.status == "running" else None
        return state or JobState(
            id=job.id,
            state=job.status,
            camera=str(job.spec.camera),
            film=job.spec.film,
            percent=100.0 if job.status == "done" else 0.0,
            error=job.error,
            left_out=job.spec.left_out,
        )

    async def depth(self) -> int:
        """Return how many jobs wait or run."""
        return len(await asyncio.to_thread(self._table.in_states, "queued", "running"))

    def current(self) -> JobState | None:
        """Return the job that runs."""
        return next((self.state_of(run.job) for run in self._runs.values()), None)

    async def cameras_in_use(self) -> frozenset[CameraName]:
        """Return the cameras whose frames a render reads, or is to read."""
        found = await asyncio.to_thread(self._table.in_states, "queued", "running")
        return frozenset(camera for job in found for camera in job.spec.shown)

    async def windows_unmade(self) -> frozenset[WindowKey]:
        """Return the ended windows whose films are still to be started, or may be made anew any moment."""
        rows = await asyncio.to_thread(self._table.ended, (now := self._clock()) - REMEMBER)
        return frozenset(
            (row.camera, row.day, row.window)
            for row in rows
            if row.settled_frames is None or row.heard_at > now - self._late_after
        )

    async def _work(self) -> None:
        while True:
            gather_s = _GATHER_S
            try:
                await self._settle_windows()
                await self._keep_leases()
                gather_s = _AWAITED_S if await self._start_jobs() else _GATHER_S
            except Exception:  # noqa: BLE001 - one odd fact must not end the making of all other films
                _log.exception("the queue of renders could not be looked after; it is tried again")
            for event, longest_s in ((self._stirred, _LOOK_EVERY_S), (self._wake, gather_s)):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(longest_s):  # wait_for may swallow a cancel on Python 3.11
                        await event.wait()
            self._stirred.clear()
            self._wake.clear()

    async def _settle_windows(self) -> None:
        now = self._clock()
        orders = (await asyncio.to_thread(self._table.orders)).orders
        rows = await asyncio.to_thread(self._table.ended, now - REMEMBER)
        counts = await asyncio.to_thread(self._counts, rows)
        windows = [self._facts(row, counts, now) for row in rows]
        rows_by_key = {(row.camera, row.day, row.window): row for row in rows}
        self._seen = {key: seen for key, seen in self._seen.items() if key in rows_by_key}
        for settle in jobs.decide(orders, windows, now, self._late_after):
            new = [
                Job(
                    id=_new_id(),
                    origin="order",
                    spec=await asyncio.to_thread(self._footage.ordered, spec),
                    status="queued",
                    frames=settle.window.leading.get(spec.profile, 0),
                    created_at=now,
                    changed_at=now,
                )
                for spec in settle.starts
            ]
            row = rows_by_key[settle.window.camera, settle.window.day, settle.window.window]
            noted = self._table.settle(row, settle.frames, settle.bad, remade=settle.remade, jobs=new)
            await asyncio.wrap_future(noted)
            for job in new:
                self._announce(job)

    def _counts(self, rows: Sequence[EndedRow]) -> dict[WindowKey, list[Stretch]]:
        """Count what is stored of the cameras and days in question."""
        counts: dict[WindowKey, list[Stretch]] = defaultdict(list)
        for camera, day in {(row.camera, row.day) for row in rows}:
            for stretch in self._catalogue.stretches(camera, day):
                if stretch.window is not None:
                    counts[camera, day, stretch.window].append(stretch)
        return counts

    def _facts(
        self, row: EndedRow, counts: Mapping[WindowKey, Sequence[Stretch]], now: datetime
    ) -> WindowFacts:
        key = (row.camera, row.day, row.window)
        stretches = counts.get(key, ())
        stand = (row.stored, row.unmeasured)
        if self._seen.get(key, (None, now))[0] != stand:
            self._seen[key] = (stand, now)
        return WindowFacts(
            camera=row.camera,
            day=row.day,
            window=row.window,
            schedule=row.schedule,
            profiles=row.profiles,
            captured=row.captured,
            dropped=row.dropped,
            heard_at=row.heard_at,
            settled_frames=row.settled_frames,
            settled_bad=row.settled_bad,
            remade=row.remade,
            frames=row.stored,
            bad=row.bad,
            unmeasured=row.unmeasured,
            leading={stretch.profile: stretch.leading for stretch in stretches},
            quiet_since=self._seen[key][1],
        )

    async def _keep_leases(self) -> None:
        """Renew what runs here, and take over what is said to run and does not."""
        now = self._clock()
        for job in await asyncio.to_thread(self._table.in_states, "running"):
            run = self._runs.get(job.id)
            if run is not None:
                renewed = partial(jobs.renew, attempt=run.job.attempt, now=now)
                await asyncio.wrap_future(self._table.change(job.id, renewed))
            elif jobs.expired(job, now):
                await self._change(job.id, lambda job: jobs.recover(job, now))

    async def _start_jobs(self) -> bool:
        """Start what can be started; tell whether another film waits for frames to be measured."""
        running = [run.job for run in self._runs.values()]
        queued = await asyncio.to_thread(self._table.in_states, "queued")
        ready = await asyncio.to_thread(self._footage.ready, queued, self._clock() - self._late_after)
        for job in jobs.pick(ready, running, self._workers):
            started = await self._change(
                job.id, lambda job: jobs.start(job, self._clock()) if job.status == "queued" else None
            )
            if started is not None:
                plainly = jobs.is_blamed(job)
                task = asyncio.create_task(self._run(started, plainly=plainly))
                self._runs[started.id] = _Run(job=started, task=task)
        return len(ready) < len(queued)

    async def _run(self, job: Job, *, plainly: bool) -> None:
        """Run one attempt at a job to its end; `plainly` leaves hardware alone."""
        folder = self._layout.render_folder(job.id, job.attempt)
        try:
            if await self._left(job):
                return
            grown = await self.grown(job.spec, folder, (await self._words(job.spec)).title)
            await self._promote(job, grown or await self._rendered(job, folder, plainly=plainly))
        except Exception as error:  # noqa: BLE001 - whatever it is, the job is told and tried again
            reason = str(error) or type(error).__name__
            known = isinstance(error, ProcessorError)
            _log.warning("job %s, attempt %d: %s", job.id, job.attempt, reason, exc_info=not known)
            most = 1 if isinstance(error, NoPicturesError) else jobs.MAX_FAILURES
            await self._change(job.id, lambda now: jobs.fail(now, job.attempt, reason, self._clock(), most))
        finally:
            self._runs.pop(job.id, None)
            self._progress.pop(job.id, None)
            self.poke()
            if not is_left(folder):
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _left(self, job: Job) -> bool:
        """Do the rest of what attempts before had begun to make films of; tell whether films came of it."""
        before = [self._layout.render_folder(job.id, attempt) for attempt in range(1, job.attempt)]
        ended = [folder for folder in before if await self._library.resume(folder)]
        if ended:
            await self._finish(job, *ended)
        return bool(ended)

    async def _finish(self, job: Job, *folders: Path) -> None:
        """Note that films have come of a job; then nothing is left to be done in these folders."""
        await self._change(job.id, lambda now: jobs.finish(now, job.attempt, self._clock()))
        for folder in folders:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _resumed(self, folder: Path) -> bool:
        """Do the rest of what is left in a folder after a kill, if that can be done now."""
        try:
            return await self._library.resume(folder)
        except (OSError, ProcessorError) as error:
            _log.warning("%s: what is left there waits for the next start: %s", folder.name, error)
            return False

    async def _rendered(self, job: Job, folder: Path, *, plainly: bool) -> tuple[Product, ...]:
        frames = await asyncio.to_thread(self._footage.of, job.spec)
        return await self._executor.run(
            job,
            frames,
            folder,
            lambda progress: self._hear_progress(job, progress),
            await self._words(job.spec),
            plainly=plainly,
        )

    async def _promote(self, job: Job, products: Sequence[Product]) -> None:
        """Make films of what an attempt brought, if that attempt still counts."""
        current = await self.find(job.id)
        if not jobs.counts(current, job.attempt):
            _log.warning("job %s: attempt %d no longer counts", job.id, job.attempt)
            return
        made = [await self._made(job.spec, product) for product in products]
        ending = asyncio.ensure_future(self._end(job, made))
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            while not ending.done():  # what has begun to become films is not left half done
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait({ending})
            raise

    async def _end(self, job: Job, made: Sequence[MadeFilm]) -> None:
        folder = self._layout.render_folder(job.id, job.attempt)
        try:
            await self._library.promote(made, folder)
        except Exception as error:
            _log.warning("job %s: its films are brought to their places once more: %s", job.id, error)
            if not await self._library.resume(folder):
                raise
        await self._finish(job, folder)

    async def _made(self, whole: RenderSpec, product: Product) -> MadeFilm:
        """Return the film that one product is to become."""
        spec = whole if product.size == whole.size else whole.at(product.size)
        title = (await self._words(spec)).title
        content = product.content
        if content is None:
            content = await asyncio.to_thread(content_of, product.video)
        film = StoredFilm(
            id=spec.film,
            camera=spec.camera,
            day=spec.day,
            window=spec.window,
            schedule=spec.schedule,
            profile=spec.profile,
            recipe=spec.recipe,
            title=title if spec is whole else f"{title} · {spec.size}",
            created_at=self._clock(),
            content=content,
            frames=product.frames,
            skipped=product.skipped,
            duration_s=product.duration_s,
            rate=product.rate,
            width=product.width,
            height=product.height,
            bytes=product.bytes,
            codec=product.codec,
            flicker_mev=product.flicker_mev,
            preview=True,
        )
        return MadeFilm(
            film=film,
            video=product.video,
            poster=product.poster,
            thumb=product.thumb,
            preview=product.preview,
        )

    async def _words(self, spec: RenderSpec) -> Words:
        """Name a film; its profile only where the window has frames of another one, too."""
        alone = await asyncio.to_thread(self._footage.is_of_one_profile, spec)
        return await asyncio.to_thread(self.words, replace(spec, profile=None) if alone else spec)

    def _hear_progress(self, job: Job, progress: Progress) -> None:
        state = JobState(
            id=job.id,
            state="running",
            camera=str(job.spec.camera),
            film=job.spec.film,
            step=progress.step,
            percent=progress.percent,
            frames_per_s=progress.frames_per_s,
            left_s=progress.seconds_left,
            left_out=job.spec.left_out,
        )
        before = self._progress.get(job.id)
        self._progress[job.id] = state
        now = self._clock()
        if before is None or before.step != state.step or now >= self._told_at + _TELL_EVERY:
            self._told_at = now
            self._tell(state)

    async def _change(self, job_id: str, change: Callable[[Job], Job | None]) -> Job | None:
        changed = await asyncio.wrap_future(self._table.change(job_id, change))
        if changed is not None:
            self._announce(changed)
        return changed

    def _announce(self, job: Job) -> None:
        self._tell(self.state_of(job))

    def _clear_renders(self, ended: Collection[Path]) -> None:
        """Remove what killed attempts left behind, but for what is to become films yet."""
        for folder in self._renders():
            if folder in ended or not is_left(folder):
                shutil.rmtree(folder, ignore_errors=True)

    def _renders(self) -> list[Path]:
        """Return the folders of all attempts."""
        return sorted(self._layout.renders.iterdir()) if self._layout.renders.exists() else []


async def _nothing_grown(_spec: RenderSpec, _folder: Path, _title: str) -> tuple[Product, ...]:
    return ()


def _new_id() -> str:
    return secrets.token_hex(8)
