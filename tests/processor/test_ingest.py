"""Verdicts on frames, as somebody on the broker, a list of frames and a film see them."""

import io
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from skylapse_processor.store.schema import MIGRATIONS
from skylapse_processor.watch.camera import Watch
from skylapse_processor.watch.memory import dump
from skylapse_protocol.records import FrameRecord
from tests.support.mosquitto import Broker
from tests.support.waiting import until

from .client import Client
from .conftest import serving, write_config
from .frames_made import frame, record_of
from .listener import Listener
from .skies import NOON, SENSOR, Codes, pixels_at, see, taught

STATE = "skylapse/processor/roof/west/state"
INGEST = "skylapse/processor/ingest"


@pytest.fixture
async def client(tmp_path: Path, broker: Broker) -> AsyncIterator[Client]:
    """A client of a processor on the broker."""
    async with serving(write_config(tmp_path / "processor", broker)) as (_service, client):
        yield client


def jpeg(pixels: Codes) -> bytes:
    """A JPEG of a picture."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def white(seq: int) -> tuple[bytes, FrameRecord]:
    """A frame that shows nothing."""
    data = jpeg(np.full((90, 160, 3), 255, np.uint8))
    return data, record_of(data, seq)


def torn_short(seq: int) -> tuple[bytes, FrameRecord]:
    """A frame whose structure is whole, and whose picture is not: the camera's encoder broke off."""
    data, _record = frame(seq)
    cut = data[: len(data) // 2] + b"\xff\xd9"
    return cut, record_of(cut, seq, width=160, height=90)


async def told(listener: Listener, count: int) -> list[dict[str, Any]]:
    """The first messages about frames."""
    await until(lambda: len(listener.on(INGEST)) >= count)
    return listener.on(INGEST)


async def test_verdicts_are_told_with_their_reasons_in_the_order_of_the_frames(
    client: Client, listener: Listener
) -> None:
    good, again = frame(1), frame(1)[0]
    frames = [good, (again, record_of(again, 2)), white(3), torn_short(4), frame(5)]
    for data, record in frames:
        assert (await client.upload(data, record)).status == 201, "bad frames are kept"
    said = await told(listener, 5)
    assert [message["frame"] for message in said] == [str(record.name) for _data, record in frames]
    assert [message["verdict"] for message in said] == ["good", "frozen", "blank", "broken", "good"]
    assert [bool(message.get("reason")) for message in said] == [False, True, True, True, False]
    assert "white" in said[2]["reason"]
    states = await until(lambda: [state for state in listener.on(STATE) if state["bad_today"] == 3])
    assert states[-1]["frames_today"] == 5


async def test_lists_say_what_is_wrong_and_films_leave_it_out(client: Client, listener: Listener) -> None:
    for data, record in (frame(1), white(2), frame(3), frame(4)):
        await client.upload(data, record)
    await told(listener, 4)
    items = (await client.get("cameras/roof/west/frames")).value["items"]
    assert [(item["state"], item["fault"]) for item in items] == [
        ("good", None),
        ("bad", "blank"),
        ("good", None),
        ("good", None),
    ]
    assert items[1]["reason"] == "the picture is white"
    days = (await client.get("cameras/roof/west/days")).value["items"]
    assert (days[0]["frames"], days[0]["bad"]) == (4, 1)


async def test_tests_and_brackets_are_as_they_were_meant_to_be(client: Client, listener: Listener) -> None:
    data, record = white(1)
    await client.upload(data, replace(record, test_id="ab"))
    await client.upload(data, replace(record, seq=2, bracket_ev=-4.0))
    assert [message["verdict"] for message in await told(listener, 2)] == ["good", "good"]


def sky(seq: int, minutes: int, **faults: Any) -> tuple[bytes, FrameRecord]:
    """A frame of the camera that `taught` knows."""
    pixels, facts = pixels_at(NOON + timedelta(minutes=minutes), **faults)
    data = jpeg(pixels)
    assert facts.exposure_ev is not None
    record = record_of(
        data,
        seq,
        captured_at=facts.captured_at,
        day=facts.captured_at.date().isoformat(),
        exposure_us=round(2.0**facts.exposure_ev),
        sun_elevation_deg=facts.elevation_deg,
        tone_curve=SENSOR.tone_curve,
    )
    return data, record


async def test_the_state_of_the_lens_is_retained_and_survives_a_restart(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    watch = taught()
    for number in range(5):
        see(watch, NOON + timedelta(minutes=5 * number), dew=0.6)
    assert watch.faults == ()
    config = write_config(tmp_path / "processor", broker)
    async with serving(config) as (_service, client):
        await client.upload(*sky(1, -30))
        await told(listener, 1)
    catalogue = next((tmp_path / "processor").rglob("catalogue.db"))
    with closing(sqlite3.connect(catalogue)) as connection, connection:
        connection.execute("UPDATE watches SET memory = ?", (dump(watch),))
    async with serving(config) as (_service, client):
        await client.upload(*sky(2, 25, dew=0.6))
        await until(lambda: [s for s in listener.on(STATE) if s["lens"] == "obstructed"])
        assert listener.on(STATE)[-1]["lens_faults"] == ["dew"]
    told_before = len(listener.on(STATE))
    async with serving(config):
        anew = (await until(lambda: listener.on(STATE)[told_before:]))[-1]
        assert (anew["lens"], anew["lens_faults"]) == ("obstructed", ["dew"])
        late = Listener(broker.port)
        try:
            state = (await until(lambda: late.on(STATE)))[0]
            assert (state["lens"], state["lens_faults"]) == ("obstructed", ["dew"])
            assert next(retained for topic, _value, retained in late.heard if topic == STATE)
        finally:
            late.stop()


async def test_a_catalogue_from_before_the_verdicts_is_read_and_its_frames_stay(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    config = write_config(tmp_path / "processor", broker)
    async with serving(config) as (_service, client):
        await client.upload(*frame(1))
        await told(listener, 1)
    catalogue = next((tmp_path / "processor").rglob("catalogue.db"))
    before = next(number for number, script in enumerate(MIGRATIONS) if "CREATE TABLE watches" in script)
    old = catalogue.with_suffix(".old")
    with closing(sqlite3.connect(old)) as connection:
        for script in MIGRATIONS[:before]:
            connection.executescript(script)
        connection.execute("ATTACH ? AS new", (str(catalogue),))
        for table in ("cameras", "spools", "words", "frames", "stretches"):
            connection.execute(f"INSERT INTO {table} SELECT * FROM new.{table}")  # noqa: S608 - names as above
        connection.execute(f"PRAGMA user_version = {before}")
        connection.commit()
    old.replace(catalogue)
    async with serving(config) as (_service, client):
        await client.upload(*white(2))
        await told(listener, 2)
        items = (await client.get("cameras/roof/west/frames")).value["items"]
        assert [(item["state"], item["fault"]) for item in items] == [("good", None), ("bad", "blank")]


async def test_a_watch_that_is_at_a_loss_holds_up_no_frame(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise ValueError("operands could not be broadcast together")

    monkeypatch.setattr(Watch, "see", lost)
    await client.upload(*frame(1))

    async def state() -> bool:
        items = (await client.get("cameras/roof/west/frames")).value["items"]
        return [item["state"] for item in items] == ["good"]

    await until(state)


@pytest.mark.parametrize("asked", ["nobody", "a rescan"])
async def test_a_frame_that_could_not_be_settled_is_measured_again_and_the_film_of_today_goes_on(
    tmp_path: Path, asked: str
) -> None:
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        (catalogue,) = (tmp_path / "processor").rglob("catalogue.db")
        with closing(sqlite3.connect(catalogue)) as disturbed:
            disturbed.execute(
                "CREATE TRIGGER disturbed BEFORE UPDATE OF state ON frames WHEN NEW.seq = 3"
                " BEGIN SELECT RAISE(ABORT, 'not now'); END"
            )
            for seq in range(1, 7):
                await client.upload(*frame(seq))
            stuck = ["good", "good", "unmeasured", "good", "good", "good"]
            await until(lambda: states(client, stuck))
            disturbed.execute("DROP TRIGGER disturbed")
        if asked == "a rescan":
            await service.rescan()
        await until(lambda: states(client, ["good"] * 6))
        await until(lambda: grown(client, 6))


async def test_a_disk_that_fails_for_a_moment_makes_no_picture_broken(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        data, record = frame(1)
        in_the_way = service._store.layout.thumb(record.name, record.day)
        in_the_way.mkdir(parents=True)
        await client.upload(data, record)
        each = await until(lambda: service._ingest._unsettled.get(record.name))
        await until(lambda: each.failures)
        assert await states(client, ["unmeasured"])
        in_the_way.rmdir()
        await service.rescan()
        await until(lambda: states(client, ["good"]))


async def test_however_often_a_frame_fails_the_others_are_measured(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        (catalogue,) = (tmp_path / "processor").rglob("catalogue.db")
        with closing(sqlite3.connect(catalogue)) as disturbed:
            disturbed.execute(
                "CREATE TRIGGER disturbed BEFORE UPDATE OF state ON frames WHEN NEW.seq = 1"
                " BEGIN SELECT RAISE(ABORT, 'never'); END"
            )
        data, record = frame(1)
        await client.upload(data, record)
        each = await until(lambda: service._ingest._unsettled.get(record.name))
        await until(lambda: each.failures)
        each.failures = 2000
        await service.rescan()
        await until(lambda: each.failures > 2000)
        await client.upload(*frame(2))
        await until(lambda: states(client, ["unmeasured", "good"]))


async def states(client: Client, wanted: list[str]) -> bool:
    """Whether the frames of the camera are in these states, the oldest first."""
    items = (await client.get("cameras/roof/west/frames")).value["items"]
    return [item["state"] for item in items] == wanted


async def grown(client: Client, frames: int) -> bool:
    """Whether the film of today has so many frames."""
    answer = await client.get("cameras/roof/west/today")
    return answer.status == 200 and answer.value["frames"] == frames
