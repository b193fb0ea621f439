"""What a film will be before it is made: its length exactly, its bytes, time and memory from short samples.

A few short stretches, spread over the film, are made as they are in it, pixel for pixel, and thrown away. A
film of n frames begins a group of pictures every g frames, so that

    bytes = ⌈n ÷ g⌉ × mean first frame of a group + (n − ⌈n ÷ g⌉) × mean other frame + what the file adds

What has to be known of the whole film before its first frame is found out once, for all stretches; what is
known only by looking at every picture is found out of those that the stretches are made of. Where each
frame is made of the one before it, a stretch from the middle would cost all before it: then the beginning is
made, all of it where the film is not long, and what follows is taken to be like the end of that. A trail that
never fades gains ever less and shows ever more: its first frames of a group grow and its others shrink, each
by a power of their number. Where that beginning has too many pixels it is made smaller, and a few frames of
the film itself: all others are taken to be as much larger as those are.

Memory does not grow with the length of a film, so that of the samples is that of the film.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from .recipe.plan import Plan, made
from .recipe.startrail import Trail
from .render import Opened, Pictures, encoded, opened
from .request import FilmResult, RenderRequest, check, prints
from .studio import Studio, large_box, usual_size

_LOOK_AHEAD = 10
"""Encoders spend less on frames that nothing comes after: so many at the end of a sample do not count."""
STRETCH_FRAMES = 10 + _LOOK_AHEAD
_STRETCHES, _MORE_STRETCHES = 4, 6
_MANY_FRAMES = 300
"""Of a film of so many frames more is sampled: it sees more of a day. Both numbers are even."""
ENOUGH_S = 3.0
"""Somebody waits: after so long, what has been sampled is enough, if it is as many stretches as these."""
ENOUGH_STRETCHES = 2
_MOST_CARRIED = 180
"""Frames that are made of a film in which each is made of the one before it."""
_MOST_LOOKED = 96
"""So many of them where a layer looks at every picture first."""
_MOST_PIXELS = _MOST_CARRIED * 1280 * 720
"""Of all of them together."""
_SMALLER = "480p"
"""What has more is made at this size: from a quarter of the width a night is foretold within a tenth."""
_FEW = 12
"""Frames of the film itself beside it: they fill the look-ahead of an encoder, whose memory is asked for."""
_FEWEST_CARRIED = 120
_KEYS_GROW, _OTHERS_GROW = 0.2, -0.4
"""Powers of a frame's number in a trail that never fades, found on nights of 300 to 1400 frames."""
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
    seconds: float
    """How long its frames took."""
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
        with opened(trial, Meter(on_progress), cancelled, _chosen) as film:
            opening_s = time.monotonic() - began
            samples = [_of_trail(film, cancelled)] if _is_heavy(film) else _samples(film, cancelled, clock)
    plan, count = film.pictures.plan, film.pictures.count
    grows = any(isinstance(layer, Trail) and layer.keeps == 1 for layer in plan.layers)
    wanted, left_out = prints(request, *plan.window.of(*usual_size(plan.frames))[2:])
    own, *others = (
        PredictedSize(
            size=each.size,
            width=each.box.width,
            height=each.box.height,
            bytes=film_bytes(count, film.rate, [sample.films[number] for sample in samples], grows=grows),
        )
        for number, each in enumerate(wanted)
    )
    sampled = sum(sample.result.frames for sample in samples)
    making_s = sum(sample.seconds for sample in samples)
    return Prediction(
        frames=count,
        duration_s=round(float(count / film.rate), 6),
        rate=float(film.rate),
        width=own.width,
        height=own.height,
        bytes=own.bytes,
        seconds=round(opening_s + film.pictures.unlooked_s + making_s / sampled * count, 1),
        peak_rss_mb=peak_rss_mb(),
        sampled=sampled,
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


def _chosen(plan: Plan) -> tuple[range, ...]:
    """Return which frames of a film are sampled at most: fewer where a layer looks at them first."""
    count, looks = made(plan), any(layer.looks_at_all for layer in plan.layers)
    if any(layer.carries for layer in plan.layers):
        return (range(min(count, _MOST_LOOKED if looks else _MOST_CARRIED)),)
    return stretches(count)[:_STRETCHES] if looks else stretches(count)


def _trial(request: RenderRequest, folder: Path) -> RenderRequest:
    """Return the request for the same film in a folder, alone."""
    output = folder / request.output.name
    return replace(request, output=output, poster=None, thumbnail=None, preview=None)


def _samples(film: Opened, cancelled: Cancelled, clock: Callable[[], float]) -> list[_Sample]:
    """Return the samples that could be made in time; raise NoPicturesError where none could."""
    samples: list[_Sample] = []
    failure: NoPicturesError | None = None
    ends, count = clock() + ENOUGH_S, film.pictures.count
    for stretch in _chosen(film.pictures.plan):
        if len(samples) >= ENOUGH_STRETCHES and clock() >= ends:
            break
        try:
            sample = _made(film, stretch, cancelled)
        except NoPicturesError as error:
            failure = error
            continue
        films = tuple(counting(frames, is_end=stretch.stop == count) for frames in sample.films)
        samples.append(replace(sample, films=films))
    if not samples and failure is not None:
        raise failure
    return samples


def _made(film: Opened, stretch: range, cancelled: Cancelled) -> _Sample:
    """Make a stretch of a film; raise NoPicturesError where all of it is broken."""
    wanted, began = replace(film.request, stretch=(stretch.start, stretch.stop)), time.monotonic()
    result = encoded(film, wanted, Meter(lambda _: None), cancelled)
    seconds = time.monotonic() - began
    paths = (wanted.output, *(Path(also.file) for also in result.also))
    return _Sample(result=result, seconds=seconds, films=tuple(packets(path) for path in paths))


def _is_heavy(film: Opened) -> bool:
    """Tell whether each frame is made of the one before it, and so many of them are too many pixels."""
    plan, box = film.pictures.plan, film.pictures.studio.box
    if not any(layer.carries for layer in plan.layers):
        return False
    (beginning,) = _chosen(plan)
    return len(beginning) * box.width * box.height > _MOST_PIXELS


def _of_trail(film: Opened, cancelled: Cancelled) -> _Sample:
    """Return the first few frames of a film, and of its beginning what a smaller one tells."""
    (beginning,) = _chosen(film.pictures.plan)
    beginning = beginning[: max(_FEWEST_CARRIED, 2 * group_frames(film.rate))]
    few = _made(film, beginning[:_FEW], cancelled)
    with _smaller(film, cancelled) as small:
        (few_small,) = _made(small, beginning[:_FEW], cancelled).films
        (told,) = _made(small, beginning, cancelled).films
    told = counting(told, is_end=beginning.stop == film.pictures.count)
    return replace(few, films=tuple(enlarged(told, few_small, frames) for frames in few.films))


@contextmanager
def _smaller(film: Opened, cancelled: Cancelled) -> Iterator[Opened]:
    """Have the same film at another size, with all that was measured for it."""
    plan, request = film.pictures.plan, replace(film.request, size=_SMALLER, also_sizes=())
    size = usual_size(plan.frames)
    shown = plan.window.of(*size)[2:]
    (only,), _left_out = prints(request, *shown)
    with Studio(size, plan.window, large_box(only.box, shown, plan.oversize), scratch=None) as studio:
        pictures = Pictures(plan, studio, only.box, Meter(lambda _: None), cancelled, _chosen(plan))
        yield replace(film, request=request, pictures=pictures)


def enlarged(
    small: Sequence[CodedFrame], few_small: Sequence[CodedFrame], few: Sequence[CodedFrame]
) -> tuple[CodedFrame, ...]:
    """Return the frames of a small film as large as those of a larger one, told by the first few of both.

    The very first does not count: in it noise weighs more than in any key frame that a trail has brightened.
    """
    larger, smaller = (sum(frame.bytes for frame in film[1:]) for film in (few, few_small))
    factor = larger / smaller if smaller else 1.0
    return tuple(replace(frame, bytes=round(frame.bytes * factor)) for frame in small)


def counting(sample: Sequence[CodedFrame], *, is_end: bool) -> tuple[CodedFrame, ...]:
    """Return the frames of a sample that are as in the film, of which it is the end or not."""
    return tuple(sample if is_end else sample[:-_LOOK_AHEAD] or sample)


def film_bytes(
    count: int, rate: Fraction, films: Sequence[Sequence[CodedFrame]], *, grows: bool = False
) -> int:
    """Return how many bytes a film of so many frames will have, from its samples.

    Of one sample longer than a group, what is not in the film's bytes already is like its last group, or
    `grows` from there as a trail does that never fades.
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
    if grows and known:
        key *= _growth(_KEYS_GROW, known - group / 2, known, count)
        rest *= _growth(_OTHERS_GROW, known - group / 2, known, count)
    return round(
        counted + groups * key + (count - known - groups) * rest + count * _FRAME_BYTES + _FILE_BYTES
    )


def _growth(power: float, at: float, first: int, past: int) -> float:
    """Return the mean of a power of the numbers from `first` up to `past`, relative to that of `at`."""
    if past <= first:
        return 1.0
    whole = power + 1
    mean = (past**whole - first**whole) / (whole * (past - first))
    return float(mean / at**power)
