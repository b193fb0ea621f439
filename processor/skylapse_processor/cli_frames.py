"""The command `skylapse-processor frames`: pictures out of a recording, and what they are worth."""

import argparse
import json
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from .cli_common import ended_by, named
from .decode import Pixels
from .decode_video import Darkroom, Grey, Recording, Shot, VideoFacts
from .errors import CancelledError, ProcessorError, RequestError, unreadable
from .extract import ExtractWish, Report, Taken, captured_at, chosen, file_name, judged, problem_of, sharpness

REPORT = "report.json"
_CANCELLED = 130
_FORMATS = ("jpg", "png")
_OPTIONS = {"every_s": "--every", "from": "--from", "to": "--to"}
_BEST = 100
"""Highest quality of a JPEG."""
_JUDGED_SIZE = (160, 90)
_WRITERS = 2
"""Threads that write pictures while the next ones are decoded."""
_IN_HAND = 4
"""Frames that are decoded and not written yet, at most."""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `frames`."""
    parser = commands.add_parser(
        "frames",
        usage="skylapse-processor frames VIDEO -o DIR [option…]",
        help="take pictures out of a recording",
        description="Take pictures out of a recording, to make a film of: one a second, unless something "
        "else is asked for. Each has its time in a sidecar where the recording says when it began; "
        "report.json says what the pictures are worth.",
    )
    parser.add_argument("video", type=named, help="the recording")
    parser.add_argument("-o", "--output", type=named, required=True, metavar="DIR", help="an empty folder")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--rate", type=float, metavar="N", help="so many frames a second (default 1)")
    which.add_argument("--every", type=float, metavar="SECONDS", help="one frame each so many seconds")
    which.add_argument("--count", type=int, metavar="N", help="so many frames, even in time")
    which.add_argument(
        "--scene", type=float, metavar="SHARE", help="a frame whenever the picture changed by 0…1 (try 0.1)"
    )
    parser.add_argument("--sharp", action="store_true", help="the sharpest frame about each moment")
    parser.add_argument(
        "--from", type=float, default=0.0, dest="from_s", metavar="SECONDS", help="begin here"
    )
    parser.add_argument("--to", type=float, dest="to_s", metavar="SECONDS", help="end here")
    parser.add_argument("--format", choices=_FORMATS, default="jpg", help="of the pictures (default jpg)")
    parser.add_argument(
        "--quality",
        type=_quality,
        default=92,
        metavar="1…100",
        help="of JPEGs (default 92)",
    )
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.set_defaults(run=run_frames)


def _quality(words: str) -> int:
    if not (words.isascii() and words.isdecimal() and 1 <= int(words[:4]) <= _BEST):
        raise argparse.ArgumentTypeError(f"{words[:20]!r} is no whole number from 1 to {_BEST}")
    return int(words)


def run_frames(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    wish = ExtractWish(
        rate=arguments.rate,
        every_s=arguments.every,
        count=arguments.count,
        scene=arguments.scene,
        sharp=arguments.sharp,
        from_s=arguments.from_s,
        to_s=arguments.to_s,
    )
    stop = threading.Event()
    for number in ended_by():
        signal.signal(number, lambda *_: stop.set())
    try:
        wish.check()
        report = extract(arguments.video, arguments.output, wish, _writer(arguments), stop.is_set)
    except CancelledError:
        _fail("cancelled")
        return _CANCELLED
    except RequestError as error:
        place = _OPTIONS.get(error.field, f"--{error.field}" if error.field else "")
        return _fail(RequestError(place, error.why))
    except ProcessorError as error:
        return _fail(error)
    print(json.dumps(report.as_json()) if arguments.json else _words(report, arguments.output))
    return 0


Write = Callable[[Pixels, Path], Path]
"""Writes a picture under a name without its ending; returns where it lies."""


def extract(
    video: Path,
    folder: Path,
    wish: ExtractWish,
    write: Write,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Report:
    """Write the frames, their sidecars and at last the report.

    Raises PictureError, RequestError or CancelledError; nothing is left in the folder then.
    """
    started = time.monotonic()
    with _room(folder), Recording(video, is_cancelled) as recording:
        facts = recording.facts
        kept = list(_watched(_in_order(chosen(recording, wish), _Desk(folder, write, facts))))
        if not kept:
            raise RequestError("", f"{video.name} has no frame in what was asked for")
        broken, ended_s, facts = recording.damaged, recording.ended_s, recording.facts
        report = Report(
            facts=facts,
            taken=judged(kept),
            broken=broken,
            ended_s=ended_s,
            seconds=round(time.monotonic() - started, 2),
        )
        text = json.dumps(report.as_json(), indent=1) + "\n"
        try:
            (folder / REPORT).write_text(text, encoding="utf-8")
        except OSError as error:
            raise _full(folder, error) from error
    return report


class _Desk:
    """Where frames are written, in several threads."""

    def __init__(self, folder: Path, write: Write, facts: VideoFacts) -> None:
        self._folder = folder
        self._write = write
        self._facts = facts
        self._own = threading.local()

    def sit_down(self) -> None:
        """Have what each thread needs for itself."""
        self._own.room = Darkroom()

    def keep(self, number: int, shot: Shot) -> tuple[Taken, Grey]:
        """Write a frame; say what is known of it, beside a tiny picture."""
        room: Darkroom = self._own.room
        grey = room.grey(shot.frame)
        try:
            path = self._write(room.pixels(shot.frame), self._folder / file_name(number))
            taken = _taken(path, self._facts, shot, grey)
        except OSError as error:
            raise _full(self._folder, error) from error
        tiny = cv2.resize(grey, _JUDGED_SIZE, interpolation=cv2.INTER_AREA)
        return taken, np.asarray(tiny, dtype=np.uint8)


def _in_order(shots: Iterator[Shot], desk: _Desk) -> Iterator[tuple[Taken, Grey]]:
    """Write frames beside each other and beside the decoding of the next; yield them in their order."""
    waiting: deque[Future[tuple[Taken, Grey]]] = deque()
    with ThreadPoolExecutor(_WRITERS, "writer", desk.sit_down) as writers:
        for number, shot in enumerate(shots):
            waiting.append(writers.submit(desk.keep, number, shot))
            if len(waiting) >= _IN_HAND:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _watched(frames: Iterator[tuple[Taken, Grey]]) -> Iterator[Taken]:
    """Yield frames with what their pictures tell beside the one before: no more than two are held."""
    before: Grey | None = None
    for taken, tiny in frames:
        yield replace(taken, problem=taken.problem or problem_of(tiny, before))
        before = tiny


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    """Make the folder; what fails leaves nothing in it, and no folder that was not there.

    One that holds something is refused, since frames of two recordings would mix.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RequestError("output", f"{folder} is not empty")
    except (FileExistsError, NotADirectoryError) as error:
        raise RequestError("output", f"{folder} cannot be a folder: a file is in its place") from error
    except OSError as error:
        raise RequestError("output", f"{folder} cannot be used ({unreadable(error)})") from error
    try:
        yield
    except BaseException:
        for path in folder.iterdir():
            path.unlink(missing_ok=True)
        for each in made:
            each.rmdir()
        raise


def _full(folder: Path, error: OSError) -> RequestError:
    return RequestError("output", f"{folder} cannot be written ({unreadable(error)})")


def _taken(path: Path, facts: VideoFacts, shot: Shot, grey: Grey) -> Taken:
    """Say what is known of a frame, and beside it when it was taken."""
    moment = captured_at(facts, shot.time_s)
    if moment is not None:
        path.with_suffix(".json").write_text(json.dumps({"captured_at": moment}) + "\n", encoding="utf-8")
    return Taken(
        file=path.name,
        time_s=round(shot.time_s, 6),
        captured_at=moment,
        sharpness=round(sharpness(grey), 2),
        mean=round(float(grey.mean()), 2),
        problem="is damaged" if shot.is_damaged else None,
    )


def _writer(arguments: argparse.Namespace) -> Write:
    return _write_png if arguments.format == "png" else partial(_write_jpeg, quality=arguments.quality)


def _write_jpeg(pixels: Pixels, stem: Path, *, quality: int) -> Path:
    path = stem.with_suffix(".jpg")
    path.write_bytes(
        simplejpeg.encode_jpeg(pixels, quality=quality, colorspace="RGB", colorsubsampling="420")
    )
    return path


def _write_png(pixels: Pixels, stem: Path) -> Path:
    path = stem.with_suffix(".png")
    Image.fromarray(pixels).save(path, "PNG", compress_level=1)
    return path


def _words(report: Report, folder: Path) -> str:
    """Return the report for a person."""
    facts, count = report.facts, len(report.taken)
    span_s = report.taken[-1].time_s - report.taken[0].time_s
    what = f"{count} frame{'s' * (count != 1)} of {facts.width} × {facts.height} over {span_s:.1f} s"
    lines = [f"{folder}: {what} of {facts.codec} at {facts.rate:.3g} frames/s, in {report.seconds:.1f} s"]
    if facts.started_at is None:
        lines.append("the recording does not say when it began: the frames have no capture times")
    if report.broken:
        packets = "1 packet was" if report.broken == 1 else f"{report.broken} packets were"
        lines.append(f"{packets} damaged; what could be decoded was used")
    if report.ended_s is not None:
        lines.append(f"the recording breaks off at {report.ended_s:.1f} s of {facts.duration_s:.1f} s")
    lines += [f"{frame.file} {frame.problem}" for frame in report.problems[:10]]
    if len(report.problems) > 10:
        lines.append(f"… and {len(report.problems) - 10} more; all stand in {folder / REPORT}")
    return "\n".join(lines)


def _fail(error: Any) -> int:
    print(f"skylapse-processor: frames: {error}", file=sys.stderr)
    return 1
