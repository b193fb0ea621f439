"""What a film will be before it is made: its length exactly, its bytes, time and memory from short samples.

A few short stretches, spread over the film, are made as they are in it, pixel for pixel, and thrown away. A
film of n frames begins a group of pictures every g frames, so that

    bytes = ⌈n ÷ g⌉ × mean first frame of a group + (n − ⌈n ÷ g⌉) × mean other frame + what the file adds

What has to be known of the whole film before its first frame is found out once, for all stretches. Where each
frame is made of the one before it, a stretch from the middle would cost all before it: then the beginning is
made, all of it where the film is not long, and what follows is taken to be like the end of that.

Memory does not grow with the length of a film, so that of the samples is that of the film.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from skylapse_protocol.sizes import LeftOut

from .encode import CodedFrame, packets
from .encode_codecs import group_frames
from .encode_hardware import choose
from .errors import NoPicturesError
from .files import peak_rss_mb
from .progress import Meter, Progress
from .render import Opened, encoded, opened
from .request import FilmResult, RenderRequest, check, prints
from .studio import usual_size

_LOOK_AHEAD = 10
"""Encoders spend less on frames that nothing comes after: so many at the end of a sample do not count."""
STRETCH_FRAMES = 10 + _LOOK_AHEAD
_STRETCHES, _MORE_STRETCHES = 4, 6
_MANY_FRAMES = 300
"""Of a film of so many frames more is sampled: it sees more of a day. Both numbers are even."""
ENOUGH_S = 3.0
"""Somebody waits: after so long, what has been sampled is enough, if it is as many stretches as these."""
ENOUGH_STRETCHES = 2
_MOST_CARRIED = 360
"""Frames that are made of a film in which each is made of the one before it."""
_FRAME_BYTES = 20
"""What an index says of one frame."""
_FILE_BYTES = 1500

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
    films: tuple[tuple[CodedFrame, ...], ...]
    """Every frame, for each size."""


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
    choose(request.codec, request.encoder)
    with tempfile.TemporaryDirectory(prefix="skylapse-predict-") as folder:
        trial = _trial(request, Path(folder))
        began = time.monotonic()
        with opened(trial, Meter(on_progress), cancelled) as film:
            opening_s, began = time.monotonic() - began, time.monotonic()
            samples = _samples(film, cancelled, clock)
            making_s = time.monotonic() - began
    plan, count = film.pictures.plan, film.pictures.count
    wanted, left_out = prints(request, *plan.window.of(*usual_size(plan.frames))[2:])
    own, *others = (
        PredictedSize(
            size=each.size,
            width=each.box.width,
            height=each.box.height,
            bytes=film_bytes(count, film.rate, [sample.films[number] for sample in samples]),
        )
        for number, each in enumerate(wanted)
    )
    made = sum(sample.result.frames for sample in samples)
    return Prediction(
        frames=count,
        duration_s=round(float(count / film.rate), 6),
        rate=float(film.rate),
        width=own.width,
        height=own.height,
        bytes=own.bytes,
        seconds=round(opening_s + making_s / made * count, 1),
        peak_rss_mb=peak_rss_mb(),
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


def _trial(request: RenderRequest, folder: Path) -> RenderRequest:
    """Return the request for the same film in a folder, alone."""
    output = folder / request.output.name
    return replace(request, output=output, poster=None, thumbnail=None, preview=None)


def _samples(film: Opened, cancelled: Cancelled, clock: Callable[[], float]) -> list[_Sample]:
    """Return the samples that could be made in time; raise NoPicturesError where none could."""
    made: list[_Sample] = []
    failure: NoPicturesError | None = None
    meter, ends, count = Meter(lambda _: None), clock() + ENOUGH_S, film.pictures.count
    chosen = (range(min(count, _MOST_CARRIED)),) if film.pictures.carries else stretches(count)
    for stretch in chosen:
        if len(made) >= ENOUGH_STRETCHES and clock() >= ends:
            break
        wanted = replace(film.request, stretch=(stretch.start, stretch.stop))
        try:
            result = encoded(film, wanted, meter, cancelled)
        except NoPicturesError as error:
            failure = error
            continue
        paths = (wanted.output, *(Path(also.file) for also in result.also))
        films = tuple(counting(packets(path), is_end=stretch.stop == count) for path in paths)
        made.append(_Sample(result=result, films=films))
    if not made and failure is not None:
        raise failure
    return made


def counting(sample: Sequence[CodedFrame], *, is_end: bool) -> tuple[CodedFrame, ...]:
    """Return the frames of a sample that are as in the film, of which it is the end or not."""
    return tuple(sample if is_end else sample[:-_LOOK_AHEAD] or sample)


def film_bytes(count: int, rate: Fraction, films: Sequence[Sequence[CodedFrame]]) -> int:
    """Return how many bytes a film of so many frames will have, from its samples.

    Of one sample longer than a group, what is not in the film's bytes already is like its last group.
    """
    group = group_frames(rate)
    first, *more = films
    known = 0 if more or len(first) <= group else len(first)
    counted = sum(frame.bytes for frame in first[:known])
    left = first[-group:] if known else [frame for film in films for frame in film]
    keys = [frame.bytes for frame in left if frame.is_key]
    others = [frame.bytes for frame in left if not frame.is_key]
    groups = -(-count // group) - sum(frame.is_key for frame in first[:known])
    rest = sum(others) / len(others) if others else 0.0
    key = sum(keys) / len(keys) if keys else rest
    return round(
        counted + groups * key + (count - known - groups) * rest + count * _FRAME_BYTES + _FILE_BYTES
    )
