"""Codecs, several sizes at once, and dry runs: bytes, wall time, flicker, and how far a prediction is off."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from skylapse_processor.decode_scale import Box, Scaler
from skylapse_processor.encode import Converter, FilmWriter
from skylapse_processor.encode_codecs import CODECS, Coding, group_frames, quality

from . import inputs
from .figures import Figure
from .programs import ffmpeg
from .score import score

CURVE = "imx519"
RATE = Fraction(30)
LARGE = Box(width=1920, height=1080)
MOST_FLICKER_MEV = 2.0
"""What levelling promises, whatever codes the film."""
MOST_WORSE_DB = 0.7
SEVERAL = ("2160p", "1080p", "720p")
SEVERAL_BOUND = 1.0
"""Encoders do most of the work, and none of it can be shared: reading and levelling once is what is saved."""
MOST_ERROR = 0.20
"""Of the predicted bytes."""
_TO_BT709 = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"


@dataclass(frozen=True, kw_only=True, slots=True)
class Film:
    """A film that is foretold, then made."""

    name: str
    size: str
    frames: int
    words: tuple[str, ...] = ()
    start: str | None = None
    noise: float = 0.0
    """Of a sensor, in codes, beside what the twin's has."""


def _words(recipe: str, codec: str) -> tuple[str, ...]:
    return ("--recipe", recipe, "--codec", codec)


_NIGHT = "2026-03-20T21:00:00Z"
_LENGTH = ("--length", "4")
FILMS = (
    Film(name="clean", size="480x270", frames=300),
    Film(name="cinematic in H.265", size="640x360", frames=300, words=_words("cinematic", "h265")),
    Film(name="night", size="480x270", frames=300, start="2026-03-20T19:00:00Z"),
    Film(name="noisy in AV1", size="640x360", frames=300, words=_words("clean", "av1"), noise=4.0),
    Film(name="small", size="160x90", frames=400),
    Film(name="large", size="1920x1080", frames=240),
    Film(name="fading", size="480x270", frames=30, words=("--recipe", "cinematic")),
    Film(name="trail", size="480x270", frames=300, words=("--recipe", "startrail"), start=_NIGHT),
    Film(name="steady", size="480x270", frames=150, words=("--recipe", "steady")),
    Film(name="every fourth", size="480x270", frames=300, words=("--set", "blend.every=4")),
    Film(name="silk", size="480x270", frames=150, words=("--set", "blend.shutter_deg=2880")),
    Film(name="stretched to 4 s", size="480x270", frames=90, words=("--set", "interpolate.length_s=4")),
    Film(name="as long as asked", size="480x270", frames=90, words=("--set", "interpolate=on", *_LENGTH)),
)


def run(work: Path) -> list[Figure]:
    """Measure encoding."""
    return [*codecs(work), *several_sizes(work), *predictions(work)]


def codecs(work: Path) -> list[Figure]:
    """Measure one film in every codec, beside ffmpeg with the same encoder and settings."""
    folder = inputs.twin(work / "codecs", 240, "1920x1080")
    decibels = {codec: _decibels(folder, work / "exact.mp4", codec) for codec in CODECS}
    figures = []
    for codec, row in CODECS.items():
        ours, theirs = work / f"{codec}.mp4", work / f"{codec}-peer.mp4"
        seconds = _render(folder, ours, "--codec", codec)["seconds"]
        peer_seconds = _peer(folder, theirs, codec)
        peer = f"ffmpeg, deflicker, {row.encoder}"
        flicker, peer_flicker = (score(film, folder, CURVE).flicker_mev for film in (ours, theirs))
        figures += [
            Figure(
                figure=f"flicker of 240 frames of 1080p in {row.title}",
                value=round(flicker, 2),
                unit="mEV",
                bound=MOST_FLICKER_MEV,
                peer=peer,
                peer_value=round(peer_flicker, 2),
            ),
            _beside(f"wall time, {row.title}", seconds, "s", peer, peer_seconds),
            _beside(
                f"bytes, {row.title}", ours.stat().st_size / 1e6, "MB", peer, theirs.stat().st_size / 1e6
            ),
        ]
        if codec != "h264":
            figures.append(
                Figure(
                    figure=f"PSNR of {row.title} less that of H.264",
                    value=round(decibels[codec] - decibels["h264"], 2),
                    unit="dB",
                    bound=-MOST_WORSE_DB,
                    better="above",
                )
            )
    return figures


def several_sizes(work: Path) -> list[Figure]:
    """Measure three sizes made of one decode, beside three renders."""
    folder, (large, *others) = inputs.twin(work / "several", 60, "3840x2160"), SEVERAL
    together = _render(folder, work / "all.mp4", "--size", large, "--also", ",".join(others))
    apart = [_render(folder, work / f"{size}.mp4", "--size", size)["seconds"] for size in SEVERAL]
    return [
        Figure(
            figure="wall time of 720p, 1080p and 2160p at once ÷ one by one",
            value=round(together["seconds"] / sum(apart), 3),
            unit="×",
            bound=SEVERAL_BOUND,
        ),
        Figure(figure="peak memory of the three at once", value=together["peak_rss_mb"], unit="MB"),
    ]


def predictions(work: Path) -> list[Figure]:
    """Measure how far dry runs are off, and what they cost."""
    figures = []
    for film in FILMS:
        folder = _pictures(work / f"foretold-{film.size}-{film.name.replace(' ', '-')}", film)
        words = ("--size", "source", *film.words)
        started = time.monotonic()
        foretold = _render(folder, work / "foretold.mp4", "--dry-run", *words)
        cost = time.monotonic() - started
        started = time.monotonic()
        made = _render(folder, work / "made.mp4", *words)
        took = time.monotonic() - started
        name = f"{film.frames} frames of {film.size}, {film.name}"
        figures += [
            Figure(
                figure=f"error of predicted size, {name}",
                value=round(abs(foretold["bytes"] / made["bytes"] - 1), 3),
                unit="share",
                bound=MOST_ERROR,
            ),
            Figure(
                figure=f"predicted ÷ true time, {name}",
                value=round(foretold["seconds"] / made["seconds"], 2),
                unit="×",
            ),
            Figure(figure=f"time of the dry run ÷ the film's, {name}", value=round(cost / took, 2), unit="×"),
        ]
        if foretold["frames"] != made["frames"] or foretold["duration_s"] != made["duration_s"]:
            raise SystemExit(f"bench: {name}: the length was foretold wrongly")
    return figures


def _beside(figure: str, value: float, unit: str, peer: str, peer_value: float) -> Figure:
    return Figure(figure=figure, value=round(value, 2), unit=unit, peer=peer, peer_value=round(peer_value, 2))


def _render(folder: Path, film: Path, *words: str) -> dict[str, float]:
    program = [sys.executable, "-m", "skylapse_processor", "render", str(folder), "-o", str(film)]
    done = subprocess.run([*program, "--json", *words], stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def _peer(folder: Path, film: Path, codec: str) -> float:
    """Encode with Debian's ffmpeg as we do; return the seconds that it took."""
    row = CODECS[codec]
    group = group_frames(RATE)
    options = row.options(quality(row, LARGE), group, 2)
    words = [word for name, value in options.items() for word in (f"-{name}", value)]
    command = [ffmpeg(), "-v", "error", "-y", "-framerate", str(RATE), "-i", str(folder / "%04d.jpg")]
    command += ["-vf", f"deflicker,{_TO_BT709}", "-colorspace", "bt709", "-color_range", "tv"]
    command += ["-c:v", row.encoder, "-g", str(group), "-threads", "2", *words, str(film)]
    started = time.monotonic()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, env={**os.environ, "SVT_LOG": "1"})
    return time.monotonic() - started


def _decibels(folder: Path, film: Path, codec: str) -> float:
    """Return the PSNR of the luma of a film of the first thirty pictures as they are."""
    scaler, converter = Scaler(LARGE), Converter()
    pictures = sorted(folder.glob("*.jpg"))[:30]
    planes = []
    with FilmWriter(film, LARGE, RATE, Coding(codec=codec)) as writer:
        for path in pictures:
            with Image.open(path) as image:
                frame = converter.frame(scaler.canvas(np.asarray(image.convert("RGB"))))
            planes.append(frame.to_ndarray()[: LARGE.height].copy())
            writer.write(frame)
        writer.finish({})
    with av.open(str(film)) as container:
        errors = [
            float(
                ((frame.to_ndarray(format="yuv420p")[: LARGE.height].astype(np.float32) - plane) ** 2).mean()
            )
            for frame, plane in zip(container.decode(video=0), planes, strict=True)
        ]
    return float(10 * np.log10(255**2 / np.mean(errors)))


def _pictures(folder: Path, film: Film) -> Path:
    """Write the pictures of a film."""
    words: Sequence[str] = ("--start", film.start) if film.start else ()
    command = [sys.executable, "-m", "skylapse_bridge", "twin", "--out", str(folder)]
    command += ["--frames", str(film.frames), "--size", film.size, *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    if film.noise:
        rng = np.random.default_rng(3)
        for path in folder.glob("*.jpg"):
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB")).astype(np.float32)
            pixels += rng.normal(0, film.noise, pixels.shape).astype(np.float32)
            noisy = Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))
            noisy.save(path, quality=90)
    return folder
