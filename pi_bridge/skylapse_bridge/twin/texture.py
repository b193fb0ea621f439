"""Textures out of random numbers: fractal noise, ridges, trees, stars. Pure; the same at every picture size.

Noise is drawn on a canvas of fixed size and scaled to the picture, so that a preview shows what the
photograph shows. Arrays are float32, rows from the top, columns from the left.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Plane: TypeAlias = npt.NDArray[np.float32]
"""One value a pixel, shape (rows, columns)."""


def fractal(rng: np.random.Generator, rows: int, columns: int, *, roughness: float, stretch: float) -> Plane:
    """Return noise of mean 0 and deviation 1 that repeats seamlessly.

    Its amplitude falls as frequency^−roughness; `stretch` above 1 draws the shapes out horizontally.
    """
    down = np.fft.fftfreq(rows)[:, None] * rows
    across = np.fft.rfftfreq(columns)[None, :] * columns * (rows / columns) * stretch
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1.0
    spectrum = np.exp(2j * np.pi * rng.uniform(size=frequency.shape)) * frequency**-roughness
    spectrum[0, 0] = 0.0
    noise = np.fft.irfft2(spectrum, s=(rows, columns))
    return np.asarray(noise / noise.std(), dtype=np.float32)


def resize(plane: Plane, rows: int, columns: int) -> Plane:
    """Scale a plane to another size, smoothly."""
    image = Image.fromarray(plane)
    return np.asarray(image.resize((columns, rows), Image.Resampling.BICUBIC), dtype=np.float32)


def profile(
    rng: np.random.Generator, columns: int, *, roughness: float, peaks: float
) -> npt.NDArray[np.float64]:
    """Return a skyline of mean 0 and about ±1, with about `peaks` summits."""
    size = 2048
    frequency = np.arange(size // 2 + 1, dtype=np.float64)
    weight = np.where(frequency < peaks, 1.0, (np.maximum(frequency, 1.0) / peaks) ** -roughness)
    weight[0] = 0.0
    line = np.fft.irfft(weight * np.exp(2j * np.pi * rng.uniform(size=frequency.size)), n=size)
    line /= 2.0 * line.std()
    return np.interp(np.linspace(0.0, size - 1.0, columns), np.arange(size), line)


def below(line: npt.NDArray[np.float64], rows: int) -> Plane:
    """Return the mask of what lies below a skyline given in rows, its edge smoothed over one pixel."""
    return np.clip(np.arange(rows)[:, None] - line[None, :] + 0.5, 0.0, 1.0).astype(np.float32)


def spruces(rng: np.random.Generator, rows: int, columns: int, trees: npt.NDArray[np.float64]) -> Plane:
    """Return the mask of spruces; rows of `trees` are (x, foot, height) in shares of the picture's size."""
    canvas = Image.new("L", (2 * columns, 2 * rows), 0)
    draw = ImageDraw.Draw(canvas)
    for x, foot, height in trees:
        outline = _spruce(rng, x * 2 * columns, foot * 2 * rows, height * 2 * rows)
        draw.polygon(outline, fill=255)
    small = canvas.resize((columns, rows), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / np.float32(255.0)


def _spruce(rng: np.random.Generator, x: float, foot: float, height: float) -> list[tuple[float, float]]:
    """Return the outline of one spruce: tiers of drooping branches, wider towards the foot."""
    tiers = 17
    left: list[tuple[float, float]] = []
    right: list[tuple[float, float]] = []
    for tier in range(1, tiers + 1):
        share = tier / tiers
        y = foot - height * (1.0 - share)
        reach = height * (0.015 + 0.17 * share**0.85)
        for side, branch in ((left, -1.0), (right, 1.0)):
            tip = reach * rng.uniform(0.72, 1.12)
            side.append((x + branch * tip, y + height * rng.uniform(0.0, 0.025)))
            side.append((x + branch * tip * rng.uniform(0.38, 0.55), y - height * 0.005))
    trunk = height * 0.012
    return [
        (x, foot - height * 1.05),
        *right,
        (x + trunk, foot + height * 0.05),
        (x - trunk, foot),
        *left[::-1],
    ]


def star_catalogue(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """Return stars as rows (angle in degrees, distance from the pole in degrees, brightness, red, blue)."""
    stars = np.empty((count, 5))
    stars[:, 0] = rng.uniform(0.0, 360.0, count)
    stars[:, 1] = np.degrees(np.arccos(rng.uniform(-1.0, 1.0, count)))
    stars[:, 2] = np.clip(rng.pareto(1.3, count) + 0.25, 0.0, 14.0)
    warmth = rng.normal(0.0, 0.18, count)
    stars[:, 3] = np.clip(1.0 + warmth, 0.6, 1.5)
    stars[:, 4] = np.clip(1.1 - warmth, 0.6, 1.6)
    return stars
