"""One frame: meter, decide the exposure, capture, describe."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from skylapse_protocol.codec import read, write
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.messages import CameraInfo
from skylapse_protocol.records import Asked, FrameRecord
from skylapse_protocol.snapshot import (
    Metering,
    Plan,
    Profile,
    Snapshot,
    WhiteBalance,
    sun_elevation_at,
)

from . import jpeg
from .aiming import Aim, Purpose, aim_at, limits_for, member_of, settings_for, still_needed
from .camera.port import Camera, CapturedFrame, CaptureSettings, FocusFigure, SmallFrame
from .clock import Clock
from .errors import CameraError
from .exposure import Exposure, ExposureState, Limits, split
from .meter import Light, measure
from .obedience import Obedience, after
from .sequence import lead_s
from .worker import Worker

_LOGGER = logging.getLogger(__name__)
T = TypeVar("T")

_PATIENCE_S = 30.0
_METER_ATTEMPTS = 8
_FIRST_EXPOSURE_US = 10_000
_CORRECTION = 8.0
_EXPOSURES_A_LOOK = 2
"""Metering takes its own exposure, after one that may be under way."""
_RECENT_INTERVALS = 3
_CLIPPED_AT_FIRST = 0.02
"""The first measurement alone decides the first exposure: it is made anew where so much is clipped."""

_UNKNOWN_DIGEST = "0" * 64

REST = "rest"
"""The note of where the lens stands for profiles that do not say."""

AUTOMATIC = Profile(
    id="automatic",
    name="Automatic",
    version=0,
    metering=Metering(mode="matrix"),
    white_balance=WhiteBalance(mode="auto"),
)
"""What a camera without a snapshot is metered by."""


class Shooter:
    """Meters and captures with one camera, and remembers its exposures."""

    def __init__(
        self,
        camera: Camera,
        worker: Worker,
        clock: Clock,
        *,
        bridge: str,
        boot_id: str,
        rest_dioptre: float | None = None,
    ) -> None:
        self._camera = camera
        self._worker = worker
        self._clock = clock
        self._bridge = bridge
        self._boot_id = boot_id
        self.info: CameraInfo | None = None
        """What the camera is; known once it was started, also after a restart of the bridge."""
        self.exposures: dict[str, ExposureState] = {}
        self.obedience = Obedience()
        self.rest_dioptre = rest_dioptre
        """Where the lens stands for profiles that do not say: infinity where it was found, else what the
        configuration says, else where it stood before anything moved it; None where nobody knows."""
        self.light: Light | None = None
        """What was metered last."""
        self.temperature_c: float | None = None
        """Of the sensor, as far as it tells."""
        self._seen: SmallFrame | None = None
        """What production photographed last."""

    async def start(self, bookmark: str | None = None) -> CameraInfo:
        """Start the camera behind the last frame that was made safe; raise CameraError.

        A lens that moves is asked where it stands, before anything moves it.
        """
        await self.call(lambda: self._camera.start(bookmark))
        self.info = await self.call(self._camera.capabilities)
        if self.info.focus and self.rest_dioptre is None:
            look = CaptureSettings(at=self._clock.now())
            self.rest_dioptre = (await self.call(lambda: self._camera.meter(look))).focus_dioptre
        return self.info

    async def stop(self) -> None:
        """Stop the camera."""
        await self.call(self._camera.stop)
        self._worker.stop()

    async def preview(self) -> bytes:
        """Return what the camera sees, small."""
        return await self.call(self._camera.preview)

    async def focus(self, dioptre: float | None) -> float:
        """Focus; return the distance."""
        return await self.call(lambda: self._camera.focus(dioptre))

    async def focus_figure(self, settings: CaptureSettings) -> FocusFigure:
        """Return how sharp the picture is with these settings."""
        return await self.call(lambda: self._camera.focus_figure(settings), length_s(settings))

    def forget_tests_but(self, test_ids: Iterable[str]) -> None:
        """Forget the exposures of tests that are over."""
        needed = still_needed(self.exposures, test_ids)
        if len(needed) < len(self.exposures):
            self.exposures = {key: state for key, state in self.exposures.items() if key in needed}

    async def call(self, work: Callable[[], T], longer_s: float = 0.0) -> T:
        """Run a call of the camera on its thread."""
        return await self._worker.call(work, _PATIENCE_S + longer_s)

    async def aim(self, purpose: Purpose, plan: Plan | None) -> Aim:
        """Meter, and decide how the frame is to be taken; nothing is remembered before `shoot`."""
        info = self._known_info()
        settings = settings_for(purpose, info, self.rest_dioptre)
        if not info.controls_exposure:
            light = await self._meter(settings, purpose)
        else:
            light = self._met(purpose) or await self._meter_well(settings, purpose)
        self.light = light
        return self._aim_in(light, purpose, plan)

    def foresee(self, purpose: Purpose, light: Light, plan: Plan | None) -> Aim:
        """Return how a frame would be taken, by its own metering where that needs no exposure."""
        return self._aim_in(self._met(purpose) or light, purpose, plan)

    def _aim_in(self, light: Light, purpose: Purpose, plan: Plan | None) -> Aim:
        """Return how a frame is to be taken in this light."""
        info = self._known_info()
        limits = self._limits(purpose)
        settings = settings_for(purpose, info, self.rest_dioptre)
        if not info.controls_exposure:
            return Aim(purpose=purpose, settings=settings, light=light, limits=limits)
        state = self.exposures.get(purpose.key)
        return self._asking(aim_at(purpose, settings, light, limits, state, plan))

    def _limits(self, purpose: Purpose) -> Limits:
        return self.obedience.within(limits_for(purpose, self._known_info()))

    def member(self, middle: Aim, purpose: Purpose) -> Aim:
        """Return how another frame of a bracket is to be taken that was metered for its middle."""
        return self._asking(member_of(middle, purpose, self._known_info(), self.rest_dioptre))

    def _asking(self, aim: Aim) -> Aim:
        """Ask for what makes the camera deliver the exposure that was decided."""
        return aim if aim.exposure is None else replace(aim, settings=self.obedience.asking(aim.settings))

    async def shoot(self, aim: Aim) -> CapturedFrame:
        """Take the frame; raise CameraError, also for a picture that is no JPEG."""
        captured = await self.call(lambda: self._camera.capture(aim.settings), length_s(aim.settings))
        try:
            jpeg.size(captured.jpeg)
        except ValueError as error:
            raise CameraError(f"the camera delivered no picture: {error}") from error
        if captured.sensor_temperature_c is not None:
            self.temperature_c = captured.sensor_temperature_c
        if aim.exposure is not None and aim.purpose.leads:
            self.exposures[aim.purpose.key] = aim.exposure
        if captured.small is not None and aim.purpose.leads and aim.purpose.test_id is None:
            self._seen = captured.small
        return captured

    def compare(self, aim: Aim, captured: CapturedFrame) -> str | None:
        """Learn how the camera obeys; return what is to be told of it."""
        self.obedience, figures = after(self.obedience, aim.settings, captured)
        return figures

    def describe(
        self, aim: Aim, captured: CapturedFrame, plan: Plan | None, version: int | None
    ) -> FrameRecord:
        """Return the record of a frame; the spool fills in identity, size and digest."""
        purpose, settings = aim.purpose, aim.settings
        window = purpose.window
        asked = None
        if settings.exposure_us is not None and settings.gain is not None:
            asked = Asked(exposure_us=settings.exposure_us, gain=settings.gain)
        return FrameRecord(
            bridge=self._bridge,
            camera=self._known_info().id,
            spool="0" * 16,
            seq=1,
            boot_id=self._boot_id,
            monotonic_ns=captured.monotonic_ns,
            clock_synced=self._clock.synced(),
            captured_at=captured.captured_at,
            day=window.day if window else local_day(captured.captured_at, plan),
            window=window.id if window else None,
            schedule=window.schedule if window else None,
            profile=purpose.profile.id,
            snapshot_version=version,
            test_id=purpose.test_id,
            place=purpose.place,
            bracket_ev=purpose.bracket_ev,
            bracket_dioptre=purpose.bracket_dioptre,
            averaged=captured.averaged if captured.averaged > 1 else None,
            asked=asked,
            exposure_us=captured.exposure_us,
            analogue_gain=captured.analogue_gain,
            digital_gain=captured.digital_gain,
            colour_gains=captured.colour_gains,
            colour_temperature_k=captured.colour_temperature_k,
            lux=captured.lux if captured.lux is not None else aim.light.lux,
            focus_dioptre=captured.focus_dioptre,
            sensor=captured.sensor,
            tone_curve=captured.tone_curve,
            sensor_temperature_c=captured.sensor_temperature_c,
            sun_elevation_deg=sun_elevation_at(plan, captured.captured_at) if plan else None,
            width=captured.width,
            height=captured.height,
            bytes=1,
            sha256=_UNKNOWN_DIGEST,
        )

    async def _meter(self, settings: CaptureSettings, purpose: Purpose) -> Light:
        settings = replace(settings, average=1, over_s=0.0, raw=False)
        frame = await self.call(lambda: self._camera.meter(settings), length_s(settings))
        profile = purpose.profile
        return measure(frame, profile.metering, frame.seen_at or settings.at, profile.highlight_share)

    def _met(self, purpose: Purpose) -> Light | None:
        """Return the light that production's last picture shows; None where it has to be metered anew.

        A long exposure is not taken twice, which would make its tick late. Pictures of production alone are
        looked at, so that a test beside it changes nothing of what production sees.
        """
        seen, window, state = self._seen, purpose.window, self.exposures.get(purpose.key)
        if seen is None or seen.seen_at is None or window is None or state is None:
            return None
        limits = self._limits(purpose)
        exposure = split(state.log2_exposure, limits)
        most_s = lead_s(window) / (_EXPOSURES_A_LOOK * max(purpose.burst, 1))
        age_s = abs((purpose.at - seen.seen_at).total_seconds())
        if exposure.exposure_us <= most_s * 1e6 or age_s > _RECENT_INTERVALS * window.interval_s:
            return None
        profile = purpose.profile
        light = measure(seen, profile.metering, seen.seen_at, profile.highlight_share)
        told = light.scene_ev is not None and _corrected(exposure, light, limits, first=False) is None
        return light if told else None

    async def _meter_well(self, settings: CaptureSettings, purpose: Purpose) -> Light:
        """Meter with the exposure in force; again with another one where that is far off."""
        state, limits = self.exposures.get(purpose.key), self._limits(purpose)
        exposure = split(state.log2_exposure, limits) if state else _first(limits)
        for _ in range(_METER_ATTEMPTS):
            light = await self._meter(
                replace(settings, exposure_us=exposure.exposure_us, gain=exposure.gain), purpose
            )
            other = _corrected(exposure, light, limits, first=state is None)
            if other is None:
                break
            exposure = other
        return light

    def _known_info(self) -> CameraInfo:
        if self.info is None:
            raise CameraError("the camera was never started")
        return self.info


def length_s(settings: CaptureSettings) -> float:
    """Return how long the exposures of one picture take."""
    return max((settings.exposure_us or 0) / 1e6 * settings.average, settings.over_s)


def local_day(moment: datetime, plan: Plan | None) -> str:
    """Return the calendar day of a moment in the plan's time zone, in UTC where that is unknown."""
    zone = None
    try:
        zone = ZoneInfo(plan.time_zone) if plan else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        _LOGGER.warning("the time zone %r is unknown here", plan.time_zone if plan else "")
    return (moment.astimezone(zone) if zone else moment).date().isoformat()


def version_of(snapshot: Snapshot | None) -> int | None:
    """Return the version of what is deployed."""
    return snapshot.version if snapshot else None


def write_exposures(exposures: dict[str, ExposureState]) -> dict[str, object]:
    """Return exposure states as JSON values."""
    return {key: write(state) for key, state in exposures.items()}


def read_exposures(value: object, now: datetime) -> dict[str, ExposureState]:
    """Return exposure states out of JSON values, without those that no camera can still need."""
    found = {}
    for key, state in value.items() if isinstance(value, dict) else ():
        try:
            known = read(ExposureState, state, "exposure")
        except ProtocolError as error:
            _LOGGER.warning("an exposure state is left aside: %s", error)
            continue
        if abs(now - known.at) < timedelta(days=2):
            found[str(key)] = known
    return found


def read_info(value: object) -> CameraInfo | None:
    """Return what was known of a camera before a restart, None where nothing was."""
    try:
        return read(CameraInfo, value, "camera") if value else None
    except ProtocolError as error:
        _LOGGER.warning("what was known of a camera is left aside: %s", error)
        return None


def _first(limits: Limits) -> Exposure:
    exposure_us = min(max(_FIRST_EXPOSURE_US, limits.min_exposure_us), limits.max_exposure_us)
    return Exposure(exposure_us=exposure_us, gain=limits.min_gain)


def _corrected(exposure: Exposure, light: Light, limits: Limits, *, first: bool) -> Exposure | None:
    """Return the exposure to meter with next, None where this one was good enough or cannot be bettered."""
    too_bright = light.too_bright or (first and light.clipped_high > _CLIPPED_AT_FIRST)
    if not (too_bright or light.too_dark):
        return None
    factor = 1 / _CORRECTION if too_bright else _CORRECTION
    total = exposure.exposure_us * exposure.gain * factor
    exposure_us = min(max(round(total / limits.min_gain), limits.min_exposure_us), limits.max_exposure_us)
    gain = min(max(total / exposure_us, limits.min_gain), limits.max_gain)
    other = Exposure(exposure_us=exposure_us, gain=gain)
    return None if other == exposure else other
