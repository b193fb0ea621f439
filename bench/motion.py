"""Motion: what is left of the wind in a film, and what denoising gains, beside ffmpeg's own filters.

What is left is measured on the films as they are decoded, by another method than the one that made them: the
whole of ridge and shore at once (ECC, Evangelidis and Psarakis 2008), each frame against the first. How good
that measure is, the shaken film tells, whose truth is known.
"""

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skylapse_bridge.twin import write
from skylapse_bridge.twin.sensor import develop
from skylapse_bridge.twin.twin import encode_jpeg
from skylapse_processor.recipe.denoise import blended
from skylapse_processor.recipe.layer import Light
from skylapse_processor.tone import linear_table

from .figures import Figure
from .programs import ffmpeg

SIZE = (1920, 1080)
FRAMES = 32
SHAKE_PX = 2.0
MOMENTS = {"day": "2026-03-20T12:00:00Z", "sunset": "2026-03-20T18:05:00Z", "night": "2026-03-20T21:00:00Z"}
RADIUS, EXPOSURES = 2, 24
CURVE = "imx519"
_BANDS = ((0.56, 0.68), (0.90, 0.98))
"""Ridges, and the shore: shares of the height."""
_EDGE = 0.04
_ATTEMPTS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-6)
_VIDSTAB = "vidstabtransform=input={0}:tripod=1,unsharp=5:5:0"

Plane = NDArray[np.float32]
Way = NDArray[np.float64]
"""Where each frame lies upon the first, in pixels, shape (n, 2)."""


def run(work: Path) -> list[Figure]:
    """Measure motion."""
    figures: list[Figure] = []
    for name, start in MOMENTS.items():
        figures += _shaken(work, name, start)
    return [*figures, *_still(work), *denoised(datetime(2026, 3, 20, 12, tzinfo=UTC))]


def _shaken(work: Path, name: str, start: str) -> list[Figure]:
    folder = _twin(work / name, start, SHAKE_PX)
    before, _ = _render(folder, work / f"{name}-shaken.mp4")
    steady, seconds = _render(folder, work / f"{name}-steady.mp4", "--set", "stabilise=on")
    rows = [json.loads(line)["injected"] for line in (folder / "truth.jsonl").read_text().splitlines()]
    truth = np.array([(row["shake_x_px"], row["shake_y_px"]) for row in rows])
    shown = wander(before)
    left = rms(wander(steady))
    return [
        Figure(
            figure=f"{name}: wind left in the film, shaken by {rms(truth):.1f} px",
            value=left,
            unit="px rms",
            bound=0.2,
            peer=peer,
            peer_value=rms(wander(film)),
        )
        for peer, film in (("deshake", _deshake(folder, work)), ("vidstab, tripod", _vidstab(folder, work)))
    ] + [
        Figure(figure=f"{name}: the measure itself, against truth", value=rms(shown - truth), unit="px rms"),
        Figure(figure=f"{name}: stabilised", value=FRAMES / seconds, unit="frames/s"),
    ]


def _still(work: Path) -> list[Figure]:
    folder = _twin(work / "still", MOMENTS["day"], 0.0, frames=10)
    plain, _ = _render(folder, work / "still.mp4")
    steady, _ = _render(folder, work / "still-steady.mp4", "--set", "stabilise=on")
    beside = [np.abs(one - two).mean() for one, two in zip(frames(plain), frames(steady), strict=True)]
    return [
        Figure(figure="a film without wind, changed by", value=float(max(beside)), unit="codes", bound=0.5)
    ]


def denoised(start: datetime) -> list[Figure]:
    """Measure the gain over one picture, where the scene stands still and where it moves."""
    taken = _Taken.at(start)
    here = RADIUS
    others = [(_rows(light), None) for number, light in enumerate(taken.lights) if number != here]
    figures = []
    for method, peer, chain in (
        ("mean", "atadenoise", f"atadenoise=s={2 * RADIUS + 1}"),
        ("median", "tmedian", f"tmedian=radius={RADIUS}"),
    ):
        started = time.monotonic()
        made = blended(_rows(taken.lights[here]), others, SIZE, median=method == "median")
        seconds = time.monotonic() - started
        theirs = _filtered(taken.codes, chain)
        for where, mask, bound in (
            (
                "static",
                taken.static,
                20 * np.log10(0.9 * (2 * RADIUS + 1) ** 0.5) if method == "mean" else 4.0,
            ),
            ("moving", taken.moving, 0.0),
        ):
            figures.append(
                Figure(
                    figure=f"{method} of {2 * RADIUS + 1}: PSNR gained where the scene is {where}",
                    value=taken.gain_db(made, mask),
                    unit="dB",
                    bound=bound,
                    better="above",
                    peer=peer,
                    peer_value=taken.gain_db(theirs, mask),
                )
            )
        figures.append(Figure(figure=f"{method} of {2 * RADIUS + 1}", value=1 / seconds, unit="frames/s"))
    return figures


@dataclass(frozen=True, kw_only=True, slots=True)
class _Taken:
    """Photographs around one moment, and what is true about it."""

    codes: tuple[NDArray[np.uint8], ...]
    lights: tuple[Light, ...]
    truth: Light
    """The mean of many exposures of the moment."""
    static: NDArray[np.bool_]
    moving: NDArray[np.bool_]

    @classmethod
    def at(cls, start: datetime) -> "_Taken":
        """Photograph."""
        sequence = write.Sequence(
            frames=2 * RADIUS + 1, width=SIZE[0], height=SIZE[1], start=start, wobble_ev=0.0, interval_s=5.0
        )
        twin = write.twin_of(sequence)
        wish = write.wishes(sequence, twin)[RADIUS]
        taken = [twin.photograph(moment, wish) for moment in sequence.moments()]
        middle = taken[RADIUS]

        def exposed(light: Light, seed: int) -> NDArray[np.uint8]:
            planes = develop(light, twin.sensor, middle.delivered, np.random.default_rng(seed))
            jpeg = encode_jpeg(planes, quality=92)
            return np.ascontiguousarray(np.moveaxis(np.asarray(Image.open(io.BytesIO(jpeg))), 2, 0))

        codes = tuple(exposed(each.light, number) for number, each in enumerate(taken))
        truth = np.zeros_like(middle.light)
        for seed in range(EXPOSURES):
            truth += _light(exposed(middle.light, 100 + seed)) / np.float32(EXPOSURES)
        beside = np.max([_changed(each.light, middle.light) for each in taken], axis=0)
        patch = (9, 9)
        return cls(
            codes=codes,
            lights=tuple(_light(each) for each in codes),
            truth=truth,
            static=np.asarray(cv2.blur(beside, patch)) < 0.01,
            moving=np.asarray(cv2.blur(beside, patch)) > 0.03,
        )

    def gain_db(self, light: Light, where: NDArray[np.bool_]) -> float:
        """Return by how much the error is below that of one picture; the noise of the truth is taken out."""
        one, made = (self._error(each, where) for each in (self.lights[RADIUS], light))
        noise = one * EXPOSURES / (EXPOSURES + 1)
        return float(10 * np.log10(noise / max(made - noise / EXPOSURES, 1e-12)))

    def _error(self, light: Light, where: NDArray[np.bool_]) -> float:
        return float(np.square(np.sqrt(light) - np.sqrt(self.truth))[:, where].mean())


def wander(film: Path) -> Way:
    """Return where the land of each frame lies upon that of the first."""
    shown = frames(film)
    first = next(shown)
    rows, columns = first.shape
    mask = np.zeros(first.shape, np.uint8)
    for top, bottom in _BANDS:
        edge = int(_EDGE * columns)
        mask[int(top * rows) : int(bottom * rows), edge:-edge] = 1
    warp = np.eye(2, 3, dtype=np.float32)
    middle = np.array([columns / 2, rows / 2, 1.0])
    way = [(0.0, 0.0)]
    for frame in shown:
        _, found = cv2.findTransformECC(first, frame, warp, cv2.MOTION_EUCLIDEAN, _ATTEMPTS, mask, 5)
        warp = np.asarray(found, dtype=np.float32)
        x, y = (warp @ middle - middle[:2]).tolist()
        way.append((x, y))
    return np.array(way)


def rms(way: Way) -> float:
    """Return how far frames are from their mean place, in both directions together."""
    return float(np.sqrt(np.square(way - way.mean(axis=0)).sum(axis=1).mean()))


def frames(film: Path) -> Iterator[Plane]:
    """Yield the luma of each frame, brightened by its root so that night counts."""
    with av.open(str(film)) as container:
        for frame in container.decode(video=0):
            luma = frame.to_ndarray(format="gray").astype(np.float32)
            yield np.sqrt(luma * np.float32(255.0))


def _changed(light: Light, middle: Light) -> Plane:
    """Return by how much the scene differs from the middle one, but for light that changes smoothly."""
    ratio = np.log((light.mean(axis=0) + 1e-3) / (middle.mean(axis=0) + 1e-3)).astype(np.float32)
    ratio -= np.asarray(cv2.GaussianBlur(ratio, (0, 0), 30.0), dtype=np.float32)
    return np.asarray(np.abs(ratio), dtype=np.float32)


def _light(codes: NDArray[np.uint8]) -> Light:
    return linear_table(CURVE).astype(np.float32)[codes]


def _rows(light: Light) -> Callable[[slice], Light]:
    return lambda part: light[:, part]


def _twin(folder: Path, start: str, shake_px: float, frames: int = FRAMES) -> Path:
    command = [sys.executable, "-m", "skylapse_bridge", "twin", "--out", str(folder), "--start", start]
    more = ["--frames", str(frames), "--size", f"{SIZE[0]}x{SIZE[1]}", "--shake", str(shake_px)]
    subprocess.run([*command, *more], check=True, stdout=subprocess.DEVNULL)
    return folder


def _render(folder: Path, film: Path, *more: str) -> tuple[Path, float]:
    started = time.monotonic()
    command = [sys.executable, "-m", "skylapse_processor", "render", str(folder), "-o", str(film), "--json"]
    subprocess.run([*command, *more], check=True, stdout=subprocess.DEVNULL)
    return film, time.monotonic() - started


def _deshake(folder: Path, work: Path) -> Path:
    film = work / "deshake.mp4"
    _ffmpeg("-i", str(folder / "%04d.jpg"), "-vf", "deshake", "-crf", "16", str(film))
    return film


def _vidstab(folder: Path, work: Path) -> Path:
    film, found = work / "vidstab.mp4", work / "vidstab.trf"
    pictures = ("-i", str(folder / "%04d.jpg"))
    _ffmpeg(*pictures, "-vf", f"vidstabdetect=tripod=1:result={found}", "-f", "null", "-")
    _ffmpeg(*pictures, "-vf", _VIDSTAB.format(found), "-crf", "16", str(film))
    return film


def _ffmpeg(*words: str) -> None:
    subprocess.run([ffmpeg(), "-v", "error", "-y", "-framerate", "30", *words], check=True)


def _filtered(pictures: Sequence[NDArray[np.uint8]], chain: str) -> Light:
    """Return what ffmpeg makes of the picture in the middle; planes are named green, blue, red for it."""
    shape = ["-f", "rawvideo", "-pix_fmt", "gbrp", "-s", f"{SIZE[0]}x{SIZE[1]}"]
    longer = [*[pictures[0]] * RADIUS, *pictures, *[pictures[-1]] * RADIUS]
    command = [ffmpeg(), "-v", "error", *shape, "-i", "-", "-vf", chain, *shape[:4], "-"]
    raw = b"".join(each.tobytes() for each in longer)
    done = subprocess.run(command, check=True, input=raw, stdout=subprocess.PIPE)
    made = np.frombuffer(done.stdout, np.uint8).reshape(-1, 3, SIZE[1], SIZE[0])
    return _light(made[len(made) // 2])
