"""Films: flicker and clouds beside ffmpeg's deflicker, wall time and memory beside ffmpeg itself."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import inputs
from .figures import Figure
from .score import Score, score

CURVE = "imx519"
"""The tone curve of the twin's default sensor."""

BOUNDS = {"records": (2.0, 0.80), "EXIF only": (4.0, 0.75), "no facts": (5.0, None)}
"""Flicker in mEV and share of clouds, by what is known of the exposure."""

DEFLICKER = {"its default": "deflicker", "size=31": "deflicker=size=31:mode=am"}
LARGE_CHAIN = "scale=-2:1080:flags=bicubic,deflicker,format=yuv420p"
ROUNDS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What a program took."""

    seconds: float
    peak_mb: float


def run(work: Path) -> list[Figure]:
    """Measure films."""
    return [*flicker(work), *large_pictures(work), *many_frames(work)]


def flicker(work: Path) -> list[Figure]:
    """Measure flicker and clouds on the twin, by what is known of the exposure."""
    recorded = inputs.twin(work / "records", 300, "480x270")
    folders = {
        "records": recorded,
        "EXIF only": inputs.without_records(recorded, work / "exif"),
        "no facts": inputs.without_facts(recorded, work / "nothing"),
    }
    peers = {name: _ffmpeg_score(recorded, work, chain) for name, chain in DEFLICKER.items()}
    rival = peers["size=31"]
    figures = []
    for facts, folder in folders.items():
        film = work / f"{folder.name}.mp4"
        _render(folder, film)
        ours, (most, least) = score(film, recorded, CURVE), BOUNDS[facts]
        figures += [
            Figure(
                figure=f"flicker of 300 frames, {facts}",
                value=round(ours.flicker_mev, 2),
                unit="mEV",
                bound=most,
                peer="ffmpeg deflicker=size=31",
                peer_value=round(rival.flicker_mev, 2),
            ),
            Figure(
                figure=f"clouds kept, {facts}",
                value=round(ours.clouds_kept, 3),
                unit="share",
                bound=least,
                better="above",
                peer="ffmpeg deflicker=size=31",
                peer_value=round(rival.clouds_kept, 3),
            ),
        ]
    return [*figures, *_others(recorded, work, peers["its default"])]


def _others(recorded: Path, work: Path, default: Score) -> list[Figure]:
    """Return what was photographed, beside ffmpeg's default."""
    film = work / "raw.mp4"
    _render(recorded, film, "--recipe", "raw")
    raw = score(film, recorded, CURVE)
    return [
        Figure(
            figure="flicker as photographed",
            value=round(raw.flicker_mev, 2),
            unit="mEV",
            peer="ffmpeg deflicker",
            peer_value=round(default.flicker_mev, 2),
        ),
        Figure(
            figure="clouds as photographed",
            value=round(raw.clouds_kept, 3),
            unit="share",
            peer="ffmpeg deflicker",
            peer_value=round(default.clouds_kept, 3),
        ),
    ]


def large_pictures(work: Path) -> list[Figure]:
    """Measure 120 frames of 16 megapixels to 1080p, by turns with ffmpeg, the best of each."""
    folder = inputs.twin(work / "large", 120, "4656x3496")
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_render(folder, work / "large.mp4"))
        theirs.append(_ffmpeg(folder, work / "peer.mp4", LARGE_CHAIN))
    shutil.rmtree(folder)
    seconds, peer_seconds = (min(run.seconds for run in runs) for runs in (ours, theirs))
    peak, peer_peak = (max(run.peak_mb for run in runs) for runs in (ours, theirs))
    work_done = "120 × 16 MP → 1080p"
    return [
        _beside(f"wall time ÷ ffmpeg's, {work_done}", seconds / peer_seconds, "×", 0.65, 1.0),
        _beside(f"wall time, {work_done}", seconds, "s", None, peer_seconds),
        _beside(f"peak memory ÷ ffmpeg's, {work_done}", peak / peer_peak, "×", 0.65, 1.0),
        _beside(f"peak memory, {work_done}", peak, "MB", 450, peer_peak),
    ]


def many_frames(work: Path) -> list[Figure]:
    """Measure a thousand frames of 1080p."""
    short = inputs.twin(work / "short", 100, "1920x1080")
    done = _render(inputs.back_and_forth(short, work / "long", 1000), work / "long.mp4")
    expected = "20 minutes, as printernizer documents"
    return [
        Figure(
            figure="wall time, 1,000 frames of 1080p",
            value=round(done.seconds, 1),
            unit="s",
            bound=90,
            peer=expected,
            peer_value=1200,
        ),
        Figure(figure="peak memory, 1,000 frames of 1080p", value=round(done.peak_mb), unit="MB", bound=450),
    ]


def _beside(figure: str, value: float, unit: str, bound: float | None, peer_value: float) -> Figure:
    return Figure(
        figure=figure,
        value=round(value, 3),
        unit=unit,
        bound=bound,
        peer="ffmpeg",
        peer_value=round(peer_value, 3),
    )


def _ffmpeg_score(folder: Path, work: Path, chain: str) -> Score:
    """Score ffmpeg's film, converted to BT.709 as ours is: that is what the score decodes."""
    to_bt709 = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
    _ffmpeg(folder, work / "peer.mp4", f"{chain},{to_bt709}", "-colorspace", "bt709", "-color_range", "tv")
    return score(work / "peer.mp4", folder, CURVE)


def _render(folder: Path, film: Path, *more: str) -> Run:
    program = [sys.executable, "-m", "skylapse_processor", "render", str(folder)]
    done, words = _timed([*program, "-o", str(film), "--json", *more])
    return Run(seconds=done.seconds, peak_mb=json.loads(words)["peak_rss_mb"])


def _ffmpeg(folder: Path, film: Path, chain: str, *more: str) -> Run:
    """Run Debian's ffmpeg with the same x264 preset and quality."""
    program = [_ffmpeg_program(), "-v", "error", "-y", "-framerate", "30", "-i", str(folder / "%04d.jpg")]
    words = f"-c:v libx264 -preset medium -crf 20 -vf {chain}".split()
    return _timed([*program, *words, *more, str(film)])[0]


def _ffmpeg_program() -> str:
    tools = Path(__file__).parent.parent / ".tools" / "bin"
    found = shutil.which("ffmpeg", path=f"{os.environ['PATH']}{os.pathsep}{tools}")
    if found is None:
        raise SystemExit("bench: ffmpeg is missing: make tools brings Debian's")
    return found


def _timed(command: Sequence[str]) -> tuple[Run, str]:
    """Run a program; return what it took, and what it printed."""
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        words = program.stdout.read() if program.stdout else ""
        _, status, usage = os.wait4(program.pid, 0)
        program.returncode = os.waitstatus_to_exitcode(status)
    if program.returncode:
        raise SystemExit(f"bench: {command[0]} ended with {program.returncode}")
    seconds = time.monotonic() - started
    return Run(seconds=seconds, peak_mb=usage.ru_maxrss * 1024 / 1e6), words
