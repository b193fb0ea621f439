"""Films become films together with their rows, wherever a kill comes in between."""

import asyncio
import errno
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from skylapse_processor import jobs
from skylapse_processor.config import load
from skylapse_processor.errors import NoRoomError
from skylapse_processor.executor import Product
from skylapse_processor.jobs import RenderSpec
from skylapse_processor.library import Library
from skylapse_processor.promotion import RECORD, MadeFilm, write_down
from skylapse_processor.service import Service
from skylapse_processor.store.films import FilmTable
from skylapse_processor.store.store import Store
from skylapse_processor.today import Today
from tests.support.waiting import PATIENCE_S, until

from .client import Client
from .conftest import serving, write_config
from .frames_made import DAY, frame
from .promoting import NOW, SPEC, STEPS, brought, job
from .test_service_films import state_is

FILES = ("video", "poster", "thumb", "preview")


def promote_and_die(config: Path, step: int) -> None:
    """Have a processor make films of what it has, and killed before a step of that."""
    killed = subprocess.run(
        [sys.executable, "-m", "tests.processor.promoting", str(config), str(step)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr


@pytest.mark.parametrize("before", STEPS)
async def test_a_kill_leaves_no_file_without_its_row_and_no_row_without_its_files(
    tmp_path: Path, before: str
) -> None:
    config = write_config(tmp_path / "processor")
    promote_and_die(config, STEPS[before])
    async with serving(config) as (service, client):
        films = {film["id"]: film for film in (await client.get("films")).value["items"]}
        found = {
            film: [(await client.get(films[film][name])).body.decode() for name in FILES] for film in films
        }
        state = (await client.get("renders/job2")).value["state"]
        stored = [path for path in service._store.layout.films.rglob("*") if path.is_file()]
    large, small = SPEC.films
    words = "old" if before == "said" else "new"
    assert found == {
        film: [f"{words} {size} {name}" for name in FILES]
        for film, size in ((large, "1080p"), (small, "720p"))
        if before != "said" or film == small
    }
    assert len(stored) == len(FILES) * len(films)
    assert (state == "done") == (before != "said"), "what was not begun is made again"


@pytest.mark.parametrize("harm", ["not JSON", "a film is gone", "a poster is gone"])
async def test_what_is_not_whole_any_more_is_made_anew(tmp_path: Path, harm: str) -> None:
    config = write_config(tmp_path / "processor")
    promote_and_die(config, STEPS["first file"])
    attempt = tmp_path / "processor/store/renders/job2-1"
    if harm == "not JSON":
        (attempt / RECORD).write_text("[{")
    else:
        (attempt / ("720p-video" if harm == "a film is gone" else "1080p-poster")).unlink()
    async with serving(config) as (_service, client):
        (film,) = (await client.get("films")).value["items"]
        assert film["id"] == SPEC.films[1]
        assert (await client.get("renders/job2")).value["state"] != "done"
        stray = [path for path in (tmp_path / "processor/store/films").rglob("*") if SPEC.film in path.name]
        assert stray == [], "a film without its row takes up room for ever"


@pytest.mark.parametrize("before", ["third file", "last file", "rows"])
async def test_a_cancelled_job_that_had_begun_to_be_films_is_brought_to_its_end_after_a_kill(
    tmp_path: Path, before: str
) -> None:
    config = write_config(tmp_path / "processor")
    promote_and_die(config, STEPS[before])
    store = Store(load(config).store)
    store.start()
    store.jobs.change("job2", lambda job: jobs.cancel(job, NOW)).result()
    store.stop()
    async with serving(config) as (service, client):
        films = {film["id"]: film for film in (await client.get("films")).value["items"]}
        found = {film: (await client.get(said["poster"])).body.decode() for film, said in films.items()}
        stored = [path for path in service._store.layout.films.rglob("*") if path.is_file()]
        assert await state_is(client, "job2", "cancelled")
    large, small = SPEC.films
    assert found == {large: "new 1080p poster", small: "new 720p poster"}
    assert len(stored) == len(FILES) * len(films)


@pytest.mark.parametrize("place", ["_move", "_put"])
async def test_what_fails_once_on_the_way_to_its_place_is_tried_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    real, fails = getattr(Library, place), iter([False, True] if place == "_move" else [True])

    def once(self: Library, made: Any) -> Any:
        if next(fails, False):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, made)

    monkeypatch.setattr(Library, place, once)
    service = Service(load(write_config(tmp_path / "processor")))
    store = service._store
    store.start()
    try:
        new = job(2, SPEC)
        await asyncio.wrap_future(store.jobs.put([new]))
        folder = store.layout.render_folder(new.id, new.attempt)
        await service._dispatch._promote(new, brought(folder, "new"))
        done = await service._dispatch.find(new.id)
        films = [await service._library.find(film) for film in SPEC.films]
        videos = [service._library.video(film).read_text() for film in films]
    finally:
        store.stop()
    assert (done.status, videos) == ("done", ["new 1080p video", "new 720p video"])


class FullDisk:
    """A disk that takes no rows of films, so many times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        self.refusals = 0
        self.times = times
        put = FilmTable.put

        def refusing(table: FilmTable, films: Any) -> Any:
            if self.refusals < self.times:
                self.refusals += 1
                raise NoRoomError("the disk is full")
            return put(table, films)

        monkeypatch.setattr(FilmTable, "put", refusing)


async def asked(client: Client) -> str:
    """Ask for the film of a day of one frame; return the job."""
    assert (await client.upload(*frame(1))).status == 201
    answer = await client.ask("POST", "renders", json={"camera": "roof/west", "day": DAY})
    return str(answer.value["job"])


async def test_what_a_full_disk_holds_up_becomes_a_film_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, config = FullDisk(monkeypatch, 1000), write_config(tmp_path / "processor")
    films = tmp_path / "processor/store/films"
    for _ in range(2):
        async with serving(config) as (service, client):
            if not disk.refusals:
                job = await asked(client)
                await until(partial(state_is, client, job, "failed"))
            assert (await client.get("films")).value["items"] == [], "it starts, and shows no half of a film"
            assert service._dispatch.current() is None
    assert disk.refusals > jobs.MAX_FAILURES
    disk.times = 0
    async with serving(config) as (_service, client):
        (film,) = (await client.get("films")).value["items"]
        assert (await client.get(film["video"])).body[4:8] == b"ftyp"
    assert len([path for path in films.rglob("*") if path.is_file()]) == len(FILES)
    assert list((tmp_path / "processor/store/renders").iterdir()) == []


async def test_the_next_attempt_does_not_make_again_what_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FullDisk(monkeypatch, 2)
    made, finished = list[str](), Today.finished

    async def finishing(today: Today, spec: RenderSpec, folder: Path, title: str) -> tuple[Product, ...]:
        made.append(spec.film)
        return await finished(today, spec, folder, title)

    monkeypatch.setattr(Today, "finished", finishing)
    async with serving(write_config(tmp_path / "processor")) as (_service, client):
        job = await asked(client)
        await until(partial(state_is, client, job, "done"))
        (film,) = (await client.get("films")).value["items"]
    assert made == [film["id"]]


async def test_what_was_made_anew_since_is_not_taken_back(tmp_path: Path) -> None:
    service = Service(load(write_config(tmp_path / "processor")))
    store, library = service._store, service._library
    store.start()
    try:
        old, new = job(1, SPEC), job(2, SPEC)
        left, folder = (store.layout.render_folder(each.id, each.attempt) for each in (old, new))
        await asyncio.wrap_future(store.jobs.put([new]))
        write_down(left, [await service._dispatch._made(SPEC, product) for product in brought(left, "old")])
        await service._dispatch._promote(new, brought(folder, "new"))
        assert not await library.resume(left)
        video = library.video(await library.find(SPEC.film)).read_text()
    finally:
        store.stop()
    assert video == "new 1080p video"


@pytest.mark.parametrize("times", [1, 2])
async def test_a_film_that_is_cancelled_while_it_comes_to_its_place_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    begun, held, move = Event(), Event(), Library._move

    def slowly(self: Library, made: MadeFilm) -> None:
        begun.set()
        held.wait(PATIENCE_S)
        move(self, made)

    monkeypatch.setattr(Library, "_move", slowly)
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        await client.upload(*frame(1))
        asked = await client.ask("POST", "renders", json={"camera": "roof/west", "day": DAY})
        assert await asyncio.to_thread(begun.wait, PATIENCE_S)
        cancelling = asyncio.create_task(service._dispatch.cancel(asked.value["job"]))
        await until(partial(state_is, client, asked.value["job"], "cancelled"))
        for _ in range(1, times):
            cancelling.cancel()
            await client.get("renders")
            assert service._dispatch.current() is not None, "what moves it is still at work"
        held.set()
        await asyncio.gather(cancelling, return_exceptions=True)
        (film,) = (await client.get("films")).value["items"]
        assert (await client.get(film["video"])).body[4:8] == b"ftyp"
