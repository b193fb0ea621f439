"""Films of network cameras, from real servers: live555 for RTSP, ffmpeg for Motion JPEG and HLS.

Cameras that do what no real server does are played by a small server of Motion JPEG that sends
what it is told.
"""

import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest
import voluptuous as vol
from PIL import Image

from skylapse_bridge.camera.factory import CameraConfig, driver_options, make_camera
from skylapse_bridge.camera.port import PREVIEW_BYTES, Camera, CapturedFrame, CaptureSettings
from skylapse_bridge.camera.stream import film_of
from skylapse_bridge.clock import Clock, RealClock, ScaledClock
from skylapse_bridge.errors import CameraError, CameraLostError, UnsupportedError
from skylapse_protocol import messages
from tests.support.own_network import in_own_network, server_process
from tests.support.processes import Program, ProgramError, find_program, free_port
from tests.support.waiting import PATIENCE_S, wait_until

from .made import START, picture

SETTINGS = CaptureSettings(at=START)
PATTERN = ["-f", "lavfi", "-i", "testsrc=size=320x240:rate=10"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "5", "-bf", "0"]


def stream(url: str, clock: Clock | None = None, **options: object) -> Camera:
    checked = vol.Schema(driver_options("stream"))({"url": url, "stall_s": 20, **options})
    config = CameraConfig(id="yard", name="Yard", driver="stream", options=checked)
    return make_camera("roof", config, clock or RealClock())


def readers() -> list[str]:
    """The threads that read a film."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("film ")]


def pixel(frame: CapturedFrame) -> Any:
    return Image.open(io.BytesIO(frame.jpeg)).convert("RGB").getpixel((frame.width // 2, frame.height // 2))


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Whatever happened to a camera, its thread is gone once it is stopped."""
    yield
    assert readers() == []


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a film of a minute."""
    folder = tmp_path_factory.mktemp("films")
    film = folder / "film.mkv"
    command = [find_program("ffmpeg"), "-loglevel", "error", *PATTERN, "-t", "60", *H264, str(film)]
    assert _run(command)
    return folder


def _run(command: list[str]) -> bool:
    program = Program("ffmpeg", command, log_path=Path(os.devnull))
    program.start()
    return program.wait() == 0


class RtspServer:
    """live555MediaServer on the films of a folder.

    It listens on all addresses and takes port 554: it knows no options. So it has a network of its own.
    """

    def __init__(self, folder: Path, log_path: Path) -> None:
        self._port = free_port()
        command = in_own_network(
            [find_program("live555MediaServer")], port=self._port, inner_port=554, folder=folder
        )
        self._program = Program("live555", command, log_path=log_path)
        self._said = ""

    def start(self) -> None:
        """Start; return when it listens."""
        before = len(self._program.log())
        self._program.start()

        def ready() -> bool:
            self._said = self._program.log()[before:]
            if not self._program.running:
                raise ProgramError(f"no RTSP server in a network of its own: {self._said}")
            return "Play streams from this server" in self._said

        wait_until(ready, what="the RTSP server")

    def kill(self) -> None:
        """End it as a power cut does."""
        self._program.kill()

    def freeze(self) -> None:
        """Let it hang with its connections open."""
        os.kill(server_process(self._said), signal.SIGSTOP)

    def url(self, film: str = "film.mkv") -> str:
        """The address of a film."""
        return f"rtsp://127.0.0.1:{self._port}/{film}"


@pytest.fixture
def rtsp(films: Path, tmp_path: Path) -> Iterator[RtspServer]:
    """A running server."""
    server = RtspServer(films, tmp_path / "live555.log")
    try:
        server.start()
        yield server
    finally:
        server.kill()


def test_rtsp_gives_a_new_picture_every_time(rtsp: RtspServer) -> None:
    camera = stream(rtsp.url(), tone_curve="srgb")
    camera.start()
    try:
        info = camera.capabilities()
        assert (info.width, info.height, info.driver, info.model) == (320, 240, "stream", "127.0.0.1")
        assert not any((info.controls_exposure, info.controls_colour, info.brackets, info.focus, info.raw))
        asked, frames = [], []
        for _ in range(2):
            asked.append(RealClock().now())
            frames.append(camera.capture(SETTINGS))
        assert [Image.open(io.BytesIO(frame.jpeg)).size for frame in frames] == [(320, 240)] * 2
        assert frames[0].jpeg != frames[1].jpeg
        assert all(moment < frame.captured_at for moment, frame in zip(asked, frames, strict=True))
        assert (frames[0].tone_curve, frames[0].averaged, frames[0].exposure_us) == ("srgb", 1, None)
        small = camera.meter(SETTINGS)
        assert (small.width, small.height, len(small.rgb)) == (96, 72, 96 * 72 * 3)
        assert small.seen_at is not None
        assert len(camera.preview()) <= PREVIEW_BYTES
        for refused in (lambda: camera.focus(1.0), lambda: camera.focus_figure(SETTINGS)):
            with pytest.raises(UnsupportedError):
                refused()
    finally:
        camera.stop()
    with pytest.raises(CameraLostError, match="not started"):
        camera.capture(SETTINGS)


def test_an_rtsp_camera_whose_power_is_cut_is_lost_and_comes_back_by_itself(rtsp: RtspServer) -> None:
    camera = stream(rtsp.url(), stall_s=5)
    _until_it_starts(camera)
    try:
        rtsp.kill()
        with pytest.raises(CameraLostError, match=r"no picture came within 5 s: Connection refused"):
            _photograph_until_lost(camera)
        rtsp.start()
        assert _until_it_photographs(camera).width == 320
    finally:
        camera.stop()


def test_an_rtsp_camera_that_hangs_is_lost_in_time_and_starts_anew(rtsp: RtspServer) -> None:
    camera = stream(rtsp.url(), stall_s=2)
    _until_it_starts(camera)
    rtsp.freeze()
    with pytest.raises(CameraLostError, match="no picture came within 2 s"):
        _photograph_until_lost(camera)
    camera.stop()
    assert readers() == []
    with pytest.raises(CameraLostError, match=r"Invalid data found|does not answer"):
        camera.start()
    assert readers() == []
    rtsp.kill()
    rtsp.start()
    patient = stream(rtsp.url())
    patient.start()
    assert patient.capture(SETTINGS).width == 320
    patient.stop()


def test_a_film_that_is_not_there_is_told(rtsp: RtspServer) -> None:
    with pytest.raises(CameraLostError, match="Not Found"):
        stream(rtsp.url("none.mkv")).start()


def test_a_film_that_ends_is_begun_again(rtsp: RtspServer, films: Path) -> None:
    short = films / "short.mkv"
    assert _run([find_program("ffmpeg"), "-loglevel", "error", *PATTERN, "-t", "4", *H264, str(short)])
    camera = stream(rtsp.url("short.mkv"), stall_s=2)
    _until_it_starts(camera)
    try:
        with pytest.raises(CameraLostError, match="no picture came within 2 s"):
            _photograph_until_lost(camera)
        assert _until_it_photographs(camera).width == 320
    finally:
        camera.stop()


def test_motion_jpeg_of_ffmpeg_is_passed_on_as_it_was_compressed(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/film.mjpg"
    command = [find_program("ffmpeg"), "-loglevel", "error", "-re", *PATTERN, "-c:v", "mjpeg", "-q:v", "3"]
    server = Program("ffmpeg", [*command, "-f", "mpjpeg", "-listen", "1", url], log_path=tmp_path / "log")
    server.start()
    camera = stream(url)
    try:
        _until_it_starts(camera)
        frame = camera.capture(SETTINGS)
        assert b"Lavc" in frame.jpeg
        assert (frame.width, frame.height) == (320, 240)
        assert camera.capture(SETTINGS).jpeg != frame.jpeg
        server.kill()
        with pytest.raises(CameraLostError):
            _photograph_until_lost(camera)
    finally:
        camera.stop()
        server.kill()


def test_hls_is_photographed(tmp_path: Path) -> None:
    command = [
        find_program("ffmpeg"),
        "-loglevel",
        "error",
        "-re",
        *PATTERN,
        *H264,
        "-f",
        "hls",
        "-hls_time",
        "1",
    ]
    playlist = tmp_path / "live.m3u8"
    maker = Program(
        "ffmpeg", [*command, "-hls_flags", "delete_segments", str(playlist)], log_path=tmp_path / "log"
    )
    maker.start()
    with serving(partial(_Quiet, directory=str(tmp_path))) as server:
        wait_until(playlist.exists, what="a playlist")
        camera = stream(f"http://127.0.0.1:{server.server_port}/live.m3u8")
        camera.start()
        try:
            frames = [camera.capture(SETTINGS) for _ in range(2)]
        finally:
            camera.stop()
            maker.kill()
    assert frames[0].jpeg != frames[1].jpeg
    assert frames[0].width == 320


class _Quiet(SimpleHTTPRequestHandler):
    """Files of a folder."""

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


class Served(ThreadingHTTPServer):
    """A server in a thread."""

    daemon_threads = True
    block_on_close = False

    def __enter__(self) -> Self:
        """Serve."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}).start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop."""
        self.shutdown()
        self.server_close()


def serving(handler: Any, port: int = 0) -> Served:
    return Served(("127.0.0.1", port), handler)


class Film:
    """Motion JPEG whose next pictures are what `next_picture` answers; None ends the connection."""

    def __init__(self, next_picture: Callable[[], bytes | None], password: str = "") -> None:
        self.next_picture = next_picture
        self.password = password
        self.over = threading.Event()

    def __call__(self, *arguments: Any) -> None:
        """Answer one request."""
        film = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                given = self.headers.get("Authorization", "")
                if film.password != given:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="film"')
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=shot")
                self.end_headers()
                try:
                    while (shot := film.next_picture()) is not None and not film.over.wait(0.02):
                        head = f"--shot\r\nContent-Type: image/jpeg\r\nContent-Length: {len(shot)}\r\n\r\n"
                        self.wfile.write(head.encode() + shot + b"\r\n")
                except OSError:
                    return

            def log_message(self, *_words: object) -> None:
                """Say nothing."""

        Handler(*arguments)


def test_exposures_are_averaged_in_linear_light() -> None:
    turn = iter(range(10**6))
    film = Film(lambda: picture(level=255 * (next(turn) % 2)))
    with serving(film) as server:
        camera = stream(f"http://127.0.0.1:{server.server_port}/")
        camera.start()
        frame = camera.capture(CaptureSettings(at=START, average=64, over_s=0.1))
        camera.stop()
    assert frame.averaged == 64
    assert pixel(frame)[0] == pytest.approx(188, abs=40)


def test_an_average_is_spread_over_simulated_time() -> None:
    clock = ScaledClock(messages.Clock(start=START, anchor=RealClock().now(), rate=1000))
    with serving(Film(picture)) as server:
        camera = stream(f"http://127.0.0.1:{server.server_port}/", clock)
        camera.start()
        begun = clock.now()
        frame = camera.capture(CaptureSettings(at=begun, average=4, over_s=400))
        ended = clock.now()
        camera.stop()
    assert frame.averaged == 4
    assert begun <= frame.captured_at <= ended - timedelta(seconds=300)


def test_a_film_whose_size_changes_goes_on() -> None:
    sizes = [(64, 48)]
    film = Film(lambda: picture(width=sizes[-1][0], height=sizes[-1][1]))
    with serving(film) as server:
        camera = stream(f"http://127.0.0.1:{server.server_port}/")
        camera.start()
        assert camera.capture(SETTINGS).width == 64
        sizes.append((320, 240))
        wait_until(lambda: camera.capture(SETTINGS).width == 320, what="the new size")
        assert camera.capabilities().height == 240
        frame = camera.capture(SETTINGS)
        camera.stop()
    assert Image.open(io.BytesIO(frame.jpeg)).size == (frame.width, frame.height) == (320, 240)


def test_a_film_of_single_pixels_and_one_of_truncated_pictures_are_told() -> None:
    shots = {"now": picture()}
    with serving(Film(lambda: shots["now"])) as server:
        camera = stream(f"http://127.0.0.1:{server.server_port}/")
        camera.start()
        try:
            for bad, words in (
                (picture(width=1, height=1), "1×1 pixels, which is no picture"),
                (picture(width=320, height=240)[:700], "cannot be decoded"),
            ):
                shots["now"] = bad
                wait_until(partial(_complains, camera, words), what=words)
            shots["now"] = picture(width=96)
            wait_until(lambda: not _complaint(camera), what="a good picture")
            assert camera.capture(SETTINGS).width == 96
        finally:
            camera.stop()


def test_a_web_page_instead_of_a_film_is_told(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!DOCTYPE html><title>Sign in</title>" * 50, "utf-8")
    with serving(partial(_Quiet, directory=str(tmp_path))) as server:
        for path, words in (("", "Invalid data"), ("none", "Not Found|404")):
            url = f"http://127.0.0.1:{server.server_port}/{path}"
            with pytest.raises(CameraLostError, match=words) as caught:
                stream(url, username="kamera", password="gehe:m").start()
            assert "gehe" not in str(caught.value)


def test_passwords_are_sent_and_never_told(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("gehe:m @7\n", "utf-8")
    film = Film(picture, password="Basic a2FtZXJhOmdlaGU6bSBANw==")
    with serving(film) as server:
        url = f"http://127.0.0.1:{server.server_port}/film"
        camera = stream(url, username="kamera", password_file=str(secret))
        camera.start()
        names = readers()
        camera.stop()
        with pytest.raises(CameraLostError, match="nauthorized"):
            stream(url, username="kamera", password="wr0ng").start()
    with pytest.raises(CameraLostError) as caught:
        stream(url + "?key=t0p", username="kamera", password_file=str(secret)).start()
    film_in_full = film_of(vol.Schema(driver_options("stream"))({"url": url, "password_file": str(secret)}))
    told = f"{caught.value} {names} {film_in_full}"
    assert "Connection refused" in told
    assert not any(word in told for word in ("gehe", "t0p"))


def test_nothing_grows_while_nobody_looks() -> None:
    """A film that is read for long keeps one picture, however many came."""
    count = iter(range(10**6))
    film = Film(lambda: picture(width=640, height=480, level=next(count) % 250))
    with serving(film) as server:
        camera = stream(f"http://127.0.0.1:{server.server_port}/")
        camera.start()
        source: Any = camera._source  # type: ignore[attr-defined]
        wait_until(lambda: source.arrived > 60, what="many pictures")
        held = [thing for thing in vars(source).values() if isinstance(thing, (list, dict, set, bytes))]
        camera.stop()
    assert held == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "file:///etc/passwd"}, "begins with rtsp"),
        ({"url": "concat:http://x"}, "begins with rtsp"),
        ({"url": "rtsp://me:secret@x/"}, "belong into username"),
        ({"url": "rtsp://x/", "stall_s": 90}, "at most 20"),
        ({"url": "rtsp://x/", "transport": "carrier pigeon"}, "value must be one of"),
    ],
)
def test_mistakes_in_the_configuration_are_told(options: dict[str, object], words: str) -> None:
    with pytest.raises(vol.Invalid) as caught:
        vol.Schema(driver_options("stream"))(options)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def _photograph_until_lost(camera: Camera) -> None:
    """Photograph until the camera complains; what was under way when it was cut off may still arrive."""
    ends_at_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_at_s:
        camera.capture(SETTINGS)


def _until_it_photographs(camera: Camera) -> CapturedFrame:
    taken: list[CapturedFrame] = []

    def photographs() -> bool:
        try:
            taken.append(camera.capture(SETTINGS))
        except CameraLostError:
            return False
        return True

    wait_until(photographs, what="a picture after the camera came back")
    return taken[0]


def _complaint(camera: Camera) -> str:
    try:
        camera.capture(SETTINGS)
    except CameraError as error:
        return str(error)
    return ""


def _complains(camera: Camera, words: str) -> bool:
    return words in _complaint(camera)


def _until_it_starts(camera: Camera) -> None:
    """Start a camera whose server takes its time, and takes one connection alone."""

    def starts() -> bool:
        try:
            camera.start()
        except CameraLostError:
            return False
        return True

    wait_until(starts, what="the first picture")
