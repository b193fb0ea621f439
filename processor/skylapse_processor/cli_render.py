"""The command `skylapse-processor render`: a folder of pictures to a film, or one job, with no server.

A job (`--job job.json`) is what the processor's queue starts: progress as JSON lines, the result as the
last line.
"""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import cv2

from . import recipe
from .calibration import KINDS, CalibrationFiles
from .claim import check_places, claimed
from .cli_common import ended_by, named
from .encode_codecs import CODECS, ENCODERS, H264, THREADS
from .errors import CancelledError, ProcessorError, RequestError, unreadable
from .files import write_asked
from .frames import read_folder
from .predict import Prediction, predict
from .progress import Progress
from .render import Cancelled, Report, render_film
from .request import (
    DEFAULT_RATE,
    FEWEST_CELLS,
    MAX_RATE,
    MOST_CELLS,
    SIZES,
    Cell,
    FilmResult,
    RenderRequest,
    beside,
    from_json,
    to_json,
)
from .results.grid import predict_grid, render_grid

Work = Callable[[RenderRequest, Report, Cancelled], FilmResult | Prediction]
_BAR = 30
_OPTIONS = {
    "cameras": "--grid",
    "output": "-o",
    "rate": "--rate",
    "length_s": "--length",
    "speed_up": "--speed-up",
    "poster": "--poster",
    "thumbnail": "--thumbnail",
    "preview": "--preview",
    "also_sizes": "--also",
    "threads": "--threads",
}
"""How somebody at a terminal calls the fields of a job."""
_CANCELLED = 130
_UNMADE = Path("film.mp4")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `render`."""
    parser = commands.add_parser(
        "render",
        usage="skylapse-processor render FOLDER -o FILM.mp4 [option…]",
        help="make a film of a folder of pictures",
        description="Make a flicker-free film of a folder of pictures. What is known of their exposure "
        "is read from sidecars (0001.json beside 0001.jpg), else EXIF, else seen in the pictures.",
    )
    parser.add_argument("folder", nargs="*", type=named, help="folder of pictures; with --grid two to nine")
    parser.add_argument(
        "--grid", action="store_true", help="one film of several folders side by side, on one time axis"
    )
    parser.add_argument("-o", "--output", type=Path, help="the film to be written, an .mp4")
    parser.add_argument("--recipe", default=recipe.DEFAULT, choices=sorted(recipe.RECIPES))
    _add_sizes(parser)
    _add_coding(parser)
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument(
        "--rate",
        type=float,
        metavar="FPS",
        help=f"frames a second (default {DEFAULT_RATE:g}); above {MAX_RATE:g}, every n-th frame is shown",
    )
    pace.add_argument("--length", type=float, metavar="SECONDS", help="length of the film")
    pace.add_argument("--speed-up", type=float, metavar="TIMES", help="how much faster than life")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="STEP.PARAMETER=VALUE",
        help="change a step of the recipe, as often as needed; step=on and step=off add it and leave it out",
    )
    parser.add_argument("--poster", type=Path, help="also write a poster, a .jpg")
    parser.add_argument("--thumbnail", type=Path, help="also write a thumbnail, a .jpg")
    parser.add_argument("--preview", type=Path, help="also write a small moving picture, a .webp")
    parser.add_argument(
        "--dry-run", action="store_true", help="make nothing: predict length, size, time and memory"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object about the film")
    _add_calibration(parser)
    parser.add_argument("--job", type=Path, help="render a job file instead of a folder")
    parser.add_argument("--write-job", type=Path, metavar="FILE", help="write the job file and do not render")
    parser.add_argument(
        "--stretch",
        type=_stretch,
        metavar="FIRST:PAST",
        help="only these frames of the film, counted from 0, pixel for pixel as in the whole one",
    )
    parser.set_defaults(run=run_render)


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--size",
        type=_size_name,
        default="1080p",
        choices=list(SIZES),
        help="what the film fits into (default 1080p)",
    )
    parser.add_argument(
        "--also",
        type=_words,
        default=(),
        metavar="SIZE,SIZE",
        help="further sizes of the same film: film.mp4 gets film-720p.mp4 beside it",
    )


def _add_calibration(parser: argparse.ArgumentParser) -> None:
    known = parser.add_argument_group("what is known of the camera", "see docs/calibration.md")
    known.add_argument("--lens", type=Path, help="lens.json of `skylapse-bridge calibrate lens`")
    known.add_argument("--tone", type=Path, help="tone.json of `skylapse-bridge calibrate tone`")
    known.add_argument("--flat", type=Path, help="a picture of something evenly lit: corners are as bright")
    known.add_argument("--lut", type=Path, help="a .cube file: the look of the film")


def _add_coding(parser: argparse.ArgumentParser) -> None:
    """Register how the film is encoded."""
    parser.add_argument(
        "--codec",
        default=H264.codec,
        choices=list(CODECS),
        help=f"default {H264.codec}, which plays anywhere",
    )
    parser.add_argument(
        "--encoder",
        default="software",
        choices=ENCODERS,
        help="hardware that encodes; software, the default, where it does not work",
    )
    parser.add_argument(
        "--threads", type=int, default=THREADS, help=f"threads of the encoder (default {THREADS})"
    )


def run_render(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    cv2.setNumThreads(1)  # two workers ask OpenCV at once; threads of its own would take every core of a home
    stop = threading.Event()
    for number in ended_by():
        signal.signal(number, lambda *_: stop.set())
    try:
        request, work = _work(arguments)
        if arguments.write_job is not None:
            write_asked(arguments.write_job, json.dumps(to_json(request)).encode())
            return 0
        with _untouched(arguments, request) if arguments.dry_run else claimed(request):
            result = work(request, _reporter(arguments), stop.is_set)
    except CancelledError:
        _say(sys.stderr, "skylapse-processor: render: cancelled")
        return _CANCELLED
    except RequestError as error:
        return _fail(arguments, error if arguments.job is not None else _as_typed(error, arguments))
    except ProcessorError as error:
        return _fail(arguments, error)
    if arguments.job is not None and arguments.stretch is not None:
        part = {**result.as_json(), "stretch": arguments.stretch}
        write_asked(result_beside(request.output), json.dumps(part).encode())
    if arguments.job is not None:
        _say(sys.stdout, json.dumps({"result": result.as_json()}))
    elif arguments.json:
        _say(sys.stdout, json.dumps(result.as_json()))
    elif isinstance(result, Prediction):
        _foretell(result, request)
    else:
        _tell(result, request)
    return 0


def _untouched(arguments: argparse.Namespace, request: RenderRequest) -> AbstractContextManager[None]:
    """Look whether the film that somebody named can be written, and write nothing."""
    if arguments.output is not None:
        check_places(request)
    return nullcontext()


def result_beside(part: Path) -> Path:
    """Return where the result of a stretch lies, which those who join it want."""
    return part.with_name(f"{part.name}.json")


def _as_typed(error: RequestError, arguments: argparse.Namespace) -> RequestError:
    """Name the option instead of the field of a job: the recipe where it is its own parameter."""
    kind, _, place = error.field.partition(".")
    if kind == "parameters":
        is_typed = any(word.partition("=")[0] in (place, place.partition(".")[0]) for word in arguments.set)
        return RequestError(f"--set {place}" if is_typed else f"--recipe {arguments.recipe}", error.why)
    return RequestError(_OPTIONS.get(error.field, error.field), error.why)


def _fail(arguments: argparse.Namespace, error: ProcessorError) -> int:
    """Say what went wrong; return the exit code."""
    place = ""
    if arguments.job is not None:
        _say(sys.stdout, json.dumps({"error": str(error)}))
        place = f"{arguments.job}: "
    _say(sys.stderr, f"skylapse-processor: render: {place}{error}")
    return 1


def _work(arguments: argparse.Namespace) -> tuple[RenderRequest, Work]:
    """Return what is asked for, and who does it."""
    request = _request(arguments)
    if arguments.grid:
        request = replace(request, cells=tuple(_cell(folder) for folder in arguments.folder))
    if not request.cells:
        return request, predict if arguments.dry_run else render_film
    if request.also_sizes or request.stretch:
        raise RequestError("", "a grid of cameras goes with neither --also nor --stretch")
    return request, predict_grid if arguments.dry_run else render_grid


def _cell(folder: Path) -> Cell:
    listing = read_folder(folder)
    return Cell(name=folder.resolve().name, frames=listing.frames, skipped=listing.skipped)


def _request(arguments: argparse.Namespace) -> RenderRequest:
    if arguments.job is not None:
        if arguments.folder:
            raise RequestError("--job", "names its pictures itself: leave the folder out")
        try:
            request = from_json(arguments.job.read_text(encoding="utf-8"))
            return _part(request, arguments) if arguments.stretch is not None else request
        except (OSError, UnicodeDecodeError) as error:
            raise RequestError("", f"cannot be read ({unreadable(error)})") from error
    output = arguments.output or (_UNMADE if arguments.dry_run else None)
    if not arguments.folder or output is None:
        raise RequestError("", "name a folder of pictures and the film: FOLDER -o film.mp4")
    if arguments.grid and not FEWEST_CELLS <= len(arguments.folder) <= MOST_CELLS:
        few_or_many = f"{len(arguments.folder)} of {FEWEST_CELLS} to {MOST_CELLS} folders"
        raise RequestError("--grid", f"shows folders side by side, and {few_or_many} are named")
    if len(arguments.folder) > 1 and not arguments.grid:
        raise RequestError("", "a film is made of one folder; --grid shows several side by side")
    changes = recipe.changes_of(arguments.set)
    _check_used(arguments, {step.kind for step in recipe.steps_of(arguments.recipe, changes)})
    listing = read_folder(arguments.folder[0])
    return RenderRequest(
        frames=listing.frames,
        skipped=listing.skipped,
        noticed=listing.noticed,
        output=output,
        recipe=arguments.recipe,
        parameters=changes,
        files=CalibrationFiles(**{kind: getattr(arguments, kind) for kind in KINDS}),
        stretch=arguments.stretch,
        size=arguments.size,
        also_sizes=arguments.also,
        codec=arguments.codec,
        encoder=arguments.encoder,
        threads=arguments.threads,
        rate=arguments.rate,
        length_s=arguments.length,
        speed_up=arguments.speed_up,
        poster=arguments.poster,
        thumbnail=arguments.thumbnail,
        preview=arguments.preview,
        metadata={"title": " · ".join(folder.resolve().name for folder in arguments.folder)},
    )


def _check_used(arguments: argparse.Namespace, kinds: Collection[str]) -> None:
    """Raise RequestError for a file that no step of the recipe goes by."""
    for name, kind in (("lens", "correct"), ("flat", "correct"), ("lut", "lut")):
        if getattr(arguments, name) is not None and kind not in kinds:
            why = f"changes nothing: {arguments.recipe} has no step {kind} (--set {kind}=on adds it)"
            raise RequestError(f"--{name}", why)


def _part(request: RenderRequest, arguments: argparse.Namespace) -> RenderRequest:
    """Return the request for a stretch of a job's film, beside the film: it has no pictures of its own."""
    output = arguments.output or request.output
    return replace(
        request, stretch=arguments.stretch, output=output, poster=None, thumbnail=None, preview=None
    )


def _size_name(word: str) -> str:
    """Return the name of a size; many leave out the p."""
    return f"{word}p" if word.isdecimal() else word


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_size_name(word) for word in text.split(",") if word))


def _stretch(words: str) -> tuple[int, int]:
    first, _, past = words.partition(":")
    try:
        return int(first), int(past)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{words!r} is not of the form 240:480") from None


class _Bar:
    """A progress bar on a terminal; silent where there is none."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = ""

    def __call__(self, progress: Progress) -> None:
        if not self._stream.isatty():
            return
        filled = round(_BAR * progress.percent / 100)
        left = "" if progress.seconds_left is None else f"  {progress.seconds_left:.0f} s left"
        text = (
            f"\r{progress.step:8}[{'█' * filled}{'·' * (_BAR - filled)}] {progress.percent:3.0f} %"
            f"  {progress.done}/{progress.total}  {progress.frames_per_s:.1f} frames/s{left}"
        )
        self._stream.write(text.ljust(len(self._shown)))
        self._shown = text
        if progress.step == "finish" and progress.done:
            self._stream.write("\n")
        self._stream.flush()


def _reporter(arguments: argparse.Namespace) -> "_Bar | _Lines":
    return _Lines() if arguments.job is not None else _Bar(sys.stderr)


class _Lines:
    """Progress as JSON lines for whoever started the job."""

    def __call__(self, progress: Progress) -> None:
        _say(sys.stdout, json.dumps({"progress": progress.as_json()}))


def _tell(result: FilmResult, request: RenderRequest) -> None:
    for file, reason in result.skipped:
        _say(sys.stderr, f"left out: {file} {reason}")
    for file, reason in (*_once_each(result.adapted), *_once_each(result.noticed)):
        _say(sys.stderr, f"{file}: {reason}")
    left_out = f", {len(result.skipped)} left out" if result.skipped else ""
    _say(
        sys.stdout,
        f"{request.output}: {result.frames} frame{'s' * (result.frames != 1)}{left_out}, "
        f"{result.duration_s:.2f} s, {result.width} × {result.height}, {_size(result.bytes)}, "
        f"flicker {result.flicker_mev:.1f} mEV (levelled by {result.levelled_by}), "
        f"made in {result.seconds:.1f} s",
    )
    for also in result.also:
        _say(sys.stdout, f"{also.file}: {also.width} × {also.height}, {_size(also.bytes)}")


def _once_each(told: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return what is to be said of files, once for all of which the same is."""
    alike: dict[str, list[str]] = {}
    for file, reason in told:
        alike.setdefault(reason, []).append(file)
    return [
        (files[0], reason)
        if len(files) == 1
        else (f"{len(files)} files from {files[0]} on", f"each {reason}")
        for reason, files in alike.items()
    ]


def _foretell(result: Prediction, request: RenderRequest) -> None:
    _say(
        sys.stdout,
        f"{request.output}: {result.frames} frame{'s' * (result.frames != 1)}, {result.duration_s:.2f} s, "
        f"{result.width} × {result.height}, about {_size(result.bytes)}, "
        f"to be made in about {result.seconds:.0f} s with {result.peak_rss_mb:.0f} MB of memory",
    )
    for also in result.also:
        file = beside(request.output, also.size)
        _say(sys.stdout, f"{file}: {also.width} × {also.height}, about {_size(also.bytes)}")
    for each in result.left_out:
        _say(sys.stderr, f"{beside(request.output, each.size)}: is left out: {each.why}")


def _size(count: int) -> str:
    """Return bytes in the unit that leaves digits to read."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def _say(stream: TextIO, text: str) -> None:
    stream.write(f"{text}\n")
    stream.flush()
