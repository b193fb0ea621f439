"""Many machines: wall time by workers, what differs between the films, and what a killed worker costs.

All workers share the cores of this machine, so that what is gained here is what one process leaves of them;
`docs/scale.md` says what follows for machines with cores of their own.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import av
import numpy as np

from skylapse_processor.child import Limits
from skylapse_processor.config import ClusterConfig
from skylapse_processor.fleet import Fleet
from skylapse_processor.frames import SourceFrame, read_folder
from skylapse_processor.progress import Progress
from skylapse_processor.request import RenderRequest, to_json
from skylapse_processor.store.layout import SENTINEL
from tests.support.cluster import Cluster, running

from . import inputs
from .figures import Figure

FRAMES = 480
SIZE = "1920x1080"
PICTURES = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A film, and how long it took."""

    film: Path
    seconds: float


def run(work: Path, frames: int = FRAMES, size: str = SIZE) -> list[Figure]:
    """Measure a film made in this process, on one worker, on two, and on two of which one is killed."""
    pictures = read_folder(inputs.twin(work / "in", PICTURES, size)).frames
    (work / SENTINEL).write_bytes(b"")
    here = {places: _made(work, f"here{places}", pictures, frames, places=places) for places in (1, 2)}
    there: dict[int, Run] = {}
    with running(work / "cluster") as cluster:
        for workers in (1, 2):
            cluster.add_worker(work)
            there[workers] = _made(work, f"workers{workers}", pictures, frames, cluster=cluster.config)
        killed = _made(work, "killed", pictures, frames, cluster=cluster.config, tell=_killer(cluster))
    what = f"{frames} frames of {size.partition('x')[2]}p"
    return [
        *(_seconds(f"wall time, {what}, {places} at once in the processor", here[places]) for places in here),
        *(_seconds(f"wall time, {what}, {count} worker processes over TLS", there[count]) for count in there),
        Figure(
            figure="two worker processes ÷ one, on the same two cores",
            value=round(there[2].seconds / there[1].seconds, 3),
            unit="×",
        ),
        Figure(
            figure="PSNR between the films of two workers and of one machine",
            value=round(_psnr_db(here[1].film, there[2].film), 1),
            unit="dB",
            bound=50,
            better="above",
        ),
        Figure(
            figure="PSNR between the film of a killed worker and of one machine",
            value=round(_psnr_db(here[1].film, killed.film), 1),
            unit="dB",
            bound=50,
            better="above",
        ),
        Figure(
            figure="time lost by a worker that is killed in mid-render, and its place with it",
            value=round(killed.seconds - there[2].seconds, 1),
            unit="s",
        ),
    ]


def _seconds(figure: str, run: Run) -> Figure:
    return Figure(figure=figure, value=round(run.seconds, 1), unit="s")


def _killer(cluster: Cluster) -> Callable[[Progress], None]:
    """Kill a worker when a third of the film is made."""
    victim = cluster.workers[0]

    def tell(progress: Progress) -> None:
        if victim.running and progress.done > progress.total / 3:
            os.kill(victim.pid, signal.SIGKILL)

    return tell


def _made(
    work: Path,
    name: str,
    pictures: tuple[SourceFrame, ...],
    frames: int,
    *,
    places: int = 1,
    cluster: ClusterConfig | None = None,
    tell: Callable[[Progress], None] = lambda _: None,
) -> Run:
    """Make the film of a walk back and forth between the pictures."""
    folder = work / name
    folder.mkdir()
    walk = [*pictures, *pictures[::-1]]
    start = pictures[0].captured_at
    if start is None:
        raise SystemExit("bench: the twin's pictures have no times")
    request = RenderRequest(
        frames=tuple(
            replace(walk[number % len(walk)], captured_at=start + timedelta(seconds=15 * number))
            for number in range(frames)
        ),
        output=folder / "film.mp4",
    )
    (folder / "job.json").write_text(json.dumps(to_json(request)), encoding="utf-8")
    fleet = Fleet(places=places, limits=Limits(nice=0), cluster=cluster)
    started = time.monotonic()
    result, made_in = asyncio.run(fleet.make(folder, name, tell))
    if result["frames"] != frames:
        raise SystemExit(f"bench: {name} has {result['frames']} frames instead of {frames}")
    return Run(film=made_in / "film.mp4", seconds=time.monotonic() - started)


def _psnr_db(film: Path, other: Path) -> float:
    """Compare two films frame by frame; 100 where they are the same."""
    errors = []
    with av.open(str(film)) as one, av.open(str(other)) as two:
        for left, right in zip(one.decode(video=0), two.decode(video=0), strict=True):
            difference = left.to_ndarray().astype(np.float32) - right.to_ndarray()
            errors.append(float(np.mean(difference**2)))
    return min(100.0, float(10 * np.log10(255**2 / max(float(np.mean(errors)), 1e-9))))
