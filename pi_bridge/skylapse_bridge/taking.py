"""One frame from light to disk: meter, wait for the moment, capture, make safe, announce."""

import asyncio
import logging
from dataclasses import replace
from functools import partial

from skylapse_protocol.messages import Reading
from skylapse_protocol.records import FrameRecord
from skylapse_protocol.snapshot import Plan
from skylapse_protocol.topics import FRAME, PREVIEW, READING

from .aiming import Aim, Purpose
from .camera.port import CapturedFrame
from .errors import CameraError
from .frame_files import RAW_TYPE
from .meter import reading
from .patience import reach
from .shooting import Shooter, write_exposures
from .spool import Spool
from .telling import Parts, Voice

_LOGGER = logging.getLogger(__name__)

FRAME_BYTES = 8_000_000
"""Room that is made before a frame is taken."""
_PREVIEW_EVERY_S = 5.0


class Taker:
    """Takes the frames of one camera."""

    def __init__(self, camera: str, shooter: Shooter, parts: Parts, voice: Voice) -> None:
        self._camera = camera
        self._shooter = shooter
        self._parts = parts
        self._voice = voice
        self._last_preview_s = 0.0

    async def aim(self, purpose: Purpose, plan: Plan | None) -> Aim:
        """Make room, meter, publish the reading; raise CameraError or SpoolError."""
        await self._parts.outbox.run(lambda spool: spool.make_room(FRAME_BYTES))
        aim = await self._shooter.aim(purpose, plan)
        self.publish_reading(aim)
        return aim

    async def take(self, aim: Aim, plan: Plan | None, version: int | None) -> FrameRecord:
        """Take the frame that was aimed for at its moment; return the record of what is safe."""
        parts = self._parts
        await reach(parts.clock, aim.purpose.at)
        captured = await self._shooter.shoot(aim)
        self._compare(aim, captured)
        draft = self._shooter.describe(aim, captured, plan, version)
        records = await parts.outbox.run(partial(self._keep, draft=draft, captured=captured))
        for record in records:
            if record.clock_synced:
                parts.publish(FRAME, self._camera, record)
        self._voice.well("capture")
        parts.on_stored()
        parts.on_change(self._camera)
        return records[0]

    def _compare(self, aim: Aim, captured: CapturedFrame) -> None:
        """Tell where the camera does not do what it is asked, again and again, and when it does again."""
        if aim.purpose.window is None:
            return
        figures = self._shooter.compare(aim, captured)
        if figures is not None:
            self._voice.fail("settings_not_followed", figures, "settings")
        elif not self._shooter.obedience.told:
            self._voice.well("settings")

    def publish_reading(self, aim: Aim) -> Reading:
        """Publish what was metered, and the exposure that it leads to; return the message."""
        message = reading(aim.light, aim.settings.exposure_us, aim.settings.gain)
        self._parts.publish(READING, self._camera, message)
        return message

    async def preview(self) -> int:
        """Publish what the camera sees; return its size in bytes."""
        picture = await self._shooter.preview()
        self._parts.publish(PREVIEW, self._camera, picture)
        return len(picture)

    async def maybe_preview(self) -> None:
        """Publish a preview every few seconds; one that fails is told and matters no more."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._last_preview_s < _PREVIEW_EVERY_S:
            return
        self._last_preview_s = now_s
        try:
            await self.preview()
        except CameraError as error:
            _LOGGER.warning("camera %s: no preview: %s", self._camera, error)

    def _keep(self, spool: Spool, draft: FrameRecord, captured: CapturedFrame) -> tuple[FrameRecord, ...]:
        """Make the frame safe, with the exposures that led to it and its place in the folder it came from.

        The raw picture comes second, with a number of its own: it goes out after its JPEG.
        """
        info = self._shooter.info
        notes: dict[str, object] = {"exposures": write_exposures(self._shooter.exposures)}
        if captured.bookmark is not None:
            notes["bookmark"] = captured.bookmark
        record = spool.add(
            draft, captured.jpeg, make="Skylapse", model=info.model if info else "", notes=notes
        )
        if captured.raw is None:
            return (record,)
        return (record, spool.add(replace(draft, media_type=RAW_TYPE), captured.raw))
