"""Memory of this process given back: pictures of light are large and live for a moment.

glibc learns from the first of them to keep such blocks in its heaps, one for each thread, where they lie
between smaller ones and are not given back: a film at 1080p then holds a third more than it needs. Told
where the line is, it maps each of them on its own and unmaps it after use.
"""

import ctypes

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BYTES = 2_000_000
_ARENAS = 2


def give_back_large_blocks() -> None:
    """Have blocks of two megabytes and more unmapped after use; other C libraries than glibc do so anyway."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    mallopt(_M_ARENA_MAX, _ARENAS)
