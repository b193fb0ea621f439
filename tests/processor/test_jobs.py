"""What is rendered when, decided without clock, file or broker."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_processor import jobs
from skylapse_processor.jobs import Job, RenderSpec, WindowFacts, decide
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.messages import Order

WEST = CameraName(bridge="roof", camera="west")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
LATE = timedelta(minutes=15)
ORDER = Order(camera="roof/west", schedule="sunset")


def window(stored: int = 10, **changes: object) -> WindowFacts:
    """A sunset of which ten frames were captured, and `stored` are here."""
    facts = WindowFacts(
        camera=WEST,
        day="2026-06-01",
        window="sunset",
        schedule="sunset",
        profiles=("f",),
        captured=10,
        dropped=0,
        heard_at=NOON,
        frames=stored,
        leading={"f": stored},
        quiet_since=NOON,
    )
    return replace(facts, **changes)  # type: ignore[arg-type]


def films(found: tuple[jobs.Settle, ...]) -> list[str | None]:
    """The profiles of the films that start."""
    return [spec.profile for settle in found for spec in settle.starts]


def test_a_window_with_all_frames_starts_at_once() -> None:
    assert films(decide([ORDER], [window()], NOON)) == ["f"]


def test_dropped_frames_are_not_waited_for() -> None:
    assert films(decide([ORDER], [window(8, dropped=2)], NOON)) == ["f"]


def test_pending_frames_are_waited_for_at_most_a_quarter_of_an_hour() -> None:
    early, late = NOON + LATE - timedelta(seconds=1), NOON + LATE
    assert decide([ORDER], [window(9)], early) == ()
    assert films(decide([ORDER], [window(9)], late)) == ["f"]


def test_without_an_order_or_a_frame_nothing_starts() -> None:
    other = Order(camera="roof/west", schedule="daytime")
    assert decide([other], [window()], NOON + LATE) == ()
    assert decide([ORDER], [window(0)], NOON + LATE) == ()


def test_orders_that_come_after_the_window_still_make_its_film() -> None:
    assert decide([], [window()], NOON) == ()
    assert films(decide([ORDER], [window()], NOON + timedelta(hours=5))) == ["f"]


def test_a_film_for_each_profile_unless_one_is_ordered() -> None:
    both = replace(window(), leading={"f": 5, "a": 5, "b": 0})
    assert films(decide([ORDER], [both], NOON)) == ["a", "f"]
    assert films(decide([replace(ORDER, profile="f")], [both], NOON)) == ["f"]


def test_late_frames_remake_the_film_once() -> None:
    settled = window(9, settled_frames=8, quiet_since=NOON)
    assert decide([ORDER], [settled], NOON + LATE - timedelta(seconds=1)) == (), "more may come"
    (remake,) = decide([ORDER], [settled], NOON + LATE)
    assert remake.remade
    whole = window(10, settled_frames=8)
    assert len(decide([ORDER], [whole], NOON)) == 1, "nothing is pending any more"
    assert decide([ORDER], [replace(whole, remade=True)], NOON + LATE) == ()


def test_frames_that_nobody_has_judged_are_waited_for_at_most_a_quarter_of_an_hour() -> None:
    early, late = NOON + LATE - timedelta(seconds=1), NOON + LATE
    behind = window(unmeasured=1)
    assert decide([ORDER], [behind], early) == ()
    assert films(decide([ORDER], [behind], late)) == ["f"], "a stuck measurer stops no film"
    assert films(decide([ORDER], [window(bad=3)], NOON)) == ["f"]


def test_frames_that_turn_out_bad_remake_the_film_once() -> None:
    made = window(settled_frames=10, settled_bad=1, bad=1, unmeasured=2)
    assert decide([ORDER], [made], NOON + LATE) == (), "the film leaves out all that is bad"
    one_is = replace(made, bad=2, unmeasured=1)
    assert decide([ORDER], [one_is], NOON + LATE - timedelta(seconds=1)) == (), "more may turn out bad"
    assert len(decide([ORDER], [one_is], NOON + LATE)) == 1
    (remake,) = decide([ORDER], [replace(one_is, unmeasured=0)], NOON)
    assert (remake.bad, remake.remade) == (2, True)
    assert decide([ORDER], [replace(one_is, remade=True)], NOON + LATE) == ()
    assert decide([ORDER], [replace(one_is, settled_bad=None)], NOON + LATE) == (), "an older release's film"


def test_changed_orders_leave_settled_windows_alone() -> None:
    settled = window(10, settled_frames=10)
    assert decide([replace(ORDER, size="720p")], [settled], NOON + LATE) == ()


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=30), st.lists(st.booleans(), min_size=30, max_size=30)
)
def test_however_frames_trickle_in_a_window_is_made_once_and_remade_at_most_once(
    arrivals: list[int], quiet: list[bool]
) -> None:
    facts, now, started = window(0), NOON, 0
    for more, pause in zip(arrivals, quiet, strict=False):
        total = min(10, facts.frames + more)
        if total != facts.frames:
            facts = replace(facts, frames=total, leading={"f": total}, quiet_since=now)
        now += LATE if pause else timedelta(seconds=15)
        for settle in decide([ORDER], [facts], now):
            started += 1
            facts = replace(facts, settled_frames=settle.frames, remade=settle.remade)
    last = now + 2 * LATE
    for settle in decide([ORDER], [facts], last):
        started += 1
        facts = replace(facts, settled_frames=settle.frames, remade=settle.remade)
    assert started <= 2
    assert (started >= 1) == (facts.frames > 0)
    assert decide([ORDER], [facts], last + LATE) == ()


def job(number: int = 1, **changes: object) -> Job:
    """A queued job."""
    made = Job(
        id=f"job{number}",
        origin="order",
        spec=RenderSpec(camera=WEST, day="2026-06-01", window=f"w{number}"),
        status="queued",
        created_at=NOON + timedelta(seconds=number),
        changed_at=NOON,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_the_oldest_waiting_job_starts_and_never_two_for_one_film() -> None:
    twin = replace(job(3), spec=job(1).spec)
    queue = [job(2), twin, job(1)]
    assert [found.id for found in jobs.pick(queue, [], 3)] == ["job1", "job2"]
    assert jobs.pick(queue, [replace(job(9), spec=job(9).spec)], 1) == ()
    assert [found.id for found in jobs.pick([twin, job(2)], [job(1)], 2)] == ["job2"]


def test_a_poison_job_fails_after_three_attempts() -> None:
    poison = job()
    for attempt in (1, 2, 3):
        poison = jobs.start(poison, NOON)
        assert poison.attempt == attempt
        failed = jobs.fail(poison, attempt, "it exploded", NOON)
        assert failed is not None
        poison = failed
    assert (poison.status, poison.error) == ("failed", "it exploded")


def test_what_an_older_attempt_brings_counts_for_nothing() -> None:
    first = jobs.start(job(), NOON)
    second = jobs.start(jobs.recover(first, NOON), NOON)
    assert jobs.finish(second, 1, NOON) is None
    assert jobs.fail(second, 1, "late words", NOON) is None
    done = jobs.finish(second, 2, NOON)
    assert done is not None
    assert done.status == "done"


def test_a_stop_is_no_failure() -> None:
    running = jobs.start(job(), NOON)
    assert (jobs.release(running, NOON).status, jobs.release(running, NOON).failures) == ("queued", 0)
    assert jobs.recover(running, NOON).failures == 1


def test_a_processor_that_was_ended_once_blames_no_attempt() -> None:
    ended = jobs.recover(jobs.start(job(), NOON), NOON)
    assert not jobs.is_blamed(job())
    assert not jobs.is_blamed(ended)
    assert jobs.is_blamed(jobs.recover(jobs.start(ended, NOON), NOON)), "twice may be no accident"
    failed = jobs.fail(jobs.start(job(), NOON), 1, "no film", NOON)
    assert failed is not None
    assert jobs.is_blamed(failed)
    assert jobs.is_blamed(jobs.recover(jobs.start(failed, NOON), NOON))


def test_a_cancelled_job_stays_cancelled() -> None:
    cancelled = jobs.cancel(jobs.start(job(), NOON), NOON)
    assert cancelled.status == "cancelled"
    assert jobs.finish(cancelled, 1, NOON) is None
    assert jobs.fail(cancelled, 1, "killed", NOON) is None
    assert jobs.cancel(replace(job(), status="done"), NOON).status == "done"


def test_a_lease_is_renewed_while_its_attempt_runs_and_is_over_a_minute_after_it_was_not() -> None:
    running = jobs.start(job(), NOON)
    soon, late = NOON + jobs.LEASE / 2, NOON + jobs.LEASE
    assert jobs.renew(running, 1, NOON + timedelta(seconds=1)) is None, "a minute is not renewed every second"
    assert not jobs.expired(running, soon)
    assert jobs.expired(running, late)
    renewed = jobs.renew(running, 1, soon)
    assert renewed is not None
    assert not jobs.expired(renewed, late)
    assert jobs.renew(running, 0, soon) is None, "an older attempt has nothing to renew"


@pytest.mark.parametrize("end", ["finish", "fail", "release", "cancel"])
def test_what_does_not_run_has_no_lease(end: str) -> None:
    running = jobs.start(job(), NOON)
    ended = {
        "finish": jobs.finish(running, 1, NOON),
        "fail": jobs.fail(running, 1, "x", NOON),
        "release": jobs.release(running, NOON),
        "cancel": jobs.cancel(running, NOON),
    }[end]
    assert ended is not None
    assert ended.lease_until is None
    assert not jobs.expired(ended, NOON + timedelta(days=1))


EVENTS = st.lists(st.sampled_from(["start", "finish", "fail", "late", "kill", "stop", "cancel"]), max_size=40)


@given(EVENTS)
def test_whatever_happens_a_job_ends_once_and_its_token_only_grows(events: list[str]) -> None:
    now, ends, attempts = job(), Counter[str](), [0]
    for event in events:
        before = now
        if event == "start" and now.status == "queued":
            now = jobs.start(now, NOON)
        elif event == "finish":
            now = jobs.finish(now, now.attempt, NOON) or now
        elif event == "fail":
            now = jobs.fail(now, now.attempt, "x", NOON) or now
        elif event == "late":
            assert jobs.finish(now, now.attempt - 1, NOON) is None
        elif event == "kill":
            now = jobs.recover(now, NOON)
        elif event == "stop":
            now = jobs.release(now, NOON)
        elif event == "cancel":
            now = jobs.cancel(now, NOON)
        attempts.append(now.attempt)
        ends[now.status] += now.over and not before.over
        assert not before.over or now == before
    assert attempts == sorted(attempts)
    assert sum(ends.values()) <= 1
    assert now.failures <= jobs.MAX_FAILURES


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"rate": 12.0}, True),
        ({"length_s": 3.0}, True),
        ({"schedule": "x"}, True),
        ({"day": "2026-06-02"}, False),
        ({"profile": "a"}, False),
        ({"recipe": "raw"}, False),
        ({"size": "720p"}, False),
        ({"window": None, "from_at": NOON, "to_at": NOON + LATE}, False),
    ],
)
def test_the_same_film_at_another_pace_replaces_itself(change: dict[str, object], same: bool) -> None:  # noqa: FBT001
    spec = RenderSpec(camera=WEST, day="2026-06-01", window="sunset", profile="f")
    other = replace(spec, **change)  # type: ignore[arg-type]
    assert (spec.film == other.film) is same
    assert len(spec.film) == 16
