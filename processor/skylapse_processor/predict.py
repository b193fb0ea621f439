"""What a film will be before it is made: its length exactly, its bytes, time and memory from short samples.

A few short stretches, spread over the film, are made with all that the film is asked for and thrown away. A
film of n frames begins a group of pictures every g frames, so that

    bytes = ⌈n ÷ g⌉ × mean first frame of a group + (n − ⌈n ÷ g⌉) × mean other frame + what the file adds

Memory does not grow with the length of a film, so that of the samples is that of the film. Fades at its ends
are left out: a sample of the middle of a film knows none.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from skylapse_protocol.sizes import LeftOut

from .course import Course, course, gathered, goes_by_quality
from .encode import packets
from .encode_codecs import group_frames
from .encode_hardware import choose
from .errors import NoPicturesError
from .frames import SourceFrame
from .progress import Meter, Progress
from .render import render_film
from .request import MAX_RATE, MIN_RATE, FilmResult, RenderRequest, check, prints
from .studio import usual_size
from .survey import quality, survey

STRETCH_FRAMES = 12
"""Encoders look ten frames ahead: shorter stretches are all end."""
_STRETCHES, _MORE_STRETCHES = 4, 6
_MANY_FRAMES = 300
"""Of a film of so many frames more is sampled: it sees more of a day. Both numbers are even."""
ENOUGH_S = 3.0
"""Somebody waits: after so long, what has been sampled is enough, if it is as many stretches as these."""
ENOUGH_STRETCHES = 2
_FRAME_BYTES = 20
"""What an index says of one frame."""
_FILE_BYTES = 1500
_NOT_IN_SAMPLES = {"select": False, "fade": False}

Cancelled = Callable[[], bool]
Report = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictedSize:
    """One size of a predicted film."""

    size: str
    width: int
    height: int
    bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """A film that was not made."""

    frames: int
    """If no picture turns out broken."""
    duration_s: float
    rate: float
    width: int
    height: int
    bytes: int
    seconds: float
    """How long it will take to make, on this machine, as busy as it is now."""
    peak_rss_mb: float
    sampled: int
    """How many of its frames were made to know this."""
    also: tuple[PredictedSize, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    """Sizes that were asked for and would only repeat another."""

    def as_json(self) -> dict[str, Any]:
        """Return the prediction as JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sample:
    """A stretch that was made."""

    result: FilmResult
    films: tuple[tuple[int, ...], ...]
    """Bytes of every frame, for each size."""


def predict(
    request: RenderRequest,
    on_progress: Report,
    cancelled: Cancelled,
    clock: Callable[[], float] = time.monotonic,
) -> Prediction:
    """Return what a request will make; no output is touched.

    Raises what `render_film` raises where the film could not be made.
    """
    check(request)
    way = _course(request, Meter(on_progress), cancelled)
    choose(request.codec, request.encoder)
    with tempfile.TemporaryDirectory(prefix="skylapse-predict-") as folder:
        samples = _samples(request, way, Path(folder), cancelled, clock)
    shown = way.outline.window.of(*usual_size(way.plan.frames))[2:]
    wanted, left_out = prints(request, *shown)
    own, *others = (
        PredictedSize(
            size=each.size,
            width=each.box.width,
            height=each.box.height,
            bytes=film_bytes(way.count, way.rate, [sample.films[number] for sample in samples]),
        )
        for number, each in enumerate(wanted)
    )
    made = sum(sample.result.frames for sample in samples)
    return Prediction(
        frames=way.count,
        duration_s=round(float(way.count / way.rate), 6),
        rate=float(way.rate),
        width=own.width,
        height=own.height,
        bytes=own.bytes,
        seconds=round(sum(sample.result.seconds for sample in samples) / made * way.count, 1),
        peak_rss_mb=max(sample.result.peak_rss_mb for sample in samples),
        sampled=made,
        also=tuple(others),
        left_out=left_out,
    )


def stretches(frames: int) -> tuple[range, ...]:
    """Return which frames are sampled: all of a short film, else stretches in the middle of equal shares.

    They stand in an order in which the first few are spread over the film, too.
    """
    if frames <= _STRETCHES * STRETCH_FRAMES:
        return (range(frames),)
    count = _STRETCHES if frames < _MANY_FRAMES else _MORE_STRETCHES
    middles = [(number + 0.5) / count * frames for number in range(count)]
    half = count // 2
    inner_first = sorted(range(half), key=lambda number: abs(number - (half - 1) / 2))
    order = [number for first in inner_first for number in (first, first + half)]
    firsts = [round(middles[number] - STRETCH_FRAMES / 2) for number in order]
    return tuple(range(first, first + STRETCH_FRAMES) for first in firsts)


def _course(request: RenderRequest, meter: Meter, cancelled: Cancelled) -> Course:
    """Return the course of the film, as rendering would take it."""
    whole = gathered(request)
    frames, skipped = survey(whole.frames)
    if frames and goes_by_quality(whole):
        meter.plan("measure")
        frames, broken = quality(frames, meter, cancelled)
        skipped += broken
    if not frames:
        reasons = "; ".join(f"{file} {why}" for file, why in skipped[:3])
        raise NoPicturesError(f"{request.output.name}: none of the pictures can be used: {reasons}")
    return course(whole, frames)


def _samples(
    request: RenderRequest, way: Course, folder: Path, cancelled: Cancelled, clock: Callable[[], float]
) -> list[_Sample]:
    """Return the samples that could be made in time; raise NoPicturesError where none could."""
    made: list[_Sample] = []
    failure: NoPicturesError | None = None
    ends = clock() + ENOUGH_S
    for stretch in stretches(len(way.plan.frames)):
        if len(made) >= ENOUGH_STRETCHES and clock() >= ends:
            break
        wanted = _sample(request, way, [way.plan.frames[number] for number in stretch], folder)
        try:
            result = render_film(wanted, lambda _: None, cancelled)
        except NoPicturesError as error:
            failure = error
            continue
        paths = (wanted.output, *(Path(also.file) for also in result.also))
        made.append(_Sample(result=result, films=tuple(packets(path) for path in paths)))
    if not made and failure is not None:
        raise failure
    return made


def _sample(
    request: RenderRequest, way: Course, frames: Sequence[SourceFrame], folder: Path
) -> RenderRequest:
    """Return the request for one stretch of the film."""
    return replace(
        request,
        frames=tuple(each for frame in frames for each in (replace(frame, beside=()), *frame.beside)),
        output=folder / "film.mp4",
        parameters={**request.parameters, **_NOT_IN_SAMPLES},
        rate=min(MAX_RATE, max(MIN_RATE, float(way.rate))),
        length_s=None,
        speed_up=None,
        poster=None,
        thumbnail=None,
        preview=None,
    )


def film_bytes(count: int, rate: Fraction, films: Sequence[Sequence[int]]) -> int:
    """Return how many bytes a film of so many frames will have, from the packets of its samples."""
    group = group_frames(rate)
    keys = [size for film in films for size in film[::group]]
    others = [size for film in films for number, size in enumerate(film) if number % group]
    groups = -(-count // group)
    rest = sum(others) / len(others) if others else 0.0
    return round(
        groups * sum(keys) / len(keys) + (count - groups) * rest + count * _FRAME_BYTES + _FILE_BYTES
    )
