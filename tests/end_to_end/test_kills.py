"""Promise 6: any program may be killed at any time. Nothing is lost, and nothing is there twice."""

import hashlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from demo.rig import Rig, died
from demo.store import Store
from skylapse_protocol.messages import CameraState
from tests.support.brain import Brain
from tests.support.waiting import until

SEED = 20260912
KILLS = 10
INTERVAL_S = 0.2
CAMERA = "roof/west"
TWIN = {"id": "west", "driver": "twin", "width": 320, "height": 240}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Broker, processor and a bridge with one small twin."""
    made = Rig(tmp_path / "rig", bridge="roof")
    made.broker.start()
    made.start_processor()
    made.start_bridge([TWIN])
    yield made
    made.stop()


@pytest.fixture
async def store(rig: Rig) -> AsyncIterator[Store]:
    """A client of the processor."""
    client = Store(rig.url)
    await client.start(rig.key_of("test"))
    yield client
    await client.stop()


async def test_ten_kills_lose_and_double_no_frame(rig: Rig, store: Store) -> None:
    dice = random.Random(SEED)
    with Brain(rig.broker.port) as brain:
        brain.deploy("roof", "west", interval_s=INTERVAL_S, minutes=30)
        for victim in _victims(dice):
            await _further_frames(brain, rig, dice.randrange(2, 8))
            _kill_and_start_again(rig, victim)
        await _further_frames(brain, rig, 5)
        brain.halt("roof", "west")
        state = await until(lambda: _at_rest(brain, rig), what="every frame to be delivered")
        announced = {str(record.name): record.sha256 for record in brain.frames}

    kept = [item async for item in store.frames(CAMERA)]
    counts = state.counts
    assert counts.captured == await store.stored(CAMERA) + counts.pending + counts.dropped
    assert counts.dropped == 0
    assert len(kept) == counts.captured >= 2 * KILLS
    assert [frame for frame, times in Counter(item["frame"] for item in kept).items() if times > 1] == []
    stored = {item["frame"]: item["sha256"] for item in kept}
    assert {frame: digest for frame, digest in announced.items() if stored.get(frame) != digest} == {}
    for item in kept:
        assert hashlib.sha256(await store.body(item["picture"])).hexdigest() == item["sha256"]


def _victims(dice: random.Random) -> list[str]:
    """Ten victims, each program among them more than once."""
    programs = ["bridge", "broker", "processor"]
    victims = [*programs, *programs, *dice.choices(programs, k=KILLS - 6)]
    dice.shuffle(victims)
    return victims


def _kill_and_start_again(rig: Rig, victim: str) -> None:
    if victim == "broker":
        rig.broker.restart()
    elif victim == "bridge":
        rig.bridge.kill()
        rig.start_bridge([TWIN])
    else:
        rig.processor.kill()
        rig.start_processor()


async def _further_frames(brain: Brain, rig: Rig, frames: int) -> None:
    """Wait until the camera has announced some more frames."""
    wanted = len(brain.frames) + frames
    await until(lambda: len(brain.frames) >= wanted or died(rig.bridge), what=f"{frames} further frames")


def _at_rest(brain: Brain, rig: Rig) -> CameraState | None:
    """The state of a camera whose spool is empty and whose window is over."""
    died(rig.processor)
    state = brain.states[CAMERA]
    return state if state.active_window is None and not state.counts.pending else None
