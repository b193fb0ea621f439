"""Detectors of bad pictures and of faults of the lens, scored on computed days on which everything is known.

Three days teach each camera; on the fourth bad pictures stand among good ones, and after it stretches of one
fault each, at three times of the day, follow stretches in which all is well. Dirt is a few still spots that
are there for three days, and has to be told from drops by the end. The peer is what all-sky programs do: a
mean outside 5…250 for pictures, a variance of the Laplacian below its running median for the lens.
"""

import copy
import io
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

from skylapse_processor.decode import decode, look
from skylapse_processor.errors import PictureError
from skylapse_processor.measure import Measurement, measure_pixels, small
from skylapse_processor.watch.camera import Watch
from skylapse_processor.watch.glance import Glance, glance
from skylapse_processor.watch.memory import dump

from .detector_days import CAMERAS, START, STRETCHES, Camera, Days, Shot
from .figures import Figure

TAUGHT_DAYS = 3
_EVERY, _DAY_EVERY = timedelta(minutes=10), timedelta(minutes=5)
_SHOTS, _AFTER = 14, 8
_QUICK_EVERY, _QUICK_SHOTS = timedelta(seconds=245), 120
"""Clouds move least between pictures that are just far enough apart to count as two."""
_FOUND_WITHIN = timedelta(minutes=30)
_HOURS_FROM_NOON = (-3.5, 0.0, 3.0)
_SHIFT_PX = 9
_TELLS = ("droplets", "dirt", "dew", "fog", "focus", "aim")
_DIRTY_DAYS = 3
_ALREADY = {"dirt": "droplets"}
"""What a fault is rightly told as before it has been there for long."""
_PROCESSES = 2
_PEER = "mean 5…250, Laplacian"


@dataclass(kw_only=True, slots=True)
class Tally:
    """What was told, by what was true."""

    frames: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(true, told) verdicts."""
    peer_frames: Counter[tuple[str, str]] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    """Bad pictures that were told good, by how they were made."""
    lens: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(true, told within half an hour) faults by stretch."""
    peer_lens: Counter[tuple[str, str]] = field(default_factory=Counter)
    minutes: list[float] = field(default_factory=list)
    """From the first faulty picture to the telling."""
    lingering: int = 0
    """Stretches whose fault was still told at the end of the clear pictures after them."""
    memory_bytes: int = 0

    def add(self, other: "Tally") -> None:
        """Take in another camera's."""
        for name in ("frames", "peer_frames", "missed", "lens", "peer_lens"):
            getattr(self, name).update(getattr(other, name))
        self.minutes += other.minutes
        self.lingering += other.lingering
        self.memory_bytes = max(self.memory_bytes, other.memory_bytes)


@dataclass(kw_only=True, slots=True)
class Peer:
    """Thresholds on the whole picture, against a running median."""

    last: deque[float] = field(default_factory=lambda: deque(maxlen=50))

    def see(self, measured: Measurement, level: float) -> str:
        """Return `bad`, `soft` or `good`."""
        usual = float(np.median(self.last)) if self.last else measured.sharpness
        self.last.append(measured.sharpness)
        if not 5.0 <= level <= 250.0:
            return "bad"
        return "soft" if measured.sharpness < 0.4 * usual else "good"


def run(work: Path) -> list[Figure]:  # noqa: ARG001 every area is called alike
    """Score all cameras; print who was taken for whom."""
    tally = Tally()
    with ProcessPoolExecutor(_PROCESSES) as pool:
        for one in pool.map(score, CAMERAS):
            tally.add(one)
    _print(tally)
    return [*_frame_figures(tally), *_lens_figures(tally), *_costs(tally)]


def score(camera: Camera) -> Tally:
    """Teach a camera, then try it."""
    days, tally, watch, peer = Days(camera), Tally(), Watch(), Peer()
    for day in range(TAUGHT_DAYS):
        for at in days.moments(day, _EVERY):
            told = _tell(watch, peer, days.shot(at), tally)
            tally.lens["clear", told] += 1
    quick = copy.deepcopy(watch)
    for number in range(_QUICK_SHOTS):
        at = START + timedelta(days=TAUGHT_DAYS, hours=7) + number * _QUICK_EVERY
        tally.lens["clear", _tell(quick, copy.deepcopy(peer), days.shot(at), tally)] += 1
    _spoiled_day(days, copy.deepcopy(watch), copy.deepcopy(peer), tally)
    for hours in _HOURS_FROM_NOON:
        for name in STRETCHES:
            _stretch(days, (copy.deepcopy(watch), copy.deepcopy(peer)), name, hours, tally)
        _dirty_days(days, (copy.deepcopy(watch), copy.deepcopy(peer)), hours, tally)
    tally.memory_bytes = len(dump(watch))
    return tally


def _spoiled_day(days: Days, watch: Watch, peer: Peer, tally: Tally) -> None:
    """One day on which every third picture is followed by a bad one."""
    for number, at in enumerate(days.moments(TAUGHT_DAYS, _EVERY)):
        good = days.shot(at)
        _tell(watch, peer, good, tally)
        if number % 3 == 0:
            _tell(watch, peer, days.spoiled(at + timedelta(minutes=2), number // 3), tally)
        if number % 12 == 1:
            _tell(watch, peer, days.frozen(good), tally)


def _tell(watch: Watch, peer: Peer, shot: Shot, tally: Tally) -> str:
    """Judge one picture; return the fault of the lens that is told then, or `clear`."""
    true = shot.bad or "good"
    try:
        seen = look_at(shot)
    except PictureError:
        told = peer_told = "broken"
    else:
        told = watch.see(seen, shot.facts).kind
        peer_told = "bad" if peer.see(seen.measured, seen.level) == "bad" else "good"
    tally.frames[true, told] += 1
    tally.peer_frames[true, peer_told] += 1
    if shot.bad and told == "good":
        tally.missed[shot.what + (" at night" if (shot.facts.elevation_deg or 0.0) < -6.0 else "")] += 1
    return _first(watch)


def look_at(shot: Shot) -> Glance:
    """Return what ingest takes from a picture; raise PictureError where it is broken."""
    shape = look(shot.jpeg, "shot")
    pixels = small(shot.jpeg, "shot", shape)
    return glance(pixels, measure_pixels(pixels, shape, tone_curve=shot.tone_curve), shot.tone_curve)


def _first(watch: Watch) -> str:
    return next(iter(watch.faults), "clear")


def _dirty_days(days: Days, taught: tuple[Watch, Peer], hours: float, tally: Tally) -> None:
    """The same spots on the lens day after day, looked at for an hour on each; what counts is the last."""
    watch, peer = taught
    told: set[str] = set()
    soft = 0
    for day in range(TAUGHT_DAYS, TAUGHT_DAYS + _DIRTY_DAYS):
        start = START + timedelta(days=day, hours=12 + hours)
        for number in range(_SHOTS):
            shot = days.shot(start + _DAY_EVERY * number, dirty=True)
            seen = look_at(shot)
            tally.frames["good", watch.see(seen, shot.facts).kind] += 1
            peer_soft = peer.see(seen.measured, seen.level) == "soft"
            soft += peer_soft and day == TAUGHT_DAYS + _DIRTY_DAYS - 1
            told.update(watch.faults)
    tally.lens["dirt", "dirt" if "dirt" in told else "clear"] += 1
    for kind in told - {"dirt", _ALREADY["dirt"]}:
        tally.lens["dirt", kind] += 1
    tally.peer_lens["dirt", "soft" if soft >= 6 else "clear"] += 1


def _stretch(days: Days, taught: tuple[Watch, Peer], name: str, hours: float, tally: Tally) -> None:
    """A stretch of one fault, and what follows it."""
    watch, peer = taught
    true = name.removeprefix("light ")
    start = START + timedelta(days=TAUGHT_DAYS, hours=12 + hours)
    shift = _SHIFT_PX if name == "aim" else 0
    told_at: dict[str, datetime] = {}
    soft = 0
    moments = [start + _DAY_EVERY * number for number in range(_SHOTS + _AFTER)]
    for number, at in enumerate(moments):
        faults = STRETCHES[name] if number < _SHOTS else {}
        shot = days.shot(at, shift_px=shift if number < _SHOTS else 0, **faults)
        seen = look_at(shot)
        verdict = watch.see(seen, shot.facts).kind
        tally.frames["good", verdict] += 1
        soft += number < _SHOTS and peer.see(seen.measured, seen.level) == "soft"
        told_at.setdefault(_first(watch), at)
    told = [kind for kind in told_at if kind != "clear"]
    if true in told:
        tally.minutes.append((told_at[true] - start) / timedelta(minutes=1))
    in_time = true in told and told_at[true] - start <= _FOUND_WITHIN
    tally.lens[true, true if in_time or (true == "clear" and not told) else "clear"] += true != "clear"
    for kind in told:
        tally.lens[true, kind] += kind != true
    tally.peer_lens[true, "soft" if soft >= 6 else "clear"] += 1
    tally.lingering += _first(watch) != "clear"


def _shares(counts: Counter[tuple[str, str]], bad: Iterable[str]) -> tuple[float, float]:
    """Return precision and recall of telling that a picture is bad, of whatever kind."""
    kinds = set(bad)
    hits = sum(n for (true, told), n in counts.items() if true in kinds and told != "good")
    told_bad = sum(n for (_true, told), n in counts.items() if told != "good")
    truly = sum(n for (true, _told), n in counts.items() if true in kinds)
    return hits / max(told_bad, 1), hits / max(truly, 1)


def _frame_figures(tally: Tally) -> list[Figure]:
    kinds = ("broken", "blank", "frozen", "odd")
    precision, recall = _shares(tally.frames, kinds)
    peer_precision, peer_recall = _shares(tally.peer_frames, kinds)
    figures = [
        _share("bad frames, precision", precision, 0.95, peer_precision),
        _share("bad frames, recall", recall, 0.90, peer_recall),
    ]
    for kind in kinds:
        caught = sum(n for (true, told), n in tally.frames.items() if true == kind and told != "good")
        there = sum(n for (true, _told), n in tally.frames.items() if true == kind)
        figures.append(_share(f"bad frames, recall of {kind}", caught / max(there, 1), None, None))
    return figures


def _share(name: str, value: float, bound: float | None, peer: float | None) -> Figure:
    return Figure(
        figure=name,
        value=round(value, 3),
        unit="",
        bound=bound,
        better="above",
        peer=_PEER if peer is not None else None,
        peer_value=None if peer is None else round(peer, 3),
    )


def _lens_figures(tally: Tally) -> list[Figure]:
    figures = []
    for kind in _TELLS:
        found = tally.lens[kind, kind]
        there = found + tally.lens[kind, "clear"]
        told = sum(n for (_true, told), n in tally.lens.items() if told == kind)
        soft, hard = tally.peer_lens[kind, "soft"], tally.peer_lens[kind, "clear"]
        when, bound = ("on the third day", None) if kind == "dirt" else ("in 30 min", 0.90)
        figures += [
            _share(f"lens, {kind}: told {when}", found / max(there, 1), bound, soft / max(soft + hard, 1)),
            _share(f"lens, {kind}: precision", found / max(told, 1), 0.95, None),
        ]
    false = sum(n for (true, told), n in tally.lens.items() if true == "clear" and told != "clear")
    return [
        *figures,
        Figure(figure="lens, false alarms on clear days", value=float(false), unit="frames", bound=0.0),
        Figure(figure="lens, still told 40 min after", value=float(tally.lingering), unit="stretches"),
        Figure(
            figure="lens, telling takes, median",
            value=float(np.median(tally.minutes)) if tally.minutes else 0.0,
            unit="min",
            bound=30.0,
        ),
    ]


def _costs(tally: Tally) -> list[Figure]:
    """Return what a look costs beside the decode of a picture of 16 megapixels, in processor time."""
    shot = Days(CAMERAS[0]).shot(START + timedelta(hours=12))
    big = _enlarged(shot)
    shape = look(big, "big")
    watch = Watch()
    decode_s, look_s = [], []
    for number in range(7):
        began = time.process_time()
        pixels = small(big, "big", shape)
        decoded = time.process_time()
        measured = measure_pixels(pixels, shape, tone_curve=shot.tone_curve)
        measured_at = time.process_time()
        at = shot.facts.captured_at + number * _DAY_EVERY
        seen = replace(glance(pixels, measured, shot.tone_curve), digest=f"{number}")
        watch.see(seen, replace(shot.facts, captured_at=at))
        decode_s.append(decoded - began)
        look_s.append(time.process_time() - measured_at)
    cost_ms = 1000.0 * min(look_s)
    return [
        Figure(figure="a look at a frame", value=round(cost_ms, 2), unit="ms", bound=10.0),
        Figure(figure="a look ÷ decode of 16 MP", value=round(min(look_s) / min(decode_s), 3), unit=""),
        Figure(figure="memory of a camera", value=round(tally.memory_bytes / 1024, 0), unit="KiB"),
    ]


def _enlarged(shot: Shot) -> bytes:
    pixels = decode(shot.jpeg, "shot")
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((4656, 3496), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def _print(tally: Tally) -> None:
    """Print who was taken for whom."""
    told = ["clear", *_TELLS]
    print("\nlens: true ↓, told →   " + "  ".join(name.rjust(8) for name in told))
    for true in ("clear", *_TELLS):
        print(f"{true:>22} " + "  ".join(str(tally.lens[true, name]).rjust(8) for name in told))
    words = sorted({name for pair in tally.frames for name in pair})
    print("\nframe: true ↓, told →  " + "  ".join(name.rjust(8) for name in words))
    for true in words:
        print(f"{true:>22} " + "  ".join(str(tally.frames[true, name]).rjust(8) for name in words))
    missed: Sequence[tuple[str, int]] = tally.missed.most_common()
    print("\nbad frames taken for good: " + (", ".join(f"{n} {what}" for what, n in missed) or "none") + "\n")
