"""Select: which frames a film is made of.

What can be asked for together, in the order in which it is done:

- `start`, `end`: a span, by clock time (`06:30`, of every day; a span may go over midnight) or by share of
  the frames (`25%`); `zone` names the time zone of clock times, empty is the machine's own.
- `light`: one frame a day at the same height of the sun, the nearest to `sun_deg` and at most `within_deg`
  away from it, while the sun is `rising` or `setting`; at `noon` the sun's highest. For a film of a season:
  what differs from frame to frame is the year, not the hour.
- `worst`: this share of the frames is left out, those that are the least sharp beside their neighbours: a
  passer-by out of focus, a blow of the wind, a drop. Sharpness is the variance of the Laplacian, and only its
  ratio to the median of seven neighbours on each side counts, since a foggy morning is no fault.
- `clipped`: frames of which a larger share is blown out are left out.
- `every`: every n-th of what is left.
- `frames`: at most so many, evenly chosen.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import groupby
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from skylapse_processor.errors import RequestError
from skylapse_processor.frames import SourceFrame

from .plan import Plan, pick

LIGHTS = ("any", "rising", "setting", "noon")
_NEIGHBOURS = 7
_NO_SUN = "no picture says how high the sun stood: records do (sun_elevation_deg), EXIF does not"
_MARK = re.compile(r"(?:([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?|(\d{1,3}(?:\.\d+)?)%)?\Z")

Keep = NDArray[np.intp]
"""Numbers of frames, ascending."""


def select(  # noqa: PLR0913 one argument a parameter
    plan: Plan,
    *,
    start: str = "",
    end: str = "",
    zone: str = "",
    light: str = "any",
    sun_deg: float = 10.0,
    within_deg: float = 2.0,
    worst: float = 0.0,
    clipped: float = 1.0,
    every: float = 1,
    frames: float = 0,
) -> Plan:
    """Return the plan with the frames that were asked for; raise RequestError where none is left."""
    keep = np.arange(len(plan.frames))
    if not len(keep):
        return plan
    if start or end:
        keep = keep[_in_span(plan.frames, start, end, zone)]
        if not len(keep):
            why = _why_no_span(plan.frames, start, end, zone)
            raise RequestError(f"parameters.select.{'start' if start else 'end'}", why)
    if light != "any":
        chosen = [plan.frames[number] for number in keep]
        if any(each.captured_at for each in chosen) and all(_elevation(each) is None for each in chosen):
            raise RequestError("parameters.select.light", _NO_SUN)
        keep = keep[_same_light(chosen, light, sun_deg, within_deg, zone)]
        _left(keep, "light", _why_no_light(chosen, light, sun_deg, within_deg))
    if clipped < 1.0:
        keep = _left(keep[_not_clipped(plan, keep, clipped)], "clipped", "every frame is clipped more")
    if worst > 0.0:
        keep = keep[_sharpest(_sharpness(plan, keep), worst)]
    keep = keep[:: max(1, round(every))]
    if 0 < frames < len(keep):
        keep = keep[np.round(np.linspace(0, len(keep) - 1, round(frames))).astype(np.intp)]
    return pick(plan, keep)


def needs_quality(parameters: Mapping[str, object]) -> bool:
    """Say whether these parameters of the step go by figures that only a look at each picture gives."""
    worst, clipped = parameters.get("worst", 0.0), parameters.get("clipped", 1.0)
    return worst != 0.0 or clipped != 1.0


def why_no_mark(text: str) -> str | None:
    """Return why a text is no end of a span; null where it is one."""
    return None if _MARK.match(text) else "is neither a clock time (06:30) nor a share of the frames (25%)"


def why_no_zone(text: str) -> str | None:
    """Return why a text names no time zone; null where it does."""
    try:
        zone_of(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "is no time zone known here, such as Europe/Zurich"
    return None


def zone_of(text: str) -> tzinfo | None:
    """Return a time zone by its name; null, the machine's own, where it is empty."""
    return (UTC if text == "UTC" else ZoneInfo(text)) if text else None


def _left(keep: Keep, parameter: str, why: str) -> Keep:
    if not len(keep):
        raise RequestError(f"parameters.select.{parameter}", why)
    return keep


def _in_span(frames: Sequence[SourceFrame], start: str, end: str, zone: str) -> NDArray[np.bool_]:
    """Return which frames lie in the span; its first end belongs to it, its last does not."""
    count = len(frames)
    inside = np.ones(count, dtype=np.bool_)
    shares = [float(mark[:-1]) / 100 if mark.endswith("%") else None for mark in (start, end)]
    place = np.arange(count) / count
    if shares[0] is not None:
        inside &= place >= shares[0]
    if shares[1] is not None:
        inside &= place < shares[1]
    first, last = (_seconds(mark) if mark and not mark.endswith("%") else None for mark in (start, end))
    if first is None and last is None:
        return inside
    clock = np.array([_clock_s(at) for at in _local(frames, zone, "start" if start else "end")])
    first, last = first or 0.0, 86_400.0 if last is None else last
    within = (clock >= first) & (clock < last) if first <= last else (clock >= first) | (clock < last)
    return inside & within


def _seconds(mark: str) -> float:
    match = _MARK.match(mark)
    hours, minutes, seconds = (int(part or 0) for part in (match.groups()[:3] if match else (0, 0, 0)))
    return 3600.0 * hours + 60.0 * minutes + seconds


def _clock_s(at: datetime) -> float:
    return 3600 * at.hour + 60 * at.minute + at.second + at.microsecond / 1e6


def _local(frames: Sequence[SourceFrame], zone: str, parameter: str) -> list[datetime]:
    """Return when frames were taken by a clock on the wall; raise RequestError where one has no time."""
    taken = [frame.captured_at.astimezone(zone_of(zone)) for frame in frames if frame.captured_at]
    without = len(frames) - len(taken)
    if without:
        has = "has" if without == 1 else "have"
        some = f": {without} of {len(frames)} {has} none" if taken else ""
        raise RequestError(f"parameters.select.{parameter}", f"needs pictures with capture times{some}")
    return taken


def _why_no_span(frames: Sequence[SourceFrame], start: str, end: str, zone: str) -> str:
    """Return why no frame lies in a span; where it is one by the clock, by which, and when frames lie."""
    why = "there is no frame in this span"
    if all(not mark or mark.endswith("%") for mark in (start, end)):
        return why
    taken = sorted(_local(frames, zone, "start"))
    clock = zone or f"{taken[0].tzname()}, the time zone of this machine"
    return (
        f"{why}: the pictures were taken from {taken[0]:%Y-%m-%d %H:%M} to {taken[-1]:%Y-%m-%d %H:%M} by the "
        f"clock of {clock} (select.zone names another)"
    )


def _same_light(
    frames: Sequence[SourceFrame], light: str, sun_deg: float, within_deg: float, zone: str
) -> list[int]:
    """Return one frame of each day on which the sun came near enough to this height.

    A day whose frames begin after noon, or end before it, has no noon, where other days have one.
    """
    kept: list[int] = []
    cut: list[int] = []
    taken = _local(frames, zone, "light")
    days = groupby(range(len(frames)), key=lambda number: taken[number].date())
    for _, numbers in days:
        known = [number for number in numbers if _elevation(frames[number]) is not None]
        sun = np.array([_elevation(frames[number]) for number in known], dtype=np.float64)
        if not known:
            continue
        highest = int(sun.argmax())
        if light == "noon":
            (kept if 0 < highest < len(known) - 1 else cut).append(known[highest])
            continue
        half = slice(0, highest + 1) if light == "rising" else slice(highest, None)
        away = np.abs(sun[half] - sun_deg)
        if away.min() <= within_deg:
            kept.append(known[half][int(away.argmin())])
    return kept or cut


def _why_no_light(frames: Sequence[SourceFrame], light: str, sun_deg: float, within_deg: float) -> str:
    """Return why no day has a frame at a height of the sun, and what to do about it."""
    known = [sun for sun in map(_elevation, frames) if sun is not None]
    return (
        f"no frame was taken within {within_deg:g}° of {sun_deg:g}° with the sun {light}: it stood at "
        f"{min(known):.1f}° to {max(known):.1f}° (change select.sun_deg or select.within_deg)"
    )


def _elevation(frame: SourceFrame) -> float | None:
    return frame.facts.sun_elevation_deg if frame.facts else None


def _not_clipped(plan: Plan, keep: Keep, most: float) -> NDArray[np.bool_]:
    seen = [plan.frames[number].measured for number in keep]
    return np.array([each is None or each.clipped_high <= most for each in seen])


def _sharpness(plan: Plan, keep: Keep) -> NDArray[np.float64]:
    """Return the sharpness of each frame; NaN where nobody measured it."""
    seen = [plan.frames[number].measured for number in keep]
    return np.array([np.nan if each is None else max(each.sharpness, 1e-6) for each in seen])


def _sharpest(sharpness: NDArray[np.float64], worst: float) -> Keep:
    """Return which frames are left when this share of them, the least sharp beside their neighbours, goes."""
    logs = np.log(sharpness)
    count = len(logs)
    padded = np.pad(logs, _NEIGHBOURS, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEIGHBOURS + 1)
    usual = np.array([np.median(row[np.isfinite(row)]) if np.isfinite(row).any() else 0.0 for row in windows])
    beside = np.where(np.isfinite(logs), logs - usual, 0.0)
    gone = np.argsort(beside, kind="stable")[: min(round(worst * count), count - 1)]
    left: Keep = np.setdiff1d(np.arange(count), gone)
    return left
