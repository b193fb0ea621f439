"""Captions: words drawn upon the finished picture, in a soft shade that any sky leaves legible.

Drawn on the planes that are encoded, so that a film with captions takes no other way than one without.
Figures get equal room, whatever the font says: a clock that runs does not jump about. What the same words
look like is kept for the frames to come. The font is the one that OpenCV brings along: it has accents, Greek,
Cyrillic and Chinese, where Pillow's own has ASCII alone.
"""

import threading
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from itertools import groupby

import cv2
import numpy as np
from numpy.typing import NDArray

from skylapse_processor.frames import SourceFrame

from . import tokens

PLACES = (
    *("top-left", "top", "top-right", "left", "centre", "right", "bottom-left", "bottom", "bottom-right"),
)
_MARGIN = 0.03
_LINE = 1.3
_SHADE = 0.55
_WEIGHT = 400
_FIGURES = "0123456789"
_SMALLEST_PX = 6
_TILES = 64
_LONGEST = 300
"""Letters of a caption; what a record holds may be of any length."""

_drawing = threading.Lock()


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """What words look like: shares of the picture and of ink that are seen, each of shape (rows, columns)."""

    stays: NDArray[np.float32]
    ink: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Caption:
    """Words on every frame of a film."""

    lines: tuple[tuple[tokens.Snippet, ...], ...]
    zone: tzinfo | None
    title: str
    camera: str = ""
    """What people call the camera; empty where nobody says."""
    position: str
    size: float
    """Height of a letter's line, as a share of the picture's height."""
    opacity: float
    colour: tuple[int, int, int]

    def words(self, frame: SourceFrame, number: int) -> str:
        """Return what stands on frame `number` of the film, counted from 0."""
        return tokens.fill(self.lines, frame, number, self.zone, self.title, self.camera)[:_LONGEST]

    def draw(
        self, planes: tuple[NDArray[np.uint8], ...], frame: SourceFrame, number: int, fade: float
    ) -> None:
        """Write upon the red, green and blue of a frame of which `fade`, 0…1, is shown."""
        rows, columns = planes[0].shape
        words = self.words(frame, number)
        if not words.strip():
            return
        column = "left" if "left" in self.position else "right" if "right" in self.position else "centre"
        tile = _tile(words, max(_SMALLEST_PX, round(self.size * rows)), column, self.opacity)
        high, wide = min(tile.ink.shape[0], rows), min(tile.ink.shape[1], columns)
        margin = round(_MARGIN * rows)
        left = _place(columns, wide, margin, {"left": 0.0, "centre": 0.5, "right": 1.0}[column])
        share = 0.0 if self.position.startswith("top") else 1.0 if self.position.startswith("bottom") else 0.5
        top = _place(rows, high, margin, share)
        for plane, value in zip(planes, self.colour, strict=True):
            part = plane[top : top + high, left : left + wide]
            mixed = part * tile.stays[:high, :wide] + np.float32(value * fade) * tile.ink[:high, :wide]
            part[:] = np.round(mixed).astype(np.uint8)


def _place(room: int, taken: int, margin: int, share: float) -> int:
    """Return where something begins that lies at a share of the room inside of its margins."""
    return max(0, min(room - taken, round(margin + share * (room - taken - 2 * margin))))


@lru_cache(maxsize=_TILES)
def _tile(words: str, size_px: int, column: str, opacity: float) -> Tile:
    """Return what lines of words look like, ragged on the side that is not asked for."""
    around = max(2, size_px // 4)
    lines = words.split("\n")
    line_px = round(_LINE * size_px)
    with _drawing:
        widths = [sum(width for _, width in _runs(line, size_px)) for line in lines]
        canvas = np.zeros((line_px * len(lines) + 2 * around, max(widths) + 2 * around), dtype=np.uint8)
        for row, (line, width) in enumerate(zip(lines, widths, strict=True)):
            slack = max(widths) - width
            left = around + {"left": 0, "centre": slack // 2, "right": slack}[column]
            for run, room in _runs(line, size_px):
                inset = (room - _width(run, size_px)) // 2
                _put(canvas, run, (left + inset, around + size_px + row * line_px), size_px)
                left += room
    ink = canvas.astype(np.float32) / np.float32(255)
    soft = cv2.GaussianBlur(cv2.dilate(ink, np.ones((3, 3), np.uint8)), (0, 0), max(1.0, size_px / 8))
    shade = np.minimum(1.0, 1.6 * soft) * np.float32(_SHADE * opacity)
    solid = ink * np.float32(opacity)
    return Tile(stays=(1 - shade) * (1 - solid), ink=solid)


def _runs(line: str, size_px: int) -> list[tuple[str, int]]:
    """Return a line as figures, one by one, and the words between them, each with its room in pixels."""
    runs: list[tuple[str, int]] = []
    cell = max(_width(figure, size_px) for figure in _FIGURES)
    for figures, letters in groupby(line, key=_FIGURES.__contains__):
        run = "".join(letters)
        runs += [(figure, cell) for figure in run] if figures else [(run, _width(run, size_px))]
    return runs


@lru_cache(maxsize=1024)
def _width(run: str, size_px: int) -> int:
    return _put(np.zeros((1, 1), dtype=np.uint8), run, (0, 0), size_px)


def _put(canvas: NDArray[np.uint8], run: str, at: tuple[int, int], size_px: int) -> int:
    """Write from a point on the base line; return where the next letter would stand."""
    (after, _), _ = cv2.putText(canvas, run, at, (255, 255, 255), _face(), size_px, _WEIGHT)
    return int(after)


@lru_cache(maxsize=1)
def _face() -> cv2.FontFace:
    return cv2.FontFace("sans")
