"""What all cameras share that send a film: the newest picture of it, through the port of every camera.

A source (`stream.Reader`) reads the film on a thread of its own and keeps its newest picture, undecoded
where the codec allows that. `FilmCamera` asks it for pictures and turns them into what the port promises. A
film of JPEGs that is photographed one by one is passed on as the camera compressed it; everything else is
decoded, averaged where that is asked for, and compressed here.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from PIL import Image

from skylapse_bridge import jpeg
from skylapse_bridge.clock import Clock
from skylapse_bridge.errors import CameraError, CameraLostError, UnsupportedError
from skylapse_protocol.messages import CameraInfo

from .averaging import Averager, Pixels
from .factory import CameraIdentity
from .picture import check_size, encode_preview, fit
from .picture import preview as preview_of
from .port import (
    PREVIEW_SIDE_PX,
    SMALL_SIDE_PX,
    CapturedFrame,
    CaptureSettings,
    FocusFigure,
    SmallFrame,
)
from .spread import turns

_TABLES = b"\xff\xc4"
_SCAN = b"\xff\xda"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """One picture of a film, decoded when it is looked at."""

    number: int
    """Counts the packets of the film, across reconnections."""
    arrived_at: datetime
    """UTC, on the bridge's clock."""
    monotonic_ns: int
    decode: Callable[[], Pixels]
    """Decodes the picture; raises CameraError."""
    jpeg: bytes | None = None
    """The picture as the camera compressed it, where the film is one of JPEGs."""

    def whole_jpeg(self) -> bytes | None:
        """Return the camera's own file where it is one that any program can read.

        Motion JPEG may leave its Huffman tables out, since all of its pictures have the same.
        """
        if self.jpeg is None or _TABLES not in self.jpeg[: self.jpeg.find(_SCAN)]:
            return None
        try:
            jpeg.size(self.jpeg)
        except ValueError:
            return None
        return self.jpeg


class Source(Protocol):
    """A film that is being read."""

    def start(self) -> None:
        """Begin to read; return when the first picture came, raise CameraLostError where none comes."""

    def stop(self) -> None:
        """End the reading; doing so twice does nothing."""

    @property
    def arrived(self) -> int:
        """The number of the packet that came last."""

    def newest(self) -> Shot | None:
        """Return the newest picture, None where it is older than the patience with this film."""

    def after(self, number: int) -> Shot:
        """Return the first picture after a packet; raise CameraLostError where none comes in time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivered:
    """What is known of how the pictures are taken."""

    exposure_us: int | None = None
    gain: float | None = None
    colour_temperature_k: int | None = None
    focus_dioptre: float | None = None


class FilmCamera:
    """A film as a camera that takes what comes; children set what can be set."""

    def __init__(
        self,
        identity: CameraIdentity,
        source: Source,
        clock: Clock,
        *,
        driver: str,
        model: str,
        tone_curve: str | None,
    ) -> None:
        self._identity = identity
        self._source = source
        self._clock = clock
        self._driver = driver
        self._model = model
        self._tone_curve = tone_curve
        self._started = False

    def start(self, bookmark: str | None = None) -> None:  # noqa: ARG002 the port's signature
        """Begin to read the film."""
        self._source.start()
        self._started = True

    def stop(self) -> None:
        """Stop reading."""
        self._started = False
        self._source.stop()

    def capabilities(self) -> CameraInfo:
        """Return the size of the newest picture; a film controls nothing."""
        pixels = self._decoded(self._recent())
        return CameraInfo(
            id=self._identity.id,
            name=self._identity.name,
            model=self._model,
            driver=self._driver,
            width=pixels.shape[1],
            height=pixels.shape[0],
        )

    def meter(self, settings: CaptureSettings) -> SmallFrame:
        """Return the newest picture, small."""
        skip = self.apply(settings)
        shot = self._source.after(self._source.arrived + skip) if skip else self._recent()
        pixels = self._decoded(shot)
        width, height = fit((pixels.shape[1], pixels.shape[0]), SMALL_SIDE_PX)
        rows = (np.arange(height) * pixels.shape[0]) // height
        columns = (np.arange(width) * pixels.shape[1]) // width
        known = self.delivered()
        return SmallFrame(
            width=width,
            height=height,
            rgb=pixels[rows][:, columns].tobytes(),
            tone_curve=self._tone_curve or "srgb",
            exposure_us=known.exposure_us,
            gain=known.gain,
            colour_temperature_k=known.colour_temperature_k,
            seen_at=shot.arrived_at,
            focus_dioptre=known.focus_dioptre,
        )

    def capture(self, settings: CaptureSettings) -> CapturedFrame:
        """Return the next picture of the film, or the mean of several spread over `over_s`."""
        self._require_started()
        skip = self.apply(settings)
        first = self._source.after(self._source.arrived + skip)
        if settings.average > 1:
            picture, width, height = self._mean(first, settings)
        else:
            picture, width, height = self._single(first, settings)
        known = self.delivered()
        exposure = timedelta(microseconds=known.exposure_us or 0)
        return CapturedFrame(
            jpeg=picture,
            width=width,
            height=height,
            captured_at=first.arrived_at - exposure,
            monotonic_ns=first.monotonic_ns - round(exposure.total_seconds() * 1e9),
            exposure_us=known.exposure_us,
            analogue_gain=known.gain,
            colour_temperature_k=known.colour_temperature_k,
            focus_dioptre=known.focus_dioptre,
            tone_curve=self._tone_curve,
            averaged=settings.average,
        )

    def preview(self) -> bytes:
        """Return the newest picture, small."""
        shot = self._recent()
        whole = shot.whole_jpeg()
        if whole is not None:
            return preview_of(whole)
        image = Image.fromarray(self._decoded(shot))
        return encode_preview(image.resize(fit(image.size, PREVIEW_SIDE_PX), Image.Resampling.BILINEAR))

    def focus(self, dioptre: float | None) -> float:
        """Refuse: a film has no lens."""
        raise UnsupportedError(f"camera {self._identity.id} cannot be focused ({dioptre})")

    def focus_figure(self, settings: CaptureSettings) -> FocusFigure:
        """Refuse: a film has no lens."""
        raise UnsupportedError(f"camera {self._identity.id} has no focus ({settings.focus_dioptre})")

    def apply(self, settings: CaptureSettings) -> int:  # noqa: ARG002 children obey what they can
        """Set what can be set; return how many pictures may still have been taken as before."""
        return 0

    def delivered(self) -> Delivered:
        """Return what is known of how pictures are taken now."""
        return Delivered()

    def next_pixels(self, skip: int) -> Pixels:
        """Return a picture that comes after so many others."""
        return self._decoded(self._source.after(self._source.arrived + skip))

    def _single(self, shot: Shot, settings: CaptureSettings) -> tuple[bytes, int, int]:
        """Return a picture as JPEG, the camera's own file where there is one, and its width and height."""
        whole = shot.whole_jpeg()
        if whole is not None:
            width, height = check_size(*jpeg.size(whole))
            return whole, width, height
        return _encoded(self._decoded(shot), settings.jpeg_quality)

    def _mean(self, first: Shot, settings: CaptureSettings) -> tuple[bytes, int, int]:
        """Return the mean of pictures that are spread evenly over time."""
        averager = Averager(self._tone_curve)
        averager.add(self._decoded(first))
        for _ in turns(self._clock, settings.average, settings.over_s):
            averager.add(self._decoded(self._source.after(self._source.arrived)))
        return _encoded(averager.mean(), settings.jpeg_quality)

    def _recent(self) -> Shot:
        """Return the newest picture, else the next."""
        self._require_started()
        return self._source.newest() or self._source.after(self._source.arrived)

    @staticmethod
    def _decoded(shot: Shot) -> Pixels:
        pixels = shot.decode()
        check_size(pixels.shape[1], pixels.shape[0])
        return pixels

    def _require_started(self) -> None:
        if not self._started:
            raise CameraLostError(f"camera {self._identity.id} is not started")


def decode_jpeg(data: bytes) -> Pixels:
    """Return the pixels of a JPEG, also of one that leaves its Huffman tables out; raise CameraError."""
    try:
        image = Image.open(io.BytesIO(data), formats=["JPEG"])
        check_size(*image.size)
        return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CameraError(f"the picture cannot be decoded: {error}") from error


def encode(pixels: Pixels, quality: int) -> bytes:
    """Return pixels as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _encoded(pixels: Pixels, quality: int) -> tuple[bytes, int, int]:
    """Return pixels as JPEG, and their width and height."""
    return encode(pixels, quality), pixels.shape[1], pixels.shape[0]
