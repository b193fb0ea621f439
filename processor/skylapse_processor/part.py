"""One stretch of a film as a worker makes it: the task that a cluster runs, and the processor itself, too.

A task is plain words and numbers; what it does is one command,

    skylapse-processor render --job <store>/renders/<job>/job.json --stretch 240:480 -o <part>

which any other scheduler of work may run just as well. The worker must see the store under the same path as
the processor does, and the files of the camera's calibration: their digests are compared before anything is
made. Every attempt at a part writes into a folder of its own, so that two that run by mistake at once never
write into one file.
"""

import asyncio
import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from . import child
from .child import Limits, Report
from .errors import BlindWorkerError, FilmError

Event = dict[str, Any]
Say = Callable[[Event], None]

FILM = "film.mp4"
"""What a film is called in the folder of its attempt, and a part in its own."""
HEARTBEAT_S = 10.0
_TELL_EVERY_S = 0.5

_making: dict[str, set["asyncio.Task[Any]"]] = {}
"""What this process makes now, by the render that it belongs to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a worker is told."""

    render: str
    """The attempt at a job that it belongs to: what is ended together."""
    part: int
    job_file: str
    digests: dict[str, str]
    """sha256 of the job's file and of the calibration that it names, in hexadecimal digits, by path."""
    stretch: str
    """As the command line wants it; empty for the whole film."""
    software: str
    nice: int
    memory_mb: int
    cpu_s: int

    def as_json(self) -> dict[str, Any]:
        """Return the task as values that any process understands."""
        return asdict(self)


def task(
    job_file: Path, digests: dict[str, str], render: str, part: int, stretch: str, limits: Limits
) -> Task:
    """Return the task of one part."""
    return Task(
        render=render,
        part=part,
        job_file=str(job_file),
        digests=digests,
        stretch=stretch,
        software=version("skylapse"),
        nice=limits.nice,
        memory_mb=limits.memory_mb,
        cpu_s=limits.cpu_s,
    )


def digests_of(job_file: Path) -> dict[str, str]:
    """Return the digests of a job's file and of the calibration that it names, as far as it can be read."""
    digests = {str(job_file): _digest_of(job_file)}
    for name in json.loads(job_file.read_bytes()).get("calibration", {}).values():
        with contextlib.suppress(OSError):  # the render names the file, and says what is wrong with it
            digests[name] = _digest_of(Path(name))
    return digests


def _digest_of(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def make(words: Mapping[str, Any], say: Say, worker: str) -> Report:
    """Make one part and return what the render says of it, with the file it wrote.

    `say` is given signs of life and progress. Raises FilmError with the render's own words, or where `end`
    ended it; BlindWorkerError where this machine does not see what the processor sees.
    """
    told = Task(**words)
    making = asyncio.create_task(_make(told, say, worker))
    _making.setdefault(told.render, set()).add(making)
    try:
        return await making
    except asyncio.CancelledError:
        own = asyncio.current_task()
        if own is not None and own.cancelling():
            raise
        raise FilmError("the render was ended on request") from None
    finally:
        _making[told.render].discard(making)
        if not _making[told.render]:
            del _making[told.render]


async def end(render: str) -> int:
    """End what this process makes for a render; return how many parts that were."""
    making = tuple(_making.get(render, ()))
    for each in making:
        each.cancel()
    await asyncio.gather(*making, return_exceptions=True)
    return len(making)


async def _make(told: Task, say: Say, worker: str) -> Report:
    await asyncio.to_thread(_check, told, worker)
    limits = Limits(nice=told.nice, memory_mb=told.memory_mb, cpu_s=told.cpu_s)
    folder = Path(told.job_file).with_name(f"part-{told.part:04d}-{secrets.token_hex(4)}")
    command = await asyncio.to_thread(_prepare, told, folder)
    teller = _Teller(told, say)
    beating = asyncio.create_task(teller.beat())
    try:
        result = await child.run(command, limits, teller.progress)
    finally:
        beating.cancel()
    return {**result, "folder": str(folder), "worker": worker}


def _prepare(told: Task, folder: Path) -> tuple[str, ...]:
    """Make the folder of this attempt at a part; return the words of its command."""
    folder.mkdir()
    if told.stretch:
        return ("render", "--job", told.job_file, "--stretch", told.stretch, "-o", str(folder / FILM))
    job = json.loads(Path(told.job_file).read_text(encoding="utf-8"))
    for name in ("output", "poster", "thumbnail", "preview"):
        if job.get(name):
            job[name] = str(folder / Path(job[name]).name)
    moved = folder / "job.json"
    moved.write_text(json.dumps(job), encoding="utf-8")
    return ("render", "--job", str(moved))


def _check(told: Task, worker: str) -> None:
    """Raise BlindWorkerError unless this machine sees what the processor sees and runs the same release."""
    own = version("skylapse")
    if told.software != own:
        raise BlindWorkerError(
            worker, f"runs skylapse {own}, the processor {told.software}: update one of them"
        )
    for name, digest in told.digests.items():
        of_the_store = name == told.job_file
        try:
            seen = _digest_of(Path(name))
        except OSError as error:
            remedy = "mount the store there" if of_the_store else "put the camera's calibration there"
            raise BlindWorkerError(
                worker, f"does not see {name} ({error.strerror}): {remedy}, under the same path"
            ) from error
        if seen != digest:
            remedy = "another store is mounted there" if of_the_store else "copy the processor's there"
            raise BlindWorkerError(worker, f"sees another file at {name}: {remedy}")


class _Teller:
    """Says how far a part is: not more often than anybody reads, and that it lives where nothing happens."""

    def __init__(self, told: Task, say: Say) -> None:
        self._head = {"render": told.render, "part": told.part}
        self._say = say
        self._said_at = 0.0

    def progress(self, report: Report) -> None:
        now = time.monotonic()
        if now >= self._said_at + _TELL_EVERY_S:
            self._said_at = now
            self._say({**self._head, "progress": dict(report)})

    async def beat(self) -> None:
        while True:
            self._say(dict(self._head))
            await asyncio.sleep(HEARTBEAT_S)
