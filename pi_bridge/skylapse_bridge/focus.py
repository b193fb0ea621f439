"""Focus: where a lens sees infinity, and when that can no longer be trusted. Pure.

Theory. A lens that is off by d dioptres draws every point as a disc whose size grows with |d|; the mean
square of a picture's second differences (`camera/sharpness.py`) then falls away on both sides of the best
place like a bell. A bell is a parabola once its logarithm is taken, so three points round the top are enough
for its vertex, and more of them average out noise. Landscapes lie at infinity, and infinity is not 0 dioptres
on real modules: it differs from lens to lens, and wanders with temperature, since lens holders are plastic.
So infinity is looked for by daylight, kept with the temperature of that moment, and moved in proportion to
temperature as soon as two sweeps at temperatures far enough apart tell by how much.

How to use it. A sweep is a value: `Sweep().next(span)` says at which dioptre to look next; look there with
`Camera.focus_figure`, and go on with `sweep.seen(dioptre, figure)` until `next` answers `Found` or `Failed`:

    sweep = Sweep()
    while isinstance(step := sweep.next(Span(nearest_dioptre=info.max_dioptre)), float):
        measured = camera.focus_figure(settings with focus_dioptre=step)
        sweep = sweep.seen(measured.dioptre, measured.figure)

A `Found` becomes a `Find` with the moment and the temperature; `remember(finds, find)` says which finds to
keep on disk; `infinity_at(finds, temperature_c)` is where to put the lens. By day, every ten minutes or so,
measure `Seen` at that focus, with `focus_figure` again, so that it compares with the sweep; keep those of the
last hour, and ask `drifted(seen, finds, temperature_c=…, alarmed=…)`: a reason, or None. `alarmed` is whether
there was a reason before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log
from statistics import fmean, median

COARSE_STEPS = 12
"""The whole range is looked over in so many steps first."""

FINEST_DIOPTRE = 0.07
"""Steps are divided by four until they are this small: a third of the depth of focus of an f/1.8 module."""

FLAT = 1.25
"""A curve whose best figure is less than so many times its median shows no focus at all."""

FIT_STEPS = 3.5
"""The parabola is fitted to points within so many of the finest steps from the best one."""

COMPENSATED_C = 5.0
"""Sweeps so far apart in temperature tell how infinity moves with it."""

SAME_C = 2.5
"""A new sweep replaces older ones at temperatures this near."""

BEYOND_C = 10.0
"""Compensation is trusted so far outside the temperatures of the sweeps, and stays constant beyond."""

MOST_FINDS = 8

DAYLIGHT_LUX = 2000.0
"""Below, noise and long shadows decide how sharp a picture looks, not the lens."""

WINDOW = timedelta(minutes=45)
"""Drift is told from the median of the figures of so long."""

FEWEST_SEEN = 4

BLURRED = 0.45
"""The alarm rises below this share of the figure at the sweep…"""

SHARP_AGAIN = 0.60
"""…and ends above this one."""

FAR_C = 15.0
"""The alarm rises so far from the temperature of every sweep, unless two of them allow compensation…"""

NEAR_AGAIN_C = 12.0
"""…and ends here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """The lens's range, in dioptres."""

    nearest_dioptre: float
    farthest_dioptre: float = 0.0


@dataclass(frozen=True, slots=True)
class Point:
    """One look during a sweep."""

    dioptre: float
    figure: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The end of a sweep that found infinity."""

    dioptre: float
    figure: float
    """Sharpness at the best point that was really seen."""
    curve: tuple[Point, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """The end of a sweep that found nothing."""

    reason: str
    curve: tuple[Point, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """A sweep through the lens's range: the points seen so far, in the order in which they were seen."""

    points: tuple[Point, ...] = ()

    def seen(self, dioptre: float, figure: float) -> "Sweep":
        """Return the sweep with one more point: where the lens really stood, and how sharp it was."""
        return Sweep(points=(*self.points, Point(dioptre, figure)))

    def next(self, span: Span) -> float | Found | Failed:
        """Return the dioptre to look at next, or how the sweep ended.

        First the whole range, then ever finer around the best point, at most 25 looks. Every dioptre is asked
        for from the far end to the near one within a round, so that the gears of a lens are pushed one way.
        """
        asked = len(self.points)
        step = (span.nearest_dioptre - span.farthest_dioptre) / COARSE_STEPS
        rounds = [span.farthest_dioptre + step * number for number in range(COARSE_STEPS + 1)]
        while asked >= len(rounds):
            if flat := self._flat():
                return flat
            if step <= FINEST_DIOPTRE:
                return self._ended(span, step)
            step /= 4.0
            rounds += _around(_best(self.points[: len(rounds)]).dioptre, step, span)
        return rounds[asked]

    def _flat(self) -> Failed | None:
        """Return the failure of a curve that has no top."""
        figures = [point.figure for point in self.points]
        if max(figures) > FLAT * median(figures[: COARSE_STEPS + 1]):
            return None
        return Failed(
            reason="no focus is sharper than the others: too dark, fog, or nothing to see",
            curve=_sorted(self.points),
        )

    def _ended(self, span: Span, step: float) -> Found | Failed:
        """Return the vertex of the parabola through the points round the best one."""
        best, curve = _best(self.points), _sorted(self.points)
        if best.dioptre in (curve[0].dioptre, curve[-1].dioptre):
            end = "far" if best.dioptre == curve[0].dioptre else "near"
            return Failed(
                reason=f"the sharpest picture is at the {end} end of the lens's range, at "
                f"{best.dioptre:g} dioptres: infinity may lie beyond it",
                curve=curve,
            )
        near = [point for point in curve if abs(point.dioptre - best.dioptre) <= FIT_STEPS * step]
        vertex = _vertex(near, best.dioptre)
        if vertex is None:
            return Failed(
                reason="the sharpest points show no top: the light or the scene changed", curve=curve
            )
        vertex = min(max(vertex, best.dioptre - step), best.dioptre + step)
        return Found(
            dioptre=min(max(vertex, span.farthest_dioptre), span.nearest_dioptre),
            figure=best.figure,
            curve=curve,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Find:
    """One infinity that was found, as it is kept."""

    at: datetime
    dioptre: float
    figure: float
    temperature_c: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """How sharp a production frame was, focused at infinity."""

    at: datetime
    figure: float
    lux: float


def remember(finds: Sequence[Find], find: Find) -> tuple[Find, ...]:
    """Return the finds to keep, the newest last: one for each temperature, at most `MOST_FINDS`."""
    others = [other for other in finds if not _same_temperature(other, find)]
    return (*others[1 - MOST_FINDS :], find)


def infinity_at(finds: Sequence[Find], temperature_c: float | None) -> float | None:
    """Return where infinity lies at this temperature of the sensor, None where it was never found.

    The newest find is taken as it is, unless two of them lie `COMPENSATED_C` apart: then infinity moves along
    the straight line that fits all finds best, shifted so that it goes through the newest.
    """
    if not finds:
        return None
    newest = finds[-1]
    slope = _dioptres_per_c(finds)
    if slope is None or temperature_c is None or newest.temperature_c is None:
        return newest.dioptre
    known = [find.temperature_c for find in finds if find.temperature_c is not None]
    within = min(max(temperature_c, min(known) - BEYOND_C), max(known) + BEYOND_C)
    return max(newest.dioptre + slope * (within - newest.temperature_c), 0.0)


def drifted(
    seen: Sequence[Seen], finds: Sequence[Find], *, temperature_c: float | None = None, alarmed: bool = False
) -> str | None:
    """Return why the stored infinity can no longer be trusted, or None.

    `seen` are figures since the sweep, oldest first, by night too: those in the dark, those before the sweep
    and those older than `WINDOW` are left aside. `alarmed` says whether there was a reason before: it takes
    a clear improvement to end an alarm.
    """
    if not finds:
        return None
    return _less_sharp(seen, finds[-1], alarmed=alarmed) or _far_off(finds, temperature_c, alarmed=alarmed)


def _less_sharp(seen: Sequence[Seen], find: Find, *, alarmed: bool) -> str | None:
    """Compare the median of the last figures by day with the figure at the sweep."""
    latest = seen[-1].at if seen else find.at
    recent = [
        one.figure
        for one in seen
        if one.lux >= DAYLIGHT_LUX and one.at >= find.at and latest - one.at <= WINDOW
    ]
    if len(recent) < FEWEST_SEEN or find.figure <= 0.0:
        return None
    share = median(recent) / find.figure
    if share >= (SHARP_AGAIN if alarmed else BLURRED):
        return None
    return (
        f"pictures are {share:.0%} as sharp as when the focus was found: "
        "it has drifted, or there is fog or water on the lens"
    )


def _far_off(finds: Sequence[Find], temperature_c: float | None, *, alarmed: bool) -> str | None:
    """Compare the temperature with that of every sweep."""
    known = [find.temperature_c for find in finds if find.temperature_c is not None]
    if temperature_c is None or not known:
        return None
    distance = min(abs(temperature_c - other) for other in known)
    allowed = NEAR_AGAIN_C if alarmed else FAR_C
    if _dioptres_per_c(finds) is not None:
        allowed += BEYOND_C
    if distance <= allowed:
        return None
    return f"the sensor is at {temperature_c:.0f} °C, {distance:.0f} °C away from every sweep"


def _same_temperature(one: Find, other: Find) -> bool:
    """Tell whether two finds say the same: temperatures that are near, or none at all."""
    if one.temperature_c is None or other.temperature_c is None:
        return one.temperature_c is other.temperature_c
    return abs(one.temperature_c - other.temperature_c) <= SAME_C


def _dioptres_per_c(finds: Sequence[Find]) -> float | None:
    """Return how infinity moves with temperature: the slope of the straight line, by least squares."""
    pairs = [(find.temperature_c, find.dioptre) for find in finds if find.temperature_c is not None]
    temperatures = [temperature for temperature, _ in pairs]
    if len(pairs) < 2 or max(temperatures) - min(temperatures) < COMPENSATED_C:
        return None
    middle, level = fmean(temperatures), fmean(dioptre for _, dioptre in pairs)
    spread = sum((temperature - middle) ** 2 for temperature in temperatures)
    return sum((temperature - middle) * (dioptre - level) for temperature, dioptre in pairs) / spread


def _best(points: Sequence[Point]) -> Point:
    """Return the sharpest point."""
    return max(points, key=lambda point: point.figure)


def _sorted(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the curve from far to near."""
    return tuple(sorted(points, key=lambda point: point.dioptre))


def _around(middle: float, step: float, span: Span) -> list[float]:
    """Return the places between the neighbours of the best point, a step apart, within the range."""
    places = (middle + step * number for number in (-3, -2, -1, 1, 2, 3))
    inside = [place for place in places if span.farthest_dioptre <= place <= span.nearest_dioptre]
    return inside or [middle]


def _vertex(points: Sequence[Point], origin: float) -> float | None:
    """Return the top of the parabola that fits the logarithms of the figures best, None where it has none.

    Least squares over x = dioptre − origin: the three normal equations, solved by Cramer's rule.
    """
    rows = [(point.dioptre - origin, log(max(point.figure, 1e-12))) for point in points]
    s0, s1, s2, s3, s4 = (sum(x**power for x, _ in rows) for power in range(5))
    t0, t1, t2 = (sum(y * x**power for x, y in rows) for power in range(3))
    whole = s4 * (s2 * s0 - s1 * s1) - s3 * (s3 * s0 - s1 * s2) + s2 * (s3 * s1 - s2 * s2)
    if whole <= 0.0:
        return None
    bend = (t2 * (s2 * s0 - s1 * s1) - s3 * (t1 * s0 - t0 * s1) + s2 * (t1 * s1 - t0 * s2)) / whole
    tilt = (s4 * (t1 * s0 - t0 * s1) - t2 * (s3 * s0 - s1 * s2) + s2 * (s3 * t0 - s2 * t1)) / whole
    return origin - tilt / (2.0 * bend) if bend < 0.0 else None
