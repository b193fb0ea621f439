"""Errors of the brain.

BrainError               what cannot be compiled
├── ProfileError         a profile without its base, or with figures that none can have
├── ScheduleError        a schedule with figures that no plan can hold
└── AbTestError          an A/B test that would compare nothing
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


class AbTestError(BrainError):
    """An A/B test that would compare nothing."""
