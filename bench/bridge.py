"""The bridge: its own CPU and memory a frame, ticks kept by four cameras, two bridges on one clock."""

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from demo.broker import Broker
from demo.processes import Program, answers, free_port
from demo.waiting import wait_until
from skylapse_bridge.camera.factory import CameraConfig, make_camera
from skylapse_bridge.camera.port import CaptureSettings
from skylapse_bridge.clock import RealClock
from skylapse_bridge.deployment import Deployment
from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.messages import CameraEvent
from skylapse_protocol.records import FrameRecord
from skylapse_protocol.snapshot import Metering, Plan, Profile, Snapshot, WhiteBalance, Window
from skylapse_protocol.topics import EVENT, FRAME, decode

from . import inputs
from .figures import Figure

ROOT = Path(__file__).resolve().parent.parent
UNIT = ROOT / "pi_bridge" / "skylapse-bridge.service"
START_S = 60.0
WARM_UP = 10
FRAMES = 60
TICKS = 60
SIZES = ((640, 360), (1920, 1080))
"""Small pictures show what the bridge itself can do; large ones are computed on the same processors."""

CAMERAS = ("north", "east", "south", "west")
TICKS_TOGETHER = 20


def run(work: Path) -> list[Figure]:
    """Measure the bridge."""
    with ExitStack() as stack:
        broker = Broker(work / "broker")
        broker.start()
        stack.callback(broker.stop)
        ear = Ear(broker.port)
        stack.callback(ear.stop)
        return [
            *own_work(work, broker, ear),
            *(four_cameras(work, broker, ear, size) for size in SIZES),
            *together(work, broker, ear),
        ]


class Ear:
    """Hears every frame and every event on the broker."""

    def __init__(self, port: int) -> None:
        self.frames: list[FrameRecord] = []
        self.events: list[CameraEvent] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.on_message = self._hear
        self._client.on_connect = lambda client, *_: client.subscribe([("skylapse/#", 1)])
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def stop(self) -> None:
        """Go away."""
        self._client.disconnect()
        self._client.loop_stop()

    def _hear(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        try:
            decoded = decode(message.topic, bytes(message.payload))
        except ProtocolError:
            return
        if decoded.topic is FRAME and isinstance(decoded.message, FrameRecord):
            self.frames.append(decoded.message)
        elif decoded.topic is EVENT and isinstance(decoded.message, CameraEvent):
            self.events.append(decoded.message)

    def of(self, bridge: str) -> list[FrameRecord]:
        """Return what one bridge has photographed."""
        return [frame for frame in list(self.frames) if frame.bridge == bridge]


# ---------------------------------------------------------------------- own CPU and memory


def own_work(work: Path, broker: Broker, ear: Ear) -> list[Figure]:
    """Measure what a frame of 1080p costs the bridge, its upload to a real processor included.

    The camera is a folder: its capture is one read of a file, its metering one small decoding.
    """
    pictures = inputs.twin(work / "pictures", 20, "1920x1080")
    processor = Processor(work, broker)
    processor.start()
    camera: dict[str, object] = {"id": "west", "driver": "folder", "path": str(pictures), "at_end": "loop"}
    site = Site(work, "alone", [camera], broker, interval_s=0.5, processor=processor)
    site.program.start()
    wait_until(lambda: len(ear.of("alone")) >= WARM_UP, timeout_s=START_S, what="the first frames")
    before, frames_before = cpu_s(site.program.pid), len(ear.of("alone"))
    wait_until(
        lambda: len(ear.of("alone")) >= frames_before + FRAMES, timeout_s=FRAMES + START_S, what="frames"
    )
    after, frames = cpu_s(site.program.pid), len(ear.of("alone")) - frames_before
    peak_mb = highest_mb(site.program.pid)
    site.program.stop()
    processor.program.stop()
    whole_ms, camera_ms = 1000 * (after - before) / frames, camera_cpu_ms(pictures)
    return [
        Figure(
            figure="bridge: own CPU a frame of 1080p, beside the camera's",
            value=round(whole_ms - camera_ms, 2),
            unit="ms",
            bound=25,
        ),
        Figure(figure="bridge: the camera's own CPU a frame (folder)", value=round(camera_ms, 2), unit="ms"),
        Figure(
            figure="bridge: highest memory without picamera2", value=round(peak_mb, 1), unit="MB", bound=80
        ),
    ]


def camera_cpu_ms(pictures: Path) -> float:
    """Return the CPU time that the camera itself takes for a frame: one metering, one capture."""
    options = {"path": str(pictures), "at_end": "loop"}
    config = CameraConfig(id="west", name="West", driver="folder", options=options)
    camera = make_camera("alone", config, RealClock())
    camera.start()
    settings = CaptureSettings(at=datetime.now(UTC))
    began = time.thread_time()
    for _ in range(FRAMES):
        camera.meter(settings)
        camera.capture(settings)
    camera.stop()
    return 1000 * (time.thread_time() - began) / FRAMES


class Processor:
    """A real processor, and the key that it knows."""

    def __init__(self, work: Path, broker: Broker) -> None:
        port = free_port()
        self.url, self.key_file = f"http://127.0.0.1:{port}", work / "key"
        self._port = port
        self._config = work / "processor.yaml"
        settings = {
            "store": {"path": str(work / "store"), "min_free_percent": 1, "ballast_mb": 1},
            "http": {"port": port},
            "mqtt": {"host": broker.host, "port": broker.port},
        }
        self._config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        command = [sys.executable, "-m", "skylapse_processor", "serve", "--config", str(self._config)]
        self.program = Program("processor", command, log_path=work / "processor.log")

    def start(self) -> None:
        """Make the key, then serve."""
        words = ["keys", "add", "bench", "--config", str(self._config), "--out", str(self.key_file)]
        subprocess.run([sys.executable, "-m", "skylapse_processor", *words], check=True, capture_output=True)
        self.program.start()
        wait_until(lambda: answers(self._port), timeout_s=START_S, what="the processor")


# ---------------------------------------------------------------------- ticks


def four_cameras(work: Path, broker: Broker, ear: Ear, size: tuple[int, int]) -> Figure:
    """Count the ticks that four computed cameras miss at one frame a second each."""
    width, height = size
    bridge = f"four-{height}"
    cameras = [
        {"id": name, "driver": "twin", "seed": seed, "width": width, "height": height}
        for seed, name in enumerate(CAMERAS, 1)
    ]
    site = Site(work, bridge, cameras, broker, interval_s=1.0)
    site.program.start()

    def begun() -> bool:
        return {frame.camera for frame in ear.of(bridge)} == set(CAMERAS)

    wait_until(begun, timeout_s=2 * START_S, what="four cameras")
    first = max(frame.captured_at for frame in ear.of(bridge)) + timedelta(seconds=2)
    last = first + timedelta(seconds=TICKS)
    wait_until(
        lambda: any(frame.captured_at > last + timedelta(seconds=2) for frame in ear.of(bridge)),
        timeout_s=TICKS + START_S,
        what="a minute of ticks",
    )
    site.program.stop()
    taken = {(frame.camera, frame.captured_at) for frame in ear.of(bridge)}
    kept = sum(first <= captured_at < last for _, captured_at in taken)
    ticks = TICKS * len(CAMERAS)
    name = f"bridge: ticks missed of {ticks}, 4 twins of {width}×{height} at 1 frame a second"
    return Figure(figure=name, value=ticks - kept, unit="", bound=0)


def together(work: Path, broker: Broker, ear: Ear) -> list[Figure]:
    """Measure how far apart two bridges begin to expose at the same tick."""
    camera: dict[str, object] = {"id": "west", "driver": "twin", "width": 640, "height": 360}
    sites = [Site(work, name, [camera], broker, interval_s=1.0) for name in ("left", "right")]
    for site in sites:
        site.program.start()

    def apart() -> list[float]:
        begun: dict[datetime, list[int]] = defaultdict(list)
        for name in ("left", "right"):
            for frame in ear.of(name):
                begun[frame.captured_at].append(frame.monotonic_ns)
        return [abs(pair[0] - pair[1]) / 1e6 for pair in begun.values() if len(pair) == 2]

    wait_until(
        lambda: len(apart()) >= TICKS_TOGETHER, timeout_s=TICKS_TOGETHER + START_S, what="ticks of two"
    )
    for site in sites:
        site.program.stop()
    name = f"bridge: two bridges apart at the same tick, worst of {TICKS_TOGETHER}"
    return [Figure(figure=name, value=max(apart()), unit="ms", bound=20)]


# ---------------------------------------------------------------------- parts


class Site:
    """A bridge with a plan for the next hour."""

    def __init__(
        self,
        work: Path,
        name: str,
        cameras: Sequence[dict[str, object]],
        broker: Broker,
        *,
        interval_s: float,
        processor: Processor | None = None,
    ) -> None:
        folder = work / name
        folder.mkdir()
        settings: dict[str, object] = {
            "bridge": {"id": name},
            "state_dir": "state",
            "mqtt": {"host": broker.host, "port": broker.port},
            "cameras": list(cameras),
            "spool": {"min_free_mb": 1},
        }
        if processor is not None:
            settings["processor"] = {"url": processor.url, "key_file": str(processor.key_file)}
        config = folder / "bridge.yaml"
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        for camera in cameras:
            deployment = Deployment(folder / "state", name, str(camera["id"]))
            deployment.keep_plan(_plan(interval_s))
            deployment.keep_snapshot(_snapshot())
        self.program = Program(
            name,
            [sys.executable, "-m", "skylapse_bridge", "run", "--config", str(config)],
            log_path=folder / "bridge.log",
            environment=environment_of_the_unit(),
        )


def environment_of_the_unit() -> dict[str, str]:
    """Return the variables that systemd sets for a bridge."""
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    words = [line.removeprefix("Environment=") for line in lines if line.startswith("Environment=")]
    return dict(word.split("=", 1) for word in words)


def _plan(interval_s: float) -> Plan:
    now = datetime.now(UTC)
    window = Window(
        id="bench",
        schedule="bench",
        day=now.date().isoformat(),
        starts_at=now - timedelta(minutes=1),
        ends_at=now + timedelta(hours=1),
        interval_s=interval_s,
        profiles=("bench",),
    )
    return Plan(revision=1, created_at=now, time_zone="UTC", windows=(window,))


def _snapshot() -> Snapshot:
    balance, metering = WhiteBalance(mode="auto"), Metering(mode="matrix")
    profile = Profile(id="bench", name="Bench", version=1, metering=metering, white_balance=balance)
    return Snapshot(id="bench", version=1, created_at=datetime.now(UTC), profiles=(profile,))


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def highest_mb(pid: int) -> float:
    """Return the most memory that a process ever had."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    line = next(line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6
