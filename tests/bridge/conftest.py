"""A bridge in this process with everything around it real: broker, spool, an HTTP server for its frames."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import voluptuous as vol

from skylapse_bridge.camera.factory import CameraConfig, driver_options
from skylapse_bridge.clock import Clock
from skylapse_bridge.config import BridgeConfig, MqttConfig, ProcessorConfig
from skylapse_bridge.patience import reach
from skylapse_bridge.service import Bridge
from skylapse_bridge.spool import Limits
from skylapse_bridge.upload import Pace
from skylapse_protocol.snapshot import Plan, Snapshot
from skylapse_protocol.topics import FRAME, PLAN, SNAPSHOT
from tests.support.mosquitto import Broker
from tests.support.waiting import until

from .listener import Listener
from .made import HandClock
from .tus_server import KEY, TusServer


class House:
    """One bridge and what it talks to."""

    def __init__(self, folder: Path, broker: Broker, listener: Listener, server: TusServer) -> None:
        self.folder = folder
        self.broker = broker
        self.listener = listener
        self.server = server
        self.clock = HandClock()
        key_file = folder / "key"
        key_file.write_text(KEY, "utf-8")
        options = vol.Schema(driver_options("twin"))({"width": 64, "height": 48})
        self.config = BridgeConfig(
            id="roof",
            name="Roof",
            state_dir=folder / "state",
            cameras=(CameraConfig(id="west", name="West", driver="twin", options=options),),
            spool=Limits(max_bytes=10**9, min_free_bytes=1),
            mqtt=MqttConfig(host="127.0.0.1", port=broker.port, root="skylapse"),
            processor=ProcessorConfig(key_file=key_file, url=server.url),
        )
        self.bridge: Bridge | None = None
        self._waiting = 0
        self._settling: asyncio.Task[None] | None = None

    def processor(self, url: str) -> ProcessorConfig:
        """The configuration of a processor at another address."""
        return ProcessorConfig(key_file=self.folder / "key", url=url)

    async def start(self, **changes: object) -> Bridge:
        """Start a bridge on this house's state, after changes to its configuration."""
        self.config = replace(self.config, **changes)  # type: ignore[arg-type]
        self.bridge = Bridge(self.config, self.clock, pace=Pace(first_s=0.01, longest_s=0.05))
        await self.bridge.start()
        return self.bridge

    async def stop(self) -> None:
        """Stop the bridge."""
        if self.bridge is not None:
            await self.bridge.stop()
            self.bridge = None

    def deploy(self, plan: Plan | None, snapshot: Snapshot | None, camera: str = "west") -> None:
        """Say plan and snapshot as the brain does."""
        self.listener.say(SNAPSHOT, snapshot, camera=camera)
        self.listener.say(PLAN, plan, camera=camera)

    async def photograph(self, frames: int, *, step_s: float = 5) -> None:
        """Let time pass until so many more frames were announced, and nobody is at work."""
        before = len(self.listener.all(FRAME))

        def enough() -> bool:
            if len(self.listener.all(FRAME)) - before >= frames:
                return self._is_at_rest()
            self.let_pass(step_s)
            return False

        await until(enough, what=f"{frames} frames")

    def let_pass(self, seconds: float) -> None:
        """Let time go by if all that there is to do waits for it: no machine is too slow for this clock."""
        if self._is_at_rest():
            self.clock.pass_time(seconds)
            self._settling = asyncio.create_task(_settle())

    def _is_at_rest(self) -> bool:
        """Tell whether something was deployed, and no camera does more than wait for its time."""
        if self.bridge is None or (self._settling is not None and not self._settling.done()):
            return False
        runners = self.bridge._runners.values()
        at_work = sum(runner._due_s is not None or runner.time._busy for runner in runners)
        return at_work <= self._waiting and any(runner.plan and runner.snapshot for runner in runners)

    async def wait_for_tick(self, clock: Clock, moment: datetime) -> bool:
        """Wait as the bridge does between metering and its frame, and be counted."""
        self._waiting += 1
        try:
            return await reach(clock, moment)
        finally:
            self._waiting -= 1


async def _settle() -> None:
    """Give everybody who is woken by the clock their turns of the loop to go to work."""
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.fixture
async def server() -> AsyncIterator[TusServer]:
    """A tus server that works until it is told not to."""
    one = TusServer()
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def house(tmp_path: Path, broker: Broker, server: TusServer) -> AsyncIterator[House]:
    """Broker, listener and server run; the bridge waits for `start`."""
    listener = Listener(broker.port)
    await listener.start()
    one = House(tmp_path, broker, listener, server)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skylapse_bridge.taking.reach", one.wait_for_tick)
        yield one
        await one.stop()
    await listener.stop()
