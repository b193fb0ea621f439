"""Frames to a film, and the film opened again to see whether it is one.

yuv420p, closed groups of pictures, BT.709 with all four tags, the index at the front. The first write goes to
working files, one a chapter; `complete` copies their packets, with the metadata that only the end knows, to
the output's `.part` name, reopens and checks that, and syncs it; `place` renames it. So the films of several
sizes come into their places together, or none does.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from .decode import Pixels
from .decode_scale import Box, Canvas
from .encode_codecs import CODEC_OF, CODECS, H264, Coding, chapter_frames, configure
from .errors import FilmCheckError, FilmError, unreadable


@dataclass(frozen=True, kw_only=True, slots=True)
class FilmFacts:
    """What a film file turned out to be."""

    frames: int
    width: int
    height: int
    rate: Fraction
    duration_s: float
    bytes: int
    codec: str
    """A name in CODECS; what FFmpeg calls it where it is none of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CodedFrame:
    """One frame of a film as it lies in its file."""

    bytes: int
    is_key: bool
    """Whether it is coded without looking at another."""


Alive = Callable[[], None]
"""Called after every step of what takes long, for whoever ends a render that is silent."""

__all__ = ["Alive", "CodedFrame", "Converter", "FilmFacts", "FilmWriter", "VideoFrame", "examine", "packets"]


class Converter:
    """Turns planes into frames that the encoder takes; each thread has its own."""

    def __init__(self) -> None:
        """Have scaler contexts, one for each size."""
        self._reformatter = VideoReformatter()
        self._scalers: defaultdict[Box, VideoReformatter] = defaultdict(VideoReformatter)

    def frames(self, canvas: Canvas, boxes: Sequence[Box]) -> tuple[VideoFrame, ...]:
        """Return a frame of each size; the smaller ones are scaled from the largest, a third of the work."""
        largest = max(boxes, key=lambda box: box.width * box.height)
        whole = self.frame(canvas, largest)
        return tuple(whole if box == largest else self._scaled(whole, box) for box in boxes)

    def _scaled(self, frame: VideoFrame, box: Box) -> VideoFrame:
        return self._scalers[box].reformat(
            frame,
            width=box.width,
            height=box.height,
            src_colorspace=Colorspace.ITU709,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.MPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
            threads=1,
        )

    def frame(self, canvas: Canvas, box: Box | None = None) -> VideoFrame:
        """Return RGB, full range, as yuv420p in BT.709, limited range; scaled where a box is given."""
        return self._reformatter.reformat(
            canvas.frame,
            width=box.width if box else None,
            height=box.height if box else None,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP,
            threads=1,
        )

    def pixels(self, frame: VideoFrame, width: int | None = None, height: int | None = None) -> Pixels:
        """Return a frame of a film as it is shown, at another size if need be: RGB, (height, width, 3)."""
        shown: Pixels = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            src_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
        ).to_ndarray()  # type: ignore[assignment]
        return shown


class FilmWriter:
    """Encodes one film. Use as a context: leaving it removes the working files, whatever happened."""

    def __init__(self, output: Path, box: Box, rate: Fraction, coding: Coding = H264) -> None:
        """Remember where the film goes and what it is."""
        self._coding = coding
        self._output = output
        self._box = box
        self._rate = rate
        self._works: list[Path] = []
        self._chapter: int | None = None
        self._begun = 0
        """With which frame the chapter began."""
        self._part = output.with_name(f"{output.name}.part")
        self._frames = 0
        self._container: av.container.OutputContainer | None = None
        self._stream: VideoStream | None = None

    def __enter__(self) -> Self:
        """Open the working file."""
        try:
            self._output.parent.mkdir(parents=True, exist_ok=True)
            self._open()
        except (OSError, av.FFmpegError) as error:
            raise FilmError(f"{self._output}: cannot be written ({unreadable(error)})") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close and remove what is not the film."""
        if self._container is not None:
            with suppress(OSError, av.FFmpegError):  # what made the film fail is told, not this
                self._container.close()
        for path in (*self._works, self._part):
            path.unlink(missing_ok=True)

    def write(self, frame: VideoFrame, number: int | None = None) -> None:
        """Encode one frame, the `number`-th of the whole film: with it the chapters begin."""
        if self._container is None:
            raise FilmError(f"{self._output}: is not open")
        chapter = (self._frames if number is None else number) // chapter_frames(self._rate)
        try:
            if chapter != self._chapter and self._chapter is not None:
                self._close()
                self._open()
            self._chapter = chapter
            frame.pts = self._frames - self._begun
            frame.time_base = 1 / self._rate
            self._frames += 1
            self._mux(frame)
        except (OSError, av.FFmpegError) as error:
            raise FilmError(f"{self._output}: cannot be encoded ({unreadable(error)})") from error

    def finish(self, metadata: Mapping[str, str]) -> FilmFacts:
        """Put the film in its place and return what it is, read back from the file."""
        facts = self.complete(metadata)
        self.place()
        return facts

    def complete(self, metadata: Mapping[str, str], alive: Alive = lambda: None) -> FilmFacts:
        """Bring the film to its end beside its place and return what it is, read back from the file."""
        if self._container is None:
            raise FilmError(f"{self._output}: is not open")
        try:
            self._close()
            remux(self._works, self._part, metadata, self._rate, alive)
            facts = examine(self._part)
            self._check(facts)
            alive()
            _sync(self._part)
            alive()
        except (OSError, av.FFmpegError) as error:
            raise FilmError(f"{self._output}: cannot be written ({unreadable(error)})") from error
        return facts

    def place(self) -> None:
        """Put a film that is complete in its place."""
        try:
            self._part.replace(self._output)
            _sync(self._output.parent)
        except OSError as error:
            raise FilmError(f"{self._output}: cannot be written ({unreadable(error)})") from error

    def _open(self) -> None:
        """Open the working file of a chapter, with an encoder of its own."""
        work = self._output.with_name(f"{self._output.name}.work{len(self._works)}")
        self._works.append(work)
        self._begun = self._frames
        self._container = av.open(str(work), "w", format="mp4")
        stream: VideoStream = self._container.add_stream(self._coding.name, rate=self._rate)  # type: ignore[assignment]
        configure(stream.codec_context, self._box, self._rate, self._coding)
        self._stream = stream

    def _mux(self, frame: VideoFrame | None) -> None:
        if self._container is not None and self._stream is not None:
            self._container.mux(self._stream.encode(frame))

    def _close(self) -> None:
        """Bring a chapter to its end."""
        self._mux(None)
        if self._container is not None:
            self._container.close()
        self._container = None

    def _check(self, facts: FilmFacts) -> None:
        wanted = (self._frames, self._box.width, self._box.height)
        found = (facts.frames, facts.width, facts.height)
        if wanted != found:
            raise FilmCheckError(f"{self._output}: frames, width, height are {found}, written were {wanted}")
        if facts.codec != self._coding.codec:
            raise FilmCheckError(f"{self._output}: is {facts.codec}, written was {self._coding.codec}")
        if abs(facts.rate / self._rate - 1) > 1e-3:
            raise FilmCheckError(f"{self._output}: the rate is {facts.rate}, written was {self._rate}")
        if abs(facts.duration_s - self._frames / self._rate) > 1 / self._rate:
            raise FilmCheckError(f"{self._output}: lasts {facts.duration_s} s with {self._frames} frames")


def examine(path: Path) -> FilmFacts:
    """Open a film, count its packets, decode its first frame; raise FilmCheckError where that fails."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            decoded = next(container.decode(stream), None)
            container.seek(0)
            packets = sum(1 for packet in container.demux(stream) if packet.size)
            if decoded is None or stream.duration is None or stream.time_base is None:
                raise FilmCheckError(f"{path}: holds no frame that can be decoded")
            return FilmFacts(
                frames=packets,
                width=decoded.width,
                height=decoded.height,
                rate=stream.average_rate or Fraction(0),
                duration_s=float(stream.duration * stream.time_base),
                bytes=path.stat().st_size,
                codec=CODEC_OF.get(stream.codec_context.name, stream.codec_context.name),
            )
    except (av.FFmpegError, IndexError) as error:
        raise FilmCheckError(f"{path}: cannot be opened as a film ({unreadable(error)})") from error


def packets(path: Path) -> tuple[CodedFrame, ...]:
    """Return the frames of a film as they lie in its file; raise FilmCheckError where it cannot be opened."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            return tuple(
                CodedFrame(bytes=packet.size, is_key=packet.is_keyframe)
                for packet in container.demux(stream)
                if packet.size
            )
    except (av.FFmpegError, IndexError) as error:
        raise FilmCheckError(f"{path}: cannot be opened as a film ({unreadable(error)})") from error


def remux(
    sources: Sequence[Path],
    target: Path,
    metadata: Mapping[str, str],
    rate: Fraction,
    alive: Alive = lambda: None,
) -> list[int]:
    """Copy the packets of films one after another, index first, with metadata for players and ourselves.

    No film of ours shows pictures in another order than they are coded: the number of a packet is its time.
    Returns with which frame each of the films begins. Raises FilmCheckError where they do not fit together,
    OSError and FFmpegError where they cannot be copied.
    """
    options = {"movflags": "faststart+use_metadata_tags"}
    starts = [0]
    with av.open(str(target), "w", format="mp4", options=options) as film:
        film.metadata.update(metadata)
        copy: VideoStream | None = None
        sets: bytes | None = None
        for source in sources:
            with av.open(str(source)) as coded:
                stream = coded.streams.video[0]
                if copy is None:
                    copy, sets = _copy_of(stream, film), stream.codec_context.extradata
                if stream.codec_context.extradata != sets:
                    raise FilmCheckError(f"{source}: is coded otherwise than what it is joined to")
                starts.append(starts[-1] + _append(film, copy, coded, starts[-1], rate))
            alive()
    alive()
    return starts[:-1]


def _copy_of(stream: VideoStream, film: av.container.OutputContainer) -> VideoStream:
    copy = film.add_stream_from_template(stream, opaque=not _encodes(stream))
    if copy.codec_context is not None:
        codec = CODEC_OF.get(stream.codec_context.name, stream.codec_context.name)
        copy.codec_context.codec_tag = CODECS[codec].tag
    return copy


def _append(
    film: av.container.OutputContainer,
    copy: VideoStream,
    coded: av.container.InputContainer,
    start: int,
    rate: Fraction,
) -> int:
    """Copy the packets of one film, `start` frames after the beginning; return how many there were."""
    count = 0
    for packet in coded.demux(coded.streams.video[0]):
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


def _encodes(stream: VideoStream) -> bool:
    """Say whether FFmpeg has an encoder of its decoder's name; PyAV copies a stream without one as it is."""
    try:
        av.Codec(stream.codec_context.name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
