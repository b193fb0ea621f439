"""Runs one attempt at a render: a subprocess of its own, at low priority, that can be ended at any moment.

The child writes into the attempt's folder and reports in JSON lines; nothing of it counts before it is
promoted. If the processor is killed, the child's next report meets a closed pipe and ends it.
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skylapse_protocol.records import FrameRecord, write_record

from .calibration import NO_CALIBRATION, CalibrationFiles
from .encode_codecs import THREADS
from .errors import FilmError
from .frames import SourceFrame, facts_of_record
from .ingest import figures_of, read_stored_record
from .jobs import Job
from .progress import Progress
from .request import RenderRequest, at_size, to_json
from .store.layout import Layout
from .store.rows import StoredFrame

_log = logging.getLogger(__name__)

SILENCE_S = 600.0
"""A render that reports nothing for so long hangs."""
_LINE_BYTES = 16 * 1024 * 1024
_KILL_AFTER_S = 3.0
_LAST_WORDS = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class Product:
    """One film that an attempt brought: it brings one for each size."""

    size: str
    video: Path
    poster: Path
    thumb: Path
    preview: Path
    frames: int
    skipped: int
    duration_s: float
    rate: float
    width: int
    height: int
    bytes: int
    codec: str
    flicker_mev: float | None
    content: str | None = None
    """First digits of a digest of the video, where whoever made it knows one."""


class Executor:
    """Runs renders as subprocesses."""

    def __init__(
        self,
        layout: Layout,
        *,
        nice: int,
        encoder: str = "software",
        threads: int = THREADS,
        calibration: Mapping[str, CalibrationFiles] = NO_CALIBRATION,
    ) -> None:
        self._layout = layout
        self._calibration = calibration
        self._nice = nice
        self._encoder = encoder
        self._threads = threads

    async def run(
        self, job: Job, frames: Sequence[StoredFrame], folder: Path, tell: Callable[[Progress], None]
    ) -> tuple[Product, ...]:
        """Render to the end, or raise FilmError with the child's words. Cancelling ends the child."""
        request = await asyncio.to_thread(self._prepare, job, frames, folder)
        result = await self._result(folder, tell)
        for notice in result["noticed"]:
            _log.info("job %s: %s %s", job.id, notice["file"], notice["reason"])
        return products(request, result)

    async def predict(self, job: Job, frames: Sequence[StoredFrame], folder: Path) -> dict[str, Any]:
        """Return what rendering would bring, as JSON values; raise FilmError as it would."""
        await asyncio.to_thread(self._prepare, job, frames, folder)
        return await self._result(folder, lambda _: None, "--dry-run")

    async def _result(self, folder: Path, tell: Callable[[Progress], None], *words: str) -> dict[str, Any]:
        """Run the child on the job file in a folder; return its last report, or raise FilmError."""
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "skylapse_processor",
                "render",
                "--job",
                str(folder / "job.json"),
                *words,
            ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
            start_new_session=True,
        )
        last_words = asyncio.create_task(_last_words(process))
        try:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, process.pid, self._nice)
            last = await _listen(process, tell)
            code = await process.wait()
            said = last.get("error") or await last_words
        finally:
            await _end(process)
            last_words.cancel()
        if code != 0 or "result" not in last:
            raise FilmError(str(said) or f"the render ended with exit code {code}")
        result: dict[str, Any] = last["result"]
        return result

    def _prepare(self, job: Job, frames: Sequence[StoredFrame], folder: Path) -> RenderRequest:
        """Write the job file."""
        folder.mkdir(parents=True, exist_ok=True)
        spec = job.spec
        request = RenderRequest(
            frames=tuple(
                source_frame(self._layout, frame, read_stored_record(self._layout, frame)) for frame in frames
            ),
            output=folder / "film.mp4",
            recipe=spec.recipe,
            parameters=spec.parameters,
            files=self._calibration.get(str(spec.camera), CalibrationFiles()),
            size=spec.size,
            also_sizes=spec.also_sizes,
            codec=spec.codec,
            encoder=self._encoder,
            threads=self._threads,
            rate=spec.rate,
            length_s=spec.length_s,
            speed_up=spec.speed_up,
            poster=folder / "poster.jpg",
            thumbnail=folder / "thumb.jpg",
            preview=folder / "preview.webp",
            metadata={"title": f"{spec.camera} {spec.day}", "camera": str(spec.camera), "day": spec.day},
        )
        (folder / "job.json").write_text(json.dumps(to_json(request)), encoding="utf-8")
        return request


def source_frame(layout: Layout, frame: StoredFrame, record: FrameRecord | None) -> SourceFrame:
    """Return a stored frame as recipes see it."""
    return SourceFrame(
        path=layout.picture(frame.name, frame.day),
        name=frame.name.stem,
        captured_at=frame.name.captured_at,
        facts=facts_of_record(_known(record)) if record is not None else None,
        record=_known(record) if record is not None else {},
        measured=figures_of(frame),
        size=(frame.width, frame.height),
    )


def _known(record: FrameRecord) -> Mapping[str, Any]:
    """Return the fields of a record that are not null."""
    return {name: value for name, value in write_record(record).items() if value is not None}


async def _listen(process: asyncio.subprocess.Process, tell: Callable[[Progress], None]) -> dict[str, Any]:
    """Hear reports until the child closes its output; return the last that is no progress."""
    last: dict[str, Any] = {}
    while process.stdout is not None and (line := await _next_line(process.stdout)):
        report = json.loads(line)
        if "progress" in report:
            tell(Progress(**report["progress"]))
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


def products(request: RenderRequest, result: Mapping[str, Any]) -> tuple[Product, ...]:
    """Return the films that a finished request made, that of its own size first."""
    own = _product(request, result, result)
    return (own, *(_product(at_size(request, each["size"]), result, each) for each in result["also"]))


def _product(request: RenderRequest, result: Mapping[str, Any], file: Mapping[str, Any]) -> Product:
    if request.poster is None or request.thumbnail is None or request.preview is None:
        raise FilmError("a render was started without a place for its pictures")
    return Product(
        size=request.size,
        video=request.output,
        poster=request.poster,
        thumb=request.thumbnail,
        preview=request.preview,
        frames=int(result["frames"]),
        skipped=len(result["skipped"]),
        duration_s=float(result["duration_s"]),
        rate=float(result["rate"]),
        width=int(file["width"]),
        height=int(file["height"]),
        bytes=int(file["bytes"]),
        codec=str(result["codec"]),
        flicker_mev=result.get("flicker_mev"),
    )
