"""Small moving pictures, and films of several sizes and other codecs, as the library brings them."""

import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from skylapse_processor import jobs
from skylapse_processor.encode_preview import LIMIT_BYTES
from skylapse_processor.frames import read_folder
from skylapse_processor.jobs import Job, RenderSpec
from skylapse_processor.render import render_film
from skylapse_processor.request import RenderRequest, distinct
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.messages import Order, Orders
from skylapse_protocol.sizes import LeftOut
from skylapse_protocol.topics import ORDERS, STATE
from tests.support.mosquitto import Broker
from tests.support.waiting import until

from .client import Client
from .conftest import serving, write_config
from .frames_made import DAY, frame, picture, record_of
from .listener import Listener
from .pictures import develop, film_frames, jpeg
from .test_service_films import ended

NOW = datetime(2026, 6, 2, tzinfo=UTC)


async def _films(client: Client, wish: dict[str, object], count: int) -> list[dict[str, object]]:
    """Ask for films; return them when they are there."""
    asked = await client.ask("POST", "renders", json={"camera": "roof/west", "day": DAY, **wish})
    assert asked.status == 202, asked.value
    job = asked.value["job"]

    async def over() -> bool:
        return (await client.get(f"renders/{job}")).value["state"] in ("done", "failed")

    await until(over)
    films = [(await client.get(f"films/{film}")).value for film in asked.value["films"]]
    assert len((await client.get("films")).value["items"]) == len(films) == count
    return films


async def test_several_films_come_of_one_job(client: Client) -> None:
    for seq in range(1, 7):
        data = picture(seq, size=(1280, 720))
        await client.upload(data, record_of(data, seq))
    small, large = await _films(
        client, {"size": "480p", "also_sizes": ["720p", "2160p"], "codec": "h265"}, count=2
    )
    assert (small["height"], large["height"]) == (480, 720)
    assert (small["codec"], large["codec"]) == ("h265", "h265")
    assert large["title"] == f"{small['title']} · 720p"
    assert {film["frames"] for film in (small, large)} == {6}
    for film in (small, large):
        preview = await client.get(str(film["preview"]))
        assert preview.headers["Content-Type"] == "image/webp"
        assert "immutable" in preview.headers["Cache-Control"]
        with Image.open(io.BytesIO(preview.body)) as image:
            assert (image.width, image.height) == (320, 180)
            assert len(list(ImageSequence.Iterator(image))) == 6
        assert (await client.get(str(film["poster"]))).body[:2] == b"\xff\xd8"
        assert (await client.ask("DELETE", f"films/{film['id']}")).status == 204
        assert (await client.ask("GET", f"films/{film['id']}/preview")).status == 404


async def test_what_cannot_be_encoded_is_named(client: Client) -> None:
    await client.upload(*frame(1))
    wishes: dict[str, dict[str, object]] = {
        "also_sizes": {"also_sizes": ["720p", "huge"]},
        "codec": {"codec": "mpeg2"},
        "dry_run": {"dry_run": "yes"},
    }
    for field, wish in wishes.items():
        asked = await client.ask("POST", "renders", json={"camera": "roof/west", "day": DAY, **wish})
        assert (asked.status, asked.value["field"]) == (400, field)


async def test_a_dry_run_tells_what_the_film_would_be_and_makes_none(client: Client, tmp_path: Path) -> None:
    for seq in range(1, 5):
        await client.upload(*frame(seq))
    asked = await client.ask(
        "POST", "renders", json={"camera": "roof/west", "day": DAY, "rate": 8, "dry_run": True}
    )
    assert asked.status == 200, asked.value
    assert (asked.value["frames"], asked.value["duration_s"]) == (4, 0.5)
    assert (await client.get("renders")).value["items"] == []
    assert (await client.get("films")).value["items"] == []
    assert list((tmp_path / "processor" / "store" / "renders").iterdir()) == []


async def test_a_size_that_would_repeat_another_is_told_of_and_not_promised(client: Client) -> None:
    for seq in range(1, 4):
        await client.upload(*frame(seq))
    wish = {"camera": "roof/west", "day": DAY, "size": "source", "also_sizes": ["720p", "4k"]}
    no_larger = "the pictures are no larger than 160 × 90"
    left_out = [{"size": size, "why": no_larger} for size in ("720p", "4k")]
    foretold = await client.ask("POST", "renders", json={**wish, "dry_run": True})
    assert (foretold.value["also"], foretold.value["left_out"]) == ([], left_out)
    asked = await client.ask("POST", "renders", json=wish)
    assert asked.value["films"] == [asked.value["film"]]
    assert asked.value["left_out"] == left_out
    assert (await client.get(f"renders/{asked.value['job']}")).value["left_out"] == left_out
    cut = {**wish, "size": "1080p", "parameters": {"crop": {"aspect": "1:1"}}, "dry_run": True}
    told = (await client.ask("POST", "renders", json=cut)).value["left_out"]
    assert [each["why"] for each in told] == ["the pictures are no larger than 90 × 90"] * 2


def test_of_two_names_for_one_size_the_first_is_made() -> None:
    made, left_out = distinct(("4k", "720p", "2160p", "source"), 4656, 3496)
    assert made == ("4k", "720p", "source")
    assert left_out == (LeftOut(size="2160p", why="4k is the same"),)


async def test_an_order_names_sizes_and_codec(tmp_path: Path, broker: Broker, listener: Listener) -> None:
    order = Order(
        camera="roof/west",
        schedule="sunset",
        size="480p",
        also_sizes=("720p", "2160p"),
        codec="av1",
        rate=12.0,
    )
    async with serving(write_config(tmp_path / "processor", broker)) as (_service, client):
        listener.say(ORDERS, Orders(revision=1, orders=(order,)))
        for seq in range(1, 5):
            data = picture(seq, size=(1280, 720))
            await client.upload(data, record_of(data, seq))
        listener.say(STATE, ended(captured=4), bridge="roof", camera="west")
        told = await until(
            lambda: films if len(films := listener.on("skylapse/processor/film")) == 2 else None
        )
        said = [job["left_out"] for topic, job, _ in listener.heard if "/job/" in topic]
    no_larger = {"size": "2160p", "why": "the pictures are no larger than 1280 × 720"}
    assert said
    assert all(left_out == [no_larger] for left_out in said)
    assert [(film["codec"], film["height"]) for film in told] == [("av1", 480), ("av1", 720)]
    assert all(film["preview"].startswith(f"/api/v1/films/{film['id']}/preview?v=") for film in told)


def test_two_jobs_never_make_one_film_at_once() -> None:
    camera = CameraName(bridge="roof", camera="west")
    spec = RenderSpec(camera=camera, day=DAY, size="1080p", also_sizes=("720p",))
    wide, small, other = (
        Job(id=name, origin="request", spec=each, status="queued", created_at=NOW, changed_at=NOW)
        for name, each in (("a", spec), ("b", spec.at("720p")), ("c", spec.at("480p")))
    )
    assert [job.id for job in jobs.pick([wide, small, other], [], 3)] == ["a", "c"]
    in_av1 = RenderSpec(camera=camera, day=DAY, codec="av1")
    assert len({spec.film, *spec.films, in_av1.film}) == 3, "a film's id tells size and codec"


def test_a_preview_is_a_small_loop_of_three_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    (tmp_path / "in").mkdir()
    for number in range(50):
        busy = rng.uniform(0, 0.5, (270, 480, 3))
        (tmp_path / "in" / f"{number:02d}.jpg").write_bytes(jpeg(develop(busy * number / 50), quality=60))
    request = RenderRequest(
        frames=read_folder(tmp_path / "in").frames,
        output=tmp_path / "film.mp4",
        recipe="raw",
        preview=tmp_path / "film.webp",
    )
    render_film(request, lambda _: None, lambda: False)
    assert (tmp_path / "film.webp").stat().st_size <= LIMIT_BYTES
    with Image.open(tmp_path / "film.webp") as image:
        assert (image.size, image.info["loop"]) == ((320, 180), 0)
        lasts_ms = 0
        means = []
        for each in ImageSequence.Iterator(image):
            means.append(float(np.asarray(each.convert("L")).mean()))
            lasts_ms += each.info["duration"]
    shown = [float(np.mean(each)) for each in film_frames(tmp_path / "film.mp4")]
    assert len(means) == 36
    assert lasts_ms == pytest.approx(3000, abs=40)
    assert means[0] == pytest.approx(shown[0], abs=4)
    assert means[-1] == pytest.approx(shown[-1], abs=4), "from the first frame to the last"
    assert means == sorted(means)
