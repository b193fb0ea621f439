"""A full disk, a lost disk, lost files, old frames, jobs that fail: each ends well, or says so."""

import asyncio
import json
import shutil
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from skylapse_processor.clock import utc_now
from skylapse_processor.config import load
from skylapse_processor.errors import FilmError, StoreError
from skylapse_processor.keys import Keys
from skylapse_processor.service import Service, keys_file
from skylapse_protocol.messages import CameraState, EndedWindow, Order, Orders
from skylapse_protocol.records import write_record
from tests.support.waiting import PATIENCE_S, until

from .client import Client
from .conftest import serving, write_config
from .frames_made import DAY, START, creation_headers, frame, picture, record_of
from .test_kills import all_measured, nobody_gets_past, state_is

WISH = {"camera": "roof/west", "day": DAY, "size": "480p"}


async def state_of(client: Client, job: str) -> dict[str, Any]:
    """A render as the API tells of it."""
    return dict((await client.get(f"renders/{job}")).value)


async def test_without_room_frames_are_sent_back_and_films_still_play(tmp_path: Path) -> None:
    config = write_config(tmp_path / "processor")
    async with serving(config) as (_service, client):
        await client.upload(*frame(1))
    store = {"path": "store", "ballast_mb": 0, "min_free_percent": 90, "warn_free_percent": 90}
    async with serving(write_config(tmp_path / "processor", store=store)) as (_service, client):
        data, record = frame(2)
        refused = await client.upload(data, record)
        assert (refused.status, refused.value["type"]) == (507, "/problems/no-room")
        assert "% of the disk is free, 90 % is kept free" in refused.value["detail"]
        assert (await client.ask("POST", "uploads", headers=creation_headers(record))).status == 507
        assert (await client.upload(*frame(1))).status == 201, "what is there already needs no room"
        assert (await client.get("/health")).value["status"] == "degraded"
        assert len((await client.get("cameras/roof/west/frames")).value["items"]) == 1


async def test_a_store_that_is_not_mounted_takes_no_frames_and_drops_no_rows(tmp_path: Path) -> None:
    folder = tmp_path / "processor"
    store = {"path": "disk", "state": "state", "ballast_mb": 0, "min_free_percent": 0}
    async with serving(write_config(folder, store=store)) as (service, client):
        await client.upload(*frame(1))
    shutil.move(folder / "disk", folder / "unmounted")
    async with serving(write_config(folder, store=store)) as (service, client):
        refused = await client.upload(*frame(2))
        assert refused.status == 507
        assert "not mounted" in refused.value["detail"]
        (refusal,) = (await service.rescan())["refused"]
        assert "not mounted" in refusal
        assert len((await client.get("cameras/roof/west/frames")).value["items"]) == 1


async def test_many_missing_files_keep_their_rows_and_few_lose_them(tmp_path: Path) -> None:
    config = write_config(tmp_path / "processor")
    async with serving(config) as (service, client):
        for seq in range(1, 41):
            await client.upload(*frame(seq))
        day = tmp_path / "processor" / "store" / "frames" / "roof" / "west" / DAY
        pictures = sorted(path for path in day.glob("*Z-*.jpg") if "thumb" not in path.name)
        kept = [path.rename(path.with_suffix(".away")) for path in pictures[:10]]
        found = await service.rescan()
        assert (found["missing"], found["dropped"]) == (10, 0)
        assert "10 of 40 files are missing, more than 5%" in found["refused"][0]
        for path in kept[1:]:
            path.rename(path.with_suffix(".jpg"))
        assert (await service.rescan())["dropped"] == 1
        (counts,) = (await client.get("stats")).value["cameras"]
        assert counts["stored"] == 40, "what was stored once is not forgotten"


async def test_a_day_whose_folder_is_gone_loses_its_row(tmp_path: Path) -> None:
    config = write_config(tmp_path / "processor")
    async with serving(config) as (service, client):
        await client.upload(*frame(1))
        await client.upload(*frame(2, day="2026-06-02"))
        days = tmp_path / "processor" / "store" / "frames" / "roof" / "west"
        (days / "2026-06-02").rename(tmp_path / "away")
        found = await service.rescan()
        assert (found["missing"], found["dropped"], found["adopted"]) == (1, 1, 0)
        assert [item["day"] for item in (await client.get("cameras/roof/west/frames")).value["items"]] == [
            DAY
        ]


async def test_a_rescan_takes_up_what_has_no_row(tmp_path: Path) -> None:
    config = write_config(tmp_path / "processor")
    async with serving(config) as (service, client):
        data, record = frame(1)
        day = tmp_path / "processor" / "store" / "frames" / "roof" / "west" / DAY
        await client.upload(*frame(2))
        kept = json.loads((day / f"{frame(2)[1].name.stem}.json").read_text("utf-8"))
        assert kept == write_record(frame(2)[1])
        (day / f"{record.name.stem}.jpg").write_bytes(data)
        (day / f"{record.name.stem}.json").write_text(json.dumps(write_record(record)))
        (day / "nonsense.json").write_text("{}")
        damaged = record_of(picture(3), 3)
        (day / f"{damaged.name.stem}.jpg").write_bytes(b"half")
        (day / f"{damaged.name.stem}.json").write_text(json.dumps(write_record(damaged)))
        assert (await service.rescan())["adopted"] == 1
        assert len((await client.get("cameras/roof/west/frames")).value["items"]) == 2


async def test_frames_are_deleted_after_their_term_but_not_under_a_pinned_film(tmp_path: Path) -> None:
    config_path = write_config(tmp_path / "processor")
    config = load(config_path)
    key = Keys(keys_file(config), utc_now).add("test")
    now = [START]
    service = Service(config, lambda: now[0])
    await service.start()
    try:
        async with Client(service.base_url, key) as client:
            for seq in (1, 2):
                await client.upload(*frame(seq))
            await client.upload(*frame(3, day="2026-06-02"))
            job = (await client.ask("POST", "renders", json=WISH)).value

            async def done() -> bool:
                return bool((await state_of(client, job["job"]))["state"] == "done")

            await until(done)
            await client.ask("PATCH", f"films/{job['film']}", json={"pinned": True})
            order = Order(camera="roof/west", schedule="sunset", retention_days=5)
            await service._dispatch.hear_orders(Orders(revision=1, orders=(order,)))
            await service.keep_house()
            assert len((await client.get("cameras/roof/west/frames")).value["items"]) == 3
            now[0] = START + timedelta(days=6)
            await service.keep_house()
            left = (await client.get("cameras/roof/west/frames")).value["items"]
            assert [item["day"] for item in left] == [DAY, DAY]
            gone = tmp_path / "processor" / "store" / "frames" / "roof" / "west" / "2026-06-02"
            assert list(gone.iterdir()) == []
            await client.ask("PATCH", f"films/{job['film']}", json={"pinned": False})
            await service.keep_house()
            assert (await client.get("cameras/roof/west/frames")).value["items"] == []
            (counts,) = (await client.get("stats")).value["cameras"]
            assert counts["stored"] == 3
    finally:
        await service.stop()


async def test_frames_that_come_late_are_there_for_their_film(tmp_path: Path) -> None:
    config = load(write_config(tmp_path / "processor"))
    key = Keys(keys_file(config), utc_now).add("test")
    now = [START + timedelta(days=8)]
    service = Service(config, lambda: now[0])
    await service.start()
    try:
        async with Client(service.base_url, key) as client:
            for seq in (1, 2):
                await client.upload(*frame(seq))
            order = Order(camera="roof/west", schedule="sunset", retention_days=7)
            await service._dispatch.hear_orders(Orders(revision=1, orders=(order,)))
            await service.keep_house()
            assert len((await client.get("cameras/roof/west/frames")).value["items"]) == 2
            now[0] += timedelta(days=8)
            ended = EndedWindow(
                window="sunset", schedule="sunset", day=DAY, profiles=("f",), ended_at=START, captured=3
            )
            camera, state = frame(1)[1].camera_name, CameraState(mode="deployed", capturing=True)
            await service._dispatch.hear_state(camera, replace(state, ended_windows=(ended,)))
            await service.keep_house()
            assert len((await client.get("cameras/roof/west/frames")).value["items"]) == 2
    finally:
        await service.stop()


async def test_a_window_that_is_active_again_has_not_ended(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path / "processor")) as (service, _client):
        ended = EndedWindow(
            window="sunset", schedule="sunset", day=DAY, profiles=("f",), ended_at=START, captured=3
        )
        state = CameraState(mode="deployed", capturing=True, ended_windows=(ended,))
        camera = frame(1)[1].camera_name
        await service._dispatch.hear_state(camera, replace(state, active_window="sunset"))
        assert await service._dispatch.windows_unmade() == frozenset()
        await service._dispatch.hear_state(camera, state)
        assert await service._dispatch.windows_unmade() == {(camera, DAY, "sunset")}


async def test_uploads_that_nobody_goes_on_with_are_forgotten(tmp_path: Path) -> None:
    config = load(write_config(tmp_path / "processor"))
    key = Keys(keys_file(config), utc_now).add("test")
    now = [utc_now()]
    service = Service(config, lambda: now[0])
    await service.start()
    try:
        async with Client(service.base_url, key) as client:
            _data, record = frame(1)
            await client.ask("POST", "uploads", headers=creation_headers(record))
            uploads = config.store.path / "uploads"
            await service.keep_house()
            assert len(list(uploads.rglob("*.part"))) == 1
            now[0] += timedelta(hours=49)
            await service.keep_house()
            assert [path for path in uploads.rglob("*") if path.is_file()] == []
    finally:
        await service.stop()


async def test_a_job_that_always_fails_is_given_up_and_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        await client.upload(*frame(1))
        await client.upload(*frame(2, day="2026-06-02"))
        executor = service._dispatch._executor
        run = executor.run

        async def poisoned(job: Any, *more: Any, plainly: bool) -> Any:
            if job.spec.day == DAY:
                raise FilmError("the film tore")
            return await run(job, *more, plainly=plainly)

        monkeypatch.setattr(executor, "run", poisoned)
        poison = (await client.ask("POST", "renders", json=WISH)).value["job"]
        good = (await client.ask("POST", "renders", json={**WISH, "day": "2026-06-02"})).value["job"]

        async def both_over() -> bool:
            return [(await state_of(client, job))["state"] for job in (poison, good)] == ["failed", "done"]

        await until(both_over)
        told = await state_of(client, poison)
        assert (told["attempt"], told["error"]) == (3, "the film tore")


async def test_what_nobody_foresaw_does_not_end_the_making_of_films(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        await client.upload(*frame(1))
        table = service._dispatch._table
        orders, failed = table.orders, asyncio.Event()
        loop = asyncio.get_running_loop()

        def poisoned() -> Orders:
            loop.call_soon_threadsafe(failed.set)
            raise ValueError("a row that makes no sense")

        with monkeypatch.context() as patched:
            patched.setattr(table, "orders", poisoned)
            service._dispatch.poke()
            await asyncio.wait_for(failed.wait(), PATIENCE_S)
        assert table.orders == orders
        job = (await client.ask("POST", "renders", json=WISH)).value["job"]

        async def done() -> bool:
            return bool((await state_of(client, job))["state"] == "done")

        await until(done)


async def test_a_cancelled_render_is_gone_with_its_process_and_files(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path / "processor")) as (_service, client):
        for seq in range(1, 60):
            data = picture(seq, size=(640, 360))
            record = record_of(data, seq)
            await client.upload(data, record)
        await until(partial(all_measured, client))
        day = tmp_path / "processor" / "store" / "frames" / "roof" / "west" / DAY
        with nobody_gets_past(day / f"{record.name.stem}.jpg"):
            running = (await client.ask("POST", "renders", json=WISH)).value["job"]
            waiting = (await client.ask("POST", "renders", json={**WISH, "recipe": "raw"})).value["job"]
            await until(partial(state_is, client, running, "running"))
            for job in (waiting, running):
                assert (await client.ask("DELETE", f"renders/{job}")).value["state"] == "cancelled"
        assert (await client.ask("DELETE", f"renders/{running}")).status == 400
        assert (await client.get("films")).value["items"] == []
        store = tmp_path / "processor" / "store"
        assert list((store / "renders").iterdir()) == []
        assert [path for path in (store / "films").rglob("*") if path.is_file()] == []


def test_a_folder_that_cannot_be_a_store_is_named(tmp_path: Path) -> None:
    config = write_config(tmp_path / "processor")
    (tmp_path / "processor" / "store").write_text("a file")
    service = Service(load(config))
    with pytest.raises(StoreError, match="store"):
        asyncio.run(_start_and_stop(service))


async def _start_and_stop(service: Service) -> None:
    try:
        await service.start()
    finally:
        await service.stop()


async def test_work_in_the_background_goes_on_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skylapse_processor.service._HEALTH_S", 0.01)
    asked: list[str] = []

    async def failing(base_url: str) -> None:
        asked.append(base_url)
        raise ValueError("nobody foresaw this")

    async with serving(write_config(tmp_path / "processor")) as (service, _client):
        monkeypatch.setattr(service._status, "announce", failing)
        assert await until(lambda: len(asked) > 2)


async def test_a_key_of_no_characters_at_all_is_answered_as_unknown(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path / "processor")) as (_service, client):
        body, kind = b'{"key":"\\ud800"}', {"Content-Type": "application/json"}
        assert (await client.ask("POST", "session", data=body, headers=kind)).status == 401


async def test_it_stops_though_news_come_in_the_same_moment(tmp_path: Path) -> None:
    config = write_config(tmp_path / "processor")
    for steps in range(6):
        async with serving(config) as (service, _client):
            assert await until(lambda: service._dispatch._stirred._waiters)
            service._dispatch.poke()
            for _ in range(steps):
                await asyncio.sleep(0)
            async with asyncio.timeout(PATIENCE_S):
                await service._dispatch.stop()
