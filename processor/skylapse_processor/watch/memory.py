"""The watch over a camera as bytes and back: what a restart must not forget.

A zip of NumPy arrays in half precision, and a head in JSON: about 150 KB where all bins are known. A head of
another version, or bytes that are none of this, are nothing remembered: the watch learns anew in two days.
"""

import io
import json
import zipfile
import zlib
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .baseline import Baseline, Known
from .camera import Watch
from .family import Member, Run
from .lens import Evidence, Lens

VERSION = 2
"""Of the layout and of what the figures mean: whoever changes either counts it up."""

_DAMAGED = (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, zipfile.BadZipFile, zlib.error)

Arrays = dict[str, NDArray[Any]]


def dump(watch: Watch) -> bytes:
    """Return a watch as bytes."""
    arrays: Arrays = {}
    head = {
        "version": VERSION,
        "family": _write_baseline(watch.family, "family", arrays),
        "tiles": _write_baseline(watch.tiles, "tiles", arrays),
        "sketches": watch.sketches,
        "likeness": watch.likeness,
        "lens": _write_lens(watch.lens, arrays),
        "looked_at": _time(watch.looked_at),
        "clear_at": _time(watch.clear_at),
        "seen_at": _time(watch.seen_at),
        "digest": watch.digest,
        "elevation_deg": watch.elevation_deg,
        "rising": watch.rising,
        "run": watch.run and [_time(watch.run.since), watch.run.frames],
        "before": watch.before and [_time(watch.before.at), watch.before.covered, watch.before.torn],
    }
    for name, plane in (("reference", watch.reference), ("recent", watch.recent)):
        if plane is not None:
            arrays[name] = plane.astype(np.float16)
    if watch.before is not None:
        arrays["residual"] = watch.before.residual.astype(np.float32)
    buffer = io.BytesIO()
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def load(data: bytes) -> Watch | None:
    """Return the watch in these bytes; None where there is none that this release understands."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        head = json.loads(arrays["head"].tobytes())
        return _read(head, arrays) if head["version"] == VERSION else None
    except _DAMAGED:
        return None


def _read(head: dict[str, Any], arrays: Arrays) -> Watch:
    run, before = head["run"], head["before"]
    return Watch(
        family=_read_baseline(head["family"], "family", arrays),
        tiles=_read_baseline(head["tiles"], "tiles", arrays),
        reference=_plane(arrays, "reference"),
        recent=_plane(arrays, "recent"),
        sketches=head["sketches"],
        likeness=head["likeness"],
        lens=_read_lens(head["lens"], arrays),
        looked_at=_moment(head["looked_at"]),
        clear_at=_moment(head["clear_at"]),
        seen_at=_moment(head["seen_at"]),
        digest=head["digest"],
        elevation_deg=head["elevation_deg"],
        rising=head["rising"],
        run=run and Run(since=datetime.fromisoformat(run[0]), frames=run[1]),
        before=before
        and Member(
            at=datetime.fromisoformat(before[0]),
            residual=arrays["residual"],
            covered=before[1],
            torn=before[2],
        ),
    )


def _write_baseline(baseline: Baseline, name: str, arrays: Arrays) -> dict[str, Any]:
    places = sorted(baseline.bins)
    for place in places:
        known = baseline.bins[place]
        stacked = np.stack([known.middle, known.spread]).astype(np.float16)
        arrays[f"{name}-{place[0]}-{int(place[1])}"] = stacked
    bins = [
        [*place, known.count, _time(known.last_at), known.day_count, known.days]
        for place, known in ((place, baseline.bins[place]) for place in places)
    ]
    return {"days": baseline.days, "bins": bins}


def _read_baseline(head: dict[str, Any], name: str, arrays: Arrays) -> Baseline:
    bins = {}
    for number, rising, count, last_at, day_count, days in head["bins"]:
        middle, spread = arrays[f"{name}-{number}-{int(rising)}"].astype(np.float32)
        bins[number, rising] = Known(
            count=count,
            last_at=datetime.fromisoformat(last_at),
            day_count=day_count,
            days=days,
            middle=middle,
            spread=spread,
        )
    return Baseline(bins=bins, days=list(head["days"]))


def _write_lens(lens: Lens, arrays: Arrays) -> dict[str, Any]:
    if lens.last:
        arrays["odd"] = np.stack([evidence.odd for evidence in lens.last])
    arrays["spots"] = lens.spots
    return {
        "last": [[_time(evidence.at), evidence.whole, evidence.shift] for evidence in lens.last],
        "active": sorted(lens.active),
        "known": lens.known,
    }


def _read_lens(head: dict[str, Any], arrays: Arrays) -> Lens:
    last = tuple(
        Evidence(
            at=datetime.fromisoformat(at), whole=whole, odd=arrays["odd"][place], shift=shift and (*shift,)
        )
        for place, (at, whole, shift) in enumerate(head["last"])
    )
    return Lens(last=last, active=frozenset(head["active"]), spots=arrays["spots"], known=bool(head["known"]))


def _plane(arrays: Arrays, name: str) -> NDArray[np.float32] | None:
    return arrays[name].astype(np.float32) if name in arrays else None


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
