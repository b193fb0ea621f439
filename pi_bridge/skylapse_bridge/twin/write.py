"""Write a sequence of the twin: pictures with EXIF, records beside them, and the truth in `truth.jsonl`."""

import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .faults import Faults
from .ramp import RAMPS, exposure_ev, split
from .scene import Scene
from .sensor import SENSORS
from .sun import Place
from .truth import exif, record, truth
from .twin import Twin, Wish
from .weather import Weather

MIDDLE_ELEVATION_DEG = -2.0
"""Without a start, the middle of a sequence is the moment of dusk when the sun stands here."""

EQUINOX = datetime(2026, 3, 20, 12, tzinfo=UTC)
"""Without a start, sequences are of this day: twilight falls fastest at an equinox."""

_WORKERS = 2
_CLOUD_EVERY_FRAMES = 100.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequence:
    """What to write; the defaults make dusk on the equator, 17 stops in an hour, clouds and shadow."""

    frames: int
    width: int = 1920
    height: int = 1080
    seed: int = 1
    start: datetime | None = None
    """None puts the middle of the sequence where the sun stands at −2°: with 300 frames from +7° to −11°."""
    interval_s: float = 15.0
    place: Place = field(default_factory=Place)
    sensor: str = "imx519"
    exposure: str = "reactive"
    """A name in `ramp.RAMPS`."""
    records: bool = True
    quality: int = 92
    wobble_ev: float = 0.02
    clouds: float = 1.0
    """0 is a clear sky."""
    faults: Faults = field(default_factory=Faults)

    def moments(self) -> list[datetime]:
        """Return when each frame is taken."""
        step = timedelta(seconds=self.interval_s)
        middle = self.place.evening(EQUINOX, MIDDLE_ELEVATION_DEG)
        start = self.start or (middle - step * (self.frames // 2)).replace(microsecond=0)
        return [start + step * number for number in range(self.frames)]


def write_sequence(folder: Path, sequence: Sequence, progress: Callable[[int], None] | None = None) -> None:
    """Write the sequence into a folder, made if need be; `progress` hears the number of frames written."""
    folder.mkdir(parents=True, exist_ok=True)
    digits = max(4, len(str(sequence.frames)))
    with (folder / "truth.jsonl").open("w", encoding="utf-8") as lines:
        for number, (jpeg, facts, true) in enumerate(_photographs(sequence, digits), start=1):
            (folder / true["name"]).write_bytes(jpeg)
            if sequence.records:
                sidecar = (folder / true["name"]).with_suffix(".json")
                sidecar.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
            lines.write(json.dumps(true) + "\n")
            if progress is not None:
                progress(number)


def twin_of(sequence: Sequence) -> Twin:
    """Return the camera that takes a sequence; clouds pass once in a hundred frames."""
    scene = Scene(
        width=sequence.width,
        height=sequence.height,
        seed=sequence.seed,
        place=sequence.place,
        weather=Weather(
            seed=sequence.seed,
            cloud_every_s=_CLOUD_EVERY_FRAMES * sequence.interval_s,
            clouds=sequence.clouds,
        ),
    )
    sensor = SENSORS[sequence.sensor]
    return Twin(scene=scene, sensor=sensor, wobble_ev=sequence.wobble_ev, faults=sequence.faults)


def wishes(sequence: Sequence, twin: Twin) -> list[Wish]:
    """Return the exposure that is asked for, frame by frame."""
    wanted = [exposure_ev(twin.sensor, twin.scene.expected_ev(at)) for at in sequence.moments()]
    chosen = (split(twin.sensor, ev, sequence.interval_s) for ev in RAMPS[sequence.exposure](wanted))
    return [Wish(exposure_us=exposure.exposure_us, gain=exposure.gain) for exposure in chosen]


_Result = tuple[bytes, dict[str, Any], dict[str, Any]]
"""Picture, record, truth."""


def _photographs(sequence: Sequence, digits: int) -> Iterator[_Result]:
    """Yield picture, record and truth in order, a few ahead on two threads."""
    twin = twin_of(sequence)
    jobs = zip(sequence.moments(), wishes(sequence, twin), strict=True)
    ahead: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(_WORKERS) as pool:
        for number, (at, wish) in enumerate(jobs, start=1):
            name = f"{number:0{digits}d}.jpg"
            ahead.append(pool.submit(_photograph, twin, name, at, wish, sequence.quality))
            if len(ahead) > 2 * _WORKERS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _photograph(twin: Twin, name: str, at: datetime, wish: Wish, quality: int) -> _Result:
    """Take one photograph and describe it."""
    photograph = twin.photograph(at, wish)
    jpeg = photograph.jpeg(quality=quality, exif=exif(photograph, twin.sensor))
    return jpeg, record(photograph, twin.sensor, jpeg), truth(name, photograph)
