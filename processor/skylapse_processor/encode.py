"""Frames to a film, and the film opened again to see whether it is one.

yuv420p, closed groups of pictures, BT.709 with all four tags, the index at the front. The first write goes to
a working file; `complete` copies its packets, with the metadata that only the end knows, to the output's
`.part` name, reopens and checks that, and syncs it; `place` renames it. So the films of several sizes come
into their places together, or none does.
"""

import os
from collections.abc import Mapping
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
from .encode_codecs import CODEC_OF, CODECS, H264, Coding, configure
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


__all__ = ["Converter", "FilmFacts", "FilmWriter", "VideoFrame", "examine", "packets"]


class Converter:
    """Turns planes into frames that the encoder takes; each thread has its own."""

    def __init__(self) -> None:
        """Have a scaler context."""
        self._reformatter = VideoReformatter()

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
        self._work = output.with_name(f"{output.name}.work")
        self._part = output.with_name(f"{output.name}.part")
        self._frames = 0
        self._container: av.container.OutputContainer | None = None
        self._stream: VideoStream | None = None

    def __enter__(self) -> Self:
        """Open the working file."""
        try:
            self._output.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(str(self._work), "w", format="mp4")
            stream: VideoStream = self._container.add_stream(self._coding.name, rate=self._rate)  # type: ignore[assignment]
        except (OSError, av.FFmpegError) as error:
            raise FilmError(f"{self._output}: cannot be written ({unreadable(error)})") from error
        configure(stream.codec_context, self._box, self._rate, self._coding)
        self._stream = stream
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close and remove what is not the film."""
        if self._container is not None:
            self._container.close()
        self._work.unlink(missing_ok=True)
        self._part.unlink(missing_ok=True)

    def write(self, frame: VideoFrame) -> None:
        """Encode one frame."""
        if self._container is None or self._stream is None:
            raise FilmError(f"{self._output}: is not open")
        frame.pts = self._frames
        frame.time_base = 1 / self._rate
        self._frames += 1
        try:
            self._container.mux(self._stream.encode(frame))
        except (OSError, av.FFmpegError) as error:
            raise FilmError(f"{self._output}: cannot be encoded ({unreadable(error)})") from error

    def finish(self, metadata: Mapping[str, str]) -> FilmFacts:
        """Put the film in its place and return what it is, read back from the file."""
        facts = self.complete(metadata)
        self.place()
        return facts

    def complete(self, metadata: Mapping[str, str]) -> FilmFacts:
        """Bring the film to its end beside its place and return what it is, read back from the file."""
        if self._container is None or self._stream is None:
            raise FilmError(f"{self._output}: is not open")
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._container = None
            _remux(self._work, self._part, metadata, CODECS[self._coding.codec].tag)
            facts = examine(self._part)
            self._check(facts)
            _sync(self._part)
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


def packets(path: Path) -> tuple[int, ...]:
    """Return how many bytes each frame of a film takes; raise FilmCheckError where it cannot be opened."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            return tuple(packet.size for packet in container.demux(stream) if packet.size)
    except (av.FFmpegError, IndexError) as error:
        raise FilmCheckError(f"{path}: cannot be opened as a film ({unreadable(error)})") from error


def _remux(source: Path, target: Path, metadata: Mapping[str, str], tag: str) -> None:
    """Copy packets, index first, with metadata that players show and keys of our own."""
    options = {"movflags": "faststart+use_metadata_tags"}
    with (
        av.open(str(source)) as coded,
        av.open(str(target), "w", format="mp4", options=options) as film,
    ):
        stream = coded.streams.video[0]
        copy = film.add_stream_from_template(stream, opaque=not _encodes(stream))
        if copy.codec_context is not None:
            copy.codec_context.codec_tag = tag
        film.metadata.update(metadata)
        for packet in coded.demux(stream):
            if packet.dts is None:
                continue
            packet.stream = copy
            film.mux(packet)


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
