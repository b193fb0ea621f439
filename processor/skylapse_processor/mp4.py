"""MP4 boxes about samples that exist already (ISO/IEC 14496-12 and -15). Pure: numbers in, bytes out.

Muxers write an index and the samples that belong to it in one go. The film of today has its samples on disk,
one after another, long before its index is known, and shows them in three ways: as fragments, as a film so
far, and at the end as a film like any other, for which only its head is written, into room left for it.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

_TICKS = 512
"""In how many parts a frame's time can be told."""
_UNITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_KEY_FRAME, _OTHER_FRAME = 0x02000000, 0x01010000
_BT709 = 1
_ROWS_OF_SIZE_AND_KIND = 0x000601
"""Flags of a run of samples: where its data lies, then size and kind of each sample."""
_LARGE_BOX = 16
_FREE = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Track:
    """What all samples of a film share."""

    width: int
    height: int
    rate: Fraction
    sps: bytes
    pps: bytes

    @property
    def timescale(self) -> int:
        """Ticks in a second."""
        return self.rate.numerator * _TICKS

    @property
    def ticks(self) -> int:
        """Ticks in a frame."""
        return self.rate.denominator * _TICKS

    @property
    def codec(self) -> str:
        """The codec as players want it named (RFC 6381)."""
        return f"avc1.{self.sps[1:4].hex()}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Samples that lie one after another; the first is a key frame."""

    offset: int
    """Where they begin in the file."""
    sizes: Sequence[int]
    """In bytes."""


def initialisation(track: Track) -> bytes:
    """Return the head that fragments follow."""
    tables = [
        _full(b"stts", 0, struct.pack(">I", 0)),
        _full(b"stsc", 0, struct.pack(">I", 0)),
        _full(b"stsz", 0, struct.pack(">II", 0, 0)),
        _full(b"stco", 0, struct.pack(">I", 0)),
    ]
    extends = _box(b"mvex", _full(b"trex", 0, struct.pack(">5I", 1, 1, track.ticks, 0, _OTHER_FRAME)))
    return _brands() + _box(b"moov", _movie(track, 0), _trak(track, 0, tables), extends)


def fragment(track: Track, number: int, first: int, samples: Sequence[bytes]) -> bytes:
    """Return samples as a fragment that begins with the film's frame `first`."""
    rows = b"".join(
        struct.pack(">II", len(sample), _OTHER_FRAME if place else _KEY_FRAME)
        for place, sample in enumerate(samples)
    )
    empty = _moof(track, number, first, rows, len(samples), 0)
    offset = len(empty) + _FREE
    return _moof(track, number, first, rows, len(samples), offset) + _box(b"mdat", *samples)


def film_head(track: Track, chunks: Sequence[Chunk], metadata: Mapping[str, str], room: int) -> bytes | None:
    """Return exactly `room` bytes: the head of a film whose samples follow; null where it needs more."""
    frames = sum(len(chunk.sizes) for chunk in chunks)
    sizes = [size for chunk in chunks for size in chunk.sizes]
    tables = [
        _full(b"stts", 0, struct.pack(">3I", 1, frames, track.ticks)),
        _full(b"stss", 0, _counted(">I", _first_frames(chunks))),
        _full(b"stsc", 0, _samples_to_chunks(chunks)),
        _full(b"stsz", 0, struct.pack(">II", 0, frames) + struct.pack(f">{frames}I", *sizes)),
        _full(b"co64", 0, _counted(">Q", [chunk.offset for chunk in chunks])),
    ]
    moov = _box(b"moov", _movie(track, frames), _trak(track, frames, tables), _told(metadata))
    head = _brands() + moov
    left = room - len(head) - _LARGE_BOX - _FREE
    if left < 0:
        return None
    data = struct.pack(">I4sQ", 1, b"mdat", _LARGE_BOX + sum(sizes))
    return head + _box(b"free", bytes(left)) + data


def _first_frames(chunks: Sequence[Chunk]) -> list[int]:
    firsts, count = [], 1
    for chunk in chunks:
        firsts.append(count)
        count += len(chunk.sizes)
    return firsts


def _samples_to_chunks(chunks: Sequence[Chunk]) -> bytes:
    rows, chunk = [], 1
    for samples, same in groupby(len(chunk.sizes) for chunk in chunks):
        rows.append(struct.pack(">3I", chunk, samples, 1))
        chunk += len(list(same))
    return struct.pack(">I", len(rows)) + b"".join(rows)


def _moof(track: Track, number: int, first: int, rows: bytes, samples: int, offset: int) -> bytes:
    run = _full(b"trun", _ROWS_OF_SIZE_AND_KIND, struct.pack(">Ii", samples, offset) + rows)
    track_run = _box(
        b"traf",
        _full(b"tfhd", 0x020008, struct.pack(">II", 1, track.ticks)),
        _full(b"tfdt", 0, struct.pack(">Q", first * track.ticks), version=1),
        run,
    )
    return _box(b"moof", _full(b"mfhd", 0, struct.pack(">I", number)), track_run)


def _brands() -> bytes:
    return _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isom", b"iso5", b"iso6", b"avc1", b"mp41")


def _movie(track: Track, frames: int) -> bytes:
    times = struct.pack(">QQIQ", 0, 0, track.timescale, frames * track.ticks)
    sound = struct.pack(">IHH8x", 0x10000, 0x100, 0)
    return _full(b"mvhd", 0, times, sound, _UNITY, bytes(24), struct.pack(">I", 2), version=1)


def _trak(track: Track, frames: int, tables: Sequence[bytes]) -> bytes:
    duration = frames * track.ticks
    header = _full(
        b"tkhd",
        3,
        struct.pack(">QQIIQ8xHHHH", 0, 0, 1, 0, duration, 0, 0, 0, 0),
        _UNITY,
        struct.pack(">II", track.width << 16, track.height << 16),
        version=1,
    )
    media = _box(
        b"mdia",
        _full(b"mdhd", 0, struct.pack(">QQIQHH", 0, 0, track.timescale, duration, 0x55C4, 0), version=1),
        _full(b"hdlr", 0, struct.pack(">I4s12x", 0, b"vide"), b"Skylapse\0"),
        _box(
            b"minf",
            _full(b"vmhd", 1, bytes(8)),
            _box(b"dinf", _full(b"dref", 0, struct.pack(">I", 1), _full(b"url ", 1))),
            _box(b"stbl", _description(track), *tables),
        ),
    )
    return _box(b"trak", header, media)


def _description(track: Track) -> bytes:
    config = b"\x01" + track.sps[1:4] + b"\xff\xe1" + struct.pack(">H", len(track.sps)) + track.sps
    config += b"\x01" + struct.pack(">H", len(track.pps)) + track.pps
    if track.sps[1] >= 100:
        config += b"\xfd\xf8\xf8\x00"
    entry = _box(
        b"avc1",
        struct.pack(">6xH16xHHIIIH32xHh", 1, track.width, track.height, 0x480000, 0x480000, 0, 1, 24, -1),
        _box(b"avcC", config),
        _box(b"colr", b"nclx", struct.pack(">HHHB", _BT709, _BT709, _BT709, 0)),
        _box(b"pasp", struct.pack(">II", 1, 1)),
    )
    return _full(b"stsd", 0, struct.pack(">I", 1), entry)


def _told(metadata: Mapping[str, str]) -> bytes:
    """Return words about the film under keys of our own (QuickTime metadata)."""
    keys = [_box(b"mdta", name.encode()) for name in metadata]
    words = [
        struct.pack(">I", 8 + 16 + len(word.encode()))
        + struct.pack(">I", number)
        + _box(b"data", struct.pack(">II", 1, 0), word.encode())
        for number, word in enumerate(metadata.values(), 1)
    ]
    return _box(
        b"meta",
        _full(b"hdlr", 0, struct.pack(">I4s12x", 0, b"mdta"), b"\0"),
        _full(b"keys", 0, struct.pack(">I", len(keys)), *keys),
        _box(b"ilst", *words),
    )


def _counted(form: str, numbers: Sequence[int]) -> bytes:
    return struct.pack(">I", len(numbers)) + b"".join(struct.pack(form, number) for number in numbers)


def _full(kind: bytes, flags: int, *parts: bytes, version: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _box(kind: bytes, *parts: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, parts)), kind) + b"".join(parts)
