"""`python -m tools.recipe_pictures [STEP…]`: films with and without a step, side by side, from the twin.

Each example is one row: the pictures it starts from, what is rendered before and after, and how the
difference is looked at: a frame, a part of a frame enlarged, one column of every frame side by side (time
runs to the right), or the mean of all frames.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from bench import sequences
from skylapse_bridge.twin.write import Sequence
from tests.processor.brackets import write_brackets
from tests.processor.test_focus_stack import write_stacks

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "docs" / "pictures" / "recipes"
HALF = (480, 270)
_BAND = 26
_GAP = 6
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


def sheet(side: int) -> View:
    """Look at the first frames, so many beside each other in so many rows."""

    def look(film: list[Pixels]) -> Pixels:
        gap = ((0, _GAP), (0, _GAP), (0, 0))
        framed = [np.pad(pixels, gap, constant_values=255) for pixels in film[: side**2]]
        rows = [np.concatenate(framed[at : at + side], axis=1) for at in range(0, side**2, side)]
        return np.concatenate(rows)

    return look


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One picture of the page."""

    pictures: str | Callable[[Path], object]
    """What the pictures are made by: options of `skylapse-bridge twin`, or what writes them into a folder."""
    before: str = ""
    after: str
    """Options of `skylapse-processor render`."""
    view: View = field(default_factory=frame)
    captions: tuple[str, str] = ("without", "with")
    files: Mapping[str, str] = field(default_factory=dict)
    """Names and texts of files that the options name."""


_TEAL = "LUT_3D_SIZE 2\n" + "\n".join(
    f"{red:.2f} {green:.2f} {blue:.2f}"
    for blue in (0.12, 0.85)
    for green in (0.05, 0.95)
    for red in (0.0, 1.0)
)
"""A small look: blacks towards blue, whites towards yellow."""


def brackets(folder: Path) -> None:
    """Photograph a sunset into the sun with three exposures each."""
    write_brackets(folder, Sequence(frames=6, width=480, height=270, seed=4, exposure="smooth"))


def stacks(folder: Path) -> None:
    """Photograph near and far, each with its own focus."""
    write_stacks(folder, 3)


def spoiled(folder: Path) -> None:
    """Photograph an afternoon in which breath, drops, focus and exposure each spoil a frame."""
    faults = dict(zip((1, 3, 8), sequences.SPOILS, strict=True))
    sequences.spoiled(folder, _AFTERNOON, faults, burnt={6})


def hunting(folder: Path) -> None:
    """Photograph an evening while the white balance jumps about."""
    sequences.hunting(folder, Sequence(frames=240, width=480, height=270, seed=4, exposure="smooth"))


def window(folder: Path) -> None:
    """Photograph through a wide lens and a window with bars."""
    sequences.through(folder, replace(_AFTERNOON, frames=1, width=960, height=540), _LENS, _barred)


def days(folder: Path) -> None:
    """Photograph eight months: a frame a day by the clock, and one at equal sun."""
    sequences.year(folder, range(32, 272), HALF, beside=0)


def _barred(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what lies before the lens behind the bars of a window."""
    _, rows, columns = light.shape
    across, down = np.linspace(0, 1, columns)[None], np.linspace(0, 1, rows)[:, None]
    near = [np.abs(across - each) < 0.003 for each in (0.14, 0.38, 0.62, 0.86)]
    near += [np.abs(down - each) < 0.005 for each in (0.16, 0.5, 0.84)]
    barred = np.logical_or.reduce([np.broadcast_to(each, (rows, columns)) for each in near])
    return np.where(barred, np.float32(0.1) * light.mean(axis=(1, 2), keepdims=True), light)


_AFTERNOON = Sequence(
    frames=13,
    width=480,
    height=270,
    seed=4,
    start=datetime(2026, 6, 10, 15, tzinfo=UTC),
    interval_s=60.0,
    exposure="smooth",
)
_LENS = sequences.lens_of((960, 540))

_EVENING = "--frames 240 --size 480x270 --seed 4"
_DAY = "--frames 40 --size 960x540 --seed 4 --start 2026-06-10T15:00:00Z --exposure smooth"
_TWICE = "--set interpolate.length_s=2.6334"
"""A frame between every two of forty pictures: 79 of them, and of those every other one."""
_DUSK = "--frames 30 --size 960x540 --seed 4 --exposure smooth"

_NIGHT = "--frames 200 --size 960x540 --seed 4 --start 2026-06-10T23:00:00Z --clouds 0 --interval 20"

EXAMPLES: Mapping[str, Example] = {
    "select": Example(
        pictures=spoiled,
        before="--recipe raw",
        after="--recipe raw --set select.worst=0.25 --set select.clipped=0.3",
        view=sheet(3),
        captions=("all frames", "without those that are burnt out or blurred"),
    ),
    "balance": Example(
        pictures=hunting, before="--recipe raw", after="--recipe raw --set balance=on", view=column
    ),
    "correct": Example(
        pictures=window,
        before="--recipe raw",
        after="--recipe raw --set correct=on --lens lens.json",
        captions=("as a wide lens draws it", "corrected"),
        files={"lens.json": json.dumps(asdict(_LENS))},
    ),
    "season": Example(
        pictures=days,
        before="--recipe raw --set select.start=17:03 --set select.end=17:04 --set select.zone=UTC",
        after="--recipe season --set select.zone=UTC",
        view=column,
        captions=("a frame a day at the same hour", "season: at the same height of the sun"),
    ),
    "interpolate": Example(
        pictures=f"{_DAY} --interval 120",
        before=f"{_TWICE} --set interpolate.method=blend",
        after=f"{_TWICE} --set interpolate.method=flow",
        view=part(69 / 78, 0.62, 0.08, 4),
        captions=("between two pictures, by fading", "by following what moves"),
    ),
    "level": Example(
        pictures=_EVENING,
        before="--recipe raw",
        after="--recipe raw --set level=on --set balance=on",
        view=column,
    ),
    "deflicker": Example(
        pictures=f"{_EVENING} --no-records",
        before="--recipe raw",
        after="--recipe clean",
        view=column,
    ),
    "grade": Example(pictures=_DAY, after="--set grade.contrast=0.6"),
    "crop": Example(pictures=_DAY, after="--set crop.aspect=1:1", captions=("16:9", "1:1")),
    "blend": Example(
        pictures=_DAY + " --interval 60", after="--set blend.shutter_deg=2880", view=part(0.5, 0.05, 0.0, 2)
    ),
    "stabilise": Example(pictures=f"{_DAY} --shake 4", after="--set stabilise=on", view=mean(0.0, 0.45, 3)),
    "denoise": Example(
        pictures=_DUSK + " --interval 20", after="--set denoise.radius=2", view=part(0.9, 0.55, 0.45, 4)
    ),
    "overlay": Example(
        pictures=_DAY, after="--set overlay.text={date}__{time}__{exposure} --set overlay.size=0.07"
    ),
    "hdr": Example(
        pictures=brackets, after="--recipe hdr", captions=("the middle of each bracket", "merged and mapped")
    ),
    "tonemap": Example(
        pictures=brackets,
        before="--recipe hdr --set tonemap.local=0",
        after="--recipe hdr --set tonemap.local=0.6",
        captions=("local 0", "local 0.6"),
    ),
    "focus": Example(
        pictures=stacks,
        before="--recipe clean --size source",
        after="--recipe focus --size source",
        view=part(0.5, 0.1, 0.5, 2),
        captions=("the first of each bracket", "stacked"),
    ),
    "startrail": Example(
        pictures=_NIGHT,
        before="--recipe raw",
        after="--recipe startrail",
        view=part(1.0, 0.2, 0.0, 2),
        captions=("the last frame", "the last frame with its trails"),
    ),
    "lut": Example(pictures=_DAY, after="--lut look.cube", files={"look.cube": _TEAL}),
    "fade": Example(pictures=_DAY, after="--set fade.frames=10", view=frame(0.1)),
    "panzoom": Example(
        pictures=_DAY,
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
    if isinstance(example.pictures, str):
        twin = [sys.executable, "-m", "skylapse_bridge", "twin", "--out", str(work / "frames")]
        subprocess.run([*twin, *example.pictures.split()], check=True, stdout=subprocess.DEVNULL)
    else:
        example.pictures(work / "frames")
    for name, text in example.files.items():
        (work / name).write_text(text, encoding="ascii")
    canvas = Image.new("RGB", (2 * HALF[0] + 4, HALF[1] + _BAND), "white")
    for number, words in enumerate((example.before, example.after)):
        film = work / f"{number}.mp4"
        render = [sys.executable, "-m", "skylapse_processor", "render", str(work / "frames"), "-o", str(film)]
        options = [word.replace("__", "  ") for word in words.split()]
        subprocess.run([*render, *options], check=True, stdout=subprocess.DEVNULL, cwd=work)
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
