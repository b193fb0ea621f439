"""Errors of the brain.

BrainError               schedules or profiles that cannot be compiled
├── ProfileError         a profile that extends nothing that exists, or itself
└── ScheduleError        a schedule with figures that no plan can hold
"""


class BrainError(Exception):
    """Something that cannot be compiled; `key` is its translation key, `places` fill the translation."""

    def __init__(self, key: str, **places: str) -> None:
        """Remember what to say."""
        super().__init__(key, places)
        self.key = key
        self.places = places


class ProfileError(BrainError):
    """A profile that cannot be compiled."""


class ScheduleError(BrainError):
    """A schedule that cannot be compiled."""
