"""A command of this package as a process of its own: low priority, limits, reports in JSON, an end at once.

A render runs alone so that a picture that kills its decoder, a leak or a hang costs that render and nothing
else. It is started the same way by the processor and by a worker of a cluster. If whoever started it is
killed, its next report meets a closed pipe and ends it.
"""

import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from .errors import FilmError

Report = Mapping[str, Any]

SILENCE_S = 600.0
"""A render that reports nothing for so long hangs."""
_LINE_BYTES = 16 * 1024 * 1024
_KILL_AFTER_S = 3.0
_LAST_WORDS = 2000
_GRACE_S = 5
_MB = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a render may take of its machine."""

    nice: int = 10
    memory_mb: int = 0
    """Address space, of which about a third becomes memory; 0 for no limit."""
    cpu_s: int = 0
    """Seconds of processor time, of all threads together; 0 for no limit."""


async def run(words: Sequence[str], limits: Limits, hear: Callable[[Report], None]) -> Report:
    """Run `skylapse-processor WORDS` to its end and return its result.

    `hear` is given every report on the way. Raises FilmError with the child's own words where it fails or is
    silent for too long. Cancelling ends the child and its threads before this returns.
    """
    async with _started(words, limits) as process:
        last_words = asyncio.create_task(_last_words(process))
        try:
            last = await _listen(process, hear)
            code = await process.wait()
            said = last.get("error") or await last_words
        finally:
            last_words.cancel()
    if code != 0 or "result" not in last:
        raise FilmError(str(said) or _how_it_ended(code))
    result: Report = last["result"]
    return result


@asynccontextmanager
async def _started(words: Sequence[str], limits: Limits) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start the child; see to it that it is gone at the end, whatever happens."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "skylapse_processor", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
        start_new_session=True,
    )
    try:
        _restrain(process.pid, limits)
        yield process
    finally:
        await _end(process)


def _restrain(pid: int, limits: Limits) -> None:
    """Lower the priority of a child that still starts, and bound what it may take."""
    with contextlib.suppress(OSError):  # it may be gone already, and says why itself
        os.setpriority(os.PRIO_PROCESS, pid, limits.nice)
        if limits.memory_mb:
            most = limits.memory_mb * _MB
            resource.prlimit(pid, resource.RLIMIT_AS, (most, most))
        if limits.cpu_s:
            resource.prlimit(pid, resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + _GRACE_S))


async def _listen(process: asyncio.subprocess.Process, hear: Callable[[Report], None]) -> dict[str, Any]:
    """Hear reports until the child closes its output; return the last that is no progress."""
    last: dict[str, Any] = {}
    while process.stdout is not None and (line := await _next_line(process.stdout)):
        report = json.loads(line)
        if "progress" in report:
            hear(report["progress"])
        else:
            last = report
    return last


async def _next_line(stream: asyncio.StreamReader) -> bytes:
    """Return the next report, empty at the end; raise FilmError where none comes for long."""
    try:
        async with asyncio.timeout(SILENCE_S):  # wait_for may swallow a cancel on Python 3.11
            return await stream.readline()
    except TimeoutError:
        raise FilmError(f"the render gave no sign of life for {SILENCE_S:g} s") from None


async def _last_words(process: asyncio.subprocess.Process) -> str:
    """Return the end of what the child wrote to its error output."""
    tail = b""
    while process.stderr is not None and (data := await process.stderr.read(65536)):
        tail = (tail + data)[-_LAST_WORDS:]
    return tail.decode(errors="replace").strip()


def _how_it_ended(code: int) -> str:
    if code == -signal.SIGXCPU:
        return "the render took more processor time than renders.cpu_s allows"
    if code < 0:
        return f"the render was ended by {signal.Signals(-code).name}"
    return f"the render ended with exit code {code}"


async def _end(process: asyncio.subprocess.Process) -> None:
    """See to it that the child and its threads are gone."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(_KILL_AFTER_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
