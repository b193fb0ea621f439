"""What is to be rendered when: orders, ended windows, stored counts and a clock in, instructions out.

Pure: no clock, no file, no broker. A window's films start when it has ended, none of its frames is pending
and all have been measured, at the latest `late_after` after the processor heard of its end. Frames that come
later, or turn out bad when the films stand, remake them once. After that a window is left alone, whatever
becomes of the orders.

A job is `queued → running → done`, or `failed` after too many failures, or `cancelled`. Each start raises
`attempt`, the fencing token: what an older attempt brings counts for nothing. Whoever runs it holds a lease
and renews it while the render lives; a job whose lease has ended is taken over by whoever finds it.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from skylapse_protocol.codec import write
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.messages import Order
from skylapse_protocol.sizes import LeftOut

JobStatus = Literal["queued", "running", "done", "failed", "cancelled"]
Origin = Literal["order", "request"]

MAX_FAILURES = 3
LATE_AFTER = timedelta(minutes=15)
LEASE = timedelta(seconds=60)
RENEW_AFTER = LEASE / 3
_ENDED = "the processor was ended in the middle of it"


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderSpec:
    """A film to be made: of a window, of a day, or of a span of time."""

    camera: CameraName
    day: str
    window: str | None = None
    schedule: str | None = None
    profile: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    recipe: str = "clean"
    size: str = "1080p"
    rate: float | None = None
    length_s: float | None = None
    speed_up: float | None = None
    also_sizes: tuple[str, ...] = ()
    codec: str = "h264"
    parameters: dict[str, Any] = field(default_factory=dict)
    """Changed parameters by step of the recipe."""
    cameras: tuple[str, ...] = ()
    """Of a grid, `camera` the first of them; none for the film of one camera."""
    left_out: tuple[LeftOut, ...] = field(default=(), compare=False)
    """Sizes that were asked for and would only repeat another."""

    @property
    def shown(self) -> tuple[CameraName, ...]:
        """All cameras whose frames it is made of."""
        return tuple(CameraName.parse(name) for name in self.cameras) or (self.camera,)

    @property
    def film(self) -> str:
        """The id of the film: making it anew, at whatever pace, replaces it."""
        span = self.window or f"{self.from_at or ''}/{self.to_at or ''}"
        parts = [str(self.camera), self.day, span, self.profile or "", self.recipe, self.size]
        if self.codec != "h264":
            parts.append(self.codec)
        parts += self.cameras
        if self.parameters:
            parts.append(json.dumps(self.parameters, sort_keys=True))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    @property
    def films(self) -> tuple[str, ...]:
        """The ids of the films of all its sizes, its own first."""
        return (self.film, *(self.at(size).film for size in self.also_sizes))

    def at(self, size: str) -> "RenderSpec":
        """Return the same film at one other size alone."""
        return replace(self, size=size, also_sizes=())


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A render and how far it is; a row of the job table."""

    id: str
    origin: Origin
    spec: RenderSpec
    status: JobStatus
    attempt: int = 0
    failures: int = 0
    frames: int = 0
    error: str | None = None
    created_at: datetime
    changed_at: datetime
    lease_until: datetime | None = None
    """Until when its attempt is believed to live; null while none runs."""

    @property
    def over(self) -> bool:
        """Tell whether nothing more will happen to it."""
        return self.status in ("done", "failed", "cancelled")


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowFacts:
    """A window that has ended, as its bridge told, and what is stored of it."""

    camera: CameraName
    day: str
    window: str
    schedule: str
    profiles: tuple[str, ...]
    captured: int
    dropped: int
    heard_at: datetime
    settled_frames: int | None = None
    """Frames that were stored when its films were started; None before."""
    settled_bad: int | None = None
    """Of those, how many had turned out bad; None before, and where an older release started them."""
    remade: bool = False
    frames: int
    """All frames that are stored: those of tests, brackets and raw pictures count, as the bridge counts."""
    leading: Mapping[str | None, int]
    """Of them, for each profile, those that films are made of."""
    bad: int = 0
    """Of all frames, those that turned out bad."""
    unmeasured: int = 0
    """Of all frames, those of which nobody knows yet."""
    quiet_since: datetime
    """When the last of them came or was measured, or when the processor started."""

    @property
    def complete(self) -> bool:
        """Tell whether no frame is pending, and none is unmeasured."""
        return self.frames >= self.captured - self.dropped and not self.unmeasured

    @property
    def outdated(self) -> bool:
        """Tell whether its films lack frames, or show some that have turned out bad since."""
        if self.settled_frames is None:
            return False
        return self.frames > self.settled_frames or (
            self.settled_bad is not None and self.bad > self.settled_bad
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Settle:
    """An instruction: note that the window's films were started from so many frames, and start them."""

    window: WindowFacts
    frames: int
    bad: int
    remade: bool
    starts: tuple[RenderSpec, ...]


def decide(
    orders: Sequence[Order], windows: Sequence[WindowFacts], now: datetime, late_after: timedelta = LATE_AFTER
) -> tuple[Settle, ...]:
    """Return which windows' films start now."""
    settled = []
    for window in windows:
        wanted = [o for o in orders if o.camera == str(window.camera) and o.schedule == window.schedule]
        if wanted and _is_due(window, now, late_after):
            settled.append(
                Settle(
                    window=window,
                    frames=window.frames,
                    bad=window.bad,
                    remade=window.settled_frames is not None,
                    starts=tuple(spec for order in wanted for spec in _specs(order, window)),
                )
            )
    return tuple(settled)


def _is_due(window: WindowFacts, now: datetime, late_after: timedelta) -> bool:
    if window.frames == 0:
        return False
    if window.settled_frames is None:
        return window.complete or now >= window.heard_at + late_after
    if window.remade or not window.outdated:
        return False
    return window.complete or now >= window.quiet_since + late_after


def _specs(order: Order, window: WindowFacts) -> list[RenderSpec]:
    """Return a film for each profile that the order means and that has frames for one."""
    profiles = [p for p, frames in window.leading.items() if frames and order.profile in (None, p)]
    return [
        RenderSpec(
            camera=window.camera,
            day=window.day,
            window=window.window,
            schedule=window.schedule,
            profile=profile,
            recipe=order.recipe,
            size=order.size,
            also_sizes=order.also_sizes,
            codec=order.codec,
            rate=order.rate,
        )
        for profile in sorted(profiles, key=lambda profile: profile or "")
    ]


def pick(queued: Sequence[Job], running: Collection[Job], slots: int) -> tuple[Job, ...]:
    """Return the queued jobs that start now: oldest first, never two at once for one film."""
    busy = {film for job in running for film in job.spec.films}
    chosen: list[Job] = []
    for job in sorted(queued, key=lambda job: (job.created_at, job.id)):
        if len(running) + len(chosen) >= slots:
            break
        if busy.isdisjoint(job.spec.films):
            busy.update(job.spec.films)
            chosen.append(job)
    return tuple(chosen)


def start(job: Job, now: datetime) -> Job:
    """Return the job as its next attempt begins."""
    return replace(
        job, status="running", attempt=job.attempt + 1, error=None, changed_at=now, lease_until=now + LEASE
    )


def renew(job: Job, attempt: int, now: datetime) -> Job | None:
    """Return the job with its lease renewed; None where that is not due, or this attempt no longer counts."""
    if not counts(job, attempt) or (job.lease_until and job.lease_until > now + LEASE - RENEW_AFTER):
        return None
    return replace(job, lease_until=now + LEASE)


def expired(job: Job, now: datetime) -> bool:
    """Tell whether a job is said to run, and nobody has renewed its lease."""
    return job.status == "running" and (job.lease_until is None or job.lease_until <= now)


def finish(job: Job, attempt: int, now: datetime) -> Job | None:
    """Return the job as done; None where this attempt no longer counts."""
    if not counts(job, attempt):
        return None
    return replace(job, status="done", changed_at=now, lease_until=None)


def fail(job: Job, attempt: int, error: str, now: datetime, max_failures: int = MAX_FAILURES) -> Job | None:
    """Return the job queued again, or failed for good; None where this attempt no longer counts."""
    if not counts(job, attempt):
        return None
    failures = job.failures + 1
    status: JobStatus = "failed" if failures >= max_failures else "queued"
    return replace(job, status=status, failures=failures, error=error, changed_at=now, lease_until=None)


def release(job: Job, now: datetime) -> Job:
    """Return a running job to the queue without blame: the processor is being stopped."""
    if job.status != "running":
        return job
    return replace(job, status="queued", changed_at=now, lease_until=None)


def cancel(job: Job, now: datetime) -> Job:
    """Return the job as cancelled, unless it is over already."""
    return job if job.over else replace(job, status="cancelled", changed_at=now, lease_until=None)


def recover(job: Job, now: datetime) -> Job:
    """Return what becomes of a job that was running when the processor was killed, or that nobody runs."""
    recovered = fail(job, job.attempt, _ENDED, now)
    return recovered if recovered is not None else job


def is_blamed(job: Job) -> bool:
    """Tell whether attempts at a queued job failed by themselves, for all that is known.

    That the processor was ended counts from the second time on.
    """
    return job.failures > (job.error == _ENDED)


def counts(job: Job, attempt: int) -> bool:
    """Tell whether this attempt is the one that the job waits for."""
    return job.status == "running" and job.attempt == attempt


def accepted(job: Job) -> dict[str, Any]:
    """Return what whoever asked for films is told: the job, its films of all sizes, and sizes left out."""
    return {
        "job": job.id,
        "film": job.spec.film,
        "films": list(job.spec.films),
        "left_out": write(job.spec.left_out),
    }
