"""A film of two to nine cameras side by side, on one time axis.

The axis has even ticks, as far apart as the quickest camera's frames, from the first frame of any camera to
the last. At each tick a cell shows the frame of its camera that is nearest in time. Where none is near, the
cell keeps its last picture, dimmed, and says so; before a camera's first frame it is black. Every camera is
levelled for itself, by the same recipe, whose captions stand in each cell and which fades for all at once. A
cell is decoded when its frame changes, and no more than the pictures in flight are held.
"""

import math
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skylapse_processor import recipe
from skylapse_processor.course import course, gathered
from skylapse_processor.decode_scale import Box, Planes, empty
from skylapse_processor.encode import CodedFrame, Converter, VideoFrame, packets
from skylapse_processor.encode_codecs import Coding
from skylapse_processor.encode_preview import Preview
from skylapse_processor.encode_sizes import Print, Prints
from skylapse_processor.errors import NoPicturesError, PictureError, RequestError
from skylapse_processor.files import peak_rss_mb, write_asked
from skylapse_processor.predict import (
    ENOUGH_S,
    ENOUGH_STRETCHES,
    Prediction,
    counting,
    film_bytes,
    stretches,
)
from skylapse_processor.progress import Meter
from skylapse_processor.recipe import blank
from skylapse_processor.recipe.caption import Caption
from skylapse_processor.recipe.doubt import in_words
from skylapse_processor.recipe.fade import ramp
from skylapse_processor.recipe.look import Look, apply
from skylapse_processor.recipe.overlay import unknown
from skylapse_processor.recipe.plan import Plan
from skylapse_processor.recipe.smooth import flicker_mev
from skylapse_processor.recipe.tokens import Snippet
from skylapse_processor.render import Cancelled, Report, known, shown_log_mean, surely, write_stills
from skylapse_processor.request import (
    FEWEST_CELLS,
    MAX_RATE,
    MIN_RATE,
    MOST_CELLS,
    Cell,
    FilmResult,
    RenderRequest,
    check,
    film_box,
)
from skylapse_processor.studio import Studio, usual_size
from skylapse_processor.survey import Skipped, brightness, in_order, survey, why
from skylapse_processor.tone import SRGB

from .keogram import intervals_s

MOST_TICKS = 200_000
_NEAR = 1.5
"""A frame stands for ticks up to so many of its camera's intervals away."""
_DIMMED = 0.35
_LABEL_AT, _BESIDE_LABEL = "bottom-left", "top-left"
"""Where a camera's name stands, and what the recipe would write there."""
_FOR_ONE = "{} looks at pixels of one camera: cameras side by side have no such step"
_DEFAULT_RATE = 30.0
_POSTER_AT = 0.5
_WHITE, _AMBER = (255, 255, 255), (255, 190, 90)


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """The common time, and which frame of each camera stands at each tick."""

    tick_s: float
    frames: tuple[NDArray[np.intp], ...]
    """For each camera the index of its frame at each tick, the one before in a gap, −1 before the first."""
    gaps: tuple[NDArray[np.bool_], ...]
    """For each camera whether it was away."""

    @property
    def count(self) -> int:
        """How many ticks there are."""
        return len(self.frames[0])


def axis_of(times_s: Sequence[NDArray[np.float64]], tick_s: float | None = None) -> Axis:
    """Return the axis of cameras whose frames were taken at these times, each in order."""
    interval = [float(np.median(intervals_s(times))) for times in times_s]
    step = tick_s or min(interval)
    ticks = min(float(times[0]) for times in times_s) + step * np.arange(_ticks(times_s, step))
    shown, gaps = [], []
    for times, own in zip(times_s, interval, strict=True):
        after = np.clip(np.searchsorted(times, ticks), 0, len(times) - 1)
        before = np.searchsorted(times, ticks, side="right") - 1
        nearer = np.abs(times[after] - ticks) < np.abs(times[np.maximum(before, 0)] - ticks)
        nearest = np.where((before < 0) | nearer, after, before)
        away = np.abs(times[nearest] - ticks) > _NEAR * max(own, step)
        shown.append(np.where(away, before, nearest))
        gaps.append(away)
    return Axis(tick_s=step, frames=tuple(shown), gaps=tuple(gaps))


def _ticks(times_s: Sequence[NDArray[np.float64]], step_s: float) -> int:
    """Return how many ticks there are from the first frame of any camera to the last."""
    start, end = min(float(times[0]) for times in times_s), max(float(times[-1]) for times in times_s)
    return max(1, math.floor((end - start) / step_s + 1e-6) + 1)


def _check_span(cells: Sequence["_Cell"]) -> None:
    """Raise RequestError for cameras whose frames lie too far apart for one film."""
    times_s = [_times(cell.plan) for cell in cells]
    step_s = min(float(np.median(intervals_s(times))) for times in times_s)
    count = _ticks(times_s, step_s)
    if count > MOST_TICKS:
        spans = "; ".join(f"{cell.name} is {_span(cell.plan)}" for cell in cells)
        raise RequestError(
            "cameras",
            f"the pictures lie too far apart in time to be shown side by side: {spans} (with a frame each "
            f"{step_s:g} s that makes {count} frames; {MOST_TICKS} are the most)",
        )


def _span(plan: Plan) -> str:
    taken = [frame.captured_at for frame in plan.frames if frame.captured_at]
    return f"from {taken[0]:%Y-%m-%d %H:%M} to {taken[-1]:%Y-%m-%d %H:%M}"


def flicker_of(log_means: NDArray[np.float64]) -> float:
    """Return the flicker of cells, shape (ticks, cells), in mEV: rms over what cameras showed, gaps apart.

    A cell that goes dark because its camera is away does not flicker.
    """
    flickers = [
        (flicker_mev(part), len(part))
        for cell in log_means.T
        for part in np.split(cell, np.flatnonzero(np.diff(np.isfinite(cell))) + 1)
        if np.isfinite(part).all()
    ]
    shown = sum(count for _flicker, count in flickers)
    return math.sqrt(sum(count * flicker**2 for flicker, count in flickers) / max(shown, 1))


def shape_of(count: int) -> tuple[int, int]:
    """Return columns and rows of a grid."""
    columns = math.ceil(math.sqrt(count))
    return columns, math.ceil(count / columns)


def render_grid(request: RenderRequest, on_progress: Report, cancelled: Cancelled) -> FilmResult:
    """Make the film of a request's cells, instead of its own frames.

    Raises RequestError, NoPicturesError, FilmError, FilmCheckError or CancelledError; then no output is left.
    """
    started, meter = time.monotonic(), Meter(on_progress)
    meter.plan("measure", "render", "finish")
    made = _opened(request, meter, cancelled).make()
    skipped = [
        (f"{camera.name}/{file}", reason) for camera in request.cells for file, reason in camera.skipped
    ]
    return replace(
        made,
        skipped=tuple(sorted((*skipped, *made.skipped))),
        seconds=round(time.monotonic() - started, 3),
        peak_rss_mb=peak_rss_mb(),
    )


def predict_grid(
    request: RenderRequest,
    on_progress: Report,
    cancelled: Cancelled,
    clock: Callable[[], float] = time.monotonic,
) -> Prediction:
    """Return what a request's cells will make, from short samples as `predict` has them.

    Raises what `render_grid` raises; no output is touched.
    """
    meter = Meter(on_progress)
    meter.plan("measure")
    grid = _opened(request, meter, cancelled)
    films: list[tuple[CodedFrame, ...]] = []
    sampled, count = 0, len(grid.ticks)
    with tempfile.TemporaryDirectory(prefix="skylapse-predict-") as folder:
        film = Path(folder) / "film.mp4"
        trial, begins = grid.trial(film), clock()
        for stretch in stretches(count):
            if len(films) >= ENOUGH_STRETCHES and clock() >= begins + ENOUGH_S:
                break
            sampled += trial.make(stretch).frames
            films.append(counting(packets(film), is_end=stretch.stop == count))
        taken_s = clock() - begins
    return Prediction(
        frames=count,
        duration_s=round(float(count / grid.rate), 6),
        rate=float(grid.rate),
        width=grid.film.width,
        height=grid.film.height,
        bytes=film_bytes(count, grid.rate, films),
        seconds=round(taken_s / sampled * count, 1),
        peak_rss_mb=peak_rss_mb(),
        sampled=sampled,
    )


def _opened(request: RenderRequest, meter: Meter, cancelled: Cancelled) -> "_Grid":
    """Return a request's cells, ready to be shown."""
    cameras = request.cells
    if not FEWEST_CELLS <= len(cameras) <= MOST_CELLS:
        raise RequestError("cameras", f"are {len(cameras)}; a grid has {FEWEST_CELLS} to {MOST_CELLS}")
    steps = recipe.steps_of(request.recipe, request.parameters)
    looking = [step.kind for step in steps if recipe.STEPS[step.kind].alone]
    if looking:
        raise RequestError("recipe", _FOR_ONE.format(f"{request.recipe} with {' and '.join(looking)}"))
    for camera in cameras:
        check(replace(request, cells=(), frames=camera.frames, skipped=camera.skipped))
    box = _cell_box(cameras[0], request, len(cameras))
    cells = [_cell(camera, request, box, meter, cancelled) for camera in cameras]
    _check_span(cells)
    return _Grid(cells, request, box, meter, cancelled)


def _cell_box(camera: Cell, request: RenderRequest, count: int) -> Box:
    """Return how large a cell is: the grid of cells of the first camera's shape fits the size asked for."""
    columns, rows = shape_of(count)
    frames, _skipped = survey(camera.frames[:1])
    width, height = frames[0].size or (16, 9) if frames else (16, 9)
    film = film_box(request.size, width * columns, height * rows)
    return Box(width=2 * (film.width // columns // 2), height=2 * (film.height // rows // 2))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cell:
    """One camera, ready to be shown."""

    name: str
    plan: Plan
    studio: Studio
    look: Look
    skipped: Skipped
    captions: tuple[Caption, ...]
    """Of the recipe; none where the camera's name stands."""
    label: Caption
    away: Caption


def _cell(camera: Cell, request: RenderRequest, box: Box, meter: Meter, cancelled: Cancelled) -> _Cell:
    named = replace(request, frames=camera.frames, camera=camera.name)
    own = replace(named, rate=_DEFAULT_RATE, length_s=None, speed_up=None)
    own = gathered(known(own))
    frames, skipped = survey(own.frames)
    if not frames:
        raise NoPicturesError(f"{camera.name}: none of its pictures can be used")
    if any(frame.captured_at is None for frame in frames):
        raise RequestError("cameras", f"{camera.name}: a grid needs pictures with capture times")
    way = course(own, frames)
    if way.outline.layers:
        given = [kind for kind in request.files.as_json() if kind != "tone"]
        raise RequestError("calibration", _FOR_ONE.format(" and ".join(given)))
    studio = Studio(usual_size(way.plan.frames), way.outline.window, box, None)
    plan = way.plan
    if way.measures:
        plan, broken = brightness(studio, plan, meter, cancelled)
        skipped += broken
    if not plan.frames:
        raise NoPicturesError(f"{camera.name}: none of its pictures can be used")
    plan = way.cooked(plan)
    return _Cell(
        name=camera.name,
        plan=plan,
        studio=studio,
        look=Look(plan),
        skipped=[(f"{camera.name}/{file}", reason) for file, reason in skipped],
        captions=tuple(
            replace(each, position=_BESIDE_LABEL) if each.position == _LABEL_AT else each
            for each in plan.captions
        ),
        label=_caption(camera.name, _WHITE),
        away=_caption(f"{camera.name}: no picture", _AMBER),
    )


def _caption(words: str, colour: tuple[int, int, int]) -> Caption:
    return Caption(
        lines=((Snippet(words=words),),),
        zone=None,
        title="",
        position=_LABEL_AT,
        size=0.06,
        opacity=0.9,
        colour=colour,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """A picture as it stands in its cell."""

    planes: Planes
    log_mean: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Made:
    """One frame of the film."""

    frame: VideoFrame
    log_means: tuple[float, ...]
    """Of each cell; NaN where its camera has no frame."""


class _Grid:
    """All cells, tick after tick."""

    def __init__(
        self, cells: Sequence[_Cell], request: RenderRequest, box: Box, meter: Meter, cancelled: Cancelled
    ) -> None:
        self._cells = cells
        self._request = request
        self._box = box
        self._meter = meter
        self._cancelled = cancelled
        self._columns, rows = shape_of(len(cells))
        self.film = Box(width=box.width * self._columns, height=box.height * rows)
        self._axis = axis_of([_times(cell.plan) for cell in cells])
        self.rate, every = self._pace()
        self.ticks = range(0, self._axis.count, every)
        """Those that are shown."""
        self._fade = ramp(len(self.ticks), max(cell.plan.fade_frames for cell in cells))
        self._local = threading.local()
        self._broken: dict[tuple[str, str], str] = {}

    def trial(self, output: Path) -> "_Grid":
        """Return the same to be tried out: into another file, in silence."""
        request = replace(self._request, output=output, poster=None, thumbnail=None, preview=None)
        meter = Meter(lambda _progress: None)
        meter.plan("render", "finish")
        return _Grid(self._cells, request, self._box, meter, self._cancelled)

    def make(self, stretch: range | None = None) -> FilmResult:
        """Encode all ticks, or a stretch of them, check and put in place."""
        ticks = range(len(self.ticks)) if stretch is None else stretch
        return surely(self._request, lambda coding: self._made(ticks, coding))

    def _made(self, ticks: range, coding: Coding) -> FilmResult:
        print_ = Print(size=self._request.size, box=self.film, output=self._request.output)
        poster: VideoFrame | None = None
        means: list[tuple[float, ...]] = []
        preview = Preview(0, len(ticks)) if self._request.preview else None
        with Prints([print_], self.rate, coding) as films:
            self._meter.begin("render", len(ticks))
            for number, made in enumerate(in_order(self._picture, ticks, self._cancelled)):
                films.write((made.frame,), number)
                means.append(made.log_means)
                if preview is not None:
                    preview.take(number, made.frame)
                poster = made.frame if poster is None or number <= _POSTER_AT * len(ticks) else poster
                self._meter.advance("render", number + 1, len(ticks))
            self._meter.begin("finish", 1)
            flicker = round(flicker_of(np.array(means)), 3)
            names = ", ".join(cell.name for cell in self._cells)
            (facts,) = films.finish(
                {"recipe": self._request.recipe, "cameras": names, **self._request.metadata},
                lambda: self._meter.advance("finish", 0, 1),
            )
        if poster is not None:
            write_stills(self._request, Converter().pixels(poster))
        if preview is not None and self._request.preview is not None:
            write_asked(self._request.preview, preview.webp())
        self._meter.advance("finish", 1, 1)
        skipped = [pair for cell in self._cells for pair in cell.skipped]
        return FilmResult(
            frames=facts.frames,
            skipped=(
                *skipped,
                *((f"{name}/{file}", reason) for (name, file), reason in self._broken.items()),
            ),
            adapted=(),
            noticed=(*self._denied(), *unknown([cell.plan for cell in self._cells])),
            duration_s=round(facts.duration_s, 6),
            bytes=facts.bytes,
            width=facts.width,
            height=facts.height,
            rate=float(self.rate),
            flicker_mev=flicker,
            levelled_by=", ".join(sorted({cell.plan.levelled_by for cell in self._cells})),
            seconds=0.0,
            peak_rss_mb=0.0,
            codec=facts.codec,
            encoder=coding.name,
        )

    def _denied(self) -> Skipped:
        """Name the pictures whose exposure was not believed, and those by which nothing was levelled."""
        found: Skipped = []
        for cell in self._cells:
            plan = cell.plan
            names = [f"{cell.name}/{plan.frames[number].name}" for number in plan.denied]
            found += in_words(cell.name, len(plan.frames), names)
            blanks = [f"{cell.name}/{name}" for name in plan.blank]
            found += blank.in_words(cell.name, len(plan.frames), blanks)
        return found

    def _pace(self) -> tuple[Fraction, int]:
        """Return frames a second, and n where every n-th tick is shown."""
        request = self._request
        if request.length_s is not None:
            wanted = self._axis.count / request.length_s
        elif request.speed_up is not None:
            wanted = request.speed_up / self._axis.tick_s
        else:
            wanted = request.rate or _DEFAULT_RATE
        every = max(1, -int(-wanted // MAX_RATE))
        rate = min(MAX_RATE, max(MIN_RATE, wanted / every))
        return Fraction(rate).limit_denominator(1001), every

    def _picture(self, place: int) -> _Made:
        """Return the frame of the film at a place."""
        if not hasattr(self._local, "converter"):
            self._local.converter, self._local.shown = Converter(), {}
        canvas = empty(self.film)
        for plane in canvas.planes:
            plane[:] = 0
        log_means: list[float] = []
        for number in range(len(self._cells)):
            row, column = divmod(number, self._columns)
            rows = slice(row * self._box.height, (row + 1) * self._box.height)
            columns = slice(column * self._box.width, (column + 1) * self._box.width)
            red, green, blue = (plane[rows, columns] for plane in canvas.planes)
            log_means.append(self._fill(number, place, (red, green, blue)))
        return _Made(frame=self._local.converter.frame(canvas), log_means=tuple(log_means))

    def _fill(self, number: int, place: int, planes: Planes) -> float:
        """Show a camera in its cell; return how bright its picture is, NaN where it has none or fades."""
        cell, tick, fade = self._cells[number], self.ticks[place], float(self._fade[place])
        index = int(self._axis.frames[number][tick])
        gap = bool(self._axis.gaps[number][tick])
        shown = self._shown(number, index, fade) if index >= 0 else None
        if shown is not None:
            for plane, source in zip(planes, shown.planes, strict=True):
                plane[:] = (source * np.float32(_DIMMED)).astype(np.uint8) if gap else source
        facts, away = cell.plan.frames[max(index, 0)], gap or shown is None
        for caption in (cell.away,) if away else (*cell.captions, cell.label):
            caption.draw(planes, facts, place, fade)
        return math.nan if away or shown is None or fade < 1.0 else shown.log_mean

    def _shown(self, number: int, index: int, fade: float) -> _Shown | None:
        """Return a frame of a camera, levelled, at its cell's size; None where it is broken."""
        kept: dict[int, tuple[tuple[int, float], _Shown | None]] = self._local.shown
        if number in kept and kept[number][0] == (index, fade):
            return kept[number][1]
        cell, shown = self._cells[number], None
        frame = cell.plan.frames[index]
        try:
            planes = cell.studio.canvas(frame).planes
            tables = cell.look.tables(index, fade)
            if tables is not None:
                apply(tables, planes)
            curve = frame.facts.tone_curve if frame.facts else SRGB
            shown = _Shown(planes=planes, log_mean=shown_log_mean(planes, curve))
        except (PictureError, OSError) as error:
            self._broken[cell.name, frame.name] = why(error)
        kept[number] = ((index, fade), shown)
        return shown


def _times(plan: Plan) -> NDArray[np.float64]:
    return np.array([frame.captured_at.timestamp() for frame in plan.frames if frame.captured_at])
