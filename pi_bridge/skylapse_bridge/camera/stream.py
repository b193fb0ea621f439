"""The driver `stream`: a network camera that sends a film by RTSP, Motion JPEG or HLS.

The film is read without a pause, for a camera that is asked for single pictures of a film would send those
that lie in its buffers. Nothing grows: one picture is kept. Motion JPEG is decoded only when a picture is
wanted, other codecs must be decoded as they come. When the film ends or stalls, the reader connects again,
more patiently every time; a picture that still did not come after `stall_s` means that the camera is lost.
"""

import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import av
import voluptuous as vol
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from skylapse_bridge.clock import Clock
from skylapse_bridge.errors import CameraError, CameraLostError
from skylapse_protocol.tone import CURVES

from .averaging import Pixels
from .factory import CameraIdentity
from .secret import SIGN_IN, password_of, shown_url
from .video import FilmCamera, Shot, decode_jpeg

_SCHEMES = ("rtsp", "rtsps", "http", "https")
_PROTOCOLS: Mapping[str, str] = {
    "rtsp": "rtsp,rtp,rtcp,udp,tcp",
    "rtsps": "rtsp,rtsps,rtp,rtcp,srtp,udp,tcp,tls",
    "http": "http,https,tcp,tls,crypto",
    "https": "https,tcp,tls,crypto",
}
"""What a stream may make ffmpeg open: no files, and nothing less secure than the stream itself."""

_AT_ONCE = {"analyzeduration": "1000000", "fpsprobesize": "0"}
"""A film is looked at for a second rather than five before it is shown."""

_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 15.0
_STOP_GRACE_S = 2.0
_OPENING_S = 5.0
"""A film needs so long, besides, until its first picture is there."""


def _stream_url(value: object) -> str:
    if not isinstance(value, str) or urlsplit(value).scheme not in _SCHEMES or not urlsplit(value).hostname:
        raise vol.Invalid(f"is no address that begins with {', '.join(f'{name}://' for name in _SCHEMES)}")
    if "@" in urlsplit(value).netloc:
        raise vol.Invalid("holds a user or a password; they belong into username and password_file")
    return value


OPTIONS: dict[Any, Any] = {
    vol.Required("url"): _stream_url,
    **SIGN_IN,
    # How RTSP's pictures travel: tcp loses none; udp is all that some old cameras know.
    vol.Optional("transport", default="tcp"): vol.In(["tcp", "udp"]),
    # So long may no picture come before the camera counts as lost.
    vol.Optional("stall_s", default=10.0): vol.All(vol.Coerce(float), vol.Range(min=1.0, max=20.0)),
    vol.Optional("tls_verify", default=True): bool,
    vol.Optional("ca_file"): vol.All(str, vol.Length(min=1)),
    vol.Optional("tone_curve"): vol.In(sorted(CURVES)),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Film:
    """What to open, and how."""

    url: str = field(repr=False)
    """With the password in it: for ffmpeg alone."""
    shown: str
    """What is said of it in messages."""
    format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    stall_s: float = 10.0


class Reader:
    """Reads a film on a thread of its own and keeps the newest picture."""

    def __init__(self, film: Film, clock: Clock) -> None:
        self._film = film
        self._clock = clock
        self._news = threading.Condition()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._shot: Shot | None = None
        self._shot_at_s = 0.0
        self._arrived = 0
        self._problem = ""

    @property
    def arrived(self) -> int:
        """The number of the packet that came last."""
        return self._arrived

    def start(self) -> None:
        """Begin to read; return when the first picture came, raise CameraLostError where none comes."""
        self.stop()
        self._shot, self._problem = None, ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._stopping,), name=f"film {self._film.shown}", daemon=True
        )
        self._thread.start()
        try:
            self._wait_after(self._arrived, self._film.stall_s + _OPENING_S, once=True)
        except CameraLostError:
            self.stop()
            raise

    def stop(self) -> None:
        """End the thread; a connection that hangs is given up by it after `stall_s` at the latest."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(self._film.stall_s + _STOP_GRACE_S)
            self._thread = None

    def newest(self) -> Shot | None:
        """Return the newest picture, None where it is older than `stall_s`."""
        with self._news:
            fresh = time.monotonic() - self._shot_at_s < self._film.stall_s
            return self._shot if fresh else None

    def after(self, number: int) -> Shot:
        """Return the first picture after a packet; raise CameraLostError where none comes in time."""
        return self._wait_after(number, self._film.stall_s)

    def _wait_after(self, number: int, patience_s: float, *, once: bool = False) -> Shot:
        """Wait for a picture; with `once` no longer than the first connection lasts."""
        ends_at_s = time.monotonic() + patience_s
        with self._news:
            while self._shot is None or self._shot.number <= number:
                left_s = ends_at_s - time.monotonic()
                if once and self._problem:
                    raise CameraLostError(f"{self._film.shown}: {self._problem}")
                if left_s <= 0:
                    why = self._problem or "it is silent"
                    raise CameraLostError(
                        f"{self._film.shown}: no picture came within {patience_s:g} s: {why}"
                    )
                self._news.wait(left_s)
            return self._shot

    def _run(self, stopping: threading.Event) -> None:
        """Read until told to stop, and connect again where the film ends."""
        pause_s = _FIRST_PAUSE_S
        while not stopping.is_set():
            before = self._arrived
            try:
                self._read(stopping)
                problem = "the film ended"
            except (FFmpegError, OSError, ValueError, CameraError) as error:
                problem = _reason(error)
            with self._news:
                self._problem = problem
                self._news.notify_all()
            pause_s = _FIRST_PAUSE_S if self._arrived > before else min(2 * pause_s, _LONGEST_PAUSE_S)
            stopping.wait(pause_s)

    def _read(self, stopping: threading.Event) -> None:
        """Read one connection to its end."""
        film = self._film
        container = av.open(
            film.url, format=film.format, options=dict(film.options), timeout=(film.stall_s, film.stall_s)
        )
        with contextlib.closing(container):
            stream = _picture_stream(container)
            keep_packets = stream.codec_context.name == "mjpeg"
            for packet in container.demux(stream):
                if stopping.is_set():
                    return
                self._arrived += 1
                if keep_packets:
                    self._keep_packet(packet)
                else:
                    self._keep_frames(packet)

    def _keep_packet(self, packet: "Packet[VideoStream]") -> None:
        data = bytes(packet)
        if data:
            self._keep(Shot(**self._facts(), decode=partial(decode_jpeg, data), jpeg=data))

    def _keep_frames(self, packet: "Packet[VideoStream]") -> None:
        """Decode a packet; one that is damaged, as after a lost connection, is passed over."""
        try:
            frames = packet.decode()
        except FFmpegError as error:
            self._problem = _reason(error)
            return
        for frame in frames:
            self._keep(Shot(**self._facts(), decode=partial(_pixels, frame)))

    def _facts(self) -> dict[str, Any]:
        return {
            "number": self._arrived,
            "arrived_at": self._clock.now(),
            "monotonic_ns": self._clock.monotonic_ns(),
        }

    def _keep(self, shot: Shot) -> None:
        with self._news:
            self._shot, self._shot_at_s = shot, time.monotonic()
            self._news.notify_all()


def make_camera(identity: CameraIdentity, options: Mapping[str, Any], clock: Clock) -> FilmCamera:
    """Return the camera for the options of the configuration."""
    return StreamCamera(identity, options, clock)


class StreamCamera(FilmCamera):
    """A network camera's film."""

    def __init__(self, identity: CameraIdentity, options: Mapping[str, Any], clock: Clock) -> None:
        self._options = options
        shown = shown_url(options["url"])
        super().__init__(
            identity,
            Reader(Film(url=options["url"], shown=shown), clock),
            clock,
            driver="stream",
            model=urlsplit(options["url"]).hostname or "stream",
            tone_curve=options.get("tone_curve"),
        )

    def start(self, bookmark: str | None = None) -> None:
        """Read the password, which may have been changed, and begin to read the film."""
        self._source.stop()
        self._source = Reader(film_of(self._options), self._clock)
        super().start(bookmark)


def film_of(options: Mapping[str, Any]) -> Film:
    """Return what to open for the options of the configuration; raise CameraError."""
    parts = urlsplit(options["url"])
    scheme = parts.scheme
    settings: dict[str, str] = {
        "protocol_whitelist": _PROTOCOLS[scheme],
        **_AT_ONCE,
    }
    if scheme in {"rtsp", "rtsps"}:
        settings |= {"rtsp_transport": options["transport"], "allowed_media_types": "video"}
    if scheme in {"rtsps", "https"} and options["tls_verify"]:
        authorities = options.get("ca_file") or str(_AUTHORITIES)
        settings |= {"tls_verify": "1", "ca_file": authorities}
    host = parts.netloc.rpartition("@")[2]
    password = password_of(options)
    if "username" in options:
        host = f"{quote(options['username'], safe='')}:{quote(password or '', safe='')}@{host}"
    return Film(
        url=urlunsplit(parts._replace(netloc=host)),
        shown=shown_url(options["url"]),
        options=settings,
        stall_s=options["stall_s"],
    )


def _picture_stream(container: InputContainer) -> VideoStream:
    """Return the film's pictures; raise CameraError where it has none."""
    if not container.streams.video:
        raise CameraError("it has no pictures")
    stream = container.streams.video[0]
    stream.thread_type = "SLICE"
    return stream


def _pixels(frame: VideoFrame) -> Pixels:
    """Return a frame as RGB; raise CameraError where it cannot be converted."""
    try:
        return frame.to_ndarray(format="rgb24").astype("uint8", copy=False)
    except (FFmpegError, ValueError, OSError) as error:
        raise CameraError(f"a picture cannot be decoded: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Return why, without the address, which may hold a password."""
    if isinstance(error, av.error.ExitError):
        return "it does not answer"
    if isinstance(error, (FFmpegError, OSError)):
        return str(error.strerror or type(error).__name__)
    return str(error)
