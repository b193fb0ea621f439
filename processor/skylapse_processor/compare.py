"""Compares the arms of an A/B test: gathers their frames, looks at pairs of them, scores, keeps the result.

Bounded, however long a test ran: of each arm the newest frames are looked at as a film would be (what was
measured at ingest, and the records), and few of them as pictures, one after the other in one thread.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from skylapse_protocol.codec import read
from skylapse_protocol.comparison import Comparison
from skylapse_protocol.identifiers import CameraName
from skylapse_protocol.records import FrameRecord
from skylapse_protocol.snapshot import Arm, Experiment

from . import recipe
from .arm_frame import see
from .clock import Clock
from .comparison import ArmFacts, ArmFrame, FrameFigures, Pair, most_pairs, pairs_of, scores, spread, winner
from .errors import NotFoundError, PictureError, RequestError
from .executor import source_frame
from .frames import SourceFrame
from .ingest import figures_of, read_stored_record
from .recipe import plan as plans
from .recipe.smooth import smooth
from .store.rows import FrameRole, FrameState, Selection, StoredFrame
from .store.store import Store

_log = logging.getLogger(__name__)

MOST_ARMS = 10
MOST_FRAMES = 4000
"""So many frames of all arms together are looked at as films."""
MOST_PICTURES = 240
"""So many of them are decoded."""
_FLICKER_SIGMA_FRAMES = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Taken:
    """An arm and its newest frames that were measured."""

    arm: Arm
    stored: Sequence[StoredFrame]
    """All of its pictures."""
    frames: Sequence[StoredFrame]
    records: Mapping[str, FrameRecord]

    @property
    def named(self) -> list[ArmFrame]:
        """The frames as pairs are made of them."""
        return [ArmFrame(name=str(frame.name), at=frame.name.captured_at) for frame in self.frames]


class Comparer:
    """The room in which A/B tests are compared, one at a time."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._catalogue = store.frames
        self._table = store.comparisons
        self._layout = store.layout
        self._clock = clock
        self._alone = asyncio.Lock()

    async def compare(self, args: Mapping[str, Any]) -> Comparison:
        """Obey `compare`; raise RequestError, ProtocolError or NotFoundError where that cannot be."""
        camera, experiment = _arguments(args)
        async with self._alone:
            comparison = await asyncio.to_thread(self._compare, camera, experiment)
            await asyncio.wrap_future(self._table.put(comparison))
        _log.info("%s: test %s compared, winner %s", camera, experiment.id, comparison.winner or "none")
        return comparison

    def _compare(self, camera: CameraName, experiment: Experiment) -> Comparison:
        if camera not in self._catalogue.cameras():
            raise NotFoundError(f"there is no camera {camera}")
        taken = [self._taken(camera, experiment, arm) for arm in experiment.arms]
        times = [frame.name.captured_at for each in taken for frame in each.stored]
        if not times:
            wanted = ", ".join(arm.test_id for arm in experiment.arms)
            raise NotFoundError(f"{camera} has no stored frame of test {experiment.id} (arms {wanted})")
        there = [each.named for each in taken if each.frames]
        pairs = spread(pairs_of(there), MOST_PICTURES // len(taken))
        facts = [self._facts(each, names) for each, names in _to_look_at(taken, pairs)]
        scored = scores(facts)
        return Comparison(
            id=experiment.id,
            camera=str(camera),
            compared_at=self._clock(),
            started_at=min(times),
            ended_at=max(times),
            arms=scored,
            pairs=spread(pairs, most_pairs(len(taken))) if len(there) == len(taken) else (),
            winner=winner(facts, scored, pairs),
        )

    def _taken(self, camera: CameraName, experiment: Experiment, arm: Arm) -> _Taken:
        wanted = Selection(camera=camera, test_id=arm.test_id, to_at=experiment.ends_at, role=FrameRole.TEST)
        stored = [f for f in self._catalogue.frames(wanted) if f.state != FrameState.BAD]
        measured = [frame for frame in stored if frame.figures is not None]
        newest = measured[-(MOST_FRAMES // len(experiment.arms)) :]
        records = {str(frame.name): read_stored_record(self._layout, frame) for frame in newest}
        known = {name: record for name, record in records.items() if record is not None}
        frames = [frame for frame in newest if str(frame.name) in known]
        return _Taken(arm=arm, stored=stored, frames=frames, records=known)

    def _facts(self, taken: _Taken, to_look_at: frozenset[str]) -> ArmFacts:
        seen = self._in_sequence(taken)
        for frame in taken.frames:
            name = str(frame.name)
            if name in to_look_at:
                seen[name] = self._looked_at(frame, taken.records[name], taken.arm, seen[name])
        return ArmFacts(
            test_id=taken.arm.test_id,
            profile=taken.arm.profile.id,
            frames=len(taken.stored),
            seen=seen,
        )

    def _in_sequence(self, taken: _Taken) -> dict[str, FrameFigures]:
        """Return what only the sequence of frames tells, window by window, as each would be a film."""
        seen: dict[str, FrameFigures] = {}
        for _window, group in groupby(taken.frames, key=lambda frame: (frame.day, frame.window)):
            frames = list(group)
            sources = tuple(
                source_frame(self._layout, frame, taken.records[str(frame.name)]) for frame in frames
            )
            flicker, steps = _left_of_flicker(sources), _colour_steps(frames)
            for number, frame in enumerate(frames):
                seen[str(frame.name)] = FrameFigures(
                    flicker_ev=None if flicker is None else abs(float(flicker[number])),
                    colour_step=steps[number],
                )
        return seen

    def _looked_at(
        self, frame: StoredFrame, record: FrameRecord, arm: Arm, before: FrameFigures
    ) -> FrameFigures:
        """Return the figures with what the picture shows, and without that where it cannot be decoded."""
        try:
            data = self._layout.picture(frame.name, frame.day).read_bytes()
            shown = see(data, str(frame.name), arm.profile, lux=record.lux, tone_curve=record.tone_curve)
        except (PictureError, OSError) as error:
            _log.warning("%s is left out of a comparison: %s", frame.name, error)
            return before
        measured = figures_of(frame)
        return replace(
            shown,
            clipped_low=measured.clipped_low if measured else None,
            clipped_high=measured.clipped_high if measured else None,
            colour_step=before.colour_step,
            flicker_ev=before.flicker_ev,
        )


def _arguments(args: Mapping[str, Any]) -> tuple[CameraName, Experiment]:
    """Return camera and experiment; raise RequestError or ProtocolError naming what does not fit."""
    camera = args.get("camera")
    if not isinstance(camera, str):
        raise RequestError("camera", "is missing: give <bridge>/<camera>")
    experiment = read(Experiment, args.get("experiment"), "compare", "experiment")
    if not 1 <= len(experiment.arms) <= MOST_ARMS:
        raise RequestError("experiment.arms", f"are {len(experiment.arms)}; 1 to {MOST_ARMS} are compared")
    return CameraName.parse(camera), experiment


def _to_look_at(taken: Sequence[_Taken], pairs: Sequence[Pair]) -> list[tuple[_Taken, frozenset[str]]]:
    """Return each arm with the names of the frames that are decoded: those in pairs, else some of its own."""
    places = iter(range(len(taken)))
    chosen = []
    for each in taken:
        names = [(frame.name,) for frame in each.named]
        if names and pairs:
            place = next(places)
            names = [(pair[place],) for pair in pairs]
        chosen.append((each, frozenset(name for (name,) in spread(names, MOST_PICTURES // len(taken)))))
    return chosen


def _left_of_flicker(sources: tuple[SourceFrame, ...]) -> plans.Curve | None:
    """Return what the recipe `clean` would leave of the flicker of each frame, in EV; null for too few."""
    if len(sources) < 3:
        return None
    plan = recipe.cook(plans.make(sources), recipe.steps_of("clean", {}))
    shown = plan.log_mean + plans.brightened_ev(plan, plan.gain_ev)
    left: plans.Curve = shown - smooth(np.arange(len(shown), dtype=np.float64), shown, _FLICKER_SIGMA_FRAMES)
    return left


def _colour_steps(frames: Sequence[StoredFrame]) -> list[float | None]:
    """Return by how much red moved against blue since the frame before, in stops; null for the first."""
    measured = [figures_of(frame) for frame in frames]
    colours = [each.red_ev - each.blue_ev for each in measured if each is not None]
    return [None, *(abs(later - earlier) for earlier, later in pairwise(colours))]
