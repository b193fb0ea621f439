"""One film from its request: look at every picture, measure where exposure is not known, plan, render, check.

Two threads decode, scale and look up while this one encodes. Few frames are in flight, so that memory
does not grow with the length of the film. A picture that turns out broken is left out, with its reason,
and the film goes on.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from . import decode, decode_scale, encode, recipe
from .decode_scale import Box, Canvas, Planes, empty
from .encode_codecs import Coding
from .encode_preview import Preview
from .encode_sizes import Prints
from .errors import CancelledError, NoPicturesError, PictureError, RequestError
from .files import peak_rss_mb, write_whole
from .frames import SourceFrame
from .measure import (
    THUMBNAIL_BYTES,
    THUMBNAIL_LONG_SIDE,
    Brightness,
    Measurement,
    jpeg_within,
)
from .progress import Meter, Progress, Step
from .recipe import plan as plans
from .recipe.deflicker import needs_measuring
from .recipe.groups import grouped, without_leader
from .recipe.layer import Light, Size
from .recipe.look import Look, apply
from .recipe.smooth import flicker_mev
from .request import AlsoMade, FilmResult, RenderRequest, at_size, beside, check, pace, prints
from .stack import Stack, prepared
from .studio import Scratch, Studio, usual_size, worth_keeping
from .tone import LUMINANCE, SRGB, linear_table

WORKERS = 2
IN_FLIGHT = 4
POSTER_LONG_SIDE = 1280
_POSTER_BYTES = 400_000
_HEAD_BYTES = 512 * 1024
_SAMPLES = 60_000
_BEFORE_MEASURING = frozenset({"select", "crop"})
_FRAME_THAT_SHOWS = 0.5

__all__ = ["FilmResult", "Progress", "RenderRequest", "render_film"]

Report = Callable[[Progress], None]
Cancelled = Callable[[], bool]
In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Made:
    """One frame, ready to be encoded, or the reason why there is none."""

    name: str
    frames: tuple[encode.VideoFrame, ...] = ()
    """At every size of the film."""
    log_mean: float = 0.0
    adapted: str = ""
    broken: str = ""


def render_film(request: RenderRequest, on_progress: Report, cancelled: Cancelled) -> FilmResult:
    """Make the film, its poster and its thumbnail, each put in place only when it is whole.

    Raises RequestError, NoPicturesError, FilmError, FilmCheckError or CancelledError; then no output is left.
    """
    started = time.monotonic()
    check(request)
    steps = recipe.steps_of(request.recipe, request.parameters)
    leaders, lost = grouped(request.frames, [step.kind for step in steps])
    request = replace(request, frames=leaders, skipped=(*request.skipped, *lost))
    rate, every = pace(request)
    frames, skipped = _survey(request.frames[::every])
    _some_left(frames, skipped, request)
    chosen = recipe.cook(plans.make(frames), tuple(step for step in steps if step.kind in _BEFORE_MEASURING))
    later = tuple(step for step in steps if step.kind not in _BEFORE_MEASURING)
    measuring = any(step.kind == "level" for step in later) and needs_measuring(chosen)
    stages: tuple[Step, ...] = ("measure", "render", "finish") if measuring else ("render", "finish")
    meter = Meter(on_progress, stages)
    with _studio(request, chosen, measuring=measuring) as studio:
        if measuring:
            chosen, broken = _measured(studio, chosen, meter, cancelled)
            skipped += broken
        _some_left(chosen.frames, skipped, request)
        made = _Film(request, recipe.cook(chosen, later), studio, rate, meter, cancelled).make()
    return replace(
        made,
        skipped=tuple(sorted((*request.skipped, *skipped, *made.skipped))),
        noticed=(*request.noticed, *made.noticed),
        seconds=round(time.monotonic() - started, 3),
        peak_rss_mb=peak_rss_mb(),
    )


def _studio(request: RenderRequest, plan: plans.Plan, *, measuring: bool) -> Studio:
    size = usual_size(plan.frames)
    made, _repeated = prints(request, *decode_scale.cropped(*size, plan.aspect))
    box = max((each.box for each in made), key=lambda box: box.width)
    unmeasured = measuring and any(frame.measured is None for frame in plan.frames)
    scratch = Scratch(request.output.parent, box) if unmeasured and worth_keeping(size, box) else None
    return Studio(size, plan.aspect, box, scratch)


class _Film:
    """The second pass: every frame of a plan through the studio, look-up and encode."""

    def __init__(
        self,
        request: RenderRequest,
        plan: plans.Plan,
        studio: Studio,
        rate: Fraction,
        meter: Meter,
        cancelled: Cancelled,
    ) -> None:
        self._request = request
        self._plan = plan
        self._stack: Stack | None = None
        self._whole = 0
        self._studio = studio
        self._rate = rate
        self._meter = meter
        self._cancelled = cancelled
        self._look = Look(plan)
        self._local = threading.local()
        self._means: list[float] = []
        self._skipped: list[tuple[str, str]] = []
        self._adapted: list[tuple[str, str]] = []
        self._poster: tuple[encode.VideoFrame, ...] = ()
        self._preview: Preview | None = None
        self._prints, self._repeated = prints(
            request, *decode_scale.cropped(*usual_size(plan.frames), plan.aspect)
        )

    def make(self) -> FilmResult:
        """Encode, check and put in place."""
        self._whole = self._count()
        first, past = self._stretch(self._whole)
        count = past - first
        self._preview = Preview(first, past) if self._request.preview else None
        with Prints(self._prints, self._rate, Coding(codec=self._request.codec)) as films:
            self._meter.begin("render", count)
            pictures = _in_order(self._picture, range(first, past), self._cancelled)
            for number, made in enumerate(pictures, first):
                self._take(made, films, number)
                self._meter.advance("render", number + 1 - first, count)
            _some_left(self._means, self._skipped, self._request)
            self._meter.begin("finish", 1)
            result = self._result(films)
        self._write_stills()
        self._meter.advance("finish", 1, 1)
        return result

    def _take(self, made: _Made, films: Prints, number: int) -> None:
        if self._stack is not None:
            self._stack.forget(number)
        if not made.frames:
            self._skipped.append((made.name, made.broken))
            return
        films.write(made.frames)
        if self._preview is not None:
            self._preview.take(number, made.frames[0])
        self._means.append(made.log_mean if self._plan.fade[number] == 1 else np.nan)
        if made.adapted:
            self._adapted.append((made.name, made.adapted))
        if number <= _FRAME_THAT_SHOWS * self._whole or not self._poster:
            self._poster = made.frames

    def _result(self, films: Prints) -> FilmResult:
        means = np.array(self._means)
        flicker = round(flicker_mev(means[np.isfinite(means)]), 3)
        figures = {
            "recipe": self._request.recipe,
            "flicker_mev": f"{flicker:g}",
            "frames": f"{len(self._means)}",
            "levelled_by": self._plan.levelled_by,
        }
        facts, *others = films.finish({**figures, **self._request.metadata})
        return FilmResult(
            frames=facts.frames,
            skipped=tuple(self._skipped),
            adapted=tuple(self._adapted),
            noticed=tuple(
                (beside(self._request.output, size).name, "is left out: the pictures are no larger")
                for size in self._repeated
            ),
            duration_s=round(facts.duration_s, 6),
            bytes=facts.bytes,
            width=facts.width,
            height=facts.height,
            rate=float(self._rate),
            flicker_mev=flicker,
            levelled_by=self._plan.levelled_by,
            seconds=0.0,
            peak_rss_mb=0.0,
            codec=facts.codec,
            also=tuple(
                AlsoMade(
                    size=each.size,
                    file=str(each.output),
                    bytes=other.bytes,
                    width=other.width,
                    height=other.height,
                )
                for each, other in zip(self._prints[1:], others, strict=True)
            ),
            log_means=tuple(self._means) if self._request.stretch else (),
        )

    def _stretch(self, count: int) -> tuple[int, int]:
        """Return the first frame to be encoded and the first that is not any more; reach the first."""
        first, past = self._request.stretch or (0, count)
        if past > count:
            raise RequestError("stretch", f"goes to frame {past}, and the film has {count}")
        if self._stack is not None:
            self._stack.reach(first, self._cancelled)
        return first, past

    def _count(self) -> int:
        """Return how many frames the film has; where pixels are looked at, look around first."""
        if not self._plan.layers:
            return len(self._plan.frames)
        count, size = len(self._plan.frames), (self._studio.box.width, self._studio.box.height)
        layers = prepared(self._light, count, size, self._plan.layers)
        self._stack = Stack(self._light, count, size, layers)
        return self._stack.count

    def _light(self, index: int, size: Size) -> Light:
        return self._studio.linear(self._plan.frames[index], self._plan.gain_ev[index], size)

    def _canvas(self, index: int) -> tuple[Canvas, SourceFrame]:
        """Return one frame of the film, and the frame of the plan whose facts count for it."""
        if self._stack is None:
            canvas = self._studio.canvas(self._plan.frames[index])
            tables = self._look.tables(index)
            if tables is not None:
                apply(tables, canvas.planes)
            return canvas, self._plan.frames[index]
        picture = self._stack.picture(index)
        canvas = empty(Box(width=picture.light.shape[2], height=picture.light.shape[1]))
        self._look.show(picture.light, picture.frame, canvas.planes)
        return canvas, self._plan.frames[picture.frame]

    def _picture(self, index: int) -> _Made:
        try:
            canvas, source = self._canvas(index)
        except (PictureError, OSError) as error:
            return _Made(
                name=self._plan.frames[min(index, len(self._plan.frames) - 1)].name, broken=_why(error)
            )
        if not hasattr(self._local, "converter"):
            self._local.converter = encode.Converter()
        return _Made(
            name=source.name,
            frames=tuple(self._local.converter.frame(canvas, each.box) for each in self._prints),
            log_mean=shown_log_mean(canvas.planes, source.facts.tone_curve if source.facts else SRGB),
            adapted=self._studio.adaptation(source),
        )

    def _write_stills(self) -> None:
        """Write the stills of every size, and the preview, which is the same for all."""
        moving = self._preview.webp() if self._preview is not None else b""
        for number, (each, frame) in enumerate(zip(self._prints, self._poster, strict=False)):
            wanted = at_size(self._request, each.size) if number else self._request
            write_stills(wanted, encode.Converter().pixels(frame))
            if wanted.preview is not None:
                write_whole(wanted.preview, moving)


def write_stills(request: RenderRequest, pixels: decode.Pixels) -> None:
    """Write the poster and the thumbnail that are asked for, of a frame of the film."""
    image = Image.fromarray(pixels)
    for path, side, limit in (
        (request.poster, POSTER_LONG_SIDE, _POSTER_BYTES),
        (request.thumbnail, THUMBNAIL_LONG_SIDE, THUMBNAIL_BYTES),
    ):
        if path is not None:
            smaller = image.copy()
            smaller.thumbnail((side, side), Image.Resampling.BICUBIC)
            write_whole(path, jpeg_within(smaller, limit))


def shown_log_mean(planes: Planes, curve: str) -> float:
    """Return log2 of the linear mean luminance of a frame as it is encoded, from a grid of its pixels."""
    stride = max(1, int((planes[0].size / _SAMPLES) ** 0.5))
    table = linear_table(curve)
    channels = [table[plane[::stride, ::stride]].mean() for plane in planes]
    return float(np.log2(max(LUMINANCE @ np.array(channels), 2.0**-20)))


def _survey(frames: tuple[SourceFrame, ...]) -> tuple[tuple[SourceFrame, ...], list[tuple[str, str]]]:
    """Return the frames with their sizes, and files whose head shows that they are no pictures."""
    good, skipped = [], []
    for first in frames:
        frame: SourceFrame | None = first
        while frame is not None:
            try:
                good.append(frame if frame.size else replace(frame, size=_size_of(frame)))
                break
            except (PictureError, OSError) as error:
                skipped.append((frame.name, _why(error)))
            frame = without_leader(frame)
    return tuple(good), skipped


def _size_of(frame: SourceFrame) -> tuple[int, int]:
    if frame.measured is not None:
        return frame.measured.width, frame.measured.height
    with frame.path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
        if not head.startswith(b"\xff\xd8"):
            head += stream.read()
    shape = decode.look(head, frame.name, whole=False)
    return shape.width, shape.height


def _why(error: PictureError | OSError) -> str:
    if isinstance(error, PictureError):
        return error.why
    return f"cannot be read ({error.strerror or error})"


def _measured(
    studio: Studio, plan: plans.Plan, meter: Meter, cancelled: Cancelled
) -> tuple[plans.Plan, list[tuple[str, str]]]:
    """Return the plan with the brightness of every frame, and without those that turned out broken."""

    def measure(frame: SourceFrame) -> tuple[SourceFrame, Brightness | Measurement | str]:
        try:
            return frame, studio.light(frame)
        except (PictureError, OSError) as error:
            return frame, _why(error)

    meter.begin("measure", len(plan.frames))
    light: list[Brightness | Measurement] = []
    good: list[SourceFrame] = []
    broken: list[tuple[str, str]] = []
    for number, (frame, found) in enumerate(_in_order(measure, plan.frames, cancelled), 1):
        if isinstance(found, str):
            broken.append((frame.name, found))
        else:
            good.append(frame)
            light.append(found)
        meter.advance("measure", number, len(plan.frames))
    return replace(plans.make(tuple(good), light), aspect=plan.aspect), broken


def _in_order(work: Callable[[In], Out], items: Iterable[In], cancelled: Cancelled) -> Iterator[Out]:
    """Yield what `work` makes of each item, in order, a few ahead in threads; CancelledError to stop."""
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="frame")
    waiting: deque[Future[Out]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= IN_FLIGHT:
                yield waiting.popleft().result()
            if cancelled():
                raise CancelledError("cancelled")
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _some_left(left: Iterable[Any], skipped: list[tuple[str, str]], request: RenderRequest) -> None:
    if not any(True for _ in left):
        reasons = "; ".join(f"{file} {why}" for file, why in [*request.skipped, *skipped][:3])
        raise NoPicturesError(f"{request.output.name}: none of the pictures can be used: {reasons}")
