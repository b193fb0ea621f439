"""`python -m tools.recipe_pictures [STEP…]`: films with and without a step, side by side, from the twin.

Each example is one row: the pictures it starts from, what is rendered before and after, and how the
difference is looked at: a frame, a part of a frame enlarged, one column of every frame side by side (time
runs to the right), or the mean of all frames.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "docs" / "pictures" / "recipes"
HALF = (480, 270)
_BAND = 26
_TEXT_PX = 15
_QUALITY = 88

Pixels = NDArray[np.uint8]
View = Callable[[list[Pixels]], Pixels]


def frame(share: float = 0.5) -> View:
    """Look at one frame."""
    return lambda film: film[round(share * (len(film) - 1))]


def part(share: float, left: float, top: float, times: int) -> View:
    """Look at a part of one frame, so many times enlarged; its corner in shares of the picture."""

    def look(film: list[Pixels]) -> Pixels:
        return _cut(frame(share)(film), left, top, times)

    return look


def column(film: list[Pixels]) -> Pixels:
    """Look at the middle column of every frame, side by side."""
    return np.stack([pixels[:, pixels.shape[1] // 2] for pixels in film], axis=1).repeat(2, axis=1)


def mean(left: float, top: float, times: int) -> View:
    """Look at the mean of all frames, a part of it enlarged."""

    def look(film: list[Pixels]) -> Pixels:
        average = np.mean(np.stack(film).astype(np.float32), axis=0)
        return _cut(np.rint(average).astype(np.uint8), left, top, times)

    return look


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One picture of the page."""

    twin: str
    """What the pictures are made of: options of `skylapse-bridge twin`."""
    before: str = ""
    after: str
    """Options of `skylapse-processor render`."""
    view: View = field(default_factory=frame)
    captions: tuple[str, str] = ("without", "with")


_EVENING = "--frames 240 --size 480x270 --seed 4"
_DAY = "--frames 40 --size 960x540 --seed 4 --start 2026-06-10T15:00:00Z --exposure smooth"
_DUSK = "--frames 30 --size 960x540 --seed 4 --exposure smooth"

EXAMPLES: Mapping[str, Example] = {
    "level": Example(
        twin=_EVENING,
        before="--recipe raw",
        after="--recipe raw --set level=on --set balance=on",
        view=column,
    ),
    "deflicker": Example(
        twin=f"{_EVENING} --no-records",
        before="--recipe raw",
        after="--recipe clean",
        view=column,
    ),
    "grade": Example(twin=_DAY, after="--set grade.contrast=0.6"),
    "crop": Example(twin=_DAY, after="--set crop.aspect=1:1", captions=("16:9", "1:1")),
    "blend": Example(
        twin=_DAY + " --interval 60", after="--set blend.shutter_deg=2880", view=part(0.5, 0.05, 0.0, 2)
    ),
    "stabilise": Example(twin=f"{_DAY} --shake 4", after="--set stabilise=on", view=mean(0.0, 0.45, 3)),
    "denoise": Example(
        twin=_DUSK + " --interval 20", after="--set denoise.radius=2", view=part(0.9, 0.55, 0.45, 4)
    ),
    "overlay": Example(twin=_DAY, after="--set overlay.text={date}__{time}__{exposure}"),
    "panzoom": Example(
        twin=_DAY,
        after="--set panzoom.to_zoom=2 --set panzoom.to_x=0.75 --set panzoom.to_y=0.4",
        view=frame(1.0),
        captions=("first frame", "last frame"),
    ),
}


def main(names: list[str]) -> int:
    """Make the pictures of these steps, or of all."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    for name in names or EXAMPLES:
        with tempfile.TemporaryDirectory() as work:
            picture = side_by_side(EXAMPLES[name], Path(work))
        picture.save(OUTPUT / f"{name}.jpg", quality=_QUALITY, optimize=True)
        print(f"{name}.jpg")
    return 0


def side_by_side(example: Example, work: Path) -> Image.Image:
    """Render both films of an example; return what is seen of them, with captions."""
    twin = [sys.executable, "-m", "skylapse_bridge", "twin", "--out", str(work / "frames")]
    subprocess.run([*twin, *example.twin.split()], check=True, stdout=subprocess.DEVNULL)
    canvas = Image.new("RGB", (2 * HALF[0] + 4, HALF[1] + _BAND), "white")
    for number, words in enumerate((example.before, example.after)):
        film = work / f"{number}.mp4"
        render = [sys.executable, "-m", "skylapse_processor", "render", str(work / "frames"), "-o", str(film)]
        options = [word.replace("__", "  ") for word in words.split()]
        subprocess.run([*render, *options], check=True, stdout=subprocess.DEVNULL)
        _place(canvas, number, example.view(_frames(film)), example.captions[number])
    return canvas


def _place(canvas: Image.Image, number: int, pixels: Pixels, caption: str) -> None:
    """Put one half in its place."""
    seen = Image.fromarray(pixels)
    scale = min(HALF[0] / seen.width, HALF[1] / seen.height)
    seen = seen.resize((round(seen.width * scale), round(seen.height * scale)), Image.Resampling.LANCZOS)
    left = number * (HALF[0] + 4)
    canvas.paste(seen, (left + (HALF[0] - seen.width) // 2, (HALF[1] - seen.height) // 2))
    font = ImageFont.load_default(_TEXT_PX)
    ImageDraw.Draw(canvas).text((left + 6, HALF[1] + 4), caption, fill="black", font=font)


def _cut(pixels: Pixels, left: float, top: float, times: int) -> Pixels:
    height, width = pixels.shape[:2]
    row, line = round(top * height), round(left * width)
    cut = pixels[row : row + height // times, line : line + width // times]
    return np.ascontiguousarray(cut.repeat(2, axis=0).repeat(2, axis=1))


def _frames(film: Path) -> list[Pixels]:
    with av.open(str(film)) as container:
        return [
            np.asarray(shown.to_ndarray(format="rgb24"), dtype=np.uint8)
            for shown in container.decode(video=0)
        ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
