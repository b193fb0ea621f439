"""When was it really? Times of frames that were taken before the clock was set. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from skylapse_protocol.records import FrameRecord
from skylapse_protocol.snapshot import Plan

from .shooting import local_day

LONGEST_WAIT_S = 3600.0
"""A frame waits this long for the clock, then it goes as it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Now:
    """What the clock says."""

    boot_id: str
    at: datetime
    monotonic_ns: int
    synced: bool
    up_s: float
    """How long the bridge has been running."""


def retimed(record: FrameRecord, now: Now, plan: Plan | None) -> FrameRecord | None:
    """Return the record to let go of, None while the frame is to wait.

    Within one boot the monotonic clock tells how long ago a frame was taken; over a restart nothing does,
    and the time stays as it was written.
    """
    same_boot = record.boot_id == now.boot_id
    if now.synced and same_boot:
        captured_at = now.at - timedelta(microseconds=(now.monotonic_ns - record.monotonic_ns) // 1000)
        day = record.day if record.window else local_day(captured_at, plan)
        return replace(record, captured_at=captured_at, clock_synced=True, day=day)
    waited_s = (now.monotonic_ns - record.monotonic_ns) / 1e9 if same_boot else now.up_s
    return record if now.synced or waited_s >= LONGEST_WAIT_S else None
