"""The film of today: how soon a frame is seen, how soon the film of a day is there, and how it flickers."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml

from demo.processes import Program, answers, free_port
from demo.waiting import wait_until

from . import inputs
from .figures import Figure
from .score import score

SIZE = "1920x1080"
DISTINCT = 96
"""So many pictures make both days, walked back and forth, each frame with a record of its own."""
DAYS = (288, 2880)
FLICKER_FRAMES = 300
CAMERA = "bench/today"
CURVE = "imx519"
WATCHED = 8
"""Of so many frames it is measured how soon they are to be seen; the slowest counts."""
_DAY_S = 7200.0
_PENDING = 48
"""Frames that may wait for those that they look ahead to."""

Picture = tuple[Path, dict[str, Any]]


def run(work: Path) -> list[Figure]:
    """Measure the film of today."""
    source = inputs.twin(work / "source", DISTINCT, SIZE)
    pictures = [(path, _record(path)) for path in sorted(source.glob("*.jpg"))]
    seen, ended = {}, {}
    for frames in DAYS:
        with processor(work / f"day-{frames}") as house:
            seen[frames], ended[frames] = _day(house, pictures, frames)
    return [*_times(seen, ended), *_flicker(work)]


def _times(seen: dict[int, float], ended: dict[int, float]) -> list[Figure]:
    short, long = DAYS
    figures = []
    for frames in DAYS:
        day = f"a day of {frames} frames, 1080p"
        figures += [
            Figure(figure=f"stored → visible, {day}", value=round(seen[frames], 2), unit="s", bound=2.0),
            Figure(figure=f"last frame → film, {day}", value=round(ended[frames], 2), unit="s", bound=2.0),
        ]
    growth = round(ended[long] / ended[short], 2)
    return [
        *figures,
        Figure(figure=f"last frame → film, {long} ÷ {short}", value=growth, unit="×", bound=1.5),
    ]


def _flicker(work: Path) -> list[Figure]:
    """Measure what a film that grew flickers, beside the render of the same frames."""
    source = inputs.twin(work / "dusk", FLICKER_FRAMES, "480x270")
    grown, rendered = work / "grown.mp4", work / "rendered.mp4"
    with processor(work / "dusk-house") as house:
        for number, path in enumerate(sorted(source.glob("*.jpg"))):
            house.deliver(path, _record(path), number)
        house.settled(FLICKER_FRAMES)
        grown.write_bytes(house.get(house.finished(FLICKER_FRAMES)["video"]))
    program = [sys.executable, "-m", "skylapse_processor", "render", str(source), "-o", str(rendered)]
    subprocess.run(program, check=True, stdout=subprocess.DEVNULL)
    ours, whole = score(grown, source, CURVE), score(rendered, source, CURVE)
    return [
        Figure(
            figure=f"flicker of a film that grew, {FLICKER_FRAMES} frames, records",
            value=round(ours.flicker_mev, 2),
            unit="mEV",
            bound=2.0,
            peer="its render",
            peer_value=round(whole.flicker_mev, 2),
        ),
        Figure(
            figure="clouds kept by a film that grew",
            value=round(ours.clouds_kept, 3),
            unit="share",
            bound=0.8,
            better="above",
            peer="its render",
            peer_value=round(whole.clouds_kept, 3),
        ),
    ]


def _day(house: "House", pictures: Sequence[Picture], frames: int) -> tuple[float, float]:
    """Return the slowest stored → visible, and the time from the last frame to the film."""
    walk = _back_and_forth(pictures)
    for number, (path, record) in enumerate(islice(walk, frames - WATCHED - 1)):
        house.deliver(path, record, number)
    house.settled(frames - WATCHED - 1)
    slowest = 0.0
    for number, (path, record) in enumerate(islice(walk, WATCHED), frames - WATCHED - 1):
        stored_at = house.deliver(path, record, number)
        house.visible(number + 1)
        slowest = max(slowest, time.monotonic() - stored_at)
    house.settled(frames - 1)
    path, record = next(walk)
    last_at = house.deliver(path, record, frames - 1)
    house.finished(frames)
    return slowest, time.monotonic() - last_at


def _back_and_forth(pictures: Sequence[Picture]) -> Iterator[Picture]:
    """Walk without standing still at the turns: a picture that comes twice in a row is a frozen camera's."""
    while True:
        yield from pictures[:-1]
        yield from reversed(pictures[1:])


def _record(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return record


class House:
    """A processor as a program of its own, and what a bridge and a player ask of it."""

    def __init__(self, folder: Path) -> None:
        """Configure it."""
        self._port = free_port()
        self._url = f"http://127.0.0.1:{self._port}"
        folder.mkdir()
        words = {
            "processor": "bench",
            "store": {"path": "store", "ballast_mb": 0, "min_free_percent": 0},
            "http": {"port": self._port},
        }
        config = folder / "processor.yaml"
        config.write_text(yaml.safe_dump(words), encoding="utf-8")
        program = [sys.executable, "-m", "skylapse_processor"]
        self.program = Program(
            "processor",
            [*program, "serve", "--config", str(config)],
            log_path=folder / "processor.log",
            folder=folder,
        )
        made = [*program, "keys", "add", "bench", "--config", str(config)]
        self._key = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.program.start()
        wait_until(lambda: answers(self._port), timeout_s=30, what="the processor")

    def deliver(self, path: Path, facts: dict[str, Any], number: int) -> float:
        """Upload a frame as the bridge does; return when it was acknowledged."""
        data = path.read_bytes()
        bridge, camera = CAMERA.split("/")
        captured_at = datetime(2026, 6, 1, 6, tzinfo=UTC) + timedelta(seconds=15 * number)
        record = facts | {
            "bridge": bridge,
            "camera": camera,
            "spool": "00112233445566aa",
            "seq": number + 1,
            "boot_id": "bench",
            "monotonic_ns": number,
            "clock_synced": True,
            "captured_at": captured_at.isoformat().replace("+00:00", "Z"),
            "day": "2026-06-01",
            "window": "day",
            "schedule": "day",
            "profile": "f",
            "bytes": len(data),
            "sha256": sha256(data).hexdigest(),
        }
        said = {"sha256": record["sha256"], "record": json.dumps(record)}
        words = [f"{name} {base64.b64encode(word.encode()).decode()}" for name, word in said.items()]
        self._ask(
            "POST",
            "/api/v1/uploads",
            data,
            {
                "Tus-Resumable": "1.0.0",
                "Upload-Length": str(len(data)),
                "Upload-Metadata": ",".join(words),
                "Content-Type": "application/offset+octet-stream",
            },
        )
        return time.monotonic()

    def visible(self, frames: int) -> None:
        """Return once a player has the frame of this number."""
        wait_until(lambda: self._today()["frames"] >= frames, timeout_s=60, what="it to be seen")
        text = self.get(self._today()["playlist"]).decode()
        newest = text.rstrip().rpartition("URI=")[2].split('"')[1] if "PART:" in text else text.split()[-1]
        self.get(f"/api/v1/cameras/{CAMERA}/today/{newest}")

    def settled(self, frames: int) -> None:
        """Wait until all segments are closed that can be."""
        wait_until(
            lambda: self._today()["frames"] == frames and self._today()["provisional_frames"] < _PENDING,
            timeout_s=_DAY_S,
            what="segments to close",
        )

    def finished(self, frames: int) -> dict[str, Any]:
        """Ask for the film of the window, as its end does; return it once it is in the library."""
        wish = json.dumps({"camera": CAMERA, "day": "2026-06-01"}).encode()
        self._ask("POST", "/api/v1/renders", wish, {"Content-Type": "application/json"})
        films: list[dict[str, Any]] = []

        def there() -> bool:
            films[:] = json.loads(self.get("/api/v1/films"))["items"]
            return any(film["frames"] == frames for film in films)

        wait_until(there, timeout_s=_DAY_S, what="the film")
        return films[0]

    def get(self, path: str) -> bytes:
        """GET."""
        return self._ask("GET", path)

    def _today(self) -> dict[str, Any]:
        try:
            said: dict[str, Any] = json.loads(self.get(f"/api/v1/cameras/{CAMERA}/today"))
        except HTTPError:
            return {"frames": 0, "provisional_frames": 0}
        return said

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> bytes:
        asked = Request(  # noqa: S310 - an address of its own
            self._url + path,
            data=body,
            headers={"Authorization": f"Bearer {self._key}", **(headers or {})},
            method=method,
        )
        with urlopen(asked) as answer:  # noqa: S310 - the same
            content: bytes = answer.read()
        return content


@contextmanager
def processor(folder: Path) -> Iterator[House]:
    """Run a processor."""
    house = House(folder)
    house.start()
    try:
        yield house
    finally:
        house.program.stop()
