"""The film of today where a record lies, and where light alone does what looks like a lie."""

import io
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skylapse_processor.service import Service
from tests.support.waiting import until

from .client import Client
from .conftest import serving, write_config
from .frames_made import record_of
from .test_today import GROWN, LONG, asked_for, marked, shows

SLOPE_EV, SUN_EV = 0.04, 0.25
"""How much darker each frame is, and how much brighter when the sun breaks out."""


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Service, Client]]:
    """A processor without a broker, and its client."""
    async with serving(write_config(tmp_path / "processor")) as made:
        yield made


def lit(seq: int, light_ev: float) -> bytes:
    """A picture that shows its number, in more or less light than usual."""
    with Image.open(io.BytesIO(marked(seq))) as picture:
        linear = (np.asarray(picture, dtype=np.float64) / 255) ** 2.2 * 2**light_ev
    shown = np.clip(linear ** (1 / 2.2) * 255 + 0.5, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(shown).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


async def deliver(client: Client, lights_ev: Mapping[int, float], exposures_us: Mapping[int, int]) -> None:
    """Upload a day in this light, of which records tell these exposures."""
    for seq in range(1, LONG + 1):
        data = lit(seq, lights_ev.get(seq, 0.0))
        record = record_of(data, seq, exposure_us=exposures_us.get(seq, 1000))
        assert (await client.upload(data, record)).status == 201
    await until(partial(shows, client, LONG))


@pytest.mark.parametrize(
    "exposures_us",
    [{20: 4000}, {20: 1200}, {LONG: 3000}, dict.fromkeys(range(30, LONG + 1), 2000)],
    ids=["much", "a little", "at the end", "from then on"],
)
async def test_a_record_that_lies_makes_a_render_that_does_not_believe_it(
    served: tuple[Service, Client], exposures_us: dict[int, int]
) -> None:
    _service, client = served
    await deliver(client, {}, exposures_us)
    numbers, keys = await asked_for(client, LONG)
    assert numbers == list(range(1, LONG + 1))
    assert keys != GROWN


@pytest.mark.parametrize("last", [1, 2, 3])
async def test_sun_that_breaks_out_at_the_very_end_makes_no_lies(
    served: tuple[Service, Client], last: int
) -> None:
    _service, client = served
    lights_ev = {LONG - last - place: place * SLOPE_EV - 0.8 for place in range(20)}
    lights_ev |= {LONG - last + place: place * SUN_EV - 0.8 for place in range(1, last + 1)}
    await deliver(client, lights_ev, {})
    numbers, keys = await asked_for(client, LONG)
    assert numbers == list(range(1, LONG + 1))
    assert keys == GROWN
