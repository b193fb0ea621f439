"""What the kernel knows of the machine's clock (adjtimex(2)): was it set since boot, how far is it off.

`timesyncd` and `ntpd` hand their last measurement over as `offset`; `chrony` steers the clock itself and
leaves 0, which then means less than `maxerror`. An offset is how far the clock is ahead: negative is late.
"""

import ctypes
from dataclasses import dataclass

_TIME_ERROR = 5
_UNSYNCHRONISED = 0x0040
_NANOSECONDS = 0x2000


class _Timex(ctypes.Structure):
    """`struct timex` of adjtimex(2), as far as it is read; `rest` is more than any kernel writes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 512),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelTime:
    """What the kernel says of its clock."""

    synchronised: bool
    """A time server has spoken, and not too long ago."""
    offset_s: float
    """How far the clock is ahead; only while it is synchronised."""
    max_error_s: float


def kernel_time() -> KernelTime:
    """Return what the kernel says."""
    facts = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(facts))
    return read_kernel_time(state, facts.status, facts.offset, facts.maxerror)


def read_kernel_time(state: int, status: int, offset: int, max_error_us: int) -> KernelTime:
    """Return what the fields of adjtimex(2) mean; the kernel's offset is what it still has to add."""
    scale = 1e9 if status & _NANOSECONDS else 1e6
    return KernelTime(
        synchronised=state not in (-1, _TIME_ERROR) and not status & _UNSYNCHRONISED,
        offset_s=-offset / scale,
        max_error_s=max_error_us / 1e6,
    )
