"""What each frame of a day gave to its results, in a file that grows by one entry of fixed size a frame.

An entry is the frame's identity, its place in local time, what it was used for, how it was exposed, and one
column of pixels, closed by a checksum. Entries gather in memory and are written and fsynced together; a kill
loses those that were not, and their frames are simply taken in again. What a power cut tore is found by its
checksum and cut out.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skylapse_processor import tone
from skylapse_processor.clock import to_us
from skylapse_processor.files import sync_file, write_whole
from skylapse_protocol.identifiers import FrameName

ROWS = 360
"""Of a keogram: its columns are stored at this height, whatever the camera's."""

_HEAD = struct.Struct(">q8sqiiffff16s")
_KEY = struct.Struct(">q8sq")
_SUM = struct.Struct(">I")
_PIXELS = ROWS * 3
SIZE = _HEAD.size + _PIXELS + _SUM.size
"""Bytes an entry."""

Column = NDArray[np.uint8]
"""Codes of red, green and blue from the top down, shape (ROWS, 3)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What one frame gave."""

    frame: FrameName
    local_offset_s: int
    """By how much the camera's clock on the wall is ahead of UTC."""
    in_trail: bool
    """Whether the star trail holds it."""
    sun_elevation_deg: float
    """NaN where nobody knows it."""
    exposure_ev: float = math.nan
    """log2 of exposure time in µs times all gain, as delivered; NaN where nobody knows it."""
    white_ev: tuple[float, float] = (math.nan, math.nan)
    """log2 of the gains of red and blue; NaN where nobody knows them."""
    tone_curve: str = tone.SRGB
    """That the column's codes are on."""
    column: Column


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """A whole day in order of time."""

    at_s: NDArray[np.float64]
    """When each frame was taken, seconds since 1970, shape (n,)."""
    local_offset_s: int
    """Of the newest frame."""
    sun_elevation_deg: NDArray[np.float32]
    """NaN where nobody knows it, shape (n,)."""
    exposure_ev: NDArray[np.float64]
    """NaN where nobody knows it, shape (n,)."""
    white_ev: NDArray[np.float64]
    """Of red and blue, NaN where nobody knows it, shape (n, 2)."""
    tone_curve: NDArray[np.str_]
    """Shape (n,)."""
    pixels: NDArray[np.uint8]
    """Shape (n, ROWS, 3)."""


class Ledger:
    """All entries of one camera and day."""

    def __init__(self, path: Path) -> None:
        """Remember the file."""
        self.path = path
        self.in_trail = 0
        """How many of the frames the star trail holds."""
        self._keys: set[bytes] = set()
        self._data = bytearray()
        self._synced = 0

    def __len__(self) -> int:
        """Return how many frames it holds."""
        return len(self._keys)

    def open(self) -> None:
        """Read what is there; an entry that is damaged is dropped, so that its frame is taken in again."""
        data = self.path.read_bytes() if self.path.exists() else b""
        for entry in _whole(data):
            self._append(entry)
        self._synced = len(self._data)
        if self._data != data:
            write_whole(self.path, bytes(self._data))

    def holds(self, frame: FrameName) -> bool:
        """Tell whether a frame is in it."""
        return _key(frame) in self._keys

    def add(self, entry: Entry) -> None:
        """Take an entry in; one of the same frame again changes nothing."""
        name = entry.frame
        head = _HEAD.pack(
            *(to_us(name.captured_at), bytes.fromhex(name.spool), name.seq),
            *(entry.local_offset_s, entry.in_trail, entry.sun_elevation_deg),
            *(entry.exposure_ev, *entry.white_ev, entry.tone_curve.encode()),
        )
        body = head + np.ascontiguousarray(entry.column).tobytes()
        self._append(body + _SUM.pack(zlib.crc32(body)))

    def sync(self) -> None:
        """Write what was added, and wait until it is on disk."""
        if self._synced == len(self._data):
            return
        fresh = not self.path.exists()
        if fresh:
            write_whole(self.path, bytes(self._data))
        else:
            with self.path.open("r+b") as file:
                file.seek(self._synced)
                file.write(self._data[self._synced :])
                file.flush()
            sync_file(self.path)
        self._synced = len(self._data)

    def columns(self) -> Columns:
        """Return all columns in order of time."""
        table = np.frombuffer(bytes(self._data), dtype=_ENTRY)
        table = table[np.argsort(table["at_us"], kind="stable")]
        return Columns(
            at_s=table["at_us"].astype(np.float64) / 1e6,
            local_offset_s=int(table["offset_s"][-1]) if len(table) else 0,
            sun_elevation_deg=table["elevation"].astype(np.float32),
            exposure_ev=table["exposure"].astype(np.float64),
            white_ev=table["white"].astype(np.float64),
            tone_curve=table["curve"].astype(np.str_),
            pixels=table["pixels"],
        )

    def _append(self, entry: bytes) -> None:
        key = entry[: _KEY.size]
        if key not in self._keys:
            self._keys.add(key)
            self._data += entry
            self.in_trail += _HEAD.unpack_from(entry)[4]


_ENTRY = np.dtype(
    [
        *(("at_us", ">i8"), ("spool", "V8"), ("seq", ">i8"), ("offset_s", ">i4"), ("in_trail", ">i4")),
        *(("elevation", ">f4"), ("exposure", ">f4"), ("white", ">f4", (2,)), ("curve", "S16")),
        *(("pixels", "u1", (ROWS, 3)), ("sum", ">u4")),
    ]
)


def _key(frame: FrameName) -> bytes:
    return _KEY.pack(to_us(frame.captured_at), bytes.fromhex(frame.spool), frame.seq)


def _whole(data: bytes) -> Iterator[bytes]:
    """Yield the entries whose checksum is right."""
    for start in range(0, len(data) - SIZE + 1, SIZE):
        entry = data[start : start + SIZE]
        if zlib.crc32(entry[: -_SUM.size]) == _SUM.unpack_from(entry, SIZE - _SUM.size)[0]:
            yield entry
