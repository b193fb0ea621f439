"""Films on many machines: the same film, whoever dies in the middle of it. Real scheduler, real workers, real TLS."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from skylapse_processor import fleet
from skylapse_processor.child import Limits
from skylapse_processor.cli import main
from skylapse_processor.errors import FilmError
from skylapse_processor.fleet import Fleet
from skylapse_processor.frames import read_folder
from skylapse_processor.progress import Progress
from skylapse_processor.request import RenderRequest, to_json
from skylapse_processor.store.layout import SENTINEL
from tests.support.cluster import Cluster, running
from tests.support.waiting import until

from .pictures import START, evening, film_frames, write_evening

FRAMES = 480
LIMITS = Limits(nice=0)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler over TLS; each test brings its own workers."""
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one job, of two chapters of a dusk that goes back and forth."""
    (tmp_path / SENTINEL).write_bytes(b"")
    write_evening(tmp_path / "in", evening(24), facts="records")
    there = read_folder(tmp_path / "in").frames
    walk = [(there if lap % 2 == 0 else there[::-1])[place] for lap in range(20) for place in range(24)]
    write_job(
        tmp_path / "job",
        RenderRequest(
            frames=tuple(
                replace(frame, captured_at=START + timedelta(seconds=15 * number))
                for number, frame in enumerate(walk)
            ),
            output=tmp_path / "job" / "film.mp4",
            poster=tmp_path / "job" / "poster.jpg",
            thumbnail=tmp_path / "job" / "thumb.jpg",
            preview=tmp_path / "job" / "preview.webp",
        ),
    )
    return tmp_path


@pytest.fixture
def workers(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, without a worker after each test."""
    yield cluster
    for worker in cluster.workers:
        worker.stop()
    cluster.workers.clear()


def write_job(folder: Path, request: RenderRequest) -> None:
    """Write a job file into a folder of its own."""
    folder.mkdir()
    (folder / "job.json").write_text(json.dumps(to_json(request)))


def made_at_once(store: Path) -> Path:
    """Make the film on this machine in one go, as anybody can; return it."""
    job = json.loads((store / "job" / "job.json").read_text())
    folder = store / "whole"
    folder.mkdir()
    job.update(output=str(folder / "film.mp4"), poster=None, thumbnail=None, preview=None)
    (folder / "job.json").write_text(json.dumps(job))
    subprocess.run(
        [sys.executable, "-m", "skylapse_processor", "render", "--job", folder / "job.json"],
        check=True,
        capture_output=True,
    )
    return folder / "film.mp4"


def psnr_db(film: Path, other: Path) -> float:
    """Compare two films frame by frame."""
    one, two = film_frames(film), film_frames(other)
    assert len(one) == len(two)
    errors = [np.mean((a.astype(np.float32) - b) ** 2) for a, b in zip(one, two, strict=True)]
    return float(10 * np.log10(255**2 / max(float(np.mean(errors)), 1e-9)))


def renders_of(store: Path) -> list[int]:
    """The processes on this machine that render something of a store."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"render" in words and str(store).encode() in words:
                found.append(int(entry.name))
    return found


async def test_a_worker_that_is_killed_in_mid_render_costs_no_film(workers: Cluster, store: Path) -> None:
    victim, survivor = (workers.add_worker(store) for _ in range(2))
    heard: list[Progress] = []

    def tell(progress: Progress) -> None:
        heard.append(progress)
        if progress.done and victim.running:
            os.kill(victim.pid, signal.SIGKILL)

    result, folder = await Fleet(places=1, limits=LIMITS, cluster=workers.config).make(
        store / "job", "job-1", tell
    )
    assert not victim.running
    assert survivor.running
    assert (result["frames"], folder) == (FRAMES, store / "job")
    assert psnr_db(folder / "film.mp4", made_at_once(store)) >= 50
    assert (folder / "poster.jpg").read_bytes().startswith(b"\xff\xd8")
    assert (folder / "preview.webp").read_bytes()[8:12] == b"WEBP"
    assert heard[-1].total == FRAMES
    assert result["flicker_mev"] == pytest.approx(
        json.loads((next(folder.glob("part-0000-*")) / "film.mp4.json").read_text())["flicker_mev"], abs=5
    )


async def test_a_scheduler_that_is_killed_and_comes_back_costs_no_film(
    workers: Cluster, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    workers.add_worker(store)
    workers.add_worker(store)
    restarted = False

    def tell(progress: Progress) -> None:
        nonlocal restarted
        if progress.done and not restarted:
            restarted = True
            workers.scheduler.kill()
            workers.scheduler.start()

    result, folder = await Fleet(places=1, limits=LIMITS, cluster=workers.config).make(
        store / "job", "job-1", tell
    )
    assert restarted
    assert "what is left of job-1 is made elsewhere" in caplog.text
    assert "this machine makes films" not in caplog.text, "the cluster was there again"
    assert result["frames"] == FRAMES
    assert psnr_db(folder / "film.mp4", made_at_once(store)) >= 50


async def test_a_worker_that_does_not_see_the_store_is_named_and_passed_by(
    workers: Cluster, store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """`/proc/self/cwd` is another folder to each process: what a share is that was mounted elsewhere."""
    monkeypatch.chdir(store)
    (store / "elsewhere").mkdir()
    workers.add_worker(store, folder=store / "elsewhere")
    job = Path("/proc/self/cwd/job")
    result, folder = await Fleet(places=2, limits=LIMITS, cluster=workers.config).make(
        job, "job-1", lambda _: None
    )
    assert f"does not see {job}/job.json" in caplog.text
    assert "mount the store there, under the same path" in caplog.text
    assert result["frames"] == FRAMES, "this machine made it"
    assert len(film_frames(folder / "film.mp4")) == FRAMES


async def test_a_cancelled_film_leaves_no_process_on_any_worker(workers: Cluster, store: Path) -> None:
    workers.add_worker(store, places=2)
    begun = asyncio.Event()
    making = asyncio.create_task(
        Fleet(places=1, limits=LIMITS, cluster=workers.config).make(
            store / "job", "job-1", lambda progress: begun.set() if progress.done else None
        )
    )
    await begun.wait()
    assert renders_of(store)
    making.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(making, return_exceptions=True)
    assert renders_of(store) == []
    assert not (store / "job" / "film.mp4").exists()


async def test_without_a_scheduler_this_machine_makes_the_film(
    cluster: Cluster, store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fleet, "PATIENCE_S", 0.0)
    nobody = replace(cluster.config, scheduler="tls://127.0.0.1:9")
    result, _ = await Fleet(places=2, limits=LIMITS, cluster=nobody).make(
        store / "job", "job-1", lambda _: None
    )
    assert "this machine makes films for the next" in caplog.text
    assert result["frames"] == FRAMES


async def test_a_client_without_a_certificate_of_the_authority_is_refused(
    cluster: Cluster, tmp_path: Path
) -> None:
    from skylapse_processor import cluster as door
    from skylapse_processor.errors import LostError
    from tests.support.cluster import certificates

    ca, cert, key = certificates(tmp_path)
    stranger = replace(cluster.config, ca_file=ca, cert_file=cert, key_file=key)
    with pytest.raises(LostError, match="no scheduler answers"):
        await door.connected(stranger)


def test_a_worker_refuses_to_start_where_it_would_be_of_no_use(
    cluster: Cluster, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (store / "other").mkdir()
    words = ["worker", "--scheduler", cluster.address, "--store", str(store / "other")]
    assert main(words) == 1
    assert "needs ca_file, cert_file, key_file" in capsys.readouterr().err
    ca, cert, key = (str(path) for path in cluster.files)
    assert main([*words, "--ca-file", ca, "--cert-file", cert, "--key-file", key]) == 1
    assert "is no store of a processor, or is not mounted here" in capsys.readouterr().err
    assert main(["worker", "--scheduler", "tcp://render.local:8786", "--store", str(store)]) == 1
    assert "use tls://, for whoever speaks to a worker commands it" in capsys.readouterr().err


async def test_a_part_that_fails_by_itself_is_tried_three_times_and_says_why(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = json.loads((store / "job" / "job.json").read_text())
    (store / "job" / "job.json").write_text(json.dumps({**job, "recipe": "clean", "size": "480q"}))
    caplog.set_level(logging.WARNING)
    with pytest.raises(FilmError, match="size"):
        await Fleet(places=1, limits=LIMITS).make(store / "job", "job-1", lambda _: None)
    assert caplog.text.count("it is made again") == 2
    assert await until(lambda: not renders_of(store))
