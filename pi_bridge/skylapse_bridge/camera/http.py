"""The driver `http`: a camera that answers an address with one picture.

Its JPEG is passed on as it is; a PNG or WebP is turned into a JPEG once. Several pictures spread over time
are averaged where a profile asks for that. What the picture's EXIF tells of its exposure is believed.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import voluptuous as vol
from PIL import Image

from skylapse_bridge import exif, jpeg
from skylapse_bridge.clock import Clock
from skylapse_bridge.errors import CameraError, CameraLostError, UnsupportedError
from skylapse_protocol.messages import CameraInfo
from skylapse_protocol.tone import CURVES

from .factory import CameraIdentity
from .picture import check_size, preview, small_picture
from .port import CapturedFrame, CaptureSettings, FocusFigure, SmallFrame
from .secret import SIGN_IN
from .snapshot_url import SnapshotUrl
from .spread import turns

_TEXT = vol.All(str, vol.Length(min=1))
_KINDS = ((b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"RIFF", "WEBP"))


def _snapshot_url(value: object) -> str:
    if not isinstance(value, str) or urlsplit(value).scheme not in {"http", "https"}:
        raise vol.Invalid("is no address that begins with http:// or https://")
    parts = urlsplit(value)
    if not parts.hostname:
        raise vol.Invalid("names no host")
    if "@" in parts.netloc:
        raise vol.Invalid("holds a user or a password; they belong into username and password_file")
    return value


OPTIONS: dict[Any, Any] = {
    vol.Required("url"): _snapshot_url,
    **SIGN_IN,
    vol.Exclusive("token", "token"): _TEXT,
    vol.Exclusive("token_file", "token"): _TEXT,
    # What the password may be used for; auto takes the best that the camera offers.
    vol.Optional("sign_in", default="auto"): vol.In(["auto", "basic", "digest"]),
    vol.Optional("timeout_s", default=10.0): vol.All(vol.Coerce(float), vol.Range(min=0.5, max=25.0)),
    vol.Optional("max_mb", default=64.0): vol.All(vol.Coerce(float), vol.Range(min=0.01, max=256.0)),
    vol.Optional("tls_verify", default=True): bool,
    vol.Optional("ca_file"): _TEXT,
    vol.Optional("tone_curve"): vol.In(sorted(CURVES)),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A picture that was fetched."""

    jpeg: bytes
    width: int
    height: int
    asked_at: datetime
    monotonic_ns: int
    exposure_us: int | None
    gain: float | None


class HttpCamera:
    """A snapshot address behind the camera port."""

    def __init__(self, identity: CameraIdentity, options: Mapping[str, Any], clock: Clock) -> None:
        self._identity = identity
        self._options = options
        self._clock = clock
        self._url = SnapshotUrl(options)
        self._last: Snapshot | None = None
        self._model = urlsplit(options["url"]).hostname or "http"

    def start(self, bookmark: str | None = None) -> None:  # noqa: ARG002 the port's signature
        """Fetch a first picture; raise CameraError where there is none."""
        self._url = SnapshotUrl(self._options)
        self._last = self._fetch()
        self._model = _model(self._last.jpeg) or self._model

    def stop(self) -> None:
        """Forget the last picture; nothing else is open."""
        self._last = None

    def capabilities(self) -> CameraInfo:
        """Return the size of the last picture; nothing can be set."""
        last = self._started()
        return CameraInfo(
            id=self._identity.id,
            name=self._identity.name,
            model=self._model,
            driver="http",
            width=last.width,
            height=last.height,
        )

    def meter(self, settings: CaptureSettings) -> SmallFrame:
        """Fetch a picture and return it small."""
        self._started()
        shot = self._last = self._fetch(settings.jpeg_quality)
        small = small_picture(shot.jpeg)
        return SmallFrame(
            width=small.width,
            height=small.height,
            rgb=small.rgb,
            tone_curve=self._options.get("tone_curve") or "srgb",
            exposure_us=shot.exposure_us,
            gain=shot.gain,
            seen_at=shot.asked_at,
        )

    def capture(self, settings: CaptureSettings) -> CapturedFrame:
        """Fetch a picture, or the mean of several that are spread over `over_s`."""
        self._started()
        shot = self._last = self._fetch(settings.jpeg_quality)
        picture = shot.jpeg if settings.average == 1 else self._mean(shot, settings)
        return CapturedFrame(
            jpeg=picture,
            width=shot.width,
            height=shot.height,
            captured_at=shot.asked_at,
            monotonic_ns=shot.monotonic_ns,
            exposure_us=shot.exposure_us,
            analogue_gain=shot.gain,
            tone_curve=self._options.get("tone_curve"),
            averaged=settings.average,
        )

    def preview(self) -> bytes:
        """Fetch a picture and return it small."""
        self._started()
        self._last = self._fetch()
        return preview(self._last.jpeg)

    def focus(self, dioptre: float | None) -> float:
        """Refuse: an address has no lens."""
        raise UnsupportedError(f"camera {self._identity.id} cannot be focused ({dioptre})")

    def focus_figure(self, settings: CaptureSettings) -> FocusFigure:
        """Refuse: an address has no lens."""
        raise UnsupportedError(f"camera {self._identity.id} has no focus ({settings.focus_dioptre})")

    def _mean(self, first: Snapshot, settings: CaptureSettings) -> bytes:
        """Return the mean of pictures as JPEG; the arrays are loaded when a mean is wanted."""
        from .averaging import Averager
        from .video import decode_jpeg, encode

        averager = Averager(self._options.get("tone_curve"))
        averager.add(decode_jpeg(first.jpeg))
        for _ in turns(self._clock, settings.average, settings.over_s):
            averager.add(decode_jpeg(self._fetch(settings.jpeg_quality).jpeg))
        return encode(averager.mean(), settings.jpeg_quality)

    def _fetch(self, quality: int = 92) -> Snapshot:
        """Return a picture; raise CameraError for what is none."""
        asked_at, monotonic_ns = self._clock.now(), self._clock.monotonic_ns()
        picture = _as_jpeg(self._url.fetch(), quality, self._identity.id)
        try:
            width, height = check_size(*jpeg.size(picture))
        except ValueError as error:
            raise CameraError(f"camera {self._identity.id}: {error}") from error
        known = exif.exposure_facts(picture)
        return Snapshot(
            jpeg=picture,
            width=width,
            height=height,
            asked_at=asked_at,
            monotonic_ns=monotonic_ns,
            exposure_us=round(known["exposure_us"]) if "exposure_us" in known else None,
            gain=known.get("gain"),
        )

    def _started(self) -> Snapshot:
        if self._last is None:
            raise CameraLostError(f"camera {self._identity.id} is not started")
        return self._last


def make_camera(identity: CameraIdentity, options: Mapping[str, Any], clock: Clock) -> HttpCamera:
    """Return the camera for the options of the configuration."""
    return HttpCamera(identity, options, clock)


def _as_jpeg(data: bytes, quality: int, camera: str) -> bytes:
    """Return a picture as JPEG, judged by its first bytes rather than by what its server calls it."""
    kind = next((name for start, name in _KINDS if data.startswith(start)), None)
    if kind == "JPEG":
        return data
    if kind is None:
        raise CameraError(f"camera {camera} sent {_described(data)} instead of a picture")
    try:
        image = Image.open(io.BytesIO(data), formats=[kind])
        check_size(*image.size)
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=quality)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CameraError(f"camera {camera}: its {kind} cannot be decoded: {error}") from error
    return buffer.getvalue()


def _described(data: bytes) -> str:
    """Say what came that is no picture."""
    if not data:
        return "nothing"
    head = data[:512].lstrip().lower()
    page = head.startswith((b"<!doctype", b"<html", b"<?xml", b"<head"))
    return "a web page" if page else f"{len(data)} bytes of something else"


def _model(picture: bytes) -> str | None:
    try:
        return exif.camera_model(picture)
    except ValueError:
        return None
