"""A focus sweep without the bridge, kept where the bridge finds it at its next start."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from skylapse_bridge.clock import Clock
from skylapse_bridge.config import BridgeConfig
from skylapse_bridge.focusing import Focusing
from skylapse_bridge.lock import StateLock
from skylapse_bridge.outbox import Outbox
from skylapse_bridge.shooting import Shooter
from skylapse_bridge.spool import Spool
from skylapse_bridge.telling import Parts, Voice

_PATIENCE = timedelta(minutes=10)


async def sweep(config: BridgeConfig, camera: str, shooter: Shooter, clock: Clock) -> dict[str, Any]:
    """Find infinity as the command `focus` does; raise CameraError where nothing is sharper than the rest.

    Raises SpoolError where the state folder is in use or cannot be written.
    """
    lock, outbox = StateLock(config.state_dir), Outbox(Spool(config.state_dir, config.spool))
    await lock.start()
    try:
        await outbox.start()
        parts = Parts(
            bridge=config.id,
            clock=clock,
            outbox=outbox,
            publish=lambda _topic, _camera, _message: False,
            on_stored=lambda: None,
            on_change=lambda _camera: None,
            on_failure=lambda _error: None,
        )
        focusing = Focusing(camera, shooter, parts, Voice(camera, parts), _alone)
        await outbox.run(focusing.recall)
        return await focusing.sweep(clock.now() + _PATIENCE)
    finally:
        await outbox.stop()
        lock.stop()


@asynccontextmanager
async def _alone(_what: str, _until: datetime, _exposure_s: float) -> AsyncIterator[None]:
    """Have the camera at any time: there are no ticks without a bridge."""
    yield
