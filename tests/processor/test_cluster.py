"""Films on many machines: the same film, whoever dies in the middle. Real scheduler, workers and TLS."""

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

from skylapse_processor import fleet, part
from skylapse_processor.child import Limits
from skylapse_processor.cli import main
from skylapse_processor.cluster import connected, embedded
from skylapse_processor.errors import BlindWorkerError, FilmError, LostError
from skylapse_processor.fleet import Fleet
from skylapse_processor.frames import read_folder
from skylapse_processor.progress import Progress
from skylapse_processor.request import RenderRequest, to_json
from skylapse_processor.store.layout import SENTINEL
from tests.support.cluster import Cluster, certificates, running
from tests.support.waiting import PATIENCE_S

from .pictures import START, evening, film_frames, tags_of, write_evening

FRAMES = 250
LIMITS = Limits(nice=0)
MUCH_TO_DO = {"denoise": {"radius": 3}, "interpolate": {"length_s": 60}}
"""Many seconds of work on the quickest machine."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler over TLS; each test brings its own workers."""
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four pictures of a dusk."""
    folder = tmp_path_factory.mktemp("pictures")
    write_evening(folder, evening(24), facts="records")
    return folder


@pytest.fixture(scope="module")
def once(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The film of the job as this machine makes it in one go."""
    folder = tmp_path_factory.mktemp("once") / "job"
    write_job(folder, pictures)
    subprocess.run(
        [sys.executable, "-m", "skylapse_processor", "render", "--job", folder / "job.json"],
        check=True,
        capture_output=True,
    )
    return folder / "film.mp4"


@pytest.fixture
def store(tmp_path: Path, pictures: Path) -> Path:
    """A store with one job."""
    (tmp_path / SENTINEL).write_bytes(b"")
    write_job(tmp_path / "job", pictures)
    return tmp_path


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster is waited for as long as a slow machine needs to start it."""
    monkeypatch.setattr(fleet, "PATIENCE_S", PATIENCE_S)


@pytest.fixture
def workers(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, without a worker after each test."""
    yield cluster
    for worker in cluster.workers:
        worker.stop()
    cluster.workers.clear()


def write_job(folder: Path, pictures: Path) -> None:
    """Write the job of a film of two chapters, that goes back and forth between a few pictures."""
    there = read_folder(pictures).frames
    back_and_forth = [*there, *there[::-1]]
    walk = [
        replace(back_and_forth[number % 48], captured_at=START + timedelta(seconds=15 * number))
        for number in range(FRAMES)
    ]
    request = RenderRequest(
        frames=tuple(walk),
        output=folder / "film.mp4",
        poster=folder / "poster.jpg",
        thumbnail=folder / "thumb.jpg",
        preview=folder / "preview.webp",
    )
    folder.mkdir()
    (folder / "job.json").write_text(json.dumps(to_json(request)))


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


async def test_a_worker_that_is_killed_in_mid_render_costs_no_film(
    workers: Cluster, store: Path, once: Path
) -> None:
    victim, survivor = (workers.add_worker(store) for _ in range(2))
    heard: list[Progress] = []

    def tell(progress: Progress) -> None:
        heard.append(progress)
        if victim.running:
            os.kill(victim.pid, signal.SIGKILL)

    result, folder = await Fleet(places=1, limits=LIMITS, cluster=workers.config).make(
        store / "job", "job-1", tell
    )
    assert not victim.running
    assert survivor.running
    assert (result["frames"], folder) == (FRAMES, store / "job")
    assert psnr_db(folder / "film.mp4", once) >= 50
    assert (folder / "poster.jpg").read_bytes().startswith(b"\xff\xd8")
    assert (folder / "preview.webp").read_bytes()[8:12] == b"WEBP"
    assert [each for each in heard if each.step == "render"][-1].total == FRAMES
    assert f"{result['flicker_mev']:g}" == tags_of(once)["flicker_mev"], "counted over both parts as over one"


async def test_a_scheduler_that_is_killed_and_comes_back_costs_no_film(
    workers: Cluster, store: Path, once: Path, caplog: pytest.LogCaptureFixture
) -> None:
    workers.add_worker(store)
    workers.add_worker(store)
    restarted = False

    def tell(_: Progress) -> None:
        nonlocal restarted
        if not restarted:
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
    assert psnr_db(folder / "film.mp4", once) >= 50


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


async def test_a_worker_without_the_calibration_is_told_with_the_file(store: Path) -> None:
    lens, job = store / "lens.json", store / "job" / "job.json"
    lens.write_text("{}")
    words = {**json.loads(job.read_text()), "calibration": {"lens": str(lens), "tone": str(store / "none")}}
    job.write_text(json.dumps(words))
    told = part.task(job, part.digests_of(job), "job-1", 0, "", LIMITS).as_json()
    lens.write_text("{ }")
    with pytest.raises(BlindWorkerError) as another:
        await part.make(told, lambda _: None, "tls://render.local:1")
    assert str(another.value) == (
        f"worker tls://render.local:1 sees another file at {lens}: copy the processor's there"
    )
    lens.unlink()
    with pytest.raises(BlindWorkerError) as none:
        await part.make(told, lambda _: None, "tls://render.local:1")
    assert str(none.value) == (
        f"worker tls://render.local:1 does not see {lens} (No such file or directory):"
        " put the camera's calibration there, under the same path"
    )


async def test_a_cancelled_film_leaves_no_process_on_any_worker(
    workers: Cluster, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skylapse_processor.cluster._END_S", PATIENCE_S)
    job = json.loads((store / "job" / "job.json").read_text())
    (store / "job" / "job.json").write_text(json.dumps({**job, "parameters": MUCH_TO_DO}))
    workers.add_worker(store, places=2)
    begun = asyncio.Event()
    making = asyncio.create_task(
        Fleet(places=1, limits=LIMITS, cluster=workers.config).make(
            store / "job", "job-1", lambda _: begun.set()
        )
    )
    await begun.wait()
    assert renders_of(store)
    making.cancel()
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
    ca, cert, key = certificates(tmp_path)
    stranger = replace(cluster.config, ca_file=ca, cert_file=cert, key_file=key)
    with pytest.raises(LostError, match="no scheduler answers"):
        await connected(stranger)


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


async def test_a_stretch_without_a_good_picture_is_left_out_as_on_one_machine(
    store: Path, pictures: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = json.loads((store / "job" / "job.json").read_text())
    whole = (pictures / "0001.jpg").read_bytes()
    (store / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    for frame in job["frames"][240:]:
        frame["path"] = str(store / "broken.jpg")
    (store / "job" / "job.json").write_text(json.dumps(job))
    result, folder = await Fleet(places=2, limits=LIMITS).make(store / "job", "job-1", lambda _: None)
    assert "it is made whole instead" in caplog.text
    assert (result["frames"], len(result["skipped"])) == (240, 10)
    assert len(film_frames(folder / "film.mp4")) == 240


async def test_joining_gives_signs_of_life(store: Path) -> None:
    told = list[Progress]()
    await Fleet(places=2, limits=LIMITS).make(store / "job", "job-1", told.append)
    joining = [each for each in told if each.step == "finish"]
    assert len(joining) > 4
    assert told[-1].percent >= max(each.percent for each in told[: -len(joining)])


def names_in(folder: Path) -> list[str]:
    """What lies in a folder."""
    return [path.name for path in folder.iterdir()]


async def test_what_dask_writes_lies_beside_the_renders_and_goes_with_the_pool(tmp_path: Path) -> None:
    pool = await embedded(1, tmp_path)
    try:
        assert names_in(tmp_path) == ["dask-scratch-space"]
    finally:
        await pool.close()
    assert names_in(tmp_path) == []


async def test_a_render_that_takes_more_than_it_may_is_ended_and_says_so(store: Path) -> None:
    greedy = Limits(nice=0, cpu_s=1)
    job = json.loads((store / "job" / "job.json").read_text())
    (store / "job" / "job.json").write_text(json.dumps({**job, "parameters": MUCH_TO_DO}))
    with pytest.raises(FilmError, match=r"more processor time than renders\.cpu_s allows"):
        await Fleet(places=1, limits=greedy).make(store / "job", "job-1", lambda _: None)


async def test_a_film_that_cannot_be_made_says_why_at_once(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = json.loads((store / "job" / "job.json").read_text())
    (store / "job" / "job.json").write_text(json.dumps({**job, "recipe": "clean", "size": "480q"}))
    caplog.set_level(logging.WARNING)
    with pytest.raises(FilmError, match="size"):
        await Fleet(places=1, limits=LIMITS).make(store / "job", "job-1", lambda _: None)
    assert "it is made again" not in caplog.text, "the queue tries it again, after others"
    assert renders_of(store) == []
