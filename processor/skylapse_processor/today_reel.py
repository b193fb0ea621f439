"""The film of today on disk: closed segments, one after another in the file that becomes the film.

```
today/<bridge>/<camera>/<film>/media      room for a head, then the samples of all closed segments
                               journal    a line for each: its frames, sizes, and where the path stands
                               *.jpg      some of its frames, small, for the preview
                               ended      there once the film of these frames was made
```

A segment counts once its samples and then its line are synced. After a kill, what lies behind the last whole
line is cut off, and those frames are encoded again: each segment depends only on its frames and on the line
before. What is newer than the last segment is kept in memory, as parts that are levelled by what is known.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from . import mp4
from .decode_scale import Box
from .encode import FilmFacts
from .encode_segments import examine_ends
from .errors import FilmError
from .files import make_folder, sync_file, sync_folder
from .recipe.doubt import believable
from .recipe.smooth import Curve, flicker_mev
from .today_plan import GROUP, Aim, Moment, PathEnd, Three, white_after

HEAD_BYTES = 256 * 1024
"""Room for the head of a film of some sixty thousand frames."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Frames that were encoded together."""

    frames: tuple[str, ...]
    """All that it was to hold, by the stems of their names."""
    skipped: tuple[str, ...] = ()
    """Of them, those that turned out to be no pictures."""
    samples: tuple[bytes, ...]
    log_means: tuple[float, ...]
    """log2 of the linear mean luminance of each frame as it is shown."""
    small: tuple[bytes, ...]
    """Some of the frames as small JPEGs, for the preview."""
    gains: tuple[Three, ...]
    """What each frame was levelled by, skipped ones included."""
    exact: int
    """How many frames' exposure a record tells."""
    coloured: int
    """How many frames' white balance is known."""
    after: PathEnd
    sps: bytes
    pps: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A line of the journal."""

    frames: tuple[str, ...]
    skipped: tuple[str, ...]
    offset: int
    sizes: tuple[int, ...]
    log_means: tuple[float, ...]
    gains: tuple[Three, ...]
    exact: int
    coloured: int
    after: PathEnd
    sha256: str

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.offset + sum(self.sizes)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReelFormat:
    """What the film is: written first, and never changed."""

    day: str
    window: str | None
    box: Box
    source: tuple[int, int]
    rate: Fraction
    sps: bytes
    pps: bytes

    @property
    def track(self) -> mp4.Track:
        """The same, as MP4 wants it."""
        return mp4.Track(
            width=self.box.width, height=self.box.height, rate=self.rate, sps=self.sps, pps=self.pps
        )


class Reel:
    """One film of today. Its methods work on files and are not called twice at once, but for reading."""

    def __init__(self, folder: Path, root: Path) -> None:
        """Remember where it lies."""
        self.folder = folder
        self._root = root
        self._media = folder / "media"
        self._journal = folder / "journal"
        self.format: ReelFormat | None = None
        self.segments: tuple[Segment, ...] = ()

    def open(self) -> None:
        """Read what is there, and cut off what a kill left half done."""
        if not self._journal.exists() or not self._media.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        good, size = 0, self._media.stat().st_size
        for line in self._journal.read_bytes().splitlines(keepends=True):
            said = _read(line, first=self.format is None)
            if isinstance(said, ReelFormat):
                self.format = said
            elif said is not None and said.end <= size:
                self.segments = (*self.segments, said)
            else:
                break
            good += len(line)
        os.truncate(self._journal, good)
        if size != self.end:
            self._own()
            os.truncate(self._media, self.end)

    @property
    def ended(self) -> bool:
        """Tell whether the film of what is closed was made."""
        return (self.folder / "ended").exists()

    def mark(self, *, ended: bool) -> None:
        """Note that the film was made, or goes on after all."""
        if ended:
            (self.folder / "ended").touch()
        else:
            (self.folder / "ended").unlink(missing_ok=True)

    @property
    def end(self) -> int:
        """Where the next segment begins."""
        return self.segments[-1].end if self.segments else HEAD_BYTES

    @property
    def path_end(self) -> PathEnd:
        """Where the path of the levelling stands."""
        return self.segments[-1].after if self.segments else PathEnd()

    @property
    def last(self) -> str | None:
        """The stem of the last frame in a closed segment."""
        return self.segments[-1].frames[-1] if self.segments else None

    @property
    def frames(self) -> tuple[str, ...]:
        """The stems of all frames in closed segments."""
        return tuple(stem for segment in self.segments for stem in segment.frames)

    @property
    def media(self) -> Path:
        """Where the samples lie."""
        return self._media

    def aim(self, frame: str) -> Aim:
        """Return how a frame in a closed segment looks."""
        white_ev = PathEnd().white_ev
        for segment in self.segments:
            if frame in segment.frames:
                upto = segment.gains[: segment.frames.index(frame) + 1]
                return Aim(
                    gain_ev=upto[-1], white_ev=reduce(white_after, upto, white_ev), after=segment.after
                )
            white_ev = segment.after.white_ev
        raise FilmError(f"{frame} is in no closed segment")

    def begin(self, kind: ReelFormat) -> None:
        """Say what the film is, durably."""
        make_folder(self.folder, self._root)
        with self._media.open("wb") as media:
            media.truncate(HEAD_BYTES)
            os.fsync(media.fileno())
        self._write(_format_line(kind))
        sync_folder(self.folder)
        self.format = kind

    def close(self, *pieces: Piece) -> None:
        """Add segments for good; raise OSError where the disk does not take them."""
        segments: list[Segment] = []
        for piece in pieces:
            segments.append(_closed(piece, segments[-1].end if segments else self.end))
        self._own()
        with self._media.open("r+b") as media:
            media.truncate(self.end)
            media.seek(self.end)
            media.writelines(sample for piece in pieces for sample in piece.samples)
            media.flush()
            os.fsync(media.fileno())
        for number, piece in enumerate(pieces, len(self.segments)):
            for place, picture in enumerate(piece.small):
                (self.folder / f"{number:06d}-{place}.jpg").write_bytes(picture)
        self._write(*map(_segment_line, segments))
        self.segments = (*self.segments, *segments)

    def samples(self, number: int) -> list[bytes]:
        """Return the samples of a closed segment."""
        segment = self.segments[number]
        with self._media.open("rb") as media:
            media.seek(segment.offset)
            return [media.read(size) for size in segment.sizes]

    def small(self, most: int) -> list[Path]:
        """Return small pictures of frames, at most so many, evenly spaced."""
        found = sorted(self.folder.glob("*.jpg"))
        count = min(most, len(found))
        return [found[round(place * (len(found) - 1) / max(1, count - 1))] for place in range(count)]

    def chunks(self) -> list[mp4.Chunk]:
        """Return where the samples of all closed segments lie."""
        return [mp4.Chunk(offset=segment.offset, sizes=segment.sizes) for segment in self.segments]

    def finish(self, film: Path, words: Mapping[str, str]) -> tuple[FilmFacts, str]:
        """Make the film under another name of the same file; return what it is, and its content's digest.

        Only a head is written, whatever the length of the film. Raises FilmError where that has no room, or
        where the film does not turn out to be what it should.
        """
        if self.format is None:
            raise FilmError(f"{film}: no frame of it is encoded")
        head = mp4.film_head(self.format.track, self.chunks(), words, HEAD_BYTES)
        if head is None:
            raise FilmError(f"{film}: has more frames than its head has room for")
        film.unlink(missing_ok=True)
        try:
            os.link(self._media, film)
        except OSError:
            shutil.copyfile(self._media, film)
        with film.open("r+b") as file:
            file.write(head)
        facts = examine_ends(film)
        wanted = (self.shown, self.format.box.width, self.format.box.height, self.format.rate)
        if (facts.frames, facts.width, facts.height, facts.rate) != wanted:
            raise FilmError(f"{film}: is {facts}, it should have been {wanted}")
        sync_file(film)
        digests = "".join(segment.sha256 for segment in self.segments)
        return facts, hashlib.sha256(head + digests.encode()).hexdigest()[:12]

    @property
    def shown(self) -> int:
        """How many frames closed segments show."""
        return sum(len(segment.sizes) for segment in self.segments)

    @property
    def skipped(self) -> int:
        """How many frames turned out to be no pictures."""
        return sum(len(segment.skipped) for segment in self.segments)

    @property
    def levelled_as_a_render(self) -> bool:
        """Tell whether a render would have levelled by the same facts: by records, of every frame."""
        frames = sum(len(segment.frames) for segment in self.segments)
        exact = sum(segment.exact for segment in self.segments)
        coloured = sum(segment.coloured for segment in self.segments)
        return exact == frames and coloured in (0, frames)

    @property
    def denies_a_record(self) -> bool:
        """Tell whether some picture denies what its record tells: a render would look, and not believe it.

        What was told is known as far as the smooth target that each frame was levelled to.
        """
        gain = np.array([green for segment in self.segments for _red, green, _blue in segment.gains])
        _told, denied = believable(-gain, self._log_means() - gain, (slice(0, len(gain)),))
        return bool(denied.any())

    def flicker_mev(self) -> float:
        """Return the film's flicker, as a render's is counted."""
        return round(flicker_mev(self._log_means()), 3)

    def _log_means(self) -> Curve:
        return np.array([mean for segment in self.segments for mean in segment.log_means])

    def _own(self) -> None:
        """See to it that a film in the library, which is the same file, stays as it is."""
        if self._media.stat().st_nlink > 1:
            copy = self._media.with_suffix(".copy")
            shutil.copyfile(self._media, copy)
            copy.replace(self._media)

    def _write(self, *values: Mapping[str, Any]) -> None:
        with self._journal.open("ab") as journal:
            journal.writelines(json.dumps(value, separators=(",", ":")).encode() + b"\n" for value in values)
            journal.flush()
            os.fsync(journal.fileno())


def in_groups(pieces: Sequence[Piece]) -> list[Piece]:
    """Return pieces that follow each other as those of whole segments; none of them lies in two."""
    groups: list[list[Piece]] = []
    count = 0
    for piece in pieces:
        if count % GROUP == 0:
            groups.append([])
        groups[-1].append(piece)
        count += len(piece.frames)
    return [_joined(group) for group in groups]


def _joined(pieces: Sequence[Piece]) -> Piece:
    return replace(
        pieces[-1],
        frames=tuple(name for piece in pieces for name in piece.frames),
        skipped=tuple(name for piece in pieces for name in piece.skipped),
        samples=tuple(sample for piece in pieces for sample in piece.samples),
        log_means=tuple(mean for piece in pieces for mean in piece.log_means),
        small=tuple(picture for piece in pieces for picture in piece.small),
        gains=tuple(gain for piece in pieces for gain in piece.gains),
        exact=sum(piece.exact for piece in pieces),
        coloured=sum(piece.coloured for piece in pieces),
    )


def _closed(piece: Piece, offset: int) -> Segment:
    return Segment(
        frames=piece.frames,
        skipped=piece.skipped,
        offset=offset,
        sizes=tuple(len(sample) for sample in piece.samples),
        log_means=piece.log_means,
        gains=piece.gains,
        exact=piece.exact,
        coloured=piece.coloured,
        after=piece.after,
        sha256=hashlib.sha256(b"".join(piece.samples)).hexdigest(),
    )


def window_of(folder: Path) -> tuple[str, str | None] | None:
    """Return day and window of a film on disk; null where it does not say."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        with (folder / "journal").open("rb") as journal:
            said = json.loads(journal.readline())
        return said["day"], said["window"]
    return None


def _line(line: bytes) -> dict[str, Any] | None:
    """Return a whole line of the journal; null for one that a kill cut short."""
    if not line.endswith(b"\n"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _read(line: bytes, *, first: bool) -> ReelFormat | Segment | None:
    """Return what a line says; null where it was cut short, or another release wrote it."""
    value = _line(line)
    try:
        return None if value is None else _format(value) if first else _segment(value)
    except (LookupError, TypeError, ValueError):
        return None


def _format_line(kind: ReelFormat) -> dict[str, Any]:
    return {
        "day": kind.day,
        "window": kind.window,
        "box": [kind.box.width, kind.box.height],
        "source": list(kind.source),
        "rate": str(kind.rate),
        "sps": kind.sps.hex(),
        "pps": kind.pps.hex(),
    }


def _format(value: Mapping[str, Any]) -> ReelFormat:
    return ReelFormat(
        day=value["day"],
        window=value["window"],
        box=Box(width=value["box"][0], height=value["box"][1]),
        source=(value["source"][0], value["source"][1]),
        rate=Fraction(value["rate"]),
        sps=bytes.fromhex(value["sps"]),
        pps=bytes.fromhex(value["pps"]),
    )


def _segment_line(segment: Segment) -> dict[str, Any]:
    after = segment.after
    return {
        "frames": segment.frames,
        "skipped": segment.skipped,
        "offset": segment.offset,
        "sizes": segment.sizes,
        "log_means": segment.log_means,
        "gains": segment.gains,
        "exact": segment.exact,
        "coloured": segment.coloured,
        "targets": after.targets,
        "seen": after.seen,
        "moved": after.moved,
        "at_s": after.last.at_s,
        "pauses_s": after.last.pauses_s,
        "light_ev": after.last.light_ev,
        "white_ev": after.white_ev,
        "sha256": segment.sha256,
    }


def _segment(value: Mapping[str, Any]) -> Segment:
    after = PathEnd(
        targets=tuple((row[0], row[1], row[2]) for row in value["targets"]),
        seen=(value["seen"][0], value["seen"][1], value["seen"][2]),
        moved=(value["moved"][0], value["moved"][1], value["moved"][2]),
        last=Moment(
            at_s=value["at_s"],
            pauses_s=tuple(value["pauses_s"]),
            light_ev=(value["light_ev"][0], value["light_ev"][1]),
        ),
        white_ev=value["white_ev"],
    )
    return Segment(
        frames=tuple(value["frames"]),
        skipped=tuple(value["skipped"]),
        offset=value["offset"],
        sizes=tuple(value["sizes"]),
        log_means=tuple(value["log_means"]),
        gains=tuple((row[0], row[1], row[2]) for row in value["gains"]),
        exact=value["exact"],
        coloured=value["coloured"],
        after=after,
        sha256=value["sha256"],
    )
