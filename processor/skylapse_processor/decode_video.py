"""Recordings to pictures: a video is opened, walked once, and its frames are handed on with their times.

Damage inside a recording costs the packets that it hit; what could be decoded goes on, and is counted.
Decoders paint over what they cannot read and go on with that, so frames count as damaged from there to the
next key frame. A film that turns its picture by metadata, as telephones do, is turned.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from skylapse_protocol.codec import parse_time

from .decode import MAX_PIXELS, Pixels
from .decode_ahead import Ahead, Follow
from .errors import CancelledError, PictureError, unreadable

THREADS = 2
GREY_COLUMNS = 320
"""Width of the small grey picture that frames are judged by."""
_UNTAGGED_HD_ROWS = 720
"""From so many rows on, a recording that does not say so has BT.709 colours."""
_MANY_LOST = 1000
_EARLY_S = 1.0
"""A recording that ends so much before its head says has lost its end; sound may be longer by less."""

Grey = NDArray[np.uint8]
"""Luma of a small picture, shape (rows, columns)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoFacts:
    """What the head of a recording says, and its first frame where that has been decoded."""

    codec: str
    width: int
    """As it is shown."""
    height: int
    rate: float
    """Frames a second, on average."""
    duration_s: float | None
    started_at: datetime | None
    """When the recording began, by its metadata."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """One frame of a recording."""

    number: int
    """Among those that could be decoded."""
    time_s: float
    """From the first frame."""
    frame: VideoFrame
    is_damaged: bool
    """Parts of it were painted over, or of one that it may be decoded from."""


class Recording:
    """One video file. Use as a context."""

    def __init__(self, path: Path, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        """Remember where it lies, and whom to ask before each packet; CancelledError ends the walk."""
        self._path, self._is_cancelled = path, is_cancelled
        self._container: av.container.InputContainer | None = None
        self._stream: VideoStream | None = None
        self._ahead: Ahead | None = None
        self._first_s: float | None = None
        self._wanted_s = 0.0
        self._lost = 0
        self._is_turned = False
        self.damaged = 0
        """Packets that could not be decoded whole so far; those that need not be are not among them."""

    def __enter__(self) -> Self:
        """Open it; raise PictureError where it is no recording."""
        try:
            self._container = av.open(str(self._path))
            if not self._container.streams.video:
                raise PictureError(self._path.name, "holds no video")
        except (OSError, av.FFmpegError) as error:
            raise PictureError(
                self._path.name, f"is no recording that can be read ({unreadable(error)})"
            ) from error
        self._stream = self._container.streams.video[0]
        context = self._stream.codec_context
        if context.width * context.height > MAX_PIXELS:
            raise PictureError(self._path.name, f"has pictures above {MAX_PIXELS // 1_000_000} megapixels")
        context.thread_type = "AUTO"
        context.thread_count = THREADS
        self._ahead = Ahead(self._path, self._container, self._stream)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        if self._ahead is not None:
            self._ahead.close()
        if self._container is not None:
            self._container.close()

    @property
    def facts(self) -> VideoFacts:
        """What its head says."""
        container, stream, _ = self._opened()
        duration = (container.duration or 0) / av.time_base
        size = (stream.codec_context.width, stream.codec_context.height)
        width, height = reversed(size) if self._is_turned else size
        return VideoFacts(
            codec=stream.codec_context.name,
            width=width,
            height=height,
            rate=float(stream.average_rate or stream.base_rate or 0),
            duration_s=duration if duration > 0 else None,
            started_at=_moment(container.metadata.get("creation_time")),
        )

    @property
    def ended_s(self) -> float | None:
        """From the first frame, when the last one was shown that is there, if the head tells of more."""
        _, _, ahead = self._opened()
        said_s = self.facts.duration_s
        if ahead.end_s is None or said_s is None:
            return None
        end_s = ahead.end_s - (self._first_s or 0.0)
        return end_s if end_s + _EARLY_S + 1.0 / max(self.facts.rate, 1.0) < said_s else None

    def shots(self) -> Iterator[Shot]:
        """Yield every frame that is wanted and can be decoded, in the order in which they are shown.

        Frames that are not wanted may come, too, where others are decoded from them.
        """
        rate = max(self.facts.rate, 1.0)
        is_damaged = False
        for number, frame in enumerate(self._frames()):
            time_s = frame.time if frame.pts is not None else number / rate
            first_s = time_s if self._first_s is None else self._first_s
            self._first_s = first_s
            shown_s = max(time_s - first_s, 0.0)
            is_damaged = frame.is_corrupt or (is_damaged and not frame.key_frame)
            self.damaged += frame.is_corrupt and shown_s >= self._wanted_s
            self._is_turned = round(frame.rotation / 90) % 2 == 1
            yield Shot(number=number, time_s=shown_s, frame=frame, is_damaged=is_damaged)

    def want(self, from_s: float, follow: Follow | None = None) -> None:
        """Say from when on frames are wanted: what need not be decoded for them is left out.

        With `follow`, the first of them is wanted and then those from when it says on, given the time of the
        first. To be called once the first frame of all has come.
        """
        _, _, ahead = self._opened()
        first_s = self._first_s or 0.0
        self._wanted_s = from_s
        after = None if follow is None else lambda time_s: first_s + follow(time_s - first_s)
        ahead.want(first_s + from_s, after)

    def _frames(self) -> Iterator[VideoFrame]:
        """Decode packet by packet, so that a broken one costs no more than itself."""
        _, _, ahead = self._opened()
        while True:
            if self._is_cancelled():
                raise CancelledError
            try:
                packet = ahead.next()
            except av.FFmpegError:
                self._lose()
                continue
            if packet is None:
                return
            try:
                yield from packet.decode()
            except av.FFmpegError:
                self._lose()

    def _lose(self) -> None:
        """Count a broken packet; give up on a recording that is nothing else."""
        self.damaged += 1
        self._lost += 1
        if self._lost > _MANY_LOST:
            raise PictureError(self._path.name, f"has more than {_MANY_LOST} broken packets")

    def _opened(self) -> tuple["av.container.InputContainer", VideoStream, Ahead]:
        if self._container is None or self._stream is None or self._ahead is None:
            raise PictureError(self._path.name, "is not open")
        return self._container, self._stream, self._ahead


class Darkroom:
    """Makes pictures of the frames of recordings; each thread has its own."""

    def __init__(self) -> None:
        self._small = VideoReformatter()
        self._full = VideoReformatter()

    def grey(self, frame: VideoFrame) -> Grey:
        """Return the luma of a frame, small."""
        rows = max(2, round(GREY_COLUMNS * frame.height / frame.width))
        small = self._small.reformat(
            frame, width=GREY_COLUMNS, height=rows, format="gray", interpolation=Interpolation.AREA
        )
        return np.asarray(small.to_ndarray(), dtype=np.uint8)

    def pixels(self, frame: VideoFrame) -> Pixels:
        """Return a frame as it is shown: RGB, shape (rows, columns, 3), upright."""
        pixels = self._full.reformat(
            frame,
            format="rgb24",
            src_colorspace=_colours(frame),
            interpolation=Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INP,
        ).to_ndarray()
        turned = np.rot90(pixels, round(frame.rotation / 90) % 4)
        return np.ascontiguousarray(turned, dtype=np.uint8)


def _colours(frame: VideoFrame) -> Colorspace:
    """Return the colours of a frame; where it does not say, those that are usual at its size."""
    if frame.colorspace in {each.value for each in Colorspace}:
        return Colorspace(frame.colorspace)
    return Colorspace.ITU709 if frame.height >= _UNTAGGED_HD_ROWS else Colorspace.ITU601


def _moment(text: str | None) -> datetime | None:
    try:
        return parse_time(text) if text else None
    except ValueError:
        return None
