"""Frames from before the clock was set get their true time."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from skylapse_bridge.retime import LONGEST_WAIT_S, Now, retimed

from .made import START, draft, plan

EARLY = draft(clock_synced=False, captured_at=datetime(1970, 1, 1, 0, 1, tzinfo=UTC), monotonic_ns=60 * 10**9)


def now(
    *, monotonic_s: float = 600, synced: bool = True, boot_id: str = "this-boot", up_s: float = 600
) -> Now:
    """What the clock says ten minutes after the start."""
    return Now(boot_id=boot_id, at=START, monotonic_ns=round(monotonic_s * 1e9), synced=synced, up_s=up_s)


def test_within_one_boot_the_monotonic_clock_tells() -> None:
    record = retimed(EARLY, now(), plan())
    assert record is not None
    assert (record.captured_at, record.clock_synced) == (START - timedelta(minutes=9), True)


def test_the_day_is_that_of_the_true_time_in_the_plans_zone() -> None:
    record = retimed(EARLY, now(monotonic_s=60 + 18 * 3600), plan())
    assert record is not None
    assert record.captured_at == START - timedelta(hours=18)
    assert record.day == "2026-03-20"
    assert retimed(draft(clock_synced=False, window="w"), now(monotonic_s=1001), plan()) is not None


def test_a_frame_waits_for_the_clock_but_not_for_ever() -> None:
    assert retimed(EARLY, now(synced=False), plan()) is None
    late = now(synced=False, monotonic_s=61 + LONGEST_WAIT_S)
    assert retimed(EARLY, late, plan()) == EARLY


def test_after_a_restart_nothing_tells_and_the_frame_goes_as_it_is() -> None:
    assert retimed(EARLY, now(boot_id="another"), plan()) == EARLY
    assert retimed(EARLY, now(boot_id="another", synced=False, up_s=30), plan()) is None
    assert retimed(EARLY, now(boot_id="another", synced=False, up_s=LONGEST_WAIT_S), plan()) == EARLY


@given(ago_s=st.floats(0, 10**6))
def test_frames_keep_their_distance(ago_s: float) -> None:
    first = draft(clock_synced=False, monotonic_ns=10**16)
    second = draft(clock_synced=False, monotonic_ns=10**16 + 15 * 10**9)
    moment = now(monotonic_s=10**7 + 15 + ago_s)
    one, other = retimed(first, moment, None), retimed(second, moment, None)
    assert one is not None
    assert other is not None
    assert abs((other.captured_at - one.captured_at).total_seconds() - 15) < 1e-5
