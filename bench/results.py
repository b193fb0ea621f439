"""Results: what a frame costs its keogram, how fast a day is made again, and what it takes in memory."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

from skylapse_processor.clock import utc_now
from skylapse_processor.config import StoreConfig
from skylapse_processor.results.day import Day
from skylapse_processor.results.ledger import ROWS, Columns
from skylapse_processor.results.press import Press
from skylapse_processor.store.rows import FrameState, StoredFrame
from skylapse_processor.store.store import Store
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.records import FrameRecord, write_record

from . import inputs
from .figures import Figure

CAMERA = CameraName(bridge="bench", camera="twin")
DAY = "2026-06-01"
FRAMES = 2880
DIFFERENT = 48
START = datetime(2026, 6, 1, tzinfo=UTC)


def run(work: Path) -> list[Figure]:
    """Measure a day of 2,880 frames of 1080p in a store of its own, in a process of its own."""
    store = work / "store"
    names = _fill(store, inputs.twin(work / "twin", DIFFERENT, "1920x1080"))
    program = [sys.executable, "-m", "bench.results", str(store), str(names)]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    figures = json.loads(done.stdout)
    return [
        Figure(figure="keogram, a frame of 1080p taken in", value=figures["frame_ms"], unit="ms", bound=15),
        Figure(figure="  of it, all but the decoding", value=figures["own_ms"], unit="ms", bound=5),
        Figure(figure="keogram of 2,880 frames made again", value=figures["rebuild_s"], unit="s", bound=60),
        Figure(
            figure="keogram of 2,880 frames drawn and kept", value=figures["press_ms"], unit="ms", bound=500
        ),
        Figure(figure="ledger of 2,880 frames read again", value=figures["open_ms"], unit="ms", bound=250),
        Figure(figure="results of a day, peak memory", value=figures["peak_mb"], unit="MB", bound=250),
        Figure(
            figure="keogram, all columns appended one by one",
            value=figures["draw_ms"],
            unit="ms",
            peer="numpy.append a frame, as indi-allsky does",
            peer_value=figures["append_ms"],
        ),
    ]


def _fill(store: Path, twin: Path) -> Path:
    """Lay the twin's pictures under the names of a day's frames; return a file of their records."""
    folder = store / "frames" / CAMERA.bridge / CAMERA.camera / DAY
    folder.mkdir(parents=True)
    pictures = sorted(twin.glob("*.jpg"))
    records = []
    for number in range(FRAMES):
        picture = pictures[number % len(pictures)]
        known = json.loads(picture.with_suffix(".json").read_text(encoding="utf-8"))
        known |= {
            "captured_at": (START + number * timedelta(seconds=30)).isoformat().replace("+00:00", "Z"),
            "bridge": CAMERA.bridge,
            "camera": CAMERA.camera,
            "spool": "0" * 16,
            "seq": number + 1,
            "boot_id": "bench",
            "monotonic_ns": number,
            "clock_synced": True,
            "day": DAY,
        }
        records.append(known)
    index = store / "records.json"
    index.write_text(json.dumps(records), encoding="utf-8")
    for number, known in enumerate(records):
        record = _record(known)
        os.link(pictures[number % len(pictures)], folder / f"{record.name.stem}.jpg")
        (folder / f"{record.name.stem}.json").write_text(json.dumps(write_record(record)), encoding="utf-8")
    return index


def _record(known: dict[str, object]) -> FrameRecord:
    words = {name: value for name, value in known.items() if name not in ("captured_at", "asked")}
    words["colour_gains"] = tuple(words["colour_gains"])  # type: ignore[arg-type]
    return FrameRecord(captured_at=datetime.fromisoformat(str(known["captured_at"])), **words)  # type: ignore[arg-type]


def measure(root: Path, index: Path) -> dict[str, float]:
    """Take all frames in, publish, read again."""
    config = StoreConfig(
        path=root, state=root / "state", min_free_percent=0, warn_free_percent=0, ballast_mb=0
    )
    store = Store(config)
    store.start()
    known = json.loads(index.read_text(encoding="utf-8"))
    frames = [replace(StoredFrame.of(_record(each)), state=FrameState.GOOD) for each in known]
    day, press = Day(store.layout, CAMERA, DAY), Press(store, utc_now)
    day.open()
    took = [_timed(lambda frame=frame: day.take(frame)) for frame in frames]  # type: ignore[misc]
    pressed = _timed(lambda: press.publish(day))
    again = Day(store.layout, CAMERA, DAY)
    opened = _timed(again.open)
    decoding = [_timed(lambda frame=frame: _decode(store, frame)) for frame in frames[:DIFFERENT]]  # type: ignore[misc]
    store.stop()
    columns = again.ledger.columns()
    return {
        "frame_ms": round(1000 * statistics.median(took), 2),
        "own_ms": round(1000 * max(statistics.median(took) - statistics.median(decoding), 0.0), 2),
        "rebuild_s": round(sum(took) + pressed, 2),
        "press_ms": round(1000 * pressed, 1),
        "open_ms": round(1000 * opened, 1),
        "draw_ms": round(1000 * _timed(lambda: _placed(columns)), 1),
        "append_ms": round(1000 * _timed(lambda: _appended(columns)), 1),
        "peak_mb": _peak_mb(),
    }


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6, 1)


def _timed(work: Callable[[], object]) -> float:
    """Return the processor time that a piece of work takes: others may be busy beside it."""
    began = time.process_time()
    work()
    return time.process_time() - began


def _decode(store: Store, frame: StoredFrame) -> None:
    with Image.open(store.layout.picture(frame.name, frame.day)) as image:
        image.draft("RGB", (ROWS * 16 // 9, ROWS))
        image.load()


def _placed(columns: Columns) -> None:
    """Put every column where it belongs, in a picture that is there from the start."""
    picture = np.empty((ROWS, len(columns.at_s), 3), dtype=np.uint8)
    for number, column in enumerate(columns.pixels):
        picture[:, number] = column


def _appended(columns: Columns) -> None:
    """Make the picture anew for every column."""
    picture = np.empty((ROWS, 0, 3), dtype=np.uint8)
    for column in columns.pixels:
        picture = np.append(picture, column[:, None], axis=1)


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), Path(sys.argv[2]))))
