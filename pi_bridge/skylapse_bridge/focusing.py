"""The focus of one camera: infinity is found, kept, applied to every frame, and watched.

`focus.py` decides; here its sweep is obeyed, one look at a time between the ticks of the plan, so that a
sweep costs no frame. Meanwhile frames are taken where the lens stood before.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from skylapse_protocol.codec import read, write
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.messages import Focus

from .aiming import UNKNOWN_LENS, Aim, Purpose
from .camera.port import FocusFigure
from .errors import CameraError, CommandRefusedError, SpoolError, UnsupportedError
from .focus import DAYLIGHT_LUX, Failed, Find, Seen, Span, Sweep, drifted, infinity_at, remember
from .patience import reach
from .shooting import AUTOMATIC, REST, Shooter, length_s
from .spool import Spool
from .telling import Parts, Voice

_LOGGER = logging.getLogger(__name__)

_NOTE = "focus"
_LOOK_EVERY = timedelta(minutes=10)
_PATIENCE = timedelta(minutes=5)
_SEEN_KEPT = timedelta(hours=1)

Between = Callable[[str, datetime, float], AbstractAsyncContextManager[None]]
"""Has the camera between two ticks: for what, until when, for how many seconds of exposure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What is kept of the focus over restarts."""

    finds: tuple[Find, ...] = ()
    alarmed: bool = False


class Focusing:
    """Looks after the focus of one camera."""

    def __init__(
        self, camera: str, shooter: Shooter, parts: Parts, voice: Voice, between_ticks: Between
    ) -> None:
        self._camera = camera
        self._shooter = shooter
        self._parts = parts
        self._voice = voice
        self._between_ticks = between_ticks
        self._kept = Kept()
        self._seen: tuple[Seen, ...] = ()

    def recall(self, spool: Spool) -> None:
        """Take up what was kept."""
        value = spool.ledger.note(self._camera, _NOTE)
        try:
            self._kept = read(Kept, value, "focus") if value else Kept()
        except ProtocolError as error:
            _LOGGER.warning("camera %s: what was kept of its focus is left aside: %s", self._camera, error)
        rest_dioptre = spool.ledger.note(self._camera, REST)
        if self._shooter.rest_dioptre is None and isinstance(rest_dioptre, int | float):
            self._shooter.rest_dioptre = float(rest_dioptre)
        self.apply()

    def apply(self) -> None:
        """Let the lens rest at infinity, as it is at the sensor's temperature."""
        infinity = infinity_at(self._kept.finds, self._shooter.temperature_c)
        if infinity is not None:
            self._shooter.rest_dioptre = infinity

    def state(self) -> Focus | None:
        """Return where infinity is, None where it was never looked for."""
        infinity = infinity_at(self._kept.finds, self._shooter.temperature_c)
        if infinity is None:
            return None
        newest = self._kept.finds[-1]
        return Focus(
            infinity_dioptre=infinity,
            temperature_c=newest.temperature_c,
            found_at=newest.at,
            figure=newest.figure or None,
            drifted=self._kept.alarmed,
        )

    async def set(self, dioptre: float, until: datetime) -> dict[str, Any]:
        """Take this for infinity; return the result of the command."""
        async with self._between_ticks("focus", until, 0.0):
            stands_at = await self._shooter.focus(dioptre)
        try:
            figure = await self._look(stands_at, await self._aim(until), until)
        except UnsupportedError:
            figure = FocusFigure(figure=0.0, dioptre=stands_at, temperature_c=self._shooter.temperature_c)
        return await self._found(replace(figure, dioptre=stands_at))

    async def sweep(self, until: datetime) -> dict[str, Any]:
        """Find infinity, and put the lens there; raise CameraError where nothing is sharper than the rest.

        The lens goes back then. Where nobody knows where it stands there is no way back, and no sweep.
        """
        nearest = self._shooter.info.max_dioptre if self._shooter.info else None
        if nearest is None:
            raise UnsupportedError(f"camera {self._camera} has a lens that does not move")
        if self._shooter.rest_dioptre is None:
            raise CameraError(UNKNOWN_LENS)
        try:
            result = await self._swept(Span(nearest_dioptre=nearest), until)
        except (CameraError, CommandRefusedError):
            await self._rest()
            raise
        await self._rest()
        return result

    async def _rest(self) -> None:
        """Put the lens where it rests; where there is no time for that, the next frame does it."""
        until = self._parts.clock.now() + _PATIENCE
        try:
            async with self._between_ticks("focus", until, 0.0):
                await self._shooter.focus(self._shooter.rest_dioptre)
        except (CameraError, CommandRefusedError) as error:
            _LOGGER.info("camera %s: the lens is put back by the next frame: %s", self._camera, error)

    async def _swept(self, span: Span, until: datetime) -> dict[str, Any]:
        """Look where the sweep wants; return what the command answers."""
        sweep = Sweep()
        aim = await self._aim(until)
        temperature_c = None
        while isinstance(step := sweep.next(span), float):
            try:
                look = await self._look(step, aim, self._parts.clock.now() + _PATIENCE)
            except UnsupportedError:
                return await self._found(await self._autofocus(until))
            sweep = sweep.seen(look.dioptre, look.figure)
            temperature_c = look.temperature_c
        if isinstance(step, Failed):
            raise CameraError(step.reason)
        found = FocusFigure(figure=step.figure, dioptre=step.dioptre, temperature_c=temperature_c)
        curve = [[point.dioptre, point.figure] for point in step.curve]
        return {**await self._found(found), "curve": curve}

    async def _autofocus(self, until: datetime) -> FocusFigure:
        """Let the camera find its focus by itself, where it does not tell how sharp a picture is."""
        async with self._between_ticks("focus", until, 0.0):
            dioptre = await self._shooter.focus(None)
        return FocusFigure(figure=0.0, dioptre=dioptre, temperature_c=self._shooter.temperature_c)

    async def watch(self) -> None:
        """Look at infinity now and then by day; tell once when it cannot be trusted, and when it can."""
        while True:
            await reach(self._parts.clock, self._parts.clock.now() + _LOOK_EVERY)
            light = self._shooter.light
            if not self._kept.finds or light is None or (light.lux or 0.0) < DAYLIGHT_LUX:
                continue
            until = self._parts.clock.now() + _PATIENCE
            try:
                aim = await self._aim(until)
                await self._watched(await self._look(self._shooter.rest_dioptre or 0.0, aim, until), aim)
            except (CameraError, CommandRefusedError) as error:
                _LOGGER.info("camera %s: the focus is not looked at: %s", self._camera, error)

    async def _aim(self, until: datetime) -> Aim:
        """Meter for a look: always in the same way, so that figures compare whatever profile rules."""
        async with self._between_ticks("meter", until, 0.0):
            purpose = Purpose(at=self._parts.clock.now(), profile=AUTOMATIC)
            return await self._shooter.aim(purpose, None)

    async def _look(self, dioptre: float, aim: Aim, until: datetime) -> FocusFigure:
        """Return how sharp the picture is at this focus."""
        settings = replace(aim.settings, at=self._parts.clock.now(), focus_dioptre=dioptre, raw=False)
        settings = replace(settings, average=1, over_s=0.0)
        async with self._between_ticks("focus", until, length_s(settings)):
            return await self._shooter.focus_figure(settings)

    async def _found(self, look: FocusFigure) -> dict[str, Any]:
        """Keep an infinity; return what the command answers."""
        temperature_c = look.temperature_c if look.temperature_c is not None else self._shooter.temperature_c
        find = Find(
            at=self._parts.clock.now(),
            dioptre=look.dioptre,
            figure=look.figure,
            temperature_c=temperature_c,
        )
        self._seen = ()
        self._voice.well("focus")
        await self._keep(Kept(finds=remember(self._kept.finds, find)))
        self.apply()
        return {
            "dioptre": look.dioptre,
            "figure": look.figure or None,
            "temperature_c": temperature_c,
            "curve": [],
        }

    async def _watched(self, look: FocusFigure, aim: Aim) -> None:
        """Take a look into account."""
        now = self._parts.clock.now()
        self._seen = (
            *(seen for seen in self._seen if now - seen.at <= _SEEN_KEPT),
            Seen(at=now, figure=look.figure, lux=aim.light.lux or 0.0),
        )
        reason = drifted(
            self._seen,
            self._kept.finds,
            temperature_c=look.temperature_c,
            alarmed=self._kept.alarmed,
        )
        if (reason is not None) == self._kept.alarmed:
            return
        if reason is not None:
            self._voice.fail("focus_drift", reason, "focus")
        else:
            self._voice.well("focus")
        await self._keep(replace(self._kept, alarmed=reason is not None))

    async def _keep(self, kept: Kept) -> None:
        """Remember, over a restart too where the disk allows it."""
        self._kept = kept
        try:
            await self._parts.outbox.run(
                lambda spool: spool.ledger.set_note(self._camera, _NOTE, write(kept))
            )
        except SpoolError as error:
            _LOGGER.warning("camera %s: its focus cannot be kept: %s", self._camera, error)
        self._parts.on_change(self._camera)
