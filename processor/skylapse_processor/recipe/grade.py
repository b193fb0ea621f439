"""Grade: an S-curve about middle grey, on the values that the tone curve shows."""

from dataclasses import replace

from .plan import Plan


def grade(plan: Plan, *, contrast: float = 0.25) -> Plan:
    """Return the plan with a steeper middle; contrast 0 leaves the picture alone, 1 is the steepest."""
    return replace(plan, contrast=contrast)
