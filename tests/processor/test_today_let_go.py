"""What was encoded ahead of the end of a film of today is let go of, and the film is none the worse."""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from skylapse_processor.service import Service
from skylapse_processor.today_cut import STEP
from skylapse_processor.today_plan import AHEAD, GROUP
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.snapshot import Plan, Window
from skylapse_protocol.topics import PLAN
from tests.support.mosquitto import Broker
from tests.support.waiting import until

from .client import Client
from .conftest import serving, write_config
from .frames_made import DAY, START
from .listener import Listener
from .test_today import asked_for, deliver, fetched, playlist, seen, shows

WEST = CameraName.parse("roof/west")
NEXT_DAY = "2026-06-02"
SHORT, LONG = AHEAD + 3 * STEP, GROUP + AHEAD + 2 * STEP
"""So many frames have no closed segment, or one; behind it three steps are rehearsed, or two."""


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Service, Client]]:
    """A processor without a broker, and its client."""
    async with serving(write_config(tmp_path / "processor")) as made:
        yield made


def rehearsed(service: Service) -> int:
    """How many frames are kept in memory, encoded for the end, of all films."""
    return sum(len(piece.frames) for live in service._today._lives.values() for piece in live.rehearsed)


async def grow(service: Service, client: Client, frames: int) -> None:
    """Deliver a day, and wait until all is rehearsed that can be; nobody looks at it."""
    await deliver(client, *range(1, frames + 1))
    ready = (frames - AHEAD) % GROUP // STEP * STEP
    await until(partial(rests, service, ready))


def rests(service: Service, ready: int) -> bool:
    """Tell whether so many frames are rehearsed, and nothing more is to be done."""
    return rehearsed(service) == ready and not service._today._followers


def knows(service: Service, window: Window) -> bool:
    """Tell whether it was heard when a window ends."""
    return service._today._windows.get(WEST) == (window,)


async def go_on(client: Client) -> None:
    """Deliver a frame of the next day."""
    await deliver(client, 99, day=NEXT_DAY)
    await until(partial(shows, client, 1))


def files(service: Service) -> list[Path]:
    """What lies on disk of films of today."""
    return [path for path in service._store.layout.today.rglob("*") if path.is_file()]


@pytest.mark.parametrize("frames", [SHORT, LONG])
async def test_it_goes_with_a_film_that_is_over_and_the_film_that_is_still_to_be_made_is_whole(
    served: tuple[Service, Client], frames: int
) -> None:
    service, client = served
    await grow(service, client, frames)
    await go_on(client)
    await service._today.tidy({(WEST, DAY, "sunset")})
    assert rehearsed(service) == 0
    assert bool(files(service)) == (frames == LONG), "closed segments wait for the film of their window"
    numbers, _ = await asked_for(client, frames)
    assert numbers == list(range(1, frames + 1))


async def test_what_was_shown_of_a_film_that_is_over_is_made_again_for_whoever_asks(
    served: tuple[Service, Client],
) -> None:
    service, client = served
    await grow(service, client, LONG)
    said = await until(partial(shows, client, LONG))
    before = service._today._current[WEST]
    await go_on(client)
    await service._today.tidy({(WEST, DAY, "sunset")})
    assert not [*before.shown.past, *before.shown.parts, *before.kept], "nothing is kept in memory"
    text = await playlist(client, said["film"])
    assert seen(await fetched(client, text))[0] == list(range(1, LONG + 1))


async def test_after_the_film_nothing_of_it_is_left_but_the_film(served: tuple[Service, Client]) -> None:
    service, client = served
    await grow(service, client, LONG)
    numbers, keys = await asked_for(client, LONG)
    assert numbers == list(range(1, LONG + 1))
    assert keys == [0, GROUP, GROUP + STEP, GROUP + 2 * STEP, 2 * GROUP], "what was rehearsed is shown"
    await go_on(client)
    await service.keep_house()
    assert (rehearsed(service), files(service)) == (0, [])
    (film,) = (await client.get("films")).value["items"]
    stored = service._library.video(await service._library.find(film["id"]))
    assert stored.stat().st_nlink == 1, "its room on disk is taken once"
    assert (await client.get(film["video"])).body == stored.read_bytes()


async def test_a_frame_that_comes_late_lets_go_of_what_it_makes_wrong(served: tuple[Service, Client]) -> None:
    service, client = served
    await deliver(client, *(seq for seq in range(1, SHORT + 1) if seq != 8))
    await until(lambda: rehearsed(service) == 2 * STEP)
    await deliver(client, 8)
    await until(lambda: rehearsed(service) == 3 * STEP and not service._today._followers)
    assert (await asked_for(client, SHORT))[0] == list(range(1, SHORT + 1))


async def test_nothing_is_rehearsed_before_the_end_of_a_window_is_near(
    tmp_path: Path, broker: Broker, listener: Listener
) -> None:
    async with serving(write_config(tmp_path / "processor", broker)) as (service, client):
        for revision, to_come, ready in ((1, 600, 0), (2, GROUP, 3 * STEP)):
            ends_at = START + timedelta(seconds=15 * (SHORT + to_come))
            window = Window(
                id="sunset",
                schedule="sunset",
                day=DAY,
                starts_at=START,
                ends_at=ends_at,
                interval_s=15.0,
                profiles=("f",),
            )
            plan = Plan(revision=revision, created_at=START, time_zone="UTC", windows=(window,))
            listener.say(PLAN, plan, bridge="roof", camera="west")
            await until(partial(knows, service, window))
            await deliver(client, *(range(1, SHORT + 1) if revision == 1 else [SHORT + 1]))
            await until(partial(shows, client, SHORT + revision - 1))
            await until(partial(rests, service, ready))
        assert (await asked_for(client, SHORT + 1))[0] == list(range(1, SHORT + 2))


async def test_nothing_is_rehearsed_of_a_film_that_is_rendered_in_the_end(
    served: tuple[Service, Client],
) -> None:
    service, client = served
    service._today._calibrated = {str(WEST)}
    await deliver(client, *range(1, SHORT + 1))
    await until(lambda: not service._today._followers)
    await until(partial(shows, client, SHORT))
    assert rehearsed(service) == 0
    assert (await asked_for(client, SHORT))[0] == list(range(1, SHORT + 1))
