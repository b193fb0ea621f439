"""Crop: the film shows a part of its pictures, of a shape that screens have.

A shape is cut out of the picture as large as it fits, and moved in the room that is left: `y=0` keeps the
sky, `y=1` the ground. `free` keeps the share of width and height that is asked for, whatever shape that is;
with another aspect, width and height are shares too, from which the shape is cut. Cut pixels are never
scaled, and of a JPEG no more is decoded than what the film shows of it needs.
"""

from collections.abc import Mapping
from dataclasses import replace

from .plan import Plan
from .window import Window

ASPECTS: Mapping[str, float | None] = {
    "16:9": 16 / 9,
    "4:3": 4 / 3,
    "3:2": 3 / 2,
    "1:1": 1.0,
    "9:16": 9 / 16,
    "2.39": 2.39,
    "free": None,
}


def crop(
    plan: Plan,
    *,
    aspect: str = "16:9",
    x: float = 0.5,
    y: float = 0.5,
    width: float = 1.0,
    height: float = 1.0,
) -> Plan:
    """Return the plan cut to a shape; position and size are shares, 0…1."""
    return replace(plan, window=Window(aspect=ASPECTS[aspect], x=x, y=y, width=width, height=height))
