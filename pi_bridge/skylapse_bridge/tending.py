"""A camera's health: it is started until it answers, and started anew when it is lost."""

import asyncio
import logging
from collections.abc import Callable

from skylapse_protocol.codec import write

from .camera_time import CameraTime
from .errors import CameraEndError, CameraError, CameraHungError, CameraLostError, SpoolError
from .shooting import REST, Shooter
from .spool import Spool
from .telling import Parts, Voice

_LOGGER = logging.getLogger(__name__)

_START_AGAIN_S = (1.0, 5.0, 30.0)
MOST_HANGS = 3
"""So many hangs without a frame between them, and the program ends: such a driver needs a new process."""


class Tending:
    """Starts one camera, as often as it takes."""

    def __init__(
        self,
        camera: str,
        shooter: Shooter,
        parts: Parts,
        voice: Voice,
        time: CameraTime,
        *,
        on_up: Callable[[], None],
    ) -> None:
        self._camera = camera
        self._shooter = shooter
        self._parts = parts
        self._voice = voice
        self._time = time
        self._on_up = on_up
        self._hangs = 0
        self.starting = False
        self.end_reason: str | None = None
        """Why the camera has no more pictures, as a folder that was replayed; None while it has."""

    @property
    def ended(self) -> bool:
        """Whether the camera has no more pictures."""
        return self.end_reason is not None

    async def start(self, *, lost: bool = False) -> None:
        """Start the camera, again and again until it answers; it goes on behind the last safe frame."""
        failures = 0
        self.starting = True
        while True:
            try:
                async with self._time.first():
                    await self._shooter.start(await self._bookmark())
                    await self._remember()
            except CameraError as error:
                wait_s = _START_AGAIN_S[min(failures, len(_START_AGAIN_S) - 1)]
                failures += 1
                lost = self._note_absence(error) or lost
                await asyncio.sleep(wait_s)
                continue
            self.end_reason, self.starting = None, False
            if lost:
                self._voice.well("capture")
                self._voice.event("camera_back")
                _LOGGER.info("camera %s is back", self._camera)
            self._on_up()
            return

    def took(self) -> None:
        """Hear that the camera took a frame."""
        self._hangs, self.end_reason = 0, None

    def lost(self, error: CameraLostError) -> None:
        """Hear that the camera does not answer; raise where nothing but a new process can help."""
        self._voice.fail("camera_lost", str(error))
        self._count_hang(error)

    def note_end(self, reason: str) -> None:
        """Hear that the camera has no more pictures: no fault, it goes on when another one is there."""
        if not self.ended:
            self.end_reason = reason
            self._voice.well("capture")
            _LOGGER.info("camera %s: %s", self._camera, reason)
            self._parts.on_change(self._camera)

    def _note_absence(self, error: CameraError) -> bool:
        """Hear why a camera did not start; tell whether that is a fault."""
        if isinstance(error, CameraEndError):
            self.note_end(str(error))
            return False
        if self._voice.problem("capture") != str(error):
            self._voice.fail("camera_lost", str(error))
        self._count_hang(error)
        return True

    def _count_hang(self, error: CameraError) -> None:
        """Count hangs without a frame between: each leaves a thread behind, and perhaps the device busy."""
        if isinstance(error, CameraHungError):
            self._hangs += 1
            if self._hangs >= MOST_HANGS:
                raise CameraHungError(
                    f"camera {self._camera} hung {self._hangs} times in a row: the bridge has to start anew"
                ) from error

    async def _bookmark(self) -> str | None:
        """Return where a camera that replays pictures goes on."""
        try:
            note = await self._parts.outbox.run(lambda spool: spool.ledger.note(self._camera, "bookmark"))
        except SpoolError as error:
            raise CameraError(f"where it goes on cannot be read: {error}") from error
        return note if isinstance(note, str) else None

    async def _remember(self) -> None:
        """Keep what the camera is, to announce it even while it is away, and where its lens rests."""
        info, rest_dioptre = write(self._shooter.info), self._shooter.rest_dioptre

        def keep(spool: Spool) -> None:
            spool.ledger.set_note(self._camera, "info", info)
            if rest_dioptre is not None:
                spool.ledger.set_note(self._camera, REST, rest_dioptre)

        try:
            await self._parts.outbox.run(keep)
        except SpoolError as error:
            _LOGGER.warning("camera %s: what it is cannot be kept: %s", self._camera, error)
