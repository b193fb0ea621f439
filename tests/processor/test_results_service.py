"""Results beside films in a running processor: they grow, are told of, served, deleted, and survive kills."""

import asyncio
import errno
import io
import sqlite3
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from skylapse_processor.clock import utc_now
from skylapse_processor.config import load
from skylapse_processor.errors import NoRoomError
from skylapse_processor.results.day import Day
from skylapse_processor.results.keeper import Keeper
from skylapse_processor.results.ledger import ROWS, Ledger
from skylapse_processor.results.press import Press, Told
from skylapse_processor.service import Service
from skylapse_processor.store.results import Evening
from skylapse_processor.store.store import Store
from skylapse_protocol.codec import parse_time
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.messages import Result
from skylapse_protocol.records import FrameRecord
from tests.support.mosquitto import Broker
from tests.support.waiting import PATIENCE_S, until

from .client import Client
from .conftest import serving, write_config
from .evenings_made import Camera, evening, every
from .frames_made import frame
from .listener import Listener
from .program import Processor
from .test_kills import deliver

QUICKLY = {"every_s": 0.1}
DAY = "2026-06-01"
SMALL = Camera(size=(160, 90))
KILLED_AT = (4, 11, 18)
"""In the dusk, in the dusk once more, and in the night."""

Frame = tuple[bytes, FrameRecord]


def dusk(count: int = 12, step: timedelta = timedelta(minutes=3)) -> list[Frame]:
    """Frames from two degrees above the horizon on."""
    return list(SMALL.frames(every(step, evening(2.0), count)))


def night(count: int = 8) -> list[Frame]:
    """Frames of a clear, dark sky."""
    clear = Camera(size=(320, 180), clouds=0.0)
    return list(clear.frames(every(timedelta(minutes=2), evening(-16.0), count), day=DAY, first=100))


async def results(client: Client, **query: str) -> list[dict[str, Any]]:
    """What GET /results answers."""
    items: list[dict[str, Any]] = (await client.get("results", **query)).value["items"]
    return items


async def shown(client: Client, kind: str, frames: int) -> dict[str, Any]:
    """The result of a kind, once it shows so many frames."""

    async def there() -> dict[str, Any] | None:
        found = await results(client, kind=kind)
        return next((each for each in found if each["frames"] == frames), None)

    return await until(there)


async def pixels(client: Client, result: dict[str, Any]) -> np.ndarray:
    """The picture of a result."""
    answer = await client.ask("GET", result["picture"])
    assert answer.status == 200
    return np.asarray(Image.open(io.BytesIO(answer.body)).convert("RGB")).astype(int)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a processor that publishes at once."""
    async with serving(write_config(tmp_path / "processor", results=QUICKLY)) as (_service, client):
        yield client


async def test_a_keogram_grows_with_every_frame_and_the_year_and_the_best_with_it(running: Client) -> None:
    frames = dusk()
    for data, record in frames[:5]:
        assert (await running.upload(data, record)).status == 201
    early = await shown(running, "keogram", 5)
    for data, record in frames[5:]:
        await running.upload(data, record)
    late = await shown(running, "keogram", 12)
    assert (early["id"], early["camera"], early["day"]) == (late["id"], "roof/west", DAY)
    assert late["details"]["from"] < late["details"]["to"]
    assert late["title"] == f"roof/west · Keogram · {DAY}"
    picture = await pixels(running, late)
    assert picture.shape == (late["height"], late["width"], 3)
    assert picture[:, :40].mean() > 2 * picture[:, -40:].mean() or picture.std() > 5
    (year,) = await results(running, kind="keogram_year")
    assert (year["day"], year["frames"]) == ("2026-01-01", 1)

    async def best() -> list[dict[str, Any]]:
        found = await results(running, kind="best_frame", day=DAY)
        return found if found and all(each["frames"] == 12 for each in found) else []

    chosen = await until(best)
    assert [each["rank"] for each in chosen] == list(range(1, len(chosen) + 1))
    scores = [each["score"] for each in chosen]
    assert scores == sorted(scores, reverse=True)
    assert 0 <= scores[-1] <= scores[0] <= 1
    times = [f"{parse_time(each['details']['captured_at']):%H:%M}" for each in chosen]
    assert [each["title"] for each in chosen] == [
        f"roof/west · Best frame {time} UTC · {DAY}" for time in times
    ]
    original = {str(record.name): data for data, record in frames}
    picture_of_best = await running.ask("GET", chosen[0]["picture"])
    assert picture_of_best.body == original[chosen[0]["details"]["frame"]]


async def test_a_best_frame_is_a_picture_of_its_own_no_larger_than_a_screen(tmp_path: Path) -> None:
    large = Camera(size=(2400, 1350))
    async with serving(write_config(tmp_path / "processor", results=QUICKLY)) as (_service, client):
        for data, record in large.frames(every(timedelta(minutes=3), evening(2.0), 2)):
            assert (await client.upload(data, record)).status == 201
        best, *_ = await until(lambda: results(client, kind="best_frame"))
        assert (await pixels(client, best)).shape == (1080, 1920, 3)
        assert (best["width"], best["height"]) == (1920, 1080)
    kept = list((tmp_path / "processor" / "store" / "results").rglob("*.jpg"))
    assert kept
    assert {path.stat().st_nlink for path in kept} == {1}


def test_nothing_is_written_without_room(tmp_path: Path) -> None:
    store = Store(load(write_config(tmp_path / "processor")).store)
    store.start()
    try:
        store.layout.sentinel.unlink()
        press, camera = Press(store, utc_now), CameraName.parse("roof/west")
        with pytest.raises(NoRoomError):
            press.publish(Day(store.layout, camera, DAY))
        with pytest.raises(NoRoomError):
            press.choose_best(camera, DAY)
    finally:
        store.stop()
    assert not (store.layout.root / "results").exists()


async def test_the_ledger_of_a_day_knows_how_its_frames_were_exposed(tmp_path: Path) -> None:
    frames = dusk(3)
    async with serving(write_config(tmp_path / "processor", results=QUICKLY)) as (_service, client):
        for data, record in frames:
            await client.upload(data, record)
        await shown(client, "keogram", 3)
    (path,) = (tmp_path / "processor" / "store" / "results").rglob("columns.state")
    ledger = Ledger(path)
    ledger.open()
    columns = ledger.columns()
    records = [record for _data, record in frames]
    total = [(r.exposure_us or 0) * (r.analogue_gain or 0) * (r.digital_gain or 1.0) for r in records]
    assert np.exp2(columns.exposure_ev) == pytest.approx(total, rel=1e-3)
    assert np.exp2(columns.white_ev[0]) == pytest.approx(records[0].colour_gains, rel=1e-3)
    assert set(columns.tone_curve) == {records[0].tone_curve}


async def test_a_frame_that_comes_late_lands_in_its_place(running: Client) -> None:
    frames = dusk()
    for data, record in [*frames[:4], *frames[7:]]:
        await running.upload(data, record)
    gap = (await pixels(running, await shown(running, "keogram", 9)))[:ROWS]
    middle = slice(round(gap.shape[1] * 5 / 12) + 4, round(gap.shape[1] * 6.5 / 12) - 4)
    assert np.abs(gap[:, middle] - np.array([20, 20, 26])).max() < 16
    for data, record in reversed(frames[4:7]):
        await running.upload(data, record)
    whole = (await pixels(running, await shown(running, "keogram", 12)))[:ROWS]
    assert whole.shape == gap.shape
    assert np.abs(whole[:, middle] - np.array([20, 20, 26])).mean() > 8
    untouched = slice(0, round(gap.shape[1] * 3 / 12))
    assert np.abs(whole[:, untouched] - gap[:, untouched]).max() <= 16, "levelling knows more now"


async def test_a_star_trail_grows_through_the_night_and_leaves_out_what_is_no_dark_sky(
    running: Client,
) -> None:
    frames = night(14)
    for data, record in [*dusk(3), *frames[:9]]:
        await running.upload(data, record)
    await shown(running, "keogram", 12)
    assert await results(running, kind="startrail") == [], "so few are no trail"
    await running.upload(*frames[9])
    early = await pixels(running, await shown(running, "startrail", 10))
    for data, record in frames[10:]:
        await running.upload(data, record)
    trail = await shown(running, "startrail", 14)
    late = await pixels(running, trail)
    assert (trail["width"], trail["height"]) == (320, 180)
    assert (late > 40).sum() > 1.1 * (early > 40).sum() > 0


async def five_evenings(service: Service) -> None:
    """Have a processor know the evenings before, among which another can be placed."""
    for day in range(27, 32):
        evening = Evening(
            camera=CameraName.parse("roof/west"),
            day=f"2026-05-{day}",
            worth=0.1,
            score=0.5,
            details={"frames": [], "evenings_before": day - 27},
        )
        await asyncio.wrap_future(service._store.results.put_evening(evening))


async def test_an_evening_is_scored_and_the_score_says_why(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    config = write_config(tmp_path / "processor", broker, results=QUICKLY)
    async with serving(config) as (service, client):
        await five_evenings(service)
        for data, record in dusk():
            await client.upload(data, record)

        async def judged() -> list[dict[str, Any]]:
            found = (await client.get("cameras/roof/west/sunsets")).value["items"]
            return found if found and len(found[0]["frames"]) == 3 else []

        await until(judged)
        keogram = await shown(client, "keogram", 12)
        sunset, *_ = await judged()

        def stated() -> bool:
            states = listener.on("skylapse/processor/roof/west/state")
            said = (states[-1]["sunset_score"], states[-1]["keogram"]) if states else None
            return said == (sunset["score"], keogram["id"])

        await until(stated)

        def told() -> list[dict[str, Any]]:
            said = [each for each in listener.on("skylapse/processor/result") if each["kind"] == "keogram"]
            return said if said and said[-1]["frames"] == 12 else []

        heard = await until(told)
    assert sunset["day"] == DAY
    assert 0 < sunset["score"] < 1
    for each in sunset["frames"]:
        parts = each["colour"] * each["warmth"] * each["clouds"] * each["exposure"]
        assert each["worth"] == pytest.approx(parts, abs=0.001)
    assert [said["change"] for said in heard] == ["added"] + ["changed"] * (len(heard) - 1)
    assert (heard[-1]["id"], heard[-1]["picture"]) == (keogram["id"], keogram["picture"])


async def test_what_grows_is_told_of_once_in_a_while(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    config, now = write_config(tmp_path / "processor", broker), utc_now()
    async with serving(config, lambda: now) as (_service, client):
        for data, record in dusk():
            await client.upload(data, record)

        def told() -> list[dict[str, Any]]:
            return [each for each in listener.on("skylapse/processor/result") if each["kind"] == "keogram"]

        await until(told)
    assert len(told()) == 1


async def test_what_cannot_be_made_is_not_tried_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0

    def full(_press: Press, _day: Day) -> list[Told]:
        nonlocal tried
        tried += 1
        raise OSError(errno.ENOSPC, "No space left on device")

    looked = 0
    look = Keeper._step

    async def counted(keeper: Keeper) -> bool:
        nonlocal looked
        looked += 1
        return await look(keeper)

    monkeypatch.setattr(Press, "publish", full)
    monkeypatch.setattr(Keeper, "_step", counted)
    now = utc_now()
    async with serving(write_config(tmp_path / "processor"), lambda: now) as (_service, client):
        for data, record in dusk(2):
            await client.upload(data, record)
        await until(lambda: tried)
        before = looked
        await until(lambda: looked >= before + 5)
    assert tried == 1


async def test_a_day_that_fails_leaves_the_results_of_others_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = Press.publish

    def torn(press: Press, day: Day) -> list[Told]:
        told = publish(press, day)
        if day.camera.camera == "east":
            raise OSError(errno.EIO, "Input/output error")
        return told

    async with serving(write_config(tmp_path / "processor")) as (service, client):
        keeper = service._keeper
        async with keeper._alone:
            for camera in ("west", "east"):
                assert (await client.upload(*frame(1, camera=camera))).status == 201
            await until(lambda: len(keeper._fresh) == 2)
            while await keeper._step():
                pass
            monkeypatch.setattr(Press, "publish", torn)
            told = await asyncio.to_thread(keeper._publish_due)
            again = [key for key, growing in keeper._days.items() if growing.dirty]
    assert {str(each.result.camera) for each in told} == {"roof/west"}
    assert [str(camera) for camera, _day in again] == ["roof/east"], "what failed is tried again"


async def test_what_is_being_drawn_at_the_end_is_told_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, begun, go_on = Press.publish, threading.Event(), threading.Event()

    def slow(press: Press, day: Day) -> list[Told]:
        begun.set()
        go_on.wait(PATIENCE_S)
        return publish(press, day)

    said: list[Result] = []
    monkeypatch.setattr(Press, "publish", slow)
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        monkeypatch.setattr(service._keeper, "_tell", said.append)
        assert (await client.upload(*frame(1))).status == 201
        await until(begun.is_set)
        ending = asyncio.create_task(service._keeper.stop())
        await asyncio.sleep(0)
        go_on.set()
        await ending
    assert "keogram" in [each.kind for each in said]


async def test_pictures_are_served_to_whoever_has_them_already(running: Client) -> None:
    (data, record), *_ = dusk(1)
    await running.upload(data, record)
    result = await shown(running, "keogram", 1)
    for path in (result["picture"], result["thumb"]):
        first = await running.ask("GET", path)
        again = await running.ask("GET", path, headers={"If-None-Match": first.headers["ETag"]})
        head = await running.ask("HEAD", path)
        assert (first.status, again.status, head.status) == (200, 304, 200)
        assert int(head.headers["Content-Length"]) == len(first.body)
        assert "immutable" in first.headers["Cache-Control"]
    assert (await running.get("results", kind="film")).status == 400
    assert (await running.get("results/0000000000000000")).status == 404
    assert (await running.get("results/nonsense/picture")).status == 404


async def test_lists_are_paged(running: Client) -> None:
    for data, record in dusk():
        await running.upload(data, record)
    await shown(running, "keogram", 12)

    async def all_there() -> bool:
        return len(await results(running)) > 3

    async def paged() -> list[str]:
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (await running.get("results", limit="2", cursor=cursor)).value
            found += [each["id"] for each in page["items"]]
            cursor = page["next"]
        return found

    async def the_same() -> bool:
        return await paged() == [each["id"] for each in await results(running)]

    await until(all_there)
    await until(the_same)  # results may still be coming between two questions
    assert await results(running, camera="roof/east") == []
    assert await results(running, day="2026-06-02") == []


async def test_what_was_deleted_stays_deleted(running: Client, tmp_path: Path) -> None:
    frames = dusk()
    for data, record in frames[:6]:
        await running.upload(data, record)
    result = await shown(running, "keogram", 6)
    assert (await running.ask("DELETE", f"results/{result['id']}")).status == 204
    for data, record in frames[6:]:
        await running.upload(data, record)

    async def best() -> bool:
        return any(each["frames"] == 12 for each in await results(running, kind="best_frame"))

    await until(best)
    assert await results(running, kind="keogram") == []
    assert (await running.ask("GET", result["picture"])).status == 404
    assert not list((tmp_path / "processor" / "store" / "results").rglob(f"{result['id']}*"))


@pytest.mark.parametrize("lost", ["columns.state", "*.jpg", "*"])
async def test_what_somebody_deleted_on_the_disk_is_made_again(tmp_path: Path, lost: str) -> None:
    config = write_config(tmp_path / "processor", results=QUICKLY)
    async with serving(config) as (_service, client):
        for data, record in [*dusk(), *night(10)]:
            await client.upload(data, record)
        before = await pixels(client, await shown(client, "keogram", 22))
        trail = await pixels(client, await shown(client, "startrail", 10))
    for path in (tmp_path / "processor" / "store" / "results").rglob(lost):
        if path.is_file():
            path.unlink()
    async with serving(config) as (_service, client):

        async def again() -> bool:
            found = [each for each in await results(client) if each["kind"] in ("keogram", "startrail")]
            answers = [(await client.ask("GET", each["picture"])).status for each in found]
            return answers == [200, 200]

        await until(again)
        assert (await pixels(client, await shown(client, "keogram", 22)) == before).all()
        assert (await pixels(client, await shown(client, "startrail", 10)) == trail).all()


async def test_the_year_is_made_again_of_the_days_that_are_left(tmp_path: Path) -> None:
    config = write_config(tmp_path / "processor", results=QUICKLY)
    folder = tmp_path / "processor" / "store"
    second = list(SMALL.frames(every(timedelta(minutes=3), evening(2.0) + timedelta(days=1), 6), first=50))
    async with serving(config) as (_service, client):
        for data, record in dusk(6):
            await client.upload(data, record)
        await shown(client, "keogram_year", 1)
    for path in (*folder.glob("frames/roof/west/*/*"), *folder.rglob("year.state")):
        path.unlink()
    async with serving(config) as (_service, client):
        for data, record in second:
            await client.upload(data, record)
        year = await shown(client, "keogram_year", 2)
        picture = await pixels(client, year)
        days = picture[:480, -480:].max(axis=(0, 2))
        assert (days[2:30] > 90).all()
        assert (days[34:] < 90).all(), "of the other days of June there is no picture yet"


async def test_kills_while_frames_come_in_cost_no_result_anything(tmp_path: Path) -> None:
    frames = [*dusk(16, timedelta(minutes=2)), *night(10)]
    async with serving(write_config(tmp_path / "calm", results=QUICKLY)) as (_service, calm):
        for data, record in frames:
            await calm.upload(data, record)
        expected = await pixels(calm, await shown(calm, "keogram", 26))
        expected_trail = await pixels(calm, await shown(calm, "startrail", 10))
    processor = Processor(write_config(tmp_path / "processor", results=QUICKLY))
    processor.start()
    try:
        async with Client(processor.url, processor.key) as client:
            for number, (data, record) in enumerate(frames):
                await deliver(client, data, record)
                if number in KILLED_AT:
                    processor.program.kill()
                    processor.start()
            keogram = await pixels(client, await shown(client, "keogram", 26))
            trail = await pixels(client, await shown(client, "startrail", 10))
            (sunset,) = (await client.get("cameras/roof/west/sunsets")).value["items"]
    finally:
        processor.program.stop()
    assert (keogram == expected).all()
    assert (trail == expected_trail).all()
    assert len({frame["frame"] for frame in sunset["frames"]}) == 3
    assert (sunset["evenings_before"], sunset["score"]) == (0, None)
    catalogue = sqlite3.connect(processor.folder / "store" / "state" / "catalogue.db")
    assert catalogue.execute("SELECT count(*) FROM results WHERE kind = 'keogram'").fetchone() == (1,)
    catalogue.close()
