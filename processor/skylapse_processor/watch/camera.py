"""The watch over one camera: a picture's figures and facts in, a verdict and the state of the lens out.

Pictures come in the order of their capture; one that comes late is good unless it is blank: what is known is
of other light and perhaps of another view, so it is held to none of it, and it teaches nothing. Only good
pictures teach. The lens's baseline learns from clear pictures alone; where nothing was clear for `_ADOPTED`
(snow came to stay, the camera was turned on purpose), what is seen is how things are now, and the watch
begins anew.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from .aim import blended, likeness
from .baseline import Baseline, Expected
from .facts import Facts
from .family import Member, Run, compare, figures_of
from .glance import Glance
from .lens import EVERY, LOWEST_DEG, OBSTRUCTING, Fault, Lens, evidence_of, is_torn, step
from .tiles import Plane, Tiles
from .verdict import GOOD, Verdict, blank

_ADOPTED = timedelta(days=10)
_KNOWN_BY = 20
"""Pictures after which the reference is one."""
_AHEAD = timedelta(days=7)
"""A picture that claims to be so much newer than one that comes after it was taken by a wrong clock."""
_RECENT = 3
"""How many pictures "just before" are."""

LensState = Literal["clear", "obstructed", "unknown"]


@dataclass(kw_only=True, slots=True)
class Watch:
    """What is remembered of one camera, at one size of its pictures."""

    family: Baseline = field(default_factory=Baseline)
    tiles: Baseline = field(default_factory=Baseline)
    reference: Plane | None = None
    """What its static texture looks like, as `Tiles.sketch`."""
    sketches: int = 0
    """How many pictures the reference is made of."""
    likeness: float = 0.0
    """How like the reference clear pictures are, on the mean."""
    recent: Plane | None = None
    """The mean of the last sketches, clear or not."""
    lens: Lens = field(default_factory=Lens)
    looked_at: datetime | None = None
    """When the lens was judged last."""
    clear_at: datetime | None = None
    """When the lens's baseline learnt last."""
    seen_at: datetime | None = None
    digest: str = ""
    elevation_deg: float | None = None
    rising: bool = False
    before: Member | None = None
    run: Run | None = None

    @property
    def lens_state(self) -> LensState:
        """What stands between the camera and its view; fog, focus and aim do not."""
        if not self.lens.known:
            return "unknown"
        return "obstructed" if OBSTRUCTING.intersection(self.lens.faults) else "clear"

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with the view, the surest first."""
        return self.lens.faults

    def see(self, seen: Glance, facts: Facts) -> Verdict:
        """Judge a picture, and learn from it."""
        at = facts.captured_at
        if self.seen_at is not None and self.seen_at - at > _AHEAD:
            self._set_back(at)
        late = self.seen_at is not None and at <= self.seen_at
        if (why := blank(seen, facts)) is not None:
            return Verdict(kind="blank", reason=why)
        if late:
            return GOOD
        frozen = seen.digest == self.digest
        self._note(seen, facts)
        if frozen:
            return Verdict(kind="frozen", reason="the picture is the one before it once more")
        if facts.elevation_deg is None:
            return GOOD
        verdict = self._judge(seen, facts, facts.elevation_deg)
        if verdict.kind == "good":
            self._learn(seen, facts, facts.elevation_deg)
        return verdict

    def _set_back(self, at: datetime) -> None:
        """Take back what a clock that was ahead has said: else all that follows would come late for good."""
        self.seen_at = self.looked_at = self.clear_at = self.before = self.run = None
        self.lens = replace(self.lens, last=tuple(each for each in self.lens.last if each.at <= at))
        self.family.set_back(at)
        self.tiles.set_back(at)

    def _note(self, seen: Glance, facts: Facts) -> None:
        self.seen_at, self.digest = facts.captured_at, seen.digest
        if facts.elevation_deg is not None:
            if self.elevation_deg is not None and facts.elevation_deg != self.elevation_deg:
                self.rising = facts.elevation_deg > self.elevation_deg
            self.elevation_deg = facts.elevation_deg

    def _judge(self, seen: Glance, facts: Facts, elevation_deg: float) -> Verdict:
        at = facts.captured_at
        family = self.family.expect(elevation_deg, at, rising=self.rising)
        if family is None:
            return GOOD
        tiles = self._expected(elevation_deg, at)
        torn = (
            tiles is not None
            and seen.tiles is not None
            and self.reference is not None
            and self.sketches >= _KNOWN_BY
            and is_torn(seen.tiles, tiles, self.reference, self.likeness)
        )
        oddness = compare(seen, facts, family, tiles, self.before, torn=torn)
        if oddness.reason is not None:
            self.run = Run(
                since=self.run.since if self.run else at, frames=self.run.frames + 1 if self.run else 1
            )
            if not self.run.is_how_things_are(at):
                return Verdict(kind="odd", reason=oddness.reason)
            self.family = Baseline()  # else each window to come would lose its beginning until the bins know
            oddness = replace(oddness, residual=np.zeros_like(oddness.residual))
        self.run = None
        self.before = Member(at=at, residual=oddness.residual, covered=oddness.covered, torn=oddness.torn)
        return GOOD

    def _learn(self, seen: Glance, facts: Facts, elevation_deg: float) -> None:
        at = facts.captured_at
        self.family.learn(figures_of(seen, facts), elevation_deg, at, rising=self.rising)
        due = self.looked_at is None or at - self.looked_at >= EVERY
        if seen.tiles is not None and due and elevation_deg >= LOWEST_DEG:
            self._look(seen.tiles, elevation_deg, at)

    def _look(self, tiles: Tiles, elevation_deg: float, at: datetime) -> None:
        """See what stands before the lens."""
        self.looked_at = at
        if self.clear_at is not None and at - self.clear_at > _ADOPTED:
            self.tiles, self.reference, self.sketches, self.lens = Baseline(), None, 0, Lens()
        expected = self._expected(elevation_deg, at)
        if expected is not None:
            evidence = evidence_of(tiles, expected, self.reference, self.recent, at)
            if evidence is not None:
                self.lens = step(self.lens, evidence)
        self.recent = blended(self.recent, _RECENT, tiles.sketch, _RECENT)
        if self.lens.seems_clear:
            self.tiles.learn(tiles.figures, elevation_deg, at, rising=self.rising)
            if self.reference is not None:
                like = likeness(self.reference, tiles.sketch)
                self.likeness += (like - self.likeness) / min(self.sketches, _KNOWN_BY)
            self.reference = blended(self.reference, self.sketches, tiles.sketch)
            self.sketches += 1
            self.clear_at = at

    def _expected(self, elevation_deg: float, at: datetime) -> Expected | None:
        if elevation_deg < LOWEST_DEG:
            return None
        return self.tiles.expect(elevation_deg, at, rising=self.rising)
