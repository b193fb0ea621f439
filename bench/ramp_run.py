"""A twilight photographed: the bridge's own way through metering, exposure and capture, on a stepped clock.

What is scored is what runs: `Shooter` (`shooting.py`) meters small pictures of the twin with noise and wobble
four seconds ahead of the tick, decides, and captures; the exposure that the twin delivered is what counts.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import log2
from typing import Any

import voluptuous as vol

from skylapse_bridge.aiming import Purpose
from skylapse_bridge.camera.factory import CameraIdentity
from skylapse_bridge.camera.port import CapturedFrame, CaptureSettings, SmallFrame
from skylapse_bridge.camera.twin import TwinCamera
from skylapse_bridge.errors import CameraError
from skylapse_bridge.exposure import Limits, limits_of, split
from skylapse_bridge.shooting import Shooter, read_exposures, write_exposures
from skylapse_bridge.twin.options import OPTIONS
from skylapse_bridge.worker import Worker
from skylapse_protocol import messages
from skylapse_protocol.snapshot import Profile, Window

from .ramp_cases import HEIGHT, INTERVAL_S, WIDTH, Case, Shot, painted
from .ramp_loops import Loop

LEAD_S = 4.0
"""A tick is begun this much early, to meter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Darkening:
    """A sudden change of the light: a filter before the lens from one moment on."""

    since: datetime
    change_ev: float

    def factor(self, at: datetime) -> float:
        """Return what is left of the light."""
        return 2.0**self.change_ev if at >= self.since else 1.0


class SteppedClock:
    """A clock that stands where it was put."""

    simulated: messages.Clock | None = None

    def __init__(self, now: datetime) -> None:
        self.moment = now

    def now(self) -> datetime:
        """The time that was set."""
        return self.moment

    def monotonic_ns(self) -> int:
        """As many nanoseconds as since the epoch."""
        return round(self.moment.timestamp() * 1e9)

    def synced(self) -> bool:
        """Always."""
        return True

    async def wait_until(self, moment: datetime) -> None:
        """Step there."""
        self.moment = max(self.moment, moment)


class Field:
    """The twin in the field: it meters ahead of the tick, as real cameras must, perhaps behind a filter."""

    def __init__(
        self, case: Case, clock: SteppedClock, darkening: Darkening | None = None, **options: Any
    ) -> None:
        options = {
            "width": WIDTH,
            "height": HEIGHT,
            "seed": case.seed,
            "clouds": float(case.cloudy),
            **options,
        }
        identity = CameraIdentity(bridge="bench", id="west", name="west")
        options = vol.Schema(OPTIONS)({"latitude": case.latitude_deg, **options})
        self._twin = TwinCamera(identity, options, clock, painted)
        self._darkening = darkening

    def __getattr__(self, name: str) -> Any:
        """Leave the rest of the port to the twin."""
        return getattr(self._twin, name)

    def meter(self, settings: CaptureSettings) -> SmallFrame:
        """Look at the light some seconds before the tick."""
        seen_at = settings.at - timedelta(seconds=LEAD_S)
        return replace(self.look(replace(settings, at=seen_at)), seen_at=seen_at)

    def look(self, settings: CaptureSettings) -> SmallFrame:
        """Look at the light of the very moment."""
        factor = self._factor(settings.at)
        frame = self._twin.meter(_through(settings, factor))
        return replace(frame, exposure_us=_before(frame.exposure_us, factor))

    def capture(self, settings: CaptureSettings) -> CapturedFrame:
        """Photograph the tick."""
        factor = self._factor(settings.at)
        frame = self._twin.capture(_through(settings, factor))
        return replace(frame, exposure_us=_before(frame.exposure_us, factor))

    def _factor(self, at: datetime) -> float:
        return self._darkening.factor(at) if self._darkening else 1.0


def photograph(
    case: Case,
    profile: Profile,
    *,
    darkening: Darkening | None = None,
    **options: Any,
) -> list[Shot]:
    """Return the frames of a twilight as the bridge takes them; those that the twin dropped are missing."""
    return asyncio.run(_bridge(case, profile, case.ticks, {}, darkening, options))[0]


def restarted(case: Case, profile: Profile, place: int, aways_s: Sequence[float]) -> list[Shot]:
    """Return the first frames of programs that ended before the tick at this place and were away for so long.

    What the spool would keep is written and read in between.
    """
    _, kept = asyncio.run(_bridge(case, profile, case.ticks[:place], {}, None, {}))
    firsts = [case.ticks[place + round(away_s / INTERVAL_S)] for away_s in aways_s]
    return [asyncio.run(_bridge(case, profile, [at], kept, None, {}))[0][0] for at in firsts]


def follow(
    case: Case, profile: Profile, loop: Loop, *, darkening: Darkening | None = None, **options: Any
) -> list[Shot]:
    """Return the frames of a twilight as a reactive loop takes them."""
    camera = Field(case, SteppedClock(case.ticks[0]), darkening, **options)
    camera.start()
    limits = limits_of(camera.capabilities(), profile, INTERVAL_S)
    asked_ev = _within(case.wanted_now(profile, case.ticks[0]), limits)
    shots = []
    for at in case.ticks:
        exposure = split(asked_ev, limits)
        picture = camera.look(CaptureSettings(at=at, exposure_us=exposure.exposure_us, gain=exposure.gain))
        shots.append(Shot(at=at, asked_ev=asked_ev, delivered_ev=_log2(picture.exposure_us, picture.gain)))
        asked_ev = _within(loop.follow(asked_ev, picture), limits)
    return shots


async def _bridge(
    case: Case,
    profile: Profile,
    ticks: Sequence[datetime],
    kept: dict[str, object],
    darkening: Darkening | None,
    options: dict[str, Any],
) -> tuple[list[Shot], dict[str, object]]:
    """Run one life of the program; return its frames and what it leaves behind."""
    clock = SteppedClock(ticks[0])
    camera = Field(case, clock, darkening, **options)
    shooter = Shooter(camera, Worker("bench"), clock, bridge="bench", boot_id="bench")
    shooter.exposures = read_exposures(kept, ticks[0])
    await shooter.start()
    shots = []
    for at in ticks:
        clock.moment = at - timedelta(seconds=LEAD_S)
        purpose = Purpose(at=at, profile=profile, window=_window(ticks, profile))
        try:
            aim = await shooter.aim(purpose, case.plan)
            await clock.wait_until(at)
            frame = await shooter.shoot(aim)
        except CameraError:
            continue
        shots.append(
            Shot(
                at=at,
                asked_ev=_log2(aim.settings.exposure_us, aim.settings.gain),
                delivered_ev=_log2(frame.exposure_us, frame.analogue_gain, frame.digital_gain),
                clipped_share=aim.light.clipped_high,
            )
        )
    await shooter.stop()
    return shots, write_exposures(shooter.exposures)


def _window(ticks: Sequence[datetime], profile: Profile) -> Window:
    return Window(
        id="twilight",
        schedule="twilight",
        day=ticks[0].date().isoformat(),
        starts_at=ticks[0],
        ends_at=ticks[-1] + timedelta(seconds=1),
        interval_s=INTERVAL_S,
        profiles=(profile.id,),
    )


def _through(settings: CaptureSettings, factor: float) -> CaptureSettings:
    exposure_us = settings.exposure_us
    return replace(settings, exposure_us=None if exposure_us is None else round(exposure_us * factor))


def _before(exposure_us: int | None, factor: float) -> int | None:
    return None if exposure_us is None else round(exposure_us / factor)


def _log2(*factors: float | None) -> float:
    return sum(log2(factor or 1.0) for factor in factors)


def _within(log2_exposure: float, limits: Limits) -> float:
    low, high = limits.log2_range
    return min(max(log2_exposure, low), high)
