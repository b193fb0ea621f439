"""Settings in flight: what a libcamera camera is told, and which of its frames shows it. Pure.

A control that is set acts some frames later, how many depends on sensor, buffers and driver. Only the
metadata of a frame proves what it was taken with. So a frame is awaited whose exposure began after the call
and whose metadata show what was asked for: the exposure within a line of the sensor (exposures are whole
lines, and a line is not longer than the shortest exposure) or 1 %, gains within 2 %, the lens within 0.05
dioptres.

Some drivers never show it (one halves every exposure of more than some seconds and says nothing). After
`MOST_FRAMES` frames whatever comes is taken and recorded as it is; no frame is thrown away for it. The
ratio that was delivered instead is remembered, so that the next frame with that ratio is known for the
answer it is.

Exposures longer than `LONG_US` are not waited for: with so many in flight a change would cost a minute. The
camera is stopped and started with the new controls, in the same configuration and with the same buffers;
the exposure under way ends there, and the first frame obeys.

Exposure time and gain are each automatic or by hand where the camera has a mode for each (libcamera from 0.5
on, whose cameras do not all mind `AeEnable`). Elsewhere 0 leaves one of the two to the camera, and
`AeEnable` both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .port import CaptureSettings
from .tuning import ColourCurve, colour_gains

MOST_FRAMES = 12
"""Two buffers, and the depth of the pipelines of sensor and processor with some to spare."""

MOST_AFTER_START = 3
"""The first frame obeys; some sensors need another to wake up."""

LONG_US = 500_000

_LINE_US = 100
_EXPOSURE_SHARE = 0.01
_GAIN_SHARE = 0.02
_DIOPTRES = 0.05
_MANUAL_FOCUS = 0
_MODES = ("ExposureTimeMode", "AnalogueGainMode")
_AUTOMATIC, _BY_HAND = 0, 1

Controls = dict[str, Any]
Metadata = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What the controls of a camera reach, each None where there is no such control."""

    exposure_us: tuple[int, int] | None = None
    gain: tuple[float, float] | None = None
    dioptre: tuple[float, float] | None = None
    names: frozenset[str] = frozenset()
    """All controls of the camera."""

    @property
    def controls_exposure(self) -> bool:
        """Exposure time and gain are obeyed."""
        return self.exposure_us is not None and self.gain is not None

    @property
    def controls_colour(self) -> bool:
        """Colour gains are obeyed."""
        return {"AwbEnable", "ColourGains"} <= self.names


def limits_of(controls: Mapping[str, tuple[Any, Any, Any]]) -> Limits:
    """Return what `camera_controls` says: name → (least, most, default). A most of 0 says nothing."""
    exposure, gain, dioptre = (
        controls.get(name) for name in ("ExposureTime", "AnalogueGain", "LensPosition")
    )
    return Limits(
        exposure_us=(max(round(exposure[0]), 1), round(exposure[1])) if exposure and exposure[1] else None,
        gain=(max(float(gain[0]), 1.0), float(gain[1])) if gain and gain[1] else None,
        dioptre=(float(dioptre[0]), float(dioptre[1])) if dioptre and dioptre[1] else None,
        names=frozenset(controls),
    )


def controls_for(settings: CaptureSettings, limits: Limits, curve: ColourCurve) -> Controls:
    """Return the controls for settings, without what the camera cannot be told, within its limits."""
    wanted: Controls = {}
    if limits.exposure_us and limits.gain:
        wanted |= _exposure(settings, limits, limits.exposure_us, limits.gain)
    if limits.controls_colour:
        wanted |= _colour(settings, limits, curve)
    if limits.dioptre and settings.focus_dioptre is not None:
        wanted |= lens_controls(settings.focus_dioptre, limits.dioptre)
    return {name: value for name, value in wanted.items() if name in limits.names}


def lens_controls(dioptre: float, reach: tuple[float, float]) -> Controls:
    """Return the controls that set the lens by hand."""
    return {"AfMode": _MANUAL_FOCUS, "LensPosition": _within(dioptre, reach)}


def _exposure(
    settings: CaptureSettings, limits: Limits, times: tuple[int, int], gains: tuple[float, float]
) -> Controls:
    time_us = None if settings.exposure_us is None else round(_within(settings.exposure_us, times))
    gain = None if settings.gain is None else _within(settings.gain, gains)
    if limits.names.issuperset(_MODES):
        given = (("ExposureTime", time_us), ("AnalogueGain", gain))
        modes = {
            mode: _AUTOMATIC if value is None else _BY_HAND
            for mode, (_, value) in zip(_MODES, given, strict=True)
        }
        return modes | {name: value for name, value in given if value is not None}
    values = {"ExposureTime": time_us or 0, "AnalogueGain": gain or 0.0}
    if (time_us is None) != (gain is None):
        return values
    return {"AeEnable": time_us is None} | values


def _colour(settings: CaptureSettings, limits: Limits, curve: ColourCurve) -> Controls:
    if settings.colour_gains is not None:
        return {"AwbEnable": False, "ColourGains": settings.colour_gains}
    kelvin = settings.colour_temperature_k
    if kelvin is not None and "ColourTemperature" in limits.names:
        return {"AwbEnable": False, "ColourTemperature": kelvin}
    gains = None if kelvin is None else colour_gains(curve, kelvin)
    return {"AwbEnable": True} if gains is None else {"AwbEnable": False, "ColourGains": gains}


def _within(value: float, reach: tuple[float, float]) -> float:
    return min(max(value, reach[0]), reach[1])


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivered:
    """What the metadata of a frame say; None where they say nothing."""

    sensor_ns: int
    """End of the exposure of the first line. libcamera speaks of CLOCK_BOOTTIME; the kernel's drivers of the
    Raspberry Pi stamp by CLOCK_MONOTONIC, and a machine that never sleeps shows both the same."""
    exposure_us: int | None = None
    analogue_gain: float | None = None
    digital_gain: float | None = None
    colour_gains: tuple[float, float] | None = None
    colour_temperature_k: int | None = None
    lux: float | None = None
    dioptre: float | None = None
    sensor_temperature_c: float | None = None

    @property
    def began_ns(self) -> int:
        """Start of the exposure."""
        return self.sensor_ns - 1000 * (self.exposure_us or 0)

    @property
    def gain(self) -> float | None:
        """Analogue × digital."""
        return None if self.analogue_gain is None else self.analogue_gain * (self.digital_gain or 1.0)


def delivered_of(metadata: Metadata) -> Delivered:
    """Return what metadata say; raise KeyError where not even the time is told."""
    gains, kelvin = metadata.get("ColourGains"), metadata.get("ColourTemperature")
    exposure = metadata.get("ExposureTime")
    return Delivered(
        sensor_ns=int(metadata["SensorTimestamp"]),
        exposure_us=round(exposure) if exposure else None,
        analogue_gain=metadata.get("AnalogueGain"),
        digital_gain=metadata.get("DigitalGain"),
        colour_gains=(float(gains[0]), float(gains[1])) if gains else None,
        colour_temperature_k=round(kelvin) if kelvin else None,
        lux=metadata.get("Lux"),
        dioptre=metadata.get("LensPosition"),
        sensor_temperature_c=metadata.get("SensorTemperature"),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Habit:
    """How a camera deviates from what it is told: delivered ÷ asked, where it never did as it was told."""

    exposure: float = 1.0
    gain: float = 1.0

    def shows(self, wanted: Controls, delivered: Delivered, limits: Limits) -> bool:
        """Tell whether a frame was taken with these controls, as far as this camera obeys."""
        line = min(limits.exposure_us[0] if limits.exposure_us else _LINE_US, _LINE_US)
        exposure, gain = wanted.get("ExposureTime"), wanted.get("AnalogueGain")
        checks = [
            (exposure, delivered.exposure_us, self.exposure, line, _EXPOSURE_SHARE),
            (gain, delivered.analogue_gain, self.gain, 0.0, _GAIN_SHARE),
            (wanted.get("LensPosition"), delivered.dioptre, 1.0, _DIOPTRES, 0.0),
        ]
        red_blue = zip(wanted.get("ColourGains") or (), delivered.colour_gains or (), strict=False)
        checks += [(asked, shown, 1.0, 0.0, _GAIN_SHARE) for asked, shown in red_blue]
        return all(
            abs(shown - asked * ratio) <= max(least, share * asked * ratio)
            for asked, shown, ratio, least, share in checks
            if asked is not None and shown is not None and (asked or share == 0.0)
        )

    def after(self, wanted: Controls, delivered: Delivered, limits: Limits) -> "Habit":
        """Return the habit that a frame shows that was waited for long enough; obedience ends all habits."""
        if Habit().shows(wanted, delivered, limits):
            return Habit()
        exposure, gain = wanted.get("ExposureTime"), wanted.get("AnalogueGain")
        habit = self
        if exposure and delivered.exposure_us:
            habit = replace(habit, exposure=delivered.exposure_us / exposure)
        if gain and delivered.analogue_gain:
            habit = replace(habit, gain=delivered.analogue_gain / gain)
        return habit


class Pursuit:
    """Finds the frame that was asked for among those that come."""

    def __init__(
        self, wanted: Controls, limits: Limits, habit: Habit, *, not_before_ns: int, most_frames: int
    ) -> None:
        self.habit = habit
        self._most_frames = most_frames
        self._wanted = wanted
        self._limits = limits
        self._not_before_ns = not_before_ns
        self._seen = 0

    def takes(self, delivered: Delivered) -> bool:
        """Tell whether this frame is the one, or the last that can be waited for."""
        self._seen += 1
        if delivered.began_ns < self._not_before_ns:
            return False
        known = (Habit(), self.habit)
        shown = any(habit.shows(self._wanted, delivered, self._limits) for habit in known)
        if not shown and self._seen < self._most_frames:
            return False
        self.habit = self.habit.after(self._wanted, delivered, self._limits)
        return True


def is_better_restarted(wanted: Controls, in_force: Controls | None, *, fresh: bool) -> bool:
    """Tell whether stopping and starting the camera brings the frame sooner than waiting for it.

    A camera that was told nothing yet is started with the first controls, so that the first frame obeys.
    `fresh`: the exposure has to begin from now on, so that a long one under way would only be in the way.
    """
    if in_force is None:
        return bool(wanted)
    longest = max(wanted.get("ExposureTime") or 0, in_force.get("ExposureTime") or 0)
    return longest > LONG_US and (fresh or wanted != in_force)
