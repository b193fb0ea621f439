"""The packets of a recording, read ahead: those that nothing wanted is decoded from are left out.

What is left out was not looked at: it is neither damaged nor missing. The wanted frames stay as they are to
the last bit. A picture that no other is decoded from is dropped; what lies before the last entry at or before
the next wanted frame is dropped, and the decoder begins anew there; where that entry lies far on, the file is
jumped to it.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import takewhile
from math import floor, inf
from pathlib import Path
from typing import TypeAlias

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from .decode_nal import CODECS, NalReader, Role, Spare

_JUMP_S = 4.0
"""Moments so far apart are jumped to; key frames lie two seconds apart in most recordings, ten at most."""
_EXACT_S = 1e-6
_AHEAD_BYTES = 64 * 1024 * 1024
"""Kept of what was read ahead, at most: about half a minute of 4K."""
_INTERLACED = range(2, 6)
"""AVFieldOrder: a packet may be half a picture then."""

Packet: TypeAlias = "av.Packet[VideoStream]"
Follow = Callable[[float], float]
"""From when on a frame is wanted again, once that of a moment is taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    """A packet that was read; its times in seconds, as the stream counts them."""

    packet: Packet
    role: Role
    shown_s: float | None
    coded_s: float | None
    before_s: float
    """The latest time at which what was read before it is shown."""


class Ahead:
    """The packets of a video stream that must be decoded."""

    def __init__(self, path: Path, container: InputContainer, stream: VideoStream) -> None:
        """Take an open recording; the path is for looking ahead in it."""
        self._path, self._container, self._stream = path, container, stream
        self._packets = container.demux(stream)
        self._reader = _reader(stream)
        self._ahead: deque[_Read] = deque()
        self._bytes_ahead = 0
        self._read_s: float | None = None
        self._latest_s = -inf
        self._last_s: float | None = None
        self._times: list[float] = []
        """Of the frames that were read and may be wanted, in order."""
        self._wanted_s = -inf
        self._target_s, self._again_s = inf, -inf
        """The frame that is wanted next, and from when on one is wanted then; once they are known."""
        self._follow: Follow | None = None
        self._is_at_end, self._is_anew = False, False
        self._scout: InputContainer | None = None

    def close(self) -> None:
        """Close what was opened besides the recording."""
        if self._scout is not None:
            self._scout.close()

    @property
    def end_s(self) -> float | None:
        """When its last frame is shown, as the stream counts; none before it was read to its end."""
        return self._last_s if self._is_at_end else None

    def want(self, wanted_s: float, follow: Follow | None) -> None:
        """Leave out what is shown before a moment.

        With `follow`, one frame is wanted there: what is shown after it and before the next is left out, too.
        """
        self._wanted_s, self._follow = wanted_s - _EXACT_S, follow
        self._target_s, self._again_s = inf, -inf
        del self._times[: bisect_left(self._times, self._wanted_s) if follow else None]
        if not self._is_at_end and self._read_s is not None and wanted_s - self._read_s > _JUMP_S:
            self._jump()

    def next(self) -> "Packet | None":
        """Return the next packet that must be decoded, and have the decoder know how; none at the end.

        Raises av.FFmpegError where the file is damaged.
        """
        while True:
            self._look_ahead()
            if not self._ahead:
                return None
            read = self._ahead.popleft()
            self._bytes_ahead -= read.packet.size
            spare = read.role.spare if self._is_idle(read) else Spare.NOTHING
            if spare is Spare.DROPPED:
                continue
            if self._is_anew:
                self._stream.codec_context.flush_buffers()
                self._is_anew = False
            is_left = spare is Spare.LEFT_TO_DECODER
            self._stream.codec_context.skip_frame = "NONREF" if is_left else "DEFAULT"
            return read.packet

    def _is_idle(self, read: _Read) -> bool:
        """Tell whether the frame of a packet is not wanted."""
        if read.shown_s is None:
            return False
        return read.shown_s < self._wanted_s or self._target_s < read.shown_s < self._again_s

    def _is_target_known(self) -> bool:
        """Tell whether no packet can come whose frame is shown before the first one that is wanted."""
        if not self._times:
            return False
        return self._is_at_end or (self._read_s is not None and self._read_s >= self._times[0])

    def _look_ahead(self) -> None:
        """Read until it is known which frame is wanted next and where decoding begins for it."""
        while not self._is_at_end and not (self._ahead and self._is_enough()):
            packet = next(self._packets, None)
            self._is_at_end = packet is None or (packet.dts is None and packet.size == 0)
            if packet is not None:
                self._take(packet)
        if self._follow is not None and self._target_s == inf and self._is_target_known():
            self._target_s = self._times[0]
            self._again_s = self._follow(self._target_s) - _EXACT_S
            target = next((read for read in self._ahead if read.shown_s == self._target_s), None)
            if target is not None:
                self._begin_with(target)

    def _is_enough(self) -> bool:
        if self._wanted_s == -inf or self._read_s is None or self._bytes_ahead > _AHEAD_BYTES:
            return True
        return self._read_s >= self._wanted_s and (self._follow is None or self._is_target_known())

    def _take(self, packet: Packet) -> None:
        """Put a packet behind the others."""
        read = _Read(
            packet=packet,
            role=_role(self._reader, packet),
            shown_s=_seconds(packet, packet.pts),
            coded_s=_seconds(packet, packet.dts),
            before_s=self._latest_s,
        )
        self._ahead.append(read)
        self._bytes_ahead += packet.size
        self._read_s = read.coded_s
        self._latest_s = max(self._latest_s, inf if read.shown_s is None else read.shown_s)
        if read.shown_s is not None:
            self._last_s = max(self._last_s or read.shown_s, read.shown_s)
        if read.shown_s is not None and not packet.is_discard and self._may_be_target(read.shown_s):
            insort(self._times, read.shown_s)
        if read.shown_s is not None and read.shown_s <= self._wanted_s:
            self._begin_with(read)

    def _may_be_target(self, shown_s: float) -> bool:
        is_planned = self._follow is not None or self._wanted_s == -inf
        return is_planned and shown_s >= self._wanted_s

    def _begin_with(self, entry: _Read) -> None:
        """Drop what was read before a packet, if decoding can begin with it; nothing earlier is wanted."""
        if not entry.role.is_entry or entry.shown_s is None or entry.before_s >= entry.shown_s:
            return
        dropped = list(takewhile(lambda read: read is not entry, self._ahead))
        if not dropped or (any(read.role.has_sets for read in dropped) and not entry.role.has_sets):
            return
        for read in dropped:
            self._ahead.popleft()
            self._bytes_ahead -= read.packet.size
        self._is_anew = True

    def _jump(self) -> None:
        """Go on at an entry that lies farther on in the file, if there is one."""
        try:
            place = self._entry()
        except av.FFmpegError:  # what cannot be looked at twice is read on
            return
        if place is None:
            return
        self._container.seek(place, stream=self._stream, backward=True)
        self._ahead.clear()
        self._times.clear()
        self._bytes_ahead = 0
        self._is_anew = True

    def _entry(self) -> int | None:
        """Return where to seek for the last entry before what is wanted; none if it has been read already.

        A second look at the file finds it, so that nothing is lost where there is none.
        """
        self._scout = self._scout or av.open(str(self._path))
        stream = self._scout.streams.video[0]
        reader, back_s = _reader(stream), 0.0
        while self._wanted_s - back_s > self._latest_s:
            place = floor((self._wanted_s - back_s) / float(stream.time_base or 1))
            self._scout.seek(place, stream=stream, backward=True)
            for packet in self._scout.demux(stream):
                shown_s = _seconds(packet, packet.pts)
                if shown_s is None or shown_s > self._wanted_s:
                    break
                if _role(reader, packet).is_entry:
                    return place if shown_s > self._latest_s else None
            back_s = max(2 * back_s, _JUMP_S)
        return None


def _reader(stream: VideoStream) -> NalReader | None:
    context = stream.codec_context
    if context.name not in CODECS:
        return None
    return NalReader(context.name, context.extradata, is_interlaced=context.field_order in _INTERLACED)


def _role(reader: NalReader | None, packet: Packet) -> Role:
    """Tell the role of a packet; of a codec that is not read here, what container and decoder know."""
    has_sets = packet.has_sidedata("new_extradata")
    if reader is None:
        return Role(is_entry=packet.is_keyframe, has_sets=has_sets, spare=Spare.LEFT_TO_DECODER)
    role = reader.role(bytes(packet))
    is_entry = role.is_entry and not packet.is_corrupt
    return Role(is_entry=is_entry, has_sets=True) if has_sets else replace(role, is_entry=is_entry)


def _seconds(packet: Packet, ticks: int | None) -> float | None:
    return None if ticks is None or packet.time_base is None else float(ticks * packet.time_base)
