"""What may be deleted: only what all orders agree on, never what is pinned or in use."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skylapse_processor.retention import due
from skylapse_processor.store.rows import Stretch
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.messages import Order

WEST = CameraName(bridge="roof", camera="west")
NOW = datetime(2026, 6, 30, tzinfo=UTC)
ORDER = Order(camera="roof/west", schedule="sunset", retention_days=10)
OLD = Stretch(
    camera=WEST,
    day="2026-06-01",
    window="sunset",
    schedule="sunset",
    profile="f",
    frames=100,
    bad=0,
    gone=0,
    leading=100,
    bytes=10**6,
    first_at=NOW - timedelta(days=29),
    last_at=NOW - timedelta(days=29),
    stored_at=NOW - timedelta(days=29),
)


def test_what_is_older_than_its_order_says_may_go() -> None:
    young = replace(OLD, stored_at=NOW - timedelta(days=10))
    assert due([OLD, young], [ORDER], (), (), NOW, unmade=()) == (OLD,)


@pytest.mark.parametrize(
    "orders",
    [
        [],
        [replace(ORDER, retention_days=None)],
        [ORDER, replace(ORDER, retention_days=None, size="720p")],
        [ORDER, replace(ORDER, retention_days=60)],
        [replace(ORDER, schedule="daytime")],
        [replace(ORDER, camera="roof/east")],
    ],
)
def test_one_patient_order_or_none_keeps_frames(orders: list[Order]) -> None:
    assert due([OLD], orders, (), (), NOW, unmade=()) == ()


def test_frames_under_a_pin_and_frames_in_use_stay() -> None:
    assert due([OLD], [ORDER], {(WEST, "2026-06-01")}, (), NOW, unmade=()) == ()
    assert due([OLD], [ORDER], (), {WEST}, NOW, unmade=()) == ()
    assert due([replace(OLD, frames=0, gone=100)], [ORDER], (), (), NOW, unmade=()) == ()


def test_frames_stay_until_the_films_of_their_window_were_started() -> None:
    assert due([OLD], [ORDER], (), (), NOW, unmade={(WEST, OLD.day, "sunset")}) == ()
    assert due([OLD], [ORDER], (), (), NOW, unmade={(WEST, OLD.day, "sunrise")}) == (OLD,)


@given(st.integers(0, 100), st.lists(st.one_of(st.none(), st.integers(0, 100)), max_size=4))
def test_nothing_goes_before_its_longest_term(age_days: int, terms: list[int | None]) -> None:
    stretch = replace(OLD, stored_at=NOW - timedelta(days=age_days))
    orders = [replace(ORDER, retention_days=term) for term in terms]
    gone = bool(due([stretch], orders, (), (), NOW, unmade=()))
    assert gone == (bool(terms) and all(term is not None and term < age_days for term in terms))
