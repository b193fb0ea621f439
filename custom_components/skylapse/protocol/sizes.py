"""Sizes of a film that are asked for and not made."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """A further size of a film that is not made, because it would only repeat another."""

    size: str
    why: str
