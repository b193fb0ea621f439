"""The film of today where windows lie in each other, and where somebody takes a picture in between."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from skylapse_processor.service import Service
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.snapshot import Window
from tests.support.waiting import until

from .client import Client
from .conftest import serving, write_config
from .frames_made import DAY, START
from .test_today import TODAY, closes, deliver, playlist, shows

WEST = CameraName.parse("roof/west")
FRAMES = 60
BY_HAND = {"window": None, "schedule": None}


class Hand:
    """A clock that goes when it is told to."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Hand:
    """The clock of the processor: it is a quarter of an hour after the first frame."""
    return Hand(START + timedelta(minutes=15))


@pytest.fixture
async def served(tmp_path: Path, clock: Hand) -> AsyncIterator[tuple[Service, Client]]:
    """A processor without a broker, and its client."""
    async with serving(write_config(tmp_path / "processor"), clock) as made:
        yield made


def window(name: str, first: int, past: int, interval_s: float) -> Window:
    """A window between two numbers of frames."""
    return Window(
        id=name,
        schedule=name,
        day=DAY,
        starts_at=START + timedelta(seconds=15 * first),
        ends_at=START + timedelta(seconds=15 * past),
        interval_s=interval_s,
        profiles=("f",),
    )


PLANNED = (window("day", 0, 400, 15.0), window("sunset", FRAMES, FRAMES + 20, 5.0))
"""A day, and a sunset that rules in its midst."""


def grown(service: Service) -> set[str]:
    """The windows whose films lie on disk as far as they have grown."""
    journals = [path.read_text(encoding="utf-8") for path in service._store.layout.today.rglob("journal")]
    return {name for name in ("sunset", "day") if any(f'"window":"{name}"' in each for each in journals)}


async def test_what_has_grown_of_a_window_that_lasts_is_kept_while_another_one_rules(
    served: tuple[Service, Client], clock: Hand
) -> None:
    service, client = served
    service._store.windows.plan(WEST, PLANNED).result()
    await deliver(client, *range(1, FRAMES), window="day", schedule="day")
    await until(partial(closes, client, 1))
    await deliver(client, FRAMES, FRAMES + 1)
    await until(partial(shows, client, 2))
    await service.keep_house()
    assert grown(service) == {"day"}
    clock.now += timedelta(hours=4)
    await service.keep_house()
    assert grown(service) == set(), "nobody has said that its film is to be made"


async def test_a_film_is_not_over_while_its_window_lasts_and_another_one_rules(
    served: tuple[Service, Client], clock: Hand
) -> None:
    service, client = served
    service._store.windows.plan(WEST, PLANNED).result()
    await deliver(client, 1, 2, window="day", schedule="day")
    before = await until(partial(shows, client, 2))
    await deliver(client, FRAMES)
    await until(partial(shows, client, 1))
    assert not (await playlist(client, before["film"])).endswith("#EXT-X-ENDLIST\n")
    clock.now += timedelta(hours=4)
    assert (await playlist(client, before["film"])).endswith("#EXT-X-ENDLIST\n")


async def test_a_picture_that_is_taken_in_between_begins_no_film_of_its_own(
    served: tuple[Service, Client],
) -> None:
    _service, client = served
    await deliver(client, *range(1, FRAMES))
    before = await until(partial(shows, client, FRAMES - 1))
    await deliver(client, FRAMES, **BY_HAND)
    await deliver(client, FRAMES + 1)
    after = await until(partial(shows, client, FRAMES))
    assert (after["film"], after["window"]) == (before["film"], "sunset")
    await deliver(client, FRAMES + 2, **BY_HAND)
    assert (await client.get(TODAY)).value["film"] == before["film"]


async def test_pictures_of_another_day_without_a_window_are_a_film(
    served: tuple[Service, Client], clock: Hand
) -> None:
    _service, client = served
    clock.now += timedelta(hours=48)
    await deliver(client, 1, 2)
    await until(partial(shows, client, 2))
    await deliver(client, 3, captured_at=START + timedelta(hours=37), **BY_HAND)
    said = await until(partial(shows, client, 1))
    assert said["window"] is None


async def test_many_frames_that_are_not_its_own_do_not_hold_it_up(
    served: tuple[Service, Client], clock: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    _service, client = served
    clock.now += timedelta(hours=48)
    monkeypatch.setattr("skylapse_processor.today_frames.AT_ONCE", 4)
    await deliver(client, *range(1, 8))
    for seq in (8, 9):
        await deliver(client, seq, window=None, schedule=None, captured_at=START + timedelta(hours=37 + seq))
    await until(partial(shows, client, 2))
