"""What there is to see of the film of today: playlist, segments, and the film so far as one MP4.

The film lies on a grid: segment n shows the frames from n × GROUP on, whoever looks and whenever. Closed
segments are listed for good. What is newer is made when somebody looks, part by part, each part the frames
that have come since the last one, levelled by what is known. A player that has shown a part goes on behind
it; one that comes later gets the closed segment in its place, at the same time of the film (low-latency HLS).

Players take two entries at one place of the playlist for the same segment by the path of their names, and
caches by the whole name: so the parts that something is made of for now stand in its query.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from . import mp4
from .today_plan import GROUP, on_grid
from .today_reel import HEAD_BYTES, Piece, Reel

_AGAIN_S = 10.0
"""Players ask for the playlist again after about half as long where nothing has come: a film grows slowly."""
_FIRST = 1
"""Where players count from: one of them fetches parts of the segment 0 again and again."""
_MORE = "# to be continued"
"""Some players take the last line of a playlist for the beginning of a segment that is to come."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LivePart:
    """Some of the newest frames, provisionally."""

    serial: int
    segment: int
    """Of the grid."""
    first: int
    """Its first frame's number in the film."""
    piece: Piece

    @property
    def data(self) -> bytes:
        """Its samples, one after another."""
        return b"".join(self.piece.samples)


@dataclass(frozen=True, kw_only=True, slots=True)
class SoFar:
    """The film as it stood at some moment: a head, samples in a file, samples in memory."""

    head: bytes
    end: int
    """Where the samples in the file end; the head takes the place of as many bytes at its beginning."""
    tail: bytes

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.end + len(self.tail)


def playlist(film: str, reel: Reel, parts: Sequence[LivePart], rate: Fraction, *, ended: bool) -> str:
    """Return the media playlist (RFC 8216bis) of what there is.

    It is of no type: provisional segments are replaced, which one of type EVENT promises not to do. Players
    look for parts only behind others that follow each other, and before they have played up to there: the
    segments of three target durations, as many as the standard allows, are listed as parts, too.
    """
    whole_s = float(GROUP / rate)
    target_s = round(max(_AGAIN_S, whole_s + 0.499))
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:9",
        f"#EXT-X-TARGETDURATION:{target_s}",
        f"#EXT-X-MEDIA-SEQUENCE:{_FIRST}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES",
        f"#EXT-X-SERVER-CONTROL:PART-HOLD-BACK={3 * whole_s:.6f}",
        f"#EXT-X-PART-INF:PART-TARGET={whole_s:.6f}",
        f'#EXT-X-MAP:URI="{film}-init.mp4"',
    ]
    alone = len(reel.segments) - int(3 * target_s / whole_s)
    for number, segment in enumerate(reel.segments):
        name, frames = _name(film, number), len(segment.frames)
        lines += [_part(name, frames, rate)] if number >= alone else []
        lines += _whole(name, frames, rate)
    for number, grouped in groupby(parts, key=lambda part: part.segment):
        group = list(grouped)
        frames = sum(len(part.piece.frames) for part in group)
        lines += [_part(_name(film, number, part, part), len(part.piece.frames), rate) for part in group]
        if frames == GROUP or number == 0 or ended:
            lines += _whole(_name(film, number, group[0], group[-1]), frames, rate)
    return "\n".join([*lines, "#EXT-X-ENDLIST" if ended else _MORE, ""])


def cuts(shown: int, pending: int, *, begins: bool) -> list[tuple[int, int]]:
    """Return where to cut parts out of frames of which some are shown; a film begins with one of one frame.

    Players look for what follows the first whole segment only behind a part that is shorter than that.
    """
    if begins and shown == 0 and pending > 1:
        return [(0, 1), *on_grid(1, pending)]
    return on_grid(shown, pending)


def fragments(track: mp4.Track, parts: Sequence[LivePart]) -> bytes:
    """Return parts as a media segment."""
    return b"".join(mp4.fragment(track, part.serial + 1, part.first, part.piece.samples) for part in parts)


def closed(track: mp4.Track, reel: Reel, number: int) -> bytes:
    """Return a closed segment as a media segment."""
    first = sum(len(segment.frames) for segment in reel.segments[:number])
    return mp4.fragment(track, number + 1, first, reel.samples(number))


def so_far(track: mp4.Track, reel: Reel, parts: Sequence[LivePart], title: str) -> SoFar | None:
    """Return the film as it stands; null where there is nothing yet, or too much for its head."""
    chunks, end = reel.chunks(), reel.end
    offset = end
    for part in parts:
        sizes = [len(sample) for sample in part.piece.samples]
        chunks.append(mp4.Chunk(offset=offset, sizes=sizes))
        offset += sum(sizes)
    chunks = [chunk for chunk in chunks if chunk.sizes]
    head = mp4.film_head(track, chunks, {"title": title}, HEAD_BYTES) if chunks else None
    if head is None:
        return None
    return SoFar(head=head, end=end, tail=b"".join(part.data for part in parts))


def _name(film: str, number: int, *ends: LivePart) -> str:
    """Return the name of a closed segment, or of what the parts from one to another show of one for now."""
    name = f"{film}-{number:06d}.m4s"
    return f"{name}?parts={'-'.join(str(part.serial) for part in ends)}" if ends else name


def _whole(name: str, frames: int, rate: Fraction) -> list[str]:
    return [f"#EXTINF:{float(frames / rate):.6f},", name]


def _part(name: str, frames: int, rate: Fraction) -> str:
    return f'#EXT-X-PART:DURATION={float(frames / rate):.6f},URI="{name}",INDEPENDENT=YES'
