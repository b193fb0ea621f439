"""The port that every camera driver fills.

All methods block and are called from one worker thread that belongs to this camera alone. `start` opens and
may be called again after `stop`; a driver's constructor only remembers its configuration.
Drivers raise `CameraError` or one of its children and nothing else.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from skylapse_protocol.messages import CameraInfo

PREVIEW_SIDE_PX = 640
"""The long side of a preview is at most this."""

PREVIEW_BYTES = 60 * 1024
"""A preview is at most this large."""

SMALL_SIDE_PX = 96
"""The long side of the picture that is metered is at most this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptureSettings:
    """How one picture is to be taken."""

    at: datetime
    """The moment of the tick on the bridge's clock. Computed and replayed cameras photograph exactly this
    moment; real ones start at once and say in `CapturedFrame.captured_at` when they did."""
    exposure_us: int | None = None
    """Exposure time; None leaves it to the camera."""
    gain: float | None = None
    """Analogue gain, 1.0 is ISO 100; None leaves it to the camera."""
    colour_temperature_k: int | None = None
    """None is automatic white balance, unless `colour_gains` are given."""
    colour_gains: tuple[float, float] | None = None
    """Red and blue relative to green; they win over `colour_temperature_k`."""
    focus_dioptre: float | None = None
    """None leaves the focus where it is."""
    average: int = 1
    """So many exposures, spread evenly over `over_s`, are averaged in linear light into one picture."""
    over_s: float = 0.0
    raw: bool = False
    """A DNG of the same exposure is wanted beside the JPEG."""
    jpeg_quality: int = 92


@dataclass(frozen=True, kw_only=True, slots=True)
class LuxReference:
    """What a sensor shows of a known light: with this exposure and gain `lux` gives a mean of `level`."""

    exposure_us: int
    gain: float
    lux: float
    level: float
    """Mean luminance in linear light, 0…65535."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SmallFrame:
    """A small picture for metering, as the sensor saw it: not levelled, not sharpened."""

    width: int
    height: int
    rgb: bytes
    """`width` × `height` × 3 bytes, rows from the top, red green blue, encoded by `tone_curve`. Sampled from
    the large picture rather than averaged, so that clipped pixels stay clipped."""
    tone_curve: str = "srgb"
    exposure_us: int | None = None
    """Delivered exposure time; None where the camera cannot tell."""
    gain: float | None = None
    """Delivered analogue × digital gain."""
    lux_reference: LuxReference | None = None
    """None: the light is estimated for a lens of f/2."""
    colour_temperature_k: int | None = None
    seen_at: datetime | None = None
    """When this light was seen; None is the moment that was asked for. Twilight halves in two minutes: a
    camera that meters some seconds ahead of the tick says so."""
    focus_dioptre: float | None = None
    """Where the lens stood; None where it does not move, or an autofocus of its own has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CapturedFrame:
    """A picture with what the sensor really did; facts that a camera cannot know are None."""

    jpeg: bytes
    """A whole JPEG file. Its own EXIF is replaced by the bridge, its pixels are not touched."""
    width: int
    height: int
    captured_at: datetime
    """Start of exposure, UTC, on the bridge's clock."""
    monotonic_ns: int
    """The clock's `monotonic_ns` at the start of exposure."""
    exposure_us: int | None = None
    analogue_gain: float | None = None
    digital_gain: float | None = None
    colour_gains: tuple[float, float] | None = None
    """Red and blue, relative to green."""
    colour_temperature_k: int | None = None
    lux: float | None = None
    """Only where the camera measures it; otherwise the bridge fills in what it metered."""
    focus_dioptre: float | None = None
    sensor: str | None = None
    """Sensor model in lower case, as in `imx519`."""
    tone_curve: str | None = None
    """Id of the tone curve of the JPEG (`skylapse_protocol.tone.CURVES`); None is taken as srgb."""
    sensor_temperature_c: float | None = None
    averaged: int = 1
    """Exposures that the picture is the mean of."""
    raw: bytes | None = None
    """A whole DNG file, where one was asked for and the camera can."""
    bookmark: str | None = None
    """Where a camera that replays pictures goes on after this one; kept with the frame."""
    small: SmallFrame | None = None
    """The same picture as one for metering, its first exposure where it is a mean: long exposures need not
    be taken twice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FocusFigure:
    """How sharp a picture is."""

    figure: float
    """In the camera's own units; larger is sharper, comparable between pictures of one scene and size."""
    dioptre: float
    """Where the lens stood."""
    temperature_c: float | None = None


class Camera(Protocol):
    """One camera."""

    def start(self, bookmark: str | None = None) -> None:
        """Open the camera and start it; return when `capture` can be called.

        `bookmark` is that of the last frame that was made safe; cameras of the present ignore it.
        """

    def stop(self) -> None:
        """Close the camera; closing a closed one does nothing."""

    def capabilities(self) -> CameraInfo:
        """Return what the camera is and can do, read from the camera itself; only after `start`."""

    def meter(self, settings: CaptureSettings) -> SmallFrame:
        """Return a small picture with these settings, or with those in force where it cannot set them."""

    def capture(self, settings: CaptureSettings) -> CapturedFrame:
        """Take one picture whose exposure begins after the call."""

    def preview(self) -> bytes:
        """Return what the camera sees as JPEG, long side ≤ `PREVIEW_SIDE_PX`, ≤ `PREVIEW_BYTES`."""

    def focus(self, dioptre: float | None) -> float:
        """Set the focus, or let the camera's own autofocus find it with None; return the dioptres.

        Raise UnsupportedError where the lens does not move, or has no autofocus of its own.
        """

    def focus_figure(self, settings: CaptureSettings) -> FocusFigure:
        """Return how sharp the picture is with these settings, `focus_dioptre` among them."""
