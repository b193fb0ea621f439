"""Layers: the steps of a recipe that look at pixels, each a pure function of a few pictures below it.

The lowest layer is the pictures themselves, levelled, in linear light; the highest is the film. A layer says
how many pictures it makes of those below, which of them each of its own is made of, and makes it. So memory
is bounded by how far a layer looks around, any stretch of a film can be made alone on another machine, and
any two pictures can be made at once. A layer works at any picture size: lengths are shares of the width. It
is frozen and can be pickled.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Light: TypeAlias = NDArray[np.float32]
"""Linear red, green and blue, shape (3, rows, columns); 1 is the white of the camera's tone curve, and what
levelling brightened may lie above it."""

Size: TypeAlias = tuple[int, int]
"""Columns and rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Latent:
    """Light that is still codes: a quarter of the memory, exact, and looked up in a moment."""

    codes: Sequence[NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float16]]
    """Red, green and blue, each of shape (rows, columns)."""
    tables: NDArray[np.float32] | None
    """Linear light of every code of each channel, shape (3, 256) or (3, 65536); null for half precision."""

    def channel(self, place: int) -> "Latent":
        """Return one of the channels."""
        tables = None if self.tables is None else self.tables[place : place + 1]
        return Latent(codes=(self.codes[place],), tables=tables)

    def light(self, part: slice = slice(None)) -> Light:
        """Return the light of all rows, or of some."""
        rows, columns = self.codes[0][part].shape
        light = np.empty((len(self.codes), rows, columns), dtype=np.float32)
        for place, (codes, channel) in enumerate(zip(self.codes, light, strict=True)):
            if self.tables is None:
                channel[:] = codes[part]
            else:
                cv2.LUT(codes[part], self.tables[place], dst=channel)
        return light


def halved(light: Light) -> Latent:
    """Return light in half precision."""
    return Latent(codes=tuple(light.astype(np.float16)), tables=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """One picture between two layers."""

    light: Light
    """Not to be written to: others look at it too."""
    number: int
    """Its place in its layer."""
    frame: int
    """The frame of the plan whose facts (time, exposure, sensor values) count for it."""
    latent: Latent | None = None
    """What its light can be had from, row by row; then `light` is empty."""

    @property
    def size(self) -> Size:
        """Columns and rows."""
        rows, columns = self.light.shape[1:] if self.latent is None else self.latent.codes[0].shape
        return columns, rows

    def rows(self, part: slice) -> Light:
        """Return the light of some rows."""
        return self.light[:, part] if self.latent is None else self.latent.light(part)

    def channel(self, place: int, part: slice) -> NDArray[np.float32]:
        """Return the light of some rows of one channel, shape (rows, columns)."""
        return self.light[place, part] if self.latent is None else self.latent.channel(place).light(part)[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """What a layer may look at before the film begins: the layer below it, at a small size."""

    count: int
    """How many pictures the layer below makes."""
    picture: Callable[[int], Picture]
    """One of them, `sight_columns` wide at most, to be asked for in ascending order; raises PictureError
    or OSError where it cannot be had."""
    size: Size
    """Of the pictures of the film itself at this layer."""
    small: Size
    """Of the pictures that `picture` returns."""
    film: Size = (0, 0)
    """Of the film: smaller than the lowest layer where a step asked for room to cut from."""
    parts: tuple[range, ...] = ()
    """Those alone that a layer looks at which `looks_at_all`, apart and ascending; empty for all of them."""


class Layer:
    """One layer; what it is made from are the fields of a frozen dataclass."""

    __slots__ = ()

    @property
    def carries(self) -> bool:
        """Whether each picture is made of the one before it, too: they are made one after the other."""
        return False

    @property
    def sight_columns(self) -> int:
        """How wide the pictures are that `prepare` looks at, where the film is not narrower."""
        return 480

    @property
    def looks_at_all(self) -> bool:
        """Whether `prepare` looks at every picture, which takes as long as there are many."""
        return False

    @property
    def by_rows(self) -> bool:
        """Whether it asks pictures for their `rows`, a few at a time: many are looked at in little memory."""
        return False

    @property
    def idle(self) -> bool:
        """Whether it leaves every picture as it is, once it is prepared: the film is made without it."""
        return False

    def prepare(self, sight: Sight) -> "Layer":
        """Return the layer with all that has to be known of the whole film before its first picture."""
        return self

    def size(self, below: Size) -> Size:
        """Return the size of the pictures that it makes of pictures of this size."""
        return below

    def count(self, below: int) -> int:
        """Return how many pictures it makes of so many."""
        return below

    def needs(self, number: int, below: int) -> Sequence[int]:
        """Return which of the `below` pictures number `number` is made of, ascending, at least one.

        The first of them never decreases from one picture to the next.
        """
        return (number,)

    def make(self, number: int, below: Sequence[Picture]) -> Picture:
        """Make one picture of those that it needs; broken ones are missing, but one at least is there."""
        raise NotImplementedError

    def carry(self, number: int, below: Sequence[Picture], before: Picture) -> Picture:
        """Make one picture of those that it needs and of its own before it; the first one is by `make`."""
        raise NotImplementedError
