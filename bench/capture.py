"""Capture: the ramp through twilight beside reactive loops, and what a frame costs in own time.

A row of the first table is a twilight; errors are in stops against the intended curve (`ramp_cases.py`), of
the frames in which the sensor reaches what is wanted. Errors of the loops that stand beside are less their
own middle error.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from skylapse_bridge.camera.port import CaptureSettings
from skylapse_bridge.exposure import ExposureState, limits_of, split, step
from skylapse_bridge.meter import measure
from skylapse_protocol.snapshot import Metering, Profile, Region, WhiteBalance

from .figures import Figure
from .ramp_cases import INTERVAL_S, MATRIX, Case
from .ramp_loops import PEERS
from .ramp_run import Darkening, Field, SteppedClock, follow, photograph, restarted
from .ramp_score import Score, recovery_s, score

PROFILE = Profile(
    id="ramp", name="Ramp", version=1, metering=MATRIX, white_balance=WhiteBalance(mode="fixed", kelvin=5500)
)
FLAT = replace(PROFILE, ev_table=((1.0, 0.0),))
"""What the loops beside aim at: mid grey by day and night."""

_EDGES: tuple[Literal["sunset", "sunrise"], ...] = ("sunset", "sunrise")
_SEASONS: tuple[Literal["summer", "winter"], ...] = ("summer", "winter")
TWILIGHTS = tuple(
    Case(latitude_deg=latitude, season=season, cloudy=cloudy, edge=edge)
    for latitude in (0.0, 45.0, 60.0)
    for season in _SEASONS
    for cloudy in (False, True)
    for edge in _EDGES
)
CLEAR = Case(latitude_deg=45.0, season="winter", cloudy=False, edge="sunset")
CLOUDY = replace(CLEAR, cloudy=True)
LONG = Case(latitude_deg=60.0, season="summer", cloudy=False, edge="sunset")
MODES = {
    "centre": Metering(mode="centre"),
    "spot": Metering(mode="spot"),
    "a region in the sky": Metering(
        mode="regions", regions=(Region(left=0.1, top=0.05, right=0.6, bottom=0.4),)
    ),
    "a region on land": Metering(
        mode="regions", regions=(Region(left=0.1, top=0.5, right=0.6, bottom=0.95),)
    ),
}
DAY = Case(latitude_deg=60.0, season="winter", cloudy=False, edge="sunset", most_frames=160)
"""Forty minutes of a low winter sun, whose light hardly changes."""

_RESTARTS = {
    degrees: next(place for place, at in enumerate(LONG.ticks) if LONG.place.elevation_deg(at) < degrees)
    for degrees in (2, 0, -2)
}
"""Where programs end: by the sun's elevation the place of the tick."""

_ROUNDS = 200
_CPU_BOUND_MS = 5.0


class Row(NamedTuple):
    """One twilight: ours, then the loops beside."""

    case: Case
    ours: Score
    peers: tuple[Score, ...]


def run(work: Path) -> list[Figure]:
    """Measure the ramp and the cost of a frame."""
    del work
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        others = [pool.submit(part) for part in (_trouble, _modes, _restarts, _recovery, _highlights)]
        rows = list(pool.map(_twilight, TWILIGHTS))
        figures = [figure for part in others for figure in part.result()]
    print(_table(rows))
    return [*_each(rows), *_all(rows), *figures, _own_time()]


def _twilight(case: Case) -> Row:
    """Photograph one twilight three times."""
    peers = tuple(score(case, FLAT, follow(case, FLAT, loop()), free_offset=True) for loop in PEERS.values())
    return Row(case, score(case, PROFILE, photograph(case, PROFILE)), peers)


def _each(rows: Iterable[Row]) -> list[Figure]:
    """Return the promised errors of each twilight, beside the better of the loops."""
    figures = []
    for row in rows:
        for what, bound in (("rms", 0.10), ("worst", 0.25)):
            name, peer = min(zip(PEERS, row.peers, strict=True), key=lambda pair: getattr(pair[1], what))
            figures.append(
                Figure(
                    figure=f"{what} error, {row.case.name}",
                    value=round(getattr(row.ours, what), 3),
                    unit="EV",
                    bound=bound,
                    peer=name,
                    peer_value=round(getattr(peer, what), 3),
                )
            )
    return figures


def _all(rows: list[Row]) -> list[Figure]:
    """Return what holds over all twilights, beside each of the loops."""
    clear = [row for row in rows if not row.case.cloudy]
    aims: list[tuple[str, list[Row], Callable[[Score], float], str, float | None]] = [
        ("largest rms error of all twilights", rows, lambda s: s.rms, "EV", 0.10),
        ("largest error of all twilights", rows, lambda s: s.worst, "EV", 0.25),
        ("largest rms error, to the light of the moment", rows, lambda s: s.rms_now, "EV", None),
        ("largest error, to the light of the moment", rows, lambda s: s.worst_now, "EV", None),
        ("largest step of all twilights", rows, lambda s: s.largest_step, "EV", 0.125),
        ("most reversals under a clear sky", clear, lambda s: s.reversals, "turns", 0.0),
    ]
    return [
        Figure(
            figure=name,
            value=round(max(of(row.ours) for row in some), 3),
            unit=unit,
            bound=bound,
            peer=peer,
            peer_value=round(max(of(row.peers[place]) for row in some), 3),
        )
        for name, some, of, unit, bound in aims
        for place, peer in enumerate(PEERS)
    ]


def _trouble() -> list[Figure]:
    """Return the error where the camera drops frames or obeys late.

    The port promises pictures whose exposure begins after the call: what a camera costs that breaks this, and
    whose driver does not wait, is told without a bound.
    """
    dropped = score(CLOUDY, PROFILE, photograph(CLOUDY, PROFILE, drop_share=0.1))
    late = score(CLOUDY, PROFILE, photograph(CLOUDY, PROFILE, latency_frames=3)[3:])
    return [
        *_errors("one frame in ten dropped", dropped),
        *_errors("settings 3 pictures late", late, promised=False),
    ]


def _modes() -> list[Figure]:
    """Return the error of the other ways to meter, each against the light of its own part of the picture.

    The shadow of a cloud passes over a part of the land faster than the pace of the ramp: with clouds, the
    errors are told without a bound.
    """
    figures = []
    for sky in (CLEAR, CLOUDY):
        for name, metering in MODES.items():
            profile = replace(PROFILE, metering=metering)
            case = replace(sky, metering=metering)
            label = f"metering {name}, {'clouds' if sky.cloudy else 'clear'}"
            figures += _errors(
                label, score(case, profile, photograph(case, profile)), promised=not sky.cloudy
            )
    return figures


def _errors(name: str, ours: Score, *, promised: bool = True) -> list[Figure]:
    return [
        Figure(
            figure=f"{what} error, {name}",
            value=round(getattr(ours, what), 3),
            unit="EV",
            bound=bound if promised else None,
        )
        for what, bound in (("rms", 0.10), ("worst", 0.25))
    ]


def _restarts() -> list[Figure]:
    """Return by how much the first frame after a restart differs from that of a program that never ended."""
    aways_s = {"at once": 0.0, "after 5 min": 300.0, "after 2 h": 7200.0}
    whole = {shot.at: shot.asked_ev for shot in photograph(LONG, PROFILE)}
    jumps = []
    for elevation_deg, place in _RESTARTS.items():
        firsts = restarted(LONG, PROFILE, place, list(aways_s.values()))
        jumps += [
            Figure(
                figure=f"restart jump, {name}, begun at {elevation_deg:+d}°",
                value=round(abs(first.asked_ev - whole[first.at]), 4),
                unit="EV",
                bound=0.02,
            )
            for name, first in zip(aways_s, firsts, strict=True)
        ]
    return jumps


def _recovery() -> list[Figure]:
    """Return how long it takes after the light fell by three stops, within a quarter of a stop."""
    change_ev = -3.0
    darkening = Darkening(since=DAY.ticks[40], change_ev=change_ev)
    ours = photograph(DAY, FLAT, darkening=darkening)
    return [
        Figure(
            figure="recovery after 3 stops less light",
            value=recovery_s(DAY, FLAT, ours, change_ev, darkening.since),
            unit="s",
            peer=name,
            peer_value=recovery_s(
                DAY, FLAT, follow(DAY, FLAT, loop(), darkening=darkening), change_ev, darkening.since
            ),
        )
        for name, loop in PEERS.items()
    ]


def _highlights() -> list[Figure]:
    """Return how much is clipped while the sun is in a picture that is wanted brighter, guarded and not.

    The guard may hold back once and let go once.
    """
    case = replace(CLEAR, season="summer")
    clipped, turns = [], []
    for share in (0.02, 1.0):
        profile = replace(PROFILE, ev=1.0, highlight_share=share)
        shots = photograph(case, profile)
        seen = [shot.clipped_share for shot in shots if case.in_view(shot.at)]
        clipped.append(sum(seen) / len(seen))
        turns.append(score(case, profile, shots).reversals)
    peer = "without the guard"
    return [
        Figure(
            figure="clipped while the sun is in view",
            value=round(100 * clipped[0], 2),
            unit="%",
            bound=round(50 * clipped[1], 2),
            peer=peer,
            peer_value=round(100 * clipped[1], 2),
        ),
        Figure(
            figure="reversals by the guard",
            value=turns[0],
            unit="turns",
            bound=2,
            peer=peer,
            peer_value=turns[1],
        ),
    ]


def _own_time() -> Figure:
    """Return what measuring, stepping and splitting cost for a frame."""
    clock = SteppedClock(CLOUDY.ticks[0])
    camera = Field(CLOUDY, clock)
    camera.start()
    limits = limits_of(camera.capabilities(), PROFILE, INTERVAL_S)
    frame = camera.look(CaptureSettings(at=clock.moment))
    state: ExposureState | None = None
    began = time.process_time()
    for number in range(_ROUNDS):
        at = clock.moment + timedelta(seconds=number * INTERVAL_S)
        state = step(state, measure(frame, PROFILE.metering, at), PROFILE, CLOUDY.plan, at, limits)
        split(state.log2_exposure, limits)
    spent_ms = 1000 * (time.process_time() - began) / _ROUNDS
    return Figure(
        figure="own time to meter and decide", value=round(spent_ms, 2), unit="ms", bound=_CPU_BOUND_MS
    )


def _table(rows: Iterable[Row]) -> str:
    """Return all twilights as a table: ours / the first loop / the second."""
    head = f"{'twilight':34}{'frames':>8}{'reached':>8}" + "".join(
        f"{name:>22}" for name in ("rms EV", "worst EV", "largest step EV", "reversals")
    )
    lines = [f"ours / {' / '.join(PEERS)}", head, "─" * len(head)]
    for row in rows:
        columns = []
        for name, width in (("rms", 3), ("worst", 3), ("largest_step", 3), ("reversals", 0)):
            values = (f"{getattr(one, name):.{width}f}" for one in (row.ours, *row.peers))
            columns.append(f"{' / '.join(values):>22}")
        lines.append(f"{row.case.name:34}{row.ours.frames:8}{row.ours.counted:8}{''.join(columns)}")
    return "\n".join([*lines, ""])
