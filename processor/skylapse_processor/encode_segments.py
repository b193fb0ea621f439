"""A few frames to one closed group of pictures, as bare samples that lie well beside those of other groups.

Every group comes out of an encoder of its own, so that it depends on nothing but its frames: what a kill
took is made again, the same. `quick` spends a sixth of the time and twice the bytes; both ways write the
same parameter sets, so that a film may hold groups of either kind behind one head.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.codec.context import Flags
from av.video.frame import VideoFrame

from .decode_scale import Box
from .encode import FilmFacts
from .encode_codecs import H264, configure
from .errors import FilmCheckError, FilmError, unreadable

_LONGEST = 10_000
_SHARED = "open-gop=0:scenecut=0:stitchable=1"
_QUICK = {
    "preset": "superfast",
    "x264-params": f"{_SHARED}:weightp=1:chroma-qp-offset=-2:subme=0:partitions=none",
}
"""Medium's psychovisual tuning lowers the offset by two, without saying so; here it is said."""
_SEI, _SPS, _PPS = 6, 7, 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Coded:
    """One group of pictures; the first is a key frame, and none refers to another group."""

    samples: tuple[bytes, ...]
    """One a frame, as MP4 holds them: units behind their length in four bytes."""
    sps: bytes
    pps: bytes


def encode_group(frames: Iterable[VideoFrame], box: Box, rate: Fraction, *, quick: bool) -> Coded:
    """Encode frames to one closed group; raise FilmError where that fails."""
    context = av.VideoCodecContext.create("libx264", "w")
    configure(context, box, rate, H264)
    context.gop_size = _LONGEST
    context.flags |= Flags.global_header
    context.options = {**context.options, "x264-params": _SHARED, **(_QUICK if quick else {})}
    samples: list[bytes] = []
    try:
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = number, 1 / rate
            samples += [_sample(bytes(packet)) for packet in context.encode(frame)]
        if context.is_open:
            samples += [_sample(bytes(packet)) for packet in context.encode(None)]
    except (OSError, av.FFmpegError) as error:
        raise FilmError(f"a segment cannot be encoded ({unreadable(error)})") from error
    units = {unit[0] & 31: unit for unit in _units(bytes(context.extradata or b""))}
    return Coded(samples=tuple(samples), sps=units.get(_SPS, b""), pps=units.get(_PPS, b""))


def _sample(data: bytes) -> bytes:
    """Return a picture's units behind their lengths, less what the film's head says once for all."""
    kept = [unit for unit in _units(data) if unit[0] & 31 not in (_SEI, _SPS, _PPS)]
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in kept)


def _units(data: bytes) -> list[bytes]:
    """Split a byte stream at its start codes (ITU-T H.264, annex B)."""
    units = [unit.rstrip(b"\0") for unit in data.split(b"\0\0\1")[1:]]
    return [unit for unit in units if unit]


def examine_ends(path: Path) -> FilmFacts:
    """Open a film, count its frames by its index, decode its first and its last one.

    Takes as long for a long film as for a short one. Raises FilmCheckError where the film does not open or
    one of the two is missing.
    """
    try:
        with av.open(str(path)) as film:
            stream = film.streams.video[0]
            if not stream.frames or stream.duration is None or stream.time_base is None:
                raise FilmCheckError(f"{path}: its index names no frame")
            first = next(film.decode(stream), None)
            film.seek(stream.duration, stream=stream)
            shown = [frame.pts for frame in film.decode(stream)]
            step = stream.duration / stream.frames
            if first is None or first.pts != 0 or shown[-1:] != [round(stream.duration - step)]:
                raise FilmCheckError(f"{path}: its first or its last frame cannot be decoded")
            return FilmFacts(
                frames=stream.frames,
                width=first.width,
                height=first.height,
                rate=stream.average_rate or Fraction(0),
                duration_s=float(stream.duration * stream.time_base),
                bytes=path.stat().st_size,
                codec="h264",
            )
    except (av.FFmpegError, IndexError) as error:
        raise FilmCheckError(f"{path}: cannot be opened as a film ({unreadable(error)})") from error
