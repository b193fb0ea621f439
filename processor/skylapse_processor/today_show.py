"""What there is to see of the film of today: playlist, segments, and the film so far as one MP4.

The film lies on a grid: segment n shows the frames from n × GROUP on, whoever looks and whenever. Closed
segments are listed for good. What is newer is made when somebody looks, part by part, each part the frames
that have come since the last one, levelled by what is known. A player that has shown a part goes on behind
it; one that comes later gets the closed segment in its place, at the same time of the film (low-latency HLS).

Players take two entries at one place of the playlist for the same segment by the path of their names, and
caches by the whole name: so the parts that something is made of for now stand in its query. A part they know
by its place among those of its segment: once a segment was shown in parts, whoever comes back has to find
the same ones there, to the segment's end, or would leave out what the first of them did not have.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby, pairwise

from . import mp4
from .today_plan import GROUP, on_grid
from .today_reel import HEAD_BYTES, Piece, Reel

_AGAIN_S = 10.0
"""Players ask for the playlist again after about half as long where nothing has come: a film grows slowly."""
_FIRST = 1
"""Where players count from: one of them fetches parts of the segment 0 again and again."""
_ROUNDED_S = 2e-6
"""Browsers round times and lengths of frames to microseconds, down: a player that finds a segment's end
before where it is listed looks for the rest of it, and not for the next one's first frames."""
BEGINNING = frozenset({1})
"""Players look for what follows the first whole segment only behind a part that is shorter than that."""
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
    def past(self) -> int:
        """The number of the frame that follows its last."""
        return self.first + len(self.piece.frames)

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return sum(map(len, self.piece.samples))


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What there is to see of a film at some moment."""

    closed: int = 0
    """How many of its segments are shown as they are on disk."""
    whole: int = 0
    """As many, of the first of them, may have been shown in parts that are forgotten."""
    past: tuple[LivePart, ...] = ()
    """The parts that the others were shown in before."""
    parts: tuple[LivePart, ...] = ()
    """The frames that follow."""
    edges: frozenset[int] = frozenset()
    """Where parts of what is not closed end or have ended, by the numbers of the film's frames."""

    @property
    def provisional(self) -> int:
        """How many frames may yet be seen differently."""
        return sum(len(part.piece.samples) for part in self.parts)


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


def playlist(film: str, reel: Reel, shown: Shown, rate: Fraction, *, ended: bool) -> str:
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
        f"#EXT-X-PART-INF:PART-TARGET={_seconds(GROUP, rate)}",
        f'#EXT-X-MAP:URI="{film}-init.mp4"',
    ]
    alone = max(shown.whole, shown.closed - int(3 * target_s / whole_s))
    past = _by_segment(shown.past)
    for number, segment in enumerate(reel.segments[: shown.closed]):
        name, frames = _name(film, number), len(segment.frames)
        if number >= alone:
            parts = past.get(number)
            lines += _parts(film, parts, rate) if parts else [_part(name, frames, rate)]
        lines += _whole(name, frames, rate)
    for number, group in _by_segment(shown.parts).items():
        frames = sum(len(part.piece.frames) for part in group)
        lines += _parts(film, group, rate)
        if frames == GROUP or number == 0 or ended:
            lines += _whole(_name(film, number, group[0], group[-1]), frames, rate)
    return "\n".join([*lines, "#EXT-X-ENDLIST" if ended else _MORE, ""])


def settled(shown: Shown, reel: Reel, closed: int) -> Shown:
    """Return what is shown once so many segments are closed; parts that none came of are forgotten."""
    past = (*shown.past, *(part for part in shown.parts if part.segment < closed))
    whole = shown.whole
    grouped = _by_segment(past)
    for number, group in grouped.items():
        names = tuple(name for part in group for name in part.piece.frames)
        if names != reel.segments[number].frames[: len(names)]:
            whole = max(whole, number + 1)
    for number in range(shown.closed, closed):
        if number not in grouped and _inner(shown.edges, reel, number):
            whole = max(whole, number + 1)
    parts = tuple(part for part in shown.parts if part.segment >= closed)
    return without(replace(shown, closed=closed, past=past, parts=parts), whole)


def remembered(shown: Shown, serials: Container[int]) -> Shown:
    """Return what is shown where of the past these parts alone are kept."""
    lost = (part.segment + 1 for part in shown.past if part.serial not in serials)
    return without(shown, max(lost, default=0))


def without(shown: Shown, whole: int) -> Shown:
    """Return what is shown where it is forgotten in which parts the first segments were."""
    whole = max(whole, shown.whole)
    return replace(shown, whole=whole, past=tuple(part for part in shown.past if part.segment >= whole))


def broken_off(shown: Shown, reel: Reel) -> tuple[int, int] | None:
    """Return the closed segment that was not shown to its end, and how many of its frames were."""
    for number, group in _by_segment(shown.past).items():
        count = sum(len(part.piece.frames) for part in group)
        if count < len(reel.segments[number].frames):
            return number, count
    return None


def cuts(shown: int, pending: int, edges: Iterable[int]) -> list[tuple[int, int]]:
    """Return where to cut parts out of frames of which some are shown, at edges and on the grid."""
    if shown == pending:
        return []
    inner = sorted(edge for edge in edges if shown < edge < pending)
    return [cut for run in pairwise((shown, *inner, pending)) for cut in on_grid(*run)]


def as_before(reel: Reel, frames: int) -> Shown:
    """Return what is shown after a restart, before which so many frames were there: in parts nobody knows.

    A player took none of them for known that it did not have if each is a part of its own now.
    """
    number = len(reel.segments)
    first = first_of(reel, number)
    return Shown(closed=number, edges=frozenset(range(first + 1, first + frames + 1)))


def first_of(reel: Reel, number: int) -> int:
    """Return the number of the first frame of a segment, or of what follows the last one."""
    return sum(len(segment.frames) for segment in reel.segments[:number])


def fragments(track: mp4.Track, parts: Sequence[LivePart]) -> bytes:
    """Return parts as a media segment."""
    return b"".join(mp4.fragment(track, part.serial + 1, part.first, part.piece.samples) for part in parts)


def closed(track: mp4.Track, reel: Reel, number: int) -> bytes:
    """Return a closed segment as a media segment."""
    return mp4.fragment(track, number + 1, first_of(reel, number), reel.samples(number))


def so_far(track: mp4.Track, reel: Reel, shown: Shown, title: str) -> SoFar | None:
    """Return the film as it stands; null where there is nothing yet, or too much for its head."""
    chunks = reel.chunks()[: shown.closed]
    end = reel.segments[shown.closed - 1].end if shown.closed else HEAD_BYTES
    offset = end
    for part in shown.parts:
        sizes = [len(sample) for sample in part.piece.samples]
        chunks.append(mp4.Chunk(offset=offset, sizes=sizes))
        offset += part.size
    chunks = [chunk for chunk in chunks if chunk.sizes]
    head = mp4.film_head(track, chunks, {"title": title}, HEAD_BYTES) if chunks else None
    if head is None:
        return None
    return SoFar(
        head=head, end=end, tail=b"".join(sample for part in shown.parts for sample in part.piece.samples)
    )


def _name(film: str, number: int, *ends: LivePart) -> str:
    """Return the name of a closed segment, or of what the parts from one to another show of one for now."""
    name = f"{film}-{number:06d}.m4s"
    return f"{name}?parts={'-'.join(str(part.serial) for part in ends)}" if ends else name


def _inner(edges: Iterable[int], reel: Reel, number: int) -> bool:
    """Tell whether some of these edges lie in a segment."""
    first, past = first_of(reel, number), first_of(reel, number + 1)
    return any(first < edge < past for edge in edges)


def _by_segment(parts: Sequence[LivePart]) -> dict[int, list[LivePart]]:
    grouped = groupby(parts, key=lambda part: part.segment)
    return {number: list(group) for number, group in grouped}


def _whole(name: str, frames: int, rate: Fraction) -> list[str]:
    return [f"#EXTINF:{_seconds(frames, rate)},", name]


def _parts(film: str, parts: Sequence[LivePart], rate: Fraction) -> list[str]:
    return [_part(_name(film, part.segment, part, part), len(part.piece.frames), rate) for part in parts]


def _part(name: str, frames: int, rate: Fraction) -> str:
    return f'#EXT-X-PART:DURATION={_seconds(frames, rate)},URI="{name}",INDEPENDENT=YES'


def _seconds(frames: int, rate: Fraction) -> str:
    return f"{float(frames / rate) - _ROUNDED_S:.6f}"
