"""Recordings to frames, beside ffmpeg on the same recording."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import inputs
from .figures import Figure
from .programs import ffmpeg

SECONDS = 40
RATE = 30
ROUNDS = 3


def run(work: Path) -> list[Figure]:
    """Measure how many times faster than it plays a recording of 1080p is taken apart."""
    recording = _recording(work)
    return [
        _beside(recording, work, "one frame a second", ["--rate", "1"], ["-vf", "fps=1"], 10.0),
        _beside(recording, work, "every frame", ["--rate", str(RATE)], [], None),
    ]


def _recording(work: Path) -> Path:
    """Return a recording of the computed camera, H.264 as cameras write it."""
    stills, recording = inputs.twin(work / "stills", 60, "1920x1080"), work / "recording.mp4"
    loop = ["-stream_loop", str(SECONDS * RATE // 60 - 1), "-framerate", str(RATE)]
    coding = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt", "yuv420p"]
    subprocess.run(
        [ffmpeg(), "-v", "error", *loop, "-i", f"{stills}/%04d.jpg", *coding, str(recording)], check=True
    )
    return recording


def _beside(
    recording: Path, work: Path, what: str, ours: list[str], theirs: list[str], bound: float | None
) -> Figure:
    """Return the best of some rounds of each, by turns."""
    frames = [sys.executable, "-m", "skylapse_processor", "frames", str(recording), "-o"]
    peer = [ffmpeg(), "-v", "error", "-i", str(recording), *theirs, "-q:v", "2"]
    best, peer_best = float("inf"), float("inf")
    for _ in range(ROUNDS):
        best = min(best, _seconds(lambda folder: [*frames, str(folder), *ours], work / "ours"))
        peer_best = min(peer_best, _seconds(lambda folder: [*peer, f"{folder}/%06d.jpg"], work / "theirs"))
    return Figure(
        figure=f"times faster than it plays, recording of 1080p, {what}",
        value=round(SECONDS / best, 1),
        unit="×",
        bound=bound,
        better="above",
        peer="ffmpeg",
        peer_value=round(SECONDS / peer_best, 1),
    )


def _seconds(command: Callable[[Path], list[str]], folder: Path) -> float:
    folder.mkdir()
    started = time.monotonic()
    subprocess.run(command(folder), check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - started
    shutil.rmtree(folder)
    return seconds
