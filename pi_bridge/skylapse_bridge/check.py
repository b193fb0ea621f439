"""Whether everything is there that a bridge needs: each part is tried and gets a verdict and an advice.

The check may run beside the bridge: the cameras are left to it then, and what it says of them is read from
the broker. What is published to see whether it may be is an answer that nobody waits for.
"""

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import aiohttp

from skylapse_protocol.errors import ProtocolError
from skylapse_protocol.messages import CameraState, Reply
from skylapse_protocol.snapshot import Plan
from skylapse_protocol.topics import COMMAND, PLAN, REPLY, SNAPSHOT, STATE, UPLINK, decode, encode

from .aiming import Purpose
from .camera.factory import CameraConfig
from .clock import Clock
from .config import BridgeConfig, MqttConfig, ProcessorConfig
from .deployment import Deployment, misfit
from .errors import CameraBusyError, CameraEndError, CameraError
from .frame_files import free_bytes
from .health import frames_planned
from .kernel_time import KernelTime, kernel_time
from .mqtt import Visit, Visitor
from .one_picture import opened
from .shooting import AUTOMATIC
from .timesync import ServerTime, compare, health_address

Verdict = Literal["ok", "warning", "problem"]

_FRAME_BYTES = 4_000_000
_FRAMES_A_DAY = 5760.0
_DAY = timedelta(days=1)
_TOLERANCE_S = 2.0
_PATIENCE_S = 10.0
_HELP_WITH_CAMERA = {
    "picamera": "`rpicam-hello --list-cameras` must show it; else check the ribbon cable and `dtoverlay`",
    "v4l2": "`skylapse-bridge cameras` lists what is plugged in",
    "stream": "open the same address with another player on this machine",
    "http": "fetch the same address with curl on this machine",
    "folder": "put JPEGs into the folder, or set `at_end: loop`",
}
_BUSY = ("busy", "in use by another process")
"""What the kernel and libcamera say of a camera that somebody else has."""

_HELP_WITH_BUSY = "end the program that has it; `fuser /dev/video* /dev/media*` names it"
_HELP_WITH_ANY_CAMERA = "`skylapse-bridge cameras` lists what is there"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What came out for one part."""

    part: str
    verdict: Verdict
    found: str
    advice: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """What is left on the disk for frames, and how many come a day."""

    free_bytes: int
    frame_bytes: float
    frames_a_day: float
    planned: bool
    """The frames are those of the deployed plans, not an assumption."""


async def check(config: BridgeConfig, clock: Clock) -> list[Finding]:
    """Try everything that the configuration names."""
    visit = _visit(config.id, config.mqtt, [camera.id for camera in config.cameras]) if config.mqtt else None
    states = _states(config, visit)
    findings, sizes = [], []
    for camera in config.cameras:
        finding, size = await _check_camera(config, camera, clock, states.get(camera.id))
        findings.append(finding)
        sizes += [size] if size else []
    findings += _check_deployed(config, clock.now())
    findings.append(_check_disk(config, clock.now(), max(sizes, default=None)))
    processor, told = await _check_processor(config.processor, clock)
    findings += [judge_clock(kernel_time(), told, simulated=clock.simulated is not None)]
    findings += [judge_broker(config.mqtt, visit), processor]
    return findings


# ---------------------------------------------------------------------- cameras


async def _check_camera(
    config: BridgeConfig, camera: CameraConfig, clock: Clock, state: CameraState | None
) -> tuple[Finding, int | None]:
    """Take a picture; return what came of it, and the picture's size in bytes."""
    part = f"camera {camera.id}"
    advice = _HELP_WITH_CAMERA.get(camera.driver, _HELP_WITH_ANY_CAMERA)
    began = time.monotonic()
    try:
        async with opened(config, camera, clock) as shooter:
            aim = await shooter.aim(Purpose(at=clock.now(), profile=AUTOMATIC), None)
            captured = await shooter.shoot(aim)
            model = shooter.info.model if shooter.info else camera.driver
    except CameraBusyError as error:
        return _judge_busy(part, str(error), state), None
    except CameraEndError as error:
        return Finding(part=part, verdict="warning", found=str(error), advice=advice), None
    except CameraError as error:
        if any(word in str(error).lower() for word in _BUSY):
            return Finding(part=part, verdict="warning", found=f"busy: {error}", advice=_HELP_WITH_BUSY), None
        return Finding(part=part, verdict="problem", found=str(error), advice=advice), None
    size = len(captured.jpeg)
    found = f"{model}: a picture of {captured.width}×{captured.height}, {size / 1e6:.1f} MB"
    return Finding(part=part, verdict="ok", found=f"{found}, in {time.monotonic() - began:.1f} s"), size


def _judge_busy(part: str, busy: str, state: CameraState | None) -> Finding:
    """Judge a camera that somebody else has by what the bridge says of it, where it says something."""
    if state is None:
        return Finding(part=part, verdict="ok", found=f"busy: {busy}")
    if state.last_error is not None:
        advice = "the bridge's log says more"
        return Finding(part=part, verdict="warning", found=f"busy: {busy}; {state.last_error}", advice=advice)
    next_at = (
        "nothing planned"
        if state.next_capture_at is None
        else f"next at {state.next_capture_at:%H:%M:%S} UTC"
    )
    return Finding(
        part=part,
        verdict="ok",
        found=f"busy: {busy}; {state.mode}, {state.counts.captured} captured, {next_at}",
    )


def _check_deployed(config: BridgeConfig, now: datetime) -> list[Finding]:
    """Return a problem for each camera whose plan cannot be photographed with its snapshot."""
    advice = "deploy a snapshot and a plan that fit each other, and time zones as in Europe/Berlin"
    findings = []
    for camera in config.cameras:
        deployed = Deployment(config.state_dir, config.id, camera.id)
        problem = misfit(deployed.load_plan(), deployed.load_snapshot(), now)
        if problem is not None:
            part = f"plan {camera.id}"
            findings.append(Finding(part=part, verdict="problem", found=problem, advice=advice))
    return findings


# ---------------------------------------------------------------------- disk


def _check_disk(config: BridgeConfig, now: datetime, frame_bytes: float | None) -> Finding:
    try:
        free = free_bytes(_writable(config.state_dir))
        sizes = [path.stat().st_size for path in (config.state_dir / "frames").glob("*/*")]
    except OSError as error:
        return Finding(
            part="disk",
            verdict="problem",
            found=f"the state folder cannot be used: {error}",
            advice=f"let the bridge's user own it: `chown -R skylapse {config.state_dir}`",
        )
    plans = _plans(config.state_dir, config)
    frames = sum(frames_planned(plan, now, now + _DAY) for plan in plans)
    limits = config.spool
    room = Room(
        free_bytes=min(limits.max_bytes - sum(sizes), free - limits.min_free_bytes),
        frame_bytes=frame_bytes or (fmean(sizes) if sizes else _FRAME_BYTES),
        frames_a_day=frames or _FRAMES_A_DAY * len(config.cameras),
        planned=bool(frames),
    )
    return judge_room(room, limits.keep_hours)


def _writable(folder: Path) -> Path:
    """Return the folder, or the one in which it can be made; raise OSError where neither can be used."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} may not be written to")
    return folder


def judge_room(room: Room, keep_hours: float) -> Finding:
    """Judge whether frames can wait for the processor as long as they are to be kept."""
    hours = max(room.free_bytes, 0) / (room.frames_a_day * room.frame_bytes) * 24
    pace = "as planned" if room.planned else "at one every 15 s from each camera"
    found = f"room for {hours:.0f} hours of frames {pace}, {room.frame_bytes / 1e6:.1f} MB each"
    advice = "give `state_dir` a larger disk, or change `spool.max_gb` and `spool.min_free_mb`"
    if hours < 1:
        return Finding(part="disk", verdict="problem", found=found, advice=advice)
    if hours < keep_hours:
        found += f"; `spool.keep_hours` asks for {keep_hours:.0f}"
        return Finding(part="disk", verdict="warning", found=found, advice=advice)
    return Finding(part="disk", verdict="ok", found=found)


def _plans(state_dir: Path, config: BridgeConfig) -> list[Plan]:
    plans = (Deployment(state_dir, config.id, camera.id).load_plan() for camera in config.cameras)
    return [plan for plan in plans if plan is not None]


# ---------------------------------------------------------------------- clock


def judge_clock(kernel: KernelTime, told: ServerTime | None, *, simulated: bool) -> Finding:
    """Judge the machine's clock by the kernel and by what the processor says."""
    off = told is not None and abs(told.offset_s) > told.error_s + _TOLERANCE_S
    beside = (
        "" if told is None else f"; {told.offset_s:+.1f} s (± {told.error_s:.1f} s) beside the processor's"
    )
    advice = "let a time server set it: `timedatectl set-ntp true`, and see `timedatectl timesync-status`"
    if simulated:
        return Finding(part="clock", verdict="ok", found="simulated, as the configuration asks for")
    if kernel.synchronised:
        found = (
            f"set by a time server, {kernel.offset_s:+.6f} s, at most {kernel.max_error_s:.3f} s off{beside}"
        )
        return Finding(
            part="clock", verdict="warning" if off else "ok", found=found, advice=advice if off else None
        )
    verdict: Verdict = "problem" if off else "warning"
    return Finding(part="clock", verdict=verdict, found=f"no time server sets it{beside}", advice=advice)


# ---------------------------------------------------------------------- broker


def _visit(bridge: str, config: MqttConfig, cameras: list[str]) -> Visit:
    """Visit the broker as the bridge would; an answer to nobody is published for each camera."""
    name = f"check-{secrets.token_hex(4)}"
    needed = [row.filter(config.root, bridge=bridge) for row in (SNAPSHOT, PLAN, COMMAND, UPLINK)]
    sayings = {}
    for camera in cameras:
        topic = REPLY.name(config.root, bridge=bridge, camera=camera)
        sayings[topic] = encode(REPLY, Reply(id=name, ok=True), topic)
    visitor = Visitor(config, client_id=f"skylapse-{bridge}-{name}", timeout_s=_PATIENCE_S)
    return visitor.visit(needed, [STATE.filter(config.root, bridge=bridge)], sayings)


def judge_broker(config: MqttConfig | None, visit: Visit | None) -> Finding:
    """Judge what came of the visit."""
    part = "broker"
    if config is None or visit is None:
        return Finding(part=part, verdict="warning", found="none is configured", advice="add `mqtt`")
    place = f"{config.host}:{config.port}"
    if visit.problem is not None:
        advice = "check `mqtt.host`, `port`, `username` and `password_file`, and that the broker runs"
        return Finding(part=part, verdict="problem", found=f"{place}: {visit.problem}", advice=advice)
    if visit.refused:
        found = f"{place}: connected, but {'; '.join(visit.refused)}"
        advice = f"let this user read and write `{config.root}/<bridge>/#` in the broker's access list"
        return Finding(part=part, verdict="problem", found=found, advice=advice)
    return Finding(part=part, verdict="ok", found=f"{place}: connected, may hear and say what it needs")


def _states(config: BridgeConfig, visit: Visit | None) -> Mapping[str, CameraState]:
    """Return what the bridge last said of its cameras."""
    states: dict[str, CameraState] = {}
    for topic, payload in (visit.retained if visit else {}).items():
        try:
            decoded = decode(topic, payload, config.mqtt.root if config.mqtt else "")
        except ProtocolError:
            continue
        if isinstance(decoded.message, CameraState):
            states[decoded.ids["camera"]] = decoded.message
    return states


# ---------------------------------------------------------------------- processor


async def _check_processor(config: ProcessorConfig | None, clock: Clock) -> tuple[Finding, ServerTime | None]:
    """Ask the processor whether it works and whether it knows the key; return what its clock says, too."""
    part = "processor"
    if config is None:
        found = "none is configured: frames stay in the spool"
        return Finding(part=part, verdict="warning", found=found, advice="add `processor`"), None
    try:
        key = config.key_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        advice = "make one on the processor's machine: `skylapse-processor keys add NAME`"
        return Finding(
            part=part, verdict="problem", found=f"the key cannot be read: {error}", advice=advice
        ), None
    told = None
    try:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            before = clock.now()
            async with session.get(health_address(config.url), allow_redirects=False) as answer:
                told = compare(answer.headers.get("Date", ""), before, clock.now())
                health = answer.status
            headers = {"Authorization": f"Bearer {key}"}
            async with session.get(
                f"{config.url}/api/v1/stats", headers=headers, allow_redirects=False
            ) as answer:
                accepted = answer.status
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        words = str(error) or "it does not answer"
        advice = "check `processor.url`, and that `skylapse-processor serve` runs there"
        return Finding(part=part, verdict="problem", found=f"{config.url}: {words}", advice=advice), told
    return judge_processor(config.url, health, accepted), told


def judge_processor(url: str, health: int, accepted: int) -> Finding:
    """Judge by the answers to a question without a key and to one with it."""
    part = "processor"
    if accepted in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        advice = "`skylapse-processor keys add NAME` on its machine makes one; it belongs into `key_file`"
        found = f"{url}: it works, but does not know this key"
        return Finding(part=part, verdict="problem", found=found, advice=advice)
    if health != HTTPStatus.OK or accepted != HTTPStatus.OK:
        found = f"{url}: what answers there ({health}, {accepted}) is no processor of Skylapse that works"
        return Finding(
            part=part, verdict="problem", found=found, advice="check `processor.url`; see its own log"
        )
    return Finding(part=part, verdict="ok", found=f"{url}: it works and knows the key")


def in_words(findings: list[Finding]) -> dict[str, Any]:
    """Return the findings as JSON values."""
    rows = [
        {"part": one.part, "verdict": one.verdict, "found": one.found, "advice": one.advice}
        for one in findings
    ]
    return {"ok": all(one.verdict != "problem" for one in findings), "findings": rows}
