"""Keogram of a year: one column a day, midnight at the top and at the bottom, local time.

Made of the keograms of its days: each cell is the mean light of the column that was taken at its time of
day. It is drawn in whole months, and a day without a picture is lighter than an hour without one. Of a year
what is kept is this table alone; it can be made again of the days' pictures.
"""

import calendar
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from skylapse_processor import tone
from skylapse_processor.decode import Pixels

from .keogram import GAP, NARROWEST, Keogram
from .ledger import ROWS

CELLS = 480
"""Rows: three minutes each."""
WIDER = 3
"""Columns a day, or more while there are few of them."""
EMPTY = (58, 60, 74)
"""Red, green and blue of a day that has no picture, or none yet."""
_DAY_S = 86_400

Table = NDArray[np.uint8]
"""Red, green, blue and whether it was seen, shape (CELLS, days of the year, 4)."""


def empty(year: int) -> Table:
    """Return the table of a year of which nothing is known."""
    return np.zeros((CELLS, 365 + calendar.isleap(year), 4), dtype=np.uint8)


def years(keogram: Keogram, local_offset_s: int) -> tuple[int, ...]:
    """Return the years that a day's keogram reaches into."""
    ends = (keogram.start_s, keogram.end_s - 1e-3)
    return tuple(sorted({datetime.fromtimestamp(end + local_offset_s, UTC).year for end in ends}))


def enter(table: Table, year: int, keogram: Keogram, local_offset_s: int) -> Table:
    """Return the table with what a day's keogram shows; the same again changes nothing."""
    first = datetime(year, 1, 1, tzinfo=UTC).timestamp() - local_offset_s
    cell_s = _DAY_S / CELLS
    low = int((keogram.start_s - first) // cell_s)
    high = int((keogram.end_s - first) // cell_s)
    cells = np.arange(max(low, 0), min(high + 1, table.shape[1] * CELLS))
    share = ((cells + 0.5) * cell_s + first - keogram.start_s) / (keogram.end_s - keogram.start_s)
    places = np.floor(share * keogram.pixels.shape[1]).astype(np.intp)
    inside = (places >= 0) & (places < keogram.pixels.shape[1])
    cells, places = cells[inside], places[inside]
    shown = keogram.seen[places]
    cells, places = cells[shown], places[shown]
    entered = table.copy()
    entered[cells % CELLS, cells // CELLS, :3] = _mean_light(keogram.pixels[:, places])
    entered[cells % CELLS, cells // CELLS, 3] = 1
    return entered


def months(table: Table, number: int) -> tuple[date, int]:
    """Return where the months begin that have a picture, and how many days they are; the year if none has."""
    shown = np.flatnonzero(table[..., 3].any(axis=0))
    first, last = (int(shown[0]), int(shown[-1])) if len(shown) else (0, table.shape[1] - 1)
    begins = (date(number, 1, 1) + timedelta(days=first)).replace(day=1)
    ends = date(number, 1, 1) + timedelta(days=last)
    ends = ends.replace(day=calendar.monthrange(number, ends.month)[1])
    return begins, (ends - begins).days + 1


def draw(table: Table, number: int) -> Pixels:
    """Return the picture of a year: the months from the first to the last that have a picture."""
    begins, days = months(table, number)
    first = begins.timetuple().tm_yday - 1
    part = table[:, first : first + days]
    seen = part[..., 3:] > 0
    gap, none = np.array(GAP, dtype=np.uint8), np.array(EMPTY, dtype=np.uint8)
    ground = np.where(seen.any(axis=0, keepdims=True), gap, none)
    return np.repeat(np.where(seen, part[..., :3], ground), max(WIDER, NARROWEST // days), axis=1)


def seen_again(pixels: Pixels, start_s: float, end_s: float) -> Keogram:
    """Return a keogram out of its picture; compression blurs the colour of gaps a little."""
    pixels = pixels[:ROWS]  # a scale stands below
    away = np.abs(pixels.astype(np.int16) - np.array(GAP, dtype=np.int16)).max(axis=(0, 2))
    return Keogram(pixels=pixels, seen=away > _BLUR, start_s=start_s, end_s=end_s)


_BLUR = 12


def _mean_light(columns: Pixels) -> NDArray[np.uint8]:
    """Return the mean of each column in linear light, shape (columns, 3)."""
    linear = np.take(tone.linear_table(tone.SRGB).astype(np.float32), columns).mean(axis=0)
    return np.round(tone.encode(tone.SRGB, linear) * 255).astype(np.uint8)
