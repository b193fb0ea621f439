"""Frames in, a film out: orders and an ended window over a real broker, and a film that players can fetch."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from skylapse_processor.executor import Words
from skylapse_processor.jobs import LATE_AFTER, Job, RenderSpec, start
from skylapse_processor.service import Service
from skylapse_processor.store.rows import StoredFrame
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.messages import (
    BridgeAnnounce,
    CameraInfo,
    CameraState,
    Command,
    Counts,
    EndedWindow,
    Host,
    Order,
    Orders,
)
from skylapse_protocol.snapshot import Plan
from skylapse_protocol.topics import ANNOUNCE, ORDERS, PLAN, PROCESSOR_COMMAND, STATE
from tests.support.mosquitto import Broker
from tests.support.waiting import PATIENCE_S, until

from .client import Client
from .conftest import serving, write_config
from .frames_made import DAY, frame, record_of
from .listener import Listener
from .pictures import develop, film_frames, jpeg, tags_of
from .test_ingest import white
from .test_raw_pictures import dng, raw_frame

ORDER = Order(camera="roof/west", schedule="sunset", size="480p", rate=12.0)


def ended(captured: int, dropped: int = 0) -> CameraState:
    """The state of a camera whose sunset is over."""
    window = EndedWindow(
        window="sunset",
        schedule="sunset",
        day=DAY,
        profiles=("f",),
        ended_at=datetime(2026, 6, 1, 19, tzinfo=UTC),
        captured=captured,
        dropped=dropped,
    )
    counts = Counts(captured=captured, delivered=captured - dropped, dropped=dropped)
    return CameraState(mode="deployed", capturing=True, counts=counts, ended_windows=(window,))


def job_states(listener: Listener, last: str) -> list[str] | None:
    """Return what was said of jobs, once the last word is `last`."""
    states = [job["state"] for topic, job, _ in listener.heard if "/job/" in topic]
    return states if states and states[-1] == last else None


async def test_an_ended_window_becomes_a_film_that_plays(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    async with serving(write_config(tmp_path / "processor", broker)) as (_service, client):
        listener.say(ORDERS, Orders(revision=1, orders=(ORDER,)))
        for seq in range(1, 8):
            data, record = frame(seq)
            assert (await client.upload(data, record)).status == 201
        listener.say(STATE, ended(captured=8, dropped=1), bridge="roof", camera="west")
        told = (await until(lambda: listener.on("skylapse/processor/film")))[0]
        assert told["change"] == "added"
        assert told["frames"] == 7

        films = (await client.get("films", camera="roof/west")).value["items"]
        assert [film["id"] for film in films] == [told["id"]]
        whole = await client.get(told["video"])
        assert whole.body[4:8] == b"ftyp"
        assert "immutable" in whole.headers["Cache-Control"]
        part = await client.ask("GET", told["video"], headers={"Range": "bytes=100-199"})
        assert (part.status, part.body) == (206, whole.body[100:200])
        head = await client.ask("HEAD", told["video"])
        assert (head.status, head.headers["Content-Length"]) == (200, str(len(whole.body)))
        for still in ("poster", "thumb"):
            assert (await client.get(told[still])).body.startswith(b"\xff\xd8")
        states = await until(partial(job_states, listener, last="done"))
        assert states[0] == "queued"
        again = await client.ask("POST", "renders", json={"camera": "roof/west", "day": DAY, "size": "480p"})
        assert again.value["film"] == told["id"], "asking for the same film makes it anew"


async def test_a_window_is_made_once_however_often_and_long_it_is_told_of(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    now = [datetime.now(UTC)]
    config = write_config(tmp_path / "processor", broker)
    listener.say(ORDERS, Orders(revision=1, orders=(ORDER,)))
    for days, states in ((0, ["done"]), (0, ["done"]), (60, [])):
        now[0] += timedelta(days=days)
        async with serving(config, lambda: now[0]) as (service, client):
            for seq in (1, 2):
                await client.upload(*frame(seq))
            listener.say(STATE, ended(captured=2), bridge="roof", camera="west")
            await service.keep_house()
            await until(partial(renders_are, client, states))
            await service._dispatch._settle_windows()
            assert await renders_are(client, states)
            (film,) = (await client.get("films")).value["items"]
    assert film["frames"] == 2
    assert [told["change"] for told in listener.on("skylapse/processor/film")] == ["added"]


async def test_a_film_is_made_of_production_frames_and_starts_when_all_frames_are_here(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    production = [frame(seq) for seq in range(1, 6)]
    middles = [frame(seq, bracket_ev=0.0, bracket_dioptre=0.0, place=0) for seq in (6, 7)]
    beside = [
        *(frame(seq, test_id="arm-a") for seq in (11, 12)),
        *(frame(seq, test_id="arm-b", profile="variant") for seq in (13, 14)),
        *(frame(seq, bracket_ev=ev, place=place) for seq, ev, place in ((15, -2.0, 1), (16, 2.0, 2))),
        frame(17, bracket_dioptre=0.5, place=3),
        raw_frame(18, dng()),
    ]
    async with serving(write_config(tmp_path / "processor", broker)) as (service, client):
        listener.say(ORDERS, Orders(revision=1, orders=(ORDER,)))
        for data, record in (*production, *middles, *beside[:-1]):
            assert (await client.upload(data, record)).status == 201
        listener.say(STATE, ended(captured=15), bridge="roof", camera="west")
        await until(lambda: service._dispatch._heard)
        await service._dispatch._settle_windows()
        assert (await client.get("renders")).value["items"] == [], "one of fifteen frames is still to come"
        assert (await client.upload(*beside[-1])).status == 201
        told = (await until(lambda: listener.on("skylapse/processor/film")))[0]
        assert (told["frames"], told["skipped"], told["profile"]) == (7, 0, "f")
        (film,) = (await client.get("films")).value["items"]
        assert film["title"] == "roof/west · 2026-06-01 · Sunset", "the arms' profile names no film"
        asked = await client.ask("POST", "renders", json={"camera": "roof/west", "day": DAY, "size": "480p"})
        assert asked.value["film"] == told["id"], "whoever asks for the day gets that film"
        jobs = (await client.get("renders")).value["items"]
        assert [job["frames"] for job in jobs] == [7, 7]


@pytest.mark.parametrize("recipe", ["clean", "cinematic"])
async def test_a_film_is_called_the_same_in_its_file_and_by_the_names_that_people_gave(
    tmp_path: Path, broker: Broker, listener: Listener, recipe: str
) -> None:
    order = replace(ORDER, recipe=recipe, schedule_name=" Würzburg\n<b>Morgen</b> ")
    known = CameraInfo(id="west", name="Lake", model="twin", driver="twin", width=64, height=36)
    announce = BridgeAnnounce(
        bridge="roof",
        name="Roof",
        software="1",
        schema_min=1,
        schema_max=1,
        boot_id="b",
        host=Host(model="m", os="o", python="3"),
        cameras=(known,),
    )
    plan = Plan(revision=1, created_at=datetime.now(UTC), time_zone="Europe/Zurich", windows=())
    title = f"Lake · {DAY} · Würzburg <b>Morgen</b>"
    async with serving(write_config(tmp_path / "processor", broker)) as (service, client):
        listener.say(ANNOUNCE, announce, bridge="roof")
        listener.say(PLAN, plan, bridge="roof", camera="west")
        listener.say(ORDERS, Orders(revision=1, orders=(order,)))
        assert (await client.upload(*frame(1))).status == 201
        spec = RenderSpec(camera=CameraName(bridge="roof", camera="west"), day=DAY, schedule="sunset")
        wanted = Words(title=title, cameras=("Lake",), time_zone="Europe/Zurich")
        await until(lambda: service._words(spec) == wanted)
        listener.say(STATE, ended(captured=1), bridge="roof", camera="west")
        told = (await until(lambda: listener.on("skylapse/processor/film")))[0]
        (tmp_path / "film.mp4").write_bytes((await client.get(told["video"])).body)
        assert told["title"] == tags_of(tmp_path / "film.mp4")["title"] == title


async def test_a_film_has_the_name_of_its_schedule_though_no_order_says_it_any_more(tmp_path: Path) -> None:
    config = write_config(tmp_path / "processor")
    async with serving(config) as (service, _client):
        named = (replace(ORDER, schedule_name="Abend am See"), replace(ORDER, schedule_name="", recipe="raw"))
        for revision, orders in enumerate((named, ())):
            await service._dispatch.hear_orders(Orders(revision=revision, orders=orders))
    async with serving(config) as (_service, client):
        for camera in ("west", "east"):
            assert (await client.upload(*frame(1, camera=camera))).status == 201
            wish = {"camera": f"roof/{camera}", "day": DAY, "size": "480p"}
            assert (await client.ask("POST", "renders", json=wish)).status == 202
        films = await until(partial(titles_of, client, 2))
        assert films == [f"roof/{camera} · {DAY} · Abend am See" for camera in ("east", "west")]


async def titles_of(client: Client, count: int) -> list[str] | None:
    """Return the titles of all films, once there are so many."""
    titles = sorted(film["title"] for film in (await client.get("films")).value["items"])
    return titles if len(titles) == count else None


async def test_a_star_trail_of_the_day_is_refused_at_once_and_never_tried_again(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    async with serving(write_config(tmp_path / "processor", broker)) as (_service, client):
        for seq in (1, 2):
            assert (await client.upload(*frame(seq, sun_elevation_deg=20.0))).status == 201
        asked = await client.ask(
            "POST", "renders", json={"camera": "roof/west", "day": DAY, "recipe": "startrail"}
        )
        assert asked.status == 400
        assert "no star trail: fewer than 2 frames" in asked.value["detail"]
        listener.say(ORDERS, Orders(revision=1, orders=(replace(ORDER, recipe="startrail"),)))
        listener.say(STATE, ended(captured=2), bridge="roof", camera="west")
        states = await until(partial(job_states, listener, last="failed"))
        assert states == ["queued", "running", "failed"]


async def test_no_film_is_made_of_nothing_but_a_test(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    async with serving(write_config(tmp_path / "processor", broker)) as (service, client):
        listener.say(ORDERS, Orders(revision=1, orders=(ORDER,)))
        for seq in (1, 2):
            await client.upload(*frame(seq, test_id="arm-a"))
        listener.say(STATE, ended(captured=2), bridge="roof", camera="west")
        await until(lambda: service._dispatch._heard)
        await service._dispatch._settle_windows()
        assert (await client.get("renders")).value["items"] == []
        asked = await client.ask("POST", "renders", json={"camera": "roof/west", "day": DAY})
        assert (asked.status, asked.value["field"]) == (400, "day")


async def renders_are(client: Client, states: list[str]) -> bool:
    """Whether there are as many renders, in these states."""
    return [job["state"] for job in (await client.get("renders")).value["items"]] == states


async def test_late_frames_remake_a_film_once(tmp_path: Path, broker: Broker, listener: Listener) -> None:
    now = [datetime.now(UTC)]
    async with serving(write_config(tmp_path / "processor", broker), lambda: now[0]) as (service, client):
        listener.say(ORDERS, Orders(revision=1, orders=(ORDER,)))
        for seq in (1, 2):
            await client.upload(*frame(seq))
        listener.say(STATE, ended(captured=4), bridge="roof", camera="west")
        await until(lambda: service._dispatch._heard)
        now[0] += LATE_AFTER
        service._dispatch.poke()
        told = (await until(lambda: listener.on("skylapse/processor/film")))[0]
        assert (told["change"], told["frames"]) == ("added", 2)
        for seq in (3, 4):
            await client.upload(*frame(seq))
        again = (await until(lambda: listener.on("skylapse/processor/film")[1:]))[0]
        assert (again["change"], again["frames"], again["id"]) == ("changed", 4, told["id"])


@contextmanager
def measuring_held(service: Service) -> Iterator[threading.Event]:
    """Nothing is measured until the event is set."""
    go_on, look = threading.Event(), service._ingest._look

    def wait_and_look(frame: StoredFrame) -> object:
        go_on.wait(PATIENCE_S)
        return look(frame)

    with patch.object(service._ingest, "_look", wait_and_look):
        try:
            yield go_on
        finally:
            go_on.set()


async def bring_window(service: Service, client: Client) -> None:
    """Have four frames, of which two turn out blank, and the end of their window."""
    for data, record in (frame(1), white(2), frame(3), white(4)):
        assert (await client.upload(data, record)).status == 201
    await service._dispatch.hear_orders(Orders(revision=1, orders=(ORDER,)))
    await service._dispatch.hear_state(CameraName.parse("roof/west"), ended(captured=4))


async def films_of(client: Client, frames: int) -> list[dict[str, Any]] | None:
    """Return the films, once the first of them has so many frames."""
    films: list[dict[str, Any]] = (await client.get("films")).value["items"]
    return films if films and films[0]["frames"] == frames else None


async def test_no_film_is_started_from_frames_that_nobody_has_judged(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        with measuring_held(service) as go_on:
            await bring_window(service, client)
            await service._dispatch._settle_windows()
            assert (await client.get("renders")).value["items"] == []
            go_on.set()
            await until(partial(films_of, client, 2))
        assert await renders_are(client, ["done"])


@pytest.mark.parametrize(("late_after_s", "frames"), [(900, 2), (1, 3)])
async def test_a_film_asked_for_waits_a_while_for_frames_to_be_judged(
    tmp_path: Path, late_after_s: int, frames: int
) -> None:
    config = write_config(tmp_path / "processor", renders={"late_after_s": late_after_s})
    async with serving(config) as (service, client):
        with measuring_held(service) as go_on:
            for data, record in (frame(1), white(2), frame(3)):
                assert (await client.upload(data, record)).status == 201
            wish = {"camera": "roof/west", "day": DAY, "size": "480p"}
            assert (await client.ask("POST", "renders", json=wish)).status == 202
            if late_after_s > 1:
                await service._dispatch._start_jobs()
                assert await renders_are(client, ["queued"])
                go_on.set()
            await until(partial(films_of, client, frames))


async def test_a_film_is_made_anew_without_frames_that_turn_out_bad(tmp_path: Path) -> None:
    now = [datetime.now(UTC)]
    async with serving(write_config(tmp_path / "processor"), lambda: now[0]) as (service, client):
        with measuring_held(service) as go_on:
            await bring_window(service, client)
            now[0] += LATE_AFTER
            service._dispatch.poke()
            (before,) = await until(partial(films_of, client, 4))
            go_on.set()
            (after,) = await until(partial(films_of, client, 2))
        assert after["id"] == before["id"]


async def test_a_render_is_answered_at_once_and_can_be_listed(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    async with serving(write_config(tmp_path / "processor", broker)) as (_service, client):
        for seq in range(1, 4):
            await client.upload(*frame(seq))
        command = Command(
            id="c1",
            expires_at=datetime.now(UTC) + timedelta(hours=1),
            name="render",
            args={"camera": "roof/west", "day": DAY, "size": "480p", "length_s": 1},
        )
        listener.say(PROCESSOR_COMMAND, command)
        reply = (await until(lambda: listener.on("skylapse/processor/reply")))[0]
        assert reply["ok"], reply
        job, film = reply["result"]["job"], reply["result"]["film"]

        async def done() -> bool:
            return bool((await client.get(f"renders/{job}")).value["state"] == "done")

        await until(done)
        found = (await client.get(f"films/{film}")).value
        assert (found["frames"], round(found["duration_s"], 1)) == (3, 1.0)


async def state_is(client: Client, job: str, state: str) -> bool:
    """Whether a render is in a state."""
    return bool((await client.get(f"renders/{job}")).value["state"] == state)


async def test_a_job_that_nobody_runs_is_taken_over_when_its_lease_has_ended(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        await client.upload(*frame(1))
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        orphan = Job(
            id="orphan",
            origin="request",
            spec=RenderSpec(camera=CameraName(bridge="roof", camera="west"), day=DAY, size="480p"),
            status="queued",
            created_at=long_ago,
            changed_at=long_ago,
        )
        await asyncio.wrap_future(service._store.jobs.put([start(orphan, long_ago)]))
        service._dispatch.poke()
        await until(partial(state_is, client, "orphan", "done"))
        assert (await client.get("renders/orphan")).value["attempt"] == 2


async def test_a_film_that_cannot_be_made_fails_after_three_attempts_and_holds_nobody_up(
    tmp_path: Path,
) -> None:
    async with serving(write_config(tmp_path / "processor")) as (_service, client):
        for seq in (1, 2):
            await client.upload(*frame(seq))
            await client.upload(*frame(seq, camera="east"))
        for picture in (tmp_path / "processor/store/frames/roof/west" / DAY).glob("*Z-*.jpg"):
            picture.write_bytes(b"eaten by a disk")
        dry = await client.ask("POST", "renders", json={"camera": "roof/west", "day": DAY, "dry_run": True})
        assert (dry.status, dry.value["type"]) == (422, "/problems/no-film")
        assert "none of the pictures can be used" in dry.value["detail"]
        asked = [
            (await client.ask("POST", "renders", json={"camera": camera, "day": DAY, "size": "480p"})).value
            for camera in ("roof/west", "roof/east")
        ]
        await until(partial(state_is, client, asked[0]["job"], "failed"))
        await until(partial(state_is, client, asked[1]["job"], "done"))
        poison = (await client.get(f"renders/{asked[0]['job']}")).value
        assert poison["attempt"] == 3
        assert "none of the pictures can be used" in poison["error"]
        (film,) = (await client.get("films")).value["items"]
        assert film["camera"] == "roof/east"
        await until(lambda: not list((tmp_path / "processor/store/renders").iterdir()))


async def test_an_order_that_nobody_can_obey_fails_alone(tmp_path: Path) -> None:
    large = replace(ORDER, also_sizes=("720p",))
    odd = (replace(large, recipe="soup"), replace(large, size="9p"))
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        for seq in (1, 2):
            await client.upload(*frame(seq))
        await service._dispatch.hear_orders(Orders(revision=1, orders=(*odd, ORDER)))
        await service._dispatch.hear_state(CameraName.parse("roof/west"), ended(captured=2))

        async def over() -> list[dict[str, str]] | None:
            found = (await client.get("renders")).value["items"]
            return found if found and all(job["state"] in ("failed", "done") for job in found) else None

        made = await until(over)
        (film,) = (await client.get("films")).value["items"]
    assert film["recipe"] == "clean"
    assert sorted(job["state"] for job in made) == ["done", "failed", "failed"]
    words = " ".join(job["error"] for job in made if job["state"] == "failed")
    assert "'soup' is none of" in words
    assert "'9p' is none of" in words


def corners_to_middle(video: Path) -> float:
    """How bright the corners of a film's first frame are, as a share of its middle."""
    shown = film_frames(video)[0].mean(axis=2)
    height, width = shown.shape
    corners = [
        shown[rows, columns].mean()
        for rows in (slice(9), slice(-9, None))
        for columns in (slice(16), slice(-16, None))
    ]
    middle = shown[height // 2 - 9 : height // 2 + 9, width // 2 - 16 : width // 2 + 16].mean()
    return float(np.mean(corners) / middle)


async def test_films_of_a_calibrated_camera_are_corrected_whoever_orders_them(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    folder = tmp_path / "processor"
    across, down = np.meshgrid(np.linspace(-1, 1, 160), np.linspace(-1, 1, 90))
    fall = (1 - 0.35 * (across**2 + down**2))[:, :, None] * np.ones(3)
    config = write_config(folder, broker, calibration={"roof/west": {"flat": "flat.jpg"}})
    (folder / "flat.jpg").write_bytes(jpeg(develop(0.5 * fall)))
    async with serving(config) as (_service, client):
        for seq in range(1, 5):
            data = jpeg(develop(0.3 * fall, seed=seq))
            assert (await client.upload(data, record_of(data, seq))).status == 201
            assert (await client.upload(*frame(seq, camera="east"))).status == 201
        listener.say(ORDERS, Orders(revision=1, orders=(ORDER,)))
        listener.say(STATE, ended(captured=4), bridge="roof", camera="west")
        await until(lambda: listener.on("skylapse/processor/film"))
        grid = {"cameras": ["roof/west", "roof/east"], "day": DAY, "dry_run": True}
        beside = await client.ask("POST", "renders", json=grid)
        assert beside.status == 200, "cameras side by side are levelled, and not corrected"
        wish = {"camera": "roof/west", "day": DAY, "size": "480p", "recipe": "raw"}
        as_seen = await client.ask("POST", "renders", json=wish)
        command = Command(
            id="c1",
            expires_at=datetime.now(UTC) + timedelta(hours=1),
            name="render",
            args={**wish, "parameters": {"correct": True}},
        )
        listener.say(PROCESSOR_COMMAND, command)
        corrected = (await until(lambda: listener.on("skylapse/processor/reply")))[0]["result"]
        told = await until(
            lambda: films if len(films := listener.on("skylapse/processor/film")) == 3 else None
        )
        shares = {}
        for film in told:
            (folder / film["id"]).write_bytes((await client.get(film["video"])).body)
            shares[film["id"]] = corners_to_middle(folder / film["id"])
    ordered = told[0]["id"]
    assert shares[as_seen.value["film"]] < 0.75
    assert shares[corrected["film"]] == pytest.approx(1, abs=0.04)
    assert shares[ordered] == pytest.approx(1, abs=0.04), "of the standing order, which names no step"
