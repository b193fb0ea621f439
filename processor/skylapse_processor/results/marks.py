"""Scales beside pictures over time: hours below a day, hours and months about a year. Pixels of data stay."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache

import cv2
import numpy as np

from skylapse_processor.decode import Pixels

GROUND, INK = (38, 38, 46), (222, 222, 228)

_STEPS_MIN = (
    *((1, 1), (5, 1), (10, 5), (15, 5), (30, 10), (60, 15), (120, 30), (180, 60), (240, 60), (360, 60)),
)
"""From label to label, and from tick to tick, in minutes of the clock on the wall."""
_QUARTER_MIN = 15
"""Clocks on walls are ahead of UTC by quarters of an hour."""
_ROOM = 1.5
"""Widths of a label from one to the next."""
_SMALLEST_PX, _COLUMNS_A_PX = 13, 100
"""A wide picture is shown smaller: its letters are larger."""
_WEIGHT = 400
_YEAR_HOURS = (0, 6, 12, 18)
_FEW_DAYS = 62
_TENTH_DAYS = (1, 11, 21)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaleMark:
    """A place on a scale."""

    share: float
    """Of its length, 0…1."""
    label: str = ""


def hours(start_s: float, end_s: float, zone: tzinfo, most: float) -> list[ScaleMark]:
    """Return the marks of a stretch of time by the clock on the wall, at most so many labels."""
    span_min = (end_s - start_s) / 60.0
    label_min, tick_min = next(
        ((label, tick) for label, tick in _STEPS_MIN if span_min <= label * most), (0, 0)
    )
    if not label_min:
        return []
    step_s = 60 * min(tick_min, _QUARTER_MIN)
    marks = []
    for at_s in range(-int(-start_s // step_s) * step_s, int(end_s) + 1, step_s):
        local = datetime.fromtimestamp(at_s, zone)
        minutes = 60 * local.hour + local.minute
        if minutes % tick_min == 0:
            label = f"{local:%H:%M}" if minutes % label_min == 0 else ""
            marks.append(ScaleMark(share=(at_s - start_s) / (end_s - start_s), label=label))
    return marks


def below_a_day(pixels: Pixels, start_s: float, end_s: float, zone: tzinfo) -> Pixels:
    """Return the picture of a day with a scale of hours below it."""
    width = pixels.shape[1]
    size = max(_SMALLEST_PX, width // _COLUMNS_A_PX)
    marks = hours(start_s, end_s, zone, width / (_ROOM * _width("00:00", size)))
    return np.concatenate([pixels, _scale(width, size, marks)])


def about_a_year(pixels: Pixels, begins: date, days: int) -> Pixels:
    """Return the picture of some days of a year, with hours beside it and months or days below it."""
    rows, width = pixels.shape[:2]
    size = _SMALLEST_PX
    margin = _width("00:00", size) + 2 * size
    aside = _ground(rows, margin)
    for hour in _YEAR_HOURS:
        row = round(rows * hour / 24)
        aside[row : row + 1, margin - size // 2 :] = INK
        _write(aside, f"{hour:02d}:00", (size // 2, min(row + size, rows - 2)), size)
    below = _scale(width, size, months(begins, days), first=True)
    corner = _ground(below.shape[0], margin)
    return np.concatenate([np.concatenate([aside, pixels], axis=1), np.concatenate([corner, below], axis=1)])


def months(begins: date, days: int) -> list[ScaleMark]:
    """Return the marks of some days of a year: of each month, and of every tenth day where months are few."""
    few = days <= _FEW_DAYS
    marked = _TENTH_DAYS if few else _TENTH_DAYS[:1]
    each = [begins + timedelta(days=past) for past in range(days)]
    return [
        ScaleMark(share=past / days, label=f"{day:%m-%d}" if few else f"{day:%m}")
        for past, day in enumerate(each)
        if day.day in marked
    ]


def _scale(width: int, size: int, marks: Sequence[ScaleMark], *, first: bool = False) -> Pixels:
    """Return ticks and labels, a label in the middle under its tick, or with `first` to the right of it."""
    scale = _ground(2 * size + size // 2, width)
    thick = max(1, size // 10)
    lengths = {True: size * 2 // 3, False: size // 3}
    for mark in marks:
        column = min(round(mark.share * width), width - thick)
        scale[: lengths[bool(mark.label)], max(column - thick // 2, 0) : column + (thick + 1) // 2] = INK
        room = _width(mark.label, size)
        left = column + thick if first else column - room // 2
        if mark.label and left >= 0 and left + room <= width:
            _write(scale, mark.label, (left, 2 * size), size)
    return scale


def _ground(rows: int, columns: int) -> Pixels:
    ground = np.empty((rows, columns, 3), dtype=np.uint8)
    ground[:] = GROUND
    return ground


def _write(canvas: Pixels, words: str, at: tuple[int, int], size: int) -> None:
    """Write from a point on the base line."""
    cv2.putText(canvas, words, at, INK, _face(), size, _WEIGHT)


@lru_cache(maxsize=64)
def _width(words: str, size: int) -> int:
    (after, _), _ = cv2.putText(np.zeros((1, 1, 3), np.uint8), words, (0, 0), INK, _face(), size, _WEIGHT)
    return int(after)


@lru_cache(maxsize=1)
def _face() -> cv2.FontFace:
    return cv2.FontFace("sans")
