"""Bands of a picture on two threads: numpy lets go of the interpreter while it computes.

Bands are cut at the same rows whatever the machine is, and strips within them hold the same rows, so that
the picture is the same to the last bit on one core and on many.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from math import ceil
from typing import TypeVar

STRIP_ROWS = 48
"""Rows that are worked on at a time: so many stay in the processor's cache; with fewer, two threads spend
more time on asking one another for the interpreter."""

_BANDS = 4

_SMALL_ROWS = 256
"""Pictures this small are done before a thread has started."""

_T = TypeVar("_T")
_Item = TypeVar("_Item")


def in_bands(start: int, stop: int, work: Callable[[slice], _T]) -> list[_T]:
    """Call `work` for each band of rows from `start` to `stop`; return what it returned, from the top.

    Bands begin at whole strips after `start`, and whoever is done takes the next one: they are not equally
    much work. `work` must not call this again.
    """
    if stop - start < _SMALL_ROWS:
        return [work(slice(start, stop))]
    rows = ceil((stop - start) / _BANDS / STRIP_ROWS) * STRIP_ROWS
    bands = [slice(top, min(top + rows, stop)) for top in range(start, stop, rows)]
    done: dict[int, _T] = {}
    numbers = iter(range(len(bands)))

    def share() -> None:
        for number in numbers:
            done[number] = work(bands[number])

    other = _pool().submit(share)
    share()
    other.result()
    return [done[number] for number in range(len(bands))]


def each(items: Sequence[_Item], work: Callable[[_Item], _T]) -> list[_T]:
    """Call `work` for each item, two at a time; return what it returned, in order."""
    return list(_pool().map(work, items))


def strips(band: slice) -> list[slice]:
    """Cut a band into strips."""
    tops = range(band.start, band.stop, STRIP_ROWS)
    return [slice(top, min(top + STRIP_ROWS, band.stop)) for top in tops]


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads of all twins of this process; two, since two pictures may be in work."""
    return ThreadPoolExecutor(2, thread_name_prefix="twin")
