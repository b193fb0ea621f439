"""Parts of a film joined to one: packets copied, times made continuous, the whole opened again and counted.

Every part begins with a key frame and no part's packet looks beyond it, so nothing is decoded or coded anew;
the parameter sets of all parts are those of the first.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av

from .encode import Alive, FilmFacts, VideoFrame, examine, remux
from .errors import FilmCheckError, FilmError, unreadable
from .files import sync_file, sync_folder


def join(
    parts: Sequence[Path],
    output: Path,
    rate: Fraction,
    frames: int,
    metadata: Mapping[str, str],
    *,
    alive: Alive = lambda: None,
) -> FilmFacts:
    """Put the joined film in its place and return what it is, read back from the file.

    Raises FilmError where it cannot be written, FilmCheckError where the parts do not fit together or the
    film is not of `frames` frames at `rate`; then nothing stands under its name.
    """
    work = output.with_name(f"{output.name}.part")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        starts = remux(parts, work, metadata, rate, alive)
        facts = examine(work)
        _check(facts, output, rate, frames)
        alive()
        _check_joints(work, output, starts, rate, alive)
        sync_file(work)
        work.replace(output)
        sync_folder(output.parent)
        alive()
    except (OSError, av.FFmpegError) as error:
        raise FilmError(f"{output}: cannot be joined ({unreadable(error)})") from error
    finally:
        work.unlink(missing_ok=True)
    return facts


def _check(facts: FilmFacts, output: Path, rate: Fraction, frames: int) -> None:
    if facts.frames != frames:
        raise FilmCheckError(f"{output}: {facts.frames} frames were joined, {frames} were made")
    if abs(facts.rate / rate - 1) > 1e-3:
        raise FilmCheckError(f"{output}: the rate is {facts.rate}, that of the parts {rate}")
    if abs(facts.duration_s - frames / rate) > 1 / rate:
        raise FilmCheckError(f"{output}: lasts {facts.duration_s} s with {frames} frames")


def _check_joints(work: Path, output: Path, starts: Sequence[int], rate: Fraction, alive: Alive) -> None:
    """Raise FilmCheckError unless every part can be decoded where it begins in the film."""
    with av.open(str(work)) as film:
        for start in starts:
            found = _shown_at(film, start / rate)
            if found is None or abs(_time_of(found) - start / rate) > 0.5 / rate:
                raise FilmCheckError(f"{output}: cannot be decoded at frame {start}, where parts meet")
            alive()


def frames_at(film: Path, times_s: Iterable[float]) -> Iterator[VideoFrame]:
    """Yield the frames of a film that are shown at these times; raise FilmCheckError where there is none."""
    with av.open(str(film)) as container:
        for time_s in times_s:
            found = _shown_at(container, time_s)
            if found is None:
                raise FilmCheckError(f"{film}: shows nothing at {time_s:g} s")
            yield found


def _shown_at(film: av.container.InputContainer, time_s: float | Fraction) -> VideoFrame | None:
    """Return the first frame that is not before a time."""
    stream = film.streams.video[0]
    film.seek(round(time_s / (stream.time_base or 1)), stream=stream)
    return next((frame for frame in film.decode(stream) if _time_of(frame) >= time_s - 1e-6), None)


def _time_of(frame: VideoFrame) -> float:
    """Return when a frame is shown, in seconds."""
    return float(frame.time)
