"""Parts of a film joined to one: packets copied, times made continuous, the whole opened again and counted.

Every part begins with a key frame and no part's packet looks beyond it, so nothing is decoded or coded anew;
the parameter sets of all parts are those of the first.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.video.stream import VideoStream

from .encode import FilmFacts, examine
from .errors import FilmCheckError, FilmError, unreadable
from .files import sync


def join(
    parts: Sequence[Path], output: Path, rate: Fraction, frames: int, metadata: Mapping[str, str]
) -> FilmFacts:
    """Put the joined film in its place and return what it is, read back from the file.

    Raises FilmError where it cannot be written, FilmCheckError where the parts do not fit together or the
    film is not of `frames` frames at `rate`; then nothing stands under its name.
    """
    work = output.with_name(f"{output.name}.part")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        _copy(parts, work, rate, metadata)
        facts = examine(work)
        _check(facts, output, rate, frames)
        sync(work)
        work.replace(output)
        sync(output.parent)
    except (OSError, av.FFmpegError) as error:
        raise FilmError(f"{output}: cannot be joined ({unreadable(error)})") from error
    finally:
        work.unlink(missing_ok=True)
    return facts


def _copy(parts: Sequence[Path], work: Path, rate: Fraction, metadata: Mapping[str, str]) -> None:
    options = {"movflags": "faststart+use_metadata_tags"}
    with av.open(str(work), "w", format="mp4", options=options) as film:
        film.metadata.update(metadata)
        copy: VideoStream | None = None
        sets: bytes | None = None
        start = 0
        for part in parts:
            with av.open(str(part)) as coded:
                stream = coded.streams.video[0]
                if copy is None:
                    copy = film.add_stream_from_template(stream)
                    sets = stream.codec_context.extradata
                if stream.codec_context.extradata != sets:
                    raise FilmCheckError(f"{part}: is coded otherwise than the parts before it")
                start += _append(film, copy, coded, stream, start, rate)


def _append(
    film: av.container.OutputContainer,
    copy: VideoStream,
    coded: av.container.InputContainer,
    stream: VideoStream,
    start: int,
    rate: Fraction,
) -> int:
    """Copy the packets of one part, `start` frames after the beginning; return how many there were.

    Films of ours have no picture that is shown in another order than it is coded, so the number of a packet
    is its time.
    """
    count = 0
    for packet in coded.demux(stream):
        if packet.dts is None or not packet.size:
            continue
        if count == 0 and not packet.is_keyframe:
            raise FilmCheckError(f"{coded.name}: does not begin with a key frame")
        packet.stream = copy
        packet.time_base = 1 / rate
        packet.pts = packet.dts = start + count
        packet.duration = 1
        film.mux(packet)
        count += 1
    return count


def _check(facts: FilmFacts, output: Path, rate: Fraction, frames: int) -> None:
    if facts.frames != frames:
        raise FilmCheckError(f"{output}: {facts.frames} frames were joined, {frames} were made")
    if abs(facts.rate / rate - 1) > 1e-3:
        raise FilmCheckError(f"{output}: the rate is {facts.rate}, that of the parts {rate}")
    if abs(facts.duration_s - frames / rate) > 1 / rate:
        raise FilmCheckError(f"{output}: lasts {facts.duration_s} s with {frames} frames")
