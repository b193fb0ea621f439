"""What is counted and named without looking at every frame is what looking at every frame finds."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from skylapse_processor.store.catalogue import Catalogue
from skylapse_processor.store.database import Database
from skylapse_processor.store.rows import Batch, FrameRole, FrameState, Selection, StoredFrame
from skylapse_protocol.identifiers import CameraName

from .frames_made import DAY, START, record_of

WEST = CameraName(bridge="roof", camera="west")


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    """A catalogue that holds frames of every kind."""
    database = Database(tmp_path / "catalogue.db")
    database.start()
    made = Catalogue(database)
    for frame in FRAMES:
        made.add(frame, START).result()
    made.settle(FRAMES[1], FrameState.BAD).result()
    made.settle(FRAMES[2], FrameState.DELETING).result()
    yield made
    database.stop()


def stored(seq: int, **changes: object) -> StoredFrame:
    """A row."""
    return StoredFrame.of(record_of(b"x" * seq, seq, **changes))


FRAMES = (
    stored(1),
    stored(2),
    stored(3),
    stored(4, profile="a", captured_at=START + timedelta(days=2)),
    stored(5, profile=None, schedule=None, window=None, day="2026-06-02"),
    stored(6, width=320, height=180),
    stored(7),
    stored(8, test_id="warm"),
    stored(9, camera="east"),
)


@pytest.mark.parametrize(
    "narrowed",
    [
        {},
        {"day": DAY, "role": FrameRole.LEADS},
        {"day": DAY, "role": FrameRole.LEADS, "not_bad": True},
        {"window": "sunset", "profile": "a"},
        {"test_id": "warm"},
        {"after": FRAMES[0].name},
        {"to_at": FRAMES[4].name.captured_at},
        {"window": "nowhere"},
    ],
)
def test_counts_and_names_are_those_of_the_frames(catalogue: Catalogue, narrowed: dict[str, object]) -> None:
    wanted = Selection(camera=WEST, **narrowed)  # type: ignore[arg-type]
    found, told = catalogue.frames(wanted), catalogue.batches(wanted)
    assert catalogue.stems(wanted) == tuple(frame.name.stem for frame in found)
    assert {replace(batch, frames=1): batch.frames for batch in told} == Counter(map(Batch.of, found))
    assert [batch.day for batch in told[-1:]] == [frame.day for frame in found[-1:]], (
        "the newest are the last"
    )


def test_what_films_leave_out_is_not_named(catalogue: Catalogue) -> None:
    stems = catalogue.stems(Selection(camera=WEST, day=DAY, role=FrameRole.LEADS, not_bad=True))
    assert stems == tuple(FRAMES[place].name.stem for place in (0, 5, 6, 3))
