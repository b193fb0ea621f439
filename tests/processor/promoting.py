"""A processor that makes films of what an attempt brought, and is killed in the middle of that.

    python -m tests.processor.promoting CONFIG STEP

Two films are brought; of one there is an older one in the library. STEP counts what is done with their files
and rows, and says before which step SIGKILL comes.
"""

import asyncio
import os
import signal
import sys
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from skylapse_processor.config import load
from skylapse_processor.executor import Product
from skylapse_processor.jobs import Job, RenderSpec, start
from skylapse_processor.service import Service
from skylapse_processor.store.store import Store
from skylapse_protocol.identifiers import CameraName

from .frames_made import DAY

SPEC = RenderSpec(
    camera=CameraName(bridge="roof", camera="west"), day=DAY, size="1080p", also_sizes=("720p",)
)
NOW = datetime(2026, 6, 2, tzinfo=UTC)
STEPS = {"said": 0, "first file": 1, "third file": 3, "last file": 8, "rows": 9, "job": 10}
"""How many steps are done before each."""


def brought(folder: Path, words: str) -> tuple[Product, ...]:
    """Write what a render brings; nobody plays it."""
    folder.mkdir(parents=True)
    products = []
    for size in (SPEC.size, *SPEC.also_sizes):
        files = {name: folder / f"{size}-{name}" for name in ("video", "poster", "thumb", "preview")}
        for name, path in files.items():
            path.write_text(f"{words} {size} {name}")
        products.append(
            Product(
                size=size,
                video=files["video"],
                poster=files["poster"],
                thumb=files["thumb"],
                preview=files["preview"],
                frames=24,
                skipped=0,
                duration_s=1.0,
                rate=24.0,
                width=16,
                height=9,
                bytes=files["video"].stat().st_size,
                codec="h264",
                flicker_mev=None,
            )
        )
    return tuple(products)


def job(number: int, spec: RenderSpec) -> Job:
    """A job that is under way."""
    queued = Job(
        id=f"job{number}",
        origin="request",
        spec=spec,
        status="queued",
        created_at=NOW,
        changed_at=NOW,
    )
    return start(queued, NOW + timedelta(seconds=number))


def be_killed(store: Store, step: int) -> None:
    """Count files that are moved and writes of the catalogue; have SIGKILL come before one of them."""
    left = iter(range(step))
    replace, write = Path.replace, store._database.write

    def count() -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    def replacing(self: Path, target: Path) -> Path:
        count()
        return replace(self, target)

    def writing(work: Any) -> "Future[Any]":
        count()
        return write(work)

    Path.replace = replacing  # type: ignore[method-assign, assignment]
    store._database.write = writing  # type: ignore[method-assign]


async def main(config: Path, step: int) -> None:
    """Make a film, then the same anew with another beside it; be killed then."""
    service = Service(load(config))
    store, promote = service._store, service._dispatch._promote
    store.start()
    old, new = job(1, SPEC.at("720p")), job(2, SPEC)
    for each in (old, new):
        await asyncio.wrap_future(store.jobs.put([each]))
    await promote(old, brought(store.layout.render_folder(old.id, old.attempt), "old")[1:])
    made = brought(store.layout.render_folder(new.id, new.attempt), "new")
    be_killed(store, step)
    await promote(new, made)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
