"""Small computed pictures for the tests of films: with exposure, EXIF and sidecars as asked."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from skylapse_processor import tone

START = datetime(2026, 6, 1, 18, 0, tzinfo=UTC)
INTERVAL_S = 15
WIDTH, HEIGHT = 160, 90
_EXIF = 0x8769

Linear = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Evening:
    """A dusk of which everything is known: light, and what the camera made of it."""

    light_ev: Linear
    """What the scene does, clouds included."""
    cloud_ev: Linear
    exposure_ev: Linear
    """What the camera delivered: it follows the light in steps, late, and its gain wobbles."""


def evening(count: int, seed: int = 1) -> Evening:
    """Return a dusk with two clouds, and a camera that runs after it: 0.05 stops a frame at its fastest."""
    rng = np.random.default_rng(seed)
    place = np.arange(count)
    dusk = -0.025 * count / (1 + np.exp(-(place - count / 2) / (count / 8)))
    cloud = sum(-0.8 * np.exp(-(((place - at * count) / 14) ** 2)) for at in (0.3, 0.7))
    light = dusk + cloud
    seen = np.concatenate([np.repeat(light[:1], 3), light[:-3]])[:count]
    stepped = -np.round(seen * 3) / 3
    return Evening(
        light_ev=light, cloud_ev=np.asarray(cloud), exposure_ev=stepped + rng.normal(0, 0.02, count)
    )


def scene(width: int = WIDTH, height: int = HEIGHT) -> Linear:
    """Return linear light of a sky over a textured ground, 0…0.5, shape (height, width, 3)."""
    rng = np.random.default_rng(7)
    sky = np.linspace(0.45, 0.2, height)[:, None, None] * np.array([0.7, 0.8, 1.0])
    picture = np.broadcast_to(sky, (height, width, 3)).copy()
    ground = rng.uniform(0.02, 0.12, (height // 3, width, 1)) * np.array([0.8, 1.0, 0.6])
    picture[-(height // 3) :] = ground
    return picture


def develop(linear: Linear, curve: str = tone.SRGB, seed: int = 0) -> NDArray[np.uint8]:
    """Return the codes of linear light, dithered."""
    rng = np.random.default_rng(seed)
    codes = tone.encode(curve, np.clip(linear, 0, 1)) * 255
    return np.floor(codes + rng.uniform(0, 1, codes.shape)).clip(0, 255).astype(np.uint8)


def jpeg(pixels: NDArray[np.uint8], exif: Image.Exif | None = None, quality: int = 95, **how: Any) -> bytes:
    """Return pixels as a JPEG."""
    buffer = io.BytesIO()
    words = {} if exif is None else {"exif": exif.tobytes()}
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0, **words, **how)
    return buffer.getvalue()


def exif(
    *,
    exposure_s: float | None = None,
    iso: int | None = None,
    captured_at: datetime | None = None,
    **tags: Any,
) -> Image.Exif:
    """Return EXIF with an exposure, a time, and other tags by their number (`t274=6`)."""
    words = Image.Exif()
    inner = words.get_ifd(_EXIF)
    if exposure_s is not None:
        fraction = Fraction(exposure_s).limit_denominator(1_000_000)
        inner[0x829A] = IFDRational(fraction.numerator, fraction.denominator)
    if iso is not None:
        inner[0x8827] = iso
    if captured_at is not None:
        inner[0x9003] = captured_at.strftime("%Y:%m:%d %H:%M:%S")
        inner[0x9291] = f"{captured_at.microsecond:06d}"
        inner[0x9011] = "+00:00"
    for name, value in tags.items():
        number = int(name[1:])
        (words if number < 0x8000 else inner)[number] = value
    return words


def write_evening(
    folder: Path,
    seen: Evening,
    *,
    facts: str,
    curve: str = tone.SRGB,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> None:
    """Write the pictures of a dusk as 0001.jpg …, with facts: records, exif or nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    linear = scene(*size)
    for number, (light, exposure) in enumerate(zip(seen.light_ev, seen.exposure_ev, strict=True), 1):
        pixels = develop(linear * 2 ** (light + exposure), curve, number)
        at = START + timedelta(seconds=INTERVAL_S * number)
        total = 2.0 ** (exposure + 10)
        time_us = min(total, 4000.0)
        file = folder / f"{number:04d}.jpg"
        words = None
        if facts == "exif":
            words = exif(exposure_s=time_us / 1e6, iso=round(100 * total / time_us), captured_at=at)
        file.write_bytes(jpeg(pixels, words))
        if facts == "records":
            record = {
                "captured_at": at.isoformat().replace("+00:00", "Z"),
                "exposure_us": time_us,
                "analogue_gain": total / time_us,
                "digital_gain": 1.0,
                "tone_curve": curve,
            }
            file.with_suffix(".json").write_text(json.dumps(record), encoding="utf-8")


def write_plain(folder: Path, count: int, size: tuple[int, int] = (WIDTH, HEIGHT), first: int = 1) -> None:
    """Write pictures that differ a little, without any facts."""
    folder.mkdir(parents=True, exist_ok=True)
    linear = scene(*size)
    for number in range(first, first + count):
        (folder / f"{number:04d}.jpg").write_bytes(jpeg(develop(linear, seed=number)))


def film_frames(path: Path) -> list[NDArray[np.uint8]]:
    """Return the frames of a film as a player shows them: RGB."""
    reformatter = VideoReformatter()
    with av.open(str(path)) as container:
        shown = (
            reformatter.reformat(
                frame, format="rgb24", src_colorspace=Colorspace.ITU709, src_color_range=ColorRange.MPEG
            )
            for frame in container.decode(video=0)
        )
        return [frame.to_ndarray().astype(np.uint8, copy=False) for frame in shown]


def film_log_means(path: Path, curve: str = tone.SRGB) -> Linear:
    """Return log2 of the linear mean luminance of each frame of a film."""
    table = tone.linear_table(curve)
    means = [tone.LUMINANCE @ table[frame].mean(axis=(0, 1)) for frame in film_frames(path)]
    log_means: Linear = np.log2(np.array(means))
    return log_means


def tags_of(path: Path) -> Mapping[str, str]:
    """Return the metadata of a film."""
    with av.open(str(path)) as container:
        return dict(container.metadata)


def names(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return the file names in a list of (file, reason)."""
    return [file for file, _ in pairs]
