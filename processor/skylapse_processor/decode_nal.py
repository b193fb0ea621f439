"""What coded pictures are to each other, told from the heads of their NAL units: H.264 7.4.1, H.265 7.4.2.2.

A picture that no other is decoded from need not be decoded unless it is wanted itself; before a picture from
which decoding can begin, nothing need be. Nothing is guessed: of what is damaged or not known here, every
picture counts as needed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

_H264_SLICE, _H264_IDR, _H264_SEI = 1, 5, 6
_H264_SLICES = range(1, 6)
_H264_SETS = frozenset({7, 8, 13, 15})
_H264_BARE = frozenset({_H264_SLICE, 9, 12})
_RECOVERY_POINT = 6
_EXACT_AT_ONCE = 0b11
"""Of a recovery point: no frame passes before it holds, and it holds to the last bit."""

_H265_SLICES = range(32)
_H265_FREE = range(0, 15, 2)
_H265_ENTRIES = range(16, 22)
_H265_SPS = 33
_H265_SETS = frozenset({32, _H265_SPS, 34})
_H265_BARE = frozenset({*_H265_FREE, 35, 38})
_START = b"\0\0\1"


class Spare(Enum):
    """What may be done with a picture that is not wanted."""

    NOTHING = auto()
    """Others may be decoded from it."""
    LEFT_TO_DECODER = auto()
    """The decoder is asked to leave it out: what stands beside the picture may outlive it."""
    DROPPED = auto()
    """It need not reach the decoder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """What a packet is to others."""

    is_entry: bool = False
    """All that is shown from its picture on is decoded without what came before it."""
    has_sets: bool = False
    """It holds parameters that later pictures may be read by."""
    spare: Spare = Spare.NOTHING


class NalReader:
    """Tells the roles of the packets of one stream; they are to be shown to it in their order."""

    def __init__(self, codec: str, extradata: bytes | None, *, is_interlaced: bool) -> None:
        head = extradata or b""
        self._is_h264 = codec == "h264"
        self._is_interlaced = is_interlaced
        self._top: int | None = None
        self._length_size = 0
        if head[:1] == b"\1" and len(head) >= _HEADS[codec]:
            self._length_size = (head[_HEADS[codec] - 1] & 3) + 1
        if not self._is_h264:
            for unit in _in_hvcc(head) if self._length_size else _after_start_codes(head):
                self._note_layers(unit)

    def role(self, data: bytes) -> Role:
        """Tell the role of a packet."""
        split = _after_lengths(data, self._length_size) if self._length_size else _after_start_codes(data)
        units = [unit for unit in split if len(unit) >= (1 if self._is_h264 else 2)]
        return self._h264(units) if self._is_h264 else self._h265(units)

    def _h264(self, units: list[memoryview]) -> Role:
        kinds = [unit[0] & 31 for unit in units]
        slices = [kind for kind in kinds if kind in _H264_SLICES]
        if not slices:
            return Role(has_sets=not _H264_SETS.isdisjoint(kinds))
        is_free = set(slices) == {_H264_SLICE} and not any(
            unit[0] & 0x60 for unit, kind in zip(units, kinds, strict=True) if kind == _H264_SLICE
        )
        recovers = any(_recovers(unit) for unit in units if unit[0] & 31 == _H264_SEI)
        return Role(
            is_entry=slices[0] == _H264_IDR or (recovers and set(slices) == {_H264_SLICE}),
            has_sets=not _H264_SETS.isdisjoint(kinds),
            spare=_spare(is_free=is_free and not self._is_interlaced, is_bare=_H264_BARE.issuperset(kinds)),
        )

    def _h265(self, units: list[memoryview]) -> Role:
        for unit in units:
            self._note_layers(unit)
        kinds = [unit[0] >> 1 & 63 for unit in units]
        slices = [unit for unit, kind in zip(units, kinds, strict=True) if kind in _H265_SLICES]
        is_base = not any(unit[0] & 1 or unit[1] >> 3 for unit in units)
        return Role(
            is_entry=bool(slices) and all(unit[0] >> 1 & 63 in _H265_ENTRIES for unit in slices),
            has_sets=not _H265_SETS.isdisjoint(kinds),
            spare=_spare(
                is_free=bool(slices) and is_base and all(self._is_free_h265(unit) for unit in slices),
                is_bare=_H265_BARE.issuperset(kinds),
            ),
        )

    def _is_free_h265(self, unit: memoryview) -> bool:
        """Tell whether nothing is decoded from a slice; pictures of a higher sub-layer might be."""
        layer = (unit[1] & 7) - 1
        return unit[0] >> 1 & 63 in _H265_FREE and self._top is not None and layer >= self._top

    def _note_layers(self, unit: memoryview) -> None:
        if len(unit) > 2 and unit[0] >> 1 & 63 == _H265_SPS:
            self._top = max(self._top or 0, unit[2] >> 1 & 7)


_HEADS: Mapping[str, int] = {"h264": 5, "hevc": 22}
"""Codecs that are read here, and where the head of avcC and hvcC ends: with the size of lengths."""
CODECS = frozenset(_HEADS)


def _spare(*, is_free: bool, is_bare: bool) -> Spare:
    if not is_free:
        return Spare.NOTHING
    return Spare.DROPPED if is_bare else Spare.LEFT_TO_DECODER


def _recovers(unit: memoryview) -> bool:
    """Tell whether a unit of supplements names a recovery point that holds at once (H.264 D.1.8)."""
    place = 1
    while place + 2 < len(unit):
        kind, size = unit[place], unit[place + 1]
        if kind == _RECOVERY_POINT:
            return unit[place + 2] >> 6 == _EXACT_AT_ONCE
        if kind == 255 or size == 255:  # longer than a byte tells, as what encoders say of themselves
            return False
        place += 2 + size
    return False


def _after_lengths(data: bytes, size: int) -> list[memoryview]:
    """Return the units; none where their lengths are not those of the packet."""
    view, place, units = memoryview(data), 0, []
    while place < len(data):
        end = place + size + int.from_bytes(view[place : place + size], "big")
        units.append(view[place + size : end])
        place = end
    return units if place == len(data) else []


def _after_start_codes(data: bytes) -> Iterator[memoryview]:
    view, place = memoryview(data), data.find(_START)
    while place >= 0:
        end = data.find(_START, place + 3)
        yield view[place + 3 : end if end >= 0 else len(data)]
        place = end


def _in_hvcc(head: bytes) -> Iterator[memoryview]:
    """Yield the units of hvcC (ISO/IEC 14496-15 8.3.3.1)."""
    view, place = memoryview(head), 23
    for _ in range(head[22] if len(head) > 22 else 0):
        count, place = int.from_bytes(view[place + 1 : place + 3], "big"), place + 3
        for _ in range(count):
            size, place = int.from_bytes(view[place : place + 2], "big"), place + 2
            yield view[place : place + size]
            place += size
