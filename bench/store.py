"""Store: how long it takes to hold a tree of a thousand folders to its catalogue."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from skylapse_processor.clock import utc_now
from skylapse_processor.config import StoreConfig
from skylapse_processor.ingest import Ingest
from skylapse_processor.store.rows import FrameState, StoredFrame
from skylapse_processor.store.store import Store
from skylapse_processor.sweep import Sweep
from skylapse_protocol.records import FrameRecord, write_record

from .figures import Figure

FOLDERS = 1000
FRAMES = 24
"""A folder: each is a picture, its record and its thumbnail."""
START = datetime(2024, 1, 1, tzinfo=UTC)
ROUNDS = 5


def run(work: Path) -> list[Figure]:
    """Measure a rescan of a store in which nothing has changed: days of one camera, a folder each."""
    store = Store(
        StoreConfig(
            path=work / "store",
            state=work / "state",
            min_free_percent=0,
            warn_free_percent=0,
            ballast_mb=0,
        )
    )
    store.start()
    try:
        _fill(store)
        seconds = min(_rescanned(store) for _ in range(ROUNDS))
    finally:
        store.stop()
    return [
        Figure(
            figure=f"store of {FOLDERS:,} folders and {FOLDERS * FRAMES:,} frames, rescanned",
            value=round(seconds, 2),
            unit="s",
            bound=0.5,
        )
    ]


def _fill(store: Store) -> None:
    """Lay frames and their records into the store, and their rows into the catalogue."""
    added = []
    for record in _records():
        frame = replace(StoredFrame.of(record), state=FrameState.GOOD)
        picture = store.layout.picture(frame.name, frame.day)
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.touch()
        store.layout.thumb(frame.name, frame.day).touch()
        store.layout.record(frame.name, frame.day).write_text(json.dumps(write_record(record)), "utf-8")
        added.append(store.frames.add(frame, START))
    if not all(row.result() for row in added):
        raise SystemExit("bench: two frames have one name")


def _records() -> Iterator[FrameRecord]:
    for number in range(FOLDERS * FRAMES):
        day = START + timedelta(days=number // FRAMES)
        yield FrameRecord(
            bridge="bench",
            camera="twin",
            spool="0" * 16,
            seq=number + 1,
            boot_id="bench",
            monotonic_ns=number,
            clock_synced=True,
            captured_at=day + timedelta(seconds=15 * (number % FRAMES)),
            day=f"{day:%Y-%m-%d}",
            width=1920,
            height=1080,
            bytes=1,
            sha256=f"{number:064x}",
        )


def _rescanned(store: Store) -> float:
    """Return how long a rescan takes."""
    sweep = Sweep(store, utc_now, timedelta(hours=48))
    started = time.monotonic()
    found = asyncio.run(sweep.everything(Ingest(store, utc_now, lambda _: None)))
    seconds = time.monotonic() - started
    if found != {"adopted": 0, "missing": 0, "dropped": 0, "refused": []}:
        raise SystemExit(f"bench: nothing has changed, and yet {found}")
    return seconds
