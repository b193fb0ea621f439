"""A snapshot address as a camera: sign-in, pictures of all kinds, and everything that servers do wrong.

All servers are real ones on loopback: aiohttp's, and plain sockets for what no decent server would send.
"""

import asyncio
import io
import json
import logging
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import voluptuous as vol
from aiohttp import web
from PIL import Image

from skylapse_bridge.camera.factory import CameraConfig, driver_options, make_camera
from skylapse_bridge.camera.port import PREVIEW_BYTES, Camera, CaptureSettings
from skylapse_bridge.clock import Clock, ScaledClock
from skylapse_bridge.errors import CameraError, CameraLostError, UnsupportedError
from skylapse_protocol import messages
from tests.support.processes import free_port

from .digest_guard import NAME, PASSWORD, Guard
from .made import START, HandClock, picture

SETTINGS = CaptureSettings(at=START)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """An HTTP server whose answer is changed while it runs."""

    def __init__(self) -> None:
        self.port = free_port()
        self.answer: Handler = picture_of(picture())
        self.seen: list[web.Request] = []
        self._runner: web.AppRunner | None = None

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_get("/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=tls).start()

    async def stop(self) -> None:
        """Hang up."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        return await self.answer(request)

    def url(self, path: str = "/snap.jpg?channel=1") -> str:
        """The address of its pictures."""
        return f"http://127.0.0.1:{self.port}{path}"

    def camera(self, clock: Clock | None = None, **options: object) -> Camera:
        """A camera that asks this server."""
        return http_camera(str(options.pop("url", self.url())), clock, **options)


def http_camera(url: str, clock: Clock | None = None, **options: object) -> Camera:
    checked = vol.Schema(driver_options("http"))({"url": url, "timeout_s": 25, **options})
    config = CameraConfig(id="yard", name="Yard", driver="http", options=checked)
    return make_camera("roof", config, clock or HandClock())


def picture_of(data: bytes, kind: str = "image/jpeg", status: int = 200) -> Handler:
    async def respond(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=data, content_type=kind, status=status)

    return respond


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    one = Server()
    await one.start()
    yield one
    await one.stop()


async def failure(camera: Camera) -> CameraError:
    """What the camera says when it is started."""
    with pytest.raises(CameraError) as caught:
        await asyncio.to_thread(camera.start)
    return caught.value


async def shoot(camera: Camera, **settings: Any) -> Any:
    return await asyncio.to_thread(camera.capture, CaptureSettings(at=START, **settings))


async def test_the_camera_s_own_file_is_the_frame(server: Server) -> None:
    shot = picture(width=320, height=240, level=200)
    server.answer = picture_of(shot, "application/octet-stream")
    camera = server.camera(tone_curve="imx708")
    await asyncio.to_thread(camera.start)
    info = camera.capabilities()
    assert (info.width, info.height, info.driver, info.model) == (320, 240, "http", "127.0.0.1")
    assert not any((info.controls_exposure, info.controls_colour, info.brackets, info.focus, info.raw))
    frame = await shoot(camera)
    assert (frame.jpeg, frame.width, frame.captured_at, frame.tone_curve) == (shot, 320, START, "imx708")
    small = await asyncio.to_thread(camera.meter, SETTINGS)
    assert (small.width, small.height, small.tone_curve, small.seen_at) == (96, 72, "imx708", START)
    assert small.rgb[0] == pytest.approx(200, abs=2)
    assert len(await asyncio.to_thread(camera.preview)) <= PREVIEW_BYTES
    assert {request.raw_path for request in server.seen} == {"/snap.jpg?channel=1"}
    for refused in (lambda: camera.focus(1.0), lambda: camera.focus_figure(SETTINGS)):
        with pytest.raises(UnsupportedError):
            refused()


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
async def test_other_kinds_of_pictures_become_jpegs(server: Server, kind: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (80, 60), (200, 40, 90)).save(buffer, kind, lossless=True)
    server.answer = picture_of(buffer.getvalue())
    camera = server.camera()
    await asyncio.to_thread(camera.start)
    image = Image.open(io.BytesIO((await shoot(camera)).jpeg))
    assert (image.format, image.size) == ("JPEG", (80, 60))
    assert image.getpixel((40, 30)) == pytest.approx((200, 40, 90), abs=3)


async def test_pictures_spread_over_time_are_averaged_in_linear_light(server: Server) -> None:
    levels = iter([0, 0, 255, 0, 255])
    clock, asked = ScaledClock(messages.Clock(start=START, anchor=datetime.now(UTC), rate=1000)), []

    async def flash(_request: web.Request) -> web.StreamResponse:
        asked.append(clock.now())
        return web.Response(body=picture(level=next(levels)), content_type="image/jpeg")

    server.answer = flash
    camera = server.camera(clock)
    await asyncio.to_thread(camera.start)
    begun = clock.now()
    frame = await shoot(camera, average=4, over_s=400)
    assert all(begun + timedelta(seconds=100 * n) <= moment for n, moment in enumerate(asked[1:]))
    assert frame.averaged == 4
    assert Image.open(io.BytesIO(frame.jpeg)).getpixel((9, 9)) == pytest.approx((188, 188, 188), abs=2)


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-256-sess"])
async def test_digest_signs_in_and_outlives_stale_nonces(
    server: Server, tmp_path: Path, algorithm: str
) -> None:
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n", "utf-8")
    guard = server.answer = Guard(algorithm, others=('Basic realm="camera"',))
    camera = server.camera(username=NAME, password_file=str(secret))
    await asyncio.to_thread(camera.start)
    for _ in range(7):
        await shoot(camera)
    assert len(guard.used) == 8
    assert guard.nonces == 2
    assert not any(PASSWORD in request.headers.get("Authorization", "") for request in server.seen)


async def test_basic_signs_in_where_it_is_offered_and_allowed(server: Server) -> None:
    async def guard(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") == "Basic a2FtZXJhOmdlImhlaW0gw7w=":
            return web.Response(body=picture(), content_type="image/jpeg")
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})

    server.answer = guard
    camera = server.camera(username=NAME, password=PASSWORD)
    await asyncio.to_thread(camera.start)
    assert "Authorization" not in server.seen[0].headers
    assert "no way to sign in" in str(
        await failure(server.camera(username=NAME, password=PASSWORD, sign_in="digest"))
    )


async def test_a_token_is_sent_and_read_anew(server: Server, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first", "utf-8")

    async def guard(request: web.Request) -> web.StreamResponse:
        known = request.headers.get("Authorization") == "Bearer second"
        return web.Response(body=picture(), status=200 if known else 401)

    server.answer = guard
    camera = server.camera(token_file=str(token))
    assert str(await failure(camera)).endswith("refuses the token")
    token.write_text("second\n", "utf-8")
    await asyncio.to_thread(camera.start)
    assert (await shoot(camera)).width == 64


async def test_nothing_secret_is_in_messages_or_logs(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answer = Guard("MD5")
    url = server.url("/snap.jpg?key=t0psecret")
    told = [
        await failure(server.camera(url=url, username=NAME, password="wr0ng-one")),
        await failure(server.camera(url=url, username=NAME, password_file="/none/of/these")),
        await failure(server.camera(url=url)),
    ]
    words = [str(error) for error in told]
    assert "refuses the username or the password" in words[0]
    assert "/none/of/these cannot be read: No such file or directory" in words[1]
    assert "wants a username and a password" in words[2]
    everything = " ".join(
        [*words, *(record.getMessage() for record in caplog.records if "aiohttp" not in record.name)]
    )
    assert "wr0ng-one" not in everything
    assert "t0psecret" not in everything


async def test_redirects_stay_on_the_host(server: Server) -> None:
    async def wander(request: web.Request) -> web.StreamResponse:
        if request.path == "/snap.jpg":
            raise web.HTTPFound("/real.jpg")
        return web.Response(body=picture(), content_type="image/jpeg")

    server.answer = wander
    await asyncio.to_thread(server.camera().start)

    async def lure(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("http://localhost.example/take")

    server.answer = lure
    assert "localhost.example, where it was not told to go" in str(
        await failure(server.camera(username=NAME, password=PASSWORD))
    )

    async def circle(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/again")

    server.answer = circle
    assert "never to a picture" in str(await failure(server.camera()))


def large(width: int, height: int) -> bytes:
    """A JPEG that claims to be large; it is refused before its pixels are looked at."""
    shot = bytearray(picture())
    place = shot.index(b"\xff\xc0") + 5
    shot[place : place + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(shot)


@pytest.mark.parametrize(
    ("answer_of_server", "words"),
    [
        (
            picture_of(b"<!DOCTYPE html><title>Sign in</title>", "text/html"),
            "a web page instead of a picture",
        ),
        (picture_of(b""), "nothing instead of a picture"),
        (picture_of(b"GIF89a..."), "9 bytes of something else"),
        (picture_of(picture()[:-30]), "truncated"),
        (picture_of(b"\x89PNG\r\n\x1a\nnonsense"), "its PNG cannot be decoded"),
        (picture_of(picture(width=1, height=1)), "1×1 pixels, which is no picture"),
        (picture_of(large(20_000, 10_000)), "20000×10000 pixels, more than 128 million"),
        (picture_of(b"gone", status=404), "answers 404 Not Found"),
        (picture_of(b"", status=500), "answers 500 Internal Server Error"),
        (picture_of(bytes(3_000_000)), "sends 3000000 bytes, more than max_mb: 2"),
    ],
)
async def test_what_is_no_picture_is_told_and_the_next_one_is_taken(
    server: Server, answer_of_server: Handler, words: str
) -> None:
    camera = server.camera(max_mb=2)
    await asyncio.to_thread(camera.start)
    good, server.answer = server.answer, answer_of_server
    with pytest.raises(CameraError, match=words):
        await shoot(camera)
    server.answer = good
    assert (await shoot(camera)).width == 64


async def raw_answers(*answers: bytes, port: int) -> asyncio.Server:
    """A server that says these bytes, one answer a connection, and then keeps silent for ever."""
    waiting = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(waiting.pop(0))
        await writer.drain()
        await reader.read()
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", port)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"


@pytest.mark.parametrize(
    ("said", "words", "timeout_s"),
    [
        (b"", "does not answer in time", 0.5),
        (HEAD, "does not answer in time", 0.5),
        (HEAD + b"Content-Length: 5000\r\n\r\n\xff\xd8\xff", "does not answer in time", 0.5),
        (HEAD + b"Content-Length: 4294967296\r\n\r\n\xff\xd8\xff", "4294967296 bytes, more than max_mb", 25),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0", 25),
    ],
)
async def test_a_server_that_hangs_or_lies_is_told_in_time(said: bytes, words: str, timeout_s: float) -> None:
    port = free_port()
    server = await raw_answers(said, port=port)
    try:
        error = await failure(http_camera(f"http://127.0.0.1:{port}/", timeout_s=timeout_s))
    finally:
        server.close()
        await server.wait_closed()
    assert words in str(error)


async def test_a_server_that_drips_is_given_up_when_the_time_is_over(server: Server) -> None:
    async def patient(request: web.Request) -> web.StreamResponse:
        slow = web.StreamResponse(headers={"Content-Length": "5000000"})
        await slow.prepare(request)
        ticks = asyncio.Event()
        while request.transport is not None and not request.transport.is_closing():
            await slow.write(b"\xff")
            asyncio.get_running_loop().call_later(0.05, ticks.set)
            await ticks.wait()
            ticks.clear()
        return slow

    server.answer = patient
    error = await failure(server.camera(timeout_s=0.5))
    assert isinstance(error, CameraLostError)
    assert "does not answer in time" in str(error)


async def test_names_redirects_and_tls_share_one_deadline(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow_redirect(request: web.Request) -> web.StreamResponse:
        if request.path == "/4":
            return web.Response(body=picture(), content_type="image/jpeg")
        ready = asyncio.Event()
        asyncio.get_running_loop().call_later(0.4, ready.set)
        await ready.wait()
        raise web.HTTPFound(f"/{int(request.path[1:]) + 1}")

    server.answer = slow_redirect
    late = await failure(server.camera(url=server.url("/0"), timeout_s=1))
    assert str(late).endswith("does not answer in time")
    assert not any(request.path == "/4" for request in server.seen)
    port = free_port()
    silent = await raw_answers(b"", port=port)
    try:
        mute = await failure(http_camera(f"https://127.0.0.1:{port}/", timeout_s=0.5))
    finally:
        silent.close()
        await silent.wait_closed()
    assert str(mute).endswith("does not answer in time")
    known = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: known.wait() and [])
    nameless = await failure(http_camera(f"http://127.0.0.1:{port}/", timeout_s=0.5))
    known.set()
    assert str(nameless).endswith("does not answer in time")


async def test_a_host_of_several_addresses_is_tried_at_each(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(_host: str, port: int, **_: object) -> list[Any]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
        return [(*kind, ("127.0.0.1", nobody)), (*kind, ("127.0.0.1", port))]

    nobody = free_port()
    monkeypatch.setattr(socket, "getaddrinfo", both)
    camera = server.camera()
    await asyncio.to_thread(camera.start)
    assert (await shoot(camera)).width == 64


async def test_a_camera_that_hangs_up_is_lost_and_comes_back(server: Server) -> None:
    camera = server.camera()
    await asyncio.to_thread(camera.start)

    async def hang_up(request: web.Request) -> web.StreamResponse:
        half = web.StreamResponse(headers={"Content-Length": "5000"})
        await half.prepare(request)
        await half.write(picture()[:300])
        assert request.transport is not None
        request.transport.close()
        return half

    server.answer = hang_up
    with pytest.raises(CameraLostError, match=r"hangs up after \d+ of 5000 bytes"):
        await shoot(camera)
    await server.stop()
    with pytest.raises(CameraLostError, match="Connection refused"):
        await shoot(camera)
    server.answer = picture_of(picture(width=96))
    await server.start()
    await asyncio.to_thread(camera.start)
    assert (await shoot(camera)).width == 96


def make_certificate(key: Path, certificate: Path) -> None:
    names = ["-subj", "/CN=camera", "-addext", "subjectAltName=IP:127.0.0.1"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    command = ["openssl", "req", "-x509", *kind, *names, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)


async def test_certificates_are_checked_unless_told_otherwise(server: Server, tmp_path: Path) -> None:
    pair = tmp_path / "pair.pem"
    key = tmp_path / "key.pem"
    await asyncio.to_thread(make_certificate, key, pair)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair, key)
    await server.stop()
    await server.start(tls)
    url = server.url().replace("http:", "https:")
    assert "self-signed certificate" in str(await failure(server.camera(url=url)))
    assert "holds no certificates" in str(await failure(server.camera(url=url, ca_file=str(key))))
    for options in ({"ca_file": str(pair)}, {"tls_verify": False}):
        await asyncio.to_thread(server.camera(url=url, **options).start)
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "rtsp://x/"}, "begins with http"),
        ({"url": "http:///x"}, "names no host"),
        ({"url": "http://me:secret@x/"}, "belong into username"),
        ({"url": "http://x/", "password": "a", "password_file": "b"}, "same group of exclusion"),
        ({"url": "http://x/", "timeout_s": 60}, "at most 25"),
        ({"url": "http://x/", "tone_curve": "vivid"}, "value must be one of"),
    ],
)
def test_mistakes_in_the_configuration_are_told(options: dict[str, object], words: str) -> None:
    with pytest.raises(vol.Invalid) as caught:
        vol.Schema(driver_options("http"))(options)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_arrays_and_films_are_not_loaded_for_snapshots_and_folders(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "1.jpg").write_bytes(picture())
    program = (
        "import sys, json, datetime\n"
        "from skylapse_bridge import service\n"
        "from skylapse_bridge.clock import RealClock\n"
        "from skylapse_bridge.camera.factory import *\n"
        "from skylapse_bridge.camera.port import CaptureSettings\n"
        "import voluptuous as vol\n"
        "at = CaptureSettings(at=datetime.datetime.now(datetime.UTC))\n"
        "for driver, options in json.loads(sys.argv[1]).items():\n"
        "    options = vol.Schema(driver_options(driver))(options)\n"
        "    config = CameraConfig(id='c', name='c', driver=driver, options=options)\n"
        "    camera = make_camera('roof', config, RealClock())\n"
        "    camera.start(); camera.meter(at); camera.capture(at); camera.preview(); camera.stop()\n"
        "print([name for name in ('numpy', 'av', 'picamera2') if name in sys.modules])\n"
    )
    drivers = json.dumps({"http": {"url": server.url()}, "folder": {"path": str(tmp_path), "at_end": "loop"}})
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program, drivers], check=True, capture_output=True, text=True
    )
    assert ended.stdout.strip() == "[]"
