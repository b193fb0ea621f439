"""One film from its request: look at every picture, measure where exposure is not known, plan, render, check.

Two threads decode, scale and look up while this one encodes. Few frames are in flight, so that memory
does not grow with the length of the film. A picture that turns out broken is left out, with its reason,
and the film goes on.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from PIL import Image

from skylapse_protocol.sizes import LeftOut

from . import decode, encode, recipe
from .calibration import curve_of, load, retold
from .course import Course, course, gathered, goes_by_quality, looks_around
from .decode_scale import Box, Canvas, Planes, empty
from .encode_codecs import Coding
from .encode_hardware import choose
from .encode_preview import Preview
from .encode_sizes import Print, Prints
from .errors import CancelledError, FilmError, NoPicturesError, PictureError, RequestError
from .files import peak_rss_mb, write_asked
from .frames import SourceFrame
from .measure import THUMBNAIL_BYTES, THUMBNAIL_LONG_SIDE, jpeg_within
from .memory import give_back_large_blocks
from .progress import Meter, Progress, Step
from .recipe import blank
from .recipe.doubt import in_words
from .recipe.fade import ramp
from .recipe.layer import Latent, Layer, Size
from .recipe.look import Look, apply
from .recipe.overlay import unknown
from .recipe.plan import Plan
from .recipe.smooth import flicker_mev
from .request import AlsoMade, FilmResult, RenderRequest, at_size, beside, check, pace, prints
from .stack import Stack, prepared
from .studio import Scratch, Studio, is_deep, large_box, usual_size, worth_keeping
from .survey import Skipped, brightness, in_order, quality, survey, why
from .tone import LUMINANCE, SRGB, linear_table

POSTER_LONG_SIDE = 1280
_POSTER_BYTES = 400_000
_SAMPLES = 60_000
POSTER_AT = 0.5

__all__ = ["FilmResult", "Progress", "RenderRequest", "render_film"]

Report = Callable[[Progress], None]
Cancelled = Callable[[], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Made:
    """One frame, ready to be encoded, or none where all it is made of is broken."""

    name: str = ""
    frames: tuple[encode.VideoFrame, ...] = ()
    """At every size of the film."""
    log_mean: float = 0.0
    """NaN where it is on its way from black or to it."""
    adapted: str = ""


def render_film(request: RenderRequest, on_progress: Report, cancelled: Cancelled) -> FilmResult:
    """Make the film, its poster and its thumbnail, each put in place only when it is whole.

    Raises RequestError, CalibrationError, NoPicturesError, FilmError, FilmCheckError or CancelledError; then
    no output is left.
    """
    started = time.monotonic()
    meter = Meter(on_progress)
    with opened(request, meter, cancelled) as film:
        made = encoded(film, film.request, meter, cancelled)
    return replace(
        made,
        skipped=tuple(sorted((*film.request.skipped, *film.skipped, *made.skipped))),
        noticed=(*film.request.noticed, *made.noticed, *film.noticed),
        seconds=round(time.monotonic() - started, 3),
        peak_rss_mb=peak_rss_mb(),
    )


class Pictures:
    """The pictures of a film: levelled frames, and all layers upon them, which have looked around once."""

    def __init__(
        self,
        plan: Plan,
        studio: Studio,
        film: Box,
        meter: Meter,
        cancelled: Cancelled,
        parts: Sequence[range] = (),
    ) -> None:
        """Look around, where a layer has to know the whole film, or only `parts` of it."""
        self.plan = plan
        self.studio = studio
        self._cancelled = cancelled
        self.unlooked_s = 0.0
        """How much longer it would have taken to look at the whole film."""
        self.broken: dict[str, str] = {}
        """Files that turned out broken, with the reason: also those that are merged around."""
        self._layers = self._looked(film, meter, parts) if plan.layers else ()
        self._is_stacked = bool(self._layers) or any(is_deep(frame) for frame in plan.frames)
        stack = self.stack()
        self.count = len(plan.frames) if stack is None else stack.count
        """How many there are, if none is broken."""

    @property
    def _size(self) -> Size:
        return self.studio.box.width, self.studio.box.height

    def stack(self) -> Stack | None:
        """Return layers that have made nothing yet; null where one look-up a frame is all."""
        if not self._is_stacked:
            return None
        give_back_large_blocks()
        return Stack(self._latent, len(self.plan.frames), self._size, self._layers)

    def _looked(self, film: Box, meter: Meter, parts: Sequence[range]) -> tuple[Layer, ...]:
        """Return the layers that have something to do, having looked at the film."""
        count, began, seen, whole = len(self.plan.frames), time.monotonic(), 0, 0
        give_back_large_blocks()

        def looked(done: int, total: int) -> None:
            nonlocal seen, whole
            if self._cancelled():
                raise CancelledError("cancelled")
            meter.advance("look", done, total)
            seen, whole = seen + 1, total

        if any(looks_around(layer) for layer in self.plan.layers):
            meter.begin("look", count)
        ready = prepared(
            self._latent,
            count,
            self._size,
            self.plan.layers,
            film=(film.width, film.height),
            parts=parts,
            looked=looked,
        )
        if parts and any(layer.looks_at_all for layer in self.plan.layers):
            self.unlooked_s = (time.monotonic() - began) * max(whole - seen, 0) / max(seen, 1)
        return ready

    def _latent(self, index: int, size: Size) -> Latent:
        frame = self.plan.frames[index]
        if self._cancelled():
            raise CancelledError("cancelled")
        try:
            return self.studio.latent(frame, self.plan.gain_ev[index], size)
        except (PictureError, OSError) as error:
            self.broken[frame.name] = why(error)
            raise


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A film before its first frame is encoded."""

    request: RenderRequest
    """With the pictures that lead, and what is calibrated."""
    pictures: Pictures
    rate: Fraction
    skipped: Skipped
    noticed: Skipped


@contextmanager
def opened(
    request: RenderRequest,
    meter: Meter,
    cancelled: Cancelled,
    parts_of: Callable[[Plan], Sequence[range]] = lambda _: (),
) -> Iterator[Opened]:
    """Have all that a film needs to know before its first frame; raises what `render_film` raises.

    `parts_of` says which parts of the film are to be made, where these are not all of it.
    """
    check(request)
    request = gathered(known(request))
    pace(request, request.frames)
    frames, skipped = survey(request.frames)
    _some_left(frames, skipped, request)
    if goes_by_quality(request):
        meter.plan("measure", "render", "finish")
        frames, broken = quality(frames, meter, cancelled)
        skipped += broken
        _some_left(frames, skipped, request)
    way = course(request, frames)
    meter.plan(*_stages(way, before=goes_by_quality(request)))
    with _studio(request, way) as studio:
        plan = way.plan
        if way.measures:
            plan, broken = brightness(studio, plan, meter, cancelled)
            skipped += broken
        _some_left(plan.frames, skipped, request)
        (largest, *_others), _left_out = _prints(request, way.outline)
        plan = way.cooked(plan)
        yield Opened(
            request=request,
            pictures=Pictures(plan, studio, largest.box, meter, cancelled, parts_of(plan)),
            rate=way.rate,
            skipped=skipped,
            noticed=[*_alone(request, frames, way), *unknown([way.outline])],
        )


def encoded(film: Opened, request: RenderRequest, meter: Meter, cancelled: Cancelled) -> FilmResult:
    """Encode all of an opened film, or the stretch of it that the request names."""
    return surely(request, lambda coding: _Film(film, request, coding, meter, cancelled).make())


def surely(request: RenderRequest, make: Callable[[Coding], FilmResult]) -> FilmResult:
    """Make a film by the hardware that is asked for where that works, and again without where it fails."""
    encoder, notice = choose(request.codec, request.encoder)
    while True:
        coding = Coding(codec=request.codec, encoder=encoder, threads=request.threads)
        try:
            made = make(coding)
        except (NoPicturesError, CancelledError):
            raise
        except FilmError as error:
            if encoder is None:
                raise
            software = Coding(codec=request.codec).name
            notice = f"was encoded by {software}: {encoder} failed in the middle of it ({error})"
            encoder = None
        else:
            noticed = ((request.output.name, notice),) if notice else ()
            return replace(made, noticed=(*made.noticed, *noticed))


def _alone(request: RenderRequest, frames: Sequence[SourceFrame], way: Course) -> Skipped:
    """Tell of a film that stands still because all but one of its pictures were left out."""
    if len(way.plan.frames) > 1 or len(frames) == 1:
        return []
    chosen = f"shows a single frame: select chose one of {len(frames)} pictures"
    steps = recipe.steps_of(request.recipe, request.parameters)
    a_day = any(step.kind == "select" and step.parameters.get("light", "any") != "any" for step in steps)
    return [(request.output.name, f"{chosen}, for it takes one a day" if a_day else chosen)]


def known(request: RenderRequest) -> RenderRequest:
    """Return the request with what the calibration of its camera says; raise CalibrationError."""
    frames = retold(request.frames, request.files.tone)
    return replace(request, frames=frames, calibration=load(request.files, curve_of(frames)))


def _stages(way: Course, *, before: bool) -> tuple[Step, ...]:
    """Return the passes of a render; `before` says whether all pictures were looked at to choose them."""
    passes: dict[Step, bool] = {"measure": way.measures or before, "look": way.looks}
    return (*(step for step, wanted in passes.items() if wanted), "render", "finish")


def _prints(request: RenderRequest, plan: Plan) -> tuple[tuple[Print, ...], tuple[LeftOut, ...]]:
    return prints(request, *plan.window.of(*usual_size(plan.frames))[2:])


def _studio(request: RenderRequest, way: Course) -> Studio:
    size, window = usual_size(way.plan.frames), way.outline.window
    shown = window.of(*size)[2:]
    made, _left_out = prints(request, *shown)
    box = large_box(max((each.box for each in made), key=lambda box: box.width), shown, way.outline.oversize)
    unmeasured = way.measures and any(frame.measured is None for frame in way.plan.frames)
    scratch = Scratch(request.output.parent, box) if unmeasured and worth_keeping(size, box) else None
    return Studio(size, window, box, scratch)


class _Film:
    """The second pass: every frame of a plan through the studio, look-up and encode."""

    def __init__(
        self,
        film: Opened,
        request: RenderRequest,
        coding: Coding,
        meter: Meter,
        cancelled: Cancelled,
    ) -> None:
        self._request = request
        self._pictures = film.pictures
        self._plan = film.pictures.plan
        self._stack = film.pictures.stack()
        self._studio = film.pictures.studio
        self._rate = film.rate
        self._meter = meter
        self._cancelled = cancelled
        self._look = Look(self._plan)
        self._fade = np.ones(0)
        self._local = threading.local()
        self._means: list[float] = []
        self._adapted: list[tuple[str, str]] = []
        self._poster: tuple[encode.VideoFrame, ...] = ()
        self._preview: Preview | None = None
        self._prints, left_out = _prints(request, self._plan)
        self._coding = coding
        self._noticed = [
            *((beside(request.output, each.size).name, f"is left out: {each.why}") for each in left_out),
            *in_words(
                request.output.name,
                len(self._plan.frames),
                [self._plan.frames[number].name for number in self._plan.denied],
            ),
            *blank.in_words(request.output.name, len(self._plan.frames), self._plan.blank),
        ]

    def make(self) -> FilmResult:
        """Encode, check and put in place."""
        whole = self._pictures.count
        first, past = self._stretch(whole)
        self._fade = ramp(whole, self._plan.fade_frames)
        count = past - first
        self._preview = Preview(first, past) if self._request.preview else None
        with Prints(self._prints, self._rate, self._coding) as films:
            self._meter.begin("render", count)
            pictures = in_order(self._picture, range(first, past), self._cancelled)
            for number, made in enumerate(pictures, first):
                self._take(made, films, number)
                self._meter.advance("render", number + 1 - first, count)
            _some_left(self._means, [*self._pictures.broken.items()], self._request)
            self._meter.begin("finish", 1)
            result = self._result(films)
        self._write_stills()
        self._meter.advance("finish", 1, 1)
        return result

    def _take(self, made: _Made, films: Prints, number: int) -> None:
        if not made.frames:
            return
        films.write(made.frames, number)
        if self._preview is not None:
            self._preview.take(number, made.frames[0])
        self._means.append(made.log_mean)
        if made.adapted:
            self._adapted.append((made.name, made.adapted))
        if number <= POSTER_AT * len(self._fade) or not self._poster:
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
        facts, *others = films.finish({**figures, **self._request.metadata}, self._alive)
        return FilmResult(
            frames=facts.frames,
            skipped=tuple(self._pictures.broken.items()),
            adapted=tuple(self._adapted),
            noticed=tuple(self._noticed),
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
            encoder=self._coding.name,
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

    def _canvas(self, index: int) -> tuple[Canvas, int]:
        """Return one frame of the film, and the frame of the plan whose facts count for it."""
        fade = float(self._fade[index])
        if self._stack is None:
            canvas = self._studio.canvas(self._plan.frames[index])
            tables = self._look.tables(index, fade)
            if tables is not None:
                apply(tables, canvas.planes)
            return canvas, index
        try:
            picture = self._stack.picture(index)
        finally:
            self._stack.done(index)
        canvas = empty(Box(width=picture.light.shape[2], height=picture.light.shape[1]))
        self._look.show(picture.light, picture.frame, canvas.planes, fade)
        return canvas, picture.frame

    def _picture(self, index: int) -> _Made:
        try:
            canvas, number = self._canvas(index)
        except (PictureError, OSError) as error:
            if self._stack is None:
                self._pictures.broken[self._plan.frames[index].name] = why(error)
            return _Made()
        if not hasattr(self._local, "converter"):
            self._local.converter = encode.Converter()
        source, fade = self._plan.frames[number], float(self._fade[index])
        curve = source.facts.tone_curve if source.facts else SRGB
        log_mean = shown_log_mean(canvas.planes, curve) if fade == 1.0 else np.nan
        for caption in self._plan.captions:
            caption.draw(canvas.planes, source, index, fade)
        return _Made(
            name=source.name,
            frames=self._local.converter.frames(canvas, [each.box for each in self._prints]),
            log_mean=log_mean,
            adapted=self._studio.adaptation(source),
        )

    def _write_stills(self) -> None:
        """Write the stills of every size, and the preview, which is the same for all."""
        moving = self._preview.webp() if self._preview is not None else b""
        self._alive()
        for number, (each, frame) in enumerate(zip(self._prints, self._poster, strict=False)):
            wanted = at_size(self._request, each.size) if number else self._request
            write_stills(wanted, encode.Converter().pixels(frame))
            if wanted.preview is not None:
                write_asked(wanted.preview, moving)
            self._alive()

    def _alive(self) -> None:
        self._meter.advance("finish", 0, 1)


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
            write_asked(path, jpeg_within(smaller, limit))


def shown_log_mean(planes: Planes, curve: str) -> float:
    """Return log2 of the linear mean luminance of a frame as it is encoded, from a grid of its pixels."""
    stride = max(1, int((planes[0].size / _SAMPLES) ** 0.5))
    table = linear_table(curve)
    channels = [cv2.LUT(plane[::stride, ::stride].copy(), table).mean() for plane in planes]
    return float(np.log2(max(LUMINANCE @ np.array(channels), 2.0**-20)))


def _some_left(left: Iterable[Any], skipped: list[tuple[str, str]], request: RenderRequest) -> None:
    if not any(True for _ in left):
        reasons = "; ".join(f"{file} {why}" for file, why in [*request.skipped, *skipped][:3])
        raise NoPicturesError(f"{request.output.name}: none of the pictures can be used: {reasons}")
