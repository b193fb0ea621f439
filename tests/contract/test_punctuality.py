"""Frames late or missing: one or two are no problem, three are, until all is well for a while."""

from datetime import UTC, datetime, timedelta

from skylapse_protocol.punctuality import IN_TIME_AGAIN, Fortune, Punctuality

NOON = datetime(2026, 6, 21, 12, tzinfo=UTC)


def in_time(pace: Punctuality, frames: int) -> Punctuality:
    for _ in range(frames):
        pace = pace.kept()
    return pace


def test_one_or_two_late_frames_are_no_problem_and_three_are() -> None:
    pace = Punctuality()
    problems = []
    for minute in range(4):
        pace = in_time(pace.missed(NOON + timedelta(minutes=minute), 1), 5)
        problems.append(pace.problem)
    assert problems == [
        None,
        None,
        "3 frames too late since 2026-06-21 12:00:00 UTC",
        "4 frames too late since 2026-06-21 12:00:00 UTC",
    ]


def test_many_at_once_are_a_problem() -> None:
    assert Punctuality().missed(NOON, 480).problem == "480 frames too late since 2026-06-21 12:00:00 UTC"


def test_twenty_frames_in_a_row_that_are_in_time_end_it() -> None:
    late = in_time(Punctuality().missed(NOON, 3), IN_TIME_AGAIN - 1)
    assert late.problem is not None
    assert late.kept() == Punctuality()
    assert in_time(late.missed(NOON, 1), IN_TIME_AGAIN - 1).problem is not None


def test_late_frames_that_are_rare_never_add_up() -> None:
    pace = Punctuality()
    for _ in range(10):
        pace = in_time(pace.missed(NOON, 2), IN_TIME_AGAIN)
        assert pace.problem is None


def test_one_or_two_failures_at_the_end_of_a_window_are_forgiven_and_three_are_not() -> None:
    fortune = Fortune().took()
    forgiven = [fortune.forgiven]
    for number in range(3):
        fortune = fortune.missed(f"reason {number}")
        forgiven.append(fortune.forgiven)
    assert forgiven == [None, "reason 0", "reason 1", None]
    assert fortune.took().forgiven is None
    assert fortune.took().missed("again").forgiven == "again"


def test_a_camera_that_took_nothing_is_not_forgiven() -> None:
    assert Fortune().missed("no answer").forgiven is None
