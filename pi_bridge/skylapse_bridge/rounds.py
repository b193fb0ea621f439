"""The rounds of a test beside production: which arms are taken, and which wait.

*Production knows nothing of tests.* Its frames share the interval as if none ran, they are metered and taken
first, and arms get what is left of the interval behind them. So films do not change by a test that begins.

*The same for all arms.* An arm's limits are those that it would have in production, with as many frames a
tick as the widest arm has (and production's besides where an arm is averaged over time, for that takes its
share in the brightest light, too). They are the same for every arm, and do not follow production's exposure.
An arm that finds no room is not taken shorter, darker or with more gain, which would compare limits instead
of profiles: it waits.

*A round as a whole.* A round begins where every arm of it has room, with `_SPARE` for the light that falls
meanwhile; otherwise all of them wait for the next one. So arms have the same number of frames from the same
light. An arm that has lost its room in the middle of a round ends the round.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from skylapse_protocol.snapshot import Arm, Plan

from .aiming import Aim, Purpose, busy_s
from .exposure import exposing_s, overhead_s
from .sequence import Shoot
from .shooting import Shooter
from .shots import Round, Shot, frames_of
from .telling import Voice

_SPARE = 1.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """One tick while it is obeyed."""

    shoot: Shoot
    shots: tuple[Shot, ...]
    plan: Plan | None
    middles: dict[tuple[str, str | None], Aim] = field(default_factory=dict)
    """The middle of each bracket, by profile and arm."""
    production: list[Aim] = field(default_factory=list)
    """What production's frames were aimed at so far."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Begun:
    """What was decided about the round that goes on."""

    number: int
    goes: bool


class Rounds:
    """The tests of one camera."""

    def __init__(self, shooter: Shooter, voice: Voice) -> None:
        self._shooter = shooter
        self._voice = voice
        self._begun: dict[str, _Begun] = {}
        self._waiting: dict[str, str] = {}
        """By test, why it waits, as it was when it began to."""

    def only(self, experiments: Iterable[str]) -> None:
        """Hear which tests run; forget the others."""
        running = set(experiments)
        self._begun = {key: begun for key, begun in self._begun.items() if key in running}
        self._waiting = {key: reason for key, reason in self._waiting.items() if key in running}
        self._tell()

    def rest(self) -> None:
        """Hear that no tick comes for now, or none of this interval: nothing waits for room in it."""
        self._waiting.clear()
        self._tell()

    def burst(self, tick: Tick, shot: Shot) -> int:
        """Return how many frames the interval is shared by that this one belongs to."""
        production = sum(one.round is None for one in tick.shots)
        if shot.round is None:
            return production
        rounds = {one.round.experiment: one.round for one in tick.shots if one.round is not None}.values()
        widest = sum(max(len(frames_of(arm, self._shooter.info)) for arm in each.arms) for each in rounds)
        averaged = any(arm.profile.average > 1 for each in rounds for arm in each.arms)
        return widest + (production if averaged else 0)

    def may_take(self, tick: Tick, shot: Shot) -> bool:
        """Tell whether a frame is to be taken; an arm's only where it has room behind production's."""
        turn = shot.round
        if turn is None:
            return True
        if not tick.production:
            return False
        burst = self.burst(tick, shot)
        taken_s = [busy_s(aim.settings) for aim in tick.production]
        room_s = _room_s(tick.shoot.window.interval_s, taken_s, burst)
        begun = self._begun.get(turn.experiment)
        if begun is None or begun.number != turn.number:
            return self._decide(turn, _SPARE * self._needed_s(tick, turn.arms, burst), room_s)
        if not begun.goes:
            return False
        own = [arm for arm in turn.arms if arm.test_id == shot.test_id]
        return self._decide(turn, self._needed_s(tick, own, burst), room_s)

    def _needed_s(self, tick: Tick, arms: Iterable[Arm], burst: int) -> float:
        """Return the time of the longest frame of these arms, in the light of now."""
        longest_s, shoot = 0.0, tick.shoot
        for arm in arms:
            frames = [
                Purpose(
                    at=shoot.at,
                    profile=arm.profile,
                    window=shoot.window,
                    test_id=arm.test_id,
                    burst=burst,
                    bracket_ev=frame.bracket_ev,
                    bracket_dioptre=frame.bracket_dioptre,
                )
                for frame in frames_of(arm, self._shooter.info)
            ]
            middle = self._shooter.foresee(frames[0], tick.production[0].light, tick.plan)
            aims = [middle, *(self._shooter.member(middle, frame) for frame in frames[1:])]
            longest_s = max(longest_s, *(busy_s(aim.settings) for aim in aims))
        return longest_s

    def _decide(self, turn: Round, needed_s: float, room_s: float) -> bool:
        """Remember whether the round goes on, and tell."""
        goes = needed_s <= room_s
        self._begun[turn.experiment] = _Begun(number=turn.number, goes=goes)
        if goes:
            self._waiting.pop(turn.experiment, None)
        else:
            self._waiting.setdefault(
                turn.experiment,
                f"the A/B test {turn.experiment} waits: an arm needs {needed_s:.1f} s for a frame, "
                f"production leaves it {room_s:.1f} s of the interval",
            )
        self._tell()
        return goes

    def _tell(self) -> None:
        """Tell of the test that waits longest, once."""
        reason = next(iter(self._waiting.values()), None)
        if reason is None:
            self._voice.well("test")
        elif reason != self._voice.problem("test"):
            self._voice.complain("test", reason)


def _room_s(interval_s: float, production_s: Sequence[float], frames: int) -> float:
    """Return how long each of so many frames may be exposed behind production's."""
    besides_s = len(production_s) * overhead_s(interval_s / len(production_s))
    left_s = interval_s - sum(production_s) - besides_s
    return exposing_s(max(left_s, 0.0) / frames)
