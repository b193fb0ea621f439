"""Two halves of a picture on two threads: numpy lets go of the interpreter while it computes.

The halves are cut at the same row whatever the machine is, and strips within them hold the same rows, so that
the picture is the same to the last bit on one core and on many.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

STRIP_ROWS = 16
"""Rows that are worked on at a time: so many stay in the processor's cache."""

_SMALL_ROWS = 256
"""Pictures this small are done before a thread has started."""

_T = TypeVar("_T")
_Item = TypeVar("_Item")


def in_bands(start: int, stop: int, work: Callable[[slice], _T]) -> list[_T]:
    """Call `work` for each band of rows from `start` to `stop`; return what it returned, from the top.

    Bands begin at whole strips after `start`. `work` must not call this again.
    """
    count = stop - start
    middle = start + count // 2 // STRIP_ROWS * STRIP_ROWS
    if count < _SMALL_ROWS:
        return [work(slice(start, stop))]
    other = _pool().submit(work, slice(middle, stop))
    return [work(slice(start, middle)), other.result()]


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
