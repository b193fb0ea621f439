"""The order of a film: by capture time; a few pictures without one stand where their names put them.

Where most pictures have no time, the few times there are say little (a file that somebody edited since has a
new one), and the natural order of names (`img2` before `img10`) is the order of the film.
"""

import re
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

ENOUGH_TIMES = 0.5
"""Share of the pictures that have to have a time for times to say the order."""

Times = NDArray[np.float64]


def in_order(names: Sequence[str], times: Sequence[datetime | None]) -> list[int]:
    """Return the numbers of pictures as their film shows them, equal times by name."""
    by_name = sorted(range(len(names)), key=lambda number: natural_key(names[number]))
    between = filled(seconds_of([times[number] for number in by_name]))
    if between is None:
        return by_name
    return [by_name[place] for place in np.argsort(between, kind="stable")]


def seconds_of(times: Sequence[datetime | None]) -> Times:
    """Return times in seconds, NaN where there is none."""
    return np.array([np.nan if time is None else time.timestamp() for time in times], dtype=np.float64)


def filled(seconds: Times) -> Times | None:
    """Return times with their gaps filled evenly; null where fewer than ENOUGH_TIMES are known."""
    place = np.arange(len(seconds), dtype=np.float64)
    known = np.isfinite(seconds)
    if not known.any() or known.mean() < ENOUGH_TIMES:
        return None
    at, told = place[known], seconds[known]
    step = float(np.median(np.diff(told) / np.diff(at))) if len(at) > 1 else 0.0
    beyond = np.minimum(place - at[0], 0.0) + np.maximum(place - at[-1], 0.0)
    all_of_them: Times = np.interp(place, at, told) + step * beyond
    return all_of_them


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key that reads digits as numbers."""
    parts = re.split(r"(\d+)", name.casefold())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)
