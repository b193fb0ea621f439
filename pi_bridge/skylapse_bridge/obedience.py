"""Does the camera do what it is asked? What was delivered is compared with what was asked for. Pure.

A camera departs from its orders when the exposure time is off by more than 5 % and more than one line of the
sensor, or the gain (analogue × digital) by more than 5 %. One such frame may be a setting in flight; after
`PATIENCE` in a row it is told.

*Time that is cut short.* Drivers cut an exposure short without a word where another limit, as the length of
a frame, is in the way. Asking again for the same is no use: the picture would be too dark for ever. So the
longest time that was delivered instead becomes the longest that is asked for, in this run of the bridge, and
gain makes up for the rest. A camera that delivers a fixed part of whatever it is asked for has no such limit:
where a learned limit is cut short again by the same part, the limit is forgotten, and so much more is asked
for.
"""

from dataclasses import dataclass, replace

from .camera.port import CapturedFrame, CaptureSettings
from .exposure import Limits

PATIENCE = 3
_TOLERANCE = 0.05
_LINE_US = 60
_SAME = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """An exposure time that was cut short."""

    asked_us: int
    delivered_us: int

    @property
    def part(self) -> float:
        """The part of what was asked for that was delivered."""
        return self.delivered_us / self.asked_us


@dataclass(frozen=True, kw_only=True, slots=True)
class Obedience:
    """What is known of how a camera obeys, in this run of the bridge."""

    departures: int = 0
    """Frames that were not taken as asked."""
    in_a_row: int = 0
    told: bool = False
    cuts: tuple[Cut, ...] = ()
    """Of the departures in a row, those that were cut short."""
    longest_us: int | None = None
    """The longest exposure that the camera really takes, where that is less than it says."""
    learned_from: float | None = None
    """The part that was delivered when that was learned."""
    share: float = 1.0
    """The part of each exposure time that the camera delivers."""

    def within(self, limits: Limits) -> Limits:
        """Return the limits of what can be delivered."""
        longest = round(limits.max_exposure_us * self.share)
        if self.longest_us is not None:
            longest = min(longest, self.longest_us)
        return replace(limits, max_exposure_us=max(longest, limits.min_exposure_us))

    def asking(self, settings: CaptureSettings) -> CaptureSettings:
        """Return the settings to ask for so that those wanted are delivered."""
        if settings.exposure_us is None or self.share == 1.0:
            return settings
        return replace(settings, exposure_us=round(settings.exposure_us / self.share))


def departure(asked: CaptureSettings, captured: CapturedFrame, share: float = 1.0) -> str | None:
    """Return the figures where the camera did not do what it was asked, None where it did, or cannot tell."""
    if asked.exposure_us is None or asked.gain is None:
        return None
    if captured.exposure_us is None or captured.analogue_gain is None:
        return None
    gain = captured.analogue_gain * (captured.digital_gain or 1.0)
    time_off = _time_off(round(asked.exposure_us * share), captured.exposure_us)
    if not time_off and abs(gain - asked.gain) <= _TOLERANCE * asked.gain:
        return None
    return (
        f"asked for {asked.exposure_us} µs at gain {asked.gain:.2f}, "
        f"delivered {captured.exposure_us} µs at gain {gain:.2f}"
    )


def after(state: Obedience, asked: CaptureSettings, captured: CapturedFrame) -> tuple[Obedience, str | None]:
    """Return what is known after a frame, and what is to be told where it is not to be kept silent any more.

    `asked` is what the camera was asked for. `in_a_row` is 0 again as soon as the camera obeys; a frame that
    asks for less than one that was cut short proves nothing.
    """
    figures = departure(asked, captured, state.share)
    if figures is None:
        if state.cuts and (asked.exposure_us or 0) < (1 - _TOLERANCE) * state.cuts[-1].asked_us:
            return state, None
        return replace(state, in_a_row=0, told=False, cuts=()), None
    state = replace(state, departures=state.departures + 1, in_a_row=state.in_a_row + 1)
    state = _learn(state, asked.exposure_us or 0, captured.exposure_us or 0)
    if state.told or state.in_a_row < PATIENCE:
        return state, None
    return replace(state, told=True), f"{figures}; so far {state.departures} times"


def _learn(state: Obedience, asked_us: int, delivered_us: int) -> Obedience:
    """Return what the frame teaches about exposure times."""
    expected_us = round(asked_us * state.share)
    if not _time_off(expected_us, delivered_us):
        return replace(state, cuts=())
    if delivered_us > expected_us:
        grown = state.share < 1.0 and state.in_a_row >= PATIENCE
        share = min(delivered_us / asked_us, 1.0) if grown else state.share
        return replace(state, cuts=(), share=share)
    cuts = (*state.cuts, Cut(asked_us=asked_us, delivered_us=delivered_us))[-PATIENCE:]
    state = replace(state, cuts=cuts)
    if len(cuts) < PATIENCE:
        return state
    part = cuts[-1].part
    again = state.learned_from is not None and _same([state.learned_from, part])
    if _same([cut.part for cut in cuts]) and (again or not _same([cut.asked_us for cut in cuts])):
        return replace(state, share=part, longest_us=None, cuts=())
    if _same([cut.delivered_us for cut in cuts]):
        longest_us = min(cut.delivered_us for cut in cuts)
        return replace(state, longest_us=longest_us, learned_from=part, cuts=())
    return state


def _time_off(expected_us: int, delivered_us: int) -> bool:
    return abs(delivered_us - expected_us) > max(_TOLERANCE * expected_us, _LINE_US)


def _same(values: list[float] | list[int]) -> bool:
    return max(values) - min(values) <= _SAME * max(values)
