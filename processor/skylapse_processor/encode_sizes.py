"""One film at several sizes: written side by side, put in place together or not at all."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

from .decode_scale import Box
from .encode import Alive, FilmFacts, FilmWriter, VideoFrame
from .encode_codecs import Coding
from .errors import FilmError


@dataclass(frozen=True, kw_only=True, slots=True)
class Print:
    """One size of a film."""

    size: str
    """As it was asked for."""
    box: Box
    output: Path


class Prints:
    """Encodes a film at all its sizes. Use as a context: leaving it removes what is not a film."""

    def __init__(self, prints: Sequence[Print], rate: Fraction, coding: Coding) -> None:
        """Remember what is to be written."""
        self._prints = tuple(prints)
        self._writers = [FilmWriter(each.output, each.box, rate, coding) for each in prints]
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Open the working files."""
        with ExitStack() as opened:
            for writer in self._writers:
                opened.enter_context(writer)
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close and remove the working files."""
        self._open.__exit__(kind, error, trace)

    def write(self, frames: Sequence[VideoFrame], number: int) -> None:
        """Encode one frame, the `number`-th of the whole film, given at every size in order."""
        for writer, frame in zip(self._writers, frames, strict=True):
            writer.write(frame, number)

    def finish(self, metadata: Mapping[str, str], alive: Alive = lambda: None) -> tuple[FilmFacts, ...]:
        """Put all films in their places and return what they are, read back from the files."""
        facts = tuple(
            writer.complete({**metadata, "size": each.size}, alive)
            for writer, each in zip(self._writers, self._prints, strict=True)
        )
        placed: list[Path] = []
        try:
            for writer, each in zip(self._writers, self._prints, strict=True):
                writer.place()
                placed.append(each.output)
        except FilmError:
            for path in placed:
                path.unlink(missing_ok=True)
            raise
        return facts
