"""Results step back for the film of the day, whose last frame they show, too."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from skylapse_processor.clock import utc_now
from skylapse_processor.results.keeper import Keeper
from tests.support.waiting import until

from .client import Client
from .conftest import serving, write_config
from .frames_made import frame


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now


async def taken_in(keeper: Keeper, client: Client, seq: int) -> None:
    """Deliver a frame, and let results have it."""
    assert (await client.upload(*frame(seq))).status == 201
    await until(lambda: bool(keeper._fresh))
    while await keeper._step():
        pass


async def drawn(keeper: Keeper) -> bool:
    """Publish what is due; tell whether the keogram is drawn."""
    told = await asyncio.to_thread(keeper._publish_due)
    return "keogram" in {each.result.kind for each in told}


async def test_a_frame_is_drawn_a_moment_after_it_has_come_and_the_first_at_once(tmp_path: Path) -> None:
    clock = Hands()
    async with serving(write_config(tmp_path / "processor"), clock) as (service, client):
        keeper = service._keeper
        async with keeper._alone:
            await taken_in(keeper, client, 1)
            assert await drawn(keeper)
            clock.now += timedelta(hours=1)
            await taken_in(keeper, client, 2)
            assert not await drawn(keeper), "its film is made first"
            clock.now += timedelta(seconds=2)
            assert await drawn(keeper)
            await taken_in(keeper, client, 3)
            clock.now += timedelta(seconds=59)
            assert not await drawn(keeper), "no more than once a minute"
            clock.now += timedelta(seconds=1)
            assert await drawn(keeper)
