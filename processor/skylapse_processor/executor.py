"""One attempt at a job: the request that it means, and the films that come of it.

They are made in the attempt's folder, here or on other machines; nothing of it counts before it is promoted.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.records import FrameRecord, write_record

from .calibration import NO_CALIBRATION, CalibrationFiles
from .encode_codecs import THREADS
from .errors import FilmError
from .fleet import Fleet
from .frames import SourceFrame, facts_of_record
from .ingest import figures_of, read_stored_record
from .jobs import Job, RenderSpec
from .library import title_of
from .progress import Progress
from .request import Cell, RenderRequest, at_size, to_json
from .store.layout import Layout
from .store.rows import StoredFrame

_log = logging.getLogger(__name__)


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """What people call a film and its cameras, and where these stand."""

    title: str
    cameras: tuple[str, ...]
    """One a camera that the film shows."""
    time_zone: str = ""
    """Of the first camera; empty where nobody says."""


def plain_words(spec: RenderSpec) -> Words:
    """Return words out of ids."""
    cameras = tuple(map(str, spec.shown))
    return Words(title=title_of(" + ".join(cameras), spec), cameras=cameras)


class Executor:
    """Has the films of jobs made."""

    def __init__(
        self,
        layout: Layout,
        fleet: Fleet,
        *,
        encoder: str = "software",
        threads: int = THREADS,
        calibration: Mapping[str, CalibrationFiles] = NO_CALIBRATION,
    ) -> None:
        self._layout = layout
        self._calibration = calibration
        self._fleet = fleet
        self._encoder = encoder
        self._threads = threads

    async def run(
        self,
        job: Job,
        frames: Sequence[StoredFrame],
        folder: Path,
        tell: Callable[[Progress], None],
        words: Words,
        *,
        plainly: bool,
    ) -> tuple[Product, ...]:
        """Render to the end, or raise FilmError with its words. Cancelling ends all its processes.

        After an attempt that failed it is made `plainly`, without hardware: that may be the fault.
        """
        request = await asyncio.to_thread(self._prepare, job, frames, folder, words, plainly=plainly)
        result, made_in = await self._fleet.make(folder, f"{job.id}-{job.attempt}", tell)
        for notice in result["noticed"]:
            _log.info("job %s: %s %s", job.id, notice["file"], notice["reason"])
        for left_out in result["skipped"]:
            _log.warning("job %s: %s is left out: %s", job.id, left_out["file"], left_out["reason"])
        return products(moved(request, made_in), result)

    async def predict(
        self, job: Job, frames: Sequence[StoredFrame], folder: Path, words: Words
    ) -> dict[str, Any]:
        """Return what rendering would bring, as JSON values; raise FilmError as it would."""
        await asyncio.to_thread(self._prepare, job, frames, folder, words, plainly=False)
        return dict(await self._fleet.run("render", "--job", str(folder / "job.json"), "--dry-run"))

    def _prepare(
        self, job: Job, frames: Sequence[StoredFrame], folder: Path, words: Words, *, plainly: bool
    ) -> RenderRequest:
        """Write the job file."""
        encoder = "software" if plainly else self._encoder
        if encoder != self._encoder:
            _log.warning("job %s failed before: it is made by software, not by hardware", job.id)
        folder.mkdir(parents=True, exist_ok=True)
        spec, camera = job.spec, str(job.spec.camera)
        sources = {
            frame.name: source_frame(self._layout, frame, read_stored_record(self._layout, frame))
            for frame in frames
        }
        by_camera = {
            each: tuple(source for name, source in sources.items() if name.camera == each)
            for each in spec.shown
        }
        request = RenderRequest(
            frames=by_camera[spec.camera],
            cells=tuple(
                Cell(name=name, frames=by_camera[each])
                for name, each in zip(_apart(words.cameras, spec.shown), spec.shown, strict=True)
                if spec.cameras
            ),
            output=folder / "film.mp4",
            recipe=spec.recipe,
            parameters=spec.parameters,
            files=CalibrationFiles() if spec.cameras else self._calibration.get(camera, CalibrationFiles()),
            size=spec.size,
            also_sizes=spec.also_sizes,
            codec=spec.codec,
            encoder=encoder,
            threads=self._threads,
            rate=spec.rate,
            length_s=spec.length_s,
            speed_up=spec.speed_up,
            poster=folder / "poster.jpg",
            thumbnail=folder / "thumb.jpg",
            preview=folder / "preview.webp",
            metadata={"title": words.title, "camera": camera, "day": spec.day},
            camera=words.cameras[0],
            time_zone=words.time_zone,
        )
        (folder / "job.json").write_text(json.dumps(to_json(request)), encoding="utf-8")
        return request


def _apart(names: Sequence[str], cameras: Sequence[CameraName]) -> tuple[str, ...]:
    """Return what tells cameras apart: their names, or their ids where two have the same name."""
    return tuple(names) if len({*names}) == len(names) else tuple(map(str, cameras))


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


def moved(request: RenderRequest, folder: Path) -> RenderRequest:
    """Return the request as it was made in another folder."""
    places = (request.output, request.poster, request.thumbnail, request.preview)
    output, poster, thumbnail, preview = (None if path is None else folder / path.name for path in places)
    return replace(
        request, output=output or request.output, poster=poster, thumbnail=thumbnail, preview=preview
    )


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
