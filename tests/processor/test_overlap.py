"""Windows that overlap: the film of the longer interval has no hole, and no other frame than it should."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from skylapse_processor.jobs import RenderSpec
from skylapse_processor.overlap import chosen
from skylapse_processor.service import Service
from skylapse_processor.store.rows import StoredFrame
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.snapshot import Plan, Window
from skylapse_protocol.topics import PLAN
from tests.support.mosquitto import Broker
from tests.support.waiting import until

from .client import Client
from .conftest import serving, write_config
from .frames_made import DAY, START, frame
from .listener import Listener
from .test_today import GROWN, TODAY, closes, deliver, seen, shows

WEST = CameraName(bridge="roof", camera="west")
MORNING = {"window": "all-day", "schedule": "all-day"}
LAST = 120
"""Of a day of one frame in thirty seconds: every second number."""
RULED = range(31, 52)
"""The numbers that the sunset takes in the middle of it, one frame in fifteen seconds."""


def at(number: int) -> datetime:
    return START + timedelta(seconds=15 * number)


def window(name: str, first: int, past: int, interval_s: float) -> Window:
    return Window(
        id=name,
        schedule=name,
        day=DAY,
        starts_at=at(first),
        ends_at=at(past),
        interval_s=interval_s,
        profiles=("f",),
    )


PLANNED = (
    window("all-day", 0, LAST + 1, 30.0),
    window("sunset", RULED[0], RULED[-1] + 1, 15.0),
)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Service, Client]]:
    """A processor that has heard of both windows."""
    async with serving(write_config(tmp_path / "processor")) as (service, client):
        service._store.windows.plan(WEST, PLANNED).result()
        yield service, client


async def take(client: Client, last: int) -> None:
    """Deliver what the bridge takes: the shorter interval rules."""
    for number in range(2, last + 1):
        if number in RULED:
            await deliver(client, number)
        elif number % 2 == 0:
            await deliver(client, number, **MORNING)


async def film_of(client: Client, window: str, **more: object) -> tuple[list[int], list[int]]:
    """Ask for a window's film; return its frames and key frames."""
    wish = {"camera": str(WEST), "day": DAY, "window": window, **more}
    asked = await client.ask("POST", "renders", json=wish)
    assert asked.status == 202, asked.value
    film = await until(partial(found, client, asked.value["film"]))
    return seen((await client.get(film["video"])).body)


async def found(client: Client, film: str) -> dict[str, Any] | None:
    return next((each for each in (await client.get("films")).value["items"] if each["id"] == film), None)


async def test_the_film_of_today_is_lent_what_another_window_took(served: tuple[Service, Client]) -> None:
    _service, client = served
    await take(client, LAST)
    await until(partial(closes, client, 1))
    every_second = list(range(2, LAST + 1, 2))
    said = await until(partial(shows, client, len(every_second)))
    assert (said["window"], seen((await client.get(said["video"])).body)[0]) == ("all-day", every_second)
    shown, keys = await film_of(client, "all-day")
    assert (shown, set(keys) >= set(GROWN)) == (every_second, True), "it has grown and is not rendered"
    assert (await film_of(client, "sunset"))[0] == list(RULED)


async def test_a_render_is_lent_them_to_the_end_of_its_window_and_no_further(
    served: tuple[Service, Client],
) -> None:
    service, client = served
    cut_short = replace(PLANNED[0], ends_at=at(45))
    service._store.windows.plan(WEST, [cut_short]).result()
    await take(client, RULED[-1])
    assert (await film_of(client, "all-day", size="480p"))[0] == list(range(2, 45, 2))
    assert (await client.get(TODAY)).value["window"] == "sunset"


async def test_beside_another_camera_each_is_lent_its_own(served: tuple[Service, Client]) -> None:
    service, client = served
    await take(client, LAST)
    await deliver(client, *range(2, LAST + 1, 2), camera="east", **MORNING)
    spec = RenderSpec(camera=WEST, day=DAY, window="all-day", profile="f", cameras=("roof/west", "roof/east"))
    found = service._dispatch._footage.of(spec)
    numbers = {
        camera: [each.name.seq for each in found if each.name.camera == camera] for camera in spec.shown
    }
    assert list(numbers.values()) == [list(range(2, LAST + 1, 2))] * 2


async def test_when_windows_are_is_learnt_of_plans(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    config = write_config(tmp_path / "processor", broker)
    async with serving(config) as (service, _client):
        plan = Plan(revision=1, created_at=START, time_zone="UTC", windows=PLANNED)
        listener.say(PLAN, plan, bridge="roof", camera="west")
        (lender,) = await until(lambda: service._store.windows.lenders(WEST, DAY, "all-day"))
        assert (lender.window, lender.from_at, lender.to_at) == ("sunset", at(31), at(52))
        assert service._store.windows.lenders(WEST, DAY, "sunset") == (), "it rules"


def stored(number: float, **changes: object) -> StoredFrame:
    _data, record = frame(round(number) + 1, captured_at=START + timedelta(seconds=15 * number), **changes)
    return StoredFrame.of(record)


def test_each_tick_is_lent_the_nearest_frame_of_its_profile() -> None:
    own = [stored(0), stored(8)]
    others = [stored(0.4), stored(1.7), stored(2.2), stored(3.9, profile="g"), stored(4.6), stored(7.5)]
    found = chosen(own, others, timedelta(seconds=30))
    places = [(frame.name.captured_at - START) / timedelta(seconds=15) for frame in found]
    assert places == pytest.approx([0, 2.2, 4.6, 8])
