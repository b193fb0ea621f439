"""How much a schedule asks for: frames and bytes a day. Pure.

Nothing forbids a frame every half second: clouds are fast. What fills disks is asked about before it is kept.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from ..protocol.snapshot import Profile
from .schedules import ScheduleSpec

MOST_FRAMES = 20_000
"""Of one camera a day that nobody is asked about: nearly three hours of two a second."""
MOST_BYTES = 50_000_000_000
"""Of all cameras a day that nobody is asked about."""

_JPEG_BYTES_A_PIXEL = 0.35
_RAW_BYTES_A_PIXEL = 2.0
_USUAL_PIXELS = 1920 * 1080
"""What is counted with where no camera is known yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What a schedule yields on a day on which it counts."""

    frames: int
    """Of one camera."""
    cameras: int
    bytes: int
    """Of all cameras, about."""

    @property
    def is_much(self) -> bool:
        """Tell whether hardly anybody means that."""
        return self.frames > MOST_FRAMES or self.bytes > MOST_BYTES


def load_of(schedule: ScheduleSpec, profiles: Iterable[Profile], pixels: Sequence[int]) -> Load:
    """Return the load of a schedule with its profiles, by the pixels of each camera that follows it."""
    ticks = ceil(schedule.duration_min * 60 / schedule.interval_s)
    pictures = [(_frames(profile), _bytes_a_pixel(profile)) for profile in profiles]
    every = sum(pixels) if pixels else _USUAL_PIXELS
    return Load(
        frames=ticks * sum(count for count, _ in pictures),
        cameras=len(pixels) or 1,
        bytes=round(ticks * every * sum(count * weight for count, weight in pictures)),
    )


def _frames(profile: Profile) -> int:
    """Return how many frames a profile takes at one tick."""
    return max(len(profile.bracket_ev), 1) * max(len(profile.focus_bracket), 1)


def _bytes_a_pixel(profile: Profile) -> float:
    return _JPEG_BYTES_A_PIXEL + (_RAW_BYTES_A_PIXEL if profile.raw else 0)
