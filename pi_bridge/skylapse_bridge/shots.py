"""Which frames one tick has: profiles as the schedule wants them, their brackets, arms of tests. Pure.

*Burst.* Several profiles of a window take one frame each, every tick.

*Brackets.* A profile with `bracket_ev` takes one frame for each of its offsets, one with `focus_bracket` one
for each of its distances, one with both every combination. The middle comes first: it is the frame that
films are made of, and the one whose exposure is metered; the others follow by their offsets.

*Tests.* The arms of an experiment take turns beside production, one arm a tick. Light that rises or falls
steadily would favour whoever comes second, so every other round runs backwards: A B B A, or A B C C B A. Then
every arm has the same mean time, and what changes evenly cancels. Turns are counted from the epoch, so that
neither a restart nor a skipped tick shifts them. A test ends by itself at `ends_at`. Production is taken
first and knows nothing of tests; whether an arm has room behind it is decided in `rounds.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from skylapse_protocol.messages import CameraInfo
from skylapse_protocol.snapshot import Arm, Experiment, Profile, Snapshot, Window

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """One turn of every arm of a test."""

    experiment: str
    number: int
    """Counted from the epoch."""
    arms: tuple[Arm, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """One frame of a tick."""

    profile: Profile
    place: int | None = None
    """Place in the tick, from 0; None where it has one frame."""
    test_id: str | None = None
    round: Round | None = None
    """The round that an arm's frame belongs to; None for production."""
    bracket_ev: float | None = None
    """Stops away from what is metered; None outside a bracket."""
    bracket_dioptre: float | None = None
    """Dioptres away from the focus; None outside a bracket."""

    @property
    def leads(self) -> bool:
        """Tell whether this is the middle of its bracket, or all of it."""
        return not self.bracket_ev and not self.bracket_dioptre


def shots_of(snapshot: Snapshot, window: Window, at: datetime) -> tuple[Shot, ...]:
    """Return the frames of one tick: the window's profiles, then one arm of each test that runs."""
    profiles = (snapshot.profile(profile_id, window.schedule) for profile_id in window.profiles)
    wanted = [Shot(profile=profile) for profile in profiles if profile is not None]
    turn = (at - _EPOCH) // timedelta(seconds=window.interval_s)
    for experiment in running(snapshot, at):
        arm = arm_of(experiment, turn)
        wanted.append(Shot(profile=arm.profile, test_id=arm.test_id, round=round_of(experiment, turn)))
    return _placed(tuple(shot for one in wanted for shot in _bracket(one)))


def frames_of(arm: Arm, camera: CameraInfo | None) -> tuple[Shot, ...]:
    """Return all frames that an arm takes in its turn."""
    return possible(tuple(_bracket(Shot(profile=arm.profile, test_id=arm.test_id))), camera)


def possible(shots: tuple[Shot, ...], camera: CameraInfo | None) -> tuple[Shot, ...]:
    """Return the frames that this camera can take: of a bracket that it cannot follow, the middle alone.

    A camera whose exposure nobody can set would deliver the same picture several times under other names.
    """
    if camera is not None and not camera.controls_exposure:
        shots = tuple(replace(shot, bracket_ev=None) for shot in shots if not shot.bracket_ev)
    if camera is not None and not camera.focus:
        shots = tuple(replace(shot, bracket_dioptre=None) for shot in shots if not shot.bracket_dioptre)
    return _placed(shots)


def running(snapshot: Snapshot | None, at: datetime) -> tuple[Experiment, ...]:
    """Return the tests that take frames at this moment."""
    return tuple(
        experiment
        for experiment in (snapshot.experiments if snapshot else ())
        if experiment.arms and (experiment.ends_at is None or at < experiment.ends_at)
    )


def arm_of(experiment: Experiment, turn: int) -> Arm:
    """Return the arm whose turn it is; every other round runs backwards."""
    arms = experiment.arms
    lap, position = divmod(turn, len(arms))
    return arms[position if lap % 2 == 0 else len(arms) - 1 - position]


def round_of(experiment: Experiment, turn: int) -> Round:
    """Return the round that a turn belongs to."""
    arms = experiment.arms
    return Round(experiment=experiment.id, number=turn // len(arms), arms=arms)


def _bracket(shot: Shot) -> Iterator[Shot]:
    """Yield a profile's frames: one, or those of its brackets."""
    for dioptre in _offsets(shot.profile.focus_bracket):
        for ev in _offsets(shot.profile.bracket_ev):
            yield replace(shot, bracket_ev=ev, bracket_dioptre=dioptre)


def _offsets(bracket: tuple[float, ...]) -> tuple[float | None, ...]:
    """Return the offsets in the order in which they are taken; one None where there is no bracket."""
    return tuple(sorted(bracket, key=lambda offset: (offset != 0, offset))) or (None,)


def _placed(shots: tuple[Shot, ...]) -> tuple[Shot, ...]:
    """Return the frames with their places in the tick."""
    alone = len(shots) == 1
    return tuple(replace(shot, place=None if alone else place) for place, shot in enumerate(shots))
