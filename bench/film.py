"""Films: flicker and clouds beside ffmpeg's deflicker, wall time and memory beside ffmpeg itself."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skylapse_bridge.twin import write
from skylapse_processor import decode, tone
from skylapse_processor.frames import SourceFrame, read_folder
from skylapse_processor.recipe.interpolate import between
from skylapse_processor.recipe.layer import Light, Picture
from tests.processor.brackets import write_brackets

from . import inputs, steps
from .figures import Figure
from .programs import ffmpeg
from .score import Score, score

CURVE = "imx519"
"""The tone curve of the twin's default sensor."""

BOUNDS = {"records": (2.0, 0.80), "EXIF only": (4.0, 0.75), "no facts": (5.0, None)}
"""Flicker in mEV and share of clouds, by what is known of the exposure."""

DEFLICKER = {"its default": "deflicker", "size=31": "deflicker=size=31:mode=am"}
CHAIN = "scale=-2:{rows}:flags=bicubic,deflicker,format=yuv420p"
ROUNDS = 3
BRACKETS = 32
MOST_MB = 450
_LOOK_S = 0.02


LAYERED = {
    "caption": ("--set", "overlay=on"),
    "shutter of 180°": ("--set", "blend=on"),
    "pan and zoom": ("--set", "panzoom=on"),
    "twice as many frames": ("--set", "interpolate=on", "--length", "4"),
    "steady": ("--recipe", "steady"),
    "steady, widest median": (
        *("--recipe", "steady", "--set", "denoise.radius=3"),
        *("--set", "denoise.method=median"),
    ),
    "most pictures held": ("--set", "blend.every=19", "--set", "blend.shutter_deg=360"),
    "longest shutter": ("--set", "blend.every=10", "--set", "blend.shutter_deg=7200"),
    "surplus merged": ("--set", "interpolate.surplus=merge", "--set", "interpolate.length_s=0.1"),
}
"""Steps and how they are asked for; the last three hold as many pictures as any values that are allowed."""
NIGHT = ("--recipe", "startrail", "--set", "startrail.brighter_ev=5")
"""Of pictures that do not tell where the sun stood, none is too early."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What a program took."""

    seconds: float
    peak_mb: float
    frames: int = 0


def run(work: Path) -> list[Figure]:
    """Measure films."""
    return [
        *flicker(work),
        *large_pictures(work),
        *same_size(work),
        *many_frames(work),
        *layers(work),
        *steps.run(work),
    ]


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
    """Measure frames of 16 megapixels, 120 to 1080p and 40 of them to 4K."""
    folder = inputs.twin(work / "large", 120, "4656x3496")
    figures = _by_turns(folder, work, "120 × 16 MP → 1080p", 1080, Run(seconds=0.65, peak_mb=0.65))
    few = inputs.first(folder, work / "large-few", 40)
    figures += _by_turns(few, work, "40 × 16 MP → 4K", 2160, Run(seconds=1.0, peak_mb=1.0), "--size", "4k")
    shutil.rmtree(folder)
    return figures


def same_size(work: Path) -> list[Figure]:
    """Measure 120 frames of 1080p to 1080p."""
    folder = inputs.twin(work / "same", 120, "1920x1080")
    return _by_turns(folder, work, "120 × 1080p → 1080p", 1080, Run(seconds=1.0, peak_mb=1.0))


def _by_turns(folder: Path, work: Path, work_done: str, rows: int, bounds: Run, *words: str) -> list[Figure]:
    """Measure a film by turns with ffmpeg, the best of each; bounds are relative to ffmpeg."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_render(folder, work / "ours.mp4", *words))
        theirs.append(_ffmpeg(folder, work / "peer.mp4", CHAIN.format(rows=rows)))
    seconds, peer_seconds = (min(run.seconds for run in runs) for runs in (ours, theirs))
    peak, peer_peak = (max(run.peak_mb for run in runs) for runs in (ours, theirs))
    most_mb = MOST_MB if rows <= 1080 else None
    return [
        _beside(f"wall time ÷ ffmpeg's, {work_done}", seconds / peer_seconds, "×", bounds.seconds, 1.0),
        _beside(f"wall time, {work_done}", seconds, "s", None, peer_seconds),
        _beside(f"peak memory ÷ ffmpeg's, {work_done}", peak / peer_peak, "×", bounds.peak_mb, 1.0),
        _beside(f"peak memory, {work_done}", peak, "MB", most_mb, peer_peak),
    ]


def layers(work: Path) -> list[Figure]:
    """Measure films at 1080p of which every pixel is looked at, and what following motion gains."""
    folder = inputs.twin(work / "layers", 60, "1920x1080")
    figures = []
    dark = inputs.without_records(folder, work / "dark")
    films = {step: (folder, words) for step, words in LAYERED.items()} | {"startrail": (dark, NIGHT)}
    brackets = write.Sequence(frames=BRACKETS, width=1920, height=1080, exposure="smooth")
    write_brackets(work / "brackets", brackets)
    films["hdr, brackets of three"] = (work / "brackets", ("--recipe", "hdr"))
    for step, (pictures, words) in films.items():
        film = work / f"{step}.mp4"
        done = _render(pictures, film, *words)
        rate = done.frames / done.seconds
        figures += [
            Figure(figure=f"frames of 1080p a second, {step}", value=round(rate, 1), unit="1/s"),
            Figure(figure=f"peak memory, {step}", value=round(done.peak_mb), unit="MB", bound=MOST_MB),
        ]
    followed, faded = gain(inputs.twin(work / "steady", 21, "960x540"))
    beside = Figure(
        figure="frames between pictures, left out and made again",
        value=round(followed, 2),
        unit="dB",
        bound=round(faded, 2),
        better="above",
        peer="a cross-fade",
        peer_value=round(faded, 2),
    )
    return [*figures, beside]


def gain(folder: Path) -> tuple[float, float]:
    """Return the PSNR of every other picture made of its neighbours: by motion, and by a cross-fade."""
    lights = [_light(frame) for frame in read_folder(folder).frames]
    followed, faded = [], []
    for number in range(1, len(lights) - 1, 2):
        before, true, after = lights[number - 1 : number + 2]
        pair = [each * np.float32(true.mean() / each.mean()) for each in (before, after)]
        beside = [Picture(light=light, number=place, frame=place) for place, light in enumerate(pair)]
        followed.append(_psnr(between(beside[0], beside[1], 0.5), true))
        faded.append(_psnr(np.float32(0.5) * (pair[0] + pair[1]), true))
    return float(np.mean(followed)), float(np.mean(faded))


def _light(frame: SourceFrame) -> Light:
    """Return a picture as linear light."""
    pixels = decode.decode(frame.path.read_bytes(), frame.name)
    curve = frame.facts.tone_curve if frame.facts else tone.SRGB
    return np.ascontiguousarray(np.moveaxis(tone.linear_table(curve).astype(np.float32)[pixels], 2, 0))


def _psnr(shown: Light, true: Light) -> float:
    """Return the likeness of two pictures in dB, of the square root of their light."""
    error = np.sqrt(np.clip(shown, 0, 1)) - np.sqrt(np.clip(true, 0, 1))
    return float(-10 * np.log10(np.mean(error**2)))


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
        Figure(
            figure="peak memory, 1,000 frames of 1080p", value=round(done.peak_mb), unit="MB", bound=MOST_MB
        ),
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
    told = json.loads(words)
    return Run(seconds=done.seconds, peak_mb=told["peak_rss_mb"], frames=told["frames"])


def _ffmpeg(folder: Path, film: Path, chain: str, *more: str) -> Run:
    """Run Debian's ffmpeg with the same x264 preset and quality."""
    program = [ffmpeg(), "-v", "error", "-y", "-framerate", "30", "-i", str(folder / "%04d.jpg")]
    words = f"-c:v libx264 -preset medium -crf 20 -vf {chain}".split()
    return _timed([*program, *words, *more, str(film)])[0]


def _timed(command: Sequence[str]) -> tuple[Run, str]:
    """Run a program; return what it took, and what it printed."""
    started = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        peak = _Peak(program.pid)
        words = program.stdout.read() if program.stdout else ""
        program.wait()
    if program.returncode:
        raise SystemExit(f"bench: {command[0]} ended with {program.returncode}")
    return Run(seconds=time.monotonic() - started, peak_mb=peak.stop()), words


class _Peak:
    """Watches how much memory a program has had at most.

    What the kernel tells of a program that has ended is no less than what its parent had, here the bench.
    """

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._mb = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        """Return the most, in MB, once the program has ended."""
        self._ended.set()
        self._thread.join()
        return self._mb

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_S):
            try:
                lines = self._status.read_text().splitlines()
            except OSError:
                return
            peak = next((line.split()[1] for line in lines if line.startswith("VmHWM")), None)
            if peak is None:
                return
            self._mb = int(peak) * 1024 / 1e6
