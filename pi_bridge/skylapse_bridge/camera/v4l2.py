"""The driver `v4l2`: a USB camera.

Its film is read as a stream is (`stream.Reader`), in the format and size that the configuration names.
Exposure, gain, white balance and focus are set through the kernel's controls and read back. A USB camera
does not say with which settings a picture was taken: after a change so many pictures are passed over as
`settle_frames` says.

Units. Exposure is counted in 100 µs. Gain has no unit; `gain_factors` says what its lowest and highest value
mean, as factors; without it the gain stays at its lowest value, counted as 1. Focus has no unit that cameras
keep to; its range is taken as 0 (infinity) to `nearest_dioptre`.
"""

from collections.abc import Mapping
from typing import Any

import voluptuous as vol

from skylapse_bridge.clock import Clock
from skylapse_bridge.errors import CameraError, UnsupportedError
from skylapse_protocol.messages import CameraInfo
from skylapse_protocol.tone import CURVES

from .discovery import Found
from .factory import CameraIdentity
from .port import CaptureSettings, FocusFigure
from .sharpness import figure
from .stream import Film, Reader
from .v4l2_device import (
    AUTO_EXPOSURE_APERTURE_PRIORITY,
    AUTO_EXPOSURE_MANUAL,
    EXPOSURE_UNIT_US,
    Controls,
    devices,
)
from .video import Delivered, FilmCamera

_AUTOFOCUS_FRAMES = 30
FILM_FORMAT = "video4linux2,v4l2"
_FACTOR = vol.All(vol.Coerce(float), vol.Range(min=0.1, max=1000.0))


def _factors(value: object) -> tuple[float, float]:
    low, high = vol.Schema(vol.All([_FACTOR], vol.Length(min=2, max=2)))(value)
    if high <= low:
        raise vol.Invalid("must rise from the lowest to the highest gain")
    return low, high


OPTIONS: dict[Any, Any] = {
    vol.Optional("device", default="/dev/video0"): vol.Match(
        r"^/dev/[\w./:@+-]+$", msg="is no device such as /dev/video0 or /dev/v4l/by-id/…"
    ),
    # Compressed pictures are larger at the same rate; uncompressed ones are cleaner.
    vol.Optional("input_format", default="mjpeg"): vol.In(["mjpeg", "yuyv"]),
    vol.Optional("size"): vol.Match(r"^[1-9]\d{1,4}x[1-9]\d{1,4}$", msg="is no size such as 1920x1080"),
    vol.Optional("rate"): vol.All(vol.Coerce(float), vol.Range(min=0.1, max=240.0)),
    vol.Optional("settle_frames", default=3): vol.All(int, vol.Range(min=0, max=30)),
    vol.Optional("gain_factors"): _factors,
    vol.Optional("nearest_dioptre", default=10.0): vol.All(vol.Coerce(float), vol.Range(min=0.5, max=20.0)),
    vol.Optional("stall_s", default=10.0): vol.All(vol.Coerce(float), vol.Range(min=1.0, max=20.0)),
    vol.Optional("tone_curve"): vol.In(sorted(CURVES)),
}


def film_of(options: Mapping[str, Any]) -> Film:
    """Return what to open for the options of the configuration."""
    settings = {"input_format": "mjpeg" if options["input_format"] == "mjpeg" else "yuyv422"}
    if "size" in options:
        settings["video_size"] = options["size"]
    if "rate" in options:
        settings["framerate"] = f"{options['rate']:g}"
    return Film(
        url=options["device"],
        shown=options["device"],
        format=FILM_FORMAT,
        options=settings,
        stall_s=options["stall_s"],
    )


class UsbCamera(FilmCamera):
    """A USB camera behind the camera port."""

    def __init__(
        self, identity: CameraIdentity, options: Mapping[str, Any], film: Film, clock: Clock
    ) -> None:
        super().__init__(
            identity,
            Reader(film, clock),
            clock,
            driver="v4l2",
            model=options["device"],
            tone_curve=options.get("tone_curve"),
        )
        self._options = options
        self._controls = Controls(options["device"])
        self._asked: dict[str, int] = {}
        self._in_force: dict[str, int] = {}

    def start(self, bookmark: str | None = None) -> None:
        """Open the device, its controls first; raise CameraLostError where it is not there."""
        self.stop()
        self._asked, self._in_force = {}, {}
        card = self._controls.open()
        if not card.captures:
            self._controls.close()
            raise CameraError(f"{self._options['device']} ({card.name}) takes no pictures")
        self._model = card.name or self._options["device"]
        try:
            super().start(bookmark)
            self._note_focus()
        except CameraError:
            self._controls.close()
            raise

    def stop(self) -> None:
        """Close the device."""
        super().stop()
        self._controls.close()

    def capabilities(self) -> CameraInfo:
        """Return the size of the pictures and the limits of the controls."""
        plain, ranges = super().capabilities(), self._controls.ranges
        low, high = self._gain_limits()
        exposure = ranges.get("exposure_time_absolute")
        manual = exposure is not None and self._has_manual_exposure()
        return CameraInfo(
            id=plain.id,
            name=plain.name,
            model=plain.model,
            driver=plain.driver,
            width=plain.width,
            height=plain.height,
            min_exposure_us=max(exposure.minimum, 1) * EXPOSURE_UNIT_US if exposure and manual else None,
            max_exposure_us=exposure.maximum * EXPOSURE_UNIT_US if exposure and manual else None,
            min_gain=low if manual else None,
            max_gain=high if manual else None,
            controls_exposure=manual,
            controls_colour="white_balance_temperature" in ranges,
            brackets=manual,
            focus="focus_absolute" in ranges,
            max_dioptre=self._options["nearest_dioptre"] if "focus_absolute" in ranges else None,
        )

    def focus(self, dioptre: float | None) -> float:
        """Set the focus, or let the camera find it and keep what it found."""
        self._require_started()
        if "focus_absolute" not in self._controls.ranges:
            raise UnsupportedError(f"camera {self._identity.id} cannot be focused ({dioptre})")
        if dioptre is None:
            self._find_focus()
        else:
            self._set_focus(dioptre)
        return self._dioptre()

    def focus_figure(self, settings: CaptureSettings) -> FocusFigure:
        """Return how sharp the picture is with these settings."""
        self._require_started()
        if "focus_absolute" not in self._controls.ranges:
            raise UnsupportedError(f"camera {self._identity.id} has no focus ({settings.focus_dioptre})")
        pixels = self.next_pixels(self.apply(settings))
        return FocusFigure(figure=figure(pixels[:, :, 1]), dioptre=self._dioptre())

    def apply(self, settings: CaptureSettings) -> int:
        """Set what is asked for and can be set; the camera's own automatics decide the rest."""
        before = dict(self._in_force)
        self._apply_exposure(settings)
        self._apply_colour(settings)
        if settings.focus_dioptre is not None and "focus_absolute" in self._controls.ranges:
            self._set_focus(settings.focus_dioptre)
        return int(self._options["settle_frames"]) if self._in_force != before else 0

    def delivered(self) -> Delivered:
        """Return the settings that the device says it has; None for what its automatics decide."""
        force = self._in_force
        exposure = force.get("exposure_time_absolute")
        manual = force.get("auto_exposure") == AUTO_EXPOSURE_MANUAL and exposure is not None
        fixed_colour = force.get("white_balance_automatic", 1) == 0
        return Delivered(
            exposure_us=exposure * EXPOSURE_UNIT_US if manual and exposure is not None else None,
            gain=self._factor(force.get("gain")) if manual else None,
            colour_temperature_k=force.get("white_balance_temperature") if fixed_colour else None,
            focus_dioptre=self._dioptre() if "focus_absolute" in force else None,
        )

    def _apply_exposure(self, settings: CaptureSettings) -> None:
        if not self._has_manual_exposure():
            return
        if settings.exposure_us is None:
            self._set("auto_exposure", AUTO_EXPOSURE_APERTURE_PRIORITY)
            return
        self._set("auto_exposure", AUTO_EXPOSURE_MANUAL)
        self._set("exposure_dynamic_framerate", 1)
        self._set("exposure_time_absolute", settings.exposure_us / EXPOSURE_UNIT_US)
        gain, (low, high) = self._controls.ranges.get("gain"), self._gain_limits()
        if gain is not None:
            share = 0.0 if high == low else ((settings.gain or low) - low) / (high - low)
            self._set("gain", gain.minimum + share * (gain.maximum - gain.minimum))

    def _apply_colour(self, settings: CaptureSettings) -> None:
        if settings.colour_temperature_k is None:
            self._set("white_balance_automatic", 1)
            return
        self._set("white_balance_automatic", 0)
        self._set("white_balance_temperature", settings.colour_temperature_k)

    def _set(self, name: str, value: float) -> None:
        """Set a control that the camera has, unless it stands there already, and remember what came of it."""
        known = self._controls.ranges.get(name)
        if known is not None and self._asked.get(name) != known.nearest(value):
            self._in_force[name] = self._controls.set(name, value)
            self._asked[name] = known.nearest(value)

    def _set_focus(self, dioptre: float) -> None:
        span, nearest = self._controls.ranges["focus_absolute"], float(self._options["nearest_dioptre"])
        self._set("focus_automatic_continuous", 0)
        self._set("focus_absolute", span.minimum + dioptre / nearest * (span.maximum - span.minimum))

    def _note_focus(self) -> None:
        """Note where the lens stands, unless the camera's own autofocus has it."""
        ranges = self._controls.ranges
        if "focus_absolute" not in ranges:
            return
        automatic = "focus_automatic_continuous"
        if automatic not in ranges or not self._controls.get(automatic):
            self._in_force["focus_absolute"] = self._controls.get("focus_absolute")

    def _find_focus(self) -> None:
        """Let the camera's own autofocus work for some pictures, then hold what it found."""
        if "focus_automatic_continuous" not in self._controls.ranges:
            raise UnsupportedError(f"camera {self._identity.id} has no autofocus of its own")
        self._set("focus_automatic_continuous", 1)
        self.next_pixels(_AUTOFOCUS_FRAMES)
        self._set("focus_automatic_continuous", 0)
        self._in_force["focus_absolute"] = self._controls.get("focus_absolute")

    def _dioptre(self) -> float:
        span, nearest = self._controls.ranges["focus_absolute"], float(self._options["nearest_dioptre"])
        value = self._in_force.get("focus_absolute", span.minimum)
        return nearest * (value - span.minimum) / max(span.maximum - span.minimum, 1)

    def _has_manual_exposure(self) -> bool:
        return {"auto_exposure", "exposure_time_absolute"} <= set(self._controls.ranges)

    def _gain_limits(self) -> tuple[float, float]:
        low, high = self._options.get("gain_factors", (1.0, 1.0))
        return (low, high) if "gain" in self._controls.ranges else (1.0, 1.0)

    def _factor(self, value: int | None) -> float:
        """Return what a value of the gain control means."""
        span, (low, high) = self._controls.ranges.get("gain"), self._gain_limits()
        if span is None or value is None or span.maximum == span.minimum:
            return low
        return low + (high - low) * (value - span.minimum) / (span.maximum - span.minimum)


def make_camera(identity: CameraIdentity, options: Mapping[str, Any], clock: Clock) -> UsbCamera:
    """Return the camera for the options of the configuration."""
    return UsbCamera(identity, options, film_of(options), clock)


def found() -> list[Found]:
    """Return the USB cameras of this machine; a Pi's other video devices are parts of its own camera."""
    cameras = []
    for path in devices():
        controls = Controls(path)
        try:
            card = controls.open()
        except CameraError as error:
            cameras.append(Found(driver="v4l2", address=path, name=path, problem=str(error)))
            continue
        finally:
            controls.close()
        if card.captures and card.bus.startswith("usb-"):
            cameras.append(Found(driver="v4l2", address=path, name=card.name, options={"device": path}))
    return cameras
