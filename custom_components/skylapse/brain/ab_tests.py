"""A/B tests: arms made of profiles and changes, kept with their results.

A test is compiled once, when it starts: whoever changes a profile meanwhile does not change what is compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from ..protocol.codec import read, write
from ..protocol.comparison import Comparison
from ..protocol.errors import ProtocolError
from ..protocol.messages import CameraInfo
from ..protocol.snapshot import Arm, Experiment, Profile
from .compiling import Specs, compile_profile
from .errors import AbTestError, ProfileError
from .seasons import Season

FEWEST_ARMS, MOST_ARMS = 2, 6
KEPT_TESTS = 50
"""Tests that are over are kept up to this number."""

SHORTEST, USUAL, LONGEST = timedelta(minutes=1), timedelta(hours=2), timedelta(days=14)
"""How long a test may run; bridges forget it by themselves when its time is over."""

LETTERS = "abcdef"
"""What an arm's frames carry behind the id of the test."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AbTest:
    """One test of one camera."""

    camera: str
    """`<bridge>/<camera>`"""
    name: str
    experiment: Experiment
    """As it stood in the snapshot; its end is on the bridge's clock."""
    started_at: datetime
    """Real time, as the two below."""
    ends_at: datetime
    ended_at: datetime | None = None
    changes: tuple[dict[str, Any], ...] = ()
    """What was changed of each arm's profile, as JSON values."""
    comparison: Comparison | None = None
    failure: str | None = None
    """Why there is no comparison yet."""

    @property
    def id(self) -> str:
        """Id of the experiment, which no two tests share."""
        return self.experiment.id

    @property
    def arms(self) -> list[tuple[Arm, dict[str, Any]]]:
        """Arms, each with what was changed of its profile."""
        changes = self.changes or ({},) * len(self.experiment.arms)
        return list(zip(self.experiment.arms, changes, strict=False))

    @property
    def state(self) -> str:
        """What the test is at: running, ended or compared."""
        if self.comparison is not None:
            return "compared"
        return "running" if self.ended_at is None else "ended"

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Self:
        """Read what `write` returned; raise ProtocolError for what does not fit."""
        return read(cls, kept, "ab_test")

    def write(self) -> dict[str, Any]:
        """Return the test as JSON values."""
        return dict(write(self))


class Shelf:
    """Tests in the order of their start; those that are over leave when there are too many."""

    def __init__(self, tests: Iterable[AbTest] = ()) -> None:
        """Start with these."""
        self._tests = {test.id: test for test in tests}

    @property
    def tests(self) -> list[AbTest]:
        """All tests, latest first."""
        return list(reversed(self._tests.values()))

    def __getitem__(self, test_id: str) -> AbTest:
        return self._tests[test_id]

    def get(self, test_id: str) -> AbTest | None:
        """Return a test by its id."""
        return self._tests.get(test_id)

    def running(self, camera: str) -> AbTest | None:
        """Return the test that a camera runs."""
        return next((test for test in self.tests if test.camera == camera and test.ended_at is None), None)

    def experiments(self, camera: str) -> tuple[Experiment, ...]:
        """Return what a camera's snapshot is to hold."""
        test = self.running(camera)
        return () if test is None else (test.experiment,)

    def put(self, test: AbTest) -> None:
        """Take in a new test; raise AbTestError where its id is taken or its camera runs another one."""
        if test.id in self._tests:
            raise AbTestError("test_id_taken", test=test.id)
        if (other := self.running(test.camera)) is not None:
            raise AbTestError("test_running", camera=test.camera, test=other.id)
        self._tests[test.id] = test
        over = [each.id for each in self._tests.values() if each.ended_at is not None]
        for test_id in over[:-KEPT_TESTS]:
            del self._tests[test_id]

    def drop(self, test_id: str) -> None:
        """Forget a test that never began."""
        self._tests.pop(test_id, None)

    def free_id(self, wanted: str) -> str:
        """Return this id, or with a number behind it that no test has."""
        number = 1
        while (found := wanted if number == 1 else f"{wanted}-{number}") in self._tests:
            number += 1
        return found

    def change(self, test_id: str, **changes: Any) -> AbTest:
        """Change facts of a test and return what it is now."""
        self._tests[test_id] = replace(self._tests[test_id], **changes)
        return self._tests[test_id]


def compile_experiment(
    specs: Specs,
    test_id: str,
    arms: Sequence[Mapping[str, Any]],
    *,
    season: Season,
    ends_at: datetime,
    versions: Mapping[str, int],
) -> Experiment:
    """Return an experiment whose arms are profiles (`profile`) with some fields changed.

    An arm's frames carry the test's id and a letter. `ends_at` is on the bridge's clock. Raise AbTestError
    for arms that compare nothing, ProfileError for those that cannot be compiled.
    """
    if not FEWEST_ARMS <= len(arms) <= MOST_ARMS:
        raise AbTestError("test_arms", most=str(MOST_ARMS))
    profiles = [_profile(specs, arm, season, versions) for arm in arms]
    pictures = [replace(profile, name="", id="x", version=1) for profile in profiles]
    if any(picture in pictures[:index] for index, picture in enumerate(pictures)):
        raise AbTestError("test_arms_alike")
    try:
        compiled = tuple(
            Arm(test_id=f"{test_id}-{letter}", profile=profile)
            for letter, profile in zip(LETTERS, profiles, strict=False)
        )
        return Experiment(id=test_id, arms=compiled, ends_at=ends_at)
    except ProtocolError as error:
        raise AbTestError("test_id_bad", test=test_id) from error


def check_settings(camera: str, info: CameraInfo | None, experiment: Experiment, *, obeys: bool) -> None:
    """Raise AbTestError where a camera without settings would take the same picture for two arms.

    Of such a camera a bridge that `obeys` averages pictures and compresses them; another one does not.
    """
    if info is None or info.controls_exposure or info.controls_colour or info.focus or info.raw:
        return
    pictures = {(arm.profile.average, arm.profile.jpeg_quality) if obeys else () for arm in experiment.arms}
    if len(pictures) < len(experiment.arms):
        raise AbTestError("test_no_settings", camera=camera)


def _profile(specs: Specs, arm: Mapping[str, Any], season: Season, versions: Mapping[str, int]) -> Profile:
    changes = {key: value for key, value in arm.items() if key != "profile"}
    profile_id = arm["profile"]
    if profile_id not in specs:
        raise ProfileError("profile_unknown", profile=profile_id)
    return compile_profile(specs, profile_id, versions.get(profile_id, 1), season=season, changes=changes)
