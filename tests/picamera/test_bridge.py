"""A whole bridge photographs by a plan with the real driver: every frame is safe, announced and delivered."""

import hashlib
from collections.abc import AsyncIterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skylapse_bridge.camera.factory import CameraConfig
from skylapse_bridge.clock import RealClock
from skylapse_bridge.config import BridgeConfig, MqttConfig, ProcessorConfig
from skylapse_bridge.service import Bridge
from skylapse_bridge.spool import Limits
from tests.bridge.tus_server import KEY, TusServer
from tests.support.brain import Brain
from tests.support.mosquitto import Broker
from tests.support.waiting import until

from .conftest import SIZE, landscape, pixels

FRAMES = 8


@pytest.fixture
async def server() -> AsyncIterator[TusServer]:
    """A processor's front door."""
    one = TusServer()
    await one.start()
    yield one
    await one.stop()


@pytest.mark.usefixtures("one_camera")
async def test_a_plan_becomes_frames_that_are_safe(broker: Broker, server: TusServer, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(KEY, "utf-8")
    config = BridgeConfig(
        id="roof",
        name="Roof",
        state_dir=tmp_path / "state",
        cameras=(CameraConfig(id="west", name="West", driver="picamera"),),
        spool=Limits(max_bytes=10**9, min_free_bytes=1),
        mqtt=MqttConfig(host="127.0.0.1", port=broker.port, root="skylapse"),
        processor=ProcessorConfig(key_file=key_file, url=server.url),
    )
    bridge = Bridge(config, RealClock())
    with Brain(broker.port) as brain:
        await bridge.start()
        brain.deploy("roof", "west", interval_s=0.25, minutes=10)
        await until(lambda: len(brain.frames) >= FRAMES, what="frames by the plan")
        brain.halt("roof", "west")
        await until(lambda: len(server.frames) >= FRAMES, what="delivery")
        counts = await bridge._outbox.run(lambda spool: spool.counts("west"))
        await bridge.stop()
    assert counts.captured >= FRAMES
    assert counts.dropped == 0
    records = brain.frames[:FRAMES]
    assert [record.seq for record in records] == list(range(1, FRAMES + 1))
    assert all(one.captured_at < other.captured_at for one, other in pairwise(records))
    sent = {upload.sha256: bytes(upload.data) for upload in server.uploads if upload.whole}
    for record in records:
        picture = sent[record.sha256]
        assert hashlib.sha256(picture).hexdigest() == record.sha256
        assert Image.open(BytesIO(picture)).size == SIZE
        assert np.abs(pixels(picture) - landscape(0)).mean() < 1.5
        assert (record.sensor, record.exposure_us, record.asked) == ("imx519", None, None)
